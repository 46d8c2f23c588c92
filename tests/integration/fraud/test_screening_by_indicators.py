"""Payouts are judged by the indicators in force: alone, by people, or held, and it is said why."""

import json
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from api.http.services import Services
from domain.events.evidence import Evidence, Outcome, Source
from domain.money import Money
from domain.player.player import Verification
from domain.provider.attempt import reference
from ledger.commands.deposit import CreateDeposit
from ledger.commands.dispatch import Dispatch
from ledger.commands.errors import NotAssessedYet
from ledger.commands.handling import Caller, digest
from ledger.commands.withdrawal import RequestWithdrawal
from ledger.eventstore.codec import decode
from ledger.eventstore.database import Role, conninfo
from ledger.settings import Settings
from ledger.workers.worker import Worker, lease_seconds
from projections.engine.projector import Projector
from projections.fraud.model import FRAUD
from projections.registry import READ_MODELS
from replay.event_text import seen
from replay.transaction import story
from tallystick.serve import bootstrap
from tests.generators.customers import Customer, token
from tests.integration.fraud.assessing import CALL_TIMEOUT_SECONDS, publish_rules
from tests.oracles.ledger_checks import rows
from tests.servers.api_server import Api, running_api, services_over


@pytest.fixture(scope="module")
def api(module_database: Settings) -> Iterator[Api]:
    with running_api(module_database, indicators="live") as api:
        yield api


def indicators(payout: dict[str, Any]) -> dict[str, str]:
    """What was counted, and how bad it was."""
    return {hit["indicator"]: hit["severity"] for hit in payout["hits"]}


def decide(api: Api, payout: dict[str, Any], what: str, person: str) -> Any:
    return api.post(f"/v1/withdrawals/{payout['id']}/{what}", {}, person=person)


# --- by themselves ------------------------------------------------------------------------------


def test_a_small_payout_that_nothing_speaks_against_needs_nobody(api: Api) -> None:
    customer = Customer(api)
    customer.pays_in(5_000)
    customer.plays(5_000)
    payout = customer.asks(1_000)
    assert (payout["status"], payout["score"], payout["hits"]) == ("queued", 0, [])
    assert payout["ruleset"] == "default-1"


def test_a_score_below_40_needs_nobody_and_says_what_it_is_made_of(api: Api) -> None:
    customer = Customer(api)
    customer.pays_in(5_000)
    payout = customer.asks(1_000)
    assert (payout["status"], payout["score"]) == ("queued", 25)
    (hit,) = payout["hits"]
    assert (hit["indicator"], hit["severity"], hit["holds"]) == ("low_turnover", "medium", False)
    assert hit["subject"] == f"player:{customer.id}"
    (found,) = rows(
        api.settings,
        "SELECT topic FROM ledger_events WHERE notification_id = %s AND originator_id = %s",
        hit["position"],
        UUID(payout["id"]),
    )
    assert found.topic == "WithdrawalRequested"


# --- by people ----------------------------------------------------------------------------------


def test_two_of_medium_severity_wait_for_people_with_the_reasons_on_them(api: Api) -> None:
    customer = Customer(api)
    for card in (customer.card, token(), token()):
        customer.pays_in(2_000, card)
    payout = customer.asks(1_000)
    assert (payout["status"], payout["score"]) == ("under_review", 50)
    assert indicators(payout) == {"low_turnover": "medium", "many_instruments": "medium"}
    assert (payout["screening_reasons"], payout["required"]) == (["score_too_high"], [["fraud"]])
    (head,) = rows(api.settings, "SELECT position FROM ledger_head")
    wanted = {"limit": 200, "min_position": head.position}
    queue = api.get("/v1/queue", "cleo", params=wanted).json()
    (waiting,) = [row for row in queue["items"] if row["transaction_id"] == payout["id"]]
    assert waiting["score"] == 50
    assert waiting["reasons"] == ["score_too_high", "low_turnover", "many_instruments"]
    assert decide(api, payout, "approve", "ben").json()["status"] == "queued"


# --- held ---------------------------------------------------------------------------------------


def test_an_indicator_that_holds_leaves_it_to_compliance_first(api: Api) -> None:
    customer = Customer(api, Verification.BASIC)
    customer.pays_in(200_000)
    customer.plays(200_000)
    payout = customer.asks(1_000)
    assert (payout["status"], payout["score"]) == ("held", 50)
    assert indicators(payout) == {"due_diligence_threshold": "high"}
    assert payout["hits"][0]["holds"] is True
    assert "held_by_indicators" in payout["screening_reasons"]
    for person, what in (("ben", "release"), ("anna", "release"), ("ben", "reject")):
        answer = decide(api, payout, what, person)
        assert (answer.status_code, answer.json()["code"]) == (403, "role_not_allowed")
    assert decide(api, payout, "approve", "cleo").json()["code"] == "invalid_transition"
    released = decide(api, payout, "release", "cleo").json()
    assert released["status"] == "under_review"
    assert ["fraud"] in released["missing"]
    assert ["compliance"] in released["missing"]
    assert decide(api, payout, "approve", "ben").json()["status"] == "under_review"
    assert decide(api, payout, "approve", "cleo").json()["status"] == "queued"


