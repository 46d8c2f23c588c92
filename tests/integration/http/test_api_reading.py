"""Queries: pages, filters, the past, and the log as a feed."""

import json
from collections.abc import Iterator
from itertools import islice
from typing import Any
from uuid import UUID, uuid4

import pytest

from ledger.settings import Settings
from tests.servers.api_server import Api, running_api

DEPOSITS = 25


@pytest.fixture(scope="module")
def api(module_database: Settings) -> Iterator[Api]:
    with running_api(module_database) as api:
        yield api


@pytest.fixture(scope="module")
def player(api: Api) -> UUID:
    """A player with some history."""
    player = uuid4()
    for number in range(DEPOSITS):
        order = {"order": f"A-{number}"}
        last = api.deposit(player, 100 + number, metadata=order, instrument=f"tok_{number % 5}")
    settled(api, last.json()["position"])
    return player


def settled(api: Api, position: int) -> None:
    """Wait until what follows from a position can be read."""
    api.get("/v1/transactions", params={"min_position": position}).raise_for_status()
    api.get("/v1/queue", params={"min_position": position}).raise_for_status()


def walk(api: Api, path: str, **params: Any) -> list[Any]:
    """Every entry that compliance sees, page by page, as the Link headers say."""
    entries: list[Any] = []
    answer = api.get(path, "cleo", params=params)
    while True:
        entries += answer.json()["items"]
        following = answer.links.get("next")
        assert (following is None) is (answer.json()["next_cursor"] is None)
        if following is None:
            return entries
        answer = api.get(following["url"], "cleo")
        answer.raise_for_status()


@pytest.mark.parametrize("limit", [1, 7, 25, 500])
def test_walking_the_pages_gives_everything_once(api: Api, player: UUID, limit: int) -> None:
    found = walk(api, "/v1/transactions", player_id=str(player), limit=limit)
    assert [entry["amount"]["amount"] for entry in found] == [
        100 + number for number in reversed(range(DEPOSITS))
    ]


def test_what_arrives_meanwhile_does_not_disturb_a_walk(api: Api) -> None:
    player = uuid4()
    for _ in range(4):
        last = api.deposit(player).json()
    settled(api, last["position"])
    first = api.get("/v1/transactions", params={"player_id": str(player), "limit": 2})
    settled(api, api.deposit(player).json()["position"])
    second = api.get(first.links["next"]["url"])
    ids = {entry["id"] for answer in (first, second) for entry in answer.json()["items"]}
    assert len(ids) == 4


@pytest.mark.parametrize(
    ("params", "count"),
    [
        ({"amount_min": 110, "amount_max": 114}, 5),
        ({"instrument": "tok_3"}, 5),
        ({"metadata": "order:A-7"}, 1),
        ({"metadata": ["order:A-7", "other:x"]}, 0),
        ({"status": ["created", "completed"]}, DEPOSITS),
        ({"status": "paid"}, 0),
        ({"kind": "withdrawal"}, 0),
        ({"kind": ["deposit", "refund"]}, DEPOSITS),
        ({"reason": "limit_exceeded"}, 0),
        ({"provider": "simulator", "currency": "EUR"}, DEPOSITS),
        ({"created_to": "2001-01-01T00:00:00Z"}, 0),
        ({"created_from": "2001-01-01T00:00:00+02:00"}, DEPOSITS),
    ],
)
def test_filters_narrow_down(api: Api, player: UUID, params: dict[str, Any], count: int) -> None:
    assert len(walk(api, "/v1/transactions", player_id=str(player), **params)) == count


def test_a_list_shows_what_the_write_answered(api: Api) -> None:
    created = api.deposit(uuid4()).json()
    listed = api.get(
        "/v1/transactions",
        params={"player_id": created["player_id"], "min_position": created["position"]},
    ).json()["items"][0]
    assert listed == {name: created[name] for name in listed}


def test_what_hangs_together_is_found_together(api: Api) -> None:
    player = uuid4()
    deposit = api.fund(player, 5_000)
    api.publish_rates("EUR", JPY="171.25")
    refund = api.post("/v1/refunds", {"deposit_id": deposit["id"], "reason": "x"}).json()
    dispute = api.dispute(deposit)
    quote = api.post(
        "/v1/conversions/quotes",
        {
            "player_id": str(player),
            "source": {"amount": 700, "currency": "EUR"},
            "target_currency": "JPY",
        },
    ).json()
    settled(api, api.get("/v1/events").json()["head"])
    related = walk(api, "/v1/transactions", related_id=deposit["id"])
    assert {entry["id"] for entry in related} == {refund["id"], dispute}
    assert [entry["kind"] for entry in related] == ["dispute", "refund"]
    of_player = walk(api, "/v1/transactions", player_id=str(player))
    assert len(of_player) == 4
    for entry in of_player:
        assert entry == api.transaction(entry["id"])
    in_yen = walk(api, "/v1/transactions", player_id=str(player), currency="JPY")
    assert [entry["id"] for entry in in_yen] == [quote["id"]]


