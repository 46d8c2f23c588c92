"""Who comes, changes and asks for something, in the random histories of `event_sequences.py`."""

from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

from domain import accounts
from domain.adjustment.decisions import AdjustmentReason, request_adjustment
from domain.approval.policy import DEFAULT_TERMS, evolve_policy, propose_or_publish_policy
from domain.command import Command
from domain.conversion.decisions import quote_conversion
from domain.conversion.rate_decisions import (
    approve_rates,
    discard_rates,
    propose_rates,
    revoke_source,
    trust_source,
)
from domain.counters import Window
from domain.deposit.decisions import create_deposit
from domain.errors import Reason
from domain.events import LedgerEvent, Move, Rate
from domain.money import Money
from domain.player.holds import lift_hold, place_hold
from domain.player.limits import deposit_counts, set_limit
from domain.player.player import (
    Player,
    Verification,
    change_verification,
    evolve_player,
    register_instrument,
    register_player,
    set_exclusion,
)
from domain.player.wagers import record_wager
from domain.provider.provider import evolve_provider, register_provider, set_pause
from domain.refund.decisions import request_refund
from domain.withdrawal.decisions import request_withdrawal

if TYPE_CHECKING:
    from tests.generators.event_sequences import Appended, World

AWKWARD = ("plain", 'a "quoted" \\ one', "line\nbreak\ttab", "NULL", "", "{curly,ünïcode}")
_CARDS = ("card-1", "card-2")

# --- parties --------------------------------------------------------------------------------


def someone_new(world: "World") -> LedgerEvent:
    if not world.providers or world.random.random() < 0.05:
        name = f"psp-{len(world.providers)}"
        registered = register_provider(
            name, world.command(), adapter="simulator", poll_delays_seconds=(10, 30, 60, 90)
        )
        world.providers[name] = evolve_provider(None, registered)
        return registered
    verification = world.random.choice([Verification.FULL, Verification.FULL, Verification.NONE])
    player = register_player(world.uuid(), world.command(), verification=verification)
    world.players[player.originator_id] = evolve_player(None, player)
    return player


def party_changes(world: "World") -> LedgerEvent | None:
    command = world.by_person()
    if world.random.random() < 0.2:
        provider = world.any(world.providers)
        if not provider.paused and world.random.random() < 0.7:
            return None
        change = set_pause(provider, command, paused=not provider.paused, reason="test")
        if change:
            world.providers[provider.name] = evolve_provider(provider, change)
        return change
    if world.random.random() < 0.2:
        return _about_rates(world, command)
    if world.random.random() < 0.1:
        terms = replace(DEFAULT_TERMS, score_below=world.random.choice([40, 50]))
        agreed = propose_or_publish_policy(world.policy, command, terms=terms, note="test")
        if agreed:
            world.policy = evolve_policy(world.policy, agreed)
        return agreed
    player = world.any(world.players)
    made = world.random.choice([_restriction, _instrument, _instrument, _wager])(world, player)
    if made is not None and made.originator_id == player.id:
        world.players[player.id] = evolve_player(player, made)  # type: ignore[arg-type]
    return made


def _about_rates(world: "World", command: Command) -> LedgerEvent | None:
    """What persons do with rates, and what a source says."""
    waiting = next(iter(world.rates.proposals), None)
    if waiting is not None and world.random.random() < 0.7:
        if world.random.random() < 0.1:
            return discard_rates(world.rates, command, proposal_id=waiting, note="test")
        return approve_rates(world.rates, command, proposal_id=waiting, note="test")
    if world.random.random() < 0.2:
        return trust_source(world.rates, command, source="test", note="test")
    if world.random.random() < 0.05:
        return revoke_source(world.rates, command, source="test", note="test")
    rate = Rate(currency="JPY", numerator=world.random.randint(150, 180), denominator=1)
    return propose_rates(
        world.rates,
        world.random.choice([command, world.command("system:test")]),
        source="test",
        base="EUR",
        as_of="2026-03-02",
        rates=(rate,),
        note="test",
    )


