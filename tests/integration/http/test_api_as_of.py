"""The past through the API: every query answers about it exactly as it answered then."""

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx2
import psycopg
import pytest

from domain.accounts import available
from domain.approval.policy import DEFAULT_TERMS
from domain.counters import Window
from domain.deposit.state import Deposit
from domain.dispute.decisions import Dispute
from domain.events import ApprovalTier, Rate
from domain.money import Money
from domain.provider.attempt import reference
from ledger.access.api_keys import StaffRole, create_key
from ledger.commands.deposit import CreateDeposit
from ledger.eventstore import database
from ledger.eventstore.codec import decode
from ledger.eventstore.database import Role
from ledger.settings import Settings
from projections.engine.projector import Projector
from projections.registry import READ_MODELS
from tallystick.serve import bootstrap
from tests.generators.mixed_core import PROVIDER
from tests.generators.mixed_day import MixedDay
from tests.integration.fraud.asked_about_fraud import ABOUT_FRAUD, FraudDay, Params, Question
from tests.oracles.ledger_checks import ledger_on
from tests.property.backroom import Clock, by
from tests.servers.api_server import services_over, serving

SEED = 6  # a day with disputes, returns, reviews and approvals
COMMANDS = 100
STOPS = (1, 2, 9, 40, 260, 480)
"""Positions at which every query is asked, or as soon after them as the day allows."""

ALWAYS_NOW = (
    *("/livez", "/readyz", "/metrics"),
    *("/v1/checkpoints", "/v1/proofs", "/v1/exports", "/v1/backtests"),
)
"""Queries that are not about the books: the service, the proofs of the log, files made of it."""

Answer = tuple[int, object, str | None]


@dataclass(frozen=True, slots=True)
class Stop:
    """What everything was answered with at a position."""

    position: int
    recorded_at: datetime
    answers: list[tuple[Question, Answer]]


class RecordedDay(FraudDay):
    """A mixed day on which every query is asked again and again."""

    def __init__(self, *args: Any, record: Callable[["RecordedDay"], Stop]) -> None:
        super().__init__(*args)
        self.record, self.stops = record, [Stop(0, datetime.min.replace(tzinfo=UTC), [])]

    def do(self, action: Callable[[], object]) -> object:
        done = super().do(action)
        due = STOPS[: len(self.stops)][-1] if len(self.stops) <= len(STOPS) else None
        if due is not None and self.log.position >= max(due, self.stops[-1].position + 1):
            self.stops.append(self.record(self))
        return done

    def open(self, commands: int) -> None:
        super().open(commands)
        supervised = ApprovalTier(limit_major=None, required=(("fraud",), ("finance",)))
        tiers = (ApprovalTier(limit_major=50, required=()), supervised)
        terms = replace(DEFAULT_TERMS, tiers=tiers)
        for seconds, person in ((1, "ben"), (2, "cleo")):
            self.soon(
                lambda person=person: self.handlers.policies.propose(terms, "n", self.by(person)),
                seconds,
            )
        for window, limit_minor in ((Window.DAY, 900_000), (Window.MONTH, 2_000_000)):
            self.soon(lambda limits=(window, limit_minor): self.limit(*limits))
            self.soon(lambda limits=(window, 2 * limit_minor): self.limit(*limits), 6)
        for seconds, paused in ((11, True), (12, False)):
            self.soon(
                lambda paused=paused: self.handlers.providers.pause(
                    PROVIDER, paused=paused, reason="r", caller=self.by("ann")
                ),
                seconds,
            )
        self.soon(self.other_rates, 10)
        self.soon(self.agree_to_rates, 12)
        for seconds, person in ((2, "ann"), (4, "dora")):
            self.soon(
                lambda person=person: self.handlers.rates.trust("ecb", "r", by(person, "trust")),
                seconds,
            )
        self.soon(lambda: self.handlers.rates.revoke("ecb", "r", by("ann", "revoke")), 14)
        for seconds in (1, 3, 8):
            self.soon(self.deposit_with_an_order, seconds)

    def limit(self, window: Window, limit_minor: int) -> object:
        return self.handlers.players.set_limit(
            self.players[0],
            window=window,
            currency="EUR",
            limit_minor=limit_minor,
            caller=self.by("ann"),
        )

    def other_rates(self) -> object:
        rates = [Rate(currency="JPY", numerator=170, denominator=1)]
        return self.handlers.rates.propose(
            source="tests",
            base="EUR",
            as_of="2026-03-28",
            rates=rates,
            note="fewer",
            caller=self.by("ann"),
        )

    def agree_to_rates(self) -> object:
        (proposal_id,) = self.handlers.rates.get().proposals
        return self.handlers.rates.approve(proposal_id, "fewer", by("dora", "rates"))

    def deposit_with_an_order(self) -> object:
        request = CreateDeposit(
            player_id=self.players[0],
            provider=PROVIDER,
            method="card",
            amount=Money(700, "EUR"),
            instrument="card-9",
            metadata={"order": "A-17"},
        )
        return self.handlers.deposits.create(request, self.by("pat"))


