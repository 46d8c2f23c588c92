"""Play a planned day over HTTP, round by round, until everything is quiet."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, assert_never
from uuid import UUID

from domain.money import exponent
from domain.provider.attempt import reference
from ledger.providers.simulator.wire import Kind
from tallystick.play.demo.http import Person, Refused
from tallystick.play.demo.plan import (
    RATES,
    Day,
    Planned,
    PlannedAdjustment,
    PlannedConversion,
    PlannedDeposit,
    PlannedPlayer,
    PlannedRefund,
    PlannedWithdrawal,
)
from tallystick.play.demo.staff import Requested, Staff, side_by_side
from tallystick.play.simulator.faults import Faults
from tallystick.play.simulator.plan import Truth, plan

PAUSE_SECONDS = 0.2
STAKED_TIMES = 3
"""What players stake of what they have: what they win is staked again."""

PROVIDER = "simulator"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast:
    """Who plays, and how they learn that nothing more is going to happen."""

    platform: Person
    support: Person
    risk: Person
    treasury: Person
    compliance: Person
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
        self._count = 0
        self._requested: Requested = {}
        self._ids: dict[str, UUID] = {}
        """Of the transactions, by key."""
        self._staff = Staff(
            risk=cast.risk,
            treasury=cast.treasury,
            compliance=cast.compliance,
            platform=cast.platform,
            requested=self._requested,
            seed=cast.seed,
            faults=cast.faults,
        )

    def run(self) -> None:
        """Publish rates, introduce the players, play the rounds, resolve what is in review."""
        self._publish_rates()
        side_by_side(self._introduce, self._day.players)
        for planned in self._day.rounds:
            side_by_side(self._request, planned)
            self._until_quiet()
        self._staff.resolve_reviews()
        self._until_quiet()

    def _until_quiet(self) -> None:
        """Staff work off what waits for them, until nothing moves any more."""
        while True:
            quiet = self._cast.is_quiet()
            # A dispute that waits for us keeps the clock running: it is not quiet before.
            worked = self._staff.work_off()
            if quiet and not worked:
                return
            threading.Event().wait(PAUSE_SECONDS)

    # --- before the day -------------------------------------------------------------------------

    def _publish_rates(self) -> None:
        body = {
            "source": "demo",
            "base": "EUR",
            "as_of": "2026-03-02",
            "rates": [{"currency": c, "rate": rate} for c, rate in RATES.items()],
        }
        key = f"demo-{self._cast.seed}-rates"
        proposed = self._cast.treasury.post("/v1/rates", body, key=key)
        path = f"/v1/rates/proposals/{proposed['id']}/approve"
        self._cast.compliance.post(path, {}, key=f"{key}-approve")

    def _introduce(self, player: PlannedPlayer) -> None:
        path, key = f"/v1/players/{player.id}", f"demo-{self._cast.seed}-player-{player.id}"
        verification = "full" if player.verified else "none"
        body = {"verification": verification, "time_zone": player.time_zone}
        self._cast.platform.put(path, body, key=key)
        reason = {"reason": "agreed beforehand"}
        if player.excluded:
            self._cast.risk.post(f"{path}/exclusion", reason, key=f"{key}-exclusion")
        if player.on_hold:
            # Something has to be paid in, for there to be a payout that is stopped.
            stops = {**reason, "stops": ["payouts"]}
            self._cast.risk.post(f"{path}/hold", stops, key=f"{key}-hold")
        if player.limited:
            limit = {"currency": player.currency, "limit": 1}
            self._cast.platform.put(f"{path}/limits/day", limit, key=f"{key}-limit")

    # --- requests -------------------------------------------------------------------------------

    def _request(self, planned: Planned) -> None:
        match planned:
            case PlannedDeposit():
                self._pay_in(planned)
            case PlannedWithdrawal():
                self._ask_for_payout(planned)
            case PlannedRefund():
                self._ask_for_refund(planned)
            case PlannedConversion():
                self._exchange(planned)
            case PlannedAdjustment():
                self._ask_for_adjustment(planned)
            case _:
                assert_never(planned)
        with self._lock:
            self._count += 1
            self._on_progress("requested", self._count)

    def _post(
        self, person: Person, path: str, body: Mapping[str, object], planned: Planned
    ) -> UUID:
        answer = person.post(path, body, key=planned.key)
        transaction_id = UUID(answer["id"])
        with self._lock:
            self._requested[transaction_id] = planned
            self._ids[planned.key] = transaction_id
        return transaction_id

    def _pay_in(self, planned: PlannedDeposit) -> None:
        currency = planned.player.currency
        body = {
            "player_id": str(planned.player.id),
            "method": planned.method,
            "instrument": planned.instrument,
            "origin": _origin(planned.player),
            "amount": money(planned.major * 10 ** exponent(currency), currency),
            "metadata": {"demo": str(self._cast.seed)},
        }
        deposit_id = self._post(self._cast.platform, "/v1/deposits", body, planned)
        first = reference(deposit_id, 1)
        foreseen = plan(self._cast.seed, first, Kind.DEPOSIT, planned.method, self._cast.faults)
        if planned.method == "voucher" and foreseen.truth is Truth.ABANDONED:
            self._cancel_once_it_waits(deposit_id, planned)

    def _cancel_once_it_waits(self, deposit_id: UUID, planned: PlannedDeposit) -> None:
        """The player changes their mind on the provider's page."""
        while self._deposit(deposit_id)["status"] in ("created", "submitted", "unknown"):
            threading.Event().wait(PAUSE_SECONDS)
        if self._deposit(deposit_id)["status"] == "awaiting_player":
            path = f"/v1/deposits/{deposit_id}/cancel"
            self._cast.platform.post(path, {}, key=f"{planned.key}-cancel")

    def _ask_for_payout(self, planned: PlannedWithdrawal) -> None:
        currency = planned.player.currency
        available_minor = self._available_minor(planned.player)
        if planned.plays and available_minor:
            staked = {"amount": money(STAKED_TIMES * available_minor, currency), "metadata": {}}
            path = f"/v1/players/{planned.player.id}/wagers"
            self._cast.platform.post(path, staked, key=f"{planned.key}-staked")
        body = {
            "player_id": str(planned.player.id),
            "method": "bank_transfer",
            "origin": _origin(planned.player),
            "instrument": planned.player.instruments[0],
            "amount": money(max(1, available_minor * planned.percent // 100), currency),
            "metadata": {"demo": str(self._cast.seed)},
        }
        self._post(self._cast.platform, "/v1/withdrawals", body, planned)

    def _ask_for_refund(self, planned: PlannedRefund) -> None:
        """Support refunds what the player asks back, as far as the deposit allows it."""
        deposit_id = self._ids[planned.deposit_key]
        refundable = self._deposit(deposit_id)["refundable"]
        if refundable is None or not refundable["amount"]:
            return
        amount_minor = max(1, refundable["amount"] * planned.percent // 100)
        body = {
            "deposit_id": str(deposit_id),
            "amount": money(amount_minor, refundable["currency"]),
            "reason": "asked back by the player",
            "metadata": {"demo": str(self._cast.seed)},
        }
        try:
            self._post(self._cast.support, "/v1/refunds", body, planned)
        except Refused as refused:
            if refused.status != 409:  # in review, or disputed
                raise

    def _exchange(self, planned: PlannedConversion) -> None:
        currency = planned.player.currency
        amount_minor = self._available_minor(planned.player) * planned.percent // 100
        body = {
            "player_id": str(planned.player.id),
            "source": money(max(1, amount_minor), currency),
            "target_currency": planned.target_currency,
            "provider": PROVIDER if planned.by_provider else None,
            "metadata": {"demo": str(self._cast.seed)},
        }
        try:
            path = "/v1/conversions/quotes"
            conversion_id = self._post(self._cast.platform, path, body, planned)
        except Refused as refused:
            if refused.code != "amount_too_small":
                raise
            return
        accept = f"/v1/conversions/{conversion_id}/accept"
        self._cast.platform.post(accept, {}, key=f"{planned.key}-accept")

    def _ask_for_adjustment(self, planned: PlannedAdjustment) -> None:
        currency, player_id = planned.player.currency, planned.player.id
        body = {
            "player_id": str(player_id),
            "moves": [
                {
                    "source": f"house:adjustments:{currency}",
                    "target": f"player:{player_id}:available:{currency}",
                    "amount": money(planned.major * 10 ** exponent(currency), currency),
                }
            ],
            "reason": "goodwill",
            "grounds": "promised by support",
            "metadata": {"demo": str(self._cast.seed)},
        }
        self._post(self._cast.treasury, "/v1/adjustments", body, planned)

    # --- shared ---------------------------------------------------------------------------------

    def _deposit(self, deposit_id: UUID) -> dict[str, Any]:
        return self._cast.platform.get(f"/v1/transactions/{deposit_id}")

    def _available_minor(self, player: PlannedPlayer) -> int:
        balances = self._cast.platform.get(f"/v1/players/{player.id}/balances")["balances"]
        account = f"player:{player.id}:available:{player.currency}"
        return sum(b["balance"]["amount"] for b in balances if b["account"] == account)


def _origin(player: PlannedPlayer) -> dict[str, object]:
    """Where the player asks from: tokens, as a platform makes them."""
    return {"device": f"device-{player.id}", "address": f"address-{player.id}"}


def money(amount_minor: int, currency: str) -> dict[str, object]:
    """As the API takes it."""
    return {"amount": amount_minor, "currency": currency}
