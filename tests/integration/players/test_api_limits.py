"""Deposit limits: counted by the player's own calendar, and never passed by two at once."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from threading import Barrier
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest

from domain.counters import Window
from domain.money import Money
from ledger.commands.deposit import CreateDeposit
from ledger.commands.handling import Written
from ledger.settings import Settings
from tests.servers.api_clock import Clock, clocked
from tests.servers.api_server import Api, caller, notice_body, running_api, services_over

SUNDAY_NOON = "2026-05-03T12:00:00+00:00"
DAYS = 86_400
RACES = 100


@pytest.fixture(scope="module")
def live(module_database: Settings) -> Iterator[Api]:
    """By the clock of this machine."""
    with running_api(module_database) as live:
        yield live


@pytest.fixture(scope="module")
def clock() -> Clock:
    return Clock(SUNDAY_NOON)


@pytest.fixture(scope="module")
def by_clock(live: Api, clock: Clock) -> Iterator[Api]:
    with clocked(live, clock) as by_clock:
        yield by_clock


@pytest.fixture
def api(by_clock: Api, clock: Clock) -> Api:
    """On the third of May, a Sunday."""
    clock.set(SUNDAY_NOON)
    return by_clock


def known(api: Api, **about: object) -> UUID:
    """A player who is registered."""
    player = uuid4()
    body = {"verification": "full", **about}
    answer = api.client.put(f"/v1/players/{player}", headers=api.headers(), json=body)
    answer.raise_for_status()
    return player


def put_limit(
    api: Api, player: UUID, limit: object, window: str = "day", currency: str = "EUR"
) -> httpx2.Response:
    path, body = f"/v1/players/{player}/limits/{window}", {"currency": currency, "limit": limit}
    return api.client.put(path, headers=api.headers(), json=body)


def limits(api: Api, player: UUID) -> dict[tuple[str, str], dict[str, Any]]:
    """By window and currency."""
    items = api.get(f"/v1/players/{player}/limits").json()["items"]
    return {(item["window"], item["currency"]): item for item in items}


def use(api: Api, player: UUID, window: str = "day") -> tuple[int, int | None]:
    """What is used and what remains, in minor units of EUR."""
    found = limits(api, player)[window, "EUR"]
    return found["used"], found["remaining"]


def is_refused(answer: httpx2.Response) -> bool:
    """Whether a deposit was blocked by a limit; otherwise it was begun."""
    assert answer.status_code == 201, answer.text
    found = answer.json()
    blocked = (found["status"], found["reason"]) == ("blocked", "limit_exceeded")
    assert blocked or found["status"] == "created"
    return blocked


# --- what counts --------------------------------------------------------------------------------


def test_what_is_on_its_way_takes_headroom_and_gives_it_back_when_it_fails(api: Api) -> None:
    player = known(api)
    put_limit(api, player, 1_000).raise_for_status()
    first = api.deposit(player, 600)
    assert not is_refused(first)
    assert use(api, player) == (600, 400)
    assert is_refused(api.deposit(player, 401))
    assert use(api, player) == (600, 400), "a blocked one takes nothing"

    deposit = UUID(first.json()["id"])
    api.dispatch.submit(deposit)
    assert use(api, player) == (600, 400)
    decline = {"code": "do_not_honour", "raw_code": "05"}
    live_report(api, notice_body(deposit, 600, status="declined", decline=decline))
    assert use(api, player) == (0, 1_000)
    assert not is_refused(api.deposit(player, 1_000))
    assert is_refused(api.deposit(player, 1))


def test_a_deposit_given_up_gives_its_headroom_back(api: Api) -> None:
    player = known(api)
    put_limit(api, player, 1_000)
    first = api.deposit(player, 1_000).json()
    api.post(f"/v1/deposits/{first['id']}/cancel").raise_for_status()
    assert use(api, player) == (0, 1_000)


def test_what_was_paid_in_before_there_was_a_limit_counts(api: Api) -> None:
    player = uuid4()
    api.deposit(player, 900)
    put_limit(api, player, 1_000)
    assert use(api, player) == (900, 100)
    assert is_refused(api.deposit(player, 101))
    put_limit(api, player, 500)
    assert use(api, player) == (900, 0)


def test_the_tightest_window_decides_and_other_currencies_are_not_concerned(api: Api) -> None:
    player = known(api)
    for window, limit in (("day", 1_000), ("week", 700), ("month", 2_000)):
        put_limit(api, player, limit, window)
    assert not is_refused(api.deposit(player, 700))
    assert is_refused(api.deposit(player, 1))
    assert not is_refused(api.deposit(player, 5_000, "USD"))
    assert [limit["remaining"] for limit in limits(api, player).values()] == [300, 0, 1_300]


@pytest.mark.parametrize("days", [0, 1])
def test_late_money_is_credited_and_raises_a_concern(api: Api, clock: Clock, days: int) -> None:
    """It counts on the day it was begun, whenever we hear of it."""
    player = known(api)
    put_limit(api, player, 1_000)
    late = UUID(api.deposit(player, 600).json()["id"])
    api.dispatch.submit(late)
    decline = {"code": "do_not_honour", "raw_code": "05"}
    live_report(api, notice_body(late, 600, status="declined", decline=decline))
    assert not is_refused(api.deposit(player, 600))

    clock.pass_by(days=days)
    live_report(api, notice_body(late, 600))
    found = api.transaction(str(late))
    assert (found["status"], found["concerns"]) == ("completed", ["limit_exceeded"])
    assert api.balance(player) == 600
    assert use(api, player) == ((1_200, 0) if days == 0 else (0, 1_000))

    head = api.get("/v1/events", params={"limit": 1_000}).json()["items"][-1]["position"]
    assert str(late) in waiting(api, head)
    path = f"/v1/deposits/{late}/review-concerns"
    looked = api.post(path, {"note": "told the player"}, person="ben").json()
    assert looked["concerns_reviewed"]
    assert api.post(path, {"note": "again"}, person="anna").status_code == 409
    assert str(late) not in waiting(api, looked["position"])


def waiting(api: Api, position: int) -> list[str]:
    found = api.get("/v1/queue", params={"kind": "deposit", "min_position": position})
    return [case["transaction_id"] for case in found.json()["items"]]


def live_report(api: Api, notice: bytes) -> None:
    """A notice is taken by the clock it was signed by, and acted upon by the test's."""
    assert api.notify(notice).status_code == 204
    api.act_on_notices()


