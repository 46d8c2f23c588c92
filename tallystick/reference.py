"""Reference: the tables in `docs/`, made from the code they describe.

    python -m tallystick.reference --check    exit status 1 if a table is out of date
    python -m tallystick.reference --write    make them anew

A table stands between two markers in a Markdown file; what is around it is written by hand. The
states that an event leads to are not listed anywhere: every decision of the domain is taken in
every state that can be reached, and the diagrams show what came out. An event that nothing leads
to is an error, and a test compares the arrows with random histories.
"""

import argparse
import ast
import inspect
import re
import sys
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cache, partial
from itertools import groupby, product
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, TypeVar, cast, get_args, get_type_hints
from uuid import UUID

from api.app import create_app
from api.services import Services
from domain import accounts, commands, events, money, outcomes, provider
from domain import player as players
from domain.approvals import DEFAULT_POLICY
from domain.attempts import reference
from domain.deposit import Deposit, DepositStatus, cancel_deposit, create_deposit, submit_deposit
from domain.deposit_reports import DEPOSIT_TARGETS, hear_deposit, resolve_deposit
from domain.errors import DomainError, Reason
from domain.events import LedgerEvent, Move
from domain.money import Money
from domain.outcomes import DeclineCode, Evidence, Outcome, Source
from domain.postings import postings
from domain.transactions import Transaction, evolve_transaction
from domain.withdrawal import Withdrawal, WithdrawalStatus
from domain.withdrawal_decisions import (
    approve_withdrawal,
    cancel_withdrawal,
    hold_withdrawal,
    provide_information,
    reject_withdrawal,
    release_withdrawal,
    request_information,
    request_withdrawal,
    retry_withdrawal,
    screen_withdrawal,
    submit_withdrawal,
)
from domain.withdrawal_reports import WITHDRAWAL_TARGETS, hear_withdrawal, resolve_withdrawal
from tallystick.config import Settings

DOCS: Final = Path(__file__).resolve().parents[1] / "docs"

_MARKED = re.compile(
    r"(?P<begin><!-- table (?P<name>[a-z-]+): [^>]*-->\n).*?(?P<end><!-- end of table -->)",
    re.DOTALL,
)

# --- which states lead where --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Arrow:
    """An event that can happen to a transaction, and its status before and after."""

    event: str
    before: str
    """"" where the event begins the transaction."""
    after: str


Decision = Callable[[], LedgerEvent | Sequence[LedgerEvent] | None]
T = TypeVar("T", Deposit, Withdrawal)

_ID, _PLAYER_ID = UUID(int=1), UUID(int=2)
_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_TIME_IS_UP = _NOW + timedelta(days=365)
_PEOPLE = ("ann", "ben")
_AMOUNTS_MINOR = (10_000, 100_000, 1_000_000)
"""One in each tier of the approval policy."""


def _command(actor: str = "system:reference", now: datetime = _NOW) -> commands.Command:
    return commands.Command(now=now, actor=actor, command_id=UUID(int=3), request_digest="")


_PROVIDER = provider.evolve_provider(
    None,
    provider.register_provider(
        "provider", _command(), adapter="simulator", poll_delays_seconds=(10, 10)
    ),
)
_PROVIDERS = (_PROVIDER, replace(_PROVIDER, paused=True))
_PLAYER = players.evolve_player(
    None,
    players.register_player(_PLAYER_ID, _command(), verification=players.Verification.FULL),
)
_PLAYERS = (_PLAYER, replace(_PLAYER, on_hold=True))


def arrows(kind: type[Transaction]) -> tuple[Arrow, ...]:
    """Everything that can happen to a deposit or to a withdrawal, in the order of the events."""
    return _arrows_of_deposits() if kind is Deposit else _arrows_of_withdrawals()


@cache
def _arrows_of_deposits() -> tuple[Arrow, ...]:
    found = _explored(_first_of_deposits(), _next_of_deposit, Deposit)
    return _in_order(found, list(DepositStatus))


@cache
def _arrows_of_withdrawals() -> tuple[Arrow, ...]:
    found = _explored(_first_of_withdrawals(), _next_of_withdrawal, Withdrawal)
    return _in_order(found, list(WithdrawalStatus))


