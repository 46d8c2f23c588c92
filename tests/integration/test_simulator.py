"""The simulated provider as a process of its own, its adapter, and real sockets between them."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx2
import pytest
import typer
from standardwebhooks.webhooks import Webhook
from typer.testing import CliRunner

from domain.money import AMOUNT_MINOR_MAX, Money
from domain.outcomes import DeclineCode, Outcome
from tallystick.providers.protocol import Answer, InvalidNotice, ProviderNotice, Submission
from tallystick.providers.registry import UnknownAdapter, build
from tallystick.providers.simulator.command import simulate_provider
from tallystick.providers.simulator.faults import Faults, parse_faults
from tallystick.providers.simulator.plan import AnswerFault, Plan, Truth, plan
from tallystick.providers.simulator.profiles import Profile, parse_weights
from tallystick.providers.simulator.wire import Kind
from tallystick.providers.simulator_adapter import SimulatorProvider

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
TOKEN = "token-of-the-tests"
SEED = 11
TIME_SCALE = 0.02
FIFTY_EUROS = Money(5000, "EUR")
MIXED_FAULTS = (
    "duplicate=0.2,reorder=0.2,delay=0.1,drop=0.1,truncate=0.1,alter=0.1,wrong_amount=0.1,"
    "contradiction=0.15,server_error=0.1,timeout_after_effect=0.1,garbage=0.1"
)
MIXED_PROFILES = "payout_returned=40,authorised_voided=20"


@dataclass(frozen=True)
class Received:
    """One delivery: the notice if it was good, and how it was answered."""

    notice: ProviderNotice | None
    status_code: int
    at_seconds: float


class Receiver:
    """The other end of the webhooks: verifies, answers 204, and remembers."""

    def __init__(self, port: int = 0) -> None:
        self.received: list[Received] = []
        self.answer: Callable[[ProviderNotice], int] = lambda notice: 204
        self._provider = SimulatorProvider("http://127.0.0.1:1", SECRET, TOKEN)
        self._lock = threading.Lock()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                self.send_response(receiver.take(dict(self.headers.items()), body))
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def take(self, headers: dict[str, str], body: bytes) -> int:
        try:
            notice = self._provider.parse_notice(headers, body)
        except InvalidNotice:
            received = Received(None, 400, time.monotonic())
        else:
            received = Received(notice, self.answer(notice), time.monotonic())
        with self._lock:
            self.received.append(received)
        return received.status_code

    def accepted(self, reference: str) -> list[ProviderNotice]:
        """The acknowledged notices about one payment, in order of arrival."""
        return [
            each.notice
            for each in self.received
            if each.notice and each.notice.reference == reference and each.status_code == 204
        ]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Simulator:
    """A running simulator, and the ways to talk to it."""

    def __init__(self, port: int, receiver: Receiver) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.receiver = receiver
        self.provider = SimulatorProvider(self.url, SECRET, TOKEN)
        self.control = httpx2.Client(
            base_url=self.url, headers={"authorization": f"Bearer {TOKEN}"}, trust_env=False
        )
        self.faults = parse_faults("none")

    def use(self, faults: str) -> Faults:
        self.control.put("/v1/faults", json={"faults": faults}).raise_for_status()
        self.faults = parse_faults(faults)
        return self.faults

    def settle(self) -> dict[str, dict[str, object]]:
        """Wait until nothing happens any more; the statistics by reference."""
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline:
            if self.statistics(detail=False)["idle"]:
                references = self.statistics()["references"]
                assert isinstance(references, dict)
                return references
            time.sleep(0.02)
        raise AssertionError(f"still busy: {self.statistics(detail=False)}")

    def statistics(self, *, detail: bool = True) -> dict[str, object]:
        answer = self.control.get("/v1/statistics", params={"detail": detail}).raise_for_status()
        content: dict[str, object] = answer.json()
        return content

    def webhooks(self) -> Counter[str]:
        counts = self.statistics(detail=False)["webhooks"]
        assert isinstance(counts, dict)
        return Counter(counts)

    def submit(self, reference: str, kind: Kind, method: str = "card") -> Answer:
        asked = submission(reference, method=method)
        if kind is Kind.PAYOUT:
            return self.provider.submit_payout(asked)
        return self.provider.submit_deposit(asked)

    def fetch(self, reference: str) -> Answer:
        return self.provider.fetch(reference, timeout_seconds=5)

    def reference(self, name: str, kind: Kind, wanted: Callable[[Plan], bool]) -> str:
        """A reference for which the plan, under the present faults, is as wanted."""
        for number in range(5000):
            reference = f"{name}-{number}"
            if wanted(plan(SEED, reference, kind, "card", self.faults)):
                return reference
        raise AssertionError("no reference has such a plan")


@contextmanager
def running(*options: str) -> Iterator[Simulator]:
    receiver = Receiver()
    port = free_port()
    command = [sys.executable, "-m", "tallystick.providers.simulator", "--port", str(port)]
    command += ["--seed", str(SEED), "--time-scale", str(TIME_SCALE), "--settle-seconds", "0.05"]
    command += ["--webhook-url", f"http://127.0.0.1:{receiver.port}/notices", *options]
    environment = os.environ | {
        "TALLYSTICK_SIMULATOR_SECRET": SECRET,
        "TALLYSTICK_SIMULATOR_TOKEN": TOKEN,
    }
    process = subprocess.Popen(command, env=environment)
    simulator = Simulator(port, receiver)
    try:
        wait_until(lambda: simulator.provider.health_probe(timeout_seconds=1), 20)
        yield simulator
    finally:
        process.terminate()
        process.wait(10)
        simulator.provider.close()
        simulator.control.close()
        receiver.close()


@pytest.fixture(scope="module")
def started() -> Iterator[Simulator]:
    with running() as simulator:
        yield simulator


@pytest.fixture
def simulator(started: Simulator) -> Iterator[Simulator]:
    """The shared simulator without faults, and with a receiver that takes everything."""
    started.use("none")
    started.receiver.answer = lambda notice: 204
    yield started
    started.use("none")
    started.receiver.answer = lambda notice: 204
    started.settle()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.02)


def submission(
    reference: str,
    *,
    method: str = "card",
    amount: Money = FIFTY_EUROS,
    timeout_seconds: float = 5.0,
) -> Submission:
    return Submission(
        reference=reference,
        player_id="player-1",
        method=method,
        amount=amount,
        instrument="instrument-1",
        timeout_seconds=timeout_seconds,
    )


def of_profile(profile: Profile) -> Callable[[Plan], bool]:
    return lambda made: made.profile is profile


# Profiles


@pytest.mark.parametrize(
    ("profile", "kind", "method", "answers", "last"),
    [
        (Profile.IMMEDIATE_SUCCESS, Kind.DEPOSIT, "card", {Outcome.SUCCEEDED}, Outcome.SUCCEEDED),
        (Profile.LATER_SUCCESS, Kind.DEPOSIT, "card", {Outcome.ACCEPTED}, Outcome.SUCCEEDED),
        (
            Profile.AUTHORISED_CAPTURED,
            Kind.DEPOSIT,
            "card",
            {Outcome.AUTHORISED, Outcome.ACCEPTED},
            Outcome.SUCCEEDED,
        ),
        (
            Profile.AUTHORISED_VOIDED,
            Kind.DEPOSIT,
            "card",
            {Outcome.AUTHORISED, Outcome.ACCEPTED},
            Outcome.VOIDED,
        ),
        (
            Profile.DECLINED,
            Kind.DEPOSIT,
            "card",
            {Outcome.DECLINED, Outcome.ACCEPTED},
            Outcome.DECLINED,
        ),
        (Profile.PAID_AT_ONCE, Kind.PAYOUT, "card", {Outcome.SUCCEEDED}, Outcome.SUCCEEDED),
        (Profile.PAID_LATER, Kind.PAYOUT, "card", {Outcome.ACCEPTED}, Outcome.SUCCEEDED),
        (Profile.PAYOUT_RETURNED, Kind.PAYOUT, "card", {Outcome.ACCEPTED}, Outcome.RETURNED),
    ],
)
def test_a_payment_goes_the_way_of_its_profile(
    simulator: Simulator,
    profile: Profile,
    kind: Kind,
    method: str,
    answers: set[Outcome],
    last: Outcome,
) -> None:
    reference = simulator.reference(f"way-{profile}", kind, of_profile(profile))
    assert simulator.submit(reference, kind, method).outcome in answers
    simulator.settle()
    assert simulator.fetch(reference).outcome is last
    notices = [notice.answer.outcome for notice in simulator.receiver.accepted(reference)]
    assert notices == [
        Outcome(status) for status in plan(SEED, reference, kind, method, simulator.faults).notices
    ]
    assert notices[-1] is last


def test_a_player_is_sent_to_a_page_and_pays_declines_or_never_comes_back(
    simulator: Simulator,
) -> None:
    ends = Counter[Outcome]()
    for number in range(30):
        answer = simulator.submit(f"player-{number}", Kind.DEPOSIT, "redirect")
        assert answer.outcome is Outcome.AWAITING_PLAYER
        assert answer.redirect_url is not None
        assert answer.redirect_url.startswith(f"{simulator.url}/pay/")
        assert httpx2.get(answer.redirect_url).status_code == 200
    simulator.settle()
    for number in range(30):
        ends[simulator.fetch(f"player-{number}").outcome] += 1
    assert set(ends) == {Outcome.SUCCEEDED, Outcome.DECLINED, Outcome.AWAITING_PLAYER}


def test_a_decline_carries_our_code_and_that_of_the_scheme(simulator: Simulator) -> None:
    hard = of_profile(Profile.PAYOUT_DECLINED_HARD)
    reference = simulator.reference("hard", Kind.PAYOUT, hard)
    simulator.submit(reference, Kind.PAYOUT)
    simulator.settle()
    answer = simulator.fetch(reference)
    assert (answer.decline_code, answer.raw_code) == (DeclineCode.ACCOUNT_CLOSED, "AC04")
    assert answer.amount is None


def test_a_success_states_amount_fee_and_the_providers_reference(simulator: Simulator) -> None:
    reference = simulator.reference(
        "fee",
        Kind.DEPOSIT,
        lambda made: made.profile is Profile.IMMEDIATE_SUCCESS and made.fee_basis_points == 150,
    )
    answer = simulator.submit(reference, Kind.DEPOSIT)
    assert (answer.amount, answer.fee) == (FIFTY_EUROS, Money(75, "EUR"))
    assert answer.provider_reference is not None
    assert answer == simulator.fetch(reference)


def test_a_paid_payout_comes_back_when_the_bank_returns_it(simulator: Simulator) -> None:
    reference = simulator.reference("back", Kind.PAYOUT, of_profile(Profile.PAID_AT_ONCE))
    path = f"/v1/payments/{reference}/return"
    assert simulator.control.post(path).status_code == 404
    simulator.submit(reference, Kind.PAYOUT)
    wait_until(lambda: simulator.fetch(reference).outcome is Outcome.SUCCEEDED, 5)
    assert simulator.control.post(path).status_code == 202
    assert simulator.control.post(path).status_code == 409
    references = simulator.settle()
    assert references[reference]["effects"] == {"payout": 1, "return": 1}
    notices = [notice.answer for notice in simulator.receiver.accepted(reference)]
    assert [each.outcome for each in notices] == [Outcome.SUCCEEDED, Outcome.RETURNED]
    assert notices[-1].amount == FIFTY_EUROS


# Idempotency and refusals


def test_the_same_key_gives_the_same_answer_and_no_second_effect(simulator: Simulator) -> None:
    reference = simulator.reference("again", Kind.DEPOSIT, of_profile(Profile.LATER_SUCCESS))
    with ThreadPoolExecutor(8) as pool:
        answers = set(pool.map(lambda _: simulator.submit(reference, Kind.DEPOSIT), range(16)))
    references = simulator.settle()
    answers.add(simulator.submit(reference, Kind.DEPOSIT))
    assert len(answers) == 1
    assert references[reference]["calls"] == {"submit": 16, "fetch": 0}
    assert references[reference]["effects"] == {"deposit": 1}
    assert len(simulator.receiver.accepted(reference)) == 1


def test_the_same_key_with_another_request_is_refused_and_unknown_to_us(
    simulator: Simulator,
) -> None:
    simulator.submit("reused", Kind.DEPOSIT)
    other = simulator.provider.submit_deposit(submission("reused", amount=Money(1, "EUR")))
    assert (other.outcome, other.raw_code) == (Outcome.UNKNOWN, "422")
    assert simulator.submit("reused", Kind.PAYOUT).outcome is Outcome.UNKNOWN


def test_an_unknown_reference_is_not_found(simulator: Simulator) -> None:
    assert simulator.fetch("never-submitted").outcome is Outcome.NOT_FOUND


def test_a_wrong_token_is_refused_before_anything_happens(simulator: Simulator) -> None:
    stranger = SimulatorProvider(simulator.url, SECRET, "wrong")
    assert stranger.submit_deposit(submission("stranger")).outcome is Outcome.NOT_SENT
    assert stranger.fetch("stranger", timeout_seconds=5).outcome is Outcome.UNKNOWN
    assert simulator.fetch("stranger").outcome is Outcome.NOT_FOUND
    assert httpx2.get(f"{simulator.url}/v1/statistics").status_code == 401


@pytest.mark.parametrize("reference", ["a b", "a\n", "", "a" * 101])
def test_a_reference_that_is_no_reference_is_refused(simulator: Simulator, reference: str) -> None:
    assert simulator.submit(reference, Kind.DEPOSIT).outcome is Outcome.NOT_SENT
    assert simulator.fetch(reference).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("amount", [Money(0, "EUR"), Money(100, "XXX")])
def test_an_impossible_amount_is_refused_before_anything_happens(
    simulator: Simulator, amount: Money
) -> None:
    answer = simulator.provider.submit_deposit(submission("impossible", amount=amount))
    assert answer.outcome is Outcome.NOT_SENT
    assert simulator.fetch("impossible").outcome is Outcome.NOT_FOUND


# Faults


def test_a_duplicate_comes_twice_under_one_id_and_once_under_another(
    simulator: Simulator,
) -> None:
    simulator.use("duplicate=1")
    simulator.submit("twice", Kind.DEPOSIT)
    simulator.settle()
    notices = simulator.receiver.accepted("twice")
    last = notices[-1].answer
    ids = Counter(notice.message_id for notice in notices if notice.answer == last)
    assert sorted(ids.values()) == [1, 2]


def test_a_reordered_notice_tells_the_older_status_after_the_newer(simulator: Simulator) -> None:
    simulator.use("reorder=1")
    captured = of_profile(Profile.AUTHORISED_CAPTURED)
    reference = simulator.reference("reordered", Kind.DEPOSIT, captured)
    simulator.submit(reference, Kind.DEPOSIT)
    simulator.settle()
    notices = [notice.answer.outcome for notice in simulator.receiver.accepted(reference)]
    assert notices == [Outcome.SUCCEEDED, Outcome.AUTHORISED]


def test_a_delayed_notice_comes_long_after_the_status_it_tells(simulator: Simulator) -> None:
    simulator.use("delay=1")
    reference = simulator.reference(
        "delayed",
        Kind.DEPOSIT,
        lambda made: bool(made.steps) and made.steps[-1].notice_delay_seconds > 9,
    )
    submitted_at_seconds = time.monotonic()
    simulator.submit(reference, Kind.DEPOSIT)
    simulator.settle()
    last = [
        each.at_seconds
        for each in simulator.receiver.received
        if each.notice and each.notice.reference == reference
    ][-1]
    assert last - submitted_at_seconds > 9 * TIME_SCALE


def test_a_dropped_notice_leaves_the_outcome_to_a_question(simulator: Simulator) -> None:
    simulator.use("drop=1")
    before = simulator.webhooks()["dropped"]
    reference = simulator.reference("dropped", Kind.DEPOSIT, of_profile(Profile.LATER_SUCCESS))
    simulator.submit(reference, Kind.DEPOSIT)
    references = simulator.settle()
    assert simulator.receiver.accepted(reference) == []
    assert simulator.webhooks()["dropped"] == before + 1
    assert simulator.fetch(reference).outcome is Outcome.SUCCEEDED
    assert references[reference]["effects"] == {"deposit": 1}


@pytest.mark.parametrize("fault", ["truncate", "alter"])
def test_a_damaged_notice_is_refused_and_sent_again_undamaged(
    simulator: Simulator, fault: str
) -> None:
    before = simulator.webhooks()
    refused_before = sum(each.notice is None for each in simulator.receiver.received)
    simulator.use(f"{fault}=1")
    simulator.submit(f"damaged-by-{fault}", Kind.DEPOSIT)
    simulator.settle()
    refused = sum(each.notice is None for each in simulator.receiver.received) - refused_before
    assert refused == 1
    after = simulator.webhooks()
    assert after["damaged"] == before["damaged"] + 1
    assert after["damaged_acknowledged"] == 0
    assert simulator.receiver.accepted(f"damaged-by-{fault}")


def test_a_wrong_amount_is_stated_everywhere(simulator: Simulator) -> None:
    faults = simulator.use("wrong_amount=1")
    reference = simulator.reference("wrong", Kind.DEPOSIT, of_profile(Profile.IMMEDIATE_SUCCESS))
    answer = simulator.submit(reference, Kind.DEPOSIT)
    simulator.settle()
    expected = plan(SEED, reference, Kind.DEPOSIT, "card", faults).reported(FIFTY_EUROS)
    assert expected != FIFTY_EUROS
    told = simulator.receiver.accepted(reference)[-1].answer
    assert {answer.amount, told.amount, simulator.fetch(reference).amount} == {expected}


@pytest.mark.parametrize(
    ("profile", "told", "last"),
    [
        (Profile.LATER_SUCCESS, [Outcome.SUCCEEDED, Outcome.DECLINED], Outcome.SUCCEEDED),
        (Profile.DECLINED, [Outcome.DECLINED, Outcome.SUCCEEDED], Outcome.SUCCEEDED),
    ],
)
def test_a_contradiction_waits_until_the_first_outcome_was_acknowledged(
    simulator: Simulator, profile: Profile, told: list[Outcome], last: Outcome
) -> None:
    simulator.use("contradiction=1")
    reference = simulator.reference(f"contra-{profile}", Kind.DEPOSIT, of_profile(profile))
    refusals = 3

    def refuse_thrice(notice: ProviderNotice) -> int:
        seen = sum(
            each.notice is not None and each.notice.reference == reference
            for each in simulator.receiver.received
        )
        return 503 if notice.reference == reference and seen < refusals else 204

    simulator.receiver.answer = refuse_thrice
    simulator.submit(reference, Kind.DEPOSIT)
    references = simulator.settle()
    deliveries = [
        each
        for each in simulator.receiver.received
        if each.notice and each.notice.reference == reference
    ]
    assert [each.status_code for each in deliveries] == [503] * refusals + [204, 204]
    outcomes = [each.notice.answer.outcome for each in deliveries if each.notice]
    assert outcomes == [told[0]] * (refusals + 1) + [told[1]]
    assert deliveries[-1].at_seconds - deliveries[-2].at_seconds >= 0.05
    assert simulator.fetch(reference).outcome is last
    assert references[reference]["effects"] == {"deposit": 1}


@pytest.mark.parametrize(
    ("faults", "answer_fault"),
    [
        ("timeout_after_effect=1", AnswerFault.SILENCE),
        ("timeout_after_effect=1", AnswerFault.HANG_UP),
        ("server_error=1", AnswerFault.ERROR_AFTER_EFFECT),
        ("garbage=1", AnswerFault.GARBAGE),
    ],
)
def test_a_lost_answer_is_unknown_although_the_money_moved(
    simulator: Simulator, faults: str, answer_fault: AnswerFault
) -> None:
    simulator.use(faults)
    reference = simulator.reference(
        f"lost-{answer_fault}",
        Kind.PAYOUT,
        lambda made: made.answer_fault is answer_fault and made.profile is Profile.PAID_AT_ONCE,
    )
    asked = submission(reference, timeout_seconds=0.3)
    assert simulator.provider.submit_payout(asked).outcome is Outcome.UNKNOWN
    assert simulator.fetch(reference).outcome is Outcome.SUCCEEDED
    again = simulator.provider.submit_payout(asked)
    assert again.outcome is Outcome.SUCCEEDED, "a repetition is answered properly"
    assert simulator.settle()[reference]["effects"] == {"payout": 1}


def test_an_error_before_the_effect_leaves_no_trace_however_often_it_is_tried(
    simulator: Simulator,
) -> None:
    simulator.use("server_error=1")
    reference = simulator.reference(
        "before", Kind.DEPOSIT, lambda made: made.truth is Truth.NEVER_RECEIVED
    )
    for _ in range(2):
        assert simulator.submit(reference, Kind.DEPOSIT).outcome is Outcome.UNKNOWN
        assert simulator.fetch(reference).outcome is Outcome.NOT_FOUND
    references = simulator.settle()
    assert references[reference]["calls"] == {"submit": 2, "fetch": 2}
    assert references[reference]["effects"] == {}
    assert simulator.receiver.accepted(reference) == []


def test_an_outage_refuses_everything_and_holds_the_webhooks_back(simulator: Simulator) -> None:
    reference = simulator.reference("outage", Kind.DEPOSIT, of_profile(Profile.LATER_SUCCESS))
    simulator.receiver.answer = lambda notice: 503
    simulator.submit(reference, Kind.DEPOSIT)
    simulator.use("outage=1")
    assert not simulator.provider.health_probe(timeout_seconds=2)
    for number in range(8):
        assert simulator.submit(f"during-{number}", Kind.DEPOSIT).outcome is Outcome.UNKNOWN
    assert simulator.fetch(reference).outcome is Outcome.UNKNOWN
    simulator.receiver.answer = lambda notice: 204
    time.sleep(0.5)
    assert simulator.receiver.accepted(reference) == []
    assert not simulator.statistics()["idle"]

    simulator.use("none")
    assert simulator.provider.health_probe(timeout_seconds=2)
    references = simulator.settle()
    assert len(simulator.receiver.accepted(reference)) == 1
    assert simulator.fetch("during-0").outcome is Outcome.NOT_FOUND
    assert references["during-0"]["effects"] == {}


def test_unknown_faults_are_refused_at_run_time(simulator: Simulator) -> None:
    answer = simulator.control.put("/v1/faults", json={"faults": "dorp=1"})
    assert answer.status_code == 400
    assert "dorp" in answer.json()["detail"]


# Determinism


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
            (notice.message_id, notice.answer) for notice in simulator.receiver.accepted(reference)
        ]
        ends[name] = (
            simulator.fetch(reference),
            references[reference]["effects"],
            dict(told),
            list(dict.fromkeys(answer.outcome for _, answer in told)),
        )
    return ends


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


# Not sent, or maybe sent


@contextmanager
def server(behave: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that treats each connection in its own way; its base address."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        connections: list[socket.socket] = []

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                connections.append(connection)
                behave(connection)

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        for connection in connections:
            connection.close()


def both_answers(base_url: str) -> tuple[Outcome, Outcome]:
    """What a submission and a question come to."""
    provider = SimulatorProvider(base_url, SECRET, TOKEN)
    submitted = provider.submit_payout(submission("r-1", timeout_seconds=0.3))
    asked = provider.fetch("r-1", timeout_seconds=0.3)
    assert not provider.health_probe(timeout_seconds=0.3)
    provider.close()
    return submitted.outcome, asked.outcome


def answering(content: bytes, status: bytes = b"200 OK") -> Callable[[socket.socket], None]:
    def behave(connection: socket.socket) -> None:
        connection.recv(65536)
        length = str(len(content)).encode()
        head = b"HTTP/1.1 " + status + b"\r\ncontent-length: " + length + b"\r\n\r\n"
        connection.sendall(head + content)

    return behave


def closing_after_reading(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.close()


def trickling(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
    for _ in range(12):
        try:
            connection.sendall(b" ")
        except OSError:
            return
        time.sleep(0.05)


def test_a_refused_connection_is_not_sent() -> None:
    assert both_answers(f"http://127.0.0.1:{free_port()}") == (Outcome.NOT_SENT, Outcome.UNKNOWN)


def test_a_name_that_does_not_resolve_is_not_sent() -> None:
    assert both_answers("http://provider.invalid") == (Outcome.NOT_SENT, Outcome.UNKNOWN)


def test_a_connection_that_cannot_be_made_in_time_is_not_sent() -> None:
    with socket.socket() as full:
        # Nobody accepts, and the queue for accepting is full: connecting hangs.
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(address)
        time.sleep(0.05)
        outcomes = both_answers(f"http://127.0.0.1:{address[1]}")
        for each in waiting:
            each.close()
    assert outcomes == (Outcome.NOT_SENT, Outcome.UNKNOWN)


@pytest.mark.parametrize(
    "behave",
    [
        socket.socket.close,
        closing_after_reading,
        lambda connection: None,
        trickling,
        answering(b"<html>hello</html>"),
        answering(b""),
        answering(b'{"reference": "r-1", "status": "succeeded"}'),
        answering(b"{}", b"500 Internal Server Error"),
        answering(b"", b"302 Found"),
        answering(b"", b"404 Not Found"),
        answering(b'{"error":"payment_not_found","detail":"","reference":"r-2"}', b"404 Not Found"),
        lambda connection: connection.sendall(b"\x00\x01\x02 not HTTP\r\n\r\n"),
    ],
    ids=[
        "closes at once",
        "closes after reading",
        "never answers",
        "trickles",
        "garbage",
        "empty",
        "fields missing",
        "500",
        "redirect",
        "404 of a proxy",
        "404 about another payment",
        "not HTTP",
    ],
)
def test_everything_after_the_connection_is_unknown(
    behave: Callable[[socket.socket], None],
) -> None:
    with server(behave) as base_url:
        provider = SimulatorProvider(base_url, SECRET, TOKEN)
        submitted = provider.submit_payout(submission("r-1", timeout_seconds=0.3))
        asked = provider.fetch("r-1", timeout_seconds=0.3)
        provider.close()
    assert (submitted.outcome, asked.outcome) == (Outcome.UNKNOWN, Outcome.UNKNOWN)


def answer_body(**changes: object) -> bytes:
    body: dict[str, object] = {
        "reference": "r-1",
        "status": "succeeded",
        "amount": {"amount": 5000, "currency": "EUR"},
        "provider_reference": "sim_1",
        "decline": None,
        "fee": None,
    }
    return json.dumps(body | changes).encode()


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({}, Outcome.SUCCEEDED),
        ({"reference": "r-2"}, Outcome.UNKNOWN),
        ({"amount": None}, Outcome.UNKNOWN),
        ({"status": "not_sent"}, Outcome.UNKNOWN),
        ({"status": "awaiting_player"}, Outcome.UNKNOWN),
        ({"status": "declined"}, Outcome.UNKNOWN),
    ],
)
def test_an_answer_is_believed_only_if_it_makes_sense(
    changes: dict[str, object], outcome: Outcome
) -> None:
    with server(answering(answer_body(**changes))) as base_url:
        provider = SimulatorProvider(base_url, SECRET, TOKEN)
        assert provider.submit_deposit(submission("r-1")).outcome is outcome
        provider.close()


# Notices


def test_signatures_are_those_of_the_published_vector() -> None:
    signed_at = datetime.fromtimestamp(1614265330, UTC)
    identifier, body = "msg_p5jXN8AQM9LWM0D4loKWxJek", '{"test": 2432232314}'
    signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert Webhook(SECRET).sign(identifier, signed_at, body) == signature
    headers = {
        "webhook-id": identifier,
        "webhook-timestamp": "1614265330",
        "webhook-signature": signature,
    }
    with pytest.raises(InvalidNotice, match="too old"):
        offline_provider().parse_notice(headers, body.encode())


def offline_provider() -> SimulatorProvider:
    return SimulatorProvider("http://127.0.0.1:1", SECRET, TOKEN)


def notice_body(**changes: object) -> bytes:
    body: dict[str, object] = {
        "type": "payment.updated",
        "reference": "r-1",
        "status": "succeeded",
        "amount": {"amount": 5000, "currency": "EUR"},
        "provider_reference": "sim_1",
        "decline": None,
        "fee": {"amount": 75, "currency": "EUR"},
        "sent_at": "2026-02-03T04:05:06.000007Z",
    }
    kept = {name: value for name, value in (body | changes).items() if value != "left out"}
    return json.dumps(kept).encode()


def signed(body: bytes, *, late_seconds: int = 0, secret: str = SECRET) -> dict[str, str]:
    now = datetime.fromtimestamp(int(time.time()) - late_seconds, UTC)
    return {
        "Webhook-Id": "msg_1",
        "Webhook-Timestamp": str(int(now.timestamp())),
        "Webhook-Signature": Webhook(secret).sign("msg_1", now, body.decode("latin-1")),
    }


def test_a_signed_notice_is_read() -> None:
    body = notice_body()
    assert offline_provider().parse_notice(signed(body), body) == ProviderNotice(
        message_id="msg_1",
        reference="r-1",
        answer=Answer(
            outcome=Outcome.SUCCEEDED,
            amount=FIFTY_EUROS,
            provider_reference="sim_1",
            fee=Money(75, "EUR"),
        ),
        sent_at=datetime(2026, 2, 3, 4, 5, 6, 7, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    "others", ["v1,AAAA {}", "v2,abc {}", "{} v1,", "nonsense {}", "v1,%%% v1a,x {} v1"]
)
def test_one_good_signature_among_several_is_enough(others: str) -> None:
    body = notice_body()
    headers = signed(body)
    headers["Webhook-Signature"] = others.format(headers["Webhook-Signature"])
    assert offline_provider().parse_notice(headers, body).reference == "r-1"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Webhook-Signature", ""),
        ("Webhook-Signature", "v1,"),
        ("Webhook-Signature", "v1"),
        ("Webhook-Signature", "v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
        ("Webhook-Signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
        ("Webhook-Signature", "v1,\u00e9"),
        ("Webhook-Timestamp", ""),
        ("Webhook-Timestamp", "soon"),
        ("Webhook-Timestamp", "nan"),
        ("Webhook-Id", ""),
        ("Webhook-Id", "msg_2"),
        ("Webhook-Id", "msg_1.1"),
    ],
)
def test_a_notice_with_a_wrong_header_is_refused(name: str, value: str) -> None:
    body = notice_body()
    with pytest.raises(InvalidNotice) as caught:
        offline_provider().parse_notice(signed(body) | {name: value}, body)
    assert SECRET.removeprefix("whsec_") not in caught.value.reason


@pytest.mark.parametrize("late_seconds", [330, -330])
def test_a_notice_more_than_five_minutes_off_is_refused(late_seconds: int) -> None:
    body = notice_body()
    with pytest.raises(InvalidNotice):
        offline_provider().parse_notice(signed(body, late_seconds=late_seconds), body)


def test_a_notice_signed_with_another_secret_or_changed_is_refused() -> None:
    body = notice_body()
    with pytest.raises(InvalidNotice):
        offline_provider().parse_notice(signed(body, secret="whsec_c2VjcmV0"), body)
    with pytest.raises(InvalidNotice):
        offline_provider().parse_notice(signed(body), body.replace(b"5000", b"6000"))
    with pytest.raises(InvalidNotice):
        offline_provider().parse_notice(signed(body), body + b"\xff")


@pytest.mark.parametrize(
    "changes",
    [
        *({name: "left out"} for name in json.loads(notice_body())),
        {"type": "payment.created"},
        {"status": "unknown"},
        {"status": "SUCCEEDED"},
        {"status": "declined"},
        {"amount": None},
        {"amount": {"amount": 50.0, "currency": "EUR"}},
        {"amount": {"amount": "50", "currency": "EUR"}},
        {"amount": {"amount": True, "currency": "EUR"}},
        {"amount": {"amount": 0, "currency": "EUR"}},
        {"amount": {"amount": -50, "currency": "EUR"}},
        {"amount": {"amount": AMOUNT_MINOR_MAX + 1, "currency": "EUR"}},
        {"amount": {"amount": 50, "currency": "eur"}},
        {"amount": {"amount": 50}},
        {"fee": {"amount": 0, "currency": "EUR"}},
        {"decline": {"code": "bad_luck", "raw_code": "1"}, "status": "declined"},
        {"sent_at": "2026-02-03T04:05:06"},
        {"sent_at": "yesterday"},
        {"reference": None},
    ],
    ids=str,
)
def test_a_signed_body_that_makes_no_sense_is_refused(changes: dict[str, object]) -> None:
    body = notice_body(**changes)
    with pytest.raises(InvalidNotice):
        offline_provider().parse_notice(signed(body), body)


# Settings


def test_the_registry_names_the_adapters_it_knows() -> None:
    provider = build("simulator", base_url="http://127.0.0.1:1", secret=SECRET, token=TOKEN)
    assert isinstance(provider, SimulatorProvider)
    with pytest.raises(UnknownAdapter, match="simulator"):
        build("simulacrum", base_url="http://127.0.0.1:1", secret=SECRET, token=TOKEN)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_\u00e9", "whsec_a"])
def test_an_unusable_secret_is_refused_without_being_quoted(secret: str) -> None:
    with pytest.raises(ValueError, match="unusable") as caught:
        SimulatorProvider("http://127.0.0.1:1", secret, TOKEN)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("--faults", "dorp=1", "dorp"),
        ("--profiles", "declined=x", "declined"),
        ("--secret", "whsec_", "unusable"),
    ],
)
def test_the_command_refuses_settings_that_make_no_sense(
    option: str, value: str, says: str
) -> None:
    app = typer.Typer()
    app.command()(simulate_provider)
    arguments = ["--secret", SECRET, "--token", TOKEN, option, value]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert says in result.output
