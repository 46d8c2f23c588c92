"""The only place that builds objects: settings in, working parts out."""

import gc
import resource
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import uuid4

import psycopg
import structlog
from anyio import CancelScope, Semaphore, fail_after
from eventsourcing import persistence
from psycopg_pool import AsyncConnectionPool, PoolClosed, PoolTimeout

from api.fraud.documents.goaml import ReportingEntity
from domain.command import Command
from ledger.access.api_keys import Keys
from ledger.access.keyring import provider_secrets
from ledger.checkpoints import signing
from ledger.checkpoints.proving import Proving
from ledger.commands.adjustment import AdjustmentCommands
from ledger.commands.assessments import StoredAssessments
from ledger.commands.atomic_batches import AtomicBatches
from ledger.commands.batches import IndependentBatches
from ledger.commands.conversion import ConversionCommands
from ledger.commands.deposit import DepositCommands
from ledger.commands.dispatch import Dispatch
from ledger.commands.dispute import DisputeCommands
from ledger.commands.fraud_case import FraudCaseCommands
from ledger.commands.fraud_report import FraudReportCommands
from ledger.commands.handling import Handling
from ledger.commands.inbox import Inbox
from ledger.commands.past_balances import LedgerWithPast, PastBalances
from ledger.commands.player import PlayerCommands
from ledger.commands.policy import PolicyCommands
from ledger.commands.provider import ProviderCommands
from ledger.commands.rates import RateCommands
from ledger.commands.refund import RefundCommands
from ledger.commands.ruleset import RuleSetCommands
from ledger.commands.withdrawal import WithdrawalCommands
from ledger.eventstore import database
from ledger.eventstore.codec import decode
from ledger.eventstore.database import Role
from ledger.eventstore.ledger import utc_now
from ledger.export_jobs import ExportQueue
from ledger.faultpoints import faultpoint
from ledger.providers import registry
from ledger.providers.protocol import PaymentProvider
from ledger.settings import Settings
from ledger.workers.fraud_desk import FraudDesk
from ledger.workers.worker import Worker
from projections.engine import tables
from projections.engine.projector import Projector
from projections.registry import READ_MODELS

if TYPE_CHECKING:  # it takes longer to load than all the rest, and few processes answer HTTP
    import uvicorn
    from fastapi import FastAPI

    from api.http.services import Read, Services

SIMULATOR = "simulator"
SIMULATOR_POLL_DELAYS_SECONDS = (1, 1, 2, 3, 5)
"""The simulator plays a day in a minute: it is asked sooner, and given up on sooner."""

SIMULATOR_EXPIRY_SECONDS = {"redirect": 10, "bank_transfer": 10, "voucher": 600}

READ_CONNECTIONS_MAX = 16
READS_NAME = "tallystick-api"
"""What the database calls the connections that requests read with."""

READ_TIMEOUT_MS = 5_000

FILES_KEPT = 512
"""Open files of an API process that are for no client, or for one that has not been let in yet."""

_log = structlog.get_logger(__name__)


def prepare(settings: Settings, on_progress: Callable[[str], None] = lambda _: None) -> None:
    """Start the database where it is ours, migrate it, and register the simulator.

    Raises:
        SetupError: what is in the way, and the remedy.
    """
    migrate(settings, on_progress)
    ledger = build_ledger(settings)
    try:
        _register_simulator(build_handling(ledger))
    finally:
        ledger.close()


def migrate(settings: Settings, on_progress: Callable[[str], None] = lambda _: None) -> None:
    """Start the database where it is ours; create or update every table, of read models too.

    Raises:
        SetupError: what is in the way, and the remedy.
    """
    database.prepare(settings, on_progress)
    tables.install(database.conninfo(settings, Role.OWNER), READ_MODELS)


def build_ledger(settings: Settings, clock: Callable[[], datetime] = utc_now) -> LedgerWithPast:
    """The ledger as the writer role; what balances were is asked for as the reader."""
    return LedgerWithPast(
        database.conninfo(settings, Role.WRITER),
        clock=clock,
        queue_size_max=settings.queue_size_max,
        timeout_seconds=settings.request_timeout_seconds,
        past_balances=PastBalances(
            database.conninfo(settings, Role.READER),
            timeout_seconds=settings.request_timeout_seconds,
        ),
    )


def build_handling(ledger: LedgerWithPast, clock: Callable[[], datetime] = utc_now) -> Handling:
    """What commands share."""
    return Handling(ledger, clock, ledger.past_balances)


def build_adapters(settings: Settings) -> dict[str, PaymentProvider]:
    """The adapters, by provider name."""
    secrets = provider_secrets(settings.data, SIMULATOR)
    simulator = registry.build(
        SIMULATOR,
        base_url=f"http://127.0.0.1:{settings.simulator_port}",
        secret=secrets.webhook_secret,
        token=secrets.token,
    )
    return {SIMULATOR: simulator}


