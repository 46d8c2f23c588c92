"""Play a planned day over HTTP, round by round, until everything is quiet."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from domain.attempts import reference
from domain.money import exponent
from tallystick.demo.http import Person, Refused
from tallystick.demo.plan import (
    Course,
    Day,
    Planned,
    PlannedDeposit,
    PlannedPlayer,
    PlannedWithdrawal,
)
from tallystick.providers.simulator.faults import Faults
from tallystick.providers.simulator.plan import Plan, Truth, plan
from tallystick.providers.simulator.wire import Kind

T = TypeVar("T")

SIDE_BY_SIDE = 16
_WAY = {"deposit": Kind.DEPOSIT, "withdrawal": Kind.PAYOUT}
PAUSE_SECONDS = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast:
    """Who plays, and how they learn that nothing more is going to happen."""

    platform: Person
    risk: Person
    treasury: Person
    seed: int
    faults: Faults
    is_quiet: Callable[[], bool]
    """Nothing is outstanding, no read model lags, and the provider has nothing more to say."""


Progress = Callable[[str, int], None]
"""What is being done, and how many transactions of it are finished."""


class Play:
    """One day."""

    def __init__(self, day: Day, cast: Cast, on_progress: Progress) -> None:
        self._day = day
        self._cast = cast
        self._on_progress = on_progress
        self._lock = threading.Lock()
        self._requested = 0
        self._by_id: dict[UUID, Planned] = {}

    def run(self) -> None:
        """Introduce the players, play the rounds, resolve what is left in review."""
        self._side_by_side(self._introduce, self._day.players)
        for planned in self._day.rounds:
            self._side_by_side(self._request, planned)
            self._until_quiet()
        self._resolve_reviews()
        self._until_quiet()

    def _side_by_side(self, act: Callable[[T], None], subjects: Sequence[T]) -> None:
        with ThreadPoolExecutor(SIDE_BY_SIDE) as executor:
            for future in [executor.submit(act, subject) for subject in subjects]:
                future.result()

    # --- players --------------------------------------------------------------------------------

    def _introduce(self, player: PlannedPlayer) -> None:
        path, key = f"/v1/players/{player.id}", f"demo-{self._cast.seed}-player-{player.id}"
        verification = "full" if player.verified else "none"
        self._cast.platform.put(path, {"verification": verification}, key=key)
        for begins, what in ((player.excluded, "exclusion"), (player.on_hold, "hold")):
            if begins:
                body = {"reason": "agreed beforehand"}
                self._cast.risk.post(f"{path}/{what}", body, key=f"{key}-{what}")

    # --- requests -------------------------------------------------------------------------------

    def _request(self, planned: Planned) -> None:
        if isinstance(planned, PlannedDeposit):
            self._pay_in(planned)
        else:
            self._ask_for_payout(planned)
        with self._lock:
            self._requested += 1
            self._on_progress("requested", self._requested)

    def _pay_in(self, planned: PlannedDeposit) -> None:
        currency = planned.player.currency
        answer = self._cast.platform.post(
            "/v1/deposits",
            {
                "player_id": str(planned.player.id),
                "method": planned.method,
                "amount": _money(planned.major * 10 ** exponent(currency), currency),
                "metadata": {"demo": str(self._cast.seed)},
            },
            key=planned.key,
        )
        self._by_id[UUID(answer["id"])] = planned
        foreseen = self._foreseen(UUID(answer["id"]), Kind.DEPOSIT, planned.method)
        if planned.method == "voucher" and foreseen.truth is Truth.ABANDONED:
            self._cancel_once_it_waits(UUID(answer["id"]), planned)

    def _cancel_once_it_waits(self, deposit_id: UUID, planned: PlannedDeposit) -> None:
        """The player changes their mind on the provider's page."""
        while self._status(deposit_id) in ("created", "submitted", "unknown"):
            threading.Event().wait(PAUSE_SECONDS)
        if self._status(deposit_id) == "awaiting_player":
            path = f"/v1/deposits/{deposit_id}/cancel"
            self._cast.platform.post(path, {}, key=f"{planned.key}-cancel")

    def _ask_for_payout(self, planned: PlannedWithdrawal) -> None:
        currency = planned.player.currency
        available_minor = self._available_minor(planned.player)
        amount_minor = max(1, available_minor * planned.percent // 100)
        answer = self._cast.platform.post(
            "/v1/withdrawals",
            {
                "player_id": str(planned.player.id),
                "method": "bank_transfer",
                "amount": _money(amount_minor, currency),
                "metadata": {"demo": str(self._cast.seed)},
            },
            key=planned.key,
        )
        self._by_id[UUID(answer["id"])] = planned

    def _available_minor(self, player: PlannedPlayer) -> int:
        balances = self._cast.platform.get(f"/v1/players/{player.id}/balances")["balances"]
        return sum(
            balance["balance"]["amount"]
            for balance in balances
            if ":available:" in balance["account"]
        )

    # --- staff ----------------------------------------------------------------------------------

    def _until_quiet(self) -> None:
        """Staff work off what waits for them, until nothing moves any more."""
        while not (self._cast.is_quiet() and not self._work_off()):
            threading.Event().wait(PAUSE_SECONDS)

    def _work_off(self) -> bool:
        """Decide about every withdrawal that waits; whether there was any."""
        waiting = [
            UUID(str(case["transaction_id"]))
            for status in ("under_review", "info_required", "held")
            for case in self._queue(status)
        ]
        planned = [
            (transaction_id, decided)
            for transaction_id in waiting
            if isinstance(decided := self._by_id.get(transaction_id), PlannedWithdrawal)
        ]
        self._side_by_side(lambda pair: self._decide(*pair), planned)
        return bool(planned)

    def _queue(self, status: str) -> list[dict[str, object]]:
        cases: list[dict[str, object]] = []
        cursor: dict[str, str] = {}
        while True:
            page = self._cast.risk.get("/v1/withdrawal-queue", status=status, limit=500, **cursor)
            cases += page["items"]
            if not page["next_cursor"]:
                return cases
            cursor = {"cursor": page["next_cursor"]}

    def _decide(self, withdrawal_id: UUID, planned: PlannedWithdrawal) -> None:
        """Take the planned course; steps that were taken before a restart are just repeated."""
        path = f"/v1/withdrawals/{withdrawal_id}"

        def say(person: Person, name: str, operation: str) -> str:
            body = {} if operation == "cancel" else {"note": f"{name} on the demo's day"}
            try:
                key = f"{planned.key}-{name}-{operation}"
                return str(person.post(f"{path}/{operation}", body, key=key)["status"])
            except Refused as refused:
                if refused.status == 409:
                    return self._status(withdrawal_id)  # it has moved on since it was listed
                raise

        risk, treasury = self._cast.risk, self._cast.treasury
        match planned.course:
            case Course.CANCEL:
                say(self._cast.platform, "platform", "cancel")
                return
            case Course.REJECT:
                say(risk, "risk", "reject")
                return
            case Course.HOLD_AND_REJECT:
                say(risk, "risk", "hold")
                say(treasury, "treasury", "reject")
                return
            case Course.HOLD:
                say(risk, "risk", "hold")
                say(risk, "risk", "release")
            case Course.ASK:
                say(risk, "risk", "request-information")
                say(risk, "risk", "provide-information")
            case Course.APPROVE:
                pass
        if say(risk, "risk", "approve") == "under_review":
            say(treasury, "treasury", "approve")

    # --- reviews --------------------------------------------------------------------------------

    def _resolve_reviews(self) -> None:
        """Two people end the reviews that are planned to end, as the provider's books say."""
        cases = [
            (UUID(str(case["transaction_id"])), str(case["kind"])) for case in self._queue("review")
        ]
        for transaction_id, kind in cases:
            planned = self._by_id.get(transaction_id)
            if planned is not None and planned.resolved:
                self._resolve(transaction_id, kind, planned)

    def _resolve(self, transaction_id: UUID, kind: str, planned: Planned) -> None:
        method = planned.method if isinstance(planned, PlannedDeposit) else "bank_transfer"
        foreseen = self._foreseen(transaction_id, _WAY[kind], method)
        moved = foreseen.effects > 0
        if kind == "deposit":
            target = "completed" if moved else "failed"
        else:
            target = "paid" if moved else "failed"
        body = {"target": target, "note": "the provider's books say so"}
        path = f"/v1/{kind}s/{transaction_id}/resolve"
        self._cast.risk.post(path, body, key=f"{planned.key}-propose")
        self._cast.treasury.post(path, body, key=f"{planned.key}-agree")

    # --- shared ---------------------------------------------------------------------------------

    def _status(self, transaction_id: UUID) -> str:
        return str(self._cast.platform.get(f"/v1/transactions/{transaction_id}")["status"])

    def _foreseen(self, transaction_id: UUID, kind: Kind, method: str) -> Plan:
        """What the provider is going to do with the first attempt."""
        first = reference(transaction_id, 1)
        return plan(self._cast.seed, first, kind, method, self._cast.faults)


def _money(amount_minor: int, currency: str) -> dict[str, object]:
    return {"amount": amount_minor, "currency": currency}
