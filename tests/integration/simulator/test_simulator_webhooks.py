"""Webhooks as the adapter reads them: signatures first, then what makes sense."""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from standardwebhooks.webhooks import Webhook

from domain.events.evidence import DeclineCode, DisputeNews, DisputeStage, Outcome
from domain.money import AMOUNT_MINOR_MAX, Money
from ledger.providers.protocol import Answer, DisputeNotice, InvalidNotice, ProviderNotice
from ledger.providers.simulator.adapter import SimulatorProvider
from tests.servers.simulator_server import (
    FIFTY_EUROS,
    SECRET,
    TOKEN,
    answering,
    refund,
    server,
    submission,
)


def test_signatures_are_those_of_the_published_vector() -> None:
    signed_at = datetime.fromtimestamp(1614265330, UTC)
    identifier, body = "msg_p5jXN8AQM9LWM0D4loKWxJek", '{"test": 2432232314}'
    signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert Webhook(SECRET).sign(identifier, signed_at, body) == signature
    headers = {
        "webhook-id": identifier,
        "webhook-timestamp": "1614265330",
        "webhook-signature": signature,
    }
    with pytest.raises(InvalidNotice, match="too old"):
        offline_provider().parse_notice(headers, body.encode())


def offline_provider() -> SimulatorProvider:
    return SimulatorProvider("http://127.0.0.1:1", SECRET, TOKEN)


def notice_body(**changes: object) -> bytes:
    body: dict[str, object] = {
        "type": "payment.updated",
        "reference": "r-1",
        "status": "succeeded",
        "amount": {"amount": 5000, "currency": "EUR"},
        "provider_reference": "sim_1",
        "decline": None,
        "fee": {"amount": 75, "currency": "EUR"},
        "sent_at": "2026-02-03T04:05:06.000007Z",
    }
    kept = {name: value for name, value in (body | changes).items() if value != "left out"}
    return json.dumps(kept).encode()


def signed(body: bytes, *, late_seconds: int = 0, secret: str = SECRET) -> dict[str, str]:
    now = datetime.fromtimestamp(int(time.time()) - late_seconds, UTC)
    return {
        "Webhook-Id": "msg_1",
        "Webhook-Timestamp": str(int(now.timestamp())),
        "Webhook-Signature": Webhook(secret).sign("msg_1", now, body.decode("latin-1")),
    }


