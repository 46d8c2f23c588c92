"""API keys: who may come in, as whom, and in which role.

A key is shown once and stored as a hash. Keys belong to persons, and a person has one role: what
they may not approve with one key they may not approve with another.
"""

import re
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from hmac import compare_digest
from time import monotonic
from typing import Final

import psycopg
from psycopg_pool import ConnectionPool

REMEMBERED_SECONDS: Final = 5.0
"""How long a revoked key may still work."""

REMEMBERED_MAX: Final = 10_000

_KEY: Final = re.compile(r"tsk_([0-9a-f]{16})_([0-9a-f]{64})")
_PERSON: Final = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,62}")


class StaffRole(StrEnum):
    """What a person may do. Whose approval counts for what is said in terms of these."""

    ADMINISTRATOR = "administrator"
    FINANCE = "finance"
    FRAUD = "fraud"
    SUPPORT = "support"
    COMPLIANCE = "compliance"
    PLATFORM = "platform"
    """The gaming platform itself, which acts for its players."""
    AUDITOR = "auditor"


class InvalidPerson(ValueError):
    """A person is named by 1 to 63 lower-case letters, digits and `.` `_` `@` `+` `-`."""

    def __init__(self) -> None:
        super().__init__(type(self).__doc__)


class PersonHasOtherRole(ValueError):
    """A person has one role over all their keys: revoke those of the other role first."""

    def __init__(self) -> None:
        super().__init__(type(self).__doc__)


class UnknownKey(LookupError):
    """There is no such key, or it has been revoked."""

    def __init__(self) -> None:
        super().__init__(type(self).__doc__)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRecord:
    """A key as it is stored, without its hash."""

    id: str
    person: str
    role: StaffRole
    created_at: datetime
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a key."""

    person: str
    role: StaffRole


def create_key(conninfo: str, person: str, role: StaffRole) -> str:
    """Make a key for `person` and return it: `tsk_<id>_<secret>`. It cannot be shown again.

    Args:
        conninfo: of the owner role.
        person: who acts when the key is used.
        role: in which they act.

    Raises:
        InvalidPerson: not a name that fits.
        PersonHasOtherRole: a key of theirs that is not revoked is for another role.
    """
    if _PERSON.fullmatch(person) is None:
        raise InvalidPerson
    key_id, secret = secrets.token_hex(8), secrets.token_hex(32)
    with psycopg.connect(conninfo) as connection:
        connection.execute("LOCK TABLE api_keys IN SHARE ROW EXCLUSIVE MODE")  # one at a time
        other = connection.execute(
            "SELECT 1 FROM api_keys WHERE person = %s AND role <> %s AND revoked_at IS NULL",
            [person, role],
        ).fetchone()
        if other is not None:
            raise PersonHasOtherRole
        connection.execute(
            "INSERT INTO api_keys (id, person, role, secret_hash) VALUES (%s, %s, %s, %s)",
            [key_id, person, role, _hash(secret)],
        )
    return f"tsk_{key_id}_{secret}"


def revoke_key(conninfo: str, key_id: str) -> None:
    """Make a key useless, at the latest after REMEMBERED_SECONDS. `conninfo` is of the owner.

    Raises:
        UnknownKey: there is none, or it is revoked already.
    """
    with psycopg.connect(conninfo) as connection:
        revoked = connection.execute(
            "UPDATE api_keys SET revoked_at = now() WHERE id = %s AND revoked_at IS NULL",
            [key_id],
        )
        if revoked.rowcount == 0:
            raise UnknownKey


def list_keys(conninfo: str) -> list[KeyRecord]:
    """Every key there has been, oldest first. `conninfo` is of the owner or writer role."""
    with psycopg.connect(conninfo) as connection:
        rows = connection.execute(
            "SELECT id, person, role, created_at, revoked_at FROM api_keys ORDER BY created_at, id"
        ).fetchall()
    return [
        KeyRecord(id=id_, person=person, role=StaffRole(role), created_at=made, revoked_at=revoked)
        for id_, person, role, made, revoked in rows
    ]


def key_id_of(presented: str) -> str | None:
    """The id in what looks like a key: safe to log, unlike the key itself."""
    match = _KEY.fullmatch(presented)
    return match.group(1) if match else None


class Keys:
    """Tells whose key was presented. May be shared between threads."""

    def __init__(self, conninfo: str, *, clock: Callable[[], float] = monotonic) -> None:
        """`conninfo` is of the writer role: the reader may not see the keys."""
        self._pool = ConnectionPool(
            conninfo,
            min_size=1,
            max_size=4,
            timeout=5.0,
            open=False,
            kwargs={"autocommit": True},
            check=ConnectionPool.check_connection,
            name="api-keys",
        )
        self._clock = clock
        self._remembered: OrderedDict[bytes, tuple[Holder, float]] = OrderedDict()
        self._lock = threading.Lock()
        self._pool.open()

    def remembered(self, presented: str) -> Holder | None:
        """The holder, where this key was looked up a moment ago; asks nobody."""
        with self._lock:
            found = self._remembered.get(_hash(presented))
        if found is None or found[1] <= self._clock():
            return None
        return found[0]

    def holder_of(self, presented: str) -> Holder | None:
        """Whose key this is; None if it is nobody's, or was revoked.

        Raises:
            psycopg.Error: the database cannot be asked.
        """
        holder = self.remembered(presented)
        if holder is not None:
            return holder
        match = _KEY.fullmatch(presented)
        if match is None:
            return None
        holder = self._look_up(*match.groups())
        if holder is not None:
            self._remember(_hash(presented), holder)
        return holder

    def close(self) -> None:
        """Let go of the database."""
        self._pool.close()

    def _look_up(self, key_id: str, secret: str) -> Holder | None:
        with self._pool.connection() as connection:
            row = connection.execute(
                "SELECT person, role, secret_hash FROM api_keys"
                " WHERE id = %s AND revoked_at IS NULL",
                [key_id],
            ).fetchone()
        person, role, expected = row if row is not None else ("", "", bytes(32))
        # Compared in every case, so that the time taken does not tell which ids exist.
        found = compare_digest(_hash(secret), expected)
        return Holder(person, StaffRole(role)) if found else None

    def _remember(self, key_hash: bytes, holder: Holder) -> None:
        with self._lock:
            self._remembered[key_hash] = (holder, self._clock() + REMEMBERED_SECONDS)
            self._remembered.move_to_end(key_hash)
            while len(self._remembered) > REMEMBERED_MAX:
                self._remembered.popitem(last=False)


def _hash(secret: str) -> bytes:
    return sha256(secret.encode(errors="surrogateescape")).digest()
