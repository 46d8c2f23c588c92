"""The log says which build of a read model answers from where on: once for each rebuild."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, Protocol
from uuid import NAMESPACE_URL, UUID, uuid5

from domain.events import LedgerEvent, ProjectionCutOver
from ledger.eventstore.append import Receipt
from ledger.eventstore.errors import OutcomeUnknown, VersionConflict
from replay.rebuild.state import RebuildFailed, State

ACTOR: Final = "system:rebuild"
_ATTEMPTS_MAX: Final = 10
_NAMESPACE = uuid5(NAMESPACE_URL, "urn:tallystick:read-model")


class CutOverLog(Protocol):
    """What is needed of the ledger."""

    def history(self, stream: UUID) -> list[LedgerEvent]: ...

    def append(self, events: Sequence[LedgerEvent]) -> Receipt: ...

    def receipt(self, stream: UUID, version: int) -> Receipt: ...


def read_model_stream(name: str) -> UUID:
    """The stream of the read model with this name."""
    return uuid5(_NAMESPACE, f"read-model:{name}")


def record(ledger: CutOverLog, model: str, state: State) -> int:
    """Append that readers were switched, unless it was; the position of that event.

    Raises:
        AppendError: see the ledger; the rebuild goes on from here when it is run again.
    """
    stream, command_id = read_model_stream(model), uuid5(state.id, "cut-over")
    for _ in range(_ATTEMPTS_MAX):
        earlier = ledger.history(stream)
        for event in earlier:
            if event.command_id == command_id:
                return ledger.receipt(stream, event.originator_version).position
        try:
            return ledger.append(
                [_cut_over(stream, len(earlier) + 1, command_id, model, state)]
            ).position
        except (VersionConflict, OutcomeUnknown):
            continue
    raise RebuildFailed(f"the switch of {model} could not be recorded; run it again")


def _cut_over(
    stream: UUID, version: int, command_id: UUID, model: str, state: State
) -> ProjectionCutOver:
    return ProjectionCutOver(
        originator_id=stream,
        originator_version=version,
        occurred_at=datetime.now(UTC),
        actor=ACTOR,
        command_id=command_id,
        model=model,
        from_version=state.from_version,
        version=state.version,
        position=state.position,
        digest=state.digest or "",
        digest_position=state.digest_position or 0,
        compared=state.compared,
    )
