"""Conversions for the tests: a history for every status, made by the real decisions.

A hundred euro become yen at 180.49, less a spread of 50 basis points: 18,049 yen are exchanged,
91 of them stay with the house, 17,958 are the player's.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from fractions import Fraction
from uuid import UUID

from domain.conversion.decisions import (
    accept_conversion,
    expire_conversion,
    quote_conversion,
    submit_conversion,
)
from domain.conversion.reports import hear_conversion, resolve_conversion
from domain.conversion.state import Conversion, ConversionStatus
from domain.errors import Reason
from domain.events import ConversionExecuted, ConversionQuoted
from domain.events.evidence import Evidence
from domain.money import Money
from domain.postings import postings
from tests.scenarios.scenario import (
    NOW,
    PLAYER_ID,
    PROVIDER_NAME,
    TRANSACTION,
    Decision,
    Given,
    by,
    command,
    heard,
    provider,
)

SOURCE = Money(10_000, "EUR")
TARGET = Money(17_958, "JPY")
SPREAD = Money(91, "JPY")
OTHER_TARGET = Money(17_900, "JPY")
RATE = Fraction(18_049, 100)
OVER = NOW + timedelta(seconds=300)
"""When the quote no longer holds."""

WITHOUT_A_PROVIDER = frozenset({"quoted", "expired", "executed", "rejected"})
"""What a conversion by the house can be, unless it is in review."""


def conversion_quote(**terms: object) -> ConversionQuoted:
    """The usual quote, with other terms where they are given."""
    usual: dict[str, object] = {
        "player_id": PLAYER_ID,
        "source": SOURCE,
        "target_currency": "JPY",
        "rate": RATE,
        "rate_source": "ecb-2026-02-27",
        "spread_basis_points": 50,
        "provider": PROVIDER_NAME,
        "quote_reference": "q-1",
        "metadata": {},
    }
    return quote_conversion(TRANSACTION, command("player:p1"), **(usual | terms))


def conversion_quoted(**terms: object) -> Given:
    return Given((conversion_quote(**terms),))


def quoted_by_the_house() -> Given:
    return conversion_quoted(provider=None, quote_reference=None)


def hear_of_conversion(
    state: Conversion, evidence: Evidence, *, now: datetime = NOW, **kwargs: object
) -> object:
    """`hear_conversion` by the system, with the usual provider."""
    kwargs.setdefault("provider", provider())
    return hear_conversion(state, command("provider:acme", now=now), evidence, **kwargs)


def resolve_conversion_as(state: Conversion, person: str, target: str) -> object:
    return resolve_conversion(state, by(person), target=target, note="see ticket 4711")


def conversion_resolved(history: Given, target: str) -> Given:
    """A conversion in review, ended by two people."""
    history = go_on(history, resolve_conversion_as, "ann", target)
    return go_on(history, resolve_conversion_as, "ben", target)


def go_on(history: Given, decision: Decision, *args: object, **kwargs: object) -> Given:
    """The history with what `decision` makes of it, which is something."""
    decided = history.when(decision, *args, **kwargs)
    assert decided.error is None, repr(decided.error)
    assert decided.events
    return Given(decided.history + decided.events)


def conversion_in(status: ConversionStatus | str, *, by_the_house: bool = False) -> Given:
    """A history that ends in `status`, made by the real decisions."""
    status = ConversionStatus(status)
    quoted = quoted_by_the_house() if by_the_house else conversion_quoted()
    history = _conversion_in(status, quoted)
    assert history.state.status is status
    return history


def _conversion_in(status: ConversionStatus, quoted: Given) -> Given:
    match status:
        case ConversionStatus.QUOTED:
            return quoted
        case ConversionStatus.EXPIRED:
            return go_on(quoted, expire_conversion, command(now=OVER))
        case ConversionStatus.REJECTED:
            refusal = Reason.INSUFFICIENT_FUNDS
            return go_on(quoted, accept_conversion, command("player:p1"), refusal=refusal)
        case _:
            accepted = go_on(quoted, accept_conversion, command("player:p1"))
    if status is ConversionStatus.ACCEPTED or isinstance(accepted.history[-1], ConversionExecuted):
        return accepted
    reports: dict[ConversionStatus, list[Evidence]] = {
        ConversionStatus.SUBMITTED: [],
        ConversionStatus.UNKNOWN: [heard("unknown", "answer")],
        ConversionStatus.EXECUTED: [heard("succeeded", amount=TARGET)],
        ConversionStatus.FAILED: [heard("declined")],
        ConversionStatus.REVIEW: [heard("succeeded", amount=OTHER_TARGET)],
    }
    history = go_on(accepted, submit_conversion, command(), provider=provider())
    for evidence in reports[status]:
        history = go_on(history, hear_of_conversion, evidence)
    return history


def balances(history: Given) -> Mapping[str, int]:
    """Balances by account that the whole history leads to, but for empty ones.

    Accounts of the player are called `available:EUR` here, those of the house `fx:EUR`.
    """
    found: dict[str, int] = {}
    for event in history.history:
        for posting in postings(event):
            name = _short(posting.account, PLAYER_ID)
            found[name] = found.get(name, 0) + posting.amount_minor
    return {account: balance for account, balance in found.items() if balance}


def _short(account: str, player_id: UUID) -> str:
    return account.removeprefix(f"player:{player_id}:").removeprefix("house:")
