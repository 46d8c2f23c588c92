"""What deciders saw, compared with a look at every event before each decision.

A random day is played through the real commands. What is expected is folded from the stored JSON
by naive books, which share nothing with the program.
"""

import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, get_args
from uuid import UUID

import psycopg
import pytest

from domain.events import EVENT_TYPES
from domain.transactions import Transaction, evolve_transaction
from ledger.eventstore.codec import decode
from ledger.eventstore.database import Role, conninfo
from ledger.settings import Settings
from replay import context
from replay.decisions import Decision, NoDecision
from replay.seen import Saw
from replay.transaction import Step, stories, story
from tests.generators.mixed_core import PROVIDER
from tests.generators.played_day import CREATIONS, PlayedDay, played_day
from tests.oracles.naive_books import lines_of

# --- every decision is known as one -------------------------------------------------------------


def test_every_event_is_a_decision_or_named_as_none() -> None:
    decisions, others = set(get_args(Decision)), set(get_args(NoDecision))
    assert decisions | others == set(EVENT_TYPES)
    assert not decisions & others


# --- the naive look -----------------------------------------------------------------------------


@dataclass
class Naive:
    """The ledger after some position, from the stored JSON."""

    balances: Counter[str] = field(default_factory=Counter)
    players: dict[str, dict[str, Any]] = field(default_factory=dict)
    paused: dict[str, bool] = field(default_factory=dict)
    pause_reason: dict[str, str | None] = field(default_factory=dict)
    policy: str = "default-1"
    rates: str | None = None
    scores: dict[str, tuple[int, str]] = field(default_factory=dict)
    agreed: dict[str, set[str]] = field(default_factory=dict)
    begun: list[tuple[str, str | None]] = field(default_factory=list)
    """Stream and provider of each transaction, in the order in which they began."""
    states: dict[str, Transaction] = field(default_factory=dict)

    def take(self, row: Any) -> None:
        said, stream = json.loads(row.state), str(row.originator_id)
        for account, minor in lines_of(row.topic, said):
            self.balances[account] += minor
        if row.topic in CREATIONS and row.originator_version == 1:
            self.begun.append((stream, said.get("provider")))
        self._of_settings(row.topic, said)
        self._of_players(stream, row.topic, said)
        self._of_payouts(stream, row.topic, said)
        event = decode(row.topic, row.state, row.originator_id, row.originator_version)
        after = evolve_transaction(self.states.get(stream), event)
        if after is not None:
            self.states[stream] = after

    def _of_settings(self, topic: str, said: dict[str, Any]) -> None:
        match topic:
            case "ProviderRegistered" | "ProviderResumed" | "ProviderPaused":
                self.paused[said["provider"]] = topic == "ProviderPaused"
                self.pause_reason[said["provider"]] = said.get("reason")
            case "ApprovalPolicyPublished":
                self.policy = said["policy"]
            case "RateTablePublished" | "RateTableApproved":
                self.rates = said["table"]

    def _of_players(self, stream: str, topic: str, said: dict[str, Any]) -> None:
        player = self.players.setdefault(stream, {"holds": set(), "until": None})
        match topic:
            case "PlayerRegistered" | "VerificationChanged":
                player |= {name: said[name] for name in ("verification", "jurisdiction")}
            case "HoldPlaced":
                player["holds"].add(said["hold"])
            case "HoldLifted":
                player["holds"].discard(said["hold"])
            case "PlayerExcluded":
                player["until"] = said["until"]
            case "ExclusionEnded":
                player["until"] = None

    def _of_payouts(self, stream: str, topic: str, said: dict[str, Any]) -> None:
        if topic in ("WithdrawalScored", "WithdrawalScreened"):
            self.scores[stream] = (said["score"], said["ruleset"])
        if topic in ("WithdrawalApprovalGiven", "WithdrawalApproved") and said["person"]:
            self.agreed.setdefault(stream, set()).add(said["person"])

    def recent(self, provider: str) -> dict[str, int]:
        """Statuses of the last of its transactions to begin."""
        own = [stream for stream, name in self.begun if name == provider]
        statuses = (self.states[stream].status for stream in own[-context.RECENT_TRANSACTIONS :])
        return dict(Counter(str(status.value) for status in statuses))


