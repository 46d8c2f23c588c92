"""Checks of deposits: exactly where each begins to be true, in money and in time."""

from datetime import timedelta

import pytest

from domain.fraud.indicators.catalogue import BY_CODE
from domain.fraud.indicators.declaring import Subject, Unit
from projections.fraud.checks.paying_in import FATF_HIGH_RISK
from projections.fraud.judging import weighed
from projections.fraud.signals import AnySignal
from projections.fraud.windows import KEPT_MAX
from tests.generators.fraud_signals import (
    DAY,
    MICROSECOND,
    START_US,
    SUBJECT,
    attempted,
    counted,
    excluded,
    hits_last,
    included,
    judged,
    known,
    moment,
    paid,
    refused,
    rules,
    settled,
)


def test_every_threshold_in_money_is_in_euro_but_the_british_one() -> None:
    """The checks name the currency they compare in; the catalogue says it to everybody else."""
    currencies = {
        (indicator.code, parameter.currency)
        for indicator in BY_CODE.values()
        for parameter in indicator.parameters
        if parameter.unit is Unit.MINOR and Subject.PLAYER in indicator.subjects
    }
    assert {code for code, currency in currencies if currency != "EUR"} == {"vulnerability_check"}
    assert ("vulnerability_check", "GBP") in currencies


class TestDueDiligenceThreshold:
    RULES = rules("due_diligence_threshold")

    @pytest.mark.parametrize(
        ("currency", "least"),
        [("EUR", 200_000), ("GBP", 172_000), ("JPY", 326_000), ("KWD", 680_000)],
    )
    def test_it_begins_at_two_thousand_euro_in_any_currency(
        self, currency: str, least: int
    ) -> None:
        assert not hits_last(settled(least - 1, currency), rules=self.RULES)
        assert hits_last(settled(least, currency), rules=self.RULES)

    def test_currencies_count_together_each_rounded_down_by_itself(self) -> None:
        # 44 yen are 26.99 cents and 0.101 dinars 29.70: 55 cents together, not 56.
        foreign = (settled(44, "JPY"), settled(101, "KWD"))
        assert not hits_last(*foreign, settled(199_944), rules=self.RULES)
        assert hits_last(*foreign, settled(199_945), rules=self.RULES)

    @pytest.mark.parametrize("currency", ["EUR", "JPY"])
    def test_a_deposit_exactly_180_days_old_still_counts(self, currency: str) -> None:
        half = {"EUR": 100_000, "JPY": 163_000}[currency]
        first = settled(half, currency)
        assert hits_last(first, settled(half, currency, at=180 * DAY), rules=self.RULES)
        later = settled(half, currency, at=180 * DAY + MICROSECOND)
        assert not hits_last(first, later, rules=self.RULES)

    @pytest.mark.parametrize("minor", [5_000, 1_000_000])
    def test_another_threshold_moves_it(self, minor: int) -> None:
        other = rules("due_diligence_threshold", sum_minor=minor)
        assert not hits_last(settled(minor - 1), rules=other)
        assert hits_last(settled(minor), rules=other)

    @pytest.mark.parametrize("verification", ["none", "basic"])
    def test_only_full_verification_ends_it(self, verification: str) -> None:
        hit = judged(known("none"), settled(200_000), rules=self.RULES)
        same = judged(known(verification), rules=self.RULES, before=hit.state)
        assert weighed(same.state, SUBJECT) == weighed(hit.state, SUBJECT) != []
        full = judged(known("full"), rules=self.RULES, before=hit.state)
        assert weighed(full.state, SUBJECT) == []
        assert not hits_last(known("full"), settled(200_000), rules=self.RULES)

    def test_it_comes_again_at_once_when_verification_is_withdrawn(self) -> None:
        said = (settled(200_000), known("full"), settled(100), known("basic"), settled(100))
        assert [hit.position for hit in judged(*said, rules=self.RULES).hits] == [1, 5]


