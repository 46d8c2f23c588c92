"""Random histories of a whole ledger that the domain itself would have written.

Every event comes from a decision function, so whatever a read model meets here is legal; what a
decision refuses simply does not happen. What begins is in `event_beginnings.py`, what
follows from a transaction's state in `event_proceedings.py`.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, TypeVar
from uuid import UUID

import psycopg

from domain import accounts
from domain.adjustment.state import Adjustment
from domain.approval.policy import DEFAULT_POLICY, Policy
from domain.command import Command
from domain.conversion.rates import NO_RATES, ExchangeRates, evolve_rates
from domain.counters import counts, instrument_counter
from domain.deposit.state import Deposit
from domain.dispute.decisions import Dispute
from domain.errors import DomainError, Reason
from domain.events import (
    DisputeNoticeReceived,
    LedgerEvent,
    ProviderNoticeReceived,
    RatesEvent,
)
from domain.events.evidence import DisputeNews, DisputeStage
from domain.money import Money
from domain.player.player import Player
from domain.postings import postings
from domain.provider.provider import Provider
from domain.provider.webhook import notice_stream
from domain.transactions import Transaction, evolve_transaction
from domain.withdrawal.closed_loop import Plan, plan_legs
from domain.withdrawal.state import Withdrawal
from ledger.eventstore.codec import TOPICS, encode
from projections.engine.read_model import Recorded
from tests.generators import event_beginnings, event_proceedings
from tests.generators.event_beginnings import AWKWARD

START = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
_PEOPLE = ("ann", "ben", "cem", "dot")
_ROLES = ("fraud", "finance", "compliance")
_AMOUNTS = (100, 2_500, 49_900, 60_000, 250_000)
_ENDED = frozenset(
    (
        *("blocked", "completed", "failed", "voided", "expired", "cancelled"),
        *("partially_refunded", "refunded", "paid", "returned", "rejected"),
        *("succeeded", "reversed", "executed", "won", "lost", "withdrawn"),
    )
)

Appended = Sequence[LedgerEvent]
Notice = ProviderNoticeReceived | DisputeNoticeReceived
T = TypeVar("T")


@dataclass
class World:
    """A ledger in memory, and what may happen to it next."""

    random: Random
    now: datetime = START
    appends: list[Appended] = field(default_factory=list)
    """What was decided together, in order."""
    players: dict[UUID, Player] = field(default_factory=dict)
    providers: dict[str, Provider] = field(default_factory=dict)
    transactions: dict[UUID, Transaction] = field(default_factory=dict)
    open: dict[UUID, None] = field(default_factory=dict)
    """Transactions that have not ended, oldest first."""
    credited: dict[UUID, None] = field(default_factory=dict)
    """Deposits that may be refunded or contested."""
    notices: list[Notice] = field(default_factory=list)
    """Not acted on yet."""
    rates: ExchangeRates = NO_RATES
    policy: Policy = DEFAULT_POLICY
    uuids: int = 0
    balances: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    counters: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    @property
    def events(self) -> list[LedgerEvent]:
        return [event for append in self.appends for event in append]

    def step(self) -> None:
        """Let one thing happen, or find that it may not."""
        self.now += timedelta(microseconds=self.random.randint(1, 90_000_000))
        choices: list[tuple[Callable[[], Appended | LedgerEvent | None], int]] = [
            (lambda: event_beginnings.someone_new(self), 4 if len(self.players) < 5 else 1),
            (lambda: event_beginnings.new_deposit(self), 9),
            (lambda: event_beginnings.new_withdrawal(self), 4),
            (lambda: event_beginnings.new_refund(self), 2),
            (lambda: event_beginnings.new_conversion(self), 2),
            (lambda: event_beginnings.new_adjustment(self), 1),
            (lambda: event_beginnings.party_changes(self), 5),
            (self._proceed, 36),
            (self._notice_arrives, 5),
            (self._dispute_notice_arrives, 4),
            (self._act_on_notice, 10),
        ]
        actions, weights = zip(*choices, strict=True)
        try:
            made = self.random.choices(actions, weights)[0]()
        except DomainError:
            return
        if made:
            self._append(list(made) if isinstance(made, list | tuple) else [made])

    def settle(self, steps: int) -> None:
        """Nothing new begins any more: what is open is brought to its end, in up to `steps`."""
        for _ in range(steps):
            self.now += timedelta(hours=1)
            try:
                made = self._act_on_notice() if self.notices else self._proceed()
            except DomainError:
                continue
            if made:
                self._append(list(made) if isinstance(made, list | tuple) else [made])

    def _append(self, events: list[LedgerEvent]) -> None:
        moved: dict[str, int] = defaultdict(int)
        for event in events:
            for posting in postings(event):
                moved[posting.account] += posting.amount_minor
        if any(
            accounts.floor_minor(account) is not None and self.balances[account] + change < 0
            for account, change in moved.items()
        ):
            return
        for account, change in moved.items():
            self.balances[account] += change
        for event in events:
            for count in counts(event):
                self.counters[count.counter] += count.change
            self._evolve(event)
        self.appends.append(events)

    def _evolve(self, event: LedgerEvent) -> None:
        stream = event.originator_id
        if isinstance(event, ProviderNoticeReceived | DisputeNoticeReceived):
            self.notices.append(event)
            return
        if isinstance(event, RatesEvent):
            self.rates = evolve_rates(self.rates, event)
            return
        changed = evolve_transaction(self.transactions.get(stream), event)
        if changed is None:
            return
        self.transactions[stream] = changed
        if isinstance(changed, Deposit) and changed.status.is_credited:
            self.credited[stream] = None
        reserves = isinstance(changed, Withdrawal) and changed.reserved
        answers = isinstance(changed, Dispute) and changed.answer_due
        adjusted = isinstance(changed, Adjustment) and changed.status == "approved"
        ended = adjusted or changed.status in _ENDED
        if ended and not reserves and not answers:
            self.open.pop(stream, None)
        else:
            self.open[stream] = None

    # --- what goes on ---------------------------------------------------------------------------

    def _proceed(self) -> Appended | LedgerEvent | None:
        """What a worker or a person would do next with some transaction."""
        return event_proceedings.proceed(self, self._some_transaction())

    def _notice_arrives(self) -> LedgerEvent | None:
        state = self._some_transaction()
        if not state.provider or isinstance(state, Dispute):
            return None
        if state.reference is None and self.random.random() < 0.95:
            return None
        heard = event_proceedings.heard(self, state)
        message_id = str(self.uuid())
        ours = self.random.random() < 0.95
        return ProviderNoticeReceived(
            **self.command().header(notice_stream(state.provider, message_id), 1),
            provider=state.provider,
            message_id=message_id,
            reference=heard.reference if ours else self.random.choice(AWKWARD),
            outcome=heard.outcome,
            amount=heard.amount,
            fee=heard.fee,
            provider_reference=heard.provider_reference,
            decline_code=heard.decline_code,
            raw_code=None,
            redirect_url=heard.redirect_url,
            raw_digest="00" * 32,
            sent_at=self.now,
        )

    def _dispute_notice_arrives(self) -> LedgerEvent:
        deposit = self.some_credited()
        if deposit.id.int % 4:  # most are never contested
            raise DomainError
        message_id, due_seconds = str(self.uuid()), self.random.randint(100, 40_000)
        amount = self.random.choice([None, deposit.amount, Money(99, deposit.amount.currency)])
        return DisputeNoticeReceived(
            **self.command().header(notice_stream(deposit.provider, message_id), 1),
            provider=deposit.provider,
            message_id=message_id,
            reference=deposit.reference or "" if self.random.random() < 0.97 else "not ours",
            dispute_reference=f"dispute-{deposit.id.hex[:8]}",
            stage=self.random.choices(list(DisputeStage), [6, 6, 2, 1])[0],
            news=self.random.choice(list(DisputeNews)),
            amount=amount,
            reason_code=self.random.choice([None, "10.4", "fraud"]),
            evidence_due_at=self.random.choice([None, self.now + timedelta(seconds=due_seconds)]),
            raw_digest="00" * 32,
            sent_at=self.now,
        )

    def _act_on_notice(self) -> Appended | LedgerEvent | None:
        return event_proceedings.act_on(self, self.notices.pop(0)) if self.notices else None

    def _some_transaction(self) -> Transaction:
        """Mostly one that is open."""
        if not self.open or self.random.random() < 0.03:
            return self.any(self.transactions)
        opened = list(self.open)
        return self.transactions[
            self.random.choice(opened[:30] if self.random.random() < 0.4 else opened[-40:])
        ]

    def some_credited(self) -> Deposit:
        """One of the latest that may be refunded or contested."""
        if not self.credited:
            raise DomainError
        found = self.transactions[self.random.choice(list(self.credited)[-15:])]
        if not isinstance(found, Deposit):
            raise TypeError(found)
        return found

    def plan(self, player: Player, amount: Money, provider: str, instrument: str | None) -> Plan:
        """Where a payout goes, by what the player's instruments have paid in."""
        net_minor = {
            known: self.counters[instrument_counter(player.id, known, amount.currency)]
            for known in player.instruments
        }
        return plan_legs(
            player=player,
            amount=amount,
            provider=provider,
            method="bank_transfer",
            instrument=instrument,
            net_minor=net_minor,
        )

    def refusal(self, player_id: UUID, amount: Money) -> Reason | None:
        """Why the amount cannot be reserved."""
        available = self.balances[accounts.available(player_id, amount.currency)]
        return Reason.INSUFFICIENT_FUNDS if available < amount.amount else None

    # --- ingredients ----------------------------------------------------------------------------

    def amount(self) -> Money:
        return Money(self.random.choice(_AMOUNTS), self.random.choice(["EUR", "EUR", "JPY"]))

    def metadata(self) -> dict[str, str]:
        return {
            f"key-{n}": self.random.choice((*AWKWARD, "order-17"))
            for n in range(self.random.choice([0, 0, 1, 2]))
        }

    def any(self, by_key: Mapping[Any, T]) -> T:
        if not by_key:
            raise DomainError
        return self.random.choice(list(by_key.values()))

    def by_person(self) -> Command:
        """Of a member of staff, in one of their roles."""
        person, role = self.random.choice(_PEOPLE), self.random.choice(_ROLES)
        return self.command(f"operator:{person}", role)

    def command(self, actor: str = "system:test", role: str = "") -> Command:
        return Command(
            now=self.now,
            actor=actor,
            command_id=self.uuid(),
            request_digest="digest",
            role=role,
        )

    def uuid(self) -> UUID:
        self.uuids += 1
        return UUID(int=self.random.getrandbits(64) << 64 | self.uuids, version=4)


