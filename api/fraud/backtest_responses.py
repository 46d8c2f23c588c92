"""What the API shows of backtests."""

from datetime import date
from typing import Any
from uuid import UUID

from pydantic import Field

from api.http.responses import Instant, Shown
from ledger.export_jobs import Job


class SpanShown(Shown):
    """Payouts from one position up to before another."""

    first: int = Field(examples=[1])
    before: int = Field(examples=[4712])


class InForceShown(Shown):
    """A rule set, and after which position it was in force."""

    ruleset: str = Field(examples=["default-1"])
    position: int = Field(examples=[0])


class VerdictShown(Shown):
    """What one rule set says about a payout."""

    score: int = Field(description="0 to 100.", examples=[50])
    path: str = Field(
        description="`automatic`, `review` or `hold`, as far as risk decides it.",
        examples=["review"],
    )
    indicators: list[str] = Field(description="That counted.", examples=[["structuring"]])


class ChangedDecisionShown(Shown):
    """A payout that would have gone another way."""

    withdrawal_id: UUID
    position: int = Field(description="Of the request, or its last amendment.", examples=[4702])
    player_id: UUID
    at: Instant
    amount_minor: int = Field(examples=[60_000])
    currency: str = Field(examples=["EUR"])
    before: VerdictShown = Field(description="By the rule set that was in force.")
    after: VerdictShown = Field(description="By the one that is tried out.")
    ended: str = Field(
        description="In fact: `paid`, `returned`, `failed`, `rejected` by a person, `refused` by a"
        " rule, `cancelled`, or `open`.",
        examples=["paid"],
    )


class MovedShown(Shown):
    """Payouts of one currency that would have gone one way instead of another."""

    before: str = Field(examples=["automatic"])
    after: str = Field(examples=["review"])
    currency: str = Field(examples=["EUR"])
    payouts: int = Field(examples=[3])
    amount_minor: int = Field(examples=[180_000])


class PrecisionCountedShown(Shown):
    """How often an indicator hit, and what the cases that have ended say about it."""

    hits: int = Field(examples=[12])
    confirmed: int = Field(examples=[3])
    false_positive: int = Field(examples=[1])
    inconclusive: int = Field(examples=[0])
    precision_percent: int | None = Field(
        description="Confirmed, of those that are confirmed or false positives; rounded down.",
        examples=[75],
    )


class IndicatorComparedShown(Shown):
    """One indicator under both rule sets."""

    indicator: str = Field(examples=["structuring"])
    before: PrecisionCountedShown
    after: PrecisionCountedShown


class QueueDayShown(Shown):
    """How many payouts people would have had before them when a day, in UTC, ended."""

    day: date
    before: int = Field(examples=[14])
    after: int = Field(examples=[17])


class BacktestResultShown(Shown):
    """What another rule set would have changed."""

    span: SpanShown
    log_position: int = Field(
        description="Up to here it was looked at how payouts and cases ended.", examples=[4711]
    )
    log_root: str = Field(description="Of the log up to there, hexadecimal.")
    in_force: list[InForceShown] = Field(description="Rule sets that the span was judged by.")
    candidate: str = Field(examples=["rules-3"])
    judged: int = Field(description="Payouts of the span.", examples=[812])
    scores_changed: int = Field(examples=[5])
    decisions_changed: int = Field(examples=[3])
    decisions: list[ChangedDecisionShown] = Field(description="The 1,000 largest, largest first.")
    moved: list[MovedShown]
    indicators: list[IndicatorComparedShown]
    queue: list[QueueDayShown]
    hits: int = Field(description="By the candidate, since the log began.", examples=[97])
    hits_in_force: int = Field(examples=[92])
    digest: str = Field(
        description="SHA-256, hexadecimal, over the candidate's hits and assessments: the same"
        " wherever and however often it is computed."
    )
    digest_in_force: str
    events: int = Field(examples=[4711])
    signals: int = Field(examples=[5230])
    engine: str = Field(examples=["processes"])
    workers: int = Field(examples=[2])
    elapsed_s: float = Field(examples=[4.2])
    peak_memory_mb: float = Field(examples=[96.1])


class BacktestListed(Shown):
    """A backtest without what it came to: what was asked for, and how far it is."""

    id: UUID
    status: str = Field(description="`queued`, `running`, `done` or `failed`.", examples=["done"])
    person: str = Field(description="Who asked for it.", examples=["ben"])
    ruleset_id: UUID = Field(description="The one that is tried out.")
    begins: str | None = Field(
        alias="from", description="A position or an instant; null: the log's beginning."
    )
    ends: str | None = Field(alias="to", description="Likewise, not included; null: the log's end.")
    engine: str = Field(examples=["processes"])
    events_done: int = Field(description="Of the log, judged.", examples=[4711])
    events_total: int | None = Field(description="Null until it has begun.", examples=[4711])
    error: str | None = Field(description="Why it failed.", examples=[None])
    created_at: Instant
    started_at: Instant | None
    ended_at: Instant | None

    @classmethod
    def of(cls, job: Job) -> "BacktestListed":
        return cls(**_shown(job))


class BacktestShown(BacktestListed):
    """A backtest: what was asked for, how far it is, and what it came to."""

    result: BacktestResultShown | None = Field(description="Once it is done.")

    @classmethod
    def of(cls, job: Job) -> "BacktestShown":
        done = job.result if job.status == "done" else None
        found = None if done is None else BacktestResultShown.model_validate(done)
        return cls(**_shown(job), result=found)


def _shown(job: Job) -> dict[str, Any]:
    return {
        "id": job.id,
        "status": job.status,
        "person": job.person,
        "ruleset_id": job.request["ruleset"],
        "from": job.request["from"],
        "to": job.request["to"],
        "engine": job.request["engine"],
        "events_done": job.events_done,
        "events_total": job.events_total,
        "error": job.error,
        "created_at": job.created_at,
        "started_at": job.started_at,
        "ended_at": job.ended_at,
    }
