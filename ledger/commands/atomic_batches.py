"""Many commands in one call, all or none of them: decided one on the other, appended as one."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import Any, Final, TypeVar, cast
from uuid import UUID

from domain.accounts import floor_minor
from domain.events import DepositBlocked, LedgerEvent, RefundRejected, WithdrawalRejected
from ledger.commands.batches import REFUSALS, Ask, Commands, Outcome, with_receipt
from ledger.commands.errors import AlreadyCarriedOut, BatchRefused, NotCarriedOut, TooContended
from ledger.commands.handling import NOT_YET, Handling, Made, Written
from ledger.eventstore.append import Receipt
from ledger.eventstore.errors import BalanceChanged, CeilingPassed, FloorPassed, VersionConflict
from ledger.eventstore.ledger import Ledger, changes_of

ATTEMPTS_MAX: Final = 16
"""How often a batch is decided anew because others were faster."""

T = TypeVar("T")


@dataclass(slots=True)
class _Step:
    """One command's part of the append."""

    events: list[LedgerEvent] = field(default_factory=list)
    ceilings: dict[str, int] = field(default_factory=dict)
    report: Sequence[str] = ()


class AtomicBatches:
    """All commands of a batch, or none of them."""

    def __init__(self, handling: Handling, ledger: Ledger) -> None:
        """`handling` is over `ledger`."""
        self._handling = handling
        self._ledger = ledger

    def carry_out(self, asked: Sequence[Ask]) -> list[Outcome]:
        """What came of each command, in order; where one is refused, nothing is recorded.

        Business refusals, which are recorded of a command alone, refuse the batch as well. A
        batch that was carried out before is answered as it was then.

        Raises:
            BatchRefused: a command is refused; it says which one, and why.
            TooContended, AppendError: see the ledger; nothing was recorded.
        """
        for attempt in range(ATTEMPTS_MAX):
            together = _Together(self._ledger, careful=attempt > 0)
            try:
                outcomes = self._decide(asked, together)
            except BatchRefused:
                if together.careful:
                    raise
                continue  # what is remembered may be out of date
            if outcomes is None:
                continue
            if not together.events:
                return outcomes
            try:
                receipt = together.append_all()
            except (VersionConflict, BalanceChanged):
                continue
            except (FloorPassed, CeilingPassed) as error:
                raise BatchRefused(together.index_of(error), error) from error
            for stream in {event.originator_id for event in together.events}:
                self._handling.outdated(stream)
            return together.with_receipts(outcomes, receipt)
        raise TooContended

    def _decide(self, asked: Sequence[Ask], together: "_Together") -> list[Outcome] | None:
        """What will come of each, if all is appended; None if it takes a more careful look.

        Raises:
            BatchRefused: a command cannot be carried out.
        """
        commands = Commands.over(_TogetherHandling(self._handling, together))
        outcomes: list[Outcome] = []
        for index, ask in enumerate(asked):
            together.begin_step()
            try:
                outcomes.append(ask(commands))
            except REFUSALS as error:
                raise BatchRefused(index, error) from error
            refusal = _business_refusal(together.steps[-1].events)
            if refusal is not None:
                raise BatchRefused(index, NotCarriedOut(refusal))
        replayed = [index for index, outcome in enumerate(outcomes) if outcome.replayed]
        if replayed and len(replayed) < len(outcomes):
            if not together.careful:
                return None
            raise BatchRefused(replayed[0], AlreadyCarriedOut())
        return outcomes


def _business_refusal(events: Sequence[LedgerEvent]) -> str | None:
    """Why a command that begins something ended in nothing but a record of that."""
    for event in events[1:]:
        if isinstance(event, DepositBlocked | WithdrawalRejected | RefundRejected):
            return event.reason
    return None


class _TogetherHandling(Handling):
    """Decides on what is recorded and on what the commands before have decided."""

    def __init__(self, handling: Handling, ledger: "_Together") -> None:
        super().__init__(ledger, handling.now, handling.balances_as_of)

    def as_written(self, made: Made, receipt: Receipt) -> Written:
        self.outdated(made.transaction_id)
        return Written(transaction=made.after, receipt=receipt, replayed=False)


