"""Checks of payouts: exactly where each begins to be true, in money and in time."""

from datetime import timedelta

import pytest

from projections.fraud.signals import AnySignal
from tests.generators.fraud_signals import (
    DAY,
    HOUR,
    MICROSECOND,
    MINUTE,
    SECOND,
    asked,
    attempted,
    credential,
    hits_last,
    judged,
    rules,
    settled,
    taken,
    wagered,
)


class TestPassThrough:
    RULES = rules("pass_through")

    @pytest.mark.parametrize(
        ("currency", "least"), [("EUR", 10_000), ("JPY", 16_300), ("KWD", 34_000)]
    )
    def test_it_needs_deposits_of_a_hundred_euro(self, currency: str, least: int) -> None:
        for deposit, hits in ((least - 1, False), (least, True)):
            said = (settled(deposit, currency), asked(deposit, currency))
            assert hits_last(*said, rules=self.RULES) is hits

    @pytest.mark.parametrize(
        ("currency", "least"), [("EUR", 80_000), ("JPY", 130_400), ("GBP", 68_800)]
    )
    def test_it_begins_where_four_fifths_are_asked_for_again(
        self, currency: str, least: int
    ) -> None:
        assert not hits_last(settled(100_000), asked(least - 1, currency), rules=self.RULES)
        assert hits_last(settled(100_000), asked(least, currency), rules=self.RULES)

    @pytest.mark.parametrize(
        ("currency", "enough"), [("EUR", 30_000), ("JPY", 48_900), ("GBP", 25_800)]
    )
    def test_three_tenths_wagered_are_enough_play(self, currency: str, enough: int) -> None:
        for stake, hits in ((enough, False), (enough - 1, True)):
            said = (settled(100_000), wagered(stake, currency), asked(100_000))
            assert hits_last(*said, rules=self.RULES) is hits

    @pytest.mark.parametrize("currency", ["EUR", "JPY"])
    def test_a_deposit_exactly_72_hours_old_still_counts(self, currency: str) -> None:
        said = settled(100_000, currency)
        assert hits_last(said, asked(100_000, currency, at=3 * DAY), rules=self.RULES)
        late = asked(100_000, currency, at=3 * DAY + MICROSECOND)
        assert not hits_last(said, late, rules=self.RULES)

    def test_so_do_a_stake_and_a_payout(self) -> None:
        deposit = settled(100_000, at=DAY)
        for at, hits in ((3 * DAY, False), (3 * DAY + MICROSECOND, True)):
            played = (wagered(30_000), deposit, asked(100_000, at=at))
            assert hits_last(*played, rules=self.RULES) is hits
        for at, hits in ((3 * DAY, True), (3 * DAY + MICROSECOND, False)):
            twice = (asked(40_000), deposit, asked(40_000, at=at))
            assert hits_last(*twice, rules=self.RULES) is hits

    def test_payouts_add_up_but_an_amended_one_is_still_the_same(self) -> None:
        said = (settled(100_000), asked(40_000))
        assert hits_last(*said, asked(40_000), rules=self.RULES)
        assert not hits_last(*said, asked(40_000, amended=True), rules=self.RULES)

    def test_other_thresholds_move_it(self) -> None:
        other = rules("pass_through", payout_percent=50, wagered_percent=100, deposits_minor=100)
        for deposit, stake, payout, hits in (
            (100, 99, 50, True),
            (99, 0, 99, False),
            (100, 100, 50, False),
            (100, 99, 49, False),
        ):
            said = (settled(deposit), wagered(stake), asked(payout))
            assert hits_last(*said, rules=other) is hits


class TestLowTurnover:
    RULES = rules("low_turnover")

    @pytest.mark.parametrize("currency", ["EUR", "JPY", "KWD"])
    def test_the_last_deposit_has_to_be_wagered_once(self, currency: str) -> None:
        for stake, hits in ((19_999, True), (20_000, False)):
            said = (settled(20_000, currency), wagered(stake, currency), asked(1, currency))
            assert hits_last(*said, rules=self.RULES) is hits

    @pytest.mark.parametrize(
        ("deposited", "staked", "enough"), [("EUR", "JPY", 32_600), ("JPY", "EUR", 12_270)]
    )
    def test_stakes_of_another_currency_count_as_what_they_are_worth(
        self, deposited: str, staked: str, enough: int
    ) -> None:
        for stake, hits in ((enough, False), (enough - 1, True)):
            said = (settled(20_000, deposited), wagered(stake, staked), asked(1))
            assert hits_last(*said, rules=self.RULES) is hits

    def test_only_what_was_wagered_since_the_last_deposit_counts(self) -> None:
        said = (settled(100), wagered(50_000), settled(20_000))
        assert hits_last(*said, wagered(19_999), asked(1), rules=self.RULES)
        assert not hits_last(*said, wagered(20_000), asked(1), rules=self.RULES)
        first = (settled(20_000), settled(100), wagered(100), asked(1))
        assert not hits_last(*first, rules=self.RULES)

    def test_however_long_ago_it_was(self) -> None:
        hit = judged(settled(20_000), asked(1, at=400 * DAY), rules=self.RULES).hits[0]
        assert (hit.at - hit.since).days == 400
        said = (settled(20_000), wagered(20_000, at=100 * DAY), asked(1, at=400 * DAY))
        assert not hits_last(*said, rules=self.RULES)

    def test_who_never_paid_in_has_nothing_to_play_through(self) -> None:
        assert not hits_last(asked(1_000_000), rules=self.RULES)

    def test_another_threshold_moves_it(self) -> None:
        other = rules("low_turnover", wagered_percent=35)
        for stake, hits in ((6_999, True), (7_000, False)):
            said = (settled(20_000), wagered(stake), asked(1))
            assert hits_last(*said, rules=other) is hits


