"""Events of every type: one with every field filled, its variants, and any at random."""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints
from uuid import UUID

from hypothesis import strategies as st

from domain import events as e
from domain.accounts import clearing, reserved, suspense
from domain.counters import deposited_counter, instrument_counter
from domain.events import LedgerEvent
from domain.events.evidence import (
    DeclineCode,
    Disposition,
    DisputeNews,
    DisputeReport,
    DisputeStage,
    Evidence,
    Outcome,
    ReviewReason,
    Source,
    Standing,
)
from domain.money import AMOUNT_MINOR_MAX, Money

STREAM = UUID("11111111-2222-4333-8444-555555555555")
PLAYER_ID = UUID("aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee")
AT = datetime(2026, 3, 2, 9, 30, 0, 123456, tzinfo=UTC)
LATER = AT + timedelta(hours=1)
EUR = Money(10_050, "EUR")
FEE = Money(31, "EUR")
DIGEST = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

GBP = Money(8_660, "GBP")
REFERENCE = f"{STREAM.hex}-1"
OTHER_ID = UUID("cccccccc-dddd-4eee-8fff-000000000000")

EVIDENCE = Evidence(
    source=Source.NOTICE,
    outcome=Outcome.SUCCEEDED,
    reference=REFERENCE,
    amount=EUR,
    fee=FEE,
    notice_id=UUID("99999999-8888-4777-8666-555555555555"),
    provider_reference='psp "4711" \\ €',
    decline_code=DeclineCode.DO_NOT_HONOUR,
    raw_code="05",
    redirect_url="https://psp.example/pay?id=1&lang=de",
)
REPORT = DisputeReport(
    source=Source.NOTICE,
    news=DisputeNews.OPENED,
    stage=DisputeStage.CHARGEBACK,
    reference=REFERENCE,
    dispute_reference="dp_4711",
    amount=EUR,
    reason_code="10.4",
    evidence_due_at=LATER,
    notice_id=UUID("99999999-8888-4777-8666-555555555556"),
)
_HEADER = e.Header(
    originator_id=STREAM,
    originator_version=7,
    occurred_at=AT,
    actor="operator:ann",
    command_id=UUID("12345678-1234-4234-8234-123456789abc"),
)
_COMMANDED: dict[str, Any] = {**_HEADER, "request_digest": DIGEST}
_METADATA = {"b": 'tab\tline\nquote"', "a": "ünï\u2028 €", "\ue000": "last", "😀": "first"}
_REQUEST: dict[str, Any] = {
    **_COMMANDED,
    "player_id": PLAYER_ID,
    "provider": "acme",
    "method": "bank_transfer",
    "amount": EUR,
    "instrument": "iban-1",
    "metadata": _METADATA,
}
_RATES: dict[str, Any] = {
    "source": "ecb",
    "base": "EUR",
    "as_of": "2026-03-02",
    "rates": (
        e.Rate(currency="GBP", numerator=8_661, denominator=10_000),
        e.Rate(currency="JPY", numerator=16_283, denominator=100),
    ),
}
_MOVES = (
    e.Move(source=reserved(PLAYER_ID, "EUR"), target=clearing("acme", "EUR"), money=EUR),
    e.Move(source=reserved(PLAYER_ID, "EUR"), target=suspense("EUR"), money=FEE),
)
_COUNTS = (
    e.Count(counter=instrument_counter(PLAYER_ID, "iban-1 €", "EUR"), change=10_050),
    e.Count(counter=deposited_counter(PLAYER_ID, "EUR"), change=-10_050),
)
_LEGS = (
    e.PlannedLeg(leg=1, provider="acme", method="card", instrument="card-1", amount=FEE),
    e.PlannedLeg(leg=2, provider="beta", method="bank_transfer", instrument=None, amount=EUR),
)
_ORIGIN = e.Origin(
    device="dev-7f3a",
    address="addr-19c2",
    address_country="DE",
    instrument_country="AT",
    bin="411111",
)
_CASE_HIT = e.IndicatorHit(
    hit=f"000000000004711/structuring/player:{PLAYER_ID}",
    position=4_711,
    hit_at=AT,
    indicator="structuring",
    severity="high",
    subject=f"player:{PLAYER_ID}",
    player_id=PLAYER_ID,
    value=4,
    threshold=3,
    unit="count",
    sentence="4 deposits between 1,800.00 and 2,000.00 EUR within 7 days.",
    ruleset="rules-3",
    holds=True,
)
_RULES = e.RuleSetTerms(
    indicators=(
        e.IndicatorTerms(
            indicator="velocity",
            mode="shadow",
            thresholds=(
                e.Threshold(name="hour_deposits", value=10),
                e.Threshold(name="day_deposits", value=20),
            ),
        ),
    ),
    score_low=10,
    score_medium=25,
    score_high=50,
    hold_from=70,
    base="EUR",
    rates=(e.Rate(currency="GBP", numerator=86, denominator=100),),
)
_RULESET: dict[str, Any] = {
    **_COMMANDED,
    "ruleset_id": OTHER_ID,
    "ruleset": "rules-3",
    "person": "ann",
    "note": "fewer false alarms",
}
_REPORTED = (
    e.ReportedTransaction(
        transaction_id=OTHER_ID,
        kind="deposit",
        amount=EUR,
        at="2026-03-02T09:30:00Z",
        instrument="iban-1",
    ),
)
_REQUIRED = (("finance", "administrator"), ("compliance",))
_TERMS = e.ApprovalTerms(
    currency="EUR",
    tiers=(
        e.ApprovalTier(limit_major=1_000, required=()),
        e.ApprovalTier(limit_major=None, required=_REQUIRED),
    ),
    score_below=40,
    high_required=(("fraud",),),
    turnover_percent_min=100,
    approval_seconds=86_400,
)

