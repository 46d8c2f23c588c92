"""Reports of suspicious activity: written by compliance from a case, filed or dismissed.

Nobody but compliance and auditors learns that there is one.
"""

from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Annotated, Any, Final, cast
from uuid import UUID

from anyio import to_thread
from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from api.fraud.documents.goaml import goaml
from api.fraud.documents.pdf import report_pdf
from api.fraud.report_responses import ReportShown
from api.fraud.requests import DismissBody, FileBody, ReportBody
from api.http import declared, log_reading
from api.http.answers import etag
from api.http.as_of import PageQueryParameters, QueryParameters, queries
from api.http.authentication import KeyedRoute
from api.http.context import KEYED, CallerHere, ServicesHere, VersionedCaller
from api.http.errors import IfMatchMalformed
from api.http.paging import PageShown, decode_cursor, encode_cursor, link_next
from api.http.reading import View, in_words, viewing
from api.http.services import Services
from api.permissions import May, needs
from domain.errors import (
    EvidenceMissing,
    InvalidTransition,
    NothingToChange,
    RateMissing,
    RoleNotAllowed,
)
from domain.events import ReportDrafted, ReportedTransaction, ReportEvent
from domain.fraud.report import Report, fold_report
from domain.transactions import Transaction, kind_of
from ledger.commands.errors import CaseNotFound, ReportNotFound, TransactionNotFound, VersionChanged
from ledger.commands.handling import Caller, command_id
from projections.fraud_cases import fraud_cases
from projections.fraud_cases.fraud_cases import FRAUD_CASES

router = APIRouter(tags=["Fraud"], route_class=KeyedRoute, dependencies=KEYED)

XML: Final = "application/xml"
PDF: Final = "application/pdf"

_WRITES: Final = (*declared.WRITES, RoleNotAllowed, EvidenceMissing)
_CHANGES: Final = (*_WRITES, IfMatchMalformed, VersionChanged, ReportNotFound, InvalidTransition)
_BEGINS: Final = frozenset({ReportDrafted.__name__})
_MAY_SEE: Final = [needs(May.SEE_REPORTS)]
_MAY_WRITE: Final = [needs(May.WRITE_REPORTS)]


class ReportFilters(PageQueryParameters):
    """Which reports."""

    case_id: UUID | None = Field(default=None, description="Written from this case.")


def _document(
    media_type: str, example: str, *errors: type[Exception]
) -> dict[int | str, dict[str, Any]]:
    """The responses of a route that gives a document of a report."""
    responses = queries(RoleNotAllowed, ReportNotFound, *errors)
    schema: dict[str, Any] = {"type": "string"}
    if media_type == PDF:
        schema["format"] = "binary"
    responses[200] |= {
        "description": "The document.",
        "content": {media_type: {"schema": schema, "example": example}},
    }
    return responses


@router.get("/v1/reports", dependencies=_MAY_SEE, responses=queries(RoleNotAllowed))
async def list_reports(
    filters: Annotated[ReportFilters, Query()], request: Request, response: Response
) -> PageShown[ReportShown]:
    """List reports of suspicious activity, those drafted last first."""
    before = decode_cursor(filters.cursor, int)[0] if filters.cursor else None
    async with viewing(request, filters, FRAUD_CASES) as view:
        found = await fraud_cases.list_reports(
            view.connection,
            case_id=filters.case_id,
            upto=view.upto,
            cursor=before,
            limit=filters.limit + 1,
        )
        rows = found[: filters.limit]
        reports = await _reports_at(view, [row.id for row in rows])
    following = encode_cursor([rows[-1].position]) if len(found) > len(rows) else None
    link_next(request, response, cursor=following, **view.pinned)
    view.mark(response, empty_because=None if rows else view.nothing(None))
    items = [ReportShown.of(reports[row.id]) for row in rows]
    return PageShown(items=items, next_cursor=following)


@router.get(
    "/v1/reports/{report_id}",
    dependencies=_MAY_SEE,
    responses=queries(RoleNotAllowed, ReportNotFound),
)
async def get_report(
    report_id: UUID,
    when: Annotated[QueryParameters, Query()],
    request: Request,
    response: Response,
) -> ReportShown:
    """Show a report: this reads the log, and is never behind."""
    async with viewing(request, when) as view:
        report = await _report_at(view, report_id)
    view.mark(response)
    response.headers["etag"] = etag(report.version)
    return ReportShown.of(report)


@router.get(
    "/v1/reports/{report_id}/goaml.xml",
    dependencies=_MAY_SEE,
    response_class=Response,
    responses=_document(XML, "<report>…</report>", RateMissing),
)
async def get_report_xml(
    report_id: UUID,
    when: Annotated[QueryParameters, Query()],
    request: Request,
    services: ServicesHere,
) -> Response:
    """Fetch a report as XML in the shape of goAML, for the authorities.

    Filing and dismissing leave the bytes as they are: their digest is what was filed. Where the
    settings do not say who reports, a comment in it does say so.
    """
    async with viewing(request, when) as view:
        report = await _report_at(view, report_id)
    document = await to_thread.run_sync(_xml, services, report)
    return _as_file(view, document, XML, f"report-{report_id}.xml")


@router.get(
    "/v1/reports/{report_id}/report.pdf",
    dependencies=_MAY_SEE,
    response_class=Response,
    responses=_document(PDF, "(bytes)"),
)
async def get_report_pdf(
    report_id: UUID,
    when: Annotated[QueryParameters, Query()],
    request: Request,
    services: ServicesHere,
) -> Response:
    """Fetch a report as PDF, for people."""
    async with viewing(request, when) as view:
        report = await _report_at(view, report_id)
    document = await to_thread.run_sync(_pdf, services, report)
    return _as_file(view, document, PDF, f"report-{report_id}.pdf")


