"""What the ledger counts beside the money, counted a second time, from the stored JSON.

The counts that events carry are not read here: what a counter should say follows from what has
become of each deposit, payout, refund and dispute.
"""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

Deposit = dict[str, Any]

_GIVEN_UP = {
    "DepositBlocked",
    "DepositCancelled",
    "DepositExpired",
    "DepositVoided",
    "TransactionFailed",
}


class NaiveCounters:
    """Counters by name: limits used, net deposits of instruments, deposits and turnover."""

    def __init__(self) -> None:
        self.values: dict[str, int] = {}
        self._changed: set[str] = set()
        self.parts: dict[tuple[str, int], dict[str, int]] = {}
        """By transaction and leg: what it contributes to each counter now."""
        self.zones: dict[str, str] = {}
        self.kept: dict[str, tuple[str, str]] = {}
        """By player: the day that goes on after a change of the time zone, and how long."""
        self.deposits: dict[str, Deposit] = {}
        self.legs: dict[str, dict[int, dict[str, Any]]] = {}
        self.refunds: dict[str, dict[str, Any]] = {}
        self.disputes: dict[str, dict[str, Any]] = {}

    def take(self, stream: str, topic: str, event: dict[str, Any]) -> None:
        """The next event of the log."""
        if topic in ("PlayerRegistered", "VerificationChanged"):
            self.zones[stream] = event["time_zone"]
            if event.get("limit_day"):
                self.kept[stream] = (event["limit_day"], event["limit_day_until"])
        elif topic == "WagerRecorded":
            money = event["amount"]
            name = f"wagered:{event['player_id']}:{money['currency']}"
            self._contribute((stream, 0), {name: money["amount"]})
        elif topic == "DepositCreated" or stream in self.deposits:
            self._of_deposit(stream, topic, event)
        elif topic == "WithdrawalRequested" or stream in self.legs:
            self._of_withdrawal(stream, topic, event)
        elif topic == "RefundRequested" or stream in self.refunds:
            self._of_refund(stream, topic, event)
        elif topic == "DisputeOpened" or stream in self.disputes:
            self._of_dispute(stream, topic, event)

    def changed(self) -> set[str]:
        """Counters that have changed since this was asked last."""
        changed, self._changed = self._changed, set()
        return changed

    def _contribute(self, part: tuple[str, int], now: dict[str, int]) -> None:
        before = self.parts.get(part, {})
        for counter in before.keys() | now.keys():
            change = now.get(counter, 0) - before.get(counter, 0)
            self.values[counter] = self.values.get(counter, 0) + change
            if change:
                self._changed.add(counter)
        self.parts[part] = now

    # --- deposits -------------------------------------------------------------------------------

    def _of_deposit(self, stream: str, topic: str, event: dict[str, Any]) -> None:
        if topic == "DepositCreated":
            self.deposits[stream] = {
                **event,
                "windows": self._windows(event),
                "counts": True,
                "credited": None,
                "events": 0,
            }
        deposit = self.deposits[stream]
        deposit["events"] += 1
        if topic == "DepositBlocked" and deposit["events"] == 2:
            deposit["windows"] = []  # it was never under way, so it never counts
        if topic in _GIVEN_UP:
            deposit["counts"] = False
        elif topic == "DepositCompleted":
            deposit["counts"], deposit["credited"] = True, event["settled"]
        elif topic == "TransactionResolved":
            completed = event["target"] == "completed"
            deposit["counts"] = completed
            credited = deposit["credited"] or _moved(event, "provider:")
            deposit["credited"] = credited if completed else None
        now: dict[str, int] = {}
        if deposit["counts"]:
            now |= dict.fromkeys(deposit["windows"], deposit["amount"]["amount"])
        if deposit["credited"]:
            minor, currency = deposit["credited"]["amount"], deposit["credited"]["currency"]
            now[f"deposited:{deposit['player_id']}:{currency}"] = minor
            now |= _instrument(deposit, deposit["instrument"], currency, minor)
        self._contribute((stream, 0), now)

    def _windows(self, event: dict[str, Any]) -> list[str]:
        """The day, the ISO week and the month in which it was created, where the player is."""
        player, currency = event["player_id"], event["amount"]["currency"]
        moment = datetime.fromisoformat(event["occurred_at"])
        there = moment.astimezone(ZoneInfo(self.zones[player]))
        day, until = self.kept.get(player, ("", ""))
        if until and moment < datetime.fromisoformat(until):
            there = datetime.fromisoformat(day)
        return [
            f"limit:{player}:{currency}:{there:%Y-%m-%d}",
            f"limit:{player}:{currency}:{there:%G-W%V}",
            f"limit:{player}:{currency}:{there:%Y-%m}",
        ]

    # --- payouts --------------------------------------------------------------------------------

    def _of_withdrawal(self, stream: str, topic: str, event: dict[str, Any]) -> None:
        """A leg takes from its instrument while it is reserved for it, or has been paid."""
        if topic in ("WithdrawalRequested", "WithdrawalAmended"):
            takes = event.get("reserved", True)
            for number in self.legs.get(stream, {}):
                self._contribute((stream, number), {})
            self.legs[stream] = {
                leg["leg"]: {
                    **leg,
                    "player_id": event["player_id"],
                    "takes": takes,
                    "waits": True,
                    "attempts": set(),
                    "minor": leg["amount"]["amount"],
                }
                for leg in event["legs"]
            }
        legs = self.legs[stream]
        if topic == "WithdrawalQueued":
            legs[event["leg"]]["attempts"].add(event["attempt"])
            legs[event["leg"]]["waits"] = False
        elif topic == "WithdrawalRecalled":
            for leg in legs.values():
                leg["waits"] = leg["waits"] or not leg.get("sent")
        elif topic == "TransactionSubmitted":
            _leg_of(legs, event["attempt"])["sent"] = True
        elif topic == "TransactionFailed":
            leg = _leg_of(legs, int(event["evidence"]["reference"].rpartition("-")[2]))
            leg["sent"], leg["waits"] = False, True
            leg["takes"] = leg["takes"] and event["released"] is None
        elif topic in ("WithdrawalRejected", "WithdrawalCancelled"):
            self._given_up(stream, event)
        elif topic == "WithdrawalReturned":
            legs[event["leg"]]["takes"] = False
        elif topic == "WithdrawalPaid":
            leg = legs[event["leg"]]
            leg["takes"], leg["minor"] = True, leg["amount"]["amount"]
        elif topic == "TransactionResolved":
            leg = legs[event["leg"]]
            if event["target"] == "paid" and not leg["takes"]:  # what was paid, as it was found
                leg["minor"] = _into_clearing(event)
            leg["takes"], leg["waits"] = event["target"] == "paid", False
        for number, leg in legs.items():
            minor = -leg["minor"] if leg["takes"] else 0
            currency = leg["amount"]["currency"]
            self._contribute((stream, number), _instrument(leg, leg["instrument"], currency, minor))

    def _given_up(self, stream: str, event: dict[str, Any]) -> None:
        """What is neither sent nor queued goes back to the player, and only that."""
        unsent = [leg for leg in self.legs[stream].values() if leg["takes"] and leg["waits"]]
        released = event["released"]["amount"] if event["released"] else 0
        assert released == sum(leg["amount"]["amount"] for leg in unsent), f"released of {stream}"
        for leg in unsent:
            leg["takes"] = False

    # --- refunds and disputes -------------------------------------------------------------------

    def _of_refund(self, stream: str, topic: str, event: dict[str, Any]) -> None:
        if topic == "RefundRequested":
            gone = event["amount"]["amount"] if event["reserved"] else 0
            self.refunds[stream] = {**event, "gone": gone}
        refund = self.refunds[stream]
        refund["gone"] = refund_gone(refund["gone"], topic, event)
        currency = refund["amount"]["currency"]
        now = _instrument(refund, refund["instrument"], currency, -refund["gone"])
        self._contribute((stream, 0), now)

    def _of_dispute(self, stream: str, topic: str, event: dict[str, Any]) -> None:
        if topic == "DisputeOpened" and stream not in self.disputes:
            self.disputes[stream] = {**event, "net": 0}
        dispute = self.disputes[stream]
        currency = dispute["amount"]["currency"]
        sign = {"DisputeFundsWithdrawn": -1, "DisputeFundsReinstated": 1}.get(topic, 0)
        if sign and event["amount"]["currency"] == currency:
            dispute["net"] += sign * event["amount"]["amount"]
        now = _instrument(dispute, dispute["instrument"], currency, dispute["net"])
        self._contribute((stream, 0), now)


