"""Backtests as people read them at a terminal."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from domain.money import format_minor
from replay.backtest.report import Backtest, Precision, Verdict
from replay.backtest.waiting import QueueDay

BAR_CELLS = 30
DAYS_SHOWN = 31
"""The last of them."""


def show(console: Console, found: Backtest) -> None:
    """What would have changed, the largest first."""
    in_force = ", ".join(one.ruleset for one in found.in_force) or "nothing"
    console.print(
        f"[bold]{escape(found.candidate)}[/bold] against {escape(in_force)}, positions"
        f" {found.span.first} to {found.span.before - 1} of {found.log_position}:"
        f" {found.judged} {'payout' if found.judged == 1 else 'payouts'} judged,"
        f" {found.scores_changed} with another score,"
        f" [bold]{found.decisions_changed}[/bold] would have gone another way."
    )
    if found.decisions_changed:
        _show_moved(console, found)
        _show_decisions(console, found)
    if found.indicators:
        _show_indicators(console, found)
    if any(day.before or day.after for day in found.queue):
        _show_queue(console, found.queue)
    console.print(
        f"\n{found.events} events, {found.signals} signals, {found.hits} hits"
        f" ({found.hits_in_force} in force); {found.engine}, {found.workers} at once,"
        f" {found.elapsed_s} s, peak {found.peak_memory_mb:.0f} MiB."
    )
    console.print(f"Digest: {found.digest}")


def _show_moved(console: Console, found: Backtest) -> None:
    table = Table("from", "to", box=None, pad_edge=False)
    table.add_column("payouts", justify="right")
    table.add_column("amount", justify="right")
    for moved in found.moved:
        amount = format_minor(moved.amount_minor, moved.currency)
        table.add_row(moved.before, moved.after, str(moved.payouts), amount)
    console.print(table, "")


def _show_decisions(console: Console, found: Backtest) -> None:
    if not found.decisions:
        return
    table = Table("withdrawal", "asked", box=None, pad_edge=False)
    table.add_column("amount", justify="right")
    for name in ("before", "after", "indicators before", "indicators after", "in fact"):
        table.add_column(name)
    for one in found.decisions:
        table.add_row(
            str(one.withdrawal_id),
            f"{one.at:%Y-%m-%d %H:%M}",
            format_minor(one.amount_minor, one.currency),
            _verdict(one.before),
            _verdict(one.after),
            ", ".join(one.before.indicators) or "–",
            ", ".join(one.after.indicators) or "–",
            one.ended,
        )
    console.print(table, "")
    rest = found.decisions_changed - len(found.decisions)
    if rest:
        console.print(f"And {rest} smaller ones: --limit shows more, --json all of them.\n")


def _verdict(verdict: Verdict) -> str:
    return f"{verdict.path} ({verdict.score})"


def _show_indicators(console: Console, found: Backtest) -> None:
    table = Table("indicator", box=None, pad_edge=False)
    for name in ("hits", "precision", "hits after", "precision after"):
        table.add_column(name, justify="right")
    for one in found.indicators:
        before, after = one.before, one.after
        table.add_row(
            one.indicator, str(before.hits), _share(before), str(after.hits), _share(after)
        )
    console.print(table, "")


def _share(precision: Precision) -> str:
    """Confirmed, of those whose case has ended one way or the other."""
    if precision.precision_percent is None:
        return "–"
    told = precision.confirmed + precision.false_positive
    return f"{precision.precision_percent} % of {told}"


def _show_queue(console: Console, queue: tuple[QueueDay, ...]) -> None:
    shown = queue[-DAYS_SHOWN:]
    longest = max(max(day.before, day.after) for day in shown) or 1
    table = Table("queue at the end of", box=None, pad_edge=False)
    table.add_column("before", justify="right")
    table.add_column("")
    table.add_column("after", justify="right")
    table.add_column("")
    for day in shown:
        bars = [_bar(length, longest) for length in (day.before, day.after)]
        table.add_row(day.day.isoformat(), str(day.before), bars[0], str(day.after), bars[1])
    console.print(table)
    if len(queue) > len(shown):
        console.print(f"The last {len(shown)} of {len(queue)} days; --json has all of them.")


def _bar(length: int, longest: int) -> str:
    return "▇" * -(-length * BAR_CELLS // longest)