def world(seed: int, steps: int) -> World:
    """A ledger after so many steps; the same for the same seed."""
    made = World(Random(seed))
    for _ in range(steps):
        made.step()
    return made


def recorded(events: Sequence[LedgerEvent]) -> list[Recorded]:
    """The events as a log that starts at position 1."""
    return [
        Recorded(position=position, recorded_at=event.occurred_at, event=event)
        for position, event in enumerate(events, 1)
    ]


def write_log(owner_conninfo: str, events: Sequence[LedgerEvent]) -> int:
    """Put events behind the end of the log, quicker than by appending; the head's position.

    Without leaves, roots and balances: for what only reads the log.
    """
    with psycopg.connect(owner_conninfo) as connection:
        (start,) = connection.execute("SELECT position FROM ledger_head").fetchone() or (0,)
        columns = "notification_id, originator_id, originator_version, topic, state, recorded_at"
        copy_in = f"COPY ledger_events ({columns}, leaf) FROM STDIN"
        with connection.cursor() as cursor, cursor.copy(copy_in) as copy:
            for position, event in enumerate(events, start + 1):
                stream, version = event.originator_id, event.originator_version
                state, at = encode(event), event.occurred_at
                copy.write_row((position, stream, version, TOPICS[type(event)], state, at, b""))
        end = start + len(events)
        connection.execute("UPDATE ledger_head SET position = %s", [end])
        connection.execute("NOTIFY ledger_events")
    return end
