"""What staff do on the demo's day: they work off what waits for them, as it was planned."""

from collections.abc import Callable, MutableMapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar
from uuid import UUID

from domain.provider.attempt import reference
from ledger.providers.simulator.wire import Kind
from tallystick.play.demo.http import Person, Refused
from tallystick.play.demo.plan import (
    Course,
    Decision,
    Planned,
    PlannedAdjustment,
    PlannedDeposit,
    PlannedRefund,
    PlannedWithdrawal,
)
from tallystick.play.simulator.faults import Faults
from tallystick.play.simulator.plan import plan

T = TypeVar("T")

SIDE_BY_SIDE = 16

Requested = MutableMapping[UUID, Planned]
"""What was planned, by the transaction it became."""

_PAID = {"deposit": "completed", "withdrawal": "paid", "refund": "succeeded"}
_KINDS = {
    "deposit": Kind.DEPOSIT,
    "withdrawal": Kind.PAYOUT,
    "refund": Kind.REFUND,
    "conversion": Kind.CONVERSION,
}


def side_by_side(act: Callable[[T], None], subjects: Sequence[T]) -> None:
    """Do it for each of them, several at a time."""
    with ThreadPoolExecutor(SIDE_BY_SIDE) as executor:
        for future in [executor.submit(act, subject) for subject in subjects]:
            future.result()