def serve_api(settings: Settings, stop: threading.Event) -> None:
    """Answer HTTP until `stop` is set; requests under way are answered first."""
    from api.http.accepting import bound_to
    from api.http.app import create_app

    ledger = build_ledger(settings)
    services = build_services(settings, ledger)
    try:
        app = create_app(services)
        _collect_garbage_less_often()
        server = build_server(settings, app, connections_max=_connections_max(settings))

        def follow() -> None:
            stop.wait()
            server.should_exit = True

        threading.Thread(target=follow, daemon=True).start()
        shared = settings.api_processes > 1
        server.run(sockets=bound_to(settings.host, settings.port, shared=True) if shared else None)
    finally:
        services.proving.close()
        services.keys.close()
        ledger.close()


def build_server(settings: Settings, app: "FastAPI", connections_max: int) -> "uvicorn.Server":
    """The server of the API, which keeps to limits of time, of size and of number."""
    import uvicorn

    from api.http.accepting import Server
    from api.http.connections import Limits
    from api.http.protocol import limited

    limits = Limits(
        head_seconds=settings.head_timeout_seconds,
        body_seconds=settings.body_timeout_seconds,
        write_seconds=settings.write_timeout_seconds,
        connections_max=connections_max,
        per_address_max=settings.connections_per_address_max,
    )
    return Server(
        uvicorn.Config(
            app,
            host=settings.host,
            port=settings.port,
            http=limited(limits, app.state.metrics),
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=10,
        )
    )


