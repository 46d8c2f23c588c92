"""Lookup over HTTP: whatever is pasted leads to where it is shown."""

import re
from collections.abc import Iterator
from time import monotonic
from typing import Any
from uuid import UUID, uuid4

import pytest

from domain.provider.attempt import reference
from ledger.settings import Settings
from tests.servers.api_server import Api, notice_body, running_api

SECONDS_MAX = 2.0


@pytest.fixture(scope="module")
def api(module_database: Settings) -> Iterator[Api]:
    with running_api(module_database) as api:
        yield api


@pytest.fixture(scope="module")
def paid(api: Api) -> dict[str, Any]:
    """A completed deposit with everything that it can be found by."""
    player = uuid4()
    about = {"instrument": "tok_lookup", "metadata": {"order": "L-1"}}
    deposit = UUID(api.deposit(player, 1_050, **about).json()["id"])
    api.dispatch.submit(deposit)
    body = notice_body(deposit, 1_050, provider_reference="psp/ref 1")
    assert api.notify(body, message_id="msg_lookup").status_code == 204
    api.act_on_notices()
    found = api.transaction(str(deposit))
    assert found["status"] == "completed"
    end = api.get("/v1/events", params={"after": 0}).json()["head"]
    api.get("/v1/transactions", params={"min_position": end}).raise_for_status()
    return found


def look_up(api: Api, text: str) -> list[dict[str, Any]]:
    answer = api.get("/v1/lookup", params={"q": text})
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def test_a_transaction_is_found_by_whatever_names_it(api: Api, paid: dict[str, Any]) -> None:
    ours = reference(UUID(paid["id"]), 1)
    by = {
        paid["id"]: "id",
        paid["id"].upper(): "id",
        f"  {paid['id']} ": "id",
        ours: "reference",
        "psp/ref 1": "provider_reference",
        "tok_lookup": "instrument",
        "L-1": "metadata",
    }
    for text, matched in by.items():
        (hit,) = look_up(api, text)
        assert (hit["kind"], hit["id"], hit["matched"]) == ("deposit", paid["id"], matched)
        assert "10.50 EUR" in hit["title"]
        assert api.get(hit["href"]).json() == paid


def test_what_is_no_transaction_is_found_too(api: Api, paid: dict[str, Any]) -> None:
    player = paid["player_id"]
    account = f"player:{player}:available:EUR"
    for text, kind in (
        (player, "player"),
        (account, "account"),
        ("provider:simulator:clearing:EUR", "account"),
        ("simulator", "provider"),
        ("msg_lookup", "notice"),
        ("1", "event"),
    ):
        (hit,) = look_up(api, text)
        assert hit["kind"] == kind
        shown = api.get(hit["href"])
        assert shown.status_code == 200, f"{hit['href']}: {shown.text}"
        named = text if kind not in ("notice", "event") else hit["id"]
        assert named in shown.text
    (event,) = api.get(look_up(api, "1")[0]["href"]).json()["items"]
    assert event["position"] == 1
    (notice,) = api.get(look_up(api, "msg_lookup")[0]["href"]).json()["items"]
    assert (notice["type"], notice["data"]["message_id"]) == (
        "ProviderNoticeReceived",
        "msg_lookup",
    )


def test_many_that_share_a_text_are_shown_up_to_a_number(api: Api) -> None:
    player = uuid4()
    for _ in range(25):
        last = api.deposit(player, 100, instrument="tok_shared", metadata={}).json()
    answer = api.get(
        "/v1/lookup", params={"q": "tok_shared", "min_position": last["position"]}
    ).json()
    assert len(answer["items"]) == 20
    assert len({hit["id"] for hit in answer["items"]}) == 20


@pytest.mark.parametrize(
    "text",
    [
        "nothing",
        "%",
        "_",
        "tok_%",
        "' OR '1'='1",
        "00000000-0000-0000-0000-000000000000",
        f"limit:{UUID(int=1)}:EUR:2026-05-03",
        "0",
        "9" * 400,
        "house:",
        "x" * 500,
        "💸",
    ],
)
def test_what_is_nowhere_is_an_empty_list_and_quickly(
    api: Api, paid: dict[str, Any], text: str
) -> None:
    began = monotonic()
    assert look_up(api, text) == []
    assert monotonic() - began < SECONDS_MAX


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "string_too_short"),
        ("x" * 501, "string_too_long"),
        ("4111 1111 1111 1111", "card_number"),
        ("a\0b", "character_not_allowed"),
        ("a\u202eb", "character_not_allowed"),
    ],
)
def test_what_may_not_be_pasted_is_refused_and_not_quoted(api: Api, text: str, code: str) -> None:
    answer = api.get("/v1/lookup", params={"q": text})
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["location"], error["code"]) == (422, "query.q", code)
    assert not re.search("4111|x{99}", answer.text)
