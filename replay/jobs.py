"""Doing the exports and backtests that were asked for through the API, one after the other.

Killed at any point, another worker goes on: what was finished is in the job's folder, and its
lease ends. With the database away it waits; what cannot be done is said to whoever asked.
"""

import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import Any, Final
from uuid import UUID, uuid4

import psycopg
import structlog

from ledger.checkpoints import signing
from ledger.checkpoints.keys import signing_key, verifying_keys
from ledger.checkpoints.note import InvalidKey
from ledger.checkpoints.recomputing import Refused
from ledger.checkpoints.signing import SignerBusy
from ledger.eventstore import database
from ledger.eventstore.database import Role
from ledger.eventstore.ledger import utc_now
from ledger.export_jobs import Job, Leases
from ledger.faultpoints import faultpoint
from ledger.settings import Settings
from projections.engine.reading import ReadModelBehind
from replay.archive.layout import ArchiveBusy
from replay.case.members import Case, CaseKind, NotForAsker, Unreadable
from replay.case.write import NoCheckpoint, write_case
from replay.export.errors import ExportError, FolderTaken, FolderUnusable, Stopped
from replay.export.folder import MANIFEST, digest_of, opened
from replay.export.run import export
from replay.export.selection import Selection
from replay.export.sinks import Format
from replay.nothing import Nothing
from replay.progress import Report

LEASE_SECONDS: Final = 30.0
IDLE_SECONDS: Final = 1.0
AGAIN_SECONDS: Final = 5.0
"""Before what could not be done yet is tried again."""

SWEEP_SECONDS: Final = 60.0

WriteCase = Callable[[Mapping[str, Any], Path, Report], dict[str, Any]]
"""Writes the bundle that is asked for into a new folder, and `<folder>.zip`; what is in it."""

RunBacktest = Callable[[Mapping[str, Any], Report], dict[str, Any]]
"""Runs the backtest that is asked for; what it comes to, as JSON."""

_PASSING: Final = (
    *(psycopg.OperationalError, psycopg.InterfaceError),
    *(ReadModelBehind, SignerBusy, ArchiveBusy),
)
"""What goes away by itself: the job is tried again."""

_log = structlog.get_logger(__name__)


