"""Reports of suspicious activity over HTTP: written, fetched, filed; nobody else learns of it."""

import threading
from collections.abc import Iterator
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4
from xml.etree import ElementTree as ET

import httpx2
import psycopg
import pytest

from ledger.eventstore import database
from ledger.eventstore.database import Role
from ledger.settings import Settings
from replay.case.members import Case, CaseKind, streams_of
from replay.jobs import ExportJobs
from tests.integration.fraud.fraud_api import (
    BY_ROLE,
    case_of,
    code,
    fraud_api,
    head,
    structured,
    until,
)
from tests.servers.api_server import Api, said

NARRATIVE = "Four parts of one sum <paid in> & out again; „why“ nobody could say."
SEES = {"compliance", "auditor"}
FILED = {"authority": "FIAU", "authority_reference": "STR-1"}


@pytest.fixture(scope="module")
def api(module_database: Settings) -> Iterator[Api]:
    with fraud_api(module_database) as api:
        yield api


@pytest.fixture(scope="module")
def player(api: Api) -> UUID:
    player = uuid4()
    structured(api, player)
    return player


@pytest.fixture(scope="module")
def case(api: Api, player: UUID) -> dict[str, Any]:
    return case_of(api, f"player:{player}")


@pytest.fixture(scope="module")
def deposits(api: Api, player: UUID) -> list[str]:
    found = api.get("/v1/transactions", params={"player_id": str(player)}).json()["items"]
    return [one["id"] for one in found]


def draft(
    api: Api, case: dict[str, Any], deposits: list[str], key: str | None = None, **changes: object
) -> httpx2.Response:
    body = {"narrative": NARRATIVE, "transactions": deposits} | changes
    return api.post(f"/v1/cases/{case['id']}/reports", body, person="cleo", key=key)


def do(api: Api, report: dict[str, Any], what: str, body: object, **more: Any) -> httpx2.Response:
    return api.post(f"/v1/reports/{report['id']}/{what}", body, person="cleo", **more)


def test_a_report_is_drafted_fetched_and_filed(
    api: Api, case: dict[str, Any], deposits: list[str]
) -> None:
    drafted = draft(api, case, deposits[:1])
    assert drafted.status_code == 201, drafted.text
    report = drafted.json()
    path = f"/v1/reports/{report['id']}"
    assert drafted.headers["location"] == path
    assert (report["status"], report["case_id"]) == ("draft", case["id"])
    assert {one["indicator"] for one in report["indicators"]} == set(case["indicators"])
    revised = do(api, report, "revise", {"narrative": NARRATIVE, "transactions": deposits})
    assert [one["transaction_id"] for one in revised.json()["transactions"]] == deposits
    assert api.get(path, "otto").json() == revised.json()

    xml = api.get(f"{path}/goaml.xml", "cleo")
    assert xml.headers["content-type"] == "application/xml"
    assert xml.headers["content-disposition"] == f'attachment; filename="report-{report["id"]}.xml"'
    root = ET.fromstring(xml.content)  # noqa: S314  (it is ours)
    assert root.findtext("reason") == NARRATIVE
    assert len(root.findall("transaction")) == len(deposits)
    pdf = api.get(f"{path}/report.pdf", "otto")
    assert (pdf.headers["content-type"], pdf.content[:5]) == ("application/pdf", b"%PDF-")

    stale = {"if-match": drafted.headers["etag"]}
    assert code(do(api, report, "file", FILED, headers=stale)) == (412, "version_changed")
    key = str(uuid4())
    filed = do(api, report, "file", FILED, key=key)
    assert filed.status_code == 200, filed.text
    assert filed.json()["document_digest"] == sha256(xml.content).hexdigest()
    assert (filed.json()["status"], filed.json()["authority_reference"]) == ("filed", "STR-1")
    again = api.get(f"{path}/goaml.xml", "cleo")
    assert again.content == xml.content
    repeat = do(api, report, "file", FILED, key=key)
    assert (repeat.status_code, repeat.content) == (200, filed.content)
    assert code(do(api, report, "file", FILED)) == (409, "invalid_transition")
    assert code(do(api, report, "dismiss", {"reason": "x"})) == (409, "invalid_transition")


def test_a_report_that_is_not_filed_says_why(api: Api, case: dict[str, Any]) -> None:
    report = draft(api, case, []).json()
    assert code(do(api, report, "dismiss", {"reason": " "})) == (422, "evidence_missing")
    dismissed = do(api, report, "dismiss", {"reason": "A documented gift."}).json()
    assert (dismissed["status"], dismissed["reason"]) == ("dismissed", "A documented gift.")


def test_a_repeated_draft_is_the_same_whatever_became_of_its_transactions(
    api: Api, case: dict[str, Any]
) -> None:
    created = api.deposit(uuid4(), 100).json()
    key = str(uuid4())
    first = draft(api, case, [created["id"]], key=key)
    api.complete(UUID(created["id"]), 100)
    again = draft(api, case, [created["id"]], key=key)
    assert (again.status_code, again.content) == (201, first.content)
    other = draft(api, case, [created["id"]], key=key, narrative="Another.")
    assert code(other) == (422, "idempotency_key_reused")


