"""What each event says about each subject: its signals.

An event is looked at by itself, so signals can be made of any part of a log, anywhere.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from domain import events as e
from domain.counters import instrument_counter
from domain.events import LedgerEvent
from projections.fraud.signals import (
    OPERATORS,
    AnySignal,
    Attempted,
    Cleared,
    Converted,
    CredentialChanged,
    Declined,
    Disputed,
    Excluded,
    HolderChecked,
    Known,
    LegAsked,
    MonthCounted,
    NetCounted,
    Paid,
    PayoutAsked,
    RefundAsked,
    Refused,
    Seen,
    Settled,
    Taken,
    Wagered,
    holding_subject,
    microseconds,
    player_subject,
)


def signals(event: LedgerEvent, position: int) -> list[AnySignal]:
    """What the event says, in an order that is always the same; most say nothing."""
    say = _SAY.get(type(event))
    return [] if say is None else list(say(event, position, microseconds(event.occurred_at)))


def _standing(
    event: e.PlayerRegistered | e.VerificationChanged, position: int, at_us: int
) -> Iterator[AnySignal]:
    player = str(event.originator_id)
    country = (event.jurisdiction or "").upper().partition("-")[0]
    yield Known(player_subject(player), position, at_us, player, str(event.verification), country)


def _excluded(event: e.PlayerExcluded, position: int, at_us: int) -> Iterator[AnySignal]:
    player = str(event.originator_id)
    until_us = -1 if event.until is None else max(microseconds(event.until), 0)
    yield Excluded(player_subject(player), position, at_us, player, until_us)


def _exclusion_ended(event: e.ExclusionEnded, position: int, at_us: int) -> Iterator[AnySignal]:
    player = str(event.originator_id)
    yield Excluded(player_subject(player), position, at_us, player, 0)


def _credential(event: e.CredentialsChanged, position: int, at_us: int) -> Iterator[AnySignal]:
    player = str(event.originator_id)
    yield CredentialChanged(player_subject(player), position, at_us, player, event.credential)


def _taken(event: e.InstrumentRegistered, position: int, at_us: int) -> Iterator[AnySignal]:
    player, instrument = str(event.originator_id), event.instrument
    yield Taken(player_subject(player), position, at_us, player, instrument)
    yield Seen(f"instrument:{instrument}", position, at_us, player)


def _holder(event: e.InstrumentHolderChecked, position: int, at_us: int) -> Iterator[AnySignal]:
    player = str(event.originator_id)
    subject = holding_subject(player, event.instrument)
    yield HolderChecked(subject, position, at_us, player, event.similarity_percent)


def _attempted(event: e.DepositCreated, position: int, at_us: int) -> Iterator[AnySignal]:
    player, amount, origin = str(event.player_id), event.amount, event.origin
    yield from _counted(event.counts, position, at_us, player)
    yield Attempted(
        player_subject(player),
        position,
        at_us,
        player,
        amount.amount,
        amount.currency,
        event.instrument or "",
        (origin and origin.address_country) or "",
        (origin and origin.instrument_country) or "",
    )
    if event.instrument is not None:
        yield Seen(f"instrument:{event.instrument}", position, at_us, player)
    yield from _seen(origin, position, at_us, player)


def _seen(origin: e.Origin | None, position: int, at_us: int, player: str) -> Iterator[AnySignal]:
    if origin is None:
        return
    if origin.device is not None:
        yield Seen(f"device:{origin.device}", position, at_us, player)
    if origin.address is not None:
        yield Seen(f"address:{origin.address}", position, at_us, player)


def _refused(event: e.DepositBlocked, position: int, at_us: int) -> Iterator[AnySignal]:
    player, amount = str(event.player_id), event.amount
    yield from _counted(event.counts, position, at_us, player)
    yield Refused(
        player_subject(player),
        position,
        at_us,
        player,
        amount.amount,
        amount.currency,
        str(event.reason),
    )


def _settled(event: e.DepositCompleted, position: int, at_us: int) -> Iterator[AnySignal]:
    player, amount, instrument = str(event.player_id), event.settled, event.instrument or ""
    yield from _counted(event.counts, position, at_us, player)
    for subject in (player_subject(player), f"provider:{event.provider}"):
        yield Settled(
            subject,
            position,
            at_us,
            player,
            amount.amount,
            amount.currency,
            instrument,
            event.provider,
        )


def _declined(event: e.TransactionFailed, position: int, at_us: int) -> Iterator[AnySignal]:
    player, declined = str(event.player_id), event.declined
    yield from _counted(event.counts, position, at_us, player)
    if declined is None:
        return
    subjects = [player_subject(player)]
    if declined.instrument is not None:
        subjects.append(f"instrument:{declined.instrument}")
    if declined.bin is not None:
        subjects.append(f"bin:{declined.bin}")
    if declined.address is not None:
        subjects.append(f"address:{declined.address}")
    for subject in subjects:
        yield Declined(
            subject,
            position,
            at_us,
            player,
            declined.amount.amount,
            declined.amount.currency,
            declined.instrument or "",
            str(event.reason),
        )


def _gave_back(
    event: e.DepositVoided
    | e.DepositExpired
    | e.DepositCancelled
    | e.TransactionResolved
    | e.WithdrawalRejected
    | e.WithdrawalCancelled
    | e.WithdrawalReturned
    | e.RefundRejected
    | e.RefundCancelled
    | e.RefundSucceeded
    | e.RefundReversed
    | e.DisputeFundsWithdrawn
    | e.DisputeFundsReinstated,
    position: int,
    at_us: int,
) -> Iterator[AnySignal]:
    yield from _counted(event.counts, position, at_us, "")


def _wagered(event: e.WagerRecorded, position: int, at_us: int) -> Iterator[AnySignal]:
    player, amount = str(event.player_id), event.amount
    yield Wagered(player_subject(player), position, at_us, player, amount.amount, amount.currency)


def _asked(
    event: e.WithdrawalRequested | e.WithdrawalAmended, position: int, at_us: int
) -> Iterator[AnySignal]:
    if isinstance(event, e.WithdrawalRequested) and not event.reserved:
        return  # refused at once: there was not enough to pay it from
    player, amount = str(event.player_id), event.amount
    withdrawal = str(event.originator_id)
    amended = isinstance(event, e.WithdrawalAmended)
    instruments = [leg.instrument for leg in event.legs if leg.instrument is not None]
    yield PayoutAsked(
        player_subject(player),
        position,
        at_us,
        player,
        withdrawal,
        amount.amount,
        amount.currency,
        tuple(dict.fromkeys(instruments)),
        amended,
    )
    changes = {count.counter: count.change for count in event.counts}
    by_instrument: dict[str, int] = {}
    for leg in event.legs:
        if leg.instrument is not None:
            known = by_instrument.get(leg.instrument, 0)
            by_instrument[leg.instrument] = known + leg.amount.amount
    for instrument, leg_minor in by_instrument.items():
        counter = instrument_counter(event.player_id, instrument, amount.currency)
        taken_minor = leg_minor + changes.get(counter, 0) if amended else 0
        for subject in (
            holding_subject(player, instrument),
            f"instrument:{instrument}",
        ):
            yield LegAsked(
                subject,
                position,
                at_us,
                player,
                withdrawal,
                leg_minor,
                amount.currency,
                event.closed_loop,
                taken_minor,
            )
    yield from _seen(event.origin, position, at_us, player)
    yield from _counted(event.counts, position, at_us, player)


def _paid(event: e.WithdrawalPaid, position: int, at_us: int) -> Iterator[AnySignal]:
    player, amount = str(event.player_id), event.amount
    yield from _counted(event.counts, position, at_us, player)
    if event.from_available or event.from_house:
        return  # it had come back, and reaches the player once
    yield Paid(player_subject(player), position, at_us, player, amount.amount, amount.currency)


def _refund(event: e.RefundRequested, position: int, at_us: int) -> Iterator[AnySignal]:
    player, amount = str(event.player_id), event.amount
    yield from _counted(event.counts, position, at_us, player)
    if not event.reserved:
        return
    kind, _, person = event.actor.partition(":")
    subjects = [player_subject(player)]
    if kind == "operator":
        subjects.append(OPERATORS)
    for subject in subjects:
        yield RefundAsked(subject, position, at_us, player, amount.amount, amount.currency, person)


def _disputed(event: e.DisputeOpened, position: int, at_us: int) -> Iterator[AnySignal]:
    if event.originator_version != 1:
        return  # the same dispute at its next stage
    player, amount = str(event.player_id), event.amount
    for subject in (player_subject(player), f"provider:{event.provider}"):
        yield Disputed(subject, position, at_us, player, amount.amount, amount.currency)


def _converted(event: e.ConversionExecuted, position: int, at_us: int) -> Iterator[AnySignal]:
    player, source, target = str(event.player_id), event.source, event.target
    yield Converted(
        player_subject(player),
        position,
        at_us,
        player,
        source.amount,
        source.currency,
        target.amount,
        target.currency,
    )


def _cleared(event: e.FraudCaseClosed, position: int, at_us: int) -> Iterator[AnySignal]:
    if event.decision == "false_positive":
        yield Cleared(event.subject, position, at_us, "", event.indicators, event.covered)


def _counted(
    counts: tuple[e.Count, ...], position: int, at_us: int, player: str
) -> Iterator[AnySignal]:
    """What counters say of a calendar month and of instruments; see `domain/counters.py`."""
    for count in counts:
        kind, _, rest = count.counter.partition(":")
        if kind == "limit":
            whose, currency, period = rest.split(":")
            if len(period) == len("2026-11"):
                yield MonthCounted(
                    player_subject(whose), position, at_us, whose, period, currency, count.change
                )
        elif kind == "instrument":
            whose, currency, instrument = rest.split(":", 2)
            subject = holding_subject(whose, instrument)
            yield NetCounted(subject, position, at_us, whose, currency, count.change)


# Each function takes the events it is listed for, which no type can say.
_SAY: Final[Mapping[type[LedgerEvent], Callable[..., Iterator[AnySignal]]]] = {
    e.PlayerRegistered: _standing,
    e.VerificationChanged: _standing,
    e.PlayerExcluded: _excluded,
    e.ExclusionEnded: _exclusion_ended,
    e.CredentialsChanged: _credential,
    e.InstrumentRegistered: _taken,
    e.InstrumentHolderChecked: _holder,
    e.DepositCreated: _attempted,
    e.DepositBlocked: _refused,
    e.DepositCompleted: _settled,
    e.TransactionFailed: _declined,
    e.DepositVoided: _gave_back,
    e.DepositExpired: _gave_back,
    e.DepositCancelled: _gave_back,
    e.TransactionResolved: _gave_back,
    e.WagerRecorded: _wagered,
    e.WithdrawalRequested: _asked,
    e.WithdrawalAmended: _asked,
    e.WithdrawalRejected: _gave_back,
    e.WithdrawalCancelled: _gave_back,
    e.WithdrawalReturned: _gave_back,
    e.WithdrawalPaid: _paid,
    e.RefundRequested: _refund,
    e.RefundRejected: _gave_back,
    e.RefundCancelled: _gave_back,
    e.RefundSucceeded: _gave_back,
    e.RefundReversed: _gave_back,
    e.DisputeOpened: _disputed,
    e.DisputeFundsWithdrawn: _gave_back,
    e.DisputeFundsReinstated: _gave_back,
    e.ConversionExecuted: _converted,
    e.FraudCaseClosed: _cleared,
}

SAYS_SOMETHING: Final = frozenset(_SAY)
"""The other types of events say nothing."""
