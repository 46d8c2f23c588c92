"""Exports: asked for here, made by a worker, fetched from here.

Everybody sees their own; auditors, compliance and administrators see all.
"""

import base64
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import Field
from starlette.responses import FileResponse

from api.audit.requests import AnyExport
from api.http import declared
from api.http.authentication import KeyedRoute
from api.http.context import KEYED, CallerHere, ServicesHere
from api.http.errors import RangeNotSatisfiable
from api.http.paging import PageParameters, PageShown, decode_cursor, encode_cursor, link_next
from api.http.responses import Instant, Shown
from api.http.services import Services
from api.http.validation import invalid
from api.permissions import denied
from api.withholding import not_whole_for
from domain.errors import RoleNotAllowed
from domain.events import EVENT_TYPES
from ledger.export_jobs import (
    ExportEnded,
    ExportFileNotFound,
    ExportNotFound,
    ExportUnderWay,
    Job,
    TooManyExports,
    Viewer,
)

router = APIRouter(
    prefix="/v1/exports", tags=["Exports"], route_class=KeyedRoute, dependencies=KEYED
)

MEDIA_TYPE: Final = "application/octet-stream"
_TYPES: Final = frozenset(event_type.__name__ for event_type in EVENT_TYPES)
_RANGE: Final = re.compile(r"bytes=(\d{1,18})-(\d{0,18})", re.ASCII)
_MICROSECOND: Final = timedelta(microseconds=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_A_FILE: Final[dict[str, Any]] = {
    MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}, "example": "(bytes)"}
}
_DOWNLOADS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "The file.", "content": _A_FILE},
    206: {"description": "The part that Range asks for.", "content": _A_FILE},
    304: {"description": "It is the one that If-None-Match names."},
    **declared.errors(
        *(*declared.KEYED, ExportNotFound, ExportFileNotFound, RangeNotSatisfiable),
        RoleNotAllowed,
    ),
}


class ExportFileShown(Shown):
    """A file of an export."""

    name: str = Field(examples=["events-000000000001-000000004711.jsonl"])
    bytes: int = Field(examples=[3_102_544])
    sha256: str = Field(description="Hexadecimal; also its ETag.")
    href: str = Field(description="Where to fetch it.")


class ExportShown(Shown):
    """An export: what was asked for, how far it is, and its files once it is done."""

    id: UUID
    kind: str = Field(description="`events` or `case`.", examples=["events"])
    status: str = Field(
        description="`queued`, `running`, `done`, `failed`, `cancelled` or `expired`: its files"
        " are gone.",
        examples=["done"],
    )
    person: str = Field(description="Who asked for it.", examples=["anna"])
    request: dict[str, Any] = Field(description="What was asked for.")
    events_done: int = Field(description="Events of the log looked at.", examples=[4711])
    events_total: int | None = Field(
        description="And how many there are to look at; null until it has begun.", examples=[4711]
    )
    error: str | None = Field(description="Why it failed.", examples=[None])
    manifest: dict[str, Any] | None = Field(description="What is in the files, once done.")
    files: list[ExportFileShown]
    created_at: Instant
    started_at: Instant | None
    ended_at: Instant | None
    expires_at: Instant | None = Field(description="From when on its files are gone.")

    @classmethod
    def of(cls, job: Job, keep_days: int) -> "ExportShown":
        result: Mapping[str, Any] = (job.result or {}) if job.status == "done" else {}
        ends = job.ended_at if job.status == "done" else None
        return cls(
            id=job.id,
            kind=job.kind,
            status=job.status,
            person=job.person,
            request=job.request,
            events_done=job.events_done,
            events_total=job.events_total,
            error=job.error,
            manifest=result.get("manifest"),
            files=[
                ExportFileShown(**file, href=f"/v1/exports/{job.id}/files/{file['name']}")
                for file in result.get("files", [])
            ],
            created_at=job.created_at,
            started_at=job.started_at,
            ended_at=job.ended_at,
            expires_at=None if ends is None else ends + timedelta(days=keep_days),
        )


async def _viewer(request: Request) -> Viewer:
    return Viewer(request.state.person, str(request.state.role))


ViewerHere = Annotated[Viewer, Depends(_viewer)]
"""Who asks, and in which role."""


@router.post(
    "",
    status_code=202,
    responses=declared.errors(*declared.WRITES, TooManyExports),
)
def ask_for_export(
    body: AnyExport,
    caller: CallerHere,
    viewer: ViewerHere,
    services: ServicesHere,
    response: Response,
) -> ExportShown:
    """Ask for an export; a worker makes it.

    Ask at the place that Location names until its status is `done`. At most 5 of a person are
    queued or running. Events that are not for who asks, or of which a part is not, are left out:
    `without`, in the request that is shown and in the manifest, says of which types. A case holds
    whole streams, and fails where there are such events in them.
    """
    wanted = body.request(not_whole_for(viewer.role))
    job = services.exports.create(viewer, caller.idempotency_key, body.kind, wanted)
    response.headers["location"] = f"/v1/exports/{job.id}"
    return ExportShown.of(job, services.export_days)