class TestVulnerabilityCheck:
    RULES = rules("vulnerability_check")
    BRITISH = known("full", "GB")

    @pytest.mark.parametrize(
        ("currency", "most"),
        # 86 pence a euro, rounded down: 174.43 EUR are 150.00 GBP, and 174.44 EUR are 150.01.
        [("GBP", 15_000), ("EUR", 17_443), ("JPY", 28_432), ("KWD", 59_306)],
    )
    def test_it_begins_above_150_pounds_net(self, currency: str, most: int) -> None:
        assert not hits_last(self.BRITISH, settled(most, currency), rules=self.RULES)
        assert hits_last(self.BRITISH, settled(most + 1, currency), rules=self.RULES)

    @pytest.mark.parametrize("country", ["", "DE", "IE"])
    def test_it_is_about_great_britain(self, country: str) -> None:
        assert not hits_last(known("full", country), settled(10**6, "GBP"), rules=self.RULES)

    @pytest.mark.parametrize(("currency", "minor"), [("GBP", 1_000), ("EUR", 1_163)])
    def test_payouts_are_taken_off(self, currency: str, minor: int) -> None:
        said = (self.BRITISH, paid(minor, currency))
        assert not hits_last(*said, settled(16_000, "GBP"), rules=self.RULES)
        assert hits_last(*said, settled(16_001, "GBP"), rules=self.RULES)

    def test_it_names_deposits_and_payouts_in_the_currencies_they_were_in(self) -> None:
        alone = judged(self.BRITISH, settled(20_000, "GBP"), rules=self.RULES)
        assert alone.hits[0].inputs["payouts"] == "nothing"
        said = (self.BRITISH, paid(500, "GBP"), settled(20_000), settled(2_000, "JPY"))
        inputs = judged(*said, rules=self.RULES).hits[0].inputs
        assert inputs == {
            "deposits": "200.00 EUR",
            "payouts": "5.00 GBP",
            "net": "167.00 GBP",
            "country": "GB",
            "window": "30 days",
        }

    def test_a_deposit_or_payout_exactly_30_days_old_still_counts(self) -> None:
        deposit = (self.BRITISH, settled(15_000, "GBP"))
        assert hits_last(*deposit, settled(1, "GBP", at=30 * DAY), rules=self.RULES)
        late = settled(1, "GBP", at=30 * DAY + MICROSECOND)
        assert not hits_last(*deposit, late, rules=self.RULES)
        payout = (self.BRITISH, paid(1, "GBP"))
        assert not hits_last(*payout, settled(15_001, "GBP", at=30 * DAY), rules=self.RULES)
        late = settled(15_001, "GBP", at=30 * DAY + MICROSECOND)
        assert hits_last(*payout, late, rules=self.RULES)

    def test_another_threshold_moves_it(self) -> None:
        other = rules("vulnerability_check", net_minor=50_000)
        assert not hits_last(self.BRITISH, settled(50_000, "GBP"), rules=other)
        assert hits_last(self.BRITISH, settled(50_001, "GBP"), rules=other)


