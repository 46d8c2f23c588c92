"""What a backtest reports, from payouts and verdicts alone."""

import json
import os
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from struct import Struct
from uuid import UUID, uuid4

import pytest

from domain.events import WithdrawalHeld
from domain.fraud.ruleset import DEFAULT_NAME, DEFAULT_TERMS
from projections.fraud.rules import Rules
from projections.fraud.signals import microseconds
from replay.backtest.blocks import BLOCK_ITEMS_MAX, BlockWriter, items
from replay.backtest.candidates import (
    CandidateInvalid,
    Changed,
    Named,
    RuleSetSeen,
    candidate_of,
    changed_terms,
    read_changes,
)
from replay.backtest.digest import Digest, OutOfOrder
from replay.backtest.payouts import Payout, Payouts
from replay.backtest.report import Comparison, Precision, Span, Verdict, compared
from replay.backtest.scratch import PREFIX, YOUNG_SECONDS, scratch_in
from replay.backtest.waiting import Queue, QueueDay
from tests.generators import event_samples
from tests.oracles.ledger_checks import rejected, requested

MORNING = datetime(2026, 3, 2, 9, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
AUTOMATIC = Verdict(score=0, path="automatic", indicators=())
REVIEW = Verdict(score=50, path="review", indicators=("structuring",))
HOLD = Verdict(score=100, path="hold", indicators=("card_testing",))


def payout(
    position: int = 1,
    amount_minor: int = 10_000,
    currency: str = "EUR",
    *,
    asked: datetime = MORNING,
    decided: datetime | None = None,
    queued: bool = True,
) -> Payout:
    return Payout(
        position=position,
        version=1,
        withdrawal=uuid4(),
        player=UUID(int=1),
        at_us=microseconds(asked),
        asked_us=microseconds(asked),
        amount_minor=amount_minor,
        currency=currency,
        queued=queued,
        decided_us=microseconds(decided) if decided else 0,
    )


def comparison(first: int = 1, keep: int | None = None) -> Comparison:
    return Comparison(Span(first=first, before=100), Rules(DEFAULT_NAME, DEFAULT_TERMS), keep)


# --- decisions ----------------------------------------------------------------------------------


def test_only_another_path_is_another_decision() -> None:
    found = comparison()
    found.add(payout(1), AUTOMATIC, AUTOMATIC)
    found.add(payout(2), REVIEW, Verdict(score=60, path="review", indicators=("x",)))
    found.add(payout(3), AUTOMATIC, REVIEW)
    assert (found.judged, found.scores_changed, found.decisions_changed) == (3, 2, 1)
    assert [one.position for one in found.decisions()] == [3]


def test_what_came_before_the_span_is_not_listed() -> None:
    found = comparison(first=5)
    found.add(payout(4), AUTOMATIC, REVIEW)
    found.add(payout(5), AUTOMATIC, REVIEW)
    assert [one.position for one in found.decisions()] == [5]


def test_the_largest_are_kept_at_the_candidate_s_rates() -> None:
    found = comparison(keep=2)
    found.add(payout(1, 100_000, "JPY"), AUTOMATIC, REVIEW)  # some 613 euro
    found.add(payout(2, 61_000, "EUR"), AUTOMATIC, REVIEW)
    found.add(payout(3, 60_000, "GBP"), AUTOMATIC, REVIEW)
    assert [one.position for one in found.decisions()] == [3, 1]
    assert found.decisions_changed == 3


def test_money_is_added_up_by_currency_and_direction() -> None:
    found = comparison()
    found.add(payout(1, 100), AUTOMATIC, REVIEW)
    found.add(payout(2, 50), AUTOMATIC, REVIEW)
    found.add(payout(3, 7), AUTOMATIC, HOLD)
    found.add(payout(4, 9, "GBP"), REVIEW, AUTOMATIC)
    told = [
        (one.before, one.after, one.currency, one.payouts, one.amount_minor)
        for one in found.moved()
    ]
    assert told == [
        ("automatic", "hold", "EUR", 1, 7),
        ("automatic", "review", "EUR", 2, 150),
        ("review", "automatic", "GBP", 1, 9),
    ]


# --- what became of payouts ---------------------------------------------------------------------


def test_what_was_refused_at_once_was_nobody_s_decision() -> None:
    payouts = Payouts(before=10)
    for position, event in enumerate(rejected(uuid4(), event_samples.EUR, uuid4()), 1):
        payouts.take(event, position)
    assert payouts.in_order() == []


@pytest.mark.parametrize(
    ("actor", "ended"), [("operator:cleo", "rejected"), ("system:x", "refused")]
)
def test_what_a_rule_refuses_is_not_what_a_person_rejects(actor: str, ended: str) -> None:
    request, refusal = rejected(uuid4(), event_samples.EUR, uuid4())
    payouts = Payouts(before=10)
    payouts.take(replace(request, reserved=True), 1)
    payouts.take(replace(refusal, actor=actor), 2)
    (one,) = payouts.in_order()
    assert one.ended == ended


def test_what_becomes_of_a_payout_later_than_the_span_is_followed() -> None:
    stream = uuid4()
    (request,) = requested(uuid4(), event_samples.EUR, stream=stream)
    (later,) = requested(uuid4(), event_samples.EUR)
    held = WithdrawalHeld(
        originator_id=stream,
        originator_version=2,
        occurred_at=MORNING,
        actor="operator:cleo",
        command_id=uuid4(),
        request_digest="d",
        note="n",
    )
    payouts = Payouts(before=10)
    payouts.take(request, 9)
    payouts.take(later, 10)
    payouts.take(held, 11)
    (one,) = payouts.in_order()
    assert (one.withdrawal, one.queued, one.ended) == (stream, True, "open")


# --- the queue ----------------------------------------------------------------------------------


def days(queue: Queue) -> list[tuple[date, int, int]]:
    return [(day.day, day.before, day.after) for day in queue.by_day()]


def test_a_payout_waits_at_the_end_of_each_day_until_it_was_decided() -> None:
    queue = Queue()
    queue.add(payout(decided=MORNING + 2 * DAY), "review", "automatic", within=True)
    queue.add(payout(asked=MORNING + 3 * DAY, queued=False), "automatic", "automatic", within=True)
    first = MORNING.date()
    assert days(queue) == [(first + n * DAY, int(n < 2), 0) for n in range(4)]


def test_what_was_decided_on_the_day_is_not_there_at_its_end() -> None:
    queue = Queue()
    queue.add(payout(decided=MORNING + HOUR), "review", "hold", within=True)
    assert days(queue) == [(MORNING.date(), 0, 0)]


def test_what_nobody_has_decided_is_still_there() -> None:
    queue = Queue()
    queue.add(payout(), "hold", "automatic", within=True)
    queue.add(payout(asked=MORNING + DAY), "automatic", "automatic", within=True)
    assert [day.before for day in queue.by_day()] == [1, 1]


def test_what_people_never_had_stays_for_the_median_of_what_they_had() -> None:
    queue = Queue()
    for hours in (1, 30, 200):
        there = payout(decided=MORNING + hours * HOUR)
        queue.add(there, "automatic", "automatic", within=False)
    queue.add(payout(queued=False), "automatic", "review", within=True)
    queue.add(payout(asked=MORNING + 3 * DAY, queued=False), "automatic", "automatic", within=True)
    assert [day.after for day in queue.by_day()] == [1, 0, 0, 0]


def test_it_stays_for_a_day_where_people_never_had_any() -> None:
    queue = Queue()
    queue.add(payout(queued=False), "automatic", "review", within=True)
    queue.add(payout(asked=MORNING + 2 * DAY, queued=False), "automatic", "automatic", within=True)
    assert [day.after for day in queue.by_day()] == [1, 0, 0]


def test_what_was_asked_for_before_the_span_is_in_its_queue() -> None:
    queue = Queue()
    queue.add(payout(asked=MORNING - 9 * DAY), "review", "review", within=False)
    queue.add(payout(decided=MORNING), "automatic", "automatic", within=True)
    assert queue.by_day() == (QueueDay(day=MORNING.date(), before=1, after=1),)


# --- precision ----------------------------------------------------------------------------------


def test_precision_is_of_hits_whose_case_ended_one_way_or_the_other() -> None:
    partitions = [
        {"a": {("velocity", "hits"): 5, ("velocity", "confirmed"): 1}, "b": {}},
        {"a": {("velocity", "false_positive"): 2, ("velocity", "inconclusive"): 4}, "b": {}},
    ]
    (one,) = compared(partitions, ("a", "b"))
    assert one.before == Precision(
        hits=5, confirmed=1, false_positive=2, inconclusive=4, precision_percent=33
    )
    assert one.after == Precision(
        hits=0, confirmed=0, false_positive=0, inconclusive=0, precision_percent=None
    )


# --- candidates ---------------------------------------------------------------------------------


def test_changes_leave_everything_else_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "stricter.json"
    changes = {"card_testing": {"mode": "shadow", "thresholds": {"declines": 4}}, "hold_from": 80}
    path.write_text(json.dumps(changes))
    wanted = read_changes(path)
    assert wanted == Changed("stricter", changes)
    found = candidate_of(wanted, [])
    assert (found.name, found.terms.hold_from) == ("stricter", 80)
    pairs = zip(found.terms.indicators, DEFAULT_TERMS.indicators, strict=True)
    assert [new.indicator for new, old in pairs if new != old] == ["card_testing"]
    rules = Rules(*found).rules["card_testing"]
    assert (rules.mode, rules.at["declines"], rules.at["instruments"]) == ("shadow", 4, 3)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"nothing": {}}, "no indicator 'nothing'"),
        ({"velocity": {"severity": "high"}}, "`mode` and `thresholds` can be changed"),
        ({"velocity": 7}, "`mode` and `thresholds` can be changed"),
        ({"velocity": {"thresholds": [1]}}, "numbers by name"),
        ({"velocity": {"thresholds": {"deposits": 1}}}, "no threshold 'deposits'"),
        ({"velocity": {"thresholds": {"hour_deposits": "1"}}}, "use a whole number"),
        ({"velocity": {"mode": "loud"}}, "'loud'"),
        ({"hold_from": None}, "hold_from is None"),
    ],
)
def test_changes_that_make_no_sense_are_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(CandidateInvalid, match=said):
        changed_terms(DEFAULT_TERMS, changes)


