"""The ledger's books, kept a second time, from the stored JSON, in plain integers.

Written from the table of postings in the design; nothing of the program is used, so that a
mistake there cannot be repeated here by construction.
"""

import json
from collections import Counter
from typing import Any

# What may happen at most once, and to what: the transaction, or one attempt of it.
ONCE_PER_TRANSACTION = {
    "DepositCreated",
    "DepositCompleted",
    "WithdrawalRequested",
    "WithdrawalRejected",
    "WithdrawalCancelled",
}
ONCE_PER_ATTEMPT = {"TransactionSubmitted", "WithdrawalPaid", "WithdrawalReturned"}


class NaiveBooks:
    """Balances by account name, checked after every event."""

    def __init__(self) -> None:
        self.balances: dict[str, int] = {}
        self.seen: Counter[tuple[str, ...]] = Counter()
        self.reserved_for: dict[str, int] = {}
        """By withdrawal: what stands reserved because of it, in minor units."""

    def take(self, stream: str, topic: str, state: bytes) -> None:
        """The next event of the log.

        Raises:
            AssertionError: it breaks a rule that every position has to keep.
        """
        event = json.loads(state)
        lines = _lines(topic, event)
        for currency in {account.rsplit(":", 1)[1] for account, _ in lines}:
            of_currency = [amount for account, amount in lines if account.endswith(currency)]
            assert sum(of_currency) == 0, f"{topic} does not balance in {currency}"
        for account, amount in lines:
            self.balances[account] = self.balances.get(account, 0) + amount
        for account, _ in lines:
            assert not account.startswith("player:") or self.balances[account] >= 0, account
        self._count(stream, topic, event)
        self._follow_the_reservation(stream, topic, event)

    def _count(self, stream: str, topic: str, event: dict[str, Any]) -> None:
        if topic in ONCE_PER_TRANSACTION:
            key: tuple[str, ...] = (stream, topic)
        elif topic in ONCE_PER_ATTEMPT:
            reference = event.get("reference") or event["evidence"]["reference"]
            key = (stream, topic, reference)
        elif topic == "TransactionFailed" and event["released"]:
            key = (stream, "released")
        else:
            return
        self.seen[key] += 1
        assert self.seen[key] == 1, f"twice: {key}"

    def _follow_the_reservation(self, stream: str, topic: str, event: dict[str, Any]) -> None:
        """A payout never takes more than was reserved for this very withdrawal."""
        if topic == "WithdrawalRequested" and event["reserved"]:
            self.reserved_for[stream] = event["amount"]["amount"]
        if topic == "WithdrawalPaid":
            assert event["amount"]["amount"] == self.reserved_for.pop(stream, 0)
        if topic in ("WithdrawalRejected", "WithdrawalCancelled", "TransactionFailed"):
            released = event.get("released")
            if released:
                assert released["amount"] == self.reserved_for.pop(stream, 0)
        if topic == "TransactionResolved":
            self.reserved_for.pop(stream, None)


def _lines(topic: str, event: dict[str, Any]) -> list[tuple[str, int]]:
    match topic:
        case "DepositCompleted":
            return _from_to(_clearing(event, "settled"), _available(event, "settled")) + _fee(event)
        case "WithdrawalRequested" if event["reserved"]:
            return _from_to(_available(event, "amount"), _reserved(event, "amount"))
        case "WithdrawalRejected" | "WithdrawalCancelled" | "TransactionFailed":
            if event["released"] is None:
                return []
            return _from_to(_reserved(event, "released"), _available(event, "released"))
        case "WithdrawalPaid":
            return _from_to(_reserved(event, "amount"), _clearing(event, "amount")) + _fee(event)
        case "WithdrawalReturned":
            return _from_to(_clearing(event, "amount"), _available(event, "amount"))
        case "ReviewOpened" if event["reserved"]:
            return _from_to(_available(event, "reserved"), _reserved(event, "reserved"))
        case "TransactionResolved":
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
    return [(source[0], -source[1]), target]


def _available(event: dict[str, Any], name: str) -> tuple[str, int]:
    money = event[name]
    return f"player:{event['player_id']}:available:{money['currency']}", money["amount"]


def _reserved(event: dict[str, Any], name: str) -> tuple[str, int]:
    money = event[name]
    return f"player:{event['player_id']}:reserved:{money['currency']}", money["amount"]


def _clearing(event: dict[str, Any], name: str) -> tuple[str, int]:
    money = event[name]
    return f"provider:{event['provider']}:clearing:{money['currency']}", money["amount"]


def _fee(event: dict[str, Any]) -> list[tuple[str, int]]:
    if event["fee"] is None:
        return []
    amount, currency = event["fee"]["amount"], event["fee"]["currency"]
    return _from_to(
        (f"house:fees:{currency}", amount),
        (f"provider:{event['provider']}:clearing:{currency}", amount),
    )
