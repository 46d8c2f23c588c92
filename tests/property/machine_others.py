"""Rules of the ledger machine: conversions, disputes and adjustments."""

from datetime import timedelta
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import (
    rule,
)

from domain.adjustment.decisions import AdjustmentReason
from domain.dispute.decisions import Dispute
from domain.events import Move
from domain.events.evidence import DisputeNews, DisputeStage, Outcome, Source
from domain.money import Money
from ledger.commands.adjustment import RequestAdjustment
from ledger.commands.conversion import QuoteConversion
from ledger.providers.protocol import DisputeNotice
from tests.property.backroom import by
from tests.property.machine_core import (
    AMOUNTS,
    DISPUTE_NEWS,
    OUTCOMES,
    PEOPLE,
    PLAYERS,
    PROVIDERS,
    TOLD,
    WHICH,
    Core,
)


class Others(Core):
    """What is neither paid in nor out."""

    # --- conversions ----------------------------------------------------------------------------

    def quote_a_conversion(
        self,
        player: int,
        minor: int,
        currencies: tuple[str, str],
        provider: int | None,
        accepted: bool,
    ) -> UUID | None:
        request = QuoteConversion(
            player_id=self.players[player],
            source=Money(minor, currencies[0]),
            target_currency=currencies[1],
            provider=None if provider is None else self.names[provider],
            metadata={},
        )
        caller = by("pat")
        written = self.carry_out(lambda h: h.conversions.quote(request, caller), keyed=True)
        stream = self.begun("conversion", written)
        if stream is not None and accepted:
            self.accept(stream)
        return stream

    @rule(
        player=PLAYERS,
        minor=st.sampled_from([100, 5_000, 10_000]),
        currencies=st.sampled_from([("EUR", "JPY"), ("EUR", "KWD"), ("JPY", "EUR")]),
        provider=st.none() | PROVIDERS,
        accepted=st.sampled_from([True, True, False]),
    )
    def somebody_asks_for_a_quote(
        self,
        player: int,
        minor: int,
        currencies: tuple[str, str],
        provider: int | None,
        accepted: bool,
    ) -> None:
        self.quote_a_conversion(player, minor, currencies, provider, accepted)

    def accept(self, stream: UUID) -> None:
        """It is rejected where, and only where, there is too little money for it."""
        state, caller = self.state(stream), by("pat")
        account = f"player:{state.player_id}:available:{state.source.currency}"
        enough = state.source.amount <= self.log.books.balances.get(account, 0)
        written = self.carry_out(lambda h: h.conversions.accept(stream, caller), keyed=True)
        if written is not None:
            assert (written.transaction.status != "rejected") == enough

    @rule(which=WHICH)
    def accept_a_quote(self, which: int) -> None:
        stream = self.pick("conversion", which)
        if stream is not None:
            self.accept(stream)

    @rule(player=PLAYERS, minor=st.sampled_from([100, 5_000, 10_000]), outcome=OUTCOMES, told=TOLD)
    def convert_and_hear(self, player: int, minor: int, outcome: Outcome, told: str) -> None:
        stream = self.quote_a_conversion(player, minor, ("EUR", "JPY"), 0, True)
        if stream is not None:
            self.send(stream)
            self.hear(stream, outcome, Source.ANSWER, told, 1, None)

    # --- disputes -------------------------------------------------------------------------------

    @rule(
        which=WHICH,
        name=st.sampled_from(["dsp-1", "dsp-2"]),
        stage=st.sampled_from([DisputeStage.CHARGEBACK] * 3 + list(DisputeStage)),
        news=st.lists(st.sampled_from(DISPUTE_NEWS), min_size=1, max_size=4),
        told=TOLD,
    )
    def hear_of_a_dispute(
        self, which: int, name: str, stage: DisputeStage, news: list[DisputeNews], told: str
    ) -> None:
        deposit_id = self.pick("deposit", which)
        if deposit_id is not None and self.state(deposit_id).reference is not None:
            for each in news:
                self.hear_news(deposit_id, name, stage, each, told)

    def hear_news(
        self, deposit_id: UUID, name: str, stage: DisputeStage, news: DisputeNews, told: str
    ) -> None:
        deposit = self.state(deposit_id)
        self.messages += 1
        notice = DisputeNotice(
            message_id=f"d{self.messages}",
            reference=deposit.reference,
            dispute_reference=f"{name} of {deposit_id}",
            stage=stage,
            news=news,
            amount=self.amount_told(deposit, told),
            reason_code="10.4",
            evidence_due_at=self.clock.time + timedelta(seconds=600),
            sent_at=self.clock.time,
        )
        self.receive(deposit.provider, notice)
        for stream, state in self.log.states.items():
            if isinstance(state, Dispute) and stream not in self.kinds["dispute"]:
                self.kinds["dispute"].append(stream)

    @rule(
        which=WHICH,
        accepted=st.booleans(),
        sent=st.sampled_from([None, Outcome.ACCEPTED, Outcome.UNKNOWN]),
    )
    def answer_a_dispute(self, which: int, accepted: bool, sent: Outcome | None) -> None:
        stream, caller = self.pick("dispute", which), by("ann")
        if stream is None:
            return
        if accepted:
            self.carry_out(lambda h: h.disputes.accept(stream, "n", caller), keyed=True)
        else:
            self.carry_out(
                lambda h: h.disputes.submit_evidence(stream, note="n", documents=(), caller=caller),
                keyed=True,
            )
        pending = self.now.dispatch.dispute_answer(stream)
        if pending is not None and sent is not None:
            self.carry_out(lambda h: h.dispatch.dispute_answered(stream, pending, sent))

    # --- adjustments ----------------------------------------------------------------------------

    @rule(
        player=PLAYERS,
        minor=AMOUNTS,
        gives=st.booleans(),
        people=st.sampled_from([("ann", "cleo"), ("ben", "cleo"), ("cleo", "cleo")]),
        decided=st.sampled_from(["approve", "approve", "reject", "later"]),
    )
    def adjust(
        self, player: int, minor: int, gives: bool, people: tuple[str, str], decided: str
    ) -> None:
        mine = f"player:{self.players[player]}:available:EUR"
        ends = ("house:adjustments:EUR", mine) if gives else (mine, "house:chargebacks:EUR")
        request = RequestAdjustment(
            player_id=self.players[player],
            moves=(Move(source=ends[0], target=ends[1], money=Money(minor, "EUR")),),
            reason=AdjustmentReason.CORRECTION,
            grounds="g",
            transaction_id=None,
            metadata={},
        )
        caller = by(people[0])
        written = self.carry_out(lambda h: h.adjustments.request(request, caller), keyed=True)
        self.adjustments.append(written.transaction.id)
        if decided != "later":
            self.decide_on_an_adjustment(-1, people[1], decided)

    @rule(which=WHICH, person=PEOPLE, decision=st.sampled_from(["approve", "reject"]))
    def decide_on_an_adjustment(self, which: int, person: str, decision: str) -> None:
        if not self.adjustments:
            return
        stream, caller = self.adjustments[which % len(self.adjustments)], by(person)
        (move,) = self.state(stream).moves
        before = self.log.books.balances.get(move.source, 0)
        enough = not move.source.startswith("player:") or move.money.amount <= before
        if decision == "reject":
            self.carry_out(lambda h: h.adjustments.reject(stream, "n", caller), keyed=True)
            return
        written = self.carry_out(lambda h: h.adjustments.approve(stream, "n", caller), keyed=True)
        if written is not None:
            assert written.transaction.status == ("approved" if enough else "rejected")
