"""The part `books`: does every event mean what the accounts say, and never below a floor?"""

from collections import Counter

from psycopg import Connection
from psycopg.rows import TupleRow

from domain.accounts import currency_of, floor_minor
from domain.counters import counts
from domain.events import LedgerEvent
from domain.postings import postings
from ledger.eventstore.codec import encode
from replay.log import Raw
from replay.spill import Spilled
from replay.verify.findings import BOOKS, Findings

HOT_ACCOUNTS = 200_000

_ACCOUNTS = "SELECT account, balance, floor, position FROM ledger_accounts"


class Books:
    """Balances of accounts, and of counters beside them, as the log says."""

    def __init__(self) -> None:
        self.findings = Findings(BOOKS)
        self._balances: Spilled[str, tuple[int, int]] = Spilled(str, tuple[int, int], HOT_ACCOUNTS)
        """With the position that last moved it."""

    def unreadable(self, raw: Raw, error: Exception) -> None:
        self.findings.count("events")
        self.findings.report(raw.position, "unreadable", str(error))

    def take(self, raw: Raw, event: LedgerEvent) -> None:
        """Post one event."""
        self.findings.count("events")
        if not _is_canonical(event, raw.state):
            self.findings.report(raw.position, "not_canonical", "the bytes are not canonical")
        try:
            moved = postings(event)
        except Exception as error:  # noqa: BLE001  (an event that cannot be posted is a finding)
            detail = f"{type(event).__name__}: {error}"
            self.findings.report(raw.position, "unpostable", detail)
            return
        if moved:
            self._check_balanced(raw.position, [(p.account, p.amount_minor) for p in moved])
        balances = self._balances
        for posting in moved:
            known = balances.get(posting.account)
            balance = posting.amount_minor + (known[0] if known else 0)
            balances[posting.account] = balance, raw.position
        for count in counts(event):
            known = balances.get(count.counter)
            balance = count.change + (known[0] if known else 0)
            balances[count.counter] = balance, raw.position
        for posting in moved:
            floor = floor_minor(posting.account)
            if floor is not None and posting.amount_minor < 0:
                self._check_floor(raw.position, posting.account, floor)

    def _check_balanced(self, position: int, moved: list[tuple[str, int]]) -> None:
        self.findings.count("postings", len(moved))
        sums: Counter[str] = Counter()
        for account, amount_minor in moved:
            sums[currency_of(account)] += amount_minor
        for currency, total in sums.items():
            if total:
                detail = f"{currency} sums to {total}, not 0"
                self.findings.report(position, "unbalanced", detail)

    def _check_floor(self, position: int, account: str, floor: int) -> None:
        balance, _ = self._balances[account]
        if balance < floor:
            self.findings.report(position, "below_floor", f"{account} is at {balance}")

    def finish(self, connection: Connection[TupleRow], head_position: int) -> None:
        """Compare with the accounts and counters that are stored."""
        found, expected = self.findings, self._balances
        with connection.cursor(name="accounts", binary=True) as cursor:
            cursor.itersize = 5_000
            for account, balance, floor, position in cursor.execute(_ACCOUNTS):
                found.count("accounts")
                if position > head_position:
                    detail = f"{account} was moved at {position}, the head is at {head_position}"
                    found.report(head_position + 1, "ahead_of_log", detail)
                computed, moved_at = expected.pop(account, (0, None))
                if moved_at is None:
                    detail = f"{account} is stored as {balance}, and the log knows nothing of it"
                    found.report(position, "balance_differs", detail)
                elif balance != computed:
                    detail = f"{account} is stored as {balance}, the log says {computed}"
                    found.report(position, "balance_differs", detail)
                elif position != moved_at and position <= head_position:
                    detail = f"{account} was last moved at {moved_at}, not at {position}"
                    found.report(min(position, moved_at), "balance_differs", detail)
                if floor != floor_minor(account):
                    detail = f"{account} has the floor {floor}, not {floor_minor(account)}"
                    found.report(position, "floor_differs", detail)
        while expected:
            account, (computed, moved_at) = expected.popitem()
            detail = f"{account} is not stored, the log says {computed}"
            found.report(moved_at, "balance_differs", detail)


def _is_canonical(event: LedgerEvent, state: bytes) -> bool:
    try:
        return encode(event) == state
    except ValueError:  # a text that cannot be encoded
        return False
