"""The past of a player, instrument, device and so on, as the slow reading of indicators knows it.

Whom an event is about, and what is looked for in everything that was about them.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

from domain import events as e
from domain.money import Money


class Fact(NamedTuple):
    """An event as one subject sees it: never earlier than the one before."""

    at: int
    event: Any


# --- whom and what an event is about ------------------------------------------------------------


def asks_for_payout(event: Any) -> bool:
    return isinstance(event, e.WithdrawalAmended) or (
        isinstance(event, e.WithdrawalRequested) and event.reserved
    )


def subjects_of(event: Any) -> list[str]:
    """Whom an event is about, each once; none where it says nothing to any indicator."""
    names: list[str | None] = []
    match event:
        case (
            e.PlayerRegistered()
            | e.VerificationChanged()
            | e.PlayerExcluded()
            | e.ExclusionEnded()
            | e.CredentialsChanged()
        ):
            names = [f"player:{event.originator_id}"]
        case e.InstrumentRegistered():
            names = [f"player:{event.originator_id}", f"instrument:{event.instrument}"]
        case e.InstrumentHolderChecked():
            names = [f"holding:{event.originator_id}:{event.instrument}"]
        case e.DepositCreated():
            names = [_player(event), _named("instrument", event.instrument), *_places(event.origin)]
        case e.TransactionFailed(declined=e.Declined() as declined):
            names = [
                _player(event),
                _named("instrument", declined.instrument),
                _named("bin", declined.bin),
                _named("address", declined.address),
            ]
        case e.DepositCompleted() | e.DisputeOpened():
            if isinstance(event, e.DepositCompleted) or event.originator_version == 1:
                names = [_player(event), f"provider:{event.provider}"]
        case e.DepositBlocked() | e.WagerRecorded() | e.ConversionExecuted():
            names = [_player(event)]
        case e.WithdrawalPaid(from_available=None, from_house=None):
            names = [_player(event)]
        case e.WithdrawalRequested() | e.WithdrawalAmended() if asks_for_payout(event):
            names = [_player(event)]
            for leg in event.legs:
                if leg.instrument is not None:
                    names.append(f"holding:{event.player_id}:{leg.instrument}")
                    names.append(f"instrument:{leg.instrument}")
            names += _places(event.origin)
        case e.RefundRequested() if event.reserved:
            staff = "operators:all" if event.actor.startswith("operator:") else None
            names = [_player(event), staff]
        case e.FraudCaseClosed() if event.decision == "false_positive":
            names = [event.subject]
    return list(dict.fromkeys(name for name in names if name is not None))


def counted_subjects(event: Any) -> set[str]:
    """Players and holdings that the event's counters are about."""
    if isinstance(event, e.WithdrawalRequested) and not event.reserved:
        return set()
    found = set()
    for count in getattr(event, "counts", ()):
        parts = count.counter.split(":", 3)
        if parts[0] == "instrument":
            found.add(f"holding:{parts[1]}:{parts[3]}")
        elif parts[0] == "limit" and is_month(parts[3]):
            found.add(f"player:{parts[1]}")
    return found


def _player(event: Any) -> str:
    return f"player:{event.player_id}"


def _named(kind: str, name: str | None) -> str | None:
    return None if name is None else f"{kind}:{name}"


def _places(origin: e.Origin | None) -> list[str | None]:
    if origin is None:
        return []
    return [_named("device", origin.device), _named("address", origin.address)]


# --- looking through the past -------------------------------------------------------------------


def within(past: Iterable[Fact], kind: type[Any], start: int = 0) -> list[Any]:
    """The events of a kind since `start`, that instant included."""
    return [fact.event for fact in past if isinstance(fact.event, kind) and fact.at >= start]


def total_of(field: str, events: Iterable[Any]) -> list[Money]:
    return [getattr(event, field) for event in events]


class Standing(NamedTuple):
    verification: str
    country: str


def standing(past: Iterable[Fact]) -> Standing:
    """What was last said of the player's identity and place."""
    said = within(past, object)
    told = [one for one in said if isinstance(one, e.PlayerRegistered | e.VerificationChanged)]
    if not told:
        return Standing("none", "")
    return Standing(told[-1].verification, (told[-1].jurisdiction or "").upper().split("-")[0])


def excluded(past: Iterable[Fact], now: int) -> bool:
    """Whether the latest exclusion is still in force."""
    latest = None
    for _, event in past:
        if isinstance(event, e.PlayerExcluded | e.ExclusionEnded):
            latest = event
    if not isinstance(latest, e.PlayerExcluded):
        return False
    return latest.until is None or now < microseconds(latest.until)


def uses(past: Iterable[Fact]) -> Iterator[tuple[int, str]]:
    """When the player used which instrument, or named it for a payout."""
    for at, event in past:
        match event:
            case e.DepositCreated() | e.InstrumentRegistered():
                if event.instrument is not None:
                    yield at, event.instrument
            case e.WithdrawalRequested() | e.WithdrawalAmended():
                yield from (
                    (at, leg.instrument) for leg in event.legs if leg.instrument is not None
                )


def payers_with(past: Iterable[Fact], start: int) -> set[Any]:
    """Who used an instrument since `start`: what a payout names is seen when it is registered."""
    registered = {event.originator_id for event in within(past, e.InstrumentRegistered, start)}
    return registered | {event.player_id for event in within(past, e.DepositCreated, start)}


def players_at(past: Iterable[Fact], start: int) -> set[Any]:
    """Who asked for anything from a device or address since `start`."""
    asked = e.DepositCreated | e.WithdrawalRequested | e.WithdrawalAmended
    return {event.player_id for at, event in past if isinstance(event, asked) and at >= start}


def gross_of_newest_month(past: Iterable[Fact], now: int) -> list[Money]:
    """How gross deposits of the latest calendar month that anything is known of have changed.

    Nothing, if that is before the month that yesterday was in: then it is over everywhere.
    """
    newest = newest_month(past, now)
    return [money for month, money in _months(past) if month == newest]


def newest_month(past: Iterable[Fact], now: int) -> str:
    """That yesterday was in, or a later one that anything is known of."""
    yesterday = instant(now) - timedelta(days=1)
    over = f"{yesterday.year:04}-{yesterday.month:02}"
    return max([over, *(month for month, _ in _months(past))])


def _months(past: Iterable[Fact]) -> Iterator[tuple[str, Money]]:
    for _, event in past:
        for count in getattr(event, "counts", ()):
            parts = count.counter.split(":", 3)
            if parts[0] == "limit" and is_month(parts[3]):
                yield parts[3], Money(count.change, parts[2])


def net_changes(event: Any, player: str, instrument: str) -> Iterator[tuple[str, int]]:
    for count in getattr(event, "counts", ()):
        parts = count.counter.split(":", 3)
        if parts[0] == "instrument" and (parts[1], parts[3]) == (player, instrument):
            yield parts[2], count.change


def is_month(period: str) -> bool:
    """2026-11, and neither 2026-11-22 nor 2026-W47."""
    return period.count("-") == 1 and "W" not in period


def microseconds(at: datetime) -> int:
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def instant(at_us: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at_us)


def day_of(at_us: int) -> date:
    return instant(at_us).date()


def month_of(at_us: int) -> tuple[int, int]:
    return instant(at_us).year, instant(at_us).month