# --- lower at once, higher later ----------------------------------------------------------------


def test_less_holds_at_once_and_more_after_a_day(api: Api, clock: Clock) -> None:
    player = known(api)
    put_limit(api, player, 1_000, "month")
    asked = put_limit(api, player, 2_000, "month").json()["items"][0]
    assert asked["limit"] == 1_000
    assert asked["pending"] == {"limit": 2_000, "effective_at": "2026-05-04T12:00:00Z"}
    clock.pass_by(seconds=DAYS - 1)
    assert is_refused(api.deposit(player, 1_001))
    assert put_limit(api, player, 2_000, "month").json()["items"][0] == asked, "not asked anew"
    clock.pass_by(seconds=1)
    assert not is_refused(api.deposit(player, 1_001))
    assert limits(api, player)["month", "EUR"] == {
        "window": "month",
        "currency": "EUR",
        "limit": 2_000,
        "pending": None,
        "used": 1_001,
        "remaining": 999,
    }

    put_limit(api, player, 1_500, "month")
    assert use(api, player, "month") == (1_001, 499)
    put_limit(api, player, None, "month")
    assert limits(api, player)["month", "EUR"]["pending"]["limit"] is None
    clock.pass_by(days=1)
    assert limits(api, player) == {}
    assert not is_refused(api.deposit(player, 100_000))


