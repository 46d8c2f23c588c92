"""A report of suspicious activity as a document for people: PDF, A4.

The same report gives the same bytes: the document carries the report's own time instead of the
clock's, and only the fonts that come with the typesetter are used. These have Latin, Greek and
Cyrillic letters; characters of other scripts show as empty boxes, and are whole in the XML.
"""

import json
import unicodedata
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import Any, Final, Literal, assert_never

import typst

from api.fraud.documents.goaml import UNKNOWN
from domain.events import ReportedTransaction
from domain.fraud.indicators.catalogue import BY_CODE
from domain.fraud.report import Report, ReportStatus
from domain.money import exponent

_FILLS: Final = {
    ReportStatus.DRAFT: "#6b7280",
    ReportStatus.FILED: "#1d6f42",
    ReportStatus.DISMISSED: "#8a5a00",
}

NOBODY: Final = "not set (TALLYSTICK_REPORTING_NAME)"
_Fact = tuple[str, str] | tuple[str, str, bool]
"""Label, text, and whether that is for machines."""


def report_pdf(report: Report, *, entity_name: str) -> bytes:
    """The report, with its status and what was decided; `entity_name` is who reports."""
    made: bytes = _compile(report, entity_name, "pdf")
    return made


def report_pages(report: Report, *, entity_name: str, ppi: int = 72) -> list[bytes]:
    """The same document as pictures (PNG), one for each page."""
    made = _compile(report, entity_name, "png", ppi)
    return made if isinstance(made, list) else [made]


def _compile(report: Report, entity_name: str, kind: Literal["pdf", "png"], ppi: int = 72) -> Any:
    return typst.compile(
        _template(),
        format=kind,
        ppi=ppi,
        ignore_system_fonts=True,
        sys_inputs={"report": json.dumps(_content(report, entity_name), ensure_ascii=True)},
        timestamp=int(report.updated_at.timestamp()),
    )


@cache
def _template() -> bytes:
    return files("api.fraud.documents").joinpath("report.typ").read_bytes()


# --- content ------------------------------------------------------------------------------------


def _content(report: Report, entity_name: str) -> dict[str, object]:
    """What the template sets: texts only, with what people read already put in words."""
    return {
        "id": str(report.id),
        "entity": _named(entity_name),
        "status": {
            "word": report.status.value.upper(),
            "fill": _FILLS[report.status],
            "sentence": _status_sentence(report),
        },
        "facts": _facts(report, entity_name),
        "narrative": _paragraphs(report.narrative),
        "indicators": [
            {
                "title": _title(found.indicator),
                "code": found.indicator,
                "sentence": _clean(found.sentence),
            }
            for found in report.indicators
        ],
        "transactions": [_transaction(one) for one in report.transactions],
        "decision": _decision(report),
    }


def _facts(report: Report, entity_name: str) -> list[_Fact]:
    return [
        ("Reporting entity", _named(entity_name)),
        ("Subject", _clean(report.subject), True),
        ("Player", str(report.player_id) if report.player_id else "no single one", True),
        ("Case", str(report.case_id), True),
        ("Written", f"{_moment(report.written_at)}, begun by {_clean(report.drafted_by)}"),
    ]


def _named(entity_name: str) -> str:
    """The default of the setting says that there is no name, and so does the document."""
    return NOBODY if entity_name == UNKNOWN else _clean(entity_name)


def _status_sentence(report: Report) -> str:
    match report.status:
        case ReportStatus.DRAFT:
            return "Not decided yet."
        case ReportStatus.FILED:
            return f"With the authorities since {_moment(report.decided_at)}."
        case ReportStatus.DISMISSED:
            return f"Not filed, by a decision of {_moment(report.decided_at)}."
        case _:
            assert_never(report.status)


def _decision(report: Report) -> list[_Fact]:
    if report.status is ReportStatus.DRAFT:
        return [("Decision", "None yet: the report is neither filed nor dismissed.")]
    decided: list[_Fact] = [
        ("Decided by", _clean(report.decided_by or "")),
        ("Decided at", _moment(report.decided_at)),
    ]
    if report.status is ReportStatus.DISMISSED:
        return [("Decision", "Not filed"), *decided, ("Reason", _clean(report.reason or ""))]
    return [
        ("Decision", "Filed"),
        *decided,
        ("Authority", _clean(report.authority or "")),
        ("Its reference", _clean(report.authority_reference or "")),
        ("SHA-256 of the XML", report.document_digest or "", True),
    ]


def _transaction(one: ReportedTransaction) -> dict[str, str]:
    return {
        "at": _moment(datetime.fromisoformat(one.at)).removesuffix(" UTC"),
        "kind": _clean(one.kind),
        "id": str(one.transaction_id),
        "instrument": _clean(one.instrument or ""),
        "amount": _grouped(one.amount.amount, exponent(one.amount.currency)),
        "currency": one.amount.currency,
    }


def _paragraphs(narrative: str) -> list[list[str]]:
    """The lines of each paragraph; an empty line ends one."""
    paragraphs: list[list[str]] = [[]]
    for line in narrative.splitlines():
        if line.strip():
            paragraphs[-1].append(_clean(line))
        elif paragraphs[-1]:
            paragraphs.append([])
    return [paragraph for paragraph in paragraphs if paragraph]


def _title(code: str) -> str:
    known = BY_CODE.get(code)
    return known.title if known else code


def _grouped(amount_minor: int, digits: int) -> str:
    """1234567 of two digits is "12,345.67"."""
    whole, fraction = divmod(abs(amount_minor), 10**digits)
    sign = "-" if amount_minor < 0 else ""
    return f"{sign}{whole:,}.{fraction:0{digits}d}" if digits else f"{sign}{whole:,}"


def _moment(at: datetime | None) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC") if at else ""


def _clean(text: str) -> str:
    """Without what cannot be printed: lone surrogates and control characters, visibly replaced."""
    return "".join(
        character if character == "\t" or not _unprintable(character) else "\ufffd"
        for character in text
    )


def _unprintable(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cs")