def _restriction(world: "World", player: Player) -> LedgerEvent | None:
    if not player.holds and not player.excluded and world.random.random() < 0.7:
        return set_limit(
            player,
            world.command(f"player:{player.id}"),
            window=world.random.choice(list(Window)),
            currency="EUR",
            limit_minor=world.random.choice([10**6, 10**7, None]),
        )
    if player.holds:
        return lift_hold(player, world.by_person(), kind=next(iter(player.holds)), reason="test")
    command = world.by_person()
    if player.excluded:
        return set_exclusion(player, command, excluded=False, reason="test")
    return world.random.choice(
        [
            lambda: place_hold(player, world.command(), reason="test"),
            lambda: set_exclusion(player, command, excluded=True, reason="test"),
            lambda: change_verification(
                player,
                command,
                verification=Verification.FULL,
                jurisdiction="MT",
                time_zone="Europe/Malta",
            ),
        ]
    )()


def _instrument(world: "World", player: Player) -> LedgerEvent | None:
    provider = world.any(world.providers).name
    return register_instrument(
        player,
        world.command(),
        instrument=world.random.choice([*_CARDS, *AWKWARD]),
        provider=provider,
        method="card",
    )


def _wager(world: "World", player: Player) -> LedgerEvent:
    return record_wager(
        world.uuid(), world.command(), player_id=player.id, amount=world.amount(), metadata={}
    )


# --- what begins ----------------------------------------------------------------------------


def new_deposit(world: "World") -> "Appended":
    player, amount = world.any(world.players), world.amount()
    refusal = Reason.PLAYER_EXCLUDED if player.is_excluded(world.now) else None
    return create_deposit(
        world.uuid(),
        world.command(),
        player=player,
        provider=world.any(world.providers),
        method=world.random.choice(["redirect", "voucher"]),
        amount=amount,
        instrument=world.random.choice(
            [*player.instruments, *player.instruments, None, *_CARDS, *AWKWARD]
        ),
        metadata=world.metadata(),
        counts=deposit_counts(player.id, amount, world.now.date()),
        refusal=refusal,
    )


def new_withdrawal(world: "World") -> "Appended":
    player, amount = world.any(world.players), world.amount()
    provider, instrument = (
        world.any(world.providers),
        world.random.choice([None, "iban-1", *AWKWARD]),
    )
    return request_withdrawal(
        world.uuid(),
        world.command(f"player:{player.id}"),
        player=player,
        provider=provider,
        method="bank_transfer",
        amount=amount,
        instrument=instrument,
        metadata=world.metadata(),
        plan=world.plan(player, amount, provider.name, instrument),
        refusal=world.refusal(player.id, amount),
    )


def new_refund(world: "World") -> "Appended":
    deposit = world.some_credited()
    captured = deposit.captured or deposit.amount
    part = Money(world.random.randint(1, captured.amount), captured.currency)
    amount = world.random.choice([None, part])
    asked = amount or Money(deposit.refundable_minor, captured.currency)
    return request_refund(
        world.uuid(),
        world.by_person(),
        deposit=deposit,
        amount=amount,
        reason="goodwill",
        metadata=world.metadata(),
        required=(("finance", "compliance"),),
        refusal=world.refusal(deposit.player_id, asked),
    )


def new_conversion(world: "World") -> LedgerEvent:
    player, source = world.any(world.players), world.amount()
    rate = Fraction(150) if source.currency == "EUR" else Fraction(1, 150)
    return quote_conversion(
        world.uuid(),
        world.command(f"player:{player.id}"),
        player_id=player.id,
        source=source,
        target_currency="JPY" if source.currency == "EUR" else "EUR",
        rate=rate,
        rate_source="test",
        spread_basis_points=50,
        valid_seconds=world.random.choice([60, 3_600, 36_000]),
        provider=world.random.choice([None, world.any(world.providers).name]),
        metadata=world.metadata(),
    )


def new_adjustment(world: "World") -> LedgerEvent:
    player, money = world.any(world.players), world.amount()
    ends = [
        accounts.available(player.id, money.currency),
        accounts.adjustments(money.currency),
    ]
    world.random.shuffle(ends)
    of_house = world.random.random() < 0.2
    source = accounts.fees(money.currency) if of_house else ends[0]
    target = accounts.suspense(money.currency) if of_house else ends[1]
    return request_adjustment(
        world.uuid(),
        world.by_person(),
        player_id=None if of_house else player.id,
        moves=(Move(source=source, target=target, money=money),),
        reason=world.random.choice(list(AdjustmentReason)),
        grounds="a ticket",
        transaction_id=world.random.choice([None, *list(world.credited)[-1:]]),
        metadata=world.metadata(),
    )
