"""`python -m tallystick.play.simulator`: the same as `tallystick simulate-provider`."""

import typer

from tallystick.play.simulator.command import simulate_provider

if __name__ == "__main__":
    typer.run(simulate_provider)
