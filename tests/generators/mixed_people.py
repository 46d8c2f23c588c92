"""Who asks for something, and who decides: players, platforms and staff."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

from domain.adjustment.decisions import AdjustmentReason
from domain.counters import Window
from domain.deposit.state import Deposit
from domain.dispute.decisions import Dispute
from domain.events import Move
from domain.money import Money
from domain.player.player import HoldKind, Verification
from domain.provider.attempt import reference
from domain.withdrawal.state import Withdrawal
from ledger.commands.adjustment import RequestAdjustment
from ledger.commands.conversion import QuoteConversion
from ledger.commands.deposit import CreateDeposit
from ledger.commands.handling import Caller
from ledger.commands.refund import RequestRefund
from ledger.commands.withdrawal import RequestWithdrawal
from tests.generators.mixed_core import (
    POLL_DELAYS_SECONDS,
    PROVIDER,
    STARTS_PER_SECOND,
    SUCCESS,
    Core,
)


class People(Core):
    """What people do, by chance."""

    # --- what players and platforms do ----------------------------------------------------------

    def open(self, commands: int) -> None:
        """Players come, and `commands` that begin a transaction are spread over the day."""
        self.do(
            lambda: self.handlers.register_provider(
                PROVIDER, poll_delays_seconds=POLL_DELAYS_SECONDS
            )
        )
        self.do(self.handlers.publish_rates)
        for _ in range(max(5, commands // 20)):
            player = UUID(int=self.chance.getrandbits(128), version=4)
            self.players.append(player)
            self.do(lambda player=player: self.register(player))
        for number in range(commands):
            moment = self.clock() + timedelta(seconds=number / STARTS_PER_SECOND)
            self.at(moment, self.begin_something)

    def register(self, player: UUID) -> None:
        self.handlers.players.register(
            player,
            verification=self.chance.choice([Verification.FULL, Verification.FULL, *Verification]),
            jurisdiction=self.chance.choice([None, "DE", "MT"]),
            time_zone=self.chance.choice(["UTC", "Europe/Berlin", "Pacific/Auckland"]),
            caller=self.by("ann"),
        )

    def begin_something(self) -> None:
        self.commands += 1
        player = self.chance.choice(self.players)
        if self.chance.random() < 0.05:
            self.soon(lambda: self.change_the_player(player))
        kinds = [self.deposit] * 9 + [self.withdraw] * 5 + [self.refund] * 3
        self.chance.choice([*kinds, *[self.convert] * 3, self.adjust])(player)

    def change_the_player(self, player: UUID) -> None:
        players, chance = self.handlers.players, self.chance
        acts: list[Callable[[], object]] = [
            lambda: players.set_limit(
                player,
                window=chance.choice(list(Window)),
                currency="EUR",
                limit_minor=chance.choice([None, 50_000, 200_000]),
                caller=self.by("ann"),
            ),
            lambda: players.exclude(
                player,
                excluded=True,
                reason="r",
                until=self.clock() + timedelta(seconds=chance.choice([5, 60])),
                caller=self.by("ann"),
            ),
            lambda: self.hold_for_a_while(player),
            lambda: players.record_wager(
                player,
                amount=Money(chance.randint(1, 9_000), "EUR"),
                metadata={},
                caller=self.by("pat"),
            ),
        ]
        chance.choice(acts)()

    def hold_for_a_while(self, player: UUID) -> None:
        players = self.handlers.players
        players.hold(player, reason="r", caller=self.by("ben"))
        self.soon(
            lambda: players.lift_hold(
                player, kind=HoldKind.FRAUD, reason="r", caller=self.by("ben")
            ),
            self.chance.randint(1, 30),
        )

    def money(self, most: int) -> Money:
        return Money(self.chance.randint(1, most), self.chance.choice(["EUR"] * 4 + ["JPY"]))

    def instrument(self) -> str | None:
        return self.chance.choice([None, "card-1", "card-1", "card-2", "iban-1"])

    def deposit(self, player: UUID) -> None:
        request = CreateDeposit(
            player_id=player,
            provider=PROVIDER,
            method=self.chance.choice(["card", "card", "redirect"]),
            amount=self.money(90_000),
            instrument=self.instrument(),
            metadata={},
        )
        written = self.handlers.deposits.create(request, self.by("pat"))
        self.deposits.append(written.transaction.id)

    def withdraw(self, player: UUID) -> None:
        request = RequestWithdrawal(
            player_id=player,
            provider=PROVIDER,
            method="bank_transfer",
            amount=self.money(70_000),
            instrument=self.instrument(),
            metadata={},
        )
        self.handlers.withdrawals.request(request, self.by("pat"))

    def refund(self, player: UUID) -> None:
        if not self.deposits:
            return self.deposit(player)
        deposit = self.log.states[self.chance.choice(self.deposits[-200:])]
        part = Money(self.chance.randint(1, deposit.amount.amount), deposit.amount.currency)
        request = RequestRefund(
            deposit_id=deposit.id,
            amount=self.chance.choice([None, part]),
            reason="r",
            metadata={},
        )
        self.handlers.refunds.request(request, self.by("pat"))
        return None

    def convert(self, player: UUID) -> None:
        source, target = self.chance.choice([("EUR", "JPY"), ("EUR", "KWD"), ("JPY", "EUR")])
        request = QuoteConversion(
            player_id=player,
            source=Money(self.chance.randint(200, 20_000), source),
            target_currency=target,
            provider=self.chance.choice([None, PROVIDER]),
            metadata={},
        )
        written = self.handlers.conversions.quote(request, self.by("pat"))
        if self.chance.random() < 0.9:
            quoted = written.transaction.id
            self.soon(lambda: self.handlers.conversions.accept(quoted, self.by("pat")), 1)

    def adjust(self, player: UUID) -> None:
        money = self.money(5_000)
        mine = f"player:{player}:available:{money.currency}"
        house = f"house:adjustments:{money.currency}"
        ends = self.chance.choice([(mine, house), (house, mine)])
        request = RequestAdjustment(
            player_id=player,
            moves=(Move(source=ends[0], target=ends[1], money=money),),
            reason=AdjustmentReason.GOODWILL,
            grounds="g",
            transaction_id=None,
            metadata={},
        )
        self.handlers.adjustments.request(request, self.by("ann"))

    # --- what staff do --------------------------------------------------------------------------

    def look_at(self, stream: UUID) -> None:
        """Somebody decides, or leaves it to the evening."""
        state = self.log.states[stream]
        usual = self.closing_time or self.chance.random() < 0.85
        match str(state.status):
            case "review":
                self.resolve(stream)
            case "under_review" if usual:
                self.approve_the_payout(stream)
            case "under_review":
                self.think_about_the_payout(stream)
            case "info_required" if usual:
                self.handlers.withdrawals.provide_information(stream, "n", self.by("ann"))
            case "held" if usual:
                self.handlers.withdrawals.release(stream, "n", self.by("cleo"))
            case "pending_approval" if usual:
                self.handlers.refunds.approve(stream, "n", self.by("ann"))
            case "pending_approval":
                end = self.chance.choice(["reject", "cancel", "later"])
                if end == "reject":
                    self.handlers.refunds.reject(stream, "n", self.by("dora"))
                elif end == "cancel":
                    self.handlers.refunds.cancel(stream, self.by("dora"))
            case "requested" if usual and not isinstance(state, Withdrawal):
                self.handlers.adjustments.approve(stream, "n", self.by("cleo"))

    def approve_the_payout(self, stream: UUID) -> None:
        for person in ("ann", "ben", "cleo"):
            if self.log.states[stream].status == "under_review":
                self.do(
                    lambda person=person: self.handlers.withdrawals.approve(
                        stream, "n", self.by(person)
                    )
                )

    def think_about_the_payout(self, stream: UUID) -> None:
        withdrawals, state = self.handlers.withdrawals, self.log.states[stream]
        assert isinstance(state, Withdrawal)
        less = Money(max(1, state.amount.amount // 2), state.amount.currency)
        acts: list[Callable[[], object]] = [
            lambda: withdrawals.reject(stream, "n", self.by("ann")),
            lambda: withdrawals.hold(stream, "n", self.by("cleo")),
            lambda: withdrawals.request_information(stream, "n", self.by("ben")),
            lambda: withdrawals.cancel(stream, by_player=True, caller=self.by("pat")),
            lambda: withdrawals.amend(
                stream, amount=less, instrument=state.instrument, note="n", caller=self.by("dora")
            ),
            lambda: withdrawals.score(
                stream, score=50, high=("velocity",), ruleset="r", caller=self.by("ben")
            ),
        ]
        self.chance.choice(acts)()

    def answer_the_dispute(self, stream: UUID) -> None:
        disputes, state = self.handlers.disputes, self.log.states[stream]
        assert isinstance(state, Dispute)
        if not state.status.waits_for_us or self.chance.random() < 0.3:
            return
        if self.chance.random() < 0.7:
            disputes.submit_evidence(stream, note="n", documents=(), caller=self.by("ann"))
        else:
            disputes.accept(stream, "n", self.by("ann"))

    def resolve(self, stream: UUID) -> None:
        """Two people end the review as it is at the provider, or, now and then, otherwise."""
        state: Any = self.log.states[stream]
        kind = "deposit" if isinstance(state, Deposit) else type(state).__name__.lower()
        leg = None
        attempt = 1
        if isinstance(state, Withdrawal):
            reviewed = next(leg for leg in state.legs if leg.status == "review")
            leg, attempt = reviewed.number, reviewed.attempt
        moved = self.moved_by(reference(stream, attempt))
        if self.chance.random() < 0.1:
            moved = not moved
            self.misjudged.add(stream)
        target = SUCCESS.get(kind, "executed") if moved else "failed"
        acts: dict[str, Callable[[Caller], object]] = {
            "deposit": lambda by: self.handlers.deposits.resolve(stream, target, "n", by),
            "withdrawal": lambda by: self.handlers.withdrawals.resolve(
                stream, leg=leg, target=target, note="n", caller=by
            ),
            "refund": lambda by: self.handlers.refunds.resolve(stream, target, "n", by),
            "conversion": lambda by: self.handlers.conversions.resolve(stream, target, "n", by),
        }
        for person in ("ann", "cleo"):
            self.do(lambda person=person: acts[kind](self.by(person)))