def test_full_verification_lets_later_payouts_go(api: Api) -> None:
    customer = Customer(api, Verification.BASIC)
    customer.pays_in(200_000)
    customer.plays(200_000)
    assert customer.asks(1_000)["status"] == "held"
    customer.verify(Verification.FULL)
    payout = customer.asks(1_000)
    assert (payout["status"], payout["score"]) == ("queued", 0)


def test_a_score_of_70_holds_whatever_it_is_made_of(api: Api) -> None:
    customer = Customer(api)
    customer.pays_in(20_000)
    payout = customer.asks(18_000)
    assert indicators(payout) == {"low_turnover": "medium", "pass_through": "high"}
    assert (payout["status"], payout["score"], payout["high"]) == ("held", 75, ["pass_through"])
    assert decide(api, payout, "release", "cleo").json()["status"] == "under_review"


def test_a_credential_that_has_just_changed_makes_a_payout_wait(api: Api) -> None:
    customer = Customer(api)
    customer.pays_in(5_000)
    customer.plays(5_000)
    path, body = f"/v1/players/{customer.id}/credential-changes", {"credential": "email"}
    changed = api.post(path, body, key=f"change-{customer.id}")
    again = api.post(path, body, key=f"change-{customer.id}")
    assert (changed.status_code, changed.json()["version"]) == (200, again.json()["version"])
    payout = customer.asks(1_000)
    assert indicators(payout) == {"new_payout_target": "high"}
    assert payout["status"] == "under_review"
    kept = "SELECT count(*) AS n FROM ledger_events WHERE topic = 'CredentialsChanged'"
    assert rows(api.settings, kept + " AND originator_id = %s", customer.id)[0].n == 1


def test_what_is_asked_for_instead_is_judged_anew(api: Api) -> None:
    customer = Customer(api)
    customer.pays_in(20_000)
    payout = customer.asks(18_000)
    assert payout["status"] == "held"
    less = {"amount": {"amount": 1_000, "currency": "EUR"}, "instrument": customer.card}
    path = f"/v1/withdrawals/{payout['id']}"
    api.post(f"{path}/amend", less, person="sam").raise_for_status()
    api.post(f"{path}/release", {}, person="cleo").raise_for_status()
    api.dispatch.screen(UUID(payout["id"]))
    version = "SELECT version, amount_minor FROM fraud_v2.assessments WHERE withdrawal_id = %s"
    (assessed,) = rows(api.settings, version, UUID(payout["id"]))
    assert assessed.amount_minor == 1_000
    assert assessed.version > 1


# --- what is said of it afterwards --------------------------------------------------------------


def test_the_story_says_what_the_approver_saw(api: Api) -> None:
    customer = Customer(api)
    for card in (customer.card, token(), token()):
        customer.pays_in(2_000, card)
    payout = customer.asks(1_000)
    decide(api, payout, "approve", "ben").raise_for_status()
    with psycopg.connect(conninfo(api.settings, Role.READER)) as connection:
        steps = story(connection, UUID(payout["id"])).steps
    (approved,) = [step for step in steps if step.event == "WithdrawalApproved"]
    assert approved.saw is not None
    assert approved.saw.score is not None
    score = approved.saw.score
    assert (score.score, score.ruleset) == (50, "default-1")
    assert [hit.indicator for hit in score.hits] == ["low_turnover", "many_instruments"]
    (said,) = [line for line in seen(approved.saw) if line.startswith("score: ")]
    assert said.startswith("score: 50 by default-1 (position ")
    assert "counted: low_turnover (medium, position " in said


# --- shadow and off -----------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["shadow", "off"])
def test_an_indicator_that_is_not_live_has_no_effect(database: Settings, mode: str) -> None:
    with running_api(database, indicators="live") as api:
        name = publish_rules(api.services, mode, "due_diligence_threshold")
        customer = Customer(api, Verification.BASIC)
        customer.pays_in(200_000)
        customer.plays(200_000)
        customer.verify(Verification.FULL)
        payout = customer.asks(1_000)
        assert (payout["status"], payout["score"], payout["hits"]) == ("queued", 0, [])
        assert payout["ruleset"] == name
        found = rows(database, "SELECT mode FROM fraud_v2.hits")
        assert [hit.mode for hit in found] == (["shadow"] if mode == "shadow" else [])
        assert rows(database, "SELECT id FROM fraud_v2.due") == []