class TestNewPayoutTarget:
    RULES = rules("new_payout_target")

    @pytest.mark.parametrize("currency", ["EUR", "JPY"])
    @pytest.mark.parametrize("first", [taken("bank-1"), attempted(instrument="bank-1")])
    def test_an_instrument_is_new_for_exactly_a_day(self, first: AnySignal, currency: str) -> None:
        for at, hits in ((DAY, True), (DAY + MICROSECOND, False)):
            said = (first, asked(1, currency, at=at, instrument="bank-1"))
            assert hits_last(*said, rules=self.RULES) is hits

    def test_using_it_again_does_not_make_it_new(self) -> None:
        said = (taken("bank-1"), attempted(instrument="bank-1", at=20 * HOUR))
        late = asked(1, at=DAY + MICROSECOND, instrument="bank-1")
        assert not hits_last(*said, late, rules=self.RULES)

    def test_one_that_the_payout_names_first_is_new(self) -> None:
        assert hits_last(asked(1, instrument="bank-1"), rules=self.RULES)

    def test_one_that_has_paid_in_is_known(self) -> None:
        said = (attempted(instrument="card-1"), settled(1_000, instrument="card-1"))
        assert not hits_last(*said, asked(1, instrument="card-1"), rules=self.RULES)
        assert hits_last(*said, asked(1, instrument="card-2"), rules=self.RULES)

    def test_a_deposit_speaks_for_its_own_instrument_only(self) -> None:
        used = [attempted(instrument=f"card-{number}") for number in (1, 2, 3)]
        deposit = settled(1_000, instrument="card-2")
        for instrument, hits in (("card-1", True), ("card-2", False), ("card-3", True)):
            payout = asked(1, instrument=instrument)
            assert hits_last(*used, deposit, payout, rules=self.RULES) is hits

    def test_an_amended_payout_is_looked_at_again(self) -> None:
        known = (attempted(instrument="card-1"), settled(1_000, instrument="card-1"))
        said = (*known, asked(2, instrument="card-1"))
        assert hits_last(*said, asked(1, instrument="card-2", amended=True), rules=self.RULES)

    @pytest.mark.parametrize("currency", ["EUR", "JPY"])
    def test_a_changed_credential_counts_for_exactly_a_day(self, currency: str) -> None:
        known = (attempted(), settled(1_000))
        for at, hits in ((DAY, True), (DAY + MICROSECOND, False)):
            said = (*known, credential("email"), asked(1, currency, at=at))
            assert hits_last(*said, rules=self.RULES) is hits
        assert not hits_last(*known, asked(1, currency), rules=self.RULES)

    def test_it_says_when_the_credential_was_changed(self) -> None:
        said = (attempted(), settled(1_000), credential("email"), asked(1, at=3 * HOUR))
        hit = judged(*said, rules=self.RULES).hits[0]
        assert (hit.value, hit.threshold, hit.unit) == (3 * 3_600, 86_400, "seconds")
        assert hit.since == hit.at - timedelta(days=1)
        assert hit.inputs == {"payout": "0.01 EUR", "credential": "email", "changed": "3 h before"}

    def test_the_latest_change_counts(self) -> None:
        known = (attempted(), settled(1_000), credential("email"))
        said = (*known, credential("second_factor", at=DAY), asked(1, at=2 * DAY))
        hit = judged(*said, rules=self.RULES).hits[0]
        assert hit.sentence == (
            "A payout is asked for 24 h after the player's second factor was changed."
        )

    @pytest.mark.parametrize(
        ("after", "said"),
        [
            (0, "0 s"),
            (59 * SECOND, "59 s"),
            (60 * SECOND, "1 min"),
            (59 * MINUTE, "59 min"),
            (60 * MINUTE, "1 h"),
            (47 * HOUR, "47 h"),
            (48 * HOUR, "2 days"),
        ],
    )
    def test_it_says_how_long_before(self, after: int, said: str) -> None:
        longer = rules("new_payout_target", age_seconds=30 * 86_400)
        payout = asked(1, at=after, instrument="bank-1")
        hit = judged(taken("bank-1"), payout, rules=longer).hits[0]
        assert hit.inputs["first_used"] == f"{said} before"
        assert hit.value == after // SECOND

    def test_other_thresholds_move_it(self) -> None:
        other = rules("new_payout_target", age_seconds=60, credential_seconds=30)
        for at, hits in ((60 * SECOND, True), (60 * SECOND + MICROSECOND, False)):
            said = (taken("bank-1"), asked(1, at=at, instrument="bank-1"))
            assert hits_last(*said, rules=other) is hits
        known = (attempted(), settled(1_000), credential())
        for at, hits in ((30 * SECOND, True), (30 * SECOND + MICROSECOND, False)):
            assert hits_last(*known, asked(1, at=at), rules=other) is hits
