"""Who must agree to a payout."""

import pytest

from domain.approvals import DEFAULT_POLICY, screen
from domain.errors import Reason
from domain.money import Money
from domain.player import Verification
from tests.scenario import player, policy


@pytest.mark.parametrize(
    ("amount", "approvals"),
    [
        (Money(1, "EUR"), 0),
        (Money(50_000, "EUR"), 0),
        (Money(50_001, "EUR"), 1),
        (Money(200_000, "EUR"), 1),
        (Money(200_001, "EUR"), 2),
        (Money(500, "JPY"), 0),
        (Money(501, "JPY"), 1),
        (Money(500_000, "KWD"), 0),
        (Money(500_001, "KWD"), 1),
        (Money(20_000_000, "CLF"), 1),
        (Money(20_000_001, "CLF"), 2),
    ],
)
def test_the_default_policy_counts_whole_units_of_any_currency(
    amount: Money, approvals: int
) -> None:
    screening = screen(DEFAULT_POLICY, player(), amount)
    assert screening.approvals_required == approvals
    assert screening.reasons == ((Reason.ABOVE_AUTOMATIC_LIMIT,) if approvals else ())
    assert screening.policy == "default-1"


@pytest.mark.parametrize("verification", [Verification.NONE, Verification.BASIC])
def test_a_player_who_is_not_fully_verified_needs_a_person(verification: Verification) -> None:
    screening = screen(DEFAULT_POLICY, player(verification), Money(1, "EUR"))
    assert screening.approvals_required == 1
    assert screening.reasons == (Reason.PLAYER_UNVERIFIED,)


def test_a_player_on_hold_needs_a_person() -> None:
    screening = screen(DEFAULT_POLICY, player(on_hold=True), Money(1, "EUR"))
    assert screening.approvals_required == 1
    assert screening.reasons == (Reason.PLAYER_ON_HOLD,)


def test_every_reason_is_given_and_the_larger_number_counts() -> None:
    doubtful = player(Verification.NONE, on_hold=True)
    screening = screen(DEFAULT_POLICY, doubtful, Money(200_001, "EUR"))
    assert screening.approvals_required == 2
    assert screening.reasons == (
        Reason.ABOVE_AUTOMATIC_LIMIT,
        Reason.PLAYER_UNVERIFIED,
        Reason.PLAYER_ON_HOLD,
    )


def test_exclusion_from_deposits_does_not_keep_a_player_from_being_paid() -> None:
    assert screen(DEFAULT_POLICY, player(excluded=True), Money(1, "EUR")).reasons == ()


def test_a_policy_is_read_from_its_lowest_tier() -> None:
    tiers = policy((10, 3), (20, 1), (None, 2))
    required = [
        screen(tiers, player(), Money(units * 100, "EUR")).approvals_required
        for units in (10, 11, 20, 21)
    ]
    assert required == [3, 1, 1, 2]
