"""The population: the same from the same seed, and what the real ledger would have recorded."""

import ast
import subprocess
import sys
from collections import Counter, defaultdict
from hashlib import sha256
from pathlib import Path
from uuid import UUID

import pytest

from domain.accounts import floor_minor
from domain.counters import counts
from domain.deposit.state import Deposit
from domain.events import LedgerEvent, PlayerEvent, PlayerRegistered
from domain.player.player import Player, evolve_player
from domain.postings import postings
from domain.transactions import Transaction, evolve_transaction
from domain.withdrawal.state import Withdrawal, WithdrawalStatus
from ledger.eventstore.codec import TOPICS, decode, encode
from projections.fraud.model import ASSESSMENTS, HITS
from replay.backtest.digest import digest as digest_of_judging
from tallystick.play import synthetic_players
from tallystick.play.synthetic_players.cast import RING_SIZES, cast
from tallystick.play.synthetic_players.evaluation import judge
from tallystick.play.synthetic_players.kinds import PER_10_000, Kind

PLAYERS, DAYS, SEED = 300, 60, 11
FOLDER = Path(synthetic_players.__file__).parent
ROOT = FOLDER.parents[2]
JUDGING = ("evaluation", "report")
"""Modules that know indicators, and that no other one may know."""


@pytest.fixture(scope="module")
def log() -> list[LedgerEvent]:
    return list(synthetic_players.events(PLAYERS, DAYS, SEED))


def digest(players: int, days: int, seed: int) -> str:
    found = sha256()
    for event in synthetic_players.events(players, days, seed):
        found.update(encode(event))
    return found.hexdigest()


def judged(players: int, days: int, seed: int) -> str:
    rows, _ = judge(synthetic_players.events(players, days, seed))
    hits = sorted(rows[HITS].values(), key=lambda hit: hit.id)
    assert len(hits) > 5
    assessments = sorted(rows[ASSESSMENTS].values(), key=lambda row: row.position)
    return digest_of_judging(hits, assessments)


# --- the seed -----------------------------------------------------------------------------------


def test_the_same_seed_makes_the_same_log_and_hits_whatever_strings_hash_to() -> None:
    code = (
        "from tests.unit.play.test_synthetic_players import digest, judged;"
        "from tallystick.play.synthetic_players import labels;"
        "print(digest(60, 30, 3), judged(60, 30, 3), sorted(map(str, labels(60, 3).items())))"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert len(told) == 1


def test_another_seed_makes_another_log() -> None:
    assert digest(20, 30, 1) != digest(20, 30, 2)


# --- the labels ---------------------------------------------------------------------------------


def test_every_player_has_a_label_and_no_event_says_it(log: list[LedgerEvent]) -> None:
    labels = synthetic_players.labels(PLAYERS, SEED)
    assert len(labels) == PLAYERS
    assert set(labels.values()) == set(Kind)
    said = b"".join(encode(event) for event in log)
    assert not [kind for kind in Kind if kind.value.encode() in said]


def test_at_twenty_thousand_players_more_than_a_thousand_are_bad_and_all_kinds_are_there() -> None:
    found = Counter(player.kind for player in cast(20_000, 7))
    for kind, per_10_000 in PER_10_000.items():
        assert found[kind] == 2 * per_10_000
    assert 20_000 - found[Kind.HONEST] >= 1_000


def test_rings_have_from_four_to_twelve_accounts() -> None:
    rings: Counter[int] = Counter(
        player.together for player in cast(20_000, 7) if player.kind is Kind.BONUS_RING
    )
    least, most = RING_SIZES
    assert least <= min(rings.values())
    assert max(rings.values()) <= most


@pytest.mark.parametrize(
    "path", [p for p in FOLDER.glob("*.py") if p.stem not in JUDGING], ids=lambda p: p.name
)
def test_what_makes_players_act_knows_nothing_of_indicators(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    named = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    named |= {n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    forbidden = (
        "projections",
        "domain.fraud.indicators",
        "domain.fraud.ruleset",
        *(f"tallystick.play.synthetic_players.{name}" for name in JUDGING),
    )
    assert not [name for name in named if name.startswith(forbidden)]


# --- the log ------------------------------------------------------------------------------------


def test_events_are_in_the_order_of_their_time(log: list[LedgerEvent]) -> None:
    times = [event.occurred_at for event in log]
    assert times == sorted(times)
    assert (times[-1] - synthetic_players.BEGINS).days < DAYS


def test_the_versions_of_every_stream_follow_one_another(log: list[LedgerEvent]) -> None:
    streams: dict[UUID, list[int]] = defaultdict(list)
    for event in log:
        streams[event.originator_id].append(event.originator_version)
    for versions in streams.values():
        assert versions == list(range(1, len(versions) + 1))


def test_the_books_balance_and_no_player_owes_anything(log: list[LedgerEvent]) -> None:
    balances: dict[str, int] = defaultdict(int)
    for event in log:
        lines = postings(event)
        by_currency: dict[str, int] = defaultdict(int)
        for line in lines:
            balances[line.account] += line.amount_minor
            by_currency[line.account.rpartition(":")[2]] += line.amount_minor
        assert not any(by_currency.values())
        for line in lines:
            assert floor_minor(line.account) is None or balances[line.account] >= 0


def test_counters_of_limits_never_fall_below_nothing(log: list[LedgerEvent]) -> None:
    counters: dict[str, int] = defaultdict(int)
    for event in log:
        for count in counts(event):
            counters[count.counter] += count.change
            assert counters[count.counter] >= 0 or not count.counter.startswith("limit:")


def test_every_event_can_be_stored_and_read_again(log: list[LedgerEvent]) -> None:
    for event in log:
        state = encode(event)
        stream, version = event.originator_id, event.originator_version
        assert decode(TOPICS[type(event)], state, stream, version) == event


def test_every_transaction_and_every_player_folds(log: list[LedgerEvent]) -> None:
    transactions: dict[UUID, Transaction] = {}
    players: dict[UUID, Player] = {}
    for event in log:
        stream = event.originator_id
        if isinstance(event, PlayerEvent):
            players[stream] = evolve_player(players.get(stream), event)
            continue
        after = evolve_transaction(transactions.get(stream), event)
        if after is not None:
            transactions[stream] = after
    assert len(players) <= PLAYERS
    paid = [t for t in transactions.values() if isinstance(t, Withdrawal)]
    assert sum(t.status is WithdrawalStatus.PAID for t in paid) > len(paid) * 0.8
    credited = [t for t in transactions.values() if isinstance(t, Deposit) and t.status.is_credited]
    assert len(credited) > 3 * PLAYERS


def test_nobody_acts_before_they_are_registered(log: list[LedgerEvent]) -> None:
    known: set[UUID] = set()
    for event in log:
        if isinstance(event, PlayerRegistered):
            known.add(event.originator_id)
        player_id: UUID | None = getattr(event, "player_id", None)
        assert player_id is None or player_id in known


def test_what_is_recorded_together_is_of_one_instant() -> None:
    for together in synthetic_players.appends(40, 30, 5):
        assert together
        assert len({event.occurred_at for event in together}) == 1