# --- what is asked ------------------------------------------------------------------------------


def of_transactions(day: MixedDay, chance: random.Random) -> Iterator[Question]:
    path, states = "/v1/transactions", list(day.log.states.values())
    yield Question(path)
    yield Question(path, params={"limit": 3})
    yield Question(path, params={"kind": ["withdrawal", "dispute"], "limit": 500})
    yield Question(path, params={"metadata": "order:A-17", "instrument": "card-9"})
    yield Question(path, params={"currency": "JPY", "amount_min": 2_000, "provider": PROVIDER})
    yield Question(path, params={"player_id": str(chance.choice(day.players or [uuid4()]))})
    now = day.clock()
    lately = (now - timedelta(seconds=4)).isoformat()
    yield Question(path, params={"updated_from": lately, "created_to": lately})
    for state in chance.sample(states, min(3, len(states))):
        yield Question(path, params={"status": str(state.status), "limit": 100})
        yield Question(path, params={"related_id": str(state.id)})
        yield Question(path, params={"reference": reference(state.id, 1)})
        told = {"reason": state.reason, "instrument": state.instrument}
        told |= {"reference": state.provider_reference}
        for name, value in told.items():
            if value is not None:
                yield Question(path, params={name: str(value)})


def of_a_transaction(path: str, name: str, kind: type) -> Callable[..., Iterator[Question]]:
    def asked(day: MixedDay, chance: random.Random) -> Iterator[Question]:
        states = [state.id for state in day.log.states.values() if isinstance(state, kind)]
        for known in [*chance.sample(states, min(3, len(states))), *states[-2:]]:
            yield Question(path, {name: known})
        yield Question(path, {name: uuid4()})

    return asked


def of_a_player(path: str) -> Callable[..., Iterator[Question]]:
    def asked(day: MixedDay, chance: random.Random) -> Iterator[Question]:
        some = chance.sample(day.players, min(2, len(day.players)))
        for player in {*day.players[:1], *some}:
            yield Question(path, {"player_id": player})
        yield Question(path, {"player_id": uuid4()})

    return asked


def of_accounts(day: MixedDay, chance: random.Random) -> Iterator[Question]:
    names = [f"provider:{PROVIDER}:clearing:EUR", "house:adjustments:EUR", "house:suspense:JPY"]
    players = chance.sample(day.players, min(4, len(day.players)))
    for name in [*names, *(available(player, "EUR") for player in players)]:
        yield Question("/v1/accounts/{name}", {"name": name})


def of_the_queue(day: MixedDay, chance: random.Random) -> Iterator[Question]:
    path = "/v1/queue"
    yield Question(path)
    yield Question(path, params={"limit": 1})
    yield Question(path, params={"kind": chance.choice(["dispute", "adjustment", "refund"])})
    yield Question(path, params={"status": ["under_review", "review", "held"]})


