"""The fraud read model goes on whatever comes in: were it to stop, no payout would be screened.

Everything here is something that the API takes, or that a clock or a rule set may do.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from uuid import UUID

import psycopg
import pytest

from api.http.free_text import LINE_CHARS_MAX, check_line
from domain import events as e
from domain.conversion.rates import RATE_TERM_MAX
from domain.counters import instrument_counter, limit_counters
from domain.events import EVENT_TYPES, LedgerEvent, RuleSetTerms
from domain.events.evidence import DisputeNews, DisputeReport, DisputeStage, Source
from domain.fraud.indicators.catalogue import INDICATORS
from domain.fraud.ruleset import DEFAULT_TERMS
from domain.fraud.ruleset_checks import RISING, checked_terms
from domain.money import AMOUNT_MINOR_MAX, Money
from domain.replacing import replace
from ledger.eventstore.codec import decode
from ledger.eventstore.database import Role, conninfo
from ledger.settings import Settings
from projections.engine.bulk import BulkTable
from projections.engine.compare import checkpoint, compare, fold_all
from projections.engine.projector import Projector
from projections.engine.read_model import Recorded, Rows
from projections.engine.tables import StoredTable, adapt, create_tables_in, install
from projections.fraud.model import ASSESSMENTS, DUE, FRAUD, HITS, SUBJECTS, SubjectRow
from projections.fraud.states import PlayerState
from tests.generators.event_sequences import write_log
from tests.generators.fraud_world import EDGES, EVIDENCE, PLAYERS, World

TOKENS = (
    "\U0001f600" * LINE_CHARS_MAX,
    "\\" * LINE_CHARS_MAX,
    '"' * LINE_CHARS_MAX,
    "a:b::c",
    ":",
    "/../a/b",
    "\\u0000",
    "\\N",
    "null",
    "NULL",
    "{},{}",
    '],["',
    "%s %(x)s {0} $1",
    "'; DROP TABLE subjects; --",
    "\u00a0\u200b\u2028\ufeff\uffff\U0010ffff",
    "e\u0301 \u00e9 \ufdfa",
)
STRANGER = UUID(int=0xDEAD)
"""A player that nobody has registered."""

CURRENCIES = ("EUR", "GBP", "JPY", "KWD", "CLF", "VND", "XAF")
"""With rates and without, of every exponent."""

CLOCKS = (
    datetime(2026, 3, 2, 9, tzinfo=UTC),
    datetime(2099, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    datetime(1970, 1, 1, tzinfo=UTC),
    datetime(1969, 1, 1, tzinfo=UTC),
    datetime(2026, 3, 2, 9, 1, tzinfo=UTC),
)
REPORT = DisputeReport(
    source=Source.NOTICE,
    news=DisputeNews.OPENED,
    stage=DisputeStage.CHARGEBACK,
    reference="r-1",
    dispute_reference="dp_1",
)


def extreme_terms(*, least: bool) -> RuleSetTerms:
    """Every threshold as low, or as high, as a rule set may have it; rates to match."""
    return checked_terms(
        replace(
            DEFAULT_TERMS,
            indicators=tuple(
                e.IndicatorTerms(
                    indicator=one.code,
                    mode="live",
                    thresholds=tuple(
                        e.Threshold(
                            name=parameter.name,
                            value=parameter.least + rise(one.code, parameter.name)[0]
                            if least
                            else parameter.most - rise(one.code, parameter.name)[1],
                        )
                        for parameter in one.parameters
                    ),
                )
                for one in INDICATORS
            ),
            rates=tuple(
                e.Rate(
                    currency=rate.currency,
                    numerator=1 if least else RATE_TERM_MAX,
                    denominator=RATE_TERM_MAX if least else 1,
                )
                for rate in DEFAULT_TERMS.rates
            ),
        )
    )


def rise(code: str, name: str) -> tuple[int, int]:
    """How many thresholds have to be lower, and how many higher."""
    for indicator, names, strict in RISING:
        if indicator == code and strict and name in names:
            return names.index(name), len(names) - 1 - names.index(name)
    return 0, 0


@cache
def hostile_log() -> tuple[LedgerEvent, ...]:
    world = World(EDGES[0], Counter(dict.fromkeys(EVENT_TYPES, 1_000)))
    for number, token in enumerate(TOKENS):
        player = (PLAYERS[0], STRANGER)[number % 2]
        world.now = CLOCKS[number % len(CLOCKS)]
        if number in (5, 11):
            world.publish(extreme_terms(least=number == 5))
        pay_in(world, player, token, CURRENCIES[number % len(CURRENCIES)])
        play(world, player)
        pay_out(world, player, TOKENS[: number + 1], CURRENCIES[-number % len(CURRENCIES)])
        work_cases(world, player, token)
    return tuple(world.log)


def origin(token: str) -> e.Origin:
    return e.Origin(
        device=token,
        address=token,
        address_country="KP",
        instrument_country="DE",
        bin="41111111",
    )


def pay_in(world: World, player: UUID, token: str, currency: str) -> None:
    amount = Money(AMOUNT_MINOR_MAX, currency)
    known = {"provider": "acme", "method": "card", "instrument": token}
    world.say(e.InstrumentRegistered, player, **known)
    world.say(e.InstrumentHolderChecked, player, instrument=token, similarity_percent=0)
    world.say(e.PlayerExcluded, player, reason="r", until=datetime.max.replace(tzinfo=UTC))
    for ending in ("settled", "declined", "refused"):
        created = world.say(
            e.DepositCreated,
            player_id=player,
            amount=amount,
            metadata={},
            origin=origin(token),
            counts=tuple(
                e.Count(counter=name, change=amount.amount)
                for name in limit_counters(player, currency, world.now.date())
            ),
            **known,
        )
        stream = created.originator_id
        if ending == "settled":
            name = instrument_counter(player, token, currency)
            world.say(
                e.DepositCompleted,
                stream,
                player_id=player,
                provider="acme",
                instrument=token,
                settled=amount,
                fee=None,
                late=False,
                concerns=(),
                counts=(e.Count(counter=name, change=amount.amount),),
                evidence=EVIDENCE,
            )
        elif ending == "declined":
            world.decline(created)
        else:
            reason = "limit_exceeded"
            world.say(
                e.DepositBlocked, stream, player_id=player, amount=amount, reason=reason, counts=()
            )


def play(world: World, player: UUID) -> None:
    most, least = Money(AMOUNT_MINOR_MAX, "EUR"), Money(1, "CLF")
    world.say(e.WagerRecorded, player_id=player, amount=most, metadata={}, counts=())
    world.say(e.CredentialsChanged, player, credential="password")
    for source, target in ((least, most), (most, least), (least, most)):
        world.say(
            e.ConversionExecuted,
            player_id=player,
            source=source,
            target=target,
            spread=Money(0, target.currency),
            evidence=None,
        )


def pay_out(world: World, player: UUID, tokens: tuple[str, ...], currency: str) -> None:
    amount = Money(AMOUNT_MINOR_MAX, currency)
    legs = tuple(
        e.PlannedLeg(leg=leg, provider="acme", method="card", instrument=token, amount=amount)
        for leg, token in enumerate(tokens, 1)
    )
    asked = {"player_id": player, "amount": amount, "instrument": tokens[-1], "counts": ()}
    asked |= {"legs": legs, "closed_loop": False, "origin": origin(tokens[-1])}
    request = world.say(
        e.WithdrawalRequested,
        provider="acme",
        method="card",
        metadata={},
        reserved=True,
        **asked,
    )
    world.say(e.WithdrawalAmended, request.originator_id, released=None, note="", **asked)


def work_cases(world: World, player: UUID, token: str) -> None:
    """Staff, providers, and cases: also about what has never hit, and what nobody declares."""
    for _ in range(3):
        world.say(
            e.RefundRequested,
            actor="operator:a:b/c@d",
            deposit_id=UUID(int=0),
            player_id=player,
            provider="acme",
            method="card",
            amount=Money(AMOUNT_MINOR_MAX, "EUR"),
            instrument=token,
            reason="r",
            metadata={},
            reserved=True,
            counts=(),
        )
    world.say(
        e.DisputeOpened,
        version=1,
        deposit_id=UUID(int=1),
        player_id=player,
        provider="acme",
        method="card",
        instrument=token,
        dispute_reference="dp_1",
        stage=DisputeStage.CHARGEBACK,
        amount=Money(AMOUNT_MINOR_MAX, "EUR"),
        reason_code=None,
        report=REPORT,
    )
    for subject in (f"device:{token}", f"holding:{STRANGER}:{token}", "provider:nobody"):
        hit = e.IndicatorHit(
            hit=f"999999999999999/nothing/{subject}",
            position=999_999_999_999_999,
            hit_at=world.now,
            indicator="nothing",
            severity="critical",
            subject=subject,
            player_id=None,
            value=1,
            threshold=1,
            unit="count",
            sentence="s",
            ruleset="r",
            holds=True,
        )
        opened = world.say(e.FraudCaseOpened, subject=subject, number=1, hit=hit)
        world.say(
            e.FraudCaseClosed,
            opened.originator_id,
            person="ann",
            decision="false_positive",
            reason="r",
            proposed_by=None,
            subject=subject,
            indicators=("nothing", "shared_device_or_address"),
            opened_at=world.now,
        )


def recorded(events: tuple[LedgerEvent, ...]) -> list[Recorded]:
    return [
        Recorded(position=position, recorded_at=event.occurred_at, event=event)
        for position, event in enumerate(events, 1)
    ]


@pytest.fixture
def owner(database: Settings) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    with psycopg.connect(conninfo(database, Role.OWNER)) as connection:
        connection.execute("SET timezone = 'UTC'")
        adapt(connection)
        yield connection


@pytest.mark.parametrize("token", TOKENS)
def test_the_api_takes_such_tokens(token: str) -> None:
    assert check_line(token) == token
    assert 1 <= len(token) <= LINE_CHARS_MAX


def test_the_log_was_hostile_enough() -> None:
    rows = fold_all(FRAUD, recorded(hostile_log()))
    assert len({hit.indicator for hit in rows[HITS].values()}) > 15
    assert max(hit.value for hit in rows[HITS].values()) == 2**63 - 1
    assert max(len(key.encode()) for key in rows[HITS]) > 1_000
    assert len(rows[ASSESSMENTS]) == len(TOKENS)
    assert rows[DUE]


@pytest.mark.parametrize("batch_events", [2_000, 7])
def test_the_read_model_follows_to_the_end(
    database: Settings, owner: psycopg.Connection[tuple[object, ...]], batch_events: int
) -> None:
    install(conninfo(database, Role.OWNER), [FRAUD])
    end = write_log(conninfo(database, Role.OWNER), hostile_log())
    writer = conninfo(database, Role.WRITER)
    Projector(conninfo=writer, models=[FRAUD], decode=decode, batch_events=batch_events).catch_up()
    assert checkpoint(owner, FRAUD) == end
    assert compare(owner, FRAUD, fold_all(FRAUD, recorded(hostile_log()))) == []


def test_what_a_rebuild_copies_in_and_changes_is_what_was_folded(
    owner: psycopg.Connection[tuple[object, ...]],
) -> None:
    log = recorded(hostile_log())
    half, whole = (fold_all(FRAUD, log[:end]) for end in (len(log) // 2, len(log)))
    create_tables_in(owner, FRAUD, "again")
    for before, after in ((Rows(), half), (half, whole)):
        for table in FRAUD.tables:
            added = after[table]
            if table is HITS:  # what was there before is not touched
                added = {key: hit for key, hit in added.items() if key not in before[table]}
            BulkTable("again", table).save(owner, {} if table is HITS else before[table], added)
            stored = StoredTable("again", table).load(owner, list(after[table]))
            assert stored == after[table]
    assert len(whole[SUBJECTS]) > len(half[SUBJECTS])


@pytest.mark.parametrize("kind", [StoredTable, BulkTable])
def test_any_text_survives_being_kept(
    owner: psycopg.Connection[tuple[object, ...]],
    kind: type[StoredTable[str, SubjectRow]] | type[BulkTable[str, SubjectRow]],
) -> None:
    """It is JSON within JSON, or within an array or a line of CSV; each has its own escapes."""
    wild = 'a"b\\c\\"d\n\r\t\x00\x01\x1f\x7f\u2028\\u0000\\\\"'

    def rows(text: str) -> dict[str, SubjectRow]:
        state = PlayerState(credential=text, attempts=((1, text),), wagered_since={text: 2})
        keys = ("plain", 'quo"te', "back\\slash", "line\nbreak\x01", "null", '\\"')
        return {key: SubjectRow(key, state) for key in keys}

    create_tables_in(owner, FRAUD, "again")
    table = kind("again", SUBJECTS)
    before: dict[str, SubjectRow] = {}
    for after in (rows("x"), rows(wild), rows("\\" + wild)):
        table.save(owner, before, after)
        assert table.load(owner, list(after)) == after
        before = after