class _Together:
    """The ledger as it would be after the commands so far; what they append becomes one append."""

    def __init__(self, ledger: Ledger, *, careful: bool) -> None:
        """`careful`: nothing remembered is relied on, and what begins is first looked up."""
        self._ledger = ledger
        self.careful = careful
        self.events: list[LedgerEvent] = []
        self.steps: list[_Step] = []
        self._by_stream: dict[UUID, list[LedgerEvent]] = {}
        self._states: dict[tuple[UUID, object], tuple[Any, int]] = {}
        """By stream and what folds it: the state, and how many events of this batch are in it."""
        self._recorded: dict[str, int] = {}
        """Balances as recorded, looked up once."""
        self._changes: dict[str, int] = {}
        """What the commands so far change of them."""
        self._unchanged: dict[UUID, int] = {}
        self._expected: dict[str, int] = {}

    def begin_step(self) -> None:
        """What follows is of the next command."""
        self.steps.append(_Step())

    # --- what commands use ----------------------------------------------------------------------

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
        for stream, version in (unchanged or {}).items():
            self._check_version(stream, version, self._unchanged.setdefault)
        for event in events:
            stream, version = event.originator_id, event.originator_version
            if self._by_stream.get(stream):
                self._check_version(stream, version - 1, None)
            elif self.careful and version <= 1 and (there := self._ledger.history(stream)):
                raise VersionConflict(stream, 0, len(there))
        for account, seen in (expected or {}).items():
            self._expected.setdefault(account, seen - self._changes.get(account, 0))
        step = self.steps[-1]
        step.events += events
        step.ceilings |= ceilings or {}
        step.report = report
        for event in events:
            self.events.append(event)
            self._by_stream.setdefault(event.originator_id, []).append(event)
            for account, change in changes_of(event):
                self._changes[account] = self._changes.get(account, 0) + change
        return NOT_YET

    def _check_version(
        self, stream: UUID, version: int, note: Callable[[UUID, int], int] | None
    ) -> None:
        """Raises VersionConflict: a command of this batch has gone on from there."""
        pending = self._by_stream.get(stream)
        found = pending[-1].originator_version if pending else version
        if not pending and note is not None:
            found = note(stream, version)
        if found != version:
            raise VersionConflict(stream, version, found)

    def load(self, stream: UUID, project: Callable[[Any, Iterable[Any]], T]) -> T | None:
        return self._seen(stream, project, self._ledger.load)

    def remembered(self, stream: UUID, project: Callable[[Any, Iterable[Any]], T]) -> T | None:
        if self.careful and (stream, project) not in self._states:
            self._ledger.forget(stream)
        return self._seen(stream, project, self._ledger.remembered)

    def _seen(
        self,
        stream: UUID,
        project: Callable[[Any, Iterable[Any]], T],
        look: Callable[[UUID, Any], Any],
    ) -> T | None:
        """The state as recorded when first looked at, and after what this batch adds.

        Each event is folded once: a thousand commands may be about one transaction.
        """
        pending = self._by_stream.get(stream, [])
        known = self._states.get((stream, project))
        if known is None:
            begun_here = bool(pending) and pending[0].originator_version <= 1
            known = (None if begun_here else look(stream, project)), 0
        state, folded = known
        if folded < len(pending):
            state = project(state, pending[folded:])
        self._states[stream, project] = state, len(pending)
        return cast("T | None", state)

    def forget(self, stream: UUID) -> None:
        """What this batch adds is always seen, and what is recorded is looked at once."""

    def history(self, stream: UUID) -> list[LedgerEvent]:
        return [*self._ledger.history(stream), *self._by_stream.get(stream, [])]

    def receipt(self, stream: UUID, version: int) -> Receipt:
        pending = any(e.originator_version == version for e in self._by_stream.get(stream, []))
        return NOT_YET if pending else self._ledger.receipt(stream, version)

    def balances(self, accounts: Sequence[str]) -> dict[str, int]:
        unknown = [account for account in accounts if account not in self._recorded]
        if unknown:
            self._recorded |= self._ledger.balances(unknown)
        return {a: self._recorded[a] + self._changes.get(a, 0) for a in accounts}

    def waiting(self) -> int:
        return self._ledger.waiting()

    # --- what becomes of it ---------------------------------------------------------------------

    def append_all(self) -> Receipt:
        """Write it all.

        Raises:
            AppendError: nothing was written.
        """
        ceilings: dict[str, int] = {}
        for step in self.steps:
            for counter, ceiling in step.ceilings.items():
                ceilings[counter] = min(ceiling, ceilings.get(counter, ceiling))
        report = dict.fromkeys(account for step in self.steps for account in step.report)
        return self._ledger.append(
            self.events,
            unchanged=self._unchanged,
            ceilings=ceilings,
            expected=self._expected,
            report=list(report),
        )

    def index_of(self, error: FloorPassed | CeilingPassed) -> int:
        """The command that leads where it may not: the first, as the balances are now."""
        balance = self._ledger.balances([error.account])[error.account]
        last = 0
        for index, step in enumerate(self.steps):
            for event in step.events:
                change = sum(by for account, by in changes_of(event) if account == error.account)
                balance += change
                last = index if change else last
                floor = floor_minor(error.account)
                if change < 0 and floor is not None and balance < floor:
                    return index
            if balance > step.ceilings.get(error.account, balance):
                return index
        return last

    def with_receipts(self, outcomes: Sequence[Outcome], receipt: Receipt) -> list[Outcome]:
        """Each with its own place in the log, and the balances there."""
        last = len(self.events) - 1
        ends = list(accumulate((len(step.events) for step in self.steps), initial=-1))[1:]
        balances = dict(receipt.balances)
        finished: list[Outcome] = []
        for outcome, step, end in reversed(list(zip(outcomes, self.steps, ends, strict=True))):
            while last > end:
                for account, change in changes_of(self.events[last]):
                    if account in balances:
                        balances[account] -= change
                last -= 1
            own = replace(
                receipt,
                position=receipt.positions[end],
                positions=(receipt.positions[end],),
                leaf=receipt.leaves[end],
                balances={account: balances[account] for account in step.report},
            )
            finished.append(with_receipt(outcome, own))
        return finished[::-1]
