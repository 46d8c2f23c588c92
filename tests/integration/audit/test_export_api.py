"""Exports over HTTP: asked for, made by a worker, fetched; who may see which."""

import errno
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4
from zipfile import ZipFile

import httpx2
import psycopg
import pytest

from ledger.checkpoints import signing
from ledger.checkpoints.keys import verifying_keys
from ledger.checkpoints.signing import SignerBusy
from ledger.eventstore import database
from ledger.eventstore.database import Role
from ledger.eventstore.ledger import utc_now
from ledger.export_jobs import Leases
from ledger.settings import Settings
from replay.export.errors import ExportError
from replay.export.run import export
from replay.export.selection import Selection
from replay.export.sinks import Format
from replay.jobs import ExportJobs, case_writer
from tests.servers.api_server import Api, running_api

WAIT_SECONDS = 30.0
EVENTS = {"kind": "events", "format": "jsonl"}


@pytest.fixture(scope="module")
def api(module_database: Settings) -> Iterator[Api]:
    with running_api(module_database) as api:
        for _ in range(5):
            api.fund(uuid4())
        yield api


def worker(api: Api, **changes: Any) -> ExportJobs:
    values: dict[str, Any] = {
        "writer": database.conninfo(api.settings, Role.WRITER),
        "reader": database.conninfo(api.settings, Role.READER),
        "folder": api.settings.data / "exports",
        "keep_days": 7,
        "idle_seconds": 0.02,
    }
    return ExportJobs(**values | changes)


@contextmanager
def working(*workers: ExportJobs) -> Iterator[None]:
    stop = threading.Event()
    threads = [threading.Thread(target=one.run, args=(stop,)) for one in workers]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def ask(api: Api, body: Mapping[str, Any] = EVENTS, **options: Any) -> dict[str, Any]:
    answer = api.post("/v1/exports", dict(body), **options)
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"/v1/exports/{answer.json()['id']}"
    asked: dict[str, Any] = answer.json()
    return asked


def ended(api: Api, job: Mapping[str, Any], person: str = "platform") -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        found: dict[str, Any] = api.get(f"/v1/exports/{job['id']}", person).json()
        return found if found["status"] not in ("queued", "running") else None

    return until(look)


