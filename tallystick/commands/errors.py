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


class VersionChanged(DomainError):
    """It has changed since the version that If-Match names; read it again and decide anew."""

    code = "version_changed"


class TooContended(DomainError):
    """Others kept changing the same thing; nothing was recorded. Try again."""

    code = "too_contended"
