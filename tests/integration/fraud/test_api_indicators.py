"""Indicators, hits and assessments over HTTP; and who may do what about fraud at all."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from domain.fraud.indicators.catalogue import INDICATORS
from ledger.eventstore import database
from ledger.eventstore.database import Role
from ledger.settings import Settings
from tests.integration.fraud.fraud_api import (
    BY_ROLE,
    case_of,
    code,
    fraud_api,
    hit_of,
    path_of,
    structured,
)
from tests.servers.api_server import Api, said

ODD = ["a/b", "a/../b", "50%", "50%25", "q?x=1#y", "with space", "ключ-7", "a+b&c;d", "..", "'; --"]


@pytest.fixture(scope="module")
def api(module_database: Settings) -> Iterator[Api]:
    with fraud_api(module_database) as api:
        yield api


@pytest.fixture(scope="module")
def player(api: Api) -> UUID:
    player = uuid4()
    structured(api, player)
    return player


# --- indicators ---------------------------------------------------------------------------------


def test_every_indicator_is_shown_with_its_numbers(api: Api) -> None:
    items = api.get("/v1/indicators", "ben").json()["items"]
    assert [(one["number"], one["code"]) for one in items] == [
        (one.number, one.code) for one in INDICATORS
    ]
    for shown, declared in zip(items, INDICATORS, strict=True):
        assert shown["mode"] == "live"
        assert {p["name"]: (p["default"], p["live"]) for p in shown["parameters"]} == {
            p.name: (p.default, p.default) for p in declared.parameters
        }
        assert shown["precision"] is not None
        assert api.get(f"/v1/indicators/{shown['code']}", "ben").json() == shown
    assert code(api.get("/v1/indicators/astrology", "ben")) == (404, "indicator_not_found")


def test_an_administrator_sees_how_indicators_are_set_and_no_more(api: Api) -> None:
    shown = api.get("/v1/indicators/structuring", "ada").json()
    assert shown["precision"] is None
    assert shown["parameters"]
    assert api.get("/v1/rulesets/live", "ada").status_code == 200


# --- hits ---------------------------------------------------------------------------------------


def test_hits_are_filtered(api: Api, player: UUID) -> None:
    own = {"subject": f"player:{player}"}
    found = api.get("/v1/hits", "ben", params=own).json()["items"]
    assert {"structuring", "due_diligence_threshold"} <= {hit["indicator"] for hit in found}

    def listed(**params: object) -> list[str]:
        answer = api.get("/v1/hits", "otto", params={**own, **params})
        assert answer.status_code == 200, answer.text
        return [hit["indicator"] for hit in answer.json()["items"]]

    assert listed(indicator="structuring") == ["structuring"]
    assert listed(severity="low") == []
    assert listed(mode="shadow") == []
    assert set(listed(mode="live", severity=["high", "critical"], player_id=str(player))) == {
        hit["indicator"] for hit in found if hit["severity"] in ("high", "critical")
    }
    assert listed(player_id=str(uuid4())) == []
    for wrong in ({"indicator": "astrology"}, {"severity": "odd"}, {"mode": "off"}, {"x": "1"}):
        assert code(api.get("/v1/hits", "ben", params=wrong)) == (422, "request_invalid")
    card = api.get("/v1/hits", "ben", params={"subject": "instrument:4242424242424242"})
    assert code(card) == (422, "request_invalid")
    assert "4242" not in said(card)


def test_hits_are_paged_latest_first(api: Api, player: UUID) -> None:
    every = [hit["id"] for hit in api.get("/v1/hits", "ben").json()["items"]]
    page = api.get("/v1/hits", "ben", params={"limit": 1})
    walked = [hit["id"] for hit in page.json()["items"]]
    while "next" in page.links:
        page = api.get(page.links["next"]["url"], "ben")
        walked += [hit["id"] for hit in page.json()["items"]]
    assert walked == every == sorted(every, reverse=True)
    for cursor in ("WzEsImEiXQ", "WzEsIlx1MDAwMCJd", "W10", "x"):
        bad = api.get("/v1/hits", "ben", params={"cursor": cursor})
        assert code(bad) == (422, "request_invalid")


def test_a_hit_is_there_from_the_position_that_completed_it(api: Api, player: UUID) -> None:
    hit = hit_of(api, f"player:{player}", "structuring")
    at, before = ({"as_of": hit["position"]}, {"as_of": hit["position"] - 1})
    assert api.get(hit["href"], "ben", params=at).json() == hit
    missing = api.get(hit["href"], "ben", params=before)
    assert code(missing) == (404, "hit_not_found")
    assert f"began at position {hit['position']}" in missing.json()["detail"]
    own = {"subject": hit["subject"], "indicator": "structuring"}
    assert len(api.get("/v1/hits", "ben", params=own | at).json()["items"]) == 1
    assert api.get("/v1/hits", "ben", params=own | before).json()["items"] == []


@pytest.mark.parametrize("fingerprint", ODD)
def test_a_hit_is_found_whatever_its_subject_is_named(api: Api, fingerprint: str) -> None:
    for _ in range(3):
        api.fund(uuid4(), 1_000, instrument=fingerprint)
    subject = f"instrument:{fingerprint}"
    hit = hit_of(api, subject, "shared_instrument")
    assert hit["subject"] == subject
    assert api.get(hit["href"], "ben").json() == hit
    assert api.get(path_of(hit["id"]), "ben").json() == hit


@pytest.mark.parametrize(
    "path",
    [
        *("000000000000001/structuring/player:x", "000000000000001/structuring/instrument:%00"),
        *("x", "%00", "000000000000001/structuring/", "000000000000001%2F%2F", "a/b/c/d", ""),
        "000000000000001/structuring/" + "x" * 600,
    ],
)
def test_what_is_no_hit_is_not_found(api: Api, path: str) -> None:
    answer = api.get(f"/v1/hits/{path}", "ben")
    assert code(answer) in ((404, "hit_not_found"), (422, "request_invalid"))


def test_a_hit_is_only_shown(api: Api) -> None:
    path = "/v1/hits/000000000000001/structuring/player:x"
    answer = api.client.delete(path, headers=api.headers("ben"))
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")


# --- assessments --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def screened(api: Api, player: UUID) -> str:
    withdrawal: str = api.withdraw(player, 300_000).json()["id"]
    api.dispatch.screen(UUID(withdrawal))
    return withdrawal


def test_an_assessment_says_what_counted_and_what_follows(api: Api, screened: str) -> None:
    path = f"/v1/withdrawals/{screened}/assessment"
    shown = api.get(path, "ben").json()
    counted = {hit["indicator"]: hit for hit in shown["hits"]}
    assert counted["structuring"]["adds"] == 50
    assert counted["due_diligence_threshold"]["holds"] is True
    assert shown["score"] == min(100, sum(hit["adds"] for hit in counted.values()))
    assert shown["score"] == api.get(f"/v1/transactions/{screened}", "ben").json()["score"]
    assert (shown["path"], shown["hold_from"], shown["score_below"]) == ("hold", 70, 40)
    for hit in counted.values():
        found = api.get(hit["href"], "ben").json()
        assert (found["sentence"], found["severity"]) == (hit["sentence"], hit["severity"])


def test_finance_sees_the_score_and_the_path_alone(api: Api, screened: str) -> None:
    path = f"/v1/withdrawals/{screened}/assessment"
    shown, whole = api.get(path, "anna").json(), api.get(path, "ben").json()
    assert (shown["score"], shown["path"]) == (whole["score"], whole["path"])
    for name in ("hits", "ruleset", "hold_from", "score_below"):
        assert shown[name] is None


def test_an_assessment_is_there_once_the_payout_was_screened(api: Api, screened: str) -> None:
    events = api.get(f"/v1/transactions/{screened}/events", "ben").json()["events"]
    at = next(event["position"] for event in events if event["type"] == "WithdrawalScreened")
    path = f"/v1/withdrawals/{screened}/assessment"
    now = api.get(path, "ben").json()
    assert api.get(path, "ben", params={"as_of": at}).json() == now
    early = api.get(path, "ben", params={"as_of": at - 1})
    assert code(early) == (404, "assessment_not_found")
    first = api.get(path, "ben", params={"as_of": events[0]["position"] - 1})
    assert code(first) == (404, "transaction_not_found")
    unknown = api.get(f"/v1/withdrawals/{uuid4()}/assessment", "ben")
    assert code(unknown) == (404, "transaction_not_found")


# --- who may what -------------------------------------------------------------------------------

ANALYSTS = {"fraud", "compliance"}
LOOKERS = ANALYSTS | {"auditor"}
RULES = LOOKERS | {"administrator"}
REPORTS = {"compliance", "auditor"}

GETS = {
    "/v1/indicators": RULES,
    "/v1/indicators/{code}": RULES,
    "/v1/hits": LOOKERS,
    "/v1/hits/{hit_id}": LOOKERS,
    "/v1/withdrawals/{withdrawal_id}/assessment": LOOKERS | {"finance"},
    "/v1/rulesets": RULES,
    "/v1/rulesets/live": RULES,
    "/v1/rulesets/{ruleset_id}": RULES,
    "/v1/backtests": LOOKERS,
    "/v1/backtests/{backtest_id}": LOOKERS,
    "/v1/cases": LOOKERS,
    "/v1/cases/{case_id}": LOOKERS,
    "/v1/reports": REPORTS,
    "/v1/reports/{report_id}": REPORTS,
    "/v1/reports/{report_id}/goaml.xml": REPORTS,
    "/v1/reports/{report_id}/report.pdf": REPORTS,
}
POSTS = {
    "/v1/rulesets": ANALYSTS,
    "/v1/rulesets/{ruleset_id}/approve": {"compliance"},
    "/v1/rulesets/{ruleset_id}/discard": ANALYSTS,
    "/v1/rulesets/{ruleset_id}/backtests": ANALYSTS,
    "/v1/cases/{case_id}/assign": ANALYSTS,
    "/v1/cases/{case_id}/notes": ANALYSTS,
    "/v1/cases/{case_id}/information-requests": ANALYSTS,
    "/v1/cases/{case_id}/information": ANALYSTS,
    "/v1/cases/{case_id}/holds": ANALYSTS,
    "/v1/cases/{case_id}/holds/lift": ANALYSTS,
    "/v1/cases/{case_id}/close": ANALYSTS,
    "/v1/cases/{case_id}/close/agree": ANALYSTS,
    "/v1/cases/{case_id}/reports": {"compliance"},
    "/v1/reports/{report_id}/revise": {"compliance"},
    "/v1/reports/{report_id}/file": {"compliance"},
    "/v1/reports/{report_id}/dismiss": {"compliance"},
}


def test_every_operation_about_fraud_is_in_the_table_of_this_test(api: Api) -> None:
    paths = api.client.get("/openapi.json").json()["paths"]
    tagged = {
        (method, path)
        for path, methods in paths.items()
        for method, operation in methods.items()
        if "Fraud" in operation["tags"] or path.startswith("/v1/backtests")
    }
    assert tagged == {("get", path) for path in GETS} | {("post", path) for path in POSTS}


@pytest.mark.parametrize("role", BY_ROLE)
def test_every_role_may_what_the_table_says_and_no_more(api: Api, role: str) -> None:
    person = BY_ROLE[role]
    for path, allowed in GETS.items():
        answer = api.get(filled(path), person)
        assert denied(answer) is (role not in allowed), (path, role, answer.text)
    for path, allowed in POSTS.items():
        answer = api.post(filled(path), {}, person=person)
        assert denied(answer) is (role not in allowed), (path, role, answer.text)


def filled(path: str) -> str:
    """With ids that nothing has: who may not is told so, and not that there is nothing."""
    for name, value in (("{code}", "structuring"), ("{hit_id}", "000000000000001/velocity/x")):
        path = path.replace(name, value)
    while "{" in path:
        before, _, rest = path.partition("{")
        path = before + str(uuid4()) + rest.partition("}")[2]
    return path


def denied(answer: Any) -> bool:
    if answer.status_code != 403:
        return False
    assert answer.json()["code"] == "role_not_allowed"
    return True


# --- what else would tell -----------------------------------------------------------------------


def test_a_case_shows_in_nobodys_feed_who_may_not_see_it(api: Api, player: UUID) -> None:
    case = case_of(api, f"player:{player}")
    with psycopg.connect(database.conninfo(api.settings, Role.READER)) as reader:
        row = reader.execute(
            "SELECT notification_id FROM ledger_events WHERE topic = 'FraudCaseOpened'"
            " AND originator_id = %s",
            [case["id"]],
        ).fetchone()
    assert row is not None
    (position,) = row
    params: dict[str, Any] = {"after": position - 1, "limit": 1}
    for role, person in BY_ROLE.items():
        page = api.get("/v1/events", person, params=params).json()
        sees = role in LOOKERS
        assert ([e["type"] for e in page["items"]] == ["FraudCaseOpened"]) is sees, role
        assert page["next_after"] >= position
        by_topic = api.get("/v1/events", person, params={"topic": "FraudCaseOpened"}).json()
        assert bool(by_topic["items"]) is sees, role
        assert by_topic["next_after"] == by_topic["head"]
        by_id = api.get("/v1/events", person, params={"transaction_id": case["id"]}).json()
        assert bool(by_id["items"]) is sees, role
        looked_up = api.get("/v1/lookup", person, params={"q": str(position)}).json()["items"]
        assert bool(looked_up) is sees, role
        proof = api.get("/v1/proofs/inclusion", person, params={"position": position})
        assert denied(proof) is not sees, role
        assert api.get(f"/v1/transactions/{case['id']}/events", person).status_code == 404


def test_a_feed_goes_on_behind_what_is_hidden(api: Api, player: UUID) -> None:
    case_of(api, f"player:{player}")
    seen: list[int] = []
    after = 0
    while True:
        page = api.get("/v1/events", "sam", params={"after": after, "limit": 3}).json()
        seen += [event["position"] for event in page["items"]]
        if page["next_after"] == page["head"]:
            break
        assert page["next_after"] > after
        after = page["next_after"]
    every = api.get("/v1/events", "cleo", params={"limit": 1_000}).json()["items"]
    hidden = ("FraudCase", "Report", "RuleSet")
    assert seen == [e["position"] for e in every if not e["type"].startswith(hidden)]
    assert len(seen) < len(every)
