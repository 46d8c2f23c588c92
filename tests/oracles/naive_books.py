"""The ledger's books, kept a second time, from the stored JSON, in plain integers.

Written from the table of postings in the design; nothing of the program is used, so that a
mistake there cannot be repeated here by construction. What is counted beside the money, and what
refunds and disputes claim of a deposit, is in `naive_counters.py`.
"""

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from tests.oracles.naive_counters import NaiveClaims, NaiveCounters

# What may happen at most once, and to what: the transaction, a leg, a stage, or one attempt.
ONCE_PER_TRANSACTION = {
    "DepositCreated",
    "DepositBlocked",
    "DepositCompleted",
    "WithdrawalRequested",
    "WithdrawalRejected",
    "WithdrawalCancelled",
    "RefundRequested",
    "RefundApproved",
    "RefundRejected",
    "RefundCancelled",
    "ConversionQuoted",
    "ConversionAccepted",
    "ConversionRejected",
    "ConversionExpired",
    "ConversionExecuted",
    "AdjustmentRequested",
    "AdjustmentApproved",
    "AdjustmentRejected",
}
WITH_A_FEE = {"DepositCompleted", "WithdrawalPaid", "RefundSucceeded"}
OF_A_LEG = {"WithdrawalPaid", "WithdrawalReturned"}
IN_TURN = {
    "WithdrawalPaid": "out",
    "WithdrawalReturned": "back",
    "RefundSucceeded": "out",
    "RefundReversed": "back",
}
"""Money that goes out comes back before it goes out again."""
ONCE_PER_STAGE = {"DisputeFundsWithdrawn", "DisputeFundsReinstated"}


