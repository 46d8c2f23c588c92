"""The approval policy over HTTP."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from ledger.settings import Settings
from tests.servers.api_server import Api, running_api

TERMS: dict[str, Any] = {
    "currency": "EUR",
    "tiers": [
        {"limit_major": 100, "required": []},
        {"limit_major": 5_000, "required": [["fraud", "finance"]]},
        {"limit_major": None, "required": [["fraud"], ["finance"]]},
    ],
    "score_below": 30,
    "high_required": [["compliance"]],
    "turnover_percent_min": 100,
    "approval_seconds": 3_600,
}


@pytest.fixture(scope="module")
def api(module_database: Settings) -> Iterator[Api]:
    with running_api(module_database) as api:
        yield api


@pytest.fixture
def untouched(database: Settings) -> Iterator[Api]:
    """With a policy that no other test has changed."""
    with running_api(database) as api:
        yield api


def propose(
    api: Api, person: str, *, key: str | None = None, note: str = "as decided", **changes: object
) -> httpx2.Response:
    body = {"terms": TERMS | changes, "note": note}
    return api.post("/v1/approval-policy", body, person=person, key=key)


# --- the approval policy ------------------------------------------------------------------------


def test_one_person_proposes_a_policy_and_another_publishes_it(untouched: Api) -> None:
    api = untouched
    before = api.get("/v1/approval-policy").json()
    assert before["proposal"] is None
    key = str(uuid4())
    proposed = propose(api, "anna", key=key)
    assert proposed.status_code == 202
    found = proposed.json()
    assert (found["name"], found["terms"]) == (before["name"], before["terms"])
    assert found["proposal"] == {"person": "anna", "terms": TERMS, "note": "as decided"}
    assert api.get("/v1/approval-policy").json() == found

    own = propose(api, "anna")
    assert (own.status_code, own.json()["code"]) == (403, "self_approval")
    of_fraud = propose(api, "ben")
    assert (of_fraud.status_code, of_fraud.json()["code"]) == (403, "role_not_allowed")
    published = propose(api, "cleo", note="agreed")
    assert published.status_code == 201
    assert published.headers["etag"] == f'"{found["version"] + 1}"'
    shown = published.json()
    assert (shown["terms"], shown["proposal"]) == (TERMS, None)
    assert shown["name"] != before["name"]
    assert api.get("/v1/approval-policy").json() == shown

    repeat = propose(api, "anna", key=key)
    assert (repeat.status_code, repeat.content) == (202, proposed.content)
    again = propose(api, "ben")
    assert (again.status_code, again.json()["code"]) == (409, "nothing_to_change")


def test_other_terms_replace_the_proposal(api: Api) -> None:
    propose(api, "cleo", score_below=50)
    answer = propose(api, "anna", score_below=51)
    assert answer.status_code == 202
    proposal = answer.json()["proposal"]
    assert (proposal["person"], proposal["terms"]["score_below"]) == ("anna", 51)
    late = propose(api, "ben", score_below=50)
    assert (late.status_code, late.json()["proposal"]["person"]) == (202, "ben")


def test_a_proposal_needs_a_note(api: Api) -> None:
    answer = propose(api, "cleo", note=" ", score_below=1)
    assert (answer.status_code, answer.json()["code"]) == (422, "evidence_missing")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"tiers": []}, "request_invalid"),
        ({"tiers": [{"limit_major": 100, "required": []}]}, "invalid_policy"),
        ({"tiers": TERMS["tiers"][::-1]}, "invalid_policy"),
        ({"tiers": [TERMS["tiers"][1], TERMS["tiers"][0], TERMS["tiers"][2]]}, "invalid_policy"),
        ({"tiers": [{"limit_major": 0, "required": []}]}, "request_invalid"),
        ({"tiers": [{"limit_major": None, "required": [["owner"]]}]}, "request_invalid"),
        ({"tiers": [{"limit_major": None, "required": [[]]}]}, "request_invalid"),
        ({"tiers": [{"required": []}]}, "request_invalid"),
        ({"currency": "XXX"}, "request_invalid"),
        ({"score_below": 102}, "request_invalid"),
        ({"score_below": "40"}, "request_invalid"),
        ({"turnover_percent_min": -1}, "request_invalid"),
        ({"approval_seconds": 0}, "request_invalid"),
        ({"approval_seconds": 1.5}, "request_invalid"),
        ({"unknown": 1}, "request_invalid"),
    ],
)
def test_terms_that_make_no_sense_are_refused(
    api: Api, changes: dict[str, object], code: str
) -> None:
    before = api.get("/v1/approval-policy").json()
    answer = propose(api, "cleo", **changes)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert api.get("/v1/approval-policy").json() == before
