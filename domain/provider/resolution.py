"""Ending a review: one person proposes with evidence, another agrees, money moves to match.

The ways out are listed per kind of transaction; nothing is ever edited.
"""

from dataclasses import dataclass
from uuid import UUID

from domain.command import Command
from domain.errors import EvidenceMissing, InvalidResolution, SelfApproval
from domain.events import Count, Move, ResolutionProposed, TransactionResolved
from domain.money import Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """How one person says the review should end."""

    person: str
    target: str
    note: str
    command_id: UUID
    leg: int | None = None
    """Which part of a payout it is about; None where the transaction has no parts."""

    @classmethod
    def of(cls, event: ResolutionProposed) -> "Proposal":
        return cls(
            person=event.person,
            target=event.target,
            note=event.note,
            command_id=event.command_id,
            leg=event.leg,
        )


def propose_or_agree(
    *,
    transaction_id: UUID,
    version: int,
    player_id: UUID,
    proposal: Proposal | None,
    command: Command,
    target: str,
    targets: frozenset[str],
    note: str,
    moves: tuple[Move, ...],
    leg: int | None = None,
    counts: tuple[Count, ...] = (),
) -> ResolutionProposed | TransactionResolved:
    """The first person's word is a proposal; a second person's, for the same target, decides.

    A different target, or another leg, replaces the proposal. `moves` and `counts` are what
    follows once a second person agrees.

    Raises:
        InvalidResolution: a review of this kind cannot end in `target`.
        EvidenceMissing: there is no note.
        SelfApproval: the person who proposed it also agrees to it.
    """
    if target not in targets:
        raise InvalidResolution(
            f"A review cannot end in {target!r}; choose one of: {', '.join(sorted(targets))}."
        )
    if not note.strip():
        raise EvidenceMissing
    header = command.header(transaction_id, version + 1)
    if proposal is None or (proposal.target, proposal.leg) != (target, leg):
        return ResolutionProposed(
            **header,
            request_digest=command.request_digest,
            person=command.person,
            target=target,
            leg=leg,
            note=note,
        )
    if proposal.person == command.person:
        raise SelfApproval("Another person than the one who proposed this has to agree.")
    return TransactionResolved(
        **header,
        request_digest=command.request_digest,
        player_id=player_id,
        person=command.person,
        target=target,
        note=note,
        moves=moves,
        leg=leg,
        counts=counts,
    )


def move(source: str, target: str, money: Money | None) -> tuple[Move, ...]:
    """One move, or none where there is no money to move; a negative amount goes the other way."""
    if money is None or money.amount == 0:
        return ()
    if money.amount < 0:
        return (Move(source=target, target=source, money=Money(-money.amount, money.currency)),)
    return (Move(source=source, target=target, money=money),)
