"""A repeated request is never carried out twice, and gets the first answer, byte for byte."""

from collections.abc import Iterator
from uuid import UUID, uuid4

import pytest

from ledger.settings import Settings
from tests.servers.api_server import PARALLEL, Api, at_once, running_api, transaction_body


@pytest.fixture(scope="module")
def api(module_database: Settings) -> Iterator[Api]:
    with running_api(module_database) as api:
        yield api


def test_fifty_equal_deposits_at_once_are_one(api: Api) -> None:
    player, key = uuid4(), str(uuid4())
    body = transaction_body(player, 5_000, metadata={"z": "1", "a": "2"})
    answers = at_once(lambda _: api.post("/v1/deposits", body, key=key))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert sum("idempotent-replayed" not in answer.headers for answer in answers) == 1
    listed = api.get(
        "/v1/transactions",
        params={"player_id": str(player), "min_position": answers[0].json()["position"]},
    )
    assert len(listed.json()["items"]) == 1


def test_fifty_equal_withdrawals_at_once_are_one(api: Api) -> None:
    player, key = uuid4(), str(uuid4())
    api.fund(player, 5_000)
    body = transaction_body(player, 1_000)
    answers = at_once(lambda _: api.post("/v1/withdrawals", body, key=key))
    assert len({answer.content for answer in answers}) == 1
    assert answers[0].json()["balances"]["reserved"]["amount"] == 1_000


def test_of_fifty_withdrawals_of_everything_exactly_one_wins(api: Api) -> None:
    player = uuid4()
    api.fund(player, 5_000)
    answers = at_once(lambda _: api.withdraw(player, 5_000))
    assert {answer.status_code for answer in answers} == {201}
    statuses = [answer.json()["status"] for answer in answers]
    assert sorted(statuses) == ["rejected"] * (PARALLEL - 1) + ["requested"]


def test_fifty_equal_approvals_at_once_are_one(api: Api) -> None:
    waiting = api.review(uuid4(), 300_000)
    path, key = f"/v1/withdrawals/{waiting['id']}/approve", str(uuid4())
    answers = at_once(lambda _: api.post(path, {"note": "fine"}, person="anna", key=key))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert [given["person"] for given in answers[0].json()["approvals"]] == ["anna"]


def test_a_late_repeat_gets_the_first_answer_although_much_has_changed(api: Api) -> None:
    player, key = uuid4(), str(uuid4())
    body = transaction_body(player, 5_000)
    first = api.post("/v1/deposits", body, key=key)
    api.complete(UUID(first.json()["id"]), 5_000)
    api.withdraw(player, 3_000)
    repeat = api.post("/v1/deposits", body, key=key)
    assert repeat.content == first.content
    assert repeat.headers["idempotent-replayed"] == "true"
    assert repeat.headers["etag"] == first.headers["etag"]


def test_a_refused_withdrawal_stays_refused_when_repeated(api: Api) -> None:
    player, key = uuid4(), str(uuid4())
    api.fund(player, 1_000)
    body = transaction_body(player, 4_000)
    first = api.post("/v1/withdrawals", body, key=key)
    api.fund(player, 10_000)
    assert first.json()["status"] == "rejected"
    assert api.post("/v1/withdrawals", body, key=key).content == first.content


def test_a_decision_is_repeated_after_the_next_one(api: Api) -> None:
    path = f"/v1/withdrawals/{api.review(uuid4())['id']}"
    key = str(uuid4())
    first = api.post(f"{path}/hold", {"note": "wait"}, person="anna", key=key)
    api.post(f"{path}/release", {"note": "go on"}, person="anna")
    repeat = api.post(f"{path}/hold", {"note": "wait"}, person="anna", key=key)
    assert (repeat.status_code, repeat.content) == (200, first.content)


def test_a_repeat_is_not_taken_for_what_the_same_key_did_to_another_refund(api: Api) -> None:
    deposit_id, key, note = api.fund(uuid4())["id"], str(uuid4()), {"note": "no"}
    body = {"deposit_id": deposit_id, "amount": {"amount": 1_000, "currency": "EUR"}, "reason": "x"}
    asked = [api.post("/v1/refunds", body, person="anna").json()["id"] for _ in range(2)]
    paths = [f"/v1/refunds/{refund_id}/reject" for refund_id in asked]
    answers = [api.post(path, note, person="fina", key=key).json() for path in paths]
    assert [api.post(path, note, person="fina", key=key).json() for path in paths] == answers


