"""Two names are alike, or not, whatever their spelling makes of them."""

import pytest

from ledger.commands.holder_names import similarity_percent


@pytest.mark.parametrize(
    ("holder", "verified"),
    [
        ("María García López", "María García López"),
        ("GARCIA LOPEZ MARIA", "María García López"),
        ("López, María García", "Maria Garcia Lopez"),
        ("O'BRIEN SEAN", "Seán O’Brien"),
        ("ANNE-MARIE STRASSE", "Anne Marie Straße"),
        ("J.R. Smith", "Smith J R"),
        ("İBRAHİM KAYA", "ibrahim kaya"),
        ("ИВАНОВ Иван", "Иван Иванов"),
        ("ﬁona  ＬＥＥ", "Fiona Lee"),
    ],
)
def test_case_accents_punctuation_and_order_make_no_difference(holder: str, verified: str) -> None:
    assert similarity_percent(holder, verified) == 100


def test_a_slip_of_the_pen_is_still_much_alike() -> None:
    assert 85 <= similarity_percent("Jon Smith", "John Smith") < 100


def test_a_relative_is_not_the_player() -> None:
    assert similarity_percent("Jane Smith", "Robert Smith") < 85


def test_parts_of_a_percent_do_not_count() -> None:
    """`ab` and `abc` share two characters of five, twice: exactly 80; `a` and `abc`, 50."""
    assert similarity_percent("ab", "abc") == 80
    assert similarity_percent("abcdefg", "abcdxyz") == 57  # 8 of 14 are 57.14 %


@pytest.mark.parametrize(("one", "other"), [("...", "---"), ("Ann", "''"), ("´", "Ann")])
def test_a_name_without_letters_is_like_none(one: str, other: str) -> None:
    assert similarity_percent(one, other) == 0


def test_it_does_not_matter_which_name_comes_first() -> None:
    names = ("Ann Lee", "Lee Anna", "Leanne", "A. Lee")
    for one in names:
        for other in names:
            assert similarity_percent(one, other) == similarity_percent(other, one)
