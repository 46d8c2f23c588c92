"""Texts: what may be kept, and what a card number looks like."""

from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from api.http.free_text import Line, Note, holds_card_number

# The test numbers that card schemes publish.
CARDS = [
    "4111111111111111",
    "4222222222222",
    "5555555555554444",
    "378282246310005",
    "30569309025904",
    "6011000990139424",
    "3530111333300000",
    "6304000000000000",
    "4000000000000000006",
]


@pytest.mark.parametrize("card", CARDS)
def test_a_card_number_is_found_however_it_is_written(card: str) -> None:
    groups = [card[i : i + 4] for i in range(0, len(card), 4)]
    arabic = card.translate({ord("0") + i: 0x0660 + i for i in range(10)})
    mathematical = card.translate({ord("0") + i: 0x1D7CE + i for i in range(10)})
    for written in (
        card,
        " ".join(groups),
        "-".join(groups),
        " - ".join(groups),
        "\u2011".join(groups),
        "\u00a0".join(groups),
        "\u200b".join(groups),
        " ".join(card),
        arabic,
        mathematical,
        f"card:{card}.",
        f"x{card}x",
        f"12 {card}",
        f"{card}\n{card}",
        f"%B{card}^DOE/JANE^2512",
    ):
        assert holds_card_number(written), written


@pytest.mark.parametrize("card", CARDS)
def test_a_number_that_fails_the_check_is_none(card: str) -> None:
    wrong = card[:-1] + str((int(card[-1]) + 1) % 10)
    assert not holds_card_number(wrong)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "411111111111",
        "41111111111111111111",
        "order 4111, item 1111, box 1111, row 1111",
        "paid on 2026-11-22 at 06:26:02",
        "tok_7Hq2",
        "4111x1111x1111x1111",
        "00000000-4111-1111-1111-111100000000",
        "0000000041111111111111110000beef",
    ],
)
def test_other_texts_are_none(text: str) -> None:
    assert not holds_card_number(text)


def test_a_uuid_beside_a_card_number_does_not_hide_it() -> None:
    assert holds_card_number(f"{uuid4()} 4111111111111111")


@given(st.text(max_size=300))
def test_any_text_can_be_looked_at(text: str) -> None:
    holds_card_number(text)


@given(st.text(alphabet="0123456789 -", max_size=60))
def test_spaces_around_a_text_change_nothing(text: str) -> None:
    assert holds_card_number(text) == holds_card_number(f"  {text}  ")


def test_a_long_text_of_digits_is_looked_at_quickly() -> None:
    assert isinstance(holds_card_number("1 " * 1_000), bool)


@pytest.mark.parametrize(
    "text", ["\x00", "a\x1b[31m", "\x7f", "\x85", "\ud800", "\u202e", "\u2069"]
)
def test_what_cannot_be_seen_is_refused_and_not_quoted(text: str) -> None:
    for kind in (Line, Note):
        with pytest.raises(ValidationError) as refused:
            TypeAdapter(kind).validate_python(f"secret{text}")
        for error in refused.value.errors():
            assert "secret" not in error["msg"]


def test_a_note_may_have_lines_and_a_line_may_not() -> None:
    assert TypeAdapter(Note).validate_python("one\n\ttwo") == "one\n\ttwo"
    with pytest.raises(ValidationError):
        TypeAdapter(Line).validate_python("one\ntwo")


@pytest.mark.parametrize("text", ["Žofie Nováková", "数え棒", "👩‍👩‍👧", "a" * 255])
def test_people_may_write_in_their_own_words(text: str) -> None:
    assert TypeAdapter(Line).validate_python(text) == text
