"""Instruments: outside the closed loop, of another name, shared, declined again and again."""

import msgspec
import pytest

from projections.fraud.judging import weighed
from projections.fraud.signals import (
    Cleared,
    Declined,
    HolderChecked,
    LegAsked,
    NetCounted,
    RefundAsked,
    Seen,
)
from projections.fraud.states import PLAYERS_MAX, AnyState, HoldingState, InstrumentState
from projections.fraud.windows import KEPT_MAX
from tests.generators.fraud_signals import DAY, HOUR, MINUTE, START_US, rules
from tests.generators.fraud_subjects import Judged, player

HOLDING = f"holding:{player(1)}:card"
CARD = "instrument:card"


def asked(judged: Judged, amount: int, currency: str = "EUR", **said: object) -> list[str]:
    hits = judged.tell(LegAsked, HOLDING, 0, amount=amount, currency=currency, **said)
    return [hit.indicator for hit in hits]


# --- closed_loop --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("currency", "at_threshold", "above"),
    [("EUR", 10_000, 10_001), ("GBP", 8_600, 8_601), ("JPY", 16_301, 16_302)],
)
def test_a_payout_out_of_the_loop_may_be_as_much_as_the_threshold(
    currency: str, at_threshold: int, above: int
) -> None:
    """What is worth a fraction of a cent more is rounded down: 16301 JPY are 100.006 EUR."""
    loose = rules("closed_loop", excess_minor=10_000)
    assert asked(Judged(loose), at_threshold - 1, currency) == []
    assert asked(Judged(loose), at_threshold, currency) == []
    assert asked(Judged(loose), above, currency) == ["closed_loop"]


def test_one_cent_out_of_the_loop_is_enough_by_default() -> None:
    judged = Judged()
    assert asked(judged, 1) == ["closed_loop"]
    (hit,) = judged.hits
    assert (hit.severity, hit.value, hit.threshold, hit.unit) == ("high", 1, 0, "minor")
    assert weighed(judged.states[HOLDING], HOLDING)[0].holds


@pytest.mark.parametrize("said", [{"closed_loop": True}, {}])
def test_a_payout_inside_the_loop_hits_nothing(said: dict[str, bool]) -> None:
    judged = Judged()
    if not said:
        judged.tell(NetCounted, HOLDING, 0, currency="GBP", change=1)
    assert asked(judged, 50_000, **said) == []


def test_what_has_ever_paid_in_stays_inside_the_loop_when_all_of_it_went_back() -> None:
    judged = Judged()
    judged.tell(NetCounted, HOLDING, 0, currency="EUR", change=500)
    judged.tell(NetCounted, HOLDING, 0, currency="EUR", change=-500)
    assert judged.state(HOLDING, HoldingState).net == {"EUR": 0}
    assert asked(judged, 500) == []


def test_an_amended_payout_is_not_held_against_itself() -> None:
    """The net is less by what was first asked for; nothing has been paid to the instrument yet."""
    judged = Judged()
    judged.tell(NetCounted, HOLDING, 0, currency="EUR", change=-30_000)
    assert asked(judged, 20_000, taken=30_000) == ["closed_loop"]
    (hit,) = judged.hits
    assert (hit.value, hit.inputs["net_paid_in"]) == (20_000, "0.00 EUR")
    assert "before" not in hit.sentence


def test_payouts_to_the_same_instrument_add_up_in_their_currency() -> None:
    judged = Judged(rules("closed_loop", excess_minor=10_000))
    judged.tell(NetCounted, HOLDING, 0, currency="EUR", change=-6_000)
    judged.tell(NetCounted, HOLDING, 0, currency="GBP", change=-6_000)
    assert asked(judged, 4_000) == []
    assert asked(judged, 4_001) == ["closed_loop"]
    (hit,) = judged.hits
    assert hit.value == 10_001
    assert hit.inputs["net_paid_in"] == "-60.00 EUR"
    assert "was paid 60.00 EUR before" in hit.sentence