def test_reports_of_the_past_are_as_they_were(api: Api, case: dict[str, Any]) -> None:
    before = head(api)
    report = draft(api, case, []).json()
    drafted_at = head(api)
    path = f"/v1/reports/{report['id']}"
    xml, pdf = (api.get(f"{path}/{name}", "cleo") for name in ("goaml.xml", "report.pdf"))
    listed = api.get("/v1/reports", "cleo", params={"min_position": drafted_at}).json()["items"]
    do(api, report, "dismiss", {"reason": "x"})
    then: dict[str, Any] = {"as_of": drafted_at}
    assert api.get(path, "cleo", params=then).json() == report
    assert api.get(f"{path}/goaml.xml", "cleo", params=then).content == xml.content
    assert api.get(f"{path}/report.pdf", "cleo", params=then).content == pdf.content
    assert api.get("/v1/reports", "cleo", params=then).json()["items"] == listed
    missing = api.get(path, "cleo", params={"as_of": before})
    assert code(missing) == (404, "report_not_found")
    another = draft(api, case, []).json()
    mine = {"case_id": case["id"], "limit": 1, "min_position": head(api)}
    walked: list[str] = []
    page = api.get("/v1/reports", "cleo", params=mine)
    while True:
        walked += [one["id"] for one in page.json()["items"]]
        if "next" not in page.links:
            break
        page = api.get(page.links["next"]["url"], "cleo")
    assert walked[:2] == [another["id"], report["id"]]
    assert len(set(walked)) == len(walked)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"narrative": " "}, (422, "evidence_missing")),
        ({"narrative": ""}, (422, "request_invalid")),
        ({"narrative": "x" * 20_001}, (422, "request_invalid")),
        ({"narrative": "card 4242 4242 4242 4242"}, (422, "request_invalid")),
        ({"narrative": "a\u202eb"}, (422, "request_invalid")),
        ({"transactions": [str(UUID(int=7))]}, (404, "transaction_not_found")),
        ({"status": "filed"}, (422, "request_invalid")),
    ],
)
def test_what_cannot_be_is_refused(
    api: Api, case: dict[str, Any], changes: dict[str, object], expected: tuple[int, str]
) -> None:
    answer = draft(api, case, [], **changes)
    assert code(answer) == expected
    assert "4242" not in said(answer)


def test_what_is_no_report_is_not_found(api: Api, case: dict[str, Any]) -> None:
    for one in (case["id"], str(uuid4())):
        assert code(api.get(f"/v1/reports/{one}", "cleo")) == (404, "report_not_found")
        missing = api.post(f"/v1/reports/{one}/file", FILED, person="cleo")
        assert code(missing) == (404, "report_not_found")
    missing = draft(api, {"id": str(uuid4())}, [])
    assert code(missing) == (404, "case_not_found")


# --- nobody else learns of it -------------------------------------------------------------------


def test_the_case_tells_of_the_report_only_whom_it_may(api: Api, case: dict[str, Any]) -> None:
    report = draft(api, case, []).json()
    path, params = f"/v1/cases/{case['id']}", {"min_position": head(api)}
    for person in ("cleo", "otto"):
        assert report["id"] in api.get(path, person, params=params).json()["reports"]
    fraud = api.get(path, "ben", params=params)
    assert "report" not in fraud.text
    assert fraud.json() == api.get(path, "ben", params={"as_of": head(api)}).json()
    told = api.post(f"{path}/notes", {"note": "seen"}, person="cleo")
    assert "reports" not in told.json()


def test_no_feed_tells_of_reports(api: Api, case: dict[str, Any]) -> None:
    report = draft(api, case, []).json()
    position = position_of(api, report["id"])
    asked: tuple[dict[str, Any], ...] = (
        {"after": position - 1, "limit": 1},
        {"topic": ["ReportDrafted", "ReportFiled"]},
        {"transaction_id": report["id"]},
        {"as_of": position, "after": position - 1},
    )
    for role, person in BY_ROLE.items():
        for params in asked:
            page = api.get("/v1/events", person, params=params)
            types = [event["type"] for event in page.json()["items"]]
            assert ("ReportDrafted" in types) is (role in SEES), (role, params)
            assert page.json()["next_after"] >= position
        streamed = stream(api, person, position - 1)
        assert (report["id"] in streamed) is (role in SEES), role
        for path in (
            *(f"/v1/transactions/{report['id']}", f"/v1/transactions/{report['id']}/events"),
            *(f"/v1/withdrawals/{report['id']}/assessment", f"/v1/players/{report['id']}"),
        ):
            assert api.get(path, person).status_code in (403, 404)
        by_id = api.get("/v1/lookup", person, params={"q": report["id"]}).json()
        assert by_id["items"] == []
        by_position = api.get("/v1/lookup", person, params={"q": str(position)}).json()
        assert bool(by_position["items"]) is (role in SEES), role
        proof = api.get("/v1/proofs/inclusion", person, params={"position": position})
        assert (proof.status_code == 200) is (role in SEES), role


