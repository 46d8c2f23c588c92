"""Windows: exact while they are small, bounded when they are not, and never too little."""

from fractions import Fraction
from itertools import accumulate, pairwise
from typing import NamedTuple

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from projections.fraud.windows import (
    AMOUNT_MAX,
    CELLS,
    KEPT_MAX,
    NOTHING,
    Entries,
    added,
    count,
    since,
    total,
)

DAY = 86_400_000_000


class Sequence(NamedTuple):
    """What comes into a window, oldest first: when, and how much."""

    span_us: int
    entries: list[tuple[int, int]]

    @property
    def window(self) -> Entries:
        window = NOTHING
        for at_us, amount in self.entries:
            window = added(window, at_us, amount, self.span_us)
        return window

    @property
    def now_us(self) -> int:
        return self.entries[-1][0]

    def true_count(self, start_us: int) -> int:
        return sum(at_us >= start_us for at_us, _ in self.entries)

    def true_total(self, start_us: int) -> int:
        return sum(amount for at_us, amount in self.entries if at_us >= start_us)


@st.composite
def sequences(draw: st.DrawFn, least: int, most: int) -> Sequence:
    """So close to each other that a few hundred are within the span; some long after the rest."""
    span_us = draw(st.sampled_from([CELLS, 1_000, DAY, 180 * DAY]))
    closeness = draw(st.binary(min_size=least, max_size=least))
    closeness += draw(st.binary(max_size=most - least))
    widest_us = max(span_us // 100, 1)
    gaps = [widest_us * byte // 255 for byte in closeness]
    for place in draw(st.lists(st.integers(0, len(gaps) - 1), max_size=3)):
        gaps[place] = draw(st.integers(0, 2 * span_us))
    amounts = [1_000 ** (byte % 5) + byte for byte in reversed(closeness)]
    return Sequence(span_us, list(zip(accumulate(gaps), amounts, strict=True)))


FEW = sequences(1, KEPT_MAX)
MANY = sequences(KEPT_MAX + 1, 300)


@given(FEW, st.fractions(0, 1))
def test_up_to_96_entries_are_exact_for_every_part_of_the_span(
    sequence: Sequence, part: Fraction
) -> None:
    window, start_us = sequence.window, sequence.now_us - int(sequence.span_us * part)
    assert count(window, start_us) == sequence.true_count(start_us)
    assert total(window, start_us) == sequence.true_total(start_us)


@given(MANY, st.fractions(0, 1))
def test_beyond_nothing_is_left_out_and_at_most_a_64th_of_the_span_too_much_is_counted(
    sequence: Sequence, part: Fraction
) -> None:
    window, start_us = sequence.window, sequence.now_us - int(sequence.span_us * part)
    earlier_us = start_us - sequence.span_us // CELLS
    assert sequence.true_count(start_us) <= count(window, start_us)
    assert count(window, start_us) <= sequence.true_count(earlier_us)
    assert sequence.true_total(start_us) <= total(window, start_us)
    assert total(window, start_us) <= sequence.true_total(earlier_us)


@given(MANY)
def test_a_window_never_has_more_than_96_entries_nor_any_older_than_its_span(
    sequence: Sequence,
) -> None:
    window = NOTHING
    for at_us, amount in sequence.entries:
        window = added(window, at_us, amount, sequence.span_us)
        times = window[::3]
        assert len(times) <= KEPT_MAX
        assert times[0] >= at_us - sequence.span_us
        assert all(one <= other for one, other in pairwise(times))


@given(MANY, st.integers(1, 50))
def test_a_window_is_the_same_however_often_it_was_stored_meanwhile(
    sequence: Sequence, every: int
) -> None:
    window = NOTHING
    for number, (at_us, amount) in enumerate(sequence.entries):
        if number % every == 0:
            window = msgspec.json.decode(msgspec.json.encode(window), type=Entries)
        window = added(window, at_us, amount, sequence.span_us)
    assert window == sequence.window


def test_how_much_is_kept_is_part_of_what_hits() -> None:
    """With other numbers the same log would give other hits: the read model's version says so."""
    assert (KEPT_MAX, CELLS) == (96, 64)


def test_an_entry_exactly_as_old_as_the_span_still_counts_and_an_older_one_does_not() -> None:
    first = added(NOTHING, 1_000, 7, DAY)
    kept = added(first, 1_000 + DAY, 5, DAY)
    assert (count(kept, 1_000), total(kept, 1_000)) == (2, 12)
    assert (count(kept, 1_001), total(kept, 1_001)) == (1, 5)
    assert added(first, 1_001 + DAY, 5, DAY) == (1_001 + DAY, 1, 5)


def test_entries_of_the_same_instant_are_kept_apart() -> None:
    twice = added(added(NOTHING, 5, 1, DAY), 5, 2, DAY)
    assert twice == (5, 1, 1, 5, 1, 2)
    assert since(twice, 5) == twice
    assert since(twice, 6) == NOTHING


def test_more_than_96_of_one_instant_become_one_entry_that_counts_them_all() -> None:
    window = NOTHING
    for _ in range(KEPT_MAX + 1):
        window = added(window, 5, 3, DAY)
    assert window == (5, KEPT_MAX + 1, 3 * (KEPT_MAX + 1))


def test_a_sum_stops_where_it_could_no_longer_be_stored() -> None:
    window = NOTHING
    for _ in range(KEPT_MAX + 1):
        window = added(window, 5, AMOUNT_MAX // 10, DAY)
    assert total(window, 0) == AMOUNT_MAX
