"""The names of accounts, and which of them have a floor."""

from uuid import UUID

import pytest

from domain.accounts import (
    available,
    clearing,
    currency_of,
    fees,
    floor_minor,
    player_of,
    reserved,
    suspense,
)

PLAYER = UUID("aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee")
NAMES = {
    f"player:{PLAYER}:available:EUR": available(PLAYER, "EUR"),
    f"player:{PLAYER}:reserved:JPY": reserved(PLAYER, "JPY"),
    "provider:acme:clearing:KWD": clearing("acme", "KWD"),
    "house:fees:EUR": fees("EUR"),
    "house:suspense:CLF": suspense("CLF"),
}


@pytest.mark.parametrize(("expected", "name"), NAMES.items())
def test_names_are_stable(expected: str, name: str) -> None:
    assert name == expected


@pytest.mark.parametrize("name", NAMES)
def test_the_currency_is_the_last_part(name: str) -> None:
    assert currency_of(name) == name[-3:]


@pytest.mark.parametrize("name", NAMES)
def test_only_player_accounts_belong_to_a_player_and_have_a_floor(name: str) -> None:
    players = name.startswith("player:")
    assert player_of(name) == (PLAYER if players else None)
    assert floor_minor(name) == (0 if players else None)


def test_a_provider_called_player_is_not_a_player() -> None:
    account = clearing("player", "EUR")
    assert floor_minor(account) is None
    assert player_of(account) is None