# --- nothing leaves unjudged --------------------------------------------------------------------


def test_a_payout_waits_for_a_read_model_that_has_stopped(database: Settings) -> None:
    """And the worker leaves it alone for longer than a lease lasts, instead of asking all day."""
    bootstrap.prepare(database)
    writer = conninfo(database, Role.WRITER)
    others = [model for model in READ_MODELS if model is not FRAUD]
    topics = "SELECT topic FROM ledger_events WHERE originator_id = %s"
    with (
        closing(bootstrap.build_assessments(database)) as assessments,
        services_over(database) as services,
    ):
        dispatch = Dispatch(services.handling, assessments, CALL_TIMEOUT_SECONDS)
        payout = asked_for(services, dispatch)
        Projector(conninfo=writer, models=others, decode=decode).catch_up()
        with pytest.raises(NotAssessedYet):
            dispatch.screen(payout)
        worker = Worker(
            conninfo=writer,
            inbox=services.inbox,
            dispatch=dispatch,
            providers={},
            clock=lambda: datetime.now(UTC) + timedelta(hours=1),
            concurrency=2,
            call_timeout_seconds=CALL_TIMEOUT_SECONDS,
        )
        with working(worker):
            put_off = "SELECT 1 FROM work_leases WHERE work LIKE %s AND leased_until > now() + %s"
            while not rows(
                database,
                put_off,
                f"{payout}%",
                timedelta(seconds=lease_seconds(CALL_TIMEOUT_SECONDS)),
            ):
                time.sleep(0.02)
        assert [row.topic for row in rows(database, topics, payout)] == ["WithdrawalRequested"]
        Projector(conninfo=writer, models=[FRAUD], decode=decode).catch_up()
        dispatch.screen(payout)
        assert "WithdrawalScreened" in [row.topic for row in rows(database, topics, payout)]


def asked_for(services: Services, dispatch: Dispatch) -> UUID:
    """A payout that is requested, and nothing more; the read models need not follow."""
    player, money = uuid4(), Money(5_000, "EUR")
    what: dict[str, Any] = {
        "player_id": player,
        "provider": "simulator",
        "method": "card",
        "amount": money,
        "instrument": token(),
        "metadata": {},
    }
    by = Caller(actor="operator:platform", idempotency_key=str(player))
    deposit = services.deposits.create(CreateDeposit(**what), by).transaction.id
    dispatch.submit(deposit)
    evidence = Evidence(
        source=Source.ANSWER, outcome=Outcome.SUCCEEDED, reference=reference(deposit, 1)
    )
    services.inbox.hear(deposit, evidence)
    return services.withdrawals.request(RequestWithdrawal(**what), by).transaction.id


@contextmanager
def working(worker: Worker) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=worker.run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


# --- names --------------------------------------------------------------------------------------


def test_another_name_on_the_card_makes_a_payout_to_it_wait(api: Api) -> None:
    customer = Customer(api)
    customer.pays_in(5_000)
    customer.plays(5_000)
    alike = checked(api, customer, "LOPEZ, MARÍA", "Maria López")
    assert (alike.status_code, alike.json()["similarity_percent"]) == (200, 100)
    assert customer.asks(1_000)["hits"] == []
    assert checked(api, customer, "Peter Gruber", "Maria López").json()["similarity_percent"] < 85
    payout = customer.asks(1_000)
    assert indicators(payout) == {"name_mismatch": "high"}
    assert payout["hits"][0]["subject"] == f"holding:{customer.id}:{customer.card}"


