"""Every setting, as a table."""

from typing import Final

from ledger.settings import Settings
from tallystick.reference.markdown import table

_DEFAULTS: Final = {"data": "`tallystick` in the user's data folder, on Linux `~/.local/share`"}
"""What a default is that depends on the machine."""


def settings_table() -> str:
    """Every setting: its environment variable, its default, what it means."""
    rows = []
    for name, field in Settings.model_fields.items():
        variable = str(field.validation_alias or f"TALLYSTICK_{name.upper()}")
        default = "none" if field.default is None else f"`{field.default}`"
        rows.append([f"`{variable}`", _DEFAULTS.get(name, default), field.description or ""])
    return table(["variable", "default", "meaning"], rows)
