"""Players over HTTP: what is known of them, exclusions, holds, instruments, wagers."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest

from ledger.settings import Settings
from tests.servers.api_clock import Clock, clocked
from tests.servers.api_server import Api, notice_body, running_api


@pytest.fixture(scope="module")
def api(module_database: Settings) -> Iterator[Api]:
    with running_api(module_database) as api:
        yield api


def put(api: Api, player: UUID, **known: object) -> httpx2.Response:
    body = {"verification": "full", **known}
    return api.client.put(f"/v1/players/{player}", headers=api.headers(), json=body)


def delete(api: Api, path: str, person: str = "anna") -> httpx2.Response:
    headers = {"authorization": f"Bearer {api.keys[person]}"}
    return api.client.delete(path, headers=headers)


def shown(api: Api, player: UUID) -> dict[str, Any]:
    found: dict[str, Any] = api.get(f"/v1/players/{player}").json()
    return found


# --- what is known ------------------------------------------------------------------------------


def test_a_player_is_shown_with_what_the_law_says_where_they_are(api: Api) -> None:
    player = uuid4()
    assert api.get(f"/v1/players/{player}").status_code == 404
    answer = put(api, player, jurisdiction="GB-ENG", time_zone="Europe/London")
    assert (answer.status_code, answer.headers["etag"]) == (200, '"1"')
    found = shown(api, player)
    assert found == answer.json()
    assert (found["time_zone"], found["verification"]) == ("Europe/London", "full")
    assert found["jurisdiction_settings"] == {
        "player_may_cancel_withdrawal": False,
        "limit_increase_seconds": 86_400,
        "verification_before_deposit": "basic",
    }
    assert (found["holds"], found["limits"], found["instruments"]) == ([], [], [])
    assert found["excluded_until"] is None


def test_putting_a_player_again_changes_nothing(api: Api) -> None:
    player = uuid4()
    bodies = [put(api, player, verification="basic").json() for _ in range(2)]
    assert bodies[0] == bodies[1] == shown(api, player)
    assert bodies[0]["time_zone"] == "UTC"


@pytest.mark.parametrize(
    "name", ["Europe/Atlantis", "europe/malta", "localtime", "../etc/passwd", "", "UTC\0", "+02:00"]
)
def test_a_time_zone_that_does_not_exist_is_refused_with_a_remedy(api: Api, name: str) -> None:
    answer = put(api, uuid4(), time_zone=name)
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["location"]) == (422, "body.time_zone")
    assert error["code"] == "time_zone_unknown"
    assert "Europe/Malta" in error["remedy"]


def test_the_id_of_a_transaction_is_no_player(api: Api) -> None:
    other = UUID(api.deposit(uuid4()).json()["id"])
    for path in ("", "/limits", "/instruments"):
        assert api.get(f"/v1/players/{other}{path}").status_code == 404
    assert api.deposit(other).status_code == 404
    assert api.withdraw(other).status_code == 404
    assert put(api, other).status_code == 404


def test_where_identity_comes_first_nobody_unknown_deposits(api: Api) -> None:
    player = uuid4()
    put(api, player, verification="none", jurisdiction="GB")
    refused = api.deposit(player)
    assert (refused.status_code, refused.json()["status"]) == (201, "blocked")
    assert refused.json()["reason"] == "player_unverified"
    put(api, player, verification="basic", jurisdiction="GB")
    assert api.deposit(player).json()["status"] == "created"


# --- exclusions ---------------------------------------------------------------------------------


def test_an_excluded_player_cannot_deposit(api: Api) -> None:
    player = uuid4()
    put(api, player, jurisdiction="MT")
    excluded = api.post(f"/v1/players/{player}/exclusion", {"reason": "asked for it"}).json()
    assert (excluded["excluded"], excluded["excluded_until"]) == (True, None)
    assert api.deposit(player).json()["reason"] == "player_excluded"

    for _ in range(2):  # ending what has ended changes nothing
        ended = delete(api, f"/v1/players/{player}/exclusion")
        assert (ended.status_code, ended.json()["excluded"]) == (200, False)
    assert api.deposit(player).json()["status"] == "created"


def test_an_exclusion_with_an_end_is_over_then_and_not_before(api: Api) -> None:
    clock = Clock("2026-05-03T12:00:00+00:00")
    player, key = uuid4(), str(uuid4())
    path = f"/v1/players/{player}/exclusion"
    body = {"reason": "a break", "until": "2026-06-03T14:00:00+02:00"}
    with clocked(api, clock) as by_clock:
        put(by_clock, player)
        first = by_clock.post(path, body, key=key)
        assert (first.status_code, first.json()["excluded"]) == (200, True)
        assert first.json()["excluded_until"] == "2026-06-03T12:00:00Z"

        early = delete(by_clock, path)
        assert (early.status_code, early.json()["code"]) == (409, "exclusion_running")
        shorter = by_clock.post(path, body | {"until": "2026-05-04T00:00:00Z"})
        assert (shorter.status_code, shorter.json()["code"]) == (409, "exclusion_running")
        clock.set("2026-06-03T11:59:59+00:00")
        assert by_clock.deposit(player).json()["reason"] == "player_excluded"

        clock.set("2026-06-03T12:00:00+00:00")
        assert shown(by_clock, player)["excluded"] is False
        assert by_clock.deposit(player).json()["status"] == "created"
        repeat = by_clock.post(path, body, key=key)
        assert (repeat.status_code, repeat.content) == (200, first.content)


@pytest.mark.parametrize("later", [{}, {"until": None}], ids=["left out", "null"])
def test_an_exclusion_made_open_ended_is_not_ended_before_its_time(api: Api, later: dict) -> None:
    clock = Clock("2026-05-03T12:00:00+00:00")
    player = uuid4()
    path, until = f"/v1/players/{player}/exclusion", "2026-11-03T12:00:00Z"
    with clocked(api, clock) as by_clock:
        put(by_clock, player)
        by_clock.post(path, {"reason": "a break", "until": until}).raise_for_status()
        endless = by_clock.post(path, {"reason": "for longer", **later})
        assert (endless.status_code, endless.json()["excluded_until"]) == (200, None)
        clock.pass_by(days=30)
        put(by_clock, player, verification="basic", time_zone="Pacific/Auckland")
        early = delete(by_clock, path)
        assert (early.status_code, early.json().get("code")) == (409, "exclusion_running")
        assert "2026-11-03" in early.json()["detail"]
        for shorter in ("2026-06-05T00:00:00Z", until):
            answer = by_clock.post(path, {"reason": "shorter", "until": shorter})
            assert (answer.status_code, answer.json()["code"]) == (409, "exclusion_running")
        assert by_clock.deposit(player).json()["reason"] == "player_excluded"
        assert shown(by_clock, player)["excluded_at_least_until"] == until

        clock.set("2026-11-03T12:00:00+00:00")
        assert by_clock.deposit(player).json()["reason"] == "player_excluded", "it has no end"
        ended = delete(by_clock, path)
        assert (ended.status_code, ended.json()["excluded"]) == (200, False)
        assert ended.json()["excluded_at_least_until"] is None
        assert by_clock.deposit(player).json()["status"] == "created"


@pytest.mark.parametrize(
    ("until", "code"),
    [
        ("2020-01-01T00:00:00Z", "exclusion_invalid"),
        ("2030-01-01", "request_invalid"),
        ("2030-01-01T00:00:00", "request_invalid"),
        ("9999-12-31T23:59:59-14:00", "request_invalid"),
        (1_900_000_000, "request_invalid"),
    ],
)
def test_an_exclusion_ends_at_an_instant_to_come(api: Api, until: object, code: str) -> None:
    player = uuid4()
    put(api, player)
    answer = api.post(f"/v1/players/{player}/exclusion", {"reason": "a break", "until": until})
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert shown(api, player)["excluded"] is False


# --- holds --------------------------------------------------------------------------------------


def test_a_player_on_hold_is_named_as_a_reason(api: Api) -> None:
    player = uuid4()
    api.fund(player, 5_000)
    path, body = f"/v1/players/{player}/hold", {"reason": "a court order"}
    held = api.post(path, body, person="anna").json()
    assert (held["on_hold"], held["holds"]) == (True, ["payment"])
    again = api.post(path, body, person="fina")
    assert (again.status_code, again.json()["code"]) == (409, "nothing_to_change")
    requested = api.withdraw(player).json()
    api.dispatch.screen(UUID(requested["id"]))
    waiting = api.transaction(requested["id"])
    assert "player_on_hold" in waiting["screening_reasons"]
    for _ in range(2):  # lifting what is lifted changes nothing
        lifted = delete(api, path, "anna")
        assert (lifted.status_code, lifted.json()["on_hold"]) == (200, False)


def test_each_department_places_its_own_kind_of_hold_and_lifts_it(api: Api) -> None:
    player = uuid4()
    put(api, player)
    path, body = f"/v1/players/{player}/holds", {"reason": "looking into it"}
    kinds = {"anna": "payment", "ben": "fraud", "cleo": "aml", "sam": "support"}
    for person in kinds:
        assert api.post(path, body, person=person).status_code == 200
    assert shown(api, player)["holds"] == sorted(kinds.values())

    for person, kind in (
        ("anna", "fraud"),
        ("ben", "aml"),
        ("cleo", "payment"),
        ("sam", "support"),
    ):
        refused = delete(api, f"{path}/{kind}", person)
        assert (refused.status_code, refused.json()["code"]) == (403, "hold_not_yours")
    assert shown(api, player)["holds"] == sorted(kinds.values())

    for person, kind in (("anna", "payment"), ("ben", "fraud"), ("ben", "support")):
        assert kind not in delete(api, f"{path}/{kind}", person).json()["holds"]
    assert delete(api, f"/v1/players/{player}/hold", "cleo").json()["on_hold"] is False


def test_a_fraud_hold_stops_what_is_paid_in_and_says_so(api: Api) -> None:
    player = uuid4()
    paid = api.fund(player, 5_000)
    begun = UUID(api.deposit(player).json()["id"])
    path = f"/v1/players/{player}/holds"
    held = api.post(path, {"reason": "stolen cards"}, person="ben").json()

    refused = api.deposit(player)
    assert (refused.status_code, refused.json()["status"]) == (201, "blocked")
    assert refused.json()["reason"] == "player_on_hold"
    api.dispatch.submit(begun)
    found = api.transaction(str(begun))
    assert (found["status"], found["reason"]) == ("blocked", "player_on_hold")
    events = api.get("/v1/events", params={"transaction_id": str(begun)}).json()["items"]
    assert [event["type"] for event in events] == ["DepositCreated", "DepositBlocked"]

    refund = api.post("/v1/refunds", {"deposit_id": paid["id"], "reason": "stolen"})
    assert refund.status_code == 201, "money goes back to its owner all the same"

    assert held["stops"] == {"fraud": ["deposits", "payouts"]}
    delete(api, f"{path}/fraud", "ben").raise_for_status()
    assert api.deposit(player).json()["status"] == "created"


@pytest.mark.parametrize(("person", "kind"), [("anna", "payment"), ("sam", "support")])
def test_other_holds_stop_payouts_unless_whoever_places_them_says_more(
    api: Api, person: str, kind: str
) -> None:
    player = uuid4()
    put(api, player)
    path = f"/v1/players/{player}/holds"
    held = api.post(path, {"reason": "look"}, person=person).json()
    assert (held["on_hold"], held["stops"]) == (True, {kind: ["payouts"]})
    assert api.deposit(player).json()["status"] == "created"

    wider = api.post(path, {"reason": "more", "stops": ["deposits"]}, person=person)
    assert (wider.status_code, wider.json()["stops"]) == (200, {kind: ["deposits", "payouts"]})
    assert api.deposit(player).json()["reason"] == "player_on_hold"
    narrower = api.post(path, {"reason": "less", "stops": ["payouts"]}, person=person)
    assert (narrower.status_code, narrower.json()["code"]) == (409, "nothing_to_change")


def test_a_hold_of_deposits_alone_lets_payouts_go(api: Api) -> None:
    player = uuid4()
    put(api, player)
    api.fund(player, 5_000)
    api.post(f"/v1/players/{player}/wagers", {"amount": {"amount": 5_000, "currency": "EUR"}})
    path, body = f"/v1/players/{player}/holds", {"reason": "cards", "stops": ["deposits"]}
    held = api.post(path, body, person="ben").json()
    assert (held["on_hold"], held["holds"]) == (False, ["fraud"])
    payout = UUID(api.withdraw(player, instrument="tok_7Hq2").json()["id"])
    api.dispatch.screen(payout)
    assert "player_on_hold" not in api.transaction(str(payout))["screening_reasons"]
    assert api.deposit(player).json()["reason"] == "player_on_hold"


@pytest.mark.parametrize("stops", ["payouts", ["play"], [None], ["payouts"] * 3])
def test_a_hold_stops_what_there_is_to_stop(api: Api, stops: object) -> None:
    player = uuid4()
    put(api, player)
    path = f"/v1/players/{player}/holds"
    answer = api.post(path, {"reason": "look", "stops": stops}, person="ben")
    assert (answer.status_code, answer.json()["code"]) == (422, "request_invalid")
    assert shown(api, player)["stops"] == {}


@pytest.mark.parametrize("kind", ["none", "PAYMENT", "payment'--"])
def test_a_kind_of_hold_that_does_not_exist_is_refused(api: Api, kind: str) -> None:
    assert delete(api, f"/v1/players/{uuid4()}/holds/{kind}").status_code == 422


def test_the_platform_places_and_lifts_no_holds(api: Api) -> None:
    player = uuid4()
    put(api, player)
    path = f"/v1/players/{player}/hold"
    placed = api.post(path, {"reason": "why not"}, person="platform")
    assert (placed.status_code, placed.json()["code"]) == (403, "role_not_allowed")
    lifted = delete(api, path, "platform")
    assert (lifted.status_code, lifted.json()["code"]) == (403, "hold_not_yours")
    assert shown(api, player)["version"] == 1


# --- instruments --------------------------------------------------------------------------------


def test_instruments_are_listed_with_what_came_in_from_them(api: Api) -> None:
    player = uuid4()
    api.fund(player, 5_000, instrument="tok_first")
    api.fund(player, 700, "USD", instrument="tok_first", metadata={})
    api.fund(player, 300, instrument="tok_second", method="bank_transfer")
    begun = api.deposit(player, 9_000, instrument="tok_third").json()
    assert begun["status"] == "created"
    found = api.get(f"/v1/players/{player}/instruments").json()
    assert found["player_id"] == str(player)
    assert found["items"] == [
        {
            "instrument": "tok_first",
            "provider": "simulator",
            "method": "card",
            "net": [{"amount": 5_000, "currency": "EUR"}, {"amount": 700, "currency": "USD"}],
        },
        {
            "instrument": "tok_second",
            "provider": "simulator",
            "method": "bank_transfer",
            "net": [{"amount": 300, "currency": "EUR"}],
        },
    ]
    api.withdraw(player, 1_000, instrument="tok_first")
    first = api.get(f"/v1/players/{player}/instruments").json()["items"][0]
    assert first["net"][0] == {"amount": 4_000, "currency": "EUR"}, "a part is on its way back"
    assert [known["instrument"] for known in shown(api, player)["instruments"]] == [
        "tok_first",
        "tok_second",
    ]


def test_a_deposit_that_fails_is_nothing_that_came_in(api: Api) -> None:
    player = uuid4()
    deposit = UUID(api.deposit(player, 5_000, instrument="tok_1").json()["id"])
    api.dispatch.submit(deposit)
    decline = {"code": "do_not_honour", "raw_code": "05"}
    api.report(notice_body(deposit, 5_000, status="declined", decline=decline))
    assert api.transaction(str(deposit))["status"] == "failed"
    assert api.get(f"/v1/players/{player}/instruments").json()["items"] == []


# --- wagers -------------------------------------------------------------------------------------


def test_turnover_is_recorded_once_per_key(api: Api) -> None:
    player, key = uuid4(), str(uuid4())
    put(api, player)
    path = f"/v1/players/{player}/wagers"
    body = {"amount": {"amount": 250, "currency": "EUR"}, "metadata": {"round": "R-1"}}
    first = api.post(path, body, key=key)
    assert first.status_code == 201
    found = first.json()
    assert (found["player_id"], found["amount"]) == (str(player), body["amount"])
    assert found["position"] == found["receipt"]["position"] <= found["receipt"]["size"]
    repeat = api.post(path, body, key=key)
    assert (repeat.status_code, repeat.content) == (201, first.content)
    assert repeat.headers["idempotent-replayed"] == "true"
    other = api.post(path, {"amount": {"amount": 251, "currency": "EUR"}}, key=key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    (event,) = api.get("/v1/events", params={"transaction_id": found["id"]}).json()["items"]
    assert (event["type"], event["postings"]) == ("WagerRecorded", [])
    assert api.balance(player) == 0


def test_a_wager_of_nobody_is_not_recorded(api: Api) -> None:
    body = {"amount": {"amount": 250, "currency": "EUR"}}
    answer = api.post(f"/v1/players/{uuid4()}/wagers", body)
    assert (answer.status_code, answer.json()["code"]) == (404, "player_not_found")
