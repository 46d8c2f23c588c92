"""Appending: throughput, latency and a hot account, beside the library's own recorder.

W1   one append of 3 events + 2 postings + tree, 64 callers
W1b  whole deposits through the real command handlers, 64 callers
W2   one caller: latency against one bare durable insert
W3   0, 70 and 100 % of the postings on one house account
W4   a hundred deposits of new players at once, each with three counters and a ceiling, 4 callers
"""

import gc
import random
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import NAMESPACE_URL, UUID, uuid4, uuid5

import psycopg
from _measure import (
    Result,
    arguments,
    configuration,
    fresh_ledger,
    in_turn,
    latencies_ms,
    percentile,
    rate,
    show,
)
from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event
from psycopg.conninfo import conninfo_to_dict

from domain.command import Command
from domain.deposit.decisions import create_deposit, submit_deposit
from domain.deposit.reports import hear_deposit
from domain.deposit.state import Deposit, fold_deposit
from domain.events import LedgerEvent
from domain.events.evidence import Evidence, Outcome, Source
from domain.money import Money
from domain.player.limits import deposit_counts
from domain.player.player import Player, Verification
from domain.provider.provider import Provider, provider_stream
from ledger.commands.assessments import StoredAssessments
from ledger.commands.deposit import CreateDeposit, DepositCommands
from ledger.commands.dispatch import Dispatch
from ledger.commands.handling import Caller
from ledger.commands.inbox import Inbox
from ledger.commands.past_balances import LedgerWithPast
from ledger.commands.player import PlayerCommands
from ledger.eventstore import database
from ledger.eventstore.database import Role
from ledger.eventstore.ledger import Drafting, Ledger
from ledger.providers.protocol import Answer, ProviderNotice
from ledger.settings import Settings
from tallystick.serve import bootstrap

CALLERS = 64
BULK_CALLERS, BULK_DEPOSITS = 4, 100
PLAYERS = [uuid4() for _ in range(1_000)]


class Counter(Aggregate):
    """The smallest aggregate of the library, with three events to save."""

    @event("Counted")
    def count(self, text: str) -> None:
        self.text = text


def library_application(settings: Settings) -> Application[UUID]:
    """The library's application on its own PostgreSQL recorder, in the same cluster."""
    at = conninfo_to_dict(database.conninfo(settings, Role.OWNER))
    return Application(
        env={
            "PERSISTENCE_MODULE": "eventsourcing.postgres",
            "POSTGRES_DBNAME": str(at["dbname"]),
            "POSTGRES_HOST": str(at["host"]),
            "POSTGRES_PORT": str(at.get("port", 5432)),
            "POSTGRES_USER": str(at["user"]),
            "POSTGRES_PASSWORD": "unused",
            "POSTGRES_POOL_SIZE": "8",
            "POSTGRES_MAX_OVERFLOW": "8",
        }
    )


def library_save(application: Application[UUID]) -> Callable[[], object]:
    def save() -> None:
        counter = Counter()
        counter.count("a text of the length that a state has " * 4)
        counter.count("a text of the length that a state has " * 4)
        application.save(counter)

    return save


def deposit_events(hot_percent: int) -> list[LedgerEvent]:
    """Created, submitted, completed: one append with two postings.

    The house account is the provider's clearing account: the same one for `hot_percent` of the
    deposits, one of a thousand for the others.
    """
    deposit_id, now = uuid4(), datetime.now(UTC)
    command = Command(now=now, actor="operator:bench", command_id=deposit_id, request_digest="0")
    hot = random.randrange(100) < hot_percent
    name = "simulator" if hot else f"simulator-{random.randrange(1_000)}"
    provider, player = _provider(name), _player(random.choice(PLAYERS), now)
    created = create_deposit(
        deposit_id,
        command,
        player=player,
        provider=provider,
        method="card",
        amount=Money(1_050, "EUR"),
        instrument=None,
        metadata={},
        counts=(),
    )
    deposit = fold_deposit(None, created)
    assert isinstance(deposit, Deposit)
    submitted = submit_deposit(deposit, command, player=player, provider=provider)
    sent = fold_deposit(deposit, [submitted])
    assert isinstance(sent, Deposit)
    evidence = Evidence(
        source=Source.ANSWER, outcome=Outcome.SUCCEEDED, reference=sent.reference or ""
    )
    completed = hear_deposit(sent, command, evidence, provider=provider)
    assert completed is not None
    return [*created, submitted, completed]


