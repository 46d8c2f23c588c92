"""Read models asked: queries give what a look at every row would give."""

import asyncio
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any, TypeVar
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import AsyncConnection

from domain import accounts
from domain.events import (
    DepositCreated,
    DisputeNoticeReceived,
    LedgerEvent,
    NoticeUnmatched,
    ProviderNoticeReceived,
)
from domain.events.evidence import Outcome
from ledger.eventstore.codec import decode
from ledger.eventstore.database import Role, conninfo
from ledger.eventstore.ledger import Ledger
from ledger.settings import Settings
from projections.balances import balances
from projections.engine import reading
from projections.engine.compare import fold_all
from projections.engine.projector import Projector
from projections.engine.read_model import Rows
from projections.engine.tables import install
from projections.history import history
from projections.history.fold import TRANSACTIONS, Transaction
from projections.history.history import HISTORY, Filters
from projections.journal import journal
from projections.journal.journal import ENTRIES, JOURNAL
from projections.lookup import lookup
from projections.outstanding import outstanding
from projections.outstanding.fold import OUTSTANDING
from projections.outstanding.outstanding import Kind, Work
from projections.queue import withdrawal_queue
from projections.queue.fold import CASES
from projections.queue.withdrawal_queue import WITHDRAWAL_QUEUE
from projections.registry import READ_MODELS
from tests.generators.event_sequences import START, World, recorded, world, write_log
from tests.scenarios import scenario
from tests.scenarios.scenario import NOW, PROVIDER_NAME, TRANSACTION, command, heard

T = TypeVar("T")
LATER = NOW + timedelta(days=1)


@cache
def the_world() -> World:
    return world(12, 3_000)


@dataclass
class Site:
    """A database whose read models have followed its log."""

    owner: str
    writer: str
    reader: str

    def ask(self, question: Callable[[AsyncConnection[Any]], Awaitable[T]]) -> T:
        async def answer() -> T:
            async with await AsyncConnection.connect(self.reader, autocommit=True) as connection:
                return await question(connection)

        return asyncio.run(answer())

    def write(self, events: Iterable[LedgerEvent]) -> int:
        write_log(self.owner, list(events))
        return self.follow()

    def follow(self) -> int:
        return Projector(conninfo=self.writer, models=READ_MODELS, decode=decode).catch_up()

    def take(self, limit: int = 10, lease_seconds: float = 60.0, now: Any = LATER) -> list[Work]:
        with psycopg.connect(self.writer) as connection:
            return outstanding.take(connection, now, limit, lease_seconds)


def made_at(settings: Settings) -> Site:
    roles = (Role.OWNER, Role.WRITER, Role.READER)
    site = Site(*(conninfo(settings, role) for role in roles))
    install(site.owner, READ_MODELS)
    return site


@pytest.fixture(scope="module")
def full(module_database: Settings) -> Site:
    """With a whole world in it; only read from."""
    site = made_at(module_database)
    site.write(the_world().events)
    return site


@pytest.fixture
def site(database: Settings) -> Site:
    return made_at(database)


@cache
def rows_of(name: str) -> Rows:
    (model,) = (model for model in READ_MODELS if model.name == name)
    return fold_all(model, recorded(the_world().events))


def all_transactions() -> list[Transaction]:
    """Newest first."""
    found = rows_of(HISTORY.name)[TRANSACTIONS].values()
    return sorted(found, key=lambda row: row.created_position, reverse=True)


def legs_have(row: Transaction, name: str) -> list[object]:
    return [getattr(leg, name) for leg in row.payout.legs] if row.payout else []


