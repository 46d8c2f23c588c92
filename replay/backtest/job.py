"""Backtests that are asked for through the API: over the archive that is kept for them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import structlog

from ledger.eventstore import database
from ledger.eventstore.database import Role
from ledger.settings import Settings
from replay import engines
from replay.archive.layout import ArchiveBusy, ArchiveError
from replay.archive.write import archive
from replay.backtest.candidates import CandidateInvalid, Named
from replay.backtest.run import backtest
from replay.backtest.span import SpanInvalid
from replay.engines import EngineError
from replay.export.errors import ExportError
from replay.jobs import RunBacktest
from replay.progress import Report

DECISIONS_KEPT: Final = 1_000
"""Of the changed decisions, the largest."""


_UNUSABLE: Final = (
    "The archive that backtests read cannot be used; the log of the server says why, and"
    " `tallystick archive verify` more."
)

_log = structlog.get_logger(__name__)


def kept_archive(settings: Settings) -> Path:
    """Where the archive is that backtests bring up to date for themselves."""
    return settings.data / "archives" / settings.database_name


def up_to_date(settings: Settings, report: Report = lambda _done, _total: None) -> Path:
    """That archive, with everything the log has.

    Raises:
        ArchiveBusy: another process is writing to it.
        ArchiveError: it is of another log, or the log is not as it was recorded.
    """
    folder = kept_archive(settings)
    archive(database.conninfo(settings, Role.READER), folder, report)
    return folder


def backtester(settings: Settings) -> RunBacktest:
    """Runs what a job asks for: `ruleset`, `from`, `to` and `engine`."""

    def run(request: Mapping[str, Any], report: Report) -> dict[str, Any]:
        try:
            # Only half of nothing is done yet; but whoever waits can be told that it is under way.
            folder = up_to_date(settings, lambda _done, total: report(0, total))
            found = backtest(
                folder,
                Named(request["ruleset"]),
                engines.build(request["engine"]),
                first=request["from"],
                before=request["to"],
                keep=DECISIONS_KEPT,
                on_progress=report,
            )
        except (CandidateInvalid, EngineError, SpanInvalid) as error:
            raise ExportError(str(error)) from error
        except ArchiveBusy:
            raise
        except ArchiveError as error:  # it names folders of the server
            _log.exception("backtests.archive")
            raise ExportError(_UNUSABLE) from error
        return found.as_json()

    return run
