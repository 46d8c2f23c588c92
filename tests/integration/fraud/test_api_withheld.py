"""Who sees how risky a payout looks, and what others are shown in its place."""

import threading
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from api.permissions import ROLES, May
from domain.fraud.indicators.catalogue import BY_CODE
from domain.player.player import HoldKind
from ledger.commands.handling import Caller
from ledger.eventstore import database
from ledger.eventstore.database import Role
from ledger.settings import Settings
from replay.case.members import Case, CaseKind, NotForAsker, streams_of
from replay.jobs import ExportJobs
from tests.integration.fraud.fraud_api import BY_ROLE, code, fraud_api, structured, until
from tests.servers.api_server import Api

RISKY = ("score_too_high", "high_indicator", "held_by_indicators")
SCORED = ("WithdrawalScreened", "WithdrawalScored")


@pytest.fixture(scope="module")
def api(module_database: Settings) -> Iterator[Api]:
    with fraud_api(module_database) as api:
        yield api


@pytest.fixture(scope="module")
def player(api: Api) -> UUID:
    """Held for fraud as the fraud desk does it, and for support by somebody of support."""
    player = uuid4()
    hit = structured(api, player)
    reason = f"{hit['indicator']}, hit {hit['id']}"
    desk = Caller(actor="system:fraud", idempotency_key=str(uuid4()))
    api.services.players.hold(player, reason=reason, caller=desk)
    api.post(f"/v1/players/{player}/holds", {"reason": "Ticket 4711."}, person="sam")
    return player


@pytest.fixture(scope="module")
def payout(api: Api, player: UUID) -> str:
    """Scored by somebody, and held by indicators."""
    payout: str = api.withdraw(player, 300_000).json()["id"]
    api.dispatch.screen(UUID(payout))
    held = api.get(f"/v1/transactions/{payout}", "cleo").json()
    assert (held["status"], held["screening_reasons"][1:4]) == ("held", list(RISKY))
    score = {"score": 99, "high": ["structuring"], "ruleset": "theirs"}
    scored = api.post(f"/v1/withdrawals/{payout}/scores", score, person="ben")
    assert scored.status_code == 200, scored.text
    return payout


by_role = pytest.mark.parametrize("role", BY_ROLE)


def sees(role: str, what: May) -> bool:
    return role in ROLES[what]


def test_the_table_is_the_one_that_was_agreed() -> None:
    assert ROLES[May.SEE_HITS] == {"fraud", "compliance", "auditor"}
    assert ROLES[May.SEE_SCORES] == {"fraud", "compliance", "auditor", "finance"}


@by_role
def test_a_payout_is_shown_without_what_is_not_for_the_role(
    api: Api, payout: str, role: str
) -> None:
    person, path = BY_ROLE[role], f"/v1/transactions/{payout}"
    wanted = {"kind": "withdrawal", "min_position": head_of(api)}
    listed = api.get("/v1/transactions", person, params=wanted).json()["items"]
    same = [one for one in listed if one["id"] == payout]
    assert len(same) == 1
    for shown in (api.get(path, person).json(), *same):
        assert shown["score"] == (99 if sees(role, May.SEE_SCORES) else None)
        for name in ("high", "hits", "ruleset"):
            assert bool(shown[name]) is sees(role, May.SEE_HITS), name
            assert shown[name] is None or shown[name]
        risky = [reason for reason in shown["screening_reasons"] if reason in RISKY]
        assert bool(risky) is sees(role, May.SEE_SCORES)
        assert "above_automatic_limit" in shown["screening_reasons"]
        no_indicators(role, shown)


@by_role
def test_a_write_answers_as_the_payout_is_read(api: Api, player: UUID, role: str) -> None:
    person = BY_ROLE[role]
    created = api.withdraw(player, 1_000).json()["id"]
    api.dispatch.screen(UUID(created))
    score = api.transaction(created)["score"]
    assert score > 0
    less = {"amount": {"amount": 500, "currency": "EUR"}, "instrument": None}
    key, path = str(uuid4()), f"/v1/withdrawals/{created}/amend"
    answer = api.post(path, less, person=person, key=key)
    assert answer.status_code == 200, answer.text
    assert answer.json()["score"] == (score if sees(role, May.SEE_SCORES) else None)
    assert (answer.json()["hits"] is None) is not sees(role, May.SEE_HITS)
    no_indicators(role, answer.json())
    assert api.post(path, less, person=person, key=key).content == answer.content
    api.post(f"/v1/withdrawals/{created}/release", {"note": "seen"}, person="cleo")
    cancel = {
        "operation": "cancel-withdrawal",
        "idempotency_key": key,
        "body": {"id": created, "by_player": False},
    }
    (ended,) = api.post("/v1/batches", {"commands": [cancel]}, person=person).json()["results"]
    assert ended["status"] == 200, ended
    assert ended["body"]["score"] == (score if sees(role, May.SEE_SCORES) else None)
    no_indicators(role, ended["body"])