# --- history ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("filters", "matches"),
    [
        (Filters(), lambda row: True),
        (Filters(kinds=("withdrawal",)), lambda row: row.kind == "withdrawal"),
        (Filters(statuses=["failed", "paid"]), lambda row: row.status in ("failed", "paid")),
        (Filters(statuses=["nonsense"]), lambda row: False),
        (Filters(provider="psp-0"), lambda row: row.provider == "psp-0"),
        (
            Filters(currency="JPY"),
            lambda row: "JPY" in (row.currency, row.target_currency),
        ),
        (
            Filters(kinds=("dispute", "refund")),
            lambda row: row.kind in ("dispute", "refund"),
        ),
        (Filters(stage="chargeback"), lambda row: row.stage == "chargeback"),
        (Filters(reason="insufficient_funds"), lambda row: row.reason == "insufficient_funds"),
        (
            Filters(amount_minor_min=2_500, amount_minor_max=49_900),
            lambda row: 2_500 <= row.amount_minor <= 49_900,
        ),
        (
            Filters(created_from=START + timedelta(hours=5), created_to=START + timedelta(hours=9)),
            lambda row: timedelta(hours=5) <= row.created_at - START < timedelta(hours=9),
        ),
        (
            Filters(updated_from=START + timedelta(hours=20), updated_to=START + timedelta(days=1)),
            lambda row: timedelta(hours=20) <= row.updated_at - START < timedelta(days=1),
        ),
        (
            Filters(instrument="line\nbreak\ttab"),
            lambda row: "line\nbreak\ttab" in (row.instrument, *legs_have(row, "instrument")),
        ),
        (
            Filters(instrument="card-1"),
            lambda row: "card-1" in (row.instrument, *legs_have(row, "instrument")),
        ),
        (
            Filters(instrument=""),
            lambda row: "" in (row.instrument, *legs_have(row, "instrument")),
        ),
        (Filters(metadata={"key-0": "NULL"}), lambda row: row.metadata.get("key-0") == "NULL"),
        (
            Filters(metadata={"key-0": "plain", "key-1": ""}),
            lambda row: {"key-0": "plain", "key-1": ""}.items() <= row.metadata.items(),
        ),
        (
            Filters(
                kinds=("deposit",), statuses=["completed"], currency="EUR", amount_minor_min=101
            ),
            lambda row: (
                row.kind == "deposit"
                and row.status == "completed"
                and row.currency == "EUR"
                and row.amount_minor > 100
            ),
        ),
    ],
)
def test_pages_give_each_match_once_and_newest_first(
    full: Site, filters: Filters, matches: Callable[[Transaction], bool]
) -> None:
    async def every_page(connection: AsyncConnection[Any]) -> list[Transaction]:
        found, cursor = [], None
        while True:
            page = await history.page(connection, filters, cursor, limit=37)
            assert len(page.rows) <= 37
            found += page.rows
            if page.next_cursor is None:
                return found
            cursor = page.next_cursor

    expected = [row for row in all_transactions() if matches(row)]
    assert full.ask(every_page) == expected
    assert expected or filters.statuses == ["nonsense"]


def test_transactions_are_found_by_player_and_by_either_reference(full: Site) -> None:
    one = next(
        row
        for row in all_transactions()
        if row.kind == "deposit" and row.reference and row.provider_reference
    )
    for filters, matches in (
        (Filters(player_id=one.player_id), lambda row: row.player_id == one.player_id),
        (Filters(reference=one.reference), lambda row: row.id == one.id),
        (Filters(reference=f"{one.id.hex}-9"), lambda row: row.id == one.id),
        (
            Filters(reference=one.provider_reference),
            lambda row: (
                one.provider_reference
                in (row.provider_reference, *legs_have(row, "provider_reference"))
            ),
        ),
        (Filters(reference="no such reference"), lambda row: False),
    ):
        page = full.ask(lambda c, filters=filters: history.page(c, filters, limit=5_000))
        assert page.rows == [row for row in all_transactions() if matches(row)]
    assert full.ask(lambda c: history.get(c, one.id)) == one
    assert full.ask(lambda c: history.get(c, uuid4())) is None