@pytest.mark.parametrize("text", ["", "[1]", "{", "[" * 100_000, '{"a": NaN'])
def test_files_that_say_no_changes_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(CandidateInvalid):
        read_changes(path)


def test_a_rule_set_is_found_by_name_by_id_and_as_live() -> None:
    stricter = changed_terms(DEFAULT_TERMS, {"hold_from": 60})
    laxer = changed_terms(DEFAULT_TERMS, {"hold_from": 90})
    first, second = uuid4(), uuid4()
    seen = [
        RuleSetSeen(3, first, "rules-1", stricter, published=False),
        RuleSetSeen(4, first, "rules-1", stricter, published=True),
        RuleSetSeen(9, second, "rules-2", laxer, published=False),
    ]
    for text in ("rules-1", str(first), "live"):
        assert candidate_of(Named(text), seen) == ("rules-1", stricter)
    for text in ("rules-2", str(second)):
        assert candidate_of(Named(text), seen) == ("rules-2", laxer)
    assert candidate_of(Named("live"), []) == (DEFAULT_NAME, DEFAULT_TERMS)
    with pytest.raises(CandidateInvalid, match="It has: default-1, rules-1, rules-2"):
        candidate_of(Named("rules-3"), seen)


# --- digests and files --------------------------------------------------------------------------


