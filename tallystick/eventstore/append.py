"""One append: what a caller wants written, checked against the state of the ledger in memory.

Pure: the writer reads versions and balances, hands them in, and writes what comes out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from domain.accounts import floor_minor
from domain.postings import Posting
from tallystick.eventstore.errors import BalanceOutOfRange, FloorPassed, VersionConflict

BALANCE_MINOR_MAX = 2**62
"""Half of what a bigint holds: one account's overflow must not fail its neighbours' appends."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One event, encoded, with what it posts."""

    stream: UUID
    version: int
    topic: str
    state: bytes
    postings: tuple[Posting, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Append:
    """What a caller wants written, all or nothing."""

    entries: Sequence[Entry]
    refusal: Sequence[Entry] = ()
    """Written instead where a floor would be passed."""
    unchanged: Mapping[UUID, int] = field(default_factory=dict)
    """Streams the decision looked at, with the version it saw."""
    report: Sequence[str] = ()
    """Accounts whose balance after the append the caller wants to know."""

    def streams(self) -> set[UUID]:
        """Every stream whose version the check needs."""
        return {e.stream for e in (*self.entries, *self.refusal)} | self.unchanged.keys()

    def continued(self) -> set[UUID]:
        """Streams that have to exist: looked at by the decision, or not begun by this append."""
        begun: set[UUID] = set()
        continued = set(self.unchanged)
        for entry in self.entries:
            if entry.version <= 1:
                begun.add(entry.stream)
            elif entry.stream not in begun:
                continued.add(entry.stream)
        return continued

    def accounts(self) -> set[str]:
        """Every account whose balance the check or the answer needs."""
        posted = {p.account for e in (*self.entries, *self.refusal) for p in e.postings}
        return posted | set(self.report)


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """Proof of what was written, and where."""

    position: int
    """Of the last event of the append."""
    positions: Sequence[int]
    leaf: bytes
    """Leaf hash of the event at `position`."""
    size: int
    """Of the tree after the batch the append was part of."""
    root: bytes
    recorded_at: datetime
    refused: bool
    """The refusal was written instead."""
    balances: Mapping[str, int]
    """Of the reported accounts, after the append, in minor units."""


class Books:
    """Versions and balances as a batch changes them, one append after the other.

    What is stored stays as it is; the changes lie over it until the batch is committed.
    """

    def __init__(self, versions: Mapping[UUID, int], balances: Mapping[str, int]) -> None:
        """`versions` and `balances` are as stored: 0 where there is no such stream or account.

        A stream that is not in `versions` does not exist, or nobody has looked: that it begins
        here is taken on trust, and the unique index has the last word.
        """
        self._stored_versions = versions
        self._stored_balances = balances
        self.versions: dict[UUID, int] = {}
        """Of the streams that have changed."""
        self.balances: dict[str, int] = {}
        """Of the accounts that have moved, in minor units."""
        self.moved: dict[str, int] = {}
        """Index, within the batch, of the event that last moved each account."""

    def take(self, append: Append, first_index: int) -> tuple[Sequence[Entry], bool]:
        """What to write for this append, and whether that is its refusal.

        Raises:
            VersionConflict, FloorPassed, BalanceOutOfRange: nothing of it is taken, and its
                neighbours are unharmed.
        """
        for stream, version in append.unchanged.items():
            if (self._version(stream) or 0) != version:
                raise VersionConflict(stream, version, self._version(stream) or 0)
        try:
            self._take(append.entries, first_index)
        except FloorPassed:
            if not append.refusal:
                raise
            self._take(append.refusal, first_index)
            return append.refusal, True
        return append.entries, False

    def balance(self, account: str) -> int:
        """The balance now, in minor units."""
        balance = self.balances.get(account)
        return self._stored_balances.get(account, 0) if balance is None else balance

    def _version(self, stream: UUID) -> int | None:
        """The version now; None where there is no such stream, or nobody has looked."""
        version = self.versions.get(stream)
        return self._stored_versions.get(stream) or None if version is None else version

    def _take(self, entries: Sequence[Entry], first_index: int) -> None:
        versions = self._versions_after(entries)
        balances: dict[str, int] = {}
        moved: dict[str, int] = {}
        for index, entry in enumerate(entries, first_index):
            for posting in entry.postings:
                account = posting.account
                before = balances.get(account)
                if before is None:
                    before = self.balance(account)
                after = before + posting.amount_minor
                if not -BALANCE_MINOR_MAX <= after <= BALANCE_MINOR_MAX:
                    raise BalanceOutOfRange(account)
                balances[account] = after
                moved[account] = index
            for posting in entry.postings:
                floor = floor_minor(posting.account)
                if floor is not None and balances[posting.account] < floor:
                    raise FloorPassed(posting.account)
        self.versions.update(versions)
        self.balances.update(balances)
        self.moved.update(moved)

    def _versions_after(self, entries: Sequence[Entry]) -> dict[UUID, int]:
        versions: dict[UUID, int] = {}
        for entry in entries:
            stream = entry.stream
            current = versions.get(stream)
            if current is None:
                current = self._version(stream)
            follows = (0, 1) if current is None else (current + 1,)
            if entry.version not in follows:
                raise VersionConflict(stream, entry.version - 1, current or 0)
            versions[stream] = entry.version
        return versions
