"""Checks of what a player does over and over: exactly where each begins to be true."""

from datetime import timedelta
from typing import Protocol

import pytest

from projections.fraud.signals import AnySignal
from tests.generators.fraud_signals import (
    DAY,
    HOUR,
    MICROSECOND,
    MINUTE,
    asked,
    attempted,
    converted,
    declined,
    disputed,
    hits_last,
    judged,
    refund,
    rules,
    settled,
    taken,
)


class Wakes(Protocol):
    """A payment that may be the first after long."""

    def __call__(self, minor: int, currency: str = ..., at: int = ...) -> AnySignal: ...


CURRENCIES = pytest.mark.parametrize("currency", ["EUR", "JPY"])


class TestVelocity:
    RULES = rules("velocity")

    @CURRENCIES
    def test_it_begins_above_ten_an_hour(self, currency: str) -> None:
        ten = [attempted(1, currency)] * 9 + [attempted(1, currency, at=1)]
        assert not hits_last(*ten, rules=self.RULES)
        assert hits_last(*ten, attempted(1, currency, at=HOUR), rules=self.RULES)
        late = attempted(1, currency, at=HOUR + MICROSECOND)
        assert not hits_last(*ten, late, rules=self.RULES)

    @CURRENCIES
    def test_and_above_twenty_a_day(self, currency: str) -> None:
        twenty = [attempted(1, currency, at=hour * HOUR) for hour in range(20)]
        assert not hits_last(*twenty, rules=self.RULES)
        assert hits_last(*twenty, attempted(1, currency, at=DAY), rules=self.RULES)
        late = attempted(1, currency, at=DAY + MICROSECOND)
        assert not hits_last(*twenty, late, rules=self.RULES)

    def test_other_thresholds_move_it(self) -> None:
        other = rules("velocity", hour_deposits=3, day_deposits=2)
        assert not hits_last(attempted(), attempted(), rules=other)
        hit = judged(*[attempted()] * 3, rules=other).hits[0]
        assert (hit.value, hit.threshold, hit.sentence) == (3, 2, "3 deposits within a day.")
        assert hits_last(*[attempted()] * 6, rules=rules("velocity", hour_deposits=5))


class TestManyInstruments:
    RULES = rules("many_instruments")

    @CURRENCIES
    def test_three_within_a_day_are_medium(self, currency: str) -> None:
        two = (attempted(1, currency, instrument="a"), attempted(1, currency, instrument="b"))
        assert not hits_last(*two, rules=self.RULES)
        third = attempted(1, currency, at=DAY, instrument="c")
        hit = judged(*two, third, rules=self.RULES).hits[0]
        assert (hit.severity, hit.value, hit.threshold) == ("medium", 3, 3)
        late = attempted(1, currency, at=DAY + MICROSECOND, instrument="c")
        assert not hits_last(*two, late, rules=self.RULES)

    @CURRENCIES
    def test_five_within_a_week_are_high(self, currency: str) -> None:
        four = [attempted(1, currency, at=day * DAY, instrument=f"{day}") for day in (0, 2, 4, 6)]
        assert not hits_last(*four, rules=self.RULES)
        fifth = attempted(1, currency, at=7 * DAY, instrument="e")
        hit = judged(*four, fifth, rules=self.RULES).hits[0]
        assert (hit.severity, hit.value, hit.threshold) == ("high", 5, 5)
        assert hit.at - hit.since == timedelta(days=7)
        late = attempted(1, currency, at=7 * DAY + MICROSECOND, instrument="e")
        assert not hits_last(*four, late, rules=self.RULES)

    def test_the_same_one_again_is_the_same_one(self) -> None:
        assert not hits_last(*[attempted(instrument="a")] * 9, rules=self.RULES)

    def test_using_one_again_makes_it_recent(self) -> None:
        said = [attempted(instrument="a"), attempted(instrument="b", at=DAY)]
        again = attempted(instrument="a", at=DAY)
        later = attempted(instrument="c", at=2 * DAY)
        assert hits_last(*said, again, later, rules=self.RULES)
        assert not hits_last(*said, later, rules=self.RULES)

    def test_those_registered_or_paid_to_are_used_too(self) -> None:
        said = (taken("a"), asked(1, instrument="b"))
        assert hits_last(*said, attempted(instrument="c"), rules=self.RULES)
        assert not hits_last(*said, attempted(instrument=""), rules=self.RULES)

    def test_other_thresholds_move_it(self) -> None:
        other = rules("many_instruments", day_instruments=2, week_instruments=3)
        said = [attempted(instrument=name) for name in "abc"]
        severities = [hit.severity for hit in judged(*said, rules=other).hits]
        assert severities == ["medium", "high"]

    def test_the_64_used_last_are_remembered(self) -> None:
        said = [attempted(instrument=f"card-{number}") for number in range(70)]
        kept = [one.instrument for one in judged(*said, rules=self.RULES).state.instruments]
        assert kept == [f"card-{number}" for number in range(6, 70)]