def check(saw: Saw, step: Step, transaction: Transaction, naive: Naive) -> None:
    """`naive` has taken every event before the step's, and no other."""
    stream = str(transaction.id)
    assert saw.position == step.position - 1
    seen = {balance.account: balance.balance_minor for balance in saw.balances}
    assert seen == {account: naive.balances[account] for account in seen}
    assert accounts_expected(transaction) <= seen.keys()
    _check_the_player(saw, step, transaction, naive)
    assert (saw.score and (saw.score.score, saw.score.ruleset)) == naive.scores.get(stream)
    if saw.approvals is not None:
        assert {one.person for one in saw.approvals.given} == naive.agreed.get(stream, set())
    assert saw.policy.policy == naive.policy
    if type(transaction).__name__ in ("Withdrawal", "Conversion"):
        assert (saw.rates and saw.rates.table) == naive.rates
    assert {health.provider for health in saw.providers} >= {transaction.provider or PROVIDER} or (
        type(transaction).__name__ in ("Adjustment", "Conversion")
    )
    for health in saw.providers:
        assert health.paused == naive.paused[health.provider]
        assert health.reason == naive.pause_reason[health.provider]
        assert dict(health.recent_by_status) == naive.recent(health.provider)
        assert health.recent == sum(health.recent_by_status.values())


def _check_the_player(saw: Saw, step: Step, transaction: Transaction, naive: Naive) -> None:
    if transaction.player_id is None:
        assert saw.player is None
        return
    player = naive.players[str(transaction.player_id)]
    assert saw.player is not None
    until = player["until"] and datetime.fromisoformat(player["until"])
    assert (saw.player.verification, saw.player.jurisdiction, set(saw.player.holds)) == (
        player["verification"],
        player["jurisdiction"],
        player["holds"],
    )
    assert saw.player.excluded == (until is not None and step.occurred_at < until)


def accounts_expected(transaction: Transaction) -> set[str]:
    if transaction.player_id is None:
        return {transaction.moves[0].source}  # type: ignore[union-attr]
    target = getattr(transaction, "target", transaction.amount)
    return {
        f"player:{transaction.player_id}:{part}:{currency}"
        for part in ("available", "reserved")
        for currency in {transaction.amount.currency, target.currency}
    }


# --- a day of everything ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def played(module_database: Settings) -> PlayedDay:
    return played_day(module_database)


def check_every_story(played: PlayedDay) -> set[str]:
    """The decisions that were looked at."""
    naive, waiting, looked_at = Naive(), _decisions(played), set()
    for row in played.rows:
        for saw, step, transaction in waiting.get(row.notification_id, []):
            check(saw, step, transaction, naive)
            looked_at.add(step.event)
        naive.take(row)
    return looked_at


def _decisions(played: PlayedDay) -> dict[int, list[tuple[Saw, Step, Transaction]]]:
    """By position of the decision."""
    found: dict[int, list[tuple[Saw, Step, Transaction]]] = {}
    with psycopg.connect(conninfo(played.settings, Role.READER), autocommit=True) as connection:
        for told in stories(connection, _begun(played)):
            for step in told.steps:
                if step.saw is not None:
                    found.setdefault(step.position, []).append((step.saw, step, told.transaction))
    return found


def _begun(played: PlayedDay) -> list[UUID]:
    return list(dict.fromkeys(r.originator_id for r in played.rows if r.topic in CREATIONS))


def test_deciders_saw_what_a_look_at_every_event_gives(played: PlayedDay) -> None:
    """Read models that have followed to the end, and that everything is looked at."""
    played.installed()
    played.follow()
    assert check_every_story(played) >= {
        *("DepositCreated", "DepositBlocked", "WithdrawalRequested", "WithdrawalScreened"),
        *("WithdrawalApproved", "WithdrawalQueued", "RefundApproved", "ConversionAccepted"),
        *("AdjustmentApproved", "ReviewOpened", "ResolutionProposed", "TransactionResolved"),
    }


def test_they_do_so_where_read_models_are_behind(played: PlayedDay) -> None:
    played.installed()
    played.follow(played.half)
    check_every_story(played)


def test_they_do_so_where_there_are_no_read_models(played: PlayedDay) -> None:
    played.uninstalled()
    check_every_story(played)


def test_a_story_is_the_same_alone_and_among_others(played: PlayedDay) -> None:
    played.installed()
    played.follow(played.half)
    asked = _begun(played)[:120:2]
    with psycopg.connect(conninfo(played.settings, Role.READER), autocommit=True) as connection:
        together = list(stories(connection, asked))
        assert together[::5] == [story(connection, one) for one in asked[::5]]
        assert [told.id for told in together] == asked