class Staff:
    """Those who decide: steps that were taken before a restart are just repeated."""

    def __init__(
        self,
        *,
        risk: Person,
        treasury: Person,
        compliance: Person,
        platform: Person,
        requested: Requested,
        seed: int,
        faults: Faults,
    ) -> None:
        """`requested` is filled while the day goes on."""
        self._risk = risk
        self._treasury = treasury
        self._compliance = compliance
        self._platform = platform
        self._by_role = {"fraud": risk, "finance": treasury, "compliance": compliance}
        self._requested = requested
        self._seed = seed
        self._faults = faults

    def work_off(self) -> bool:
        """Decide about everything that waits and is not in review; whether there was any."""
        # An inquiry may be withdrawn by itself: a dispute is answered when evidence is asked for.
        waiting = [case for case in self._queue() if case["status"] not in ("review", "opened")]
        decided = [case for case in waiting if self._planned(case) is not None]
        side_by_side(self._decide, decided)
        return bool(decided)

    def _queue(self) -> list[dict[str, Any]]:
        cases: list[dict[str, Any]] = []
        cursor: dict[str, str] = {}
        while True:
            page = self._risk.get("/v1/queue", limit=500, **cursor)
            cases += page["items"]
            if not page["next_cursor"]:
                return cases
            cursor = {"cursor": page["next_cursor"]}

    def _planned(self, case: dict[str, Any]) -> Planned | None:
        """What was planned for the transaction, or for the deposit that a dispute is about."""
        about = case["transaction_id"]
        if case["kind"] == "dispute":
            about = self._platform.get(f"/v1/transactions/{about}")["deposit_id"]
        return self._requested.get(UUID(str(about)))

    def _decide(self, case: dict[str, Any]) -> None:
        transaction_id, planned = UUID(str(case["transaction_id"])), self._planned(case)
        match planned:
            case PlannedDeposit() if case["kind"] == "dispute":
                self._answer(transaction_id, planned, str(case["stage"]))
            case PlannedDeposit():  # it came late, and a rule forbids it by now
                path = f"/v1/deposits/{transaction_id}"
                self._say(self._risk, path, "review-concerns", planned.key)
            case PlannedWithdrawal():
                self._pay_or_not(transaction_id, planned)
            case PlannedRefund():
                self._refund_or_not(transaction_id, planned)
            case PlannedAdjustment():
                decision = "approve" if planned.decision is Decision.APPROVE else "reject"
                path = f"/v1/adjustments/{transaction_id}"
                self._say(self._compliance, path, decision, planned.key)
            case _:
                pass

    def _answer(self, dispute_id: UUID, planned: PlannedDeposit, stage: str) -> None:
        path, key = f"/v1/disputes/{dispute_id}", f"{planned.key}-{stage}"
        if planned.contested:
            body = {"note": "the player was there", "documents": ["session-log"]}
            self._say(self._treasury, path, "evidence", key, body)
        else:
            self._say(self._treasury, path, "accept", key)

    def _refund_or_not(self, refund_id: UUID, planned: PlannedRefund) -> None:
        path = f"/v1/refunds/{refund_id}"
        match planned.decision:
            case Decision.CANCEL:
                self._say(self._treasury, path, "cancel", planned.key, {})
            case decision:
                self._say(self._treasury, path, decision.value, planned.key)

    def _pay_or_not(self, withdrawal_id: UUID, planned: PlannedWithdrawal) -> None:
        path, key = f"/v1/withdrawals/{withdrawal_id}", planned.key
        self._let_go(withdrawal_id, path, key)
        match planned.course:
            case Course.CANCEL:
                self._say(self._platform, path, "cancel", key, {})
                return
            case Course.REJECT:
                self._say(self._risk, path, "reject", key)
                return
            case Course.HOLD_AND_REJECT:
                self._say(self._compliance, path, "hold", key)
                self._say(self._compliance, path, "reject", key)
                return
            case Course.HOLD:
                self._say(self._compliance, path, "hold", key)
                self._say(self._compliance, path, "release", key)
            case Course.ASK:
                self._say(self._risk, path, "request-information", key)
                self._say(self._risk, path, "provide-information", key)
            case Course.AMEND:
                if self._amend(withdrawal_id, path, planned):
                    return  # it is screened again first
            case Course.APPROVE:
                pass
        self._approve(withdrawal_id, path, key)

    def _let_go(self, withdrawal_id: UUID, path: str, key: str) -> None:
        """What indicators hold, compliance has looked at first."""
        found = self._platform.get(f"/v1/transactions/{withdrawal_id}")
        if found["status"] == "held":
            self._say(self._compliance, path, "release", f"{key}-held-{found['version']}")

    def _amend(self, withdrawal_id: UUID, path: str, planned: PlannedWithdrawal) -> bool:
        """The player takes half, once; whether that was now."""
        found = self._platform.get(f"/v1/transactions/{withdrawal_id}")
        asked_minor = found["amount"]["amount"]
        if found["metadata"].get("demo") is None or asked_minor < 2 or self._was_amended(found):
            return False
        amount = {"amount": asked_minor // 2, "currency": found["amount"]["currency"]}
        body = {"amount": amount, "instrument": found["instrument"], "note": "the player asked"}
        self._say(self._platform, path, "amend", planned.key, body)
        return True

    def _was_amended(self, found: dict[str, Any]) -> bool:
        events = self._platform.get(f"/v1/transactions/{found['id']}/events")["events"]
        return any(event["type"] == "WithdrawalAmended" for event in events)

    def _approve(self, withdrawal_id: UUID, path: str, key: str) -> None:
        """Whoever has to agree does, one after the other, for as long as somebody is missing."""
        for _ in self._by_role:
            found = self._platform.get(f"/v1/transactions/{withdrawal_id}")
            missing = found["missing"]
            if found["status"] != "under_review" or not missing:
                return
            role = missing[0][0]
            # An approval that no longer counts is given again, at another version.
            step = f"{key}-{role}-{found['version']}"
            self._say(self._by_role[role], path, "approve", step)

    def _say(
        self,
        person: Person,
        path: str,
        operation: str,
        key: str,
        body: dict[str, Any] | None = None,
    ) -> None:
        said = {"note": f"{operation} on the demo's day"} if body is None else body
        try:
            person.post(f"{path}/{operation}", said, key=f"{key}-{operation}")
        except Refused as refused:
            if refused.status != 409:  # it has moved on since it was listed
                raise

    # --- reviews --------------------------------------------------------------------------------

    def resolve_reviews(self) -> None:
        """Two people end the reviews that are planned to end, as the provider's books say."""
        for case in self._queue():
            planned = self._planned(case)
            if case["status"] != "review" or isinstance(planned, PlannedAdjustment | None):
                continue
            if planned.resolved:
                self._resolve(UUID(str(case["transaction_id"])), str(case["kind"]), planned.key)

    def _resolve(self, transaction_id: UUID, kind: str, key: str) -> None:
        found = self._platform.get(f"/v1/transactions/{transaction_id}")
        parts = found["legs"] if kind == "withdrawal" else [found]
        for part in parts:
            if part["status"] == "review":
                self._end(transaction_id, kind, part, f"{key}-{part.get('leg', 0)}")

    def _end(self, transaction_id: UUID, kind: str, part: dict[str, Any], key: str) -> None:
        sent = part["reference"] or reference(transaction_id, 1)
        method = part["method"] or ""
        foreseen = plan(self._seed, sent, _KINDS[kind], method, self._faults)
        moved = foreseen.effects > 0
        target = _PAID.get(kind, "executed") if moved else "failed"
        body: dict[str, Any] = {"target": target, "note": "the provider's books say so"}
        if "leg" in part:
            body["leg"] = part["leg"]
        path = f"/v1/{kind}s/{transaction_id}/resolve"
        self._risk.post(path, body, key=f"{key}-propose")
        self._treasury.post(path, body, key=f"{key}-agree")