def of_anything(day: MixedDay, chance: random.Random) -> Iterator[Question]:
    states = list(day.log.states.values())
    texts: list[object] = ["card-9", "A-17", PROVIDER, "3", f"provider:{PROVIDER}:clearing:EUR"]
    texts += chance.sample(day.players, min(1, len(day.players)))
    for state in chance.sample(states, min(2, len(states))):
        texts += [state.id, reference(state.id, 1), state.provider_reference]
    texts += chance.sample(list(day.notices), min(1, len(day.notices)))
    for text in filter(None, texts):
        yield Question("/v1/lookup", params={"q": str(text)})


def of_events(day: MixedDay, chance: random.Random) -> Iterator[Question]:
    path, states = "/v1/events", list(day.log.states)
    yield Question(path)
    yield Question(path, params={"after": max(0, day.log.position - 5), "limit": 3})
    yield Question(path, params={"after": day.log.position})
    yield Question(path, params={"topic": ["DepositCompleted", "ReviewOpened"], "limit": 500})
    for player in chance.sample(day.players, min(2, len(day.players))):
        yield Question(path, params={"player_id": str(player), "limit": 200})
    for stream in chance.sample(states, min(2, len(states))):
        yield Question(path, params={"transaction_id": str(stream)})


def once(path: str) -> Callable[..., Iterator[Question]]:
    return lambda day, chance: iter([Question(path)])


ASKED: Mapping[str, Callable[[MixedDay, random.Random], Iterator[Question]]] = {
    "/v1/transactions": of_transactions,
    "/v1/transactions/{transaction_id}": of_a_transaction(
        "/v1/transactions/{transaction_id}", "transaction_id", object
    ),
    "/v1/transactions/{transaction_id}/events": of_a_transaction(
        "/v1/transactions/{transaction_id}/events", "transaction_id", object
    ),
    "/v1/disputes": lambda day, chance: iter(
        [
            Question("/v1/disputes"),
            Question("/v1/disputes", params={"status": "evidence_due", "limit": 2}),
            Question("/v1/disputes", params={"stage": "chargeback", "provider": PROVIDER}),
        ]
    ),
    "/v1/disputes/{dispute_id}": of_a_transaction(
        "/v1/disputes/{dispute_id}", "dispute_id", Dispute
    ),
    "/v1/players/{player_id}": of_a_player("/v1/players/{player_id}"),
    "/v1/players/{player_id}/limits": of_a_player("/v1/players/{player_id}/limits"),
    "/v1/players/{player_id}/balances": of_a_player("/v1/players/{player_id}/balances"),
    "/v1/players/{player_id}/journal": of_a_player("/v1/players/{player_id}/journal"),
    "/v1/players/{player_id}/instruments": of_a_player("/v1/players/{player_id}/instruments"),
    "/v1/accounts/{name}": of_accounts,
    "/v1/queue": of_the_queue,
    "/v1/withdrawal-queue": once("/v1/withdrawal-queue"),
    "/v1/lookup": of_anything,
    "/v1/events": of_events,
    "/v1/providers": once("/v1/providers"),
    "/v1/approval-policy": once("/v1/approval-policy"),
    "/v1/rates": once("/v1/rates"),
    "/v1/rates/proposals": once("/v1/rates/proposals"),
    "/v1/rates/sources": once("/v1/rates/sources"),
    **ABOUT_FRAUD,
}
"""By path: what is asked at a position. A new query of the API has to be added."""


# --- the day ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Told:
    """A day that is over, with what was answered while it went on."""

    day: RecordedDay
    client: httpx2.Client
    settings: Settings

    def get(self, url: str, **params: object) -> httpx2.Response:
        return self.client.get(url, params=params)