@by_role
def test_only_the_platform_and_those_who_judge_score_a_payout(
    api: Api, payout: str, role: str
) -> None:
    body = {"score": 100, "ruleset": f"of {role}", "high": [role]}
    answer = api.post(f"/v1/withdrawals/{payout}/scores", body, person=BY_ROLE[role])
    command = {"operation": "score-withdrawal", "idempotency_key": str(uuid4())}
    command["body"] = {**body, "score": 99, "id": payout}
    batch = api.post("/v1/batches", {"commands": [command]}, person=BY_ROLE[role]).json()
    expected = 200 if role in ("platform", "fraud", "compliance") else 403
    assert (answer.status_code, batch["results"][0]["status"]) == (expected, expected)


@by_role
def test_the_queue_gives_reasons_without_indicators(api: Api, payout: str, role: str) -> None:
    def look() -> dict[str, Any] | None:
        params = {"limit": 200, "min_position": head_of(api)}
        items = api.get("/v1/queue", BY_ROLE[role], params=params).json()["items"]
        return next((one for one in items if one["transaction_id"] == payout), None)

    waiting = until(look)
    assert waiting["status"] == "held"
    assert (waiting["score"] is None) is not sees(role, May.SEE_SCORES)
    assert (waiting["note"] is None) is not sees(role, May.SEE_HITS)
    assert "above_automatic_limit" in waiting["reasons"]
    assert set(RISKY).issubset(waiting["reasons"]) is sees(role, May.SEE_SCORES)
    assert ("structuring" in waiting["reasons"]) is sees(role, May.SEE_HITS)
    no_indicators(role, waiting)


@by_role
def test_events_name_what_they_leave_out(api: Api, player: UUID, payout: str, role: str) -> None:
    person = BY_ROLE[role]
    hits, scores = sees(role, May.SEE_HITS), sees(role, May.SEE_SCORES)
    told = api.get(f"/v1/transactions/{payout}/events", person).json()["events"]
    feed = api.get("/v1/events", person, params={"transaction_id": payout, "limit": 1_000}).json()
    assert feed["items"] == told
    whole = api.get(f"/v1/transactions/{payout}/events", "otto").json()["events"]
    for event, as_it_is in zip(told, whole, strict=True):
        assert as_it_is["withheld"] == []
        assert event["data"] == {
            name: value for name, value in as_it_is["data"].items() if name not in event["withheld"]
        }
        assert set(event["withheld"]) <= as_it_is["data"].keys()
        wanted: set[str] = set()
        if event["type"] in SCORED:
            wanted |= set() if hits else {"high", "ruleset"}
            wanted |= set() if scores else {"score"}
        if event["type"] == "WithdrawalScreened":
            wanted |= set() if hits else {"hits"}
            wanted |= set() if scores else {"reasons"}
        if event["type"] == "WithdrawalHeld" and not hits:
            wanted.add("note")
        assert set(event["withheld"]) == wanted, event["type"]
        no_indicators(role, event)
    held = holds_of(api, person, player)
    assert held["support"]["data"]["reason"] == "Ticket 4711."
    assert held["fraud"]["withheld"] == ([] if hits else ["reason"])
    assert ("reason" in held["fraud"]["data"]) is hits


@by_role
def test_a_proof_is_of_the_whole_event_or_refused(api: Api, payout: str, role: str) -> None:
    told = api.get(f"/v1/transactions/{payout}/events", "otto").json()["events"]
    for event in told:
        params = {"position": event["position"]}
        proof = api.get("/v1/proofs/inclusion", BY_ROLE[role], params=params)
        hidden = event["type"] in (*SCORED, "WithdrawalHeld") and not sees(role, May.SEE_HITS)
        assert (proof.status_code == 403) is hidden, proof.text


