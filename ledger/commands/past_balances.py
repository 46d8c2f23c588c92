"""Balances as they were, for requests that are repeated and get their first answer again."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

import psycopg
from psycopg_pool import ConnectionPool

from ledger.eventstore.ledger import Ledger
from projections.engine import reading
from projections.journal import journal
from projections.journal.journal import JOURNAL

CONNECTIONS_MAX = 8


class PastBalances:
    """Asks the journal, over a few connections. May be shared between threads."""

    def __init__(self, conninfo: str, *, timeout_seconds: float) -> None:
        """`conninfo` is of the reader role; nothing is connected before the first question."""
        self._timeout_seconds = timeout_seconds
        self._pool: ConnectionPool[psycopg.Connection[tuple[object, ...]]] = ConnectionPool(
            conninfo,
            min_size=0,
            max_size=CONNECTIONS_MAX,
            timeout=timeout_seconds,
            open=False,
            kwargs={"autocommit": True},
            check=ConnectionPool.check_connection,
            name="past-balances",
        )

    def __call__(self, accounts: Sequence[str], position: int) -> Mapping[str, int]:
        """Balances after the event at `position`, in minor units, by account.

        Raises:
            ReadModelBehind: the journal has not followed as far in time.
            psycopg.OperationalError: the database cannot be asked, or there is no connection free.
        """
        self._pool.open()  # where it is open, nothing happens
        with self._pool.connection() as connection:
            reading.wait_for_sync(connection, JOURNAL, position, self._timeout_seconds)
            return journal.balances_as_of_sync(connection, accounts, position)

    def close(self) -> None:
        """Let go of the database."""
        self._pool.close()


class LedgerWithPast(Ledger):
    """The ledger, and what balances were at a position of it; they are closed together."""

    def __init__(
        self,
        conninfo: str,
        *,
        clock: Callable[[], datetime],
        queue_size_max: int,
        timeout_seconds: float,
        past_balances: PastBalances,
    ) -> None:
        super().__init__(
            conninfo, clock=clock, queue_size_max=queue_size_max, timeout_seconds=timeout_seconds
        )
        self.past_balances = past_balances

    def close(self) -> None:
        """Write what is queued, then let go of the database."""
        super().close()
        self.past_balances.close()
