"""Load, decide, append: the loop that every command runs in.

Decisions are made on what is known, and the append checks that it still held: a stream that
changed in between makes the loop load and decide again, a bounded number of times. What changes
rarely (players, providers) is kept in memory and guarded the same way, so that the usual command
costs one append and no reads.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from hashlib import sha1, sha256
from typing import TypeVar, cast
from uuid import NAMESPACE_URL, UUID, uuid5

import msgspec

from domain.command import Command, repeated
from domain.deposit.state import Deposit
from domain.dispute.decisions import Dispute
from domain.errors import DomainError
from domain.events import LedgerEvent, PlayerEvent, PlayerRegistered
from domain.player.calendar import today_of
from domain.player.player import Player, fold_player
from domain.provider.provider import Provider, fold_provider, provider_stream
from domain.refund.decisions import Refund
from domain.transactions import (
    Transaction,
    accounts_of,
    evolve_transaction,
    project_transaction,
)
from ledger.commands.errors import (
    PlayerNotFound,
    ProviderNotFound,
    TooContended,
    TransactionNotFound,
    VersionChanged,
)
from ledger.commands.port import LedgerPort
from ledger.eventstore.append import Receipt
from ledger.eventstore.errors import BalanceChanged, FloorPassed, VersionConflict
from ledger.eventstore.remembered import Remembered

DECISIONS_MAX = 64
"""How often a command decides anew because others were faster; each time, one of them got on."""

TRANSACTIONS_REMEMBERED_MAX = 10_000

_NAMESPACE = uuid5(NAMESPACE_URL, "urn:tallystick:command")
_NAMESPACE_BYTES = _NAMESPACE.bytes
_UUID_MASK = ~((0xF << 76) | (0x3 << 62))
_UUID_VERSION_5 = (0x5 << 76) | (0x2 << 62)
"""Source: RFC 9562, section 5.5: what `uuid5` does, in half of its time."""

_digest_encoder = msgspec.json.Encoder(order="sorted")

Clock = Callable[[], datetime]
BalancesAsOf = Callable[[Sequence[str], int], Mapping[str, int]]
T = TypeVar("T", bound=Transaction)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who gives a command, and the key under which it may be repeated."""

    actor: str
    """`operator:<person>` or `system:<job>`."""
    idempotency_key: str
    role: str = ""
    """Of the person's, in which they act; empty for machines."""
    expected_version: int | None = None
    """From If-Match: the command is refused if the transaction has moved on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """How a command ended: the transaction as the command left it, and the receipt."""

    transaction: Transaction
    receipt: Receipt
    replayed: bool
    """The same command had been carried out before; this is its first answer again."""
    events: Sequence[LedgerEvent] = ()
    """What the command appended, where it did so by itself and now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drafted:
    """What a decision wants appended."""

    events: Sequence[LedgerEvent]
    refusal: Sequence[LedgerEvent] = ()
    """Appended instead where a floor or a ceiling would be passed."""
    unchanged: Mapping[UUID, int] | None = None
    """Streams the decision looked at, with the version it saw."""
    ceilings: Mapping[str, int] | None = None
    """Counters, with the largest value they may have afterwards."""
    expected: Mapping[str, int] | None = None
    """Counters the decision looked at, with the value it saw."""

    @classmethod
    def of(cls, decided: LedgerEvent | Sequence[LedgerEvent] | None) -> "Drafted | None":
        """What a decision returned; None where there is nothing to do."""
        if not decided:
            return None
        return cls(events=decided if isinstance(decided, Sequence) else (decided,))


NOT_YET = Receipt(
    position=0,
    positions=(),
    leaf=b"",
    size=0,
    root=b"",
    recorded_at=datetime.min.replace(tzinfo=UTC),
    refused=False,
    balances={},
)
"""The receipt of what has only been drafted."""


