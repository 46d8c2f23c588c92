"""Puts together what the API shows of a transaction: plain values, ready to be encoded.

Thousands of answers a second are made here, so there are no models in between; those of
`responses.py` describe the result, field by field. Collections are sorted: what was just decided
and what is read back from the log must not differ in a byte.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction
from typing import Any, Final, assert_never
from uuid import UUID

import msgspec

from domain.adjustment.state import Adjustment
from domain.approval.roles import Groups, missing_groups
from domain.conversion.state import Conversion
from domain.deposit.claims import Claim
from domain.deposit.state import Deposit
from domain.dispute.decisions import Dispute
from domain.money import Money
from domain.player.player import Player
from domain.provider.resolution import Proposal
from domain.refund.decisions import Refund
from domain.transactions import Transaction
from domain.withdrawal.approvals import approval_problems
from domain.withdrawal.legs import Leg, LegStatus
from domain.withdrawal.state import Withdrawal, WithdrawalStatus

Plain = dict[str, Any]
"""A JSON object; its values may also be UUIDs and instants in UTC."""

encode: Final[Callable[[object], bytes]] = msgspec.json.Encoder().encode
"""The bytes of plain values."""

_RATE_DIGITS: Final = Context(prec=12, rounding=ROUND_HALF_EVEN)
_LEG_WORDS: Final[Mapping[LegStatus, str]] = {
    LegStatus.PLANNED: WithdrawalStatus.REQUESTED.screen_word,
    LegStatus.RELEASED: WithdrawalStatus.CANCELLED.screen_word,
}
"""The others have a status of withdrawals of the same name."""


def rendered(
    transaction: Transaction, *, player: Player | None = None, now: datetime | None = None
) -> Plain:
    """The transaction as `AnyTransactionShown` describes it.

    Whether approvals count is judged at `now` and by how `player` stands; without them as of the
    transaction's last event, and as if the player stood as when people agreed. Once nothing can
    leave any more, they are shown as they counted then.
    """
    match transaction:
        case Deposit():
            return _deposit(transaction)
        case Withdrawal():
            return _withdrawal(transaction, player, now or transaction.updated_at)
        case Refund():
            return _refund(transaction)
        case Conversion():
            return _conversion(transaction)
        case Dispute():
            return _dispute(transaction)
        case Adjustment():
            return _adjustment(transaction)
        case _:
            assert_never(transaction)


# --- by kind ------------------------------------------------------------------------------------


def _common(transaction: Transaction, kind: str) -> Plain:
    status = transaction.status
    return {
        "id": transaction.id,
        "kind": kind,
        "status": status.value,
        "screen_status": status.screen_word,
        "player_id": transaction.player_id,
        "provider": transaction.provider or None,
        "method": transaction.method or None,
        "amount": _money(transaction.amount),
        "instrument": transaction.instrument,
        "reason": transaction.reason,
        "reference": transaction.reference,
        "provider_reference": transaction.provider_reference,
        "requested_by": transaction.requested_by,
        "proposal": _proposal(transaction.proposal),
        "metadata": dict(sorted(transaction.metadata.items())),
        "created_at": _utc(transaction.created_at),
        "updated_at": _utc(transaction.updated_at),
        "version": transaction.version,
    }


def _deposit(deposit: Deposit) -> Plain:
    body = _common(deposit, "deposit")
    captured = deposit.captured
    body["redirect_url"] = deposit.redirect_url
    body["expires_at"] = _instant(deposit.expires_at)
    body["captured"] = _money(captured) if captured else None
    body["refundable"] = (
        {"amount": deposit.refundable_minor, "currency": captured.currency} if captured else None
    )
    body["refunds"] = _claims(deposit.refunds)
    body["disputes"] = _claims(deposit.disputes)
    body["excess"] = _money(deposit.excess) if deposit.excess else None
    body["concerns"] = deposit.concerns
    body["concerns_reviewed"] = deposit.concerns_reviewed
    return body


def _withdrawal(withdrawal: Withdrawal, player: Player | None, now: datetime) -> Plain:
    body = _common(withdrawal, "withdrawal")
    body["legs"] = [_leg(leg) for leg in withdrawal.legs]
    body["closed_loop"] = withdrawal.closed_loop
    body["score"] = withdrawal.score
    body["high"] = withdrawal.high
    body["hits"] = withdrawal.hits
    body["ruleset"] = withdrawal.ruleset
    body["required"] = withdrawal.required
    body["missing"], body["approvals"] = _approvals(withdrawal, player, now)
    body["screening_reasons"] = withdrawal.screening_reasons
    body["retry_at"] = _instant(withdrawal.retry_at)
    return body


def _approvals(
    withdrawal: Withdrawal, player: Player | None, now: datetime
) -> tuple[Groups, list[Plain]]:
    """Whose agreement is missing, and every agreement with whether it counts."""
    if not withdrawal.approvals:
        return withdrawal.required, []
    if not _may_still_leave(withdrawal):
        cleared = withdrawal.cleared
        player, now = None, cleared.at if cleared else withdrawal.updated_at
    found = approval_problems(withdrawal, player, now)
    counting = [(known.person, known.role) for known, problems in found if not problems]
    shown = [
        {
            "person": approval.person,
            "role": approval.role,
            "at": _utc(approval.at),
            "counts": not problems,
            "problems": problems,
        }
        for approval, problems in sorted(found, key=lambda pair: pair[0].person)
    ]
    return missing_groups(withdrawal.required, counting), shown


def _may_still_leave(withdrawal: Withdrawal) -> bool:
    """Whether it matters now who agreed: what is gone, or given up, is judged as of then."""
    return any(leg.is_unsent or leg.status is LegStatus.QUEUED for leg in withdrawal.legs)


def _leg(leg: Leg) -> Plain:
    status = leg.status
    return {
        "leg": leg.number,
        "provider": leg.provider,
        "method": leg.method,
        "instrument": leg.instrument,
        "amount": _money(leg.amount),
        "status": status.value,
        "screen_status": _LEG_WORDS.get(status) or WithdrawalStatus(status.value).screen_word,
        "attempt": leg.attempt,
        "reference": leg.reference,
        "provider_reference": leg.provider_reference,
        "reason": leg.reason,
        "retry_at": _instant(leg.retry_at),
        "proposal": _proposal(leg.proposal),
    }


def _refund(refund: Refund) -> Plain:
    body = _common(refund, "refund")
    body["deposit_id"] = refund.deposit_id
    body["grounds"] = refund.grounds
    body["required"] = refund.required
    return body


def _conversion(conversion: Conversion) -> Plain:
    body = _common(conversion, "conversion")
    body["source"] = _money(conversion.source)
    body["target"] = _money(conversion.target)
    body["spread"] = _money(conversion.spread)
    body["rate"] = rendered_rate(conversion.rate)
    body["rate_source"] = conversion.rate_source
    body["rounding"] = conversion.rounding
    body["expires_at"] = _utc(conversion.expires_at)
    return body


def _dispute(dispute: Dispute) -> Plain:
    body = _common(dispute, "dispute")
    body["deposit_id"] = dispute.deposit_id
    body["dispute_reference"] = dispute.dispute_reference
    body["stage"] = dispute.stage
    body["evidence_due_at"] = _instant(dispute.evidence_due_at)
    body["funds_withdrawn"] = dispute.funds_withdrawn
    body["acknowledged"] = dispute.acknowledged
    body["contradicted"] = dispute.contradicted
    body["answer_note"] = dispute.answer_note
    body["documents"] = dispute.documents
    return body


def _adjustment(adjustment: Adjustment) -> Plain:
    body = _common(adjustment, "adjustment")
    body["purpose"] = adjustment.purpose
    body["moves"] = [
        {"source": move.source, "target": move.target, "amount": _money(move.money)}
        for move in adjustment.moves
    ]
    body["grounds"] = adjustment.grounds
    body["transaction_id"] = adjustment.transaction_id
    body["decided_by"] = adjustment.decided_by or None
    return body


# --- parts --------------------------------------------------------------------------------------


def rendered_rate(rate: Fraction) -> Plain:
    """A rate as `RateShown` describes it: exactly, and as people write it."""
    numerator, denominator = rate.numerator, rate.denominator
    decimal = _RATE_DIGITS.divide(Decimal(numerator), Decimal(denominator))
    return {"numerator": numerator, "denominator": denominator, "decimal": f"{decimal:f}"}


def _money(money: Money) -> Plain:
    return {"amount": money.amount, "currency": money.currency}


def _proposal(proposal: Proposal | None) -> Plain | None:
    if proposal is None:
        return None
    return {"person": proposal.person, "target": proposal.target, "note": proposal.note}


def _claims(claims: Mapping[UUID, Claim]) -> list[Plain]:
    if not claims:
        return []
    return [
        {"id": claim_id, "amount": _money(claim.amount), "standing": claim.standing}
        for claim_id, claim in sorted(claims.items())
    ]


def _instant(instant: datetime | None) -> datetime | None:
    return None if instant is None else _utc(instant)


def _utc(instant: datetime) -> datetime:
    """In UTC, which is encoded with a Z; an instant of a provider's may be in another zone."""
    return instant if instant.tzinfo is UTC else instant.astimezone(UTC)


def judged_by_player(transactions: Iterable[Transaction]) -> set[UUID]:
    """The players whose standing tells whether approvals among these count."""
    return {
        t.player_id
        for t in transactions
        if isinstance(t, Withdrawal) and t.approvals and _may_still_leave(t)
    }
