"""What people and workers ask of the fraud read model."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from psycopg import AsyncConnection, Connection
from psycopg.rows import args_row

from projections.engine.tables import builder
from projections.fraud.judging import Hit
from projections.fraud.model import ASSESSMENTS, HITS, AssessmentRow

_HIT: Final = builder(Hit)
_ASSESSMENT: Final = builder(AssessmentRow)

_SELECT_HITS: Final = f"SELECT {', '.join(HITS.columns)} FROM fraud_v2.hits"
_SELECT_ASSESSMENT: Final = (
    f"SELECT {', '.join(ASSESSMENTS.columns)} FROM fraud_v2.assessments WHERE withdrawal_id = %s"
)
_DUE: Final = (
    f"{_SELECT_HITS} JOIN fraud_v2.due USING (id, position) ORDER BY position, id LIMIT %s"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """The last hit seen."""

    position: int
    id: str


def assessment(connection: Connection[Any], withdrawal_id: UUID) -> AssessmentRow | None:
    """What a payout was judged by; None where it has not been judged yet."""
    with connection.cursor(binary=True, row_factory=args_row(_ASSESSMENT)) as cursor:
        cursor.execute(_SELECT_ASSESSMENT.encode(), [withdrawal_id])
        return cursor.fetchone()


def due(connection: Connection[Any], limit: int) -> list[Hit]:
    """Live hits of high or critical severity that no case has taken up, oldest first."""
    with connection.cursor(binary=True, row_factory=args_row(_HIT)) as cursor:
        cursor.execute(_DUE.encode(), [limit])
        return cursor.fetchall()


def is_anything_due(connection: Connection[Any]) -> bool:
    """Whether there are hits that no case has taken up yet."""
    row = connection.execute("SELECT EXISTS (SELECT FROM fraud_v2.due)").fetchone()
    return row is not None and row[0] is True


async def assessment_of(
    connection: AsyncConnection[Any], withdrawal_id: UUID
) -> AssessmentRow | None:
    """As `assessment`, for those who do not wait."""
    async with connection.cursor(binary=True, row_factory=args_row(_ASSESSMENT)) as cursor:
        await cursor.execute(_SELECT_ASSESSMENT.encode(), [withdrawal_id])
        return await cursor.fetchone()


async def hits(
    connection: AsyncConnection[Any],
    *,
    indicators: Sequence[str] = (),
    subject: str | None = None,
    player_id: UUID | None = None,
    severities: Sequence[str] = (),
    modes: Sequence[str] = (),
    upto: int | None = None,
    cursor: Cursor | None = None,
    limit: int = 50,
) -> list[Hit]:
    """Hits, latest first; up to a position, that one included."""
    query = f"""
        {_SELECT_HITS}
        WHERE (%(indicators)s::text[] IS NULL OR indicator = ANY(%(indicators)s))
          AND (%(subject)s::text IS NULL OR subject = %(subject)s)
          AND (%(player_id)s::uuid IS NULL OR player_id = %(player_id)s)
          AND (%(severities)s::text[] IS NULL OR severity = ANY(%(severities)s))
          AND (%(modes)s::text[] IS NULL OR mode = ANY(%(modes)s))
          AND (%(upto)s::bigint IS NULL OR position <= %(upto)s)
          AND (%(position)s::bigint IS NULL OR (position, id) < (%(position)s, %(id)s))
        ORDER BY position DESC, id DESC LIMIT %(limit)s
    """
    values = {
        "indicators": list(indicators) or None,
        "subject": subject,
        "player_id": player_id,
        "severities": list(severities) or None,
        "modes": list(modes) or None,
        "upto": upto,
        "position": cursor.position if cursor else None,
        "id": cursor.id if cursor else None,
        "limit": limit,
    }
    async with connection.cursor(binary=True, row_factory=args_row(_HIT)) as found:
        await found.execute(query.encode(), values)
        return await found.fetchall()


async def hit(connection: AsyncConnection[Any], hit_id: str, upto: int | None = None) -> Hit | None:
    """One hit; None where there is none, or was none at position `upto`."""
    query = f"{_SELECT_HITS} WHERE id = %s AND (%s::bigint IS NULL OR position <= %s)"
    async with connection.cursor(binary=True, row_factory=args_row(_HIT)) as found:
        await found.execute(query.encode(), [hit_id, upto, upto])
        return await found.fetchone()
