"""Signals about one player, and what judging makes of them. Times are microseconds after START."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

import msgspec

from domain.events import IndicatorTerms, Threshold
from domain.fraud.ruleset import DEFAULT_TERMS
from domain.fraud.strength import Covered
from projections.fraud import signals as s
from projections.fraud.checks.registry import JUDGE
from projections.fraud.judging import Hit
from projections.fraud.rules import Rules
from projections.fraud.states import AnyState, PlayerState

START: Final = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
START_US: Final = s.microseconds(START)
PLAYER: Final = UUID("aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee")
SUBJECT: Final = s.player_subject(PLAYER)

MICROSECOND: Final = 1
SECOND: Final = 1_000_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR


class Judged(NamedTuple):
    """What judging came to."""

    state: PlayerState
    hits: tuple[Hit, ...]


def rules(code: str, mode: str = "live", **thresholds: int) -> Rules:
    """The default thresholds but for those named; every other indicator is off."""
    unknown = thresholds.keys() - {
        one.name for terms in DEFAULT_TERMS.indicators for one in terms.thresholds
    }
    assert not unknown, unknown

    def changed(terms: IndicatorTerms) -> IndicatorTerms:
        if terms.indicator != code:
            return replace(terms, mode="off")
        values = [
            Threshold(name=one.name, value=thresholds.get(one.name, one.value))
            for one in terms.thresholds
        ]
        return replace(terms, mode=mode, thresholds=tuple(values))

    indicators = tuple(changed(terms) for terms in DEFAULT_TERMS.indicators)
    return Rules("rules-test", replace(DEFAULT_TERMS, indicators=indicators))


def judged(*said: s.AnySignal, rules: Rules, before: AnyState | None = None) -> Judged:
    """Everything that hits when the signals come one after the other."""
    state, hits = before, list[Hit]()
    for position, signal in enumerate(said, 1):
        numbered = msgspec.structs.replace(signal, position=position)
        state, found = JUDGE.judge(state, numbered, rules)
        hits += found
    assert isinstance(state, PlayerState)
    return Judged(state, tuple(hits))


def hits_last(*said: s.AnySignal, rules: Rules) -> bool:
    """Whether the last of the signals hits; none before it may."""
    positions = [hit.position for hit in judged(*said, rules=rules).hits]
    assert positions in ([], [len(said)]), positions
    return bool(positions)


def moment(at: int) -> datetime:
    return START + timedelta(microseconds=at)


def known(verification: str = "basic", country: str = "", at: int = 0) -> s.Known:
    return s.Known(SUBJECT, 0, START_US + at, str(PLAYER), verification, country)


def excluded(until: int | None, at: int = 0) -> s.Excluded:
    until_us = -1 if until is None else START_US + until
    return s.Excluded(SUBJECT, 0, START_US + at, str(PLAYER), until_us)


def included(at: int = 0) -> s.Excluded:
    return s.Excluded(SUBJECT, 0, START_US + at, str(PLAYER), 0)


def credential(name: str = "password", at: int = 0) -> s.CredentialChanged:
    return s.CredentialChanged(SUBJECT, 0, START_US + at, str(PLAYER), name)


def counted(change: int, currency: str = "EUR", month: str = "2026-03") -> s.MonthCounted:
    return s.MonthCounted(SUBJECT, 0, START_US, str(PLAYER), month, currency, change)


def attempted(
    minor: int = 1_000,
    currency: str = "EUR",
    at: int = 0,
    instrument: str = "card-1",
    card: str = "",
    address: str = "",
) -> s.Attempted:
    return s.Attempted(
        SUBJECT, 0, START_US + at, str(PLAYER), minor, currency, instrument, address, card
    )


def refused(minor: int, currency: str, reason: str, at: int = 0) -> s.Refused:
    return s.Refused(SUBJECT, 0, START_US + at, str(PLAYER), minor, currency, reason)


def settled(
    minor: int, currency: str = "EUR", at: int = 0, instrument: str = "card-1"
) -> s.Settled:
    return s.Settled(
        SUBJECT, 0, START_US + at, str(PLAYER), minor, currency, instrument, "provider"
    )


def declined(at: int = 0, instrument: str = "card-1") -> s.Declined:
    return s.Declined(
        SUBJECT, 0, START_US + at, str(PLAYER), 1_000, "EUR", instrument, "do_not_honour"
    )


def taken(instrument: str, at: int = 0) -> s.Taken:
    return s.Taken(SUBJECT, 0, START_US + at, str(PLAYER), instrument)


def wagered(minor: int, currency: str = "EUR", at: int = 0) -> s.Wagered:
    return s.Wagered(SUBJECT, 0, START_US + at, str(PLAYER), minor, currency)


def asked(
    minor: int,
    currency: str = "EUR",
    at: int = 0,
    instrument: str = "card-1",
    amended: bool = False,
) -> s.PayoutAsked:
    return s.PayoutAsked(
        SUBJECT, 0, START_US + at, str(PLAYER), "payout-1", minor, currency, (instrument,), amended
    )


def paid(minor: int, currency: str = "EUR", at: int = 0) -> s.Paid:
    return s.Paid(SUBJECT, 0, START_US + at, str(PLAYER), minor, currency)


def refund(at: int = 0) -> s.RefundAsked:
    return s.RefundAsked(SUBJECT, 0, START_US + at, str(PLAYER), 1_000, "EUR", "ann")


def disputed(at: int = 0) -> s.Disputed:
    return s.Disputed(SUBJECT, 0, START_US + at, str(PLAYER), 5_000, "EUR")


def converted(source: int, frm: str, target: int, to: str, at: int = 0) -> s.Converted:
    return s.Converted(SUBJECT, 0, START_US + at, str(PLAYER), source, frm, target, to)


def cleared(*indicators: str, at: int = 0, covered: Covered = ()) -> s.Cleared:
    return s.Cleared(SUBJECT, 0, START_US + at, "", indicators, covered)
