"""Conversions over HTTP: a quote is kept to the minor unit, or not at all."""

from collections.abc import Iterator
from datetime import timedelta
from fractions import Fraction
from typing import Any
from uuid import UUID, uuid4

import pytest

from domain.money import exponent
from ledger.settings import Settings
from tests.servers.api_server import PARALLEL, Api, at_once, later, notice_body, running_api

RATES = {"JPY": "171.25", "KWD": "0.3321", "CLF": "0.02775", "USD": "1.0843"}


@pytest.fixture(scope="module")
def api(module_database: Settings) -> Iterator[Api]:
    with running_api(module_database) as api:
        yield api


@pytest.fixture(scope="module")
def rates(api: Api) -> None:
    api.publish_rates("EUR", **RATES)


def quote(api: Api, player: UUID, amount: int, currency: str, target: str, **how: Any) -> Any:
    body = {
        "player_id": str(player),
        "source": {"amount": amount, "currency": currency},
        "target_currency": target,
    }
    return api.post("/v1/conversions/quotes", body, **how)


def test_without_rates_the_house_quotes_nothing(database: Settings) -> None:
    with running_api(database) as api:
        player = uuid4()
        api.fund(player, 5_000)
        answer = quote(api, player, 1_000, "EUR", "JPY")
        assert (answer.status_code, answer.json()["code"]) == (409, "no_rates")
        assert "tallystick rates import" in answer.json()["detail"]


@pytest.mark.usefixtures("rates")
@pytest.mark.parametrize(
    ("source", "amount", "target"),
    [
        ("EUR", 10_000, "JPY"),
        ("JPY", 10_001, "EUR"),
        ("EUR", 10_000, "KWD"),
        ("KWD", 33_333, "CLF"),
        ("CLF", 99_999, "JPY"),
    ],
)
def test_a_conversion_gives_exactly_what_was_quoted(
    api: Api, source: str, amount: int, target: str
) -> None:
    player = uuid4()
    api.fund(player, amount, source)
    asked = quote(api, player, amount, source, target)
    shown = asked.json()
    assert asked.status_code == 201
    assert (shown["kind"], shown["status"], shown["provider"]) == ("conversion", "quoted", None)
    assert shown["source"] == shown["amount"] == {"amount": amount, "currency": source}
    assert shown["balances"]["available"]["amount"] == amount
    assert shown["target_balances"]["available"] == {"amount": 0, "currency": target}
    assert _gross(shown) == shown["target"]["amount"] + shown["spread"]["amount"]
    assert shown["rate_source"].startswith("tests-2026-05-03")

    taken = api.post(f"/v1/conversions/{shown['id']}/accept").json()
    assert (taken["status"], taken["screen_status"]) == ("executed", "Completed")
    assert taken["target"] == shown["target"]
    assert taken["balances"]["available"]["amount"] == 0
    assert taken["target_balances"]["available"] == shown["target"]
    assert api.balance(player, currency=target) == shown["target"]["amount"]


def _gross(shown: dict[str, Any]) -> int:
    """The exchange, before the spread, worked out anew and rounded down."""
    rate = Fraction(shown["rate"]["numerator"], shown["rate"]["denominator"])
    source, target = shown["source"], shown["target"]
    shift = Fraction(10) ** (exponent(target["currency"]) - exponent(source["currency"]))
    exact = source["amount"] * rate * shift
    return exact.numerator // exact.denominator


@pytest.mark.usefixtures("rates")
def test_a_conversion_without_funds_is_a_recorded_refusal(api: Api) -> None:
    player = uuid4()
    api.fund(player, 999)
    shown = quote(api, player, 1_000, "EUR", "USD").json()
    taken = api.post(f"/v1/conversions/{shown['id']}/accept")
    assert taken.status_code == 200
    assert (taken.json()["status"], taken.json()["reason"]) == ("rejected", "insufficient_funds")
    assert api.balance(player) == 999


