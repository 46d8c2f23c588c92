"""Holds: who may stop a player's payouts, and who may let them go again.

Several holds stand at once, one of each kind; payouts leave when there is none. The kind follows
from the role of who places it, and who may lift it follows from the kind, so that nobody clears
away what another department is looking into.
"""

from collections.abc import Mapping
from typing import Final

from domain.commands import Command, repeated
from domain.errors import HoldNotYours, NothingToChange, RoleNotAllowed
from domain.events import HoldLifted, HoldPlaced
from domain.player import HoldKind, Player

KIND_BY_ROLE: Final[Mapping[str, HoldKind]] = {
    "finance": HoldKind.PAYMENT,
    "fraud": HoldKind.FRAUD,
    "compliance": HoldKind.AML,
    "support": HoldKind.SUPPORT,
}
"""What kind of hold each role places; roles that are not here place none."""

LIFTED_BY: Final[Mapping[HoldKind, tuple[str, ...]]] = {
    HoldKind.PAYMENT: ("finance",),
    HoldKind.FRAUD: ("fraud",),
    HoldKind.AML: ("compliance",),
    HoldKind.SUPPORT: ("fraud", "compliance"),
}
"""Who lifts each kind of hold. Support only ever stops, and asks somebody else to look."""


def place_hold(
    state: Player, command: Command, *, kind: HoldKind | None = None, reason: str
) -> HoldPlaced | None:
    """Stop the player's payouts; None if this command did so already.

    `kind` is that of the role if left out, and fraud for the system's jobs, which may place any.

    Raises:
        RoleNotAllowed: this role places no holds, or none of this kind.
        NothingToChange: there is such a hold.
    """
    if repeated(state.commands, command):
        return None
    kind = _kind_placed(command, kind)
    if kind in state.holds:
        raise NothingToChange
    return HoldPlaced(
        **command.header(state.id, state.version + 1),
        request_digest=command.request_digest,
        hold=kind,
        reason=reason,
    )


def lift_hold(state: Player, command: Command, *, kind: HoldKind, reason: str) -> HoldLifted | None:
    """End one hold, payouts may leave unless there is another; None if this command did so already.

    Raises:
        HoldNotYours: it is for another role to lift; the detail names which.
        NothingToChange: there is no such hold.
    """
    if repeated(state.commands, command):
        return None
    if command.role not in LIFTED_BY[kind]:
        raise HoldNotYours(f"A hold of kind {kind} is lifted by {' or '.join(LIFTED_BY[kind])}.")
    if kind not in state.holds:
        raise NothingToChange
    return HoldLifted(
        **command.header(state.id, state.version + 1),
        request_digest=command.request_digest,
        hold=kind,
        reason=reason,
    )


def _kind_placed(command: Command, kind: HoldKind | None) -> HoldKind:
    # A job has no role; what has neither is an operator whose role nobody established.
    if not command.role and command.actor.startswith("system:"):
        return kind or HoldKind.FRAUD
    own = KIND_BY_ROLE.get(command.role)
    if own is None:
        raise RoleNotAllowed(
            f"Holds are placed by {', '.join(KIND_BY_ROLE)}, not by "
            f"{command.role or 'somebody without a role'}."
        )
    if kind not in (None, own):
        raise RoleNotAllowed(f"The role {command.role} places holds of kind {own}, not {kind}.")
    return own
