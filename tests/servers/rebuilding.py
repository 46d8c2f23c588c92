"""A rebuild in a process of its own, which can be killed."""

import os
import signal
from multiprocessing.context import ForkServerContext, ForkServerProcess

from ledger.eventstore.ledger import Ledger
from projections.history.history import HISTORY
from replay.rebuild.run import Rebuild


def rebuild(owner: str, writer: str, place: str | None) -> None:
    """Rebuild the history; die at `place`, if that is given."""

    def faultpoint(name: str) -> None:
        if name == place:
            os.kill(os.getpid(), signal.SIGKILL)

    ledger = Ledger(writer)
    try:
        Rebuild(owner=owner, ledger=ledger, faultpoint=faultpoint, stretch_events=400).run(HISTORY)
    finally:
        ledger.close()


def started(
    context: ForkServerContext, owner: str, writer: str, place: str | None = None
) -> ForkServerProcess:
    """`rebuild` in another process."""
    process = context.Process(target=rebuild, args=(owner, writer, place), daemon=True)
    process.start()
    return process
