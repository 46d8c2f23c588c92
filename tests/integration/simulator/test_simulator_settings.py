"""Settings of the simulated provider and its adapter that make no sense are refused."""

import pytest
import typer
from typer.testing import CliRunner

from ledger.providers.registry import UnknownAdapter, build
from ledger.providers.simulator.adapter import SimulatorProvider
from tallystick.play.simulator.command import simulate_provider
from tests.servers.simulator_server import SECRET, TOKEN


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
