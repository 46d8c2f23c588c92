"""Where a deposit stands: its statuses, and what people read."""

from enum import StrEnum


class DepositStatus(StrEnum):
    """Where a deposit stands; `screen_word` is what people read."""

    CREATED = "created"
    BLOCKED = "blocked"
    AWAITING_PLAYER = "awaiting_player"
    SUBMITTED = "submitted"
    AUTHORISED = "authorised"
    UNKNOWN = "unknown"
    COMPLETED = "completed"
    PARTIALLY_REFUNDED = "partially_refunded"
    REFUNDED = "refunded"
    FAILED = "failed"
    VOIDED = "voided"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    REVIEW = "review"

    @property
    def screen_word(self) -> str:
        return _SCREEN_WORDS[self]

    @property
    def is_open_at_provider(self) -> bool:
        """The provider may still change the outcome, and we expect to hear from it."""
        return self in _OPEN_AT_PROVIDER

    @property
    def is_settled(self) -> bool:
        """Final, unless the provider or a person says otherwise later."""
        return self in _SETTLED

    @property
    def is_credited(self) -> bool:
        """The player has been credited, whatever has been refunded since."""
        return self in _CREDITED


_SCREEN_WORDS = {
    DepositStatus.CREATED: "Pending",
    DepositStatus.AWAITING_PLAYER: "Pending",
    DepositStatus.SUBMITTED: "Processing",
    DepositStatus.AUTHORISED: "Processing",
    DepositStatus.UNKNOWN: "Processing",
    DepositStatus.REVIEW: "Processing",
    DepositStatus.COMPLETED: "Completed",
    DepositStatus.PARTIALLY_REFUNDED: "Completed",
    DepositStatus.REFUNDED: "Refunded",
    DepositStatus.BLOCKED: "Failed",
    DepositStatus.FAILED: "Failed",
    DepositStatus.VOIDED: "Cancelled",
    DepositStatus.EXPIRED: "Cancelled",
    DepositStatus.CANCELLED: "Cancelled",
}
_OPEN_AT_PROVIDER = frozenset(
    {
        DepositStatus.AWAITING_PLAYER,
        DepositStatus.SUBMITTED,
        DepositStatus.AUTHORISED,
        DepositStatus.UNKNOWN,
    }
)
_CREDITED = frozenset(
    {DepositStatus.COMPLETED, DepositStatus.PARTIALLY_REFUNDED, DepositStatus.REFUNDED}
)
_SETTLED = _CREDITED | frozenset(
    {
        DepositStatus.BLOCKED,
        DepositStatus.FAILED,
        DepositStatus.VOIDED,
        DepositStatus.EXPIRED,
        DepositStatus.CANCELLED,
    }
)