def _in_order(found: Iterable[Arrow], statuses: Sequence[str]) -> tuple[Arrow, ...]:
    types = [cls.__name__ for cls in events.EVENT_TYPES]
    places = {status: place for place, status in enumerate(["", *statuses])}
    return tuple(
        sorted(found, key=lambda a: (types.index(a.event), places[a.before], places[a.after]))
    )


def _explored(
    first: Iterable[Decision], next_: Callable[[T], Iterator[Decision]], kind: type[T]
) -> set[Arrow]:
    """Take every decision in every state, until no state is new."""
    found: set[Arrow] = set()
    seen: set[object] = set()
    waiting: deque[T] = deque()

    def take(state: Transaction | None, decision: Decision) -> None:
        for event in _made_by(decision):
            before, state = state, evolve_transaction(state, event)
            assert isinstance(state, kind)  # noqa: S101 - for the type checker
            found.add(Arrow(type(event).__name__, before.status if before else "", state.status))
        if isinstance(state, kind) and _essence(state) not in seen:
            seen.add(_essence(state))
            # No command is a repeat here, whichever id it has.
            waiting.append(replace(state, commands={}))

    for decision in first:
        take(None, decision)
    while waiting:
        state = waiting.popleft()
        for decision in next_(state):
            take(state, decision)
    return found


def _made_by(decision: Decision) -> Sequence[LedgerEvent]:
    """The events of a decision; none where it refuses."""
    try:
        made = decision()
    except DomainError:
        return ()
    if made is None:
        return ()
    return made if isinstance(made, Sequence) else (made,)


def _essence(state: Transaction) -> object:
    """What decisions look at, without what grows for ever: times, versions, ids.

    A finer one finds the same arrows and takes minutes.
    """
    common = (
        state.status,
        state.polls > 0,
        state.status == "review" and state.reason,
        state.resolved,
        state.proposal and state.proposal.target,
        state.reference,
    )
    if isinstance(state, Deposit):
        return (*common, state.credited is None, state.expires_at is None)
    return (
        *common,
        *(state.attempt, state.reserved, state.paid, state.at_house_expense),
        state.status == "requested" and state.amount,
        state.status == "under_review" and state.approvals_required - len(state.approvals),
    )


def _reports(state: Transaction) -> Iterator[Evidence]:
    """Everything a provider can say, about this attempt and others, with this amount and others."""
    latest = state.attempt if isinstance(state, Withdrawal) else 1
    attempts = {max(latest - 1, 1), max(latest, 1), latest + 1}
    other = replace(state.amount, amount=state.amount.amount + 1)
    for source, outcome, amount, attempt in product(Source, Outcome, (None, other), attempts):
        said = Evidence(
            source=source, outcome=outcome, reference=reference(_ID, attempt), amount=amount
        )
        yield said
        if outcome is Outcome.DECLINED:
            yield replace(said, decline_code=DeclineCode.PROVIDER_ERROR)


def _first_of_deposits() -> Iterator[Decision]:
    for player, at in product((_PLAYER, replace(_PLAYER, excluded=True)), _PROVIDERS):
        yield partial(
            create_deposit,
            *(_ID, _command()),
            player=player,
            provider=at,
            method="redirect",
            amount=Money(_AMOUNTS_MINOR[0], "EUR"),
            instrument=None,
            metadata={},
        )


def _next_of_deposit(state: Deposit) -> Iterator[Decision]:
    for at in _PROVIDERS:
        yield partial(submit_deposit, state, _command(), provider=at)
    yield partial(cancel_deposit, state, _command(), "reason")
    for person, target in product(_PEOPLE, sorted(DEPOSIT_TARGETS)):
        by = _command(f"operator:{person}")
        yield partial(resolve_deposit, state, by, target=target, note="seen")
    for said, now in product(_reports(state), (_NOW, _TIME_IS_UP)):
        heard = partial(hear_deposit, state, _command(now=now), said, provider=_PROVIDER)
        yield partial(heard, available_minor=state.amount.amount)


def _first_of_withdrawals() -> Iterator[Decision]:
    for amount_minor, refusal in product(_AMOUNTS_MINOR, (None, Reason.INSUFFICIENT_FUNDS)):
        yield partial(
            request_withdrawal,
            *(_ID, _command("operator:platform")),
            player=_PLAYER,
            provider=_PROVIDER,
            method="bank_transfer",
            amount=Money(amount_minor, "EUR"),
            instrument=None,
            metadata={},
            refusal=refusal,
        )