class TestCardTesting:
    RULES = rules("card_testing")

    def test_it_begins_at_five_declines_within_ten_minutes(self) -> None:
        four = [declined()] * 4
        assert not hits_last(*four, rules=self.RULES)
        assert hits_last(*four, declined(at=10 * MINUTE), rules=self.RULES)
        late = declined(at=10 * MINUTE + MICROSECOND)
        assert not hits_last(*four, late, rules=self.RULES)

    @CURRENCIES
    def test_or_at_three_instruments_of_which_three_fifths_are_declined(
        self, currency: str
    ) -> None:
        five = [attempted(1, currency, instrument=name) for name in "abcaa"]
        assert not hits_last(*five, declined(), declined(), rules=self.RULES)
        assert hits_last(*five, *[declined()] * 3, rules=self.RULES)
        six = [*five, attempted(1, currency, instrument="a")]
        assert not hits_last(*six, *[declined()] * 3, rules=self.RULES)
        two_cards = [attempted(1, currency, instrument=name) for name in "ababa"]
        assert not hits_last(*two_cards, *[declined()] * 4, rules=self.RULES)

    @CURRENCIES
    def test_an_attempt_exactly_ten_minutes_old_still_counts(self, currency: str) -> None:
        said = [attempted(1, currency, instrument=name) for name in "abc"]
        declines = [declined(at=MINUTE), declined(at=10 * MINUTE)]
        assert hits_last(*said, *declines, rules=self.RULES)
        late = [declined(at=MINUTE), declined(at=10 * MINUTE + MICROSECOND)]
        assert not hits_last(*said, *late, rules=self.RULES)

    def test_a_deposit_without_an_instrument_is_an_attempt_but_no_instrument(self) -> None:
        said = [attempted(instrument=name) for name in ("a", "b", "")]
        assert not hits_last(*said, declined(), declined(), rules=self.RULES)
        said = [attempted(instrument=name) for name in ("a", "b", "c", "")]
        assert not hits_last(*said, declined(), declined(), rules=self.RULES)
        assert hits_last(*said, *[declined()] * 3, rules=self.RULES)

    def test_other_thresholds_move_it(self) -> None:
        fewer = rules("card_testing", declines=2, instruments=64)
        assert not hits_last(declined(), rules=fewer)
        assert hits_last(declined(), declined(), rules=fewer)
        other = rules("card_testing", instruments=2, decline_percent=50)
        said = [attempted(instrument=name) for name in "ab"]
        hit = judged(*said, declined(), rules=other).hits[0]
        assert (hit.value, hit.threshold, hit.unit) == (50, 50, "percent")
        assert not hits_last(*said, attempted(instrument="a"), declined(), rules=other)

    def test_a_rate_just_below_is_below(self) -> None:
        """25 of 42 are 59.5 percent, 26 are 61.9."""
        rate = rules("card_testing", declines=64)
        said = [attempted(instrument=name) for name in "abc"] * 14
        assert not hits_last(*said, *[declined()] * 25, rules=rate)
        hit = judged(*said, *[declined()] * 26, rules=rate).hits[0]
        assert (hit.value, hit.threshold, hit.unit) == (61, 60, "percent")
        assert hit.sentence == (
            "3 instruments within 10 minutes, and 26 of 42 attempts were declined."
        )

    def test_the_latest_64_attempts_and_declines_are_remembered(self) -> None:
        attempts = [attempted(at=number) for number in range(70)]
        declines = [declined(at=70 + number) for number in range(70)]
        state = judged(*attempts, *declines, rules=self.RULES).state
        assert len(state.attempts) == len(state.declines) == 64
        assert state.attempts[-1][0] - state.attempts[0][0] == 63


