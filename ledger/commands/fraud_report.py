"""Commands about reports of suspicious activity."""

from collections.abc import Callable, Iterable, Sequence
from typing import cast
from uuid import UUID

from domain.command import Command, repeated
from domain.conversion.rates import RateTable, fold_rates, rates_stream
from domain.events import (
    LedgerEvent,
    RatesEvent,
    ReportDrafted,
    ReportedTransaction,
    ReportEvent,
)
from domain.fraud.report import (
    Report,
    dismiss_report,
    draft_report,
    file_report,
    fold_report,
    revise_report,
)
from ledger.commands.errors import CaseNotFound, ReportNotFound
from ledger.commands.fraud_case import project_case
from ledger.commands.handling import Caller, Handling
from ledger.commands.stream_handling import change_stream


def project_report(state: Report | None, events: Iterable[LedgerEvent]) -> Report | None:
    """The report a stream tells of.

    Raises:
        ReportNotFound: it tells of something else.
    """
    story = list(events)
    if state is None and story and not isinstance(story[0], ReportDrafted):
        raise ReportNotFound(story[0].originator_id)
    return fold_report(state, cast("list[ReportEvent]", story))


class FraudReportCommands:
    """What compliance does with reports of suspicious activity."""

    def __init__(self, handling: Handling) -> None:
        self._handling = handling

    def get(self, report_id: UUID) -> Report:
        """The report as it is now.

        Raises:
            ReportNotFound: there is none under this id.
        """
        report = self._handling.ledger.load(report_id, project_report)
        if report is None:
            raise ReportNotFound(report_id)
        return report

    def rates_of(self, report: Report) -> RateTable | None:
        """The exchange rates in force when the report was written; None where there were none.

        Its documents are made with these: later tables do not change what was handed in.
        """
        told = cast("list[RatesEvent]", self._handling.ledger.history(rates_stream()))
        return fold_rates(None, [e for e in told if e.occurred_at <= report.written_at]).in_force

    def draft(
        self,
        case_id: UUID,
        narrative: str,
        transactions: Sequence[ReportedTransaction],
        caller: Caller,
    ) -> Report:
        """Begin a report from what a case has found by now.

        Raises:
            CaseNotFound, RoleNotAllowed, EvidenceMissing, CommandReused.
        """
        listed = tuple(transactions)
        request = {"case_id": case_id, "narrative": narrative, "transactions": listed}
        command = self._handling.command(caller, "draft-report", request)

        def decide(report: Report | None) -> LedgerEvent | None:
            if report is not None and repeated(report.commands, command):
                return None
            case = self._handling.ledger.load(case_id, project_case)
            if case is None:
                raise CaseNotFound(case_id)
            return draft_report(case, command, narrative=narrative, transactions=listed)

        return change_stream(self._handling, command.command_id, project_report, command, decide)

    def revise(
        self,
        report_id: UUID,
        narrative: str,
        transactions: Sequence[ReportedTransaction],
        caller: Caller,
    ) -> Report:
        """Change what a draft says.

        Raises:
            ReportNotFound, RoleNotAllowed, InvalidTransition, EvidenceMissing, NothingToChange,
            CommandReused, VersionChanged.
        """
        listed = tuple(transactions)
        request = {"id": report_id, "narrative": narrative, "transactions": listed}
        command = self._handling.command(caller, "revise-report", request)

        def decide(report: Report) -> LedgerEvent | None:
            return revise_report(report, command, narrative=narrative, transactions=listed)

        return self._change(report_id, command, decide, caller)

    def file(
        self,
        report_id: UUID,
        authority: str,
        authority_reference: str,
        document_digest: str,
        caller: Caller,
    ) -> Report:
        """Record that the report was handed to the authorities.

        `document_digest`: SHA-256, in hexadecimal, of the XML that was handed in.

        Raises:
            ReportNotFound, RoleNotAllowed, InvalidTransition, EvidenceMissing, CommandReused,
            VersionChanged.
        """
        request = {
            "id": report_id,
            "authority": authority,
            "authority_reference": authority_reference,
            "document_digest": document_digest,
        }
        command = self._handling.command(caller, "file-report", request)

        def decide(report: Report) -> LedgerEvent | None:
            return file_report(
                report,
                command,
                authority=authority,
                authority_reference=authority_reference,
                document_digest=document_digest,
            )

        return self._change(report_id, command, decide, caller)

    def dismiss(self, report_id: UUID, reason: str, caller: Caller) -> Report:
        """Decide not to file the report.

        Raises:
            ReportNotFound, RoleNotAllowed, InvalidTransition, EvidenceMissing, CommandReused,
            VersionChanged.
        """
        request = {"id": report_id, "reason": reason}
        command = self._handling.command(caller, "dismiss-report", request)

        def decide(report: Report) -> LedgerEvent | None:
            return dismiss_report(report, command, reason=reason)

        return self._change(report_id, command, decide, caller)

    def _change(
        self,
        report_id: UUID,
        command: Command,
        decide: Callable[[Report], LedgerEvent | None],
        caller: Caller,
    ) -> Report:
        def decide_about_it(report: Report | None) -> LedgerEvent | None:
            if report is None:
                raise ReportNotFound(report_id)
            return decide(report)

        return change_stream(
            self._handling,
            report_id,
            project_report,
            command,
            decide_about_it,
            expected_version=caller.expected_version,
        )
