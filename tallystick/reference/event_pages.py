"""Every event in words: its fields, what it posts and counts, where it leads."""

import ast
import inspect
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Any, cast, get_args, get_type_hints
from uuid import UUID

from domain import accounts, counters, events, money
from domain.errors import Reason
from domain.events import LedgerEvent, Move, evidence
from domain.events.evidence import DeclineCode, Evidence, Outcome, Source
from domain.money import Money
from domain.player.wagers import record_wager
from domain.postings import postings
from domain.transactions import Transaction
from domain.withdrawal.legs import LegStatus
from domain.withdrawal.state import Withdrawal
from domain.withdrawal.status import status_of
from tallystick.reference.arrows import (
    SAMPLE_ID,
    Arrow,
    Counted,
    counted,
    grouped,
    leg_arrows,
    whole_arrows,
)
from tallystick.reference.arrows.samples import AMOUNT, INSTRUMENT, NOW, command
from tallystick.reference.markdown import codes, table

_SHARED = set(get_args(events.ProviderEvidence))


def event_list(of: object, *, leads: Sequence[type[Transaction]] = ()) -> str:
    """Every event of a union: what it means, holds, posts and counts, and where it leads.

    `of` may be a single event, too.
    """
    found = get_args(of) or (of,)
    chosen = [cls for cls in found if cls not in _SHARED or of is events.ProviderEvidence]
    return "\n\n".join(_event(cls, leads) for cls in chosen)


def _event(cls: type[LedgerEvent], leads: Sequence[type[Transaction]]) -> str:
    holds = _documented(cls)
    if issubclass(cls, events.CommandedEvent):
        holds += _documented(events.CommandedEvent)
    parts = [f"### {cls.__name__}", inspect.getdoc(cls) or "", _list_of(holds), _posts(cls)]
    parts += [_counts(cls.__name__, leads)]
    parts += [_leads(cls.__name__, kind) for kind in leads]
    return "\n\n".join(filter(None, parts))


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    type: str
    doc: str


def _documented(cls: type) -> list[_Field]:
    """The fields a class declares itself, each with the docstring below it."""
    tree = ast.parse(inspect.getsource(cls)).body[0]
    body = tree.body if isinstance(tree, ast.ClassDef) else []
    found = []
    for node, below in zip(body, [*body[1:], None], strict=True):
        match node:
            case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation):
                found.append(_Field(name, ast.unparse(annotation), _docstring(below)))
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=str(value))):
                found.append(_Field(value if name.isupper() else name, "", _docstring(below)))
            case _:
                pass
    return found


def _docstring(node: ast.stmt | None) -> str:
    match node:
        case ast.Expr(value=ast.Constant(value=str(text))):
            return " ".join(text.split())
        case _:
            return ""


def _list_of(found: Sequence[_Field]) -> str:
    lines = []
    for field in found:
        kind = f": `{field.type}`" if field.type else ""
        doc = f" ({_in_passing(field.doc)})" if field.doc else ""
        lines.append(f"- `{field.name}`{kind}{doc}")
    return "\n".join(lines)


def _in_passing(text: str) -> str:
    """Without its full stop, and small: it goes into parentheses."""
    small = text[0].lower() + text[1:] if text[1:2].islower() or text[:2] == "A " else text
    return small.rstrip(".")


def _posts(cls: type[LedgerEvent]) -> str:
    """From which account to which, by the field that says how much; "" where nothing is posted."""
    sample, names = _sample(cls)
    moved = postings(sample)
    said = []
    for source, target in zip(moved[::2], moved[1::2], strict=True):
        name = names[target.amount_minor]
        where = ", where there is one," if "None" in str(get_type_hints(cls)[name]) else ""
        said.append(
            f"`{name}`{where} from {_account(source.account)} to {_account(target.account)}"
        )
    return f"Posts {', and '.join(said)}{_condition(sample)}." if said else ""


def _account(name: str) -> str:
    whose, *_, kind, _currency = name.split(":")
    return f"{whose} {kind}"


def _condition(sample: LedgerEvent) -> str:
    """Where a flag decides whether anything is posted: which."""
    flags = [f.name for f in fields(sample) if getattr(sample, f.name) is True]
    without = {flag: cast("dict[str, Any]", {flag: False}) for flag in flags}
    needed = [flag for flag in flags if not postings(replace(sample, **without[flag]))]
    return "".join(f", where `{flag}` is true" for flag in needed)


def _sample(cls: type[LedgerEvent]) -> tuple[LedgerEvent, dict[int, str]]:
    """An event with every field filled, and the field that each of its amounts is in."""
    names: dict[int, str] = {}
    values: dict[str, object] = {}
    for name, kind in get_type_hints(cls).items():
        text, amount_minor = str(kind), len(names) + 1
        if "Money" in text:
            values[name], names[amount_minor] = Money(amount_minor, "EUR"), name
        elif "Move" in text:
            move = Move(source="its:source:EUR", target="its:target:EUR", money=Money(1, "EUR"))
            values[name], names[1] = (move,), name
        else:
            values[name] = {UUID: SAMPLE_ID, bool: True, str: "provider"}.get(kind)
    return cls(**cast("dict[str, Any]", values)), names


