"""A batch: callers who wait for an answer, and what was decided about their appends."""

import threading
from dataclasses import dataclass

from ledger.eventstore.append import Append, Books, Entry, Receipt
from ledger.eventstore.batch_sql import Hashed, View
from ledger.eventstore.errors import AppendError


class Waiting:
    """One caller's append on its way through the writer."""

    __slots__ = ("answer", "append", "deadline", "done", "sent")

    def __init__(self, append: Append, deadline: float) -> None:
        self.append = append
        self.deadline = deadline
        self.sent = False
        """It is on its way to the database: it can no longer be withdrawn."""
        self.answer: Receipt | AppendError | None = None
        self.done = threading.Lock()
        self.done.acquire()

    def settle(self, answer: Receipt | AppendError) -> None:
        self.answer = answer
        self.done.release()


@dataclass(frozen=True, slots=True)
class Decided:
    """A batch, decided: what is to be written, for whom, and who is refused."""

    books: Books
    entries: list[Entry]
    taken: list[tuple[Waiting, int, int, bool, dict[str, int]]]
    """Who; index of the first entry and their number; whether refused; balances reported."""
    refusals: list[tuple[Waiting, AppendError]]

    def waiting(self) -> list[Waiting]:
        """Those whose appends are to be written."""
        return [waiting for waiting, *_ in self.taken]

    def refuse(self) -> None:
        """Tell those who are refused, unless they have been answered."""
        for waiting, error in self.refusals:
            if waiting.answer is None:
                waiting.settle(error)

    def answer(self, hashed: Hashed) -> None:
        """Tell everyone where their events are."""
        for waiting, index, count, refused, balances in self.taken:
            first = hashed.first_position + index
            waiting.settle(
                Receipt(
                    position=first + count - 1,
                    positions=range(first, first + count),
                    leaf=hashed.leaves[index + count - 1],
                    size=hashed.size,
                    root=hashed.root,
                    recorded_at=hashed.recorded_at,
                    refused=refused,
                    balances=balances,
                    leaves=hashed.leaves[index : index + count],
                )
            )


def decide(batch: list[Waiting], view: View) -> Decided:
    """Take each append in turn; one that fails does not disturb its neighbours."""
    books = Books(view.versions, view.balances)
    decided = Decided(books, [], [], [])
    for waiting in batch:
        index = len(decided.entries)
        try:
            taken, refused = books.take(waiting.append, index)
        except AppendError as error:
            decided.refusals.append((waiting, error))
            continue
        balances = {account: books.balance(account) for account in waiting.append.report}
        decided.entries.extend(taken)
        decided.taken.append((waiting, index, len(taken), refused, balances))
    return decided
