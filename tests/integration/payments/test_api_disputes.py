"""Disputes over HTTP: what the bank contests, what we answer, and what becomes of the money."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest

from domain.events.evidence import Outcome
from ledger.settings import Settings
from tests.servers.api_server import Api, dispute_notice_body, running_api


@pytest.fixture(scope="module")
def api(module_database: Settings) -> Iterator[Api]:
    with running_api(module_database) as api:
        yield api


def account(api: Api, name: str) -> int:
    answer = api.get(f"/v1/accounts/{name}")
    return int(answer.json()["balance"]["amount"]) if answer.status_code == 200 else 0


def test_a_dispute_is_contested_and_won(api: Api) -> None:
    deposit = api.fund(uuid4(), 5_000)
    before = account(api, "house:chargebacks:EUR")
    dispute_id = api.dispute(deposit, "evidence_due")
    shown = api.get(f"/v1/disputes/{dispute_id}")
    found = shown.json()
    assert (found["kind"], found["status"], found["stage"]) == (
        "dispute",
        "evidence_due",
        "chargeback",
    )
    assert (found["deposit_id"], found["reason"]) == (deposit["id"], "10.4")
    assert found["evidence_due_at"].endswith("Z")
    assert found == api.transaction(dispute_id)
    assert shown.headers["etag"] == f'"{found["version"]}"'

    api.dispute(deposit, "funds_withdrawn")
    assert api.transaction(dispute_id)["funds_withdrawn"] is True
    assert account(api, "house:chargebacks:EUR") == before - 5_000

    evidence = {"note": "delivered on 3 May", "documents": ["doc_81", "doc_82"]}
    answered = api.post(f"/v1/disputes/{dispute_id}/evidence", evidence, person="anna")
    assert answered.status_code == 200
    assert answered.json()["status"] == "submitted"
    assert answered.json()["answer_note"] == "delivered on 3 May"
    assert answered.json()["documents"] == ["doc_81", "doc_82"]
    assert "balances" not in answered.json()

    pending = api.dispatch.dispute_answer(UUID(dispute_id))
    assert pending is not None
    api.dispatch.dispute_answered(UUID(dispute_id), pending, Outcome.ACCEPTED)
    assert api.transaction(dispute_id)["acknowledged"] is True
    api.dispute(deposit, "won")
    api.dispute(deposit, "funds_reinstated")
    ended = api.transaction(dispute_id)
    assert (ended["status"], ended["screen_status"]) == ("won", "Won")
    assert ended["funds_withdrawn"] is False
    assert account(api, "house:chargebacks:EUR") == before
    claims = api.transaction(deposit["id"])["disputes"]
    assert [(claim["id"], claim["standing"]) for claim in claims] == [(dispute_id, "released")]


def test_a_dispute_is_accepted_with_a_reason(api: Api) -> None:
    deposit = api.fund(uuid4(), 5_000)
    dispute_id = api.dispute(deposit)
    path = f"/v1/disputes/{dispute_id}/accept"
    empty = api.post(path, {"note": ""}, person="anna")
    assert (empty.status_code, empty.json()["code"]) == (422, "request_invalid")
    blank = api.post(path, {"note": " "}, person="anna")
    assert (blank.status_code, blank.json()["code"]) == (422, "evidence_missing")
    accepted = api.post(path, {"note": "the player is right"}, person="anna").json()
    assert (accepted["status"], accepted["screen_status"]) == ("accepted", "Accepted")
    assert api.transaction(deposit["id"])["refundable"]["amount"] == 0
    late = api.post(f"/v1/disputes/{dispute_id}/evidence", {"note": "but"}, person="anna")
    assert (late.status_code, late.json()["code"]) == (409, "invalid_transition")


def test_contesting_takes_a_note_or_a_document(api: Api) -> None:
    path = f"/v1/disputes/{api.dispute(api.fund(uuid4(), 5_000))}/evidence"
    nothing = api.post(path, {"note": "", "documents": []}, person="anna")
    assert (nothing.status_code, nothing.json()["code"]) == (422, "evidence_missing")
    assert api.post(path, {"documents": ["doc_1"]}, person="anna").status_code == 200


def test_answers_repeat_their_first_answer(api: Api) -> None:
    deposit = api.fund(uuid4(), 5_000)
    contested, key = f"/v1/disputes/{api.dispute(deposit)}/evidence", str(uuid4())
    first = api.post(contested, {"note": "delivered"}, person="anna", key=key)
    api.dispute(deposit, "lost")
    repeat = api.post(contested, {"note": "delivered"}, person="anna", key=key)
    assert (repeat.status_code, repeat.content) == (200, first.content)
    assert repeat.headers["idempotent-replayed"] == "true"

    accepted, key = f"/v1/disputes/{api.dispute(api.fund(uuid4(), 5_000))}/accept", str(uuid4())
    first = api.post(accepted, {"note": "right"}, person="anna", key=key)
    repeat = api.post(accepted, {"note": "right"}, person="anna", key=key)
    assert repeat.content == first.content
    other = api.post(accepted, {"note": "other"}, person="anna", key=key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


def test_an_answer_rests_on_the_version_it_names(api: Api) -> None:
    dispute_id = api.dispute(api.fund(uuid4(), 5_000))
    stale = api.post(
        f"/v1/disputes/{dispute_id}/accept",
        {"note": "right"},
        person="anna",
        headers={"if-match": '"99"'},
    )
    assert (stale.status_code, stale.json()["code"]) == (412, "version_changed")


def test_disputes_are_listed_and_narrowed_down(api: Api) -> None:
    player = uuid4()
    first, second = api.fund(player, 5_000), api.fund(player, 6_000)
    opened, lost = api.dispute(first), api.dispute(second, stage="inquiry")
    api.dispute(second, "lost", stage="inquiry")
    end = api.get("/v1/events").json()["head"]

    def listed(**params: Any) -> list[str]:
        wanted = {"player_id": str(player), "min_position": end, **params}
        answer = api.get("/v1/disputes", params=wanted)
        answer.raise_for_status()
        return [item["id"] for item in answer.json()["items"]]

    assert listed() == [lost, opened]
    assert listed(status="lost") == [lost]
    assert listed(status=["lost", "opened"]) == [lost, opened]
    assert listed(stage="chargeback") == [opened]
    assert listed(deposit_id=second["id"]) == [lost]
    assert listed(provider="nobody") == []
    both = api.get("/v1/disputes", params={"player_id": str(player), "limit": 1})
    assert both.json()["items"][0] == api.transaction(lost)
    following = api.get(both.links["next"]["url"]).json()
    assert [item["id"] for item in following["items"]] == [opened]


@pytest.mark.parametrize("query", ["status=paid", "stage=first", "kind=deposit", "limit=0"])
def test_filters_of_disputes_are_an_allow_list(api: Api, query: str) -> None:
    answer = api.get(f"/v1/disputes?{query}")
    assert (answer.status_code, answer.json()["code"]) == (422, "request_invalid")


def test_what_is_no_dispute_is_not_found_among_them(api: Api) -> None:
    deposit = api.deposit(uuid4()).json()["id"]
    for answer in (
        api.get(f"/v1/disputes/{deposit}"),
        api.post(f"/v1/disputes/{deposit}/accept", {"note": "right"}),
        api.post(f"/v1/disputes/{uuid4()}/evidence", {"note": "right"}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "transaction_not_found")


def test_news_of_a_dispute_is_told_once_however_often_it_is_sent(api: Api) -> None:
    deposit = api.fund(uuid4(), 5_000)
    body = dispute_notice_body(deposit, "opened")
    codes = [api.notify(body, message_id="msg_dispute_once").status_code for _ in range(2)]
    api.act_on_notices()
    assert codes == [204, 200]
    claims = api.transaction(deposit["id"])["disputes"]
    assert [claim["amount"]["amount"] for claim in claims] == [5_000]


def test_a_notice_of_a_dispute_keeps_no_card_number(api: Api) -> None:
    card = "4111111111111111"
    deposit = api.fund(uuid4(), 5_000)
    answer = api.notify(dispute_notice_body(deposit, "opened", reason_code=card))
    assert answer.status_code == 204
    head = api.get("/v1/events").json()["head"]
    last = api.get("/v1/events", params={"after": head - 1}).json()["items"][0]
    assert last["type"] == "DisputeNoticeReceived"
    assert card not in str(last)
