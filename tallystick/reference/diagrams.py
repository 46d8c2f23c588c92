"""State diagrams for Mermaid, and tables of statuses."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, cast, get_args

from domain import events
from domain.adjustment.state import Adjustment
from domain.conversion.state import Conversion, ConversionStatus
from domain.deposit.decisions import DepositStatus
from domain.deposit.state import Deposit
from domain.dispute.decisions import Dispute, DisputeStatus
from domain.refund.decisions import Refund, RefundStatus
from domain.transactions import Transaction
from domain.withdrawal.legs import LegStatus
from domain.withdrawal.state import Withdrawal, WithdrawalStatus
from tallystick.reference.arrows import MACHINES, Arrow, grouped, leg_arrows, whole_arrows
from tallystick.reference.markdown import codes, table

_AT_THE_PROVIDER: Final = "at the provider"
_REVIEW: Final = "review"
_NEXT_STAGE: Final = "DisputeOpened"


@dataclass(frozen=True, slots=True)
class _Box:
    """Statuses that are drawn as one: what can happen in all of them is one arrow."""

    title: str = ""
    statuses: Sequence[str] = ()

    @property
    def name(self) -> str:
        return self.title.replace(" ", "_")


_BOXES: Final[Mapping[type[Transaction], _Box]] = {
    Deposit: _Box(_AT_THE_PROVIDER, [s for s in DepositStatus if s.is_open_at_provider]),
    Withdrawal: _Box(
        _AT_THE_PROVIDER,
        [WithdrawalStatus.SUBMITTED, WithdrawalStatus.PROCESSING, WithdrawalStatus.UNKNOWN],
    ),
    Refund: _Box(
        _AT_THE_PROVIDER, [RefundStatus.SUBMITTED, RefundStatus.PENDING, RefundStatus.UNKNOWN]
    ),
    Conversion: _Box(_AT_THE_PROVIDER, [ConversionStatus.SUBMITTED, ConversionStatus.UNKNOWN]),
    Dispute: _Box(
        "no verdict yet",
        [
            *(DisputeStatus.OPENED, DisputeStatus.EVIDENCE_DUE, DisputeStatus.SUBMITTED),
            *(DisputeStatus.UNDER_REVIEW, DisputeStatus.EXPIRED),
        ],
    ),
    Adjustment: _Box(),
}
_SUBJECTS: Final[Mapping[str, object]] = {
    "deposit": events.DepositEvent,
    "withdrawal": events.WithdrawalEvent,
    "refund": events.RefundEvent,
    "conversion": events.ConversionEvent,
    "dispute": events.DisputeEvent,
    "adjustment": events.AdjustmentEvent,
    "at a provider": events.ProviderEvidence,
    "notice": events.NoticeEvent,
    "player": events.PlayerEvent,
    "turnover": events.WagerEvent,
    "provider": events.ProviderEvent,
    "policy": events.PolicyEvent,
    "rates": events.RatesEvent,
    "read model": events.ReadModelEvent,
    "rule set": events.RuleSetEvent,
    "fraud case": events.FraudCaseEvent,
    "report": events.ReportEvent,
}
_LEG_BOX: Final = _Box(
    _AT_THE_PROVIDER, [LegStatus.SUBMITTED, LegStatus.PROCESSING, LegStatus.UNKNOWN]
)


def diagram(kind: type[Transaction]) -> str:
    """A state diagram for Mermaid, and in words what it leaves out."""
    return _diagram(whole_arrows(kind), list(MACHINES[kind].statuses), _BOXES[kind])


def event_map() -> str:
    """Every event there is, by what it is about, as a mind map for Mermaid."""
    lines = ["```mermaid", "mindmap", "  root((log))"]
    for title, union in _SUBJECTS.items():
        lines.append(f"    {title}")
        shared = () if union is events.ProviderEvidence else get_args(events.ProviderEvidence)
        lines += [f"      {t.__name__}" for t in _types(union) if t not in shared]
    return "\n".join([*lines, "```"])


def _types(union: object) -> tuple[type, ...]:
    """The members of a union; of a single class, itself."""
    return get_args(union) or (cast("type", union),)


def leg_diagram() -> str:
    """The same for one leg of a withdrawal."""
    return _diagram(leg_arrows(), list(LegStatus), _LEG_BOX)


def _diagram(found: Iterable[Arrow], statuses: Sequence[str], box: _Box) -> str:
    groups = list(grouped(found))
    labels: dict[tuple[str, str], list[str]] = defaultdict(list)
    for event, after, befores in groups:
        if _REVIEW in (after, *befores):
            continue
        for before in _drawn_from(event, after, befores, box):
            labels[before, after].append(event)
    places = ["", *statuses, box.name]
    within: list[str] = []
    around: list[str] = []
    for (before, after), names in sorted(labels.items(), key=lambda at: places.index(at[0][0])):
        line = f"{before or '[*]'} --> {after}: {', '.join(names)}"
        (within if {before, after} <= set(box.statuses) else around).append(line)
    lines = ["```mermaid", "stateDiagram-v2"]
    if box.statuses:
        lines += [f'    state "{box.title}" as {box.name} {{']
        lines += [f"        {line}" for line in [*box.statuses, *within]]
        lines += ["    }"]
    lines += [*(f"    {line}" for line in around), "```", "", _not_drawn(groups)]
    return "\n".join(lines).rstrip()


def _drawn_from(event: str, after: str, befores: Collection[str], box: _Box) -> Sequence[str]:
    """Where arrows of this event begin: at the box, where it can happen in all of it."""
    if event == _NEXT_STAGE:
        return [""]
    inside = box.statuses
    whole = bool(inside) and after not in inside and set(befores) >= set(inside)
    kept = [before for before in befores if before != after]
    return [box.name] * whole + [b for b in kept if not (whole and b in inside)]


def _not_drawn(groups: Iterable[tuple[str, str, list[str]]]) -> str:
    into = [befores for event, _, befores in groups if event == "ReviewOpened"]
    ends = [after for event, after, _ in groups if event == "TransactionResolved"]
    stages = [befores for event, _, befores in groups if event == _NEXT_STAGE]
    said = [f"`ReviewOpened` leads to `review` from {codes(found, 'or')}" for found in into]
    if ends:
        said.append(f"`TransactionResolved` leads from `review` to {codes(ends, 'or')}")
    said += [
        f"at the next stage, `{_NEXT_STAGE}` leads to `opened` from "
        f"{codes([before for before in befores if before], 'or')}"
        for befores in stages
    ]
    return f"Not drawn: {'; '.join(said)}." if said else ""


def status_table(kind: type[Transaction]) -> str:
    """Every status, and the word that people read for it."""
    shown = {status: getattr(status, "screen_word", "") for status in MACHINES[kind].statuses}
    return table(["status", "on screens"], [[f"`{s}`", word] for s, word in shown.items()])