def test_a_refusal_is_found_by_its_reason(api: Api) -> None:
    player = uuid4()
    api.fund(player, 1_000)
    refused = api.withdraw(player, 4_000).json()
    settled(api, refused["position"])
    found = walk(api, "/v1/transactions", player_id=str(player), reason="insufficient_funds")
    assert [entry["id"] for entry in found] == [refused["id"]]


def test_the_queue_lists_every_kind_that_waits_for_people(api: Api) -> None:
    deposit = api.fund(uuid4(), 5_000)
    refund = api.post("/v1/refunds", {"deposit_id": deposit["id"], "reason": "twice"}).json()
    dispute = api.dispute(api.fund(uuid4(), 5_000), "evidence_due")
    adjustment = api.post(
        "/v1/adjustments",
        {
            "moves": [
                {
                    "source": "house:fees:EUR",
                    "target": "house:suspense:EUR",
                    "amount": {"amount": 1, "currency": "EUR"},
                }
            ],
            "reason": "correction",
            "grounds": "ticket 4711",
        },
    ).json()
    settled(api, adjustment["position"])
    waiting = {case["transaction_id"]: case for case in walk(api, "/v1/queue")}
    assert waiting[refund["id"]]["status"] == "pending_approval"
    assert waiting[refund["id"]]["missing"] == [["finance"]]
    assert (waiting[dispute]["status"], waiting[dispute]["stage"]) == (
        "evidence_due",
        "chargeback",
    )
    assert waiting[dispute]["due_at"] == api.transaction(dispute)["evidence_due_at"]
    shown = waiting[adjustment["id"]]
    assert (shown["status"], shown["player_id"], shown["provider"]) == ("requested", None, None)
    only = walk(api, "/v1/queue", kind="adjustment", status="requested")
    assert [case["transaction_id"] for case in only] == [adjustment["id"]]


def test_a_position_that_is_not_reached_is_said_to_be_so(api: Api) -> None:
    answer = api.get("/v1/transactions", params={"min_position": 10**9})
    assert (answer.status_code, answer.json()["code"]) == (503, "read_model_behind")
    assert answer.headers["retry-after"] == "1"
    assert 0 < answer.json()["position"] < 10**9


def test_an_account_can_be_asked_about_the_past(api: Api) -> None:
    player = uuid4()
    account = f"/v1/accounts/player:{player}:available:EUR"
    assert api.get(account).json()["code"] == "account_not_found"
    api.fund(player, 5_000)
    before = api.get(account).json()
    reserved = api.withdraw(player, 2_000).json()
    assert before["balance"] == {"amount": 5_000, "currency": "EUR"}
    assert api.get(account).json()["balance"]["amount"] == 3_000
    for as_of, amount in {before["position"]: 5_000, reserved["position"]: 3_000}.items():
        shown = api.get(account, params={"as_of": as_of}).json()
        assert shown["balance"]["amount"] == amount
    none_yet = api.get(account, params={"as_of": before["position"] - 1}).json()
    assert none_yet["code"] == "account_not_found"
    assert f"it began at position {before['position']}" in none_yet["detail"]
    clearing = api.get("/v1/accounts/provider:simulator:clearing:EUR").json()
    assert clearing["balance"]["amount"] <= -5_000


def test_a_journal_adds_up(api: Api) -> None:
    player = uuid4()
    api.fund(player, 5_000)
    api.fund(player, 700)
    last = api.withdraw(player, 2_000).json()
    path = f"/v1/players/{player}/journal"
    api.get(path, params={"min_position": last["position"]}).raise_for_status()
    entries = walk(api, path, limit=1)
    assert len(entries) == 4
    totals: dict[str, int] = {}
    for entry in reversed(entries):
        account = entry["account"]
        totals[account] = totals.get(account, 0) + entry["money"]["amount"]
        assert totals[account] == entry["balance_after"]["amount"]
    shown = api.get(f"/v1/players/{player}/balances").json()["balances"]
    assert totals == {entry["account"]: entry["balance"]["amount"] for entry in shown}


def test_the_queue_lists_what_waits_longest_first(api: Api) -> None:
    waiting = [api.review(uuid4())["id"] for _ in range(3)]
    held = api.post(f"/v1/withdrawals/{waiting[0]}/hold", {"note": "wait"}, person="anna").json()
    settled(api, held["position"])
    listed = walk(api, "/v1/queue", limit=2)
    mine = [case["transaction_id"] for case in listed if case["transaction_id"] in waiting]
    assert sorted(mine) == sorted(waiting)
    assert [case["waiting_since"] for case in listed] == sorted(
        case["waiting_since"] for case in listed
    )
    on_hold = walk(api, "/v1/queue", status="held")
    assert [(case["transaction_id"], case["note"]) for case in on_hold] == [(waiting[0], "wait")]


