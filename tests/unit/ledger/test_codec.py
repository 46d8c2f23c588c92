"""The bytes of events: canonical, stable across releases, and nothing else is readable.

`TALLYSTICK_WRITE_GOLDEN=1 pytest tests/unit/ledger/test_codec.py` adds samples that are new to the
golden file; lines that exist are never rewritten.
"""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from eventsourcing.persistence import StoredEvent
from hypothesis import given

from domain.events import EVENT_TYPES, DepositCreated, LedgerEvent
from ledger.eventstore.codec import TOPICS, LedgerMapper, UnreadableEvent, decode, encode
from tests.generators.event_samples import ADDED_LATER, SAMPLE, SAMPLES, VARIANTS, any_event

GOLDEN = Path(__file__).parents[2] / "golden" / "events.jsonl"

# Stored data carries these names: they may be added to, never changed.
STABLE_TOPICS_TEXT = """
DepositCreated DepositBlocked DepositAwaitingPlayer DepositAuthorised DepositCompleted
DepositVoided DepositExpired DepositCancelled DepositRefundTracked DepositDisputeTracked
DepositConcernsReviewed DepositDisputeFundsTracked DepositExcessTracked
TransactionSubmitted TransactionPending TransactionUnknown TransactionFailed NoticeNoted
ReviewOpened ResolutionProposed TransactionResolved WithdrawalRequested WithdrawalAmended
WithdrawalScored WithdrawalScreeningStarted WithdrawalScreened WithdrawalApprovalGiven
WithdrawalApproved WithdrawalRejected WithdrawalInformationRequested
WithdrawalInformationProvided WithdrawalHeld WithdrawalReleased WithdrawalQueued
WithdrawalRecalled WithdrawalProcessing WithdrawalPaid WithdrawalReturned WithdrawalCancelled
RefundRequested RefundApprovalAwaited RefundApproved RefundRejected RefundCancelled
RefundSucceeded RefundReversed ConversionQuoted ConversionExpired ConversionAccepted
ConversionRejected ConversionExecuted DisputeOpened DisputeEvidenceDue DisputeEvidenceSubmitted
DisputeAccepted DisputeAcknowledged DisputeAnswerDelayed DisputeExpired DisputeWon DisputeLost
DisputeWithdrawn DisputeFundsWithdrawn DisputeFundsReinstated DisputeNewsNoted
AdjustmentRequested AdjustmentApproved AdjustmentRejected ProviderNoticeReceived
DisputeNoticeReceived NoticeUnmatched PlayerRegistered VerificationChanged LimitSet
InstrumentRegistered PlayerExcluded ExclusionEnded HoldPlaced HoldLifted WagerRecorded
ProviderRegistered ProviderPaused ProviderResumed ApprovalPolicyProposed ApprovalPolicyPublished
RateTablePublished RateTableProposed RateTableApproved RateProposalDiscarded RateSourceProposed
RateSourceTrusted RateSourceRevoked ProjectionCutOver InstrumentHolderChecked CredentialsChanged
RuleSetDrafted
RuleSetPublished RuleSetDiscarded FraudCaseOpened FraudCaseHitAdded FraudCaseAssigned FraudCaseNoted
FraudCaseInformationRequested FraudCaseInformationReceived FraudCaseHoldPlaced FraudCaseHoldLifted
FraudCaseClosureProposed FraudCaseClosed ReportDrafted ReportRevised ReportFiled ReportDismissed
"""
STABLE_TOPICS = STABLE_TOPICS_TEXT.split()


def golden() -> list[dict[str, Any]]:
    return [json.loads(line) for line in GOLDEN.read_text(encoding="utf-8").splitlines()]


def read_back(event: LedgerEvent, state: bytes) -> LedgerEvent:
    return decode(TOPICS[type(event)], state, event.originator_id, event.originator_version)


def jcs(value: Any) -> str:
    """RFC 8785 for objects, arrays, strings, integers, booleans and null, written independently.

    Section 3.2.3: members are sorted by the UTF-16 code units of their names. Section 3.2.2.2:
    strings are escaped as ECMAScript does, which for these is what Python does.
    """
    if isinstance(value, dict):
        members = sorted(value.items(), key=lambda member: member[0].encode("utf-16-be"))
        return "{" + ",".join(f"{jcs(name)}:{jcs(member)}" for name, member in members) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(jcs, value)) + "]"
    assert value is None or isinstance(value, str | int)
    return json.dumps(value, ensure_ascii=False)


@pytest.fixture(scope="module", autouse=True)
def _new_samples_are_added_on_request() -> None:
    if os.environ.get("TALLYSTICK_WRITE_GOLDEN") != "1":
        return
    known = {(line["topic"], line["state"]) for line in golden()} if GOLDEN.exists() else set()
    with GOLDEN.open("a", encoding="utf-8") as file:
        for event in VARIANTS:
            topic, state = TOPICS[type(event)], encode(event).decode()
            if (topic, state) not in known:
                line = {
                    "topic": topic,
                    "stream": str(event.originator_id),
                    "version": event.originator_version,
                    "state": state,
                }
                file.write(json.dumps(line) + "\n")


# --- golden samples -----------------------------------------------------------------------------


def test_topics_are_stable() -> None:
    assert sorted(TOPICS.values()) == sorted(STABLE_TOPICS)


def test_no_two_events_share_a_topic() -> None:
    assert len(set(TOPICS.values())) == len(TOPICS) == len(EVENT_TYPES)


