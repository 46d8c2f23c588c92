"""Batches: each command as if it were sent alone, or all of them as one."""

import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest

from api.payments.batch_requests import OPERATIONS
from ledger.settings import Settings
from tests.servers.api_server import Api, at_once, running_api, said, transaction_body

Command = dict[str, object]


@pytest.fixture(scope="module")
def api(module_database: Settings) -> Iterator[Api]:
    with running_api(module_database) as api:
        yield api


def command(operation: str, body: object, key: str | None = None) -> Command:
    return {"operation": operation, "idempotency_key": key or str(uuid4()), "body": body}


def deposit(player: UUID, amount: int = 5_000, key: str | None = None) -> Command:
    return command("create-deposit", transaction_body(player, amount), key)


def withdrawal(player: UUID, amount: int = 1_000, key: str | None = None) -> Command:
    return command("request-withdrawal", transaction_body(player, amount), key)


def wager(player: UUID, amount: int = 100, key: str | None = None) -> Command:
    money = {"amount": amount, "currency": "EUR"}
    return command("record-wager", {"player_id": str(player), "amount": money}, key)


def send(
    api: Api, *commands: Command, atomic: bool = False, person: str = "platform"
) -> httpx2.Response:
    body = {"atomic": atomic, "commands": list(commands)}
    headers = {"authorization": f"Bearer {api.keys[person]}"}
    return api.client.post("/v1/batches", json=body, headers=headers)


