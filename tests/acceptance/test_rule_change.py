"""A rule is changed as the people concerned do it, over HTTP: from a doubt to the last word."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest

from ledger.settings import Settings
from tests.integration.fraud.fraud_api import case_of, code, fraud_api, head, structured
from tests.integration.fraud.test_backtest_api import ended, working
from tests.servers.api_server import Api

NOTE = {"note": "Three such deposits are a payday; four are not."}


@pytest.fixture
def api(database: Settings) -> Iterator[Api]:
    with fraud_api(database) as api:
        yield api


def test_a_threshold_is_drafted_tried_out_on_the_past_and_published_by_another_person(
    api: Api,
) -> None:
    innocent = uuid4()
    api.verified(innocent)
    structured(api, innocent)
    asked = api.withdraw(innocent, 10_000)
    api.dispatch.screen(UUID(asked.json()["id"]))
    assert api.transaction(asked.json()["id"])["status"] == "held"
    case = case_of(api, f"player:{innocent}")
    closing = {"decision": "false_positive", "reason": "paid by the employer"}
    path = f"/v1/cases/{case['id']}/close"
    proposed = api.post(path, closing, person="ben")
    assert proposed.status_code == 202
    agreed = {"proposal": proposed.json()["proposal"]["id"]}
    assert api.post(f"{path}/agree", agreed, person="cleo").status_code == 200

    # Ben drafts a change, and sees what it would have changed from the beginning of the log on.
    changes = {"indicators": {"structuring": {"thresholds": {"deposits": 4}}}}
    body = {"based_on": live(api)["name"], "changes": changes, **NOTE}
    draft = api.post("/v1/rulesets", body, person="ben").json()
    assert [(d["indicator"], d["name"], d["from"], d["to"]) for d in draft["differences"]] == [
        ("structuring", "deposits", 3, 4)
    ]
    found = backtested(api, draft["id"])
    (changed,) = found["decisions"]
    assert changed["withdrawal_id"] == asked.json()["id"]
    assert changed["before"]["score"] - changed["after"]["score"] == 50
    (precision,) = [one for one in found["indicators"] if one["indicator"] == "structuring"]
    assert precision["before"]["false_positive"] == 1
    assert precision["after"]["hits"] == 0

    # His own approval is refused, whatever his role; another person's counts.
    path = f"/v1/rulesets/{draft['id']}/approve"
    assert code(api.post(path, NOTE, person="ben")) == (403, "role_not_allowed")
    of_carl = api.post(
        "/v1/rulesets", {**body, "changes": {**changes, "score_low": 5}}, person="carl"
    ).json()
    own = api.post(f"/v1/rulesets/{of_carl['id']}/approve", NOTE, person="carl")
    assert code(own) == (403, "self_approval")
    assert live(api)["name"] == body["based_on"]
    assert api.post(path, NOTE, person="cleo").status_code == 200
    assert live(api)["id"] == draft["id"]

    # From now on, three are not enough, and four are.
    other = uuid4()
    for number in range(1, 5):
        api.fund(other, 195_000)
        assert bool(hits(api, other)) is (number == 4)


def live(api: Api) -> dict[str, Any]:
    found: dict[str, Any] = api.get("/v1/rulesets/live", "ben").json()
    return found


def backtested(api: Api, ruleset_id: str) -> dict[str, Any]:
    job = api.post(f"/v1/rulesets/{ruleset_id}/backtests", {"engine": "serial"}, person="ben")
    assert job.status_code == 202, job.text
    with working(api):
        done = ended(api, job.json())
    assert (done["status"], done["error"]) == ("done", None)
    result: dict[str, Any] = done["result"]
    return result


def hits(api: Api, player: object) -> list[Any]:
    found: list[Any] = api.get(
        "/v1/hits",
        "ben",
        params={
            "subject": f"player:{player}",
            "indicator": "structuring",
            "min_position": head(api),
        },
    ).json()["items"]
    return found
