"""Appends that are certain to wait in one queue, and to be written as one batch."""

import threading
from concurrent.futures import Future, ThreadPoolExecutor

from ledger.eventstore.append import Receipt
from ledger.eventstore.database import Role
from ledger.eventstore.ledger import Ledger
from ledger.settings import Settings
from tests.conftest import admin_connection
from tests.oracles.ledger_checks import registered


def until(condition: object) -> None:
    """Wait for something that is bound to happen; pytest's time-out bounds it."""
    pause = threading.Event()
    while not condition():
        pause.wait(0.005)


class Batch:
    """Appends that are written together, in the order they were given.

    While somebody else holds the head row, the writer waits with an append of no interest here,
    and those that are added queue behind it.
    """

    def __init__(self, ledger: Ledger, database: Settings) -> None:
        self.ledger, self.database = ledger, database
        self.pool = ThreadPoolExecutor(64)
        self.futures: list[Future[Receipt]] = []

    def __enter__(self) -> "Batch":
        self.holder = admin_connection(self.database, self.database.database_name)
        self.holder.execute("BEGIN")
        self.holder.execute("SELECT * FROM ledger_head FOR UPDATE")
        self.blocker = self.pool.submit(self.ledger.append, [registered()])
        until(self._writer_waits_for_the_head)
        return self

    def add(self, *events: object, **rest: object) -> None:
        waiting = self.ledger.waiting()
        self.futures.append(self.pool.submit(self.ledger.append, events, **rest))
        until(lambda: self.ledger.waiting() == waiting + 1)

    def __exit__(self, *raised: object) -> None:
        self.holder.close()
        self.blocker.exception()  # written, or its deadline passed while the head was held
        self.pool.shutdown()

    def _writer_waits_for_the_head(self) -> bool:
        with admin_connection(self.database) as connection:
            return bool(
                connection.execute(
                    "SELECT 1 FROM pg_stat_activity WHERE datname = %s AND usename = %s"
                    " AND wait_event_type = 'Lock'",
                    [self.database.database_name, Role.WRITER.value],
                ).fetchone()
            )