class TestDormantWake:
    RULES = rules("dormant_wake")
    GAP = 365 * DAY

    @pytest.mark.parametrize("wakes", [attempted, asked])
    @pytest.mark.parametrize("payment", [settled(1), asked(1)])
    def test_it_begins_at_365_days_without_a_payment(
        self, payment: AnySignal, wakes: Wakes
    ) -> None:
        assert hits_last(payment, wakes(50_000, at=self.GAP), rules=self.RULES)
        early = wakes(50_000, at=self.GAP - MICROSECOND)
        assert not hits_last(payment, early, rules=self.RULES)

    @pytest.mark.parametrize("wakes", [attempted, asked])
    @pytest.mark.parametrize(
        ("currency", "least"), [("EUR", 50_000), ("JPY", 81_500), ("KWD", 170_000)]
    )
    def test_and_at_five_hundred_euro(self, wakes: Wakes, currency: str, least: int) -> None:
        for minor, hits in ((least - 1, False), (least, True)):
            said = (settled(1), wakes(minor, currency, at=self.GAP))
            assert hits_last(*said, rules=self.RULES) is hits

    def test_a_first_payment_wakes_nobody(self) -> None:
        assert not hits_last(attempted(10**7), rules=self.RULES)
        assert not hits_last(attempted(1), attempted(10**7, at=self.GAP), rules=self.RULES)

    def test_an_attempt_is_no_payment(self) -> None:
        said = (settled(1), attempted(1, at=DAY), attempted(50_000, at=self.GAP))
        assert hits_last(*said, rules=self.RULES)

    def test_who_has_paid_since_is_awake(self) -> None:
        said = (settled(1), settled(1, at=DAY), attempted(50_000, at=self.GAP))
        assert not hits_last(*said, rules=self.RULES)

    def test_an_amended_payout_wakes_nobody_either(self) -> None:
        said = (settled(1), asked(49_999, at=self.GAP))
        less = asked(50_000, at=self.GAP + DAY, amended=True)
        assert not hits_last(*said, less, rules=self.RULES)

    def test_other_thresholds_move_it(self) -> None:
        other = rules("dormant_wake", gap_seconds=86_400, amount_minor=100)
        assert hits_last(settled(1), attempted(100, at=DAY), rules=other)
        assert not hits_last(settled(1), attempted(99, at=DAY), rules=other)
        assert not hits_last(settled(1), attempted(100, at=DAY - MICROSECOND), rules=other)


class TestDisputeLoad:
    def test_the_first_is_enough(self) -> None:
        assert hits_last(disputed(), rules=rules("dispute_load"))

    def test_one_exactly_180_days_old_still_counts(self) -> None:
        two = rules("dispute_load", player_disputes=2)
        assert not hits_last(disputed(), rules=two)
        assert hits_last(disputed(), disputed(at=180 * DAY), rules=two)
        late = disputed(at=180 * DAY + MICROSECOND)
        assert not hits_last(disputed(), late, rules=two)


