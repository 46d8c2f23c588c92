"""A page for every indicator, made from its declaration and from what it really finds."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from domain.fraud.assessment import SCORE_MAX, Severity
from domain.fraud.indicators.catalogue import INDICATORS
from domain.fraud.indicators.declaring import (
    DAY_SECONDS,
    HOUR_SECONDS,
    Effect,
    Indicator,
    Parameter,
    Subject,
    Unit,
)
from domain.fraud.ruleset import DEFAULT_TERMS
from domain.money import format_minor
from projections.fraud.judging import Hit
from tallystick.reference.indicator_samples import sample_hits
from tallystick.reference.markdown import table

FOLDER: Final = "indicators"
"""Inside `docs`."""

_MADE: Final = "<!-- made by python -m tallystick.reference --write -->"

_ABOUT: Final = {
    Subject.PLAYER: "a player",
    Subject.HOLDING: "an instrument in the hands of one player",
    Subject.INSTRUMENT: "an instrument, whoever uses it",
    Subject.DEVICE: "a device",
    Subject.ADDRESS: "a network address",
    Subject.BIN: "an issuer's numbers (the first digits of its cards)",
    Subject.PROVIDER: "a payment provider",
    Subject.OPERATORS: "staff, each person by themselves",
}

_FOLLOWS: Final = {
    Effect.SCORE: "It weighs in the score of payouts, and nothing else follows by itself.",
    Effect.CARE: "People look after the player. It says nothing against a payout and does not weigh"
    " in its score.",
    Effect.REFUSES_DEPOSIT: "Nothing more is refused than already was: the limit or exclusion"
    " itself refuses deposits. It does not weigh in the score of payouts.",
    Effect.LOCKS_PAYOUTS: "It weighs in the score of payouts and, whatever the score, holds them"
    " until what is missing is there.",
    Effect.BLOCKS_LEG: "It weighs in the score of the payout and, whatever the score, holds it: a"
    " part of it would go where it should not.",
    Effect.BLOCKS_PLAYER: "It weighs in the score of payouts and, whatever the score, holds them;"
    " the player is put on hold, so that nothing is paid in or out.",
    Effect.WATCHED: "Staff looks into it. It is about no single player, so it weighs in the score"
    " of no payout.",
}

_IN_NO_PAYOUT: Final = {Subject.PROVIDER: "a provider", Subject.OPERATORS: "staff"}
"""No payout is judged by what is known about these."""

_WEIGHTS: Final = {
    Severity.LOW: DEFAULT_TERMS.score_low,
    Severity.MEDIUM: DEFAULT_TERMS.score_medium,
    Severity.HIGH: DEFAULT_TERMS.score_high,
    Severity.CRITICAL: SCORE_MAX,
}


def page_name(indicator: Indicator) -> str:
    """Of its file: `01-due_diligence_threshold.md`."""
    return f"{indicator.number:02d}-{indicator.code}.md"


def stale_pages(docs: Path) -> dict[Path, str]:
    """The pages that are not as the declarations have them, and what they should say."""
    made = {docs / FOLDER / page_name(one): page(one) for one in INDICATORS}
    return {
        path: text
        for path, text in made.items()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    }


def indicators_table() -> str:
    """Every indicator in a line: what it looks for, about whom, how bad, what follows."""
    rows = [
        [
            str(one.number),
            f"[{one.title}]({page_name(one)})",
            f"`{one.code}`",
            ", ".join(one.subjects),
            ", ".join(one.severities),
            one.effect.replace("_", " "),
            duration(one.active_seconds),
            one.money,
        ]
        for one in INDICATORS
    ]
    return table(
        ["#", "indicator", "code", "about", "severity", "effect", "counts for", "money"], rows
    )


def page(indicator: Indicator) -> str:
    """All of one page.

    Raises:
        LookupError: the indicator has no story, or does not hit in it.
    """
    parts = [
        f"# {indicator.number}. {indicator.title}",
        _MADE,
        f"`{indicator.code}` is about {_joined(_ABOUT[one] for one in indicator.subjects)}."
        f" {indicator.meaning}",
        "## When it hits",
        f"{_capital(indicator.formula)}.",
        _windows(indicator),
        "## Thresholds",
        _parameters(indicator.parameters),
        f"Source: {indicator.source}",
        "## What follows",
        _severities(indicator),
        *_follows(indicator),
        "## Example",
        *(_example(hit) for hit in sample_hits(indicator.code)),
        "## What to do",
        indicator.advice,
    ]
    return "\n\n".join(parts) + "\n"


def _windows(indicator: Indicator) -> str:
    if not indicator.windows:
        return "It looks at one event alone; there is no window."
    lines = [
        f"- {one.name}" + (f": {duration(one.seconds)}" if one.seconds else "")
        for one in indicator.windows
    ]
    rolling = any(one.seconds for one in indicator.windows)
    return "\n".join(["How far it looks back:", "", *lines]) + (_ROLLING if rolling else "")


_ROLLING: Final = (
    "\n\nA window ends with the event that is judged, which counts too, and begins so long before"
    " it, that very instant included. The times are those of the events."
)


def _parameters(parameters: Sequence[Parameter]) -> str:
    if not parameters:
        return "It has none: once is enough."
    rows = [[f"`{one.name}`", in_its_unit(one, one.default), one.meaning] for one in parameters]
    made = table(["parameter", "default", "meaning"], rows)
    if any(one.currency for one in parameters):
        made += (
            "\n\nAmounts in other currencies are compared at the rule set's reference rates,"
            " rounded down."
        )
    return made


def _severities(indicator: Indicator) -> str:
    weighs = indicator.effect.weighs
    said = [
        f"{one.value} ({_WEIGHTS[one]} points)" if weighs else one.value
        for one in indicator.severities
    ]
    opens = [one.value for one in indicator.severities if one.opens_case]
    if len(said) == 1:
        return f"A hit is {said[0]} and opens {'a' if opens else 'no'} case."
    cases = f"one that is {_joined(opens, 'or')} opens a case" if opens else "none opens a case"
    return f"A hit is {_joined(said, 'or')}; {cases}."


def _follows(indicator: Indicator) -> list[str]:
    said = [_FOLLOWS[indicator.effect]]
    exempt = [_IN_NO_PAYOUT[one] for one in indicator.subjects if one in _IN_NO_PAYOUT]
    if exempt and indicator.effect.weighs:
        said.append(f"A hit about {_joined(exempt)} weighs in the score of no payout.")
    if indicator.money:
        said.append(
            f"A hit says by its amount, in EUR, how much money it is about: {indicator.money}."
        )
    said.append(
        f"A hit counts for {duration(indicator.active_seconds)}. Until then the same is not"
        " recorded again" + (", unless it gets worse." if len(indicator.severities) > 1 else ".")
    )
    return said


def _example(hit: Hit) -> str:
    evidence = [["value", str(hit.value)], ["threshold", str(hit.threshold)], ["unit", hit.unit]]
    if hit.amount_minor:
        evidence += [["amount", format_minor(hit.amount_minor, "EUR")]]
    evidence += [["since", f"{hit.since:%Y-%m-%d %H:%M} UTC"]] if hit.since.year > 1970 else []
    evidence += [[name.replace("_", " "), str(value)] for name, value in hit.inputs.items()]
    about = hit.subject.partition(":")[0]
    return f"> {hit.sentence}\n\nThe evidence of this {hit.severity} hit about" + (
        f" {_ABOUT[Subject(about)].partition(' (')[0].partition(',')[0]}:\n\n"
        + table(["what", "how much"], evidence)
    )


def in_its_unit(parameter: Parameter, value: int) -> str:
    """For people: 200000 minor units are `2000.00 EUR`, 86400 seconds `24 hours`."""
    match parameter.unit:
        case Unit.COUNT:
            return str(value)
        case Unit.PERCENT:
            return f"{value} %"
        case Unit.BASIS_POINTS:
            return f"{value // 100}.{value % 100:02d} %"
        case Unit.SECONDS:
            return duration(value)
        case Unit.MINOR:
            return format_minor(value, parameter.currency or DEFAULT_TERMS.base)
        case Unit.TIMES:
            return f"{value} times"


def duration(seconds: int) -> str:
    """In the largest unit that leaves nothing over: `180 days`, `72 hours`, `15 minutes`."""
    if seconds % DAY_SECONDS == 0 and seconds > DAY_SECONDS:
        return f"{seconds // DAY_SECONDS} days"
    if seconds % HOUR_SECONDS == 0:
        hours = seconds // HOUR_SECONDS
        return "1 hour" if hours == 1 else f"{hours} hours"
    return f"{seconds // 60} minutes" if seconds % 60 == 0 else f"{seconds} seconds"


def _joined(names: Iterable[str], last: str = "and") -> str:
    *first, final = names
    return f"{', '.join(first)} {last} {final}" if first else final


def _capital(text: str) -> str:
    return text[0].upper() + text[1:] if text[0].isascii() else text
