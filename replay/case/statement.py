"""What a case claims: its streams, the balances it leads to, where each transaction stands."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from domain.events import LedgerEvent
from domain.postings import postings
from domain.transactions import Transaction, evolve_transaction, kind_of
from ledger.checkpoints.checkpoint import Checkpoint
from ledger.eventstore.codec import TOPICS
from replay.case.members import Case


class Statement:
    """Folds the events of a case, in the order of the log."""

    def __init__(self, case: Case) -> None:
        """Nothing has been taken yet."""
        self._case = case
        self._streams: dict[UUID, dict[str, Any]] = {}
        self._transactions: dict[UUID, Transaction] = {}
        self._moved: dict[str, int] = {}
        """By account: the position of the event that moved it last."""
        self.balances: dict[str, int] = {}
        self.events = self.first = self.last = 0

    @property
    def moved_at(self) -> Mapping[str, int]:
        """By account: the position of the event that moved it last."""
        return self._moved

    @property
    def transactions(self) -> list[UUID]:
        """In the order in which they began."""
        return list(self._transactions)

    @property
    def others(self) -> Mapping[UUID, Mapping[str, Any]]:
        """The streams that are not transactions."""
        return {s: said for s, said in self._streams.items() if s not in self._transactions}

    def take(self, position: int, event: LedgerEvent) -> None:
        """The next event."""
        stream = event.originator_id
        begun = {"stream": str(stream), "begins_with": TOPICS[type(event)]}
        self._streams.setdefault(stream, begun)["last_version"] = event.originator_version
        after = evolve_transaction(self._transactions.get(stream), event)
        if after is not None:
            self._transactions[stream] = after
        for posting in postings(event):
            if posting.account.startswith(self._case.accounts):
                balance = self.balances.get(posting.account, 0)
                self.balances[posting.account] = balance + posting.amount_minor
                self._moved[posting.account] = position
        self.events += 1
        self.first, self.last = self.first or position, position

    def claims(self, checkpoint: Checkpoint, as_of: int) -> dict[str, Any]:
        """What statement.json says."""
        return {
            "as_of": as_of,
            "balances": [
                {"account": account, "closing_minor": self.balances[account], "opening_minor": 0}
                for account in sorted(self.balances)
            ],
            "case": {"id": str(self._case.id), "kind": self._case.kind.value},
            "checkpoint": {
                "origin": checkpoint.origin,
                "root": checkpoint.root.hex(),
                "size": checkpoint.size,
            },
            "events": self.events,
            "first_position": self.first,
            "last_position": self.last,
            "streams": list(self._streams.values()),
            "transactions": [
                {"id": str(stream), "kind": kind_of(state), "status": str(state.status)}
                for stream, state in self._transactions.items()
            ],
        }