@dataclass(frozen=True, slots=True)
class Made:
    """A decision about a transaction, and what the transaction is if that is taken."""

    state: Transaction | None
    """Before it."""
    transaction_id: UUID
    drafted: Drafted
    after: Transaction


def command_id(caller: Caller, operation: str) -> UUID:
    """The same caller, operation and key always give the same id; it never expires."""
    name = f"{caller.actor}\n{operation}\n{caller.idempotency_key}"
    named = sha1(_NAMESPACE_BYTES + name.encode(), usedforsecurity=False).digest()
    return UUID(int=int.from_bytes(named[:16], "big") & _UUID_MASK | _UUID_VERSION_5)


def digest(request: object) -> str:
    """SHA-256 of a request: tells a repeat from another request under the same key."""
    return sha256(_digest_encoder.encode(request)).hexdigest()


class Handling:
    """What the commands share: the ledger, the clock, and the loop."""

    def __init__(self, ledger: LedgerPort, clock: Clock, balances_as_of: BalancesAsOf) -> None:
        """`balances_as_of(accounts, position)` gives balances in minor units at a position."""
        self.ledger = ledger
        self._clock = clock
        self.balances_as_of = balances_as_of
        self._left: Remembered[Transaction] = Remembered(TRANSACTIONS_REMEMBERED_MAX)
        """Transactions as this process left them: decided on first, and read if that fails."""

    def command(self, caller: Caller, operation: str, request: object) -> Command:
        """The circumstances of a decision, now."""
        return Command(
            now=self._clock(),
            actor=caller.actor,
            command_id=command_id(caller, operation),
            request_digest=digest(request),
            role=caller.role,
        )

    def now(self) -> datetime:
        """The time, UTC."""
        return self._clock()

    def unattended(self, actor: str, stream: UUID, version: int) -> Command:
        """The circumstances of a decision that nobody asked for, about a stream at `version`."""
        return Command(
            now=self._clock(),
            actor=actor,
            command_id=uuid5(stream, f"{actor}:{version}"),
            request_digest="",
        )

    def create(
        self, transaction_id: UUID, command: Command, draft: Callable[[], Drafted]
    ) -> Written:
        """Begin a transaction's stream; where it exists, the first answer again.

        Raises:
            CommandReused: it exists, begun by a different request.
            AppendError: see the ledger.
        """
        for _ in range(DECISIONS_MAX):
            try:
                return self._append(None, transaction_id, draft())
            except VersionConflict as conflict:
                if conflict.stream == transaction_id:
                    return self.replay(transaction_id, command)
                self.outdated(conflict.stream)
            except BalanceChanged:
                pass  # read again, and decide anew
            except DomainError:
                # It may be refused now because it has been carried out already.
                if self.ledger.history(transaction_id):
                    return self.replay(transaction_id, command)
                raise
        raise TooContended

    def change(
        self, transaction_id: UUID, kind: type[T], decide: Callable[[T], Drafted | None]
    ) -> Written | None:
        """Decide about a transaction of that kind; None where there is nothing to do.

        Raises:
            TransactionNotFound: there is none of that kind under this id.
            DomainError: the decision refuses.
            AppendError: see the ledger.
        """
        return self._change(transaction_id, _only(kind), decide)

    def change_any(
        self, transaction_id: UUID, decide: Callable[[Transaction], Drafted | None]
    ) -> Written | None:
        """`change`, whatever kind of transaction it is."""
        return self._change(transaction_id, lambda transaction: transaction, decide)

    def change_by(
        self,
        transaction_id: UUID,
        kind: type[T],
        decide: Callable[[T], Drafted | None],
        command: Command,
        caller: Caller,
    ) -> Written:
        """`change` for a caller: nothing to do means that the command was carried out before,
        and the answer it got then is given again."""
        written = self._change(transaction_id, _only(kind), decide, caller.expected_version)
        return written or self.replay(transaction_id, command)

    def begin_or_change(
        self, transaction_id: UUID, decide: Callable[[Transaction | None], Drafted | None]
    ) -> Written | None:
        """`change_any`, where what is decided may also begin the transaction."""
        for _ in range(DECISIONS_MAX):
            state = self.ledger.load(transaction_id, project_transaction)
            drafted = decide(state)
            if drafted is None:
                return None
            try:
                return self._append(state, transaction_id, drafted)
            except VersionConflict as conflict:
                self.outdated(conflict.stream)
        raise TooContended

    def replay(self, transaction_id: UUID, command: Command) -> Written:
        """The answer that was given when this command was first carried out.

        Raises:
            CommandReused: it was a different request.
        """
        state: Transaction | None = None
        left: Transaction | None = None
        for event in self.ledger.history(transaction_id):
            state = evolve_transaction(state, event)
            if event.command_id == command.command_id:
                left = state
        if left is None or not repeated(left.commands, command):
            raise TransactionNotFound(transaction_id)
        receipt = self._receipt(left, command)
        balances = self.balances_as_of(accounts_of(left), receipt.position)
        return Written(transaction=left, receipt=replace(receipt, balances=balances), replayed=True)

    def _receipt(self, left: Transaction, command: Command) -> Receipt:
        """The receipt of the append that the command led to: that of its last event, which may
        be on another stream than the transaction's.

        There it follows at once. What does not is of the same key, used for something else.
        """
        beside = [
            self.ledger.receipt(stream, event.originator_version)
            for stream in _beside(left)
            for event in self.ledger.history(stream)
            if event.command_id == command.command_id
        ]
        last = self.ledger.receipt(left.id, left.version)
        for receipt in sorted(beside, key=lambda receipt: receipt.position):
            if receipt.position == last.position + 1:
                last = receipt
        return last

    def transaction(self, transaction_id: UUID) -> Transaction:
        """The transaction as it is now.

        Raises:
            TransactionNotFound: there is none under this id.
        """
        state = self.ledger.load(transaction_id, project_transaction)
        if state is None:
            raise TransactionNotFound(transaction_id)
        self._left.put(transaction_id, state)
        return state

    def known(self, transaction_id: UUID) -> Transaction:
        """The transaction as this process left it, or as it is now: for what never changes.

        Raises:
            TransactionNotFound: there is none under this id.
        """
        return self._remembered(transaction_id) or self.transaction(transaction_id)

    def player(self, player_id: UUID) -> Player | None:
        """The player as last read; name its version where a decision rests on it.

        Raises:
            PlayerNotFound: something else has this id.
        """
        return self.ledger.remembered(player_id, project_player)

    def known_player(self, player_id: UUID) -> Player:
        """The player as last read; name its version where a decision rests on it.

        Raises:
            PlayerNotFound: there is none under this id.
        """
        player = self.player(player_id)
        if player is None:
            raise PlayerNotFound(player_id)
        return player

    def deposit(self, deposit_id: UUID) -> Deposit:
        """The deposit as it is now: what goes back to a player rests on it.

        Raises:
            TransactionNotFound: there is no deposit under this id.
        """
        return _only(Deposit)(self.transaction(deposit_id))

    def today(self, player: Player, at: datetime | None = None) -> date:
        """The date that the player's deposits count on, now or at another moment."""
        return today_of(player, at or self._clock())

    def provider(self, name: str) -> Provider:
        """The provider as last read; name its version where a decision rests on it.

        Raises:
            ProviderNotFound: nobody registered one under that name.
        """
        provider = self.ledger.remembered(provider_stream(name), fold_provider)
        if provider is None:
            raise ProviderNotFound(name)
        return provider

    def _change(
        self,
        transaction_id: UUID,
        of_kind: Callable[[Transaction], T],
        decide: Callable[[T], Drafted | None],
        expected_version: int | None = None,
    ) -> Written | None:
        for _ in range(DECISIONS_MAX):
            remembered = self._remembered(transaction_id)
            state = of_kind(remembered or self.transaction(transaction_id))
            fresh = remembered is None or self._was_just_read(transaction_id)
            try:
                drafted = decide(state)
                if drafted is not None:
                    _refuse_other_version(state, expected_version)
                    return self._append(state, transaction_id, drafted)
                if fresh:
                    return None
            except VersionConflict as conflict:
                self.outdated(conflict.stream)
            except (FloorPassed, BalanceChanged):
                pass  # the decision looked at a balance that has changed since
            except DomainError:
                if fresh:
                    raise
            # Whatever it was, it may have rested on what is out of date: look again.
            self._forget(transaction_id)
        raise TooContended

    def _remembered(self, transaction_id: UUID) -> Transaction | None:
        """The transaction as this process left it; another one may have moved it on."""
        return self._left.get(transaction_id)

    def _was_just_read(self, _transaction_id: UUID) -> bool:
        """What is remembered is as good as read again."""
        return False

    def outdated(self, stream: UUID) -> None:
        """What is remembered of a stream, whatever it tells of, is to be read again."""
        self.ledger.forget(stream)
        self._forget(stream)

    def _forget(self, transaction_id: UUID) -> None:
        self._left.forget(transaction_id)

    def _append(self, state: Transaction | None, transaction_id: UUID, drafted: Drafted) -> Written:
        """Append, and say what the transaction then is."""
        made = Made(state, transaction_id, drafted, _evolved(state, transaction_id, drafted.events))
        receipt = self.ledger.append(
            drafted.events,
            refusal=drafted.refusal,
            unchanged=drafted.unchanged,
            ceilings=drafted.ceilings,
            expected=drafted.expected,
            report=accounts_of(made.after),
        )
        return self.as_written(made, receipt)

    def as_written(self, made: Made, receipt: Receipt) -> Written:
        """The transaction as an append has left it; other streams it went on are read anew."""
        transaction_id, after, events = made.transaction_id, made.after, made.drafted.events
        if receipt.refused:
            events = made.drafted.refusal
            after = _evolved(made.state, transaction_id, events)
        for event in events:
            if event.originator_id != transaction_id:
                self.outdated(event.originator_id)
        self._left.put(transaction_id, after)
        return Written(transaction=after, receipt=receipt, replayed=False, events=events)


