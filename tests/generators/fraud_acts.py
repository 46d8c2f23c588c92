"""What else may happen in a small world for the fraud indicators, and all of it in one list."""

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from fractions import Fraction
from math import ceil
from random import Random
from typing import Final
from uuid import UUID

from domain import events as e
from domain.events.evidence import DisputeNews, DisputeReport, DisputeStage, Source
from domain.fraud.indicators.catalogue import INDICATORS
from domain.money import Money
from tests.generators.fraud_acts_paying import (
    amends,
    asks_for_payout,
    ends_a_try,
    is_declined,
    is_declined_often,
    is_declined_on_the_edge,
    is_paid,
    is_refused,
    passes_through,
    pays_in,
    pays_in_below,
    pays_in_twice,
    tries,
    tries_after_others,
    tries_many_cards,
    wagers,
    wakes,
)
from tests.generators.fraud_rules import drawn_terms
from tests.generators.fraud_world import (
    CARDS,
    COUNTRIES,
    CURRENCIES,
    DAY,
    HOUR,
    MICROSECOND,
    MINUTE,
    PLAYERS,
    PROVIDERS,
    SECOND,
    WINDOWS,
    Step,
    World,
    picked,
)

PEOPLE: Final = ("ann", "ben", "cleo")
REPORT: Final = DisputeReport(
    source=Source.NOTICE,
    news=DisputeNews.OPENED,
    stage=DisputeStage.CHARGEBACK,
    reference="r-1",
    dispute_reference="dp_1",
)


def refunds(world: World, step: Step) -> None:
    _refund(world, step, picked((*PEOPLE, None), step.more))


def refunds_often(world: World, step: Step) -> None:
    for _ in range(world.threshold("refund_abuse", "refunds") + step.off % 3 - 1):
        refunds(world, step)


def _refund(world: World, step: Step, person: str | None) -> None:
    player = picked(PLAYERS, step.who % 5)
    world.say(
        e.RefundRequested,
        actor="system:test" if person is None else f"operator:{person}",
        deposit_id=UUID(int=0),
        player_id=player,
        provider="acme",
        method="card",
        amount=Money(100, "EUR"),
        instrument=None,
        reason="asked_for",
        metadata={},
        reserved=step.kind % 16 != 0,
        counts=(),
    )


def staff_refunds(world: World, step: Step) -> None:
    """As many of staff as a percentile needs, or one less or more; then one of them often."""
    for number in range(30 + step.more % 3 - 1):
        if number == step.pause % 32:
            world.now += (1, 1, 29, 30)[step.what % 4] * DAY
        for _ in range(1 + (number % 9 == 0)):
            _refund(world, step, f"p{number}")
    for _ in range(world.threshold("refund_abuse", "operator_refunds") + step.off % 3 - 1):
        _refund(world, step, picked(PEOPLE, step.amount))


def disputes(world: World, step: Step) -> None:
    about = picked(world.settled, step.what) if world.settled and step.more % 4 else None
    player = about.player_id if about else picked(PLAYERS, step.who % 5)
    for number in range(1 + step.amount % 3):
        provider = about.provider if about else picked(PROVIDERS, step.what)
        _dispute(world, player, provider, version=2 if (step.off + number) % 8 == 0 else 1)


def _dispute(world: World, player: UUID, provider: str, *, version: int = 1) -> None:
    world.say(
        e.DisputeOpened,
        version=version,
        deposit_id=UUID(int=1),
        player_id=player,
        provider=provider,
        method="card",
        instrument=None,
        dispute_reference="dp_1",
        stage=DisputeStage.CHARGEBACK,
        amount=Money(100, "EUR"),
        reason_code=None,
        report=REPORT,
    )