class TestLimitBreach:
    RULES = rules("limit_breach")
    GERMAN = known("full", "DE")

    @pytest.mark.parametrize("currency", ["EUR", "JPY"])
    def test_a_deposit_refused_for_a_limit_hits_and_one_refused_otherwise_does_not(
        self, currency: str
    ) -> None:
        assert hits_last(refused(1, currency, "limit_exceeded"), rules=self.RULES)
        assert not hits_last(refused(1, currency, "player_on_hold"), rules=self.RULES)

    @pytest.mark.parametrize(
        ("currency", "most"), [("EUR", 100_000), ("GBP", 86_000), ("JPY", 163_001)]
    )
    def test_in_germany_it_begins_above_a_thousand_euro_a_month(
        self, currency: str, most: int
    ) -> None:
        for minor, hits in ((most, False), (most + 2, True)):
            said = (self.GERMAN, counted(minor, currency), attempted(minor, currency))
            assert hits_last(*said, rules=self.RULES) is hits

    def test_a_single_cent_above_is_above(self) -> None:
        said = (self.GERMAN, counted(100_001), attempted(100_001))
        assert hits_last(*said, rules=self.RULES)

    def test_a_deposit_that_was_refused_is_added_to_what_is_counted(self) -> None:
        said = (self.GERMAN, counted(95_000))
        for reason in ("player_on_hold", "player_excluded"):
            assert not hits_last(*said, refused(5_000, "EUR", reason), rules=self.RULES)
            assert hits_last(*said, refused(5_001, "EUR", reason), rules=self.RULES)
        assert not hits_last(*said, refused(8_150, "JPY", "player_on_hold"), rules=self.RULES)
        assert hits_last(*said, refused(8_152, "JPY", "player_on_hold"), rules=self.RULES)

    def test_the_deposits_of_a_month_add_up(self) -> None:
        two = (counted(60_000), counted(40_000))
        assert not hits_last(self.GERMAN, *two, attempted(40_000), rules=self.RULES)
        assert hits_last(self.GERMAN, *two, counted(1), attempted(1), rules=self.RULES)

    def test_a_refused_deposit_is_added_in_its_own_currency(self) -> None:
        """Half of 163,002 yen is 500.00 EUR rounded down; all of it is 1,000.01 EUR."""
        half = counted(81_501, "JPY")
        for minor, hits in ((81_501, True), (81_500, False)):
            said = (self.GERMAN, half, refused(minor, "JPY", "player_on_hold"))
            assert hits_last(*said, rules=self.RULES) is hits

    def test_before_the_first_deposit_the_refused_one_counts_alone(self) -> None:
        most = refused(100_000, "EUR", "player_on_hold")
        assert not hits_last(self.GERMAN, most, rules=self.RULES)
        big = refused(100_001, "EUR", "player_on_hold")
        hit = judged(self.GERMAN, big, rules=self.RULES).hits[0]
        assert hit.inputs["month"] == "2026-03"
        assert hit.since.isoformat() == "2026-03-01T00:00:00+00:00"

    def test_what_came_back_is_not_counted(self) -> None:
        said = (self.GERMAN, counted(99_000), counted(-99_000), counted(99_000))
        assert not hits_last(*said, attempted(99_000), rules=self.RULES)

    def test_currencies_count_together_but_an_earlier_month_does_not(self) -> None:
        yen = counted(81_500, "JPY")
        attempt = attempted(50_001)
        assert hits_last(self.GERMAN, yen, counted(50_001), attempt, rules=self.RULES)
        earlier = counted(81_500, "JPY", "2026-02")
        assert not hits_last(self.GERMAN, earlier, counted(50_001), attempt, rules=self.RULES)

    def test_a_new_month_begins_at_nothing_and_the_old_one_does_not_come_back(self) -> None:
        said = (self.GERMAN, counted(90_000, month="2026-02"), counted(20_000))
        assert not hits_last(*said, attempted(20_000), rules=self.RULES)
        back = counted(-90_000, month="2026-02")
        state = judged(*said, back, rules=self.RULES).state
        assert state.months == {"EUR": ("2026-03", 20_000)}

    @pytest.mark.parametrize("country", ["", "AT", "GB"])
    def test_the_month_is_about_germany(self, country: str) -> None:
        said = (known("full", country), counted(500_000), attempted(500_000))
        assert not hits_last(*said, rules=self.RULES)

    def test_another_threshold_moves_it(self) -> None:
        other = rules("limit_breach", month_de_minor=50_000)
        assert not hits_last(self.GERMAN, counted(50_000), attempted(1), rules=other)
        assert hits_last(self.GERMAN, counted(50_001), attempted(1), rules=other)


class TestExcludedDeposit:
    RULES = rules("excluded_deposit")

    @pytest.mark.parametrize("currency", ["EUR", "JPY"])
    def test_it_lasts_until_just_before_the_end(self, currency: str) -> None:
        during = attempted(1, currency, at=DAY - MICROSECOND)
        hit = judged(excluded(until=DAY), during, rules=self.RULES).hits[0]
        assert hit.inputs["excluded_until"] == "2026-03-03T09:30:00+00:00"
        after = attempted(1, currency, at=DAY)
        assert not hits_last(excluded(until=DAY), after, rules=self.RULES)

    def test_without_a_date_it_lasts_until_somebody_ends_it(self) -> None:
        late = attempted(at=10_000 * DAY)
        assert hits_last(excluded(until=None), late, rules=self.RULES)
        assert not hits_last(excluded(until=None), included(), late, rules=self.RULES)

    def test_who_was_never_excluded_may_pay_in(self) -> None:
        assert not hits_last(attempted(), rules=self.RULES)

    def test_a_deposit_refused_for_it_hits_whatever_is_known_here(self) -> None:
        hit = judged(refused(1, "EUR", "player_excluded"), rules=self.RULES).hits[0]
        assert hit.inputs["excluded_until"] == "no date"
        assert not hits_last(refused(1, "EUR", "limit_exceeded"), rules=self.RULES)
        other_reason = refused(1, "EUR", "player_on_hold")
        assert not hits_last(excluded(until=None), other_reason, rules=self.RULES)

    def test_attempt_and_refusal_are_one_hit(self) -> None:
        said = (excluded(until=None), attempted(), refused(1_000, "EUR", "player_excluded"))
        hits = judged(*said, rules=self.RULES).hits
        assert [hit.position for hit in hits] == [2]
        assert hits[0].inputs == {"deposit": "10.00 EUR", "excluded_until": "no date"}


