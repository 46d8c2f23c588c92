"""Read models: which build of one answers from now on."""

from dataclasses import dataclass

from domain.events.base import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectionCutOver(Event):
    """Readers of a read model were switched to one that was built anew beside it."""

    model: str
    from_version: int | None
    """Of the logic that answered before; None where nothing did."""
    version: int
    """Of the logic that answers now."""
    position: int
    """How far the new tables had followed the log when readers were switched."""
    digest: str
    """SHA-256 over every row of the new tables after `digest_position`, in lower-case hex."""
    digest_position: int
    """Where in the log old and new rows were compared; the digest is of this position."""
    compared: bool
    """Whether the old tables had the same digest at that position; False where the logic changed,
    or where the old ones were damaged, so that there was nothing to compare with."""
