"""Candidates: the rule set that is tried out, as a log has it or as changes to the one in force."""

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, NamedTuple
from uuid import UUID

from domain.errors import InvalidRuleSet
from domain.events import (
    EVENT_TYPES,
    IndicatorTerms,
    RuleSetDrafted,
    RuleSetPublished,
    RuleSetTerms,
    Threshold,
)
from domain.fraud.indicators.catalogue import BY_CODE
from domain.fraud.ruleset import DEFAULT_NAME, DEFAULT_TERMS, ruleset_stream
from domain.fraud.ruleset_checks import checked_terms
from replay.archive.fold import columns_of, decoded, topics_of
from replay.archive.layout import Manifest, bucket_of
from replay.backtest.judging import Candidate, InForce

LIVE: Final = "live"
"""Names the rule set that is in force where the log ends."""

SCORES: Final = ("score_low", "score_medium", "score_high", "hold_from")
_DEFAULT: Final = InForce(0, DEFAULT_NAME, DEFAULT_TERMS)
_OTHERS: Final = topics_of(frozenset(EVENT_TYPES) - {RuleSetDrafted, RuleSetPublished})


class CandidateInvalid(ValueError):
    """There is no such rule set, or it cannot be used."""


@dataclass(frozen=True, slots=True)
class Named:
    """A rule set by its name or id, drafted or published; `live` is the one in force."""

    text: str


@dataclass(frozen=True, slots=True)
class Changed:
    """The rule set in force, with changes.

    `{"card_testing": {"mode": "shadow", "thresholds": {"declines": 4}}, "hold_from": 80}`
    """

    name: str
    changes: Mapping[str, Any]


Wanted = Named | Changed


class RuleSetSeen(NamedTuple):
    """A rule set, where it was drafted or published."""

    position: int
    id: UUID
    name: str
    terms: RuleSetTerms
    published: bool


def rulesets_in(folder: Path, manifest: Manifest) -> list[RuleSetSeen]:
    """The rule sets of an archive, in order. All are in one stream, and so in one bucket.

    Raises:
        ArchiveError: a file cannot be read.
    """
    bucket = bucket_of(ruleset_stream().bytes, manifest.buckets)
    return [
        RuleSetSeen(
            position=recorded.position,
            id=recorded.event.ruleset_id,
            name=recorded.event.ruleset,
            terms=recorded.event.terms,
            published=isinstance(recorded.event, RuleSetPublished),
        )
        for columns in columns_of(folder, bucket, manifest.position)
        for recorded in decoded(columns, _OTHERS)
        if isinstance(recorded.event, RuleSetDrafted | RuleSetPublished)
    ]


def in_force(seen: Sequence[RuleSetSeen]) -> tuple[InForce, ...]:
    """The rule sets that were in force, one after the other, from the default on."""
    published = (one for one in seen if one.published)
    return (_DEFAULT, *(InForce(one.position, one.name, one.terms) for one in published))


def candidate_of(wanted: Wanted, seen: Sequence[RuleSetSeen]) -> Candidate:
    """The rule set that is wanted, of those that were seen in the log.

    Raises:
        CandidateInvalid: there is none, or it cannot be used.
    """
    live = in_force(seen)[-1]
    if isinstance(wanted, Changed):
        return Candidate(wanted.name, changed_terms(live.terms, wanted.changes))
    if wanted.text == LIVE:
        return Candidate(live.name, live.terms)
    if wanted.text == DEFAULT_NAME:
        return Candidate(DEFAULT_NAME, DEFAULT_TERMS)
    for one in seen:
        if wanted.text in (str(one.id), one.name):
            return Candidate(one.name, _checked(one.terms))
    names = ", ".join(dict.fromkeys((DEFAULT_NAME, *(one.name for one in seen))))
    raise CandidateInvalid(f"The log has no rule set {wanted.text!r}. It has: {names}.")


def read_changes(path: Path) -> Changed:
    """What a file says, named as the file is: TOML where it ends so, otherwise JSON.

    Raises:
        CandidateInvalid: it cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
        found: object = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        raise CandidateInvalid(f"{path} cannot be read: {error}") from error
    if not isinstance(found, dict):
        raise CandidateInvalid(f"{path} is no table of indicators and what to change about them.")
    return Changed(path.stem, found)


def changed_terms(terms: RuleSetTerms, changes: Mapping[str, Any]) -> RuleSetTerms:
    """The terms with changes by indicator, and perhaps other scores.

    Raises:
        CandidateInvalid: there is no such indicator or threshold, or the result cannot be used.
    """
    for name in changes:
        if name not in BY_CODE and name not in SCORES:
            raise CandidateInvalid(f"There is no indicator {name!r}.")
    scores = {name: changes[name] for name in SCORES if name in changes}
    indicators = tuple(
        _changed(one, changes[one.indicator]) if one.indicator in changes else one
        for one in terms.indicators
    )
    return _checked(replace(terms, indicators=indicators, **scores))


def _changed(one: IndicatorTerms, change: object) -> IndicatorTerms:
    if not isinstance(change, dict) or not change.keys() <= {"mode", "thresholds"}:
        raise CandidateInvalid(f"Of {one.indicator}, `mode` and `thresholds` can be changed.")
    values = change.get("thresholds", {})
    if not isinstance(values, dict):
        raise CandidateInvalid(f"The thresholds of {one.indicator} are numbers by name.")
    known = [threshold.name for threshold in one.thresholds]
    for name in values:
        if name not in known:
            named = ", ".join(known) or "none"
            raise CandidateInvalid(f"{one.indicator} has no threshold {name!r}. It has: {named}.")
    return IndicatorTerms(
        indicator=one.indicator,
        mode=change.get("mode", one.mode),
        thresholds=tuple(
            Threshold(name=threshold.name, value=values.get(threshold.name, threshold.value))
            for threshold in one.thresholds
        ),
    )


def _checked(terms: RuleSetTerms) -> RuleSetTerms:
    try:
        return checked_terms(terms)
    except InvalidRuleSet as error:
        raise CandidateInvalid(str(error)) from error
