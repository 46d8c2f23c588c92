"""A bounded memory of states by stream. What is in it may be out of date."""

from typing import Generic, TypeVar
from uuid import UUID

T = TypeVar("T")


class Remembered(Generic[T]):
    """Keeps at least half of `size_max` states, those that were put in last; for many threads.

    There is no order of use to keep, and no lock: a look-up is one of a dict. What is put in
    fills one half, and when that is full the other half is forgotten.
    """

    def __init__(self, size_max: int) -> None:
        self._half_size_max = max(1, size_max // 2)
        self._recent: dict[UUID, T] = {}
        self._older: dict[UUID, T] = {}

    def get(self, stream: UUID) -> T | None:
        """The state that was put in last, or None."""
        state = self._recent.get(stream)
        return self._older.get(stream) if state is None else state

    def put(self, stream: UUID, state: T) -> None:
        """Keep this state instead of any other of the stream's."""
        if len(self._recent) >= self._half_size_max:
            self._older, self._recent = self._recent, {}
        self._recent[stream] = state

    def forget(self, stream: UUID) -> None:
        """What is remembered of the stream is not worth anything any more."""
        self._recent.pop(stream, None)
        self._older.pop(stream, None)
