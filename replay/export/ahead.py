"""Reading ahead: the database prepares the next pages while this one is being written."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Full, Queue
from typing import Final, TypeVar

T = TypeVar("T")

PAGES_AHEAD: Final = 2
_LOOK_SECONDS: Final = 0.1


@contextmanager
def ahead(pages: Iterator[T]) -> Iterator[Iterator[T]]:
    """The same pages, taken by another thread, a few before they are wanted.

    When the block ends, nothing is being read any more.
    """
    taken: Queue[T | None] = Queue(PAGES_AHEAD)
    failed: list[BaseException] = []
    done = threading.Event()

    def put(page: T | None) -> None:
        while not done.is_set():
            try:
                taken.put(page, timeout=_LOOK_SECONDS)
            except Full:  # the writer has not come so far
                continue
            return

    def take() -> None:
        try:
            for page in pages:
                put(page)
                if done.is_set():
                    return
        except BaseException as error:  # noqa: BLE001  (raised again by the writer)
            failed.append(error)
        put(None)

    def given() -> Iterator[T]:
        while (page := taken.get()) is not None:
            yield page
        if failed:
            raise failed[0]

    thread = threading.Thread(target=take, name="export-ahead", daemon=True)
    thread.start()
    try:
        yield given()
    finally:
        done.set()
        thread.join()