def results(answer: httpx2.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["results"]
    return found


def codes(answer: httpx2.Response) -> list[tuple[int, str | None]]:
    return [(result["status"], result["body"].get("code")) for result in results(answer)]


def events(api: Api) -> int:
    """How many events there are."""
    return int(api.get("/v1/events", params={"limit": "1"}).json()["head"])


# --- each for itself ----------------------------------------------------------------------------


def test_each_command_has_its_own_result_in_order(api: Api) -> None:
    player = uuid4()
    api.fund(player, 5_000)
    answer = send(api, withdrawal(player), deposit(player), wager(player))
    assert codes(answer) == [(201, None)] * 3
    requested, created, wagered = (result["body"] for result in results(answer))
    assert (requested["kind"], requested["status"]) == ("withdrawal", "requested")
    assert (created["kind"], created["status"]) == ("deposit", "created")
    assert wagered["amount"] == {"amount": 100, "currency": "EUR"}
    assert requested["position"] < created["position"] < wagered["position"]
    assert api.balance(player, "reserved") == 1_000


@pytest.mark.parametrize("make", [deposit, withdrawal, wager])
def test_a_command_answers_in_a_batch_as_it_does_alone(api: Api, make: Any) -> None:
    player, key = uuid4(), str(uuid4())
    api.fund(player, 5_000)
    in_batch = make(player, key=key)
    (result,) = results(send(api, in_batch))
    paths = {
        "create-deposit": "/v1/deposits",
        "request-withdrawal": "/v1/withdrawals",
        "record-wager": f"/v1/players/{player}/wagers",
    }
    body = {k: v for k, v in in_batch["body"].items() if make is not wager or k != "player_id"}
    alone = api.post(paths[in_batch["operation"]], body, key=key)
    assert alone.headers["idempotent-replayed"] == "true"
    assert (result["status"], result["body"]) == (alone.status_code, alone.json())


def test_one_that_fails_does_not_disturb_the_others(api: Api) -> None:
    player = uuid4()
    api.fund(player, 1_000)
    invalid = transaction_body(player, 0)
    answer = send(
        api,
        deposit(player),
        command("create-deposit", invalid),
        command("no-such-operation", {}),
        command("cancel-deposit", {"id": str(uuid4())}),
        withdrawal(player, 2_000),
        withdrawal(uuid4()),
        wager(player),
    )
    assert codes(answer) == [
        (201, None),
        (422, "request_invalid"),
        (422, "request_invalid"),
        (404, "transaction_not_found"),
        (201, None),
        (404, "player_not_found"),
        (201, None),
    ]
    assert results(answer)[4]["body"]["reason"] == "insufficient_funds"


def test_a_field_is_named_with_its_command(api: Api) -> None:
    body = transaction_body(uuid4(), 1, currency="XXX") | {"nonsense": 1}
    (_, bad, unknown) = results(
        send(api, wager(uuid4()), command("create-deposit", body), command("x", {}))
    )
    locations = [error["location"] for error in bad["body"]["errors"]]
    assert locations == ["commands[1].body.amount.currency", "commands[1].body.nonsense"]
    assert unknown["body"]["errors"][0]["location"] == "commands[2].operation"


def test_a_card_number_is_accepted_nowhere(api: Api) -> None:
    card = "4111 1111 1111 1111"
    body = transaction_body(uuid4(), 100, instrument=card)
    found = send(api, command("create-deposit", body))
    assert codes(found) == [(422, "request_invalid")]
    assert "4111" not in said(found)
    in_key = send(api, deposit(uuid4(), key=card))
    assert in_key.status_code == 422
    assert "4111" not in said(in_key)


def test_a_repeated_batch_gets_the_first_answers(api: Api) -> None:
    player = uuid4()
    api.fund(player, 5_000)
    commands = [deposit(player), withdrawal(player), wager(player), withdrawal(player, 50_000)]
    first = send(api, *commands)
    repeat = send(api, *commands)
    assert repeat.content == first.content
    assert repeat.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    assert api.balance(player, "reserved") == 1_000


@pytest.mark.parametrize("atomic", [False, True])
def test_a_large_batch_can_be_repeated(api: Api, atomic: bool) -> None:
    player = uuid4()
    api.fund(player, 50_000)
    pairs = [(deposit(player), withdrawal(player, 10)) for _ in range(250)]
    commands = [command for pair in pairs for command in pair]
    first = send(api, *commands, atomic=atomic)
    repeat = api.client.post(  # by a client that gives up after ten seconds
        "/v1/batches",
        json={"atomic": atomic, "commands": commands},
        headers={"authorization": f"Bearer {api.keys['platform']}"},
        timeout=10.0,
    )
    assert codes(first) == [(201, None)] * 500
    assert repeat.content == first.content
    assert repeat.headers["idempotent-replayed"] == "true"


def test_equal_batches_at_once_are_one(api: Api) -> None:
    player = uuid4()
    api.fund(player, 50_000)
    commands = [make(player) for _ in range(5) for make in (deposit, withdrawal, wager)]
    answers = at_once(lambda _: send(api, *commands), 8)
    assert {answer.content for answer in answers} == {answers[0].content}
    assert api.balance(player, "reserved") == 5_000


def test_a_key_twice_in_a_batch_is_one_command(api: Api) -> None:
    player, key = uuid4(), str(uuid4())
    first, same, other = results(
        send(api, deposit(player, key=key), deposit(player, key=key), deposit(player, 1, key=key))
    )
    assert same == first
    assert (other["status"], other["body"]["code"]) == (422, "idempotency_key_reused")


def test_the_same_command_a_thousand_times_is_one(api: Api) -> None:
    same = deposit(uuid4())
    found = results(send(api, *([same] * 1_000)))
    assert all(result == found[0] for result in found)


def test_the_same_mistake_twice_is_told_twice(api: Api) -> None:
    mistake = deposit(uuid4(), 0)
    found = results(send(api, mistake, mistake))
    locations = [result["body"]["errors"][0]["location"] for result in found]
    assert locations == [f"commands[{index}].body.amount.amount" for index in (0, 1)]


def test_a_hundred_deposits_of_somebody_new_register_them_once(api: Api) -> None:
    player = uuid4()
    answer = send(api, *(deposit(player, 10 + n) for n in range(100)))
    assert codes(answer) == [(201, None)] * 100
    listed = api.get(f"/v1/players/{player}").json()
    assert listed["version"] == 1


def test_of_withdrawals_in_a_batch_no_more_are_reserved_than_there_is(api: Api) -> None:
    player = uuid4()
    api.fund(player, 2_500)
    found = results(send(api, *(withdrawal(player, 1_000) for _ in range(4))))
    statuses = [result["body"]["status"] for result in found]
    assert statuses == ["requested", "requested", "rejected", "rejected"]
    assert api.balance(player) == 500


def test_decisions_about_one_withdrawal_follow_each_other(api: Api) -> None:
    about = {"id": api.review(uuid4())["id"], "note": "checked"}
    answer = send(
        api,
        command("hold-withdrawal", about),
        command("release-withdrawal", about),
        command("hold-withdrawal", about),
        command("reject-withdrawal", about),
        command("release-withdrawal", about),
        person="cleo",
    )
    assert codes(answer) == [(200, None)] * 4 + [(409, "invalid_transition")]
    versions = [result["body"]["version"] for result in results(answer)[:4]]
    assert versions == sorted(set(versions))


def test_a_thousand_commands_fit(api: Api) -> None:
    player = uuid4()
    api.deposit(player)
    answer = send(api, *(wager(player, 1 + n) for n in range(1_000)))
    assert codes(answer) == [(201, None)] * 1_000


@pytest.mark.parametrize("count", [0, 1_001])
def test_a_batch_holds_one_to_a_thousand_commands(api: Api, count: int) -> None:
    answer = send(api, *([command("x", {})] * count))
    assert (answer.status_code, answer.json()["code"]) == (422, "request_invalid")


@pytest.mark.parametrize("field", ["operation", "idempotency_key", "body"])
def test_a_command_that_is_none_refuses_the_call(api: Api, field: str) -> None:
    broken = {name: value for name, value in deposit(uuid4()).items() if name != field}
    before = events(api)
    answer = send(api, deposit(uuid4()), broken)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["location"] == f"body.commands.1.{field}"
    assert events(api) == before


# --- all or none --------------------------------------------------------------------------------


def test_an_atomic_batch_is_one_append(api: Api) -> None:
    player = uuid4()
    answer = send(api, *(deposit(player, 10 + n) for n in range(5)), wager(player), atomic=True)
    bodies = [result["body"] for result in results(answer)]
    positions = [body["position"] for body in bodies]
    assert positions == list(range(positions[0], positions[0] + 6))
    assert {body["receipt"]["size"] for body in bodies} == {positions[-1]}
    assert api.get(f"/v1/players/{player}").json()["version"] == 1


def test_withdrawals_of_one_balance_follow_each_other(api: Api) -> None:
    player = uuid4()
    api.fund(player, 5_000)
    found = results(send(api, withdrawal(player, 2_000), withdrawal(player, 3_000), atomic=True))
    left = [result["body"]["balances"]["available"]["amount"] for result in found]
    assert left == [3_000, 0]


def test_without_enough_for_all_nothing_is_recorded(api: Api) -> None:
    player = uuid4()
    api.fund(player, 5_000)
    before = events(api)
    answer = send(
        api, withdrawal(player, 3_000), deposit(player), withdrawal(player, 3_000), atomic=True
    )
    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["index"]) == (409, "batch_refused", 2)
    assert problem["error"]["code"] == "insufficient_funds"
    assert events(api) == before
    assert api.balance(player, "reserved") == 0


