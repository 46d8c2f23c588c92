"""What was checked, and what was found."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain

PROBLEMS_MAX = 100
"""The rest are counted, not listed."""

LOG, BOOKS, STREAMS = "log", "books", "streams"
CORE_PARTS = (LOG, BOOKS, STREAMS)
"""Besides these there is one part for each read model, under its name."""

OF_THE_LOG = frozenset(
    {
        "gap",
        "before_first",
        "altered",
        "time_runs_back",
        "unreadable",
        "not_canonical",
        "root_differs",
        "root_missing",
        "head_differs",
        "missing",
        "beyond_head",
        "ahead_of_log",
        "checkpoint_differs",
        "table_missing",
    }
)
"""Problems of the log itself. Every other may be a consequence of one of these."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is not as it must be."""

    position: int
    code: str
    detail: str


@dataclass(slots=True)
class Findings:
    """What one piece of work has checked and found, in the order of its work."""

    part: str
    checked: dict[str, int] = field(default_factory=dict)
    """How many of what: {"events": 4711}."""
    problems: list[Problem] = field(default_factory=list)
    """The first `PROBLEMS_MAX`."""
    problems_found: int = 0
    first_in_log: int | None = None
    first_elsewhere: int | None = None

    def report(self, position: int, code: str, detail: str) -> None:
        self.problems_found += 1
        if code in OF_THE_LOG:
            self.first_in_log = _earlier(self.first_in_log, position)
        else:
            self.first_elsewhere = _earlier(self.first_elsewhere, position)
        if len(self.problems) < PROBLEMS_MAX:
            self.problems.append(Problem(position, code, detail))

    def count(self, what: str, number: int = 1) -> None:
        self.checked[what] = self.checked.get(what, 0) + number


@dataclass(frozen=True, slots=True)
class PartResult:
    """What became of one part."""

    part: str
    ok: bool
    checked: dict[str, int]
    problems_found: int
    first_bad_position: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointsChecked:
    """How many signed checkpoints the log was compared with."""

    stored: int = 0
    brought: int = 0
    """From outside, by whoever verifies."""
    signatures: int = 0
    """That were checked with a key; the others were believed."""
    newest: int | None = None
    """Up to here the log is as somebody has signed it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What was found. `events` is the number of those that were read in any of the parts."""

    events: int
    position: int
    root: str
    parts: tuple[PartResult, ...]
    checkpoints: CheckpointsChecked
    problems: tuple[Problem, ...]
    problems_found: int
    first_bad_position: int | None
    """Where the log is damaged; where it is not, the first place at which anything differs."""
    elapsed_s: float
    events_per_s: float
    peak_memory_mb: float
    """Of the process that took most."""
    jobs: int

    @property
    def ok(self) -> bool:
        return self.problems_found == 0


def in_order(findings: Iterable[Findings]) -> tuple[Problem, ...]:
    """The problems by position, those of one position by part: whoever found them first."""
    each = chain.from_iterable(found.problems for found in findings)
    return tuple(sorted(each, key=lambda problem: problem.position)[:PROBLEMS_MAX])


def first_bad_position(findings: Sequence[Findings]) -> int | None:
    """Of the log, if it is damaged anywhere; otherwise of anything."""
    in_log = [one.first_in_log for one in findings if one.first_in_log is not None]
    elsewhere = [one.first_elsewhere for one in findings if one.first_elsewhere is not None]
    return min(in_log or elsewhere, default=None)


def merged(part: str, pieces: Sequence[Findings]) -> Findings:
    """One part's findings, of pieces that follow each other."""
    whole = Findings(part)
    for piece in pieces:
        for what, number in piece.checked.items():
            whole.count(what, number)
        whole.problems += piece.problems
        whole.problems_found += piece.problems_found
        if piece.first_in_log is not None:
            whole.first_in_log = _earlier(whole.first_in_log, piece.first_in_log)
        if piece.first_elsewhere is not None:
            whole.first_elsewhere = _earlier(whole.first_elsewhere, piece.first_elsewhere)
    del whole.problems[PROBLEMS_MAX:]
    return whole


def result(found: Findings) -> PartResult:
    """What to say of a part."""
    return PartResult(
        part=found.part,
        ok=found.problems_found == 0,
        checked=found.checked,
        problems_found=found.problems_found,
        first_bad_position=first_bad_position([found]),
    )


def _earlier(one: int | None, other: int) -> int:
    return other if one is None else min(one, other)