# --- name_mismatch ------------------------------------------------------------------------------


@pytest.mark.parametrize(("similarity", "hits"), [(84, 1), (85, 0), (86, 0)])
def test_names_have_to_be_as_similar_as_the_threshold(similarity: int, hits: int) -> None:
    judged = Judged()
    judged.tell(HolderChecked, HOLDING, 0, similarity=similarity)
    assert len(judged.hits) == hits


def test_a_name_that_is_similar_enough_later_ends_the_mismatch() -> None:
    judged = Judged()
    judged.tell(HolderChecked, HOLDING, 0, similarity=20)
    assert [hit.indicator for hit in weighed(judged.states[HOLDING], HOLDING)] == ["name_mismatch"]
    assert judged.tell(HolderChecked, HOLDING, 1, similarity=30) == ()
    assert weighed(judged.states[HOLDING], HOLDING) != []
    judged.tell(HolderChecked, HOLDING, 2, similarity=85)
    assert weighed(judged.states[HOLDING], HOLDING) == []
    assert judged.tell(HolderChecked, HOLDING, 3, similarity=20) != ()


def test_only_the_mismatch_ends_with_a_similar_name() -> None:
    judged = Judged()
    asked(judged, 100)
    judged.tell(HolderChecked, HOLDING, 1, similarity=100)
    assert [hit.indicator for hit in weighed(judged.states[HOLDING], HOLDING)] == ["closed_loop"]


# --- shared_instrument --------------------------------------------------------------------------


def test_two_players_of_an_instrument_are_medium_and_the_third_makes_it_high_at_once() -> None:
    judged = Judged()
    for who in (1, 1, 2, 1, 2, 3, 4):
        judged.tell(Seen, CARD, 0, who)
    assert judged.severities() == ["medium", "high"]
    medium, high = judged.hits
    assert (medium.value, medium.threshold) == (2, 2)
    assert (high.value, high.threshold, str(high.player_id)) == (3, 3, player(3))
    assert high.inputs["seen_last"] == ", ".join(player(who) for who in (3, 2, 1))


@pytest.mark.parametrize(("later", "severities"), [(0, ["medium"]), (1, [])])
def test_who_used_an_instrument_exactly_30_days_ago_still_counts(
    later: int, severities: list[str]
) -> None:
    judged = Judged()
    judged.tell(Seen, CARD, 0, 1)
    judged.tell(Seen, CARD, 30 * DAY + later, 2)
    assert judged.severities() == severities


def test_a_player_counts_from_the_last_time_they_used_it() -> None:
    judged = Judged()
    for at in (0, 20 * DAY):
        judged.tell(Seen, CARD, at, 1)
    judged.tell(Seen, CARD, 50 * DAY, 2)
    assert judged.severities() == ["medium"]


def test_a_payout_is_no_use_of_its_own() -> None:
    judged = Judged()
    judged.tell(Seen, CARD, 0, 1)
    judged.tell(LegAsked, CARD, 0, 2)
    assert judged.hits == []


def test_the_same_sharing_is_recorded_again_when_it_no_longer_counts() -> None:
    judged = Judged()
    for at in (0, 30 * DAY - 1, 30 * DAY):
        for who in (1, 2):
            judged.tell(Seen, CARD, at, who)
    first, second = judged.hits
    assert (second.at - first.at).days == 30


# --- repeated_declines --------------------------------------------------------------------------


def declined(judged: Judged, number: int, every: int, at: int = 0) -> None:
    for one in range(number):
        judged.tell(Declined, CARD, at + one * every, one)


def test_nine_declines_in_a_day_are_not_yet_repeated_and_the_tenth_is() -> None:
    judged = Judged()
    declined(judged, 9, HOUR)
    assert judged.hits == []
    declined(judged, 2, HOUR, 9 * HOUR)
    (hit,) = judged.hits
    assert (hit.severity, hit.value, hit.threshold) == ("high", 10, 10)
    assert hit.sentence == "10 declines of the instrument within 24 hours (at least 10)."


