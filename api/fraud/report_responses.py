"""What the API shows of reports of suspicious activity."""

from uuid import UUID

from pydantic import Field

from api.http.responses import Instant, MoneyShown, Shown
from domain.fraud.report import Report


class ReportedTransactionShown(Shown):
    """A transaction that the report is about, as it was when it was written."""

    transaction_id: UUID
    kind: str = Field(examples=["deposit"])
    amount: MoneyShown
    at: str = Field(description="When it began.", examples=["2026-05-03T14:07:21.120453Z"])
    instrument: str | None = Field(examples=["tok_7Hq2"])


class ReportedIndicatorShown(Shown):
    """An indicator that the report rests on."""

    indicator: str = Field(examples=["structuring"])
    hit: str = Field(
        examples=["000000000004711/structuring/player:3f0c1d5e-6f0a-4c57-9a53-5a2f6f1f0c11"]
    )
    sentence: str = Field(
        examples=["4 deposits between 1,800.00 and 2,000.00 EUR within 7 days, 7,640.00 together."]
    )


class ReportShown(Shown):
    """A report: what the authorities are told, or why they are not."""

    id: UUID
    status: str = Field(description="`draft`, `filed` or `dismissed`.", examples=["draft"])
    case_id: UUID
    subject: str = Field(examples=["player:3f0c1d5e-6f0a-4c57-9a53-5a2f6f1f0c11"])
    player_id: UUID | None = Field(description="Null: it is about no single player.")
    narrative: str = Field(
        examples=["Between 3 and 5 May the player paid in 7,640.00 EUR in four parts."]
    )
    transactions: list[ReportedTransactionShown]
    indicators: list[ReportedIndicatorShown]
    drafted_by: str = Field(examples=["cleo"])
    drafted_at: Instant
    updated_at: Instant
    authority: str | None = Field(examples=["FIAU Malta"])
    authority_reference: str | None = Field(
        description="Under which they have it.", examples=["STR-2026-000117"]
    )
    document_digest: str | None = Field(
        description="SHA-256, hexadecimal, of the XML that was filed: goaml.xml, for as long as the"
        " settings say the same about who reports."
    )
    decided_by: str | None = Field(examples=["cleo"])
    decided_at: Instant | None
    reason: str | None = Field(description="Why it was not filed.", examples=[None])
    version: int = Field(description="Also its ETag.", examples=[1])

    @classmethod
    def of(cls, report: Report) -> "ReportShown":
        return cls(
            id=report.id,
            status=report.status.value,
            case_id=report.case_id,
            subject=report.subject,
            player_id=report.player_id,
            narrative=report.narrative,
            transactions=[
                ReportedTransactionShown(
                    transaction_id=one.transaction_id,
                    kind=one.kind,
                    amount=MoneyShown.of(one.amount),
                    at=one.at,
                    instrument=one.instrument,
                )
                for one in report.transactions
            ],
            indicators=[
                ReportedIndicatorShown(indicator=one.indicator, hit=one.hit, sentence=one.sentence)
                for one in report.indicators
            ],
            drafted_by=report.drafted_by,
            drafted_at=report.drafted_at,
            updated_at=report.updated_at,
            authority=report.authority,
            authority_reference=report.authority_reference,
            document_digest=report.document_digest,
            decided_by=report.decided_by,
            decided_at=report.decided_at,
            reason=report.reason,
            version=report.version,
        )