def test_a_limit_refuses_an_atomic_batch(api: Api) -> None:
    player = uuid4()
    api.verified(player)
    limit = {"currency": "EUR", "limit": 1_000}
    path = f"/v1/players/{player}/limits/day"
    api.client.put(path, json=limit, headers=api.headers()).raise_for_status()
    before = events(api)
    answer = send(api, *(deposit(player, 400) for _ in range(3)), atomic=True)
    assert (answer.status_code, answer.json()["index"]) == (409, 2)
    assert answer.json()["error"]["code"] == "limit_exceeded"
    assert events(api) == before
    assert len(results(send(api, deposit(player, 400), deposit(player, 600), atomic=True))) == 2


def test_a_business_refusal_refuses_an_atomic_batch(api: Api) -> None:
    player = uuid4()
    api.deposit(player)
    reason = {"reason": "asked for it"}
    api.post(f"/v1/players/{player}/exclusion", reason).raise_for_status()
    before = events(api)
    answer = send(api, wager(player), deposit(player), atomic=True)
    assert (answer.status_code, answer.json()["index"]) == (409, 1)
    assert answer.json()["error"]["code"] == "not_carried_out"
    assert "player_excluded" in answer.json()["error"]["detail"]
    assert events(api) == before


def test_every_invalid_field_of_an_atomic_batch_is_told_at_once(api: Api) -> None:
    before = events(api)
    answer = send(
        api,
        deposit(uuid4(), 0),
        deposit(uuid4()),
        command("no-such-operation", {}),
        atomic=True,
    )
    assert (answer.status_code, answer.json()["code"]) == (422, "request_invalid")
    locations = [error["location"] for error in answer.json()["errors"]]
    assert locations == ["commands[0].body.amount.amount", "commands[2].operation"]
    assert events(api) == before