def test_a_resolution_that_makes_an_instrument_known_is_repeated(api: Api) -> None:
    """What it appends ends on the player's stream, not on the deposit's."""
    player, key = uuid4(), str(uuid4())
    deposit = api.deposit(player, 5_000, instrument="tok_new").json()
    api.complete(UUID(deposit["id"]), 4_999)
    path = f"/v1/deposits/{deposit['id']}/resolve"
    decision = {"target": "completed", "note": "the settlement file lists it"}
    api.post(path, decision, person="anna").raise_for_status()
    first = api.post(path, decision, person="ben", key=key)
    assert first.json()["status"] == "completed"
    assert api.post(path, decision, person="ben", key=key).content == first.content


def test_an_exclusion_is_repeated_after_it_ended(api: Api) -> None:
    player, key = uuid4(), str(uuid4())
    api.deposit(player)
    path, body = f"/v1/players/{player}/exclusion", {"reason": "asked for it"}
    first = api.post(path, body, key=key)
    api.client.delete(path, headers=api.headers())
    repeat = api.post(path, body, key=key)
    assert (repeat.status_code, repeat.content) == (200, first.content)
    assert api.get(f"/v1/players/{player}").json()["excluded"] is False


@pytest.mark.parametrize("change", [{"amount": {"amount": 1, "currency": "EUR"}}, {"metadata": {}}])
def test_the_same_key_with_another_body_is_refused(api: Api, change: dict[str, object]) -> None:
    player, key = uuid4(), str(uuid4())
    body = transaction_body(player, 5_000)
    api.post("/v1/deposits", body, key=key)
    other = api.post("/v1/deposits", body | change, key=key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


def test_the_same_key_of_another_client_is_another_key(api: Api) -> None:
    key, body = str(uuid4()), transaction_body(uuid4(), 5_000)
    ids = {
        api.post("/v1/deposits", body, key=key, person=person).json()["id"]
        for person in ("platform", "anna")
    }
    assert len(ids) == 2


def test_the_order_of_fields_does_not_make_it_another_request(api: Api) -> None:
    key, body = str(uuid4()), transaction_body(uuid4(), 5_000, metadata={"a": "1", "b": "2"})
    first = api.post("/v1/deposits", body, key=key)
    turned = dict(reversed(list(body.items()))) | {"metadata": {"b": "2", "a": "1"}}
    assert api.post("/v1/deposits", turned, key=key).content == first.content


def test_a_decision_rests_on_the_version_it_names(api: Api) -> None:
    waiting = api.review(uuid4())
    path = f"/v1/withdrawals/{waiting['id']}/hold"
    etag = api.get(f"/v1/transactions/{waiting['id']}").headers["etag"]
    stale = api.post(path, {"note": ""}, headers={"if-match": '"1"'})
    assert (stale.status_code, stale.json()["code"]) == (412, "version_changed")
    held = api.post(path, {"note": ""}, headers={"if-match": etag})
    assert held.status_code == 200
    assert held.headers["etag"] != etag


def test_a_repeat_with_its_old_etag_is_still_a_repeat(api: Api) -> None:
    waiting = api.review(uuid4())
    path, key = f"/v1/withdrawals/{waiting['id']}/hold", str(uuid4())
    headers = {"if-match": f'"{waiting["version"]}"'}
    first = api.post(path, {"note": ""}, key=key, headers=headers)
    assert api.post(path, {"note": ""}, key=key, headers=headers).content == first.content


@pytest.mark.parametrize("header", ["3", '""', '"x"', 'W/"3"', '"1", "2"', '"-1"', '"3'])
def test_an_if_match_that_is_none_of_ours_is_malformed(api: Api, header: str) -> None:
    path = f"/v1/withdrawals/{uuid4()}/hold"
    answer = api.post(path, {"note": ""}, headers={"if-match": header})
    assert (answer.status_code, answer.json()["code"]) == (400, "if_match_malformed")