SAMPLES: tuple[LedgerEvent, ...] = (
    e.DepositCreated(**_REQUEST, origin=_ORIGIN, counts=_COUNTS),
    e.DepositBlocked(
        **_HEADER, player_id=PLAYER_ID, amount=EUR, reason="player_excluded", counts=_COUNTS
    ),
    e.DepositAwaitingPlayer(
        **_HEADER,
        redirect_url="https://psp.example/pay",
        expires_at=LATER,
        poll_at=LATER,
        evidence=EVIDENCE,
    ),
    e.DepositAuthorised(**_HEADER, poll_at=LATER, evidence=EVIDENCE),
    e.DepositCompleted(
        **_HEADER,
        player_id=PLAYER_ID,
        provider="acme",
        instrument="iban-1",
        settled=EUR,
        fee=FEE,
        late=True,
        concerns=("player_excluded", "limit_exceeded"),
        counts=_COUNTS,
        evidence=EVIDENCE,
    ),
    e.DepositVoided(**_HEADER, counts=_COUNTS, evidence=EVIDENCE),
    e.DepositExpired(**_HEADER, counts=_COUNTS, evidence=EVIDENCE),
    e.DepositCancelled(**_COMMANDED, reason="requested_by_player", counts=_COUNTS),
    e.DepositRefundTracked(**_HEADER, refund_id=OTHER_ID, amount=EUR, standing=Standing.OPEN),
    e.DepositConcernsReviewed(**_COMMANDED, person="ann", note="the player was told"),
    e.DepositDisputeTracked(**_HEADER, dispute_id=OTHER_ID, amount=EUR, standing=Standing.TAKEN),
    e.DepositDisputeFundsTracked(**_HEADER, dispute_id=OTHER_ID, withdrawn=(EUR,)),
    e.DepositExcessTracked(**_HEADER, excess=EUR),
    e.TransactionSubmitted(
        **_HEADER, reference=REFERENCE, attempt=2, provider="acme", poll_at=LATER
    ),
    e.TransactionPending(**_HEADER, polls=3, poll_at=LATER, evidence=EVIDENCE),
    e.TransactionUnknown(**_HEADER, polls=4, poll_at=LATER, evidence=EVIDENCE),
    e.TransactionFailed(
        **_HEADER,
        player_id=PLAYER_ID,
        reason="do_not_honour",
        released=EUR,
        retry_at=LATER,
        counts=_COUNTS,
        evidence=EVIDENCE,
        declined=e.Declined(
            provider="acme", amount=EUR, instrument="iban-1", address="addr-19c2", bin="411111"
        ),
    ),
    e.NoticeNoted(**_HEADER, disposition=Disposition.LATE, evidence=EVIDENCE),
    e.ReviewOpened(
        **_HEADER,
        player_id=PLAYER_ID,
        reason=ReviewReason.CONTRADICTION,
        reserved=EUR,
        evidence=EVIDENCE,
    ),
    e.ResolutionProposed(**_COMMANDED, person="ann", target="paid", leg=2, note="see ticket 4711"),
    e.TransactionResolved(
        **_COMMANDED,
        player_id=PLAYER_ID,
        person="ben",
        target="paid",
        leg=2,
        note="see ticket 4711",
        moves=_MOVES,
        counts=_COUNTS,
    ),
    e.WithdrawalRequested(
        **_REQUEST, origin=_ORIGIN, reserved=True, legs=_LEGS, closed_loop=True, counts=_COUNTS
    ),
    e.WithdrawalAmended(
        **_COMMANDED,
        player_id=PLAYER_ID,
        amount=EUR,
        instrument="iban-2",
        legs=_LEGS,
        origin=_ORIGIN,
        closed_loop=False,
        released=FEE,
        note="takes less",
        counts=_COUNTS,
    ),
    e.WithdrawalScored(
        **_COMMANDED, score=71, high=("new_instrument", "velocity"), ruleset="rules-3"
    ),
    e.WithdrawalScreeningStarted(**_HEADER),
    e.WithdrawalScreened(
        **_HEADER,
        reasons=("above_automatic_limit", "player_unverified"),
        required=_REQUIRED,
        policy="default-1",
        approval_seconds=86_400,
        score=75,
        high=("structuring",),
        hits=(
            e.WeighedHit(
                indicator="structuring",
                severity="high",
                subject=f"player:{PLAYER_ID}",
                position=4_711,
                holds=False,
            ),
        ),
        ruleset="rules-3",
    ),
    e.WithdrawalApprovalGiven(
        **_COMMANDED, person="ann", role="finance", snapshot=DIGEST, note="known player"
    ),
    e.WithdrawalApproved(
        **_COMMANDED, person="ben", role="compliance", snapshot=DIGEST, note="agreed"
    ),
    e.WithdrawalRejected(
        **_COMMANDED,
        player_id=PLAYER_ID,
        reason="decided_by_operator",
        note="no",
        released=EUR,
        counts=_COUNTS,
    ),
    e.WithdrawalInformationRequested(**_COMMANDED, note="whose account is it?"),
    e.WithdrawalInformationProvided(**_COMMANDED, note="their own"),
    e.WithdrawalHeld(**_COMMANDED, note="wait for compliance"),
    e.WithdrawalReleased(**_COMMANDED, note="checked"),
    e.WithdrawalQueued(**_COMMANDED, leg=1, attempt=2, provider="acme"),
    e.WithdrawalRecalled(**_HEADER, reason="player_on_hold"),
    e.WithdrawalProcessing(**_HEADER, polls=2, poll_at=LATER, evidence=EVIDENCE),
    e.WithdrawalPaid(
        **_HEADER,
        leg=1,
        player_id=PLAYER_ID,
        provider="acme",
        amount=EUR,
        fee=FEE,
        evidence=EVIDENCE,
    ),
    e.WithdrawalReturned(
        **_HEADER,
        leg=2,
        player_id=PLAYER_ID,
        provider="acme",
        amount=EUR,
        counts=_COUNTS,
        evidence=EVIDENCE,
    ),
    e.WithdrawalCancelled(
        **_COMMANDED,
        player_id=PLAYER_ID,
        reason="requested_by_player",
        released=EUR,
        counts=_COUNTS,
    ),
    e.RefundRequested(
        **{**_REQUEST, "deposit_id": OTHER_ID},
        reason="paid twice",
        reserved=True,
        counts=_COUNTS,
    ),
    e.RefundApprovalAwaited(**_HEADER, required=_REQUIRED),
    e.RefundApproved(**_COMMANDED, person="ben", role="finance", note="agreed", attempt=1),
    e.RefundRejected(
        **_COMMANDED,
        player_id=PLAYER_ID,
        reason="insufficient_funds",
        note="spent",
        released=EUR,
        counts=_COUNTS,
    ),
    e.RefundCancelled(
        **_COMMANDED, player_id=PLAYER_ID, reason="dispute_open", released=EUR, counts=_COUNTS
    ),
    e.RefundSucceeded(
        **_HEADER, player_id=PLAYER_ID, provider="acme", amount=EUR, fee=FEE, evidence=EVIDENCE
    ),
    e.RefundReversed(
        **_HEADER,
        player_id=PLAYER_ID,
        provider="acme",
        amount=EUR,
        counts=_COUNTS,
        evidence=EVIDENCE,
    ),
    e.ConversionQuoted(
        **_COMMANDED,
        player_id=PLAYER_ID,
        provider="acme",
        source=EUR,
        target=GBP,
        spread=Money(44, "GBP"),
        rate_numerator=8_661,
        rate_denominator=10_000,
        rate_source="ecb-2026-03-02",
        rounding="down",
        quote_reference="q-4711",
        expires_at=LATER,
        metadata=_METADATA,
    ),
    e.ConversionExpired(**_HEADER),
    e.ConversionAccepted(**_COMMANDED, player_id=PLAYER_ID, source=EUR, reserved=True),
    e.ConversionRejected(
        **_COMMANDED, player_id=PLAYER_ID, reason="insufficient_funds", released=EUR
    ),
    e.ConversionExecuted(
        **_HEADER,
        player_id=PLAYER_ID,
        source=EUR,
        target=GBP,
        spread=Money(44, "GBP"),
        evidence=EVIDENCE,
    ),
    e.DisputeOpened(
        **_HEADER,
        deposit_id=OTHER_ID,
        player_id=PLAYER_ID,
        provider="acme",
        method="card",
        instrument="card-1",
        dispute_reference="dp_4711",
        stage=DisputeStage.CHARGEBACK,
        amount=EUR,
        reason_code="10.4",
        report=REPORT,
    ),
    e.DisputeEvidenceDue(**_HEADER, due_at=LATER, report=REPORT),
    e.DisputeEvidenceSubmitted(
        **_COMMANDED, person="ann", note="they played", documents=("doc-1", "doc-2")
    ),
    e.DisputeAccepted(**_COMMANDED, person="ann", note="our mistake"),
    e.DisputeAcknowledged(**_HEADER, report=REPORT),
    e.DisputeAnswerDelayed(**_HEADER, retry_at=LATER, outcome=Outcome.NOT_SENT),
    e.DisputeExpired(**_HEADER, report=REPORT),
    e.DisputeWon(**_HEADER, report=REPORT),
    e.DisputeLost(**_HEADER, report=REPORT),
    e.DisputeWithdrawn(**_HEADER, report=REPORT),
    e.DisputeFundsWithdrawn(**_HEADER, provider="acme", amount=EUR, counts=_COUNTS, report=REPORT),
    e.DisputeFundsReinstated(**_HEADER, provider="acme", amount=EUR, counts=_COUNTS, report=REPORT),
    e.DisputeNewsNoted(**_HEADER, disposition=Disposition.DUPLICATE, report=REPORT),
    e.AdjustmentRequested(
        **_COMMANDED,
        player_id=PLAYER_ID,
        moves=_MOVES,
        reason="provider paid twice",
        grounds="settlement of 2 March, line 7",
        transaction_id=OTHER_ID,
        metadata=_METADATA,
    ),
    e.AdjustmentApproved(
        **_COMMANDED, person="ben", role="compliance", note="agreed", moves=_MOVES
    ),
    e.AdjustmentRejected(
        **_COMMANDED, person="ben", reason="decided_by_operator", note="wrong line"
    ),
    e.ProviderNoticeReceived(
        **_HEADER,
        provider="acme",
        message_id="msg_1",
        reference=REFERENCE,
        outcome=Outcome.DECLINED,
        amount=EUR,
        fee=FEE,
        provider_reference="psp-4711",
        decline_code=DeclineCode.SUSPECTED_FRAUD,
        raw_code="59",
        redirect_url="https://psp.example/pay",
        raw_digest=DIGEST,
        sent_at=LATER,
    ),
    e.DisputeNoticeReceived(
        **_HEADER,
        provider="acme",
        message_id="msg_2",
        reference=REFERENCE,
        dispute_reference="dp_4711",
        stage=DisputeStage.INQUIRY,
        news=DisputeNews.EVIDENCE_DUE,
        amount=EUR,
        reason_code="10.4",
        evidence_due_at=LATER,
        raw_digest=DIGEST,
        sent_at=LATER,
    ),
    e.NoticeUnmatched(**_HEADER, reason="no such transaction"),
    e.PlayerRegistered(
        **_HEADER, jurisdiction="MT", verification="basic", time_zone="Europe/Malta"
    ),
    e.VerificationChanged(
        **_COMMANDED, verification="full", jurisdiction="GB", time_zone="Europe/London"
    ),
    e.LimitSet(**_COMMANDED, window="week", currency="EUR", limit_minor=50_000, effective_at=LATER),
    e.InstrumentRegistered(**_HEADER, instrument="iban-1", provider="acme", method="bank_transfer"),
    e.PlayerExcluded(**_COMMANDED, reason="asked for it", until=LATER),
    e.ExclusionEnded(**_COMMANDED, reason="a year is over"),
    e.HoldPlaced(**_COMMANDED, hold="fraud", reason="court order"),
    e.HoldLifted(**_COMMANDED, hold="fraud", reason="order withdrawn"),
    e.WagerRecorded(
        **_COMMANDED, player_id=PLAYER_ID, amount=EUR, metadata=_METADATA, counts=_COUNTS
    ),
    e.ProviderRegistered(
        **_HEADER,
        provider="acme",
        adapter="simulator",
        poll_delays_seconds=(10, 30),
        expiry_seconds={"redirect": 1_800, "bank_transfer": 604_800},
    ),
    e.ProviderPaused(**_COMMANDED, provider="acme", reason="incident"),
    e.ProviderResumed(**_COMMANDED, provider="acme", reason="incident over"),
    e.ApprovalPolicyProposed(**_COMMANDED, person="ann", terms=_TERMS, note="stricter"),
    e.ApprovalPolicyPublished(
        **_COMMANDED, person="ben", policy="policy-2", terms=_TERMS, note="agreed"
    ),
    e.RateTablePublished(**_COMMANDED, table="ecb-2026-03-02", **_RATES),
    e.RateTableProposed(
        **_COMMANDED,
        proposal_id=OTHER_ID,
        person="ann",
        **_RATES,
        beyond="What EUR is worth in GBP moves by more than 10 % from ecb-2026-03-01.",
        note="as the bank corrected them",
    ),
    e.RateTableApproved(
        **_COMMANDED,
        proposal_id=OTHER_ID,
        person="ben",
        proposed_by="ann",
        table="ecb-2026-03-02",
        **_RATES,
        note="compared with the bank's page",
    ),
    e.RateProposalDiscarded(
        **_COMMANDED, proposal_id=OTHER_ID, person="ben", note="of another day"
    ),
    e.RateSourceProposed(**_COMMANDED, source="ecb", person="ann", note="our own job fetches it"),
    e.RateSourceTrusted(**_COMMANDED, source="ecb", person="ben", note="agreed"),
    e.RateSourceRevoked(**_COMMANDED, source="ecb", person="ben", note="it was wrong twice"),
    e.ProjectionCutOver(
        **_HEADER,
        model="history",
        from_version=2,
        version=3,
        position=4_711,
        digest="ab" * 32,
        digest_position=4_700,
        compared=True,
    ),
    e.InstrumentHolderChecked(**_COMMANDED, instrument="iban-1", similarity_percent=41),
    e.CredentialsChanged(**_COMMANDED, credential="email"),
    e.RuleSetDrafted(**_RULESET, terms=_RULES),
    e.RuleSetPublished(**_RULESET, terms=_RULES),
    e.RuleSetDiscarded(**_RULESET),
    e.FraudCaseOpened(**_COMMANDED, subject=f"player:{PLAYER_ID}", number=2, hit=_CASE_HIT),
    e.FraudCaseHitAdded(**_COMMANDED, hit=_CASE_HIT),
    e.FraudCaseAssigned(**_COMMANDED, person="ben"),
    e.FraudCaseNoted(**_COMMANDED, person="ben", note="same device as another player"),
    e.FraudCaseInformationRequested(**_COMMANDED, person="ben", note="whose card is it?"),
    e.FraudCaseInformationReceived(**_COMMANDED, person="ben", note="their sister's"),
    e.FraudCaseHoldPlaced(
        **_COMMANDED, person="ben", player_id=PLAYER_ID, hold="fraud", note="until it is clear"
    ),
    e.FraudCaseHoldLifted(
        **_COMMANDED, person="ben", player_id=PLAYER_ID, hold="fraud", note="it is clear"
    ),
    e.FraudCaseClosureProposed(
        **_COMMANDED, person="ben", decision="false_positive", reason="a family"
    ),
    e.FraudCaseClosed(
        **_COMMANDED,
        person="eve",
        decision="false_positive",
        reason="a family",
        proposed_by="ben",
        subject=f"player:{PLAYER_ID}",
        indicators=("structuring", "velocity"),
        opened_at=AT,
    ),
    e.ReportDrafted(
        **_COMMANDED,
        case_id=OTHER_ID,
        subject=f"player:{PLAYER_ID}",
        player_id=PLAYER_ID,
        person="eve",
        narrative="Deposits just below 2,000 euro, day after day.",
        transactions=_REPORTED,
        indicators=(
            e.ReportedIndicator(
                indicator="structuring", hit=_CASE_HIT.hit, sentence=_CASE_HIT.sentence
            ),
        ),
    ),
    e.ReportRevised(
        **_COMMANDED, person="eve", narrative="And a payout to a third.", transactions=_REPORTED
    ),
    e.ReportFiled(
        **_COMMANDED,
        person="eve",
        authority="FIU",
        authority_reference="FIU-2026-4711",
        document_digest="cd" * 32,
    ),
    e.ReportDismissed(**_COMMANDED, person="eve", reason="explained by a sale of a car"),
)
SAMPLE = {type(sample): sample for sample in SAMPLES}

