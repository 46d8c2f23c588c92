"""Verify an archive without a database: is every byte as it was written, and is it one log?

Streams: one row group of each bucket is in memory at a time. Whoever altered a file may have meant
to harm who reads it, so files are read apart, see `apart.py`.
"""

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from heapq import merge
from pathlib import Path
from time import monotonic
from typing import Final

from ledger.checkpoints.checkpoint import Checkpoint, open_checkpoint, parse_checkpoint
from ledger.checkpoints.note import NoteInvalid, Verifier, parts_of
from ledger.eventstore.merkle import Frontier, leaf_hash
from replay.archive import layout, read
from replay.archive.apart import Reader
from replay.archive.layout import BucketFile, Manifest, Segment, bucket_of
from replay.archive.owners import owner_of
from replay.archive.read import Archived, Unreadable

PROBLEMS_MAX: Final = 100
PROGRESS_EVENTS: Final = 5_000

OnProgress = Callable[[int, int], None]
"""Events checked, events in all."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is not as it must be."""

    position: int | None
    """None where a file has changed, and no event is known to have."""
    code: str
    detail: str


@dataclass(slots=True, kw_only=True)
class ArchiveVerification:
    """What was found."""

    events: int = 0
    position: int = 0
    root: str = ""
    signed_upto: int = 0
    """The newest checkpoint in the archive that fits it; with a key, whose signature is right."""
    signatures: int = 0
    """How many were checked; 0 without a key."""
    problems: list[Problem] = field(default_factory=list)
    problems_found: int = 0
    elapsed_s: float = 0.0

    @property
    def ok(self) -> bool:
        return self.problems_found == 0

    @property
    def first_bad_position(self) -> int | None:
        """None where nothing is wrong, or no position is known for what is."""
        known = (p.position for p in self.problems if p.position is not None)
        return min(known, default=None)

    def report(self, position: int | None, code: str, detail: str) -> None:
        self.problems_found += 1
        if len(self.problems) < PROBLEMS_MAX:
            self.problems.append(Problem(position, code, detail))


def verify_archive(
    folder: Path,
    on_progress: OnProgress = lambda _done, _total: None,
    *,
    verifiers: Sequence[Verifier] = (),
) -> ArchiveVerification:
    """Check every file of the archive in `folder`, and what the manifest says about them.

    Args:
        folder: of the archive.
        on_progress: is told how far it is.
        verifiers: keys to check the signatures of checkpoints with; without, only their roots are.

    Raises:
        ArchiveError: there is no archive, or its manifest cannot be read.
    """
    began = monotonic()
    manifest = layout.load(folder)
    found = ArchiveVerification(position=manifest.position, root=manifest.root)
    with Reader() as reader:
        _check_segments(folder, manifest, found, on_progress, verifiers, reader)
    on_progress(found.events, manifest.position)
    found.problems.sort(key=lambda problem: problem.position or 0)
    found.elapsed_s = round(monotonic() - began, 3)
    return found


def _check_segments(
    folder: Path,
    manifest: Manifest,
    found: ArchiveVerification,
    on_progress: OnProgress,
    verifiers: Sequence[Verifier],
    reader: Reader,
) -> None:
    after = Frontier()
    for segment in manifest.segments:
        if segment.first != after.size + 1:
            found.report(after.size + 1, "gap", f"the archive goes on at position {segment.first}")
            break
        _SegmentCheck(folder, manifest, segment, found, verifiers, reader).check(
            after, lambda: on_progress(found.events, manifest.position)
        )
        try:  # as the manifest says, so that one bad segment does not condemn those after it
            after = Frontier(segment.last, bytes.fromhex(segment.frontier))
        except ValueError as error:
            found.report(segment.last, "frontier_differs", str(error))
            break


