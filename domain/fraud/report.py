"""Report of suspicious activity: state · decisions · evolve. Written from a case, by compliance.

A draft is revised until it is filed with the authorities, or dismissed with a reason; either ends
it. Of one case there may be several over time.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, assert_never
from uuid import UUID

from domain.command import Command, remember, repeated
from domain.errors import EvidenceMissing, InvalidTransition, NothingToChange, RoleNotAllowed
from domain.events import (
    ReportDismissed,
    ReportDrafted,
    ReportedIndicator,
    ReportedTransaction,
    ReportEvent,
    ReportFiled,
    ReportRevised,
)
from domain.fraud.case import FraudCase
from domain.fraud.indicators.declaring import Subject
from domain.replacing import replace

AUTHORS: Final = ("compliance",)
"""Whose people write and file reports, and know of them."""

_DIGEST = re.compile("[0-9a-f]{64}", re.ASCII)


class ReportStatus(StrEnum):
    """Where a report stands."""

    DRAFT = "draft"
    FILED = "filed"
    DISMISSED = "dismissed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What the authorities are told, or were not told and why."""

    id: UUID
    version: int
    status: ReportStatus
    case_id: UUID
    subject: str
    player_id: UUID | None
    """Whom it is about; None where that is no single player."""
    drafted_by: str
    narrative: str
    transactions: tuple[ReportedTransaction, ...]
    """Each once, as the author put them."""
    indicators: tuple[ReportedIndicator, ...]
    """The case's hits when the report was drafted."""
    drafted_at: datetime
    written_at: datetime
    """When what it says was last changed: filing and dismissing leave that alone."""
    updated_at: datetime
    authority: str | None = None
    authority_reference: str | None = None
    document_digest: str | None = None
    """SHA-256, in hexadecimal, of the XML that was handed in."""
    decided_by: str | None = None
    decided_at: datetime | None = None
    reason: str | None = None
    """Why it was not filed."""
    commands: Mapping[UUID, str]


# --- decisions ----------------------------------------------------------------------------------


def draft_report(
    case: FraudCase,
    command: Command,
    *,
    narrative: str,
    transactions: tuple[ReportedTransaction, ...],
) -> ReportDrafted:
    """Begin a report from what a case has found, whether or not that is closed.

    The report's id is the command's.

    Raises:
        RoleNotAllowed: the person does not act for compliance.
        EvidenceMissing: the narrative is empty.
    """
    _require_author(command)
    _require_text(narrative, "A report needs a narrative.")
    return ReportDrafted(
        **command.header(command.command_id, 1),
        request_digest=command.request_digest,
        case_id=case.id,
        subject=case.subject,
        player_id=_concerned(case),
        person=command.person,
        narrative=narrative,
        transactions=_once(transactions),
        indicators=tuple(
            ReportedIndicator(indicator=hit.indicator, hit=hit.hit, sentence=hit.sentence)
            for hit in case.hits
        ),
    )


def revise_report(
    state: Report,
    command: Command,
    *,
    narrative: str,
    transactions: tuple[ReportedTransaction, ...],
) -> ReportRevised | None:
    """Change what a draft says; None if this command did so already.

    Raises:
        RoleNotAllowed: the person does not act for compliance.
        InvalidTransition: it is no draft any more.
        EvidenceMissing: the narrative is empty.
        NothingToChange: it says so already.
    """
    if repeated(state.commands, command):
        return None
    _require_draft(state, command, "revised")
    _require_text(narrative, "A report needs a narrative.")
    kept = _once(transactions)
    if (narrative, kept) == (state.narrative, state.transactions):
        raise NothingToChange
    return ReportRevised(
        **command.header(state.id, state.version + 1),
        request_digest=command.request_digest,
        person=command.person,
        narrative=narrative,
        transactions=kept,
    )


