"""Conversions: everything that may be decided, whether the house executes one or a provider."""

from collections.abc import Iterator
from fractions import Fraction
from functools import partial
from typing import Final

from domain.conversion.decisions import (
    accept_conversion,
    expire_conversion,
    quote_conversion,
    submit_conversion,
)
from domain.conversion.reports import CONVERSION_TARGETS, hear_conversion, resolve_conversion
from domain.conversion.state import Conversion, ConversionStatus
from domain.errors import Reason
from domain.events.evidence import Source
from tallystick.reference.arrows.exploring import Decision, Machine, by_two
from tallystick.reference.arrows.samples import (
    AMOUNT,
    NOW,
    PAUSED,
    PROVIDER,
    SAMPLE_ID,
    STREAM,
    TIME_IS_UP,
    command,
    reports,
)


def _first() -> Iterator[Decision]:
    for provider in (None, PROVIDER.name):
        yield partial(
            quote_conversion,
            *(STREAM, command()),
            player_id=SAMPLE_ID,
            source=AMOUNT,
            target_currency="USD",
            rate=Fraction(11, 10),
            rate_source="reference",
            spread_basis_points=100,
            provider=provider,
            metadata={},
        )


def _following(state: Conversion) -> Iterator[Decision]:
    for refusal in (None, Reason.INSUFFICIENT_FUNDS):
        yield partial(accept_conversion, state, command(), refusal=refusal)
    yield partial(expire_conversion, state, command(now=TIME_IS_UP))
    for now in (NOW, TIME_IS_UP):
        for at in (PROVIDER, PAUSED):
            yield partial(submit_conversion, state, command(now=now), provider=at)
    for target in sorted(CONVERSION_TARGETS):
        yield by_two(state, resolve_conversion, target=target, note="seen")
    for said in reports(state.target, {1: Source, 2: [Source.NOTICE]}):
        heard = partial(hear_conversion, state, command(), said, provider=PROVIDER)
        for available_minor in (0, state.target.amount):
            yield partial(heard, available_minor=available_minor)


def _essence(state: Conversion) -> object:
    return (
        state.status,
        state.provider,
        state.polls > 0,
        state.status is ConversionStatus.REVIEW and state.reason,
        state.resolved,
        state.reference,
        state.reserved,
        state.settled is None,
        state.at_house_expense,
        state.held is None,
    )


CONVERSIONS: Final = Machine(
    kind=Conversion,
    statuses=ConversionStatus,
    first=_first,
    following=_following,
    essence=_essence,
)
