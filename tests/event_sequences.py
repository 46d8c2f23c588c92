"""Random histories of a whole ledger that the domain itself would have written.

Every event comes from a decision function, so whatever a read model meets here is legal; what a
decision refuses simply does not happen.
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
from domain.approvals import DEFAULT_POLICY
from domain.attempts import reference
from domain.commands import Command
from domain.deposit import Deposit, DepositStatus, cancel_deposit, create_deposit, submit_deposit
from domain.deposit_reports import hear_deposit, resolve_deposit
from domain.errors import DomainError, Reason
from domain.events import LedgerEvent, ProviderNoticeReceived
from domain.money import Money
from domain.notice import evidence_of, notice_stream, set_aside
from domain.outcomes import DeclineCode, Evidence, Outcome, Source
from domain.player import (
    Player,
    Verification,
    change_verification,
    evolve_player,
    register_player,
    set_exclusion,
    set_hold,
)
from domain.postings import postings
from domain.provider import Provider, evolve_provider, register_provider, set_pause
from domain.transactions import Transaction, evolve_transaction
from domain.withdrawal import Withdrawal, WithdrawalStatus
from domain.withdrawal_decisions import (
    approve_withdrawal,
    cancel_withdrawal,
    hold_withdrawal,
    provide_information,
    reject_withdrawal,
    release_withdrawal,
    request_information,
    request_withdrawal,
    retry_withdrawal,
    screen_withdrawal,
    submit_withdrawal,
)
from domain.withdrawal_reports import hear_withdrawal, resolve_withdrawal
from projections.read_model import Recorded
from tallystick.eventstore.codec import TOPICS, encode

START = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
_PEOPLE = ("ann", "ben", "cem")
_OPEN_AMOUNTS = (100, 2_500, 49_900, 60_000, 250_000)
_ENDED_DEPOSIT = ("blocked", "completed", "failed", "voided", "expired", "cancelled")
_ENDED_WITHDRAWAL = ("paid", "returned", "rejected")
_ENDED = frozenset((*_ENDED_DEPOSIT, *_ENDED_WITHDRAWAL))
_AWKWARD = ("plain", 'a "quoted" \\ one', "line\nbreak\ttab", "NULL", "", "{curly,ünïcode}")

Appended = Sequence[LedgerEvent]
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
    notices: list[ProviderNoticeReceived] = field(default_factory=list)
    """Not acted on yet."""
    uuids: int = 0
    balances: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    @property
    def events(self) -> list[LedgerEvent]:
        return [event for append in self.appends for event in append]

    def step(self) -> None:
        """Let one thing happen, or find that it may not."""
        self.now += timedelta(microseconds=self.random.randint(1, 90_000_000))
        choices: list[tuple[Callable[[], Appended | LedgerEvent | None], int]] = [
            (self._someone_new, 4 if len(self.players) < 5 else 1),
            (self._new_deposit, 6),
            (self._new_withdrawal, 4),
            (self._party_changes, 1),
            (self._proceed, 30),
            (self._notice_arrives, 5),
            (self._act_on_notice, 8),
        ]
        actions, weights = zip(*choices, strict=True)
        try:
            made = self.random.choices(actions, weights)[0]()
        except DomainError:
            return
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
            self._evolve(event)
        self.appends.append(events)

    def _evolve(self, event: LedgerEvent) -> None:
        stream = event.originator_id
        if isinstance(event, ProviderNoticeReceived):
            self.notices.append(event)
            return
        known = self.transactions.get(stream)
        if changed := evolve_transaction(known, event):
            self.transactions[stream] = changed
            if changed.status in _ENDED and not (changed.status == "failed" and _reserves(changed)):
                self.open.pop(stream, None)
            else:
                self.open[stream] = None

    # --- actions --------------------------------------------------------------------------------

    def _someone_new(self) -> LedgerEvent:
        if not self.providers or self.random.random() < 0.05:
            name = f"psp-{len(self.providers)}"
            registered = register_provider(
                name, self._command(), adapter="simulator", poll_delays_seconds=(10, 30, 60, 90)
            )
            self.providers[name] = evolve_provider(None, registered)
            return registered
        verification = self.random.choice([Verification.FULL, Verification.FULL, Verification.NONE])
        player = register_player(self._uuid(), self._command(), verification=verification)
        self.players[player.originator_id] = evolve_player(None, player)
        return player

    def _party_changes(self) -> LedgerEvent | None:
        command = self._command(self._person())
        if self.random.random() < 0.3:
            provider = self._any(self.providers)
            if not provider.paused and self.random.random() < 0.7:
                return None
            change = set_pause(provider, command, paused=not provider.paused, reason="test")
            if change:
                self.providers[provider.name] = evolve_provider(provider, change)
            return change
        player = self._any(self.players)
        if not player.on_hold and not player.excluded and self.random.random() < 0.7:
            return None
        made = self.random.choice(
            [
                lambda: set_hold(player, command, on_hold=not player.on_hold, reason="test"),
                lambda: set_exclusion(player, command, excluded=not player.excluded, reason="test"),
                lambda: change_verification(
                    player, command, verification=Verification.FULL, jurisdiction="MT"
                ),
            ]
        )()
        if made:
            self.players[player.id] = evolve_player(player, made)
        return made

    def _new_deposit(self) -> Appended:
        return create_deposit(
            self._uuid(),
            self._command(),
            player=self._any(self.players),
            provider=self._any(self.providers),
            method=self.random.choice(["redirect", "voucher"]),
            amount=self._amount(),
            instrument=self.random.choice([None, "card-1", *_AWKWARD]),
            metadata=self._metadata(),
        )

    def _new_withdrawal(self) -> Appended:
        player, amount = self._any(self.players), self._amount()
        available = self.balances[accounts.available(player.id, amount.currency)]
        return request_withdrawal(
            self._uuid(),
            self._command(f"player:{player.id}"),
            player=player,
            provider=self._any(self.providers),
            method="bank_transfer",
            amount=amount,
            instrument=self.random.choice([None, "iban-1", *_AWKWARD]),
            metadata=self._metadata(),
            refusal=Reason.INSUFFICIENT_FUNDS if available < amount.amount else None,
        )

    def _proceed(self) -> Appended | LedgerEvent | None:
        """What a worker or a person would do next with some transaction."""
        state = self._some_transaction()
        if isinstance(state, Deposit):
            return self._proceed_deposit(state)
        return self._proceed_withdrawal(state)

    def _proceed_deposit(self, state: Deposit) -> LedgerEvent | None:
        command = self._command()
        if state.status is DepositStatus.CREATED and self.random.random() < 0.9:
            return submit_deposit(state, command, provider=self.providers[state.provider])
        if state.status is DepositStatus.REVIEW:
            target = self.random.choice(["completed", "completed", "failed"])
            command = self._command(self._person())
            return resolve_deposit(state, command, target=target, note="seen")
        if self.random.random() < 0.05:
            return cancel_deposit(state, command, "test")
        return self._hear_deposit(state, self._heard(state))

    def _proceed_withdrawal(self, state: Withdrawal) -> Appended | LedgerEvent | None:
        command, by = self._command(), self._command(self._person())
        player, provider = self.players[state.player_id], self.providers[state.provider]
        if self.random.random() < 0.04:
            return cancel_withdrawal(state, by, reason="test")
        match state.status:
            case WithdrawalStatus.REQUESTED:
                return screen_withdrawal(state, command, player=player, policy=DEFAULT_POLICY)
            case WithdrawalStatus.UNDER_REVIEW:
                decide = self.random.choices(
                    [approve_withdrawal, reject_withdrawal, hold_withdrawal, request_information],
                    [8, 1, 1, 1],
                )[0]
                return decide(state, by, note=self.random.choice(_AWKWARD))
            case WithdrawalStatus.INFO_REQUIRED:
                return provide_information(state, by, note="here")
            case WithdrawalStatus.HELD:
                return release_withdrawal(state, by, note="fine")
            case WithdrawalStatus.QUEUED:
                return submit_withdrawal(state, command, player=player, provider=provider)
            case WithdrawalStatus.FAILED if state.reserved:
                return retry_withdrawal(state, command)
            case WithdrawalStatus.REVIEW:
                target = self.random.choice(["paid", "paid", "failed"])
                return resolve_withdrawal(state, by, target=target, note="seen")
            case _:
                return hear_withdrawal(state, command, self._heard(state), provider=provider)

    def _notice_arrives(self) -> LedgerEvent | None:
        state = self._some_transaction()
        if state.reference is None and self.random.random() < 0.95:
            return None
        heard = self._heard(state)
        message_id = str(self._uuid())
        ours = self.random.random() < 0.95
        return ProviderNoticeReceived(
            **self._command().header(notice_stream(state.provider, message_id), 1),
            provider=state.provider,
            message_id=message_id,
            reference=heard.reference if ours else self.random.choice(_AWKWARD),
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

    def _act_on_notice(self) -> Appended | LedgerEvent | None:
        if not self.notices:
            return None
        notice = self.notices.pop(0)
        evidence, stream = evidence_of(notice), notice.reference.partition("-")[0]
        state = self.transactions.get(UUID(stream)) if len(stream) == 32 else None
        if state is None:
            return set_aside(notice, self._command(), "nothing we know")
        if isinstance(state, Deposit):
            return self._hear_deposit(state, evidence)
        provider = self.providers[state.provider]
        return hear_withdrawal(state, self._command(), evidence, provider=provider)

    def _hear_deposit(self, state: Deposit, evidence: Evidence) -> LedgerEvent | None:
        account = accounts.available(state.player_id, state.amount.currency)
        return hear_deposit(
            state,
            self._command(),
            evidence,
            provider=self.providers[state.provider],
            available_minor=self.balances[account],
        )

    def _some_transaction(self) -> Transaction:
        """Mostly one that is open."""
        if not self.open or self.random.random() < 0.03:
            return self._any(self.transactions)
        return self.transactions[self.random.choice(list(self.open)[-40:])]

    # --- ingredients ----------------------------------------------------------------------------

    def _heard(self, state: Transaction) -> Evidence:
        outcome = self.random.choices(list(Outcome), [5, 5, 6, 3, 14, 4, 1, 0.5, 1, 2, 3])[0]
        attempt = state.attempt if isinstance(state, Withdrawal) else 1
        other = self.random.random() < 0.03
        return Evidence(
            source=self.random.choice([Source.ANSWER, Source.POLL]),
            outcome=outcome,
            reference=reference(state.id, max(attempt, 1)),
            amount=Money(state.amount.amount + 1, state.amount.currency) if other else None,
            fee=self.random.choice([None, Money(7, state.amount.currency)]),
            provider_reference=self.random.choice([None, f"psp-ref-{state.id.hex[:6]}"]),
            decline_code=self.random.choice([None, *DeclineCode]),
            redirect_url="https://psp.example/pay",
        )

    def _amount(self) -> Money:
        return Money(self.random.choice(_OPEN_AMOUNTS), self.random.choice(["EUR", "EUR", "JPY"]))

    def _metadata(self) -> dict[str, str]:
        return {
            f"key-{n}": self.random.choice(_AWKWARD)
            for n in range(self.random.choice([0, 0, 1, 2]))
        }

    def _any(self, by_key: Mapping[Any, T]) -> T:
        if not by_key:
            raise DomainError
        return self.random.choice(list(by_key.values()))

    def _person(self) -> str:
        return f"operator:{self.random.choice(_PEOPLE)}"

    def _command(self, actor: str = "system:test") -> Command:
        return Command(now=self.now, actor=actor, command_id=self._uuid(), request_digest="digest")

    def _uuid(self) -> UUID:
        self.uuids += 1
        return UUID(int=self.random.getrandbits(64) << 64 | self.uuids, version=4)


def _reserves(state: Transaction) -> bool:
    return isinstance(state, Withdrawal) and state.reserved


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
