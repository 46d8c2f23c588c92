"""Refunds and disputes of one deposit over HTTP: its money goes out once, or people are told."""

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest

from ledger.settings import Settings
from tests.servers.api_server import Api, notice_body, running_api

PAID_IN = 10_000
DECLINE = {"code": "do_not_honour", "raw_code": "05"}


@pytest.fixture(scope="module")
def api(module_database: Settings) -> Iterator[Api]:
    with running_api(module_database) as api:
        yield api


def gone(api: Api) -> int:
    """What providers have taken of ours in all: money that came in counts against it."""
    answer = api.get("/v1/accounts/provider:simulator:clearing:EUR")
    return int(answer.json()["balance"]["amount"]) if answer.status_code == 200 else 0


def refund(api: Api, deposit: Mapping[str, Any], amount: int = PAID_IN) -> httpx2.Response:
    money = {"amount": amount, "currency": "EUR"}
    body = {"deposit_id": deposit["id"], "reason": "unhappy", "amount": money}
    return api.post("/v1/refunds", body, person="sam")


def sent(api: Api, deposit: Mapping[str, Any], amount: int = PAID_IN) -> UUID:
    """A refund that is on its way."""
    asked = refund(api, deposit, amount).json()
    api.post(f"/v1/refunds/{asked['id']}/approve", {}, person="anna").raise_for_status()
    refund_id = UUID(asked["id"])
    assert api.dispatch.submit(refund_id) is not None
    return refund_id


def refunded(api: Api, deposit: Mapping[str, Any], amount: int = PAID_IN) -> UUID:
    refund_id = sent(api, deposit, amount)
    api.report(notice_body(refund_id, amount))
    return refund_id


def waiting(
    api: Api, deposit: Mapping[str, Any], **when: object
) -> tuple[list[str], dict[str, Any] | None] | None:
    """Why the deposit waits for people, and how much more went out; None where it does not."""
    wanted = when or {"min_position": api.get("/v1/events").json()["head"]}
    params = {"kind": "deposit", "limit": 100, **wanted}
    answer = api.get("/v1/queue", params=params)
    answer.raise_for_status()
    found = [c for c in answer.json()["items"] if c["transaction_id"] == deposit["id"]]
    return (found[0]["reasons"], found[0].get("excess")) if found else None


def too_much(amount: int) -> tuple[list[str], dict[str, Any]]:
    return ["more_out_than_in"], {"amount": amount, "currency": "EUR"}


def look_at(api: Api, deposit: Mapping[str, Any], note: str = "claimed back") -> httpx2.Response:
    path = f"/v1/deposits/{deposit['id']}/review-concerns"
    return api.post(path, {"note": note}, person="anna")


# --- refused ------------------------------------------------------------------------------------


@pytest.mark.parametrize("news", [["won", "lost"], ["won", "withdrawn"], ["won"], ["withdrawn"]])
def test_money_that_a_dispute_has_taken_is_not_refunded_whatever_the_provider_says_of_it(
    api: Api, news: list[str]
) -> None:
    deposit, before = api.fund(uuid4(), PAID_IN), gone(api)
    for each in ("opened", "funds_withdrawn", *news):
        dispute_id = api.dispute(deposit, each)
    refused = refund(api, deposit)
    assert refused.status_code == 409, refused.text
    contradicted = api.transaction(dispute_id)["contradicted"]
    expected = "dispute_open" if contradicted else "refund_exceeds_capture"
    assert (contradicted, refused.json()["code"]) == (len(news) > 1, expected)
    assert refund(api, deposit, 1).status_code == 409
    assert gone(api) - before == PAID_IN
    assert waiting(api, deposit) is None  # no more went out than came in


def test_money_that_a_won_dispute_gave_back_is_refunded(api: Api) -> None:
    deposit = api.fund(uuid4(), PAID_IN)
    for news in ("opened", "funds_withdrawn", "won"):
        api.dispute(deposit, news)
    refused = refund(api, deposit)
    assert refused.status_code == 409, refused.text
    assert "A dispute has taken money" in refused.json()["detail"]
    given_back = {"amount": 6_000, "currency": "EUR"}
    api.dispute(deposit, "funds_reinstated", amount=given_back)
    assert refund(api, deposit, 6_001).status_code == 409
    assert refund(api, deposit, 6_000).status_code == 201


def test_a_contradiction_alone_keeps_a_deposit_from_being_refunded(api: Api) -> None:
    deposit = api.fund(uuid4(), PAID_IN)
    for news in ("opened", "won", "lost"):
        api.dispute(deposit, news)
    refused = refund(api, deposit)
    assert refused.status_code == 409, refused.text
    assert refused.json()["code"] == "dispute_open"
    assert "contradict" in refused.json()["detail"]


def test_a_dispute_that_another_deposit_is_named_for_keeps_its_own_from_being_refunded(
    api: Api,
) -> None:
    deposit, other = api.fund(uuid4(), PAID_IN), api.fund(uuid4(), PAID_IN)
    for news in ("opened", "won"):
        api.dispute(deposit, news)
    api.dispute(deposit, "lost", reference=other["reference"])
    assert refund(api, deposit).status_code == 409
    assert refund(api, other).status_code == 201


