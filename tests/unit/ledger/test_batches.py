"""What makes batches fast gives the same as what it replaces."""

import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.adapt import Transformer
from psycopg.pq import Format
from pydantic_core import PydanticCustomError

from api.http.errors import BodyMalformed
from api.http.free_text import check_line, holds_card_number
from api.http.json_body import DEPTH_MAX, parse
from api.payments.batch_requests import OPERATIONS, CommandBody
from ledger.eventstore import arrays
from ledger.eventstore.remembered import Remembered

INTEGERS = st.lists(st.none() | st.integers(-(2**63), 2**63 - 1))
TEXTS = st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
NESTED = st.recursive(
    st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=60,
)


def read(packed: bytes, array_oid: int) -> Any:
    """As psycopg reads what PostgreSQL sends, which is how it takes it as well."""
    return Transformer().get_loader(array_oid, Format.BINARY).load(packed)


@given(INTEGERS)
def test_packed_integers_are_read_back(values: Sequence[int | None]) -> None:
    assert read(arrays.integers(values), 1016) == values


@given(TEXTS)
def test_packed_texts_are_read_back(values: Sequence[str]) -> None:
    assert read(arrays.texts(values), 1009) == values


@given(st.lists(st.binary()))
def test_packed_bytes_are_read_back(values: Sequence[bytes]) -> None:
    assert read(arrays.byteas(values), 1001) == values


@given(st.lists(st.uuids()))
def test_packed_uuids_are_read_back(values: Sequence[UUID]) -> None:
    assert read(arrays.uuids(values), 2951) == values


@given(st.text(st.sampled_from("0123456789 -._aé٣\x07\u202e"), max_size=40))
def test_a_line_is_refused_for_a_card_number_or_what_cannot_be_seen(text: str) -> None:
    try:
        check_line(text)
        refused = False
    except PydanticCustomError:
        refused = True
    assert refused == (holds_card_number(text) or "\x07" in text or "\u202e" in text)


@pytest.mark.parametrize("text", ["4111111111111111", "x4111 1111-1111.1111", "4222222222222"])
def test_a_card_number_among_plain_letters_is_found(text: str) -> None:
    with pytest.raises(PydanticCustomError):
        check_line(text)


@given(NESTED)
def test_what_is_not_nested_too_deeply_is_read(value: object) -> None:
    body = json.dumps(value).encode()
    if depth_of(value) <= DEPTH_MAX:
        assert parse(body) == value
    else:
        with pytest.raises(BodyMalformed):
            parse(body)


@pytest.mark.parametrize("opening", ["[", '{"a":', '[{"]":'])
def test_deep_nesting_is_refused_before_anything_recurses(opening: str) -> None:
    closing = {"[": "]", '{"a":': "}", '[{"]":': "}]"}[opening]
    layers = opening.count("[") + opening.count("{")
    just = DEPTH_MAX // layers
    parse((opening * just + "1" + closing * just).encode())
    for times in (just + 1, 100_000):
        with pytest.raises(BodyMalformed):
            parse((opening * times + "1" + closing * times).encode())
        with pytest.raises(BodyMalformed):
            parse((opening * times).encode())


def depth_of(value: object) -> int:
    match value:
        case dict():
            return 1 + max((depth_of(inner) for inner in value.values()), default=0)
        case list():
            return 1 + max((depth_of(inner) for inner in value), default=0)
        case _:
            return 0


def test_every_operation_is_in_the_description_of_the_field() -> None:
    description = CommandBody.model_fields["operation"].description or ""
    assert all(f"`{name}`" in description for name in OPERATIONS)


def test_what_was_put_in_last_is_remembered() -> None:
    remembered: Remembered[int] = Remembered(10)
    streams = [uuid4() for _ in range(100)]
    for number, stream in enumerate(streams):
        remembered.put(stream, number)
    assert [remembered.get(stream) for stream in streams[-5:]] == [95, 96, 97, 98, 99]
    assert sum(remembered.get(stream) is not None for stream in streams) <= 10


def test_what_is_forgotten_is_not_remembered() -> None:
    remembered: Remembered[int] = Remembered(4)
    streams = [uuid4() for _ in range(4)]
    for stream in streams:
        remembered.put(stream, 1)
    for stream in streams:
        remembered.forget(stream)
    assert [remembered.get(stream) for stream in streams] == [None] * 4


def test_a_newer_state_takes_the_place_of_an_older_one() -> None:
    remembered: Remembered[int] = Remembered(2)
    stream = uuid4()
    remembered.put(stream, 1)
    remembered.put(stream, 2)
    assert remembered.get(stream) == 2
