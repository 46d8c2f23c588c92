"""Any transaction: every kind is told by its first event, and knows the accounts it moves."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from domain import accounts
from domain.events import (
    ConversionExpired,
    ConversionQuoted,
    DepositBlocked,
    DepositCreated,
    LedgerEvent,
    Move,
    PlannedLeg,
    RefundApprovalAwaited,
    RefundRequested,
    WithdrawalRequested,
    WithdrawalScreeningStarted,
)
from domain.money import Money
from domain.provider.provider import register_provider
from domain.transactions import (
    accounts_of,
    evolve_transaction,
    kind_of,
    project_transaction,
)
from tests.scenarios.dispute import (
    ADJUSTMENT,
    GOODWILL,
    adjustment_in,
    adjustment_requested,
    dispute_in,
)
from tests.scenarios.scenario import AMOUNT, NOW, PLAYER_ID, PROVIDER_NAME, TRANSACTION, command

_PAYMENT = {
    "player_id": PLAYER_ID,
    "provider": PROVIDER_NAME,
    "method": "card",
    "amount": AMOUNT,
    "instrument": "card-1",
    "metadata": {},
    "counts": (),
}


def begun(version: int = 1) -> dict[str, object]:
    return {**command("player:p1").header(TRANSACTION, version), "request_digest": "digest"}


def after() -> dict[str, object]:
    return dict(command().header(TRANSACTION, 2))


DEPOSIT = (
    DepositCreated(**begun(), **_PAYMENT, origin=None),
    DepositBlocked(
        **after(), player_id=PLAYER_ID, amount=AMOUNT, reason="provider_paused", counts=()
    ),
)
WITHDRAWAL = (
    WithdrawalRequested(
        **begun(),
        **_PAYMENT,
        origin=None,
        reserved=True,
        legs=(
            PlannedLeg(
                leg=1, provider=PROVIDER_NAME, method="card", instrument="card-1", amount=AMOUNT
            ),
        ),
        closed_loop=True,
    ),
    WithdrawalScreeningStarted(**after()),
)
REFUND = (
    RefundRequested(**begun(), **_PAYMENT, deposit_id=uuid4(), reason="goodwill", reserved=True),
    RefundApprovalAwaited(**after(), required=(("finance",),)),
)
CONVERSION = (
    ConversionQuoted(
        **begun(),
        player_id=PLAYER_ID,
        provider=None,
        source=AMOUNT,
        target=Money(10_800, "USD"),
        spread=Money(108, "USD"),
        rate_numerator=109,
        rate_denominator=100,
        rate_source="ecb-2026-03-02",
        rounding="down",
        quote_reference=None,
        expires_at=NOW + timedelta(minutes=5),
        metadata={},
    ),
    ConversionExpired(**after()),
)
STREAMS = {
    "deposit": (DEPOSIT, "blocked"),
    "withdrawal": (WITHDRAWAL, "screening"),
    "refund": (REFUND, "pending_approval"),
    "conversion": (CONVERSION, "expired"),
    "dispute": (dispute_in("won").history, "won"),
    "adjustment": (adjustment_in("approved").history, "approved"),
}
COMMON = (
    *("id", "version", "status", "player_id", "provider", "method", "amount", "instrument"),
    *("metadata", "requested_by", "created_at", "updated_at", "reason", "reference"),
    *("provider_reference", "proposal", "commands", "notices"),
)


@pytest.mark.parametrize("kind", STREAMS)
def test_a_transaction_is_known_by_its_first_event(kind: str) -> None:
    history, status = STREAMS[kind]
    state = project_transaction(None, history)
    assert state is not None
    assert kind_of(state) == kind
    assert state.status == status
    assert state.status.screen_word
    assert state.version == len(history)


@pytest.mark.parametrize("kind", STREAMS)
def test_every_transaction_can_be_listed(kind: str) -> None:
    state = project_transaction(None, STREAMS[kind][0])
    assert [name for name in COMMON if not hasattr(state, name)] == []


def test_other_streams_are_no_transactions() -> None:
    registered = register_provider(PROVIDER_NAME, command(), adapter="simulator")
    assert project_transaction(None, (registered,)) is None
    assert project_transaction(None, ()) is None
    assert evolve_transaction(None, DEPOSIT[1]) is None


def of_player(currency: str, player_id: UUID = PLAYER_ID) -> tuple[str, ...]:
    return accounts.available(player_id, currency), accounts.reserved(player_id, currency)


@pytest.mark.parametrize(
    ("history", "moved"),
    [
        (DEPOSIT, of_player("EUR")),
        (WITHDRAWAL, of_player("EUR")),
        (REFUND, of_player("EUR")),
        (CONVERSION, of_player("EUR") + of_player("USD")),
        (dispute_in("lost").history, ()),
        (adjustment_in("requested").history, (accounts.available(PLAYER_ID, "EUR"),)),
    ],
    ids=STREAMS,
)
def test_a_transaction_knows_the_players_accounts_it_moves(
    history: tuple[LedgerEvent, ...], moved: tuple[str, ...]
) -> None:
    state = project_transaction(None, history)
    assert state is not None
    assert accounts_of(state) == moved


def test_an_adjustment_names_every_players_account_once() -> None:
    other = accounts.available(uuid4(), "EUR")
    onward = Move(source=GOODWILL.target, target=other, money=AMOUNT)
    history = adjustment_requested(GOODWILL, onward).history
    state = project_transaction(None, history)
    assert state is not None
    assert (state.id, accounts_of(state)) == (ADJUSTMENT, (GOODWILL.target, other))


def test_an_adjustment_of_house_money_moves_no_players_account() -> None:
    move = Move(source=accounts.fees("EUR"), target=accounts.fx("EUR"), money=AMOUNT)
    state = project_transaction(None, adjustment_requested(move, player_id=None).history)
    assert state is not None
    assert accounts_of(state) == ()
