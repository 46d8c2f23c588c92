"""Judging: one signal about one subject, by a rule set; the state after it, and what hit.

Pure: the same signals in the same order give the same hits, live, rebuilt, or elsewhere.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec

from domain.events import Strength, WeighedHit
from domain.fraud.assessment import RANK, Severity
from domain.fraud.indicators.catalogue import BY_CODE
from domain.fraud.indicators.declaring import Indicator
from domain.fraud.strength import Covered, covering, is_covered
from projections.engine.read_model import Row
from projections.fraud.rules import LIVE, OFF, Rule, Rules
from projections.fraud.signals import AnySignal, Cleared, instant
from projections.fraud.states import STATES, Active, AnyState

_BIGINT_MAX: Final = 2**63 - 1
_RANK: Final[Mapping[str, int]] = {severity.value: rank for severity, rank in RANK.items()}
_UNUSED: Final = Rule(OFF, {})
"""An indicator newer than the rule set."""


class Hit(Row, frozen=True):
    """What an indicator found: everything that a person needs to believe it."""

    id: str
    """`<position>/<indicator>/<subject>`, the position with 15 digits."""
    position: int
    at: datetime
    """Event time."""
    indicator: str
    severity: str
    mode: str
    """`live`, or `shadow`: recorded, without effect."""
    subject: str
    player_id: UUID | None
    """Whose doing completed it."""
    value: int
    threshold: int
    unit: str
    """Of both."""
    amount_minor: int
    """In EUR: the money that it is about; 0 where it is about none, or the value says."""
    cause: str
    """What it is true of, where another is not the same; see `domain/fraud/strength.py`."""
    since: datetime
    """Where the window began, that instant included."""
    inputs: Mapping[str, Any]
    """What the value was computed from."""
    sentence: str
    ruleset: str


class Finding(NamedTuple):
    """An indicator is true: how bad, by what numbers, in a sentence."""

    severity: Severity
    value: int
    threshold: int
    unit: str
    since_us: int
    inputs: Mapping[str, int | str]
    sentence: str
    about: str = ""
    """Which part of the subject it is about, where one part's hit must not hide another's."""
    amount_minor: int = 0
    """In EUR: the money that it is about, where the value does not say."""
    cause: str = ""
    """What it is true of, where a false alarm about one must not silence another."""


Found = Finding | tuple[Finding, ...] | None
"""Where it is true of several causes, the one to be told of comes first."""
CheckFunction = Callable[[Any, Any, int, Rule, Rules], Found]
"""The state after the signal, the signal, now, the rule, all rules."""


class Check(NamedTuple):
    """When an indicator is looked at, and how."""

    indicator: str
    state: type[AnyState]
    signals: tuple[type[AnySignal], ...]
    function: CheckFunction
    ends: bool = False
    """Finding nothing ends what it found before."""


Evolve = Callable[[Any, Any, int], Any]
"""The state before, the signal, now: the state after. Hits are left to the judge."""


class _Prepared(NamedTuple):
    """A check, with what is looked up of its indicator."""

    indicator: Indicator
    code: str
    worst: Severity
    function: CheckFunction
    ends: bool


class Judge:
    """How every subject is judged: made once of the checks there are."""

    def __init__(self, evolve: Mapping[type[AnyState], Evolve], checks: Iterable[Check]) -> None:
        self._evolve = evolve
        self._checks: dict[tuple[type, type], list[_Prepared]] = defaultdict(list)
        for check in checks:
            for signal in check.signals:
                self._checks[check.state, signal].append(_prepared(check))

    def judge(
        self, state: AnyState | None, signal: AnySignal, rules: Rules
    ) -> tuple[AnyState, tuple[Hit, ...]]:
        """The subject's state after `signal`, and what it hit."""
        if state is None:
            state = STATES[signal.subject.partition(":")[0]]()
        kind = type(state)
        now_us = max(state.at_us, signal.at_us)
        after = self._evolve[kind](state, signal, now_us)
        active = after.active
        if active:
            active = tuple([one for one in active if one.until_us > now_us])
            if type(signal) is Cleared:
                active = tuple([_cleared(one, signal) for one in active])
        hits: list[Hit] = []
        for check in self._checks.get((kind, type(signal)), ()):
            rule = rules.rules.get(check.code, _UNUSED)
            if rule.mode == OFF:
                continue
            if active and not check.ends and _is_known(active, check.code, rule.mode, check.worst):
                continue  # whatever it found would not be recorded
            found = check.function(after, signal, now_us, rule, rules)
            if not found:
                if check.ends:
                    active = tuple([one for one in active if one.indicator != check.code])
                continue
            finding = found if isinstance(found, Finding) else _first(found, active, check, rule)
            if _is_known(active, check.code, rule.mode, finding.severity, finding.about):
                continue
            if active and _is_silent(active, check.code, rule.mode, finding):
                continue
            hits.append(_hit(signal, now_us, check.code, rule, rules, finding))
            active = _with(active, signal.position, now_us, check.indicator, rule, finding)
        if after.at_us != now_us or after.active != active:
            after = msgspec.structs.replace(after, at_us=now_us, active=active)
        return after, tuple(hits)


