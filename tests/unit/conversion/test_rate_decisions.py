"""Exchange rates: who puts them in force, with whom, and how far a source may go alone."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import permutations
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.command import Command
from domain.conversion.rate_decisions import (
    approve_rates,
    beyond,
    discard_rates,
    propose_rates,
    revoke_source,
    trust_source,
)
from domain.conversion.rates import (
    NO_RATES,
    ExchangeRates,
    RateProposal,
    SourceStatus,
    evolve_rates,
    fold_rates,
    rates_stream,
)
from domain.errors import (
    CommandReused,
    EvidenceMissing,
    InvalidRate,
    NothingToChange,
    RoleNotAllowed,
    SelfApproval,
)
from domain.events import (
    Rate,
    RatesEvent,
    RateTableApproved,
    RateTableProposed,
    RateTablePublished,
)
from domain.money import InvalidMoney
from domain.postings import postings
from tests.generators.event_samples import SAMPLE
from tests.scenarios.scenario import command

MORNING = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
NEXT_DAY = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
UNITS = {"USD": Fraction(11_529, 10_000), "JPY": Fraction(18_049, 100), "KWD": Fraction(355, 1_000)}
CORRECTED = {**UNITS, "USD": Fraction(11_530, 10_000)}
FAR = {**UNITS, "USD": Fraction(11_529, 1_000)}
ROLES = {"ann": "finance", "bea": "finance", "cleo": "compliance", "sam": "support", "ben": "fraud"}


def by(person: str, now: datetime = MORNING, role: str | None = None) -> Command:
    known = ROLES.get(person, "") if role is None else role
    return command(f"operator:{person}", now=now, role=known)


def job(now: datetime = MORNING) -> Command:
    """What imports what the bank says, without a person."""
    return command("system:ecb", now=now)


def lines(units: Mapping[str, Fraction]) -> tuple[Rate, ...]:
    return tuple(
        Rate(currency=code, numerator=rate.numerator, denominator=rate.denominator)
        for code, rate in units.items()
    )


def offer(
    state: ExchangeRates,
    who: Command,
    units: Mapping[str, Fraction] = UNITS,
    *,
    note: str = "",
    **heading: str,
) -> RatesEvent | None:
    usual = {"source": "ecb", "base": "EUR", "as_of": "2026-11-20"}
    return propose_rates(state, who, **(usual | heading), rates=lines(units), note=note)


def after(state: ExchangeRates, event: RatesEvent | None) -> ExchangeRates:
    assert event is not None
    assert postings(event) == ()
    return evolve_rates(state, event)


def offered(
    state: ExchangeRates, who: Command, units: Mapping[str, Fraction] = UNITS, **more: str
) -> ExchangeRates:
    return after(state, offer(state, who, units, **more))


def only(state: ExchangeRates) -> RateProposal:
    (proposal,) = state.proposals.values()
    return proposal


def approved(state: ExchangeRates, who: Command, note: str = "") -> ExchangeRates:
    return after(state, approve_rates(state, who, proposal_id=only(state).id, note=note))


def agreed(
    state: ExchangeRates,
    units: Mapping[str, Fraction] = UNITS,
    now: datetime = MORNING,
    **heading: str,
) -> ExchangeRates:
    """Two people put these rates in force."""
    proposed = offered(state, by("ann", now), units, note="right", **heading)
    mine = next(one for one in proposed.proposals.values() if one.person == "ann")
    event = approve_rates(proposed, by("cleo", now), proposal_id=mine.id, note="right")
    return after(proposed, event)


def trusting(state: ExchangeRates, source: str = "ecb") -> ExchangeRates:
    """Two people let the source go ahead alone."""
    for person in ("ann", "cleo"):
        state = after(state, trust_source(state, by(person), source=source, note="our own job"))
    return state


def dollars(state: ExchangeRates) -> Fraction:
    assert state.in_force is not None
    return state.in_force.rate("EUR", "USD")


# --- by two people ------------------------------------------------------------------------------


def test_what_one_person_proposes_is_in_force_once_another_approves() -> None:
    proposed = offered(NO_RATES, by("ann"))
    assert (proposed.in_force, only(proposed).person) == (None, "ann")
    event = approve_rates(proposed, by("bea"), proposal_id=only(proposed).id)
    assert isinstance(event, RateTableApproved)
    assert (event.originator_id, event.originator_version) == (rates_stream(), 2)
    assert (event.table, event.proposed_by, event.person) == ("ecb-2026-11-20", "ann", "bea")
    state = evolve_rates(proposed, event)
    assert state.in_force is not None
    assert (state.in_force.rates, state.approved_by) == (UNITS, ("ann", "bea"))
    assert (state.proposals, state.version) == ({}, 2)


def test_a_proposal_leaves_in_force_what_was() -> None:
    state = offered(agreed(NO_RATES), by("ann"), FAR, note="devalued")
    assert dollars(state) == UNITS["USD"]


@pytest.mark.parametrize("role", ["finance", "compliance"])
def test_nobody_approves_their_own_proposal_in_whatever_role(role: str) -> None:
    state = offered(NO_RATES, by("ann"))
    with pytest.raises(SelfApproval):
        approve_rates(state, by("ann", role=role), proposal_id=only(state).id)


@pytest.mark.parametrize(
    ("role", "proposes", "approves"),
    [
        ("finance", True, True),
        ("compliance", False, True),
        *((role, False, False) for role in ("support", "fraud", "platform", "administrator")),
        *((role, False, False) for role in ("auditor", "")),
    ],
)
def test_who_may_propose_and_who_may_approve(role: str, *, proposes: bool, approves: bool) -> None:
    dora = by("dora", role=role)
    state = trusting(offered(NO_RATES, by("ann")))
    proposed = after(state, trust_source(state, by("bea"), source="other", note="why"))
    for may, act in (
        (proposes, lambda: offer(state, dora, CORRECTED)),
        (proposes, lambda: trust_source(state, dora, source="other", note="why")),
        (approves, lambda: trust_source(proposed, dora, source="other", note="why")),
        (approves, lambda: revoke_source(state, dora, source="ecb", note="why")),
        (approves, lambda: approve_rates(state, dora, proposal_id=only(state).id)),
        (approves, lambda: discard_rates(state, dora, proposal_id=only(state).id, note="why")),
    ):
        if may:
            assert act() is not None
        else:
            with pytest.raises(RoleNotAllowed):
                act()


def test_who_moves_a_rate_by_more_than_the_band_says_why_and_so_does_who_approves() -> None:
    state = agreed(NO_RATES)
    with pytest.raises(EvidenceMissing, match="EUR is worth in USD moves by more than 10 % from"):
        offer(state, by("ann"), FAR, note=" ")
    waiting = offered(state, by("ann"), FAR, note="devalued")
    assert "moves by more than 10 % from ecb-2026-11-20" in beyond(
        waiting, only(waiting).table, MORNING
    )
    with pytest.raises(EvidenceMissing):
        approve_rates(waiting, by("bea"), proposal_id=only(waiting).id)
    assert dollars(approved(waiting, by("bea"), "the bank says so")) == FAR["USD"]


def test_a_proposal_can_be_discarded_with_a_reason_also_by_who_made_it() -> None:
    state = offered(NO_RATES, by("ann"))
    with pytest.raises(EvidenceMissing):
        discard_rates(state, by("ann"), proposal_id=only(state).id, note=" ")
    event = discard_rates(state, by("ann"), proposal_id=only(state).id, note="of another day")
    assert after(state, event).proposals == {}


def test_a_person_has_one_proposal_of_a_source_and_others_have_theirs() -> None:
    state = offered(offered(NO_RATES, by("ann")), by("ann"), CORRECTED)
    assert only(state).table.rates == CORRECTED
    state = offered(state, by("bea"))
    assert [one.person for one in state.proposals.values()] == ["ann", "bea"]
    state = offered(state, by("ann"), source="treasury")
    assert len(state.proposals) == 3


def test_the_very_table_that_waits_is_not_proposed_again_but_approved() -> None:
    state = offered(NO_RATES, by("ann"))
    for who in (by("ann"), by("bea"), job()):
        with pytest.raises(NothingToChange, match=str(only(state).id)):
            offer(state, who)


def test_what_has_come_in_force_meanwhile_is_not_approved() -> None:
    state = offered(NO_RATES, by("ann"))
    ids = [only(state).id]
    state = offered(state, by("bea"), CORRECTED)
    state = after(state, approve_rates(state, by("cleo"), proposal_id=ids[0]))
    assert only(state).person == "bea"
    with pytest.raises(KeyError):
        approve_rates(state, by("cleo"), proposal_id=ids[0])


def test_a_command_sent_twice_is_carried_out_once() -> None:
    ann, bea = by("ann"), by("bea")
    state = offered(NO_RATES, ann)
    proposal_id = only(state).id
    assert offer(state, ann) is None
    state = after(state, approve_rates(state, bea, proposal_id=proposal_id))
    assert approve_rates(state, bea, proposal_id=proposal_id) is None
    with pytest.raises(CommandReused):
        offer(state, replace(ann, request_digest="another request"))


# --- names, and what is put back ----------------------------------------------------------------


def test_the_right_table_can_be_put_back_after_a_wrong_one() -> None:
    for source, names in (("ecb", ["", "-2", "-3"]), ("other", ["", "", "-2"])):
        first = agreed(NO_RATES)
        wrong = agreed(first, FAR, source=source)
        right = agreed(wrong)
        assert list(map(dollars, (first, wrong, right))) == [UNITS["USD"], FAR["USD"], UNITS["USD"]]
        assert [state.in_force and state.in_force.table for state in (first, wrong, right)] == [
            f"{by_whom}-2026-11-20{name}"
            for by_whom, name in zip(("ecb", source, "ecb"), names, strict=True)
        ]


def test_only_the_very_table_in_force_is_nothing_new() -> None:
    state = agreed(NO_RATES)
    doubled = tuple(
        Rate(currency=one.currency, numerator=2 * one.numerator, denominator=2 * one.denominator)
        for one in reversed(lines(UNITS))
    )
    for same in (lines(UNITS), doubled):
        with pytest.raises(NothingToChange):
            propose_rates(
                state, by("ann"), source="ecb", base="EUR", as_of="2026-11-20", rates=same
            )
    assert offer(state, by("ann"), as_of="2026-11-21") is not None
    assert offer(state, by("ann"), source="treasury") is not None
    other = {**UNITS, "GBP": Fraction(86, 100)}
    assert offer(state, by("ann"), other, note="a new currency") is not None


def test_a_ratio_is_recorded_in_lowest_terms_by_currency() -> None:
    event = propose_rates(
        NO_RATES,
        by("ann"),
        source="ecb",
        base="EUR",
        as_of="2026-11-20",
        rates=(*lines({"JPY": UNITS["JPY"]}), Rate(currency="CHF", numerator=50, denominator=100)),
    )
    assert isinstance(event, RateTableProposed)
    assert event.rates == (
        Rate(currency="CHF", numerator=1, denominator=2),
        *lines({"JPY": UNITS["JPY"]}),
    )


def test_tables_that_one_person_published_long_ago_stay_in_force_as_they_were() -> None:
    event = SAMPLE[RateTablePublished]
    assert isinstance(event, RateTablePublished)
    state = fold_rates(None, [event])
    assert state.in_force is not None
    assert (state.in_force.table, state.approved_by) == ("ecb-2026-03-02", ())
    assert state.in_force.rate("EUR", "GBP") == Fraction(8_661, 10_000)
    assert not state.is_trusted("ecb")


# --- by a source alone --------------------------------------------------------------------------


def test_a_trusted_source_puts_near_rates_in_force_by_itself() -> None:
    event = offer(trusting(agreed(NO_RATES)), job(), CORRECTED)
    assert isinstance(event, RateTablePublished)
    assert event.table == "ecb-2026-11-20-2"


def test_so_does_a_key_that_bears_its_name() -> None:
    state = trusting(agreed(NO_RATES))
    assert isinstance(offer(state, by("ecb", role="platform"), CORRECTED), RateTablePublished)
    with pytest.raises(RoleNotAllowed):
        offer(state, by("ecb", role="platform"), CORRECTED, source="treasury")


@pytest.mark.parametrize("role", ["finance", "support", "fraud", "auditor", "administrator"])
def test_somebody_who_has_the_name_of_a_source_is_not_the_source(role: str) -> None:
    with pytest.raises(RoleNotAllowed):
        offer(trusting(agreed(NO_RATES)), by("ecb", role=role), CORRECTED)


def test_what_a_source_sends_that_is_not_trusted_waits_for_two_people() -> None:
    state = offered(agreed(NO_RATES), job(), CORRECTED)
    assert only(state).person is None
    first = approved(state, by("ann"))
    assert (dollars(first), only(first).person) == (UNITS["USD"], "ann")
    assert only(first).id == only(state).id
    with pytest.raises(SelfApproval):
        approve_rates(first, by("ann"), proposal_id=only(first).id)
    second = approved(first, by("cleo"))
    assert (dollars(second), second.approved_by) == (CORRECTED["USD"], ("ann", "cleo"))


def test_the_first_table_of_all_waits_for_people_whoever_sends_it() -> None:
    state = offered(trusting(NO_RATES), job())
    assert (state.in_force, only(state).person) == (None, None)


def test_far_rates_of_a_trusted_source_wait_and_say_so_without_a_word_from_anybody() -> None:
    state = offered(trusting(agreed(NO_RATES)), job(), FAR)
    assert dollars(state) == UNITS["USD"]
    assert (only(state).person, only(state).note) == (None, "")
    assert "more than 10 %" in beyond(state, only(state).table, MORNING)
    with pytest.raises(NothingToChange):
        offer(state, job(), FAR)
    with pytest.raises(EvidenceMissing):
        approve_rates(state, by("ann"), proposal_id=only(state).id)


def test_a_source_that_sends_near_rates_after_all_takes_its_far_ones_back() -> None:
    state = offered(trusting(agreed(NO_RATES)), job(), FAR)
    state = offered(state, by("ann"), {**FAR, "JPY": Fraction(1)}, note="mine")
    state = offered(state, job(), CORRECTED)
    assert (dollars(state), only(state).person) == (CORRECTED["USD"], "ann")


def test_a_source_neither_adds_nor_drops_a_currency_alone() -> None:
    state = trusting(agreed(NO_RATES))
    for units, said in (
        ({"USD": UNITS["USD"], "JPY": UNITS["JPY"]}, "it has no KWD"),
        ({**UNITS, "CHF": Fraction(9, 10)}, "it has CHF as well"),
    ):
        event = offer(state, job(), units)
        assert isinstance(event, RateTableProposed)
        assert said in event.beyond


def test_one_person_is_enough_to_trust_a_source_no_longer_and_none_to_trust_it() -> None:
    state = trusting(agreed(NO_RATES))
    state = after(state, revoke_source(state, by("cleo"), source="ecb", note="wrong twice"))
    assert state.sources["ecb"].status is SourceStatus.REVOKED
    assert isinstance(offer(state, job(), CORRECTED), RateTableProposed)
    with pytest.raises(NothingToChange):
        revoke_source(state, by("cleo"), source="ecb", note="again")
    proposed = after(state, trust_source(state, by("ann"), source="ecb", note="mended"))
    assert isinstance(offer(proposed, job(), CORRECTED), RateTableProposed)
    with pytest.raises(SelfApproval):
        trust_source(proposed, by("ann"), source="ecb", note="mended")
    trusted = after(proposed, trust_source(proposed, by("bea"), source="ecb", note="mended"))
    assert isinstance(offer(trusted, job(), CORRECTED), RateTablePublished)
    with pytest.raises(NothingToChange):
        trust_source(trusted, by("ann"), source="ecb", note="again")


def test_a_source_is_no_second_person_not_even_after_it_was_trusted() -> None:
    state = offered(trusting(agreed(NO_RATES)), by("ann"), CORRECTED)
    revoked = after(state, revoke_source(state, by("cleo"), source="ecb", note="wrong"))
    for found in (state, revoked):
        with pytest.raises(RoleNotAllowed, match="takes a person"):
            approve_rates(found, by("ecb", role="finance"), proposal_id=only(found).id)
    with pytest.raises(RoleNotAllowed, match="takes a person"):
        offer(revoked, by("ecb", role="finance"), FAR, note="why")


def test_decisions_about_sources_need_a_reason() -> None:
    with pytest.raises(EvidenceMissing):
        trust_source(NO_RATES, by("ann"), source="ecb", note=" ")
    with pytest.raises(EvidenceMissing):
        revoke_source(trusting(NO_RATES), by("ann"), source="ecb", note="")
    with pytest.raises(InvalidRate):
        trust_source(NO_RATES, by("ann"), source="e c b", note="why")


# --- how far that is ----------------------------------------------------------------------------

LIMIT = Fraction(11, 10)
MOVES = st.builds(Fraction, st.integers(800, 1_300), st.just(1_000)) | st.sampled_from(
    [LIMIT, 1 / LIMIT, Fraction(9, 10), LIMIT + Fraction(1, 10**9), LIMIT - Fraction(1, 10**9)]
)


@pytest.mark.parametrize("base", ["EUR", "USD"])
@given(moves=st.lists(MOVES, min_size=3, max_size=3))
def test_near_is_what_no_rate_between_two_currencies_moves_by_more_than_a_tenth(
    base: str, moves: list[Fraction]
) -> None:
    """Whichever is the base, and whichever way an amount is exchanged."""
    state = agreed(NO_RATES)
    then = {"EUR": Fraction(1), **UNITS}
    now = dict(zip(then, (Fraction(1), *moves), strict=True))
    worth = {code: then[code] * now[code] for code in then}
    units = {code: rate / worth[base] for code, rate in worth.items() if code != base}
    proposed = offered(state, by("ann"), units, base=base, as_of="2026-11-19", note="why")
    naive = all(
        abs(worth[b] / worth[a] - then[b] / then[a]) <= then[b] / then[a] / 10
        for a, b in permutations(then, 2)
    )
    assert (beyond(proposed, only(proposed).table, MORNING) == "") is naive


@pytest.mark.parametrize(
    ("cents", "alone"), [(110, True), (111, False), (91, True), (90, False), (100, None)]
)
def test_the_band_ends_where_it_says(cents: int, *, alone: bool | None) -> None:
    state = trusting(agreed(NO_RATES, {"USD": Fraction(1)}))
    if alone is None:
        with pytest.raises(NothingToChange):
            offer(state, job(), {"USD": Fraction(cents, 100)})
    else:
        event = offer(state, job(), {"USD": Fraction(cents, 100)})
        assert isinstance(event, RateTablePublished) is alone


def test_a_source_does_not_go_further_in_steps_than_at_once_in_a_day() -> None:
    state = trusting(agreed(NO_RATES, {"USD": Fraction(1)}, MORNING - timedelta(days=1)))
    steps = 0
    units, now = {"USD": Fraction(1)}, MORNING
    while isinstance(
        event := offer(state, job(now), {"USD": units["USD"] * Fraction(103, 100)}),
        RateTablePublished,
    ):
        state, steps, now = evolve_rates(state, event), steps + 1, now + timedelta(minutes=1)
        units = {"USD": dollars(state)}
    assert steps == 3
    assert isinstance(event, RateTableProposed)
    assert event.beyond.endswith("from ecb-2026-11-20.")
    tomorrow = offer(state, job(NEXT_DAY), {"USD": units["USD"] * Fraction(103, 100)})
    assert isinstance(tomorrow, RateTablePublished)


@pytest.mark.parametrize("known_before", [False, True])
def test_nor_does_a_source_creep_away_where_the_day_before_says_nothing(
    known_before: bool,
) -> None:
    """On the day of the first table, and on that on which people add a currency."""
    state = trusting(NO_RATES)
    if known_before:
        state = agreed(state, {"GBP": Fraction(1)}, MORNING - timedelta(days=1))
    at_first = {"GBP": Fraction(1), "USD": Fraction(1)}
    state, now = agreed(state, at_first), MORNING
    for step in range(1, 21):
        now += timedelta(minutes=1)
        further = {**at_first, "USD": 1 + Fraction(7 * step, 100)}
        state = offered(state, job(now), further)
    assert dollars(state) == Fraction(107, 100)


def test_the_day_before_is_what_was_in_force_when_today_began() -> None:
    yesterday = agreed(NO_RATES, {"USD": Fraction(1)}, MORNING - timedelta(days=1))
    today = agreed(yesterday, {"USD": Fraction(2)}, MORNING)
    again = agreed(today, {"USD": Fraction(3)}, MORNING + timedelta(hours=15))
    assert [table.rate("EUR", "USD") for table in again.references(MORNING)] == [3, 1]
    assert [table.rate("EUR", "USD") for table in again.references(NEXT_DAY)] == [3]
    next_day = agreed(again, {"USD": Fraction(4)}, NEXT_DAY)
    assert [table.rate("EUR", "USD") for table in next_day.references(NEXT_DAY)] == [4, 3]


def test_a_source_that_was_near_and_wrong_comes_back_by_itself() -> None:
    """The band is the same both ways: what was left by it can be reached again by it."""
    right, wrong = {"USD": Fraction(1)}, {"USD": Fraction(10, 11)}
    state = trusting(agreed(NO_RATES, right, MORNING - timedelta(days=1)))
    state = offered(state, job(), wrong)
    assert dollars(state) == wrong["USD"]
    assert dollars(offered(state, job(), right)) == right["USD"]


def test_after_far_rates_that_two_people_agreed_to_the_right_ones_take_two_again() -> None:
    state = trusting(agreed(NO_RATES, now=MORNING - timedelta(days=1)))
    state = agreed(state, FAR)
    state = offered(state, job(), UNITS)
    assert dollars(state) == FAR["USD"]
    state = approved(approved(state, by("ann"), "a typing error"), by("bea"), "yes")
    assert dollars(state) == UNITS["USD"]
    assert isinstance(offer(state, job(), CORRECTED), RateTablePublished)


@given(st.lists(st.integers(80, 125), max_size=30))
def test_what_is_kept_for_comparing_does_not_grow(cents: list[int]) -> None:
    state, now = trusting(agreed(NO_RATES, {"USD": Fraction(1)})), MORNING
    for one in cents:
        now += timedelta(hours=5)
        try:
            state = offered(state, job(now), {"USD": Fraction(one, 100)})
        except NothingToChange:
            continue
        assert len(state.references(now)) <= 3
        assert len(state.proposals) <= 1
        assert beyond(state, state.references(now)[0], now) == ""


# --- what cannot be used ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rates", "error"),
    [
        ((), InvalidRate),
        ((Rate(currency="DEM", numerator=1, denominator=1),), InvalidMoney),
        ((Rate(currency="EUR", numerator=1, denominator=1),), InvalidRate),
        ((*lines(UNITS), Rate(currency="USD", numerator=1, denominator=1)), InvalidRate),
        ((Rate(currency="USD", numerator=0, denominator=1),), InvalidRate),
        ((Rate(currency="USD", numerator=-1, denominator=1),), InvalidRate),
        ((Rate(currency="USD", numerator=-1, denominator=-1),), InvalidRate),
        ((Rate(currency="USD", numerator=1, denominator=0),), InvalidRate),
        ((Rate(currency="USD", numerator=2**63, denominator=1),), InvalidRate),
        ((Rate(currency="USD", numerator=1, denominator=2**63),), InvalidRate),
    ],
)
def test_rates_that_cannot_be_used(rates: tuple[Rate, ...], error: type[Exception]) -> None:
    with pytest.raises(error):
        propose_rates(
            NO_RATES, by("ann"), source="ecb", base="EUR", as_of="2026-11-20", rates=rates
        )


@pytest.mark.parametrize(
    ("field", "value", "error"),
    [
        ("base", "DEM", InvalidMoney),
        ("source", "", InvalidRate),
        ("source", " ", InvalidRate),
        ("source", "ecb/../x", InvalidRate),
        ("source", "é", InvalidRate),
        ("as_of", "", InvalidRate),
        ("as_of", "20 November 2026", InvalidRate),
        ("as_of", "20261120", InvalidRate),
        ("as_of", "2026-11-31", InvalidRate),
    ],
)
def test_headings_that_cannot_be_used(field: str, value: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        offer(NO_RATES, by("ann"), **{field: value})


def test_a_proposal_that_never_was_is_not_decided_about() -> None:
    for decide in (approve_rates, discard_rates):
        with pytest.raises(KeyError):
            decide(NO_RATES, by("ann"), proposal_id=UUID(int=1), note="why")
