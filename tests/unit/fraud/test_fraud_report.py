"""Reports of suspicious activity: compliance writes, revises, files or dismisses them."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from domain.command import Command
from domain.errors import (
    CommandReused,
    DomainError,
    EvidenceMissing,
    InvalidTransition,
    NothingToChange,
    RoleNotAllowed,
)
from domain.events import (
    FraudCaseOpened,
    IndicatorHit,
    ReportDismissed,
    ReportDrafted,
    ReportedIndicator,
    ReportedTransaction,
    ReportEvent,
    ReportFiled,
    ReportRevised,
)
from domain.fraud.case import FraudCase, case_stream, evolve_case
from domain.fraud.report import (
    Report,
    ReportStatus,
    dismiss_report,
    draft_report,
    evolve_report,
    file_report,
    fold_report,
    revise_report,
)
from domain.money import Money
from tests.scenarios.scenario import NOW, PLAYER_ID, by, command

OTHER_PLAYER = UUID("00000000-0000-4000-8000-000000000003")
DIGEST = "0123456789abcdef" * 4
LATER = NOW + timedelta(hours=1)


def compliance(person: str = "cleo") -> Command:
    return by(person, role="compliance")


def transaction(number: int, amount_minor: int = 10_000) -> ReportedTransaction:
    return ReportedTransaction(
        transaction_id=UUID(int=number),
        kind="deposit",
        amount=Money(amount_minor, "EUR"),
        at="2026-03-02T09:30:00Z",
        instrument="card_1",
    )


def a_case(*player_ids: UUID, subject: str = f"player:{PLAYER_ID}") -> FraudCase:
    hit = IndicatorHit(
        hit=f"7/structuring/{subject}",
        position=7,
        hit_at=NOW,
        indicator="structuring",
        severity="high",
        subject=subject,
        player_id=player_ids[0] if player_ids else None,
        value=3,
        threshold=3,
        unit="count",
        sentence="3 deposits just below 2,000.00 EUR.",
        ruleset="default-1",
        holds=False,
    )
    header = command("system:fraud").header(case_stream(subject, 1), 1)
    opened = FraudCaseOpened(**header, request_digest="digest", subject=subject, number=1, hit=hit)
    case = evolve_case(None, opened)
    return replace(case, player_ids=tuple(dict.fromkeys((*case.player_ids, *player_ids))))


CASE = a_case(PLAYER_ID)
NARRATIVE = "Paid in just below what has to be reported."


def drafted() -> Report:
    event = draft_report(CASE, compliance(), narrative=NARRATIVE, transactions=(transaction(1),))
    return evolve_report(None, event)


Decision = Callable[[Report, Command], ReportEvent | None]


def revising(narrative: str = "Another one.", *transactions: ReportedTransaction) -> Decision:
    return lambda state, who: revise_report(
        state, who, narrative=narrative, transactions=transactions
    )


def filing(authority: str = "FIU", reference: str = "2026/17", digest: str = DIGEST) -> Decision:
    return lambda state, who: file_report(
        state, who, authority=authority, authority_reference=reference, document_digest=digest
    )


def dismissing(reason: str = "It was a lottery prize.") -> Decision:
    return lambda state, who: dismiss_report(state, who, reason=reason)


def after(state: Report, decision: Decision, who: Command | None = None) -> Report:
    event = decision(state, who or compliance())
    assert event is not None
    assert event.originator_version == state.version + 1
    return evolve_report(state, event)


def refused(state: Report, decision: Decision, who: Command) -> type[DomainError]:
    with pytest.raises(DomainError) as caught:
        decision(state, who)
    return type(caught.value)


# --- drafting -----------------------------------------------------------------------------------


def test_a_report_is_drafted_from_what_a_case_has_found() -> None:
    who = compliance()
    event = draft_report(CASE, who, narrative=NARRATIVE, transactions=(transaction(1),))
    assert isinstance(event, ReportDrafted)
    assert event.originator_id == who.command_id
    report = evolve_report(None, event)
    assert (report.status, report.version) == (ReportStatus.DRAFT, 1)
    assert (report.case_id, report.subject) == (CASE.id, CASE.subject)
    assert (report.player_id, report.drafted_by) == (PLAYER_ID, "cleo")
    assert (report.narrative, report.transactions) == (NARRATIVE, (transaction(1),))
    [hit] = CASE.hits
    assert report.indicators == (
        ReportedIndicator(indicator="structuring", hit=hit.hit, sentence=hit.sentence),
    )


@pytest.mark.parametrize(
    ("case", "player_id"),
    [
        (a_case(OTHER_PLAYER), PLAYER_ID),
        (a_case(OTHER_PLAYER, subject=f"holding:{PLAYER_ID}:card_1"), PLAYER_ID),
        (a_case(OTHER_PLAYER, subject="device:d"), OTHER_PLAYER),
        (a_case(PLAYER_ID, OTHER_PLAYER, subject="device:d"), None),
        (a_case(subject="provider:acme"), None),
    ],
    ids=["player", "holding", "one player's device", "several players' device", "provider"],
)
def test_a_report_is_about_the_subject_or_the_only_player(
    case: FraudCase, player_id: UUID | None
) -> None:
    event = draft_report(case, compliance(), narrative=NARRATIVE, transactions=())
    assert event.player_id == player_id


def test_a_transaction_is_reported_once() -> None:
    listed = (transaction(2), transaction(1), transaction(2))
    event = draft_report(CASE, compliance(), narrative=NARRATIVE, transactions=listed)
    assert event.transactions == (transaction(2), transaction(1))
    revised = after(drafted(), revising("n", *listed))
    assert revised.transactions == (transaction(2), transaction(1))


@pytest.mark.parametrize("narrative", ["", " \n"])
def test_a_report_has_a_narrative(narrative: str) -> None:
    with pytest.raises(EvidenceMissing):
        draft_report(CASE, compliance(), narrative=narrative, transactions=())
    assert refused(drafted(), revising(narrative), compliance()) is EvidenceMissing


# --- every state and every command --------------------------------------------------------------

STATES: Mapping[str, Callable[[], Report]] = {
    "draft": drafted,
    "filed": lambda: after(drafted(), filing()),
    "dismissed": lambda: after(drafted(), dismissing()),
}

DECISIONS: Mapping[str, tuple[Decision, type[ReportEvent]]] = {
    "revise": (revising(), ReportRevised),
    "file": (filing(), ReportFiled),
    "dismiss": (dismissing(), ReportDismissed),
}


@pytest.mark.parametrize("status", STATES)
@pytest.mark.parametrize("name", DECISIONS)
def test_only_a_draft_is_revised_filed_or_dismissed(status: str, name: str) -> None:
    state, (decision, kind) = STATES[status](), DECISIONS[name]
    assert state.status == status
    if status == "draft":
        assert type(decision(state, compliance("dora"))) is kind
    else:
        assert refused(state, decision, compliance("dora")) is InvalidTransition


def test_all_states_are_listed() -> None:
    assert set(STATES) == set(ReportStatus)


@pytest.mark.parametrize(
    "role", ["fraud", "administrator", "finance", "support", "platform", "auditor", ""]
)
def test_reports_are_for_compliance_only(role: str) -> None:
    who = by("ann", role=role)
    with pytest.raises(RoleNotAllowed):
        draft_report(CASE, who, narrative=NARRATIVE, transactions=())
    for make in STATES.values():
        for decision, _ in DECISIONS.values():
            assert refused(make(), decision, who) is RoleNotAllowed


@pytest.mark.parametrize("name", DECISIONS)
def test_a_command_sent_twice_is_carried_out_once(name: str) -> None:
    once, (decision, _) = compliance(), DECISIONS[name]
    state = after(drafted(), decision, once)
    assert decision(state, once) is None
    assert refused(state, decision, replace(once, request_digest="other")) is CommandReused


# --- revising, filing, dismissing ---------------------------------------------------------------


def test_a_draft_says_what_was_written_last() -> None:
    revised = after(drafted(), revising("Another one.", transaction(2)))
    assert (revised.narrative, revised.transactions) == ("Another one.", (transaction(2),))
    assert revised.indicators == drafted().indicators


def test_revising_changes_something() -> None:
    assert refused(drafted(), revising(NARRATIVE, transaction(1)), compliance()) is NothingToChange
    assert after(drafted(), revising(NARRATIVE)).transactions == ()
    assert after(drafted(), revising(NARRATIVE, transaction(1, 5))).version == 2


def test_a_filed_report_names_who_has_it_and_what_was_handed_in() -> None:
    filed = after(drafted(), filing("FIU", "2026/17", DIGEST), replace(compliance(), now=LATER))
    assert filed.status is ReportStatus.FILED
    assert (filed.authority, filed.authority_reference) == ("FIU", "2026/17")
    assert (filed.document_digest, filed.decided_by, filed.decided_at) == (DIGEST, "cleo", LATER)


@pytest.mark.parametrize(
    "decision",
    [
        filing(authority=" "),
        filing(reference=""),
        filing(digest=""),
        filing(digest=DIGEST[:-1]),
        filing(digest=DIGEST + "0"),
        filing(digest=DIGEST.upper()),
        filing(digest=DIGEST + "\n"),
        filing(digest="g" * 64),
        dismissing(""),
        dismissing(" \n"),
    ],
)
def test_filing_and_dismissing_stand_on_something(decision: Decision) -> None:
    assert refused(drafted(), decision, compliance()) is EvidenceMissing


def test_a_dismissed_report_says_why() -> None:
    dismissed = after(drafted(), dismissing("A lottery prize."), replace(compliance(), now=LATER))
    assert (dismissed.status, dismissed.reason) == (ReportStatus.DISMISSED, "A lottery prize.")
    assert (dismissed.decided_by, dismissed.decided_at) == ("cleo", LATER)


@pytest.mark.parametrize(
    ("decision", "rewritten"), [(revising(), True), (filing(), False), (dismissing(), False)]
)
def test_when_it_was_written_changes_with_what_it_says(decision: Decision, rewritten: bool) -> None:
    left = after(drafted(), decision, replace(compliance(), now=LATER))
    assert (left.drafted_at, left.updated_at) == (NOW, LATER)
    assert left.written_at == (LATER if rewritten else NOW)


# --- folding ------------------------------------------------------------------------------------


def test_a_report_begins_with_its_draft() -> None:
    revised = revising()(drafted(), compliance())
    assert revised is not None
    with pytest.raises(ValueError, match="cannot begin with ReportRevised"):
        fold_report(None, (revised,))


def test_nothing_folds_to_no_report() -> None:
    assert fold_report(None, ()) is None
    assert fold_report(replace(drafted(), id=uuid4()), ()) is not None
