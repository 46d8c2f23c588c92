"""Fraud cases over HTTP: from a hit to the end of the case, by two people."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest

from ledger.settings import Settings
from tests.integration.fraud.fraud_api import case_of, code, fraud_api, head, hit_of, structured
from tests.servers.api_server import Api, said

NOTE = {"note": "Statement seen."}


@pytest.fixture(scope="module")
def api(module_database: Settings) -> Iterator[Api]:
    with fraud_api(module_database) as api:
        yield api


@pytest.fixture
def player(api: Api) -> UUID:
    player = uuid4()
    structured(api, player)
    return player


@pytest.fixture
def case(api: Api, player: UUID) -> dict[str, Any]:
    return case_of(api, f"player:{player}")


def do(
    api: Api, case: dict[str, Any], what: str, body: object, person: str = "ben", **more: Any
) -> httpx2.Response:
    return api.post(f"/v1/cases/{case['id']}/{what}", body, person=person, **more)


def closing(decision: str = "false_positive") -> dict[str, str]:
    return {"decision": decision, "reason": "The salary is known."}


def test_a_case_is_worked_from_the_hit_to_its_end_by_two_people(
    api: Api, case: dict[str, Any], player: UUID
) -> None:
    assert (case["status"], case["severity"]) == ("open", "high")
    assert case["player_ids"] == [str(player)]
    hits = {hit["indicator"]: hit for hit in case["hits"]}
    assert "3 deposits between 1800.00 EUR and 2000.00 EUR" in hits["structuring"]["sentence"]
    assert hits["structuring"]["advice"]
    shown = api.get(hits["structuring"]["href"], "ben").json()
    assert shown["sentence"] == hits["structuring"]["sentence"]

    assigned = do(api, case, "assign", {"person": "ben"})
    assert (assigned.status_code, assigned.json()["assigned_to"]) == (200, "ben")
    do(api, case, "notes", NOTE)
    asked = do(api, case, "information-requests", {"note": "Where is the salary from?"})
    assert (asked.json()["status"], asked.json()["information_asked"]) == ("waiting", True)
    answered = do(api, case, "information", {"note": "A payslip has come."}, "cleo")
    assert answered.json()["status"] == "open"
    hold = {"player_id": str(player), "hold": "fraud", "note": "Until it is clear."}
    held = do(api, case, "holds", hold)
    assert held.json()["holds"] == [{"player_id": str(player), "hold": "fraud"}]
    assert len(api.get(f"/v1/players/{player}", "ben").json()["holds"]) == 1

    proposed = do(api, case, "close", closing())
    assert proposed.status_code == 202
    assert proposed.json()["proposal"]["person"] == "ben"
    assert code(do(api, case, "close", closing())) == (403, "self_approval")
    agreed = {"proposal": proposed.json()["proposal"]["id"], "note": "The payslip says so."}
    assert code(do(api, case, "close/agree", agreed)) == (403, "self_approval")
    closed = do(api, case, "close/agree", agreed, "bea")
    assert closed.status_code == 200, closed.text
    found = closed.json()
    assert (found["status"], found["decision"]) == ("closed", "false_positive")
    assert (found["closure_proposed_by"], found["closed_by"]) == ("ben", "bea")
    assert found["holds"] == []
    assert api.get(f"/v1/players/{player}", "ben").json()["holds"] == []
    kinds = [note["kind"] for note in found["notes"]]
    assert kinds == [
        *("note", "information_requested", "information_received", "hold_placed"),
        *("closure_proposed", "note", "hold_lifted", "closed"),
    ]
    assert api.get(f"/v1/cases/{case['id']}", "ben").json() == found
    assert code(do(api, case, "notes", NOTE)) == (409, "invalid_transition")
    position = head(api)
    told = api.get("/v1/indicators/structuring", "ben", params={"min_position": position}).json()
    assert told["precision"]["false_positive"] >= 1
    assert told["precision"]["ratio"] is not None
    before = api.get("/v1/indicators/structuring", "ben", params={"as_of": 1}).json()
    assert before["precision"] == {
        "confirmed": 0,
        "false_positive": 0,
        "inconclusive": 0,
        "ratio": None,
    }


@pytest.mark.parametrize("decision", ["false_positive", "confirmed", "inconclusive"])
def test_nobody_closes_a_high_case_alone(api: Api, decision: str) -> None:
    """No hold was placed, and nothing in it stops payouts: it takes two all the same."""
    subject = f"player:{disputed(api)}"
    case = case_of(api, subject)
    assert (case["severity"], [hit["holds"] for hit in case["hits"]]) == ("high", [False])
    proposed = do(api, case, "close", closing(decision))
    assert (proposed.status_code, proposed.json()["status"]) == (202, "open")
    for person, body in (("ben", closing(decision)), ("ben", {**closing(), "reason": "Known."})):
        again = do(api, case, "close", body, person)
        assert again.status_code in (202, 403)
        assert api.get(f"/v1/cases/{case['id']}", "ben").json()["status"] == "open"


def disputed(api: Api) -> UUID:
    """A player whose bank contests a deposit."""
    player = uuid4()
    api.verified(player)
    api.dispute(api.fund(player))
    hit_of(api, f"player:{player}", "dispute_load")
    return player


def test_the_second_person_agrees_to_what_they_have_seen_and_to_nothing_else(
    api: Api, case: dict[str, Any], player: UUID
) -> None:
    def agree(proposal: Any, person: str = "bea") -> httpx2.Response:
        return do(api, case, "close/agree", {"proposal": proposal["id"]}, person)

    seen = do(api, case, "close", closing()).json()["proposal"]
    same_words = do(api, case, "close", closing(), "bea")
    assert same_words.status_code == 409, same_words.text
    assert code(same_words) == (409, "nothing_to_change")
    assert f"agree to the proposal {seen['id']}" in same_words.json()["detail"]

    other = do(api, case, "close", closing("confirmed"), "cleo").json()["proposal"]
    late = agree(seen)
    assert code(late) == (409, "proposal_changed")
    assert f"{other['id']} is, by cleo" in late.json()["detail"]

    for _ in range(6):
        api.deposit(player, 1_000, instrument=f"tok_{uuid4().hex[:12]}").raise_for_status()
    hit_of(api, f"player:{player}", "many_instruments")
    joined = case_of(api, f"player:{player}", hits=case["hits_count"] + 1)
    assert (joined["id"], joined["proposal"]) == (case["id"], None)
    unseen = agree(other)
    assert code(unseen) == (409, "proposal_changed")
    assert "nothing is proposed" in unseen.json()["detail"]

    now = do(api, case, "close", closing(), "ben").json()["proposal"]
    closed = agree(now, "cleo")
    assert (closed.status_code, closed.json()["status"]) == (200, "closed")
    assert (closed.json()["decision"], closed.json()["reason"]) == (
        "false_positive",
        closing()["reason"],
    )


def test_a_repeat_is_answered_alike_and_done_once(api: Api, case: dict[str, Any]) -> None:
    key = str(uuid4())
    first = do(api, case, "notes", NOTE, key=key)
    do(api, case, "assign", {"person": "bea"})
    again = do(api, case, "notes", NOTE, key=key)
    assert (again.status_code, again.content) == (200, first.content)
    other = do(api, case, "notes", {"note": "Another."}, key=key)
    assert code(other) == (422, "idempotency_key_reused")


def test_a_change_can_rest_on_a_version(api: Api, case: dict[str, Any]) -> None:
    shown = api.get(f"/v1/cases/{case['id']}", "ben")
    etag = shown.headers["etag"]
    assert etag == f'"{shown.json()["version"]}"'
    assert do(api, case, "notes", NOTE, headers={"if-match": etag}).status_code == 200
    late = do(api, case, "notes", NOTE, headers={"if-match": etag})
    assert code(late) == (412, "version_changed")


def test_cases_are_found_and_paged(api: Api, case: dict[str, Any], player: UUID) -> None:
    do(api, case, "assign", {"person": "bea"})
    position = head(api)

    def listed(**params: object) -> list[str]:
        answer = api.get("/v1/cases", "otto", params={"min_position": position, **params})
        assert answer.status_code == 200, answer.text
        return [item["id"] for item in answer.json()["items"]]

    for params in (
        {"player_id": str(player)},
        {"subject": f"player:{player}"},
        {"assigned_to": "bea", "status": "open"},
        {"indicator": "structuring", "severity": "high"},
    ):
        assert case["id"] in listed(**params), params
    for params in ({"player_id": str(uuid4())}, {"status": "closed", "assigned_to": "bea"}):
        assert case["id"] not in listed(**params), params
    other = uuid4()
    structured(api, other)
    case_of(api, f"player:{other}")
    every = listed(limit=500)
    first = api.get("/v1/cases", "ben", params={"limit": 1})
    walked = [first.json()["items"][0]["id"]]
    page = first
    while "next" in page.links:
        page = api.get(page.links["next"]["url"], "ben")
        walked += [item["id"] for item in page.json()["items"]]
    assert walked[: len(every)] == every
    bad = api.get("/v1/cases", "ben", params={"cursor": "WyJ4IiwieSJd"})
    assert code(bad) == (422, "request_invalid")


def test_what_nobody_works_on_is_found(api: Api, case: dict[str, Any]) -> None:
    own: dict[str, Any] = {"subject": case["subject"]}

    def listed(unassigned: str, **when: int) -> int:
        params = {**own, **when, "unassigned": unassigned}
        return len(api.get("/v1/cases", "ben", params=params).json()["items"])

    before = head(api)
    assert (listed("true", min_position=before), listed("false", min_position=before)) == (1, 0)
    do(api, case, "assign", {"person": "ben"})
    after = head(api)
    assert (listed("true", min_position=after), listed("false", min_position=after)) == (0, 1)
    assert (listed("true", as_of=before), listed("false", as_of=before)) == (1, 0)
    assert code(api.get("/v1/cases", "ben", params={"unassigned": "x"})) == (422, "request_invalid")


def test_a_case_of_the_past_is_as_it_was(api: Api, case: dict[str, Any]) -> None:
    position = head(api)
    path, params = f"/v1/cases/{case['id']}", {"subject": case["subject"]}
    before = api.get(path, "ben").content
    listed = api.get("/v1/cases", "ben", params={**params, "min_position": position}).content
    do(api, case, "assign", {"person": "ben"})
    proposed = do(api, case, "close", closing("inconclusive")).json()["proposal"]
    do(api, case, "close/agree", {"proposal": proposed["id"]}, "bea").raise_for_status()
    assert api.get(path, "ben", params={"as_of": position}).content == before
    assert api.get("/v1/cases", "ben", params={**params, "as_of": position}).content == listed
    opened = api.get("/v1/cases", "ben", params={**params, "as_of": position, "status": "open"})
    assert len(opened.json()["items"]) == 1
    missing = api.get(path, "ben", params={"as_of": 1})
    assert code(missing) == (404, "case_not_found")
    assert "began at position" in missing.json()["detail"]


@pytest.mark.parametrize(
    ("what", "body", "expected"),
    [
        ("assign", {"person": "Ben!"}, (422, "request_invalid")),
        ("assign", {"person": None}, (409, "nothing_to_change")),
        ("notes", {"note": ""}, (422, "evidence_missing")),
        ("notes", {"note": "card 4242424242424242"}, (422, "request_invalid")),
        ("notes", {"note": "x" * 2_001}, (422, "request_invalid")),
        ("information", NOTE, (409, "invalid_transition")),
        ("close", {"decision": "maybe", "reason": "x"}, (422, "request_invalid")),
        ("close", {"decision": "confirmed", "reason": " "}, (422, "evidence_missing")),
        ("close/agree", {"proposal": str(UUID(int=7))}, (409, "proposal_changed")),
        ("close/agree", {"decision": "confirmed", "reason": "x"}, (422, "request_invalid")),
        ("close/agree", {"note": "x"}, (422, "request_invalid")),
        (
            "holds",
            {"player_id": str(UUID(int=7)), "hold": "fraud", "note": "x"},
            (404, "player_not_found"),
        ),
        (
            "holds/lift",
            {"player_id": str(UUID(int=7)), "hold": "odd", "note": "x"},
            (422, "request_invalid"),
        ),
    ],
)
def test_what_cannot_be_is_refused(
    api: Api, case: dict[str, Any], what: str, body: object, expected: tuple[int, str]
) -> None:
    answer = do(api, case, what, body)
    assert code(answer) == expected
    assert "4242" not in said(answer)


def test_what_is_no_case_is_not_found(api: Api, player: UUID) -> None:
    for one in (player, uuid4()):
        assert code(api.get(f"/v1/cases/{one}", "ben")) == (404, "case_not_found")
        missing = api.post(f"/v1/cases/{one}/notes", NOTE, person="ben")
        assert code(missing) == (404, "case_not_found")
