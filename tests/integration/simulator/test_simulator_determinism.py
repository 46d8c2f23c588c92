"""The same seed gives the same truth, however calls and webhooks interleave."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from domain.events.evidence import DisputeStage, Outcome
from domain.money import Money
from ledger.providers.protocol import Answer, ConversionSubmission, DisputeAnswer, QuoteRequest
from ledger.providers.simulator.wire import Kind
from tallystick.play.simulator.dispute_plan import Response
from tallystick.play.simulator.faults import parse_faults
from tallystick.play.simulator.plan import Truth, plan
from tallystick.play.simulator.profiles import DisputeProfile, parse_weights
from tests.servers.simulator_server import (
    MIXED_FAULTS,
    MIXED_PROFILES,
    SEED,
    Receiver,
    Simulator,
    refund,
    running,
    submission,
)


def run_all(simulator: Simulator, order: list[str], threads: int) -> dict[str, object]:
    """Submit a mix of payments in this order; what is true of each in the end."""

    def submit(name: str) -> None:
        kind, method, reference = name.split("/")
        asked = submission(reference, method=method, timeout_seconds=0.5)
        if kind == Kind.PAYOUT:
            simulator.provider.submit_payout(asked)
        else:
            simulator.provider.submit_deposit(asked)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(submit, order))
    references = simulator.settle()
    ends: dict[str, object] = {}
    for name in order:
        reference = name.split("/")[2]
        told = [
            (notice.message_id, untimed(notice.answer))
            for notice in simulator.receiver.accepted(reference)
        ]
        ends[name] = (
            untimed(simulator.fetch(reference)),
            references[reference]["effects"],
            dict(told),
            list(dict.fromkeys(answer.outcome for _, answer in told)),
        )
    return ends


def untimed(answer: Answer) -> Answer:
    """What happened, whenever that was."""
    return replace(answer, happened_at=None)


def names(count: int) -> list[str]:
    shapes = ("deposit/card", "deposit/redirect", "payout/bank")
    return [f"{shapes[number % 3]}/{number:032x}-{1 + number % 2}" for number in range(count)]


def test_the_same_seed_gives_the_same_truth_however_the_calls_interleave() -> None:
    order = names(150)
    options = ("--faults", MIXED_FAULTS, "--profiles", MIXED_PROFILES)
    with running(*options) as first, running(*options) as second:
        # The second receiver refuses a delivery now and then, and everything comes backwards.
        counter = iter(range(1_000_000))
        second.receiver.answer = lambda notice: 500 if next(counter) % 4 == 0 else 204
        with ThreadPoolExecutor(2) as pool:
            forwards = pool.submit(run_all, first, order, 4)
            backwards = pool.submit(run_all, second, order[::-1], 12)
            one, other = forwards.result(), backwards.result()
        assert without_redirects(one) == without_redirects(other)
        compare_with_plans(first, order)


def without_redirects(ends: dict[str, object]) -> dict[str, object]:
    """The page's address names the port, which differs between two processes."""
    plain: dict[str, object] = {}
    for name, end in ends.items():
        assert isinstance(end, tuple)
        plain[name] = (replace(end[0], redirect_url=None), *end[1:])
    return plain


def compare_with_plans(simulator: Simulator, order: list[str]) -> None:
    references = simulator.settle()
    faults, weights = parse_faults(MIXED_FAULTS), parse_weights(MIXED_PROFILES)
    truths = set()
    for name in order:
        kind, method, reference = name.split("/")
        made = plan(SEED, reference, Kind(kind), method, faults, weights)
        truths.add(made.truth)
        assert simulator.fetch(reference).outcome is made.final, name
        effects = references[reference]["effects"]
        assert isinstance(effects, dict)
        assert effects.get(kind, 0) == made.effects, name
        assert effects.get("return", 0) == int(made.truth is Truth.RETURNED), name
        told = [notice.answer.outcome for notice in simulator.receiver.accepted(reference)]
        assert list(dict.fromkeys(told)) == [Outcome(status) for status in made.notices], name
    assert truths == set(Truth), "the mix is meant to meet every truth"


# Refunds, conversions and disputes

EVERYTHING = f"{MIXED_FAULTS},dispute=0.5"


def follow_ups(order: list[str]) -> dict[str, str]:
    """A refund of each deposit: its reference by the deposit's."""
    deposits = sorted(each.split("/")[2] for each in order if each.startswith("deposit/"))
    return {deposit: f"{number:032x}-1" for number, deposit in enumerate(deposits, 1_000_000)}


