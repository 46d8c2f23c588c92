"""Everything the routes need, put together elsewhere and handed in."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from api.fraud.documents.goaml import ReportingEntity
from ledger.access.api_keys import Keys
from ledger.checkpoints.proving import Proving
from ledger.commands.adjustment import AdjustmentCommands
from ledger.commands.atomic_batches import AtomicBatches
from ledger.commands.batches import IndependentBatches
from ledger.commands.conversion import ConversionCommands
from ledger.commands.deposit import DepositCommands
from ledger.commands.dispute import DisputeCommands
from ledger.commands.fraud_case import FraudCaseCommands
from ledger.commands.fraud_report import FraudReportCommands
from ledger.commands.handling import Handling
from ledger.commands.inbox import Inbox
from ledger.commands.player import PlayerCommands
from ledger.commands.policy import PolicyCommands
from ledger.commands.provider import ProviderCommands
from ledger.commands.rates import RateCommands
from ledger.commands.refund import RefundCommands
from ledger.commands.ruleset import RuleSetCommands
from ledger.commands.withdrawal import WithdrawalCommands
from ledger.export_jobs import ExportQueue
from ledger.providers.protocol import PaymentProvider

ReadConnection = Any
"""What the queries of `projections` take: psycopg's AsyncConnection, which is not imported here.

It is of the reader role, read only by default, in autocommit, with a statement time-out.
"""

Read = Callable[[], AbstractAsyncContextManager[ReadConnection]]
"""Lends a connection to read with: `async with read() as connection`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What `create_app` is given. Whoever made the parts also closes them."""

    handling: Handling
    """Its ledger answers what has to be right now."""
    deposits: DepositCommands
    withdrawals: WithdrawalCommands
    refunds: RefundCommands
    conversions: ConversionCommands
    disputes: DisputeCommands
    adjustments: AdjustmentCommands
    players: PlayerCommands
    providers: ProviderCommands
    policies: PolicyCommands
    rates: RateCommands
    rulesets: RuleSetCommands
    fraud_cases: FraudCaseCommands
    fraud_reports: FraudReportCommands
    batches: IndependentBatches
    atomic_batches: AtomicBatches
    inbox: Inbox
    proving: Proving
    """Checkpoints and proofs; blocks for the database."""
    adapters: Mapping[str, PaymentProvider]
    """By provider name."""
    default_provider: str
    """Where a request goes that names none."""
    exports: ExportQueue
    exports_folder: Path
    """Where the workers leave the files, in a folder for each export."""
    export_days: int
    """How long these are kept."""
    reporting: ReportingEntity
    """Who reports suspicious activity."""
    keys: Keys
    open_reads: Callable[[], AbstractAsyncContextManager[Read]]
    """Opens the pool to read with, in the event loop of the server, for as long as it runs."""
    why_not_writable: Callable[[], str | None]
    """None where an append would succeed now, else the reason; blocks for the database."""
    database_errors: Sequence[type[Exception]]
    """What the drivers raise when the database is away or too slow: answered with 503."""