@pytest.mark.parametrize(("later", "hits"), [(0, 1), (1, 0)])
def test_a_decline_exactly_24_hours_old_still_counts(later: int, hits: int) -> None:
    judged = Judged()
    declined(judged, 9, 0)
    declined(judged, 1, 0, DAY + later)
    assert len(judged.hits) == hits


@pytest.mark.parametrize(("later", "hits"), [(0, 1), (1, 0)])
def test_a_decline_exactly_30_days_old_still_counts(later: int, hits: int) -> None:
    judged = Judged()
    declined(judged, 14, 2 * DAY)
    declined(judged, 1, 0, 30 * DAY + later)
    assert [hit.value for hit in judged.hits] == [15] * hits


def test_many_declines_of_a_month_leave_those_of_a_day_exact() -> None:
    """More than a window keeps one by one may not be counted into the shorter window beside it."""
    judged = Judged(rules("repeated_declines", month_declines=1_000))
    declined(judged, 2 * KEPT_MAX, 3 * HOUR)
    assert judged.hits == []


# --- every indicator ----------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["live", "shadow", "off"])
def test_a_mode_says_whether_a_hit_is_recorded_and_whether_it_weighs(mode: str) -> None:
    judged = [Judged(rules(code, mode)) for code in INDICATORS]
    for one, happens in zip(judged, INDICATORS.values(), strict=True):
        happens(one)
    expected = [] if mode == "off" else [mode]
    for one, code in zip(judged, INDICATORS, strict=True):
        hits = [hit for hit in one.hits if hit.indicator == code]
        assert [hit.mode for hit in hits] == expected
        (state,) = one.states.values()
        assert [hit.indicator for hit in weighed(state, "s")] == [code] * (mode == "live")


INDICATORS = {
    "closed_loop": lambda one: one.tell(LegAsked, HOLDING, 0),
    "name_mismatch": lambda one: one.tell(HolderChecked, HOLDING, 0, similarity=1),
    "shared_instrument": lambda one: [one.tell(Seen, CARD, 0, who) for who in (1, 2)],
    "repeated_declines": lambda one: declined(one, 10, 0),
}


def test_a_hit_that_a_case_cleared_weighs_nothing_and_is_not_repeated() -> None:
    judged = Judged()
    judged.tell(HolderChecked, HOLDING, 0, similarity=20)
    judged.tell(Cleared, HOLDING, 1, indicators=("name_mismatch",))
    assert judged.tell(HolderChecked, HOLDING, 2, similarity=20) == ()
    assert weighed(judged.states[HOLDING], HOLDING) == []


def test_what_is_kept_of_an_instrument_stays_small() -> None:
    judged = Judged()
    for number in range(10_000):
        judged.tell(Seen, CARD, number * MINUTE, number)
        judged.tell(Declined, CARD, number * MINUTE, number)
    state = judged.state(CARD, InstrumentState)
    assert len(state.players) == PLAYERS_MAX
    assert state.players[-1] == (player(9_999), START_US + 9_999 * MINUTE)
    assert len(msgspec.json.encode(state)) < 20_000
    assert msgspec.json.decode(msgspec.json.encode(state), type=AnyState) == state
    assert all(len(hit.inputs.get("seen_last", "")) < 400 for hit in judged.hits)


def test_what_is_kept_of_a_holding_stays_small() -> None:
    judged = Judged()
    for number in range(10_000):
        judged.tell(NetCounted, HOLDING, number, currency=("EUR", "GBP")[number % 2], change=1)
    state = judged.state(HOLDING, HoldingState)
    assert state.net == {"EUR": 5_000, "GBP": 5_000}
    assert msgspec.json.decode(msgspec.json.encode(state), type=AnyState) == state


@pytest.mark.parametrize("subject", [HOLDING, CARD])
def test_what_says_nothing_about_an_instrument_is_an_error(subject: str) -> None:
    with pytest.raises(TypeError):
        Judged().tell(RefundAsked, subject, 0)
