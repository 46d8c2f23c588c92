"""The catalogue of indicators holds together, and each indicator is looked for."""

import pytest

from domain.fraud.assessment import RANK
from domain.fraud.indicators.catalogue import BY_CODE, INDICATORS
from domain.fraud.indicators.declaring import Indicator, Unit
from domain.money import exponent
from projections.fraud.checks.registry import CHECKS
from projections.fraud.states import STATES
from tallystick.reference.indicator_samples import sample_hits

each = pytest.mark.parametrize("indicator", INDICATORS, ids=lambda one: one.code)


def test_indicators_are_numbered_from_1_to_23_and_have_a_code_each() -> None:
    assert [one.number for one in INDICATORS] == list(range(1, 24))
    assert len(BY_CODE) == 23


@each
def test_a_default_is_one_that_a_rule_set_may_have(indicator: Indicator) -> None:
    names = [one.name for one in indicator.parameters]
    assert len(names) == len(set(names))
    for one in indicator.parameters:
        assert one.least <= one.default <= one.most


@each
def test_only_amounts_have_a_currency(indicator: Indicator) -> None:
    for one in indicator.parameters:
        assert (one.currency is not None) == (one.unit is Unit.MINOR)
        assert one.name.endswith("_minor") == (one.unit is Unit.MINOR)
        assert one.currency is None or exponent(one.currency) == 2


@each
def test_severities_are_listed_from_least_to_most(indicator: Indicator) -> None:
    assert list(indicator.severities) == sorted(set(indicator.severities), key=RANK.__getitem__)


@each
def test_an_indicator_is_looked_for_about_every_subject_that_it_names(
    indicator: Indicator,
) -> None:
    looked_at = {check.state for check in CHECKS if check.indicator == indicator.code}
    assert looked_at == {STATES[subject] for subject in indicator.subjects}


@each
def test_what_money_hits_are_about_is_declared(indicator: Indicator) -> None:
    hits = [hit for hit in sample_hits(indicator.code) if hit.unit != Unit.MINOR]
    assert any(hit.amount_minor for hit in hits) == bool(indicator.money and hits)


@each
def test_prose_is_whole_sentences(indicator: Indicator) -> None:
    for text in (indicator.meaning, indicator.example, indicator.advice, indicator.source):
        assert text.endswith(".")
        assert "  " not in text
    assert not indicator.formula.endswith(".")
