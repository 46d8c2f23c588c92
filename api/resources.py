"""What the API shows: one shape per thing, the same in answers to writes and to reads."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from domain.deposit import Deposit
from domain.money import Money
from domain.player import Player
from domain.provider import Provider
from domain.resolution import Proposal
from domain.transactions import Transaction, kind_of


def _in_utc(instant: datetime) -> datetime:
    return instant.astimezone(UTC)


Instant = Annotated[datetime, AfterValidator(_in_utc)]
"""Shown as RFC 3339 in UTC, ending in Z."""


class Shown(BaseModel):
    """Something the API shows."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class MoneyShown(Shown):
    """An amount in minor units: 1050 EUR are 10.50 euro."""

    amount: int = Field(examples=[1050])
    currency: str = Field(examples=["EUR"])

    @classmethod
    def of(cls, money: Money) -> "MoneyShown":
        return cls(amount=money.amount, currency=money.currency)


class ProposalShown(Shown):
    """How one person says a review should end; another has to agree."""

    person: str = Field(examples=["anna"])
    target: str = Field(examples=["completed"])
    note: str = Field(examples=["The provider's settlement file of 3 May lists it."])

    @classmethod
    def of(cls, proposal: Proposal | None) -> "ProposalShown | None":
        if proposal is None:
            return None
        return cls(person=proposal.person, target=proposal.target, note=proposal.note)


class TransactionShown(Shown):
    """A deposit or a withdrawal."""

    id: UUID
    kind: Literal["deposit", "withdrawal"]
    status: str = Field(description="Where it stands, exactly.", examples=["submitted"])
    screen_status: str = Field(
        description="Where it stands, in the word people read.", examples=["Processing"]
    )
    player_id: UUID
    provider: str = Field(examples=["simulator"])
    method: str = Field(examples=["card"])
    amount: MoneyShown
    instrument: str | None = Field(examples=["tok_7Hq2"])
    reason: str | None = Field(
        description="Why it was refused, given up or is under review.", examples=[None]
    )
    reference: str | None = Field(
        description="Ours, of the latest attempt at the provider.", examples=[None]
    )
    provider_reference: str | None = Field(examples=[None])
    redirect_url: str | None = Field(
        description="Deposits: where the player has to go to pay.", examples=[None]
    )
    expires_at: Instant | None = Field(
        description="Deposits: until when the player may act.", examples=[None]
    )
    requested_by: str | None = Field(
        description="Withdrawals: who requested it, and so may not approve it.", examples=[None]
    )
    approvals_required: int = Field(
        description="Withdrawals: how many people have to agree.", examples=[0]
    )
    approvals: list[str] = Field(description="Withdrawals: who agreed so far.", examples=[[]])
    screening_reasons: list[str] = Field(
        description="Withdrawals: why people have to agree.", examples=[[]]
    )
    retry_at: Instant | None = Field(
        description="Withdrawals: when the next attempt is made.", examples=[None]
    )
    proposal: ProposalShown | None = Field(
        description="In review: what one person proposed.", examples=[None]
    )
    metadata: dict[str, str] = Field(examples=[{"order": "A-17"}])
    created_at: Instant
    updated_at: Instant
    version: int = Field(description="Of its stream; the ETag.", examples=[2])


class ReceiptShown(Shown):
    """Proof of where it stands in the log: a leaf of the Merkle tree, and the tree's root."""

    position: int = Field(examples=[4711])
    leaf: str = Field(description="SHA-256, hexadecimal (RFC 6962 leaf hash).")
    root: str = Field(description="SHA-256, hexadecimal, of the tree of `size` events.")
    size: int = Field(examples=[4711])


class Balances(Shown):
    """What the player may spend, and what is set aside for payouts and reviews."""

    available: MoneyShown
    reserved: MoneyShown


class TransactionAnswer(TransactionShown):
    """A transaction as the request left it, with its receipt."""

    position: int = Field(
        description="Pass it as `min_position` to read what includes this.", examples=[4711]
    )
    receipt: ReceiptShown
    balances: Balances


class PlayerShown(Shown):
    """A player, by the platform's own opaque id."""

    id: UUID
    jurisdiction: str | None = Field(examples=["MT"])
    verification: Literal["none", "basic", "full"]
    excluded: bool = Field(description="May not deposit.", examples=[False])
    on_hold: bool = Field(description="No payout may leave.", examples=[False])
    registered_at: Instant
    version: int = Field(examples=[1])

    @classmethod
    def of(cls, player: Player) -> "PlayerShown":
        return cls(
            id=player.id,
            jurisdiction=player.jurisdiction,
            verification=player.verification.value,
            excluded=player.excluded,
            on_hold=player.on_hold,
            registered_at=player.registered_at,
            version=player.version,
        )


class ProviderShown(Shown):
    """A payment service provider."""

    name: str = Field(examples=["simulator"])
    adapter: str = Field(examples=["simulator"])
    paused: bool = Field(description="No new transaction may go there.", examples=[False])
    poll_delays_seconds: list[int] = Field(examples=[[10, 30, 120]])
    expiry_seconds: dict[str, int] = Field(examples=[{"redirect": 1800}])
    version: int = Field(examples=[1])

    @classmethod
    def of(cls, provider: Provider) -> "ProviderShown":
        return cls(
            name=provider.name,
            adapter=provider.adapter,
            paused=provider.paused,
            poll_delays_seconds=list(provider.poll_delays_seconds),
            expiry_seconds=dict(sorted(provider.expiry_seconds.items())),
            version=provider.version,
        )


def transaction_fields(transaction: Transaction) -> dict[str, Any]:
    """The fields of `TransactionShown`.

    Collections are sorted: what was just decided and what is read back from the log must not
    differ in a byte.
    """
    deposit = transaction if isinstance(transaction, Deposit) else None
    withdrawal = None if isinstance(transaction, Deposit) else transaction
    return {
        "id": transaction.id,
        "kind": kind_of(transaction),
        "status": transaction.status.value,
        "screen_status": transaction.status.screen_word,
        "player_id": transaction.player_id,
        "provider": transaction.provider,
        "method": transaction.method,
        "amount": MoneyShown.of(transaction.amount),
        "instrument": transaction.instrument,
        "reason": transaction.reason,
        "reference": transaction.reference,
        "provider_reference": transaction.provider_reference,
        "redirect_url": deposit.redirect_url if deposit else None,
        "expires_at": deposit.expires_at if deposit else None,
        "requested_by": withdrawal.requested_by if withdrawal else None,
        "approvals_required": withdrawal.approvals_required if withdrawal else 0,
        "approvals": sorted(withdrawal.approvals) if withdrawal else [],
        "screening_reasons": list(withdrawal.screening_reasons) if withdrawal else [],
        "retry_at": withdrawal.retry_at if withdrawal else None,
        "proposal": ProposalShown.of(transaction.proposal),
        "metadata": dict(sorted(transaction.metadata.items())),
        "created_at": transaction.created_at,
        "updated_at": transaction.updated_at,
        "version": transaction.version,
    }