def until(look: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + WAIT_SECONDS
    while not (found := look()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
    return found


def sql(api: Api, statement: str, *values: object) -> None:
    with psycopg.connect(database.conninfo(api.settings, Role.WRITER)) as connection:
        connection.execute(statement.encode(), values)


def code(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def test_an_export_is_asked_for_made_and_fetched(api: Api, tmp_path: Path) -> None:
    job = ask(api, {**EVENTS, "topics": ["DepositCreated", "DepositCompleted"]})
    assert (job["status"], job["files"]) == ("queued", [])
    with working(worker(api)):
        done = ended(api, job)
    assert (done["status"], done["error"]) == ("done", None)
    assert done["events_done"] == done["events_total"] == done["manifest"]["upto"]
    assert done["manifest"]["events"] >= 10
    for file in done["files"]:
        answer = api.get(file["href"])
        assert answer.status_code == 200
        assert sha256(answer.content).hexdigest() == file["sha256"]
        assert answer.headers["etag"] == f'"{file["sha256"]}"'
        assert answer.headers["content-disposition"] == f'attachment; filename="{file["name"]}"'
        assert len(answer.content) == file["bytes"]
    selection = Selection.from_asked(done["manifest"]["asked"] | {"upto": done["manifest"]["upto"]})
    reader = database.conninfo(api.settings, Role.READER)
    made = export(reader, selection, tmp_path / "x", Format.JSONL)
    assert [file.sha256 for file in made.files] == [file["sha256"] for file in done["files"][:-1]]
    assert [file["name"] for file in done["files"]][-1] == "manifest.json"


def test_parts_of_a_file_can_be_fetched(api: Api) -> None:
    with working(worker(api)):
        file = ended(api, ask(api))["files"][0]
    whole = api.get(file["href"]).content
    part = api.get(file["href"], headers={"range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, whole[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(whole)}"
    tag = part.headers["etag"]
    rest = api.get(file["href"], headers={"range": "bytes=20-", "if-range": tag})
    assert (rest.status_code, rest.content) == (206, whole[20:])
    changed = api.get(file["href"], headers={"range": "bytes=20-", "if-range": '"other"'})
    assert (changed.status_code, changed.content) == (200, whole)
    behind = api.get(file["href"], headers={"range": f"bytes={len(whole)}-"})
    assert code(behind) == (416, "range_not_satisfiable")
    assert behind.headers["content-range"] == f"bytes */{len(whole)}"
    for odd in ("lines=1-2", "bytes=-5", "bytes=5-2", "bytes=0-1,4-5", "bytes=a-", "bytes=\u0661-"):
        answer = api.get(file["href"], headers={"range": odd.encode()})
        assert (answer.status_code, answer.content) == (200, whole), odd
    gone = api.get(file["href"], headers={"range": f"bytes={len(whole)}-", "if-range": '"other"'})
    assert (gone.status_code, gone.content) == (200, whole)
    long = api.get(file["href"], headers={"range": f"bytes=5-{len(whole) + 5}"})
    assert (long.status_code, long.content) == (206, whole[5:])
    assert api.get(file["href"], headers={"if-none-match": tag}).status_code == 304


@pytest.mark.parametrize(
    "name",
    ["..%2F..%2Fkeys%2Fx", "progress.json", "%2e%2e", "%2Fetc%2Fpasswd", "manifest.json%00", "x"],
)
def test_only_the_files_of_an_export_can_be_fetched(api: Api, name: str) -> None:
    with working(worker(api)):
        job = ended(api, ask(api))
    answer = api.get(f"/v1/exports/{job['id']}/files/{name}")
    assert answer.status_code == 404
    cancel_all(api)


def cancel_all(api: Api) -> None:
    sql(api, "UPDATE export_jobs SET status = 'cancelled' WHERE status IN ('queued', 'running')")


def test_the_same_key_is_the_same_export(api: Api) -> None:
    key = str(uuid4())
    first = ask(api, key=key)
    assert ask(api, key=key)["id"] == first["id"]
    other = api.post("/v1/exports", {**EVENTS, "format": "csv"}, key=key)
    assert code(other) == (422, "idempotency_key_reused")
    assert ask(api, key=key, person="ben")["id"] != first["id"]
    cancel_all(api)


def test_another_persons_export_is_seen_by_compliance_alone(api: Api) -> None:
    with working(worker(api)):
        job = ended(api, ask(api, person="ben"), "ben")
    path, file = f"/v1/exports/{job['id']}", job["files"][0]["href"]
    for person, status in (("ben", 200), ("cleo", 200), ("anna", 404), ("platform", 404)):
        assert api.get(path, person).status_code == status
        assert api.get(file, person).status_code == status
        listed = {item["id"] for item in api.get("/v1/exports", person).json()["items"]}
        assert (job["id"] in listed) is (status == 200)
    assert code(api.post(f"{path}/cancel", person="anna")) == (404, "export_not_found")
    headers = {"authorization": f"Bearer {api.keys['anna']}"}
    assert api.client.delete(path, headers=headers).status_code == 404


def test_exports_are_listed_page_by_page(api: Api) -> None:
    asked = [ask(api, person="sam")["id"] for _ in range(3)]
    listed: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = api.get("/v1/exports", "sam", params={"limit": 2} | cursor).json()
        assert len(page["items"]) <= 2
        listed += [item["id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert listed[:3] == asked[::-1]  # others of theirs may be older
    assert len(set(listed)) == len(listed)
    cancel_all(api)


def test_nobody_floods_the_worker(api: Api) -> None:
    jobs = [ask(api, person="fina") for _ in range(5)]
    answer = api.post("/v1/exports", EVENTS, person="fina")
    assert code(answer) == (429, "too_many_exports")
    assert int(answer.headers["retry-after"]) > 0
    assert ask(api, person="ben")
    cancelled = api.post(f"/v1/exports/{jobs[0]['id']}/cancel", person="fina")
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
    assert ask(api, person="fina")
    cancel_all(api)


def test_what_is_cancelled_or_deleted_leaves_no_files(api: Api) -> None:
    jobs = worker(api)
    job = ask(api)
    path = f"/v1/exports/{job['id']}"
    assert code(api.client.delete(path, headers=api.headers())) == (409, "export_under_way")
    with working(jobs):
        done = ended(api, job)
    folder = api.settings.data / "exports" / job["id"]
    assert folder.is_dir()
    assert code(api.post(f"{path}/cancel")) == (409, "export_ended")
    assert api.client.delete(path, headers=api.headers()).status_code == 204
    assert code(api.get(path)) == (404, "export_not_found")
    assert code(api.get(done["files"][0]["href"])) == (404, "export_not_found")
    jobs.sweep()
    assert not folder.exists()


def test_files_expire(api: Api) -> None:
    jobs = worker(api)
    with working(jobs):
        job = ended(api, ask(api))
    sql(
        api,
        "UPDATE export_jobs SET ended_at = ended_at - interval '8 days' WHERE id = %s",
        job["id"],
    )
    jobs.sweep()
    shown = api.get(f"/v1/exports/{job['id']}").json()
    assert (shown["status"], shown["files"], shown["manifest"]) == ("expired", [], None)
    assert code(api.get(job["files"][0]["href"])) == (404, "export_file_not_found")
    assert not (api.settings.data / "exports" / job["id"]).exists()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({**EVENTS, "upto": 10**9}, "the log ends at"),
        ({**EVENTS, "recorded_to": "2999-01-01T00:00:00Z"}, "has not come"),
        ({"kind": "case", "player_id": str(UUID(int=1))}, "no case bundles"),
    ],
)
def test_what_cannot_be_made_fails_with_the_reason(
    api: Api, body: dict[str, Any], said: str
) -> None:
    with working(worker(api)):
        job = ended(api, ask(api, body))
    assert job["status"] == "failed"
    assert said in job["error"]


def test_a_fault_of_ours_is_said_to_be_one_and_shows_nothing(api: Api) -> None:
    def broken(*_: object) -> dict[str, Any]:
        raise RuntimeError("password=hunter2")

    with working(worker(api, write_case=broken)):
        job = ended(api, ask(api, {"kind": "case", "transaction_id": str(uuid4())}))
    assert job["status"] == "failed"
    assert "our side" in job["error"]
    assert "hunter2" not in str(job)


def test_a_case_is_one_file(api: Api) -> None:
    def write(request: Mapping[str, Any], folder: Path, _report: object) -> dict[str, Any]:
        if "player_id" not in request:
            raise ExportError("no")
        folder.mkdir()
        (folder / "events.jsonl").write_bytes(b"{}\n")
        folder.with_name(f"{folder.name}.zip").write_bytes(b"PK")
        return {"events": 1}

    player = str(uuid4())
    with working(worker(api, write_case=write)):
        job = ended(api, ask(api, {"kind": "case", "player_id": player}))
    assert [file["name"] for file in job["files"]] == [f"case-{player}.zip"]
    assert api.get(job["files"][0]["href"]).content == b"PK"
    assert job["manifest"] == {"events": 1}


def test_a_case_fetched_over_http_proves_itself(api: Api, tmp_path: Path) -> None:
    """With the signer at work beside it, as where all is served from one machine."""
    player = uuid4()
    transaction = api.fund(player)["id"]
    api.withdraw(player)
    stop, settings = threading.Event(), api.settings
    signer = threading.Thread(target=signing.build(settings, utc_now).run, args=(stop,))
    signer.start()
    try:
        until(lambda: verifying_keys(settings))
        with working(worker(api, write_case=case_writer(settings))):
            asked = [{"player_id": str(player)}, {"transaction_id": transaction}]
            jobs = [ended(api, ask(api, {"kind": "case"} | of)) for of in asked]
    finally:
        stop.set()
        signer.join()
    key = str(verifying_keys(settings)[0])
    for job, of in zip(jobs, asked, strict=True):
        assert job["status"] == "done", job["error"]
        (file,) = job["files"]
        fetched = tmp_path / file["name"]
        fetched.write_bytes(api.get(file["href"]).content)
        with ZipFile(fetched) as zipped:
            zipped.extractall(tmp_path)
        bundle = fetched.with_suffix("")
        # As a process of its own: what is printed here has the API's log lines among it.
        alone = [sys.executable, "-I", "-B", bundle / "verify.py", "--key", key, "--json"]
        checked = subprocess.run(alone, capture_output=True, check=False)
        told = json.loads(checked.stdout)
        assert (checked.returncode, told["events"]) == (0, job["manifest"]["events"])
        assert told["case"]["id"] in of.values()


def test_a_case_is_made_for_those_who_may_see_all_of_it(api: Api) -> None:
    """Why fraud holds a player is not for the platform, and no stream is proved in part."""
    player = uuid4()
    api.fund(player)
    api.post(f"/v1/players/{player}/holds", {"reason": "looking into it"}, person="ben")
    signing.build(api.settings, utc_now).sign_now()
    with working(worker(api, write_case=case_writer(api.settings))):
        asked = {"kind": "case", "player_id": str(player)}
        refused = ended(api, ask(api, asked))
        made = ended(api, ask(api, asked, person="ben"), "ben")
    assert (refused["status"], made["status"]) == ("failed", "done")
    assert "not for who asked for it (HoldPlaced)" in refused["error"]


def test_without_the_key_no_case_is_made(api: Api) -> None:
    elsewhere = api.settings.model_copy(update={"data": api.settings.data / "elsewhere"})
    with working(worker(api, write_case=case_writer(elsewhere))):
        job = ended(api, ask(api, {"kind": "case", "player_id": str(uuid4())}))
    assert job["status"] == "failed"
    assert "is not on the server" in job["error"]


def test_a_full_disk_is_said_to_be_one(api: Api) -> None:
    def write(_request: object, _folder: Path, _report: object) -> dict[str, Any]:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with working(worker(api, write_case=write)):
        job = ended(api, ask(api, {"kind": "case", "player_id": str(uuid4())}))
    assert job["status"] == "failed"
    assert "could not write the files: No space left on device" in job["error"]


def test_a_case_waits_for_a_signer_that_is_busy(api: Api) -> None:
    job = ask(api, {"kind": "case", "player_id": str(uuid4())})
    stop = threading.Event()

    def write(_request: object, _folder: Path, _report: object) -> dict[str, Any]:
        stop.set()
        raise SignerBusy

    worker(api, write_case=write).run(stop)
    assert api.get(f"/v1/exports/{job['id']}").json()["status"] == "queued"
    cancel_all(api)


@pytest.mark.parametrize(
    "body",
    [
        {"kind": "events"},
        {"kind": "loan", "format": "jsonl"},
        {**EVENTS, "format": "pdf"},
        {**EVENTS, "topics": ["Deposit"]},
        {**EVENTS, "kinds": ["loan"]},
        {**EVENTS, "recorded_from": "yesterday"},
        {**EVENTS, "after": -1},
        {**EVENTS, "nothing": 1},
        {"kind": "case"},
        {"kind": "case", "player_id": str(uuid4()), "transaction_id": str(uuid4())},
    ],
)
def test_what_cannot_be_meant_is_refused_at_once(api: Api, body: dict[str, Any]) -> None:
    assert code(api.post("/v1/exports", body)) == (422, "request_invalid")


# --- workers ------------------------------------------------------------------------------------


def test_two_workers_never_do_the_same_job(api: Api) -> None:
    begun: list[str] = []

    def write(request: Mapping[str, Any], folder: Path, _report: object) -> dict[str, Any]:
        begun.append(request["player_id"])
        time.sleep(0.05)
        folder.mkdir()
        folder.with_name(f"{folder.name}.zip").write_bytes(b"PK")
        return {}

    jobs = [
        ask(api, {"kind": "case", "player_id": str(uuid4())}, person=person)
        for person in ("ben", "sam", "fina")
        for _ in range(4)
    ]
    with working(*(worker(api, write_case=write) for _ in range(3))):
        assert {ended(api, job, "cleo")["status"] for job in jobs} == {"done"}
    assert sorted(begun) == sorted(job["request"]["player_id"] for job in jobs)


def test_a_job_whose_worker_vanished_is_taken_over(api: Api) -> None:
    job = ask(api)
    writer = database.conninfo(api.settings, Role.WRITER)
    gone = Leases(writer, uuid4(), lease_seconds=0.3)
    taken = gone.take()
    assert taken is not None
    assert str(taken.id) == job["id"]
    assert Leases(writer, uuid4(), 30.0).take() is None  # its lease has not ended
    with working(worker(api)):
        assert ended(api, job)["status"] == "done"
    assert not gone.renew(taken.id, 0, None)
    assert not gone.done(taken.id, {"files": []})
    assert not gone.failed(taken.id, "late")
    assert api.get(f"/v1/exports/{job['id']}").json()["files"]


def test_a_job_that_ends_every_worker_is_given_up(api: Api) -> None:
    job = ask(api)
    writer = database.conninfo(api.settings, Role.WRITER)
    for _ in range(10):
        assert Leases(writer, uuid4(), 0.0).take() is not None
    assert Leases(writer, uuid4(), 0.0).take() is None
    found = api.get(f"/v1/exports/{job['id']}").json()
    assert found["status"] == "failed"
    assert "several times" in found["error"]


def test_a_worker_that_is_told_to_stop_gives_its_job_back(api: Api) -> None:
    stop = threading.Event()

    def write(_request: object, _folder: Path, report: Any) -> dict[str, Any]:
        stop.set()
        report(1, 2)
        raise AssertionError("it was told to stop")

    job = ask(api, {"kind": "case", "player_id": str(uuid4())})
    worker(api, write_case=write).run(stop)
    assert api.get(f"/v1/exports/{job['id']}").json()["status"] == "queued"
    api.post(f"/v1/exports/{job['id']}/cancel")


def test_cancelling_ends_the_work(api: Api) -> None:
    stopped = threading.Event()

    def write(_request: object, _folder: Path, report: Any) -> dict[str, Any]:
        try:
            while True:
                report(1, 2)
                time.sleep(0.01)
        finally:
            stopped.set()

    job = ask(api, {"kind": "case", "player_id": str(uuid4())})
    jobs = worker(api, write_case=write, lease_seconds=0.4)
    with working(jobs):
        until(lambda: api.get(f"/v1/exports/{job['id']}").json()["events_done"])
        assert api.post(f"/v1/exports/{job['id']}/cancel").json()["status"] == "cancelled"
        assert stopped.wait(WAIT_SECONDS)
    assert api.get(f"/v1/exports/{job['id']}").json()["status"] == "cancelled"
    jobs.sweep()
    assert not (api.settings.data / "exports" / job["id"]).exists()