def _next_of_withdrawal(state: Withdrawal) -> Iterator[Decision]:
    noted = (
        *(approve_withdrawal, reject_withdrawal, hold_withdrawal, release_withdrawal),
        *(request_information, provide_information),
    )
    for player in _PLAYERS:
        yield partial(screen_withdrawal, state, _command(), player=player, policy=DEFAULT_POLICY)
        yield partial(submit_withdrawal, state, _command(), player=player, provider=_PROVIDER)
    yield partial(cancel_withdrawal, state, _command(), reason="reason")
    yield partial(retry_withdrawal, state, _command())
    for person in _PEOPLE:
        by = _command(f"operator:{person}")
        for decide in noted:
            yield cast("Decision", partial(decide, state, by, note="seen"))
        for target in sorted(WITHDRAWAL_TARGETS):
            yield partial(resolve_withdrawal, state, by, target=target, note="seen")
    for said in _reports(state):
        yield partial(hear_withdrawal, state, _command(), said, provider=_PROVIDER)


# --- state diagrams -----------------------------------------------------------------------------

_OPEN: Final[Mapping[type[Transaction], Sequence[str]]] = {
    Deposit: [status.value for status in DepositStatus if status.is_open_at_provider],
    Withdrawal: ["submitted", "processing", "unknown"],
}
"""Drawn as one box: what can happen in all of these is one arrow."""


def diagram(kind: type[Transaction]) -> str:
    """A state diagram for Mermaid, and in words what it leaves out: the reviews."""
    inside, outside = _OPEN[kind], "at_the_provider"
    labels: dict[tuple[str, str], list[str]] = defaultdict(list)
    for event, after, befores in _grouped(kind):
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


def _grouped(kind: type[Transaction]) -> Iterator[tuple[str, str, list[str]]]:
    """Event, status after it, and every status before it; "" before the first event."""
    befores: dict[tuple[str, str], list[str]] = defaultdict(list)
    for arrow in arrows(kind):
        befores[arrow.event, arrow.after].append(arrow.before)
    for (event, after), found in befores.items():
        yield event, after, found


def _review_in_words(kind: type[Transaction]) -> str:
    (into,) = (befores for event, _, befores in _grouped(kind) if event == "ReviewOpened")
    ends = [after for event, after, _ in _grouped(kind) if event == "TransactionResolved"]
    return (
        f"Not drawn: `ReviewOpened` leads to `review` from {_codes(into, 'or')}; "
        f"`TransactionResolved` leads from `review` to {_codes(ends, 'or')}."
    )


def status_table(statuses: Iterable[DepositStatus] | Iterable[WithdrawalStatus]) -> str:
    """Every status, and the word that people read for it."""
    return _table(["status", "on screens"], [[f"`{s}`", s.screen_word] for s in statuses])


# --- events -------------------------------------------------------------------------------------

_SHARED = set(get_args(events.ProviderEvidence))


def event_list(of: object, *, leads: Sequence[type[Transaction]] = ()) -> str:
    """Every event of a union: what it means, holds and posts, and the states it leads to."""
    chosen = [cls for cls in get_args(of) if cls not in _SHARED or of is events.ProviderEvidence]
    return "\n\n".join(_event(cls, leads) for cls in chosen)


def _event(cls: type[LedgerEvent], leads: Sequence[type[Transaction]]) -> str:
    holds = _documented(cls)
    if issubclass(cls, events.CommandedEvent):
        holds += _documented(events.CommandedEvent)
    parts = [f"### {cls.__name__}", inspect.getdoc(cls) or "", _list_of(holds), _posts(cls)]
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
            values[name] = {UUID: _PLAYER_ID, bool: True, str: "provider"}.get(kind)
    return cls(**cast("dict[str, Any]", values)), names


def _leads(event: str, kind: type[Transaction]) -> str:
    """The statuses that the event leads to, as a sentence."""
    groups = [(after, befores) for name, after, befores in _grouped(kind) if name == event]
    if not groups:
        raise ValueError(f"nothing that was tried leads to {event} of a {kind.__name__}")
    subject = f"A {kind.__name__.lower()}"
    if any("" in befores for _, befores in groups):
        return f"{subject} begins as `{groups[0][0]}`."
    said = [
        f"from {_codes(changed, 'or')} to `{after}`"
        for after, befores in groups
        if (changed := [before for before in befores if before != after])
    ]
    if not said:
        return f"{subject}'s status stays as it is."
    stays = any(after in befores for after, befores in groups)
    return f"{subject} goes {'; '.join(said)}{'; otherwise it stays as it is' * stays}."


