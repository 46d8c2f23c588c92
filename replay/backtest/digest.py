"""The digest of what judging comes to: the same for every engine, and for the live tables."""

from collections.abc import Iterable
from hashlib import sha256

import msgspec

from projections.engine.read_model import Row
from projections.fraud.judging import Hit
from projections.fraud.model import AssessmentRow

_encoder = msgspec.json.Encoder(order="sorted")


class OutOfOrder(ValueError):
    """Rows have to come in the order of their keys, each once."""


def canonical(row: Row) -> bytes:
    """A row as JSON: members sorted, no white space, instants in UTC, UUIDs in lower case."""
    return _encoder.encode(row)


class Digest:
    """SHA-256 of rows as they come: all hits first, by id, then assessments, by position.

    A line for each, its kind first, so that no line of one kind can be taken for another's.
    """

    def __init__(self) -> None:
        self.hits = 0
        self._hash = sha256()
        self._id = ""
        self._position = 0

    def hit(self, id_: str, line: bytes) -> None:
        """Add a hit, which is canonical already."""
        if id_ <= self._id:
            raise OutOfOrder(f"hit {id_} after {self._id}")
        self._id = id_
        self.hits += 1
        self._hash.update(b"hit " + line + b"\n")

    def assessment(self, row: AssessmentRow) -> None:
        """Add what a payout was judged by last."""
        if row.position <= self._position:
            raise OutOfOrder(f"assessment at {row.position} after {self._position}")
        self._position = row.position
        self._hash.update(b"assessment " + canonical(row) + b"\n")

    def hexdigest(self) -> str:
        return self._hash.hexdigest()


def digest(hits: Iterable[Hit], assessments: Iterable[AssessmentRow]) -> str:
    """SHA-256 of every hit and every payout's last assessment, in hexadecimal.

    Args:
        hits: by id; instants in UTC.
        assessments: by position.

    Raises:
        OutOfOrder: they come in another order, or one of them twice.
    """
    found = Digest()
    for hit in hits:
        found.hit(hit.id, canonical(hit))
    for row in assessments:
        found.assessment(row)
    return found.hexdigest()
