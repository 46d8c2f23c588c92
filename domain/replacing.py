"""`dataclasses.replace` for the domain's frozen dataclasses with slots, in a third of the time.

Replaying a log changes one or two fields of a state of thirty, again and again. The library's
function passes all of them by name through `__init__`; this one copies slots.
"""

from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:  # the type checker knows the library's: which fields there are, and their types
    from dataclasses import replace as replace
else:
    from dataclasses import fields

    _KNOWN: Final[dict[type, tuple[Any, Any, dict[str, int]]]] = {}

    def replace(state: Any, /, **changes: Any) -> Any:
        """A copy with other values in these fields; no `__post_init__` is called."""
        kind = type(state)
        known = _KNOWN.get(kind) or _known(kind)
        read, writers, places = known
        values = list(read(state))
        for name, value in changes.items():
            values[places[name]] = value
        made = object.__new__(kind)
        for write, value in zip(writers, values, strict=True):
            write(made, value)
        return made

    def _known(kind: type) -> tuple[Any, Any, dict[str, int]]:
        """How to read all fields, how to write each, and where each is among them."""
        names = [field.name for field in fields(kind)]
        read = attrgetter(*names) if len(names) > 1 else lambda state: [getattr(state, *names)]
        writers = [getattr(kind, name).__set__ for name in names]
        _KNOWN[kind] = read, writers, {name: place for place, name in enumerate(names)}
        return _KNOWN[kind]
