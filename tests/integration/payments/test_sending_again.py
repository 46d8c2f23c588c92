"""Only what was recorded leaves; what never arrived leaves again only while it still may.

A real worker over a real database. The bank is played: it notes what reaches it, and has never
heard of an attempt whose worker died before the call. What is in the way is done by another
process.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from structlog.testing import capture_logs

from domain.approval.snapshot import Change
from domain.errors import Reason
from domain.events.evidence import Outcome
from domain.withdrawal.state import Withdrawal
from ledger.eventstore import database
from ledger.eventstore.codec import decode
from ledger.eventstore.database import Role
from ledger.providers.protocol import Answer
from ledger.settings import Settings
from projections.engine.projector import Projector
from projections.outstanding.fold import OUTSTANDING
from tallystick.serve import bootstrap
from tests.integration.payments.under_way import (
    POLL_DELAYS_SECONDS,
    Act,
    Bank,
    Case,
    Site,
    accept_a_quote,
    agree_again,
    agree_to_a_refund,
    approval_expires,
    ask_to_pay_in,
    believe_the_deposit,
    conversion,
    deposit,
    dispute,
    doubt_identity,
    doubt_the_deposit,
    exclude,
    exclusion_ends,
    find_indicators,
    give_up_the_other_leg,
    hold,
    large_payout,
    lift,
    new_case,
    pause,
    payout,
    payout_in_legs,
    quote_expires,
    recall_the_other_leg,
    refund,
    resume,
    trust_identity,
    try_a_leg_again,
    two_legs,
    win_the_dispute,
)
from tests.oracles.ledger_checks import ledger_on
from tests.property.backroom import Clock, Handlers

ENDED = ("completed", "paid", "succeeded", "executed")


@pytest.fixture(scope="module")
def site(module_database: Settings) -> Iterator[Site]:
    bootstrap.prepare(module_database)
    made = Site(settings=module_database, clock=Clock())
    projector = Projector(
        conninfo=database.conninfo(module_database, Role.WRITER),
        models=(OUTSTANDING,),
        decode=decode,
    )
    stop = threading.Event()
    following = threading.Thread(target=projector.run, args=(stop,))
    with ExitStack() as stack:
        made.one, made.other = (
            Handlers(stack.enter_context(ledger_on(module_database)), made.clock, made.banks)
            for _ in range(2)
        )
        following.start()
        stack.callback(following.join)
        stack.callback(stop.set)
        yield made


TABLE: dict[tuple[Act, Act], tuple[str, Act | None]] = {
    (deposit, pause): (Reason.PROVIDER_PAUSED, resume),
    (deposit, exclude): (Reason.PLAYER_EXCLUDED, exclusion_ends),
    (refund, pause): (Reason.PROVIDER_PAUSED, resume),
    (refund, dispute): (Reason.DISPUTE_OPEN, win_the_dispute),
    (refund, doubt_the_deposit): (Reason.NOT_REFUNDABLE, believe_the_deposit),
    (conversion, pause): (Reason.PROVIDER_PAUSED, resume),
    (conversion, quote_expires): (Reason.QUOTE_EXPIRED, None),
    (payout, pause): (Reason.PROVIDER_PAUSED, resume),
    (payout, hold): (Reason.PLAYER_ON_HOLD, lift),
    (payout, exclude): (Reason.PLAYER_EXCLUDED, exclusion_ends),
    (payout, doubt_identity): (Change.PLAYER, trust_identity),
    (payout, find_indicators): (Change.SCORE, None),
    (large_payout, pause): (Reason.PROVIDER_PAUSED, resume),
    (large_payout, hold): (Reason.PLAYER_ON_HOLD, lift),
    (large_payout, approval_expires): (Change.EXPIRED, None),
    (payout_in_legs, recall_the_other_leg): (Change.RECALLED, agree_again),
    (payout_in_legs, give_up_the_other_leg): ("cancelled", None),
}
"""By what is under way and what is in its way: why it stays, and what lets it go, if anything."""


def name_of(value: object) -> str:
    return str(getattr(value, "__name__", value))


@pytest.mark.parametrize(
    ("begin", "hinder", "why"),
    [(begin, hinder, why) for (begin, hinder), (why, _) in TABLE.items()],
    ids=name_of,
)
def test_what_may_not_leave_is_asked_about_and_never_sent(
    site: Site, begin: Act, hinder: Act, why: str
) -> None:
    """Nor is it called failed: the first call may be under way. At the end people look at it."""
    case = new_case(site)
    begin(case)
    hinder(case)
    with capture_logs() as logs:
        for _ in POLL_DELAYS_SECONDS:
            assert case.status == "submitted"
            case.ask()
            assert case.bank.sent == []
    assert case.status == "review"
    said = [entry for entry in logs if entry.get("reference") == case.reference]
    assert [entry["event"] for entry in said] == ["worker.not_sent_again"] * 3
    assert said[0]["why"] == said[1]["why"] == why
    assert said[2]["why"] == "review"


@pytest.mark.parametrize(
    ("begin", "hinder", "free"),
    [(begin, hinder, free) for (begin, hinder), (_, free) in TABLE.items() if free],
    ids=name_of,
)
def test_what_may_leave_again_is_sent_once_under_its_own_reference(
    site: Site, begin: Act, hinder: Act, free: Act
) -> None:
    case = new_case(site)
    begin(case)
    hinder(case)
    case.ask()
    assert case.bank.sent == []
    free(case)
    case.ask()
    assert case.bank.sent.count(case.reference) == 1
    case.ask()
    assert case.bank.sent.count(case.reference) == 1
    assert case.status in ENDED


@pytest.mark.parametrize("begin", [deposit, refund, conversion, payout], ids=name_of)
def test_nor_is_what_got_no_answer_sent_again_while_its_provider_is_paused(
    site: Site, begin: Act
) -> None:
    case = new_case(site)
    begin(case)
    case.say(case.stream, Outcome.UNKNOWN)
    pause(case)
    case.ask()
    assert (case.bank.sent, case.status) == ([], "unknown")
    resume(case)
    case.ask()
    assert case.bank.sent == [case.reference]


@pytest.mark.parametrize("begin", [deposit, refund, conversion, payout], ids=name_of)
def test_what_nothing_is_in_the_way_of_is_sent_when_it_is_not_found(site: Site, begin: Act) -> None:
    case = new_case(site)
    begin(case)
    case.ask()
    assert case.bank.sent == [case.reference]


# --- what is recorded instead -------------------------------------------------------------------


class Interrupted(Bank):
    """While it has the first call in hand, something happens; to a second one the line is busy."""

    meanwhile: Callable[[], None]

    def take(self, sent: str) -> Answer:
        self.sent.append(sent)
        if len(self.sent) > 1:
            return Answer(outcome=Outcome.NOT_SENT)
        self.meanwhile()
        return Answer(outcome=Outcome.ACCEPTED)


def legs_of(case: Case) -> list[tuple[str, tuple[int, ...]]]:
    state = case.site.other.handling.transaction(case.stream)
    assert isinstance(state, Withdrawal)
    return [(str(leg.status), leg.attempts) for leg in state.legs]


@pytest.mark.parametrize("hinder", [hold, exclude, doubt_identity, find_indicators], ids=name_of)
def test_a_leg_that_is_recalled_sends_no_other_leg_once_more(site: Site, hinder: Act) -> None:
    case = new_case(site)
    bank = Interrupted(site.clock)
    case.bank = site.banks[case.name] = bank
    two_legs(case)
    bank.meanwhile = lambda: hinder(case)
    site.work_until(lambda: legs_of(case)[1][0] == "planned")
    assert bank.sent == [case.reference]
    assert legs_of(case) == [("processing", (1,)), ("planned", (2,))]


def test_a_leg_that_is_recalled_makes_no_room_for_a_second_payment_of_another(site: Site) -> None:
    """The first leg's call is still under way when the second leg is recalled."""
    case = new_case(site)
    bank = Interrupted(site.clock)
    case.bank = site.banks[case.name] = bank
    two_legs(case)
    bank.meanwhile = lambda: hold(case)
    first = case.site.one.dispatch.submit(case.stream, 1)
    assert first is not None
    bank.take(first.reference)
    site.work_until(lambda: legs_of(case)[1][0] == "planned")
    assert bank.sent == [first.reference]
    assert legs_of(case) == [("submitted", (1,)), ("planned", (2,))]


@pytest.mark.parametrize(
    ("begin", "hinder", "status"),
    [
        (ask_to_pay_in, pause, "blocked"),
        (ask_to_pay_in, exclude, "blocked"),
        (agree_to_a_refund, dispute, "cancelled"),
        (accept_a_quote, pause, "rejected"),
        (accept_a_quote, quote_expires, "rejected"),
        (try_a_leg_again, hold, "planned"),
    ],
    ids=name_of,
)
def test_what_is_given_up_instead_of_submitted_is_not_sent(
    site: Site, begin: Act, hinder: Act, status: str
) -> None:
    case = new_case(site)
    begin(case)
    hinder(case)
    site.work_until(lambda: case.status == status)
    assert case.bank.sent == []
