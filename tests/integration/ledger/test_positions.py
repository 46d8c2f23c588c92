"""Points in the log: positions, instants and checkpoints mean what a look at every row says."""

import asyncio
from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import AsyncConnection

from ledger.eventstore.database import Role, conninfo
from ledger.eventstore.positions import (
    AsOf,
    AsOfError,
    AsOfInFuture,
    AsOfInvalid,
    resolve,
    resolve_async,
)
from ledger.settings import Settings
from tests.oracles.ledger_checks import ledger_on, registered

BEGAN = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
NOW = BEGAN + timedelta(days=1)
ROOT = bytes(range(32))
OTHER_ROOT = bytes(range(1, 33))


@pytest.fixture(scope="module")
def owner(module_database: Settings) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(conninfo(module_database, Role.OWNER), autocommit=True) as connection:
        yield connection


@contextmanager
def a_log(owner: psycopg.Connection[Any], microseconds: Sequence[int]) -> Iterator[None]:
    """With an event at each of these times after the beginning; gone afterwards."""
    times = [BEGAN + timedelta(microseconds=each) for each in microseconds]
    with owner.transaction(force_rollback=True):
        owner.cursor().executemany(
            "INSERT INTO ledger_events VALUES (%s, %s, 1, 'PlayerRegistered', '{}', %s, '')",
            [(position, uuid4(), time) for position, time in enumerate(times, 1)],
        )
        owner.execute(
            "UPDATE ledger_head SET position = %s, recorded_at = %s",
            [len(times), times[-1] if times else datetime(1970, 1, 1, tzinfo=UTC)],
        )
        owner.execute(
            "INSERT INTO ledger_roots SELECT size, %s FROM generate_series(1, %s) AS size",
            [ROOT, len(times)],
        )
        yield


def signed(owner: psycopg.Connection[Any], size: int, root: bytes = ROOT) -> None:
    owner.execute(
        "INSERT INTO ledger_checkpoints VALUES (%s, 'k', %s, 'note', now())", [size, root]
    )


TIMES = st.lists(st.integers(0, 3_000_000), max_size=40).map(sorted)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(times=TIMES, asked=st.integers(-2, 3_000_002), hours=st.integers(-23, 23))
def test_an_instant_is_the_last_event_recorded_at_or_before_it(
    owner: psycopg.Connection[Any], times: list[int], asked: int, hours: int
) -> None:
    expected = sum(time <= asked for time in times)
    instant = BEGAN + timedelta(microseconds=asked)
    with a_log(owner, times):
        text = instant.astimezone(timezone(timedelta(hours=hours))).isoformat()
        found = resolve(owner, text, NOW)
        recorded = BEGAN + timedelta(microseconds=times[expected - 1]) if expected else None
        assert found == AsOf(expected, len(times), recorded)
        assert resolve(owner, str(expected), NOW) == found


def test_events_of_one_batch_have_one_time_and_all_of_them_count(
    owner: psycopg.Connection[Any],
) -> None:
    with a_log(owner, [0, 5, 5, 5, 9]):
        assert resolve(owner, "2026-03-02T10:00:00.000005Z", NOW).position == 4
        assert resolve(owner, "2026-03-02T10:00:00.000004Z", NOW).position == 1


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("2026-03-02t10:00:00.000005z", 2),
        ("2026-03-02T10:00:00.000005999Z", 2),
        ("2026-03-02T15:30:00.000005+05:30", 2),
        ("2026-03-02T10:00:00Z", 1),
        ("2026-03-02T09:59:59.999999Z", 0),
        ("0001-01-01T00:00:00+23:59", 0),
        ("0", 0),
        ("2", 2),
        ("0002", 2),
    ],
)
def test_it_is_read_as_the_standard_has_it(
    owner: psycopg.Connection[Any], text: str, position: int
) -> None:
    with a_log(owner, [0, 5, 9]):
        assert resolve(owner, text, NOW).position == position


def test_until_now_is_the_head_and_later_is_the_future(owner: psycopg.Connection[Any]) -> None:
    with a_log(owner, [0, 5]):
        assert resolve(owner, NOW.isoformat(), NOW).position == 2
        later = (NOW + timedelta(microseconds=1)).isoformat()
        with pytest.raises(AsOfInFuture) as refused:
            resolve(owner, later, NOW)
        assert refused.value.code == "as_of_in_future"
        assert "the log ends at position 2, recorded 2026-03-02T10:00:00.000005+00:00" in str(
            refused.value
        )


def test_what_was_recorded_by_a_clock_ahead_of_ours_is_no_future(
    owner: psycopg.Connection[Any],
) -> None:
    with a_log(owner, [0, 5]):
        behind = BEGAN - timedelta(seconds=1)
        assert resolve(owner, "2026-03-02T10:00:00.000005Z", behind).position == 2
        with pytest.raises(AsOfInFuture):
            resolve(owner, "2026-03-02T10:00:00.000006Z", behind)


@pytest.mark.parametrize(
    "text", ["3", str(2**63), "9" * 40, "checkpoint:3", "checkpoint:" + "9" * 40]
)
def test_a_position_behind_the_end_is_the_future(owner: psycopg.Connection[Any], text: str) -> None:
    with a_log(owner, [0, 5]), pytest.raises(AsOfInFuture, match="the log ends at position 2"):
        resolve(owner, text, NOW)


