"""Conversion: what people and the clock decide. A player exchanges one currency for another.

The quote pins what the player gets, whatever happens to rates afterwards. The house executes a
conversion at once; where a provider does, what it reports is decided in `reports.py`.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Final
from uuid import UUID

from domain.command import Command, repeated
from domain.conversion.rates import Rounding, quote_amounts
from domain.conversion.state import Conversion, ConversionStatus
from domain.errors import InvalidQuote, InvalidTransition, QuoteExpired, Reason, SameCurrency
from domain.events import (
    ConversionAccepted,
    ConversionEvent,
    ConversionExecuted,
    ConversionExpired,
    ConversionQuoted,
    ConversionRejected,
    TransactionSubmitted,
)
from domain.money import Money
from domain.provider.attempt import first_poll, reference
from domain.provider.provider import Provider

QUOTE_SECONDS: Final = 300
"""How long a quote holds unless it says otherwise."""


def quote_conversion(
    conversion_id: UUID,
    command: Command,
    *,
    player_id: UUID,
    source: Money,
    target_currency: str,
    rate: Fraction,
    rate_source: str,
    spread_basis_points: int,
    metadata: Mapping[str, str],
    valid_seconds: int = QUOTE_SECONDS,
    provider: str | None = None,
    quote_reference: str | None = None,
    rounding: Rounding = Rounding.DOWN,
) -> ConversionQuoted:
    """Say what the player would get, and until when.

    `rate` is whole units of the target's currency for one of the source's.

    Raises:
        SameCurrency: there is nothing to exchange.
        InvalidQuote: the spread is not between nothing and everything, or it would never hold.
        AmountTooSmall, InvalidMoney, InvalidRate: see `quote_amounts`.
    """
    if source.currency == target_currency:
        raise SameCurrency
    if valid_seconds < 1:
        raise InvalidQuote
    target, spread = quote_amounts(
        source,
        target_currency,
        rate,
        spread_basis_points=spread_basis_points,
        rounding=rounding,
    )
    return ConversionQuoted(
        **command.header(conversion_id, 1),
        request_digest=command.request_digest,
        player_id=player_id,
        provider=provider,
        source=source,
        target=target,
        spread=spread,
        rate_numerator=rate.numerator,
        rate_denominator=rate.denominator,
        rate_source=rate_source,
        rounding=rounding,
        quote_reference=quote_reference,
        expires_at=command.now + timedelta(seconds=valid_seconds),
        metadata=metadata,
    )


def accept_conversion(
    state: Conversion, command: Command, *, refusal: Reason | None = None
) -> tuple[ConversionEvent, ...]:
    """Take the quote; () if this command did so already.

    The source is reserved. Where the house executes, both sides are exchanged in the same append;
    where `refusal` forbids it, that is recorded and nothing is reserved.

    Raises:
        QuoteExpired: its time is over.
        InvalidTransition: it has been accepted, or is in review.
    """
    if repeated(state.commands, command):
        return ()
    if state.status is ConversionStatus.EXPIRED:
        raise QuoteExpired
    if state.status is not ConversionStatus.QUOTED:
        raise InvalidTransition(state.status, "accepted")
    if state.is_over(command.now):
        raise QuoteExpired
    accepted = ConversionAccepted(
        **command.header(state.id, state.version + 1),
        request_digest=command.request_digest,
        player_id=state.player_id,
        source=state.source,
        reserved=refusal is None,
    )
    if refusal is not None:
        return accepted, _rejected(state, command, refusal, ahead=2)
    if state.provider is not None:
        return (accepted,)
    executed = ConversionExecuted(
        **command.header(state.id, state.version + 2),
        player_id=state.player_id,
        source=state.source,
        target=state.target,
        spread=state.spread,
        evidence=None,
    )
    return accepted, executed


def expire_conversion(state: Conversion, command: Command) -> ConversionExpired | None:
    """Give up a quote nobody took; None while it holds, or where it has expired already.

    Raises:
        InvalidTransition: it was taken, or is in review.
    """
    if state.status is ConversionStatus.EXPIRED:
        return None
    if state.status is not ConversionStatus.QUOTED:
        raise InvalidTransition(state.status, "expired")
    if not state.is_over(command.now):
        return None
    return ConversionExpired(**command.header(state.id, state.version + 1))


def submit_conversion(
    state: Conversion, command: Command, *, provider: Provider
) -> TransactionSubmitted | ConversionRejected:
    """Record that from now on the attempt may have reached the provider.

    After the quote's time, or to a provider paused since then, nothing is sent: the conversion is
    rejected, and the player has the source back.

    Raises:
        InvalidTransition: it is not accepted, has been submitted, or the house executes it.
    """
    if state.status is not ConversionStatus.ACCEPTED or state.provider is None:
        raise InvalidTransition(state.status, "submitted")
    reason = why_not_converted(state, provider, command.now)
    if reason is not None:
        return _rejected(state, command, reason)
    return TransactionSubmitted(
        **command.header(state.id, state.version + 1),
        reference=reference(state.id, 1),
        attempt=1,
        provider=state.provider,
        poll_at=first_poll(command.now, provider.poll_delays_seconds),
    )


def why_not_converted(state: Conversion, provider: Provider, now: datetime) -> Reason | None:
    """What keeps an accepted conversion from being sent, at first or once more; None: nothing."""
    if state.is_over(now):
        return Reason.QUOTE_EXPIRED
    return Reason.PROVIDER_PAUSED if provider.paused else None


def _rejected(
    state: Conversion, command: Command, reason: Reason, ahead: int = 1
) -> ConversionRejected:
    return ConversionRejected(
        **command.header(state.id, state.version + ahead),
        request_digest=command.request_digest,
        player_id=state.player_id,
        reason=reason,
        released=state.source if state.reserved else None,
    )