_AGAIN: dict[str, Any] = {
    "from_available": Money(10_000, "EUR"),
    "from_house": Money(50, "EUR"),
    "counts": _COUNTS,
}
_TIMED = replace(EVIDENCE, happened_at=AT)
ADDED_LATER: tuple[LedgerEvent, ...] = (
    replace(SAMPLE[e.ProviderNoticeReceived], happened_at=AT),
    replace(SAMPLE[e.NoticeNoted], evidence=_TIMED, fee=FEE, provider="acme"),
    replace(SAMPLE[e.WithdrawalPaid], evidence=_TIMED, **_AGAIN),
    replace(SAMPLE[e.WithdrawalReturned], to_house=Money(50, "EUR")),
    replace(SAMPLE[e.RefundSucceeded], **_AGAIN),
    replace(SAMPLE[e.RefundReversed], evidence=_TIMED, to_house=Money(50, "EUR")),
    replace(SAMPLE[e.HoldPlaced], stops=("deposits", "payouts")),
    replace(
        SAMPLE[e.VerificationChanged],
        time_zone="Pacific/Auckland",
        limit_day="2026-03-02",
        limit_day_until=LATER,
    ),
    replace(SAMPLE[e.FraudCaseOpened], amount_minor=780_000, cause="iban:de:1"),
    replace(SAMPLE[e.FraudCaseHitAdded], amount_minor=780_000, cause="iban:de:1"),
    replace(
        SAMPLE[e.FraudCaseClosed],
        covered=(
            e.Strength(
                indicator="structuring",
                severity="high",
                unit="count",
                value=4,
                amount_minor=780_000,
                cause="iban:de:1",
            ),
        ),
    ),
)
"""With the fields that their kind did not have from the beginning."""


