"""Small stories in which each indicator hits, so that its page shows what a hit really says."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from domain.fraud.ruleset import DEFAULT_NAME, DEFAULT_TERMS
from projections.fraud.checks.registry import JUDGE
from projections.fraud.judging import Hit
from projections.fraud.rules import Rules
from projections.fraud.signals import (
    OPERATORS,
    AnySignal,
    Attempted,
    Converted,
    CredentialChanged,
    Declined,
    Disputed,
    Excluded,
    HolderChecked,
    Known,
    LegAsked,
    Paid,
    PayoutAsked,
    RefundAsked,
    Refused,
    Seen,
    Settled,
    Wagered,
    holding_subject,
    microseconds,
    player_subject,
)
from projections.fraud.states import AnyState

PLAYERS: Final = tuple(UUID(f"0a1b2c3d-0000-4000-8000-00000000000{n}") for n in range(1, 10))
CARD: Final = "card-4f2a"
DAY: Final = 24 * 60
"""In minutes, as everything here."""

_BEGUN_US: Final = microseconds(datetime(2026, 11, 2, 9, 0, tzinfo=UTC))
_MINUTE_US: Final = 60_000_000


class Step(NamedTuple):
    """Something happens to the subject of a story."""

    minutes: int
    """After it began."""
    kind: type[AnySignal]
    fields: tuple[Any, ...]
    """What only this kind of signal has."""
    player: UUID = PLAYERS[0]


class Story(NamedTuple):
    subject: str
    steps: Sequence[Step]


def step(minutes: int, kind: type[AnySignal], *fields: object) -> Step:
    return Step(minutes, kind, fields)


def _player(*steps: Step) -> Story:
    return Story(player_subject(PLAYERS[0]), steps)


def _seen(subject: str, players: int) -> Story:
    return Story(subject, [Step(60 * n, Seen, (), PLAYERS[n]) for n in range(players)])


def _deposit(minutes: int, amount: int, currency: str = "EUR") -> Step:
    return step(minutes, Settled, amount, currency, CARD, "acme")


def _attempt(
    minutes: int, amount: int, instrument: str = CARD, address: str = "", card: str = ""
) -> Step:
    return step(minutes, Attempted, amount, "EUR", instrument, address, card)


def _decline(minutes: int) -> Step:
    return step(minutes, Declined, 1_000, "EUR", CARD, "do_not_honour")


def _payout(minutes: int, amount: int) -> Step:
    return step(minutes, PayoutAsked, "payout-1", amount, "EUR", (CARD,), False)


def _refund(minutes: int, operator: str = "ann") -> Step:
    return step(minutes, RefundAsked, 2_000, "EUR", operator)


def _round_trip(minutes: int) -> tuple[Step, Step]:
    return (
        step(minutes, Converted, 100_000, "EUR", 107_910, "USD"),
        step(minutes + 5, Converted, 107_910, "USD", 98_010, "EUR"),
    )


STORIES: Final[Mapping[str, tuple[Story, ...]]] = {
    "due_diligence_threshold": (
        _player(step(0, Known, "basic", "FR"), _deposit(0, 120_000), _deposit(9 * DAY, 85_000)),
    ),
    "vulnerability_check": (
        _player(
            step(0, Known, "full", "GB"),
            _deposit(0, 12_000, "GBP"),
            step(3 * DAY, Paid, 4_000, "GBP"),
            _deposit(5 * DAY, 10_000, "GBP"),
        ),
    ),
    "limit_breach": (_player(step(0, Refused, 8_000, "EUR", "limit_exceeded")),),
    "excluded_deposit": (_player(step(0, Excluded, -1), _attempt(DAY, 5_000)),),
    "structuring": (
        _player(_deposit(0, 190_000), _deposit(DAY, 195_000), _deposit(4_000, 192_000)),
    ),
    "pass_through": (
        _player(_deposit(0, 120_000), step(60, Wagered, 4_800, "EUR"), _payout(300, 114_000)),
    ),
    "low_turnover": (
        _player(_deposit(0, 20_000), step(60, Wagered, 7_000, "EUR"), _payout(300, 10_000)),
    ),
    "closed_loop": (
        Story(
            holding_subject(PLAYERS[0], CARD),
            [step(0, LegAsked, "payout-1", 30_000, "EUR", False)],
        ),
    ),
    "new_payout_target": (
        _player(
            _attempt(0, 20_000),
            _deposit(1, 20_000),
            step(4 * DAY, CredentialChanged, "email"),
            _payout(4 * DAY + 120, 20_000),
        ),
    ),
    "name_mismatch": (Story(holding_subject(PLAYERS[0], CARD), [step(0, HolderChecked, 41)]),),
    "shared_instrument": (_seen(f"instrument:{CARD}", 3),),
    "shared_device_or_address": (_seen("device:d-71c0", 3), _seen("address:a-3e55", 5)),
    "many_instruments": (_player(*(_attempt(DAY * n, 5_000, f"card-{n}") for n in range(5))),),
    "card_testing": (
        _player(*(one for n in range(5) for one in (_attempt(2 * n, 1_000), _decline(2 * n)))),
    ),
    "repeated_declines": (Story(f"instrument:{CARD}", [_decline(60 * n) for n in range(10)]),),
    "enumeration": (
        Story(
            "bin:411111",
            [_decline(10 * n) for n in range(1_000)] + [_decline(7 * DAY)] * 50,
        ),
    ),
    "velocity": (_player(*(_attempt(5 * n, 1_000) for n in range(11))),),
    "amount_spike": (
        _player(
            _deposit(0, 2_000),
            _deposit(DAY, 3_000),
            _deposit(2 * DAY, 4_000),
            _attempt(3 * DAY, 90_000),
        ),
    ),
    "dormant_wake": (_player(_deposit(0, 2_000), _attempt(402 * DAY, 60_000)),),
    "geo_conflict": (
        _player(step(0, Known, "full", "DE"), _attempt(5, 5_000, address="RO", card="DE")),
    ),
    "dispute_load": (
        _player(step(0, Disputed, 5_000, "EUR")),
        Story(
            "provider:acme",
            [_deposit(n, 5_000) for n in range(1_000)]
            + [step(DAY + n, Disputed, 5_000, "EUR") for n in range(10)],
        ),
    ),
    "refund_abuse": (
        _player(
            *(_deposit(DAY * n, 2_000) for n in range(9)),
            *(_refund(DAY * 9 + n) for n in range(3)),
        ),
        Story(
            OPERATORS,
            [_refund(n * DAY, who) for n in range(10) for who in ("ann", "bob", "cem")]
            + [_refund(10 * DAY + n) for n in range(5)],
        ),
    ),
    "fx_round_trip": (_player(*_round_trip(0), *_round_trip(30), *_round_trip(60)),),
}
"""By indicator: one story for each kind of subject whose hits read differently."""


def sample_hits(code: str) -> tuple[Hit, ...]:
    """What an indicator finds in its stories: of each the last hit.

    Raises:
        LookupError: it has no story, or hits in one of them nothing at all.
    """
    return tuple(_last_hit(code, story) for story in STORIES[code])


def _last_hit(code: str, story: Story) -> Hit:
    rules = Rules(DEFAULT_NAME, DEFAULT_TERMS)
    state: AnyState | None = None
    found: list[Hit] = []
    for position, (minutes, kind, fields, player) in enumerate(story.steps, 1):
        at_us = _BEGUN_US + minutes * _MINUTE_US
        signal = kind(story.subject, position, at_us, str(player), *fields)
        state, hits = JUDGE.judge(state, signal, rules)
        found += [hit for hit in hits if hit.indicator == code]
    if not found:
        raise LookupError(f"{code} hits nothing in its story about {story.subject}")
    return found[-1]