def weighed(state: AnyState, subject: str) -> list[WeighedHit]:
    """The hits on a subject that count for a payout, as of its own clock."""
    return [
        WeighedHit(
            indicator=one.indicator,
            severity=one.severity,
            subject=subject,
            position=one.position,
            holds=BY_CODE[one.indicator].effect.holds,
        )
        for one in state.active
        if one.counts and one.mode == LIVE and BY_CODE[one.indicator].effect.weighs
    ]


def _prepared(check: Check) -> _Prepared:
    indicator = BY_CODE[check.indicator]
    worst = indicator.severities[-1]
    return _Prepared(indicator, indicator.code, worst, check.function, check.ends)


def _is_known(
    active: tuple[Active, ...], code: str, mode: str, severity: Severity, about: str = ""
) -> bool:
    """It has hit already, as badly, and still counts."""
    for one in active:
        if one.indicator == code and one.mode == mode and one.about == about:
            return one.counts and _RANK[one.severity] >= RANK[severity]
    return False


def _is_silent(active: tuple[Active, ...], code: str, mode: str, found: Finding) -> bool:
    """Nothing is stronger about it than what a case found to be for nothing."""
    for one in active:
        if one.indicator == code and one.mode == mode and one.about == found.about:
            return bool(one.covered) and is_covered(_strength(code, found), one.covered)
    return False


def _first(
    found: tuple[Finding, ...], active: tuple[Active, ...], check: _Prepared, rule: Rule
) -> Finding:
    """The first that is not silent, if any is not."""
    loud = (one for one in found if not _is_silent(active, check.code, rule.mode, one))
    return next(loud, found[0])


def _strength(code: str, found: Finding) -> Strength:
    return Strength(
        indicator=code,
        severity=found.severity.value,
        unit=found.unit,
        value=min(found.value, _BIGINT_MAX),
        amount_minor=min(found.amount_minor, _BIGINT_MAX),
        cause=found.cause,
    )


def _with(
    active: tuple[Active, ...],
    position: int,
    now_us: int,
    indicator: Indicator,
    rule: Rule,
    finding: Finding,
) -> tuple[Active, ...]:
    same = (indicator.code, rule.mode, finding.about)
    others: list[Active] = []
    covered: Covered = ()
    for one in active:
        if (one.indicator, one.mode, one.about) == same:
            covered = one.covered
        else:
            others.append(one)
    strength = _strength(indicator.code, finding)
    added = Active(
        indicator=indicator.code,
        severity=strength.severity,
        mode=rule.mode,
        position=position,
        until_us=now_us + indicator.active_seconds * 1_000_000,
        about=finding.about,
        unit=strength.unit,
        value=strength.value,
        amount_minor=strength.amount_minor,
        covered=covered,
        cause=strength.cause,
    )
    return (*others, added)


def _cleared(one: Active, signal: Cleared) -> Active:
    """What it is after a false alarm: a hit that is stronger than the case knew of, or of another
    cause, still counts."""
    if one.mode != LIVE or one.indicator not in signal.indicators:
        return one
    own = Strength(
        indicator=one.indicator,
        severity=one.severity,
        unit=one.unit,
        value=one.value,
        amount_minor=one.amount_minor,
        cause=one.cause,
    )
    covered = [known for known in signal.covered if known.indicator == one.indicator]
    if covered and not is_covered(own, covered):
        return one
    told = covering(one.covered, covered or [own])
    return msgspec.structs.replace(one, counts=False, covered=told)


def _hit(
    signal: AnySignal, now_us: int, code: str, rule: Rule, rules: Rules, found: Finding
) -> Hit:
    return Hit(
        id=f"{signal.position:015d}/{code}/{signal.subject}",
        position=signal.position,
        at=instant(now_us),
        indicator=code,
        severity=found.severity.value,
        mode=rule.mode,
        subject=signal.subject,
        player_id=UUID(signal.player) if signal.player else None,
        value=min(found.value, _BIGINT_MAX),
        threshold=min(found.threshold, _BIGINT_MAX),
        unit=found.unit,
        amount_minor=min(found.amount_minor, _BIGINT_MAX),
        cause=found.cause,
        since=instant(max(found.since_us, 0)),
        inputs=found.inputs,
        sentence=found.sentence,
        ruleset=rules.name,
    )
