"""Money that goes back and forth at a provider: paid, returned, paid again, over HTTP.

The provider's own times say what came after what; in which order it is told changes nothing.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any
from uuid import UUID, uuid4

import pytest

from domain import accounts
from domain.provider.webhook import notice_stream
from ledger.settings import Settings
from tests.servers.api_server import Api, notice_body, running_api

FUNDS = 5_000
OUT = 3_000
FEE = 25
BEGUN = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)

Turn = tuple[str, int]
"""What the provider says, and in which minute of its own clock that happened."""

PAID, RETURNED, AGAIN, RETURNED_AGAIN = (
    ("succeeded", 1),
    ("returned", 2),
    ("succeeded", 3),
    ("returned", 4),
)


@pytest.fixture(scope="module")
def api(module_database: Settings) -> Iterator[Api]:
    with running_api(module_database) as api:
        yield api


def tell(api: Api, transaction: UUID, turn: Turn, minor: int = OUT, **changes: object) -> None:
    """Under a new message id each time."""
    status, minute = turn
    fee = {"amount": FEE, "currency": "EUR"} if status == "succeeded" else None
    told: dict[str, object] = {
        "status": status,
        "fee": fee,
        "happened_at": (BEGUN + timedelta(minutes=minute)).isoformat(),
    }
    if status == "declined":
        told |= {"amount": None, "decline": {"code": "do_not_honour", "raw_code": "05"}}
    body = json.loads(notice_body(transaction, minor))
    say(api, json.dumps(body | told | changes).encode())


def say(api: Api, body: bytes) -> None:
    message_id = f"msg_{uuid4().hex}"
    answer = api.notify(body, message_id=message_id)
    assert answer.status_code == 204, answer.text
    api.services.inbox.act_on_notice(notice_stream("simulator", message_id))


def without_time(api: Api, transaction: UUID, status: str) -> None:
    tell(api, transaction, (status, 0), happened_at=None, fee=None)


class Books:
    """What has moved on the accounts since this was made."""

    def __init__(self, api: Api, player: UUID) -> None:
        self._api, self._player = api, player
        self._before = self._now()

    def moved(self) -> dict[str, int]:
        now = self._now()
        return {name: now[name] - self._before[name] for name in now}

    def _now(self) -> dict[str, int]:
        names = {
            "available": accounts.available(self._player, "EUR"),
            "reserved": accounts.reserved(self._player, "EUR"),
            "clearing": accounts.clearing("simulator", "EUR"),
            "fees": accounts.fees("EUR"),
            "suspense": accounts.suspense("EUR"),
        }
        balances = self._api.services.handling.ledger.balances(list(names.values()))
        return {name: balances[account] for name, account in names.items()}


def as_the_provider_has_it(turns: Sequence[Turn]) -> dict[str, int]:
    """By itself: in the order in which they happened, each once, in whole numbers."""
    out = fees = 0
    for status, _ in sorted(set(turns), key=lambda turn: turn[1]):
        out = OUT if status == "succeeded" else 0
        fees += FEE if status == "succeeded" else 0
    return {
        "available": -out,
        "reserved": 0,
        "clearing": out + fees,
        "fees": -fees,
        "suspense": 0,
    }


def payout(api: Api, player: UUID) -> tuple[UUID, Books]:
    """At the provider; and the books as they were before it was asked for."""
    api.verified(player)
    api.fund(player, FUNDS)
    books = Books(api, player)
    asked = UUID(api.withdraw(player, OUT).json()["id"])
    api.dispatch.screen(asked)
    api.dispatch.submit(asked, 1)
    return asked, books


def refund(api: Api, player: UUID) -> tuple[UUID, Books]:
    deposit = api.fund(player, FUNDS)
    books = Books(api, player)
    body = {
        "deposit_id": deposit["id"],
        "reason": "not wanted",
        "amount": {"amount": OUT, "currency": "EUR"},
    }
    asked = UUID(api.post("/v1/refunds", body, person="sam").json()["id"])
    api.post(f"/v1/refunds/{asked}/approve", {}, person="anna").raise_for_status()
    api.dispatch.submit(asked)
    return asked, books


KINDS = {"payout": payout, "refund": refund}
STANDS: Mapping[tuple[str, str], str] = {
    ("payout", "succeeded"): "paid",
    ("payout", "returned"): "returned",
    ("refund", "succeeded"): "succeeded",
    ("refund", "returned"): "reversed",
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_turn_of_the_money_is_booked_once(api: Api, kind: str) -> None:
    asked, books = KINDS[kind](api, uuid4())
    told: list[Turn] = []
    for minute in range(1, 8):
        told.append(("succeeded" if minute % 2 else "returned", minute))
        for _ in range(2):
            tell(api, asked, told[-1])
            assert books.moved() == as_the_provider_has_it(told)
            assert api.transaction(str(asked))["status"] == STANDS[kind, told[-1][0]]
        assert books.moved() == as_the_provider_has_it(told)


@pytest.mark.parametrize("kind", KINDS)
def test_the_order_in_which_turns_are_told_changes_nothing(api: Api, kind: str) -> None:
    for told in permutations((PAID, RETURNED, AGAIN)):
        asked, books = KINDS[kind](api, uuid4())
        for turn in told:
            tell(api, asked, turn)
        assert books.moved() == as_the_provider_has_it(told), told
        assert api.transaction(str(asked))["status"] == STANDS[kind, "succeeded"], told


@pytest.mark.parametrize("kind", KINDS)
def test_an_old_payment_told_again_after_its_return_is_not_a_second_one(
    api: Api, kind: str
) -> None:
    asked, books = KINDS[kind](api, uuid4())
    for turn in (PAID, RETURNED, PAID, PAID, AGAIN, RETURNED, PAID):
        tell(api, asked, turn)
    assert books.moved() == as_the_provider_has_it([PAID, RETURNED, AGAIN])


def resolve(api: Api, kind: str, asked: UUID, target: str) -> dict[str, Any]:
    path = {"payout": "withdrawals", "refund": "refunds", "deposit": "deposits"}[kind]
    body = {"target": target, "note": "as their statement says"}
    for person in ("anna", "fina"):
        answer = api.post(f"/v1/{path}/{asked}/resolve", body, person=person)
        assert answer.status_code == 200, answer.text
    return api.transaction(str(asked))


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_player_has_spent_by_then_is_lent_by_the_house_and_people_look(
    api: Api, kind: str
) -> None:
    player = uuid4()
    asked, books = KINDS[kind](api, player)
    tell(api, asked, PAID)
    tell(api, asked, RETURNED)
    spent = FUNDS - 1_200
    assert api.withdraw(player, spent).status_code == 201
    tell(api, asked, AGAIN)
    shown = api.transaction(str(asked))
    assert (shown["status"], shown["reason"]) == ("review", "uncovered")
    provider = as_the_provider_has_it([PAID, RETURNED, AGAIN])
    lent = OUT - 1_200
    assert books.moved() == provider | {
        "available": -FUNDS,
        "reserved": spent,
        "suspense": -lent,
    }
    tell(api, asked, RETURNED_AGAIN)
    assert api.transaction(str(asked))["status"] == STANDS[kind, "returned"]
    assert books.moved() == as_the_provider_has_it([PAID, RETURNED, AGAIN, RETURNED_AGAIN]) | {
        "available": -spent,
        "reserved": spent,
    }


@pytest.mark.parametrize("kind", KINDS)
def test_two_people_end_what_the_player_could_not_cover(api: Api, kind: str) -> None:
    player = uuid4()
    asked, books = KINDS[kind](api, player)
    tell(api, asked, PAID)
    tell(api, asked, RETURNED)
    api.withdraw(player, FUNDS)
    tell(api, asked, AGAIN)
    ended = resolve(api, kind, asked, STANDS[kind, "succeeded"])
    assert ended["status"] == STANDS[kind, "succeeded"]
    assert books.moved()["suspense"] == -OUT
    tell(api, asked, AGAIN)
    assert api.transaction(str(asked))["status"] == STANDS[kind, "succeeded"]
    tell(api, asked, RETURNED_AGAIN)
    assert api.transaction(str(asked))["status"] == STANDS[kind, "returned"]
    assert books.moved()["suspense"] == 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("target", ["succeeded", "failed"])
def test_without_times_a_payment_told_again_after_its_return_is_looked_at(
    api: Api, kind: str, target: str
) -> None:
    """It may be the first one, told late: nothing is booked, and what is left is held."""
    asked, books = KINDS[kind](api, uuid4())
    for status in ("succeeded", "returned", "succeeded"):
        without_time(api, asked, status)
    shown = api.transaction(str(asked))
    assert (shown["status"], shown["reason"]) == ("review", "contradiction")
    nothing = dict.fromkeys(books.moved(), 0)
    assert books.moved() == nothing | {"available": -OUT, "reserved": OUT}
    status = STANDS[kind, "succeeded"] if target == "succeeded" else "failed"
    assert resolve(api, kind, asked, status)["status"] == status
    paid = {"available": -OUT, "clearing": OUT} if target == "succeeded" else {}
    assert books.moved() == nothing | paid


def test_a_deposit_that_failed_again_after_people_looked_is_looked_at_again(api: Api) -> None:
    player = uuid4()
    deposit = UUID(api.fund(player, FUNDS)["id"])
    tell(api, deposit, ("declined", 2))
    assert resolve(api, "deposit", deposit, "completed")["status"] == "completed"
    tell(api, deposit, ("declined", 2))
    assert api.transaction(str(deposit))["status"] == "completed"
    tell(api, deposit, ("declined", 3))
    assert api.transaction(str(deposit))["status"] == "review"
    assert api.balance(player) == 0


DEPOSITS: Mapping[tuple[Turn, ...], tuple[str, int]] = {
    (("declined", 1), ("succeeded", 2)): ("completed", FUNDS),
    (("succeeded", 1), ("declined", 2)): ("review", 0),
    (("succeeded", 1), ("declined", 2), ("succeeded", 3)): ("review", 0),
    (("declined", 1), ("succeeded", 2), ("declined", 3)): ("review", 0),
    (("declined", 1), ("declined", 2), ("succeeded", 3)): ("completed", FUNDS),
}
"""What happened to a deposit, in order: where it stands, and what the player may use."""


@pytest.mark.parametrize("happened", DEPOSITS)
def test_in_which_order_a_deposit_is_told_of_changes_nothing(
    api: Api, happened: tuple[Turn, ...]
) -> None:
    for told in permutations(happened):
        player = uuid4()
        deposit = UUID(api.deposit(player, FUNDS).json()["id"])
        api.dispatch.submit(deposit)
        for turn in told:
            tell(api, deposit, turn, FUNDS)
        shown = (api.transaction(str(deposit))["status"], api.balance(player))
        assert shown == DEPOSITS[happened], told