def test_an_export_leaves_out_what_is_not_for_who_asks(api: Api, case: dict[str, Any]) -> None:
    draft(api, case, [])
    for person in ("anna", "sam", "ben", "ada", "otto", "cleo"):
        job = exported(api, person)
        text = "".join(api.get(file["href"], person).text for file in job["files"])
        sees = person in ("otto", "cleo")
        assert ('"topic":"ReportDrafted"' in text) is (NARRATIVE in text) is sees, person
        left_out = job["manifest"]["asked"].get("without", [])
        assert ("ReportDrafted" in left_out) is not sees
        assert job["request"]["selection"].get("without", []) == left_out
        assert ("FraudCaseOpened" in left_out) is (person in ("anna", "sam", "ada"))


def test_an_export_of_compliance_is_not_given_to_an_administrator(
    api: Api, case: dict[str, Any]
) -> None:
    draft(api, case, [])
    whole, part = exported(api, "cleo"), exported(api, "anna")
    assert api.get(f"/v1/exports/{whole['id']}", "ada").status_code == 200
    refused = api.get(whole["files"][0]["href"], "ada")
    assert code(refused) == (403, "role_not_allowed")
    assert api.get(whole["files"][0]["href"], "otto").status_code == 200
    assert api.get(part["files"][0]["href"], "ada").status_code == 200
    few = exported(api, "cleo", topics=["DepositCreated"])
    assert api.get(few["files"][0]["href"], "ada").status_code == 200


def test_a_bundle_of_a_player_leaves_out_what_is_not_for_who_asks(
    api: Api, case: dict[str, Any], player: UUID
) -> None:
    report = draft(api, case, []).json()
    hold = {"player_id": str(player), "hold": "aml", "note": "until filed"}
    api.post(f"/v1/cases/{case['id']}/holds", hold, person="cleo")
    asked: list[dict[str, Any]] = []

    def write(request: Any, folder: Any, _report: Any) -> dict[str, Any]:
        about = Case(CaseKind.PLAYER, player, without=tuple(request.get("without", ())))
        with psycopg.connect(database.conninfo(api.settings, Role.READER)) as reader:
            found = streams_of(reader, about, head(api))
        asked.append({"streams": {str(stream) for stream in found}})
        folder.mkdir(parents=True)
        folder.with_name(folder.name + ".zip").write_bytes(b"zip")
        return {}

    wanted = {"kind": "case", "player_id": str(player)}
    for person, sees in (("ben", (case["id"],)), ("cleo", (case["id"], report["id"]))):
        exported(api, person, write_case=write, body=wanted)
        streams = asked[-1]["streams"]
        assert str(player) in streams
        assert streams & {case["id"], report["id"]} == set(sees), person


def exported(
    api: Api, person: str, *, write_case: Any = None, body: Any = None, **changes: Any
) -> dict[str, Any]:
    """An export, done."""
    wanted = body or {"kind": "events", "format": "jsonl", **changes}
    asked = api.post("/v1/exports", wanted, person=person)
    assert asked.status_code == 202, asked.text
    jobs = ExportJobs(
        writer=database.conninfo(api.settings, Role.WRITER),
        reader=database.conninfo(api.settings, Role.READER),
        folder=api.settings.data / "exports",
        keep_days=7,
        write_case=write_case,
        idle_seconds=0.02,
    )
    stop = threading.Event()
    thread = threading.Thread(target=jobs.run, args=(stop,))
    thread.start()

    def look() -> dict[str, Any] | None:
        found: dict[str, Any] = api.get(asked.headers["location"], person).json()
        return found if found["status"] not in ("queued", "running") else None

    try:
        done = until(look)
    finally:
        stop.set()
        thread.join()
    assert done["status"] == "done", done["error"]
    return done


def stream(api: Api, person: str, after: int) -> str:
    """What comes of the feed as it goes on, up to the end of the log."""
    end, text = head(api), ""
    headers = {
        "authorization": f"Bearer {api.keys[person]}",
        "accept": "text/event-stream",
        "last-event-id": str(after),
    }
    note = api.deposit(uuid4()).json()["id"]
    with api.client.stream("GET", "/v1/events", headers=headers) as answer:
        assert answer.status_code == 200
        for chunk in answer.iter_text():
            text += chunk
            if note in text:
                return text
    raise AssertionError(f"the stream ended before position {end}")


def position_of(api: Api, stream_id: str) -> int:
    query = "SELECT notification_id FROM ledger_events WHERE originator_id = %s"
    with psycopg.connect(database.conninfo(api.settings, Role.READER)) as reader:
        row = reader.execute(query, [stream_id]).fetchone()
    assert row is not None
    return int(row[0])
