"""A worker asks about an attempt while another worker's first call is still under way."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import cast
from uuid import UUID, uuid4

import psycopg
import pytest

from domain.events.evidence import Evidence, Outcome, Source
from ledger.commands.dispatch import Dispatch
from ledger.commands.inbox import Inbox
from ledger.eventstore import database as stored
from ledger.eventstore.database import Role
from ledger.providers.protocol import Answer, PaymentProvider, Submission
from ledger.settings import Settings
from ledger.workers.worker import Worker
from tests.integration.fraud.assessing import CALL_TIMEOUT_SECONDS
from tests.servers.api_server import Api, running_api


@pytest.fixture(scope="module")
def api(module_database: Settings) -> Iterator[Api]:
    with running_api(module_database) as api:
        yield api


class Away:
    """Has nothing yet; while it is sent the payout again, the first call is found not sent."""

    def __init__(self, inbox: Inbox, payout: UUID, stop: threading.Event) -> None:
        self._inbox, self._payout, self._stop = inbox, payout, stop

    def fetch(self, reference: str, *, timeout_seconds: float) -> Answer:
        return Answer(outcome=Outcome.NOT_FOUND)

    def submit_payout(self, submission: Submission) -> Answer:
        self._stop.set()
        not_sent = Evidence(
            source=Source.ANSWER, outcome=Outcome.NOT_SENT, reference=submission.reference
        )
        self._inbox.hear(self._payout, not_sent)
        return Answer(outcome=Outcome.ACCEPTED)


def test_what_is_sent_again_makes_no_room_for_another_attempt(api: Api) -> None:
    player = uuid4()
    api.verified(player)
    api.fund(player)
    payout = UUID(api.withdraw(player).json()["id"])
    api.dispatch.screen(payout)
    api.dispatch.submit(payout, 1)
    stop = threading.Event()
    away = Away(api.services.inbox, payout, stop)
    worker = Worker(
        conninfo=stored.conninfo(api.settings, Role.WRITER),
        inbox=api.services.inbox,
        dispatch=api.dispatch,
        providers={"simulator": cast("PaymentProvider", away)},
        clock=lambda: datetime.now(UTC) + timedelta(seconds=5),
        concurrency=1,
        call_timeout_seconds=CALL_TIMEOUT_SECONDS,
    )
    late = threading.Timer(20.0, stop.set)
    late.start()
    worker.run(stop)
    late.cancel()
    shown = api.transaction(str(payout))
    assert [(leg["status"], leg["attempt"]) for leg in shown["legs"]] == [("processing", 1)]


class Watchful:
    """Has nothing, and notes how long the lease goes on when it is called, and what it may take."""

    def __init__(self, conninfo: str, stop: threading.Event) -> None:
        self._conninfo, self._stop = conninfo, stop
        self.left: list[tuple[float, float]] = []

    def fetch(self, reference: str, *, timeout_seconds: float) -> Answer:
        self._note(2 * timeout_seconds)  # it may be sent again under the same lease
        return Answer(outcome=Outcome.NOT_FOUND)

    def submit_payout(self, submission: Submission) -> Answer:
        self._note(submission.timeout_seconds)
        self._stop.set()
        return Answer(outcome=Outcome.ACCEPTED)

    def _note(self, takes_seconds: float) -> None:
        query = "SELECT extract(epoch FROM max(leased_until) - clock_timestamp()) FROM work_leases"
        with psycopg.connect(self._conninfo) as connection:
            (left_seconds,) = connection.execute(query).fetchone() or (0,)
        self.left.append((float(left_seconds), takes_seconds))


def calls_made(
    api: Api, settings: Settings, *, given: float, submitted: float, seconds: float
) -> list[tuple[float, float]]:
    """What a worker with this time-out calls, for a payout that never arrived."""
    player = uuid4()
    api.verified(player)
    api.fund(player)
    payout = UUID(api.withdraw(player).json()["id"])
    api.dispatch.screen(payout)
    api.dispatch.submit(payout, 1)
    stop = threading.Event()
    watchful = Watchful(stored.conninfo(settings, Role.READER), stop)
    worker = Worker(
        conninfo=stored.conninfo(settings, Role.WRITER),
        inbox=api.services.inbox,
        dispatch=Dispatch(api.services.handling, api.assessments, submitted),
        providers={"simulator": cast("PaymentProvider", watchful)},
        clock=lambda: datetime.now(UTC) + timedelta(seconds=5),
        concurrency=1,
        call_timeout_seconds=given,
    )
    late = threading.Timer(seconds, stop.set)
    late.start()
    worker.run(stop)
    late.cancel()
    return watchful.left


@pytest.mark.parametrize("timeout_seconds", [0.2, 5.0, 60.0])
def test_a_lease_outlasts_the_calls_that_are_made_under_it(
    database: Settings, timeout_seconds: float
) -> None:
    with running_api(database) as api:
        left = calls_made(
            api, database, given=timeout_seconds, submitted=timeout_seconds, seconds=20.0
        )
    assert len(left) == 2
    for left_seconds, takes_seconds in left:
        assert left_seconds > takes_seconds


def test_a_call_that_could_outlast_its_lease_is_not_made(database: Settings) -> None:
    with running_api(database) as api:
        left = calls_made(api, database, given=0.2, submitted=60.0, seconds=3.0)
    assert left  # it is asked about, which takes no longer than the lease allows for
    assert all(takes_seconds < left_seconds for left_seconds, takes_seconds in left)
