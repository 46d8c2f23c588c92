"""Players and accounts as they were, compared with a look at every event."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from random import Random
from typing import Any
from uuid import UUID

import psycopg
import pytest

from domain.accounts import player_of
from domain.postings import postings
from domain.transactions import Transaction, evolve_transaction
from ledger.eventstore.codec import decode, encode
from ledger.eventstore.database import Role, conninfo
from ledger.settings import Settings
from replay import log
from replay.account import account_then
from replay.player import PlayerThen, player_then
from replay.transaction import story
from tests.generators.event_samples import SAMPLES, VARIANTS
from tests.generators.played_day import CREATIONS, PlayedDay, played_day
from tests.oracles.naive_books import NaiveBooks, lines_of
from tests.oracles.naive_rules import NaiveRules

LIMIT = 4
MOMENTS = 8
COUNTS = ("DepositCreated", "DepositCompleted", "WagerRecorded", "WithdrawalRequested")
"""Counters change with these, so that one position more or less shows."""


@pytest.fixture(scope="module")
def played(module_database: Settings) -> PlayedDay:
    return played_day(module_database)


@pytest.fixture
def reader(played: PlayedDay) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(conninfo(played.settings, Role.READER), autocommit=True) as connection:
        yield connection


# --- the naive look -----------------------------------------------------------------------------


@dataclass
class Naive:
    """The ledger after some position, from the stored JSON."""

    books: NaiveBooks = field(default_factory=NaiveBooks)
    rules: NaiveRules = field(default_factory=NaiveRules)
    entries: dict[str, list[tuple[int, int, int]]] = field(default_factory=dict)
    """By account, oldest first: position, amount, balance."""
    begun: dict[str, list[str]] = field(default_factory=dict)
    """By player, oldest first."""
    holds: dict[str, set[tuple[str, str]]] = field(default_factory=dict)
    """By player: kind, and what it stops."""
    instruments: dict[str, set[str]] = field(default_factory=dict)
    states: dict[str, Transaction] = field(default_factory=dict)
    at: datetime = datetime(1970, 1, 1, tzinfo=UTC)

    def take(self, row: Any) -> None:
        stream, said = str(row.originator_id), json.loads(row.state)
        self.books.take(stream, row.topic, row.state, row.notification_id)
        self.rules.take(stream, row.topic, row.state)
        for account, minor in lines_of(row.topic, said):
            known = self.entries.setdefault(account, [])
            known.append((row.notification_id, minor, (known[-1][2] if known else 0) + minor))
        if row.topic in CREATIONS and row.originator_version == 1 and said["player_id"]:
            self.begun.setdefault(said["player_id"], []).append(stream)
        if row.topic == "InstrumentRegistered":
            self.instruments.setdefault(stream, set()).add(said["instrument"])
        if row.topic in ("HoldPlaced", "HoldLifted"):
            holds, kind = self.holds.get(stream, set()), said["hold"]
            if row.topic == "HoldPlaced":
                holds |= {(kind, stop) for stop in said.get("stops", ["payouts"])}
            else:
                holds = {hold for hold in holds if hold[0] != kind}
            self.holds[stream] = holds
        event = decode(row.topic, row.state, row.originator_id, row.originator_version)
        after = evolve_transaction(self.states.get(stream), event)
        if after is not None:
            self.states[stream] = after
        self.at = row.recorded_at


def check_the_player(found: PlayerThen, naive: Naive) -> None:
    player_id, counters = str(found.id), naive.books.counters.values
    balances = {one.account: one.balance_minor for one in found.balances if one.balance_minor}
    own = {a: b for a, b in naive.books.balances.items() if f"player:{player_id}:" in a and b}
    assert balances == own
    holds = {(hold.kind, stop) for hold in found.holds for stop in hold.stops}
    assert holds == naive.holds.get(player_id, set())
    begun = naive.begun.get(player_id, [])
    assert [str(row.id) for row in found.transactions] == begun[::-1][:LIMIT]
    assert found.more_transactions == (len(begun) > LIMIT)
    assert (found.empty is None) == bool(begun)
    for row in found.transactions:
        assert row.status == naive.states[str(row.id)].status
    sums = {
        f"{kind}:{player_id}:{counted.currency}": value
        for counted in found.counters
        for kind, value in (
            ("deposited", counted.deposited_minor),
            ("wagered", counted.wagered_minor),
        )
        if value
    }
    kinds = (f"deposited:{player_id}:", f"wagered:{player_id}:")
    assert sums == {name: v for name, v in counters.items() if name.startswith(kinds) and v}
    nets = {
        f"instrument:{player_id}:{currency}:{one.instrument}": net
        for one in found.instruments
        for currency, net in one.net_minor.items()
    }
    paid_in_with = {one.instrument for one in found.instruments}
    assert paid_in_with == naive.instruments.get(player_id, set())
    assert nets == {
        name: net
        for name, net in counters.items()
        if name.startswith(f"instrument:{player_id}:") and net
        if name.split(":")[3] in paid_in_with
    }
    limits = naive.rules.limits(player_id, "EUR", found.at)
    in_force = [one for one in found.limits if one.limit_minor is not None]
    assert sorted(one.limit_minor or 0 for one in in_force) == sorted(limits.values())
    used = {counters.get(name, 0) for name in limits}
    assert {one.used_minor for one in in_force} == used


def check_the_past(played: PlayedDay, reader: psycopg.Connection[Any]) -> None:
    naive, chance = Naive(), Random(3)
    # Not within an append: the naive counters take back only then what was refused at once.
    counting = [
        row.notification_id
        for row, following in pairwise(played.rows)
        if row.topic in COUNTS and row.recorded_at != following.recorded_at
    ]
    moments = {*chance.sample(counting, MOMENTS), len(played.rows)}
    players = [row.originator_id for row in played.rows if row.topic == "PlayerRegistered"]
    for row in played.rows:
        naive.take(row)
        if row.notification_id not in moments:
            continue
        position = row.notification_id
        for player_id in players:
            if str(player_id) in naive.rules.players:
                # Players' windows are by their own clock, which is not the ledger's here.
                at = datetime.fromisoformat(json.loads(row.state)["occurred_at"])
                found = player_then(reader, player_id, position=position, at=at, limit=LIMIT)
                check_the_player(found, naive)
        for account in chance.sample(sorted(naive.entries), min(5, len(naive.entries))):
            check_the_account(account, naive, reader, position)


def check_the_account(
    account: str, naive: Naive, reader: psycopg.Connection[Any], position: int
) -> None:
    found = account_then(reader, account, position=position, limit=LIMIT)
    known = naive.entries[account]
    shown = [(entry.position, entry.amount_minor, entry.balance_minor) for entry in found.entries]
    assert [position for position, _, _ in shown] == [one[0] for one in known[::-1][:LIMIT]]
    # Lines of one event may be in another order; of the oldest shown, some may be cut off.
    whole = {position for position, _, _ in shown[:-1]} - {shown[-1][0]}
    for position_ in whole:
        ours = [one for one in shown if one[0] == position_]
        naively = [one for one in known if one[0] == position_]
        assert sorted(one[1] for one in ours) == sorted(one[1] for one in naively)
        assert ours[0][2] == naively[-1][2], "the balance after the event"
    assert found.balance_minor == naive.books.balances[account]
    assert found.more == (len(known) > LIMIT)
    assert found.empty is None


def test_the_past_is_what_a_look_at_every_event_gives(
    played: PlayedDay, reader: psycopg.Connection[Any]
) -> None:
    played.installed()
    played.follow()
    check_the_past(played, reader)


def test_it_is_so_where_read_models_are_behind(
    played: PlayedDay, reader: psycopg.Connection[Any]
) -> None:
    played.installed()
    played.follow(played.half)
    check_the_past(played, reader)


def test_it_is_so_where_there_are_no_read_models(
    played: PlayedDay, reader: psycopg.Connection[Any]
) -> None:
    played.uninstalled()
    check_the_past(played, reader)


def test_a_snapshot_from_before_a_rebuild_sees_its_own_tables(
    played: PlayedDay, reader: psycopg.Connection[Any]
) -> None:
    """Names are looked up as of now: what is called journal by then, the snapshot sees empty."""
    played.installed()
    played.follow()
    row = next(row for row in played.rows[::-1] if row.topic == "DepositCompleted")
    player_id = UUID(json.loads(row.state)["player_id"])
    now, account = datetime.now(UTC), f"player:{player_id}:available:EUR"

    def asked(connection: psycopg.Connection[Any]) -> tuple[object, ...]:
        position = len(played.rows)
        return (
            player_then(connection, player_id, position=position, at=now, limit=LIMIT),
            account_then(connection, account, position=position, limit=LIMIT),
            story(connection, row.originator_id),
        )

    expected = asked(reader)
    with log.snapshot(conninfo(played.settings, Role.READER)) as before:
        before.execute("SELECT position FROM ledger_head")
        played.moved_away("old")
        played.installed()
        played.follow()
        assert asked(before) == expected
    assert asked(reader) == expected


def test_whatever_posts_to_a_player_names_them() -> None:
    """What is behind the read models is looked for by that."""
    for event in (*SAMPLES, *VARIANTS):
        named = {player_of(posting.account) for posting in postings(event)} - {None}
        named |= {UUID(count.counter.split(":")[1]) for count in getattr(event, "counts", ())}
        for player_id in named:
            assert str(player_id).encode() in encode(event)
