"""Verify knows what may not be posted twice, and what may: legs, returns, reviews, stages."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from domain import events as e
from domain.events import LedgerEvent
from domain.money import Money
from ledger.eventstore.database import Role, conninfo
from ledger.settings import Settings
from replay.verify import verify
from tests.conftest import admin_connection
from tests.generators.event_samples import SAMPLE
from tests.oracles.ledger_checks import counted, credit, ledger_on, requested

PLAYER, STREAM = UUID(int=1), UUID(int=2)
EUR_1 = Money(100, "EUR")
PAID, RETURNED = e.WithdrawalPaid, e.WithdrawalReturned
RESOLVED, REVIEW = e.TransactionResolved, e.ReviewOpened

Happening = tuple[type[LedgerEvent], int | None]


def happened(version: int, kind: type[LedgerEvent], leg: int | None) -> LedgerEvent:
    """An event of the stream, about one euro of the player's or none."""
    changes: dict[str, Any] = {"originator_id": STREAM, "originator_version": version}
    known = {"leg": leg, "amount": EUR_1, "settled": EUR_1, "player_id": PLAYER, "fee": None}
    known |= {"moves": (), "reserved": None, "counts": (), "source": EUR_1}
    names = kind.__dataclass_fields__
    changes |= {name: value for name, value in known.items() if name in names}
    return replace(SAMPLE[kind], **changes)


def found(database: Settings, happenings: Sequence[Happening]) -> list[tuple[int, str]]:
    """The version and code of what verify reports, of a stream in which this has happened.

    Not whether it can happen to a withdrawal at all: what is said here of one kind of transaction
    is said of every kind.
    """
    with ledger_on(database) as ledger:
        ledger.append([credit(PLAYER, Money(10_000, "EUR"))])
        ledger.append(requested(PLAYER, Money(5_000, "EUR"), stream=STREAM))
        events = [happened(number, *what) for number, what in enumerate(happenings, 2)]
        ledger.append(events)
    problems = verify(
        conninfo(database, Role.READER), (), parts=["log", "books", "streams"]
    ).problems
    found = [(problem.position - 1, problem.code) for problem in problems]
    return [(version, code) for version, code in found if code != "illegal_transition"]


@pytest.mark.parametrize(
    "happenings",
    [
        [(PAID, 1), (PAID, 2), (PAID, 11)],
        [(PAID, 1), (RETURNED, 1), (PAID, 1), (RETURNED, 1)],
        [(PAID, 1), (PAID, 2), (RETURNED, 2), (RETURNED, 1), (PAID, 2), (PAID, 1)],
        [(PAID, 1), (REVIEW, None), (RESOLVED, 1), (PAID, 1)],
        [(REVIEW, None), (REVIEW, None), (RESOLVED, 1), (RESOLVED, 2)],
        [(REVIEW, None), (RESOLVED, 1), (RETURNED, 1), (PAID, 1)],
        [(e.RefundSucceeded, None), (e.RefundReversed, None)] * 2,
        [(REVIEW, None), (RESOLVED, None), (e.RefundReversed, None), (e.RefundSucceeded, None)],
        [(e.DisputeFundsWithdrawn, None), (e.DisputeFundsReinstated, None)] * 2,
    ],
)
def test_what_takes_turns_is_no_problem(database: Settings, happenings: list[Happening]) -> None:
    assert found(database, happenings) == []


@pytest.mark.parametrize(
    ("happenings", "at"),
    [
        ([(PAID, 1), (PAID, 2), (PAID, 1)], 4),
        ([(PAID, 1), (RETURNED, 1), (RETURNED, 1)], 4),
        ([(PAID, 1), (PAID, 2), (RETURNED, 2), (PAID, 1)], 5),
        ([(PAID, 1), (REVIEW, None), (RESOLVED, 2), (PAID, 1)], 5),
        ([(RESOLVED, None)], 2),
        ([(REVIEW, None), (RESOLVED, None), (RESOLVED, None)], 4),
        ([(e.DepositCompleted, None), (e.DepositCompleted, None)], 3),
        ([(e.RefundSucceeded, None), (e.RefundSucceeded, None)], 3),
        ([(e.RefundSucceeded, None), (e.RefundReversed, None), (e.RefundReversed, None)], 4),
        ([(e.ConversionExecuted, None), (e.ConversionExecuted, None)], 3),
        ([(e.AdjustmentApproved, None), (e.AdjustmentApproved, None)], 3),
        ([(e.DisputeFundsWithdrawn, None), (e.DisputeFundsWithdrawn, None)], 3),
    ],
)
def test_what_is_posted_twice_is_found(
    database: Settings, happenings: list[Happening], at: int
) -> None:
    assert found(database, happenings) == [(at, "posted_twice")]


def test_a_leg_is_not_looked_for_inside_texts(database: Settings) -> None:
    """A provider's own words cannot pass a payout off as another leg's."""
    with ledger_on(database) as ledger:
        ledger.append([credit(PLAYER, Money(10_000, "EUR"))])
        ledger.append(requested(PLAYER, Money(5_000, "EUR"), stream=STREAM))
        for version in (2, 3):
            paid = happened(version, PAID, 1)
            assert isinstance(paid, PAID)
            evidence = replace(paid.evidence, raw_code=f'"leg":{version},\\"leg":{version}')
            ledger.append([replace(paid, evidence=evidence)])
    problems = verify(conninfo(database, Role.READER), ()).problems
    assert [p.code for p in problems if p.code != "illegal_transition"] == ["posted_twice"]


# --- counters -----------------------------------------------------------------------------------

COUNTER = f"limit:{uuid4()}:EUR:2026-W47"


def test_counters_are_recomputed_from_the_log(database: Settings) -> None:
    with ledger_on(database) as ledger:
        ledger.append([counted(**{COUNTER: 700})])
        ledger.append([counted(**{COUNTER: -900})])
    reader = conninfo(database, Role.READER)
    assert verify(reader, ()).ok
    with admin_connection(database, database.database_name) as admin:
        _check_found(admin, reader, "UPDATE ledger_accounts SET balance = -100")
        _check_found(admin, reader, "DELETE FROM ledger_accounts")


def _check_found(
    admin: psycopg.Connection[tuple[object, ...]], reader: str, statement: str
) -> None:
    admin.execute(statement.encode())
    (problem,) = verify(reader, ()).problems
    assert (problem.position, problem.code) == (2, "balance_differs")
    assert COUNTER in problem.detail
