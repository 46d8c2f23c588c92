"""One event of every type, with every field filled, and how to make any event at random."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints
from uuid import UUID

from hypothesis import strategies as st

from domain import events as e
from domain.accounts import clearing, reserved, suspense
from domain.attempts import reference
from domain.events import LedgerEvent
from domain.money import AMOUNT_MINOR_MAX, Money
from domain.outcomes import DeclineCode, Disposition, Evidence, Outcome, ReviewReason, Source

STREAM = UUID("11111111-2222-4333-8444-555555555555")
PLAYER_ID = UUID("aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee")
AT = datetime(2026, 3, 2, 9, 30, 0, 123456, tzinfo=UTC)
LATER = AT + timedelta(hours=1)
EUR = Money(10_050, "EUR")
FEE = Money(31, "EUR")
DIGEST = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

EVIDENCE = Evidence(
    source=Source.NOTICE,
    outcome=Outcome.SUCCEEDED,
    reference=reference(STREAM, 1),
    amount=EUR,
    fee=FEE,
    notice_id=UUID("99999999-8888-4777-8666-555555555555"),
    provider_reference='psp "4711" \\ €',
    decline_code=DeclineCode.DO_NOT_HONOUR,
    raw_code="05",
    redirect_url="https://psp.example/pay?id=1&lang=de",
)
_HEADER = e.Header(
    originator_id=STREAM,
    originator_version=7,
    occurred_at=AT,
    actor="operator:ann",
    command_id=UUID("12345678-1234-4234-8234-123456789abc"),
)
_COMMANDED: dict[str, Any] = {**_HEADER, "request_digest": DIGEST}
_REQUEST: dict[str, Any] = {
    **_COMMANDED,
    "player_id": PLAYER_ID,
    "provider": "acme",
    "method": "bank_transfer",
    "amount": EUR,
    "instrument": "iban-1",
    "metadata": {"b": 'tab\tline\nquote"', "a": "ünï\u2028 €", "\ue000": "last", "😀": "first"},
}
_MOVES = (
    e.Move(source=reserved(PLAYER_ID, "EUR"), target=clearing("acme", "EUR"), money=EUR),
    e.Move(source=reserved(PLAYER_ID, "EUR"), target=suspense("EUR"), money=FEE),
)

SAMPLES: tuple[LedgerEvent, ...] = (
    e.DepositCreated(**_REQUEST),
    e.DepositBlocked(**_HEADER, reason="player_excluded"),
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
        settled=EUR,
        fee=FEE,
        late=True,
        evidence=EVIDENCE,
    ),
    e.DepositVoided(**_HEADER, evidence=EVIDENCE),
    e.DepositExpired(**_HEADER, evidence=EVIDENCE),
    e.DepositCancelled(**_COMMANDED, reason="requested_by_player"),
    e.TransactionSubmitted(
        **_HEADER, reference=reference(STREAM, 2), attempt=2, provider="acme", poll_at=LATER
    ),
    e.TransactionPending(**_HEADER, polls=3, poll_at=LATER, evidence=EVIDENCE),
    e.TransactionUnknown(**_HEADER, polls=4, poll_at=LATER, evidence=EVIDENCE),
    e.TransactionFailed(
        **_HEADER,
        player_id=PLAYER_ID,
        reason="do_not_honour",
        released=EUR,
        retry_at=LATER,
        evidence=EVIDENCE,
    ),
    e.NoticeNoted(**_HEADER, disposition=Disposition.LATE, evidence=EVIDENCE),
    e.ReviewOpened(
        **_HEADER,
        player_id=PLAYER_ID,
        reason=ReviewReason.CONTRADICTION,
        reserved=EUR,
        evidence=EVIDENCE,
    ),
    e.ResolutionProposed(**_COMMANDED, person="ann", target="paid", note="see ticket 4711"),
    e.TransactionResolved(
        **_COMMANDED,
        player_id=PLAYER_ID,
        person="ben",
        target="paid",
        note="see ticket 4711",
        moves=_MOVES,
    ),
    e.WithdrawalRequested(**_REQUEST, reserved=True),
    e.WithdrawalScreeningStarted(**_HEADER),
    e.WithdrawalScreened(
        **_HEADER,
        reasons=("above_automatic_limit", "player_unverified"),
        approvals_required=2,
        policy="default-1",
    ),
    e.WithdrawalApprovalGiven(**_COMMANDED, person="ann", note="known player"),
    e.WithdrawalApproved(**_COMMANDED, person="ben", note="agreed"),
    e.WithdrawalRejected(
        **_COMMANDED, player_id=PLAYER_ID, reason="decided_by_operator", note="no", released=EUR
    ),
    e.WithdrawalInformationRequested(**_COMMANDED, note="whose account is it?"),
    e.WithdrawalInformationProvided(**_COMMANDED, note="their own"),
    e.WithdrawalHeld(**_COMMANDED, note="wait for compliance"),
    e.WithdrawalReleased(**_COMMANDED, note="checked"),
    e.WithdrawalQueued(**_COMMANDED, attempt=2),
    e.WithdrawalRecalled(**_HEADER, reason="player_on_hold"),
    e.WithdrawalProcessing(**_HEADER, polls=2, poll_at=LATER, evidence=EVIDENCE),
    e.WithdrawalPaid(
        **_HEADER, player_id=PLAYER_ID, provider="acme", amount=EUR, fee=FEE, evidence=EVIDENCE
    ),
    e.WithdrawalReturned(
        **_HEADER, player_id=PLAYER_ID, provider="acme", amount=EUR, evidence=EVIDENCE
    ),
    e.WithdrawalCancelled(
        **_COMMANDED, player_id=PLAYER_ID, reason="requested_by_player", released=EUR
    ),
    e.ProviderNoticeReceived(
        **_HEADER,
        provider="acme",
        message_id="msg_1",
        reference=reference(STREAM, 1),
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
    e.NoticeUnmatched(**_HEADER, reason="no such transaction"),
    e.PlayerRegistered(**_HEADER, jurisdiction="MT", verification="basic"),
    e.VerificationChanged(**_COMMANDED, verification="full", jurisdiction="GB"),
    e.PlayerExcluded(**_COMMANDED, reason="asked for it"),
    e.ExclusionEnded(**_COMMANDED, reason="a year is over"),
    e.HoldPlaced(**_COMMANDED, reason="court order"),
    e.HoldLifted(**_COMMANDED, reason="order withdrawn"),
    e.ProviderRegistered(
        **_HEADER,
        provider="acme",
        adapter="simulator",
        poll_delays_seconds=(10, 30),
        expiry_seconds={"redirect": 1_800, "bank_transfer": 604_800},
    ),
    e.ProviderPaused(**_COMMANDED, provider="acme", reason="incident"),
    e.ProviderResumed(**_COMMANDED, provider="acme", reason="incident over"),
)
SAMPLE = {type(sample): sample for sample in SAMPLES}


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
