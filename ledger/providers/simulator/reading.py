"""What the simulated provider says, read and mapped: bodies in, our own words out.

Nothing is believed that does not make sense, and no text is passed on that holds a card number.
"""

from collections.abc import Mapping
from fractions import Fraction
from typing import Final, assert_never

import msgspec

from domain.events.evidence import DisputeNews, Outcome
from domain.money import InvalidMoney, Money
from ledger.providers.card_numbers import kept, without_card_number
from ledger.providers.protocol import (
    Answer,
    DisputeNotice,
    InvalidNotice,
    ProviderNotice,
    ProviderQuote,
    QuoteRequest,
    QuoteUnavailable,
)
from ledger.providers.simulator.wire import (
    DisputeBody,
    DisputeNoticeBody,
    ErrorBody,
    MoneyBody,
    NoticeBody,
    PaymentBody,
    QuoteBody,
    Status,
)

_OUTCOMES: Final[Mapping[Status, Outcome]] = {
    Status.ACCEPTED: Outcome.ACCEPTED,
    Status.AWAITING_PLAYER: Outcome.AWAITING_PLAYER,
    Status.PENDING: Outcome.PENDING,
    Status.AUTHORISED: Outcome.AUTHORISED,
    Status.SUCCEEDED: Outcome.SUCCEEDED,
    Status.DECLINED: Outcome.DECLINED,
    Status.VOIDED: Outcome.VOIDED,
    Status.RETURNED: Outcome.RETURNED,
}


class _Unreadable(Exception):
    """The body is not what this provider sends; the text never quotes it."""


_NO_ANSWER: Final = (msgspec.MsgspecError, UnicodeDecodeError, _Unreadable, InvalidMoney)


def read_payment(status_code: int, content: bytes, reference: str) -> Answer:
    """What became of the payment with this reference; `unknown` unless it clearly says so."""
    if status_code != 200:
        return Answer(outcome=Outcome.UNKNOWN, raw_code=str(status_code))
    try:
        body = msgspec.json.decode(content, type=PaymentBody)
        answer = _answer_of(body, redirect_url=body.redirect_url)
    except _NO_ANSWER:
        return Answer(outcome=Outcome.UNKNOWN, raw_code="unreadable")
    if body.reference != reference:
        return Answer(outcome=Outcome.UNKNOWN, raw_code="another_reference")
    return answer


def read_dispute_answer(
    status_code: int, content: bytes, dispute_reference: str, *, accept: bool
) -> Answer:
    """Whether the provider has our answer to this dispute."""
    if status_code == 404 and says(content, "dispute_not_found", dispute_reference):
        return Answer(outcome=Outcome.NOT_FOUND)
    if status_code == 409 and says(content, "not_answerable", dispute_reference):
        return Answer(outcome=Outcome.DECLINED, raw_code="not_answerable")
    if status_code != 200:
        return Answer(outcome=Outcome.UNKNOWN, raw_code=str(status_code))
    try:
        body = msgspec.json.decode(content, type=DisputeBody)
    except _NO_ANSWER:
        return Answer(outcome=Outcome.UNKNOWN, raw_code="unreadable")
    if (body.dispute, body.accept) != (dispute_reference, accept):
        return Answer(outcome=Outcome.UNKNOWN, raw_code="another_dispute")
    return Answer(outcome=Outcome.ACCEPTED)


def read_quote(status_code: int, content: bytes, request: QuoteRequest) -> ProviderQuote:
    """The rate that was asked for.

    Raises:
        QuoteUnavailable: there is none, or the answer is not about what was asked.
    """
    if status_code != 200:
        raise QuoteUnavailable(_error_code(content) or str(status_code))
    try:
        body = msgspec.json.decode(content, type=QuoteBody)
        source, rate = body.source.money(), Fraction(body.rate)
    except _NO_ANSWER:
        raise QuoteUnavailable("unreadable") from None
    if (source, body.target_currency) != (request.source, request.target_currency):
        raise QuoteUnavailable("another_quote")
    if rate == 0 or not body.quote or kept(body.quote) != body.quote:
        raise QuoteUnavailable("unreadable")
    return ProviderQuote(quote_reference=body.quote, rate=rate, expires_at=body.expires_at)


def read_notice(message_id: str, raw_body: bytes) -> ProviderNotice | DisputeNotice:
    """What an authentic webhook says.

    Raises:
        InvalidNotice: it is unreadable, or makes no sense.
    """
    try:
        body = msgspec.json.decode(raw_body, type=NoticeBody | DisputeNoticeBody)
        match body:
            case NoticeBody():
                return _payment_notice(message_id, body)
            case DisputeNoticeBody():
                return _dispute_notice(message_id, body)
            case _:
                assert_never(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InvalidNotice(f"unreadable body: {error}") from error
    except (_Unreadable, InvalidMoney) as error:
        raise InvalidNotice(str(error)) from error


def says(content: bytes, error: str, reference: str) -> bool:
    """Whether the provider itself says this about that reference.

    A 404 of a proxy or a wrong path must not pass for news.
    """
    try:
        body = msgspec.json.decode(content, type=ErrorBody)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return False
    return (body.error, body.reference) == (error, reference)


def _error_code(content: bytes) -> str | None:
    try:
        return msgspec.json.decode(content, type=ErrorBody).error
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _payment_notice(message_id: str, body: NoticeBody) -> ProviderNotice:
    return ProviderNotice(
        message_id=message_id,
        reference=kept(body.reference),
        answer=_answer_of(body, redirect_url=None),
        sent_at=body.sent_at,
    )


def _dispute_notice(message_id: str, body: DisputeNoticeBody) -> DisputeNotice:
    # Without its name a dispute could not be told from others, so nothing can be kept of it.
    if not body.dispute or kept(body.dispute) != body.dispute:
        raise _Unreadable("a dispute without a reference that may be kept")
    if (body.news is DisputeNews.EVIDENCE_DUE) and body.evidence_due_at is None:
        raise _Unreadable("evidence is due, and it does not say when")
    return DisputeNotice(
        message_id=message_id,
        reference=kept(body.reference),
        dispute_reference=body.dispute,
        stage=body.stage,
        news=body.news,
        amount=body.amount.money(),
        reason_code=without_card_number(body.reason_code),
        evidence_due_at=body.evidence_due_at,
        sent_at=body.sent_at,
    )


def _answer_of(body: PaymentBody | NoticeBody, *, redirect_url: str | None) -> Answer:
    """Check what the types cannot say, and map.

    Raises:
        _Unreadable: a status without the field it calls for.
        InvalidMoney: an impossible amount or currency.
    """
    amount = _money(body.amount)
    if body.status is Status.SUCCEEDED and amount is None:
        raise _Unreadable("a success that states no amount")
    if (body.status is Status.DECLINED) != (body.decline is not None):
        raise _Unreadable("a decline comes with a code, and nothing else does")
    if isinstance(body, PaymentBody) and body.status is Status.AWAITING_PLAYER and not redirect_url:
        raise _Unreadable("a player to wait for, and no page to send the player to")
    decline = body.decline
    return Answer(
        outcome=_OUTCOMES[body.status],
        amount=amount,
        provider_reference=without_card_number(body.provider_reference),
        decline_code=decline.code if decline else None,
        raw_code=without_card_number(decline.raw_code) if decline else None,
        fee=_money(body.fee),
        redirect_url=without_card_number(redirect_url),
        happened_at=body.happened_at,
    )


def _money(body: MoneyBody | None) -> Money | None:
    return None if body is None else body.money()
