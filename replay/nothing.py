"""Why there is nothing to tell: never there, not there yet, or something else."""

from datetime import UTC
from typing import Any, Literal
from uuid import UUID

from psycopg import Connection

from domain.events import (
    FraudCaseEvent,
    LedgerEvent,
    NoticeEvent,
    PlayerEvent,
    PolicyEvent,
    ProviderEvent,
    RatesEvent,
    ReadModelEvent,
    ReportEvent,
    RuleSetEvent,
    WagerEvent,
)
from domain.transactions import evolve_transaction, kind_of
from ledger.eventstore.codec import decode

_FIRST = """
SELECT notification_id, originator_version, topic, state, recorded_at FROM ledger_events
WHERE originator_id = %s ORDER BY originator_version LIMIT 1
"""

Wanted = Literal["transaction", "player"]


class Nothing(LookupError):
    """There is nothing to tell: the message says why, `code` which reason it is.

    Codes: `no_such_transaction`, `no_such_player`, `no_such_account`: not in this ledger.
    `not_begun_yet`: it is, but began later. `not_a_transaction`, `not_a_player`,
    `not_an_account`: it is something else.
    """

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


def why_nothing(
    connection: Connection[Any], stream: UUID, *, wanted: Wanted, upto: int | None
) -> Nothing:
    """Why `stream` does not tell of a transaction or player, up to a position if there is one."""
    row = connection.execute(_FIRST, [stream], binary=True).fetchone()
    if row is None:
        return Nothing(f"there is no {wanted} {stream} in this ledger", f"no_such_{wanted}")
    position, version, topic, state, recorded_at = row
    found, called = _what(decode(topic, state, stream, version))
    if found != wanted:
        said = f"{stream} is not a {wanted} but {called.format(stream=stream)}"
        return Nothing(said, f"not_a_{wanted}")
    return Nothing(
        f"there was no {wanted} {stream} at position {upto}: its first event is at position "
        f"{position}, recorded {recorded_at.astimezone(UTC).isoformat()}",
        "not_begun_yet",
    )


def _what(event: LedgerEvent) -> tuple[str, str]:
    """What a stream that begins so is, and what it is called."""
    begun = evolve_transaction(None, event)
    if begun is not None:
        return "transaction", f"a {kind_of(begun)}: try `tallystick replay transaction {{stream}}`"
    match event:
        case _ if isinstance(event, PlayerEvent):
            return "player", "a player: try `tallystick replay player {stream}`"
        case _ if isinstance(event, NoticeEvent):
            return "notice", "a notice of a provider"
        case _ if isinstance(event, WagerEvent):
            return "turnover", "turnover that the platform reported"
        case _ if isinstance(event, ProviderEvent):
            return "provider", "a provider"
        case _ if isinstance(event, PolicyEvent | RatesEvent | ReadModelEvent | RuleSetEvent):
            return "settings", f"where each {type(event).__name__} is recorded"
        case _ if isinstance(event, FraudCaseEvent):
            return "fraud case", "a fraud case"
        case _ if isinstance(event, ReportEvent):
            return "report", "a report of suspicious activity"
        case _:
            return "other", f"a stream that begins with {type(event).__name__}"
