"""The fraud desk: what indicators find has consequences, each exactly once, whatever happens."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from api.http.services import Services
from domain.events.evidence import DeclineCode, Evidence, Outcome, Source
from domain.fraud.assessment import INDICATORS_ACTOR
from domain.fraud.case import case_stream
from domain.money import Money
from domain.player.player import Verification
from domain.provider.attempt import reference
from ledger.commands.deposit import CreateDeposit
from ledger.commands.dispatch import Dispatch
from ledger.commands.fraud_case import FraudCaseCommands
from ledger.commands.handling import Caller, Handling
from ledger.commands.player import PlayerCommands
from ledger.commands.ruleset import RuleSetCommands
from ledger.eventstore.codec import decode
from ledger.eventstore.database import Role, conninfo
from ledger.settings import Settings
from ledger.workers.fraud_desk import BATCH, FraudDesk
from projections.engine.projector import Projector
from projections.fraud.model import FRAUD
from projections.fraud_cases.fraud_cases import FRAUD_CASES
from tallystick.serve import bootstrap
from tests.conftest import admin_connection
from tests.generators.customers import Customer, token
from tests.integration.fraud.assessing import CALL_TIMEOUT_SECONDS, publish_rules
from tests.oracles.ledger_checks import rows
from tests.servers.api_server import Api, ledger_of, running_api, services_over

WITHIN_SECONDS = 20.0


@pytest.fixture(scope="module")
def api(module_database: Settings) -> Iterator[Api]:
    with running_api(module_database, indicators="live") as api:
        yield api


@pytest.fixture(scope="module")
def desk(api: Api) -> Iterator[FraudDesk]:
    with closing(bootstrap.build_fraud_desk(api.settings, api.services.handling)) as desk:
        yield desk


def followed(settings: Settings) -> None:
    """Every read model has come to the end of the log."""
    behind = "SELECT 1 FROM read_models WHERE position < (SELECT position FROM ledger_head)"
    deadline = time.monotonic() + WITHIN_SECONDS
    while rows(settings, behind):
        assert time.monotonic() < deadline, "the read models do not follow"
        time.sleep(0.01)


def at_the_desk(api: Api, desk: FraudDesk) -> None:
    """Everything that has hit by now is dealt with."""
    followed(api.settings)
    while desk.work():
        followed(api.settings)
    assert rows(api.settings, "SELECT id FROM fraud_v2.due") == []


def events(settings: Settings, topic: str, stream: UUID | None = None) -> list[dict[str, Any]]:
    query = """
        SELECT convert_from(state, 'UTF8')::jsonb AS said FROM ledger_events
        WHERE topic = %s AND (%s::uuid IS NULL OR originator_id = %s) ORDER BY notification_id
    """
    return [row.said for row in rows(settings, query, topic, stream, stream)]


def taken_up(settings: Settings, subject: str | None = None) -> Counter[str]:
    """How often each hit is in a case."""
    found = events(settings, "FraudCaseOpened") + events(settings, "FraudCaseHitAdded")
    hits = (event["hit"] for event in found)
    return Counter(hit["hit"] for hit in hits if subject in (None, hit["subject"]))


def uses_cards(customer: Customer, number: int) -> None:
    """Enough of them, five a week, are an indicator of high severity."""
    for _ in range(number):
        customer.attempts(token())


def approved(api: Api, amount: int = 1_000) -> tuple[Customer, dict[str, Any]]:
    """A payout that nothing speaks against, on its way to the provider."""
    customer = Customer(api)
    customer.pays_in(5_000)
    customer.plays(5_000)
    payout = customer.asks(amount)
    assert payout["status"] == "queued"
    return customer, payout


# --- cases --------------------------------------------------------------------------------------


def test_a_hit_of_high_severity_opens_a_case_and_the_next_one_joins_it(
    api: Api, desk: FraudDesk
) -> None:
    customer = Customer(api, Verification.BASIC)
    customer.pays_in(200_000)
    at_the_desk(api, desk)
    uses_cards(customer, 5)
    at_the_desk(api, desk)
    subject = f"player:{customer.id}"
    (case,) = rows(api.settings, "SELECT * FROM fraud_cases_v1.cases WHERE subject = %s", subject)
    assert case.indicators == ["due_diligence_threshold", "many_instruments"]
    assert (case.severity, case.hits_count, case.status) == ("high", 2, "open")
    opened = next(e for e in events(api.settings, "FraudCaseOpened") if e["subject"] == subject)
    assert (opened["actor"], opened["hit"]["holds"]) == ("system:fraud", True)
    assert opened["hit"]["sentence"].startswith("2000.00 EUR paid in within 180 days")
    assert set(taken_up(api.settings, subject).values()) == {1}


def test_after_a_case_is_closed_the_next_hit_opens_another(api: Api, desk: FraudDesk) -> None:
    customer = Customer(api)
    uses_cards(customer, 5)
    at_the_desk(api, desk)
    subject = f"player:{customer.id}"
    find = "SELECT id, number, status FROM fraud_cases_v1.cases WHERE subject = %s ORDER BY number"
    (case,) = rows(api.settings, find, subject)
    close_by_two(api, case.id, "confirmed")
    for _ in range(5):
        customer.is_declined(customer.card)
    at_the_desk(api, desk)
    assert [(one.number, one.status) for one in rows(api.settings, find, subject)] == [
        (1, "closed"),
        (2, "open"),
    ]


def close_by_two(api: Api, case_id: UUID, decision: str = "false_positive") -> None:
    """Ben proposes, and Cleo agrees."""
    path = f"/v1/cases/{case_id}/close"
    proposed = api.post(path, {"decision": decision, "reason": "Seen."}, person="ben")
    assert proposed.status_code == 202, proposed.text
    agreed = {"proposal": proposed.json()["proposal"]["id"]}
    assert api.post(f"{path}/agree", agreed, person="cleo").status_code == 200


def false_alarm(api: Api, desk: FraudDesk, subject: str) -> None:
    """What has hit by now is found to be nothing."""
    at_the_desk(api, desk)
    (case,) = rows(
        api.settings,
        "SELECT id FROM fraud_cases_v1.cases WHERE subject = %s AND status <> 'closed'",
        subject,
    )
    close_by_two(api, case.id)
    followed(api.settings)


def pays_in_and_changes_email(customer: Customer) -> None:
    customer.pays_in(100_000)
    customer.plays(100_000)
    changes = f"/v1/players/{customer.id}/credential-changes"
    customer.api.post(changes, {"credential": "email"}).raise_for_status()


def cases_of(api: Api, subject: str) -> list[tuple[int, str]]:
    find = "SELECT number, status FROM fraud_cases_v1.cases WHERE subject = %s ORDER BY number"
    return [(one.number, one.status) for one in rows(api.settings, find, subject)]


def test_after_a_false_alarm_larger_sums_in_the_same_pattern_are_looked_at(
    api: Api, desk: FraudDesk
) -> None:
    customer = Customer(api)
    subject = f"player:{customer.id}"
    for _ in range(3):
        customer.pays_in(195_000)
    customer.plays(585_000)
    false_alarm(api, desk, subject)
    assert customer.asks(10_000)["status"] == "queued"

    for _ in range(3):
        customer.pays_in(495_000)
    customer.plays(1_485_000)
    payout = customer.asks(10_000)
    assert (payout["status"], payout["high"]) == ("under_review", ["structuring"])
    at_the_desk(api, desk)
    assert cases_of(api, subject) == [(1, "closed"), (2, "open")]


def test_after_a_false_alarm_only_a_larger_payout_of_the_same_kind_waits(
    api: Api, desk: FraudDesk
) -> None:
    customer = Customer(api)
    subject = f"player:{customer.id}"
    pays_in_and_changes_email(customer)
    assert customer.asks(10_000)["status"] == "under_review"
    false_alarm(api, desk, subject)

    for amount in (10_000, 5_000):
        assert customer.asks(amount)["status"] == "queued"
    assert customer.asks(10_001)["status"] == "under_review"
    at_the_desk(api, desk)
    assert cases_of(api, subject) == [(1, "closed"), (2, "open")]


def test_after_a_false_alarm_about_one_target_a_change_and_another_target_are_looked_at(
    api: Api, desk: FraudDesk
) -> None:
    customer = Customer(api)
    subject = f"player:{customer.id}"
    api.fund(customer.id, 100_000, instrument=None)
    customer.plays(100_000)
    own, other = token(), token()
    assert customer.asks(10_000, instrument=own)["high"] == ["new_payout_target"]
    false_alarm(api, desk, subject)
    assert customer.asks(9_000, instrument=own)["status"] == "queued"

    for credential in ("password", "email"):
        changes = f"/v1/players/{customer.id}/credential-changes"
        api.post(changes, {"credential": credential}).raise_for_status()
    payout = customer.asks(8_000, instrument=other)
    assert (payout["status"], payout["high"]) == ("under_review", ["new_payout_target"])
    at_the_desk(api, desk)
    assert cases_of(api, subject) == [(1, "closed"), (2, "open")]
    close_by_two(api, case_stream(subject, 2))
    followed(api.settings)
    waiting = customer.asks(7_000, instrument=own)
    assert (waiting["status"], waiting["high"]) == ("under_review", ["new_payout_target"])


def test_what_is_of_medium_severity_is_in_no_case(api: Api, desk: FraudDesk) -> None:
    customer = Customer(api)
    uses_cards(customer, 3)
    at_the_desk(api, desk)
    subject = f"player:{customer.id}"
    (hit,) = rows(api.settings, "SELECT severity FROM fraud_v2.hits WHERE subject = %s", subject)
    assert hit.severity == "medium"
    assert not taken_up(api.settings, subject)


@pytest.mark.parametrize("mode", ["shadow", "off"])
def test_an_indicator_that_is_not_live_moves_nobody(database: Settings, mode: str) -> None:
    with running_api(database, indicators="live") as api:
        publish_rules(api.services, mode, "many_instruments", "card_testing")
        customer, payout = approved(api)
        uses_cards(customer, 5)
        for _ in range(5):
            customer.is_declined(customer.card)
        with closing(bootstrap.build_fraud_desk(database, api.services.handling)) as desk:
            at_the_desk(api, desk)
        topics = Counter(row.topic for row in rows(database, "SELECT topic FROM ledger_events"))
        assert not topics.keys() & {"FraudCaseOpened", "HoldPlaced", "WithdrawalScored"}
        assert api.transaction(payout["id"])["status"] == "queued"


# --- payouts that were judged before ------------------------------------------------------------


def test_a_later_hit_voids_the_approval_and_recalls_what_is_queued(
    api: Api, desk: FraudDesk
) -> None:
    customer, payout = approved(api)
    uses_cards(customer, 5)
    at_the_desk(api, desk)
    scored = api.transaction(payout["id"])
    assert (scored["score"], scored["high"]) == (50, ["many_instruments"])
    assert api.dispatch.submit(UUID(payout["id"]), 1) is None
    recalled = api.transaction(payout["id"])
    assert (recalled["status"], recalled["legs"][0]["status"]) == ("requested", "planned")
    api.dispatch.screen(UUID(payout["id"]))
    waiting = api.transaction(payout["id"])
    assert (waiting["status"], waiting["score"]) == ("under_review", 50)
    assert "high_indicator" in waiting["screening_reasons"]


def test_a_later_hit_voids_what_people_agreed_to(api: Api, desk: FraudDesk) -> None:
    customer = Customer(api)
    customer.pays_in(300_000)
    customer.plays(300_000)
    payout = customer.asks(250_000)
    api.post(f"/v1/withdrawals/{payout['id']}/approve", {}, person="anna").raise_for_status()
    uses_cards(customer, 5)
    at_the_desk(api, desk)
    api.dispatch.screen(UUID(payout["id"]))
    waiting = api.transaction(payout["id"])
    assert [given["counts"] for given in waiting["approvals"]] == [False]
    assert ["compliance"] in waiting["missing"]


def test_a_payout_that_was_judged_by_a_hit_is_not_scored_by_it_again(
    api: Api, desk: FraudDesk
) -> None:
    customer = Customer(api)
    customer.pays_in(20_000)
    customer.plays(20_000)
    uses_cards(customer, 5)
    payout = customer.asks(1_000)
    assert payout["score"] == 50
    at_the_desk(api, desk)
    assert events(api.settings, "WithdrawalScored", UUID(payout["id"])) == []


def test_an_indicator_counts_once_however_often_it_hits(api: Api, desk: FraudDesk) -> None:
    """Three cards within a day were counted already when five within a week were found."""
    customer = Customer(api)
    for card in (customer.card, token(), token()):
        customer.pays_in(2_000, card)
    customer.plays(6_000)
    payout = customer.asks(1_000)
    assert (payout["status"], payout["score"]) == ("queued", 25)
    uses_cards(customer, 2)
    at_the_desk(api, desk)
    (scored,) = events(api.settings, "WithdrawalScored", UUID(payout["id"]))
    assert (scored["score"], scored["high"]) == (50, ["many_instruments"])


def test_what_holds_payouts_by_itself_holds_those_asked_for_before(
    api: Api, desk: FraudDesk
) -> None:
    customer = Customer(api, Verification.BASIC)
    customer.pays_in(20_000)
    customer.plays(20_000)
    payout = customer.asks(1_000)
    assert payout["status"] == "under_review"
    customer.pays_in(180_000)
    at_the_desk(api, desk)
    api.dispatch.screen(UUID(payout["id"]))
    held = api.transaction(payout["id"])
    assert (held["status"], held["score"], held["high"]) == (
        "held",
        50,
        ["due_diligence_threshold"],
    )


def test_a_card_that_others_use_concerns_every_payout_to_it_and_no_other(
    api: Api, desk: FraudDesk
) -> None:
    first, payout = approved(api)
    _, elsewhere = approved(api)
    for _ in range(2):
        Customer(api).attempts(first.card)
    at_the_desk(api, desk)
    assert api.transaction(payout["id"])["high"] == ["shared_instrument"]
    assert api.transaction(elsewhere["id"])["high"] == []


def test_a_score_from_elsewhere_does_not_take_back_a_later_hit(api: Api, desk: FraudDesk) -> None:
    customer, payout = approved(api)
    uses_cards(customer, 5)
    at_the_desk(api, desk)
    harmless = {"score": 1, "high": [], "ruleset": "vendor-7"}
    api.post(f"/v1/withdrawals/{payout['id']}/scores", harmless).raise_for_status()
    assert api.dispatch.submit(UUID(payout["id"]), 1) is None
    api.dispatch.screen(UUID(payout["id"]))
    waiting = api.transaction(payout["id"])
    assert (waiting["status"], waiting["score"]) == ("under_review", 50)
    assert waiting["high"] == ["many_instruments"]


def test_what_has_been_sent_is_left_alone(api: Api, desk: FraudDesk) -> None:
    customer, payout = approved(api)
    assert api.dispatch.submit(UUID(payout["id"]), 1) is not None
    uses_cards(customer, 5)
    at_the_desk(api, desk)
    sent = api.transaction(payout["id"])
    assert (sent["status"], sent["score"]) == ("submitted", 0)


# --- holds on players ---------------------------------------------------------------------------


def test_card_testing_puts_the_player_on_hold_and_stops_their_payouts(
    api: Api, desk: FraudDesk
) -> None:
    customer, payout = approved(api)
    for _ in range(5):
        customer.is_declined(token())
    at_the_desk(api, desk)
    placed = events(api.settings, "HoldPlaced", customer.id)
    assert [(hold["hold"], hold["actor"]) for hold in placed] == [("fraud", "system:fraud")]
    find = "SELECT position FROM fraud_v2.hits WHERE indicator = 'card_testing' AND player_id = %s"
    (hit,) = rows(api.settings, find, customer.id)
    assert placed[0]["reason"] == f"Fraud indicators, at position {hit.position}"
    assert api.transaction(payout["id"])["score"] == 100
    assert api.dispatch.submit(UUID(payout["id"]), 1) is None


def test_once_card_testing_is_found_no_further_card_pays_in(api: Api, desk: FraudDesk) -> None:
    customer, refused = Customer(api), []
    for number in range(60):
        attempt = api.deposit(customer.id, 1_000, instrument=token()).json()
        if attempt["status"] == "blocked":
            refused.append(attempt["reason"])
            continue
        works = number % 4 == 3
        customer.hears(UUID(attempt["id"]), Outcome.SUCCEEDED if works else Outcome.DECLINED)
        at_the_desk(api, desk)
    find = "SELECT position FROM fraud_v2.hits WHERE indicator = 'card_testing' AND player_id = %s"
    (hit,) = rows(api.settings, find, customer.id)
    paid = """
        SELECT notification_id AS position FROM ledger_events WHERE topic = 'DepositCompleted'
        AND convert_from(state, 'UTF8')::jsonb ->> 'player_id' = %s
    """
    positions = [row.position for row in rows(api.settings, paid, str(customer.id))]
    assert [position for position in positions if position > hit.position] == []
    assert len(refused) > 50
    assert set(refused) == {"player_on_hold"}


def test_a_hold_of_payouts_alone_is_widened_when_cards_are_tested(
    api: Api, desk: FraudDesk
) -> None:
    customer = Customer(api)
    path, body = f"/v1/players/{customer.id}/holds", {"reason": "odd", "stops": ["payouts"]}
    api.post(path, body, person="ben").raise_for_status()
    for _ in range(5):
        customer.is_declined(token())
    at_the_desk(api, desk)
    first, second = events(api.settings, "HoldPlaced", customer.id)
    assert (first["reason"], second["hold"]) == ("odd", "fraud")
    assert second["stops"] == ["deposits", "payouts"]
    assert api.deposit(customer.id).json()["reason"] == "player_on_hold"


def test_a_player_who_is_on_hold_for_fraud_stays_so(api: Api, desk: FraudDesk) -> None:
    customer = Customer(api)
    for _ in range(5):
        customer.is_declined(token())
    api.post(f"/v1/players/{customer.id}/holds", {"reason": "odd"}, person="ben").raise_for_status()
    at_the_desk(api, desk)
    assert [hold["reason"] for hold in events(api.settings, "HoldPlaced", customer.id)] == ["odd"]
    assert taken_up(api.settings, f"player:{customer.id}")


def test_what_hit_long_ago_is_for_people_alone(database: Settings) -> None:
    with running_api(database, indicators="live") as api:
        ((customer, payout),) = _in_trouble(api, 1)
        ledger = ledger_of(api)
        handling = bootstrap.build_handling(ledger, lambda: datetime.now(UTC) + timedelta(days=999))
        with closing(bootstrap.build_fraud_desk(database, handling)) as desk:
            at_the_desk(api, desk)
        assert taken_up(database, f"player:{customer.id}")
        assert events(database, "HoldPlaced") == []
        assert api.transaction(str(payout))["status"] == "queued"


# --- hits that cannot be dealt with -------------------------------------------------------------


def test_hits_that_cannot_be_dealt_with_are_not_in_the_way_of_others(database: Settings) -> None:
    with running_api(database, indicators="live") as api:
        customers = [customer for customer, _ in _in_trouble(api, 3)]
        followed(database)
        due = rows(database, "SELECT id, player_id FROM fraud_v2.hits JOIN fraud_v2.due USING (id)")
        hits = {row.player_id: row.id for row in due}
        for stuck in customers[:2]:
            # Somebody has used the key under which the desk would hold the player.
            by = Caller(actor=INDICATORS_ACTOR, idempotency_key=hits[stuck.id])
            api.services.players.hold(stuck.id, reason="something else", caller=by)
        handling = api.services.handling
        with closing(_desk_of(database, handling, batch=1)) as desk:
            for _ in customers:
                desk.work()
            followed(database)
        in_cases = [bool(taken_up(database, f"player:{one.id}")) for one in customers]
        assert in_cases == [False, False, True]


def test_players_are_put_on_hold_although_a_read_model_for_payouts_is_behind(
    database: Settings,
) -> None:
    bootstrap.prepare(database)
    models = [FRAUD, FRAUD_CASES]
    with (
        closing(bootstrap.build_assessments(database)) as assessments,
        services_over(database) as services,
    ):
        dispatch = Dispatch(services.handling, assessments, CALL_TIMEOUT_SECONDS)
        players = [_tests_cards(services, dispatch) for _ in range(2)]
        Projector(conninfo=conninfo(database, Role.WRITER), models=models, decode=decode).catch_up()
        with closing(_desk_of(database, services.handling)) as desk:
            assert desk.work() == 0
        assert [len(events(database, "HoldPlaced", player)) for player in players] == [1, 1]
        assert taken_up(database) == Counter()


def _tests_cards(services: Services, dispatch: Dispatch) -> UUID:
    """A player of whom five cards are declined; no read model need follow."""
    player = uuid4()
    for _ in range(5):
        request = CreateDeposit(
            player_id=player,
            provider="simulator",
            method="card",
            amount=Money(1_000, "EUR"),
            instrument=token(),
            metadata={},
        )
        by = Caller(actor="operator:platform", idempotency_key=str(uuid4()))
        deposit = services.deposits.create(request, by).transaction.id
        dispatch.submit(deposit)
        declined = Evidence(
            source=Source.ANSWER,
            outcome=Outcome.DECLINED,
            reference=reference(deposit, 1),
            decline_code=DeclineCode.DO_NOT_HONOUR,
        )
        services.inbox.hear(deposit, declined)
    return player


def _desk_of(settings: Settings, handling: Handling, batch: int = BATCH) -> FraudDesk:
    return FraudDesk(
        conninfo=conninfo(settings, Role.READER),
        handling=handling,
        players=PlayerCommands(handling),
        cases=FraudCaseCommands(handling),
        rulesets=RuleSetCommands(handling),
        batch=batch,
    )


# --- exactly once -------------------------------------------------------------------------------


def test_two_desks_side_by_side_do_everything_once(database: Settings) -> None:
    with running_api(database, indicators="live") as api:
        customers = _in_trouble(api, 6)
        followed(database)
        with desks_running(api, 2):
            _until_nothing_is_due(database)
        _everything_happened_once(database, customers)


@pytest.mark.parametrize(
    "place",
    [
        "writer.before_commit:1",  # nothing is recorded
        "writer.after_commit:1",  # the player is on hold
        "writer.after_commit:2",  # the payout is scored as well
        "writer.after_commit:3",  # and the case is open
        "writer.after_commit:4",  # the next player is on hold
    ],
)
def test_a_desk_killed_anywhere_leaves_nothing_undone_or_doubled(
    api: Api, desk: FraudDesk, place: str
) -> None:
    at_the_desk(api, desk)
    customers = _in_trouble(api, 2)
    followed(api.settings)
    assert _dies(api.settings, place)
    at_the_desk(api, desk)
    _everything_happened_once(api.settings, customers)


def test_a_desk_outlives_a_database_that_is_away(database: Settings) -> None:
    with running_api(database, indicators="live") as api:
        customers = _in_trouble(api, 1)
        followed(database)
        with desks_running(api, 1):
            _disconnect_everybody(database)
            _until_nothing_is_due(database)
            customers += _in_trouble(api, 1)
            _until_nothing_is_due(database, hits=len(customers))
        _everything_happened_once(database, customers)


DESK = """
import sys, threading
from tallystick.serve import bootstrap
from ledger.settings import Settings
settings = Settings.model_validate_json(sys.argv[1])
ledger = bootstrap.build_ledger(settings)
bootstrap.build_fraud_desk(settings, bootstrap.build_handling(ledger)).run(threading.Event())
"""


def _dies(settings: Settings, place: str) -> bool:
    """Whether a desk in a process of its own was killed at the place."""
    process = subprocess.Popen(
        [sys.executable, "-c", DESK, settings.model_dump_json()],
        env={**os.environ, "TALLYSTICK_FAULTPOINT": place},
    )
    try:
        return process.wait(WITHIN_SECONDS) == -signal.SIGKILL
    finally:
        process.kill()


def _in_trouble(api: Api, number: int) -> list[tuple[Customer, UUID]]:
    """Players who test cards while a payout of theirs is on its way."""
    found = []
    for _ in range(number):
        customer, payout = approved(api)
        for _ in range(5):
            customer.is_declined(customer.card)
        found.append((customer, UUID(payout["id"])))
    return found


def _everything_happened_once(settings: Settings, customers: list[tuple[Customer, UUID]]) -> None:
    for customer, payout in customers:
        subject = f"player:{customer.id}"
        assert list(taken_up(settings, subject).values()) == [1]
        opened = [e for e in events(settings, "FraudCaseOpened") if e["subject"] == subject]
        assert len(opened) == 1
        assert len(events(settings, "HoldPlaced", customer.id)) == 1
        assert [e["score"] for e in events(settings, "WithdrawalScored", payout)] == [100]


def _until_nothing_is_due(settings: Settings, hits: int = 0) -> None:
    deadline = time.monotonic() + WITHIN_SECONDS
    while True:
        followed(settings)
        if sum(taken_up(settings).values()) >= hits and not rows(
            settings, "SELECT id FROM fraud_v2.due"
        ):
            return
        assert time.monotonic() < deadline, "something is still due"
        time.sleep(0.02)


@contextmanager
def desks_running(api: Api, number: int) -> Iterator[None]:
    """Desks, each with a ledger of its own, as in processes of their own."""
    stop = threading.Event()
    ledgers = [bootstrap.build_ledger(api.settings) for _ in range(number)]
    desks = [
        bootstrap.build_fraud_desk(api.settings, bootstrap.build_handling(ledger))
        for ledger in ledgers
    ]
    threads = [threading.Thread(target=desk.run, args=(stop,)) for desk in desks]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        for ledger in ledgers:
            ledger.close()


def _disconnect_everybody(settings: Settings) -> None:
    with admin_connection(settings) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
            [settings.database_name],
        )