@by_role
def test_an_export_is_without_events_that_are_not_whole_for_the_role(
    api: Api, payout: str, role: str
) -> None:
    person = BY_ROLE[role]
    body = {"kind": "events", "format": "jsonl", "transaction_id": payout}
    job = exported(api, body, person)
    text = "".join(api.get(file["href"], person).text for file in job["files"][:-1])
    for topic in (*SCORED, "WithdrawalHeld"):
        assert (f'"topic":"{topic}"' in text) is sees(role, May.SEE_HITS)
        left_out = job["manifest"]["asked"].get("without", [])
        assert (topic in left_out) is not sees(role, May.SEE_HITS)
    assert '"topic":"WithdrawalRequested"' in text


@by_role
def test_the_bundle_of_a_case_is_whole_or_not_made(
    api: Api, player: UUID, payout: str, role: str
) -> None:
    asked = {"kind": "case", "transaction_id": payout}
    answer = api.post("/v1/exports", asked, person=BY_ROLE[role])
    without = tuple(answer.json()["request"].get("without", ()))
    api.post(f"/v1/exports/{answer.json()['id']}/cancel", person=BY_ROLE[role])
    deposit = api.fund(uuid4())["id"]
    with psycopg.connect(database.conninfo(api.settings, Role.READER)) as reader:
        head = head_of(api)
        assert streams_of(reader, Case(CaseKind.TRANSACTION, UUID(deposit), without), head)
        for case in (
            Case(CaseKind.TRANSACTION, UUID(payout), without),
            Case(CaseKind.PLAYER, player, without),
        ):
            if sees(role, May.SEE_HITS):
                assert streams_of(reader, case, head)
            else:
                with pytest.raises(NotForAsker, match="compliance or an auditor"):
                    streams_of(reader, case, head)


def test_only_a_hold_that_is_about_fraud_keeps_its_reason_to_itself(api: Api) -> None:
    assert set(HoldKind) == {"payment", "support", "fraud", "aml"}
    player = uuid4()
    api.fund(player)
    for person in ("anna", "sam", "ben", "cleo"):
        api.post(f"/v1/players/{player}/holds", {"reason": f"by {person}"}, person=person)
    shown = holds_of(api, "platform", player)
    assert {hold: event["data"].get("reason") for hold, event in shown.items()} == {
        "payment": "by anna",
        "support": "by sam",
        "fraud": None,
        "aml": None,
    }


def test_a_past_payout_is_withheld_alike(api: Api, payout: str) -> None:
    head = head_of(api)
    for path in (f"/v1/transactions/{payout}", "/v1/queue"):
        then = api.get(path, "sam", params={"as_of": head})
        no_indicators("support", then.json())
        assert then.status_code == 200
    assert api.get(f"/v1/transactions/{payout}", "sam", params={"as_of": head}).json() == (
        api.get(f"/v1/transactions/{payout}", "sam").json()
    )
    assert code(api.get(f"/v1/withdrawals/{payout}/assessment", "sam"))[0] == 403


def holds_of(api: Api, person: str, player: UUID) -> dict[str, dict[str, Any]]:
    """The events of the player's holds, by kind."""
    number = len(api.get(f"/v1/players/{player}", "otto").json()["holds"])
    own = {"player_id": str(player), "topic": "HoldPlaced"}

    def look() -> list[dict[str, Any]] | None:
        items: list[dict[str, Any]] = api.get("/v1/events", person, params=own).json()["items"]
        return items if len(items) == number else None

    return {event["data"]["hold"]: event for event in until(look)}


def head_of(api: Api) -> int:
    return int(api.get("/v1/events", params={"limit": 1}).json()["head"])


def no_indicators(role: str, shown: object) -> None:
    """No word of the answer is the name of an indicator, where those are not for the role."""
    if not sees(role, May.SEE_HITS):
        names = BY_CODE.keys() - {"closed_loop"}  # which is a field as well
        assert not any(indicator in str(shown) for indicator in names)


def exported(api: Api, body: dict[str, Any], person: str) -> dict[str, Any]:
    """An export, done."""
    asked = api.post("/v1/exports", body, person=person)
    jobs = ExportJobs(
        writer=database.conninfo(api.settings, Role.WRITER),
        reader=database.conninfo(api.settings, Role.READER),
        folder=api.settings.data / "exports",
        keep_days=7,
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
