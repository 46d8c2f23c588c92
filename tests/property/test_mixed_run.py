"""A mixed run of all six kinds, every fault switched on, agrees at every position.

Each event is taken by naive books as it is appended; in the end the books are compared with what
the provider really moved. Run it again with TALLYSTICK_SEED, longer with `make soak`.
"""

import os
import random
from uuid import UUID

import pytest

from domain.adjustment.decisions import AdjustmentReason
from domain.adjustment.state import Adjustment
from domain.dispute.decisions import Dispute
from domain.events import Move
from domain.money import Money
from ledger.commands.adjustment import RequestAdjustment
from ledger.settings import Settings
from tests.conftest import fresh_database
from tests.generators.mixed_core import IN_WORK
from tests.generators.mixed_day import MixedDay
from tests.oracles.ledger_checks import check_log, log, rows
from tests.property.backroom import two_processes

COMMANDS = 2_000
COMMANDS_SOAKED = 21_000
"""Each begins a transaction, unless it is refused; banks begin disputes on top of them."""

ON_THEIR_WAY = IN_WORK | {"created", "approved", "queued", "screening", "accepted", "quoted"}
OVER_ALL_THE_SAME = {(Adjustment, "approved"), (Dispute, "accepted")}


# Each comes up a dozen times and more in the shorter run.
CERTAIN = {
    *("DepositCompleted", "WithdrawalPaid", "RefundSucceeded", "ConversionExecuted"),
    *("DisputeFundsWithdrawn", "AdjustmentApproved", "TransactionResolved", "ReviewOpened"),
    *("DepositExpired", "TransactionUnknown", "NoticeNoted"),
}


def test_a_mixed_run_agrees_at_every_position(database: Settings) -> None:
    mixed_run(database, COMMANDS)


@pytest.mark.soak
def test_a_long_mixed_run_agrees_at_every_position(database: Settings) -> None:
    mixed_run(database, COMMANDS_SOAKED)


def mixed_run(database: Settings, commands: int) -> None:
    seed = int(os.environ.get("TALLYSTICK_SEED") or random.randrange(2**32))
    print(f"TALLYSTICK_SEED={seed}")
    with two_processes(database) as (ledger, _, reader):
        day = MixedDay(ledger, reader, seed)
        day.play(commands)
        nothing_is_on_its_way(day)
        day.close()
        nothing_is_on_its_way(day)
        nobody_is_waited_for(day)
        the_books_say_what_the_provider_did(day)
        everything_agrees(day, database)
        assert day.log.topics.keys() >= CERTAIN, "the run was not mixed enough to mean anything"
    print(f"{commands} commands, {len(day.log.states)} transactions, {day.log.position} events")
    print(dict(day.log.topics))


def nothing_is_on_its_way(day: MixedDay) -> None:
    """What is not over waits for people, and says so."""
    stuck = [
        state
        for state in day.log.states.values()
        if state.status in ON_THEIR_WAY and (type(state), state.status) not in OVER_ALL_THE_SAME
    ]
    assert not stuck, f"neither over nor waiting for anybody: {stuck[:3]}"


def nobody_is_waited_for(day: MixedDay) -> None:
    """Then nothing is reserved for anybody either."""
    assert not day.waiting()
    reserved = {a: b for a, b in day.log.books.balances.items() if ":reserved:" in a and b}
    assert not reserved


def the_books_say_what_the_provider_did(day: MixedDay) -> None:
    """Where they do not, two people said otherwise; an adjustment then sets it right.

    What was paid in another currency than asked is booked in our own, and set right likewise.
    """
    differences = day.differences()
    assert day.misjudged.issuperset(day.conversions_that_differ())
    for stream, by_account in differences.items():
        state = day.log.states.get(UUID(stream))
        explained = UUID(stream) in day.misjudged or len(by_account) > 1
        assert explained, f"nobody explains {by_account} of {state}"
        assert stream in day.log.books.resolved
        for account, minor in by_account.items():
            adjust(day, stream, account, minor)
    corrected = {account: 0 for by_account in differences.values() for account in by_account}
    print(f"{len(differences)} transactions were resolved otherwise than at the provider")
    truths = list(day.truths().values())
    for account in {a for t in truths for a in t} | corrected.keys():
        theirs = sum(by_account.get(account, 0) for by_account in truths)
        ours = sum(by_account.get(account, 0) for by_account in day.log.books.cleared.values())
        assert ours == theirs, f"{account}: {ours} in our books, {theirs} at the provider"


def adjust(day: MixedDay, stream: str, account: str, minor: int) -> None:
    """The provider moved `minor` more than the books say."""
    currency = account.rpartition(":")[2]
    suspense = f"house:suspense:{currency}"
    ends = (suspense, account) if minor > 0 else (account, suspense)
    request = RequestAdjustment(
        player_id=None,
        moves=(Move(source=ends[0], target=ends[1], money=Money(abs(minor), currency)),),
        reason=AdjustmentReason.PROVIDER_DIFFERENCE,
        grounds="statement of the provider",
        transaction_id=UUID(stream),
        metadata={},
    )
    written = day.handlers.adjustments.request(request, day.by("ann"))
    day.do(lambda: day.handlers.adjustments.approve(written.transaction.id, "n", day.by("cleo")))


def everything_agrees(day: MixedDay, database: Settings) -> None:
    """Every account and every counter, not only those that moved last."""
    kept = {row.account: row.balance for row in rows(database, "SELECT * FROM ledger_accounts")}
    naive = {**day.log.books.balances, **day.log.books.counters.values}
    assert {a: b for a, b in kept.items() if b} == {a: b for a, b in naive.items() if b}
    assert not any(day.log.books.zero_sums().values())
    assert len(check_log(database)) == day.log.position


def test_a_run_can_be_repeated_from_its_seed(cluster: Settings) -> None:
    stories = []
    for _ in range(2):
        with fresh_database(cluster) as database, two_processes(database) as (ledger, _, reader):
            MixedDay(ledger, reader, seed=5).play(150)
            stories.append([(e.originator_id, e.topic) for e in log(database)])
    assert stories[0] == stories[1]
