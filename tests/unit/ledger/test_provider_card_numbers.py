"""Providers' words are kept without card numbers, however these are written."""

import pytest

from ledger.providers.card_numbers import DROPPED, holds_card_number, without_card_number


@pytest.mark.parametrize(
    "text",
    [
        "4111111111111111",
        "4111 1111 1111 1111",
        "4111-1111-1111-1111",
        "4111.1111.1111.1111",
        "charge_4111_1111_1111_1111_eur",
        "card 378282246310005.",
        "\u0664\u0661\u0661\u0661\u0661\u0661\u0661\u0661\u0661\u0661\u0661\u0661\u0661\u0661\u0661\u0661",
    ],
)
def test_a_text_with_a_card_number_is_dropped_as_a_whole(text: str) -> None:
    assert holds_card_number(text)
    assert without_card_number(text) == DROPPED


@pytest.mark.parametrize(
    "text",
    [
        "",
        "AC04",
        "4111111111111112",
        "411111111111",
        "sim_41111111x11111111",
        "00000000-4111-1111-1111-111100000000",
    ],
)
def test_a_text_without_one_is_kept(text: str) -> None:
    assert not holds_card_number(text)
    assert without_card_number(text) == text


def test_a_text_that_no_database_takes_is_dropped() -> None:
    assert without_card_number("sim\0_1") == DROPPED


def test_nothing_stays_nothing() -> None:
    assert without_card_number(None) is None
