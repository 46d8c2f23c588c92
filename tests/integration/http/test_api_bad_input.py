"""What nobody should send, and what they get: refused at the door, and never quoted."""

import gzip
import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx2
import psycopg
import pytest
from structlog.testing import capture_logs

from ledger.eventstore import database
from ledger.eventstore.database import Role
from ledger.settings import Settings
from tests.servers.api_server import Api, running_api, transaction_body

CARD = "4111111111111111"
CARDS = [
    CARD,
    "4111 1111 1111 1111",
    "4111-1111-1111-1111",
    "my card is 4111.1111.1111.1111, thanks",
    "4111\u00a01111\u20131111\u200b1111",
    "٤١١١١١١١١١١١١١١١",
    "４１１１ １１１１ １１１１ １１１１",
    "378282246310005",
    "%B4111111111111111^DOE/JANE^2512101",
]
AMEND = {"amount": {"amount": 1, "currency": "EUR"}, "instrument": None}
QUOTE = {
    "player_id": str(uuid4()),
    "source": {"amount": 1, "currency": "EUR"},
    "target_currency": "USD",
}
MOVE = {
    "source": "house:fees:EUR",
    "target": "house:suspense:EUR",
    "amount": {"amount": 1, "currency": "EUR"},
}
ADJUSTMENT: dict[str, object] = {
    "moves": [MOVE],
    "reason": "correction",
    "grounds": "ticket 4711",
}


def _moving(**changes: object) -> dict[str, object]:
    return ADJUSTMENT | {"moves": [MOVE | changes]}


@pytest.fixture(scope="module")
def api(module_database: Settings) -> Iterator[Api]:
    with running_api(module_database) as api:
        yield api


def send(api: Api, content: bytes, **headers: str) -> httpx2.Response:
    """A deposit with this very body."""
    sent = {**api.headers(), "content-type": "application/json", **headers}
    return api.client.post("/v1/deposits", headers=sent, content=content)


def refused(answer: httpx2.Response, status: int, code: str) -> dict[str, Any]:
    """The problem, which is well formed."""
    problem: dict[str, Any] = answer.json()
    assert (answer.status_code, problem["code"]) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["type"] == f"urn:tallystick:problem:{code}"
    assert problem["request_id"] == answer.headers["x-request-id"]
    return problem


@pytest.mark.parametrize("card", CARDS)
@pytest.mark.parametrize("place", ["instrument", "metadata", "metadata key"])
def test_a_card_number_in_a_body_is_refused_and_never_quoted(
    api: Api, place: str, card: str
) -> None:
    changes: dict[str, object] = {
        "instrument": {"instrument": card},
        "metadata": {"metadata": {"order": card}},
        "metadata key": {"metadata": {card: "order"}},
    }[place]
    with capture_logs() as logs:
        answer = api.deposit(uuid4(), **changes)
    refused(answer, 422, "request_invalid")
    assert card not in answer.text
    assert CARD not in answer.text + str(logs)


def test_a_card_number_is_refused_in_notes_keys_filters_and_paths(api: Api) -> None:
    withdrawal = f"/v1/withdrawals/{uuid4()}/hold"
    with capture_logs() as logs:
        answers = [
            api.post(withdrawal, {"note": f"paid to {CARD}"}),
            api.post(withdrawal.replace("hold", "amend"), {**AMEND, "note": CARD}),
            api.post(withdrawal.replace("hold", "scores"), {"score": 1, "ruleset": CARD}),
            api.post("/v1/refunds", {"deposit_id": str(uuid4()), "reason": CARD}),
            api.post(f"/v1/disputes/{uuid4()}/evidence", {"documents": [CARD]}),
            api.post("/v1/conversions/quotes", QUOTE | {"provider": f"p{CARD}"}),
            api.post("/v1/adjustments", ADJUSTMENT | {"grounds": f"see {CARD}"}),
            api.post("/v1/adjustments", _moving(source=f"provider:p{CARD}:clearing:EUR")),
            api.post("/v1/deposits", transaction_body(uuid4(), 1), key=CARD),
            api.get("/v1/transactions", params={"instrument": CARD}),
            api.get("/v1/transactions", params={"reference": CARD}),
            api.get("/v1/transactions", params={"metadata": f"order:{CARD}"}),
            api.get("/v1/transactions", params={CARD: "1"}),
            api.get(f"/v1/accounts/{CARD}"),
            api.post(f"/v1/providers/p{CARD}/pause", {"reason": "outage"}),
            api.client.post(f"/v1/providers/p{CARD}/notices", content=b"{}"),
        ]
    for answer in answers:
        refused(answer, 422, "request_invalid")
        assert CARD not in answer.text
    assert CARD not in str(logs)


