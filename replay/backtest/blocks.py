"""Blocks: sequences of items on disk, many in one file, each in the order it was written.

A file is blocks one after the other; a block is items of one sequence, as compressed msgpack. It
appears under its name once it is whole, so that whoever dies half-way leaves nothing to be read.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from struct import Struct
from types import GenericAlias, TracebackType
from typing import Any, BinaryIO, Final, Generic, TypeVar

import msgspec
import pyarrow as pa

ITEMS_AT_ONCE: Final = 32_768
"""In memory while a file is written, over all its sequences."""

BLOCK_ITEMS_MAX: Final = 1_024
"""Whoever merges files has a block of every one of them in memory."""

_HEADER: Final = Struct("<III")
"""Which sequence, bytes as msgpack, bytes compressed."""

T = TypeVar("T")


class BlockWriter(Generic[T]):
    """Writes one file. Left by an exception, it leaves no file."""

    def __init__(self, path: Path, sequences: int = 1) -> None:
        self._path = path
        self._staged = path.with_name(f".{path.name}-{os.getpid()}")
        self._items: list[list[T]] = [[] for _ in range(sequences)]
        self._items_max = max(min(ITEMS_AT_ONCE // sequences, BLOCK_ITEMS_MAX), 1)
        self._encode = msgspec.msgpack.Encoder().encode
        self._codec = pa.Codec("lz4")
        self._file: BinaryIO = self._staged.open("wb")

    def add(self, item: T, sequence: int = 0) -> None:
        """Append to a sequence."""
        items = self._items[sequence]
        items.append(item)
        if len(items) >= self._items_max:
            self._flush(sequence)

    def __enter__(self) -> "BlockWriter[T]":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        with self._file:
            if kind is None:
                for sequence, items in enumerate(self._items):
                    if items:
                        self._flush(sequence)
        if kind is None:
            self._staged.replace(self._path)
        else:
            self._staged.unlink()

    def _flush(self, sequence: int) -> None:
        plain = self._encode(self._items[sequence])
        packed = self._codec.compress(plain, asbytes=True)
        self._file.write(_HEADER.pack(sequence, len(plain), len(packed)))
        self._file.write(packed)
        self._items[sequence] = []


def items(path: Path, kind: type[T], sequence: int = 0) -> Iterator[T]:
    """What was written to one sequence of a file, a block in memory at a time."""
    many: Any = GenericAlias(list, kind)
    decode: Callable[[bytes], list[T]] = msgspec.msgpack.Decoder(many).decode
    codec = pa.Codec("lz4")
    with path.open("rb") as file:
        while header := file.read(_HEADER.size):
            found, plain_bytes, packed_bytes = _HEADER.unpack(header)
            if found == sequence:
                packed = file.read(packed_bytes)
                yield from decode(codec.decompress(packed, plain_bytes, asbytes=True))
            else:
                file.seek(packed_bytes, os.SEEK_CUR)
