"""Who may do what about fraud: one table, and what follows from it.

The routes ask it, and so does everything else that shows events: what a role may not see, it does
not see in the feed, a proof, an export or a bundle either. Who may decide something about a thing
that they may work on (a second person, compliance) is the domain's own business.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Final, get_args

import structlog
from fastapi import Depends, Request

from domain.errors import RoleNotAllowed
from domain.events import FraudCaseEvent, ReportEvent, RuleSetEvent
from ledger.access.api_keys import StaffRole

ADMINISTRATOR, AUDITOR, COMPLIANCE, FINANCE, FRAUD = (
    StaffRole.ADMINISTRATOR,
    StaffRole.AUDITOR,
    StaffRole.COMPLIANCE,
    StaffRole.FINANCE,
    StaffRole.FRAUD,
)

_log = structlog.get_logger(__name__)


class May(StrEnum):
    """What can be done, as a sentence about it ends."""

    SEE_INDICATORS = "see the indicators"
    SEE_PRECISION = "see how often indicators were right"
    SEE_HITS = "see what indicators hit"
    SEE_SCORES = "see the score of a payout"
    SEE_RULES = "see rule sets"
    DRAFT_RULES = "draft or discard a rule set"
    APPROVE_RULES = "approve a rule set"
    RUN_BACKTESTS = "run a backtest"
    SEE_BACKTESTS = "see backtests"
    SEE_CASES = "see fraud cases"
    WORK_CASES = "work on fraud cases"
    SEE_REPORTS = "see these reports"
    WRITE_REPORTS = "write these reports"


ROLES: Final[Mapping[May, frozenset[StaffRole]]] = {
    May.SEE_INDICATORS: frozenset({FRAUD, COMPLIANCE, AUDITOR, ADMINISTRATOR}),
    May.SEE_PRECISION: frozenset({FRAUD, COMPLIANCE, AUDITOR}),
    May.SEE_HITS: frozenset({FRAUD, COMPLIANCE, AUDITOR}),
    May.SEE_SCORES: frozenset({FRAUD, COMPLIANCE, AUDITOR, FINANCE}),
    May.SEE_RULES: frozenset({FRAUD, COMPLIANCE, AUDITOR, ADMINISTRATOR}),
    May.DRAFT_RULES: frozenset({FRAUD, COMPLIANCE}),
    May.APPROVE_RULES: frozenset({COMPLIANCE}),
    May.RUN_BACKTESTS: frozenset({FRAUD, COMPLIANCE}),
    May.SEE_BACKTESTS: frozenset({FRAUD, COMPLIANCE, AUDITOR}),
    May.SEE_CASES: frozenset({FRAUD, COMPLIANCE, AUDITOR}),
    May.WORK_CASES: frozenset({FRAUD, COMPLIANCE}),
    May.SEE_REPORTS: frozenset({COMPLIANCE, AUDITOR}),
    May.WRITE_REPORTS: frozenset({COMPLIANCE}),
}
"""The table. Who is in no row of it, such as support, does and sees nothing of all this."""

_TOLD_OF_BY: Final[Mapping[May, frozenset[str]]] = {
    may: frozenset(event.__name__ for event in get_args(events))
    for may, events in (
        (May.SEE_RULES, RuleSetEvent),
        (May.SEE_CASES, FraudCaseEvent),
        (May.SEE_REPORTS, ReportEvent),
    )
}
"""Types of events, by what it takes to see them."""


def may(role: str, what: May) -> bool:
    """Whether this role may."""
    return role in ROLES[what]


def hidden_from(role: str) -> tuple[str, ...]:
    """The types of events that are not for this role, by name."""
    hidden = (topics for what, topics in _TOLD_OF_BY.items() if not may(role, what))
    return tuple(sorted(topic for topics in hidden for topic in topics))


def needs(what: May) -> Any:
    """A dependency of routes: refuses, before anything is looked at, who may not."""
    return Depends(_refusing(what))


def denied(request: Request, wanted: str, detail: str | None = None) -> RoleNotAllowed:
    """The refusal of who may not, which is logged."""
    role = str(request.state.role)
    _log.warning(
        "access.denied",
        person=request.state.person,
        role=role,
        method=request.method,
        route=request.scope["route"].path,
        wanted=wanted,
    )
    return RoleNotAllowed(detail or f"The role {role} may not {wanted}.")


def _refusing(what: May) -> Callable[..., Any]:
    async def refusing(request: Request) -> None:
        role = str(request.state.role)
        if not may(role, what):
            takes = " or ".join(sorted(ROLES[what]))
            detail = f"The role {role} may not {what.value}; it takes {takes}."
            raise denied(request, what.value, detail)

    return refusing
