"""Stories, players and accounts of the past, as people read them."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from uuid import UUID

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from domain.accounts import currency_of
from domain.money import format_minor
from ledger.eventstore.positions import AsOf
from replay import event_text
from replay.account import AccountThen
from replay.player import PlayerThen
from replay.seen import Saw
from replay.transaction import Step, Story

_SAID_COLUMNS = 70
_INDENT = 12
_LABEL_COLUMNS = 9
_HEADINGS = ("position", "when", "event", "who", "status", "posted, counted", "said")


def show_story(console: Console, told: Story, as_of: AsOf) -> None:
    """Each event on a line, and under each decision what there was to be seen before it."""
    amount, player_id = told.transaction.amount, told.transaction.player_id
    of_player = f" for player {player_id}" if player_id else ""
    console.print(
        f"[bold]{told.kind}[/bold] {told.id} of {amount}{of_player}:"
        f" [bold]{told.transaction.status}[/bold]{_then(as_of)}"
    )
    rows = [_row(step, player_id) for step in told.steps]
    widths = _widths([_HEADINGS, *rows])
    seen: Mapping[str, str] = {}
    for number, (step, row) in enumerate(zip(told.steps, rows, strict=True)):
        console.print(_line(row, widths, with_heading=number == 0))
        if step.saw is not None:
            before, seen = seen, dict(event_text.seen_parts(step.saw))
            for line in _block(step.saw, seen, before):
                console.print(line, markup=False, soft_wrap=True)


def _row(step: Step, player_id: UUID | None) -> tuple[str, ...]:
    return (
        str(step.position),
        f"{step.recorded_at:%Y-%m-%d %H:%M:%S.%f}",
        step.event,
        step.actor,
        step.after if step.before in (None, step.after) else f"{step.before} → {step.after}",
        "\n".join((*_posted(step, player_id), *event_text.counted(step.facts))),
        "\n".join(filter(None, (event_text.words(step.facts), event_text.heard(step.heard)))),
    )


def _widths(rows: Iterable[tuple[str, ...]]) -> list[int]:
    """Of the columns, as all of them together need it."""
    columns = zip(*rows, strict=True)
    longest = [max(len(line) for cell in cells for line in cell.split("\n")) for cells in columns]
    return [*longest[:-1], min(longest[-1], _SAID_COLUMNS)]


def _line(row: tuple[str, ...], widths: list[int], *, with_heading: bool) -> Table:
    table = Table(box=None, pad_edge=False, show_header=with_heading)
    for heading, width in zip(_HEADINGS, widths, strict=True):
        justify = "right" if heading == "position" else "left"
        table.add_column(heading, justify=justify, overflow="fold", width=width)  # type: ignore[arg-type]
    table.add_row(*map(escape, row))
    return table


def _posted(step: Step, player_id: UUID | None) -> Iterator[str]:
    """The accounts of the story's own player without the id: its first line says it."""
    for posting in step.postings:
        amount = format_minor(posting.amount_minor, currency_of(posting.account))
        yield f"{event_text.short(posting.account, player_id)} {amount}"


# --- what was seen ------------------------------------------------------------------------------


def _block(saw: Saw, seen: Mapping[str, str], before: Mapping[str, str]) -> Iterator[str]:
    """What has not changed since the decision before is named, and not said again."""
    changed = {label: text for label, text in seen.items() if before.get(label) != text}
    yield f"{'':{_INDENT}}seen at position {saw.position}:"
    for label, text in changed.items():
        yield f"{'':{_INDENT}}  {label:{_LABEL_COLUMNS}}{text}"
    if len(changed) < len(seen):
        same = ", ".join(label for label in seen if label not in changed)
        yield f"{'':{_INDENT}}  as at the decision before: {same}"


# --- players ------------------------------------------------------------------------------------


