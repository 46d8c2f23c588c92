"""A mapping of any size in bounded memory: what was used last is held, the rest is in a file.

For folding a log again whose read models are larger than memory. The file is temporary, private
to the process, and gone with it.
"""

import sqlite3
from collections.abc import Iterator, MutableMapping
from typing import Any, Final, TypeVar, cast

import msgspec

HOT_ROWS: Final = 40_000
FILE_CACHE_KIB: Final = 8 * 1024
_FILTER_BITS: Final = 1 << 26

K = TypeVar("K")
V = TypeVar("V")

_MISSING: Final = object()
_SCHEMA = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
CREATE TABLE spilled (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
"""


class Spilled(MutableMapping[K, V]):
    """Like a dict; every key is in one of three places: used lately, used before that, the file.

    Once `hot_rows` / 2 have been used since, those that were used before go to the file together.
    """

    __slots__ = (
        "_decode_key",
        "_decode_value",
        "_file",
        "_filter",
        "_half",
        "_in_file",
        "_old",
        "_young",
    )

    def __init__(self, key: object, value: object, hot_rows: int = HOT_ROWS) -> None:
        """`key` and `value` are the types, as msgspec knows them."""
        self._decode_key = msgspec.msgpack.Decoder(cast("type[K]", key)).decode
        self._decode_value = msgspec.msgpack.Decoder(cast("type[V]", value)).decode
        self._half = max(hot_rows // 2, 1)
        self._young: dict[K, V] = {}
        self._old: dict[K, V] = {}
        self._file: sqlite3.Connection | None = None
        self._filter = bytearray()
        """Bits of the hashes of keys that have ever gone to the file: most others never did."""
        self._in_file = 0

    def __getitem__(self, key: K) -> V:
        found = self._find(key)
        if found is _MISSING:
            raise KeyError(key)
        return cast("V", found)

    def get(self, key: K, default: Any = None) -> Any:
        found = self._find(key)
        return default if found is _MISSING else found

    def __contains__(self, key: object) -> bool:
        return self._find(cast("K", key)) is not _MISSING

    def __setitem__(self, key: K, value: V) -> None:
        young = self._young
        if key not in young:
            self._take(key)
        young[key] = value
        if len(young) > self._half:
            self._spill()

    def __delitem__(self, key: K) -> None:
        if self.pop(key, _MISSING) is _MISSING:
            raise KeyError(key)

    def pop(self, key: K, default: Any = _MISSING) -> Any:
        found = self._young.pop(key, _MISSING)
        if found is _MISSING:
            found = self._take(key)
        if found is not _MISSING:
            return found
        if default is _MISSING:
            raise KeyError(key)
        return default

    def __len__(self) -> int:
        return len(self._young) + len(self._old) + self._in_file

    def __iter__(self) -> Iterator[K]:
        """The keys; nothing may be changed meanwhile, and nothing looked up."""
        yield from self._young
        yield from self._old
        if self._file is not None:
            for (key,) in self._file.execute("SELECT key FROM spilled"):
                yield self._decode_key(key)

    def popitem(self) -> tuple[K, V]:
        """Any that is left, removed."""
        for hot in (self._young, self._old):
            if hot:
                return hot.popitem()
        if self._file is None or not self._in_file:
            raise KeyError("nothing is left")
        query = (
            "DELETE FROM spilled WHERE key = (SELECT min(key) FROM spilled) RETURNING key, value"
        )
        key, value = self._file.execute(query).fetchone()
        self._in_file -= 1
        return self._decode_key(key), self._decode_value(value)

    def close(self) -> None:
        """Forget everything."""
        self._young, self._old, self._in_file = {}, {}, 0
        if self._file is not None:
            self._file.close()
            self._file = None

    def _find(self, key: K) -> object:
        """The value, which is now among those used lately; or `_MISSING`."""
        young = self._young
        found: object = young.get(key, _MISSING)
        if found is _MISSING:
            found = self._take(key)
            if found is not _MISSING:
                young[key] = cast("V", found)
                if len(young) > self._half:
                    self._spill()
        return found

    def _take(self, key: K) -> object:
        """Remove the key from where it is, other than among those used lately."""
        found: object = self._old.pop(key, _MISSING)
        if found is not _MISSING or not self._in_file:
            return found
        bit = hash(key) % _FILTER_BITS
        if self._file is None or not self._filter[bit >> 3] & 1 << (bit & 7):
            return _MISSING
        query = "DELETE FROM spilled WHERE key = ? RETURNING value"
        row = self._file.execute(query, [msgspec.msgpack.encode(key)]).fetchone()
        if row is None:
            return _MISSING
        self._in_file -= 1
        return self._decode_value(row[0])

    def _spill(self) -> None:
        if not self._old:
            self._old, self._young = self._young, {}
            return
        if self._file is None:
            self._file = sqlite3.connect("", isolation_level=None)
            self._file.executescript(_SCHEMA)
            self._file.execute(f"PRAGMA cache_size = {-FILE_CACHE_KIB}")
            self._filter = bytearray(_FILTER_BITS // 8)
        encode, filter_ = msgspec.msgpack.encode, self._filter
        for key in self._old:
            bit = hash(key) % _FILTER_BITS
            filter_[bit >> 3] |= 1 << (bit & 7)
        self._file.execute("BEGIN")
        rows = ((encode(key), encode(value)) for key, value in self._old.items())
        self._file.executemany("INSERT INTO spilled VALUES (?, ?)", rows)
        self._file.execute("COMMIT")
        self._in_file += len(self._old)
        self._old, self._young = self._young, {}