def test_what_goes_back_to_another_transaction_is_found_by_it(full: Site) -> None:
    for kind in ("refund", "dispute", "adjustment"):
        one = next(row for row in all_transactions() if row.kind == kind and row.related_id)
        found = full.ask(
            lambda c, of=one: history.page(c, Filters(related_id=of.related_id), limit=500)
        )
        assert one in found.rows
        assert {row.related_id for row in found.rows} == {one.related_id}


def test_a_leg_is_found_by_what_only_it_has(site: Site) -> None:
    """By an instrument the player never asked for, and by a reference that is not the latest."""
    history_of = scenario.two_legs_sent()
    for attempt in (1, 2):
        said = replace(
            heard(Outcome.ACCEPTED, attempt=attempt), provider_reference=f"psp-of-{attempt}"
        )
        made = history_of.when(scenario.hear_of_withdrawal, said)
        history_of = scenario.Given((*history_of.history, *made.events))
    site.write(history_of.history)
    for filters in (Filters(instrument="card-1"), Filters(reference="psp-of-1")):
        (row,) = site.ask(lambda c, filters=filters: history.page(c, filters)).rows
        assert row.id == TRANSACTION
        assert (row.instrument, row.provider_reference) != ("card-1", "psp-of-1")
        assert row.payout is not None
        assert len(row.payout.legs) == 2


# --- lookup -------------------------------------------------------------------------------------


def look_up(site: Site, text: str) -> list[lookup.Hit]:
    names = list(the_world().providers)
    return site.ask(lambda c: lookup.find(c, text, providers=names))


def test_whatever_has_an_id_is_found_first_by_it(full: Site) -> None:
    for kind in ("deposit", "withdrawal", "refund", "conversion", "dispute", "adjustment"):
        one = next(row for row in all_transactions() if row.kind == kind)
        hit = look_up(full, f" {one.id} ")[0]
        assert (hit.kind, hit.id, hit.matched) == (kind, str(one.id), "id")
        assert one.status in hit.title
    player = next(iter(the_world().players))
    assert [(h.kind, h.id) for h in look_up(full, str(player))] == [("player", str(player))]
    one = next(row for row in all_transactions() if row.reference and row.kind == "withdrawal")
    assert [(h.id, h.matched) for h in look_up(full, one.reference or "")] == [
        (str(one.id), "reference")
    ]
    event = the_world().events[41]
    (hit,) = look_up(full, "42")
    assert (hit.kind, hit.id) == ("event", "42")
    assert type(event).__name__ in hit.title
    assert [(h.kind, h.matched) for h in look_up(full, "psp-0")][:1] == [("provider", "name")]


def test_notices_are_found_by_their_id_and_the_providers(full: Site) -> None:
    events = the_world().events
    for kind in (ProviderNoticeReceived, DisputeNoticeReceived):
        notice_ = next(event for event in events if isinstance(event, kind))
        for text, matched in ((notice_.message_id, "message_id"), (notice_.originator_id, "id")):
            (hit,) = look_up(full, str(text))
            assert (hit.kind, hit.id) == ("notice", str(notice_.originator_id))
            assert hit.matched == matched


def test_texts_that_several_share_find_the_newest_of_them(full: Site) -> None:
    rows = all_transactions()
    dispute = next(row for row in rows if row.kind == "dispute")
    (hit,) = look_up(full, dispute.provider_reference or "")
    assert (hit.id, hit.matched) == (str(dispute.id), "provider_reference")
    for text, matches in (
        ("card-1", lambda row: "card-1" in (row.instrument, *legs_have(row, "instrument"))),
        ("order-17", lambda row: "order-17" in row.metadata.values()),
    ):
        hits = look_up(full, text)
        assert len(hits) == lookup.HITS_MAX
        assert len({hit.id for hit in hits}) == lookup.HITS_MAX
        newest = next(row for row in rows if matches(row))
        assert str(newest.id) in {hit.id for hit in hits}


