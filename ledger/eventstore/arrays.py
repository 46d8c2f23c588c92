"""Arrays as PostgreSQL takes them in binary, packed in a few calls for thousands of elements.

psycopg's own way looks at every element; a writer that hands over some 20,000 of them a second
spends more on that than on deciding what to write.

Source: PostgreSQL, src/backend/utils/adt/arrayfuncs.c, array_recv.
"""

import struct
from collections.abc import Iterable, Sequence
from uuid import UUID

from psycopg import Connection
from psycopg.adapt import Dumper
from psycopg.pq import Format
from psycopg.rows import TupleRow

_BYTEA, _INT8, _TEXT, _UUID = 17, 20, 25, 2950
_ARRAY_OF = {_BYTEA: 1001, _INT8: 1016, _TEXT: 1009, _UUID: 2951}
"""Source: PostgreSQL, src/include/catalog/pg_type.dat."""

_HEAD = struct.Struct(">iiIii")
_LENGTH = struct.Struct(">i").pack
_INTEGER = struct.Struct(">iq").pack
_NULL = _LENGTH(-1)
_UUID_LENGTH = _LENGTH(16)


class Packed(bytes):
    """An array, packed; its subclass says of what."""


class ByteaArray(Packed):
    """`bytea[]`"""


class Int8Array(Packed):
    """`bigint[]`"""


class TextArray(Packed):
    """`text[]`"""


class UuidArray(Packed):
    """`uuid[]`"""


def byteas(values: Sequence[bytes]) -> ByteaArray:
    """Byte strings of any length."""
    return ByteaArray(_head(_BYTEA, len(values)) + _with_lengths(values))


def texts(values: Sequence[str]) -> TextArray:
    """Texts without NUL."""
    return TextArray(_head(_TEXT, len(values)) + _with_lengths([v.encode() for v in values]))


def uuids(values: Sequence[UUID]) -> UuidArray:
    """UUIDs."""
    parts = [_UUID_LENGTH + value.bytes for value in values]
    return UuidArray(_head(_UUID, len(values)) + b"".join(parts))


def integers(values: Sequence[int | None]) -> Int8Array:
    """Integers of 64 bits, or NULL."""
    parts = [_NULL if value is None else _INTEGER(8, value) for value in values]
    return Int8Array(_head(_INT8, len(values), nulls=None in values) + b"".join(parts))


def _head(element: int, count: int, *, nulls: bool = False) -> bytes:
    return _HEAD.pack(1, nulls, element, count, 1)


def _with_lengths(values: Iterable[bytes]) -> bytes:
    return b"".join([part for value in values for part in (_LENGTH(len(value)), value)])


class _PackedDumper(Dumper):
    format = Format.BINARY

    def dump(self, obj: Packed) -> bytes:
        return obj


class _ByteaArrayDumper(_PackedDumper):
    oid = _ARRAY_OF[_BYTEA]


class _Int8ArrayDumper(_PackedDumper):
    oid = _ARRAY_OF[_INT8]


class _TextArrayDumper(_PackedDumper):
    oid = _ARRAY_OF[_TEXT]


class _UuidArrayDumper(_PackedDumper):
    oid = _ARRAY_OF[_UUID]


def register(connection: Connection[TupleRow]) -> None:
    """Have a connection take packed arrays as parameters."""
    for packed, dumper in (
        (ByteaArray, _ByteaArrayDumper),
        (Int8Array, _Int8ArrayDumper),
        (TextArray, _TextArrayDumper),
        (UuidArray, _UuidArrayDumper),
    ):
        connection.adapters.register_dumper(packed, dumper)
