"""One payment as the simulated provider holds it."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final

import msgspec

from domain.money import Money
from ledger.providers.simulator.wire import (
    DeclineBody,
    Kind,
    NoticeBody,
    PaymentBody,
    Status,
    money_body,
)
from tallystick.play.simulator.plan import Plan
from tallystick.play.simulator.profiles import RAW_CODES

_WITHOUT_AMOUNT: Final = frozenset(
    {Status.ACCEPTED, Status.AWAITING_PLAYER, Status.PENDING, Status.DECLINED, Status.VOIDED}
)


@dataclass(slots=True, eq=False, kw_only=True)
class Payment:
    """A payment of any kind, its plan, and how far it has come.

    Up to the first final status its life depends on the clock alone, so it is worked out when
    asked for, and goes on while the receiver of the webhooks is down.
    """

    reference: str
    provider_reference: str
    plan: Plan
    amount: Money
    """What was asked for; of a conversion, in the target's currency."""
    digest: bytes
    """Of the request: tells a repeated call from another one under the same key."""
    begun_at: datetime
    """When it was submitted, UTC."""
    begun_seconds: float
    """The same on the clock of the event loop."""
    reached_seconds: tuple[float, ...]
    """When each step of the plan is reached, on the clock of the event loop."""
    redirect_url: str | None = None
    refusal: str | None = None
    """Why it was declined for what was asked, in the simulator's own words."""
    messages_count: int = 0
    moved_late: bool = False
    returned: bool = False
    returns: int = 0
    """How often it came back."""
    paid_again: int = 0
    turning: bool = False
    """A bank is about to send it back, or to take it after all."""
    turned_at: dict[Status, datetime] = field(default_factory=dict)
    """When it came to have a final status after the first one, the last time."""
    stated: Status | None = None
    """A further final status, once its notice was acknowledged and could be acted upon."""

    def status(self, now_seconds: float) -> Status:
        """What a question about the payment is answered."""
        if self.stated is not None:
            return self.stated
        return self._first_status(now_seconds)

    def _first_status(self, now_seconds: float) -> Status:
        current = self.plan.answer
        for step, reached_seconds in zip(self.plan.steps, self.reached_seconds, strict=True):
            if now_seconds >= reached_seconds:
                current = step.status
        return current

    def turn(self, status: Status, now: datetime) -> None:
        """It comes to have another final status after the one it had."""
        self.turned_at[status] = now
        if status is Status.SUCCEEDED and self.returned:
            self.paid_again += 1
        else:
            self.moved_late = status is Status.SUCCEEDED
        self.returned = status is Status.RETURNED
        self.returns += int(self.returned)

    def happened_at(self, status: Status) -> datetime:
        """When it came to have this status: the same however often, and whenever, it is told."""
        if status in self.turned_at:
            return self.turned_at[status]
        for step, reached_seconds in zip(self.plan.steps, self.reached_seconds, strict=True):
            if step.status is status and status is not self.plan.answer:
                return self.begun_at + timedelta(seconds=reached_seconds - self.begun_seconds)
        return self.begun_at

    def effects(self, now_seconds: float) -> dict[str, int]:
        """How often money really moved: by the kind, and as `return`."""
        moved = self.paid_again + int(self.moved(now_seconds))
        effects = {str(self.plan.kind): moved} if moved else {}
        return {**effects, "return": self.returns} if self.returns else effects

    def moved(self, now_seconds: float) -> bool:
        """Whether money really moved; it may have come back since."""
        return self.moved_late or self._first_status(now_seconds) is Status.SUCCEEDED

    def holds(self, now_seconds: float) -> bool:
        """A refund takes its part of the deposit until it is said to be declined, or is back."""
        return not self.returned and self.status(now_seconds) is not Status.DECLINED

    @property
    def moves_late(self) -> bool:
        """It is declined at first, and money moves all the same."""
        return self.plan.second is Status.SUCCEEDED

    @property
    def returnable(self) -> bool:
        """A payout or refund whose script ends with success may come back; paid again, again."""
        return (
            self.plan.kind in (Kind.PAYOUT, Kind.REFUND)
            and self.plan.first_final is Status.SUCCEEDED
            and (self.plan.second is None or self.paid_again > 0)
            and not self.returned
            and not self.turning
        )

    @property
    def payable_again(self) -> bool:
        """It came back, and the return is known."""
        return self.stated is Status.RETURNED and not self.turning

    def statement(self, status: Status) -> PaymentBody:
        """The answer to a call."""
        return PaymentBody(
            reference=self.reference,
            status=status,
            amount=money_body(self._amount(status)),
            provider_reference=self.provider_reference,
            decline=self._decline(status),
            fee=money_body(self._fee(status)),
            redirect_url=self.redirect_url if status is Status.AWAITING_PLAYER else None,
            happened_at=self.happened_at(status),
        )

    def notice(self, status: Status) -> NoticeBody:
        """The webhook that says the payment has this status."""
        return NoticeBody(
            reference=self.reference,
            status=status,
            amount=money_body(self._amount(status)),
            provider_reference=self.provider_reference,
            decline=self._decline(status),
            fee=money_body(self._fee(status)),
            sent_at=datetime.now(UTC),
            happened_at=self.happened_at(status),
        )

    def _amount(self, status: Status) -> Money | None:
        if status in _WITHOUT_AMOUNT:
            return None
        return self.plan.reported(self.amount) if status is Status.SUCCEEDED else self.amount

    def _fee(self, status: Status) -> Money | None:
        return self.plan.fee(self.amount) if status is Status.SUCCEEDED else None

    def _decline(self, status: Status) -> DeclineBody | None:
        code = self.plan.decline_code
        if status is not Status.DECLINED or code is None:
            return None
        return DeclineBody(code, self.refusal or RAW_CODES[code])


def request_digest(kind: Kind, body: msgspec.Struct) -> bytes:
    """What makes two requests the same request."""
    return sha256(kind.encode() + b"\0" + msgspec.json.encode(body)).digest()