class TestStructuring:
    RULES = rules("structuring")

    @pytest.mark.parametrize(
        ("currency", "lowest", "highest"),
        [
            ("EUR", 180_000, 199_999),
            ("EUR", 450_000, 499_999),
            ("EUR", 900_000, 999_999),
            ("JPY", 293_400, 325_999),
            ("GBP", 154_800, 171_999),
            ("KWD", 612_000, 679_999),
        ],
    )
    def test_parts_lie_from_nine_tenths_of_a_threshold_to_just_below_it(
        self, currency: str, lowest: int, highest: int
    ) -> None:
        for part in (lowest, highest):
            said = [settled(part, currency)] * 3
            assert hits_last(*said, rules=self.RULES)
        for outside in (lowest - 1, highest + 1):
            said = [settled(lowest, currency)] * 2 + [settled(outside, currency)]
            assert not hits_last(*said, rules=self.RULES)

    def test_two_parts_are_not_enough_and_those_of_two_thresholds_do_not_add_up(self) -> None:
        assert not hits_last(*[settled(190_000)] * 2, rules=self.RULES)
        mixed = (settled(190_000), settled(190_000), settled(480_000))
        assert not hits_last(*mixed, rules=self.RULES)

    def test_parts_of_several_currencies_add_up(self) -> None:
        said = (settled(190_000), settled(300_000, "JPY"), settled(160_000, "GBP"))
        assert hits_last(*said, rules=self.RULES)

    def test_the_parts_together_reach_the_threshold(self) -> None:
        half = rules("structuring", lower_percent=30, deposits=3)
        assert not hits_last(settled(66_666), settled(66_666), settled(66_667), rules=half)
        assert hits_last(settled(66_666), settled(66_667), settled(66_667), rules=half)

    def test_one_part_is_never_a_threshold(self) -> None:
        assert not hits_last(settled(199_999), rules=rules("structuring", deposits=1))

    @pytest.mark.parametrize("currency", ["EUR", "JPY"])
    def test_a_part_exactly_7_days_old_still_counts(self, currency: str) -> None:
        part = {"EUR": 190_000, "JPY": 310_000}[currency]
        said = (settled(part, currency), settled(part, currency, at=DAY))
        assert hits_last(*said, settled(part, currency, at=7 * DAY), rules=self.RULES)
        late = settled(part, currency, at=7 * DAY + MICROSECOND)
        assert not hits_last(*said, late, rules=self.RULES)

    def test_it_names_the_day_where_the_parts_of_a_day_are_enough(self) -> None:
        two = (settled(190_000), settled(190_000))
        for at, window, days in ((DAY, "24 hours", 1), (DAY + MICROSECOND, "7 days", 7)):
            hit = judged(*two, settled(190_000, at=at), rules=self.RULES).hits[0]
            assert hit.at - hit.since == timedelta(days=days)
            assert hit.inputs["window"] == window
            assert f"within {window}" in hit.sentence

    def test_many_small_deposits_that_are_kept_as_one_are_no_part(self) -> None:
        small = [settled(2_000)] * (KEPT_MAX + 1)
        assert judged(*small, rules=self.RULES).state.deposits_7d["EUR"][1:] == (97, 194_000)
        parts = [settled(190_000)] * 3
        assert not hits_last(*small, *parts[:2], rules=self.RULES)
        assert hits_last(*small, *parts, rules=self.RULES)

    def test_other_thresholds_move_it(self) -> None:
        assert hits_last(*[settled(190_000)] * 4, rules=rules("structuring", deposits=4))
        other = rules("structuring", first_minor=1_000, lower_percent=50)
        assert hits_last(settled(500), settled(999), settled(500), rules=other)
        assert not hits_last(settled(499), settled(999), settled(500), rules=other)


