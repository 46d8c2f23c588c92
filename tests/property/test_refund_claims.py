"""Refunds and disputes of one deposit, in any order and whatever the provider reports.

The books, the instrument's counter and the deposit's claims tell the same story at every step,
and refunds together never take more of the player's money than the deposit captured. Where more
has gone out than came in all the same, the queue says by how much until somebody has looked.
"""

from collections import Counter
from dataclasses import replace
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from domain.accounts import available, clearing, reserved, suspense
from domain.counters import instrument_counter
from domain.deposit.claims import Claim
from domain.deposit.concerns import review_concerns, with_excess
from domain.deposit.state import Deposit
from domain.dispute.decisions import Dispute, accept_dispute, dispute_stream, fold_dispute
from domain.dispute.reports import hear_dispute
from domain.errors import DisputeOpen, InvalidTransition, NotRefundable, RefundExceedsCapture
from domain.events import (
    DisputeFundsReinstated,
    DisputeFundsWithdrawn,
    LedgerEvent,
    RefundReversed,
    RefundSucceeded,
    TransactionResolved,
    TransactionSubmitted,
)
from domain.events.evidence import DisputeNews, DisputeStage, Outcome, Source, Standing
from domain.money import Money
from domain.postings import postings
from domain.refund.decisions import Refund, RefundStatus
from projections.engine.compare import fold_all
from projections.queue.fold import CASES, Case
from projections.queue.withdrawal_queue import WITHDRAWAL_QUEUE
from tests.generators.event_sequences import recorded
from tests.scenarios.dispute import told
from tests.scenarios.refund import (
    GivenRefund,
    approve,
    balances,
    cancel,
    counted,
    hear_of_refund,
    heard_back,
    refund_requested,
    reject,
    resolve,
    submit,
)
from tests.scenarios.scenario import (
    PLAYER_ID,
    PROVIDER_NAME,
    TRANSACTION,
    as_events,
    by,
    command,
    deposit_in,
    hear_of_deposit,
    heard,
    resolve_as,
)

CAPTURED = Money(1_000, "EUR")
AVAILABLE = available(PLAYER_ID, "EUR")
RESERVED = reserved(PLAYER_ID, "EUR")
CLEARING = clearing(PROVIDER_NAME, "EUR")
DISPUTES = [dispute_stream(PROVIDER_NAME, f"dp-{number}") for number in (1, 2)]

_REFUND = st.integers(min_value=1, max_value=4)
_MINOR = st.sampled_from([1, 300, 500, 999, 1_000, 1_001])
_CONTESTED = st.none() | st.builds(
    Money, st.sampled_from([300, 700, 1_000, 1_500]), st.sampled_from(["EUR"] * 5 + ["USD"])
)
_STAGES = st.sampled_from([DisputeStage.CHARGEBACK] * 3 + [DisputeStage.ARBITRATION])
_MONEY_NEWS = [DisputeNews.FUNDS_WITHDRAWN, DisputeNews.FUNDS_REINSTATED]
_NEWS = st.sampled_from([*DisputeNews, *_MONEY_NEWS, *_MONEY_NEWS])
_STORIES = st.sampled_from(["funds_withdrawn won", "won lost", "won withdrawn", "lost"])
_TOLD = st.none() | st.builds(Money, st.sampled_from([300, 500, 1_000, 1_001]), st.just("EUR"))


