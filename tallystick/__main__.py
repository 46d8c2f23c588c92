"""`python -m tallystick` is `tallystick`."""

from tallystick.cli import app

app()