@contextmanager
def asking(settings: Settings, clock: Clock) -> Iterator[httpx2.Client]:
    """The API by this clock, asked with a key."""
    key = create_key(database.conninfo(settings, Role.OWNER), "cleo", StaffRole.COMPLIANCE)
    with services_over(settings) as services:
        ledger: Any = services.handling.ledger
        handling = bootstrap.build_handling(ledger, clock)
        here = replace(services, handling=handling, adapters={PROVIDER: object()})  # type: ignore[dict-item]
        headers = {"authorization": f"Bearer {key}"}
        with (
            serving(here) as url,
            httpx2.Client(base_url=url, timeout=20.0, headers=headers) as client,
        ):
            yield client


@pytest.fixture(scope="module")
def told(module_database: Settings) -> Iterator[Told]:
    bootstrap.migrate(module_database)
    following = Projector(
        conninfo=database.conninfo(module_database, Role.WRITER), models=READ_MODELS, decode=decode
    )
    shown = Clock()
    playing: list[Clock] = []  # the day has it, and is made with the ledger that records by it

    def now() -> datetime:
        return playing[0]()

    with (
        asking(module_database, shown) as client,
        psycopg.connect(database.conninfo(module_database, Role.READER), autocommit=True) as reader,
        ledger_on(module_database, clock=now) as ledger,
    ):

        def record(day: RecordedDay) -> Stop:
            assert following.catch_up() == day.log.position
            recorded_at = recorded(reader, day.log.position)
            shown.time = recorded_at
            chance = random.Random(day.log.position)
            asked = [q for questions in ASKED.values() for q in questions(day, chance)]
            answers = [(q, answer(client.get(q.url, params=q.params))) for q in asked]
            return Stop(day.log.position, recorded_at, answers)

        day = RecordedDay(ledger, reader, SEED, record=record)
        playing.append(day.clock)
        day.play(COMMANDS)
        following.catch_up()
        shown.time = day.clock() + timedelta(days=40)
        yield Told(day, client, module_database)


def recorded(reader: psycopg.Connection[Any], position: int) -> datetime:
    query = "SELECT recorded_at FROM ledger_events WHERE notification_id = %s"
    row = reader.execute(query, [position]).fetchone()
    assert row is not None
    return row[0].astimezone(UTC)  # type: ignore[no-any-return]


def answer(response: httpx2.Response) -> Answer:
    """Of a problem the code alone: what is not there yet is said in other words."""
    if response.status_code == 200:
        return 200, response.content, response.headers.get("etag")
    return response.status_code, response.json()["code"], None


def differences(told: Told, stop: Stop, as_of: object, every: int = 1) -> list[object]:
    found: list[object] = []
    for question, before in stop.answers[::every]:
        response = told.client.get(question.url, params={**question.params, "as_of": as_of})
        if answer(response) != before:
            found.append((question, before, answer(response)))
        elif response.status_code == 200:
            assert response.headers["tallystick-as-of"] == str(stop.position)
            instant = datetime.fromisoformat(response.headers["tallystick-as-of-instant"])
            assert instant == stop.recorded_at
    return found


def test_the_day_was_worth_recording(told: Told) -> None:
    stops = told.day.stops[1:]
    assert len(stops) == len(STOPS)
    kinds = {type(state).__name__ for state in told.day.log.states.values()}
    assert len(kinds) == 6
    assert told.day.log.position > stops[-1].position + 50
    good = {q.path for stop in stops for q, (status, _, _) in stop.answers if status == 200}
    assert good == set(ASKED)


def test_every_query_takes_as_of_and_is_tried_here(told: Told) -> None:
    document = told.client.get("/openapi.json").json()
    queries = {
        path: methods["get"]
        for path, methods in document["paths"].items()
        if "get" in methods and not path.startswith(ALWAYS_NOW) and not is_proof(path)
    }
    assert queries.keys() == ASKED.keys()
    for path, operation in queries.items():
        names = {parameter["name"] for parameter in operation["parameters"]}
        assert "as_of" in names, path
        assert "Tallystick-As-Of" in operation["responses"]["200"]["headers"], path
        refusals = operation["responses"]["422"]["content"]["application/problem+json"]["examples"]
        assert {"as_of_invalid", "as_of_in_future"} <= refusals.keys(), path