def test_an_increase_is_called_off_by_asking_for_less(api: Api, clock: Clock) -> None:
    player = known(api)
    put_limit(api, player, 1_000, "month")
    put_limit(api, player, 2_000, "month")
    put_limit(api, player, 1_000, "month")
    clock.pass_by(days=2)
    (shown,) = api.get(f"/v1/players/{player}").json()["limits"]
    assert (shown["limit"], shown["pending"]) == (1_000, None)


def test_where_the_law_says_so_an_increase_waits_for_a_week(api: Api) -> None:
    player = known(api, jurisdiction="DE-BY")
    put_limit(api, player, 1_000)
    pending = put_limit(api, player, 2_000).json()["items"][0]["pending"]
    assert pending["effective_at"] == "2026-05-10T12:00:00Z"


def test_putting_a_limit_again_changes_nothing(api: Api) -> None:
    player = known(api)
    answers = [put_limit(api, player, 0) for _ in range(2)]
    assert [answer.headers["etag"] for answer in answers] == ['"2"', '"2"']
    assert answers[0].json() == answers[1].json()
    assert is_refused(api.deposit(player, 1))


# --- the player's own calendar ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("window", "before", "after"),
    [
        ("day", "2026-05-05T11:59:59+00:00", "2026-05-05T12:00:00+00:00"),
        ("week", "2026-05-03T11:59:59+00:00", "2026-05-03T12:00:00+00:00"),
        ("month", "2026-05-31T11:59:59+00:00", "2026-05-31T12:00:00+00:00"),
        # The day on which the clocks go forward has 23 hours.
        ("day", "2026-09-27T10:59:59+00:00", "2026-09-27T11:00:00+00:00"),
    ],
)
def test_a_window_begins_at_the_players_midnight(
    api: Api, clock: Clock, window: str, before: str, after: str
) -> None:
    player = known(api, time_zone="Pacific/Auckland")
    put_limit(api, player, 1_000, window)
    clock.set(before)
    assert not is_refused(api.deposit(player, 1_000))
    assert is_refused(api.deposit(player, 1))
    clock.set(after)
    assert use(api, player, window) == (0, 1_000)
    assert not is_refused(api.deposit(player, 1_000))


def test_a_deposit_is_counted_on_the_day_it_was_begun(api: Api, clock: Clock) -> None:
    player = known(api, time_zone="Pacific/Auckland")
    put_limit(api, player, 1_000)
    clock.set("2026-05-05T11:59:00+00:00")
    deposit = UUID(api.deposit(player, 600).json()["id"])
    api.dispatch.submit(deposit)
    clock.set("2026-05-05T12:01:00+00:00")
    live_report(api, notice_body(deposit, 600))
    assert api.balance(player) == 600
    assert use(api, player) == (0, 1_000)
    clock.set("2026-05-05T11:59:30+00:00")
    assert use(api, player) == (600, 400)


EAST, WEST = "Pacific/Kiritimati", "Pacific/Honolulu"


@pytest.mark.parametrize(
    ("moment", "home", "zones"),
    [
        # A day that has begun elsewhere, and one that has not ended there.
        (SUNDAY_NOON, "UTC", [EAST]),
        ("2026-05-04T06:00:00+00:00", "UTC", [WEST]),
        (SUNDAY_NOON, "UTC", [EAST, WEST, EAST, "UTC"]),
        ("2026-05-31T12:00:00+00:00", "UTC", [EAST]),
        ("2026-05-31T12:00:00+00:00", WEST, [EAST, "UTC"]),
    ],
)
@pytest.mark.parametrize("window", ["day", "week", "month"])
def test_moving_gives_no_limit_anew(
    api: Api, clock: Clock, moment: str, home: str, zones: list[str], window: str
) -> None:
    clock.set(moment)
    player = known(api, time_zone=home)
    put_limit(api, player, 1_000, window)
    assert not is_refused(api.deposit(player, 1_000))
    for zone in zones:
        body = {"verification": "full", "time_zone": zone}
        path = f"/v1/players/{player}"
        api.client.put(path, headers=api.headers(), json=body).raise_for_status()
        assert use(api, player, window) == (1_000, 0)
        assert is_refused(api.deposit(player, 1))
    clock.pass_by(days=33)
    assert use(api, player, window) == (0, 1_000)
    assert not is_refused(api.deposit(player, 1_000))


