"""What a command brings along: who, when, under which id. Clock and ids are arguments here."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.errors import CommandReused
from domain.events import CommandedEvent, Event, Header


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """The circumstances of one decision."""

    now: datetime
    """UTC."""
    actor: str
    """`operator:<person>`, `player:<id>`, `provider:<name>` or `system:<job>`."""
    command_id: UUID
    request_digest: str
    """SHA-256 of the request, in hexadecimal: tells a repeat from a different request."""
    role: str = ""
    """In which the actor acts; empty for machines."""

    @property
    def person(self) -> str:
        """Who acts, whichever key or session they use."""
        return self.actor.partition(":")[2]

    def header(self, stream: UUID, version: int) -> Header:
        """What the event at `version` of `stream` carries."""
        return Header(
            originator_id=stream,
            originator_version=version,
            occurred_at=self.now,
            actor=self.actor,
            command_id=self.command_id,
        )


def repeated(commands: Mapping[UUID, str], command: Command) -> bool:
    """Whether this very command has been carried out already.

    Raises:
        CommandReused: its id has been used, for a different request.
    """
    digest = commands.get(command.command_id)
    if digest is None:
        return False
    if digest != command.request_digest:
        raise CommandReused
    return True


def remember(commands: Mapping[UUID, str], event: Event) -> Mapping[UUID, str]:
    """The commands carried out, by id, with the digest of their request."""
    if isinstance(event, CommandedEvent):
        return {**commands, event.command_id: event.request_digest}
    return commands
