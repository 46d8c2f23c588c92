"""One payment as the simulated provider holds it."""

from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final

import msgspec

from domain.money import Money
from tallystick.providers.simulator.plan import Plan
from tallystick.providers.simulator.profiles import RAW_CODES
from tallystick.providers.simulator.wire import (
    DeclineBody,
    Kind,
    NoticeBody,
    PaymentBody,
    Status,
    money_body,
)

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
    reached_seconds: tuple[float, ...]
    """When each step of the plan is reached, on the clock of the event loop."""
    redirect_url: str | None = None
    refusal: str | None = None
    """Why it was declined for what was asked, in the simulator's own words."""
    messages_count: int = 0
    moved_late: bool = False
    returned: bool = False
    stated: Status | None = None
    """A second final status, once its notice was acknowledged and could be acted upon."""

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

    def effects(self, now_seconds: float) -> dict[str, int]:
        """How often money really moved: by the kind, and as `return`."""
        effects = {str(self.plan.kind): 1} if self.moved(now_seconds) else {}
        return {**effects, "return": 1} if self.returned else effects

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
        """A payout or refund whose script ends with success may come back, once."""
        return (
            self.plan.kind in (Kind.PAYOUT, Kind.REFUND)
            and self.plan.first_final is Status.SUCCEEDED
            and self.plan.second is None
            and not self.returned
        )

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
