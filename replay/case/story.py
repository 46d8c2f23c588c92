"""The story of a case, for people: as text, and as a page that runs nothing."""

from collections.abc import Iterable, Iterator
from html import escape
from typing import TextIO

from domain.accounts import currency_of
from domain.money import format_minor
from replay import event_text
from replay.transaction import Step, Story

_TIME = "%Y-%m-%d %H:%M:%S.%f UTC"
_COLUMNS = ("Position", "Recorded", "Event", "By", "Status", "Posted", "Said", "Before it was seen")
_STYLE = (
    "body{font:15px/1.5 Georgia,serif;max-width:80em;margin:2em auto;padding:0 1em}"
    "table{border-collapse:collapse;width:100%;font-size:13px}"
    "th,td{border-top:1px solid #bbb;padding:.3em .6em;text-align:left;vertical-align:top;"
    "overflow-wrap:anywhere}h2{margin-top:2em}"
)


def printable(text: str) -> str:
    """Text in which nothing hides: no line breaks, no controls, no change of direction."""
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)


def headline(told: Story) -> str:
    """What it is, and where it stands."""
    player = told.transaction.player_id
    of_player = f" for player {player}" if player else ""
    return f"{told.kind.capitalize()} {told.id} of {told.transaction.amount}{of_player}: " + str(
        told.transaction.status
    )


def status(step: Step) -> str:
    """The status after a step, and the one before if it changed."""
    return step.after if step.before in (None, step.after) else f"{step.before} → {step.after}"


def posted(step: Step) -> list[str]:
    """What was posted, a line for each account."""
    return [
        f"{posting.account} {format_minor(posting.amount_minor, currency_of(posting.account))}"
        for posting in step.postings
    ]


def said(step: Step) -> list[str]:
    """What the event says, and by what the provider's notice is recognised."""
    return [line for line in (event_text.words(step.facts), event_text.heard(step.heard)) if line]


def seen(step: Step) -> list[str]:
    """Of a decision: what there was to be seen right before it, a line for each subject."""
    return [] if step.saw is None else list(event_text.seen(step.saw))


class TextTeller:
    """Writes story.txt."""

    def __init__(self, file: TextIO, title: str, lines: Iterable[str]) -> None:
        """The beginning: what it is about."""
        self._file = file
        self._print(title, "=" * len(title), "", *lines)

    def tell(self, told: Story) -> None:
        """One transaction."""
        title = printable(headline(told))
        self._print("", "", title, "-" * len(title))
        for step in told.steps:
            self._print("", *self._step(step))

    def _step(self, step: Step) -> Iterator[str]:
        when = step.recorded_at.strftime(_TIME)
        yield printable(f"{step.position}  {when}  {step.event} by {step.actor}")
        yield printable(f"    status: {status(step)}")
        yield from (printable(f"    posted: {line}") for line in posted(step))
        yield from (printable(f"    said:   {line}") for line in said(step))
        yield from (printable(f"    seen:   {line}") for line in seen(step))

    def end(self) -> None:
        """The rest."""
        self._print("", "", "The end.")

    def _print(self, *lines: str) -> None:
        self._file.writelines(f"{line}\n" for line in lines)


class PageTeller:
    """Writes story.html: nothing in it is run or fetched, and everything in it is escaped."""

    def __init__(self, file: TextIO, title: str, lines: Iterable[str]) -> None:
        """The beginning: what it is about."""
        self._file = file
        policy = "default-src 'none'; style-src 'unsafe-inline'"
        file.write(
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
            f"<title>{_shown(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
            f"<h1>{_shown(title)}</h1>\n"
        )
        file.writelines(f"<p>{_shown(line)}</p>\n" for line in lines)

    def tell(self, told: Story) -> None:
        """One transaction."""
        headings = "".join(f"<th>{name}</th>" for name in _COLUMNS)
        self._file.write(f"<h2>{_shown(headline(told))}</h2>\n<table>\n<tr>{headings}</tr>\n")
        for step in told.steps:
            cells = (
                str(step.position),
                step.recorded_at.strftime(_TIME),
                step.event,
                step.actor,
                status(step),
            )
            lines = (posted(step), said(step), seen(step))
            row = [*map(_shown, cells), *("<br>".join(map(_shown, cell)) for cell in lines)]
            self._file.write("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>\n")
        self._file.write("</table>\n")

    def end(self) -> None:
        """The rest."""
        self._file.write("</body>\n</html>\n")


def _shown(text: str) -> str:
    return escape(printable(text))