# --- variants -----------------------------------------------------------------------------------


def sparse(value: Any) -> Any:
    """With nothing in it that need not be: no optional field, no element, no switch on."""
    hints = get_type_hints(type(value))
    return replace(
        value, **{f.name: _least(hints[f.name], getattr(value, f.name)) for f in fields(value)}
    )


def _least(kind: Any, present: Any) -> Any:
    if NoneType in get_args(kind):
        return None
    if get_origin(kind) is tuple:
        return ()
    if get_origin(kind) is Mapping:
        return {}
    if kind is bool:
        return False
    return sparse(present) if is_dataclass(present) and kind is not Money else present


def with_every_word(value: Any, told: set[type]) -> Iterator[Any]:
    """Once with each member of every enumeration in it, unless another event has told them."""
    for f in fields(value):
        present = getattr(value, f.name)
        if isinstance(present, StrEnum):
            yield from (replace(value, **{f.name: word}) for word in type(present))
        elif is_dataclass(present) and type(present) not in told:
            told.add(type(present))
            for inner in with_every_word(present, told):
                yield replace(value, **{f.name: inner})


def _variants() -> Iterator[LedgerEvent]:
    told: set[type] = set()
    for sample in SAMPLES:
        variants: list[LedgerEvent] = []
        for variant in (sample, sparse(sample), *with_every_word(sample, told)):
            if variant not in variants:
                variants.append(variant)
        yield from variants
    yield from ADDED_LATER


