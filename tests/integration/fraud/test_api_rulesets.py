"""Rule sets over HTTP: drafted by one person, approved by another, shown with their differences."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from domain.fraud.indicators.catalogue import INDICATORS
from domain.fraud.ruleset import DEFAULT_NAME
from ledger.settings import Settings
from tests.integration.fraud.fraud_api import code, fraud_api
from tests.servers.api_server import Api, said

FEWER_DECLINES = {"indicators": {"card_testing": {"thresholds": {"declines": 4}}}}


@pytest.fixture(scope="module")
def api(module_database: Settings) -> Iterator[Api]:
    with fraud_api(module_database) as api:
        yield api


@pytest.fixture
def untouched(database: Settings) -> Iterator[Api]:
    """With the rule set that Tallystick comes with."""
    with fraud_api(database) as api:
        yield api


def draft(
    api: Api, changes: object, person: str = "ben", key: str | None = None, **more: object
) -> httpx2.Response:
    body = {"based_on": DEFAULT_NAME, "changes": changes, "note": "as discussed"} | more
    return api.post("/v1/rulesets", body, person=person, key=key)


def decide(api: Api, ruleset: dict[str, Any], what: str, person: str, **more: object) -> Any:
    body = {"note": "looked at"} | more
    return api.post(f"/v1/rulesets/{ruleset['id']}/{what}", body, person=person)


def live(api: Api) -> dict[str, Any]:
    found: dict[str, Any] = api.get("/v1/rulesets/live", "ben").json()
    return found


def thresholds(ruleset: dict[str, Any], indicator: str) -> dict[str, int]:
    (found,) = (one for one in ruleset["terms"]["indicators"] if one["indicator"] == indicator)
    named: dict[str, int] = found["thresholds"]
    return named


def test_a_threshold_is_changed_by_one_person_and_approved_by_another(untouched: Api) -> None:
    api = untouched
    before = live(api)
    assert (before["id"], before["name"], before["live"]) == (None, DEFAULT_NAME, True)
    assert before["differences"] == []
    key = str(uuid4())
    changes = FEWER_DECLINES | {"hold_from": 60}
    drafted = draft(api, changes, key=key)
    assert drafted.status_code == 201
    shown = drafted.json()
    assert drafted.headers["location"] == f"/v1/rulesets/{shown['id']}"
    assert (shown["status"], shown["live"], shown["drafted_by"]) == ("draft", False, "ben")
    assert shown["differences"] == [
        {"indicator": "card_testing", "name": "declines", "from": 5, "to": 4},
        {"indicator": None, "name": "hold_from", "from": 70, "to": 60},
    ]
    assert thresholds(shown, "card_testing") == {
        **thresholds(before, "card_testing"),
        "declines": 4,
    }
    assert api.get(f"/v1/rulesets/{shown['id']}", "cleo").json() == shown
    assert live(api) == before

    assert code(decide(api, shown, "approve", "ben")) == (403, "role_not_allowed")
    assert code(decide(api, shown, "approve", "anna")) == (403, "role_not_allowed")
    approved = decide(api, shown, "approve", "cleo")
    assert approved.status_code == 200
    now = approved.json()
    assert (now["status"], now["live"], now["decided_by"]) == ("published", True, "cleo")
    assert now["differences"] == []
    assert live(api) == now
    indicator = api.get("/v1/indicators/card_testing", "ben").json()
    (declines,) = (one for one in indicator["parameters"] if one["name"] == "declines")
    assert (declines["live"], declines["default"], indicator["ruleset"]) == (4, 5, now["name"])

    repeat = draft(api, changes, key=key)
    assert (repeat.status_code, repeat.json()["id"]) == (201, shown["id"])
    assert code(decide(api, shown, "approve", "cleo")) == (409, "invalid_transition")


def test_what_was_live_can_be_asked_about_later(untouched: Api) -> None:
    api = untouched
    drafted = draft(api, FEWER_DECLINES).json()
    head = api.get("/v1/events", params={"limit": 1}).json()["head"]
    decide(api, drafted, "approve", "cleo")
    then = api.get("/v1/rulesets/live", "ben", params={"as_of": head})
    assert then.json()["name"] == DEFAULT_NAME
    assert then.headers["tallystick-as-of"] == str(head)
    past = api.get(f"/v1/rulesets/{drafted['id']}", "ben", params={"as_of": head}).json()
    assert past == drafted
    listed = api.get("/v1/rulesets", "ben").json()
    assert listed["live"] == drafted["name"]
    assert [(one["name"], one["live"]) for one in listed["items"]] == [
        (drafted["name"], True),
        (DEFAULT_NAME, False),
    ]
    unknown = api.get(f"/v1/rulesets/{drafted['id']}", "ben", params={"as_of": 0})
    assert code(unknown) == (404, "ruleset_not_found")


def test_nobody_approves_their_own_draft(api: Api) -> None:
    drafted = draft(api, FEWER_DECLINES, person="cleo").json()
    assert code(decide(api, drafted, "approve", "cleo")) == (403, "self_approval")
    assert api.get(f"/v1/rulesets/{drafted['id']}", "cleo").json()["status"] == "draft"


def test_a_draft_is_let_go_by_who_made_it_or_by_compliance(api: Api) -> None:
    drafted = draft(api, {"score_low": 12}).json()
    assert code(decide(api, drafted, "discard", "bea")) == (403, "role_not_allowed")
    assert code(decide(api, drafted, "discard", "ben", note=" ")) == (422, "evidence_missing")
    discarded = decide(api, drafted, "discard", "ben").json()
    assert (discarded["status"], discarded["decision_note"]) == ("discarded", "looked at")
    assert code(decide(api, drafted, "approve", "cleo")) == (409, "invalid_transition")


def test_whole_terms_are_a_draft_as_well(api: Api) -> None:
    terms = live(api)["terms"]
    rates = [{"currency": one["currency"], "rate": "1.25"} for one in terms["rates"]]
    body = {"terms": terms | {"rates": rates, "score_high": 55}, "note": "n"}
    drafted = api.post("/v1/rulesets", body, person="ben")
    assert drafted.status_code == 201, drafted.text
    named = {one["name"]: one["to"] for one in drafted.json()["differences"]}
    assert (named["score_high"], named["rate GBP"]) == (55, "5/4")
    del terms["indicators"][0]
    short = api.post("/v1/rulesets", {"terms": terms | {"rates": rates}, "note": "n"}, person="ben")
    assert code(short) == (422, "invalid_ruleset")
    assert INDICATORS[0].code in short.json()["detail"]


def test_a_decision_can_rest_on_a_version(api: Api) -> None:
    drafted = draft(api, {"score_low": 13})
    draft(api, {"score_low": 14})
    path = f"/v1/rulesets/{drafted.json()['id']}/approve"
    stale = {"if-match": drafted.headers["etag"]}
    late = api.post(path, {"note": "n"}, person="carl", headers=stale)
    assert code(late) == (412, "version_changed")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"changes": {"indicators": {"astrology": {}}}}, "request_invalid"),
        ({"changes": {"indicators": {"velocity": {"mode": "loud"}}}}, "request_invalid"),
        ({"changes": {"indicators": {"velocity": {"thresholds": {"x": 1}}}}}, "request_invalid"),
        (
            {"changes": {"indicators": {"velocity": {"thresholds": {"hour_deposits": 1.5}}}}},
            "request_invalid",
        ),
        (
            {"changes": {"indicators": {"velocity": {"thresholds": {"hour_deposits": 0}}}}},
            "invalid_ruleset",
        ),
        ({"changes": {"hold_from": 0}}, "invalid_ruleset"),
        ({"changes": {"score_high": 101}}, "request_invalid"),
        ({"changes": {"score_high": 5}}, "invalid_ruleset"),
        ({"changes": {"score_low": 11}, "based_on": "rules-99"}, "request_invalid"),
        ({"changes": {"score_low": 11}, "based_on": None}, "request_invalid"),
        ({"changes": None}, "request_invalid"),
        ({"changes": {"score_low": 11}, "note": ""}, "evidence_missing"),
        ({"changes": {"score_low": 11}, "note": "4242 4242 4242 4242"}, "request_invalid"),
        ({"changes": {"unknown": 11}}, "request_invalid"),
    ],
)
def test_what_cannot_be_is_refused(api: Api, body: dict[str, object], expected: str) -> None:
    whole = {"based_on": DEFAULT_NAME, "note": "n"} | body
    answer = api.post("/v1/rulesets", whole, person="ben")
    assert code(answer) == (422, expected)
    assert "4242" not in said(answer)


def test_a_threshold_that_is_none_is_answered_with_those_there_are(api: Api) -> None:
    answer = draft(api, {"indicators": {"velocity": {"thresholds": {"per_hour": 3}}}})
    (error,) = answer.json()["errors"]
    assert error["location"] == "body.changes.indicators.velocity.thresholds"
    assert "hour_deposits" in error["remedy"]


def test_terms_that_are_live_are_no_change(api: Api) -> None:
    assert code(draft(api, {"score_low": 10})) == (409, "nothing_to_change")


@pytest.mark.parametrize(
    ("wrong", "location", "remedy"),
    [
        ({"from": "2026-13-01"}, "body.from.instant", "Send an instant"),
        ({"from": 0}, "body.from.position", "Send a larger number."),
        ({"to": 1.5}, "body.to.position", "Send a whole number"),
        ({"from": 5, "to": 3}, "body", "Send an earlier from"),
    ],
)
def test_what_is_wrong_with_the_span_of_a_backtest_is_said_once(
    api: Api, wrong: dict[str, Any], location: str, remedy: str
) -> None:
    answer = api.post(f"/v1/rulesets/{uuid4()}/backtests", wrong, person="ben")
    (error,) = answer.json()["errors"]
    assert error["location"] == location
    assert error["remedy"].startswith(remedy)


def test_a_draft_that_is_based_on_nothing_is_told_where_to_look(api: Api) -> None:
    body = {"based_on": "nobodys", "changes": {"score_low": 1}, "note": "x"}
    (error,) = api.post("/v1/rulesets", body, person="ben").json()["errors"]
    assert (error["location"], error["code"]) == ("body.based_on", "ruleset_unknown")
    assert "GET /v1/rulesets" in error["remedy"]