class _SegmentCheck:
    """The check of one segment."""

    def __init__(
        self,
        folder: Path,
        manifest: Manifest,
        segment: Segment,
        found: ArchiveVerification,
        verifiers: Sequence[Verifier],
        reader: Reader,
    ) -> None:
        self._folder = folder
        self._buckets = manifest.buckets
        self._segment = segment
        self._found = found
        self._problems_before = found.problems_found
        self._verifiers = verifiers
        self._reader = reader
        self._checkpoint: Checkpoint | None = None

    def check(self, after: Frontier, on_progress: Callable[[], None]) -> None:
        """Everything that can be said about the segment, which goes on from `after`."""
        found, segment = self._found, self._segment
        for file in segment.files:
            self._check_file(file)
        self._checkpoint = self._opened_checkpoint()
        frontiers = [after.copy()]
        for event in merge(*map(self._events, segment.files)):
            if event.position != frontiers[0].size + 1:
                break
            leaf = self._checked_leaf(event)
            if leaf != event.leaf and len(frontiers) == 1:
                # From here on follow both: what is there, and what it was recorded as. One of
                # them leads to the root, and everything around the event is then unchanged.
                frontiers.append(frontiers[0].copy())
            for frontier, each in zip(frontiers, (leaf, event.leaf), strict=False):
                frontier.append(each)
            self._check_checkpoint(event.position, frontiers)
            found.events += 1
            if found.events % PROGRESS_EVENTS == 0:
                on_progress()
        self._check_end(frontiers)

    def _check_end(self, frontiers: list[Frontier]) -> None:
        segment, found = self._segment, self._found
        size = frontiers[0].size
        if size != segment.last:
            found.report(size + 1, "missing", "the event is not in the segment's files")
        elif found.problems_found > self._problems_before:
            return  # a root can say nothing new
        elif frontiers[0].root().hex() != segment.root:
            detail = f"the root after position {segment.last} is not the one recorded for it"
            found.report(segment.first, "root_differs", detail)
        elif frontiers[0].pack().hex() != segment.frontier:
            found.report(segment.first, "frontier_differs", "the frontier is not the segment's")

    def _check_file(self, file: BucketFile) -> None:
        """Before anything of it is parsed."""
        if not (self._folder / file.name).is_file():
            self._found.report(None, "file_missing", f"{file.name}: there is no such file")
            return
        try:
            read.as_written(self._folder, file)
        except Unreadable as error:
            self._found.report(None, "file_altered", f"{file.name}: {error.why}")

    def _events(self, file: BucketFile) -> Iterator[Archived]:
        """As far as they can be read: the first one that is missing is found among the others."""
        try:
            for event in read.events(self._folder / file.name, self._reader.row_groups):
                if bucket_of(event.owner, self._buckets) != file.bucket:
                    detail = f"it is in bucket {file.bucket}, where its owner does not belong"
                    self._found.report(event.position, "misplaced", detail)
                yield event
        except Unreadable as error:
            self._found.report(None, "file_unreadable", str(error))

    def _checked_leaf(self, event: Archived) -> bytes:
        try:
            leaf = leaf_hash(
                event.position,
                event.stream,
                event.version,
                event.topic.encode(),
                event.recorded_at_us,
                event.state,
            )
        except struct.error:  # a version below 0
            leaf = b""
        if leaf != event.leaf:
            detail = f"{event.topic} is not what was recorded, or its leaf is not"
            self._found.report(event.position, "altered", detail)
        elif event.version == 1 and event.owner != owner_of(event.stream, event.state):
            self._found.report(event.position, "owner_differs", "it belongs to somebody else")
        return leaf

    # --- checkpoints ----------------------------------------------------------------------------

    def _opened_checkpoint(self) -> Checkpoint | None:
        segment, note = self._segment, self._segment.checkpoint
        if note is None:
            return None
        try:
            if not self._verifiers:
                checkpoint = parse_checkpoint(parts_of(note)[0])
            else:
                checkpoint = open_checkpoint(note, self._verifiers)
                self._found.signatures += 1
        except NoteInvalid as error:
            self._found.report(None, "checkpoint_invalid", f"{_span(segment)}: {error}")
            return None
        if not segment.first <= checkpoint.size <= segment.last:
            detail = f"{_span(segment)}: its checkpoint is of size {checkpoint.size}"
            self._found.report(None, "checkpoint_invalid", detail)
            return None
        return checkpoint

    def _check_checkpoint(self, position: int, frontiers: list[Frontier]) -> None:
        checkpoint = self._checkpoint
        if checkpoint is None or checkpoint.size != position:
            return
        if any(frontier.root() == checkpoint.root for frontier in frontiers):
            self._found.signed_upto = position
        elif self._found.problems_found == self._problems_before:
            detail = f"the root after position {position} is not the one that was signed"
            self._found.report(self._segment.first, "checkpoint_differs", detail)


def _span(segment: Segment) -> str:
    return f"positions {segment.first} to {segment.last}"
