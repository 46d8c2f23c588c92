"""Notice: the inbox. Evidence of what a provider told us, recorded before it is acted on."""

from uuid import NAMESPACE_URL, UUID, uuid5

from domain.command import Command
from domain.events import DisputeNoticeReceived, NoticeUnmatched, ProviderNoticeReceived
from domain.events.evidence import DisputeReport, Evidence, Source

_NAMESPACE = uuid5(NAMESPACE_URL, "urn:tallystick:notice")


def notice_stream(provider: str, message_id: str) -> UUID:
    """One stream per message: a repeat meets a stream that exists, and is not recorded twice."""
    return uuid5(_NAMESPACE, f"{provider}\n{message_id}")


def evidence_of(notice: ProviderNoticeReceived) -> Evidence:
    """What the notice says of an attempt, to be acted on."""
    return Evidence(
        source=Source.NOTICE,
        outcome=notice.outcome,
        reference=notice.reference,
        amount=notice.amount,
        fee=notice.fee,
        notice_id=notice.originator_id,
        provider_reference=notice.provider_reference,
        decline_code=notice.decline_code,
        raw_code=notice.raw_code,
        redirect_url=notice.redirect_url,
        happened_at=notice.happened_at,
    )


def report_of(notice: DisputeNoticeReceived) -> DisputeReport:
    """What the notice says of a dispute, to be acted on."""
    return DisputeReport(
        source=Source.NOTICE,
        news=notice.news,
        stage=notice.stage,
        reference=notice.reference,
        dispute_reference=notice.dispute_reference,
        amount=notice.amount,
        reason_code=notice.reason_code,
        evidence_due_at=notice.evidence_due_at,
        notice_id=notice.originator_id,
    )


def set_aside(
    notice: ProviderNoticeReceived | DisputeNoticeReceived, command: Command, reason: str
) -> NoticeUnmatched:
    """Record that the notice is about nothing we know."""
    return NoticeUnmatched(
        **command.header(notice.originator_id, notice.originator_version + 1), reason=reason
    )