def provider_is_disputed(world: World, step: Step) -> None:
    """As large a share of what settled in the month as an indicator asks for, or nearly."""
    provider = picked(PROVIDERS, step.what)
    month = (world.now.year, world.now.month)
    settled = sum(
        one.provider == provider and (one.occurred_at.year, one.occurred_at.month) == month
        for one in world.settled
    )
    name = picked(("warn_basis_points", "critical_basis_points", "warn_basis_points"), step.amount)
    share = Fraction(world.threshold("dispute_load", name), 10_000)
    number = max(world.threshold("dispute_load", "disputes"), ceil(settled * share))
    for _ in range(min(12, number + step.off % 2)):
        _dispute(world, picked(PLAYERS, step.who), provider)


def converts(world: World, step: Step) -> None:
    source, target = CURRENCIES[1 + step.what % 4], CURRENCIES[2 + step.what % 4]
    # Of round amounts a gain in basis points is a whole number.
    money = Money(1_000 + step.amount if step.off % 2 else 20_000, source)
    there = max(1, int(world.converted(money.amount, source, target)))
    _convert(world, picked(PLAYERS, step.who % 2), money, Money(there, target))


def converts_back(world: World, step: Step) -> None:
    """So that it gains as much as an indicator asks for, or a minor unit less or more."""
    if not world.conversions:
        return converts(world, step)
    before = world.conversions[-1 - step.what % min(3, len(world.conversions))]
    gain = 1 + Fraction(world.threshold("fx_round_trip", "gain_basis_points"), 10_000)
    most = before.source.amount * (gain if step.more % 2 else Fraction(1))
    target = Money(max(1, int(most) + step.off % 3 - 1), before.source.currency)
    return _convert(world, before.player_id, before.target, target)


def converts_forth_and_back(world: World, step: Step) -> None:
    for _ in range(world.threshold("fx_round_trip", "trips") - step.off % 2):
        converts(world, step)
        converts_back(world, step._replace(what=0, more=0, off=0))


def _convert(world: World, player: UUID, source: Money, target: Money) -> None:
    converted = world.say(
        e.ConversionExecuted,
        player_id=player,
        source=source,
        target=target,
        spread=Money(0, target.currency),
        evidence=None,
    )
    world.conversions += [converted] if converted else []


def is_known(world: World, step: Step) -> None:
    world.say(
        e.VerificationChanged,
        picked(PLAYERS, step.who % 5),
        verification=picked(("none", "basic", "full"), step.what),
        jurisdiction=picked(COUNTRIES, step.more),
        time_zone="UTC",
    )


