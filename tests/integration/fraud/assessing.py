"""Payouts are judged by indicators: those that a test has in force, as a worker asks them."""

import time
from dataclasses import replace
from uuid import UUID, uuid4

from api.http.services import Services
from domain.fraud.assessment import Assessment
from domain.fraud.ruleset import DEFAULT_TERMS
from ledger.commands.assessments import StoredAssessments
from ledger.commands.dispatch import Dispatch
from ledger.commands.errors import NotAssessedYet
from ledger.commands.handling import Caller, Handling

CALL_TIMEOUT_SECONDS = 0.2
ASSESSED_WITHIN_SECONDS = 20.0


def publish_rules(services: Services, mode: str, *codes: str) -> str:
    """Put the default rule set in force, but for the mode of these indicators, or of all.

    Returns:
        The rule set's name.
    """
    terms = replace(
        DEFAULT_TERMS,
        indicators=tuple(
            replace(one, mode=mode if not codes or one.indicator in codes else one.mode)
            for one in DEFAULT_TERMS.indicators
        ),
    )
    ben, cleo = _caller("ben", "fraud"), _caller("cleo", "compliance")
    draft = services.rulesets.draft(terms, "for tests", ben)
    return services.rulesets.publish(draft.id, "for tests", cleo).name


class PatientAssessments:
    """Waits for the read model, where a worker would come back later."""

    def __init__(self, stored: StoredAssessments) -> None:
        self._stored = stored

    def of(self, withdrawal_id: UUID, version: int) -> Assessment:
        deadline = time.monotonic() + ASSESSED_WITHIN_SECONDS
        while True:
            try:
                return self._stored.of(withdrawal_id, version)
            except NotAssessedYet:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.005)


def dispatch_of(handling: Handling, stored: StoredAssessments) -> Dispatch:
    """What a worker uses, for tests that do a worker's steps one by one."""
    return Dispatch(handling, PatientAssessments(stored), CALL_TIMEOUT_SECONDS)


def _caller(person: str, role: str) -> Caller:
    return Caller(actor=f"operator:{person}", idempotency_key=str(uuid4()), role=role)