class ExportJobs:
    """A worker. Several may run, on the same machine or on others with the same folder."""

    def __init__(
        self,
        *,
        writer: str,
        reader: str,
        folder: Path,
        keep_days: int,
        write_case: WriteCase | None = None,
        run_backtest: RunBacktest | None = None,
        lease_seconds: float = LEASE_SECONDS,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        """`writer` and `reader` are conninfos of these roles; each job has a folder in `folder`."""
        self._reader = reader
        self._folder = folder
        self._keep_days = keep_days
        self._write_case = write_case
        self._run_backtest = run_backtest
        self._lease_seconds = lease_seconds
        self._idle_seconds = idle_seconds
        self._leases = Leases(writer, uuid4(), lease_seconds)
        self._swept_at = -SWEEP_SECONDS

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set; what is under way then is given back."""
        while not stop.is_set():
            try:
                self._sweep()
                job = self._leases.take()
            except psycopg.Error as error:
                _log.warning("exports.database_away", error=type(error).__name__)
                job = None
            if job is None:
                stop.wait(self._idle_seconds)
            else:
                self._do(job, stop)

    # --- doing ----------------------------------------------------------------------------------

    def _do(self, job: Job, stop: threading.Event) -> None:
        """Do one job; whatever goes wrong is said, or it is taken again when its lease ends."""
        _log.info("exports.begun", job=str(job.id), kind=job.kind)
        try:
            with self._held(job, stop) as report:
                result = self._make(job, report)
            faultpoint("exports.before_done")
            if self._leases.done(job.id, result):
                _log.info("exports.done", job=str(job.id))
        except Stopped:
            _log.info("exports.stopped", job=str(job.id))
            self._give_back(job)
        except _PASSING as error:
            _log.warning("exports.again", job=str(job.id), error=str(error) or type(error).__name__)
            self._give_back(job, AGAIN_SECONDS)
        except FolderTaken as error:
            _log.warning("exports.folder_taken", job=str(job.id), error=str(error))
            self._give_back(job, AGAIN_SECONDS)  # who was at it before has not noticed yet
        except (FolderUnusable, OSError) as error:
            _log.exception("exports.disk", job=str(job.id))
            cause = error if isinstance(error, OSError) else error.__cause__
            reason = cause.strerror if isinstance(cause, OSError) else None
            self._fail(job, f"The server could not write the files: {reason or 'unknown reason'}.")
        except ExportError as error:
            self._fail(job, str(error))
        except Exception as error:  # noqa: BLE001  (whoever asked has to be told)
            _log.exception("exports.failed", job=str(job.id))
            self._fail(job, _unexpected(error))

    def _make(self, job: Job, report: Report) -> dict[str, Any]:
        folder = self._folder / str(job.id)
        if job.kind == "backtest":
            return self._backtest(job, report)
        if job.kind == "case":
            return self._case(job, folder, report)
        selection = Selection.from_asked(job.request["selection"])
        made = export(self._reader, selection, folder, Format(job.request["format"]), report)
        files = [
            {"name": file.name, "bytes": file.bytes, "sha256": file.sha256} for file in made.files
        ]
        return {"files": [*files, _described(folder / MANIFEST)], "manifest": made.shown()}

    def _case(self, job: Job, folder: Path, report: Report) -> dict[str, Any]:
        """A bundle as one file. It appears as a whole, so what is there of it is begun anew."""
        if self._write_case is None:
            raise ExportError("This server makes no case bundles; use `tallystick export case`.")
        subject = job.request.get("transaction_id") or job.request.get("player_id")
        with opened(folder) as files:
            for left_over in files.path.iterdir():
                shutil.rmtree(left_over) if left_over.is_dir() else left_over.unlink()
            bundle = folder / f"case-{subject}"
            manifest = self._write_case(job.request, bundle, report)
            shutil.rmtree(bundle)
            return {"files": [_described(folder / f"{bundle.name}.zip")], "manifest": manifest}

    def _backtest(self, job: Job, report: Report) -> dict[str, Any]:
        if self._run_backtest is None:
            raise ExportError("This server runs no backtests; use `tallystick backtest`.")
        return self._run_backtest(job.request, report)

    @contextmanager
    def _held(self, job: Job, stop: threading.Event) -> Iterator[Callable[[int, int | None], None]]:
        """Hold the lease while the block runs; what it gives is told how far the job is.

        That raises Stopped where the job is no longer wanted, or not this worker's.
        """
        progress: list[tuple[int, int | None]] = [(job.events_done, job.events_total)]
        lost, ended = threading.Event(), threading.Event()

        def renew() -> None:
            held_until = monotonic() + self._lease_seconds
            while not ended.wait(self._lease_seconds / 4):
                try:
                    if not self._leases.renew(job.id, *progress[0]):
                        lost.set()
                        return
                    held_until = monotonic() + self._lease_seconds
                except psycopg.Error:
                    if monotonic() > held_until:
                        lost.set()
                        return

        def report(done: int, total: int | None) -> None:
            progress[0] = (done, total)
            if lost.is_set() or stop.is_set():
                raise Stopped("It is no longer this worker's to make.")

        thread = threading.Thread(target=renew, name="export-lease", daemon=True)
        thread.start()
        try:
            yield report
            with suppress(psycopg.Error):
                self._leases.renew(job.id, *progress[0])
        finally:
            ended.set()
            thread.join()

    def _give_back(self, job: Job, pause_seconds: float = 0.0) -> None:
        """If that cannot be said either, the lease ends by itself."""
        with suppress(psycopg.Error):
            self._leases.release(job.id, pause_seconds)

    def _fail(self, job: Job, error: str) -> None:
        _log.warning("exports.not_made", job=str(job.id), error=error)
        with suppress(psycopg.Error):
            self._leases.failed(job.id, error)

    # --- tidying --------------------------------------------------------------------------------

    def _sweep(self) -> None:
        """Now and then, remove the files that nobody is to have any more."""
        if monotonic() - self._swept_at < SWEEP_SECONDS:
            return
        self._swept_at = monotonic()
        self.sweep()

    def sweep(self) -> None:
        """Expire what is old, and remove the files of what is expired, cancelled or deleted."""
        self._leases.expire(self._keep_days)
        if not self._folder.is_dir():
            return
        ids = [UUID(entry.name) for entry in self._folder.iterdir() if _is_job(entry)]
        for job_id in self._leases.unwanted(ids) if ids else ():
            shutil.rmtree(self._folder / str(job_id), ignore_errors=True)


def _is_job(entry: Path) -> bool:
    with suppress(ValueError):
        return str(UUID(entry.name)) == entry.name and entry.is_dir()
    return False


def _described(file: Path) -> dict[str, Any]:
    return {"name": file.name, "bytes": file.stat().st_size, "sha256": digest_of(file)}


def _unexpected(error: Exception) -> str:
    return (
        f"Something went wrong on our side ({type(error).__name__}); it is in the log of the"
        " server. There is nothing to fetch."
    )


def case_writer(settings: Settings) -> WriteCase:
    """Case bundles under the key of this ledger, where it is on this machine."""

    def write(request: Mapping[str, Any], folder: Path, report: Report) -> dict[str, Any]:
        try:
            signer = signing_key(settings) if verifying_keys(settings) else None
        except InvalidKey:
            signer = None
        if signer is None:
            raise ExportError(
                "The key that signs checkpoints is not on the server that makes exports. Use"
                " `tallystick export case` where it is, or start the signer there."
            )
        kind = CaseKind.TRANSACTION if request.get("transaction_id") else CaseKind.PLAYER
        subject = UUID(request.get("transaction_id") or request["player_id"])
        try:
            made = write_case(
                database.conninfo(settings, Role.READER),
                Case(kind, subject, without=tuple(request.get("without", ()))),
                folder,
                signer,
                sign_now=signing.build(settings, utc_now).sign_now,
                zipped=True,
                on_progress=report,
            )
        except (Nothing, NoCheckpoint, NotForAsker, Unreadable) as error:
            raise ExportError(str(error)) from error
        except Refused as refused:
            raise ExportError(
                f"The log is not signed any more ({refused.code}), so that no case can be proved:"
                " see `tallystick doctor`."
            ) from refused
        return {
            "case": {"kind": made.case.kind, "id": str(made.case.id)},
            "without": list(made.case.without),
            "events": made.events,
            "transactions": made.transactions,
            "first_position": made.first_position,
            "last_position": made.last_position,
            "as_of": made.as_of,
            "checkpoint": {"size": made.checkpoint.size, "root": made.checkpoint.root.hex()},
            "key": made.key,
            "files": made.files,
        }

    return write
