"""What a story says of each event, for people."""

from dataclasses import replace
from typing import Any
from uuid import UUID

import msgspec
import pytest

from domain.accounts import available
from domain.counters import instrument_counter, limit_counters
from domain.events import Count, LedgerEvent
from replay import event_text
from replay.seen import (
    Agreed,
    Approvals,
    Balance,
    Counted,
    Health,
    Heard,
    PolicyInForce,
    RatesInForce,
    Saw,
    Score,
    Standing,
)
from tests.generators.event_samples import AT, PLAYER_ID, SAMPLES, VARIANTS, sparse

REFUND = "cccccccc-dddd-4eee-8fff-000000000000"


@pytest.mark.parametrize("event", VARIANTS, ids=lambda event: type(event).__name__)
def test_something_is_said_of_every_event_or_nothing(event: LedgerEvent) -> None:
    said = event_text.words(msgspec.to_builtins(event))
    assert "None" not in said
    assert "{" not in said


def test_nothing_is_said_of_what_says_nothing() -> None:
    assert event_text.words({}) == ""
    assert event_text.words({"reason": None, "note": "", "high": [], "late": False}) == ""


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"reason": "limit_exceeded", "counts": []}, "limit_exceeded"),
        (
            {
                "refund_id": REFUND,
                "amount": {"amount": 5_000, "currency": "EUR"},
                "standing": "taken",
            },
            f"refund {REFUND}, 50.00 EUR, taken",
        ),
        (
            {"reasons": ["high_indicator"], "required": [["fraud", "finance"], ["compliance"]]},
            "high_indicator, takes fraud or finance and compliance",
        ),
        (
            {
                "legs": [
                    {
                        "leg": 1,
                        "instrument": "tok_b",
                        "method": "card",
                        "amount": {"amount": 250, "currency": "JPY"},
                    },
                    {
                        "leg": 2,
                        "instrument": None,
                        "method": "card",
                        "amount": {"amount": 1, "currency": "EUR"},
                    },
                ]
            },
            "leg 1: 250 JPY to tok_b, leg 2: 0.01 EUR to card",
        ),
        (
            {
                "evidence": {
                    "source": "poll",
                    "outcome": "declined",
                    "reference": f"{UUID(int=1).hex}-2",
                    "decline_code": "do_not_honour",
                    "raw_code": "05",
                }
            },
            "poll about attempt 2: declined do_not_honour 05",
        ),
        (
            {
                "score": 25,
                "hits": [{"indicator": "low_turnover", "severity": "medium", "position": 7}],
                "ruleset": "rules-3",
            },
            "score 25, low_turnover (medium), by rules-3",
        ),
        ({"instrument": "iban-1", "similarity_percent": 41}, "names 41 % alike"),
        ({"target": "completed", "note": "the bank says so"}, "completed, “the bank says so”"),
    ],
)
def test_it_is_said_in_a_few_words(facts: dict[str, Any], said: str) -> None:
    assert event_text.words(facts) == said


def test_counters_are_named_without_the_player() -> None:
    counts = [
        *(
            Count(counter=name, change=1_050)
            for name in limit_counters(PLAYER_ID, "EUR", AT.date())
        ),
        Count(counter=instrument_counter(PLAYER_ID, "tok:b", "JPY"), change=-7),
    ]
    assert list(event_text.counted({"counts": msgspec.to_builtins(counts)})) == [
        "limit 2026-03-02: +10.50 EUR",
        "limit 2026-W10: +10.50 EUR",
        "limit 2026-03: +10.50 EUR",
        "instrument tok:b: -7 JPY",
    ]


def test_every_counter_of_every_event_can_be_told() -> None:
    told = [line for event in SAMPLES for line in event_text.counted(msgspec.to_builtins(event))]
    assert told
    assert not any(str(PLAYER_ID) in line for line in told)
    assert not [
        line for e in SAMPLES for line in event_text.counted(msgspec.to_builtins(sparse(e)))
    ]


# --- what was seen ------------------------------------------------------------------------------

SAW = Saw(
    position=41,
    balances=(
        Balance(account=available(PLAYER_ID, "EUR"), balance_minor=1_050),
        Balance(account="house:fees:JPY", balance_minor=-7),
    ),
    player=Standing(
        verification="full",
        jurisdiction=None,
        holds=("aml", "fraud"),
        stops=("deposits", "payouts"),
        excluded=True,
        excluded_until=AT,
    ),
    score=Score(
        score=72,
        high=("shared_instrument",),
        hits=(
            Counted(
                indicator="low_turnover",
                severity="medium",
                subject=f"player:{PLAYER_ID}",
                position=31,
                holds=False,
            ),
            Counted(
                indicator="closed_loop",
                severity="high",
                subject=f"holding:{PLAYER_ID}:tok_1",
                position=30,
                holds=True,
            ),
        ),
        ruleset="rules-3",
        position=38,
    ),
    approvals=Approvals(
        screened=True,
        required=(("fraud", "finance"), ("compliance",)),
        given=(
            Agreed(person="ann", role="finance", at=AT, counted=True, problems=()),
            Agreed(person="ben", role="fraud", at=AT, counted=False, problems=("expired",)),
        ),
        missing=(("compliance",),),
    ),
    providers=(
        Health(
            provider="acme",
            registered=True,
            paused=True,
            since=AT,
            reason="timeouts",
            recent=3,
            recent_by_status={"paid": 2, "failed": 1},
        ),
    ),
    policy=PolicyInForce(policy="policy-2", since=AT, position=9),
    rates=RatesInForce(table="ecb-2026-11-20", as_of="2026-11-20", position=3),
)


def test_what_was_seen_is_said_subject_by_subject() -> None:
    assert list(event_text.seen(SAW)) == [
        "balance: available 10.50 EUR, house:fees -7 JPY",
        f"player: verified full, no jurisdiction, excluded until {AT:%Y-%m-%d %H:%M}, "
        "holds: aml, fraud, stopping deposits and payouts",
        "score: 72 by rules-3, high: shared_instrument (position 38); counted: "
        "low_turnover (medium, position 31), closed_loop (high, holds, position 30)",
        "agreed: ann as finance, ben as fraud (does not count: expired); still takes compliance",
        f"provider: acme: paused since {AT:%Y-%m-%d %H:%M} (timeouts); last 3: 2 paid, 1 failed",
        f"policy: policy-2 since {AT:%Y-%m-%d %H:%M}",
        "rates: ecb-2026-11-20, of 2026-11-20",
    ]


def test_what_was_not_there_is_not_made_up() -> None:
    nothing = replace(
        SAW,
        balances=(),
        player=None,
        score=None,
        approvals=Approvals(screened=False, required=(), given=(), missing=()),
        providers=(),
        policy=PolicyInForce(policy="default-1", since=None, position=None),
        rates=None,
    )
    assert list(event_text.seen(nothing)) == [
        "score: none",
        "agreed: nobody yet; not screened yet",
        "policy: default-1",
    ]


def test_a_recorded_notice_is_recognised_by_its_digest() -> None:
    answer = Heard(
        source="answer",
        means="accepted",
        decline_code=None,
        raw_code=None,
        notice_position=None,
        message_id=None,
        raw_digest=None,
    )
    assert event_text.heard(None) == event_text.heard(answer) == ""
    notice = replace(answer, notice_position=7, message_id="msg_1", raw_digest="ab12")
    assert event_text.heard(notice) == "notice msg_1 at position 7, body sha256 ab12"