def _connections_max(settings: Settings) -> int:
    """How many connections fit into the open files there may be, which are raised if need be.

    Each may be given a file to send; some are for the database and for probes.
    """
    needed = 2 * settings.connections_max + FILES_KEPT
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    fitting = max(1, min(settings.connections_max, (soft - FILES_KEPT) // 2))
    if fitting < settings.connections_max:
        _log.warning("api.few_open_files", open_files_max=hard, connections_max=fitting)
    return fitting


def _collect_garbage_less_often() -> None:
    """What is remembered of players and of the ledger is large and lives long: leave it alone.

    Nearly everything else goes by counting references; a batch of a thousand commands makes some
    100,000 objects, and walking through them on the way finds nothing.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 50)


def build_services(settings: Settings, ledger: LedgerWithPast) -> "Services":
    """Everything the API needs."""
    from api.http.services import Services

    handling = build_handling(ledger)
    writer = database.conninfo(settings, Role.WRITER)
    adapters = build_adapters(settings)
    return Services(
        handling=handling,
        deposits=DepositCommands(handling),
        withdrawals=WithdrawalCommands(handling),
        refunds=RefundCommands(handling),
        conversions=ConversionCommands(handling, adapters, settings.conversion_spread_basis_points),
        disputes=DisputeCommands(handling),
        adjustments=AdjustmentCommands(handling),
        players=PlayerCommands(handling),
        providers=ProviderCommands(handling),
        policies=PolicyCommands(handling),
        rates=RateCommands(handling),
        rulesets=RuleSetCommands(handling),
        fraud_cases=FraudCaseCommands(handling),
        fraud_reports=FraudReportCommands(handling),
        batches=IndependentBatches(handling, ledger),
        atomic_batches=AtomicBatches(handling, ledger),
        inbox=Inbox(handling),
        proving=Proving(
            database.conninfo(settings, Role.READER),
            timeout_seconds=settings.request_timeout_seconds,
        ),
        adapters=adapters,
        default_provider=SIMULATOR,
        exports=ExportQueue(writer),
        exports_folder=settings.data / "exports",
        export_days=settings.export_days,
        reporting=ReportingEntity(
            id=settings.reporting_id,
            name=settings.reporting_name,
            currency=settings.reporting_currency,
        ),
        keys=Keys(writer),
        open_reads=lambda: _open_reads(database.conninfo(settings, Role.READER)),
        why_not_writable=lambda: why_not_writable(writer),
        database_errors=(
            psycopg.OperationalError,
            psycopg.InterfaceError,
            PoolClosed,
            persistence.OperationalError,
            persistence.InterfaceError,
        ),
    )


def why_not_writable(conninfo: str) -> str | None:
    """None where an append would succeed now, else the reason. Takes no lock."""
    try:
        with psycopg.connect(conninfo) as connection:
            row = connection.execute(
                """
                SELECT pg_is_in_recovery(), current_setting('transaction_read_only')::boolean,
                       has_table_privilege('ledger_events', 'INSERT')
                """
            ).fetchone()
    except psycopg.Error as error:
        return f"the database cannot be reached ({type(error).__name__})"
    standby, read_only, may_insert = row or (True, True, False)
    if standby or read_only:
        return "the database is a standby or read-only"
    return None if may_insert else "the writer role may not insert events"


@asynccontextmanager
async def _open_reads(conninfo: str) -> "AsyncIterator[Read]":
    async def configure(connection: psycopg.AsyncConnection[object]) -> None:
        await connection.set_autocommit(True)
        await connection.execute("SET default_transaction_read_only = on")
        await connection.execute(f"SET statement_timeout = {READ_TIMEOUT_MS}")

    pool = AsyncConnectionPool(
        conninfo,
        kwargs={"application_name": READS_NAME},
        min_size=1,
        max_size=READ_CONNECTIONS_MAX,
        timeout=READ_TIMEOUT_MS / 1_000,
        configure=configure,
        check=AsyncConnectionPool.check_connection,
        open=False,
    )

    turns = Semaphore(READ_CONNECTIONS_MAX)

    @asynccontextmanager
    async def read() -> "AsyncIterator[object]":
        # Whoever goes away is cancelled again and again until they are gone. Waiting for a turn
        # they leave the queue; but while they gave a connection back, the pool would never see it
        # again: so what was lent is used to its end, which comes in time.
        try:
            with fail_after(READ_TIMEOUT_MS / 1_000):
                await turns.acquire()
        except TimeoutError as error:
            raise PoolTimeout("no connection to read with became free in time") from error
        try:
            with CancelScope(shield=True):
                async with pool.connection() as connection:
                    yield connection
        finally:
            turns.release()

    async with pool:
        yield read


def serve_projector(settings: Settings, stop: threading.Event) -> None:
    """Keep the read models up to date until `stop` is set."""
    Projector(
        conninfo=database.conninfo(settings, Role.WRITER),
        models=READ_MODELS,
        decode=decode,
        faultpoint=faultpoint,
    ).run(stop)


def build_assessments(settings: Settings) -> StoredAssessments:
    """What payouts are judged by."""
    return StoredAssessments(database.conninfo(settings, Role.READER))


def build_fraud_desk(settings: Settings, handling: Handling) -> FraudDesk:
    """What follows the fraud indicators."""
    return FraudDesk(
        conninfo=database.conninfo(settings, Role.READER),
        handling=handling,
        players=PlayerCommands(handling),
        cases=FraudCaseCommands(handling),
        rulesets=RuleSetCommands(handling),
    )


def serve_workers(settings: Settings, stop: threading.Event) -> None:
    """Do outstanding work at the providers, and follow indicators, until `stop` is set."""
    ledger = build_ledger(settings)
    assessments = build_assessments(settings)
    try:
        handling = build_handling(ledger)
        worker = Worker(
            conninfo=database.conninfo(settings, Role.WRITER),
            inbox=Inbox(handling),
            dispatch=Dispatch(handling, assessments, settings.provider_timeout_seconds),
            providers=build_adapters(settings),
            clock=utc_now,
            call_timeout_seconds=settings.provider_timeout_seconds,
        )
        _side_by_side(stop, worker.run, build_fraud_desk(settings, handling).run)
    finally:
        assessments.close()
        ledger.close()


def _side_by_side(stop: threading.Event, *parts: Callable[[threading.Event], None]) -> None:
    """Run all until `stop` is set; where one fails, the others stop as well, and it is raised.

    The supervisor then starts the process anew: a part never stays away unnoticed.
    """

    def run(part: Callable[[threading.Event], None]) -> None:
        try:
            part(stop)
        finally:
            stop.set()

    with ThreadPoolExecutor(len(parts)) as threads:
        running = [threads.submit(run, part) for part in parts]
    for one in running:
        one.result()


def serve_signer(settings: Settings, stop: threading.Event) -> None:
    """Sign what is appended until `stop` is set."""
    signing.build(settings, utc_now).run(stop)


def serve_exports(settings: Settings, stop: threading.Event) -> None:
    """Make the exports and backtests that are asked for over HTTP until `stop` is set."""
    # Imported here: the libraries for files weigh as much as everything else together.
    from replay.backtest.job import backtester
    from replay.jobs import ExportJobs, case_writer

    ExportJobs(
        writer=database.conninfo(settings, Role.WRITER),
        reader=database.conninfo(settings, Role.READER),
        folder=settings.data / "exports",
        keep_days=settings.export_days,
        write_case=case_writer(settings),
        run_backtest=backtester(settings),
    ).run(stop)


def _register_simulator(handling: Handling) -> None:
    command = Command(
        now=datetime.now(UTC), actor="system:setup", command_id=uuid4(), request_digest=""
    )
    ProviderCommands(handling).register(
        SIMULATOR,
        adapter=SIMULATOR,
        poll_delays_seconds=SIMULATOR_POLL_DELAYS_SECONDS,
        expiry_seconds=SIMULATOR_EXPIRY_SECONDS,
        command=command,
    )