def run_everything(simulator: Simulator, order: list[str], threads: int) -> dict[str, object]:
    """Payments, then refunds and conversions beside the disputes, which are all contested."""
    run_all(simulator, order, threads)
    refunds = follow_ups(order)
    forwards = sorted(refunds.items(), reverse=order[0] > order[-1])

    def send_back(pair: tuple[str, str]) -> None:
        simulator.provider.submit_refund(refund(pair[1], pair[0], timeout_seconds=0.5))

    def convert(reference: str) -> None:
        source, target = Money(5000, "EUR"), Money(5000, "USD")
        given = simulator.provider.quote(
            QuoteRequest(source=source, target_currency="USD", timeout_seconds=5.0)
        )
        simulator.provider.submit_conversion(
            ConversionSubmission(
                reference=reference,
                quote_reference=given.quote_reference,
                source=source,
                target=target,
                timeout_seconds=0.5,
            )
        )

    conversions = [f"{number:032x}-1" for number in range(2_000_000, 2_000_060)]
    with ThreadPoolExecutor(threads) as pool:
        sent = pool.map(send_back, forwards)
        converted = pool.map(convert, conversions)
        list(sent), list(converted)
    for _ in range(2):
        simulator.settle()
        contest_all(simulator)
    references = simulator.settle()
    ends: dict[str, object] = {}
    for reference in (*refunds.values(), *conversions):
        told = {n.message_id: untimed(n.answer) for n in simulator.receiver.accepted(reference)}
        found = untimed(simulator.fetch(reference))
        ends[reference] = (found, references[reference]["effects"], told)
    for deposit in refunds:
        news = [
            (each.message_id, each.stage, each.news, each.amount, each.reason_code)
            for each in simulator.receiver.disputed(deposit)
        ]
        ends[f"disputes of {deposit}"] = (sorted(news), list(dict.fromkeys(n[1:3] for n in news)))
    return ends


def contest_all(simulator: Simulator) -> None:
    waiting = {
        name: DisputeStage(str(dispute["waits"]))
        for name, dispute in simulator.disputes().items()
        if dispute["waits"] is not None
    }

    def contest(name: str) -> Outcome:
        asked = DisputeAnswer(
            dispute_reference=name,
            accept=False,
            note="delivered",
            documents=(),
            stage=waiting[name],
            timeout_seconds=0.5,
        )
        # The first answer may be lost, or meet an error before it was taken.
        simulator.provider.answer_dispute(asked)
        return simulator.provider.answer_dispute(replace(asked, timeout_seconds=5.0)).outcome

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(contest, waiting)) == {Outcome.ACCEPTED}


def test_refunds_conversions_and_disputes_are_the_same_however_they_interleave() -> None:
    order = names(150)
    options = ("--faults", EVERYTHING, "--profiles", MIXED_PROFILES)
    with running(*options) as first, running(*options) as second:
        counter = iter(range(1_000_000))
        second.receiver.answer = lambda notice: 500 if next(counter) % 4 == 0 else 204
        with ThreadPoolExecutor(2) as pool:
            one = pool.submit(run_everything, first, order, 4)
            other = pool.submit(run_everything, second, order[::-1], 12)
            assert one.result() == other.result()
        compare_refunds(first, order)
        compare_disputes(first, order)
        assert first.checks("over_refunds_refused") == 0
        assert first.checks("conversions_above_quote_refused") == 0


def compare_refunds(simulator: Simulator, order: list[str]) -> None:
    faults, weights = parse_faults(EVERYTHING), parse_weights(MIXED_PROFILES)
    ways = {each.split("/")[2]: each.split("/")[1] for each in order}
    for deposit, reference in follow_ups(order).items():
        captured = plan(SEED, deposit, Kind.DEPOSIT, ways[deposit], faults, weights)
        made = plan(SEED, reference, Kind.REFUND, "", faults, weights)
        if not captured.effects or captured.dispute or captured.mismatch is not None:
            continue
        assert simulator.fetch(reference).outcome is made.final, reference
        told = [notice.answer.outcome for notice in simulator.receiver.accepted(reference)]
        assert list(dict.fromkeys(told)) == [Outcome(status) for status in made.notices]


def compare_disputes(simulator: Simulator, order: list[str]) -> None:
    faults, weights = parse_faults(EVERYTHING), parse_weights(MIXED_PROFILES)
    said = dict.fromkeys(DisputeStage, Response.CONTESTED)
    met = set()
    disputes = simulator.disputes()
    for name in order:
        kind, method, reference = name.split("/")
        dispute = plan(SEED, reference, Kind(kind), method, faults, weights).dispute
        notices = simulator.receiver.disputed(reference)
        assert bool(dispute) == bool(notices), name
        if dispute is not None:
            met.add(dispute.profile)
            told = dict.fromkeys((each.stage, each.news) for each in notices)
            assert tuple(told) == dispute.delivered(said), name
            assert disputes[dispute.reference]["funds_taken"] is dispute.takes_money(said)
    assert met == set(DisputeProfile), "the mix is meant to meet every way"


def test_webhooks_wait_for_a_receiver_that_is_down() -> None:
    with running() as simulator:
        port = simulator.receiver.port
        simulator.receiver.close()
        for number in range(20):
            simulator.submit(f"down-{number}", Kind.PAYOUT)
        time.sleep(0.3)
        assert not simulator.statistics(detail=False)["idle"]
        assert simulator.webhooks()["acknowledged"] == 0
        simulator.receiver = Receiver(port)
        simulator.settle()
        assert all(simulator.receiver.accepted(f"down-{number}") for number in range(20))
