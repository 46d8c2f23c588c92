"""Many commands in one call: drafted one by one, appended together.

Each command runs in the code that it runs in alone, over a ledger that only drafts; then all the
drafts are appended at once. Those whose grounds have changed in between are drafted again, after
what the others wrote, and in the end each alone. All or nothing is in `atomic_batches.py`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final
from uuid import UUID

from domain.errors import DomainError
from domain.events import LedgerEvent
from domain.money import InvalidMoney
from domain.player.player import KeptDay, Player
from domain.provider.provider import Provider
from domain.transactions import Transaction
from ledger.commands.adjustment import AdjustmentCommands
from ledger.commands.conversion import ConversionCommands
from ledger.commands.deposit import DepositCommands
from ledger.commands.handling import NOT_YET, Handling, Made, Written
from ledger.commands.player import PlayerCommands, Wagered
from ledger.commands.port import LedgerPort
from ledger.commands.refund import RefundCommands
from ledger.commands.withdrawal import WithdrawalCommands
from ledger.eventstore.append import Receipt
from ledger.eventstore.errors import (
    AppendError,
    BalanceChanged,
    OutcomeUnknown,
    StoreUnavailable,
    VersionConflict,
)
from ledger.eventstore.ledger import Drafting, Ledger

TOGETHER_MAX: Final = 250
"""Appended at once: so many fit beside those of other callers into the writer's queue."""

ROUNDS_MAX: Final = 4
"""How often what could not be appended is tried together, before each is tried alone."""

REFUSALS: Final = (DomainError, AppendError, InvalidMoney)
"""How a command may end without disturbing the others."""

Outcome = Written | Wagered


@dataclass(frozen=True, slots=True)
class Commands:
    """What a batch may ask for, over one handling."""

    deposits: DepositCommands
    withdrawals: WithdrawalCommands
    refunds: RefundCommands
    conversions: ConversionCommands
    adjustments: AdjustmentCommands
    players: PlayerCommands

    @classmethod
    def over(cls, handling: Handling) -> "Commands":
        return cls(
            DepositCommands(handling),
            WithdrawalCommands(handling),
            RefundCommands(handling),
            ConversionCommands(handling, {}, 0),  # quotes are not asked for in batches
            AdjustmentCommands(handling),
            PlayerCommands(handling),
        )


Ask = Callable[[Commands], Outcome]
"""One command with all that it needs, ready to be run, as often as it takes."""


@dataclass(frozen=True, slots=True)
class _Drafted:
    """A command that has been decided and is to be appended."""

    index: int
    drafting: Drafting
    outcome: Outcome
    """As it will be, if the events are written."""
    made: Made | None
    """The decision behind it; None of a wager, which is no transaction."""

    @property
    def begins(self) -> UUID | None:
        """The stream that begins with it, and that only the same command begins."""
        if self.made is None:
            return self.drafting.events[0].originator_id
        return self.made.transaction_id if self.made.state is None else None


class IndependentBatches:
    """Each command with an outcome of its own."""

    def __init__(self, handling: Handling, ledger: Ledger) -> None:
        """`handling` is over `ledger`."""
        self._handling = handling
        self._ledger = ledger
        self._alone = Commands.over(handling)

    def carry_out(self, asked: Sequence[Ask]) -> list[Outcome | Exception]:
        """What came of each command, in order; an exception of REFUSALS where it was refused.

        Raises:
            QueueFull, StoreUnavailable: there was no room for the first of them; nothing of any
                was written.
        """
        outcomes: list[Outcome | Exception] = [OutcomeUnknown()] * len(asked)
        waiting: Sequence[int] = range(len(asked))
        for _ in range(ROUNDS_MAX):
            waiting = self._together(asked, waiting, outcomes)
            if not waiting:
                break
        for index in waiting:
            outcomes[index] = _attempt(asked[index], self._alone)
        _raise_if_unavailable(outcomes)
        return outcomes

    def _together(
        self, asked: Sequence[Ask], waiting: Sequence[int], outcomes: list[Outcome | Exception]
    ) -> list[int]:
        """Draft and append them; the indexes of those that have to be drafted again."""
        ledger = _DraftingLedger(self._ledger)
        handling = _DraftingHandling(self._handling, ledger)
        commands = Commands.over(handling)
        drafts: list[_Drafted] = []
        again: list[int] = []
        for index in waiting:
            outcome = _attempt(asked[index], commands)
            drafting, made = ledger.taken(), handling.taken()
            if isinstance(outcome, Exception) and drafts:
                again.append(index)  # perhaps only because of those before it
            elif isinstance(outcome, Exception) or drafting is None:
                outcomes[index] = outcome
            else:
                drafts.append(_Drafted(index, drafting, outcome, made))
        again += self._append(asked, drafts, outcomes)
        return sorted(again)

    def _append(
        self,
        asked: Sequence[Ask],
        drafts: Sequence[_Drafted],
        outcomes: list[Outcome | Exception],
    ) -> Iterable[int]:
        again: list[int] = []
        for first in range(0, len(drafts), TOGETHER_MAX):
            chunk = drafts[first : first + TOGETHER_MAX]
            try:
                answers = self._ledger.append_many([drafted.drafting for drafted in chunk])
            except AppendError as error:
                if not any(isinstance(outcome, Outcome) for outcome in outcomes):
                    raise
                answers = [error] * len(chunk)
            for drafted, answer in zip(chunk, answers, strict=True):
                if isinstance(answer, VersionConflict) and answer.stream == drafted.begins:
                    # It was carried out before: its first answer is only looked up.
                    outcomes[drafted.index] = _attempt(asked[drafted.index], self._alone)
                elif isinstance(answer, VersionConflict | BalanceChanged):
                    self._look_again(answer)
                    again.append(drafted.index)
                else:
                    outcomes[drafted.index] = self._outcome(drafted, answer)
        return again

    def _look_again(self, conflict: VersionConflict | BalanceChanged) -> None:
        if isinstance(conflict, VersionConflict):
            self._handling.outdated(conflict.stream)

    def _outcome(self, drafted: _Drafted, answer: Receipt | AppendError) -> Outcome | Exception:
        if isinstance(answer, AppendError):
            return answer
        if drafted.made is not None:
            return self._handling.as_written(drafted.made, answer)
        return with_receipt(drafted.outcome, answer)