def test_uuids_are_no_card_numbers(api: Api) -> None:
    key = "00000000-4111-1111-1111-111100000000"
    assert api.post("/v1/deposits", transaction_body(uuid4(), 1), key=key).status_code == 201


@pytest.mark.parametrize(
    "amount",
    [
        *("1.5", "10.0", "1e2", "NaN", "Infinity", "-1", "0", "9000000000000001", "1" * 400),
        *('"100"', "true", "null", "[1]", "{}"),
    ],
)
def test_an_amount_is_a_whole_number_within_bounds(api: Api, amount: str) -> None:
    whole = json.dumps(transaction_body(uuid4(), 777))
    body = whole.replace('"amount": 777', f'"amount": {amount}')
    assert body != whole
    problem = refused(send(api, body.encode()), 422, "request_invalid")
    assert [error["location"] for error in problem["errors"]] == ["body.amount.amount"]
    assert all(error["remedy"] for error in problem["errors"])


@pytest.mark.parametrize("currency", ["eur", "EURO", "XXX", "", "978"])
def test_a_currency_is_one_of_iso_4217(api: Api, currency: str) -> None:
    answer = api.deposit(uuid4(), amount={"amount": 1, "currency": currency})
    refused(answer, 422, "request_invalid")


@pytest.mark.parametrize(
    "body",
    [
        b'{"player_id": "a", "player_id": "b"}',
        b'{"amount": {"amount": 1, "amount": 100}}',
        b'{"a": ' + b"[" * 32 + b"]" * 32 + b"}",
        b"[" * 100_000,
        b'{"a": "\xff"}',
        b'{"a": ',
        b"1" * 5_000,
        b'\xef\xbb\xbf{"a": 1}',
    ],
    ids=["twice", "twice within", "deep", "very deep", "no utf-8", "cut", "long number", "bom"],
)
def test_a_body_that_is_ambiguous_or_no_json_is_malformed(api: Api, body: bytes) -> None:
    refused(send(api, body), 400, "body_malformed")


def test_brackets_in_texts_do_not_nest(api: Api) -> None:
    answer = api.deposit(uuid4(), metadata={"drawing": '[[[["' * 40})
    assert answer.status_code == 201


def test_a_body_above_one_megabyte_is_not_read(api: Api) -> None:
    refused(send(api, b" " * 1_000_001), 413, "body_too_large")


def test_a_body_that_hides_its_length_is_cut_off(api: Api) -> None:
    def chunks() -> Iterator[bytes]:
        yield from (b" " * 100_000 for _ in range(11))

    headers = {**api.headers(), "content-type": "application/json"}
    answer = api.client.post("/v1/deposits", headers=headers, content=chunks())
    refused(answer, 413, "body_too_large")


def test_a_compressed_body_is_refused(api: Api) -> None:
    bomb = gzip.compress(b" " * 50_000_000)
    refused(send(api, bomb, **{"content-encoding": "gzip"}), 415, "body_unsupported")


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_a_body_has_to_be_json(api: Api, media_type: str) -> None:
    body = json.dumps(transaction_body(uuid4(), 1)).encode()
    refused(send(api, body, **{"content-type": media_type}), 415, "body_unsupported")


@pytest.mark.parametrize(
    "text",
    [
        "\\u0000",
        "a\\u0000b",
        "\\ud800",
        "\\udc00x",
        "\\u202egpj.exe",
        "\\u2066x",
        "\\u001b[31m",
        "\\n",
    ],
)
def test_texts_hold_nothing_that_cannot_be_seen(api: Api, text: str) -> None:
    body = json.dumps(transaction_body(uuid4(), 1, instrument="INSTRUMENT"))
    answer = send(api, body.replace("INSTRUMENT", text).encode())
    problem = refused(answer, 422, "request_invalid")
    assert [error["location"] for error in problem["errors"]] == ["body.instrument"]