def _counts(event: str, kinds: Sequence[type[Transaction]]) -> str:
    """Which counters the event was seen to change, for each kind where there are several."""
    if not kinds:
        said = _changes(event, _counted_elsewhere())
        return f"{said[0].upper()}{said[1:]}." if said else ""
    by_kind = [(kind.__name__.lower(), _changes(event, counted(kind))) for kind in kinds]
    several = len(kinds) > 1
    joined = "; ".join(f"a {kind}'s {said}" if several else said for kind, said in by_kind if said)
    return f"{joined[0].upper()}{joined[1:]}." if joined else ""


def _counted_elsewhere() -> Iterable[Counted]:
    """What counts without being a transaction: turnover."""
    wager = record_wager(SAMPLE_ID, command(), player_id=SAMPLE_ID, amount=AMOUNT, metadata={})
    name = type(wager).__name__
    return [Counted.of(name, count) for count in wager.counts]


def _changes(event: str, seen: Iterable[Counted]) -> str:
    verbs: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for rises, verb in ((True, "raises"), (False, "lowers")):
        names = sorted(c.counter for c in seen if c.event == event and c.rises is rises)
        if names:
            verbs[tuple(names)].append(verb)
    return " or ".join(
        f"{' or '.join(said)} the counter{'s' * (len(names) > 1)} {codes(names)}"
        for names, said in verbs.items()
    )


def _leads(event: str, kind: type[Transaction]) -> str:
    """The statuses that the event leads to, as a sentence or two."""
    name = kind.__name__.lower()
    said = _course(f"{'An' if name[0] in 'aeiou' else 'A'} {name}", event, whole_arrows(kind))
    if not said:
        raise ValueError(f"nothing that was tried leads to {event} of a {kind.__name__}")
    of_leg = kind is Withdrawal and _course("Its leg", event, leg_arrows())
    return f"{said} {of_leg}" if of_leg else said


def _course(subject: str, event: str, found: Iterable[Arrow]) -> str:
    """ "" where nothing was found."""
    groups = [(after, befores) for name, after, befores in grouped(found) if name == event]
    if not groups:
        return ""
    afters: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for after, befores in groups:
        afters[tuple(before for before in befores if before not in ("", after))].append(after)
    said = [
        f"from {codes(befores, 'or')} to {codes(reached, 'or')}"
        for befores, reached in afters.items()
        if befores
    ]
    begins = [after for after, befores in groups if "" in befores]
    if begins:
        later = f", and later goes {'; '.join(said)}" if said else ""
        return f"{subject} begins as `{begins[0]}`{later}."
    if not said:
        return f"{subject}'s status stays as it is."
    stays = any(after in befores for after, befores in groups)
    return f"{subject} goes {'; '.join(said)}{'; otherwise it stays as it is' * stays}."


def value_types() -> str:
    """The types that fields are made of, and the values that the enumerations have."""
    structures: list[type] = [
        *(money.Money, Move, events.Count, events.PlannedLeg, Evidence, evidence.DisputeReport),
        *(events.ApprovalTerms, events.ApprovalTier, events.Rate),
    ]
    enumerations: list[type[StrEnum]] = [
        *(Outcome, DeclineCode, Source, evidence.Disposition, evidence.ReviewReason, Reason),
        *(evidence.Standing, evidence.DisputeStage, evidence.DisputeNews),
    ]
    parts = []
    for cls in [*structures, *enumerations]:
        parts += [f"### {cls.__name__}", inspect.getdoc(cls) or "", _list_of(_documented(cls))]
    return "\n\n".join(parts)


def account_list() -> str:
    """The accounts by the shape of their names, and which may not go below zero."""
    made = (
        (accounts.available, (SAMPLE_ID,)),
        (accounts.reserved, (SAMPLE_ID,)),
        (accounts.clearing, ("PROVIDER",)),
        (accounts.fees, ()),
        (accounts.suspense, ()),
        (accounts.fx, ()),
        (accounts.chargebacks, ()),
        (accounts.adjustments, ()),
    )
    rows = []
    for function, arguments in made:
        name = cast("Callable[..., str]", function)(*arguments, "EUR")
        floor = "not below zero" if accounts.floor_minor(name) == 0 else ""
        shape = name.replace(str(SAMPLE_ID), "PLAYER_ID").replace(":EUR", ":CURRENCY")
        rows.append([f"`{shape}`", _in_passing(inspect.getdoc(function) or ""), floor])
    return table(["account", "what it holds", "balance"], rows)


def counter_list() -> str:
    """The counters by the shape of their names."""
    today = NOW.date()
    made: Sequence[tuple[Callable[..., str], Sequence[object]]] = (
        *(
            (counters.limit_counter, (SAMPLE_ID, window, "EUR", today))
            for window in counters.Window
        ),
        (counters.instrument_counter, (SAMPLE_ID, INSTRUMENT, "EUR")),
        (counters.deposited_counter, (SAMPLE_ID, "EUR")),
        (counters.wagered_counter, (SAMPLE_ID, "EUR")),
    )
    rows = []
    for function, arguments in made:
        shape = function(*arguments).replace(str(SAMPLE_ID), "PLAYER_ID").replace("EUR", "CURRENCY")
        shape = shape.replace(INSTRUMENT, "INSTRUMENT")
        doc = (inspect.getdoc(function) or "").splitlines()[0].partition(": `")[0]
        rows.append([f"`{shape}`", _in_passing(doc)])
    return table(["counter", "what it counts"], rows)


def leg_list() -> str:
    """The statuses of a leg, and what the less plain ones mean."""
    return _list_of(_documented(LegStatus))


def leg_rule() -> str:
    """Where a withdrawal stands, by its legs: in the words of the function that says so."""
    return inspect.getdoc(status_of) or ""