VARIANTS: tuple[LedgerEvent, ...] = tuple(_variants())
"""The samples, bare and with every word that events know: what the golden file holds."""


# --- any event ----------------------------------------------------------------------------------

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
INSTANTS = st.integers(0, 7_000_000_000_000_000).map(
    lambda microseconds: datetime.fromtimestamp(0, UTC) + timedelta(microseconds=microseconds)
)
MONEY = st.builds(
    Money, st.integers(1, AMOUNT_MINOR_MAX), st.sampled_from(["EUR", "JPY", "KWD", "CLF"])
)
_PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    str: TEXT,
    int: st.integers(0, 2**31 - 1),
    bool: st.booleans(),
    UUID: st.uuids(),
    datetime: INSTANTS,
    NoneType: st.none(),
    Money: MONEY,
    e.Count: st.builds(
        e.Count, counter=TEXT, change=st.integers(-AMOUNT_MINOR_MAX, AMOUNT_MINOR_MAX)
    ),
    e.Move: MONEY.map(
        lambda money: e.Move(
            source=reserved(PLAYER_ID, money.currency),
            target=clearing("acme", money.currency),
            money=money,
        )
    ),
}


def any_of(kind: Any) -> st.SearchStrategy[Any]:
    """Values of a field's type: the types that events are made of, and no other."""
    if kind in _PLAIN:
        return _PLAIN[kind]
    arguments = get_args(kind)
    if get_origin(kind) in (Union, UnionType):
        return st.one_of(*map(any_of, arguments))
    if get_origin(kind) is tuple:
        return st.lists(any_of(arguments[0]), max_size=3).map(tuple)
    if get_origin(kind) is Mapping:
        return st.dictionaries(any_of(arguments[0]), any_of(arguments[1]), max_size=4)
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return st.sampled_from(kind)
    if is_dataclass(kind):
        hints = get_type_hints(kind)
        return st.builds(kind, **{f.name: any_of(hints[f.name]) for f in fields(kind)})
    raise TypeError(f"no way to make a {kind}")


def any_event() -> st.SearchStrategy[LedgerEvent]:
    return st.one_of(*map(any_of, e.EVENT_TYPES))
