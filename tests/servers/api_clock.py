"""The API over a clock that a test sets: for what depends on the day or on waiting."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta

import httpx2

from ledger.commands.deposit import DepositCommands
from ledger.commands.inbox import Inbox
from ledger.commands.player import PlayerCommands
from tallystick.serve import bootstrap
from tests.integration.fraud.assessing import dispatch_of
from tests.servers.api_server import Api, ledger_of, serving


class Clock:
    """Says what it is set to."""

    def __init__(self, now: str) -> None:
        self.set(now)

    def __call__(self) -> datetime:
        return self.now

    def set(self, now: str) -> None:
        self.now = datetime.fromisoformat(now)

    def pass_by(self, **span: int) -> None:
        self.now += timedelta(**span)


@contextmanager
def clocked(api: Api, clock: Clock) -> Iterator[Api]:
    """The same API over the same database, by this clock."""
    handling = bootstrap.build_handling(ledger_of(api), clock)
    services = replace(
        api.services,
        handling=handling,
        players=PlayerCommands(handling),
        deposits=DepositCommands(handling),
        inbox=Inbox(handling),
    )
    with serving(services) as url, httpx2.Client(base_url=url, timeout=20.0) as client:
        yield replace(
            api,
            url=url,
            client=client,
            services=services,
            dispatch=dispatch_of(handling, api.assessments),
        )