def is_proof(path: str) -> bool:
    return path.endswith(("/proof", "/receipt", "/proofs"))


@pytest.mark.parametrize("number", range(1, len(STOPS) + 1))
def test_a_position_is_answered_about_as_it_was(told: Told, number: int) -> None:
    stop = told.day.stops[number]
    assert differences(told, stop, stop.position) == []


def test_an_instant_is_answered_about_as_it_was(told: Told) -> None:
    asked = 0
    with psycopg.connect(database.conninfo(told.settings, Role.READER)) as reader:
        for stop in told.day.stops[1:]:
            if recorded(reader, stop.position + 1) > stop.recorded_at:
                assert differences(told, stop, stop.recorded_at.isoformat(), every=5) == []
                asked += 1
    assert asked >= 2


def test_a_checkpoint_is_answered_about_as_it_was(told: Told) -> None:
    first, last = told.day.stops[4], told.day.stops[5]
    roots = [signed(told.settings, stop.position) for stop in (first, last)]
    assert differences(told, first, f"checkpoint:{first.position}", 5) == []
    assert differences(told, first, roots[0].hex(), 7) == []
    assert differences(told, last, "checkpoint:latest", 7) == []


def signed(settings: Settings, size: int) -> bytes:
    """A checkpoint as the table has it."""
    with psycopg.connect(database.conninfo(settings, Role.WRITER)) as writer:
        found = writer.execute("SELECT root FROM ledger_roots WHERE size = %s", [size]).fetchone()
        assert found is not None
        writer.execute(
            "INSERT INTO ledger_checkpoints (size, key, root, note, signed_at)"
            " VALUES (%s, 'tests', %s, '', now()) ON CONFLICT DO NOTHING",
            [size, found[0]],
        )
    return bytes(found[0])


# --- pages --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("/v1/transactions", {"limit": 7}),
        ("/v1/transactions", {"limit": 2, "status": "completed"}),
        ("/v1/queue", {"limit": 1}),
        ("/v1/events", {"limit": 50}),
    ],
)
def test_walking_the_pages_of_the_past_gives_everything_once(
    told: Told, path: str, params: Params
) -> None:
    stop = told.day.stops[-2]
    whole = told.get(path, **{**params, "limit": 500}, as_of=stop.position).json()["items"]
    walked: list[object] = []
    response = told.get(path, **params, as_of=stop.position)
    while True:
        walked += response.json()["items"]
        if "next" not in response.links:
            break
        assert f"as_of={stop.position}" in response.links["next"]["url"]
        response = told.client.get(response.links["next"]["url"])
    assert len(whole) > 2
    assert walked == whole


def test_the_next_page_stays_where_the_first_one_was(told: Told) -> None:
    """`checkpoint:latest` may be another one by then."""
    if told.get("/v1/queue", as_of="checkpoint:latest").status_code == 422:
        signed(told.settings, told.day.stops[5].position)
    first = told.get("/v1/transactions", as_of="checkpoint:latest", limit=1)
    position = first.headers["tallystick-as-of"]
    assert f"as_of={position}" in first.links["next"]["url"]