def show_player(console: Console, player: PlayerThen, as_of: AsOf) -> None:
    """Standing first, then money, then transactions."""
    console.print(f"[bold]player[/bold] {player.id}{_then(as_of)}")
    for label, text in _facts(player):
        console.print(f"  {label:12}{text}", markup=False, soft_wrap=True)
    if player.empty:
        console.print(f"\nNo transactions: {player.empty}.", markup=False, soft_wrap=True)
        return
    console.print()
    headings = ("begun at", "when", "kind", "id", "amount", "status", "reason")
    table = Table(*headings, box=None, pad_edge=False)
    for row in player.transactions:
        table.add_row(
            str(row.created_position),
            _when(row.created_at),
            row.kind,
            str(row.id),
            format_minor(row.amount_minor, row.currency),
            row.status,
            escape(row.reason or ""),
        )
    console.print(table)
    if player.more_transactions:
        console.print("There are others before these: ask for more with --limit.")


def _excluded_until(player: PlayerThen) -> str:
    if player.excluded_until is not None:
        return _when(player.excluded_until)
    least = player.excluded_at_least_until
    return "somebody ends it" + (f", not before {_when(least)}" if least else "")


def _facts(player: PlayerThen) -> Iterator[tuple[str, str]]:
    yield "registered", _when(player.registered_at)
    where = player.jurisdiction or "no jurisdiction"
    yield "standing", f"verified {player.verification}, {where}, {player.time_zone}"
    if player.excluded:
        yield "excluded", f"until {_excluded_until(player)}"
    for hold in player.holds:
        stops, since = " and ".join(hold.stops), _when(hold.placed_at)
        yield "hold", f"{hold.kind}, of {stops}, by {hold.placed_by} at {since}: {hold.reason}"
    for limit in player.limits:
        most = (
            "none" if limit.limit_minor is None else format_minor(limit.limit_minor, limit.currency)
        )
        used = format_minor(limit.used_minor, limit.currency)
        later = ""
        if limit.pending_at is not None:
            asked = limit.pending_minor
            wanted = "none" if asked is None else format_minor(asked, limit.currency)
            later = f"; {wanted} from {_when(limit.pending_at)}"
        yield "limit", f"per {limit.window}: {most}, used {used}{later}"
    if not player.balances:
        yield "balance", "nothing on any account"
    for balance in player.balances:
        yield "balance", event_text.balance(balance)
    for counted in player.counters:
        paid_in = format_minor(counted.deposited_minor, counted.currency)
        wagered = format_minor(counted.wagered_minor, counted.currency)
        yield "counted", f"paid in {paid_in}, wagered {wagered}"
    for used_one in player.instruments:
        net = ", ".join(format_minor(net, code) for code, net in used_one.net_minor.items())
        yield "instrument", f"{used_one.instrument} ({used_one.method}): {net or 'nothing'} net"


# --- accounts -----------------------------------------------------------------------------------


def show_account(console: Console, account: AccountThen, as_of: AsOf) -> None:
    """The balance, then the entries that led to it."""
    balance = format_minor(account.balance_minor, account.currency)
    console.print(f"[bold]{escape(account.account)}[/bold]: [bold]{balance}[/bold]{_then(as_of)}")
    if account.empty:
        console.print(f"No entries: {account.empty}.", markup=False, soft_wrap=True)
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("position", "when", "event", "transaction", "amount", "balance"):
        right = heading in ("position", "amount", "balance")
        table.add_column(heading, justify="right" if right else "left")
    for entry in account.entries:
        table.add_row(
            str(entry.position),
            _when(entry.recorded_at),
            entry.topic,
            str(entry.transaction_id),
            format_minor(entry.amount_minor, entry.currency),
            format_minor(entry.balance_minor, entry.currency),
        )
    console.print(table)
    if account.more:
        console.print("There are entries before these: ask for more with --limit.")


def _then(as_of: AsOf) -> str:
    """Nothing where it is the present."""
    return "" if as_of.position == as_of.head else f", as of position {as_of.position}"


def _when(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%M:%S}"
