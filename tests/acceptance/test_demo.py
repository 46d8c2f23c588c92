"""The demo: a seeded day ends with the same books, whoever is killed meanwhile."""

import json
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any
from uuid import UUID

import psycopg
import pytest

from domain.adjustment.state import AdjustmentStatus
from domain.conversion.state import ConversionStatus
from domain.deposit.decisions import DepositStatus
from domain.dispute.decisions import DisputeStatus
from domain.refund.decisions import RefundStatus
from domain.withdrawal.state import WithdrawalStatus
from ledger.eventstore import database
from ledger.eventstore.database import Role
from tallystick.play.demo.plan import PlannedAdjustment, PlannedDeposit, PlannedWithdrawal, plan_day
from tests.servers.running import PARTS, POSTGRES, Place, place, until

SEED = 7
TRANSACTIONS = 60
DAY_SECONDS_MAX = 150.0
VICTIMS = (*PARTS, POSTGRES)

FINAL = {
    "deposit": {
        DepositStatus.BLOCKED,
        DepositStatus.COMPLETED,
        DepositStatus.PARTIALLY_REFUNDED,
        DepositStatus.REFUNDED,
        DepositStatus.VOIDED,
        DepositStatus.EXPIRED,
        DepositStatus.CANCELLED,
        DepositStatus.FAILED,
        DepositStatus.REVIEW,
    },
    "withdrawal": {
        WithdrawalStatus.REJECTED,
        WithdrawalStatus.CANCELLED,
        WithdrawalStatus.PAID,
        WithdrawalStatus.PARTIALLY_PAID,
        WithdrawalStatus.RETURNED,
        WithdrawalStatus.FAILED,
        WithdrawalStatus.REVIEW,
    },
    "refund": {
        RefundStatus.REJECTED,
        RefundStatus.CANCELLED,
        RefundStatus.SUCCEEDED,
        RefundStatus.REVERSED,
        RefundStatus.FAILED,
        RefundStatus.REVIEW,
    },
    "conversion": {
        ConversionStatus.REJECTED,
        ConversionStatus.EXECUTED,
        ConversionStatus.FAILED,
        ConversionStatus.REVIEW,
    },
    "dispute": {
        DisputeStatus.ACCEPTED,
        DisputeStatus.LOST,
        DisputeStatus.WON,
        DisputeStatus.WITHDRAWN,
    },
    "adjustment": {AdjustmentStatus.APPROVED, AdjustmentStatus.REJECTED},
}


@dataclass
class PlayedDay:
    """A demo that has ended, and where its ledger is."""

    place: Place
    report: dict[str, Any]
    kills: list[str] = field(default_factory=list)


@contextmanager
def _days() -> Iterator[tuple[PlayedDay, PlayedDay]]:
    """The same day twice, side by side: undisturbed, and with its parts killed."""
    with ExitStack() as stack:
        places = [stack.enter_context(place()) for _ in range(2)]
        demos = [_start(here) for here in places]
        kills = _kill_all_kinds(places[1], demos[1], Random(SEED))
        calm, killed = (_end(here, demo) for here, demo in zip(places, demos, strict=True))
        killed.kills = kills
        yield calm, killed


def _start(here: Place) -> "subprocess.Popen[bytes]":
    words = ("demo", "--seed", str(SEED), "--transactions", str(TRANSACTIONS), "--json")
    return here.start(*words, name="demo")


def _end(here: Place, demo: "subprocess.Popen[bytes]") -> PlayedDay:
    status = demo.wait(timeout=DAY_SECONDS_MAX)
    assert status == 0, here.said("demo")
    return PlayedDay(here, json.loads((here.folder / "demo.out").read_text()))


