"""A new key for another history: what the old one signed, it signed, and nothing more."""

from datetime import datetime

import psycopg

from ledger.checkpoints import signers
from ledger.checkpoints.keys import present_key, replace_key
from ledger.checkpoints.note import Verifier
from ledger.settings import Settings


def new_key(
    settings: Settings, conninfo: str, reason: str, now: datetime
) -> tuple[Verifier, Verifier]:
    """Retire the key of this ledger and begin with another, under another origin; old and new.

    After a restore that lost events, the log goes on differently from what the old key has
    signed; it must never sign that, whoever runs it. The database is told first: a signer that
    works at the moment then signs no more and takes up the new key. Killed in between, the
    signer refuses until this is called again.

    Args:
        settings: whose key.
        conninfo: of the writer role.
        reason: why, for those who read it later.
        now: when.
    """
    retiring = present_key(settings)
    with psycopg.connect(conninfo) as connection:
        signers.retire(connection, retiring.id, str(retiring), reason, now)
    return replace_key(settings, reason, now)
