"""Processes that share the work of verifying, and one moment of the ledger."""

import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.sharedctypes import Synchronized
from types import TracebackType
from typing import NamedTuple, cast

from replay import log
from replay.progress import peak_memory_mb
from replay.verify.tasks import Done, Task, perform

_PAUSE_SECONDS = 0.2
_PARENT_SECONDS = 1.0


class WorkerDied(Exception):
    """A process ended before its work was done: nothing can be said of the ledger."""


class _Answer(NamedTuple):
    done: Done
    peak_memory_mb: float


class Pool:
    """As many processes as jobs; each piece of work has a connection to the same snapshot."""

    def __init__(self, conninfo: str, exported: str, jobs: int) -> None:
        """`exported` names a snapshot that stays open for as long as this."""
        self.jobs = jobs
        self.peak_memory_mb = 0.0
        self._where = conninfo, exported
        context = multiprocessing.get_context("spawn")
        self._read: Synchronized[int] = context.Value("q", 0)
        self._executor = ProcessPoolExecutor(
            jobs, mp_context=context, initializer=_begin, initargs=(self._read, os.getpid())
        )

    def __enter__(self) -> "Pool":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._executor.shutdown(wait=kind is None, cancel_futures=True)

    def perform(self, tasks: Sequence[Task], on_read: Callable[[int], None]) -> list[Done]:
        """The outcome of each; `on_read` hears how many events have been read.

        Raises:
            WorkerDied: a process has ended, perhaps for want of memory.
        """
        futures = [self._executor.submit(_perform, *self._where, task) for task in tasks]
        pending: set[Future[_Answer]] = set(futures)
        try:
            while pending:
                finished, pending = wait(pending, _PAUSE_SECONDS, FIRST_COMPLETED)
                for future in finished:
                    future.result()
                on_read(self._read.value)
            answers = [future.result() for future in futures]
        except BrokenProcessPool as error:
            raise WorkerDied(
                "A process that checked a part of the ledger was killed, perhaps because memory "
                "ran out: nothing is verified. Try again with fewer --jobs."
            ) from error
        self.peak_memory_mb = max((answer.peak_memory_mb for answer in answers), default=0.0)
        return [answer.done for answer in answers]


_counter: "Synchronized[int] | None" = None


def _begin(read: "Synchronized[int]", parent: int) -> None:
    global _counter  # noqa: PLW0603  (set once, as the process begins)
    _counter = read
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    """Nobody would hear what is found once the parent is gone."""
    while os.getppid() == parent:
        time.sleep(_PARENT_SECONDS)
    os._exit(1)


def _perform(conninfo: str, exported: str, task: Task) -> _Answer:
    read = cast("Synchronized[int]", _counter)

    def advance(events: int) -> None:
        with read.get_lock():
            read.value += events

    with log.snapshot(conninfo, exported) as connection:
        return _Answer(perform(connection, task, advance), peak_memory_mb())