@pytest.mark.parametrize("text", ["", "  ", "nothing like it", "\0", "9" * 400, "x" * 501, "-1"])
def test_what_means_nothing_finds_nothing(full: Site, text: str) -> None:
    assert look_up(full, text) == []


def test_a_last_page_that_is_full_has_no_next(full: Site) -> None:
    count = len(all_transactions())
    page = full.ask(lambda c: history.page(c, Filters(), limit=count))
    assert len(page.rows) == count
    assert page.next_cursor is None


def test_the_summary_counts_every_transaction(full: Site) -> None:
    expected = Counter((row.kind, row.status, row.currency) for row in all_transactions())
    totals = full.ask(history.summary)
    assert {(t.kind, t.status, t.currency): t.transactions for t in totals} == expected
    amounts = sum(row.amount_minor for row in all_transactions())
    assert sum(t.amount_minor for t in totals) == amounts


# --- journal ------------------------------------------------------------------------------------


def entries_of(*names: str) -> list[journal.Entry]:
    found = [e for e in rows_of(JOURNAL.name)[ENTRIES].values() if e.account in names]
    return sorted(found, key=lambda entry: (entry.position, entry.line), reverse=True)


def busiest_player() -> UUID:
    owners = (
        accounts.player_of(entry.account) for entry in rows_of(JOURNAL.name)[ENTRIES].values()
    )
    ((player, _),) = Counter(owner for owner in owners if owner).most_common(1)
    return player


def test_entries_come_in_pages_of_an_account_and_of_all_a_players_accounts(full: Site) -> None:
    player = busiest_player()
    names = [f(player, code) for f in (accounts.available, accounts.reserved) for code in CODES]

    async def every_page(
        connection: AsyncConnection[Any], ask: Callable[..., Awaitable[journal.Page]], of: object
    ) -> list[journal.Entry]:
        found, cursor = [], None
        while True:
            page = await ask(connection, of, cursor, 3)
            found += page.rows
            if page.next_cursor is None:
                return found
            cursor = page.next_cursor

    assert full.ask(lambda c: every_page(c, journal.of_player, player)) == entries_of(*names)
    clearing = accounts.clearing("psp-0", "EUR")
    assert full.ask(lambda c: every_page(c, journal.of_account, clearing)) == entries_of(clearing)
    assert full.ask(lambda c: journal.of_account(c, "nobody:at:all")).rows == []


CODES = ("EUR", "JPY")


def test_a_balance_as_of_any_position_is_what_was_posted_until_then(full: Site) -> None:
    account = accounts.available(busiest_player(), "EUR")
    entries = entries_of(account)[::-1]
    assert len(entries) > 5
    for entry in entries:
        for position in (entry.position - 1, entry.position):
            expected = sum(e.amount_minor for e in entries if e.position <= position)
            found = full.ask(lambda c, at=position: journal.balances_as_of(c, [account], at))
            assert found == {account: expected}
    several = full.ask(lambda c: journal.balances_as_of(c, [account, "never:used:EUR"], 10**6))
    assert several == {account: entries[-1].balance_minor, "never:used:EUR": 0}


# --- withdrawals queue --------------------------------------------------------------------------


def test_the_queue_lists_what_waits_longest_first(full: Site) -> None:
    cases = [c for c in rows_of(WITHDRAWAL_QUEUE.name)[CASES].values() if c.waiting_since]
    expected = sorted(cases, key=lambda case: (case.waiting_since, case.id))
    found = full.ask(lambda c: withdrawal_queue.waiting(c, limit=5_000))
    assert found == expected
    assert expected
    half = len(expected) // 2
    seen = expected[half]
    cursor = withdrawal_queue.Cursor(waiting_since=seen.waiting_since or START, id=seen.id)
    rest = full.ask(lambda c: withdrawal_queue.waiting(c, cursor=cursor, limit=5_000))
    assert rest == expected[half + 1 :]
    one = expected[0]
    only = full.ask(
        lambda c: withdrawal_queue.waiting(c, statuses=[one.waiting_as or ""], kind=one.kind)
    )
    assert one in only
    assert {(case.kind, case.waiting_as) for case in only} == {(one.kind, one.waiting_as)}


