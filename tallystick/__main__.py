"""`python -m tallystick` is `tallystick`."""

from tallystick.cli.main import app

app()
