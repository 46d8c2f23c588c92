"""The past as read models see it: their tables give what the fold gives that stops there."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache, partial
from typing import Any, TypeVar
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg import AsyncConnection

from api.http import log_reading
from domain.counters import counts, instrument_counter
from ledger.eventstore.codec import decode
from ledger.eventstore.database import Role, conninfo
from ledger.settings import Settings
from projections.engine.compare import fold_all
from projections.engine.projector import Projector
from projections.engine.read_model import ReadModel, Rows
from projections.engine.tables import install
from projections.history import history
from projections.history.fold import TRANSACTIONS, Transaction
from projections.history.history import HISTORY, Filters
from projections.journal.journal import ACCOUNTS, JOURNAL
from projections.past import balances as past_balances
from projections.past import history as past
from projections.past import queue as past_queue
from projections.past.history import PastTransactions, matches
from projections.past.queue import waiting_then
from projections.queue.fold import CASES, Case
from projections.queue.withdrawal_queue import WITHDRAWAL_QUEUE, waiting
from projections.registry import READ_MODELS
from tests.generators.event_sequences import START, World, recorded, world, write_log

T = TypeVar("T")
Question = Callable[[AsyncConnection[Any]], Awaitable[T]]


def tried(examples: int) -> settings:
    """With so many examples, and a hundred times as many in a long run."""
    return settings(max_examples=examples * settings.default.max_examples // 100)


@cache
def the_world() -> World:
    return world(4, 1_500)


@cache
def folded(model: ReadModel, upto: int) -> Rows:
    return fold_all(model, recorded(the_world().events[:upto]))


def transactions(upto: int) -> list[Transaction]:
    """As they were, newest first."""
    rows = folded(HISTORY, upto)[TRANSACTIONS].values()
    return sorted(rows, key=lambda row: -row.created_position)


@dataclass(frozen=True, slots=True)
class Site:
    """A database whose read models have followed the whole log."""

    loop: asyncio.AbstractEventLoop
    connection: AsyncConnection[Any]

    def ask(self, question: Callable[[AsyncConnection[Any]], Awaitable[T]]) -> T:
        async def asked() -> T:
            return await question(self.connection)

        return self.loop.run_until_complete(asked())


@pytest.fixture(scope="module")
def site(module_database: Settings) -> Iterator[Site]:
    owner = conninfo(module_database, Role.OWNER)
    install(owner, READ_MODELS)
    write_log(owner, the_world().events)
    writer = conninfo(module_database, Role.WRITER)
    reached = Projector(conninfo=writer, models=READ_MODELS, decode=decode).catch_up()
    assert reached == len(the_world().events)
    loop = asyncio.new_event_loop()
    reader = conninfo(module_database, Role.READER)
    connection = loop.run_until_complete(AsyncConnection.connect(reader, autocommit=True))
    yield Site(loop, connection)
    loop.run_until_complete(connection.close())
    loop.close()


# --- what is looked for -------------------------------------------------------------------------


@cache
def known() -> dict[str, list[Any]]:
    """Values of each filter that some transaction had at some time, and others beside them."""
    end = len(the_world().events)
    rows = [row for upto in (end // 3, 2 * end // 3, end) for row in transactions(upto)]
    legs = [leg for row in rows for leg in (row.payout.legs if row.payout else ())]

    def of(*names: str) -> list[Any]:
        found = {getattr(row, name) for row in rows for name in names} - {None}
        return sorted(found, key=str)

    def of_legs(name: str) -> list[Any]:
        return sorted({getattr(leg, name) for leg in legs} - {None})

    owned = {row.provider_reference for row in transactions(end)}
    others = [named for named in of_legs("provider_reference") if named not in owned]
    pairs = sorted({pair for row in rows for pair in row.metadata.items()})
    amounts = [0, *(minor + step for minor in of("amount_minor") for step in (0, 1))]
    created, updated = of("created_at"), of("updated_at")
    return {
        "kinds": [[kind, "nonsense"] for kind in of("kind")],
        "statuses": [[status, "nonsense"] for status in of("status")],
        "player_id": [*of("player_id")[:4], uuid4()],
        "provider": [*of("provider"), ""],
        "currency": of("currency", "target_currency"),
        "amount_minor_min": amounts,
        "amount_minor_max": amounts,
        "created_from": created[::9],
        "created_to": created[::9],
        "updated_from": updated[::19],
        "updated_to": updated[::19],
        "related_id": of("related_id")[:6],
        "reason": of("reason"),
        "stage": of("stage"),
        "instrument": [*of("instrument"), *of_legs("instrument")],
        "reference": [
            *of("reference")[::20],
            *of("provider_reference")[::4],
            *others,
            "nonsense",
        ],
        "metadata": [{}, *(dict([pair]) for pair in pairs[::3]), dict(pairs[:2])],
    }


def some_filters() -> st.SearchStrategy[Filters]:
    """A few at once, so that something is found."""
    names = st.lists(st.sampled_from(sorted(known())), unique=True, max_size=3)
    values = names.flatmap(
        lambda chosen: st.fixed_dictionaries({n: st.sampled_from(known()[n]) for n in chosen})
    )
    return values.map(lambda given: Filters(**given))


FILTERS = st.deferred(some_filters)
POSITION = st.deferred(lambda: st.integers(min_value=0, max_value=len(the_world().events)))


def test_each_filter_alone_matches_where_the_database_says_so(site: Site) -> None:
    every = transactions(len(the_world().events))
    for name, values in known().items():
        for value in values:
            wanted = Filters(**{name: value})
            expected = [row for row in every if matches(wanted, row)]
            found = site.ask(lambda c, wanted=wanted: history.page(c, wanted, limit=10_000))
            assert found.rows == expected, wanted


@tried(40)
@given(wanted=FILTERS)
def test_a_row_matches_where_the_database_says_so(site: Site, wanted: Filters) -> None:
    end = len(the_world().events)
    expected = [row for row in transactions(end) if matches(wanted, row)]
    found = site.ask(lambda c: history.page(c, wanted, limit=10_000))
    assert found.rows == expected


@tried(25)
@given(wanted=FILTERS, upto=POSITION, limit=st.integers(min_value=1, max_value=40))
def test_pages_of_the_past_are_those_of_the_fold_that_stops_there(
    site: Site, wanted: Filters, upto: int, limit: int
) -> None:
    expected = [row for row in transactions(upto) if matches(wanted, row)]
    assert walked(site, wanted, upto, limit) == expected


@tried(25)
@given(wanted=FILTERS, limit=st.integers(min_value=1, max_value=40))
def test_at_the_end_of_the_log_the_past_is_the_present(
    site: Site, wanted: Filters, limit: int
) -> None:
    end = len(the_world().events)
    present = site.ask(lambda c: history.page(c, wanted, limit=limit))
    past_page = site.ask(lambda c: at(c, end).page(wanted, None, limit))
    assert past_page == present


def test_a_page_looks_at_no_more_than_it_may(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(past, "LOOKED_AT_MAX", 20)
    monkeypatch.setattr(past, "_LOOKED_AT_ONCE", 10)
    upto = len(the_world().events) * 2 // 3
    some = Filters(kinds=["deposit"], statuses=["completed"])
    expected = [row for row in transactions(upto) if matches(some, row)]
    read: list[int] = []

    async def first_page(connection: AsyncConnection[Any]) -> history.Page:
        async def counting(streams: Any, position: int) -> Any:
            read.append(len(streams))
            return await log_reading.recorded(connection, streams, position)

        return await PastTransactions(connection, counting, upto).page(some, None, 500)

    page = site.ask(first_page)
    assert sum(read) <= 20
    assert page.next_cursor is not None
    assert len(page.rows) < len(expected)
    assert walked(site, some, upto, 500) == expected


@tried(20)
@given(upto=POSITION, data=st.data())
def test_one_transaction_of_the_past_is_found(site: Site, upto: int, data: st.DataObject) -> None:
    every = transactions(len(the_world().events))
    row = data.draw(st.sampled_from(every))
    expected = folded(HISTORY, upto)[TRANSACTIONS].get(row.id)
    assert site.ask(lambda c: at(c, upto).get(row.id)) == expected
    if row.metadata:
        value = min(row.metadata.values())
        found = site.ask(lambda c: at(c, upto).with_metadata_value(value, 7))
        assert list(found) == [r for r in transactions(upto) if value in r.metadata.values()][:7]


@pytest.mark.parametrize("name", ["reference", "instrument"])
@pytest.mark.parametrize("part", [3, 5, 8])
def test_what_was_called_so_then_is_found(site: Site, name: str, part: int) -> None:
    upto = len(the_world().events) * part // 9
    for value in known()[name]:
        wanted = Filters(**{name: value})
        expected = [row for row in transactions(upto) if matches(wanted, row)][:3]
        found = site.ask(lambda c, wanted=wanted: at(c, upto).matching(wanted, 3))
        assert list(found) == expected


def at(connection: AsyncConnection[Any], upto: int) -> PastTransactions:
    return PastTransactions(connection, partial(log_reading.recorded, connection), upto)


def walked(site: Site, wanted: Filters, upto: int, limit: int) -> list[Transaction]:
    """Every page, one after the other."""

    async def walk(connection: AsyncConnection[Any]) -> list[Transaction]:
        found: list[Transaction] = []
        cursor = None
        while True:
            page = await at(connection, upto).page(wanted, cursor, limit)
            assert len(page.rows) <= limit
            found += page.rows
            cursor = page.next_cursor
            if cursor is None:
                return found

    return site.ask(walk)


# --- the queue, balances and counters -----------------------------------------------------------


@tried(40)
@given(
    upto=POSITION,
    limit=st.integers(min_value=1, max_value=20),
    kind=st.sampled_from([None, None, "withdrawal", "deposit", "dispute"]),
    statuses=st.sampled_from([(), ("review",), ("under_review", "held")]),
)
def test_the_queue_of_the_past_is_that_of_the_fold_that_stops_there(
    site: Site, upto: int, limit: int, kind: str | None, statuses: Sequence[str]
) -> None:
    waited = folded(WITHDRAWAL_QUEUE, upto)[CASES].values()
    expected = [
        case
        for case in waited
        if case.waiting_as is not None
        and kind in (None, case.kind)
        and (not statuses or case.waiting_as in statuses)
    ]
    assert queued(site, upto, limit, kind, statuses) == sorted(expected, key=longest)
    if upto == len(the_world().events):
        now = site.ask(lambda c: waiting(c, statuses=statuses, kind=kind, limit=10_000))
        assert now == sorted(expected, key=longest)


def test_a_long_queue_of_the_past_comes_window_by_window(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    upto = max(range(0, len(the_world().events), 100), key=lambda at: len(queued(site, at, 500)))
    whole = queued(site, upto, 500)
    assert len(whole) > 4
    for window in (1, 2, 7):
        monkeypatch.setattr(past_queue, "WINDOW", window)
        by_window = queued(site, upto, 2)
        assert sorted(by_window, key=longest) == whole


def longest(case: Case) -> tuple[Any, UUID]:
    return case.waiting_since, case.id


def queued(
    site: Site, upto: int, limit: int, kind: str | None = None, statuses: Sequence[str] = ()
) -> list[Case]:
    """Every page, one after the other."""

    async def walk(connection: AsyncConnection[Any]) -> list[Case]:
        read = partial(log_reading.recorded, connection)
        found: list[Case] = []
        cursor = None
        while True:
            page = await waiting_then(
                connection, read, upto, statuses=statuses, kind=kind, cursor=cursor, limit=limit
            )
            assert len(page.cases) <= limit
            found += page.cases
            cursor = page.next_cursor
            if cursor is None:
                return found

    return site.ask(walk)


@tried(20)
@given(upto=POSITION)
def test_balances_of_the_past_are_those_of_the_fold_that_stops_there(site: Site, upto: int) -> None:
    every = folded(JOURNAL, len(the_world().events))[ACCOUNTS]
    expected = folded(JOURNAL, upto)[ACCOUNTS].values()
    found = site.ask(lambda c: past_balances.of_accounts(c, [*every, "never:used:EUR"], upto))
    assert {(b.account, b.balance_minor, b.position) for b in found} == {
        (a.account, a.balance_minor, a.position) for a in expected
    }


@tried(25)
@given(upto=POSITION, data=st.data())
def test_counters_of_the_past_are_what_was_counted_until_then(
    site: Site, upto: int, data: st.DataObject, monkeypatch_module: None
) -> None:
    events = the_world().events
    counted = [count for event in events[:upto] for count in counts(event)]
    names = {c.counter for event in events for c in counts(event)}
    prefix = instrument_counter(uuid4(), "", "").partition(":")[0]
    instruments = sorted(name for name in names if name.startswith((prefix, "limit")))
    name = data.draw(st.sampled_from(instruments))
    player = UUID(name.split(":")[1])
    expected = sum(c.change for c in counted if c.counter == name)
    begun = START - timedelta(days=1)
    found = site.ask(lambda c: log_reading.counted(c, player, [name, "never"], upto, begun))
    assert found == {name: expected, "never": 0}


@pytest.fixture(scope="module")
def monkeypatch_module() -> Iterator[None]:
    """Pages of a few events, so that there are several."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log_reading, "_COUNTED_AT_ONCE", 3)
        query = log_reading._READ_COUNTING.replace("LIMIT 2000", "LIMIT 3")
        patch.setattr(log_reading, "_READ_COUNTING", query)
        yield