class NaiveBooks:
    """Balances by account name, checked after every event."""

    def __init__(self, opening: Mapping[str, int] | None = None) -> None:
        """`opening`: balances before the first event that is taken; usually none."""
        self.balances: dict[str, int] = dict(opening or {})
        self.moved_at: dict[str, int] = {}
        """By account: position of the event that moved it last."""
        self._moved: set[str] = set()
        self.seen: Counter[tuple[str, ...]] = Counter()
        self.turns: dict[tuple[str, str], str] = {}
        """By transaction and leg: which way its money went last."""
        self.held: dict[str, dict[str, int]] = {}
        """By transaction: what stands on reserved accounts because of it, in minor units."""
        self.legs: dict[str, dict[int, dict[str, Any]]] = {}
        self.found_paid: dict[tuple[str, int], dict[str, Any]] = {}
        """By withdrawal and number: the legs of its plan."""
        self.asked_by: dict[str, str] = {}
        """By transaction: who may not approve it."""
        self.resolved: set[str] = set()
        """Transactions whose review two people have ended."""
        self.proposed_by: dict[tuple[str, int | None], str] = {}
        self.cleared: dict[str, dict[str, int]] = {}
        """By transaction: what it moved on providers' clearing accounts, without their fees."""
        self.counters = NaiveCounters()
        self.claims = NaiveClaims()

    def take(self, stream: str, topic: str, state: bytes, position: int = 0) -> None:
        """The next event of the log.

        Raises:
            AssertionError: it breaks a rule that every position has to keep.
        """
        event = json.loads(state)
        lines = lines_of(topic, event)
        for currency in {account.rsplit(":", 1)[1] for account, _ in lines}:
            of_currency = [minor for account, minor in lines if account.endswith(f":{currency}")]
            assert sum(of_currency) == 0, f"{topic} does not balance in {currency}"
        for account, minor in lines:
            self.balances[account] = self.balances.get(account, 0) + minor
            self.moved_at[account] = position
            self._moved.add(account)
        for account, _ in lines:
            floored = account.startswith("player:")
            assert not floored or self.balances[account] >= 0, f"{account} is below zero: {topic}"
        self._follow_the_clearing(stream, topic, event, lines)
        self._count(stream, topic, event)
        self._follow_the_reservation(stream, topic, lines)
        self._follow_the_legs(stream, topic, event)
        self._follow_the_people(stream, topic, event)
        self.counters.take(stream, topic, event)
        self.claims.take(stream, topic, event)

    def moved(self) -> set[str]:
        """Accounts that have moved since this was asked last."""
        moved, self._moved = self._moved, set()
        return moved

    def settle(self) -> None:
        """After a whole append: what two streams say of one another has to agree.

        Raises:
            AssertionError: a deposit's record of a refund is not what became of the refund.
        """
        self.claims.settle()

    def zero_sums(self) -> dict[str, int]:
        """Every account together, by currency: nothing but zeros."""
        sums: dict[str, int] = {}
        for account, minor in self.balances.items():
            currency = account.rsplit(":", 1)[1]
            sums[currency] = sums.get(currency, 0) + minor
        return sums

    def _count(self, stream: str, topic: str, event: dict[str, Any]) -> None:
        if topic in ONCE_PER_TRANSACTION:
            key: tuple[str, ...] = (stream, topic)
        elif topic in IN_TURN:
            turn = (stream, str(event.get("leg")))
            assert self.turns.get(turn) != IN_TURN[topic], f"{topic} twice in a row: {turn}"
            self.turns[turn] = IN_TURN[topic]
            return
        elif topic in ONCE_PER_STAGE:
            key = (stream, topic, event["report"]["stage"])
        elif topic == "TransactionSubmitted":
            key = (stream, topic, event["reference"])
        elif topic == "TransactionFailed":
            key = (stream, topic, event["evidence"]["reference"])
        elif topic == "ReviewOpened":
            self.seen[(stream, "in review")] += 1
            return
        elif topic == "TransactionResolved":
            self.seen[(stream, "in review")] -= 1
            assert self.seen[(stream, "in review")] >= 0, f"no review to end: {stream}"
            self.resolved.add(stream)
            self.turns[stream, str(event["leg"])] = "resolved"
            return
        else:
            return
        self.seen[key] += 1
        assert self.seen[key] == 1, f"twice: {key}"

    def _follow_the_reservation(
        self, stream: str, topic: str, lines: list[tuple[str, int]]
    ) -> None:
        """Nobody takes out of what is reserved more than they put there themselves."""
        mine = self.held.setdefault(stream, {})
        for account, minor in lines:
            if ":reserved:" in account:
                assert topic != "AdjustmentApproved", f"an adjustment moves {account}"
                mine[account] = mine.get(account, 0) + minor
        assert all(minor >= 0 for minor in mine.values()), f"{topic}: more than {stream} reserved"

    def _follow_the_clearing(
        self, stream: str, topic: str, event: dict[str, Any], lines: list[tuple[str, int]]
    ) -> None:
        beside = topic == "NoticeNoted" and "fee" in event
        fees = _fee(event) if topic in WITH_A_FEE or beside else []
        for account, minor in lines[: len(lines) - len(fees)]:
            if account.startswith("provider:"):
                mine = self.cleared.setdefault(stream, {})
                mine[account] = mine.get(account, 0) + minor

    def _follow_the_legs(self, stream: str, topic: str, event: dict[str, Any]) -> None:
        """What is paid is a leg of the plan, to its provider and of its amount.

        What people found to be paid comes back as they found it.
        """
        if topic in ("WithdrawalRequested", "WithdrawalAmended"):
            self.legs[stream] = {leg["leg"]: leg for leg in event["legs"]}
            planned = sum(leg["amount"]["amount"] for leg in event["legs"])
            assert planned == event["amount"]["amount"], f"the legs are not the amount: {stream}"
        elif topic in OF_A_LEG:
            leg = self.legs[stream][event["leg"]]
            found = self.found_paid.pop((stream, event["leg"]), leg["amount"])
            known = (leg["amount"], found) if topic == "WithdrawalReturned" else (leg["amount"],)
            assert event["amount"] in known, f"another amount than planned: {stream}"
            assert event["provider"] == leg["provider"], f"another provider: {stream}"
        elif topic == "TransactionResolved" and stream in self.legs:
            went = [m["money"] for m in event["moves"] if ":clearing:" in m["target"]]
            if went:
                total = {**went[0], "amount": sum(money["amount"] for money in went)}
                self.found_paid[stream, event["leg"]] = total

    def _follow_the_people(self, stream: str, topic: str, event: dict[str, Any]) -> None:
        """Nobody agrees to what they asked for."""
        if topic in ("WithdrawalRequested", "RefundRequested", "AdjustmentRequested"):
            self.asked_by[stream] = event["actor"].partition(":")[2]
        elif topic in (
            "WithdrawalApprovalGiven",
            "WithdrawalApproved",
            "RefundApproved",
            "AdjustmentApproved",
        ):
            assert event["person"] != self.asked_by[stream], f"approved their own: {stream}"
        elif topic == "ResolutionProposed":
            self.proposed_by[stream, event["leg"]] = event["person"]
        elif topic == "TransactionResolved":
            proposed_by = self.proposed_by.pop((stream, event["leg"]))
            assert event["person"] != proposed_by, f"one person resolved {stream}"


