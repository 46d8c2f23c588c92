"""Exchange rates over HTTP: one person proposes, another approves, and sources are trusted."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest

from ledger.access.api_keys import StaffRole, create_key
from ledger.eventstore import database
from ledger.eventstore.database import Role
from ledger.settings import Settings
from tests.servers.api_server import Api, running_api

NOTE = {"note": "as the bank says"}
PATH = "/v1/rates"
DAY = "2026-05-03"


@pytest.fixture(scope="module")
def api(module_database: Settings) -> Iterator[Api]:
    with running_api(module_database) as api:
        yield api


@pytest.fixture
def untouched(database: Settings) -> Iterator[Api]:
    """With rates that no other test has changed."""
    with running_api(database) as api:
        yield api


def propose(
    api: Api, person: str = "anna", *, key: str | None = None, **changes: object
) -> httpx2.Response:
    body = {
        "source": "treasury",
        "base": "EUR",
        "as_of": DAY,
        "rates": [{"currency": "USD", "rate": "1.0843"}, {"currency": "JPY", "rate": "160"}],
    }
    return api.post(PATH, body | changes, person=person, key=key)


def of_usd(text: object) -> dict[str, object]:
    return {"as_of": "2026-05-05", "rates": [{"currency": "USD", "rate": text}]}


def of_jpy(text: str) -> dict[str, object]:
    usd = {"currency": "USD", "rate": "1.0843"}
    return {"rates": [usd, {"currency": "JPY", "rate": text}]}


def approve(
    api: Api, proposal: httpx2.Response, person: str = "cleo", note: str = "checked"
) -> httpx2.Response:
    path = f"{PATH}/proposals/{proposal.json()['id']}/approve"
    return api.post(path, {"note": note}, person=person)


def put_in_force(api: Api, **changes: object) -> dict[str, Any]:
    """Rates, by as many people as it takes; the table in force then."""
    offered = propose(api, **changes)
    if offered.status_code == 202:
        approve(api, offered)
    shown: dict[str, Any] = api.get(PATH).json()
    return shown


def trust(api: Api, source: str) -> list[httpx2.Response]:
    path = f"{PATH}/sources/{source}/trust"
    return [api.post(path, {"note": "our own job"}, person=who) for who in ("anna", "cleo")]


def with_key(api: Api, person: str, role: StaffRole) -> str:
    """Another key; the name under which the tests use it."""
    name = f"{person}-{uuid4()}"
    owner = database.conninfo(api.settings, Role.OWNER)
    api.keys = {**api.keys, name: create_key(owner, person, role)}
    return name


def in_words(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json().get("code", "")


def screened(api: Api, amount_minor: int, currency: str) -> dict[str, Any]:
    """A payout of somebody who is known, as the policy has looked at it."""
    player = uuid4()
    api.verified(player)
    api.fund(player, amount_minor, currency)
    payout = api.withdraw(player, amount_minor, currency).json()
    api.dispatch.screen(UUID(payout["id"]))
    return api.transaction(payout["id"])


# --- two people ---------------------------------------------------------------------------------


def test_a_payout_takes_two_people_while_rates_by_which_it_takes_none_are_only_proposed(
    untouched: Api,
) -> None:
    """1,600,000 yen are 10,000 euro, which takes two; were they worth 100 euro, nobody."""
    api = untouched
    put_in_force(api)
    two = [["fraud"], ["finance"]]
    assert screened(api, 1_600_000, "JPY")["missing"] == two
    answers = [
        propose(api, "sam", **of_jpy("16000")),
        propose(api, "anna", **of_jpy("16000")),
        propose(api, "sam", **of_jpy("16000"), **NOTE),
        propose(api, "anna", **of_jpy("16000"), **NOTE),
    ]
    found = screened(api, 1_600_000, "JPY")
    assert (found["status"], found["missing"]) == ("under_review", two)
    assert list(map(in_words, answers)) == [
        (403, "role_not_allowed"),
        (422, "evidence_missing"),
        (403, "role_not_allowed"),
        (202, ""),
    ]
    assert approve(api, answers[-1]).status_code == 200
    assert screened(api, 1_600_000, "JPY")["missing"] == []


@pytest.mark.parametrize("person", ["sam", "ben", "cleo", "platform"])
def test_nobody_but_finance_proposes_rates(api: Api, person: str) -> None:
    put_in_force(api, as_of="2026-05-01", **NOTE)
    before = api.get(PATH).json()
    assert in_words(propose(api, person, **of_jpy("161"))) == (403, "role_not_allowed")
    assert api.get(PATH).json() == before


@pytest.mark.parametrize("person", ["sam", "ben", "platform"])
def test_nobody_but_finance_and_compliance_decides_about_what_waits(api: Api, person: str) -> None:
    waiting = propose(api, source=f"waits-for-{person}").json()["id"]
    for path in (
        f"{PATH}/proposals/{waiting}/approve",
        f"{PATH}/proposals/{waiting}/discard",
        f"{PATH}/sources/new/trust",
        f"{PATH}/sources/new/revoke",
    ):
        assert in_words(api.post(path, NOTE, person=person)) == (403, "role_not_allowed")


def test_one_person_proposes_rates_and_another_approves_them(untouched: Api) -> None:
    api = untouched
    assert in_words(api.get(PATH)) == (409, "no_rates")
    key = str(uuid4())
    proposed = propose(api, key=key)
    assert proposed.status_code == 202
    assert in_words(api.get(PATH)) == (409, "no_rates")
    assert api.get(f"{PATH}/proposals").json() == {"items": [proposed.json()]}
    assert (proposed.json()["person"], proposed.json()["beyond"]) == ("anna", None)

    other_key = with_key(api, "anna", StaffRole.FINANCE)
    for own in ("anna", other_key):
        assert in_words(approve(api, proposed, own)) == (403, "self_approval")
    for person in ("sam", "ben", "platform"):
        assert in_words(approve(api, proposed, person)) == (403, "role_not_allowed")
    assert in_words(api.get(PATH)) == (409, "no_rates")

    approved = approve(api, proposed, "fina")
    assert (approved.status_code, approved.headers["etag"]) == (200, '"2"')
    found = approved.json()
    assert (found["table"], found["base"], found["as_of"]) == (f"treasury-{DAY}", "EUR", DAY)
    assert found["approved_by"] == ["anna", "fina"]
    assert found["rates"] == [
        {"currency": "JPY", "numerator": 160, "denominator": 1, "decimal": "160"},
        {"currency": "USD", "numerator": 10_843, "denominator": 10_000, "decimal": "1.0843"},
    ]
    assert api.get(PATH).json() == found
    assert api.get(f"{PATH}/proposals").json() == {"items": []}

    assert in_words(propose(api)) == (409, "nothing_to_change")
    assert in_words(approve(api, proposed)) == (404, "rate_proposal_not_found")
    repeat = propose(api, key=key)
    assert (repeat.status_code, repeat.content) == (202, proposed.content)


@pytest.mark.parametrize(("source", "name"), [("treasury", "-3"), ("other", "-2")])
def test_the_right_table_is_put_back_after_a_wrong_one(
    untouched: Api, source: str, name: str
) -> None:
    api = untouched
    put_in_force(api)
    put_in_force(api, source=source, **of_jpy("161"))
    found = put_in_force(api)
    assert (found["table"], found["rates"][0]["decimal"]) == (f"treasury-{DAY}{name}", "160")


def test_a_proposal_is_discarded_and_what_is_read_again_is_asked_for(untouched: Api) -> None:
    api = untouched
    proposed = propose(api)
    path = f"{PATH}/proposals/{proposed.json()['id']}"
    stale = api.post(f"{path}/approve", {}, person="cleo", headers={"if-match": '"7"'})
    assert in_words(stale) == (412, "version_changed")
    assert in_words(api.post(f"{path}/discard", {}, person="anna")) == (422, "evidence_missing")
    gone = api.post(f"{path}/discard", NOTE, person="anna")
    assert (gone.status_code, gone.json()) == (200, {"items": []})
    assert in_words(approve(api, proposed)) == (404, "rate_proposal_not_found")


def test_a_quote_is_made_at_the_rates_in_force(untouched: Api) -> None:
    api = untouched
    put_in_force(api)
    propose(api, "anna", **of_jpy("176"))
    player = uuid4()
    api.fund(player, 10_000)
    body = {
        "player_id": str(player),
        "source": {"amount": 10_000, "currency": "EUR"},
        "target_currency": "JPY",
        "metadata": {},
    }
    quoted = api.post("/v1/conversions/quotes", body).json()
    assert (quoted["rate"]["numerator"], quoted["rate"]["denominator"]) == (160, 1)
    assert quoted["rate_source"] == f"treasury-{DAY}"


# --- sources ------------------------------------------------------------------------------------


def test_a_source_that_two_people_trust_sets_near_rates_alone_and_far_ones_not(
    untouched: Api,
) -> None:
    api = untouched
    put_in_force(api)
    bank = with_key(api, "ecb", StaffRole.PLATFORM)
    own: dict[str, Any] = {"source": "ecb", "as_of": "2026-05-04"}
    assert in_words(propose(api, bank, **own)) == (403, "role_not_allowed")
    proposed, trusted = trust(api, "ecb")
    assert [(a.status_code, a.json()["status"]) for a in (proposed, trusted)] == [
        (202, "proposed"),
        (200, "trusted"),
    ]
    assert api.get(f"{PATH}/sources").json() == {"items": [trusted.json()]}

    near = propose(api, bank, **own, **of_jpy("176"))  # a tenth more
    assert (near.status_code, near.json()["table"]) == (201, "ecb-2026-05-04")
    assert (near.json()["approved_by"], api.get(PATH).json()) == ([], near.json())
    in_force = near.json()["table"]
    assert in_words(propose(api, bank, **of_jpy("176"))) == (403, "role_not_allowed")

    far = propose(api, bank, **own, **of_jpy("194"))
    assert (far.status_code, far.json()["person"]) == (202, None)
    assert far.json()["beyond"] == (
        "What EUR is worth in JPY moves by more than 10 % from ecb-2026-05-04."
    )
    assert api.get(PATH).json()["table"] == in_force
    assert in_words(approve(api, far, note=" ")) == (422, "evidence_missing")
    first = approve(api, far, "anna")
    assert (first.status_code, first.json()["person"]) == (202, "anna")
    assert in_words(approve(api, far, "anna")) == (403, "self_approval")
    assert api.get(PATH).json()["table"] == in_force
    second = approve(api, far, "cleo")
    assert (second.status_code, second.json()["approved_by"]) == (200, ["anna", "cleo"])


def test_the_key_of_a_source_is_nobodys_second_opinion(untouched: Api) -> None:
    api = untouched
    put_in_force(api)
    trust(api, "ecb")
    bank = with_key(api, "ecb", StaffRole.FINANCE)
    proposed = propose(api, **of_jpy("170"))
    assert in_words(approve(api, proposed, bank)) == (403, "role_not_allowed")


def test_nobody_trusts_a_source_alone_and_anybody_stops_it_alone(untouched: Api) -> None:
    api = untouched
    put_in_force(api)
    path = f"{PATH}/sources/ecb"
    assert api.post(f"{path}/trust", NOTE, person="anna").status_code == 202
    for own in ("anna", with_key(api, "anna", StaffRole.FINANCE)):
        again = api.post(f"{path}/trust", NOTE, person=own)
        assert in_words(again) == (403, "self_approval")
    assert api.post(f"{path}/trust", NOTE, person="fina").status_code == 200
    assert api.post(f"{path}/revoke", NOTE, person="anna").json()["status"] == "revoked"
    bank = with_key(api, "ecb", StaffRole.PLATFORM)
    refused = propose(api, bank, source="ecb", **of_jpy("161"))
    assert in_words(refused) == (403, "role_not_allowed")
    twice = api.post(f"{path}/revoke", NOTE, person="anna")
    assert in_words(twice) == (409, "nothing_to_change")


# --- what is no rate ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "numerator", "denominator", "decimal"),
    [
        ("1.10", 11, 10, "1.1"),
        ("0.00000000000000001", 1, 10**17, "0.00000000000000001"),
        ("123456789012.123456", 1929012328314429, 15625, "123456789012.123456"),
        ("007", 7, 1, "7"),
    ],
)
def test_a_decimal_is_kept_to_its_last_digit(
    api: Api, text: str, numerator: int, denominator: int, decimal: str
) -> None:
    note = {"note": "as it is"}
    (rate,) = propose(api, **of_usd(text), **note).json()["rates"]
    assert (rate["numerator"], rate["denominator"]) == (numerator, denominator)
    assert rate["decimal"] == decimal


@pytest.mark.parametrize(
    "changes",
    [
        of_usd(1.0843),
        of_usd(1),
        of_usd("1,0843"),
        of_usd("1e3"),
        of_usd("-1"),
        of_usd("+1"),
        of_usd(".5"),
        of_usd("5."),
        of_usd("0.000"),
        of_usd("1/3"),
        of_usd("NaN"),
        of_usd("١.٢"),
        of_usd("1.1\n"),
        of_usd("1." + "0" * 18),
        of_usd("4111111111111111"),
        {"rates": []},
        {"rates": [{"currency": "XXX", "rate": "1"}]},
        {"base": "XXX"},
        {"as_of": "2026-02-30"},
        {"as_of": "20260503"},
        {"as_of": "2026-05-03T00:00:00Z"},
        {"source": "Treasury Dept."},
        {"source": ""},
    ],
)
def test_what_is_no_rate_is_refused(api: Api, changes: dict[str, object]) -> None:
    answer = propose(api, **changes)
    assert (answer.status_code, answer.json()["code"]) == (422, "request_invalid")
    assert all(error["remedy"] for error in answer.json()["errors"])


@pytest.mark.parametrize(
    "rates",
    [
        [{"currency": "EUR", "rate": "1"}],
        [{"currency": "USD", "rate": "1"}, {"currency": "USD", "rate": "2"}],
    ],
)
def test_a_table_that_contradicts_itself_is_refused(api: Api, rates: list[object]) -> None:
    answer = propose(api, rates=rates)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_rate")
    assert rates[0]["currency"] in answer.json()["detail"]  # type: ignore[index]