def test_before_the_first_event_nothing_has_happened(owner: psycopg.Connection[Any]) -> None:
    with a_log(owner, []):
        assert resolve(owner, "0", NOW) == AsOf(0, 0, None)
        assert resolve(owner, NOW.isoformat(), NOW) == AsOf(0, 0, None)
        with pytest.raises(AsOfInFuture, match="the log is empty"):
            resolve(owner, "1", NOW)
        with pytest.raises(AsOfInFuture, match="the log is empty"):
            resolve(owner, "9999-12-31T23:59:59-23:59", NOW)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is not a point in the log"),
        ("-1", "is not a point in the log"),
        ("+1", "is not a point in the log"),
        ("1.0", "is not a point in the log"),
        ("٤٢", "is not a point in the log"),
        ("yesterday", "checkpoint:latest"),
        ("2026-03-02", "needs its time and its offset"),
        ("2026-03-02T10:00:00", "needs its time and its offset"),
        ("2026-03-02 10:00", "needs its time and its offset"),
        ("2026-03-02T10:00:00 02:00", "%2B"),
        ("2026-03-02T10:00:00+0200", "is not a point in the log"),
        ("2026-W10-1T10:00:00Z", "is not a point in the log"),
        ("2026-02-30T10:00:00Z", "There is no instant 2026-02-30"),
        ("2026-03-02T10:00:00+24:00", "There is no instant"),
        ("0000-01-01T00:00:00Z", "There is no instant"),
        ("checkpoint:", "is not a point in the log"),
        ("checkpoint:first", "is not a point in the log"),
        ("1" * 41, "is not a point in the log"),
        ("x" * 10_000, "…"),
        ("4711\n", "is not a point in the log"),
    ],
)
def test_what_is_no_point_in_the_log_is_refused_with_a_remedy(
    owner: psycopg.Connection[Any], text: str, said: str
) -> None:
    with pytest.raises(AsOfInvalid) as refused:
        resolve(owner, text, NOW)
    assert refused.value.code == "as_of_invalid"
    assert said in str(refused.value)
    assert "Ask for a position" in str(refused.value)
    assert len(str(refused.value)) < 500


# --- checkpoints --------------------------------------------------------------------------------


def test_a_checkpoint_is_found_by_its_size_and_its_root(owner: psycopg.Connection[Any]) -> None:
    with a_log(owner, [0, 5, 9]):
        signed(owner, 2)
        expected = AsOf(2, 3, BEGAN + timedelta(microseconds=5))
        base64 = b64encode(ROOT).decode()
        url_safe = base64.replace("+", "-").replace("/", "_").rstrip("=")
        for text in ("checkpoint:2", "checkpoint:latest", ROOT.hex(), base64, url_safe):
            assert resolve(owner, text, NOW) == expected
        signed(owner, 3)
        assert resolve(owner, "checkpoint:latest", NOW).position == 3


def test_a_checkpoint_that_is_not_stored_is_refused(owner: psycopg.Connection[Any]) -> None:
    with a_log(owner, [0, 5, 9]):
        with pytest.raises(AsOfInvalid, match="tallystick checkpoint now"):
            resolve(owner, "checkpoint:latest", NOW)
        with pytest.raises(AsOfInvalid, match="none is stored"):
            resolve(owner, "checkpoint:2", NOW)
        signed(owner, 1)
        signed(owner, 3)
        with pytest.raises(AsOfInvalid, match="the nearest ones are of 1 and 3"):
            resolve(owner, "checkpoint:2", NOW)
        with pytest.raises(AsOfInvalid, match="No checkpoint with this root"):
            resolve(owner, OTHER_ROOT.hex(), NOW)


def test_a_checkpoint_of_another_log_than_this_one_is_told(owner: psycopg.Connection[Any]) -> None:
    with a_log(owner, [0, 5, 9]):
        signed(owner, 2, OTHER_ROOT)
        for text in ("checkpoint:2", OTHER_ROOT.hex(), "checkpoint:latest"):
            with pytest.raises(AsOfInvalid, match=r"the log was altered.*tallystick verify"):
                resolve(owner, text, NOW)
    with a_log(owner, [0]):
        signed(owner, 2)
        for text in ("checkpoint:2", ROOT.hex(), "checkpoint:latest"):
            with pytest.raises(AsOfInFuture, match="What was signed is missing"):
                resolve(owner, text, NOW)


# --- on a real log ------------------------------------------------------------------------------


def test_readers_ask_in_either_manner(database: Settings) -> None:
    with ledger_on(database) as ledger:
        receipts = [ledger.append([registered(uuid4())]) for _ in range(3)]
    reader = conninfo(database, Role.READER)

    async def asked(text: str) -> AsOf:
        async with await AsyncConnection.connect(reader) as connection:
            await connection.execute("SET TIME ZONE 'Asia/Kolkata'")
            return await resolve_async(connection, text, datetime.now(UTC))

    with psycopg.connect(reader) as connection:
        for receipt in receipts:
            expected = AsOf(receipt.position, 3, receipt.recorded_at)
            for text in (str(receipt.position), receipt.recorded_at.isoformat()):
                assert resolve(connection, text, datetime.now(UTC)) == expected
                found = asyncio.run(asked(text))
                assert found == expected
                assert found.recorded_at is not None
                assert found.recorded_at.tzinfo is UTC
    with pytest.raises(AsOfError):
        asyncio.run(asked("4"))


def test_a_damaged_log_can_still_be_asked(owner: psycopg.Connection[Any]) -> None:
    with a_log(owner, [0, 1, 2, 3, 4, 5]):
        owner.execute("ALTER TABLE ledger_events DISABLE TRIGGER append_only")
        owner.execute("DELETE FROM ledger_events WHERE notification_id IN (1, 3, 4)")
        assert resolve(owner, "2026-03-02T10:00:00.000001Z", NOW).position in (2, 3, 4)
        assert resolve(owner, "2026-03-02T10:00:00.000004Z", NOW).position == 5
        assert resolve(owner, "4", NOW) == AsOf(4, 6, None)