def test_a_repeated_atomic_batch_gets_the_first_answers(api: Api) -> None:
    player = uuid4()
    api.fund(player, 5_000)
    commands = [deposit(player), withdrawal(player), withdrawal(player), wager(player)]
    first = send(api, *commands, atomic=True)
    api.withdraw(player, 500)
    repeat = send(api, *commands, atomic=True)
    assert results(first)
    assert repeat.content == first.content
    assert repeat.headers["idempotent-replayed"] == "true"


def test_a_repeated_atomic_batch_of_refunds_gets_the_first_answers(api: Api) -> None:
    body = {
        "deposit_id": api.fund(uuid4())["id"],
        "amount": {"amount": 1_000, "currency": "EUR"},
        "reason": "Paid twice.",
    }
    commands = [command("request-refund", body) for _ in range(3)]
    first = send(api, *commands, atomic=True)
    assert [r["body"]["status"] for r in results(first)] == ["pending_approval"] * 3
    assert send(api, *commands, atomic=True).content == first.content
    too_much = [command("request-refund", body) for _ in range(3)]
    refused = send(api, *too_much, atomic=True)
    assert (refused.status_code, refused.json()["index"]) == (409, 2)
    assert refused.json()["error"]["code"] == "refund_exceeds_capture"


def test_equal_atomic_batches_at_once_are_one(api: Api) -> None:
    player = uuid4()
    api.fund(player, 50_000)
    commands = [make(player) for _ in range(3) for make in (deposit, withdrawal, wager)]
    answers = at_once(lambda _: send(api, *commands, atomic=True), 8)
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.content for answer in answers} == {answers[0].content}
    assert api.balance(player, "reserved") == 3_000


def test_a_command_carried_out_alone_cannot_be_part_of_an_atomic_batch(api: Api) -> None:
    player, key = uuid4(), str(uuid4())
    api.post("/v1/deposits", transaction_body(player, 5_000), key=key)
    before = events(api)
    answer = send(api, wager(player), deposit(player, key=key), deposit(player), atomic=True)
    assert (answer.status_code, answer.json()["index"]) == (409, 1)
    assert answer.json()["error"]["code"] == "already_carried_out"
    assert events(api) == before


def test_a_key_twice_refuses_an_atomic_batch(api: Api) -> None:
    player, key = uuid4(), str(uuid4())
    before = events(api)
    same = send(api, deposit(player, key=key), deposit(player, key=key), atomic=True)
    assert (same.json()["index"], same.json()["error"]["code"]) == (1, "already_carried_out")
    other = send(api, deposit(player, key=key), deposit(player, 1, key=key), atomic=True)
    assert (other.json()["index"], other.json()["error"]["code"]) == (1, "idempotency_key_reused")
    assert events(api) == before


def test_decisions_in_an_atomic_batch_follow_each_other(api: Api) -> None:
    about = {"id": api.review(uuid4())["id"], "note": "checked"}
    hold, release = command("hold-withdrawal", about), command("release-withdrawal", about)
    before = events(api)
    again = release | {"idempotency_key": "again"}
    refused = send(api, hold, release, again, atomic=True, person="cleo")
    assert (refused.status_code, refused.json()["index"]) == (409, 2)
    assert refused.json()["error"]["code"] == "invalid_transition"
    assert events(api) == before
    done = send(api, hold, release, atomic=True, person="cleo")
    assert [result["body"]["status"] for result in results(done)] == ["held", "under_review"]


def test_a_thousand_decisions_about_one_withdrawal_fit_in_an_atomic_batch(api: Api) -> None:
    about = {"id": api.review(uuid4())["id"], "ruleset": "rules-1"}
    scores = [command("score-withdrawal", {**about, "score": 1 + n % 100}) for n in range(1_000)]
    found = results(send(api, *scores, atomic=True))
    versions = [result["body"]["version"] for result in found]
    assert versions == list(range(versions[0], versions[0] + 1_000))


def test_atomic_batches_of_the_same_players_at_once_all_succeed(api: Api) -> None:
    players = [uuid4() for _ in range(3)]
    for player in players:
        api.fund(player, 10_000)

    def batch(_: int) -> httpx2.Response:
        return send(api, *(withdrawal(player, 1_000) for player in players), atomic=True)

    answers = at_once(batch, 12)
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [200] * 10 + [409] * 2
    refused = [answer.json() for answer in answers if answer.status_code == 409]
    assert {problem["error"]["code"] for problem in refused} == {"insufficient_funds"}
    assert [api.balance(player, "reserved") for player in players] == [10_000] * 3