@pytest.mark.parametrize("news", [["won"], ["won", "lost"], ["lost"]])
def test_an_approved_refund_is_not_sent_once_a_dispute_has_the_money(
    api: Api, news: list[str]
) -> None:
    deposit = api.fund(uuid4(), PAID_IN)
    asked = refund(api, deposit).json()
    api.post(f"/v1/refunds/{asked['id']}/approve", {}, person="anna").raise_for_status()
    for each in ("opened", "funds_withdrawn", *news):
        api.dispute(deposit, each)
    assert api.dispatch.submit(UUID(asked["id"])) is None
    assert api.transaction(asked["id"])["status"] == "cancelled"


def test_a_refund_that_never_arrived_is_not_sent_again_once_a_dispute_has_the_money(
    api: Api,
) -> None:
    deposit = api.fund(uuid4(), PAID_IN)
    refund_id = sent(api, deposit)
    for news in ("opened", "funds_withdrawn", "won"):
        api.dispute(deposit, news)
    attempt = api.dispatch.attempt(refund_id)
    assert attempt is not None
    assert api.dispatch.why_not_again(attempt) is not None


# --- not to be refused --------------------------------------------------------------------------


@pytest.mark.parametrize("refunded_minor", [PAID_IN, 6_000])
def test_a_dispute_lost_after_a_refund_waits_until_people_have_looked(
    api: Api, refunded_minor: int
) -> None:
    deposit, before = api.fund(uuid4(), PAID_IN), gone(api)
    refunded(api, deposit, refunded_minor)
    for news in ("opened", "funds_withdrawn", "lost"):
        api.dispute(deposit, news)
    assert gone(api) - before == PAID_IN + refunded_minor
    assert waiting(api, deposit) == too_much(refunded_minor)
    shown = api.transaction(deposit["id"])
    assert shown["excess"] == {"amount": refunded_minor, "currency": "EUR"}
    assert (shown["concerns"], shown["concerns_reviewed"]) == (["more_out_than_in"], False)

    assert look_at(api, deposit, " ").json()["code"] == "evidence_missing"
    assert look_at(api, deposit).json()["concerns_reviewed"] is True
    assert waiting(api, deposit) is None
    assert api.transaction(deposit["id"])["excess"]["amount"] == refunded_minor
    assert look_at(api, deposit).status_code == 409

    api.dispute(deposit, "funds_withdrawn", stage="arbitration")
    assert waiting(api, deposit) == too_much(PAID_IN + refunded_minor)


def test_what_went_out_twice_says_so_at_its_own_time(api: Api) -> None:
    deposit = api.fund(uuid4(), PAID_IN)
    refunded(api, deposit)
    before = api.get("/v1/events").json()["head"]
    api.dispute(deposit, "funds_withdrawn")
    after = api.get("/v1/events").json()["head"]
    api.dispute(deposit, "funds_reinstated")
    assert waiting(api, deposit) is None
    assert waiting(api, deposit, as_of=before) is None
    assert waiting(api, deposit, as_of=after) == too_much(PAID_IN)
    assert api.transaction(deposit["id"])["excess"] is None


def test_a_refund_that_succeeds_after_the_dispute_took_the_money_waits_until_people_have_looked(
    api: Api,
) -> None:
    deposit = api.fund(uuid4(), PAID_IN)
    refund_id = sent(api, deposit)
    for news in ("opened", "funds_withdrawn", "lost"):
        api.dispute(deposit, news)
    assert waiting(api, deposit) is None
    api.report(notice_body(refund_id, PAID_IN))
    assert waiting(api, deposit) == too_much(PAID_IN)
    api.report(notice_body(refund_id, PAID_IN, status="returned"))
    assert waiting(api, deposit) is None


def test_a_refund_that_two_people_say_has_succeeded_waits_until_people_have_looked(
    api: Api,
) -> None:
    """It is a fact that they record, and cannot be refused."""
    deposit = api.fund(uuid4(), PAID_IN)
    refund_id = sent(api, deposit)
    api.report(notice_body(refund_id, PAID_IN, status="declined", decline=DECLINE))
    for news in ("opened", "funds_withdrawn", "lost"):
        api.dispute(deposit, news)
    api.report(notice_body(refund_id, PAID_IN))
    assert api.transaction(str(refund_id))["status"] == "review"
    for person in ("anna", "fina"):
        body = {"target": "succeeded", "note": "on the statement"}
        api.post(f"/v1/refunds/{refund_id}/resolve", body, person=person).raise_for_status()
    assert api.transaction(str(refund_id))["status"] == "succeeded"
    assert waiting(api, deposit) == too_much(PAID_IN)


def test_a_deposit_in_review_waits_for_that_first_and_for_what_went_out_twice_afterwards(
    api: Api,
) -> None:
    deposit = api.fund(uuid4(), PAID_IN)
    refunded(api, deposit)
    api.report(notice_body(UUID(deposit["id"]), PAID_IN, status="declined", decline=DECLINE))
    api.dispute(deposit, "funds_withdrawn")
    reviewed = waiting(api, deposit)
    assert reviewed is not None
    assert reviewed[0] == ["contradiction"]
    assert look_at(api, deposit).status_code == 409
    for person in ("anna", "fina"):
        body = {"target": "failed", "note": "on the statement"}
        path = f"/v1/deposits/{deposit['id']}/resolve"
        api.post(path, body, person=person).raise_for_status()
    assert waiting(api, deposit) == too_much(2 * PAID_IN)
    assert look_at(api, deposit).status_code == 200
    assert waiting(api, deposit) is None
