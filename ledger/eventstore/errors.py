"""How an append can end other than well: a closed set, and each tells the truth."""

from uuid import UUID


class AppendError(Exception):
    """The append did not end well; the docstring of the class is the message."""

    code = "append_error"

    def __init__(self, detail: str | None = None) -> None:
        self.detail = detail or type(self).__doc__ or self.code
        super().__init__(self.detail)


class VersionConflict(AppendError):
    """Somebody else appended to the stream first; nothing was written."""

    code = "version_conflict"

    def __init__(self, stream: UUID, expected: int, found: int) -> None:
        super().__init__(f"stream {stream} is at version {found}, not {expected}")
        self.stream = stream
        self.expected = expected
        self.found = found


class FloorPassed(AppendError):
    """A balance would go below its floor; nothing was written."""

    code = "insufficient_funds"

    def __init__(self, account: str) -> None:
        super().__init__(f"the balance of {account} is too low")
        self.account = account


class CeilingPassed(AppendError):
    """A balance or counter would become larger than it may; nothing was written."""

    code = "limit_exceeded"

    def __init__(self, account: str, ceiling: int) -> None:
        super().__init__(f"{account} may not become larger than {ceiling}")
        self.account = account
        self.ceiling = ceiling


class BalanceChanged(AppendError):
    """A balance or counter is no longer what the decision saw; nothing was written."""

    code = "balance_changed"

    def __init__(self, account: str, expected: int, found: int) -> None:
        super().__init__(f"{account} is at {found}, not {expected}")
        self.account = account
        self.expected = expected
        self.found = found


class BalanceOutOfRange(AppendError):
    """A balance would become larger than the ledger can hold; nothing was written."""

    code = "balance_out_of_range"

    def __init__(self, account: str) -> None:
        super().__init__(f"the balance of {account} would become larger than the ledger can hold")
        self.account = account


class QueueFull(AppendError):
    """Too many appends are waiting; nothing was written. Try again shortly."""

    code = "too_busy"


class StoreUnavailable(AppendError):
    """The database cannot be written to; nothing was written. Try again shortly."""

    code = "store_unavailable"


class OutcomeUnknown(AppendError):
    """The database went away while committing. It may have been written: ask before repeating."""

    code = "outcome_unknown"
