"""Facts about players that indicators look at, and that allow or forbid nothing by themselves."""

from enum import StrEnum

from domain.command import Command, repeated
from domain.events import CredentialsChanged, InstrumentHolderChecked
from domain.player.player import Player


class Credential(StrEnum):
    """By what a player shows that it is them, or is told what happens to their money."""

    PASSWORD = "password"  # noqa: S105 (the word, not one)
    EMAIL = "email"
    PHONE = "phone"
    SECOND_FACTOR = "second_factor"
    ADDRESS = "address"


def change_credential(
    state: Player, command: Command, *, credential: Credential
) -> CredentialsChanged | None:
    """Record that a credential is another one now; None if this command did so already.

    Every change counts, however soon after the last: what it is now is not known here.
    """
    if repeated(state.commands, command):
        return None
    return CredentialsChanged(
        **command.header(state.id, state.version + 1),
        request_digest=command.request_digest,
        credential=credential.value,
    )


def check_holder(
    state: Player, command: Command, *, instrument: str, similarity_percent: int
) -> InstrumentHolderChecked | None:
    """Record how like the player's name the holder's is; None if this command did so already.

    The instrument need not have been used yet: what is checked first may still be refused.
    """
    if repeated(state.commands, command):
        return None
    return InstrumentHolderChecked(
        **command.header(state.id, state.version + 1),
        request_digest=command.request_digest,
        instrument=instrument,
        similarity_percent=similarity_percent,
    )