def file_report(
    state: Report,
    command: Command,
    *,
    authority: str,
    authority_reference: str,
    document_digest: str,
) -> ReportFiled | None:
    """Record that it was handed to the authorities; None if this command did so already.

    `document_digest`: SHA-256, in hexadecimal, of the XML that was handed in.

    Raises:
        RoleNotAllowed: the person does not act for compliance.
        InvalidTransition: it is no draft any more.
        EvidenceMissing: the authority or its reference is not named, or the digest is none.
    """
    if repeated(state.commands, command):
        return None
    _require_draft(state, command, "filed")
    _require_text(authority, "Name the authority that has the report.")
    _require_text(authority_reference, "Name the reference under which the authority has it.")
    if _DIGEST.fullmatch(document_digest) is None:
        raise EvidenceMissing("The document's digest is SHA-256 in 64 hexadecimal digits.")
    return ReportFiled(
        **command.header(state.id, state.version + 1),
        request_digest=command.request_digest,
        person=command.person,
        authority=authority,
        authority_reference=authority_reference,
        document_digest=document_digest,
    )


def dismiss_report(state: Report, command: Command, *, reason: str) -> ReportDismissed | None:
    """Decide not to file it, and say why; None if this command did so already.

    Raises:
        RoleNotAllowed: the person does not act for compliance.
        InvalidTransition: it is no draft any more.
        EvidenceMissing: there is no reason.
    """
    if repeated(state.commands, command):
        return None
    _require_draft(state, command, "dismissed")
    _require_text(reason, "A reason has to say why the report is not filed.")
    return ReportDismissed(
        **command.header(state.id, state.version + 1),
        request_digest=command.request_digest,
        person=command.person,
        reason=reason,
    )


def _concerned(case: FraudCase) -> UUID | None:
    """The player that the case is about: its subject, or the only one its hits name."""
    if case.subject.startswith((f"{Subject.PLAYER}:", f"{Subject.HOLDING}:")):
        return case.player_ids[0]
    return case.player_ids[0] if len(case.player_ids) == 1 else None


def _require_author(command: Command) -> None:
    if command.role not in AUTHORS:
        raise RoleNotAllowed(f"Reports of suspicious activity are for {' or '.join(AUTHORS)}.")


def _require_draft(state: Report, command: Command, done: str) -> None:
    _require_author(command)
    if state.status is not ReportStatus.DRAFT:
        raise InvalidTransition(state.status, done, "report")


def _require_text(text: str, detail: str) -> None:
    if not text.strip():
        raise EvidenceMissing(detail)


def _once(transactions: Iterable[ReportedTransaction]) -> tuple[ReportedTransaction, ...]:
    return tuple({one.transaction_id: one for one in transactions}.values())


# --- evolve -------------------------------------------------------------------------------------


def evolve_report(state: Report | None, event: ReportEvent) -> Report:
    """The report after `event`."""
    if isinstance(event, ReportDrafted):
        return _drafted(event)
    if state is None:
        raise ValueError(f"a report's history cannot begin with {type(event).__name__}")
    return replace(
        _changed(state, event),
        version=event.originator_version,
        updated_at=event.occurred_at,
        commands=remember(state.commands, event),
    )


def fold_report(state: Report | None, events: Iterable[ReportEvent]) -> Report | None:
    """The report after `events`, in order."""
    for event in events:
        state = evolve_report(state, event)
    return state


def _drafted(event: ReportDrafted) -> Report:
    return Report(
        id=event.originator_id,
        version=event.originator_version,
        status=ReportStatus.DRAFT,
        case_id=event.case_id,
        subject=event.subject,
        player_id=event.player_id,
        drafted_by=event.person,
        narrative=event.narrative,
        transactions=event.transactions,
        indicators=event.indicators,
        drafted_at=event.occurred_at,
        written_at=event.occurred_at,
        updated_at=event.occurred_at,
        commands={event.command_id: event.request_digest},
    )


def _changed(state: Report, event: ReportEvent) -> Report:
    match event:
        case ReportDrafted():
            raise ValueError("a report is drafted once")
        case ReportRevised():
            return replace(
                state,
                narrative=event.narrative,
                transactions=event.transactions,
                written_at=event.occurred_at,
            )
        case ReportFiled():
            return replace(
                state,
                status=ReportStatus.FILED,
                authority=event.authority,
                authority_reference=event.authority_reference,
                document_digest=event.document_digest,
                decided_by=event.person,
                decided_at=event.occurred_at,
            )
        case ReportDismissed():
            return replace(
                state,
                status=ReportStatus.DISMISSED,
                decided_by=event.person,
                decided_at=event.occurred_at,
                reason=event.reason,
            )
        case _:
            assert_never(event)
