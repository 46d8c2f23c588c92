"""What an event says besides who, when and what was posted: in a few words, for people."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from domain.attempts import parse_reference
from domain.money import format_minor

Facts = Mapping[str, Any]
"""An event's own fields, as stored."""


def words(facts: Facts) -> str:
    """Everything worth reading, in the same order for every event; "" where there is nothing."""
    return ", ".join(
        text
        for name, say in _SAYINGS.items()
        if facts.get(name) not in (None, "", [], False)
        for text in say(facts[name])
    )


def counted(facts: Facts) -> Iterator[str]:
    """What changed on counters beside the accounts: all of them are of the same player."""
    for count in facts.get("counts") or ():
        kind, _player, currency, *which = count["counter"].split(":", 3)
        name = " ".join((kind, *which))
        sign = "+" if count["change"] > 0 else ""
        yield f"{name}: {sign}{format_minor(count['change'], currency)}"


def _plain(value: Any) -> Iterator[str]:
    yield str(value)


def _list(values: Any) -> Iterator[str]:
    yield from map(str, values)


def _named(name: str) -> Callable[[Any], Iterator[str]]:
    return lambda value: iter([f"{name} {value}"])


def _quoted(value: Any) -> Iterator[str]:
    yield f"“{value}”"


def _money(value: Any) -> str:
    return format_minor(value["amount"], value["currency"])


def _legs(legs: Any) -> Iterator[str]:
    for leg in legs:
        to = leg["instrument"] or leg["method"]
        yield f"leg {leg['leg']}: {_money(leg['amount'])} to {to}"


def _required(groups: Any) -> Iterator[str]:
    yield "takes " + " and ".join(" or ".join(group) for group in groups)


def _evidence(evidence: Any) -> Iterator[str]:
    """What the provider said, how we heard of it, and about which attempt."""
    about = parse_reference(evidence["reference"])
    attempt = f" about attempt {about[1]}" if about else ""
    codes = [str(evidence[name]) for name in ("decline_code", "raw_code") if evidence[name]]
    yield " ".join((f"{evidence['source']}{attempt}: {evidence['outcome']}", *codes))


def _report(report: Any) -> Iterator[str]:
    yield f"{report['source']} of the {report['stage']}: {report['news']}"


_SAYINGS: Final[Mapping[str, Callable[[Any], Iterator[str]]]] = {
    "leg": _named("leg"),
    "attempt": _named("attempt"),
    "legs": _legs,
    "deposit_id": _named("deposit"),
    "refund_id": _named("refund"),
    "dispute_id": _named("dispute"),
    "transaction_id": _named("of transaction"),
    "amount": lambda value: iter([_money(value)]),
    "standing": _plain,
    "score": _named("score"),
    "high": _list,
    "reason": _plain,
    "reasons": _list,
    "required": _required,
    "concerns": _list,
    "late": lambda _: iter(["late"]),
    "rate_source": _named("rates of"),
    "target": lambda value: iter([value if isinstance(value, str) else f"for {_money(value)}"]),
    "disposition": _plain,
    "evidence": _evidence,
    "reason_code": _plain,
    "report": _report,
    "due_at": _named("until"),
    "retry_at": _named("again at"),
    "expires_at": _named("until"),
    "role": _named("as"),
    "grounds": _quoted,
    "note": _quoted,
    "documents": _list,
}
"""Which fields are said, in this order, and how."""