def test_every_event_type_has_golden_samples() -> None:
    assert sorted({line["topic"] for line in golden()}) == sorted(STABLE_TOPICS)
    assert set(SAMPLE) == set(EVENT_TYPES)


def test_every_variant_is_a_golden_sample() -> None:
    """What is optional, once there and once not; every word of every enumeration."""
    kept = {(line["topic"], line["state"]) for line in golden()}
    assert [v for v in VARIANTS if (TOPICS[type(v)], encode(v).decode()) not in kept] == []


@pytest.mark.parametrize("topic", STABLE_TOPICS)
def test_golden_bytes_are_read_as_the_event_they_were(topic: str) -> None:
    expected = [variant for variant in VARIANTS if TOPICS[type(variant)] == topic]
    for line in golden():
        if line["topic"] == topic:
            state = line["state"].encode()
            event = decode(topic, state, UUID(line["stream"]), line["version"])
            assert event in expected
            assert encode(event) == state


def test_what_was_stored_before_an_event_got_a_field_keeps_its_bytes() -> None:
    for later in ADDED_LATER:
        before = json.loads(encode(SAMPLE[type(later)]))
        assert before.keys() < json.loads(encode(later)).keys()


def test_the_stream_and_version_are_not_in_the_bytes() -> None:
    for sample in SAMPLES:
        assert b"originator" not in encode(sample)


# --- canonical ----------------------------------------------------------------------------------


@given(any_event())
def test_any_event_survives_the_way_there_and_back(event: LedgerEvent) -> None:
    state = encode(event)
    again = read_back(event, state)
    assert again == event
    assert encode(again) == state


@given(any_event())
def test_the_bytes_are_canonical_json(event: LedgerEvent) -> None:
    state = encode(event)
    assert state.decode() == jcs(json.loads(state))


def test_members_are_sorted_by_utf_16_code_units() -> None:
    """An astral character comes before U+E000, although its code point is larger (RFC 8785)."""
    metadata = {"\ue000": "2", "😀": "1", "a": "0"}
    state = encode(replace(SAMPLE[DepositCreated], metadata=metadata)).decode()
    assert '"metadata":{"a":"0","😀":"1","\ue000":"2"}' in state


def test_control_characters_have_the_shortest_escape() -> None:
    metadata = {"k": '\b\t\n\f\r\x1f\x7f"\\/é'}
    state = encode(replace(SAMPLE[DepositCreated], metadata=metadata)).decode()
    assert r'{"k":"\b\t\n\f\r\u001f' + '\x7f\\"\\\\/é"}' in state


def test_the_order_in_which_metadata_was_given_does_not_matter() -> None:
    one = replace(SAMPLE[DepositCreated], metadata={"a": "1", "b": "2"})
    other = replace(SAMPLE[DepositCreated], metadata={"b": "2", "a": "1"})
    assert encode(one) == encode(other)


# --- refused ------------------------------------------------------------------------------------

BAD_TEXTS = ["\0", "a\0b", "\\\0", "\\\\\0", "\ud800", "\udfff", "a\ud83d"]


@pytest.mark.parametrize("text", BAD_TEXTS)
def test_text_that_postgresql_or_utf_8_cannot_hold_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the classes differ, the meaning does not
        encode(replace(SAMPLE[DepositCreated], method=text))


@pytest.mark.parametrize("text", BAD_TEXTS)
def test_so_it_is_in_names_and_values_of_metadata(text: str) -> None:
    for metadata in ({text: "value"}, {"name": text}):
        with pytest.raises(ValueError):  # noqa: PT011
            encode(replace(SAMPLE[DepositCreated], metadata=metadata))


def test_text_that_only_looks_like_an_escaped_nul_is_fine() -> None:
    event = replace(SAMPLE[DepositCreated], method="\\u0000", metadata={"\\\\u0000": "\\u0000"})
    assert read_back(event, encode(event)) == event


GOOD = encode(SAMPLE[DepositCreated])


@pytest.mark.parametrize(
    "state",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        GOOD[:-1],
        GOOD + b" x",
        GOOD + b"}",
        GOOD + GOOD,
        b"x" + GOOD[1:],
        b" " + GOOD,
        GOOD.replace(b'"amount"', b'"amounts"'),
        GOOD.replace(b"10050", b"100.5"),
        GOOD.replace(b"10050", b"10050.5"),
        GOOD.replace(b"10050", b'"10050"'),
        GOOD.replace(b"10050", b"NaN"),
        GOOD.replace(b"bank_transfer", b"\xff"),
    ],
)
def test_bytes_that_no_release_wrote_are_unreadable(state: bytes) -> None:
    with pytest.raises(UnreadableEvent):
        read_back(SAMPLE[DepositCreated], state)


def test_an_unknown_topic_is_unreadable() -> None:
    with pytest.raises(UnreadableEvent, match="DepositImagined"):
        decode("DepositImagined", GOOD, UUID(int=1), 1)


def test_the_bytes_cannot_name_another_stream() -> None:
    other = b'{"originator_id":"%b","originator_version":99,' % str(UUID(int=9)).encode()
    assert read_back(SAMPLE[DepositCreated], other + GOOD[1:]) == SAMPLE[DepositCreated]


# --- the library's mapper -----------------------------------------------------------------------


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: type(sample).__name__)
def test_the_librarys_mapper_uses_the_same_bytes(sample: LedgerEvent) -> None:
    mapper = LedgerMapper()
    stored = mapper.to_stored_event(sample)
    assert stored == StoredEvent(
        sample.originator_id, sample.originator_version, TOPICS[type(sample)], encode(sample)
    )
    assert mapper.to_domain_event(stored) == sample
