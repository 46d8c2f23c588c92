"""Where a payout goes: first back to what the player paid in with."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from domain.money import Money
from domain.player.player import Player
from domain.withdrawal.closed_loop import LEGS_MAX, NOT_PAYABLE, Plan, plan_legs
from tests.scenarios.scenario import player

CARD = ("card-1", "acme", "card")
WALLET = ("wallet-1", "other", "wallet")
VOUCHER = ("voucher-1", "acme", "voucher")


def plan(
    amount: int, net_minor: dict[str, int], party: Player, instrument: str | None = "iban-1"
) -> Plan:
    return plan_legs(
        player=party,
        amount=Money(amount, "EUR"),
        provider="bank",
        method="bank_transfer",
        instrument=instrument,
        net_minor=net_minor,
    )


def routes(made: Plan) -> list[tuple[str, str, str | None, int]]:
    return [(leg.provider, leg.method, leg.instrument, leg.amount.amount) for leg in made.legs]


def test_a_player_who_never_paid_in_is_paid_where_they_ask() -> None:
    made = plan(1_000, {}, player())
    assert routes(made) == [("bank", "bank_transfer", "iban-1", 1_000)]
    assert made.closed_loop


def test_what_was_paid_in_goes_back_first_oldest_first_and_the_rest_where_they_ask() -> None:
    made = plan(1_000, {"card-1": 300, "wallet-1": 200}, player(instruments=[CARD, WALLET]))
    assert routes(made) == [
        ("acme", "card", "card-1", 300),
        ("other", "wallet", "wallet-1", 200),
        ("bank", "bank_transfer", "iban-1", 500),
    ]
    assert [leg.leg for leg in made.legs] == [1, 2, 3]
    assert not made.closed_loop


def test_no_more_instruments_are_used_than_it_takes() -> None:
    made = plan(300, {"card-1": 300, "wallet-1": 200}, player(instruments=[CARD, WALLET]))
    assert routes(made) == [("acme", "card", "card-1", 300)]
    assert made.closed_loop


def test_the_rest_joins_the_requested_instruments_own_leg() -> None:
    made = plan(
        1_000, {"card-1": 300, "wallet-1": 200}, player(instruments=[CARD, WALLET]), "card-1"
    )
    assert routes(made) == [
        ("bank", "bank_transfer", "card-1", 800),
        ("other", "wallet", "wallet-1", 200),
    ]
    assert made.closed_loop


def test_winnings_may_go_to_an_instrument_whose_deposits_are_all_back() -> None:
    made = plan(1_000, {"card-1": -50}, player(instruments=[CARD]), "card-1")
    assert routes(made) == [("bank", "bank_transfer", "card-1", 1_000)]
    assert made.closed_loop


def test_nothing_is_paid_to_a_voucher() -> None:
    made = plan(1_000, {"voucher-1": 900, "card-1": 10}, player(instruments=[VOUCHER, CARD]))
    assert [leg.instrument for leg in made.legs] == ["card-1", "iban-1"]


def test_an_instrument_that_is_not_named_is_none_they_paid_in_with() -> None:
    assert not plan(1_000, {"card-1": 10}, player(instruments=[CARD]), None).closed_loop
    assert plan(1_000, {}, player(), None).closed_loop


def test_the_legs_are_bounded_and_the_rest_still_goes_somewhere() -> None:
    cards = [(f"card-{n}", "acme", "card") for n in range(LEGS_MAX + 5)]
    net_minor = {name: 10 for name, _, _ in cards}
    made = plan(1_000, net_minor, player(instruments=cards))
    assert len(made.legs) == LEGS_MAX
    assert routes(made)[-1] == ("bank", "bank_transfer", "iban-1", 1_000 - 10 * (LEGS_MAX - 1))


def test_as_many_instruments_as_there_may_be_legs_are_all_used() -> None:
    cards = [(f"card-{n}", "acme", "card") for n in range(LEGS_MAX)]
    made = plan(10 * LEGS_MAX, {name: 10 for name, _, _ in cards}, player(instruments=cards))
    assert [leg.amount.amount for leg in made.legs] == [10] * LEGS_MAX
    assert made.closed_loop


@given(
    amount=st.integers(1, 10_000),
    net=st.lists(st.integers(-100, 500), max_size=LEGS_MAX + 5),
    methods=st.lists(st.sampled_from(["card", "voucher"]), min_size=30, max_size=30),
    requested=st.integers(-1, LEGS_MAX + 5),
)
def test_the_legs_make_up_the_amount_and_no_instrument_but_the_requested_gets_more_than_its_net(
    amount: int, net: list[int], methods: list[str], requested: int
) -> None:
    instruments = [(f"i-{n}", "acme", methods[n]) for n in range(len(net))]
    net_minor = {f"i-{n}": minor for n, minor in enumerate(net)}
    asked = f"i-{requested}" if requested >= 0 else None
    made = plan(amount, net_minor, player(instruments=instruments), asked)
    assert sum(leg.amount.amount for leg in made.legs) == amount
    assert 1 <= len(made.legs) <= LEGS_MAX
    assert [leg.leg for leg in made.legs] == list(range(1, len(made.legs) + 1))
    assert max(Counter(leg.instrument for leg in made.legs).values()) == 1
    for leg in made.legs:
        assert leg.amount.amount > 0
        if leg.instrument != asked:
            assert leg.amount.amount <= net_minor[leg.instrument]
            assert leg.method not in NOT_PAYABLE