class TestRefundAbuse:
    RULES = rules("refund_abuse")

    @CURRENCIES
    def test_it_begins_at_three_refunds_and_three_tenths_of_deposits(self, currency: str) -> None:
        ten = [settled(1, currency)] * 10
        assert not hits_last(*ten, refund(), refund(), rules=self.RULES)
        assert hits_last(*ten, refund(), refund(), refund(), rules=self.RULES)
        eleven = [*ten, settled(1, "GBP")]
        assert not hits_last(*eleven, refund(), refund(), refund(), rules=self.RULES)
        assert hits_last(*eleven, *[refund()] * 4, rules=self.RULES)

    def test_a_share_just_below_is_below(self) -> None:
        """30 of 101 are 29.7 percent, 31 are 30.7."""
        said = [settled(1)] * 101
        other = rules("refund_abuse", refunds=30)
        assert not hits_last(*said, *[refund()] * 30, rules=other)
        assert hits_last(*said, *[refund()] * 31, rules=other)

    def test_without_any_deposit_of_the_window_three_refunds_are_enough(self) -> None:
        assert not hits_last(refund(), refund(), rules=self.RULES)
        assert hits_last(refund(), refund(), refund(), rules=self.RULES)

    @CURRENCIES
    def test_refunds_and_deposits_exactly_30_days_old_still_count(self, currency: str) -> None:
        assert hits_last(refund(), refund(), refund(at=30 * DAY), rules=self.RULES)
        late = refund(at=30 * DAY + MICROSECOND)
        assert not hits_last(refund(), refund(), late, rules=self.RULES)
        eleven = [settled(1, currency)] * 11
        two = [refund(at=DAY)] * 2
        assert not hits_last(*eleven, *two, refund(at=30 * DAY), rules=self.RULES)
        assert hits_last(*eleven, *two, late, rules=self.RULES)

    def test_other_thresholds_move_it(self) -> None:
        other = rules("refund_abuse", refunds=1, refund_percent=50)
        assert hits_last(settled(1), settled(1), refund(), rules=other)
        assert not hits_last(*[settled(1)] * 3, refund(), rules=other)


