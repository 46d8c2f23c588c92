"""`python -m tallystick.providers.simulator`: the same as `tallystick simulate-provider`."""

import typer

from tallystick.providers.simulator.command import simulate_provider

if __name__ == "__main__":
    typer.run(simulate_provider)