@router.get("", responses=declared.errors(*declared.KEYED))
def list_exports(
    page: Annotated[PageParameters, Query()],
    viewer: ViewerHere,
    services: ServicesHere,
    request: Request,
    response: Response,
) -> PageShown[ExportShown]:
    """List exports, newest first: one's own, or all for those who may see them."""
    found = services.exports.page(viewer, before_cursor(page.cursor), page.limit + 1)
    cursor = cursor_after(found, page.limit)
    link_next(request, response, cursor=cursor)
    items = [ExportShown.of(job, services.export_days) for job in found[: page.limit]]
    return PageShown(items=items, next_cursor=cursor)


@router.get("/{export_id}", responses=declared.errors(*declared.KEYED, ExportNotFound))
def get_export(export_id: UUID, viewer: ViewerHere, services: ServicesHere) -> ExportShown:
    """Show an export: how far it is, or why it failed, or where its files are."""
    return ExportShown.of(services.exports.get(viewer, export_id), services.export_days)


@router.get("/{export_id}/files/{name}", response_class=FileResponse, responses=_DOWNLOADS)
def get_export_file(
    export_id: UUID, name: str, viewer: ViewerHere, services: ServicesHere, request: Request
) -> Response:
    """Fetch a file of an export, or a part of it with Range.

    One that may hold events that are not for who asks is not given to them, whoever asked for it.
    """
    job = services.exports.get(viewer, export_id)
    if not set(not_whole_for(viewer.role)) <= _left_out(job):
        raise denied(request, "see all that is in this export")
    file = _file_of(job, name)
    path = _path_of(services, export_id, file["name"])
    headers = _headers_of(file)
    if request.headers.get("if-none-match", "").strip() == headers["etag"]:
        return Response(status_code=304, headers=headers)
    _judge_range(request, file["bytes"], headers["etag"])
    return FileResponse(path, headers=headers, media_type=MEDIA_TYPE, filename=file["name"])


@router.post(
    "/{export_id}/cancel",
    responses=declared.errors(*declared.WRITES, ExportNotFound, ExportEnded),
)
def cancel_export(
    export_id: UUID, caller: CallerHere, viewer: ViewerHere, services: ServicesHere
) -> ExportShown:
    """End an export that is queued or running; what there is of it is thrown away."""
    return ExportShown.of(services.exports.cancel(viewer, export_id), services.export_days)


@router.delete(
    "/{export_id}",
    status_code=204,
    response_class=Response,
    responses=declared.errors(*declared.KEYED, ExportNotFound, ExportUnderWay),
)
def delete_export(export_id: UUID, viewer: ViewerHere, services: ServicesHere) -> None:
    """Forget an export that has ended, and its files."""
    services.exports.delete(viewer, export_id)


def _left_out(job: Job) -> set[str]:
    """Types of events that are not in it."""
    selection: Mapping[str, Any] = job.request.get("selection", job.request)
    topics = set(selection.get("topics", ()))
    return set(selection.get("without", ())) | (_TYPES - topics if topics else set())


def _file_of(job: Job, name: str) -> Mapping[str, Any]:
    """Only what the worker wrote down is ever looked for on disk."""
    files: list[Mapping[str, Any]] = (job.result or {}).get("files", [])
    for file in files if job.status == "done" else []:
        if file["name"] == name:
            return file
    raise ExportFileNotFound


def _path_of(services: Services, export_id: UUID, name: str) -> Path:
    path = services.exports_folder / str(export_id) / name
    if not path.is_file():
        raise ExportFileNotFound
    return path


def _headers_of(file: Mapping[str, Any]) -> dict[str, str]:
    """Source: RFC 9110 for ETag, RFC 9530 for Repr-Digest."""
    digest = base64.b64encode(bytes.fromhex(file["sha256"])).decode()
    return {
        "etag": f'"{file["sha256"]}"',
        "repr-digest": f"sha-256=:{digest}:",
        "x-content-type-options": "nosniff",
    }


def _judge_range(request: Request, size: int, etag: str) -> None:
    """Several ranges, what is none, and one of another file are answered with the whole file.

    Source: RFC 9110, sections 13.1.5 and 14.2.

    Raises:
        RangeNotSatisfiable: it begins behind the end.
    """
    asked = request.headers.get("range")
    if asked is None:
        return
    match = _RANGE.fullmatch(asked.strip())
    of_this_file = request.headers.get("if-range", etag).strip() == etag
    if match is None or not of_this_file or (match[2] and int(match[2]) < int(match[1])):
        kept = [(name, value) for name, value in request.scope["headers"] if name != b"range"]
        request.scope["headers"] = kept
    elif int(match[1]) >= size:
        raise RangeNotSatisfiable(headers={"content-range": f"bytes */{size}"})


def cursor_after(found: Sequence[Job], limit: int) -> str | None:
    """Where the next page goes on, where more than `limit` jobs were found."""
    if len(found) <= limit:
        return None
    last = found[limit - 1]
    return encode_cursor([_microseconds(last.created_at), str(last.id)])


def before_cursor(cursor: str | None) -> tuple[datetime, UUID] | None:
    """The job that a page goes on from.

    Raises:
        RequestInvalid: the cursor is none of such a list.
    """
    if cursor is None:
        return None
    microseconds, text = decode_cursor(cursor, int, str)
    try:
        return _EPOCH + microseconds * _MICROSECOND, UUID(text)
    except (OverflowError, ValueError):
        unknown = "The cursor is none of this list"
        raise invalid("query.cursor", "cursor_unknown", unknown) from None


def _microseconds(instant: datetime) -> int:
    return (instant - _EPOCH) // _MICROSECOND
