"""What players may do, said a second time, in plain Python, from the stored JSON.

Only what can be foretold without looking at how a decision is made: who may deposit how much.
"""

import json
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

RANK = {"none": 0, "basic": 1, "full": 2}
LIFTED_BY = {
    "payment": {"finance"},
    "fraud": {"fraud"},
    "aml": {"compliance"},
    "support": {"fraud", "compliance"},
}


class NaiveRules:
    """Players and providers, as far as rules ask for them."""

    def __init__(self) -> None:
        self.players: dict[str, dict[str, Any]] = {}
        self.paused: set[str] = set()

    def take(self, stream: str, topic: str, state: bytes) -> None:
        """The next event of the log."""
        if topic in ("ProviderPaused", "ProviderResumed"):
            provider = json.loads(state)["provider"]
            (self.paused.add if topic == "ProviderPaused" else self.paused.discard)(provider)
        elif topic == "PlayerRegistered":
            self.players[stream] = {
                **json.loads(state),
                "until": None,
                "excluded": False,
                "limits": {},
                "holds": {},
            }
        elif stream in self.players:
            self._change(self.players[stream], topic, json.loads(state))

    def _change(self, player: dict[str, Any], topic: str, event: dict[str, Any]) -> None:
        match topic:
            case "VerificationChanged":
                player |= {k: event[k] for k in ("verification", "jurisdiction", "time_zone")}
            case "PlayerExcluded":
                player |= {"excluded": True, "until": _moment(event["until"])}
            case "ExclusionEnded":
                player |= {"excluded": False, "until": None}
            case "HoldPlaced":
                stopped = player["holds"].setdefault(event["hold"], set())
                stopped.update(event.get("stops", ["payouts"]))
            case "HoldLifted":
                player["holds"].pop(event["hold"], None)
            case "LimitSet":
                self._set_limit(player, event)

    def _set_limit(self, player: dict[str, Any], event: dict[str, Any]) -> None:
        """Less at once, more after a day (in Germany: seven): what is asked for replaces what
        was asked for before and is still to come."""
        at = datetime.fromisoformat(event["occurred_at"])
        key = (event["window"], event["currency"])
        before = self._limit(player, key, at)
        raised = before is not None and (
            event["limit_minor"] is None or event["limit_minor"] > before
        )
        days = 7 if player["jurisdiction"] == "DE" else 1
        effective = datetime.fromisoformat(event["effective_at"])
        waits = (effective - at).total_seconds()
        assert waits == (days * 86_400 if raised else 0), f"a limit takes effect after {waits}"
        later = (event["limit_minor"], effective) if raised else None
        player["limits"][key] = (before if raised else event["limit_minor"], later)

    def _limit(self, player: dict[str, Any], key: tuple[str, str], now: datetime) -> int | None:
        limit: int | None
        limit, later = player["limits"].get(key, (None, None))
        return later[0] if later and later[1] <= now else limit

    def limits(self, player_id: str, currency: str, now: datetime) -> dict[str, int]:
        """By counter: the largest it may be after a deposit at `now`."""
        player = self.players[player_id]
        there = now.astimezone(ZoneInfo(player["time_zone"]))
        periods = {"day": f"{there:%Y-%m-%d}", "week": f"{there:%G-W%V}", "month": f"{there:%Y-%m}"}
        limits = {w: self._limit(player, (w, currency), now) for w in periods}
        return {
            f"limit:{player_id}:{currency}:{period}": minor
            for window, period in periods.items()
            if (minor := limits[window]) is not None
        }

    def may_deposit(self, player_id: str, provider: str, now: datetime) -> bool:
        """Whatever the amount."""
        player = self.players[player_id]
        excluded = player["excluded"] and (player["until"] is None or now < player["until"])
        british = (player["jurisdiction"] or "").partition("-")[0] == "GB"
        known = RANK[player["verification"]] >= (1 if british else 0)
        held = any("deposits" in stops for stops in player["holds"].values())
        return known and not excluded and not held and provider not in self.paused


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