# --- outstanding --------------------------------------------------------------------------------


def notice(number: int, *, reference: str = "", now: Any = NOW) -> ProviderNoticeReceived:
    said = heard(Outcome.PENDING)
    return ProviderNoticeReceived(
        **command("provider:acme", now=now).header(UUID(int=number), 1),
        provider=PROVIDER_NAME,
        message_id=str(number),
        reference=reference or said.reference,
        outcome=said.outcome,
        amount=None,
        fee=None,
        provider_reference=None,
        decline_code=None,
        raw_code=None,
        redirect_url=None,
        raw_digest="00" * 32,
        sent_at=now,
    )


def test_all_work_is_counted(full: Site) -> None:
    tasks = rows_of(OUTSTANDING.name)[outstanding.TASKS].values()
    with psycopg.connect(full.reader) as connection:
        assert outstanding.count(connection) == sum(1 for task in tasks if task.due_at)
    assert full.take(now=START - timedelta(days=1)) == []


def test_nothing_is_taken_before_it_is_due(site: Site) -> None:
    site.write(scenario.deposit_in("submitted").history)
    due_at = NOW + timedelta(seconds=10)
    assert site.take(now=due_at - timedelta(microseconds=1)) == []
    (work,) = site.take(now=due_at)
    assert (work.kind, work.transaction_id) == (Kind.POLL, TRANSACTION)
    assert (work.provider, work.due_at) == (PROVIDER_NAME, due_at)


