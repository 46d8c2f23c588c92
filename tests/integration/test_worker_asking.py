"""A worker asks about an attempt while another worker's first call is still under way."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import cast
from uuid import UUID, uuid4

import pytest

from domain.outcomes import Evidence, Outcome, Source
from tallystick.commands.inbox import Inbox
from tallystick.config import Settings
from tallystick.eventstore import database
from tallystick.eventstore.database import Role
from tallystick.providers.protocol import Answer, PaymentProvider, Submission
from tallystick.workers import Worker
from tests.integration.api_server import Api, running_api
from tests.integration.assessing import CALL_TIMEOUT_SECONDS


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
        conninfo=database.conninfo(api.settings, Role.WRITER),
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