def is_excluded(world: World, step: Step) -> None:
    player = picked(PLAYERS, step.who % 5)
    if step.more % 4 == 0:
        world.say(e.ExclusionEnded, player, reason="over")
        return
    until = world.now + picked(world.edges, step.what) if step.more % 2 else None
    world.say(e.PlayerExcluded, player, reason="asked for it", until=until)
    if until is not None and step.off % 2:
        world.now = until + (step.off // 2 % 3 - 1) * MICROSECOND
    world.attempt(step)


def changes_credentials(world: World, step: Step) -> None:
    world.say(e.CredentialsChanged, picked(PLAYERS, step.who % 5), credential="password")


def registers(world: World, step: Step) -> None:
    world.say(
        e.InstrumentRegistered,
        picked(PLAYERS, step.who),
        instrument=picked(CARDS, step.what),
        provider="acme",
        method="card",
    )


def is_paid_elsewhere(world: World, step: Step) -> None:
    """Just as old as an indicator asks for: an account nobody has seen before, or a password."""
    if step.what % 3:
        what, name = registers, "age_seconds"
    else:
        what, name = changes_credentials, "credential_seconds"
    what(world, step._replace(who=step.who % 5, what=step.more))
    since = timedelta(seconds=world.threshold("new_payout_target", name))
    world.now += since + (step.amount % 3 - 1) * MICROSECOND
    asks_for_payout(world, step)


def has_a_name(world: World, step: Step) -> None:
    player, card = picked(PLAYERS, step.who % 3), picked(CARDS, step.what % 3)
    alike = world.threshold("name_mismatch", "similarity_percent")
    for number in range(1 + step.more % 4):
        beside = (-1, 0, -1, 1, -40)[(step.off + number) % 5]
        world.say(
            e.InstrumentHolderChecked,
            player,
            instrument=card,
            similarity_percent=max(0, min(100, alike + beside)),
        )
    world.note(f"holding:{player}:{card}")


def case_is_closed(world: World, step: Step) -> None:
    if not world.subjects:
        return
    codes = [one.code for one in INDICATORS]
    indicators = tuple(codes if step.more % 2 else codes[step.more % 23 :: 3])
    world.say(
        e.FraudCaseClosed,
        person="ann",
        decision=picked(("false_positive",) * 3 + ("confirmed",), step.off),
        reason="",
        proposed_by=None,
        subject=picked(tuple(world.subjects), step.what),
        indicators=indicators,
        opened_at=world.now,
        covered=covered(Random(repr(step)), indicators) if step.amount % 3 else (),
    )


def covered(random: Random, indicators: Iterable[str]) -> tuple[e.Strength, ...]:
    """About as much as hits say: sometimes more, sometimes less, sometimes in another unit."""
    return tuple(
        e.Strength(
            indicator=indicator,
            severity=random.choice(("medium", "high", "high", "critical")),
            unit=unit,
            value=random.choice((0, 1, 2, 3, 5, 10, 50, 90, 100, 3_600, 250_000, 10**9)),
            amount_minor=random.choice((0, 0, 10_000, 250_000, 10**9)),
        )
        for indicator in indicators
        for unit in ("basis_points", "count", "minor", "percent", "seconds")
        if random.random() < 0.7
    )


def clock_runs_back(world: World, step: Step) -> None:
    """What the next step says has happened earlier than what was said before."""
    world.now -= (MICROSECOND, SECOND, MINUTE, HOUR)[step.off % 4]


def rules_change(world: World, step: Step) -> None:
    world.publish(drawn_terms(Random(repr(step))))


def again(world: World, step: Step) -> None:
    """What one of the latest steps was, when something of it is just as old as a window is long."""
    if not world.played:
        return
    earlier, first, number = world.played[-1 - step.who % min(6, len(world.played))]
    if number:
        since = world.log[first + step.amount % number].occurred_at
        edge = picked(world.edges if step.what % 3 else WINDOWS, step.more)
        world.now = max(world.now, since + edge + (step.off % 5 // 2 - 1) * MICROSECOND)
    picked(ACTS, earlier.kind)(world, earlier)


def play(world: World, step: Step) -> None:
    """The act that the step says, after the time that it says."""
    world.wait(step)
    act, first = picked(ACTS, step.kind), len(world.log)
    act(world, step)
    if act is not again:
        world.played.append((step, first, len(world.log) - first))


ACTS: Final[Sequence[Callable[[World, Step], None]]] = (
    *[pays_in] * 4,
    *[pays_in_twice] * 2,
    pays_in_below,
    wakes,
    *[passes_through] * 2,
    *[tries] * 2,
    *[ends_a_try] * 2,
    is_refused,
    *[is_declined] * 2,
    *[is_declined_often] * 2,
    is_declined_on_the_edge,
    *[tries_many_cards] * 2,
    *[tries_after_others] * 2,
    *[wagers] * 2,
    *[asks_for_payout] * 6,
    *[amends] * 2,
    *[is_paid] * 2,
    *[refunds] * 2,
    refunds_often,
    staff_refunds,
    *[disputes] * 2,
    *[provider_is_disputed] * 2,
    converts,
    *[converts_back] * 2,
    converts_forth_and_back,
    *[is_known] * 2,
    *[is_excluded] * 2,
    changes_credentials,
    *[registers] * 2,
    *[has_a_name] * 3,
    *[is_paid_elsewhere] * 2,
    *[case_is_closed] * 2,
    *[again] * 8,
    clock_runs_back,
    rules_change,
)
