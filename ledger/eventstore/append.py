"""One append: what a caller wants written, checked against the state of the ledger in memory.

Pure: the writer reads versions and balances, hands them in, and writes what comes out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from domain.accounts import floor_minor
from ledger.eventstore.errors import (
    BalanceChanged,
    BalanceOutOfRange,
    CeilingPassed,
    FloorPassed,
    VersionConflict,
)

BALANCE_MINOR_MAX = 2**62
"""Half of what a bigint holds: one account's overflow must not fail its neighbours' appends."""


class Entry(NamedTuple):
    """One event, encoded, with what it changes. A tuple, because there are very many."""

    stream: UUID
    version: int
    topic: str
    state: bytes
    changes: tuple[tuple[str, int], ...]
    """Accounts with what it posts to them, in minor units, and counters with what it counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Append:
    """What a caller wants written, all or nothing."""

    entries: Sequence[Entry]
    """At least one."""
    refusal: Sequence[Entry] = ()
    """Written instead where a floor or a ceiling would be passed."""
    unchanged: Mapping[UUID, int] = field(default_factory=dict)
    """Streams the decision looked at, with the version it saw."""
    ceilings: Mapping[str, int] = field(default_factory=dict)
    """Accounts and counters, with the largest balance they may have after the entries."""
    expected: Mapping[str, int] = field(default_factory=dict)
    """Accounts and counters the decision looked at, with the balance it saw."""
    report: Sequence[str] = ()
    """Accounts and counters whose balance after the append the caller wants to know."""

    def __post_init__(self) -> None:
        if not self.entries:
            raise ValueError("an append has at least one event")

    def streams(self) -> set[UUID]:
        """Every stream whose version the check needs."""
        return {e.stream for e in (*self.entries, *self.refusal)} | self.unchanged.keys()

    def accounts(self) -> set[str]:
        """Every account and counter whose balance the check or the answer needs."""
        wanted = {name for e in self.entries for name, _ in e.changes}
        if self.refusal:
            wanted.update(name for e in self.refusal for name, _ in e.changes)
        wanted.update(self.ceilings, self.expected, self.report)
        return wanted

    def add_unknown(
        self,
        versions: Mapping[UUID, int],
        balances: Mapping[str, int],
        streams: set[UUID],
        accounts: set[str],
    ) -> None:
        """Add to `streams` and `accounts` what has to be looked up, of what is not yet known.

        A stream that begins here need not be: the unique index tells if it exists.
        """
        for stream in self.unchanged:
            if stream not in versions:
                streams.add(stream)
        for entry in self.entries:
            if entry.version > 1 and entry.stream not in versions and not self._begins(entry):
                streams.add(entry.stream)
            for account, _ in entry.changes:
                if account not in balances:
                    accounts.add(account)
        for entry in self.refusal:
            for account, _ in entry.changes:
                if account not in balances:
                    accounts.add(account)
        for named in (self.ceilings, self.expected, self.report):
            for account in named:
                if account not in balances:
                    accounts.add(account)

    def _begins(self, later: Entry) -> bool:
        """Whether the stream of a later entry begins with an earlier one."""
        return any(e.stream == later.stream and e.version <= 1 for e in self.entries)


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
    """Of the reported accounts and counters, after the append, in minor units."""
    leaves: Sequence[bytes] = ()
    """Leaf hash of each event of the append; empty where an earlier append is looked up."""


class Books:
    """Versions and balances as a batch changes them, one append after the other.

    What is stored stays as it is; the changes lie over it until the batch is committed.
    """

    def __init__(self, versions: Mapping[UUID, int], balances: Mapping[str, int]) -> None:
        """`versions` and `balances` are as stored: 0 where there is no such stream or account.

        Counters are kept like accounts here, and are meant wherever accounts are spoken of.

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
            VersionConflict, BalanceChanged: what the decision rests on is no longer so.
            FloorPassed, CeilingPassed, BalanceOutOfRange: it would lead where it may not.
                In any case nothing of it is taken, and its neighbours are unharmed.
        """
        self._check_seen(append)
        try:
            self._take(append.entries, first_index, append.ceilings)
        except (FloorPassed, CeilingPassed):
            if not append.refusal:
                raise
            self._take(append.refusal, first_index, {})
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

    def _check_seen(self, append: Append) -> None:
        for stream, version in append.unchanged.items():
            found = self._version(stream) or 0
            if found != version:
                raise VersionConflict(stream, version, found)
        for account, seen in append.expected.items():
            if self.balance(account) != seen:
                raise BalanceChanged(account, seen, self.balance(account))

    def _take(
        self, entries: Sequence[Entry], first_index: int, ceilings: Mapping[str, int]
    ) -> None:
        versions = self._versions_after(entries)
        balances: dict[str, int] = {}
        moved: dict[str, int] = {}
        for index, entry in enumerate(entries, first_index):
            for account, change in entry.changes:
                before = balances.get(account)
                after = (self.balance(account) if before is None else before) + change
                if not -BALANCE_MINOR_MAX <= after <= BALANCE_MINOR_MAX:
                    raise BalanceOutOfRange(account)
                balances[account] = after
                moved[account] = index
            for account, change in entry.changes:
                if change < 0:  # nothing else can take a balance below its floor
                    floor = floor_minor(account)
                    if floor is not None and balances[account] < floor:
                        raise FloorPassed(account)
        for account, ceiling in ceilings.items():
            balance = balances.get(account)
            if (self.balance(account) if balance is None else balance) > ceiling:
                raise CeilingPassed(account, ceiling)
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