def test_a_digest_takes_rows_in_order_only() -> None:
    found = Digest()
    found.hit("000000000000001/velocity/player:a", b"{}")
    for id_ in ("000000000000001/velocity/player:a", "000000000000001/structuring/player:a"):
        with pytest.raises(OutOfOrder):
            found.hit(id_, b"{}")


def test_blocks_give_each_sequence_back_in_order(tmp_path: Path) -> None:
    with BlockWriter[int](tmp_path / "x", sequences=3) as file:
        for number in range(70_000):
            file.add(number, number % 2)
    assert list(items(tmp_path / "x", int, 0)) == list(range(0, 70_000, 2))
    assert list(items(tmp_path / "x", int, 1)) == list(range(1, 70_000, 2))
    assert list(items(tmp_path / "x", int, 2)) == []


def test_a_block_is_small_as_one_of_every_file_is_in_memory(tmp_path: Path) -> None:
    with BlockWriter[int](tmp_path / "x") as file:
        for number in range(5_000):
            file.add(number)
    with (tmp_path / "x").open("rb") as file:
        _, plain_bytes, _ = Struct("<III").unpack(file.read(12))
    assert plain_bytes <= 3 * BLOCK_ITEMS_MAX + 5  # a number of up to 1,023 takes three


def test_a_file_whose_writer_failed_is_not_there(tmp_path: Path) -> None:
    with suppress(LookupError), BlockWriter[int](tmp_path / "x") as file:
        file.add(1)
        raise LookupError
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_backtest_left_is_cleared_away_and_what_is_in_use_is_not(
    tmp_path: Path,
) -> None:
    left, young = tmp_path / f"{PREFIX}left", tmp_path / f"{PREFIX}young"
    for folder in (left, young):
        folder.mkdir()
        (folder / "signals-000").write_bytes(b"x")
    long_ago = datetime.now(UTC).timestamp() - 2 * YOUNG_SECONDS
    with scratch_in(tmp_path) as used:
        for folder in (left, used):
            os.utime(folder, (long_ago, long_ago))
        with scratch_in(tmp_path):
            assert used.is_dir()
            assert young.is_dir()
            assert not left.exists()
    assert not used.exists()