def _only(kind: type[T]) -> Callable[[Transaction], T]:
    """Takes transactions of one kind; any other does not exist, as far as the caller knows."""

    def of_kind(transaction: Transaction) -> T:
        if not isinstance(transaction, kind):
            raise TransactionNotFound(transaction.id)
        return transaction

    return of_kind


def _beside(transaction: Transaction) -> tuple[UUID, ...]:
    """Other streams that a command about this transaction may append to."""
    match transaction:
        case Refund() | Dispute():
            return (transaction.deposit_id,)
        case Deposit():
            return (transaction.player_id,)
        case _:
            return ()


def _refuse_other_version(state: Transaction, expected_version: int | None) -> None:
    if expected_version is not None and state.version != expected_version:
        raise VersionChanged(
            f"It is at version {state.version}, not {expected_version}; read it again."
        )


def project_player(state: Player | None, events: Iterable[LedgerEvent]) -> Player | None:
    """The player a stream tells of.

    Raises:
        PlayerNotFound: it tells of something else; callers choose the ids of players.
    """
    story = list(events)
    if state is None and story and not isinstance(story[0], PlayerRegistered):
        raise PlayerNotFound(story[0].originator_id)
    return fold_player(state, cast("list[PlayerEvent]", story))


def _evolved(
    state: Transaction | None, transaction_id: UUID, events: Sequence[LedgerEvent]
) -> Transaction:
    for event in events:
        if event.originator_id == transaction_id:
            state = evolve_transaction(state, event)
    if state is None:
        raise ValueError(f"no event begins the transaction {transaction_id}")
    return state
