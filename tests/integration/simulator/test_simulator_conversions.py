"""Conversions at the simulated provider: exact rates, quotes that hold, one effect each."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest

from domain.events.evidence import Outcome
from domain.money import Money
from ledger.providers.protocol import (
    Answer,
    ConversionSubmission,
    ProviderQuote,
    QuoteRequest,
    QuoteUnavailable,
)
from ledger.providers.simulator.adapter import SimulatorProvider
from ledger.providers.simulator.wire import Kind
from tallystick.play.simulator.exchange_desk import rate_of
from tallystick.play.simulator.plan import Plan, plan
from tallystick.play.simulator.profiles import Profile
from tests.servers.simulator_server import (
    FIFTY_EUROS,
    SECRET,
    SEED,
    TOKEN,
    Simulator,
    answering,
    free_port,
    of_profile,
    running,
    server,
    wait_until,
)

FIFTY_DOLLARS = Money(5000, "USD")


def request(source: Money = FIFTY_EUROS, target_currency: str = "USD") -> QuoteRequest:
    return QuoteRequest(source=source, target_currency=target_currency, timeout_seconds=2.0)


def conversion(
    reference: str,
    quote: ProviderQuote,
    *,
    source: Money = FIFTY_EUROS,
    target: Money = FIFTY_DOLLARS,
) -> ConversionSubmission:
    return ConversionSubmission(
        reference=reference,
        quote_reference=quote.quote_reference,
        source=source,
        target=target,
        timeout_seconds=2.0,
    )


def convert(simulator: Simulator, reference: str) -> Answer:
    quote = simulator.provider.quote(request())
    return simulator.provider.submit_conversion(conversion(reference, quote))


def conversion_reference(simulator: Simulator, name: str, wanted: Callable[[Plan], bool]) -> str:
    return simulator.reference(f"conversion-{name}", Kind.CONVERSION, wanted)


def told(simulator: Simulator, reference: str) -> list[tuple[Outcome, Money | None]]:
    notices = simulator.receiver.accepted(reference)
    return [(each.answer.outcome, each.answer.amount) for each in notices]


# Quotes


@pytest.mark.parametrize(
    ("source", "target"), [("EUR", "USD"), ("JPY", "KWD"), ("CLF", "KRW"), ("GBP", "EUR")]
)
def test_a_quote_has_an_exact_rate_that_never_moves(
    simulator: Simulator, source: str, target: str
) -> None:
    asked = request(Money(5000, source), target)
    first, second = simulator.provider.quote(asked), simulator.provider.quote(asked)
    assert first.rate == second.rate == Fraction(rate_of(SEED, source, target))
    assert first.quote_reference != second.quote_reference
    left = first.expires_at - datetime.now(UTC)
    assert timedelta(seconds=290) < left <= timedelta(seconds=300)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (request(target_currency="EUR"), "no_rate"),
        (request(target_currency="XXX"), "no_rate"),
        (request(Money(100, "AFN")), "no_rate"),
        (request(Money(0, "EUR")), "invalid_amount"),
    ],
    ids=["same", "no currency", "not exchanged", "no amount"],
)
def test_there_is_no_quote_for_what_cannot_be_exchanged(
    simulator: Simulator, asked: QuoteRequest, says: str
) -> None:
    with pytest.raises(QuoteUnavailable, match=says):
        simulator.provider.quote(asked)


def test_there_is_no_quote_during_an_outage_nor_without_a_connection(
    simulator: Simulator,
) -> None:
    simulator.use("outage=1")
    with pytest.raises(QuoteUnavailable):
        simulator.provider.quote(request())
    nobody = SimulatorProvider(f"http://127.0.0.1:{free_port()}", SECRET, TOKEN)
    with pytest.raises(QuoteUnavailable, match="not_sent"):
        nobody.quote(request())


def quote_body(**changes: object) -> bytes:
    body: dict[str, object] = {
        "quote": "quo_1",
        "source": {"amount": 5000, "currency": "EUR"},
        "target_currency": "USD",
        "rate": "1.25",
        "expires_at": "2026-02-03T04:05:06Z",
    }
    kept = {name: value for name, value in (body | changes).items() if value != "left out"}
    return json.dumps(kept).encode()


def quoted(content: bytes) -> ProviderQuote:
    with server(answering(content)) as base_url:
        provider = SimulatorProvider(base_url, SECRET, TOKEN)
        try:
            return provider.quote(request())
        finally:
            provider.close()


@pytest.mark.parametrize(
    ("rate", "exact"),
    [("1.25", Fraction(5, 4)), ("0.1", Fraction(1, 10)), ("163", Fraction(163))],
)
def test_a_rate_means_exactly_what_its_digits_say(rate: str, exact: Fraction) -> None:
    assert quoted(quote_body(rate=rate)) == ProviderQuote(
        quote_reference="quo_1",
        rate=exact,
        expires_at=datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    "changes",
    [
        *({name: "left out"} for name in json.loads(quote_body())),
        {"rate": 1.25},
        {"rate": "0"},
        {"rate": "0.000"},
        {"rate": "-1.25"},
        {"rate": "1e3"},
        {"rate": "5/4"},
        {"rate": "nan"},
        {"rate": "1_0.5"},
        {"rate": "1.25\n"},
        {"rate": "\u0661.5"},
        {"rate": "1" * 60},
        {"rate": ""},
        {"source": {"amount": 5001, "currency": "EUR"}},
        {"source": {"amount": 5000, "currency": "GBP"}},
        {"target_currency": "GBP"},
        {"expires_at": "2026-02-03T04:05:06"},
        {"quote": ""},
        {"quote": "4111111111111111"},
    ],
    ids=str,
)
def test_a_quote_that_makes_no_sense_is_no_quote(changes: dict[str, object]) -> None:
    with pytest.raises(QuoteUnavailable):
        quoted(quote_body(**changes))


# Conversions


@pytest.mark.parametrize(
    ("profile", "answers", "last", "effects"),
    [
        (Profile.EXECUTED_AT_ONCE, {Outcome.SUCCEEDED}, Outcome.SUCCEEDED, {"conversion": 1}),
        (Profile.EXECUTED_LATER, {Outcome.ACCEPTED}, Outcome.SUCCEEDED, {"conversion": 1}),
        (
            Profile.CONVERSION_DECLINED,
            {Outcome.DECLINED, Outcome.ACCEPTED},
            Outcome.DECLINED,
            {},
        ),
        (Profile.EXECUTED_AFTER_SILENCE, {Outcome.ACCEPTED}, Outcome.SUCCEEDED, {"conversion": 1}),
    ],
)
def test_a_conversion_goes_the_way_of_its_profile_and_states_what_it_paid_out(
    simulator: Simulator,
    profile: Profile,
    answers: set[Outcome],
    last: Outcome,
    effects: dict[str, int],
) -> None:
    reference = conversion_reference(simulator, f"way-{profile}", of_profile(profile))
    assert convert(simulator, reference).outcome in answers
    assert simulator.settle()[reference]["effects"] == effects
    end = simulator.fetch(reference)
    paid = FIFTY_DOLLARS if last is Outcome.SUCCEEDED else None
    assert (end.outcome, end.amount, end.fee) == (last, paid, None)
    assert told(simulator, reference)[-1] == (last, paid)
    if profile is Profile.EXECUTED_AFTER_SILENCE:
        assert told(simulator, reference) == [(last, paid)], "nothing is heard in between"


def test_fifty_submissions_of_one_conversion_are_one_conversion(simulator: Simulator) -> None:
    reference = conversion_reference(simulator, "parallel", of_profile(Profile.EXECUTED_LATER))
    asked = conversion(reference, simulator.provider.quote(request()))
    with ThreadPoolExecutor(10) as pool:
        answers = set(pool.map(lambda _: simulator.provider.submit_conversion(asked), range(50)))
    references = simulator.settle()
    assert len(answers) == 1
    assert references[reference]["calls"] == {"submit": 50, "fetch": 0}
    assert references[reference]["effects"] == {"conversion": 1}
    assert [each for each, _ in told(simulator, reference)] == [
        Outcome.PENDING,
        Outcome.SUCCEEDED,
    ]


def test_a_conversion_is_declined_for_more_than_its_quote_gives_and_not_for_less(
    simulator: Simulator,
) -> None:
    before = simulator.checks("conversions_above_quote_refused")
    quote = simulator.provider.quote(request())
    exact = 5000 * quote.rate
    at_once = of_profile(Profile.EXECUTED_AT_ONCE)
    most = Money(-(-exact.numerator // exact.denominator), "USD")
    allowed = conversion(conversion_reference(simulator, "most", at_once), quote, target=most)
    assert simulator.provider.submit_conversion(allowed).outcome is Outcome.SUCCEEDED
    assert simulator.checks("conversions_above_quote_refused") == before

    more = Money(most.amount + 1, "USD")
    reference = conversion_reference(simulator, "more", at_once)
    refused = conversion(reference, quote, target=more)
    answers = {simulator.provider.submit_conversion(refused) for _ in range(2)}
    assert [(each.outcome, each.raw_code) for each in answers] == [
        (Outcome.DECLINED, "target_above_quote")
    ]
    assert simulator.checks("conversions_above_quote_refused") == before + 1
    assert simulator.settle()[reference]["effects"] == {}
    assert told(simulator, reference)[-1] == (Outcome.DECLINED, None)


def test_a_conversion_needs_a_quote_for_just_that(simulator: Simulator) -> None:
    quote = simulator.provider.quote(request())
    unheard = ProviderQuote(
        quote_reference="quo_unheard", rate=quote.rate, expires_at=quote.expires_at
    )
    at_once = of_profile(Profile.EXECUTED_AT_ONCE)
    for number, (asked, says) in enumerate(
        [
            (conversion("", unheard), "quote_not_valid"),
            (conversion("", quote, source=Money(5001, "EUR")), "another_quote"),
            (conversion("", quote, target=Money(4000, "GBP")), "another_quote"),
        ]
    ):
        reference = conversion_reference(simulator, f"needs-{number}", at_once)
        answer = simulator.provider.submit_conversion(
            ConversionSubmission(
                reference=reference,
                quote_reference=asked.quote_reference,
                source=asked.source,
                target=asked.target,
                timeout_seconds=2.0,
            )
        )
        assert (answer.outcome, answer.raw_code) == (Outcome.DECLINED, says)


def test_an_expired_quote_is_declined() -> None:
    with running("--quote-seconds", "0.2") as simulator:
        quote = simulator.provider.quote(request())
        wait_until(lambda: datetime.now(UTC) > quote.expires_at, 2)
        answer = simulator.provider.submit_conversion(conversion("too-late", quote))
        assert (answer.outcome, answer.raw_code) == (Outcome.DECLINED, "quote_not_valid")


def test_a_wrong_amount_is_paid_out_by_everything_that_is_said(simulator: Simulator) -> None:
    faults = simulator.use("wrong_amount=1")
    reference = conversion_reference(simulator, "wrong", of_profile(Profile.EXECUTED_AT_ONCE))
    answer = convert(simulator, reference)
    simulator.settle()
    expected = plan(SEED, reference, Kind.CONVERSION, "", faults).reported(FIFTY_DOLLARS)
    assert expected != FIFTY_DOLLARS
    assert {answer.amount, simulator.fetch(reference).amount} == {expected}
    assert told(simulator, reference) == [(Outcome.SUCCEEDED, expected)]


def test_a_conversion_may_be_contradicted_and_asked_about(simulator: Simulator) -> None:
    simulator.use("contradiction=1")
    declined = conversion_reference(
        simulator, "contradicted", of_profile(Profile.CONVERSION_DECLINED)
    )
    convert(simulator, declined)
    assert simulator.settle()[declined]["effects"] == {"conversion": 1}
    assert [each for each, _ in told(simulator, declined)] == [Outcome.DECLINED, Outcome.SUCCEEDED]
    assert simulator.fetch(declined).outcome is Outcome.SUCCEEDED
