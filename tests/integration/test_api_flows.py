"""The main courses of money, over HTTP."""

from collections.abc import Iterator
from datetime import datetime
from uuid import UUID, uuid4

import pytest

from tallystick.config import Settings
from tests.integration.api_server import Api, notice_body, running_api


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
    assert _balance(api, player, "available") == 5_000


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


def test_two_people_approve_a_large_withdrawal(api: Api) -> None:
    waiting = api.review(uuid4(), 300_000)
    assert (waiting["status"], waiting["approvals_required"]) == ("under_review", 2)
    path = f"/v1/withdrawals/{waiting['id']}/approve"

    first = api.post(path, {"note": "documents checked"}, person="anna").json()
    assert (first["status"], first["approvals"]) == ("under_review", ["anna"])
    again = api.post(path, {}, person="anna")
    assert (again.status_code, again.json()["code"]) == (409, "already_approved")
    second = api.post(path, {}, person="ben").json()
    assert (second["status"], second["approvals"]) == ("queued", ["anna", "ben"])


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
        answer = api.post(f"{path}/{step}", {"note": f"because of {step}"}, person="anna")
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


def test_a_contradiction_is_resolved_by_two_people(api: Api) -> None:
    player = uuid4()
    deposit = api.fund(player, 5_000)
    decline = {"code": "do_not_honour", "raw_code": "05"}
    api.notify(notice_body(UUID(deposit["id"]), 5_000, status="declined", decline=decline))
    api.act_on_notices()
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


def test_an_excluded_player_cannot_deposit(api: Api) -> None:
    player = uuid4()
    assert api.get(f"/v1/players/{player}").status_code == 404
    put = api.client.put(
        f"/v1/players/{player}",
        headers=api.headers(),
        json={"verification": "full", "jurisdiction": "MT"},
    )
    assert (put.status_code, put.json()["verification"], put.headers["etag"]) == (
        200,
        "full",
        '"1"',
    )
    excluded = api.post(f"/v1/players/{player}/exclusion", {"reason": "asked for it"}).json()
    assert excluded["excluded"] is True
    assert api.deposit(player).json()["reason"] == "player_excluded"

    for _ in range(2):  # ending what has ended changes nothing
        ended = api.client.delete(f"/v1/players/{player}/exclusion", headers=api.headers())
        assert (ended.status_code, ended.json()["excluded"]) == (200, False)
    assert api.deposit(player).json()["status"] == "created"


def test_a_player_on_hold_is_named_as_a_reason(api: Api) -> None:
    player = uuid4()
    api.fund(player, 5_000)
    held = api.post(f"/v1/players/{player}/hold", {"reason": "a court order"}).json()
    assert held["on_hold"] is True
    again = api.post(f"/v1/players/{player}/hold", {"reason": "a court order"})
    assert (again.status_code, again.json()["code"]) == (409, "nothing_to_change")
    requested = api.withdraw(player).json()
    api.services.traffic.screen(UUID(requested["id"]))
    waiting = api.get(f"/v1/transactions/{requested['id']}").json()
    assert "player_on_hold" in waiting["screening_reasons"]
    lifted = api.client.delete(f"/v1/players/{player}/hold", headers=api.headers())
    assert lifted.json()["on_hold"] is False


def test_putting_a_player_again_changes_nothing(api: Api) -> None:
    player = uuid4()
    bodies = [
        api.client.put(
            f"/v1/players/{player}", headers=api.headers(), json={"verification": "basic"}
        ).json()
        for _ in range(2)
    ]
    assert bodies[0] == bodies[1] == api.get(f"/v1/players/{player}").json()


def test_the_id_of_a_transaction_is_no_player(api: Api) -> None:
    other = UUID(api.deposit(uuid4()).json()["id"])
    assert api.get(f"/v1/players/{other}").status_code == 404
    assert api.deposit(other).status_code == 404
    assert api.withdraw(other).status_code == 404
    put = api.client.put(
        f"/v1/players/{other}", headers=api.headers(), json={"verification": "basic"}
    )
    assert put.status_code == 404


def test_a_paused_provider_gets_no_new_deposits(api: Api) -> None:
    paused = api.post("/v1/providers/simulator/pause", {"reason": "outage"})
    assert paused.json()["paused"] is True
    assert api.deposit(uuid4()).json()["reason"] == "provider_paused"
    assert api.get("/v1/providers").json()["items"][0]["paused"] is True
    resumed = api.post("/v1/providers/simulator/resume", {"reason": "over"})
    assert resumed.json()["paused"] is False
    unknown = api.post("/v1/providers/nobody/pause", {"reason": "outage"})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "provider_not_found")


def _balance(api: Api, player: UUID, kind: str) -> int:
    shown = api.get(f"/v1/players/{player}/balances").json()["balances"]
    amounts = {entry["account"].split(":")[2]: entry["balance"]["amount"] for entry in shown}
    return int(amounts.get(kind, 0))