class TestAmountSpike:
    RULES = rules("amount_spike")

    @pytest.mark.parametrize(
        ("currency", "usual", "most"),
        [("EUR", 5_000, 50_000), ("JPY", 8_150, 81_501), ("GBP", 4_300, 43_000)],
    )
    def test_it_begins_above_ten_times_the_median(
        self, currency: str, usual: int, most: int
    ) -> None:
        earlier = [settled(usual, currency)] * 3
        assert not hits_last(*earlier, attempted(most, currency), rules=self.RULES)
        assert hits_last(*earlier, attempted(most + 1, currency), rules=self.RULES)

    @pytest.mark.parametrize(
        ("currency", "least"), [("EUR", 50_000), ("JPY", 81_500), ("KWD", 170_000)]
    )
    def test_and_at_five_hundred_euro(self, currency: str, least: int) -> None:
        earlier = [settled(100)] * 3
        assert not hits_last(*earlier, attempted(least - 1, currency), rules=self.RULES)
        assert hits_last(*earlier, attempted(least, currency), rules=self.RULES)

    def test_of_an_even_number_the_median_is_between_the_two_in_the_middle(self) -> None:
        earlier = [settled(minor) for minor in (1, 5_000, 5_001, 10**9)]
        assert not hits_last(*earlier, attempted(50_005), rules=self.RULES)
        assert hits_last(*earlier, attempted(50_006), rules=self.RULES)

    def test_of_an_odd_number_it_is_the_one_in_the_middle(self) -> None:
        earlier = [settled(minor) for minor in (10**9, 5_000, 1)]
        assert not hits_last(*earlier, attempted(50_000), rules=self.RULES)
        assert hits_last(*earlier, attempted(50_001), rules=self.RULES)

    def test_two_earlier_deposits_have_no_median(self) -> None:
        assert not hits_last(*[settled(100)] * 2, attempted(10**7), rules=self.RULES)

    @pytest.mark.parametrize("currency", ["EUR", "JPY"])
    def test_a_deposit_exactly_90_days_old_still_counts(self, currency: str) -> None:
        earlier = (settled(100, currency), *[settled(100, currency, at=DAY)] * 2)
        assert hits_last(*earlier, attempted(10**6, currency, at=90 * DAY), rules=self.RULES)
        late = attempted(10**6, currency, at=90 * DAY + MICROSECOND)
        assert not hits_last(*earlier, late, rules=self.RULES)

    def test_the_median_is_of_the_latest_31_deposits(self) -> None:
        earlier = [settled(100)] * 20 + [settled(100_000)] * 16
        assert not hits_last(*earlier, attempted(1_000_000), rules=self.RULES)
        assert hits_last(*earlier, attempted(1_000_001), rules=self.RULES)

    def test_other_thresholds_move_it(self) -> None:
        other = rules("amount_spike", times=2, amount_minor=100, deposits=1)
        assert not hits_last(settled(100), attempted(200), rules=other)
        assert hits_last(settled(100), attempted(201), rules=other)
        assert not hits_last(attempted(10**6), rules=other)


class TestGeoConflict:
    RULES = rules("geo_conflict")

    @pytest.mark.parametrize("currency", ["EUR", "JPY"])
    def test_it_begins_at_two_different_countries(self, currency: str) -> None:
        same = attempted(1, currency, card="DE", address="DE")
        assert not hits_last(known("full", "DE"), same, rules=self.RULES)
        for other in (
            attempted(1, currency, card="RO", address="DE"),
            attempted(1, currency, card="DE", address="RO"),
            attempted(1, currency, card="RO"),
        ):
            assert hits_last(known("full", "DE"), other, rules=self.RULES)

    def test_what_is_not_known_does_not_differ(self) -> None:
        assert not hits_last(known("none", ""), attempted(address="RO"), rules=self.RULES)
        assert not hits_last(attempted(), rules=self.RULES)

    @pytest.mark.parametrize("listed", sorted(FATF_HIGH_RISK))
    def test_a_listed_country_is_high_even_alone(self, listed: str) -> None:
        for said in (
            [attempted(card=listed)],
            [attempted(address=listed)],
            [known("full", listed), attempted()],
        ):
            hit = judged(*said, rules=self.RULES).hits[0]
            assert (hit.severity, hit.value, hit.threshold) == ("high", 1, 1)

    def test_another_threshold_moves_it(self) -> None:
        three = rules("geo_conflict", countries=3)
        two = attempted(card="RO", address="DE")
        assert not hits_last(known("full", "DE"), two, rules=three)
        hit = judged(known("full", "AT"), two, rules=three).hits[0]
        assert hit.inputs == {
            "card": "RO",
            "address": "DE",
            "verified": "AT",
            "deposit": "10.00 EUR",
        }


@pytest.mark.parametrize("late", [attempted(), refused(1_000, "EUR", "player_on_hold")])
def test_a_players_clock_never_runs_backwards(late: AnySignal) -> None:
    state = judged(known(at=5 * DAY), late, rules=rules("limit_breach")).state
    assert state.at_us == START_US + 5 * DAY


def test_an_exclusion_that_has_ended_by_the_players_clock_has_ended_for_late_news_too() -> None:
    said = (excluded(until=DAY), known(at=2 * DAY), attempted(at=0))
    assert not hits_last(*said, rules=rules("excluded_deposit"))
    late = judged(known(at=2 * DAY), settled(200_000), rules=rules("due_diligence_threshold"))
    assert late.hits[0].at == moment(2 * DAY)
