"""A labelled population in a real ledger: the log that fraud work is tried on."""

from collections.abc import Callable, Iterable
from datetime import datetime
from itertools import islice

from ledger.eventstore import database
from ledger.eventstore.database import Role
from ledger.eventstore.errors import AppendError
from ledger.eventstore.ledger import Drafting, Ledger
from ledger.settings import Settings
from tallystick.play import synthetic_players

AT_ONCE = 400


def append_population(
    settings: Settings,
    players: int,
    days: int,
    seed: int,
    *,
    on_progress: Callable[[int], None] = lambda _events: None,
) -> int:
    """Append a population as it is recorded together; how many events that is."""
    drafts = (Drafting(events=events) for events in synthetic_players.appends(players, days, seed))
    return append_drafts(settings, drafts, on_progress=on_progress)


def append_drafts(
    settings: Settings,
    drafts: Iterable[Drafting],
    *,
    on_progress: Callable[[int], None] = lambda _events: None,
) -> int:
    """Append all of them, recorded about when they happen; how many events that is."""
    now: list[datetime] = []
    ledger = Ledger(
        database.conninfo(settings, Role.WRITER),
        clock=lambda: now[0],
        queue_size_max=2 * AT_ONCE,
        timeout_seconds=60.0,
    )
    done = 0
    source = iter(drafts)
    try:
        while together := list(islice(source, AT_ONCE)):
            now[:] = [together[-1].events[0].occurred_at]
            for outcome in ledger.append_many(together):
                if isinstance(outcome, AppendError):
                    raise outcome
            done += sum(len(draft.events) for draft in together)
            on_progress(done)
    finally:
        ledger.close()
    return done
