"""Approvals over HTTP: who has to agree to a payout, and what makes an agreement void."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from ledger.settings import Settings
from tests.servers.api_server import Api, later, notice_body, running_api

LARGE = 300_000
"""Takes fraud and finance."""


@pytest.fixture(scope="module")
def api(module_database: Settings) -> Iterator[Api]:
    with running_api(module_database) as api:
        yield api


def approve(api: Api, withdrawal: dict[str, Any], person: str, **how: Any) -> Any:
    return api.post(f"/v1/withdrawals/{withdrawal['id']}/approve", {}, person=person, **how)


def problems(api: Api, withdrawal: dict[str, Any]) -> dict[str, list[str]]:
    """Why whose approval does not count."""
    shown = api.transaction(withdrawal["id"])["approvals"]
    assert all(given["counts"] is (given["problems"] == []) for given in shown)
    return {given["person"]: given["problems"] for given in shown}


# --- who has to agree ---------------------------------------------------------------------------


def test_fraud_and_finance_approve_a_large_withdrawal(api: Api) -> None:
    waiting = api.review(uuid4(), LARGE)
    assert waiting["status"] == "under_review"
    assert waiting["required"] == waiting["missing"] == [["fraud"], ["finance"]]
    assert waiting["screening_reasons"] == ["above_automatic_limit"]

    first = approve(api, waiting, "anna").json()
    assert (first["status"], first["missing"]) == ("under_review", [["fraud"]])
    given = first["approvals"][0]
    assert (given["person"], given["role"], given["counts"]) == ("anna", "finance", True)
    again = approve(api, waiting, "anna")
    assert (again.status_code, again.json()["code"]) == (409, "already_approved")
    second = approve(api, waiting, "ben").json()
    assert (second["status"], second["missing"]) == ("queued", [])
    assert [given["person"] for given in second["approvals"]] == ["anna", "ben"]
    assert [leg["status"] for leg in second["legs"]] == ["queued"]


def test_a_role_that_brings_nobody_nearer_is_not_allowed(api: Api) -> None:
    waiting = api.review(uuid4(), LARGE)
    approve(api, waiting, "anna").raise_for_status()
    for person in ("fina", "sam", "cleo"):
        answer = approve(api, waiting, person)
        assert (answer.status_code, answer.json()["code"]) == (403, "role_not_allowed")
        assert "fraud" in answer.json()["detail"]


def test_nobody_approves_their_own_request(api: Api) -> None:
    player = uuid4()
    api.verified(player)
    api.fund(player, LARGE)
    body = {
        "player_id": str(player),
        "amount": {"amount": LARGE, "currency": "EUR"},
        "method": "card",
        "instrument": "tok_7Hq2",
    }
    requested = api.post("/v1/withdrawals", body, person="anna").json()
    api.dispatch.screen(UUID(requested["id"]))
    own = approve(api, requested, "anna")
    assert (own.status_code, own.json()["code"]) == (403, "self_approval")


def in_queue(
    api: Api, waiting: Mapping[str, Any], position: int, path: str = "/v1/queue"
) -> Mapping[str, Any]:
    """How the queue lists it once it has seen `position`."""
    items = api.get(path, params={"min_position": position}).json()["items"]
    case: Mapping[str, Any] = next(c for c in items if c["transaction_id"] == waiting["id"])
    return case


def test_the_queue_says_who_has_to_agree(api: Api) -> None:
    waiting = api.review(uuid4(), 1_100_000)
    answer = approve(api, waiting, "ben").json()
    for path in ("/v1/queue", "/v1/withdrawal-queue"):
        case = in_queue(api, waiting, answer["position"], path)
        assert case["required"] == [["fraud"], ["finance"], ["compliance"]]
        assert case["missing"] == [["finance"], ["compliance"]]
        (agreed,) = case["approvals"]
        assert agreed == {"person": "ben", "role": "fraud", "at": answer["updated_at"]}


@pytest.mark.parametrize(
    ("change", "body"),
    [
        ("amend", {"amount": {"amount": LARGE - 1, "currency": "EUR"}, "instrument": "tok_7Hq2"}),
        ("scores", {"score": 10, "ruleset": "payouts-12"}),
    ],
)
def test_whose_approval_is_void_the_queue_asks_again(
    api: Api, change: str, body: Mapping[str, object]
) -> None:
    waiting = api.review(uuid4(), LARGE)
    approve(api, waiting, "anna").raise_for_status()
    api.post(f"/v1/withdrawals/{waiting['id']}/{change}", body).raise_for_status()
    api.dispatch.screen(UUID(waiting["id"]))
    answer = approve(api, waiting, "ben").json()
    case = in_queue(api, waiting, answer["position"])
    assert case["missing"] == answer["missing"] == [["finance"]]
    assert [agreed["person"] for agreed in case["approvals"]] == ["ben"]


def test_whose_approval_is_too_old_the_queue_asks_again(api: Api) -> None:
    waiting = api.review(uuid4(), LARGE)
    answer = approve(api, waiting, "anna").json()
    with later(api, timedelta(hours=23)) as then:
        assert in_queue(then, waiting, answer["position"])["missing"] == [["fraud"]]
    with later(api, timedelta(hours=25)) as then:
        case = in_queue(then, waiting, answer["position"])
        assert (case["missing"], case["approvals"]) == ([["fraud"], ["finance"]], [])


# --- what voids an approval ---------------------------------------------------------------------


def test_another_amount_voids_an_approval(api: Api) -> None:
    waiting = api.review(uuid4(), LARGE)
    approve(api, waiting, "anna").raise_for_status()
    less = {
        "amount": {"amount": LARGE - 1, "currency": "EUR"},
        "instrument": "tok_7Hq2",
        "note": "asked for less",
    }
    amended = api.post(f"/v1/withdrawals/{waiting['id']}/amend", less)
    assert amended.status_code == 200
    assert amended.json()["status"] == "requested"
    assert amended.json()["balances"]["available"]["amount"] == 1
    api.dispatch.screen(UUID(waiting["id"]))
    assert problems(api, waiting) == {"anna": ["amount_changed", "legs_changed"]}
    assert api.transaction(waiting["id"])["missing"] == [["fraud"], ["finance"]]
    approve(api, waiting, "ben").raise_for_status()
    assert approve(api, waiting, "anna").json()["status"] == "queued"
    assert problems(api, waiting) == {"anna": [], "ben": []}


def test_another_instrument_voids_an_approval(api: Api) -> None:
    waiting = api.review(uuid4(), LARGE)
    approve(api, waiting, "anna").raise_for_status()
    other = {"amount": waiting["amount"], "instrument": "tok_other"}
    api.post(f"/v1/withdrawals/{waiting['id']}/amend", other).raise_for_status()
    assert "instrument_changed" in problems(api, waiting)["anna"]


def test_a_withdrawal_is_never_amended_to_more(api: Api) -> None:
    waiting = api.review(uuid4(), LARGE)
    for amount, currency in ((LARGE + 1, "EUR"), (1, "JPY")):
        body = {"amount": {"amount": amount, "currency": currency}, "instrument": None}
        answer = api.post(f"/v1/withdrawals/{waiting['id']}/amend", body)
        assert (answer.status_code, answer.json()["code"]) == (422, "amount_may_only_fall")


def test_another_score_voids_an_approval(api: Api) -> None:
    waiting = api.review(uuid4(), LARGE)
    approve(api, waiting, "anna").raise_for_status()
    score = {"score": 80, "high": ["new_device"], "ruleset": "payouts-12"}
    scored = api.post(f"/v1/withdrawals/{waiting['id']}/scores", score, person="ben").json()
    assert (scored["score"], scored["high"]) == (80, ["new_device"])
    assert scored["approvals"][0]["problems"] == ["score_changed"]
    api.dispatch.screen(UUID(waiting["id"]))
    assert problems(api, waiting) == {"anna": ["score_changed"]}
    assert ["compliance"] in api.transaction(waiting["id"])["missing"]


def test_an_approval_counts_for_a_day(api: Api) -> None:
    waiting = api.review(uuid4(), LARGE)
    approve(api, waiting, "anna").raise_for_status()
    with later(api, timedelta(hours=23)) as then:
        assert problems(then, waiting) == {"anna": []}
    with later(api, timedelta(hours=25)) as then:
        assert problems(then, waiting) == {"anna": ["expired"]}
        fraud = approve(then, waiting, "ben").json()
        assert (fraud["status"], fraud["missing"]) == ("under_review", [["finance"]])
        assert approve(then, waiting, "anna").json()["status"] == "queued"


def test_a_hold_on_the_player_voids_an_approval(api: Api) -> None:
    player = uuid4()
    waiting = api.review(player, LARGE)
    key = str(uuid4())
    first = approve(api, waiting, "anna", key=key)
    held = api.post(f"/v1/players/{player}/hold", {"reason": "looking into it"}, person="ben")
    assert held.status_code == 200
    assert problems(api, waiting) == {"anna": ["player_changed"]}
    listed = api.get(
        "/v1/transactions",
        params={
            "player_id": str(player),
            "kind": "withdrawal",
            "min_position": first.json()["position"],
        },
    ).json()["items"]
    assert listed[0]["approvals"][0]["problems"] == ["player_changed"]
    told = api.get(f"/v1/transactions/{waiting['id']}/events").json()["transaction"]
    assert told == api.transaction(waiting["id"], "platform")
    # A repeat says what was said first.
    assert approve(api, waiting, "anna", key=key).content == first.content


# --- cancelling, legs, repeats ------------------------------------------------------------------


def test_players_may_not_cancel_everywhere(api: Api) -> None:
    british = api.review(uuid4(), jurisdiction="GB")
    path = f"/v1/withdrawals/{british['id']}/cancel"
    for body in (None, {"by_player": True}):
        refused = api.post(path, body)
        assert (refused.status_code, refused.json()["code"]) == (409, "cancellation_not_allowed")
    by_staff = api.post(path, {"by_player": False}, person="anna").json()
    assert (by_staff["status"], by_staff["reason"]) == ("cancelled", "decided_by_operator")
    maltese = api.review(uuid4(), jurisdiction="MT")
    cancelled = api.post(f"/v1/withdrawals/{maltese['id']}/cancel", {}).json()
    assert (cancelled["status"], cancelled["reason"]) == ("cancelled", "requested_by_player")


def test_a_payout_goes_back_in_legs_and_is_resolved_leg_by_leg(api: Api) -> None:
    player = uuid4()
    api.verified(player)
    api.fund(player, 3_000, instrument="tok_first")
    api.fund(player, 4_000, instrument="tok_second")
    requested = api.withdraw(player, 6_000, instrument="tok_second").json()
    planned = [
        (leg["leg"], leg["instrument"], leg["amount"]["amount"]) for leg in requested["legs"]
    ]
    assert planned == [(1, "tok_first", 3_000), (2, "tok_second", 3_000)]
    assert requested["closed_loop"] is True
    withdrawal_id = UUID(requested["id"])
    api.dispatch.screen(withdrawal_id)
    for leg in (1, 2):
        api.dispatch.submit(withdrawal_id, leg)
    legs = api.transaction(requested["id"])["legs"]
    api.report(notice_body(withdrawal_id, 3_000, attempt=legs[0]["attempt"]))
    half = api.transaction(requested["id"])
    assert half["status"] == "partially_paid"
    assert [leg["status"] for leg in half["legs"]] == ["paid", "submitted"]

    api.report(notice_body(withdrawal_id, 2_999, attempt=legs[1]["attempt"]))
    assert api.transaction(requested["id"])["status"] == "review"
    path = f"/v1/withdrawals/{requested['id']}/resolve"
    decision = {"target": "failed", "note": "the bank does not list it"}
    elsewhere = api.post(path, decision | {"leg": 3}, person="anna")
    assert (elsewhere.status_code, elsewhere.json()["code"]) == (422, "leg_not_found")
    proposed = api.post(path, decision | {"leg": 2}, person="anna").json()
    assert proposed["legs"][1]["proposal"]["person"] == "anna"
    resolved = api.post(path, decision, person="ben").json()
    assert [leg["status"] for leg in resolved["legs"]] == ["paid", "failed"]
    assert api.balance(player) == 1_000 + 3_000


@pytest.mark.parametrize("currency", ["JPY", "EUR", "KWD", "CLF"])
def test_withdrawals_come_in_every_exponent(api: Api, currency: str) -> None:
    player = uuid4()
    api.fund(player, 12_345, currency)
    shown = api.withdraw(player, 12_345, currency).json()
    money = {"amount": 12_345, "currency": currency}
    assert shown["amount"] == shown["balances"]["reserved"] == shown["legs"][0]["amount"] == money


def test_amending_and_scoring_repeat_their_first_answer(api: Api) -> None:
    waiting = api.review(uuid4(), LARGE)
    path = f"/v1/withdrawals/{waiting['id']}"
    score: dict[str, object] = {"score": 20, "ruleset": "payouts-12"}
    amend: dict[str, object] = {"amount": {"amount": 9, "currency": "EUR"}, "instrument": None}
    for step, body in (("scores", score), ("amend", amend)):
        key = str(uuid4())
        first = api.post(f"{path}/{step}", body, key=key)
        assert first.status_code == 200, first.text
        api.dispatch.screen(UUID(waiting["id"]))
        repeat = api.post(f"{path}/{step}", body, key=key)
        assert (repeat.content, repeat.headers["idempotent-replayed"]) == (first.content, "true")
