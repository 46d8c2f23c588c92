"""What the fraud indicators say about payouts, as the read model has it."""

from uuid import UUID

import psycopg
from psycopg_pool import ConnectionPool

from domain.fraud.assessment import Assessment
from ledger.commands.errors import NotAssessedYet
from projections.fraud import queries

CONNECTIONS_MAX = 8
TIMEOUT_SECONDS = 5.0


class StoredAssessments:
    """Asks the fraud read model, over a few connections. May be shared between threads.

    It answers for the request itself: what hit before it counts, what hits afterwards does not.
    """

    def __init__(self, conninfo: str, *, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        """`conninfo` is of the reader role; nothing is connected before the first question."""
        self._pool: ConnectionPool[psycopg.Connection[tuple[object, ...]]] = ConnectionPool(
            conninfo,
            min_size=0,
            max_size=CONNECTIONS_MAX,
            timeout=timeout_seconds,
            open=False,
            kwargs={"autocommit": True},
            check=ConnectionPool.check_connection,
            name="assessments",
        )

    def of(self, withdrawal_id: UUID, version: int) -> Assessment:
        """About what the event at `version` of the withdrawal asks for.

        Raises:
            NotAssessedYet: the read model has not come that far, or has stopped before.
            psycopg.OperationalError: the database cannot be asked, or there is no connection free.
        """
        self._pool.open()  # where it is open, nothing happens
        with self._pool.connection() as connection:
            row = queries.assessment(connection, withdrawal_id)
        if row is None or row.version < version:
            raise NotAssessedYet(withdrawal_id)
        return row.assessment

    def close(self) -> None:
        """Let go of the database."""
        self._pool.close()