def test_a_page_that_looked_at_enough_says_so_and_goes_on(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("projections.past.history.LOOKED_AT_MAX", 20)
    monkeypatch.setattr("projections.past.history._LOOKED_AT_ONCE", 10)
    monkeypatch.setattr("api.payments.transactions.LOOKED_AT_MAX", 20)
    monkeypatch.setattr("projections.past.queue.WINDOW", 9)
    position = told.day.stops[-2].position
    rare = {"kind": "withdrawal", "status": "under_review"}
    for path, params in {"/v1/transactions": rare, "/v1/queue": {"limit": 2}}.items():
        walked: list[Any] = []
        empty = 0
        response = told.get(path, **params, as_of=position)
        while True:
            page = response.json()["items"]
            walked += page
            if "next" not in response.links:
                break
            if not page:
                empty += 1
                assert "go on with the next" in response.headers["tallystick-empty-because"]
            response = told.client.get(response.links["next"]["url"])
        monkeypatch.setattr("projections.past.history.LOOKED_AT_MAX", 2_000)
        monkeypatch.setattr("projections.past.queue.WINDOW", 5_000)
        whole = told.get(path, **{**params, "limit": 500}, as_of=position).json()["items"]
        assert sorted(map(str, walked)) == sorted(map(str, whole))
        monkeypatch.setattr("projections.past.queue.WINDOW", 9)


# --- what there is no answer about --------------------------------------------------------------


def test_the_future_is_an_error_and_says_where_the_log_ends(told: Told) -> None:
    head = told.day.log.position
    later = (told.day.clock() + timedelta(days=41)).isoformat()
    for path in ("/v1/rates", "/v1/transactions", "/v1/queue", "/v1/events"):
        for as_of in (head + 1, 10**17, 10**39, later, f"checkpoint:{head + 1}"):
            problem = told.get(path, as_of=as_of)
            assert problem.status_code == 422
            assert problem.json()["code"] == "as_of_in_future"
            assert f"position {head}" in problem.json()["detail"]


@pytest.mark.parametrize(
    ("as_of", "said"),
    [
        ("yesterday", "Ask for a position"),
        ("2026-03-28", "an instant needs its time and its offset"),
        ("2026-03-28T23:00:00", "an instant needs its time and its offset"),
        ("2026-03-28T23:00:00 01:00", "written %2B"),
        ("2026-02-30T00:00:00Z", "There is no instant"),
        ("checkpoint:3", "No checkpoint of size 3"),
        ("checkpoint:", "Ask for a position"),
        ("00" * 32, "No checkpoint with this root"),
        ("-1", "Ask for a position"),
    ],
)
def test_what_names_no_point_is_an_error_with_a_remedy(told: Told, as_of: str, said: str) -> None:
    problem = told.get("/v1/transactions", as_of=as_of)
    assert (problem.status_code, problem.json()["code"]) == (422, "as_of_invalid")
    assert said in problem.json()["detail"]


def test_what_was_sent_is_not_repeated(told: Told) -> None:
    for sent in ("4242424242424242", "checkpoint:4242424242424242", "4242 4242 4242 4242"):
        problem = told.get("/v1/rates", as_of=sent).json()
        del problem["request_id"]  # which may hold any digits
        assert "4242" not in str(problem)


def test_a_plus_sign_that_became_a_space_is_explained(told: Told) -> None:
    problem = told.client.get("/v1/rates?as_of=2026-03-28T23:00:00+01:00").json()
    assert problem["code"] == "as_of_invalid"
    assert "the + of an offset is written %2B" in problem["detail"]
    good = told.client.get("/v1/transactions?as_of=2026-03-28T23:30:30%2B01:00")
    assert good.headers["tallystick-as-of-instant"] == "2026-03-28T22:30:30Z"


def test_the_past_cannot_include_what_came_later(told: Told) -> None:
    refused = told.get("/v1/transactions", as_of=4, min_position=5).json()
    assert refused["code"] == "request_invalid"
    assert refused["errors"][0]["location"] == "query.min_position"
    assert told.get("/v1/transactions", as_of=5, min_position=5).status_code == 200


def test_a_stream_of_the_past_is_refused(told: Told) -> None:
    answer = told.client.get("/v1/events?as_of=4", headers={"accept": "text/event-stream"})
    assert answer.json()["errors"][0]["location"] == "query.as_of"


# --- why an answer is empty ---------------------------------------------------------------------


def test_what_began_later_is_not_there_and_says_when_it_began(told: Told) -> None:
    later = next(
        state for state in reversed(told.day.log.states.values()) if isinstance(state, Deposit)
    )
    events = told.get(f"/v1/transactions/{later.id}/events").json()["events"]
    began = events[0]["position"]
    for path in (f"/v1/transactions/{later.id}", f"/v1/transactions/{later.id}/events"):
        problem = told.get(path, as_of=began - 1).json()
        assert (problem["status"], problem["code"]) == (404, "transaction_not_found")
        assert f"began at position {began}, recorded 2026-03-2" in problem["detail"]
        assert told.get(path, as_of=began).status_code == 200
    refused = told.get(f"/v1/disputes/{later.id}", as_of=began - 1).json()
    assert "began" not in refused["detail"], "it never was a dispute"


@pytest.mark.parametrize(
    "path",
    [
        "/v1/players/{player}",
        "/v1/players/{player}/limits",
        "/v1/players/{player}/instruments",
        "/v1/rates",
        "/v1/accounts/provider:sim:clearing:EUR",
    ],
)
def test_nothing_was_there_before_the_first_event(told: Told, path: str) -> None:
    problem = told.get(path.format(player=told.day.players[0]), as_of=0).json()
    assert problem["status"] in (404, 409)
    assert "There was none at position 0 yet: it began at position" in problem["detail"]


@pytest.mark.parametrize(
    "path",
    [
        "/v1/transactions",
        "/v1/disputes",
        "/v1/queue",
        "/v1/providers",
        "/v1/players/{player}/balances",
        "/v1/players/{player}/journal",
    ],
)
@pytest.mark.parametrize("as_of", ["0", "2001-01-01T00:00:00Z"])
def test_an_empty_list_says_when_something_began(told: Told, path: str, as_of: str) -> None:
    empty = told.get(path.format(player=told.day.players[0]), as_of=as_of)
    assert empty.status_code == 200
    because = empty.headers["tallystick-empty-because"]
    assert because.startswith("Nothing of this had begun: it began at position")


def test_an_empty_list_says_that_nothing_matches(told: Told) -> None:
    position = told.day.stops[-2].position
    for path, params in {
        "/v1/transactions": {"reason": "never"},
        "/v1/lookup": {"q": "never"},
        "/v1/queue": {"kind": "deposit", "status": "opened"},
        "/v1/events": {"topic": "NoticeUnmatched", "after": position},
    }.items():
        empty = told.get(path, **params, as_of=position)
        assert empty.json()["items"] == []
        assert "matches" in empty.headers["tallystick-empty-because"], path
        assert "tallystick-empty-because" not in told.get(path, **params).headers


def test_the_default_policy_was_in_force_before_the_first(told: Told) -> None:
    before = told.get("/v1/approval-policy", as_of=0)
    assert before.json()["version"] == 0
    assert before.headers["tallystick-as-of"] == "0"
    assert "tallystick-as-of-instant" not in before.headers
    assert told.get("/v1/approval-policy").json()["version"] == 2


def test_an_answer_waits_until_the_past_can_be_read(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The read models have not seen the last event, and nobody lets them."""
    monkeypatch.setattr("api.http.reading.WAIT_SECONDS_MAX", 0.05)
    before = told.day.log.position
    told.day.do(lambda: told.day.register(uuid4()))
    head = told.day.log.position
    assert head == before + 1
    for path in ("/v1/transactions?", "/v1/queue?", "/v1/lookup?q=x&", "/v1/players/{}/journal?"):
        url = path.format(told.day.players[0])
        behind = told.client.get(f"{url}as_of={head}")
        assert (behind.status_code, behind.json()["code"]) == (503, "read_model_behind"), path
        assert told.client.get(f"{url}as_of={before}").status_code == 200
    assert told.get("/v1/rates", as_of=head).status_code == 200