def lines_of(topic: str, event: dict[str, Any]) -> list[tuple[str, int]]:
    """What an event means in double entry: accounts, and what is added to them."""
    match topic:
        case "DepositCompleted":
            return _from_to(_clearing(event, "settled"), _available(event, "settled")) + _fee(event)
        case "WithdrawalRequested" | "RefundRequested" if event["reserved"]:
            return _from_to(_available(event, "amount"), _reserved(event, "amount"))
        case "ConversionAccepted" if event["reserved"]:
            return _from_to(_available(event, "source"), _reserved(event, "source"))
        case (
            "WithdrawalRejected"
            | "WithdrawalCancelled"
            | "WithdrawalAmended"
            | "RefundRejected"
            | "RefundCancelled"
            | "ConversionRejected"
            | "TransactionFailed"
        ):
            if event["released"] is None:
                return []
            return _from_to(_reserved(event, "released"), _available(event, "released"))
        case "WithdrawalPaid" | "RefundSucceeded":
            again: list[tuple[str, int]] = []
            if "from_available" in event:
                kept = _reserved(event, "from_available")
                again += _from_to(_available(event, "from_available"), kept)
            if "from_house" in event:
                suspense = _house("suspense", event, "from_house")
                again += _from_to(suspense, _reserved(event, "from_house"))
            paid = _from_to(_reserved(event, "amount"), _clearing(event, "amount"))
            return again + paid + _fee(event)
        case "WithdrawalReturned" | "RefundReversed":
            back = _from_to(_clearing(event, "amount"), _available(event, "amount"))
            if "to_house" not in event:
                return back
            suspense = _house("suspense", event, "to_house")
            return back + _from_to(_available(event, "to_house"), suspense)
        case "NoticeNoted" if "fee" in event:
            return _fee(event)
        case "ConversionExecuted":
            return (
                _from_to(_reserved(event, "source"), _house("fx", event, "source"))
                + _from_to(_house("fx", event, "target"), _available(event, "target"))
                + _from_to(_house("fx", event, "spread"), _house("fees", event, "spread"))
            )
        case "DisputeFundsWithdrawn":
            return _from_to(_house("chargebacks", event, "amount"), _clearing(event, "amount"))
        case "DisputeFundsReinstated":
            return _from_to(_clearing(event, "amount"), _house("chargebacks", event, "amount"))
        case "ReviewOpened" if event["reserved"]:
            return _from_to(_available(event, "reserved"), _reserved(event, "reserved"))
        case "TransactionResolved" | "AdjustmentApproved":
            return [
                line
                for move in event["moves"]
                for line in _from_to(
                    (move["source"], move["money"]["amount"]),
                    (move["target"], move["money"]["amount"]),
                )
            ]
        case _:
            return []


def _from_to(source: tuple[str, int], target: tuple[str, int]) -> list[tuple[str, int]]:
    return [(source[0], -source[1]), target] if target[1] else []


def _available(event: dict[str, Any], name: str) -> tuple[str, int]:
    money = event[name]
    return f"player:{event['player_id']}:available:{money['currency']}", money["amount"]


def _reserved(event: dict[str, Any], name: str) -> tuple[str, int]:
    money = event[name]
    return f"player:{event['player_id']}:reserved:{money['currency']}", money["amount"]


def _clearing(event: dict[str, Any], name: str) -> tuple[str, int]:
    money = event[name]
    return f"provider:{event['provider']}:clearing:{money['currency']}", money["amount"]


def _house(account: str, event: dict[str, Any], name: str) -> tuple[str, int]:
    money = event[name]
    return f"house:{account}:{money['currency']}", money["amount"]


def _fee(event: dict[str, Any]) -> list[tuple[str, int]]:
    if event["fee"] is None:
        return []
    return _from_to(_house("fees", event, "fee"), _clearing(event, "fee"))