class NaiveClaims:
    """What refunds and disputes take of deposits, and whether it was allowed to."""

    def __init__(self) -> None:
        self.captured: dict[str, dict[str, Any] | None] = {}
        """By deposit: what was credited."""
        self.currency: dict[str, str] = {}
        """By deposit: what it was asked for in."""
        self.refunds: dict[str, dict[str, Any]] = {}
        """By refund: its deposit, what it has or may have taken, in minor units."""
        self.tracked: dict[tuple[str, str], tuple[int, str]] = {}
        """By deposit and refund or dispute: the deposit's own record, amount and standing."""
        self.disputes: dict[str, dict[str, tuple[int, str]]] = {}
        self.to_settle: set[str] = set()
        self.taken: dict[str, dict[str, dict[str, int]]] = {}
        """By deposit, dispute and currency: what the provider took, less what it gave back."""
        self.disputed: dict[str, str] = {}
        """By dispute: the deposit it is about."""
        self.excess: dict[str, int] = {}
        """By deposit: how much more has gone out than came in, as the deposit says."""

    def take(self, stream: str, topic: str, event: dict[str, Any]) -> None:
        """The next event of the log."""
        if topic == "DepositCreated":
            self.captured[stream] = None
            self.currency[stream] = event["amount"]["currency"]
        elif topic == "DepositCompleted":
            self.captured[stream] = event["settled"]
        elif topic == "TransactionResolved" and stream in self.captured:
            credited = self.captured[stream] or _moved(event, "provider:")
            self.captured[stream] = credited if event["target"] == "completed" else None
        elif topic == "DepositRefundTracked":
            record = (event["amount"]["amount"], event["standing"])
            self.tracked[stream, event["refund_id"]] = record
            self.to_settle.add(event["refund_id"])
        elif topic == "DepositDisputeTracked":
            of_deposit = self.disputes.setdefault(stream, {})
            of_deposit[event["dispute_id"]] = (event["amount"]["amount"], event["standing"])
        elif topic == "DepositExcessTracked":
            self.excess[stream] = event["excess"]["amount"]
        elif topic == "DisputeOpened":
            self.disputed[stream] = event["deposit_id"]
        elif topic in ("DisputeFundsWithdrawn", "DisputeFundsReinstated"):
            of_deposit = self.taken.setdefault(self.disputed[stream], {})
            net, money = of_deposit.setdefault(stream, {}), event["amount"]
            sign = 1 if topic == "DisputeFundsWithdrawn" else -1
            net[money["currency"]] = net.get(money["currency"], 0) + sign * money["amount"]
        elif topic == "RefundRequested" or stream in self.refunds:
            self._of_refund(stream, topic, event)

    def settle(self) -> None:
        """What the deposit says of a refund is what has become of the refund."""
        for stream in self.to_settle:
            refund = self.refunds[stream]
            amount, standing = self.tracked.get((refund["deposit_id"], stream), (0, "released"))
            expected = refund["gone"] or (refund["asked"] if refund["reviewed"] else 0)
            claimed = 0 if standing == "released" else amount
            assert claimed == expected, f"deposit and refund disagree about {stream}"
            assert refund["taken"] == (standing == "taken"), f"standing of refund {stream}"
        self.to_settle.clear()
        for deposit in self.captured:
            found = self.excess.get(deposit, 0)
            assert found == max(0, self.out_minor(deposit)), f"what has gone out of {deposit}"

    def out_minor(self, deposit: str) -> int:
        """What refunds and disputes took to the player, less what came in."""
        captured = self.captured[deposit] or {"amount": 0, "currency": ""}
        in_minor = captured["amount"]
        out = sum(
            r["gone"] for r in self.refunds.values() if r["deposit_id"] == deposit and r["taken"]
        )
        for net in self.taken.get(deposit, {}).values():
            for code, minor in net.items():
                # What is in another currency counts as everything.
                own = code == (captured["currency"] or self.currency[deposit])
                out += (minor if own else in_minor) if minor > 0 else 0
        return int(out) - int(in_minor)

    def _of_refund(self, stream: str, topic: str, event: dict[str, Any]) -> None:
        if topic == "RefundRequested":
            asked = event["amount"]["amount"]
            if event["reserved"]:
                self._check_the_claim(event["deposit_id"], asked)
            self.refunds[stream] = {
                "deposit_id": event["deposit_id"],
                "asked": asked,
                "gone": asked if event["reserved"] else 0,
                "taken": False,
                "reviewed": False,
            }
        refund = self.refunds[stream]
        refund["gone"] = refund_gone(refund["gone"], topic, event)
        if topic == "TransactionSubmitted":
            open_disputes = [s for _, s in self.disputes.get(refund["deposit_id"], {}).values()]
            assert "open" not in open_disputes, f"sent while a dispute is open: {stream}"
        if topic in ("RefundSucceeded", "RefundReversed", "TransactionResolved"):
            refund["taken"] = topic == "RefundSucceeded" or event.get("target") == "succeeded"
            refund["reviewed"] = False
        if topic == "ReviewOpened":
            refund["reviewed"] = True
        self.to_settle.add(stream)

    def left_minor(self, deposit: str) -> int:
        """What neither refunds nor disputes have taken, or may take; below zero if they overlap."""
        captured = self.captured[deposit]
        if captured is None:
            return 0
        refunds = sum(
            r["gone"] or (r["asked"] if r["reviewed"] else 0)
            for r in self.refunds.values()
            if r["deposit_id"] == deposit
        )
        claims = self.disputes.get(deposit, {}).values()
        disputed = sum(minor for minor, standing in claims if standing != "released")
        return int(captured["amount"]) - refunds - disputed

    def _check_the_claim(self, deposit: str, asked: int) -> None:
        """Refunds and disputes together never claim more than was captured, when one is made."""
        assert self.captured[deposit], f"a refund of {deposit}, which captured nothing"
        standings = [standing for _, standing in self.disputes.get(deposit, {}).values()]
        assert "open" not in standings, f"a refund of {deposit}, which is disputed"
        assert asked <= self.left_minor(deposit), f"more than captured: {deposit}"


