"""Adjustments over HTTP: two people correct the books."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest

from ledger.settings import Settings
from tests.servers.api_server import Api, running_api


@pytest.fixture(scope="module")
def api(module_database: Settings) -> Iterator[Api]:
    with running_api(module_database) as api:
        yield api


def goodwill(player: UUID, amount: int = 700, **changes: object) -> dict[str, object]:
    body: dict[str, object] = {
        "player_id": str(player),
        "moves": [
            {
                "source": "house:adjustments:EUR",
                "target": f"player:{player}:available:EUR",
                "amount": {"amount": amount, "currency": "EUR"},
            }
        ],
        "reason": "goodwill",
        "grounds": "ticket 4711",
    }
    return body | changes


def ask(api: Api, body: object, person: str = "anna", **how: Any) -> httpx2.Response:
    return api.post("/v1/adjustments", body, person=person, **how)


def recovery(player: UUID, amount: int) -> dict[str, object]:
    move = {
        "source": f"player:{player}:available:EUR",
        "target": "house:chargebacks:EUR",
        "amount": {"amount": amount, "currency": "EUR"},
    }
    return goodwill(player, moves=[move], reason="chargeback_recovery")


def test_money_moves_once_compliance_agrees(api: Api) -> None:
    player = uuid4()
    deposit = api.fund(player, 5_000)
    asked = ask(api, goodwill(player, transaction_id=deposit["id"]))
    shown = asked.json()
    assert asked.status_code == 201
    assert (shown["kind"], shown["status"]) == ("adjustment", "requested")
    assert (shown["purpose"], shown["transaction_id"]) == ("goodwill", deposit["id"])
    assert (shown["provider"], shown["method"]) == (None, None)
    assert shown["balances"] == [
        {
            "account": f"player:{player}:available:EUR",
            "balance": {"amount": 5_000, "currency": "EUR"},
        }
    ]
    approved = api.post(f"/v1/adjustments/{shown['id']}/approve", {"note": "seen"}, person="cleo")
    assert (approved.status_code, approved.json()["status"]) == (200, "approved")
    assert approved.json()["decided_by"] == "cleo"
    assert approved.json()["balances"][0]["balance"]["amount"] == 5_700
    assert api.balance(player) == 5_700
    adjustments = api.get("/v1/accounts/house:adjustments:EUR").json()
    assert adjustments["balance"]["amount"] <= -700


def test_it_takes_two_people_and_one_of_compliance(api: Api) -> None:
    player = uuid4()
    api.fund(player, 5_000)
    path = f"/v1/adjustments/{ask(api, goodwill(player), 'cleo').json()['id']}/approve"
    own = api.post(path, {}, person="cleo")
    assert (own.status_code, own.json()["code"]) == (403, "self_approval")
    for person in ("platform", "ben", "sam"):
        other = api.post(path, {}, person=person)
        assert (other.status_code, other.json()["code"]) == (403, "role_not_allowed")
    assert api.balance(player) == 5_000


def test_what_is_refused_moves_nothing(api: Api) -> None:
    player = uuid4()
    api.fund(player, 5_000)
    path = f"/v1/adjustments/{ask(api, goodwill(player)).json()['id']}"
    not_allowed = api.post(f"{path}/reject", {"note": "no"}, person="sam")
    assert (not_allowed.status_code, not_allowed.json()["code"]) == (403, "role_not_allowed")
    rejected = api.post(f"{path}/reject", {"note": "no"}, person="cleo").json()
    assert (rejected["status"], rejected["purpose"]) == ("rejected", "goodwill")
    assert api.balance(player) == 5_000
    late = api.post(f"{path}/approve", {}, person="cleo")
    assert (late.status_code, late.json()["code"]) == (409, "invalid_transition")


def test_money_that_a_player_no_longer_has_is_not_taken(api: Api) -> None:
    player = uuid4()
    api.fund(player, 5_000)
    path = f"/v1/adjustments/{ask(api, recovery(player, 5_001)).json()['id']}/approve"
    answer = api.post(path, {}, person="cleo")
    assert answer.status_code == 200
    assert (answer.json()["status"], answer.json()["reason"]) == ("rejected", "insufficient_funds")
    assert api.balance(player) == 5_000


def test_the_house_corrects_its_own_books_without_a_player(api: Api) -> None:
    move = {
        "source": "house:fees:KWD",
        "target": "provider:simulator:clearing:KWD",
        "amount": {"amount": 1_250, "currency": "KWD"},
    }
    body = {"moves": [move], "reason": "provider_difference", "grounds": "statement of 3 May"}
    asked = ask(api, body).json()
    assert (asked["player_id"], asked["balances"]) == (None, [])
    approved = api.post(f"/v1/adjustments/{asked['id']}/approve", {}, person="cleo").json()
    assert approved["status"] == "approved"
    fees = api.get("/v1/accounts/house:fees:KWD").json()
    assert fees["balance"] == {"amount": -1_250, "currency": "KWD"}


@pytest.mark.parametrize(
    ("moves", "detail"),
    [
        (("house:fees:EUR", "house:fees:EUR", "EUR"), "itself"),
        (("house:fees:EUR", "house:suspense:USD", "EUR"), "not an account in EUR"),
        (("house:fees:EUR", "player:{player}:reserved:EUR", "EUR"), "open transactions"),
        (("house:fees:EUR", "player:{other}:available:EUR", "EUR"), "has to name the player"),
    ],
)
def test_moves_that_make_no_sense_are_refused_and_named(
    api: Api, moves: tuple[str, str, str], detail: str
) -> None:
    player = uuid4()
    api.fund(player, 5_000)
    source, target, currency = (part.format(player=player, other=uuid4()) for part in moves)
    move = {"source": source, "target": target, "amount": {"amount": 1, "currency": currency}}
    answer = ask(api, goodwill(player, moves=[move]))
    assert (answer.status_code, answer.json()["code"]) == (422, "adjustment_invalid")
    assert answer.json()["detail"].startswith("Move 1") or "player" in answer.json()["detail"]
    assert detail in answer.json()["detail"]


def test_what_an_adjustment_names_has_to_exist(api: Api) -> None:
    player = uuid4()
    stranger = ask(api, goodwill(player))
    assert (stranger.status_code, stranger.json()["code"]) == (404, "player_not_found")
    api.fund(player, 5_000)
    other = ask(api, goodwill(player, transaction_id=str(uuid4())))
    assert (other.status_code, other.json()["code"]) == (404, "transaction_not_found")
    blank = ask(api, goodwill(player, grounds=" "))
    assert (blank.status_code, blank.json()["code"]) == (422, "evidence_missing")


def test_every_step_of_an_adjustment_repeats_its_first_answer(api: Api) -> None:
    player, keys = uuid4(), (str(uuid4()), str(uuid4()))
    api.fund(player, 5_000)
    first = ask(api, goodwill(player), key=keys[0])
    path = f"/v1/adjustments/{first.json()['id']}/approve"
    approved = api.post(path, {"note": "seen"}, person="cleo", key=keys[1])
    api.fund(player, 900)
    again = ask(api, goodwill(player), key=keys[0])
    assert (again.status_code, again.content) == (201, first.content)
    repeat = api.post(path, {"note": "seen"}, person="cleo", key=keys[1])
    assert (repeat.content, repeat.headers["idempotent-replayed"]) == (approved.content, "true")
    assert api.balance(player) == 5_000 + 700 + 900
    other = ask(api, goodwill(player, 1), key=keys[0])
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
