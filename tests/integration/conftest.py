"""What the tests of one process share with each other."""

from collections.abc import Iterator

import pytest

from tests.servers.simulator_server import Simulator, running


@pytest.fixture(scope="session")
def simulator_process() -> Iterator[Simulator]:
    with running() as simulator:
        yield simulator


@pytest.fixture
def simulator(simulator_process: Simulator) -> Iterator[Simulator]:
    """The shared simulator without faults, and with a receiver that takes everything."""
    simulator_process.use("none")
    simulator_process.receiver.answer = lambda notice: 204
    yield simulator_process
    simulator_process.use("none")
    simulator_process.receiver.answer = lambda notice: 204
    simulator_process.settle()
