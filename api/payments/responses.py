"""What the API shows of transactions: one shape per kind, the same in writes, reads and lists.

These models are the documentation of the answers: the answers themselves are put together in
`rendering.py` as plain values, which is several times as fast. A test holds the two together.
"""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from api.http.responses import Instant, MoneyShown, ReceiptShown, Shown
from domain.approval.snapshot import Change
from domain.events.evidence import DisputeStage, Standing

Groups = list[list[str]]
"""One person for each inner list, who has any role of it."""

_GROUPS_EXAMPLE = [["fraud", "finance"]]


class ProposalShown(Shown):
    """How one person says a review should end; another has to agree."""

    person: str = Field(examples=["anna"])
    target: str = Field(examples=["completed"])
    note: str = Field(examples=["The provider's settlement file of 3 May lists it."])


class TransactionShown(Shown):
    """What transactions of every kind have."""

    id: UUID
    kind: str
    status: str = Field(description="Where it stands, exactly.", examples=["submitted"])
    screen_status: str = Field(
        description="Where it stands, in the word people read.", examples=["Processing"]
    )
    player_id: UUID | None = Field(description="Null: it is about no player.")
    provider: str | None = Field(
        description="Null: no provider has a part in it.", examples=["simulator"]
    )
    method: str | None = Field(examples=["card"])
    amount: MoneyShown
    instrument: str | None = Field(examples=["tok_7Hq2"])
    reason: str | None = Field(
        description="Why it was refused, given up or is under review.", examples=[None]
    )
    reference: str | None = Field(
        description="Ours, of the latest attempt at the provider.", examples=[None]
    )
    provider_reference: str | None = Field(examples=[None])
    requested_by: str = Field(
        description="Who requested it, and so may not approve it.", examples=["platform"]
    )
    proposal: ProposalShown | None = Field(
        description="In review: what one person proposed.", examples=[None]
    )
    metadata: dict[str, str] = Field(examples=[{"order": "A-17"}])
    created_at: Instant
    updated_at: Instant
    version: int = Field(description="Of its stream; the ETag.", examples=[2])


# --- deposits -----------------------------------------------------------------------------------


class ClaimShown(Shown):
    """What one refund or dispute takes of a deposit."""

    id: UUID = Field(description="Of the refund or dispute.")
    amount: MoneyShown
    standing: Standing = Field(description="Open claims may still be taken or released.")


class DepositShown(TransactionShown):
    """A player's payment to the platform."""

    kind: Literal["deposit"]
    player_id: UUID
    redirect_url: str | None = Field(
        description="Where the player has to go to pay.", examples=[None]
    )
    expires_at: Instant | None = Field(description="Until when the player may.", examples=[None])
    captured: MoneyShown | None = Field(description="What the player was credited with.")
    refundable: MoneyShown | None = Field(
        description="What no refund or dispute takes. Nothing is refunded while one is open."
    )
    refunds: list[ClaimShown] = Field(examples=[[]])
    disputes: list[ClaimShown] = Field(examples=[[]])
    excess: MoneyShown | None = Field(
        description="How much more has gone out for it, by refunds and disputes, than came in.",
        examples=[None],
    )
    concerns: list[str] = Field(
        description="Rules that forbade it when it was paid all the same; more_out_than_in while "
        "there is an excess.",
        examples=[[]],
    )
    concerns_reviewed: bool = Field(description="Somebody has looked at them.", examples=[False])


# --- withdrawals --------------------------------------------------------------------------------


class LegShown(Shown):
    """A part of a payout that goes to one instrument."""

    leg: int = Field(description="From 1.", examples=[1])
    provider: str = Field(examples=["simulator"])
    method: str = Field(examples=["card"])
    instrument: str | None = Field(examples=["tok_7Hq2"])
    amount: MoneyShown
    status: str = Field(examples=["planned"])
    screen_status: str = Field(examples=["Requested"])
    attempt: int = Field(description="The latest one's number; 0: none yet.", examples=[0])
    reference: str | None = Field(examples=[None])
    provider_reference: str | None = Field(examples=[None])
    reason: str | None = Field(examples=[None])
    retry_at: Instant | None = Field(description="When the next attempt is made.", examples=[None])
    proposal: ProposalShown | None = Field(examples=[None])


class ApprovalShown(Shown):
    """Somebody's agreement to a payout, and whether it still counts."""

    person: str = Field(examples=["anna"])
    role: str = Field(examples=["finance"])
    at: Instant
    counts: bool
    problems: list[Change] = Field(
        description="Why it does not count: what has changed since.", examples=[[]]
    )


class WeighedHitShown(Shown):
    """An indicator that counted when a payout was screened."""

    indicator: str = Field(examples=["low_turnover"])
    severity: Literal["low", "medium", "high", "critical"] = Field(examples=["medium"])
    subject: str = Field(
        description="Whom or what it hit.", examples=["player:3f0c1d5e-6f0a-4c57-9a53-5a2f6f1f0c11"]
    )
    position: int = Field(description="Of the event that completed it.", examples=[4711])
    holds: bool = Field(description="The payout stops for it, whatever its score.")


