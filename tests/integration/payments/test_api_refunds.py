"""Refunds over HTTP: a deposit, or a part of it, goes back, and never more than came in."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest

from ledger.settings import Settings
from tests.servers.api_server import PARALLEL, Api, at_once, notice_body, running_api


@pytest.fixture(scope="module")
def api(module_database: Settings) -> Iterator[Api]:
    with running_api(module_database) as api:
        yield api


def refund(api: Api, deposit: dict[str, Any], amount: int | None = None, **how: Any) -> Any:
    """Ask for a refund; everything that is left if no amount is given."""
    body: dict[str, object] = {"deposit_id": deposit["id"], "reason": "paid twice"}
    if amount is not None:
        body["amount"] = {"amount": amount, "currency": deposit["amount"]["currency"]}
    return api.post("/v1/refunds", body, person="sam", **how)


def send(api: Api, refund_id: str, amount: int, currency: str = "EUR", **says: object) -> None:
    """Send it to the provider, and have the provider say that it succeeded."""
    api.dispatch.submit(UUID(refund_id))
    api.report(notice_body(UUID(refund_id), amount, currency=currency, **says))


@pytest.mark.parametrize(
    ("currency", "amount"), [("JPY", 5_001), ("EUR", 5_001), ("KWD", 1_250), ("CLF", 40_021)]
)
def test_a_refund_goes_back_once_another_person_agrees(
    api: Api, currency: str, amount: int
) -> None:
    player = uuid4()
    deposit = api.fund(player, amount, currency)
    asked = refund(api, deposit)
    shown = asked.json()
    assert asked.status_code == 201
    assert asked.headers["location"] == f"/v1/transactions/{shown['id']}"
    assert (shown["kind"], shown["status"]) == ("refund", "pending_approval")
    assert shown["amount"] == {"amount": amount, "currency": currency}
    assert (shown["deposit_id"], shown["grounds"]) == (deposit["id"], "paid twice")
    assert shown["required"] == [["finance"]]
    assert shown["balances"]["available"] == {"amount": 0, "currency": currency}
    assert shown["balances"]["reserved"] == {"amount": amount, "currency": currency}

    approved = api.post(f"/v1/refunds/{shown['id']}/approve", {"note": "seen"}, person="anna")
    assert (approved.status_code, approved.json()["status"]) == (200, "approved")
    send(api, shown["id"], amount, currency)
    done = api.transaction(shown["id"])
    assert (done["status"], done["screen_status"]) == ("succeeded", "Completed")
    assert api.balance(player, "reserved", currency) == 0
    after = api.transaction(deposit["id"])
    assert (after["status"], after["refundable"]["amount"]) == ("refunded", 0)
    assert [(c["id"], c["standing"]) for c in after["refunds"]] == [(shown["id"], "taken")]


def test_a_part_goes_back_and_the_rest_is_named(api: Api) -> None:
    deposit = api.fund(uuid4(), 5_000)
    part = refund(api, deposit, 2_000).json()
    api.post(f"/v1/refunds/{part['id']}/approve", {}, person="anna").raise_for_status()
    send(api, part["id"], 2_000)
    assert api.transaction(deposit["id"])["status"] == "partially_refunded"

    too_much = refund(api, deposit, 3_001)
    problem = too_much.json()
    assert (too_much.status_code, problem["code"]) == (409, "refund_exceeds_capture")
    assert "30.00 EUR" in problem["detail"]
    assert refund(api, deposit).json()["amount"]["amount"] == 3_000


def test_nobody_agrees_to_their_own_refund_nor_in_another_role(api: Api) -> None:
    deposit = api.fund(uuid4(), 5_000)
    body = {"deposit_id": deposit["id"], "reason": "paid twice"}
    path = f"/v1/refunds/{api.post('/v1/refunds', body, person='anna').json()['id']}/approve"
    own = api.post(path, {}, person="anna")
    assert (own.status_code, own.json()["code"]) == (403, "self_approval")
    for person in ("platform", "sam", "ben"):
        other = api.post(path, {}, person=person)
        assert (other.status_code, other.json()["code"]) == (403, "role_not_allowed")
    assert api.post(path, {}, person="fina").json()["status"] == "approved"


@pytest.mark.parametrize(("step", "status"), [("reject", "rejected"), ("cancel", "cancelled")])
def test_what_is_not_refunded_is_the_players_again(api: Api, step: str, status: str) -> None:
    player = uuid4()
    deposit = api.fund(player, 5_000)
    asked = refund(api, deposit, 4_000).json()
    body = {"note": "not his"} if step == "reject" else None
    ended = api.post(f"/v1/refunds/{asked['id']}/{step}", body, person="anna").json()
    assert (ended["status"], ended["balances"]["available"]["amount"]) == (status, 5_000)
    assert api.transaction(deposit["id"])["refundable"]["amount"] == 5_000


def test_a_refund_without_funds_is_a_recorded_refusal(api: Api) -> None:
    player = uuid4()
    deposit = api.fund(player, 5_000)
    api.withdraw(player, 4_000).raise_for_status()
    refused = refund(api, deposit)
    assert refused.status_code == 201
    assert (refused.json()["status"], refused.json()["reason"]) == (
        "rejected",
        "insufficient_funds",
    )
    assert api.transaction(deposit["id"])["refundable"]["amount"] == 5_000


def test_only_a_credited_deposit_can_be_refunded(api: Api) -> None:
    created = api.deposit(uuid4()).json()
    early = refund(api, created)
    assert (early.status_code, early.json()["code"]) == (409, "not_refundable")
    nothing = refund(api, {"id": str(uuid4())})
    assert (nothing.status_code, nothing.json()["code"]) == (404, "transaction_not_found")
    funded = api.fund(uuid4(), 5_000)
    other = api.post(
        "/v1/refunds",
        {
            "deposit_id": funded["id"],
            "reason": "x",
            "amount": {"amount": 1, "currency": "JPY"},
        },
    )
    assert (other.status_code, other.json()["code"]) == (409, "refund_exceeds_capture")


def test_nothing_is_refunded_while_a_dispute_is_open(api: Api) -> None:
    deposit = api.fund(uuid4(), 5_000)
    dispute_id = api.dispute(deposit)
    refused = refund(api, deposit)
    assert (refused.status_code, refused.json()["code"]) == (409, "dispute_open")
    api.dispute(deposit, "won")
    assert api.transaction(dispute_id)["status"] == "won"
    assert refund(api, deposit).json()["status"] == "pending_approval"


def test_a_dispute_that_comes_first_stops_an_approved_refund(api: Api) -> None:
    player = uuid4()
    deposit = api.fund(player, 5_000)
    asked = refund(api, deposit).json()
    api.post(f"/v1/refunds/{asked['id']}/approve", {}, person="anna").raise_for_status()
    api.dispute(deposit)
    api.dispatch.submit(UUID(asked["id"]))
    ended = api.transaction(asked["id"])
    assert (ended["status"], ended["reason"]) == ("cancelled", "dispute_open")
    assert api.balance(player) == 5_000


def test_banks_return_refunds_too(api: Api) -> None:
    player = uuid4()
    deposit = api.fund(player, 5_000)
    asked = refund(api, deposit).json()
    api.post(f"/v1/refunds/{asked['id']}/approve", {}, person="anna").raise_for_status()
    send(api, asked["id"], 5_000)
    api.report(notice_body(UUID(asked["id"]), 5_000, status="returned"))
    assert api.transaction(asked["id"])["status"] == "reversed"
    assert api.balance(player) == 5_000
    assert api.transaction(deposit["id"])["status"] == "completed"


def test_a_refund_of_another_amount_is_resolved_by_two_people(api: Api) -> None:
    player = uuid4()
    asked = refund(api, api.fund(player, 5_000)).json()
    path = f"/v1/refunds/{asked['id']}"
    api.post(f"{path}/approve", {}, person="anna").raise_for_status()
    send(api, asked["id"], 4_999)
    assert api.transaction(asked["id"])["status"] == "review"
    decision = {"target": "failed", "note": "the statement does not list it"}
    proposed = api.post(f"{path}/resolve", decision, person="anna").json()
    assert proposed["proposal"] == {"person": "anna", **decision}
    again = api.post(f"{path}/resolve", decision, person="anna")
    assert (again.status_code, again.json()["code"]) == (403, "self_approval")
    resolved = api.post(f"{path}/resolve", decision, person="ben").json()
    assert (resolved["status"], resolved["balances"]["available"]["amount"]) == ("failed", 5_000)


# --- at the same moment, and again ---------------------------------------------------------------


def test_fifty_partial_refunds_at_once_never_exceed_what_was_captured(api: Api) -> None:
    player = uuid4()
    deposit = api.fund(player, 5_000)
    api.fund(player, 100_000)  # so that the deposit is what limits them, not the balance
    answers = at_once(lambda _: refund(api, deposit, 300))
    assert {answer.status_code for answer in answers} == {201, 409}
    granted = [a.json() for a in answers if a.status_code == 201]
    assert {a.json()["code"] for a in answers if a.status_code == 409} == {"refund_exceeds_capture"}
    assert {shown["status"] for shown in granted} == {"pending_approval"}
    assert len(granted) == 5_000 // 300
    left = api.transaction(deposit["id"])
    assert left["refundable"]["amount"] == 5_000 - 300 * len(granted)
    assert {claim["id"] for claim in left["refunds"]} == {shown["id"] for shown in granted}
    assert api.balance(player, "reserved") == 300 * len(granted)


def test_of_fifty_full_refunds_at_once_exactly_one_wins(api: Api) -> None:
    player = uuid4()
    deposit = api.fund(player, 5_000)
    api.fund(player, 400_000)
    answers = at_once(lambda _: refund(api, deposit))
    codes = sorted(answer.status_code for answer in answers)
    assert codes == [201] + [409] * (PARALLEL - 1)
    assert api.balance(player, "reserved") == 5_000


def test_fifty_equal_requests_for_a_refund_are_one(api: Api) -> None:
    deposit, key = api.fund(uuid4(), 5_000), str(uuid4())
    answers = at_once(lambda _: refund(api, deposit, 1_000, key=key))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert len(api.transaction(deposit["id"])["refunds"]) == 1


def test_every_step_of_a_refund_repeats_its_first_answer(api: Api) -> None:
    deposit = api.fund(uuid4(), 5_000)
    keys = {step: str(uuid4()) for step in ("request", "approve")}

    def steps() -> list[httpx2.Response]:
        asked = refund(api, deposit, 4_000, key=keys["request"])
        path = f"/v1/refunds/{asked.json()['id']}/approve"
        return [asked, api.post(path, {"note": "a"}, person="anna", key=keys["approve"])]

    first = steps()
    send(api, first[0].json()["id"], 4_000)
    again = steps()
    assert [answer.content for answer in again] == [answer.content for answer in first]
    assert {answer.headers["idempotent-replayed"] for answer in again} == {"true"}
    other = refund(api, deposit, 1, key=keys["request"])
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
