"""State diagrams for Mermaid, and tables of statuses."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from domain.deposit import Deposit, DepositStatus
from domain.transactions import Transaction
from domain.withdrawal import Withdrawal, WithdrawalStatus
from tallystick.reference.arrows import grouped
from tallystick.reference.markdown import codes, table

_OPEN: Final[Mapping[type[Transaction], Sequence[str]]] = {
    Deposit: [status.value for status in DepositStatus if status.is_open_at_provider],
    Withdrawal: ["submitted", "processing", "unknown"],
}
"""Drawn as one box: what can happen in all of these is one arrow."""


def diagram(kind: type[Transaction]) -> str:
    """A state diagram for Mermaid, and in words what it leaves out: the reviews."""
    inside, outside = _OPEN[kind], "at_the_provider"
    labels: dict[tuple[str, str], list[str]] = defaultdict(list)
    for event, after, befores in grouped(kind):
        if "review" in (after, *befores):
            continue
        whole = after not in inside and set(befores) >= set(inside)
        kept = [before for before in befores if before != after]
        for before in [outside] * whole + [b for b in kept if not (whole and b in inside)]:
            labels[before, after].append(event)
    places = ["", *(DepositStatus if kind is Deposit else WithdrawalStatus), outside]
    within: list[str] = []
    around: list[str] = []
    for (before, after), names in sorted(labels.items(), key=lambda at: places.index(at[0][0])):
        line = f"{before or '[*]'} --> {after}: {', '.join(names)}"
        (within if {before, after} <= set(inside) else around).append(line)
    lines = ["```mermaid", "stateDiagram-v2"]
    lines += [f'    state "at the provider" as {outside} {{']
    lines += [f"        {line}" for line in [*inside, *within]]
    lines += ["    }", *(f"    {line}" for line in around)]
    lines += ["```", "", _review_in_words(kind)]
    return "\n".join(lines)


def _review_in_words(kind: type[Transaction]) -> str:
    (into,) = (befores for event, _, befores in grouped(kind) if event == "ReviewOpened")
    ends = [after for event, after, _ in grouped(kind) if event == "TransactionResolved"]
    return (
        f"Not drawn: `ReviewOpened` leads to `review` from {codes(into, 'or')}; "
        f"`TransactionResolved` leads from `review` to {codes(ends, 'or')}."
    )


def status_table(statuses: Iterable[DepositStatus] | Iterable[WithdrawalStatus]) -> str:
    """Every status, and the word that people read for it."""
    return table(["status", "on screens"], [[f"`{s}`", s.screen_word] for s in statuses])