def test_nobody_without_a_key_sends_a_batch(api: Api) -> None:
    answer = api.client.post("/v1/batches", content=json.dumps({"commands": []}))
    assert answer.status_code == 401


# --- every operation ----------------------------------------------------------------------------

_OTHER_DECISIONS: dict[str, dict[str, object]] = {
    "cancel-deposit": {},
    "accept-conversion": {},
    "cancel-refund": {},
    "cancel-withdrawal": {"by_player": False},
    "score-withdrawal": {"score": 12, "ruleset": "payouts-12"},
}
_NOTED_DECISIONS: dict[str, dict[str, object]] = {
    f"{verb}-{kind}": {"note": "checked"}
    for verb, kind in (
        ("approve", "withdrawal"),
        ("reject", "withdrawal"),
        ("hold", "withdrawal"),
        ("release", "withdrawal"),
        ("approve", "refund"),
        ("reject", "refund"),
        ("approve", "adjustment"),
        ("reject", "adjustment"),
    )
}
_DECISIONS = _OTHER_DECISIONS | _NOTED_DECISIONS
_BEGINNINGS = {
    "create-deposit",
    "request-withdrawal",
    "request-refund",
    "request-adjustment",
    "record-wager",
}


def test_there_is_a_test_of_every_operation() -> None:
    assert _DECISIONS.keys() | _BEGINNINGS == OPERATIONS.keys()


@pytest.mark.parametrize("operation", sorted(_DECISIONS))
@pytest.mark.parametrize("atomic", [False, True])
def test_a_decision_about_nothing_is_refused(api: Api, operation: str, atomic: bool) -> None:
    body = {"id": str(uuid4())} | _DECISIONS[operation]
    answer = send(api, command(operation, body), atomic=atomic)
    if atomic:
        assert (answer.status_code, answer.json()["index"]) == (409, 0)
        assert answer.json()["error"]["code"] == "transaction_not_found"
    else:
        assert codes(answer) == [(404, "transaction_not_found")]


@pytest.mark.parametrize("operation", sorted(_DECISIONS))
def test_a_decision_in_a_batch_is_the_decision_alone(api: Api, operation: str) -> None:
    """The same key, alone afterwards, is a repeat: it is the same command with the same request."""
    verb, _, kind = operation.partition("-")
    of_compliance = kind == "adjustment" or verb in ("release", "score")
    about, by = _undecided(api, verb, kind), "cleo" if of_compliance else "anna"
    key, fields = str(uuid4()), _DECISIONS[operation]
    body = {"id": about} | fields
    (result,) = results(send(api, command(operation, body, key), person=by))
    assert result["status"] == 200, result
    path = f"/v1/{kind}s/{about}/{'scores' if verb == 'score' else verb}"
    alone = api.post(path, fields or None, person=by, key=key)
    assert alone.headers["idempotent-replayed"] == "true"
    assert alone.json()["version"] == result["body"]["version"]
    assert alone.json()["status"] == result["body"]["status"]


def _undecided(api: Api, verb: str, kind: str) -> str:
    """The id of a transaction that can be decided so."""
    player = uuid4()
    match kind:
        case "deposit":
            return str(api.deposit(player).json()["id"])
        case "withdrawal":
            about = str(api.review(player)["id"])
            if verb == "release":
                api.post(f"/v1/withdrawals/{about}/hold", {"note": ""}).raise_for_status()
            return about
        case "refund":
            body = {"deposit_id": api.fund(player)["id"], "reason": "Paid twice."}
            (requested,) = results(send(api, command("request-refund", body), person="fina"))
            return str(requested["body"]["id"])
        case "conversion":
            api.fund(player)
            api.publish_rates("EUR", USD="1.0843")
            source = {"amount": 1_000, "currency": "EUR"}
            quote = {"player_id": str(player), "source": source, "target_currency": "USD"}
            return str(api.post("/v1/conversions/quotes", quote).json()["id"])
        case _:
            api.deposit(player)
            moved = {
                "source": "house:adjustments:EUR",
                "target": f"player:{player}:available:EUR",
                "amount": {"amount": 100, "currency": "EUR"},
            }
            body = {
                "player_id": str(player),
                "moves": [moved],
                "reason": "goodwill",
                "grounds": "Ticket 4711.",
            }
            (requested,) = results(send(api, command("request-adjustment", body)))
            return str(requested["body"]["id"])
