"""What the API shows of a player. Their money is shown in `money.py`."""

from datetime import UTC, datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from api.http.responses import Instant, MoneyShown, ReceiptShown, Shown
from domain.player.jurisdictions import jurisdiction_of
from domain.player.player import Limit, Player
from ledger.commands.player import HolderChecked, Wagered

WindowWord = Literal["day", "week", "month"]
StopWord = Literal["deposits", "payouts"]
HoldWord = Literal["payment", "fraud", "aml", "support"]
VerificationWord = Literal["none", "basic", "full"]


class JurisdictionShown(Shown):
    """What the law where the player is changes about payments."""

    player_may_cancel_withdrawal: bool = Field(examples=[True])
    limit_increase_seconds: int = Field(
        description="How long a higher deposit limit has to wait.", examples=[86_400]
    )
    verification_before_deposit: VerificationWord = Field(
        description="How well the identity has to be known before the first deposit."
    )

    @classmethod
    def of(cls, code: str | None) -> "JurisdictionShown":
        settings = jurisdiction_of(code)
        return cls(
            player_may_cancel_withdrawal=settings.player_may_cancel_withdrawal,
            limit_increase_seconds=settings.limit_increase_seconds,
            verification_before_deposit=settings.verification_before_deposit.value,
        )


class PendingLimitShown(Shown):
    """A higher limit that has been asked for."""

    limit: int | None = Field(
        description="In minor units; null: no limit any more.", examples=[80_000]
    )
    effective_at: Instant


class LimitShown(Shown):
    """How much a player may pay in per calendar window, where they are."""

    window: WindowWord
    currency: str = Field(examples=["EUR"])
    limit: int | None = Field(
        description="In force, in minor units; null: none yet.", examples=[50_000]
    )
    pending: PendingLimitShown | None

    @classmethod
    def all_of(cls, player: Player, now: datetime) -> list["LimitShown"]:
        """Those in force at `now` or still to come."""
        shown = [
            cls(
                window=window.value,
                currency=currency,
                limit=limit.in_force(now),
                pending=_pending(limit, now),
            )
            for (window, currency), limit in sorted(player.limits.items(), key=_by_currency)
        ]
        return [entry for entry in shown if entry.limit is not None or entry.pending is not None]


class InstrumentShown(Shown):
    """A card, account or wallet that the player has used."""

    instrument: str = Field(description="Never its number.", examples=["tok_7Hq2"])
    provider: str = Field(description="Where it was used first.", examples=["simulator"])
    method: str = Field(examples=["card"])


class InstrumentNetShown(InstrumentShown):
    """An instrument, and what came in from it."""

    net: list[MoneyShown] = Field(
        description="Paid in less paid back, or on its way back; currencies at zero are left out."
    )


class PlayerShown(Shown):
    """A player, by the platform's own opaque id."""

    id: UUID
    jurisdiction: str | None = Field(examples=["MT"])
    jurisdiction_settings: JurisdictionShown
    verification: VerificationWord
    time_zone: str = Field(examples=["Europe/Malta"])
    excluded: bool = Field(description="May not deposit.", examples=[False])
    excluded_until: Instant | None = Field(
        description="Null while excluded: until somebody ends it.", examples=[None]
    )
    excluded_at_least_until: Instant | None = Field(
        description="Nobody ends the exclusion before. Null while excluded: any time will do.",
        examples=[None],
    )
    on_hold: bool = Field(description="No payout may leave: there is a hold.", examples=[False])
    holds: list[HoldWord] = Field(
        description="Who may lift one depends on its kind.", examples=[[]]
    )
    stops: dict[HoldWord, list[StopWord]] = Field(
        description="What each hold stops.", examples=[{"fraud": ["deposits", "payouts"]}]
    )
    limits: list[LimitShown]
    instruments: list[InstrumentShown] = Field(description="Oldest first.")
    registered_at: Instant
    updated_at: Instant
    version: int = Field(examples=[1])

    @classmethod
    def of(cls, player: Player, now: datetime) -> "PlayerShown":
        """The player as recorded, with what is in force at `now`."""
        excluded = player.is_excluded(now)
        return cls(
            id=player.id,
            jurisdiction=player.jurisdiction,
            jurisdiction_settings=JurisdictionShown.of(player.jurisdiction),
            verification=player.verification.value,
            time_zone=player.time_zone,
            excluded=excluded,
            excluded_until=player.excluded_until if excluded else None,
            excluded_at_least_until=player.excluded_at_least_until if excluded else None,
            on_hold=player.stops_payouts,
            holds=sorted(kind.value for kind in player.holds),
            stops={
                kind.value: sorted(stop.value for stop in stops)
                for kind, stops in sorted(player.holds.items())
            },
            limits=LimitShown.all_of(player, now),
            instruments=[
                InstrumentShown(instrument=name, provider=used.provider, method=used.method)
                for name, used in player.instruments.items()
            ],
            registered_at=player.registered_at,
            updated_at=player.updated_at,
            version=player.version,
        )


class HolderCheckShown(Shown):
    """How like the player's name that on an instrument is. Neither name is kept."""

    player_id: UUID
    instrument: str = Field(examples=["tok_7Hq2"])
    similarity_percent: int = Field(
        description="100: the same but for case, accents, punctuation and the order of its parts.",
        examples=[100],
    )
    checked_at: Instant
    version: int = Field(description="Of the player's stream.", examples=[2])

    @classmethod
    def of(cls, checked: HolderChecked, instrument: str) -> "HolderCheckShown":
        """As of the check, so that a repeat gets the same answer."""
        return cls(
            player_id=checked.player.id,
            instrument=instrument,
            similarity_percent=checked.similarity_percent,
            checked_at=checked.player.updated_at,
            version=checked.player.version,
        )


class WagerAnswer(Shown):
    """A report of turnover, and its place in the log."""

    id: UUID
    player_id: UUID
    amount: MoneyShown
    metadata: dict[str, str] = Field(examples=[{"round": "R-1"}])
    created_at: Instant
    version: int = Field(examples=[1])
    position: int = Field(examples=[4711])
    receipt: ReceiptShown


def wager_body(outcome: Wagered) -> dict[str, object]:
    """What a report of turnover is answered with, as `WagerAnswer` describes it."""
    event, receipt = outcome.event, outcome.receipt
    return {
        "id": event.originator_id,
        "player_id": event.player_id,
        "amount": {"amount": event.amount.amount, "currency": event.amount.currency},
        "metadata": dict(sorted(event.metadata.items())),
        "created_at": event.occurred_at.astimezone(UTC),
        "version": event.originator_version,
        "position": receipt.position,
        "receipt": {
            "position": receipt.position,
            "leaf": receipt.leaf.hex(),
            "root": receipt.root.hex(),
            "size": receipt.size,
        },
    }


def _by_currency(entry: tuple[tuple[object, str], Limit]) -> tuple[str, int]:
    """By currency, then day, week, month."""
    (window, currency), _ = entry
    return currency, ["day", "week", "month"].index(str(window))


def _pending(limit: Limit, now: datetime) -> PendingLimitShown | None:
    if limit.pending_at is None or not limit.is_pending(now):
        return None
    return PendingLimitShown(limit=limit.pending_minor, effective_at=limit.pending_at)