@pytest.mark.usefixtures("rates")
def test_a_quote_is_taken_in_time_or_not_at_all(api: Api) -> None:
    player = uuid4()
    api.fund(player, 5_000)
    shown = quote(api, player, 1_000, "EUR", "USD").json()
    with later(api, timedelta(minutes=6)) as then:
        late = then.post(f"/v1/conversions/{shown['id']}/accept")
        assert (late.status_code, late.json()["code"]) == (409, "quote_expired")
        then.dispatch.expire(UUID(shown["id"]))
    assert api.transaction(shown["id"])["status"] == "expired"
    assert api.balance(player) == 5_000


@pytest.mark.usefixtures("rates")
@pytest.mark.parametrize(
    ("amount", "source", "target", "status", "code"),
    [
        (1_000, "EUR", "EUR", 422, "same_currency"),
        (1, "JPY", "EUR", 422, "amount_too_small"),
        (1_000, "EUR", "NOK", 422, "rate_missing"),
        (9_000_000_000_000_000, "EUR", "KWD", 422, "invalid_money"),
    ],
)
def test_what_cannot_be_quoted_is_refused(
    api: Api, amount: int, source: str, target: str, status: int, code: str
) -> None:
    player = uuid4()
    api.fund(player, 5_000)
    answer = quote(api, player, amount, source, target)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


@pytest.mark.usefixtures("rates")
def test_who_is_not_known_is_quoted_nothing(api: Api) -> None:
    answer = quote(api, uuid4(), 1_000, "EUR", "USD")
    assert (answer.status_code, answer.json()["code"]) == (404, "player_not_found")


def test_a_provider_that_is_away_quotes_nothing_for_now(api: Api) -> None:
    player = uuid4()
    api.fund(player, 5_000)
    body = {
        "player_id": str(player),
        "source": {"amount": 1_000, "currency": "EUR"},
        "target_currency": "USD",
    }
    away = api.post("/v1/conversions/quotes", body | {"provider": "simulator"})
    assert (away.status_code, away.json()["code"]) == (503, "quote_unavailable")
    assert away.headers["retry-after"] == "1"
    unknown = api.post("/v1/conversions/quotes", body | {"provider": "nobody"})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "provider_not_found")


@pytest.mark.usefixtures("rates")
def test_a_conversion_cannot_be_taken_twice(api: Api) -> None:
    player = uuid4()
    api.fund(player, 5_000)
    shown = quote(api, player, 1_000, "EUR", "USD").json()
    path = f"/v1/conversions/{shown['id']}/accept"
    answers = at_once(lambda _: api.post(path))
    codes = sorted(answer.status_code for answer in answers)
    assert codes == [200] + [409] * (PARALLEL - 1)
    assert api.balance(player) == 4_000
    assert api.balance(player, currency="USD") == shown["target"]["amount"]


@pytest.mark.usefixtures("rates")
def test_every_step_of_a_conversion_repeats_its_first_answer(api: Api) -> None:
    player, keys = uuid4(), (str(uuid4()), str(uuid4()))
    api.fund(player, 5_000)
    first = quote(api, player, 1_000, "EUR", "USD", key=keys[0])
    path = f"/v1/conversions/{first.json()['id']}/accept"
    taken = api.post(path, key=keys[1])
    api.publish_rates("EUR", **(RATES | {"USD": "1.2"}))  # another rate does not change a quote
    assert quote(api, player, 1_000, "EUR", "USD", key=keys[0]).content == first.content
    repeat = api.post(path, key=keys[1])
    assert (repeat.content, repeat.headers["etag"]) == (taken.content, taken.headers["etag"])
    other = quote(api, player, 2_000, "EUR", "USD", key=keys[0])
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


@pytest.mark.usefixtures("rates")
def test_a_conversion_that_a_provider_reports_unasked_is_resolved_by_two_people(api: Api) -> None:
    player = uuid4()
    api.fund(player, 5_000)
    shown = quote(api, player, 1_000, "EUR", "USD").json()
    api.post(f"/v1/conversions/{shown['id']}/accept").raise_for_status()
    failing = api.post(
        f"/v1/conversions/{shown['id']}/resolve",
        {"target": "failed", "note": "not listed"},
        person="anna",
    )
    assert (failing.status_code, failing.json()["code"]) == (409, "invalid_transition")
    # A conversion of the house's own is nobody else's to report on.
    api.report(notice_body(UUID(shown["id"]), 1, currency="USD"))
    assert api.transaction(shown["id"])["status"] == "executed"