def _provider(name: str) -> Provider:
    return Provider(
        id=provider_stream(name),
        version=1,
        name=name,
        adapter="simulator",
        poll_delays_seconds=(10,),
        expiry_seconds={},
        commands={},
    )


def _player(player_id: UUID, now: datetime) -> Player:
    return Player(
        id=player_id,
        version=1,
        registered_at=now,
        updated_at=now,
        jurisdiction=None,
        verification=Verification.FULL,
        time_zone="UTC",
        limits={},
        instruments={},
        commands={},
    )


def new_deposit() -> Drafting:
    """A deposit of somebody new, counted towards limits that it keeps."""
    deposit_id, now, amount = uuid4(), datetime.now(UTC), Money(1_050, "EUR")
    player = _player(uuid4(), now)
    counts = deposit_counts(player.id, amount, now.date())
    return Drafting(
        events=create_deposit(
            deposit_id,
            Command(now=now, actor="operator:bench", command_id=deposit_id, request_digest="0"),
            player=player,
            provider=_provider("simulator"),
            method="card",
            amount=amount,
            instrument=None,
            metadata={},
            counts=counts,
        ),
        ceilings={count.counter: 100_000 for count in counts},
    )


def append_prepared(ledger: Ledger, hot_percent: int, count: int) -> Callable[[], object]:
    """Append deposits whose events were made beforehand: the store alone is measured."""
    prepared = [deposit_events(hot_percent) for _ in range(count)]
    gc.collect()
    gc.freeze()  # what was prepared is the benchmark's, not the ledger's, to walk through

    def append() -> None:
        ledger.append(prepared.pop())

    return append


def append_many_prepared(ledger: Ledger, count: int) -> Callable[[], object]:
    """Append deposits by the hundred; made beforehand, as far as they can be."""
    prepared = [[new_deposit() for _ in range(BULK_DEPOSITS)] for _ in range(count)]
    gc.collect()
    gc.freeze()

    def append() -> None:
        ledger.append_many(prepared.pop())

    return append


def whole_deposit(ledger: LedgerWithPast) -> Callable[[], object]:
    """Create, submit, receive the notice, act on it: four appends by the real handlers."""
    handling = bootstrap.build_handling(ledger)
    deposits = DepositCommands(handling)
    for player_id in PLAYERS:  # customers of old, known to this process
        PlayerCommands(handling).register(
            player_id,
            verification=Verification.FULL,
            jurisdiction=None,
            time_zone="UTC",
            caller=Caller(actor="operator:bench", idempotency_key=str(player_id)),
        )
        handling.player(player_id)
    assessments = StoredAssessments("")  # of payouts: nobody asks
    inbox, dispatch = Inbox(handling), Dispatch(handling, assessments, call_timeout_seconds=5.0)

    def play() -> None:
        key = str(uuid4())
        caller = Caller(actor="operator:bench", idempotency_key=key)
        request = CreateDeposit(
            player_id=random.choice(PLAYERS),
            provider="simulator",
            method="card",
            amount=Money(1_050, "EUR"),
            metadata={},
        )
        created = deposits.create(request, caller)
        submitted = dispatch.submit(created.transaction.id)
        assert submitted is not None
        notice = ProviderNotice(
            message_id=str(uuid5(NAMESPACE_URL, key)),
            reference=submitted.reference,
            answer=Answer(outcome=Outcome.SUCCEEDED, amount=Money(1_050, "EUR")),
            sent_at=datetime.now(UTC),
        )
        stream, _ = inbox.receive("simulator", notice, "0" * 64)
        inbox.act_on_notice(stream)

    return play