class Gone:
    """What came in for the deposit and what went out, in plain integers.

    It is told by refunds and disputes alone: what the deposit knows of them is not looked at.
    """

    def __init__(self, history: tuple[LedgerEvent, ...]) -> None:
        self.in_minor = CAPTURED.amount
        self.refunded: Counter[UUID] = Counter()
        self.disputed: dict[UUID, Counter[str]] = {stream: Counter() for stream in DISPUTES}
        for event in history:
            self._take(event, event.originator_id)

    def _take(self, event: LedgerEvent, stream: UUID) -> None:
        match event:
            case RefundSucceeded():
                self.refunded[stream] = event.amount.amount
            case RefundReversed():
                self.refunded[stream] = 0
            case TransactionResolved(target=target) if stream == TRANSACTION:
                self.in_minor = CAPTURED.amount if target == "completed" else 0
            case TransactionResolved(target="failed"):
                self.refunded[stream] = 0
            case TransactionResolved(moves=moves):
                paid = [m.money.amount for m in moves if m.target == CLEARING]
                self.refunded[stream] = sum(paid) or self.refunded[stream]
            case DisputeFundsWithdrawn(amount=amount):
                self.disputed[stream][amount.currency] += amount.amount
            case DisputeFundsReinstated(amount=amount):
                self.disputed[stream][amount.currency] -= amount.amount

    @property
    def excess_minor(self) -> int:
        """How much more went out; what is of another currency counts as everything."""
        out_minor = self.refunded.total()
        for net in self.disputed.values():
            for currency, minor in net.items():
                if minor > 0:
                    out_minor += minor if currency == "EUR" else self.in_minor
        return max(0, out_minor - self.in_minor)

    @property
    def is_somewhere_else(self) -> bool:
        """A dispute has money of another currency: nobody can say how much that is here."""
        return any(net["USD"] > 0 for net in self.disputed.values())