def test_the_history_of_a_transaction_tells_who_did_what(api: Api) -> None:
    deposit = api.fund(uuid4(), 5_000)
    answer = api.get(f"/v1/transactions/{deposit['id']}/events")
    told = answer.json()
    assert told["transaction"] == deposit
    assert answer.headers["etag"] == f'"{deposit["version"]}"'
    assert [(event["type"], event["actor"]) for event in told["events"]] == [
        ("DepositCreated", "operator:platform"),
        ("TransactionSubmitted", "system:dispatcher"),
        ("DepositCompleted", "provider:simulator"),
    ]
    postings = told["events"][-1]["postings"]
    assert sum(posting["money"]["amount"] for posting in postings) == 0
    assert api.get(f"/v1/transactions/{uuid4()}/events").status_code == 404


# --- the feed -----------------------------------------------------------------------------------


def feed(api: Api, person: str = "platform", **params: Any) -> list[dict[str, Any]]:
    """The log to its end, as this person may see it."""
    events: list[dict[str, Any]] = []
    answer = api.get("/v1/events", person, params=params)
    while True:
        answer.raise_for_status()
        events += answer.json()["items"]
        if "next" not in answer.links:
            assert answer.json()["next_after"] == answer.json()["head"]
            return events
        answer = api.get(answer.links["next"]["url"], person)


def test_the_feed_is_the_log_without_gaps(api: Api, player: UUID) -> None:
    """For compliance; others do not see how fraud is looked for."""
    events = feed(api, "cleo", limit=9)
    assert [event["position"] for event in events] == list(range(1, len(events) + 1))
    assert feed(api, "cleo", after=events[-2]["position"]) == events[-1:]


def test_the_feed_can_be_narrowed_down(api: Api) -> None:
    player = uuid4()
    deposit = api.fund(player, 5_000)
    other = api.deposit(player).json()
    settled(api, other["position"])
    of_deposit = feed(api, transaction_id=deposit["id"])
    assert {event["stream"] for event in of_deposit} == {deposit["id"]}
    of_player = feed(api, player_id=str(player))
    assert {event["stream"] for event in of_player} == {str(player), deposit["id"], other["id"]}
    completed = feed(api, player_id=str(player), topic=["DepositCompleted", "PlayerRegistered"])
    assert [event["type"] for event in completed] == ["PlayerRegistered", "DepositCompleted"]


def test_the_stream_goes_on_where_the_client_left_off(api: Api) -> None:
    player = uuid4()
    deposit = api.fund(player, 5_000)
    params = {"transaction_id": deposit["id"]}
    first = sse(api, params, count=2)
    assert [event["type"] for event in first] == ["DepositCreated", "TransactionSubmitted"]
    rest = sse(api, params, count=1, last_event_id=first[-1]["position"])
    assert [event["type"] for event in rest] == ["DepositCompleted"]


def test_the_stream_tells_what_is_appended_later(api: Api) -> None:
    head = api.get("/v1/events").json()["head"]
    headers = {"authorization": f"Bearer {api.keys['anna']}", "accept": "text/event-stream"}
    with api.client.stream("GET", f"/v1/events?after={head}", headers=headers) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = answer.iter_lines()
        assert next(lines) == ": ping"
        created = api.deposit(uuid4()).json()
        data = list(islice((line for line in lines if line.startswith("data: ")), 2))
    shown = [json.loads(line.removeprefix("data: ")) for line in data]
    assert created["id"] in {event["stream"] for event in shown}


def sse(
    api: Api, params: dict[str, Any], *, count: int, last_event_id: int | None = None
) -> list[dict[str, Any]]:
    """The first events of a stream; comes back where it left off, as a browser does."""
    events: list[dict[str, Any]] = []
    for _ in range(5):
        left_off = events[-1]["position"] if events else last_event_id
        events += _sse_once(api, params, count - len(events), left_off)
        if len(events) == count:
            break
    return events


def _sse_once(
    api: Api, params: dict[str, Any], count: int, last_event_id: int | None
) -> list[dict[str, Any]]:
    """Up to `count` events, until the server ends the stream; each id is the event's position."""
    headers = {"authorization": f"Bearer {api.keys['anna']}", "accept": "text/event-stream"}
    if last_event_id is not None:
        headers["last-event-id"] = str(last_event_id)
    events: list[dict[str, Any]] = []
    ids: list[int] = []
    with api.client.stream("GET", "/v1/events", params=params, headers=headers) as answer:
        for line in answer.iter_lines():
            if line.startswith("data: "):
                events.append(json.loads(line.removeprefix("data: ")))
            elif line.startswith("id: "):
                ids.append(int(line.removeprefix("id: ")))
            if len(ids) == count:
                break
    assert ids == [event["position"] for event in events]
    return events