def test_names_of_holders_are_kept_nowhere(
    api: Api, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Neither they nor a digest that they could be guessed by, whatever became of the request."""
    customer = Customer(api)
    holder, verified = "Xaver Quintessa-Zwirnlein", "Wilhelmine Ypsilanti"
    key = str(uuid4())
    with caplog.at_level(logging.DEBUG):
        first = checked(api, customer, holder, verified, key=key)
        again = checked(api, customer, holder, verified, key=key)
        other = checked(api, customer, holder, holder, key=key)
        refused = checked(api, customer, holder + " 4111 1111 1111 1111", verified)
        nobody = api.post(f"/v1/players/{uuid4()}/holder-checks", body_of(customer, holder, holder))
    assert first.content == again.content
    assert [answer.status_code for answer in (first, other, refused, nobody)] == [
        200,
        422,
        422,
        404,
    ]
    said = "".join(
        (caplog.text, *capfd.readouterr(), *(a.text for a in (first, other, refused, nobody)))
    )
    everything = "\n".join(whole_database(api.settings)) + said
    digests = {sha256(name.encode()).hexdigest() for name in (holder, verified)}
    for part in ("Quintessa", "Zwirnlein", "Xaver", "Wilhelmine", "Ypsilanti", *digests):
        assert part.casefold() not in everything.casefold()
    assert customer.card in everything
    (event,) = rows(
        api.settings,
        "SELECT state FROM ledger_events WHERE topic = 'InstrumentHolderChecked'"
        " AND originator_id = %s",
        customer.id,
    )
    percent = first.json()["similarity_percent"]
    request = {"id": customer.id, "instrument": customer.card, "similarity_percent": percent}
    assert json.loads(bytes(event.state))["request_digest"] == digest(request)


def checked(
    api: Api, customer: Customer, holder: str, verified: str, key: str | None = None
) -> Any:
    path = f"/v1/players/{customer.id}/holder-checks"
    return api.post(path, body_of(customer, holder, verified), key=key)


def body_of(customer: Customer, holder: str, verified: str) -> dict[str, str]:
    return {"instrument": customer.card, "holder_name": holder, "verified_name": verified}


def whole_database(settings: Settings) -> Iterator[str]:
    """Every row of every table, as text; bytes as the text that they are of."""
    with psycopg.connect(conninfo(settings, Role.OWNER)) as connection:
        tables = connection.execute(
            "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables"
            " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        ).fetchall()
        for (table,) in tables:
            for row in connection.execute(f"SELECT * FROM {table}".encode()):
                yield " ".join(
                    value.decode(errors="replace") if isinstance(value, bytes) else str(value)
                    for value in row
                )


# --- where requests come from -------------------------------------------------------------------


@pytest.mark.parametrize("field", ["device", "address"])
@pytest.mark.parametrize("value", ["203.0.113.7", "2001:db8::7", "[2001:db8::7]:443", "10.0.0.0/8"])
def test_network_addresses_are_not_taken(api: Api, field: str, value: str) -> None:
    answer = api.deposit(uuid4(), 1_000, origin={field: value})
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["code"]) == (422, "network_address")
    assert error["location"] == f"body.origin.{field}"
    assert "keyed hash" in error["remedy"]
    assert value not in answer.text


@pytest.mark.parametrize(
    "origin",
    [
        {"address_country": "de"},
        {"instrument_country": "DEU"},
        {"bin": "41111"},
        {"bin": "411111111"},
        {"bin": 411111},
        {"ip": "x"},
    ],
)
def test_an_origin_is_as_it_has_to_be_or_refused(api: Api, origin: dict[str, Any]) -> None:
    for ask in (api.deposit, api.withdraw):
        assert ask(uuid4(), 1_000, origin=origin).json()["code"] == "request_invalid"


def test_the_origin_is_in_the_log_and_not_in_the_answer(api: Api) -> None:
    customer = Customer(api)
    origin = {"device": "dev_4fA9", "address": "adr_91bc", "address_country": "MT", "bin": "411111"}
    customer.pays_in(5_000, origin=origin)
    answers = [
        api.deposit(customer.id, 1_000, origin=origin),
        api.withdraw(customer.id, 1_000, origin=origin),
        batch(api, "create-deposit", customer, origin),
        batch(api, "request-withdrawal", customer, origin),
    ]
    for answer in answers:
        assert answer.status_code < 300, answer.text
        assert "dev_4fA9" not in answer.text
    kept = rows(
        api.settings,
        "SELECT state FROM ledger_events"
        " WHERE topic IN ('DepositCreated', 'WithdrawalRequested')"
        " AND convert_from(state, 'UTF8') LIKE '%%dev_4fA9%%'",
    )
    assert len(kept) == 5
    assert all(
        json.loads(bytes(row.state))["origin"] == {"instrument_country": None, **origin}
        for row in kept
    )


def test_the_same_key_with_another_origin_is_another_request(api: Api) -> None:
    customer, key = Customer(api), str(uuid4())
    body = {
        "player_id": str(customer.id),
        "amount": {"amount": 1_000, "currency": "EUR"},
        "method": "card",
    }
    first = api.post("/v1/deposits", body | {"origin": {"device": "dev_1"}}, key=key)
    other = api.post("/v1/deposits", body | {"origin": {"device": "dev_2"}}, key=key)
    assert first.status_code == 201
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


def batch(api: Api, operation: str, customer: Customer, origin: dict[str, str]) -> Any:
    body = {
        "player_id": str(customer.id),
        "amount": {"amount": 1_000, "currency": "EUR"},
        "method": "card",
        "origin": origin,
    }
    command = {"operation": operation, "idempotency_key": str(uuid4()), "body": body}
    return api.post("/v1/batches", {"commands": [command]})
