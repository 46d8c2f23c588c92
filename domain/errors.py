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
    """The present state of the transaction, case, report or rule set does not allow this."""

    code = "invalid_transition"

    def __init__(self, status: str, command: str, kind: str = "transaction") -> None:
        super().__init__(f"A {kind} that is {status} cannot be: {command}.")
        self.status = status
        self.command = command


class SelfApproval(DomainError):
    """Nobody approves their own request; another person has to."""

    code = "self_approval"


class ProposalChanged(DomainError):
    """What is agreed to is not what is proposed now; look at it again."""

    code = "proposal_changed"


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


class RoleNotAllowed(DomainError):
    """This role cannot agree to it; another person in another role has to."""

    code = "role_not_allowed"


class NotRefundable(DomainError):
    """Only a deposit that has been credited, and that nobody is reviewing, can be refunded."""

    code = "not_refundable"


class RefundExceedsCapture(DomainError):
    """The refund is more than what is left of the deposit."""

    code = "refund_exceeds_capture"


class DisputeOpen(DomainError):
    """A dispute about the deposit is open, or what the provider says of it contradicts itself;
    refunding it too could pay it back twice."""

    code = "dispute_open"


class AdjustmentInvalid(DomainError):
    """An adjustment moves money between different, well-formed accounts of one currency."""

    code = "adjustment_invalid"


class HoldNotYours(DomainError):
    """This role may not lift a hold of this kind."""

    code = "hold_not_yours"


class LimitInvalid(DomainError):
    """A deposit limit is 0, a whole number of minor units up to the largest amount, or none."""

    code = "limit_invalid"


class ExclusionInvalid(DomainError):
    """An exclusion has to end later than now, or when somebody ends it."""

    code = "exclusion_invalid"


class ExclusionRunning(DomainError):
    """The exclusion was set for longer, and is neither ended nor shortened before."""

    code = "exclusion_running"


class SameCurrency(DomainError):
    """A conversion needs two different currencies."""

    code = "same_currency"


class AmountTooSmall(DomainError):
    """So little is converted that nothing would be left for the player."""

    code = "amount_too_small"


class QuoteExpired(DomainError):
    """The quote is no longer valid; ask for a new one."""

    code = "quote_expired"


class InvalidQuote(DomainError):
    """A quote needs a spread from 0 to 10,000 basis points, and has to be valid for a while."""

    code = "invalid_quote"


class InvalidRate(DomainError):
    """An exchange rate, or the table it is in, cannot be used."""

    code = "invalid_rate"


class RateMissing(DomainError):
    """The rate table does not name this currency."""

    code = "rate_missing"

    def __init__(self, currency: str, table: str) -> None:
        super().__init__(f"The rate table {table} has no rate for {currency}.")
        self.currency = currency
        self.table = table


class AmountMayOnlyFall(DomainError):
    """A withdrawal can only be amended to less, in its own currency; for more, request another."""

    code = "amount_may_only_fall"


class CancellationNotAllowed(DomainError):
    """Where the player lives, players may not cancel a withdrawal."""

    code = "cancellation_not_allowed"


class LegAmbiguous(DomainError):
    """Several parts of this payout are concerned; say which leg is meant."""

    code = "leg_ambiguous"


class LegNotFound(DomainError):
    """The withdrawal has no such leg."""

    code = "leg_not_found"


class InvalidPolicy(DomainError):
    """The approval policy cannot be used."""

    code = "invalid_policy"


class InvalidRuleSet(DomainError):
    """The rule set cannot be used."""

    code = "invalid_ruleset"


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
    DISPUTE_OPEN = "dispute_open"
    LIMIT_EXCEEDED = "limit_exceeded"
    QUOTE_EXPIRED = "quote_expired"
    OUTSIDE_CLOSED_LOOP = "outside_closed_loop"
    LOW_TURNOVER = "low_turnover"
    NO_RATE = "no_rate"
    SCORE_TOO_HIGH = "score_too_high"
    HIGH_INDICATOR = "high_indicator"
    HELD_BY_INDICATORS = "held_by_indicators"
    NOT_REFUNDABLE = "not_refundable"
    MORE_OUT_THAN_IN = "more_out_than_in"