def _codes(names: Sequence[str], last: str = "and") -> str:
    quoted = [f"`{name}`" for name in names]
    return f" {last} ".join(filter(None, [", ".join(quoted[:-1]), quoted[-1]]))


def value_types() -> str:
    """The types that fields are made of, and the values that the enumerations have."""
    structures: list[type] = [money.Money, Move, Evidence]
    enumerations: list[type[StrEnum]] = [
        *(Outcome, DeclineCode, Source, outcomes.Disposition, outcomes.ReviewReason, Reason),
    ]
    parts = []
    for cls in [*structures, *enumerations]:
        parts += [f"### {cls.__name__}", inspect.getdoc(cls) or "", _list_of(_documented(cls))]
    return "\n\n".join(parts)


def account_list() -> str:
    """The accounts by the shape of their names, and which may not go below zero."""
    made = (
        (accounts.available, (_PLAYER_ID,)),
        (accounts.reserved, (_PLAYER_ID,)),
        (accounts.clearing, ("PROVIDER",)),
        (accounts.fees, ()),
        (accounts.suspense, ()),
    )
    rows = []
    for function, arguments in made:
        name = cast("Callable[..., str]", function)(*arguments, "EUR")
        floor = "not below zero" if accounts.floor_minor(name) == 0 else ""
        shape = name.replace(str(_PLAYER_ID), "PLAYER_ID").replace(":EUR", ":CURRENCY")
        rows.append([f"`{shape}`", _in_passing(inspect.getdoc(function) or ""), floor])
    return _table(["account", "what it holds", "balance"], rows)


# --- settings -----------------------------------------------------------------------------------

_DEFAULTS: Final = {"data": "`tallystick` in the user's data folder, on Linux `~/.local/share`"}
"""What a default is that depends on the machine."""


def settings_table() -> str:
    """Every setting: its environment variable, its default, what it means."""
    rows = []
    for name, field in Settings.model_fields.items():
        variable = str(field.validation_alias or f"TALLYSTICK_{name.upper()}")
        default = "none" if field.default is None else f"`{field.default}`"
        rows.append([f"`{variable}`", _DEFAULTS.get(name, default), field.description or ""])
    return _table(["variable", "default", "meaning"], rows)


# --- the API ------------------------------------------------------------------------------------


@cache
def api_document() -> dict[str, Any]:
    """The OpenAPI document. It depends on the routes alone: no service is needed to make it."""
    return create_app(cast("Services", SimpleNamespace(database_errors=()))).openapi()


@dataclass(frozen=True, slots=True)
class _Operation:
    tag: str
    method: str
    path: str
    summary: str
    takes: frozenset[str]
    """`API key`, `Idempotency-Key`, `If-Match`, as far as it does."""
    problems: Mapping[str, str]
    """Status by code, in the order of the statuses."""


_TAKEN: Final = ("API key", "Idempotency-Key", "If-Match")


def _operations() -> Iterator[_Operation]:
    for path, methods in api_document()["paths"].items():
        for method, operation in methods.items():
            named = {parameter["name"] for parameter in operation.get("parameters", [])}
            keyed = {"API key"} if "security" in operation else set()
            yield _Operation(
                tag=operation["tags"][0],
                method=method.upper(),
                path=path,
                summary=operation["summary"],
                takes=frozenset(_TAKEN) & (named | keyed),
                problems={
                    code: status
                    for status, answer in operation["responses"].items()
                    for code in _examples(answer)
                },
            )