@router.post(
    "/v1/cases/{case_id}/reports",
    status_code=201,
    dependencies=_MAY_WRITE,
    responses=declared.errors(*_WRITES, CaseNotFound, TransactionNotFound),
)
def draft_report(
    case_id: UUID,
    body: ReportBody,
    caller: CallerHere,
    services: ServicesHere,
    response: Response,
) -> ReportShown:
    """Draft a report from a case, whether or not that is closed.

    It takes over the indicators that hit by now, and says of the transactions what they are now.
    """
    services.fraud_cases.get(case_id)
    transactions = _as_drafted(services, caller, body.transactions)
    if transactions is None:
        transactions = _reported(services, body.transactions)
    drafted = services.fraud_reports.draft(case_id, body.narrative, transactions, caller)
    return _answered(drafted, response)


@router.post(
    "/v1/reports/{report_id}/revise",
    dependencies=_MAY_WRITE,
    responses=declared.errors(*_CHANGES, NothingToChange, TransactionNotFound),
)
def revise_report(
    report_id: UUID,
    body: ReportBody,
    caller: VersionedCaller,
    services: ServicesHere,
    response: Response,
) -> ReportShown:
    """Change what a draft says."""
    transactions = _reported(services, body.transactions)
    revised = services.fraud_reports.revise(report_id, body.narrative, transactions, caller)
    return _answered(revised, response)


@router.post(
    "/v1/reports/{report_id}/file",
    dependencies=_MAY_WRITE,
    responses=declared.errors(*_CHANGES, RateMissing),
)
def file_report(
    report_id: UUID,
    body: FileBody,
    caller: VersionedCaller,
    services: ServicesHere,
    response: Response,
) -> ReportShown:
    """Record that a report was handed to the authorities.

    The digest of the XML, as it is served at that moment, is recorded with it.
    """
    report = services.fraud_reports.get(report_id)
    if caller.expected_version is None:  # what is filed is what the digest was computed of
        caller = replace(caller, expected_version=report.version)
    digest = sha256(_xml(services, report)).hexdigest()
    filed = services.fraud_reports.file(
        report_id, body.authority, body.authority_reference, digest, caller
    )
    return _answered(filed, response)


@router.post(
    "/v1/reports/{report_id}/dismiss",
    dependencies=_MAY_WRITE,
    responses=declared.errors(*_CHANGES),
)
def dismiss_report(
    report_id: UUID,
    body: DismissBody,
    caller: VersionedCaller,
    services: ServicesHere,
    response: Response,
) -> ReportShown:
    """Decide not to file a report, and say why."""
    return _answered(services.fraud_reports.dismiss(report_id, body.reason, caller), response)


async def _report_at(view: View, report_id: UUID) -> Report:
    """Raises ReportNotFound where there is none, or was none."""
    report = (await _reports_at(view, [report_id])).get(report_id)
    if report is None:
        raise await view.missing(ReportNotFound(report_id), report_id, _BEGINS)
    return report


async def _reports_at(view: View, ids: Sequence[UUID]) -> dict[UUID, Report]:
    told = await log_reading.events(view.connection, ids, view.upto)
    stories = {
        report_id: cast("list[ReportEvent]", events)
        for report_id, events in told.items()
        if isinstance(events[0], ReportDrafted)
    }
    folded = {report_id: fold_report(None, events) for report_id, events in stories.items()}
    return {report_id: report for report_id, report in folded.items() if report is not None}


def _reported(services: Services, ids: Sequence[UUID]) -> list[ReportedTransaction]:
    """What is said of these transactions, as they are now.

    Raises:
        TransactionNotFound: one of them is none.
    """
    return [_as_reported(services.handling.transaction(one)) for one in dict.fromkeys(ids)]


def _as_reported(transaction: Transaction) -> ReportedTransaction:
    return ReportedTransaction(
        transaction_id=transaction.id,
        kind=kind_of(transaction),
        amount=transaction.amount,
        at=in_words(transaction.created_at),
        instrument=transaction.instrument,
    )


def _as_drafted(
    services: Services, caller: Caller, ids: Sequence[UUID]
) -> list[ReportedTransaction] | None:
    """What was said of these transactions when this request was carried out before: a repeat is
    the same request, whatever has become of them since. None where it was not, or named others."""
    story = services.handling.ledger.history(command_id(caller, "draft-report"))
    drafted = story[0] if story else None
    if not isinstance(drafted, ReportDrafted):
        return None
    said = list(drafted.transactions)
    return said if [one.transaction_id for one in said] == list(dict.fromkeys(ids)) else None


def _xml(services: Services, report: Report) -> bytes:
    rates = services.fraud_reports.rates_of(report)
    return goaml(report, services.reporting, rates=rates)


def _pdf(services: Services, report: Report) -> bytes:
    return report_pdf(report, entity_name=services.reporting.name)


def _answered(report: Report, response: Response) -> ReportShown:
    response.headers["etag"] = etag(report.version)
    response.headers["location"] = f"/v1/reports/{report.id}"
    return ReportShown.of(report)


def _as_file(view: View, document: bytes, media_type: str, name: str) -> Response:
    headers = {
        "content-disposition": f'attachment; filename="{name}"',
        "etag": f'"{sha256(document).hexdigest()}"',
        "x-content-type-options": "nosniff",
        "cache-control": "no-store",
    }
    response = Response(document, headers=headers, media_type=media_type)
    view.mark(response)
    return response
