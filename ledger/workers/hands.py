"""Hands: threads by share, so that one share that hangs takes none of another's."""

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from types import TracebackType
from typing import Self


class Hands:
    """As many threads for each share, made when they are needed.

    To be given work by one thread only, and no more of a share than it has free hands.
    """

    def __init__(self, of_each: int) -> None:
        """`of_each`: how many hands a share has."""
        self._of_each = of_each
        self._threads: dict[str, ThreadPoolExecutor] = {}
        self._busy: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._to_end = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Wait for what is being done."""
        self._to_end.close()

    def busy(self) -> Mapping[str, int]:
        """How many hands of each share have something to do."""
        with self._lock:
            return dict(self._busy)

    def do(self, share: str, work: Callable[[], None]) -> None:
        """Have it done by a hand of this share."""
        threads = self._threads.get(share)
        if threads is None:
            threads = self._to_end.enter_context(ThreadPoolExecutor(self._of_each))
            self._threads[share] = threads
        with self._lock:
            self._busy[share] += 1
        threads.submit(self._do, share, work)

    def _do(self, share: str, work: Callable[[], None]) -> None:
        try:
            work()
        finally:
            with self._lock:
                self._busy[share] -= 1