def _examples(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    """The problems an answer may hold, by code."""
    content = answer.get("content", {}).get("application/problem+json", {})
    found: Mapping[str, Any] = content.get("examples", {})
    return found


@cache
def _shared_problems() -> dict[str, dict[str, str]]:
    """By what an operation takes: the problems that every operation has which takes it.

    Each is listed once, at the first it belongs to.
    """
    shared: dict[str, dict[str, str]] = {}
    for taken in _TAKEN:
        takers = [operation.problems for operation in _operations() if taken in operation.takes]
        listed = {code for problems in shared.values() for code in problems}
        shared[taken] = {
            code: status
            for code, status in takers[0].items()
            if code not in listed and all(code in problems for problems in takers)
        }
    return shared


def shared_problems_table() -> str:
    """The problems that come with what an operation takes."""
    rows = [[taken, _problems(found)] for taken, found in _shared_problems().items()]
    return _table(["an operation that takes", "may answer"], rows)


def operations_table() -> str:
    """Every operation by its tag, with the problems that do not come with what it takes."""
    by_tag: dict[str, list[list[str]]] = defaultdict(list)
    for found in _operations():
        shared = {code for taken in found.takes for code in _shared_problems()[taken]}
        own = {code: status for code, status in found.problems.items() if code not in shared}
        takes = ", ".join(taken for taken in _TAKEN if taken in found.takes)
        call = f"`{found.method} {found.path}`"
        by_tag[found.tag].append([call, found.summary, takes, _problems(own)])
    titles = ["operation", "what it does", "takes", "may also answer"]
    return "\n\n".join(f"### {tag}\n\n{_table(titles, rows)}" for tag, rows in by_tag.items())


def _problems(status_by_code: Mapping[str, str]) -> str:
    return "; ".join(
        f"{status} {', '.join(f'`{code}`' for code, _ in found)}"
        for status, found in groupby(status_by_code.items(), key=lambda item: item[1])
    )


def problems_table() -> str:
    """Every problem there is: its code, its status, what it says."""
    found: dict[str, Mapping[str, Any]] = {}
    for methods in api_document()["paths"].values():
        for operation in methods.values():
            for answer in operation["responses"].values():
                found |= {code: example["value"] for code, example in _examples(answer).items()}
    rows = sorted((shown["status"], code, shown["detail"]) for code, shown in found.items())
    return _table(
        ["status", "code", "detail"], [[str(status), f"`{c}`", d] for status, c, d in rows]
    )


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join("| " + " | ".join(c.replace("|", "\\|") for c in row) + " |" for row in lines)


# --- the files ----------------------------------------------------------------------------------

TABLES: Final[Mapping[str, Callable[[], str]]] = {
    "deposit-events": partial(event_list, events.DepositEvent, leads=[Deposit]),
    "withdrawal-events": partial(event_list, events.WithdrawalEvent, leads=[Withdrawal]),
    "provider-evidence": partial(event_list, events.ProviderEvidence, leads=[Deposit, Withdrawal]),
    "notice-events": partial(event_list, events.NoticeEvent),
    "player-events": partial(event_list, events.PlayerEvent),
    "provider-events": partial(event_list, events.ProviderEvent),
    "deposit-states": partial(diagram, Deposit),
    "withdrawal-states": partial(diagram, Withdrawal),
    "deposit-statuses": partial(status_table, DepositStatus),
    "withdrawal-statuses": partial(status_table, WithdrawalStatus),
    "values": value_types,
    "accounts": account_list,
    "settings": settings_table,
    "operations": operations_table,
    "shared-problems": shared_problems_table,
    "problems": problems_table,
}


def made_anew(text: str) -> str:
    """A Markdown text with its tables as the code has them now.

    Raises:
        KeyError: a marker names no table.
    """
    return _MARKED.sub(
        lambda found: f"{found['begin']}\n{TABLES[found['name']]()}\n\n{found['end']}", text
    )


def out_of_date(docs: Path = DOCS) -> dict[Path, str]:
    """The files whose tables are not as the code has them, and what they should say."""
    texts = {path: path.read_text(encoding="utf-8") for path in sorted(docs.glob("*.md"))}
    anew = {path: made_anew(text) for path, text in texts.items()}
    return {path: text for path, text in anew.items() if text != texts[path]}


def main(arguments: Sequence[str] | None = None) -> int:
    """Check or write the tables; the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tallystick.reference", description="The tables in docs/."
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--check", action="store_true", help="exit status 1 if one is out of date")
    what.add_argument("--write", action="store_true", help="make them anew")
    chosen = parser.parse_args(arguments)
    if not DOCS.is_dir():
        parser.error(f"{DOCS} is not there: this works in a checkout of the repository")
    stale = out_of_date()
    for path, text in stale.items():
        if chosen.write:
            path.write_text(text, encoding="utf-8")
        print(f"{path}: {'written' if chosen.write else 'out of date'}")
    return 1 if stale and chosen.check else 0


if __name__ == "__main__":
    sys.exit(main())
