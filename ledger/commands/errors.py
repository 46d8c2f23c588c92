"""Why a command could not even be put to the domain. Nothing was recorded."""

from uuid import UUID

from domain.errors import DomainError


class TransactionNotFound(DomainError):
    """There is no such transaction."""

    code = "transaction_not_found"

    def __init__(self, transaction_id: UUID, kind: str = "transaction") -> None:
        super().__init__(f"There is no {kind} {transaction_id}.")


class PlayerNotFound(DomainError):
    """There is no such player."""

    code = "player_not_found"

    def __init__(self, player_id: UUID) -> None:
        super().__init__(f"There is no player {player_id}; a first deposit registers one.")


class ProviderNotFound(DomainError):
    """There is no such provider."""

    code = "provider_not_found"

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no provider named {name!r}; GET /v1/providers lists them.")


class RuleSetNotFound(DomainError):
    """There is no such rule set."""

    code = "ruleset_not_found"

    def __init__(self, ruleset_id: UUID) -> None:
        super().__init__(f"There is no rule set {ruleset_id}.")


class CaseNotFound(DomainError):
    """There is no such fraud case."""

    code = "case_not_found"

    def __init__(self, case_id: UUID) -> None:
        super().__init__(f"There is no fraud case {case_id}.")


class ReportNotFound(DomainError):
    """There is no such report of suspicious activity."""

    code = "report_not_found"

    def __init__(self, report_id: UUID) -> None:
        super().__init__(f"There is no report {report_id}.")


class RateProposalNotFound(DomainError):
    """No such proposal of exchange rates is waiting."""

    code = "rate_proposal_not_found"

    def __init__(self, proposal_id: UUID) -> None:
        super().__init__(
            f"No proposal {proposal_id} of exchange rates is waiting: it never was there, or was"
            " approved, discarded or replaced. GET /v1/rates/proposals lists those that are."
        )


class VersionChanged(DomainError):
    """It has changed since the version that If-Match names; read it again and decide anew."""

    code = "version_changed"


class TooContended(DomainError):
    """Others kept changing the same thing; nothing was recorded. Try again."""

    code = "too_contended"


class NoRates(DomainError):
    """No exchange rates are in force: `tallystick rates import FILE` proposes some, and people
    approve them."""

    code = "no_rates"


class NotCarriedOut(DomainError):
    """A rule forbids it, and a batch that is all or nothing does not record refusals."""

    code = "not_carried_out"

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"It would end in nothing but the record of a refusal ({reason}), and a batch that is"
            " all or nothing does not record those."
        )


class AlreadyCarriedOut(DomainError):
    """It was carried out before, or twice in this batch, and others of the batch were not; a
    batch that is all or nothing cannot take it in. Send it without this command."""

    code = "already_carried_out"


class BatchRefused(DomainError):
    """A command of the batch is refused, so nothing of the batch was recorded."""

    code = "batch_refused"

    def __init__(self, index: int, error: Exception) -> None:
        super().__init__(
            f"Command {index}, counted from 0, is refused, so nothing of the batch was recorded;"
            " `error` says why."
        )
        self.index = index
        self.error = error


class NotAssessedYet(Exception):
    """The fraud indicators have not come as far as a payout; it waits, and is asked about again.

    No refusal: nobody but the workers ever meets it.
    """

    def __init__(self, withdrawal_id: UUID) -> None:
        super().__init__(f"The payout {withdrawal_id} has not been assessed yet.")
