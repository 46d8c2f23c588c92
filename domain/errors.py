"""One class per refusal. The docstring is what a person reads; `code` is stable for machines.

An error means nothing was recorded. A refusal for a business reason (funds, exclusion) is an
event instead, with the reason codes in `Reason`.
"""

from enum import StrEnum


class DomainError(Exception):
    """The command cannot be carried out."""

    code = "domain_error"

    def __init__(self, detail: str | None = None) -> None:
        self.detail = detail or type(self).__doc__ or self.code
        super().__init__(self.detail)


class InvalidTransition(DomainError):
    """The transaction's present state does not allow this."""

    code = "invalid_transition"

    def __init__(self, status: str, command: str) -> None:
        super().__init__(f"A transaction that is {status} cannot be: {command}.")
        self.status = status
        self.command = command


class SelfApproval(DomainError):
    """Nobody approves their own request; another person has to."""

    code = "self_approval"


class AlreadyApproved(DomainError):
    """This person has approved already; another person has to."""

    code = "already_approved"


class CommandReused(DomainError):
    """The idempotency key was used before, with a different request."""

    code = "idempotency_key_reused"


class InvalidResolution(DomainError):
    """A review cannot end this way."""

    code = "invalid_resolution"


class EvidenceMissing(DomainError):
    """A resolution needs a note that says what it stands on."""

    code = "evidence_missing"


class ScheduleEmpty(DomainError):
    """A provider needs at least one delay after which it is asked about an open attempt."""

    code = "schedule_empty"


class NothingToChange(DomainError):
    """It is so already."""

    code = "nothing_to_change"


class Reason(StrEnum):
    """Why a transaction was refused or given up, as recorded in its events."""

    INSUFFICIENT_FUNDS = "insufficient_funds"
    PLAYER_EXCLUDED = "player_excluded"
    PLAYER_ON_HOLD = "player_on_hold"
    PROVIDER_PAUSED = "provider_paused"
    METHOD_NOT_OFFERED = "method_not_offered"
    NOT_SENT = "not_sent"
    DECLINED = "declined"
    VOIDED = "voided"
    RETURNED = "returned"
    REQUESTED_BY_PLAYER = "requested_by_player"
    DECIDED_BY_OPERATOR = "decided_by_operator"
    ABOVE_AUTOMATIC_LIMIT = "above_automatic_limit"
    PLAYER_UNVERIFIED = "player_unverified"