def with_receipt(outcome: Outcome, receipt: Receipt) -> Outcome:
    """The outcome of a draft, once it is written."""
    if isinstance(outcome, Wagered):
        return Wagered(event=outcome.event, receipt=receipt, replayed=outcome.replayed)
    return Written(transaction=outcome.transaction, receipt=receipt, replayed=outcome.replayed)


def _raise_if_unavailable(outcomes: Sequence[Outcome | Exception]) -> None:
    """Where nothing could be written, it is the whole call that is to be repeated."""
    first = outcomes[0]
    if isinstance(first, StoreUnavailable) and all(
        isinstance(outcome, StoreUnavailable) for outcome in outcomes
    ):
        raise first


def _attempt(ask: Ask, commands: Commands) -> Outcome | Exception:
    try:
        return ask(commands)
    except REFUSALS as error:
        return error


class _DraftingHandling(Handling):
    """Decides as ever, on what is recorded, and remembers nothing of it."""

    def __init__(self, handling: Handling, ledger: LedgerPort) -> None:
        super().__init__(ledger, handling.now, handling.balances_as_of)
        self._made: Made | None = None
        # Looked up once for all the commands: what they rest on is checked by each append.
        self._providers: dict[str, Provider] = {}
        self._players: dict[UUID, Player] = {}
        self._today: dict[tuple[str, KeptDay | None], date] = {}
        self._read: set[UUID] = set()
        """Transactions that these commands are about: read once is enough for all of them."""

    def provider(self, name: str) -> Provider:
        found = self._providers.get(name)
        if found is None:
            found = self._providers[name] = super().provider(name)
        return found

    def player(self, player_id: UUID) -> Player | None:
        found = self._players.get(player_id)
        if found is None:
            found = super().player(player_id)
            if found is not None:
                self._players[player_id] = found
        return found

    def today(self, player: Player, at: datetime | None = None) -> date:
        if at is not None:
            return super().today(player, at)
        zone = (player.time_zone, player.kept_day)
        found = self._today.get(zone)
        if found is None:
            found = self._today[zone] = super().today(player)
        return found

    def transaction(self, transaction_id: UUID) -> Transaction:
        self._read.add(transaction_id)
        return super().transaction(transaction_id)

    def _was_just_read(self, transaction_id: UUID) -> bool:
        return transaction_id in self._read

    def taken(self) -> Made | None:
        """The decision that was made since the last call."""
        made, self._made = self._made, None
        return made

    def as_written(self, made: Made, receipt: Receipt) -> Written:
        self._made = made
        return Written(transaction=made.after, receipt=receipt, replayed=False)


class _DraftingLedger:
    """Reads from the ledger, and keeps what is to be appended for later."""

    def __init__(self, ledger: Ledger) -> None:
        self._draft: Drafting | None = None
        self.load, self.remembered = ledger.load, ledger.remembered
        self.forget, self.history = ledger.forget, ledger.history
        self.receipt, self.balances = ledger.receipt, ledger.balances
        self.waiting = ledger.waiting

    def taken(self) -> Drafting | None:
        """What was to be appended since the last call."""
        draft, self._draft = self._draft, None
        return draft

    def append(
        self,
        events: Sequence[LedgerEvent],
        *,
        refusal: Sequence[LedgerEvent] = (),
        unchanged: Mapping[UUID, int] | None = None,
        ceilings: Mapping[str, int] | None = None,
        expected: Mapping[str, int] | None = None,
        report: Sequence[str] = (),
    ) -> Receipt:
        self._draft = Drafting(
            events=events,
            refusal=refusal,
            unchanged=unchanged or {},
            ceilings=ceilings or {},
            expected=expected or {},
            report=report,
        )
        return NOT_YET
