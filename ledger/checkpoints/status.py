"""How signing is doing, for `tallystick doctor`."""

from datetime import UTC, datetime
from typing import Any, Final

import psycopg

from ledger.checkpoints import recomputing, signers, store
from ledger.checkpoints.keys import verifying_keys
from ledger.checkpoints.note import InvalidKey
from ledger.checkpoints.recomputing import Refused
from ledger.checkpoints.state import StateFile, StateUnreadable
from ledger.eventstore import database
from ledger.eventstore.database import Role
from ledger.eventstore.setup_error import SetupError
from ledger.settings import Settings

_REMEDY: Final = (
    "Change nothing and run `tallystick verify`. Where the database was swapped or is behind, put"
    " the right one back: signing goes on by itself. Where events were lost for good, begin with"
    ' `tallystick checkpoint new-key --reason "…"`.'
)


def signing_state(settings: Settings) -> str:
    """How much is signed, since when, and how much is not yet.

    Raises:
        SetupError: the signer refuses the log, or would.
    """
    try:
        with psycopg.connect(database.conninfo(settings, Role.READER)) as connection:
            _refuse_refused(connection)
            _compare_with_state(settings, connection)
            _refuse_retired(settings, connection)
            return _described(connection)
    except psycopg.Error as error:
        raise SetupError(
            f"The checkpoints cannot be read: {str(error).strip()}",
            remedy="Run `tallystick db migrate`.",
        ) from error
    except (Refused, StateUnreadable, InvalidKey) as error:
        raise SetupError(f"The signer refuses to sign: {error}.", remedy=_REMEDY) from error


def _described(connection: psycopg.Connection[Any]) -> str:
    position, _ = recomputing.head(connection)
    newest = store.newest(connection)
    if newest is None:
        return f"nothing is signed yet of {position} events; `tallystick serve` runs the signer"
    ago = int((datetime.now(UTC) - newest.signed_at).total_seconds())
    lag = f"{position - newest.size} events are newer"
    return f"the newest, of {newest.size} events, was signed {ago} s ago; {lag}"


def _refuse_refused(connection: psycopg.Connection[Any]) -> None:
    """What the signer itself has said."""
    for known in signers.every(connection):
        if known.refused is not None and known.retired_at is None:
            raise Refused(known.refused, f"{known.detail} (since {known.refused_at:%F %T%z})")


def _compare_with_state(settings: Settings, connection: psycopg.Connection[Any]) -> None:
    """What it would say, if it runs on this machine and cannot write to the database."""
    state = StateFile.of(settings).peek()
    if state is None or state.checkpoint.key not in {key.id for key in verifying_keys(settings)}:
        return
    signed, retired = state.checkpoint, _retired(connection)
    if signed.key in retired:
        return
    position, _ = recomputing.head(connection)
    if position < signed.size:
        detail = f"the log ends at {position}, and {signed.size} events were signed"
        raise Refused("log_shorter", detail)
    if recomputing.recorded_root(connection, signed.size) != signed.root:
        detail = f"the root recorded at size {signed.size} is not the one that was signed"
        raise Refused("root_differs", detail)


def _refuse_retired(settings: Settings, connection: psycopg.Connection[Any]) -> None:
    keys = verifying_keys(settings)
    if keys and keys[0].id in _retired(connection):
        raise SetupError(
            f"The key {keys[0].id} is retired, and no other was made.",
            remedy='Run `tallystick checkpoint new-key --reason "…"` again.',
        )


def _retired(connection: psycopg.Connection[Any]) -> set[str]:
    return {known.key for known in signers.every(connection) if known.retired_at is not None}
