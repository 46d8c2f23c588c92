"""Fraud cases: what indicators found about one subject, and what people make of it."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Final, cast
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from api.fraud.case_responses import CaseListed, FraudCaseShown, FraudCaseWithReports, shown
from api.fraud.hits import Subject
from api.fraud.requests import (
    AgreeBody,
    AssignBody,
    CaseHoldBody,
    CloseBody,
    FraudNoteBody,
    IndicatorCode,
    Person,
)
from api.http import declared, log_reading
from api.http.answers import etag
from api.http.as_of import PageQueryParameters, QueryParameters, queries
from api.http.authentication import KeyedRoute
from api.http.context import KEYED, ServicesHere, VersionedCaller
from api.http.errors import IfMatchMalformed
from api.http.paging import LIMIT_MAX, PageShown, decode_cursor, encode_cursor, link_next
from api.http.reading import View, viewing
from api.http.validation import invalid
from api.permissions import May, may, needs
from domain.errors import (
    EvidenceMissing,
    HoldNotYours,
    InvalidTransition,
    NothingToChange,
    ProposalChanged,
    RoleNotAllowed,
    SelfApproval,
)
from domain.events import FraudCaseEvent, FraudCaseOpened
from domain.fraud.assessment import Severity
from domain.fraud.case import CaseDecision, CaseStatus, FraudCase, fold_case
from ledger.commands.errors import CaseNotFound, PlayerNotFound, VersionChanged
from projections.fraud_cases import fraud_cases
from projections.fraud_cases.fraud_cases import FRAUD_CASES, CaseCursor, FraudCaseRow

router = APIRouter(prefix="/v1/cases", tags=["Fraud"], route_class=KeyedRoute, dependencies=KEYED)

LOOKED_AT_MAX: Final = 2_000
"""Cases looked at for one page of the past."""

_LOOKED_AT_ONCE: Final = 200
_WORKS: Final = (
    *(*declared.WRITES, IfMatchMalformed, VersionChanged, RoleNotAllowed, CaseNotFound),
    *(InvalidTransition, EvidenceMissing, NothingToChange),
)
_CHANGES: Final = declared.errors(*_WORKS)
_HOLDS: Final = declared.errors(*_WORKS, PlayerNotFound, HoldNotYours)
_BEGINS: Final = frozenset({FraudCaseOpened.__name__})

Cases = Sequence["FraudCase | FraudCaseRow"]


class CaseFilters(PageQueryParameters):
    """Which cases; everything given has to match."""

    status: list[CaseStatus] = Field(
        default_factory=list, max_length=len(CaseStatus), description="Any of these."
    )
    severity: Severity | None = Field(default=None, description="The worst of its hits'.")
    assigned_to: Person | None = Field(default=None, examples=["ben"])
    unassigned: bool | None = Field(default=None, description="Whether nobody works on it.")
    subject: Subject | None = Field(default=None, description="See the subjects of hits.")
    player_id: UUID | None = Field(default=None, description="Whom any of its hits names.")
    indicator: IndicatorCode | None = Field(default=None, description="That hit.")

    def match(self, case: FraudCase) -> bool:
        """Whether a case as it was is one of these."""
        wanted: Iterable[bool] = (
            not self.status or case.status in self.status,
            self.severity in (None, case.severity),
            self.assigned_to in (None, case.assigned_to),
            self.unassigned in (None, case.assigned_to is None),
            self.player_id is None or self.player_id in case.player_ids,
            self.indicator is None or self.indicator in case.indicators,
        )
        return all(wanted)


AnyCase = FraudCaseWithReports | FraudCaseShown


@router.get("", dependencies=[needs(May.SEE_CASES)], responses=queries(RoleNotAllowed))
async def list_cases(
    filters: Annotated[CaseFilters, Query()], request: Request, response: Response
) -> PageShown[CaseListed]:
    """List fraud cases, the latest first.

    With `as_of`, a page looks at 2,000 cases at most, as they were then: it may hold fewer than
    asked for, or none, and still not be the last one.
    """
    cursor = _cursor(filters.cursor)
    async with viewing(request, filters, FRAUD_CASES) as view:
        cases, last = await (
            _page(view, filters, cursor)
            if view.then is None
            else _page_of_past(view, filters, cursor)
        )
    following = _encoded(last) if last else None
    link_next(request, response, cursor=following, **view.pinned)
    nothing = view.nothing(None) if last is None else "Go on with the next page."
    view.mark(response, empty_because=None if cases else nothing)
    return PageShown(items=[CaseListed.of(case) for case in cases], next_cursor=following)


@router.get(
    "/{case_id}",
    dependencies=[needs(May.SEE_CASES)],
    responses=queries(RoleNotAllowed, CaseNotFound),
)
async def get_case(
    case_id: UUID,
    when: Annotated[QueryParameters, Query()],
    request: Request,
    response: Response,
) -> AnyCase:
    """Show a fraud case: what was found, what was done about it, and how it ended.

    This reads the log, and is never behind.
    """
    sees_reports = may(str(request.state.role), May.SEE_REPORTS)
    async with viewing(request, when, FRAUD_CASES if sees_reports else None) as view:
        case = (await cases_at(view, [case_id])).get(case_id)
        if case is None:
            raise await view.missing(CaseNotFound(case_id), case_id, _BEGINS)
        reports = await _reports(view, case_id) if sees_reports else []
    view.mark(response)
    response.headers["etag"] = etag(case.version)
    if sees_reports:
        return FraudCaseWithReports(**dict(shown(case)), reports=reports)
    return shown(case)


@router.post("/{case_id}/assign", dependencies=[needs(May.WORK_CASES)], responses=_CHANGES)
def assign_case(
    case_id: UUID,
    body: AssignBody,
    caller: VersionedCaller,
    services: ServicesHere,
    response: Response,
) -> FraudCaseShown:
    """Say who works on a case."""
    return _answered(services.fraud_cases.assign(case_id, body.person, caller), response)


@router.post("/{case_id}/notes", dependencies=[needs(May.WORK_CASES)], responses=_CHANGES)
def note_on_case(
    case_id: UUID,
    body: FraudNoteBody,
    caller: VersionedCaller,
    services: ServicesHere,
    response: Response,
) -> FraudCaseShown:
    """Write down what was found out."""
    return _answered(services.fraud_cases.note(case_id, body.note, caller), response)


@router.post(
    "/{case_id}/information-requests", dependencies=[needs(May.WORK_CASES)], responses=_CHANGES
)
def request_case_information(
    case_id: UUID,
    body: FraudNoteBody,
    caller: VersionedCaller,
    services: ServicesHere,
    response: Response,
) -> FraudCaseShown:
    """Write down what somebody was asked for; the case waits for it."""
    asked = services.fraud_cases.request_information(case_id, body.note, caller)
    return _answered(asked, response)


@router.post("/{case_id}/information", dependencies=[needs(May.WORK_CASES)], responses=_CHANGES)
def receive_case_information(
    case_id: UUID,
    body: FraudNoteBody,
    caller: VersionedCaller,
    services: ServicesHere,
    response: Response,
) -> FraudCaseShown:
    """Write down what came of what was asked for; the case goes on."""
    received = services.fraud_cases.receive_information(case_id, body.note, caller)
    return _answered(received, response)


@router.post("/{case_id}/holds", dependencies=[needs(May.WORK_CASES)], responses=_HOLDS)
def place_case_hold(
    case_id: UUID,
    body: CaseHoldBody,
    caller: VersionedCaller,
    services: ServicesHere,
    response: Response,
) -> FraudCaseShown:
    """Put a player on hold because of a case: nothing is paid in or out."""
    placed = services.fraud_cases.place_hold(case_id, body.player_id, body.hold, body.note, caller)
    return _answered(placed, response)


@router.post("/{case_id}/holds/lift", dependencies=[needs(May.WORK_CASES)], responses=_HOLDS)
def lift_case_hold(
    case_id: UUID,
    body: CaseHoldBody,
    caller: VersionedCaller,
    services: ServicesHere,
    response: Response,
) -> FraudCaseShown:
    """Lift a hold that was placed from a case."""
    lifted = services.fraud_cases.lift_hold(case_id, body.player_id, body.hold, body.note, caller)
    return _answered(lifted, response)


@router.post(
    "/{case_id}/close",
    dependencies=[needs(May.WORK_CASES)],
    responses={
        202: {"model": FraudCaseShown, "description": "Proposed"},
        **declared.errors(*_WORKS, SelfApproval, HoldNotYours, PlayerNotFound),
    },
)
def close_case(
    case_id: UUID,
    body: CloseBody,
    caller: VersionedCaller,
    services: ServicesHere,
    response: Response,
) -> FraudCaseShown:
    """Say what a case turned out to be, and close it.

    A case that is high or critical, and one by whose end money goes, takes two people: then this is
    a proposal, answered with 202, which another person agrees to. Another decision, or another
    reason of the same person, takes its place; a hit, a hold, a question or an answer voids it.
    """
    decision = CaseDecision(body.decision)
    case = services.fraud_cases.close(case_id, decision, body.reason, caller)
    response.status_code = 200 if case.status is CaseStatus.CLOSED else 202
    return _answered(case, response)


@router.post(
    "/{case_id}/close/agree",
    dependencies=[needs(May.WORK_CASES)],
    responses=declared.errors(
        *(*_WORKS, ProposalChanged, SelfApproval, HoldNotYours, PlayerNotFound)
    ),
)
def agree_to_closing(
    case_id: UUID,
    body: AgreeBody,
    caller: VersionedCaller,
    services: ServicesHere,
    response: Response,
) -> FraudCaseShown:
    """Close a case as another person proposed.

    The proposal is named by its id; 409 `proposal_changed` if it does not stand any more.
    """
    return _answered(
        services.fraud_cases.agree(case_id, body.proposal, body.note, caller), response
    )


async def cases_at(view: View, ids: Sequence[UUID]) -> dict[UUID, FraudCase]:
    """Those of the cases that there are, or were."""
    told = await log_reading.events(view.connection, ids, view.upto)
    stories = {
        case_id: cast("list[FraudCaseEvent]", events)
        for case_id, events in told.items()
        if isinstance(events[0], FraudCaseOpened)
    }
    folded = {case_id: fold_case(None, events) for case_id, events in stories.items()}
    return {case_id: case for case_id, case in folded.items() if case is not None}


async def _reports(view: View, case_id: UUID) -> list[UUID]:
    found = await fraud_cases.list_reports(
        view.connection, case_id=case_id, upto=view.upto, limit=LIMIT_MAX
    )
    return [row.id for row in found]


def _answered(case: FraudCase, response: Response) -> FraudCaseShown:
    response.headers["etag"] = etag(case.version)
    response.headers["location"] = f"/v1/cases/{case.id}"
    return shown(case)


# --- pages --------------------------------------------------------------------------------------


async def _page(
    view: View, filters: CaseFilters, cursor: CaseCursor | None
) -> tuple[Cases, CaseCursor | None]:
    found = await fraud_cases.list_cases(
        view.connection,
        statuses=[status.value for status in filters.status],
        severity=filters.severity.value if filters.severity else None,
        assigned_to=filters.assigned_to,
        unassigned=filters.unassigned,
        subject=filters.subject,
        player_id=filters.player_id,
        indicator=filters.indicator,
        cursor=cursor,
        limit=filters.limit + 1,
    )
    page = found[: filters.limit]
    return page, _after(page[-1]) if len(found) > len(page) else None


async def _page_of_past(
    view: View, filters: CaseFilters, cursor: CaseCursor | None
) -> tuple[Cases, CaseCursor | None]:
    """Cases only ever gain players and indicators, so that those of now are at least those of
    then; all else is judged by the case as it was."""
    page: list[FraudCase] = []
    looked_at = 0
    while looked_at < LOOKED_AT_MAX:
        rows = await fraud_cases.list_cases(
            view.connection,
            subject=filters.subject,
            player_id=filters.player_id,
            indicator=filters.indicator,
            cursor=cursor,
            limit=_LOOKED_AT_ONCE,
        )
        then = await cases_at(view, [row.id for row in rows])
        for row in rows:
            cursor, case = _after(row), then.get(row.id)
            if case is not None and filters.match(case):
                if len(page) == filters.limit:
                    return page, _after(page[-1])
                page.append(case)
        if len(rows) < _LOOKED_AT_ONCE:
            return page, None
        looked_at += len(rows)
    return page, cursor


def _after(case: FraudCase | FraudCaseRow) -> CaseCursor:
    return CaseCursor(opened_at=case.opened_at, id=case.id)


def _encoded(cursor: CaseCursor) -> str:
    return encode_cursor([cursor.opened_at.astimezone(UTC).isoformat(), str(cursor.id)])


def _cursor(cursor: str | None) -> CaseCursor | None:
    if cursor is None:
        return None
    opened_at, case_id = decode_cursor(cursor, str, str)
    try:
        return CaseCursor(opened_at=datetime.fromisoformat(opened_at), id=UUID(case_id))
    except ValueError:
        raise invalid("query.cursor", "cursor_unknown", "The cursor is none of this list") from None
