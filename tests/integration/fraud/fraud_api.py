"""What the tests of rule sets, cases and reports share: people of every role, and real hits."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeVar
from urllib.parse import quote
from uuid import UUID

import httpx2

from ledger.access.api_keys import StaffRole, create_key
from ledger.eventstore import database
from ledger.eventstore.database import Role
from ledger.settings import Settings
from tallystick.serve import bootstrap
from tests.servers.api_server import Api, running_api

WAIT_SECONDS = 20.0
T = TypeVar("T")

BY_ROLE = {
    "administrator": "ada",
    "auditor": "otto",
    "compliance": "cleo",
    "finance": "anna",
    "fraud": "ben",
    "platform": "platform",
    "support": "sam",
}
"""One person of each role."""

_MORE = {
    "ada": StaffRole.ADMINISTRATOR,
    "otto": StaffRole.AUDITOR,
    "bea": StaffRole.FRAUD,
    "carl": StaffRole.COMPLIANCE,
}


@contextmanager
def fraud_api(settings: Settings) -> Iterator[Api]:
    """The API with every indicator live, and with people of every role."""
    with running_api(settings, indicators="live") as api:
        owner = database.conninfo(settings, Role.OWNER)
        more = {person: create_key(owner, person, role) for person, role in _MORE.items()}
        yield replace(api, keys={**api.keys, **more})


def until(look: Callable[[], T | None]) -> T:
    """What `look` finds, as soon as it does."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not (found := look()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
    return found


def code(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def head(api: Api) -> int:
    """Where the log ends."""
    return int(api.get("/v1/events", params={"limit": 1}).json()["head"])


def structured(api: Api, player: UUID) -> dict[str, Any]:
    """Three deposits just below 2,000 EUR; the hit that follows."""
    for _ in range(3):
        api.fund(player, 195_000)
    return hit_of(api, f"player:{player}", "structuring")


def hit_of(api: Api, subject: str, indicator: str) -> dict[str, Any]:
    """The hit, as soon as the read model has it."""
    params = {"subject": subject, "indicator": indicator}

    def look() -> dict[str, Any] | None:
        items = api.get("/v1/hits", "ben", params=params).json()["items"]
        return items[0] if items else None

    return until(look)


def case_of(api: Api, subject: str, hits: int = 1) -> dict[str, Any]:
    """The case that the desk makes of the hits on a subject, once so many are in it."""
    desk = bootstrap.build_fraud_desk(api.settings, api.services.handling)

    def look() -> dict[str, Any] | None:
        desk.work()
        items = api.get("/v1/cases", "ben", params={"subject": subject}).json()["items"]
        return items[0] if items and items[0]["hits_count"] >= hits else None

    try:
        found = until(look)
    finally:
        desk.close()
    case: dict[str, Any] = api.get(f"/v1/cases/{found['id']}", "ben").json()
    return case


def path_of(hit_id: str) -> str:
    """As a client writes it that knows nothing of the parts."""
    return f"/v1/hits/{quote(hit_id, safe='')}"