def bare_insert(settings: Settings) -> Callable[[], object]:
    """One row with a state's worth of bytes into a table with one index, committed."""
    connection = psycopg.connect(database.conninfo(settings, Role.OWNER), autocommit=True)
    connection.execute(
        "CREATE TABLE IF NOT EXISTS bare (id uuid PRIMARY KEY, state bytea NOT NULL)"
    )
    state = b"x" * 400

    def insert() -> None:
        connection.execute("INSERT INTO bare VALUES (%b, %b)", [uuid4(), state], prepare=True)

    return insert


def main() -> None:
    options = arguments(__doc__)
    seconds, rounds = options.seconds, options.rounds
    with fresh_ledger() as settings:
        ledger = bootstrap.build_ledger(settings)
        library = library_application(settings)
        save = library_save(library)
        results = _throughput(ledger, save, seconds, rounds)
        results += _latency(settings, ledger, seconds, rounds)
        results += _hot_account(ledger, seconds, rounds)
        results += _many_at_once(ledger, seconds, rounds)
        config = configuration(settings, callers=CALLERS, players=len(PLAYERS), rounds=rounds)
        library.close()
        ledger.close()
    show("append", config, results, as_json=options.json)


def _throughput(
    ledger: LedgerWithPast,
    save: Callable[[], object],
    seconds: float,
    rounds: int,
) -> list[Result]:
    name = "eventsourcing: a save of 3 events"
    enough = int(15_000 * seconds)
    whole = whole_deposit(ledger)
    ours, whole_rate, theirs = in_turn(
        rounds,
        lambda: rate(CALLERS, seconds, append_prepared(ledger, 70, enough)),
        lambda: rate(CALLERS, seconds, whole),
        lambda: rate(CALLERS, seconds, save),
    )
    unit = "per second"
    return [
        Result(workload="W1", ours=ours, baseline=theirs, baseline_name=name, unit=unit),
        Result(workload="W1b", ours=whole_rate, baseline=theirs, baseline_name=name, unit=unit),
    ]


def _latency(settings: Settings, ledger: Ledger, seconds: float, rounds: int) -> list[Result]:
    insert = bare_insert(settings)
    enough = int(4_000 * seconds)
    ours: list[float] = []
    bare: list[float] = []
    for _ in range(rounds):
        ours += latencies_ms(seconds, append_prepared(ledger, 70, enough))
        bare += latencies_ms(seconds, insert)
    ours.sort()
    bare.sort()
    return [
        Result(
            workload=f"W2 p{share * 100:g}",
            ours=percentile(ours, share),
            baseline=percentile(bare, share),
            baseline_name="one bare durable insert",
            unit="ms",
        )
        for share in (0.5, 0.99)
    ]


def _hot_account(ledger: Ledger, seconds: float, rounds: int) -> list[Result]:
    enough = int(15_000 * seconds)
    spread, hot, all_hot = in_turn(
        rounds,
        *(
            lambda share=share: rate(CALLERS, seconds, append_prepared(ledger, share, enough))
            for share in (0, 70, 100)
        ),
    )
    name = "no hot account"
    return [
        Result(
            workload="W3 70 %", ours=hot, baseline=spread, baseline_name=name, unit="per second"
        ),
        Result(
            workload="W3 100 %",
            ours=all_hot,
            baseline=spread,
            baseline_name=name,
            unit="per second",
        ),
    ]


def _many_at_once(ledger: Ledger, seconds: float, rounds: int) -> list[Result]:
    """Beside the same deposits appended one by one."""

    def one_by_one() -> Callable[[], object]:
        prepared = [new_deposit() for _ in range(int(15_000 * seconds))]
        gc.freeze()

        def append() -> None:
            draft = prepared.pop()
            ledger.append(draft.events, ceilings=draft.ceilings)

        return append

    many, single = in_turn(
        rounds,
        lambda: (
            BULK_DEPOSITS
            * rate(BULK_CALLERS, seconds, append_many_prepared(ledger, int(400 * seconds)))
        ),
        lambda: rate(CALLERS, seconds, one_by_one()),
    )
    return [
        Result(
            workload="bulk appends",
            ours=many,
            baseline=single,
            baseline_name="one by one, 64 callers",
            unit="per second",
        )
    ]


if __name__ == "__main__":
    main()