class WithdrawalShown(TransactionShown):
    """A player's request to be paid.

    In the answer to a write, `approvals` and `missing` are judged as of that write and without
    regard to the player's standing, so that its repeat says the same; read it to know what counts
    now.
    """

    kind: Literal["withdrawal"]
    player_id: UUID
    legs: list[LegShown] = Field(min_length=1, description="Where the money goes.")
    closed_loop: bool = Field(
        description="It all goes back to what the player has paid in with.", examples=[True]
    )
    score: int | None = Field(
        description="How risky it looks, 0 to 100; null: not screened yet, or not for who asks.",
        examples=[25],
    )
    high: list[str] | None = Field(
        description="Indicators of high or critical severity, also those that hit later. Null,"
        " as the two below: not for who asks.",
        examples=[[]],
    )
    hits: list[WeighedHitShown] | None = Field(
        description="What the last screening counted: each indicator once, at its worst."
    )
    ruleset: str | None = Field(description="By which it was judged last.", examples=["default-1"])
    required: Groups = Field(
        description="One person for each inner list, who has any role of it.",
        examples=[_GROUPS_EXAMPLE],
    )
    missing: Groups = Field(
        description="Those of `required` for whom nobody has agreed, or not any more.",
        examples=[_GROUPS_EXAMPLE],
    )
    approvals: list[ApprovalShown] = Field(examples=[[]])
    screening_reasons: list[str] = Field(
        description="Why people have to agree; what is about the score, for who may see that.",
        examples=[["above_automatic_limit"]],
    )
    retry_at: Instant | None = Field(
        description="When the next leg is tried again.", examples=[None]
    )


# --- refunds, conversions, disputes, adjustments ------------------------------------------------


class RefundShown(TransactionShown):
    """A deposit, or a part of one, that goes back the way it came."""

    kind: Literal["refund"]
    player_id: UUID
    deposit_id: UUID
    grounds: str = Field(
        description="Why, in the words of who asked for it.", examples=["Paid twice."]
    )
    required: Groups = Field(
        description="Who else has to agree: one person with any of these roles.",
        examples=[[["finance"]]],
    )


class RateShown(Shown):
    """Whole units of the target's currency for one of the source's."""

    numerator: int = Field(description="An integer of up to 64 bits.", examples=[10843])
    denominator: int = Field(description="An integer of up to 64 bits.", examples=[10000])
    decimal: str = Field(
        description="The same to 12 significant digits, for people.", examples=["1.0843"]
    )


class ConversionShown(TransactionShown):
    """An exchange of a player's money into another currency."""

    kind: Literal["conversion"]
    player_id: UUID
    source: MoneyShown = Field(description="What the player gives.")
    target: MoneyShown = Field(description="What the player gets.")
    spread: MoneyShown = Field(description="What the house keeps of it.")
    rate: RateShown
    rate_source: str = Field(examples=["ecb-2026-05-03"])
    rounding: str = Field(examples=["down"])
    expires_at: Instant = Field(description="Until when the quote can be taken.")


class DisputeShown(TransactionShown):
    """A deposit that the player's bank contests."""

    kind: Literal["dispute"]
    player_id: UUID
    deposit_id: UUID
    dispute_reference: str = Field(description="The provider's own.", examples=["dp_1"])
    stage: DisputeStage
    evidence_due_at: Instant | None
    funds_withdrawn: bool = Field(description="The provider has taken the money, as of now.")
    acknowledged: bool = Field(description="The provider has our answer.")
    contradicted: bool = Field(
        description="The provider says two things that cannot both be; somebody has to look."
    )
    answer_note: str = Field(description="What we answered in this stage.", examples=[""])
    documents: list[str] = Field(examples=[["doc_81"]])


class MoveShown(Shown):
    """Money from one account to another."""

    source: str = Field(examples=["house:adjustments:EUR"])
    target: str = Field(examples=["player:3f0c1d5e-6f0a-4c57-9a53-5a2f6f1f0c11:available:EUR"])
    amount: MoneyShown


class AdjustmentShown(TransactionShown):
    """A correction of the books; `amount` is that of the first move."""

    kind: Literal["adjustment"]
    purpose: str = Field(examples=["goodwill"])
    moves: list[MoveShown] = Field(min_length=1)
    grounds: str = Field(description="What it stands on.", examples=["Ticket 4711."])
    transaction_id: UUID | None = Field(description="The transaction that it sets right.")
    decided_by: str | None = Field(examples=[None])


AnyTransactionShown = Annotated[
    DepositShown | WithdrawalShown | RefundShown | ConversionShown | DisputeShown | AdjustmentShown,
    Field(discriminator="kind"),
]

# --- answers to writes --------------------------------------------------------------------------


class Balances(Shown):
    """What the player may spend, and what is set aside for payouts and reviews."""

    available: MoneyShown
    reserved: MoneyShown


class AccountBalanceShown(Shown):
    """An account and its balance."""

    account: str = Field(examples=["player:3f0c1d5e-6f0a-4c57-9a53-5a2f6f1f0c11:available:EUR"])
    balance: MoneyShown


class Answered(Shown):
    """What every write answers besides the transaction as it left it."""

    position: int = Field(
        description="Pass it as `min_position` to read what includes this.", examples=[4711]
    )
    receipt: ReceiptShown


class DepositAnswer(DepositShown, Answered):
    """A deposit as the request left it."""

    balances: Balances


class WithdrawalAnswer(WithdrawalShown, Answered):
    """A withdrawal as the request left it."""

    balances: Balances


class RefundAnswer(RefundShown, Answered):
    """A refund as the request left it."""

    balances: Balances


class ConversionAnswer(ConversionShown, Answered):
    """A conversion as the request left it."""

    balances: Balances = Field(description="In the currency the player gives.")
    target_balances: Balances = Field(description="In the currency the player gets.")


class DisputeAnswer(DisputeShown, Answered):
    """A dispute as the request left it. It moves no player's money."""


class AdjustmentAnswer(AdjustmentShown, Answered):
    """An adjustment as the request left it."""

    balances: list[AccountBalanceShown] = Field(
        description="Of the players' accounts that it moves."
    )


AnyTransactionAnswer = Annotated[
    DepositAnswer
    | WithdrawalAnswer
    | RefundAnswer
    | ConversionAnswer
    | DisputeAnswer
    | AdjustmentAnswer,
    Field(discriminator="kind"),
]