def refund_gone(before: int, topic: str, event: dict[str, Any]) -> int:
    """What is reserved for a refund, or has been paid by it, after the event; minor units."""
    if topic in ("RefundRejected", "RefundCancelled", "TransactionFailed", "RefundReversed"):
        return 0
    if topic == "TransactionResolved":
        if event["target"] == "failed":
            return 0
        return _into_clearing(event) or before
    if topic == "RefundSucceeded":
        return event["amount"]["amount"]
    return before


def _moved(event: dict[str, Any], source: str) -> dict[str, Any] | None:
    """What a resolution moved out of an account of that kind."""
    moved = [m["money"] for m in event["moves"] if m["source"].startswith(source)]
    return moved[0] if moved else None


def _into_clearing(event: dict[str, Any]) -> int:
    """How much a resolution found to be paid, in minor units."""
    into_clearing = [m for m in event["moves"] if m["target"].startswith("provider:")]
    return sum(move["money"]["amount"] for move in into_clearing)


def _leg_of(legs: dict[int, dict[str, Any]], attempt: int) -> dict[str, Any]:
    return next(leg for leg in legs.values() if attempt in leg["attempts"])


def _instrument(
    of: dict[str, Any], instrument: str | None, currency: str, minor: int
) -> dict[str, int]:
    if instrument is None:
        return {}
    return {f"instrument:{of['player_id']}:{currency}:{instrument}": minor}