def test_a_signed_notice_is_read() -> None:
    body = notice_body()
    assert offline_provider().parse_notice(signed(body), body) == ProviderNotice(
        message_id="msg_1",
        reference="r-1",
        answer=Answer(
            outcome=Outcome.SUCCEEDED,
            amount=FIFTY_EUROS,
            provider_reference="sim_1",
            fee=Money(75, "EUR"),
        ),
        sent_at=datetime(2026, 2, 3, 4, 5, 6, 7, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    "others", ["v1,AAAA {}", "v2,abc {}", "{} v1,", "nonsense {}", "v1,%%% v1a,x {} v1"]
)
def test_one_good_signature_among_several_is_enough(others: str) -> None:
    body = notice_body()
    headers = signed(body)
    headers["Webhook-Signature"] = others.format(headers["Webhook-Signature"])
    assert offline_provider().parse_notice(headers, body).reference == "r-1"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Webhook-Signature", ""),
        ("Webhook-Signature", "v1,"),
        ("Webhook-Signature", "v1"),
        ("Webhook-Signature", "v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
        ("Webhook-Signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
        ("Webhook-Signature", "v1,\u00e9"),
        ("Webhook-Timestamp", ""),
        ("Webhook-Timestamp", "soon"),
        ("Webhook-Timestamp", "nan"),
        ("Webhook-Id", ""),
        ("Webhook-Id", "msg_2"),
        ("Webhook-Id", "msg_1.1"),
    ],
)
def test_a_notice_with_a_wrong_header_is_refused(name: str, value: str) -> None:
    body = notice_body()
    with pytest.raises(InvalidNotice) as caught:
        offline_provider().parse_notice(signed(body) | {name: value}, body)
    assert SECRET.removeprefix("whsec_") not in caught.value.reason


@pytest.mark.parametrize("late_seconds", [330, -330])
def test_a_notice_more_than_five_minutes_off_is_refused(late_seconds: int) -> None:
    body = notice_body()
    with pytest.raises(InvalidNotice):
        offline_provider().parse_notice(signed(body, late_seconds=late_seconds), body)


def test_a_notice_signed_with_another_secret_or_changed_is_refused() -> None:
    body = notice_body()
    with pytest.raises(InvalidNotice):
        offline_provider().parse_notice(signed(body, secret="whsec_c2VjcmV0"), body)
    with pytest.raises(InvalidNotice):
        offline_provider().parse_notice(signed(body), body.replace(b"5000", b"6000"))
    with pytest.raises(InvalidNotice):
        offline_provider().parse_notice(signed(body), body + b"\xff")


@pytest.mark.parametrize(
    "changes",
    [
        *({name: "left out"} for name in json.loads(notice_body())),
        {"type": "payment.created"},
        {"status": "unknown"},
        {"status": "SUCCEEDED"},
        {"status": "declined"},
        {"amount": None},
        {"amount": {"amount": 50.0, "currency": "EUR"}},
        {"amount": {"amount": "50", "currency": "EUR"}},
        {"amount": {"amount": True, "currency": "EUR"}},
        {"amount": {"amount": 0, "currency": "EUR"}},
        {"amount": {"amount": -50, "currency": "EUR"}},
        {"amount": {"amount": AMOUNT_MINOR_MAX + 1, "currency": "EUR"}},
        {"amount": {"amount": 50, "currency": "eur"}},
        {"amount": {"amount": 50}},
        {"fee": {"amount": 0, "currency": "EUR"}},
        {"decline": {"code": "bad_luck", "raw_code": "1"}, "status": "declined"},
        {"sent_at": "2026-02-03T04:05:06"},
        {"sent_at": "yesterday"},
        {"reference": None},
    ],
    ids=str,
)
def test_a_signed_body_that_makes_no_sense_is_refused(changes: dict[str, object]) -> None:
    body = notice_body(**changes)
    with pytest.raises(InvalidNotice):
        offline_provider().parse_notice(signed(body), body)


# Disputes


def dispute_body(**changes: object) -> bytes:
    body: dict[str, object] = {
        "type": "dispute.updated",
        "reference": "r-1",
        "dispute": "dsp_1",
        "stage": "chargeback",
        "news": "evidence_due",
        "amount": {"amount": 5000, "currency": "EUR"},
        "reason_code": "10.4",
        "evidence_due_at": "2026-02-10T00:00:00Z",
        "sent_at": "2026-02-03T04:05:06.000007Z",
    }
    kept = {name: value for name, value in (body | changes).items() if value != "left out"}
    return json.dumps(kept).encode()


def test_signed_news_of_a_dispute_are_read() -> None:
    body = dispute_body()
    assert offline_provider().parse_notice(signed(body), body) == DisputeNotice(
        message_id="msg_1",
        reference="r-1",
        dispute_reference="dsp_1",
        stage=DisputeStage.CHARGEBACK,
        news=DisputeNews.EVIDENCE_DUE,
        amount=FIFTY_EUROS,
        reason_code="10.4",
        evidence_due_at=datetime(2026, 2, 10, tzinfo=UTC),
        sent_at=datetime(2026, 2, 3, 4, 5, 6, 7, tzinfo=UTC),
    )


@pytest.mark.parametrize("news", DisputeNews)
@pytest.mark.parametrize("stage", DisputeStage)
def test_all_news_at_every_stage_have_a_name(news: DisputeNews, stage: DisputeStage) -> None:
    body = dispute_body(news=news, stage=stage)
    read = offline_provider().parse_notice(signed(body), body)
    assert isinstance(read, DisputeNotice)
    assert (read.news, read.stage) == (news, stage)


def test_news_of_a_dispute_signed_with_another_secret_or_changed_are_refused() -> None:
    body = dispute_body()
    with pytest.raises(InvalidNotice):
        offline_provider().parse_notice(signed(body, secret="whsec_c2VjcmV0"), body)
    with pytest.raises(InvalidNotice):
        offline_provider().parse_notice(signed(body), body.replace(b"evidence_due", b"won"))


@pytest.mark.parametrize(
    "changes",
    [
        *({name: "left out"} for name in json.loads(dispute_body())),
        {"type": "dispute.created"},
        {"type": "payment.updated"},
        {"stage": "appeal"},
        {"news": "returned"},
        {"dispute": ""},
        {"dispute": None},
        {"reference": None},
        {"amount": None},
        {"amount": {"amount": 0, "currency": "EUR"}},
        {"amount": {"amount": 50.5, "currency": "EUR"}},
        {"evidence_due_at": None},
        {"evidence_due_at": "2026-02-10T00:00:00"},
        {"sent_at": "today"},
    ],
    ids=str,
)
def test_signed_news_of_a_dispute_that_make_no_sense_are_refused(
    changes: dict[str, object],
) -> None:
    body = dispute_body(**changes)
    with pytest.raises(InvalidNotice):
        offline_provider().parse_notice(signed(body), body)


# Card numbers

CARD = "4111 1111 1111 1111"


def test_a_notice_is_read_without_a_card_number_in_it() -> None:
    body = notice_body(provider_reference=CARD)
    read = offline_provider().parse_notice(signed(body), body)
    assert isinstance(read, ProviderNotice)
    assert read.answer.provider_reference == "(dropped)"
    assert read.answer.amount == FIFTY_EUROS

    contested = dispute_body(reason_code=f"card {CARD}")
    told = offline_provider().parse_notice(signed(contested), contested)
    assert isinstance(told, DisputeNotice)
    assert told.reason_code == "(dropped)"


def test_an_answer_to_our_own_call_is_read_without_a_card_number_in_it() -> None:
    body = {
        "reference": "r-1",
        "status": "declined",
        "amount": None,
        "provider_reference": f"charge of {CARD}",
        "decline": {"code": "do_not_honour", "raw_code": CARD.replace(" ", "-")},
        "fee": None,
    }
    calls: list[Callable[[SimulatorProvider], Answer]] = [
        lambda provider: provider.submit_deposit(submission("r-1")),
        lambda provider: provider.submit_refund(refund("r-1", "r-0")),
        lambda provider: provider.fetch("r-1", timeout_seconds=5),
    ]
    with server(answering(json.dumps(body).encode())) as base_url:
        for call in calls:
            provider = SimulatorProvider(base_url, SECRET, TOKEN)
            assert call(provider) == Answer(
                outcome=Outcome.DECLINED,
                provider_reference="(dropped)",
                decline_code=DeclineCode.DO_NOT_HONOUR,
                raw_code="(dropped)",
            )
            provider.close()


def test_a_name_of_a_dispute_that_passes_for_a_card_number_is_not_kept_in_part() -> None:
    body = dispute_body(dispute=CARD)
    with pytest.raises(InvalidNotice) as caught:
        offline_provider().parse_notice(signed(body), body)
    assert CARD not in caught.value.reason
