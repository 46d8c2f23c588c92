"""Backtests over HTTP: who may ask for one, that a worker runs it, who sees what it came to."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import httpx2
import psycopg
import pytest

from domain.fraud.ruleset import DEFAULT_TERMS
from ledger.access.api_keys import StaffRole, create_key
from ledger.commands.handling import Caller
from ledger.eventstore import database
from ledger.eventstore.database import Role
from ledger.settings import Settings
from replay.archive import layout
from replay.backtest.candidates import changed_terms
from replay.backtest.job import backtester, kept_archive
from replay.jobs import ExportJobs
from tests.servers.api_server import Api, running_api

WAIT_SECONDS = 60.0
SERIAL = {"engine": "serial"}


@pytest.fixture(scope="module")
def api(module_database: Settings) -> Iterator[Api]:
    with running_api(module_database) as api:
        owner = database.conninfo(module_database, Role.OWNER)
        more = {"ada": StaffRole.AUDITOR, "fred": StaffRole.FRAUD}
        keys = {person: create_key(owner, person, role) for person, role in more.items()}
        player = uuid4()
        api.fund(player, 20_000)
        assert api.withdraw(player, 15_000).status_code == 201
        yield replace(api, keys={**api.keys, **keys})


@pytest.fixture(scope="module")
def ruleset(api: Api) -> UUID:
    """A draft that looks at what the rule set in force here does not."""
    caller = Caller(actor="operator:ben", idempotency_key=str(uuid4()), role="fraud")
    only = {one.indicator: {"mode": "off"} for one in DEFAULT_TERMS.indicators}
    terms = changed_terms(DEFAULT_TERMS, only | {"low_turnover": {"mode": "live"}})
    return api.services.rulesets.draft(terms, "n", caller).id


@contextmanager
def working(api: Api, **changes: Any) -> Iterator[None]:
    values: dict[str, Any] = {
        "writer": database.conninfo(api.settings, Role.WRITER),
        "reader": database.conninfo(api.settings, Role.READER),
        "folder": api.settings.data / "exports",
        "keep_days": 7,
        "idle_seconds": 0.02,
        "run_backtest": backtester(api.settings),
    }
    stop = threading.Event()
    thread = threading.Thread(target=ExportJobs(**values | changes).run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def ask(
    api: Api, ruleset: UUID, body: Mapping[str, Any] = SERIAL, person: str = "ben", **options: Any
) -> dict[str, Any]:
    path = f"/v1/rulesets/{ruleset}/backtests"
    answer = api.post(path, dict(body), person=person, **options)
    assert answer.status_code == 202, answer.text
    asked: dict[str, Any] = answer.json()
    assert answer.headers["location"] == f"/v1/backtests/{asked['id']}"
    return asked


def ended(api: Api, job: Mapping[str, Any], person: str = "cleo") -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        found: dict[str, Any] = api.get(f"/v1/backtests/{job['id']}", person).json()
        return found if found["status"] not in ("queued", "running") else None

    return until(look)


def until(look: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + WAIT_SECONDS
    while not (found := look()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
    return found


def code(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def test_a_backtest_is_asked_for_run_and_read(api: Api, ruleset: UUID) -> None:
    job = ask(api, ruleset)
    assert (job["status"], job["result"], job["from"], job["to"]) == ("queued", None, None, None)
    with working(api):
        done = ended(api, job)
    assert (done["status"], done["error"]) == ("done", None)
    assert done["events_done"] == done["events_total"] == done["result"]["log_position"]
    result = done["result"]
    assert (result["judged"], result["scores_changed"]) == (1, 1)
    assert result["candidate"] == api.services.rulesets.get().versions[ruleset].name
    assert [one["indicator"] for one in result["indicators"]] == ["low_turnover"]
    assert result["digest"] != result["digest_in_force"]
    assert done["ruleset_id"] == str(ruleset)


def test_a_span_is_kept_as_it_was_asked_for(api: Api, ruleset: UUID) -> None:
    body = {"from": 2, "to": "2100-01-01T00:00:00Z", **SERIAL}
    with working(api):
        done = ended(api, ask(api, ruleset, body))
    assert (done["from"], done["to"]) == ("2", "2100-01-01T00:00:00+00:00")
    assert done["result"]["span"]["first"] == 2


def test_one_that_cannot_be_run_says_why(api: Api, ruleset: UUID) -> None:
    with working(api):
        done = ended(api, ask(api, ruleset, {"from": 1_000_000, **SERIAL}))
    assert (done["status"], done["result"]) == ("failed", None)
    assert done["error"].startswith("The archive ends at position")


def test_while_somebody_else_writes_the_archive_it_waits(
    api: Api, ruleset: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("replay.jobs.AGAIN_SECONDS", 0.05)
    folder = kept_archive(api.settings)
    folder.mkdir(parents=True, exist_ok=True)
    job = ask(api, ruleset)
    with working(api):
        with layout.alone(folder):
            until(lambda: attempts_given_back(api, job))
            assert api.get(f"/v1/backtests/{job['id']}", "ben").json()["status"] != "failed"
        assert ended(api, job)["status"] == "done"


def attempts_given_back(api: Api, job: Mapping[str, Any]) -> bool:
    """A worker has begun it, and given it back."""
    query = "SELECT started_at IS NOT NULL AND status = 'queued' FROM export_jobs WHERE id = %s"
    with psycopg.connect(database.conninfo(api.settings, Role.READER)) as connection:
        row = connection.execute(query, [job["id"]]).fetchone()
    return bool(row and row[0])


def test_a_server_without_backtests_says_so(api: Api, ruleset: UUID) -> None:
    with working(api, run_backtest=None):
        done = ended(api, ask(api, ruleset))
    assert done["error"] == "This server runs no backtests; use `tallystick backtest`."


def test_asked_for_again_with_the_same_key_it_is_the_same_one(api: Api, ruleset: UUID) -> None:
    first = ask(api, ruleset, key="a-key")
    assert ask(api, ruleset, key="a-key")["id"] == first["id"]
    path = f"/v1/rulesets/{ruleset}/backtests"
    other = api.post(path, {"engine": "processes"}, person="ben", key="a-key")
    assert code(other) == (422, "idempotency_key_reused")
    with working(api):
        ended(api, first)


@pytest.mark.parametrize("person", ["anna", "sam", "platform", "ada"])
def test_only_fraud_and_compliance_ask_for_one(api: Api, ruleset: UUID, person: str) -> None:
    answer = api.post(f"/v1/rulesets/{ruleset}/backtests", SERIAL, person=person)
    assert code(answer) == (403, "role_not_allowed")


@pytest.mark.parametrize("person", ["anna", "sam", "platform"])
def test_who_may_see_no_hits_sees_no_backtests(api: Api, person: str) -> None:
    for path in ("/v1/backtests", f"/v1/backtests/{uuid4()}"):
        assert code(api.get(path, person)) == (403, "role_not_allowed")


def test_compliance_and_auditors_see_everybody_s_and_others_their_own(
    api: Api, ruleset: UUID
) -> None:
    ben, fred = (ask(api, ruleset, person=person)["id"] for person in ("ben", "fred"))
    with working(api):
        for id_ in (ben, fred):
            ended(api, {"id": id_})

    def listed(person: str) -> set[str]:
        items = api.get("/v1/backtests", person, params={"limit": 500}).json()["items"]
        assert all("result" not in item for item in items)
        return {item["id"] for item in items}

    assert {ben, fred} <= listed("cleo") == listed("ada")
    assert fred in listed("fred")
    assert ben not in listed("fred")
    assert code(api.get(f"/v1/backtests/{ben}", "fred")) == (404, "backtest_not_found")
    assert api.get(f"/v1/backtests/{ben}", "ada").json()["result"]["judged"] == 1


def test_pages_of_backtests_follow_each_other(api: Api, ruleset: UUID) -> None:
    seen: list[str] = []
    cursor: str | None = None
    while cursor is not None or not seen:
        params = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = api.get("/v1/backtests", "cleo", params=params).json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
    whole = api.get("/v1/backtests", "cleo", params={"limit": 500}).json()["items"]
    assert seen == [item["id"] for item in whole]


def test_backtests_and_exports_are_never_taken_for_each_other(api: Api, ruleset: UUID) -> None:
    backtest = ask(api, ruleset, person="cleo")["id"]
    export = api.post("/v1/exports", {"kind": "events", "format": "jsonl"}, person="cleo").json()
    assert code(api.get(f"/v1/exports/{backtest}", "cleo")) == (404, "export_not_found")
    assert code(api.get(f"/v1/backtests/{export['id']}", "cleo")) == (404, "backtest_not_found")
    for path, other in (("/v1/exports", backtest), ("/v1/backtests", export["id"])):
        items = api.get(path, "cleo", params={"limit": 500}).json()["items"]
        assert other not in {item["id"] for item in items}
    with working(api):
        ended(api, {"id": backtest})


def test_a_backtest_is_kept_longer_than_files_are(api: Api, ruleset: UUID) -> None:
    with working(api):
        job = ended(api, ask(api, ruleset))
    query = "UPDATE export_jobs SET ended_at = ended_at - interval '90 days' WHERE id = %s"
    with psycopg.connect(database.conninfo(api.settings, Role.WRITER)) as connection:
        connection.execute(query, [job["id"]])
    values: dict[str, Any] = {
        "writer": database.conninfo(api.settings, Role.WRITER),
        "reader": database.conninfo(api.settings, Role.READER),
        "folder": api.settings.data / "exports",
    }
    ExportJobs(**values, keep_days=7).sweep()
    assert api.get(f"/v1/backtests/{job['id']}", "ben").json()["status"] == "done"


@pytest.mark.parametrize(
    "body",
    [
        {"engine": "ray"},
        {"from": 0},
        {"from": -1},
        {"from": "yesterday"},
        {"from": "2026-01-01"},
        {"to": 2**63},
        {"from": 7, "to": 6},
        {"from": "2026-02-01T00:00:00Z", "to": "2026-01-01T00:00:00Z"},
        {"candidate": "x"},
    ],
)
def test_what_makes_no_sense_is_refused(api: Api, ruleset: UUID, body: dict[str, Any]) -> None:
    answer = api.post(f"/v1/rulesets/{ruleset}/backtests", body, person="ben")
    assert code(answer) == (422, "request_invalid")


def test_a_rule_set_that_is_not_there_cannot_be_tried_out(api: Api) -> None:
    answer = api.post(f"/v1/rulesets/{uuid4()}/backtests", SERIAL, person="ben")
    assert code(answer) == (404, "ruleset_not_found")


def test_at_most_five_are_under_way(api: Api, ruleset: UUID) -> None:
    jobs = [ask(api, ruleset, person="fred") for _ in range(5)]
    answer = api.post(f"/v1/rulesets/{ruleset}/backtests", SERIAL, person="fred")
    assert code(answer) == (429, "too_many_exports")
    with working(api):
        for job in jobs:
            ended(api, job)
