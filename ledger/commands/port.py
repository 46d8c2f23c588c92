"""What commands need of a ledger: the real one, or one that only drafts (see `batches.py`)."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar
from uuid import UUID

from domain.events import LedgerEvent
from ledger.eventstore.append import Receipt

T = TypeVar("T")


class LedgerPort(Protocol):
    """`Ledger`, as far as commands use it; see there."""

    def append(
        self,
        events: Sequence[LedgerEvent],
        *,
        refusal: Sequence[LedgerEvent] = (),
        unchanged: Mapping[UUID, int] | None = None,
        ceilings: Mapping[str, int] | None = None,
        expected: Mapping[str, int] | None = None,
        report: Sequence[str] = (),
    ) -> Receipt: ...

    def load(self, stream: UUID, project: Callable[[Any, Iterable[Any]], T]) -> T | None: ...

    def remembered(self, stream: UUID, project: Callable[[Any, Iterable[Any]], T]) -> T | None: ...

    def forget(self, stream: UUID) -> None: ...

    def history(self, stream: UUID) -> list[LedgerEvent]: ...

    def receipt(self, stream: UUID, version: int) -> Receipt: ...

    def balances(self, accounts: Sequence[str]) -> dict[str, int]: ...

    def waiting(self) -> int: ...
