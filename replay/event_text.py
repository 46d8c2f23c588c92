"""What an event says besides who, when and what was posted: in a few words, for people."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final
from uuid import UUID

from domain.accounts import currency_of, player_of
from domain.money import format_minor
from domain.provider.attempt import parse_reference
from replay.seen import Approvals, Balance, Health, Heard, PolicyInForce, Saw, Score, Standing

_STATUSES_SAID: Final = 6
"""Of a provider's latest transactions, the most frequent ones."""

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


def heard(said: Heard | None) -> str:
    """By what the recorded notice of a provider is recognised; "" where there was none."""
    if said is None or said.notice_position is None:
        return ""
    message = f"notice {said.message_id}" if said.message_id else "notice"
    digest = f", body sha256 {said.raw_digest}" if said.raw_digest else ""
    return f"{message} at position {said.notice_position}{digest}"


# --- what was seen ------------------------------------------------------------------------------


def seen(saw: Saw) -> Iterator[str]:
    """What there was to be seen before a decision, a line for each subject."""
    yield from (f"{subject}: {text}" for subject, text in seen_parts(saw))


def seen_parts(saw: Saw) -> Iterator[tuple[str, str]]:
    """The same, as pairs of the subject and what is said of it; each subject once."""
    if saw.balances:
        yield "balance", ", ".join(map(balance, saw.balances))
    if saw.player is not None:
        yield "player", standing(saw.player)
    if saw.approvals is not None:
        yield "score", scored(saw.score)
        yield "agreed", agreed(saw.approvals)
    if saw.providers:
        yield "provider", " / ".join(map(health, saw.providers))
    yield "policy", in_force(saw.policy)
    if saw.rates is not None:
        yield "rates", f"{saw.rates.table}, of {saw.rates.as_of}"


def balance(balance: Balance) -> str:
    """A player's account without the player, whom the story names."""
    name = short(balance.account, player_of(balance.account))
    amount = format_minor(balance.balance_minor, currency_of(balance.account))
    return f"{name.rpartition(':')[0].removeprefix('player:')} {amount}"


def short(account: str, player_id: UUID | None) -> str:
    """The name of an account without the id of the player, if it is theirs."""
    return account.replace(f"player:{player_id}:", "player:")


def standing(player: Standing) -> str:
    """How the player stood."""
    parts = [f"verified {player.verification}", player.jurisdiction or "no jurisdiction"]
    if player.excluded:
        until = f" until {player.excluded_until:%Y-%m-%d %H:%M}" if player.excluded_until else ""
        parts.append(f"excluded{until}")
    stopping = f", stopping {' and '.join(player.stops)}"
    parts.append(f"holds: {', '.join(player.holds)}{stopping}" if player.holds else "no hold")
    return ", ".join(parts)


def scored(score: Score | None) -> str:
    """The risk score, by which rules, and what it was made of."""
    if score is None:
        return "none"
    high = f", high: {', '.join(score.high)}" if score.high else ""
    hits = ", ".join(
        f"{hit.indicator} ({hit.severity}{', holds' if hit.holds else ''}, position {hit.position})"
        for hit in score.hits
    )
    counted = f"; counted: {hits}" if hits else ""
    return f"{score.score} by {score.ruleset}{high} (position {score.position}){counted}"


def agreed(approvals: Approvals) -> str:
    """Who had agreed, whose word counted, and who was still missing."""
    parts = [
        f"{one.person or 'the policy'}{f' as {one.role}' if one.role else ''}"
        + ("" if one.counted else f" (does not count: {', '.join(one.problems)})")
        for one in approvals.given
    ]
    missing = " and ".join(" or ".join(group) for group in approvals.missing)
    needs = f"still takes {missing}" if missing else "nobody is missing"
    if not approvals.required:
        needs = "nobody has to" if approvals.screened else "not screened yet"
    return "; ".join((", ".join(parts) or "nobody yet", needs))


def health(provider: Health) -> str:
    """Whether a provider was in use, and how its latest transactions went."""
    if not provider.registered:
        return f"{provider.provider}: not registered"
    state = "paused" if provider.paused else "in use"
    since = f" since {provider.since:%Y-%m-%d %H:%M}" if provider.since else ""
    why = f" ({provider.reason})" if provider.reason else ""
    by_status = list(provider.recent_by_status.items())
    others = sum(count for _, count in by_status[_STATUSES_SAID:])
    counts = ", ".join(f"{count} {status}" for status, count in by_status[:_STATUSES_SAID])
    counts += f", {others} others" if others else ""
    recent = f"last {provider.recent}: {counts}" if provider.recent else "no transactions yet"
    return f"{provider.provider}: {state}{since}{why}; {recent}"


def in_force(policy: PolicyInForce) -> str:
    """The approval policy."""
    since = f" since {policy.since:%Y-%m-%d %H:%M}" if policy.since else ""
    return f"{policy.policy}{since}"


# --- the fields of events -----------------------------------------------------------------------


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


def _hits(hits: Any) -> Iterator[str]:
    for hit in hits:
        yield f"{hit['indicator']} ({hit['severity']})"


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
    "hits": _hits,
    "ruleset": _named("by"),
    "credential": _plain,
    "similarity_percent": lambda value: iter([f"names {value} % alike"]),
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
