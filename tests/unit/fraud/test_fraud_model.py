"""The read model's fold: what it remembers between `touched` and `apply` changes nothing."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from domain.events import PlayerExcluded, RuleSetPublished
from projections.engine.compare import fold_all
from projections.engine.read_model import Recorded, Rows
from projections.fraud.event_signals import signals
from projections.fraud.model import FRAUD, HITS, RULES, Fraud
from projections.fraud.signals import Excluded
from tests.generators.fraud_events import numbered, seeded

SEEDS = (7, 8)
ROUNDS = 20


@pytest.fixture(scope="module")
def logs() -> list[list[Recorded]]:
    return [
        [
            Recorded(position=position, recorded_at=event.occurred_at, event=event)
            for position, event in numbered(seeded(seed))
        ]
        for seed in SEEDS
    ]


def tables(rows: Rows) -> list[object]:
    return [rows[table] for table in FRAUD.tables]


def folded(model: Fraud, log: Sequence[Recorded], size: int) -> Rows:
    rows = Rows()
    for start in range(0, len(log), size):
        batch = log[start : start + size]
        model.touched(batch)
        for one in batch:
            model.apply(rows, one)
    return rows


def test_the_logs_are_worth_folding(logs: list[list[Recorded]]) -> None:
    for log in logs:
        rows = fold_all(Fraud(), log)
        assert len(rows[HITS]) > 10
        assert any(isinstance(one.event, RuleSetPublished) for one in log)
        assert rows[RULES]


def test_what_another_batch_says_at_the_same_positions_is_not_mixed_in(
    logs: list[list[Recorded]],
) -> None:
    one, other = logs
    model, rows = Fraud(), Rows()
    model.touched(one)
    model.touched(other)
    for recorded in one:
        model.apply(rows, recorded)
    assert tables(rows) == tables(fold_all(Fraud(), one))


def test_a_batch_that_is_taken_again_in_parts_comes_to_the_same(
    logs: list[list[Recorded]],
) -> None:
    model, log = Fraud(), logs[0]
    model.touched(log)
    given_up = Rows()
    for recorded in log[: len(log) // 2]:
        model.apply(given_up, recorded)
    assert tables(folded(model, log, 3)) == tables(fold_all(Fraud(), log))


def test_threads_that_share_the_model_do_not_disturb_each_other(
    logs: list[list[Recorded]],
) -> None:
    model = Fraud()
    expected = [tables(fold_all(Fraud(), log)) for log in logs]
    with ThreadPoolExecutor(len(logs)) as pool:

        def rounds(log: list[Recorded]) -> Iterator[list[object]]:
            return iter([tables(folded(model, log, 5)) for _ in range(ROUNDS)])

        for found, one in zip(pool.map(rounds, logs), expected, strict=True):
            assert all(tables_ == one for tables_ in found)


def test_an_exclusion_until_just_before_1970_is_over() -> None:
    """-1 microsecond is what an exclusion without an end is written as."""
    event = PlayerExcluded(
        originator_id=UUID(int=1),
        originator_version=2,
        occurred_at=datetime(2026, 3, 2, tzinfo=UTC),
        actor="operator:ann",
        command_id=UUID(int=2),
        request_digest="d",
        reason="r",
        until=datetime(1970, 1, 1, tzinfo=UTC) - timedelta(microseconds=1),
    )
    (said,) = signals(event, 1)
    assert isinstance(said, Excluded)
    assert said.until_us == 0
