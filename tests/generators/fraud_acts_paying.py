"""What may happen in a small world for the fraud indicators: paying in, playing, being paid.

Each act does what an indicator asks for about as often, as much or as late as it takes.
"""

from collections import Counter
from collections.abc import Iterable
from datetime import timedelta
from math import ceil

from domain import events as e
from domain.counters import uncounted
from domain.money import Money
from domain.withdrawal.legs import net_counts
from tests.generators.fraud_world import (
    CURRENCIES,
    DAY,
    EVIDENCE,
    MICROSECOND,
    MINUTE,
    PAUSES,
    PLAYERS,
    SECOND,
    Step,
    World,
    picked,
)


def pays_in(world: World, step: Step) -> None:
    created = world.attempt(step)
    if created is not None:
        world.now += PAUSES[step.more % 3]
        world.settle(created)


def pays_in_twice(world: World, step: Step) -> None:
    pays_in(world, step)
    pays_in(world, step)


def pays_in_below(world: World, step: Step) -> None:
    """Again and again, just below a threshold of reporting, in one currency or several."""
    name = picked(("first_minor", "second_minor", "third_minor"), step.amount)
    threshold = world.threshold("structuring", name)
    lowest = threshold * world.share("structuring", "lower_percent")
    least, begun = world.threshold("structuring", "deposits"), world.now
    for number in range(least + step.off % 3 - 1):
        if number == least - 1 and step.who % 2:
            edge = picked((DAY, 7 * DAY), step.what)
            world.now = max(world.now, begun + edge + (step.who % 3 - 1) * MICROSECOND)
        currency = picked(CURRENCIES, step.what * (1 + number * (step.more % 2)))
        near = ceil(lowest) if (step.more + number) % 3 == 0 else threshold
        exact = world.converted(near, "EUR", currency)
        minor = ceil(exact) + (0, -1, -1, 1)[(step.off // 3 + number) % 4]
        created = world.attempt(step, amount=Money(max(1, minor), currency))
        if created is not None:
            world.settle(created)
        if not step.who % 2:
            world.wait(step)


def passes_through(world: World, step: Step) -> None:
    """In, played with about as little as an indicator asks for, and out again."""
    if step.what % 2:
        least = world.converted(world.threshold("pass_through", "deposits_minor"), "EUR", "GBP")
        amount = Money(max(1, ceil(least) - step.off % 2), "GBP")
        created = world.attempt(step, amount=amount)
        if created is not None:
            world.settle(created)
    else:
        pays_in(world, step)
    wagers(world, step._replace(amount=0, more=1, off=3 * step.more))
    world.wait(step)
    asks_for_payout(world, step._replace(amount=0, more=3 * (step.more // 3)))


def wakes(world: World, step: Step) -> None:
    """After as long a time without a payment as an indicator asks for, or nearly."""
    if not world.settled:
        return
    latest = world.settled[-1]
    gap = timedelta(seconds=world.threshold("dormant_wake", "gap_seconds"))
    world.now = max(world.now, latest.occurred_at + gap + (step.off % 3 - 1) * MICROSECOND)
    least = world.converted(world.threshold("dormant_wake", "amount_minor"), "EUR", "JPY")
    amount = Money(max(1, ceil(least) - step.more % 2), "JPY")
    world.attempt(step._replace(who=PLAYERS.index(latest.player_id)), amount=amount)


def tries(world: World, step: Step) -> None:
    created = world.attempt(step)
    world.deposits += [created] if created else []


def ends_a_try(world: World, step: Step) -> None:
    if not world.deposits:
        return
    created = world.deposits.pop(step.what % len(world.deposits))
    if step.more % 3:
        world.settle(created)
    else:
        world.say(
            e.DepositExpired,
            created.originator_id,
            counts=uncounted(created.counts),
            evidence=EVIDENCE,
        )


def is_refused(world: World, step: Step) -> None:
    created = world.attempt(step, blocked=True)
    if created is not None:
        world.say(
            e.DepositBlocked,
            created.originator_id,
            player_id=created.player_id,
            amount=created.amount,
            reason=picked(("provider_paused", "limit_exceeded", "player_excluded"), step.more),
            counts=(),
        )


def is_declined(world: World, step: Step) -> None:
    created = world.attempt(step)
    if created is not None:
        world.decline(created)


def is_declined_often(world: World, step: Step) -> None:
    """As often as some indicator asks for, or once less or more."""
    thresholds = (
        world.threshold("card_testing", "declines"),
        world.threshold("repeated_declines", "day_declines"),
        world.threshold("enumeration", "declines"),
        world.threshold("velocity", "hour_deposits"),
    )
    for number in range(min(52, picked(thresholds, step.amount) + step.off % 3 - 1)):
        world.now += PAUSES[step.pause % 3]
        changed = step._replace(what=step.what + 5 * (number * (step.more % 2)), amount=1)
        is_declined(world, changed)


def is_declined_on_the_edge(world: World, step: Step) -> None:
    """As often as it takes, if what is just ten minutes old counts, and what is older does not."""
    step = step._replace(amount=1)
    is_declined(world, step)
    world.now += SECOND
    for _ in range(world.threshold("card_testing", "declines") - 2):
        is_declined(world, step)
    world.now += 10 * MINUTE + (step.off % 5 // 4) * MICROSECOND
    is_declined(world, step)
    is_declined(world, step)


def tries_many_cards(world: World, step: Step) -> None:
    for number in range(world.threshold("many_instruments", "day_instruments") + step.off % 3):
        created = world.attempt(step, card=number)
        if created is not None and number % 3 != step.more % 4:
            world.decline(created)


def tries_after_others(world: World, step: Step) -> None:
    """From the same device and address, with the same card."""
    for number in range(2 + step.more % 4):
        tries(world, step._replace(who=step.who + number, off=1, more=2))


def wagers(world: World, step: Step) -> None:
    player = picked(PLAYERS, step.who % 5)
    low = world.share("low_turnover", "wagered_percent")
    shares = (low, world.share("pass_through", "wagered_percent"), low / 2)
    step = step._replace(amount=step.amount if step.more % 3 else 0)
    world.say(
        e.WagerRecorded,
        player_id=player,
        amount=world.amount_near(
            step, player, picked(CURRENCIES, step.what), picked(shares, step.more)
        ),
        metadata={},
        counts=(),
    )


def asks_for_payout(world: World, step: Step) -> None:
    player = picked(PLAYERS, step.who % 5)
    step = step._replace(amount=step.amount if step.more % 3 else 0)
    share = world.share("pass_through", "payout_percent")
    amount = world.amount_near(step, player, picked(CURRENCIES, step.what), share)
    reserved = step.kind % 8 != 0
    legs = world.legs(step, amount)
    after = taken(legs)
    asked = world.say(
        e.WithdrawalRequested,
        player_id=player,
        provider="acme",
        method="card",
        amount=amount,
        instrument=legs[-1].instrument,
        metadata={},
        origin=world.origin(step),
        reserved=reserved,
        legs=legs,
        closed_loop=step.more % 4 == 0,
        counts=net_counts(player, amount.currency, before={}, after=after) if reserved else (),
    )
    if asked is not None and reserved:
        world.payouts.append(asked)
        world.note(*[f"holding:{player}:{instrument}" for instrument in after])


def amends(world: World, step: Step) -> None:
    if not world.payouts:
        return
    before = world.payouts.pop(step.what % len(world.payouts))
    less = max(1, before.amount.amount - step.amount % 3 * step.off)
    amount = Money(less, before.amount.currency)
    legs = world.legs(step, amount)
    amended = world.say(
        e.WithdrawalAmended,
        before.originator_id,
        player_id=before.player_id,
        amount=amount,
        instrument=legs[-1].instrument,
        legs=legs,
        closed_loop=step.more % 4 == 0,
        origin=before.origin,
        released=None,
        note="",
        counts=net_counts(
            before.player_id, amount.currency, before=taken(before.legs), after=taken(legs)
        ),
    )
    world.payouts += [amended] if amended else []


def is_paid(world: World, step: Step) -> None:
    """A part of it; or it is called back, or fails."""
    if not world.payouts:
        return
    asked = world.payouts[step.what % len(world.payouts)]
    if step.more % 3:
        leg = picked(asked.legs, step.more)
        world.say(
            e.WithdrawalPaid,
            asked.originator_id,
            leg=leg.leg,
            player_id=asked.player_id,
            provider=leg.provider,
            amount=leg.amount,
            fee=None,
            evidence=EVIDENCE,
        )
        if step.off % 4 == 0:
            _comes_back(world, asked, leg, again=step.off % 8 == 0)
        return
    world.payouts.remove(asked)
    counts = net_counts(asked.player_id, asked.amount.currency, before=taken(asked.legs), after={})
    fields = {"player_id": asked.player_id, "released": asked.amount, "counts": counts}
    if step.off % 2:
        fields |= {"retry_at": None, "evidence": EVIDENCE, "declined": None}
    world.say(
        e.TransactionFailed if step.off % 2 else e.WithdrawalCancelled,
        asked.originator_id,
        reason="called_back",
        **fields,
    )


def _comes_back(
    world: World,
    asked: e.WithdrawalRequested | e.WithdrawalAmended,
    leg: e.PlannedLeg,
    *,
    again: bool,
) -> None:
    """What was paid is returned, and may be paid again."""
    turn = {
        "leg": leg.leg,
        "player_id": asked.player_id,
        "provider": leg.provider,
        "amount": leg.amount,
        "evidence": EVIDENCE,
    }
    currency, gone = leg.amount.currency, taken([leg])
    back = net_counts(asked.player_id, currency, before=gone, after={})
    world.say(e.WithdrawalReturned, asked.originator_id, counts=back, **turn)
    if again:
        paid = net_counts(asked.player_id, currency, before={}, after=gone)
        lent = {"fee": None, "from_available": leg.amount, "counts": paid}
        world.say(e.WithdrawalPaid, asked.originator_id, **lent, **turn)


def taken(legs: Iterable[e.PlannedLeg]) -> dict[str, int]:
    """What each instrument gets."""
    minor: Counter[str] = Counter()
    for leg in legs:
        if leg.instrument is not None:
            minor[leg.instrument] += leg.amount.amount
    return dict(minor)