class TestFxRoundTrip:
    RULES = rules("fx_round_trip")

    def trip(self, to: str = "JPY", at: int = 0, back_at: int = 0) -> list[AnySignal]:
        """Without any gain."""
        there = converted(10_000, "EUR", 16_300, to, at=at)
        return [there, converted(16_300, to, 10_000, "EUR", at=back_at or at)]

    @pytest.mark.parametrize("to", ["JPY", "GBP"])
    def test_it_begins_at_three_within_a_day(self, to: str) -> None:
        two = [*self.trip(to), *self.trip(to)]
        assert not hits_last(*two, rules=self.RULES)
        assert hits_last(*two, *self.trip(to, at=DAY), rules=self.RULES)
        assert not hits_last(*two, *self.trip(to, at=DAY + MICROSECOND), rules=self.RULES)

    def test_trips_between_several_currencies_count_together(self) -> None:
        said = [*self.trip("JPY"), *self.trip("GBP"), *self.trip("USD")]
        assert hits_last(*said, rules=self.RULES)

    def test_one_way_after_another_is_no_round_trip(self) -> None:
        one = rules("fx_round_trip", trips=1)
        circle = [("EUR", "JPY"), ("JPY", "GBP"), ("GBP", "EUR"), ("EUR", "JPY")]
        said = [converted(100, frm, 100, to) for frm, to in circle]
        assert not hits_last(*said, rules=one)

    def test_each_way_there_has_one_way_back(self) -> None:
        two = rules("fx_round_trip", trips=2, gain_basis_points=10_000)
        there, back = self.trip()
        assert not hits_last(there, back, back, rules=two)
        assert not hits_last(there, there, back, rules=two)
        assert hits_last(there, there, back, back, rules=two)
        assert hits_last(there, back, there, back, rules=two)

    def test_a_way_there_exactly_24_hours_old_still_counts(self) -> None:
        one = rules("fx_round_trip", trips=1)
        assert hits_last(*self.trip(back_at=DAY), rules=one)
        assert not hits_last(*self.trip(back_at=DAY + MICROSECOND), rules=one)

    @pytest.mark.parametrize(
        ("there", "back", "most"),
        [
            # All of it there and back: half a percent of 100.00 EUR is 50 cents.
            ((10_000, "EUR", 16_300, "JPY"), (16_300, "JPY"), 10_050),
            ((10_000, "EUR", 8_600, "GBP"), (8_600, "GBP"), 10_050),
            # Half of it back, and a trip that begins in yen.
            ((10_000, "EUR", 16_300, "JPY"), (8_150, "JPY"), 5_025),
            ((100_000, "JPY", 61_349, "EUR"), (61_349, "EUR"), 100_500),
        ],
    )
    def test_a_single_one_hits_where_it_gains_more_than_half_a_percent(
        self, there: tuple[int, str, int, str], back: tuple[int, str], most: int
    ) -> None:
        way_there = converted(*there)
        for minor, hits in ((most, False), (most + 1, True)):
            said = (way_there, converted(*back, minor, there[1]))
            assert hits_last(*said, rules=self.RULES) is hits

    def test_the_way_back_belongs_to_the_latest_way_there(self) -> None:
        cheap, dear = converted(10_000, "EUR", 8_500, "GBP"), converted(10_000, "EUR", 9_000, "GBP")
        back = converted(8_500, "GBP", 10_000, "EUR")
        assert hits_last(cheap, dear, back, rules=self.RULES)
        assert not hits_last(dear, cheap, back, rules=self.RULES)

    def test_a_gain_counts_when_it_is_made(self) -> None:
        """Not again with every conversion after it; seen only once the rule is on."""
        said = [converted(100, "EUR", 100, "GBP"), converted(100, "GBP", 200, "EUR")]
        before = judged(*said, rules=rules("fx_round_trip", mode="off")).state
        later = converted(100, "EUR", 100, "USD")
        assert judged(later, rules=self.RULES, before=before).hits == ()

    def test_a_gain_is_said_in_percent_rounded_up(self) -> None:
        said = [converted(10_000, "EUR", 8_600, "GBP"), converted(8_600, "GBP", 10_051, "EUR")]
        hit = judged(*said, rules=self.RULES).hits[0]
        assert (hit.value, hit.threshold, hit.unit) == (51, 50, "basis_points")
        assert hit.sentence == "A round trip between EUR and GBP within a day gained 0.51 %."

    def test_a_large_gain_is_said_in_percent_too(self) -> None:
        said = [converted(10_000, "EUR", 8_600, "GBP"), converted(8_600, "GBP", 20_000, "EUR")]
        hit = judged(*said, rules=self.RULES).hits[0]
        assert hit.sentence.endswith(" gained 100.00 %.")
        assert hit.inputs["there"] == "100.00 EUR for 86.00 GBP"
        assert hit.inputs["back"] == "86.00 GBP for 200.00 EUR"

    def test_other_thresholds_move_it(self) -> None:
        hit = judged(*self.trip(), rules=rules("fx_round_trip", trips=1)).hits[0]
        assert hit.sentence == "1 round trip within a day, the last between EUR and JPY."
        other = rules("fx_round_trip", gain_basis_points=100)
        there = converted(10_000, "EUR", 8_600, "GBP")
        for minor, hits in ((10_100, False), (10_101, True)):
            said = (there, converted(8_600, "GBP", minor, "EUR"))
            assert hits_last(*said, rules=other) is hits

    def test_the_latest_32_conversions_are_remembered(self) -> None:
        said = [converted(100, "EUR", 100, "GBP", at=number) for number in range(40)]
        conversions = judged(*said, rules=self.RULES).state.conversions
        assert len(conversions) == 32
        assert conversions[-1][0] - conversions[0][0] == 31