@pytest.mark.parametrize(
    "changes",
    [
        {"instrument": "x" * 256},
        {"instrument": "x" * 900_000},
        {"instrument": ""},
        {"metadata": {str(number): "x" for number in range(21)}},
        {"metadata": {"k" * 65: "x"}},
        {"metadata": {"naïve": "x"}},
        {"metadata": {"k": 1}},
        {"player_id": "x" * 900_000},
        {"player_id": 7},
        {"method": "cash"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_what_does_not_fit_is_refused(api: Api, changes: dict[str, object]) -> None:
    refused(api.deposit(uuid4(), **changes), 422, "request_invalid")


@pytest.mark.parametrize("name", ["status", "balance", "role", "id", "approvals"])
def test_fields_that_nobody_may_set_are_refused(api: Api, name: str) -> None:
    problem = refused(api.deposit(uuid4(), **{name: "completed"}), 422, "request_invalid")
    assert problem["errors"][0]["location"] == f"body.{name}"
    assert problem["errors"][0]["code"] == "extra_forbidden"


_REFUND = {"deposit_id": str(uuid4()), "reason": "paid twice"}


@pytest.mark.parametrize(
    ("path", "body", "location"),
    [
        ("withdrawals/{id}/amend", {"amount": AMEND["amount"]}, "body.instrument"),
        ("withdrawals/{id}/amend", AMEND | {"amount": None}, "body.amount"),
        ("withdrawals/{id}/scores", {"score": 101, "ruleset": "r"}, "body.score"),
        ("withdrawals/{id}/scores", {"score": -1, "ruleset": "r"}, "body.score"),
        ("withdrawals/{id}/scores", {"score": 1.5, "ruleset": "r"}, "body.score"),
        ("withdrawals/{id}/scores", {"score": 1}, "body.ruleset"),
        ("withdrawals/{id}/scores", {"score": 1, "ruleset": "r", "high": ["x"] * 51}, "body.high"),
        ("withdrawals/{id}/cancel", {"by_player": "no"}, "body.by_player"),
        ("withdrawals/{id}/cancel", {"reason": "x"}, "body.reason"),
        ("withdrawals/{id}/retry", {"leg": 0}, "body.leg"),
        ("withdrawals/{id}/retry", {"leg": 21}, "body.leg"),
        ("withdrawals/{id}/resolve", {"target": "refunded", "note": "x"}, "body.target"),
        ("refunds", {"reason": "paid twice"}, "body.deposit_id"),
        ("refunds", _REFUND | {"reason": ""}, "body.reason"),
        (
            "refunds",
            _REFUND | {"amount": {"amount": 0, "currency": "EUR"}},
            "body.amount.amount",
        ),
        ("refunds", _REFUND | {"status": "succeeded"}, "body.status"),
        ("refunds/{id}/resolve", {"target": "succeeded", "note": ""}, "body.note"),
        ("refunds/{id}/resolve", {"target": "reversed", "note": "x"}, "body.target"),
        ("conversions/quotes", QUOTE | {"target_currency": "XXX"}, "body.target_currency"),
        ("conversions/quotes", QUOTE | {"target_currency": "usd"}, "body.target_currency"),
        ("conversions/quotes", QUOTE | {"rate": "1.5"}, "body.rate"),
        ("conversions/quotes", QUOTE | {"provider": "Ex Change"}, "body.provider"),
        ("conversions/{id}/resolve", {"target": "paid", "note": "x"}, "body.target"),
        ("disputes/{id}/evidence", {"documents": ["x"] * 21}, "body.documents"),
        ("disputes/{id}/evidence", {"documents": [""]}, "body.documents.0"),
        ("disputes/{id}/accept", {}, "body.note"),
        ("adjustments", ADJUSTMENT | {"moves": []}, "body.moves"),
        ("adjustments", ADJUSTMENT | {"moves": [MOVE] * 21}, "body.moves"),
        ("adjustments", ADJUSTMENT | {"reason": "because"}, "body.reason"),
        ("adjustments", ADJUSTMENT | {"grounds": ""}, "body.grounds"),
        ("adjustments", _moving(source="house:gold:EUR"), "body.moves.0.source"),
        ("adjustments", _moving(target="player:me:available:EUR"), "body.moves.0.target"),
        ("adjustments", _moving(target="house:fees:EUR\n"), "body.moves.0.target"),
        (
            "adjustments",
            _moving(amount={"amount": "1", "currency": "EUR"}),
            "body.moves.0.amount.amount",
        ),
        ("adjustments", ADJUSTMENT | {"player_id": "me"}, "body.player_id"),
    ],
)
def test_what_does_not_fit_a_new_transaction_or_decision_is_refused(
    api: Api, path: str, body: object, location: str
) -> None:
    answer = api.post("/v1/" + path.format(id=uuid4()), body)
    problem = refused(answer, 422, "request_invalid")
    assert [error["location"] for error in problem["errors"]] == [location]


@pytest.mark.parametrize(
    "path",
    [
        "/v1/refunds",
        "/v1/refunds/{id}/approve",
        "/v1/refunds/{id}/cancel",
        "/v1/conversions/quotes",
        "/v1/conversions/{id}/accept",
        "/v1/disputes/{id}/evidence",
        "/v1/disputes/{id}/accept",
        "/v1/adjustments",
        "/v1/adjustments/{id}/approve",
        "/v1/withdrawals/{id}/amend",
        "/v1/withdrawals/{id}/scores",
        "/v1/deposits",
        "/v1/withdrawals",
        "/v1/withdrawals/{id}/approve",
        "/v1/withdrawals/{id}/cancel",
        "/v1/deposits/{id}/resolve",
        "/v1/players/{id}/hold",
        "/v1/providers/simulator/pause",
    ],
)
def test_what_changes_something_needs_an_idempotency_key(api: Api, path: str) -> None:
    headers = api.headers()
    del headers["idempotency-key"]
    answer = api.client.post(path.format(id=uuid4()), headers=headers)
    refused(answer, 400, "idempotency_key_missing")


@pytest.mark.parametrize("key", ["", "x" * 256, "naïve"])
def test_an_idempotency_key_is_short_and_printable(api: Api, key: str) -> None:
    headers = {**api.headers(), "idempotency-key": key.encode()}
    answer = api.client.post("/v1/deposits", headers=headers, json=transaction_body(uuid4(), 1))
    refused(answer, 422, "request_invalid")


@pytest.mark.parametrize(
    "query",
    [
        "sort=1;drop table ledger_events",
        "status=completed' OR '1'='1",
        "status=%25%25%25%25",
        "player_id=1",
        "kind=gift",
        "kind=deposit&kind=gift",
        "related_id=1",
        f"reason={CARD}",
        "limit=0",
        "limit=501",
        "limit=1e2",
        "cursor=AAAA",
        "cursor='",
        "created_from=yesterday",
        "created_from=2026-01-01T00:00:00",
        "amount_min=1.5",
        "metadata=nocolon",
        "currency=XXX",
        "min_position=-1",
        f"min_position={10**30}",
    ],
)
def test_filters_are_an_allow_list(api: Api, query: str) -> None:
    refused(api.get(f"/v1/transactions?{query}"), 422, "request_invalid")


def test_what_looks_like_sql_is_only_a_value(api: Api) -> None:
    for value in ("%" * 200, "' OR '1'='1", "\\", '{"a"}', "NULL"):
        answer = api.get("/v1/transactions", params={"instrument": value, "metadata": f"k:{value}"})
        assert (answer.status_code, answer.json()["items"]) == (200, [])


@pytest.mark.parametrize("path", ["/v1/nothing", "/", "/docs", "/redoc", "/v1/deposits/"])
def test_an_unknown_path_is_a_problem_too(api: Api, path: str) -> None:
    refused(api.get(path), 404, "not_found")


def test_a_method_that_a_path_does_not_take_is_named(api: Api) -> None:
    answer = api.get("/v1/deposits")
    refused(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "POST"


def test_an_id_that_is_no_uuid_is_refused_without_quoting_it(api: Api) -> None:
    answer = api.get("/v1/transactions/<script>")
    refused(answer, 422, "request_invalid")
    assert "script" not in answer.text


def test_nothing_that_was_refused_reached_the_log(api: Api) -> None:
    reader = database.conninfo(api.settings, Role.READER)
    with psycopg.connect(reader) as connection:
        states = connection.execute("SELECT convert_from(state, 'UTF8') FROM ledger_events")
        assert not any(CARD in state for (state,) in states)


def test_the_application_cannot_change_what_is_recorded(api: Api) -> None:
    api.deposit(uuid4())
    writer = database.conninfo(api.settings, Role.WRITER)
    for statement in (
        b"UPDATE ledger_events SET topic = 'x'",
        b"DELETE FROM ledger_events",
        b"TRUNCATE ledger_events",
    ):
        with (
            psycopg.connect(writer) as connection,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            connection.execute(statement)