def test_parallel_workers_never_get_the_same_work(site: Site) -> None:
    site.write(notice(number, reference="not ours") for number in range(1, 301))
    taken: list[Work] = []
    start = threading.Barrier(6)

    def work_until_nothing_is_left() -> None:
        start.wait()
        idle = 0
        with psycopg.connect(site.writer) as connection:
            while idle < 5:
                got = outstanding.take(connection, LATER, 7, 60.0)
                taken.extend(got)
                idle = 0 if got else idle + 1

    threads = [threading.Thread(target=work_until_nothing_is_left) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(work.notice_id.int for work in taken) == dict.fromkeys(range(1, 301), 1)


def test_a_lease_ends_by_itself_and_can_be_given_back(site: Site) -> None:
    site.write(scenario.deposit_created().history)
    (work,) = site.take(lease_seconds=1.0)
    assert site.take() == []
    with psycopg.connect(site.writer) as connection:
        connection.execute("SELECT pg_sleep(1.1)")
    (again,) = site.take()
    assert again == work
    with psycopg.connect(site.writer) as connection:
        outstanding.release(connection, again)
    assert site.take(lease_seconds=0.01) == [work]
    with psycopg.connect(site.writer) as connection:
        connection.execute("SELECT pg_sleep(0.05)")
        connection.commit()
        assert outstanding.sweep(connection) == 2  # of the task, and of the call that it is
        assert outstanding.sweep(connection) == 0


def test_an_attempt_is_not_asked_about_while_it_is_being_sent(site: Site) -> None:
    history_ = scenario.deposit_in("submitted").history
    site.write(history_[:1])
    (submit,) = site.take()
    assert submit.kind is Kind.SUBMIT
    site.write(history_[1:])
    assert site.take() == []
    with psycopg.connect(site.writer) as connection:
        outstanding.end_calls(connection, [replace(submit, leased_until=LATER)])
        assert site.take() == []  # that was another one's
        outstanding.end_calls(connection, [submit])
    (poll,) = site.take()
    assert poll.kind is Kind.POLL
    assert poll.lease != submit.lease


def test_calls_to_a_provider_are_taken_as_it_has_hands_free_for_them(site: Site) -> None:
    """Also where its tasks have been due for longer than anybody else's."""
    late, soon = NOW + timedelta(seconds=2), NOW + timedelta(seconds=1)
    site.write(
        [*(created(number, "slow", NOW) for number in range(1, 31))]
        + [*(created(number, "good", soon) for number in range(31, 36))]
        + [notice(number, reference="not ours", now=late) for number in range(41, 46)]
    )

    def shares(busy: Mapping[str, int], called: Sequence[Work] = ()) -> Counter[str]:
        with psycopg.connect(site.writer) as connection:
            got = outstanding.take(connection, LATER, 3, 60.0, busy=busy, called=called)
        taken.extend(got)
        return Counter(work.share for work in got)

    taken: list[Work] = []
    assert shares({}) == {"slow": 3, "good": 3, outstanding.OWN: 3}
    assert shares({"slow": 3}) == {"good": 2, outstanding.OWN: 2}
    assert shares({"slow": 2, "unheard of": 9}) == {"slow": 1}
    assert shares({"slow": 3}, taken) == {}
    assert len({work.work for work in taken}) == len(taken)


def created(number: int, provider: str, at: datetime) -> DepositCreated:
    header = command("operator:platform", now=at).header(UUID(int=number), 1)
    (made,) = scenario.deposit_created().history
    assert isinstance(made, DepositCreated)
    return replace(made, provider=provider, **header)


def test_notices_of_a_transaction_come_in_order_and_before_its_poll(site: Site) -> None:
    submitted = scenario.deposit_in("submitted")
    first, second = notice(1), notice(2)
    site.write([*submitted.history, first, second, notice(3, reference="not ours")])
    taken = site.take()
    assert [work.notice_id for work in taken] == [first.originator_id, UUID(int=3)]
    assert taken[0].transaction_id == TRANSACTION
    assert taken[1].transaction_id is None

    decided = submitted.when(
        scenario.hear_of_deposit, heard(Outcome.PENDING, notice_id=first.originator_id)
    )
    unmatched = NoticeUnmatched(**command().header(UUID(int=3), 2), reason="nothing we know")
    site.write([*decided.events, unmatched])
    assert [work.notice_id for work in site.take()] == [second.originator_id]

    state = scenario.Given(submitted.history + decided.events)
    decided = state.when(
        scenario.hear_of_deposit, heard(Outcome.PENDING, notice_id=second.originator_id)
    )
    site.write(decided.events)
    (poll,) = site.take()
    assert poll.kind is Kind.POLL


# --- balances and lag ---------------------------------------------------------------------------


def test_balances_are_those_of_the_last_append(site: Site) -> None:
    made = world(3, 250)
    ledger = Ledger(site.writer)
    for append in made.appends:
        ledger.append(append)
    ledger.close()
    players = {player for name in made.balances if (player := accounts.player_of(name))}
    of_player = [one for p in players for one in site.ask(lambda c, p=p: balances.of_player(c, p))]
    assert of_player
    for one in of_player:
        assert one.balance_minor == made.balances[one.account]
        assert one.currency in CODES
    one = of_player[0]
    assert site.ask(lambda c: balances.of_account(c, one.account)) == one
    assert site.ask(lambda c: balances.of_account(c, "nobody")) is None

    head = sum(len(append) for append in made.appends)
    assert site.follow() == head
    assert {lag.lag_events for lag in site.ask(reading.lag)} == {0}
    site.ask(lambda c: reading.Waiting(lambda: nullcontext(c)).reached(HISTORY, head, 1.0))
    with pytest.raises(reading.ReadModelBehind):
        site.ask(lambda c: reading.Waiting(lambda: nullcontext(c)).reached(HISTORY, head + 1, 0.02))
    names = "SELECT account FROM ledger_accounts WHERE account ~ '^(player|provider|house):'"
    with psycopg.connect(site.reader) as connection:
        stored = [name for (name,) in connection.execute(names)]
    assert site.ask(lambda c: journal.balances_as_of(c, stored, head)) == {
        name: made.balances[name] for name in stored
    }