class RefundsOfOneDeposit(RuleBasedStateMachine):
    """What the ledger accepts is recorded; what it refuses leaves no trace."""

    def __init__(self) -> None:
        super().__init__()
        self.history = deposit_in("completed", CAPTURED).history
        self.seeded_minor = 0
        self.excess_minor = 0
        self.to_be_looked_at = False
        """The excess has grown since somebody looked."""

    @initialize(seeded_minor=st.sampled_from([0, 700, 5_000]))
    def other_money(self, seeded_minor: int) -> None:
        self.seeded_minor = seeded_minor

    # --- what the ledger does

    def balance_minor(self, account: str) -> int:
        seeded = self.seeded_minor if account == AVAILABLE else 0
        return balances(self.history).get(account, 0) + seeded

    def append(self, events: tuple[LedgerEvent, ...]) -> None:
        for event in events:
            sums: dict[str, int] = {}
            for posting in postings(event):
                currency = posting.account.rpartition(":")[2]
                sums[currency] = sums.get(currency, 0) + posting.amount_minor
            assert not any(sums.values()), event
        self.history += tuple(events)
        before_minor, self.excess_minor = self.excess_minor, Gone(self.history).excess_minor
        if self.excess_minor > before_minor:
            self.to_be_looked_at = True
        elif self.excess_minor == 0:
            self.to_be_looked_at = False

    def decide(self, number: int, decision: object, *args: object, **kwargs: object) -> None:
        """Let it be decided about a refund that there is; a refusal is nothing."""
        if not self.refunds:
            return
        number = sorted(self.refunds)[number % len(self.refunds)]
        args = tuple(arg(UUID(int=number)) if callable(arg) else arg for arg in args)
        decided = self.given(number).when(decision, *args, **kwargs)
        if decided.error is None:
            self.append(decided.events)

    def given(self, number: int) -> GivenRefund:
        return GivenRefund(self.history, UUID(int=number))

    @property
    def deposit(self) -> Deposit:
        return GivenRefund(self.history).deposit

    @property
    def case(self) -> Case:
        """The deposit's, in the queue."""
        return fold_all(WITHDRAWAL_QUEUE, recorded(self.history))[CASES][TRANSACTION]

    def dispute(self, number: int) -> Dispute | None:
        stream = DISPUTES[number]
        return fold_dispute(None, [e for e in self.history if e.originator_id == stream])

    @property
    def contested(self) -> bool:
        """A dispute has not ended, or nobody can say how."""
        known = [state for state in map(self.dispute, range(len(DISPUTES))) if state]
        return any(s.contradicted or s.status.standing is Standing.OPEN for s in known)

    def may_go_back(self, minor: int) -> bool:
        """Whether, by all that is in the log, this would not be refunded twice."""
        gone = Gone(self.history)
        under_way = sum(r.amount.amount for r in self.refunds.values() if r.reserved)
        out_minor = gone.refunded.total() + sum(
            max(0, net["EUR"]) for net in gone.disputed.values()
        )
        return (
            not self.contested
            and not gone.is_somewhere_else
            and out_minor + under_way + minor <= gone.in_minor
        )

    @property
    def refunds(self) -> dict[int, Refund]:
        streams = {event.originator_id for event in self.history}
        return {n: self.given(n).refund for n in range(1, 5) if UUID(int=n) in streams}

    # --- what happens

    @rule(minor=_MINOR)
    def spend(self, minor: int) -> None:
        """The player loses some of it elsewhere."""
        self.seeded_minor -= min(minor, self.balance_minor(AVAILABLE))

    @precondition(lambda self: len(self.refunds) < 4)
    @rule(minor=st.none() | _MINOR, sent=st.booleans())
    def request(self, minor: int | None, sent: bool) -> None:
        number = len(self.refunds) + 1
        before, amount = len(self.history), None if minor is None else Money(minor, "EUR")
        try:
            asked = refund_requested(
                amount, of=GivenRefund(self.history), refund_id=UUID(int=number)
            )
        except (NotRefundable, RefundExceedsCapture, DisputeOpen):
            return
        new = asked.history[before:]
        assert self.may_go_back(asked.refund.amount.amount)
        if self.balance_minor(AVAILABLE) + balances(new).get(AVAILABLE, 0) >= 0:
            self.append(new)
            if sent:
                self.decide(number - 1, approve)
                self.decide(number - 1, submit)

    @rule(number=_REFUND, decision=st.sampled_from([approve, approve, reject, cancel]))
    def people_decide(self, number: int, decision: object) -> None:
        self.decide(number, decision)

    @rule(number=_REFUND)
    def send(self, number: int) -> None:
        allowed = self.may_go_back(0)  # its own amount is reserved, and under way
        before = len(self.history)
        self.decide(number, submit)
        sent = [e for e in self.history[before:] if isinstance(e, TransactionSubmitted)]
        assert allowed or not sent

    @rule(
        number=_REFUND,
        outcome=st.sampled_from(Outcome),
        source=st.sampled_from(Source),
        amount=_TOLD,
    )
    def report(self, number: int, outcome: Outcome, source: Source, amount: Money | None) -> None:
        self.decide(
            number,
            hear_of_refund,
            lambda refund: heard_back(outcome, source, amount=amount, transaction=refund),
        )

    @rule(number=_REFUND, outcome=st.sampled_from(["succeeded", "declined", "returned"]))
    def settle(self, number: int, outcome: str) -> None:
        self.decide(number, hear_of_refund, lambda refund: heard_back(outcome, transaction=refund))

    @rule(number=_REFUND, ending=st.sampled_from(["succeeded", "failed"]))
    def two_people_resolve(self, number: int, ending: str) -> None:
        self.decide(number, resolve, "ann", ending)
        self.decide(number, resolve, "ben", ending)

    @rule(
        number=st.sampled_from([0, 0, 1]),
        news=_STORIES.map(str.split) | st.lists(_NEWS, min_size=1, max_size=2),
        stage=_STAGES,
        amount=_CONTESTED,
    )
    def hear_of_a_dispute(
        self, number: int, news: list[str], stage: DisputeStage, amount: Money | None
    ) -> None:
        for each in news:
            events = hear_dispute(
                self.dispute(number),
                command("provider:acme"),
                replace(told(each, stage, amount=amount), dispute_reference=f"dp-{number + 1}"),
                dispute_id=DISPUTES[number],
                deposit=self.deposit,
            )
            self.append(events)

    @rule(number=st.sampled_from([0, 1]))
    def give_in(self, number: int) -> None:
        state = self.dispute(number)
        if state is not None and state.status.waits_for_us:
            self.append(accept_dispute(state, by("ann"), deposit=self.deposit, note="fraud"))

    @rule()
    def look_at_what_is_of_concern(self) -> None:
        waits = self.case.waiting_as == "more_out_than_in"
        try:
            seen = review_concerns(self.deposit, by("ann"), note="claimed back")
        except InvalidTransition:
            assert not waits
            return
        assert waits
        self.to_be_looked_at = False
        self.append(as_events(seen))

    @precondition(lambda self: len(self.refunds) > 2)
    @rule(outcome=st.sampled_from(["declined", "succeeded"]))
    def deposit_report(self, outcome: str) -> None:
        event = hear_of_deposit(
            self.deposit, heard(outcome), available_minor=self.balance_minor(AVAILABLE)
        )
        self.append(with_excess(self.deposit, as_events(event), command()))

    @precondition(lambda self: self.deposit.status == "review")
    @rule(ending=st.sampled_from(["completed", "failed"]))
    def two_people_resolve_the_deposit(self, ending: str) -> None:
        for person in ("ann", "ben"):
            if self.deposit.status == "review":
                proposal = self.deposit.proposal
                if proposal and (proposal.person, proposal.target) == (person, ending):
                    continue
                decided = as_events(resolve_as(self.deposit, person, ending))
                self.append(with_excess(self.deposit, decided, command()))

    # --- what always holds

    @invariant()
    def no_player_account_is_below_zero(self) -> None:
        assert self.balance_minor(AVAILABLE) >= 0
        assert self.balance_minor(RESERVED) >= 0

    @invariant()
    def what_is_reserved_is_what_refunds_and_reviews_say_is_reserved(self) -> None:
        by_refunds = sum(r.amount.amount for r in self.refunds.values() if r.reserved)
        by_review = self.deposit.reserved.amount if self.deposit.reserved else 0
        assert self.balance_minor(RESERVED) == by_refunds + by_review

    @invariant()
    def the_provider_has_what_was_captured_less_what_was_refunded_or_disputed(self) -> None:
        captured = self.deposit.captured.amount if self.deposit.captured else 0
        paid = sum(r.paid.amount for r in self.refunds.values() if r.paid)
        taken = sum(net["EUR"] for net in Gone(self.history).disputed.values())
        cleared = -balances(self.history).get(CLEARING, 0)
        assert cleared == captured - paid - taken

    @invariant()
    def the_house_has_paid_what_the_refunds_say_it_has(self) -> None:
        house = sum(r.house_minor for r in self.refunds.values())
        house += self.deposit.house.amount if self.deposit.house else 0
        assert -balances(self.history).get(suspense("EUR"), 0) == house

    @invariant()
    def the_instrument_has_paid_in_what_has_not_gone_back(self) -> None:
        captured = self.deposit.captured.amount if self.deposit.captured else 0
        gone = sum(
            r.amount.amount if r.reserved else r.paid.amount if r.paid else 0
            for r in self.refunds.values()
        )
        counter = instrument_counter(PLAYER_ID, "card-1", "EUR")
        gone += sum(net["EUR"] for net in Gone(self.history).disputed.values())
        assert counted(self.history).get(counter, 0) == captured - gone

    @invariant()
    def every_refund_stands_towards_the_deposit_as_its_money_does(self) -> None:
        for refund in self.refunds.values():
            claim = self.deposit.refunds[refund.id]
            if refund.paid is not None:
                assert claim == Claim(amount=refund.paid, standing=Standing.TAKEN)
            elif refund.reserved or refund.status is RefundStatus.REVIEW:
                assert claim == Claim(amount=refund.amount, standing=Standing.OPEN)
            else:
                assert claim.standing is Standing.RELEASED

    @invariant()
    def refunds_never_take_more_of_the_players_money_than_was_captured(self) -> None:
        ours = sum(
            refund.amount.amount if refund.reserved else refund.paid.amount
            for refund in self.refunds.values()
            if refund.reserved or (refund.paid and not refund.house_minor)
        )
        assert ours <= CAPTURED.amount
        assert 0 <= self.deposit.refundable_minor <= CAPTURED.amount

    @invariant()
    def whatever_has_gone_out_beyond_what_came_in_waits_until_somebody_has_looked(self) -> None:
        case = self.case
        assert (case.excess.amount if case.excess else 0) == self.excess_minor
        assert self.deposit.excess == case.excess
        if self.deposit.status == "review":
            assert case.waiting_as == "review"
        else:
            assert case.waiting_as == ("more_out_than_in" if self.to_be_looked_at else None)

    @invariant()
    def the_deposits_status_follows_from_its_refunds(self) -> None:
        if not self.deposit.status.is_credited:
            return
        claims = self.deposit.refunds.values()
        taken = sum(c.amount.amount for c in claims if c.standing is Standing.TAKEN)
        expected = "refunded" if taken >= CAPTURED.amount else "partially_refunded"
        assert self.deposit.status == (expected if taken else "completed")


TestRefundsOfOneDeposit = RefundsOfOneDeposit.TestCase
