"""Rule sets: state · decisions · evolve. Which indicators count, from what on; in versions.

One person drafts terms, another of compliance publishes them; every hit names the version it was
found by. Whether terms can be used at all is decided in `ruleset_checks.py`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, assert_never
from uuid import NAMESPACE_URL, UUID, uuid5

from domain.command import Command, remember, repeated
from domain.errors import (
    EvidenceMissing,
    InvalidTransition,
    NothingToChange,
    RoleNotAllowed,
    SelfApproval,
)
from domain.events import (
    IndicatorTerms,
    Rate,
    RuleSetDiscarded,
    RuleSetDrafted,
    RuleSetEvent,
    RuleSetPublished,
    RuleSetTerms,
    Threshold,
)
from domain.fraud.indicators.catalogue import INDICATORS
from domain.fraud.ruleset_checks import checked_terms
from domain.replacing import replace

DRAFTERS: Final = ("fraud", "compliance")
"""Whose people may draft a rule set."""

PUBLISHERS: Final = ("compliance",)
"""Whose people may publish what another one drafted."""

DEFAULT_NAME: Final = "default-1"
"""In force until another one is published."""

_REFERENCE_RATES: Final = (
    ("AUD", 164, 100),
    ("BRL", 62, 10),
    ("CAD", 152, 100),
    ("CHF", 94, 100),
    ("CZK", 249, 10),
    ("DKK", 746, 100),
    ("GBP", 86, 100),
    ("HUF", 395, 1),
    ("INR", 95, 1),
    ("ISK", 146, 1),
    ("JPY", 163, 1),
    ("KWD", 34, 100),
    ("MXN", 212, 10),
    ("NOK", 117, 10),
    ("NZD", 184, 100),
    ("PLN", 426, 100),
    ("RON", 498, 100),
    ("SEK", 112, 10),
    ("TRY", 43, 1),
    ("USD", 109, 100),
    ("ZAR", 204, 10),
)
"""Of whole units for one euro, rounded: what thresholds are compared at, no rate to exchange by."""

DEFAULT_TERMS: Final = RuleSetTerms(
    indicators=tuple(
        IndicatorTerms(
            indicator=indicator.code,
            mode="live",
            thresholds=tuple(
                Threshold(name=parameter.name, value=parameter.default)
                for parameter in indicator.parameters
            ),
        )
        for indicator in INDICATORS
    ),
    score_low=10,
    score_medium=25,
    score_high=50,
    hold_from=70,
    base="EUR",
    rates=tuple(
        Rate(currency=currency, numerator=numerator, denominator=denominator)
        for currency, numerator, denominator in _REFERENCE_RATES
    ),
)


# --- state --------------------------------------------------------------------------------------


class RuleSetStatus(StrEnum):
    """Where a version stands."""

    DRAFT = "draft"
    PUBLISHED = "published"
    """Also once a later one has taken its place; `RuleSets.live_id` says which is in force."""
    DISCARDED = "discarded"


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSetVersion:
    """Terms as one person drafted them, and what became of them."""

    id: UUID
    name: str
    """`rules-3`, by order of drafting."""
    status: RuleSetStatus
    terms: RuleSetTerms
    based_on: str
    """The version in force when they were drafted, which they are to take the place of."""
    drafted_by: str
    drafted_at: datetime
    note: str
    decided_by: str | None = None
    """Who published or discarded it."""
    decided_at: datetime | None = None
    decision_note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSets:
    """Every version, and which is in force."""

    id: UUID
    version: int
    """Of the stream that all of them are in."""
    versions: Mapping[UUID, RuleSetVersion]
    """By id, in order of drafting."""
    live_name: str
    live_terms: RuleSetTerms
    live_id: UUID | None
    """None: the default is in force."""
    commands: Mapping[UUID, str]

    def is_superseded(self, version: RuleSetVersion) -> bool:
        """Whether it is a draft that others have been published over since it was drafted."""
        return version.status is RuleSetStatus.DRAFT and version.based_on != self.live_name


_STREAM: Final = uuid5(NAMESPACE_URL, "urn:tallystick:rulesets")

NO_RULESETS: Final = RuleSets(
    id=_STREAM,
    version=0,
    versions={},
    live_name=DEFAULT_NAME,
    live_terms=DEFAULT_TERMS,
    live_id=None,
    commands={},
)
"""Nobody has drafted any; the default is in force."""


def ruleset_stream() -> UUID:
    """The one stream that all rule sets are in."""
    return _STREAM


# --- decisions ----------------------------------------------------------------------------------


def draft_ruleset(
    state: RuleSets, command: Command, *, terms: RuleSetTerms, note: str
) -> RuleSetDrafted | None:
    """Write down terms that payments could be judged by; None if this command did so already.

    The version's id is the command's. Rates are recorded by currency, whatever their order.

    Raises:
        RoleNotAllowed: the person's role drafts no rule sets.
        InvalidRuleSet: the terms cannot be used; the detail says what to change.
        EvidenceMissing: there is no note.
        NothingToChange: they are in force.
    """
    if repeated(state.commands, command):
        return None
    _require(command, DRAFTERS, "drafted")
    checked = checked_terms(terms)
    _require_note(note, "A rule set needs a note that says what it is for.")
    if checked == state.live_terms:
        raise NothingToChange("These terms are in force already.")
    return RuleSetDrafted(
        **command.header(state.id, state.version + 1),
        request_digest=command.request_digest,
        ruleset_id=command.command_id,
        ruleset=f"rules-{len(state.versions) + 1}",
        person=command.person,
        terms=checked,
        note=note,
    )


def publish_ruleset(
    state: RuleSets, command: Command, *, ruleset_id: UUID, note: str
) -> RuleSetPublished | None:
    """Judge payments by a draft from now on; None if this command did so already.

    A draft that another version was published over since is not published: it would silently take
    back what that one changed. Its terms can be drafted again.

    Raises:
        KeyError: there is no such version.
        RoleNotAllowed: the person's role publishes no rule sets.
        InvalidTransition: it is no draft any more, or superseded.
        SelfApproval: the person drafted it.
        EvidenceMissing: there is no note.
        InvalidRuleSet: there are other indicators now than when it was drafted.
    """
    if repeated(state.commands, command):
        return None
    version = state.versions[ruleset_id]
    _require(command, PUBLISHERS, "published")
    status = "superseded" if state.is_superseded(version) else version.status
    if status != RuleSetStatus.DRAFT:
        raise InvalidTransition(status, "published", "rule set")
    if command.person == version.drafted_by:
        raise SelfApproval("Another person than the one who drafted it has to publish a rule set.")
    _require_note(note, "A publication needs a note that says what was looked at.")
    return RuleSetPublished(
        **command.header(state.id, state.version + 1),
        request_digest=command.request_digest,
        ruleset_id=version.id,
        ruleset=version.name,
        person=command.person,
        terms=checked_terms(version.terms),
        note=note,
    )


def discard_ruleset(
    state: RuleSets, command: Command, *, ruleset_id: UUID, note: str
) -> RuleSetDiscarded | None:
    """Let go of a draft, one's own or as compliance; None if this command did so already.

    Raises:
        KeyError: there is no such version.
        RoleNotAllowed: the person neither drafted it nor acts for compliance.
        InvalidTransition: it is no draft any more.
        EvidenceMissing: there is no note.
    """
    if repeated(state.commands, command):
        return None
    version = state.versions[ruleset_id]
    _require(command, DRAFTERS, "discarded")
    if command.role not in PUBLISHERS and command.person != version.drafted_by:
        raise RoleNotAllowed("A draft is discarded by who drafted it, or by compliance.")
    if version.status is not RuleSetStatus.DRAFT:
        raise InvalidTransition(version.status, "discarded", "rule set")
    _require_note(note, "A note has to say why the draft is discarded.")
    return RuleSetDiscarded(
        **command.header(state.id, state.version + 1),
        request_digest=command.request_digest,
        ruleset_id=version.id,
        ruleset=version.name,
        person=command.person,
        note=note,
    )


def _require(command: Command, roles: tuple[str, ...], done: str) -> None:
    if command.role not in roles:
        raise RoleNotAllowed(f"A rule set is {done} by {' or '.join(roles)}.")


def _require_note(note: str, detail: str) -> None:
    if not note.strip():
        raise EvidenceMissing(detail)


# --- evolve -------------------------------------------------------------------------------------


def evolve_rulesets(state: RuleSets | None, event: RuleSetEvent) -> RuleSets:
    """The rule sets after `event`; before the first, the default is in force."""
    state = state or NO_RULESETS
    return replace(
        _changed(state, event),
        version=event.originator_version,
        commands=remember(state.commands, event),
    )


def _changed(state: RuleSets, event: RuleSetEvent) -> RuleSets:
    match event:
        case RuleSetDrafted():
            drafted = RuleSetVersion(
                id=event.ruleset_id,
                name=event.ruleset,
                status=RuleSetStatus.DRAFT,
                terms=event.terms,
                based_on=state.live_name,
                drafted_by=event.person,
                drafted_at=event.occurred_at,
                note=event.note,
            )
            return _with(state, drafted)
        case RuleSetPublished():
            published = _decided(state, event, RuleSetStatus.PUBLISHED)
            return replace(
                _with(state, published),
                live_name=event.ruleset,
                live_terms=event.terms,
                live_id=event.ruleset_id,
            )
        case RuleSetDiscarded():
            return _with(state, _decided(state, event, RuleSetStatus.DISCARDED))
        case _:
            assert_never(event)


def _decided(
    state: RuleSets, event: RuleSetPublished | RuleSetDiscarded, status: RuleSetStatus
) -> RuleSetVersion:
    return replace(
        state.versions[event.ruleset_id],
        status=status,
        decided_by=event.person,
        decided_at=event.occurred_at,
        decision_note=event.note,
    )


def _with(state: RuleSets, version: RuleSetVersion) -> RuleSets:
    return replace(state, versions={**state.versions, version.id: version})


def fold_rulesets(state: RuleSets | None, events: Iterable[RuleSetEvent]) -> RuleSets:
    """The rule sets after `events`, in order; the default's where there are none."""
    for event in events:
        state = evolve_rulesets(state, event)
    return state or NO_RULESETS