def _kill_all_kinds(here: Place, demo: "subprocess.Popen[bytes]", random: Random) -> list[str]:
    """Once the day is under way, kill each part twice, in a drawn order; who was killed."""
    order = [*random.sample(VICTIMS, len(VICTIMS)), *random.sample(VICTIMS, len(VICTIMS))]
    pause = threading.Event()
    killed = []
    for number, victim in enumerate(order):
        until(
            lambda n=number: _events(here) >= 30 + 8 * n, "the day to go on", 60.0, gone=_over(demo)
        )
        pause.wait(random.uniform(0.0, 0.3))  # at any instant
        until(lambda v=victim: here.kill(v), f"{victim} to be there", 30.0, gone=_over(demo))
        killed.append(victim)
    return killed


def _over(demo: "subprocess.Popen[bytes]") -> Any:
    return lambda: demo.poll() is not None


def _events(here: Place) -> int:
    try:
        with psycopg.connect(database.conninfo(here.settings, Role.READER)) as connection:
            row = connection.execute("SELECT position FROM ledger_head").fetchone()
    except psycopg.Error:  # it does not exist yet, or has just been killed
        return 0
    return int(row[0]) if row else 0


def _verified(here: Place) -> dict[str, Any]:
    answer = here.run("verify", "--json")
    assert answer.stdout, answer.stderr
    found: dict[str, Any] = json.loads(answer.stdout)
    assert (answer.returncode == 0) is found["ok"]
    return found


def _check_it_is_settled(day: PlayedDay) -> None:
    report = day.report
    counts = report["transactions"]
    assert set(counts) == set(FINAL)
    planned = Counter(type(p) for planned in plan_day(SEED, TRANSACTIONS).rounds for p in planned)
    assert sum(counts["deposit"].values()) == planned[PlannedDeposit]
    assert sum(counts["withdrawal"].values()) == planned[PlannedWithdrawal]
    assert sum(counts["adjustment"].values()) == planned[PlannedAdjustment]
    for kind, by_status in counts.items():
        assert set(by_status) <= FINAL[kind]
    assert report["outstanding"] == 0
    assert report["lag_events"] == 0
    assert report["journal_sums"]
    assert not any(report["journal_sums"].values())


def _check_it_verifies(day: PlayedDay) -> None:
    verified = _verified(day.place)
    assert verified["ok"], verified["problems"]
    assert verified["events"] == verified["position"] == day.report["position"]
    assert verified["root"] == day.report["root"]


def _check_stories(here: Place) -> None:
    """The longest of each kind begins at the beginning and ends where history says it did."""
    for kind in FINAL:
        transaction_id, status = _one_with_most_events(here, kind)
        answer = here.run("replay", "transaction", str(transaction_id), "--json")
        assert answer.returncode == 0, answer.stderr
        told = json.loads(answer.stdout)
        assert (told["id"], told["kind"]) == (str(transaction_id), kind)
        positions = [step["position"] for step in told["steps"]]
        assert positions == sorted(positions)
        assert told["steps"][0]["before"] is None
        assert told["steps"][-1]["after"] == status
        for step in told["steps"]:
            sums: Counter[str] = Counter()
            for posting in step["postings"]:
                sums[posting["account"].rpartition(":")[2]] += posting["amount_minor"]
            assert not any(sums.values())


def _one_with_most_events(here: Place, kind: str) -> tuple[UUID, str]:
    with psycopg.connect(database.conninfo(here.settings, Role.READER)) as connection:
        row = connection.execute(
            "SELECT id, status FROM history_v2.transactions WHERE kind = %s"
            " ORDER BY version DESC, id LIMIT 1",
            [kind],
        ).fetchone()
    assert row is not None
    return row


@pytest.mark.timeout(240)
def test_a_day_is_settled_and_verified_and_the_same_whoever_is_killed() -> None:
    with _days() as (calm, killed):
        for day in (calm, killed):
            _check_it_is_settled(day)
            _check_it_verifies(day)
        _check_stories(calm.place)
        assert set(killed.kills) == set(VICTIMS)
        assert killed.report["transactions"] == calm.report["transactions"]
        assert killed.report["accounts"] == calm.report["accounts"]
