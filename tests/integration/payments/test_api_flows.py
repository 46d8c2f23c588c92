"""The main courses of money, over HTTP."""

from collections.abc import Iterator
from datetime import datetime
from uuid import UUID, uuid4

import pytest

from ledger.settings import Settings
from tests.servers.api_server import Api, notice_body, running_api


@pytest.fixture(scope="module")
def api(module_database: Settings) -> Iterator[Api]:
    with running_api(module_database) as api:
        yield api


def test_a_deposit_is_credited_when_the_provider_says_so(api: Api) -> None:
    player = uuid4()
    answer = api.deposit(player, 5_000)
    created = answer.json()
    assert answer.status_code == 201
    assert (created["kind"], created["status"], created["screen_status"]) == (
        "deposit",
        "created",
        "Pending",
    )
    assert created["amount"] == {"amount": 5_000, "currency": "EUR"}
    assert created["balances"]["available"] == {"amount": 0, "currency": "EUR"}
    assert answer.headers["location"] == f"/v1/transactions/{created['id']}"
    assert answer.headers["etag"] == '"1"'
    assert "idempotent-replayed" not in answer.headers

    api.complete(UUID(created["id"]), 5_000)
    found = api.get(answer.headers["location"])
    assert found.json()["status"] == "completed"
    assert found.headers["etag"] == f'"{found.json()["version"]}"'
    assert api.balance(player) == 5_000


def test_a_receipt_proves_where_the_write_stands(api: Api) -> None:
    created = api.deposit(uuid4()).json()
    receipt = created["receipt"]
    assert receipt["position"] == created["position"] <= receipt["size"]
    assert len(bytes.fromhex(receipt["leaf"])) == len(bytes.fromhex(receipt["root"])) == 32


def test_times_are_utc_with_a_z(api: Api) -> None:
    created = api.deposit(uuid4()).json()
    assert created["created_at"].endswith("Z")
    assert datetime.fromisoformat(created["created_at"]).tzinfo is not None


def test_a_withdrawal_reserves_its_amount(api: Api) -> None:
    player = uuid4()
    api.fund(player, 5_000)
    requested = api.withdraw(player, 2_000).json()
    assert requested["status"] == "requested"
    assert requested["requested_by"] == "platform"
    assert requested["balances"]["available"]["amount"] == 3_000
    assert requested["balances"]["reserved"]["amount"] == 2_000


def test_a_withdrawal_without_funds_is_a_recorded_refusal(api: Api) -> None:
    player = uuid4()
    api.fund(player, 1_000)
    answer = api.withdraw(player, 1_001)
    assert answer.status_code == 201
    assert (answer.json()["status"], answer.json()["reason"]) == ("rejected", "insufficient_funds")
    assert answer.json()["balances"]["available"]["amount"] == 1_000
    assert api.get(answer.headers["location"]).json()["status"] == "rejected"


def test_a_withdrawal_of_an_unknown_player_is_not_found(api: Api) -> None:
    answer = api.withdraw(uuid4())
    assert (answer.status_code, answer.json()["code"]) == (404, "player_not_found")


def test_a_withdrawal_can_be_held_released_asked_about_and_rejected(api: Api) -> None:
    waiting = api.review(uuid4())
    path = f"/v1/withdrawals/{waiting['id']}"
    steps = {
        "hold": "held",
        "release": "under_review",
        "request-information": "info_required",
        "provide-information": "under_review",
        "reject": "rejected",
    }
    for step, status in steps.items():
        if step == "release":
            refused = api.post(f"{path}/{step}", {"note": "done"}, person="anna")
            assert (refused.status_code, refused.json()["code"]) == (403, "role_not_allowed")
        answer = api.post(f"{path}/{step}", {"note": f"because of {step}"}, person="cleo")
        assert (answer.status_code, answer.json()["status"]) == (200, status)
    assert answer.json()["balances"]["reserved"]["amount"] == 0
    refused = api.post(f"{path}/hold", {"note": ""}, person="anna")
    assert (refused.status_code, refused.json()["code"]) == (409, "invalid_transition")


def test_a_withdrawal_can_be_cancelled(api: Api) -> None:
    waiting = api.review(uuid4())
    cancelled = api.post(f"/v1/withdrawals/{waiting['id']}/cancel")
    assert cancelled.json()["status"] == "cancelled"
    retried = api.post(f"/v1/withdrawals/{waiting['id']}/retry")
    assert (retried.status_code, retried.json()["code"]) == (409, "invalid_transition")


def test_a_deposit_can_be_cancelled_before_it_is_sent(api: Api) -> None:
    created = api.deposit(uuid4()).json()
    cancelled = api.post(f"/v1/deposits/{created['id']}/cancel")
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")


@pytest.mark.parametrize(("amount", "reserved"), [(5_000, 0), (4_000, 5_000)])
def test_what_is_left_of_a_credit_in_doubt_is_set_aside(
    api: Api, amount: int, reserved: int
) -> None:
    """A success that is only repeated raises no doubt; one of another amount does."""
    player = uuid4()
    funded = api.fund(player, 5_000)
    api.report(notice_body(UUID(funded["id"]), amount))
    assert api.balance(player, "reserved") == reserved
    assert api.balance(player) == 5_000 - reserved


def test_a_contradiction_is_resolved_by_two_people(api: Api) -> None:
    player = uuid4()
    deposit = api.fund(player, 5_000)
    decline = {"code": "do_not_honour", "raw_code": "05"}
    api.report(notice_body(UUID(deposit["id"]), 5_000, status="declined", decline=decline))
    assert api.get(f"/v1/transactions/{deposit['id']}").json()["status"] == "review"

    path, decision = (
        f"/v1/deposits/{deposit['id']}/resolve",
        {"target": "failed", "note": "the settlement file does not list it"},
    )
    proposed = api.post(path, decision, person="anna").json()
    assert proposed["proposal"]["person"] == "anna"
    assert api.post(path, decision, person="anna").json()["code"] == "self_approval"
    resolved = api.post(path, decision, person="ben").json()
    assert (resolved["status"], resolved["balances"]["available"]["amount"]) == ("failed", 0)


def test_a_paused_provider_gets_no_new_deposits(api: Api) -> None:
    paused = api.post("/v1/providers/simulator/pause", {"reason": "outage"})
    assert paused.json()["paused"] is True
    assert api.deposit(uuid4()).json()["reason"] == "provider_paused"
    assert api.get("/v1/providers").json()["items"][0]["paused"] is True
    resumed = api.post("/v1/providers/simulator/resume", {"reason": "over"})
    assert resumed.json()["paused"] is False
    unknown = api.post("/v1/providers/nobody/pause", {"reason": "outage"})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "provider_not_found")
