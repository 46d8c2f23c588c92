"""Load, decide, append: the loop that every command runs in.

Decisions are made on what is known, and the append checks that it still held: a stream that
changed in between makes the loop load and decide again, a bounded number of times. What changes
rarely (players, providers) is kept in memory and guarded the same way, so that the usual command
costs one append and no reads.
"""

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from typing import TypeVar, cast
from uuid import NAMESPACE_URL, UUID, uuid5

import msgspec
from eventsourcing.application import LRUCache

from domain import accounts
from domain.commands import Command, repeated
from domain.errors import DomainError
from domain.events import LedgerEvent, PlayerEvent, PlayerRegistered
from domain.player import Player, fold_player
from domain.provider import Provider, fold_provider, provider_stream
from domain.transactions import Transaction, evolve_transaction, project_transaction
from tallystick.commands.errors import (
    PlayerNotFound,
    ProviderNotFound,
    TooContended,
    TransactionNotFound,
    VersionChanged,
)
from tallystick.eventstore.append import Receipt
from tallystick.eventstore.errors import FloorPassed, VersionConflict
from tallystick.eventstore.ledger import Ledger

DECISIONS_MAX = 12
"""How often a command decides anew because others were faster."""

TRANSACTIONS_REMEMBERED_MAX = 10_000

_NAMESPACE = uuid5(NAMESPACE_URL, "urn:tallystick:command")
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
    expected_version: int | None = None
    """From If-Match: the command is refused if the transaction has moved on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """How a command ended: the transaction as the command left it, and the receipt."""

    transaction: Transaction
    receipt: Receipt
    replayed: bool
    """The same command had been carried out before; this is its first answer again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drafted:
    """What a decision wants appended."""

    events: Sequence[LedgerEvent]
    refusal: Sequence[LedgerEvent] = ()
    unchanged: Mapping[UUID, int] | None = None

    @classmethod
    def of(cls, decided: LedgerEvent | Sequence[LedgerEvent] | None) -> "Drafted | None":
        """What a decision returned; None where there is nothing to do."""
        if not decided:
            return None
        return cls(events=decided if isinstance(decided, Sequence) else (decided,))


def command_id(caller: Caller, operation: str) -> UUID:
    """The same caller, operation and key always give the same id; it never expires."""
    return uuid5(_NAMESPACE, f"{caller.actor}\n{operation}\n{caller.idempotency_key}")


def digest(request: object) -> str:
    """SHA-256 of a request: tells a repeat from another request under the same key."""
    return sha256(_digest_encoder.encode(request)).hexdigest()


class Handling:
    """What the commands share: the ledger, the clock, and the loop."""

    def __init__(self, ledger: Ledger, clock: Clock, balances_as_of: BalancesAsOf) -> None:
        """`balances_as_of(accounts, position)` gives balances in minor units at a position."""
        self.ledger = ledger
        self._clock = clock
        self._balances_as_of = balances_as_of
        self._left: LRUCache[UUID, Transaction] = LRUCache(maxsize=TRANSACTIONS_REMEMBERED_MAX)
        """Transactions as this process left them: decided on first, and read if that fails."""

    def command(self, caller: Caller, operation: str, request: object) -> Command:
        """The circumstances of a decision, now."""
        return Command(
            now=self._clock(),
            actor=caller.actor,
            command_id=command_id(caller, operation),
            request_digest=digest(request),
        )

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
            drafted = draft()
            try:
                return self._append(None, transaction_id, drafted)
            except VersionConflict as conflict:
                if conflict.stream == transaction_id:
                    return self.replay(transaction_id, command)
                self.ledger.forget(conflict.stream)
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
        receipt = self.ledger.receipt(transaction_id, left.version)
        balances = self._balances_as_of(accounts_of(left), receipt.position)
        return Written(transaction=left, receipt=replace(receipt, balances=balances), replayed=True)

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
            try:
                drafted = decide(state)
                if drafted is None:
                    return None
                _refuse_other_version(state, expected_version)
                return self._append(state, transaction_id, drafted)
            except VersionConflict as conflict:
                self.ledger.forget(conflict.stream)
            except FloorPassed:
                pass  # the decision looked at a balance that has changed since
            except DomainError:
                if remembered is None:
                    raise
            # Whatever it was, it may have rested on what is out of date: look again.
            self._forget(transaction_id)
        raise TooContended

    def _remembered(self, transaction_id: UUID) -> Transaction | None:
        """The transaction as this process left it; another one may have moved it on."""
        try:
            return self._left.get(transaction_id)
        except KeyError:
            return None

    def _forget(self, transaction_id: UUID) -> None:
        with contextlib.suppress(KeyError):
            self._left.get(transaction_id, evict=True)

    def _append(self, state: Transaction | None, transaction_id: UUID, drafted: Drafted) -> Written:
        """Append, and say what the transaction then is."""
        after = _evolved(state, transaction_id, drafted.events)
        receipt = self.ledger.append(
            drafted.events,
            refusal=drafted.refusal,
            unchanged=drafted.unchanged,
            report=accounts_of(after),
        )
        if receipt.refused:
            after = _evolved(state, transaction_id, drafted.refusal)
        self._left.put(transaction_id, after)
        return Written(transaction=after, receipt=receipt, replayed=False)


def _only(kind: type[T]) -> Callable[[Transaction], T]:
    """Takes transactions of one kind; any other does not exist, as far as the caller knows."""

    def of_kind(transaction: Transaction) -> T:
        if not isinstance(transaction, kind):
            raise TransactionNotFound(transaction.id)
        return transaction

    return of_kind


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


def accounts_of(transaction: Transaction) -> tuple[str, str]:
    """The player's accounts that a transaction moves."""
    player_id, currency = transaction.player_id, transaction.amount.currency
    return accounts.available(player_id, currency), accounts.reserved(player_id, currency)


def _evolved(
    state: Transaction | None, transaction_id: UUID, events: Sequence[LedgerEvent]
) -> Transaction:
    for event in events:
        if event.originator_id == transaction_id:
            state = evolve_transaction(state, event)
    if state is None:
        raise ValueError(f"no event begins the transaction {transaction_id}")
    return state
