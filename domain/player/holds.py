"""Holds: who may stop a player's payouts or deposits, and who may let them go again.

Several holds stand at once, one of each kind; what none of them stops goes on. The kind follows
from the role of who places it, and who may lift it follows from the kind, so that nobody clears
away what another department is looking into. A hold may be made to stop more, and stops less only
by being lifted.
"""

from collections.abc import Collection, Mapping
from typing import Final

from domain.command import Command, repeated
from domain.errors import HoldNotYours, NothingToChange, RoleNotAllowed
from domain.events import HoldLifted, HoldPlaced
from domain.player.player import HoldKind, Player, Stop

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

STOPPED_BY: Final[Mapping[HoldKind, frozenset[Stop]]] = {
    HoldKind.PAYMENT: frozenset({Stop.PAYOUTS}),
    HoldKind.FRAUD: frozenset(Stop),
    HoldKind.AML: frozenset(Stop),
    HoldKind.SUPPORT: frozenset({Stop.PAYOUTS}),
}
"""What each kind of hold stops, if whoever places it does not say. Money that may be stolen, or
laundered, is taken in no more than it is paid out; a blocked deposit names no kind of hold, so
that it tells nobody of a suspicion."""


def place_hold(
    state: Player,
    command: Command,
    *,
    kind: HoldKind | None = None,
    stops: Collection[Stop] = (),
    reason: str,
) -> HoldPlaced | None:
    """Stop the player's payouts, deposits or both; None if this command did so already.

    `kind` is that of the role if left out, and fraud for the system's jobs, which may place any.
    `stops`: what it stops, else what its kind does. Where there is a hold of the kind, it goes on
    stopping what it stopped, and stops this as well.

    Raises:
        RoleNotAllowed: this role places no holds, or none of this kind.
        NothingToChange: there is such a hold, and it stops all of that.
    """
    if repeated(state.commands, command):
        return None
    kind = _kind_placed(command, kind)
    stopped = frozenset(stops) or STOPPED_BY[kind]
    if stopped <= state.holds.get(kind, frozenset()):
        raise NothingToChange
    return HoldPlaced(
        **command.header(state.id, state.version + 1),
        request_digest=command.request_digest,
        hold=kind,
        reason=reason,
        stops=tuple(sorted(stopped)),
    )


def lift_hold(state: Player, command: Command, *, kind: HoldKind, reason: str) -> HoldLifted | None:
    """End one hold with all that it stops; None if this command did so already.

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
