"""Payouts in legs that go to different providers."""

from collections.abc import Iterator
from uuid import UUID, uuid4

import pytest

from domain.command import Command
from domain.events.evidence import Evidence, Outcome, Source
from domain.money import Money
from domain.provider.attempt import reference
from ledger.settings import Settings
from tests.servers.api_server import Api, notice_body, running_api

OTHER = "otherpay"


@pytest.fixture(scope="module")
def api(module_database: Settings) -> Iterator[Api]:
    with running_api(module_database) as api:
        api.services.providers.register(
            OTHER,
            adapter=OTHER,
            poll_delays_seconds=(10, 30),
            expiry_seconds={},
            command=Command(
                now=api.services.handling.now(),
                actor="system:setup",
                command_id=uuid4(),
                request_digest="",
            ),
        )
        yield api


def queued(api: Api) -> UUID:
    """A payout in two legs: 20.00 to the other provider's card, then 10.00 to the simulator's."""
    player = uuid4()
    api.verified(player)
    first = api.deposit(player, 2_000, provider=OTHER, instrument="tok_other").json()
    first_id = UUID(first["id"])
    api.dispatch.submit(first_id)
    succeeded = Evidence(
        source=Source.ANSWER,
        outcome=Outcome.SUCCEEDED,
        reference=reference(first_id, 1),
        amount=Money(2_000, "EUR"),
    )
    api.services.inbox.hear(first_id, succeeded)
    api.fund(player, 1_000, instrument="tok_own")
    asked = api.withdraw(player, 3_000, instrument="tok_own").json()
    assert [leg["provider"] for leg in asked["legs"]] == [OTHER, "simulator"]
    api.dispatch.screen(UUID(asked["id"]))
    assert api.transaction(asked["id"])["status"] == "queued"
    return UUID(asked["id"])


def statuses(api: Api, payout: UUID) -> list[str]:
    return [leg["status"] for leg in api.transaction(str(payout))["legs"]]


def test_a_provider_says_nothing_about_the_legs_of_another(api: Api) -> None:
    payout = queued(api)
    api.dispatch.submit(payout, 1)
    api.report(notice_body(payout, 2_000, attempt=1))
    assert statuses(api, payout) == ["submitted", "queued"]


def test_a_provider_speaks_about_its_own_leg(api: Api) -> None:
    payout = queued(api)
    api.dispatch.submit(payout, 2)
    api.report(notice_body(payout, 1_000, attempt=2))
    assert statuses(api, payout) == ["queued", "paid"]


def test_a_leg_waits_for_its_provider_and_leaves_the_queue_if_something_changes(api: Api) -> None:
    payout = queued(api)
    player = api.transaction(str(payout))["player_id"]
    api.post(f"/v1/providers/{OTHER}/pause", {"reason": "down"}).raise_for_status()
    try:
        assert api.dispatch.submit(payout, 1) is None
        assert statuses(api, payout) == ["queued", "queued"]
        held = api.post(f"/v1/players/{player}/holds", {"reason": "look"}, person="ben")
        held.raise_for_status()
        assert api.dispatch.submit(payout, 1) is None
        assert api.transaction(str(payout))["status"] == "under_review"
        assert statuses(api, payout) == ["planned", "planned"]
    finally:
        api.post(f"/v1/providers/{OTHER}/resume", {"reason": "up"}).raise_for_status()