def test_late_money_is_judged_by_the_day_it_counted_on_wherever_the_player_is_now(
    api: Api, clock: Clock
) -> None:
    player = known(api, time_zone="UTC")
    put_limit(api, player, 1_000)
    late = UUID(api.deposit(player, 600).json()["id"])
    api.dispatch.submit(late)
    decline = {"code": "do_not_honour", "raw_code": "05"}
    live_report(api, notice_body(late, 600, status="declined", decline=decline))
    assert not is_refused(api.deposit(player, 600))
    body = {"verification": "full", "time_zone": EAST}
    api.client.put(f"/v1/players/{player}", headers=api.headers(), json=body).raise_for_status()
    clock.pass_by(days=3)
    live_report(api, notice_body(late, 600))
    assert api.transaction(str(late))["concerns"] == ["limit_exceeded"]


# --- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        {"currency": "EUR", "limit": -1},
        {"currency": "EUR", "limit": 1.5},
        {"currency": "EUR", "limit": "100"},
        {"currency": "EUR", "limit": True},
        {"currency": "EUR", "limit": 10**18},
        {"currency": "XXX", "limit": 100},
        {"currency": "EUR"},
        {"currency": "EUR", "limit": 100, "effective_at": "2026-01-01T00:00:00Z"},
    ],
)
def test_a_limit_that_makes_no_sense_is_refused(api: Api, body: dict[str, object]) -> None:
    player = known(api)
    path = f"/v1/players/{player}/limits/day"
    answer = api.client.put(path, headers=api.headers(), json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "request_invalid")
    assert limits(api, player) == {}


def test_there_are_limits_per_day_week_and_month_of_players_there_are(api: Api) -> None:
    assert put_limit(api, known(api), 100, "year").status_code == 422
    assert put_limit(api, uuid4(), 100).json()["code"] == "player_not_found"
    assert api.get(f"/v1/players/{uuid4()}/limits").status_code == 404


# --- two at once --------------------------------------------------------------------------------


def test_of_two_deposits_at_once_that_together_pass_a_limit_one_is_blocked(live: Api) -> None:
    """Two processes' worth of ledgers and caches; in every other race the second one still
    believes that there is no limit."""
    start = Barrier(2)
    with ExitStack() as opened:
        first, second = (opened.enter_context(services_over(live.settings)) for _ in range(2))
        threads = opened.enter_context(ThreadPoolExecutor(2))
        for race in range(RACES):
            player = uuid4()
            first.deposits.create(deposit_of(player, 100), caller("operator:platform"))
            if race % 2:
                second.deposits.create(deposit_of(player, 100), caller("operator:platform"))
            paid_in = 200 if race % 2 else 100
            first.players.set_limit(
                player,
                window=list(Window)[race % 3],
                currency="EUR",
                limit_minor=paid_in + 1_000,
                caller=caller("operator:platform"),
            )

            def deposit(services: Any, player: UUID = player) -> Written:
                start.wait()
                written: Written = services.deposits.create(
                    deposit_of(player, 600), caller("operator:platform")
                )
                return written

            ended = [written.transaction for written in threads.map(deposit, (first, second))]
            assert sorted(str(found.status) for found in ended) == ["blocked", "created"]
            (blocked,) = [found for found in ended if found.status == "blocked"]
            assert blocked.reason == "limit_exceeded"
            known = first.players.get(player)
            used = first.players.used_minor(known, known.limits)
            assert set(used.values()) == {paid_in + 600}


def deposit_of(player: UUID, amount_minor: int) -> CreateDeposit:
    return CreateDeposit(
        player_id=player,
        provider="simulator",
        method="card",
        amount=Money(amount_minor, "EUR"),
        metadata={},
    )
