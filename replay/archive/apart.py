"""Reading files apart: in a process of its own, because a file may end whoever reads it.

Parquet is read by native code, which an altered byte can have abort, ask for memory without end or
never come back. All of that ends a process which does nothing else, and is a finding about the
file.
"""

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Timer
from typing import Any, BinaryIO, Final

import msgspec

from replay.archive import read
from replay.archive.read import Unreadable

START_SECONDS_MAX: Final = 120.0
READ_SECONDS_MAX: Final = 60.0
"""For one row group, which takes milliseconds."""

MEMORY_BYTES_MAX: Final = 8 * 1024**3
"""Of addresses: most of them are those of the libraries, a row group takes a few megabytes."""

_LENGTH_BYTES: Final = 8


class _Asked(msgspec.Struct, frozen=True):
    path: str
    group: int
    columns: tuple[str, ...]


class _Told(msgspec.Struct, frozen=True):
    columns: list[list[Any]] | None = None
    """None: the file has ended, or cannot be read."""
    unreadable: str | None = None


class Reader:
    """Reads row groups in a process that is started when it is needed, and again if it ends."""

    def __init__(self, read_seconds_max: float = READ_SECONDS_MAX) -> None:
        self._read_seconds_max = read_seconds_max
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, *_error: object) -> None:
        self._end()

    def row_groups(self, path: Path, columns: tuple[str, ...]) -> Iterator[list[list[Any]]]:
        """What `read.row_groups` gives.

        Raises:
            Unreadable: the file is not what was written.
        """
        group = 0
        while (found := self._ask(path, _Asked(str(path), group, columns))) is not None:
            yield found
            group += 1

    def _ask(self, path: Path, asked: _Asked) -> list[list[Any]] | None:
        process = self._process
        if process is None:
            process = self._process = _start()
            self._answer(process, path, START_SECONDS_MAX)
        with suppress(BrokenPipeError):  # it has ended: so will its answer
            _write(process.stdin, msgspec.msgpack.encode(asked))
        answer = self._answer(process, path, self._read_seconds_max)
        told = msgspec.msgpack.decode(answer, type=_Told)
        if told.unreadable is not None:
            raise Unreadable(path, told.unreadable)
        return told.columns

    def _answer(self, process: subprocess.Popen[bytes], path: Path, seconds_max: float) -> bytes:
        """Raises Unreadable where the process ends, or does not answer in time and is ended."""
        too_long = Timer(seconds_max, process.kill)
        too_long.start()
        try:
            return _read(process.stdout)
        except EOFError:
            why = f"reading it ended the process that did (status {process.wait()})"
            if too_long.finished.is_set():
                why = f"reading it took longer than {seconds_max:g} seconds"
            self._end()
            raise Unreadable(path, why) from None
        finally:
            too_long.cancel()

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            with suppress(BrokenPipeError), process:
                pass


def _start() -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "replay.archive.apart"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # what native code says as it dies helps nobody
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )


def serve(asked_through: BinaryIO, told_through: BinaryIO) -> None:
    """Answer until nothing more is asked; in the process that a `Reader` starts."""
    reading: dict[str, Iterator[list[list[Any]]]] = {}
    _write(told_through, b"")  # it has started
    while True:
        try:
            asked = msgspec.msgpack.decode(_read(asked_through), type=_Asked)
        except EOFError:
            return
        if asked.path not in reading:
            reading[asked.path] = read.row_groups(Path(asked.path), asked.columns, asked.group)
        try:
            told = _Told(columns=next(reading[asked.path], None))
        except Unreadable as error:
            told = _Told(unreadable=error.why)
        except MemoryError:
            told = _Told(unreadable="reading it takes more memory than a file of an archive may")
        if told.columns is None:
            del reading[asked.path]
        _write(told_through, msgspec.msgpack.encode(told))


def _write(stream: BinaryIO | Any, frame: bytes) -> None:
    stream.write(len(frame).to_bytes(_LENGTH_BYTES, "big") + frame)
    stream.flush()


def _read(stream: BinaryIO | Any) -> bytes:
    """The next frame.

    Raises:
        EOFError: there is none, or only a part of one.
    """
    length = int.from_bytes(_exactly(stream, _LENGTH_BYTES), "big")
    return _exactly(stream, length)


def _exactly(stream: BinaryIO | Any, length: int) -> bytes:
    read_bytes: bytes = stream.read(length)
    if len(read_bytes) < length:
        raise EOFError
    return read_bytes


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))
    serve(sys.stdin.buffer, sys.stdout.buffer)
