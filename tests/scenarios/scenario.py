"""Given a history, when somebody decides, then these events or this refusal.

Also the builders the tests share: commands, players, providers, evidence, and a history for
every status a transaction can have.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from domain.approval.policy import DEFAULT_POLICY, Policy
from domain.approval.roles import Groups
from domain.command import Command
from domain.deposit.decisions import DepositStatus, cancel_deposit, create_deposit, submit_deposit
from domain.deposit.reports import hear_deposit, resolve_deposit
from domain.deposit.state import Deposit
from domain.errors import DomainError, Reason
from domain.events import (
    ApprovalTerms,
    ApprovalTier,
    DepositRefundTracked,
    Event,
    LedgerEvent,
    WithdrawalScreeningStarted,
)
from domain.events.evidence import DeclineCode, Evidence, Outcome, Source, Standing
from domain.fraud.assessment import Assessment
from domain.money import Money
from domain.player.holds import STOPPED_BY
from domain.player.limits import deposit_counts
from domain.player.player import (
    HoldKind,
    Instrument,
    Player,
    Verification,
    evolve_player,
    register_player,
)
from domain.provider.attempt import ATTEMPTS_MAX, reference
from domain.provider.provider import Provider, evolve_provider, register_provider
from domain.transactions import Transaction, project_transaction
from domain.withdrawal.closed_loop import plan_legs
from domain.withdrawal.decisions import (
    amend_withdrawal,
    approve_withdrawal,
    cancel_withdrawal,
    hold_withdrawal,
    reject_withdrawal,
    request_information,
    request_withdrawal,
    retry_withdrawal,
    score_withdrawal,
    screen_withdrawal,
    submit_withdrawal,
)
from domain.withdrawal.reports import hear_withdrawal, resolve_withdrawal
from domain.withdrawal.state import WithdrawalStatus

NOW = datetime(2026, 3, 2, 9, 30, 0, 123456, tzinfo=UTC)
TRANSACTION = UUID("00000000-0000-4000-8000-000000000001")
PLAYER_ID = UUID("00000000-0000-4000-8000-000000000002")
PROVIDER_NAME = "acme"
AMOUNT = Money(10_000, "EUR")
OTHER_AMOUNT = Money(9_999, "EUR")

Decision = Callable[..., LedgerEvent | Sequence[LedgerEvent] | None]


# --- given, when, then --------------------------------------------------------------------------


@dataclass(frozen=True)
class Given:
    """What has happened so far."""

    history: tuple[LedgerEvent, ...]

    @property
    def state(self) -> Transaction:
        state = project_transaction(None, self.history)
        assert state is not None, "the history is not a transaction's"
        return state

    def when(self, decision: Decision, *args: object, **kwargs: object) -> "Decided":
        """Let `decision` decide on the state so far."""
        try:
            made = decision(self.state, *args, **kwargs)
        except DomainError as error:
            return Decided(self.history, (), error)
        return Decided(self.history, as_events(made), None)


@dataclass(frozen=True)
class Decided:
    """What came of it."""

    history: tuple[LedgerEvent, ...]
    events: tuple[LedgerEvent, ...]
    error: DomainError | None

    def then(self, *kinds: type[Event], **fields: object) -> "Given":
        """Exactly these events, the last with these fields; gives the history with them."""
        if self.error is not None:
            raise AssertionError(f"refused: {self.error!r}") from self.error
        assert tuple(type(event) for event in self.events) == kinds
        self._assert_versions_follow()
        actual = {name: getattr(self.events[-1], name) for name in fields} if kinds else {}
        assert actual == fields
        return Given(self.history + self.events)

    def then_nothing(self) -> "Given":
        """Neither events nor a refusal: this has been done already."""
        return self.then()

    def then_refused(self, kind: type[DomainError]) -> None:
        assert self.error is not None, f"not refused: {self.events}"
        assert type(self.error) is kind

    def then_state(self) -> Transaction:
        """The state with whatever was decided."""
        assert self.error is None, repr(self.error)
        return Given(self.history + self.events).state

    def _assert_versions_follow(self) -> None:
        versions = [event.originator_version for event in self.history + self.events]
        assert versions == list(range(1, len(versions) + 1))


def given(*events: LedgerEvent) -> Given:
    return Given(events)


def as_events(made: LedgerEvent | Sequence[LedgerEvent] | None) -> tuple[LedgerEvent, ...]:
    """What a decision returned, as a sequence whatever its shape."""
    if made is None:
        return ()
    return tuple(made) if isinstance(made, list | tuple) else (made,)


# --- builders -----------------------------------------------------------------------------------


def command(
    actor: str = "system:test",
    *,
    now: datetime = NOW,
    command_id: UUID | None = None,
    digest: str = "digest",
    role: str = "",
) -> Command:
    return Command(
        now=now,
        actor=actor,
        command_id=command_id or uuid4(),
        request_digest=digest,
        role=role,
    )


def by(person: str, *, now: datetime = NOW, role: str = "") -> Command:
    """A command of an operator's."""
    return command(f"operator:{person}", now=now, role=role)


def player(
    verification: Verification = Verification.FULL,
    *,
    player_id: UUID = PLAYER_ID,
    jurisdiction: str | None = None,
    time_zone: str = "UTC",
    excluded: bool = False,
    excluded_until: datetime | None = None,
    on_hold: bool = False,
    holds: Sequence[str] = (),
    instruments: Sequence[tuple[str, str, str]] = (),
) -> Player:
    """`on_hold` is short for a hold of fraud's; instruments are (fingerprint, provider, method)."""
    registered = evolve_player(
        None,
        register_player(
            player_id,
            command(),
            jurisdiction=jurisdiction,
            verification=verification,
            time_zone=time_zone,
        ),
    )
    kinds = ("fraud",) if on_hold and not holds else holds
    return replace(
        registered,
        excluded=excluded or excluded_until is not None,
        excluded_until=excluded_until,
        excluded_at_least_until=excluded_until,
        holds={HoldKind(kind): STOPPED_BY[HoldKind(kind)] for kind in kinds},
        instruments={name: Instrument(provider=p, method=m) for name, p, m in instruments},
    )


def provider(
    name: str = PROVIDER_NAME,
    *,
    paused: bool = False,
    poll_delays_seconds: tuple[int, ...] | None = None,
) -> Provider:
    delays = {} if poll_delays_seconds is None else {"poll_delays_seconds": poll_delays_seconds}
    registered = register_provider(name, command(), adapter="simulator", **delays)
    return replace(evolve_provider(None, registered), paused=paused)


def heard(
    outcome: Outcome | str,
    source: Source | str = Source.NOTICE,
    *,
    amount: Money | None = None,
    fee: Money | None = None,
    attempt: int = 1,
    notice_id: UUID | None = None,
    decline_code: DeclineCode | None = None,
    redirect_url: str | None = None,
    transaction: UUID = TRANSACTION,
) -> Evidence:
    """What a provider says about an attempt; each notice is a new message unless it is named."""
    source = Source(source)
    if source is Source.NOTICE and notice_id is None:
        notice_id = uuid4()
    return Evidence(
        source=source,
        outcome=Outcome(outcome),
        reference=reference(transaction, attempt),
        amount=amount,
        fee=fee,
        notice_id=notice_id,
        provider_reference="psp-1",
        decline_code=decline_code,
        redirect_url=redirect_url,
    )


# --- deposits -----------------------------------------------------------------------------------


def hear_of_deposit(
    state: object, evidence: Evidence, *, now: datetime = NOW, **kwargs: object
) -> object:
    """`hear_deposit` by the system, with the usual provider."""
    kwargs.setdefault("provider", provider())
    return hear_deposit(state, command("provider:acme", now=now), evidence, **kwargs)


def resolve_as(
    state: object, person: str, target: str, *, command: Command | None = None
) -> object:
    resolve = resolve_deposit if isinstance(state, Deposit) else resolve_withdrawal
    return resolve(state, command or by(person), target=target, note="see ticket 4711")


REFUND = UUID("00000000-0000-4000-8000-000000000003")


def deposit_created(
    amount: Money = AMOUNT,
    *,
    by_player: Player | None = None,
    to: Provider | None = None,
    instrument: str | None = "card-1",
    refusal: Reason | None = None,
) -> Given:
    return Given(
        create_deposit(
            TRANSACTION,
            command("player:p1"),
            player=by_player or player(),
            provider=to or provider(),
            method="redirect",
            amount=amount,
            instrument=instrument,
            metadata={},
            counts=deposit_counts(PLAYER_ID, amount, NOW.date()),
            refusal=refusal,
        )
    )


def refund_tracked(
    history: Given, amount: Money, standing: Standing, refund_id: UUID = REFUND
) -> Given:
    """A refund takes something of the deposit, may take it, or gives it back."""
    event = DepositRefundTracked(
        **command().header(TRANSACTION, len(history.history) + 1),
        refund_id=refund_id,
        amount=amount,
        standing=standing,
    )
    return Given((*history.history, event))


def _go_on(history: Given, decision: Decision, *args: object, **kwargs: object) -> Given:
    decided = history.when(decision, *args, **kwargs)
    assert decided.error is None, repr(decided.error)
    assert decided.events
    return Given(decided.history + decided.events)


def deposit_in(status: DepositStatus | str, amount: Money = AMOUNT) -> Given:
    """A history that ends in `status`, made by the real decisions."""
    status = DepositStatus(status)
    if status in (DepositStatus.PARTIALLY_REFUNDED, DepositStatus.REFUNDED):
        part = amount.amount if status is DepositStatus.REFUNDED else 1
        refunded = Money(part, amount.currency)
        return refund_tracked(deposit_in("completed", amount), refunded, Standing.TAKEN)
    if status is DepositStatus.BLOCKED:
        return deposit_created(amount, by_player=player(excluded=True))
    created = deposit_created(amount)
    if status is DepositStatus.CREATED:
        return created
    submitted = _go_on(created, submit_deposit, command(), player=player(), provider=provider())
    awaiting = [heard("awaiting_player", "answer", redirect_url="https://psp.example/pay")]
    reports: dict[DepositStatus, list[Evidence]] = {
        DepositStatus.SUBMITTED: [],
        DepositStatus.AWAITING_PLAYER: awaiting,
        DepositStatus.AUTHORISED: [heard("authorised")],
        DepositStatus.UNKNOWN: [heard("unknown", "answer")],
        DepositStatus.COMPLETED: [heard("succeeded")],
        DepositStatus.FAILED: [heard("declined")],
        DepositStatus.VOIDED: [heard("authorised"), heard("voided")],
        DepositStatus.EXPIRED: awaiting,
        DepositStatus.CANCELLED: awaiting,
        DepositStatus.REVIEW: [heard("succeeded", amount=OTHER_AMOUNT)],
    }
    history = submitted
    for evidence in reports[status]:
        history = _go_on(history, hear_of_deposit, evidence)
    if status is DepositStatus.EXPIRED:
        overdue = NOW + timedelta(minutes=31)
        history = _go_on(history, hear_of_deposit, heard("awaiting_player", "poll"), now=overdue)
    if status is DepositStatus.CANCELLED:
        history = _go_on(history, cancel_deposit, by("ann"), Reason.REQUESTED_BY_PLAYER)
    assert history.state.status is status
    return history


# --- withdrawals --------------------------------------------------------------------------------

EITHER = (("fraud", "finance"),)
BOTH = (("fraud",), ("finance",))


def policy(
    *tiers: tuple[int | None, Groups],
    currency: str = "EUR",
    score_below: int = 40,
    turnover_percent_min: int = 0,
    approval_seconds: int = 86_400,
) -> Policy:
    """Tiers as (limit in whole units, who has to agree)."""
    terms = ApprovalTerms(
        currency=currency,
        tiers=tuple(ApprovalTier(limit_major=limit, required=groups) for limit, groups in tiers),
        score_below=score_below,
        high_required=(("compliance",),),
        turnover_percent_min=turnover_percent_min,
        approval_seconds=approval_seconds,
    )
    return replace(DEFAULT_POLICY, name="test-1", terms=terms)


UNATTENDED = policy((None, ()))
"""No withdrawal needs anybody."""
SUPERVISED = policy((None, EITHER))
"""Every withdrawal needs one person."""
TWICE_SUPERVISED = policy((None, BOTH))
"""Every withdrawal needs two people."""
UNREMARKABLE = Assessment(score=0, hits=(), ruleset="default-1", hold_from=70)
"""No indicator says anything about it."""


def hear_of_withdrawal(
    state: object, evidence: Evidence, *, now: datetime = NOW, **kwargs: object
) -> object:
    """`hear_withdrawal` by the system, with the usual provider."""
    kwargs.setdefault("provider", provider())
    return hear_withdrawal(state, command("provider:acme", now=now), evidence, **kwargs)


def screened(
    state: object, *, by_player: Player | None = None, now: datetime = NOW, **kwargs: object
) -> object:
    """`screen_withdrawal` by the system, in the policy's currency, with enough turnover."""
    usual = {
        "policy": SUPERVISED,
        "assessment": UNREMARKABLE,
        "in_policy_currency": state.amount,
        "deposited_minor": 0,
        "wagered_minor": 0,
    }
    party = by_player or player()
    return screen_withdrawal(state, command(now=now), player=party, **(usual | kwargs))


def approved_by(
    state: object,
    person: str,
    role: str = "fraud",
    *,
    party: Player | None = None,
    now: datetime = NOW,
) -> object:
    return approve_withdrawal(
        state, by(person, role=role, now=now), player=party or player(), note="fine"
    )


def submitted(
    state: object, leg: int = 1, *, party: Player | None = None, now: datetime = NOW
) -> object:
    return submit_withdrawal(
        state, command(now=now), leg=leg, player=party or player(), provider=provider()
    )


def amended(
    state: object,
    amount: Money = OTHER_AMOUNT,
    instrument: str | None = "iban-1",
    *,
    person: str = "ann",
    party: Player | None = None,
    net_minor: Mapping[str, int] | None = None,
) -> object:
    plan = plan_legs(
        player=party or player(),
        amount=amount,
        provider=PROVIDER_NAME,
        method="bank_transfer",
        instrument=instrument,
        net_minor=net_minor or {},
    )
    return amend_withdrawal(
        state, by(person), plan=plan, amount=amount, instrument=instrument, note="less will do"
    )


def scored(state: object, score: int = 55, high: tuple[str, ...] = ()) -> object:
    return score_withdrawal(state, command(), score=score, high=high, ruleset="rules-1")


def withdrawal_requested(
    amount: Money = AMOUNT,
    refusal: Reason | None = None,
    *,
    by_player: Player | None = None,
    net_minor: Mapping[str, int] | None = None,
    instrument: str | None = "iban-1",
) -> Given:
    party = by_player or player()
    plan = plan_legs(
        player=party,
        amount=amount,
        provider=PROVIDER_NAME,
        method="bank_transfer",
        instrument=instrument,
        net_minor=net_minor or {},
    )
    return Given(
        request_withdrawal(
            TRANSACTION,
            command("player:p1"),
            player=party,
            provider=provider(),
            method="bank_transfer",
            amount=amount,
            instrument=instrument,
            metadata={},
            plan=plan,
            refusal=refusal,
        )
    )


def withdrawal_screened(amount: Money = AMOUNT, policy: Policy = SUPERVISED) -> Given:
    return _go_on(withdrawal_requested(amount), screened, policy=policy)


def withdrawal_queued(amount: Money = AMOUNT) -> Given:
    return _go_on(withdrawal_screened(amount), approved_by, "ann")


FIRST_LEG = Money(4_000, "EUR")
SECOND_LEG = Money(6_000, "EUR")


def two_legs_requested() -> Given:
    """40.00 back to the card that was paid in with, 60.00 to the requested account."""
    party = player(instruments=[("card-1", PROVIDER_NAME, "redirect")])
    return withdrawal_requested(by_player=party, net_minor={"card-1": FIRST_LEG.amount})


def two_legs_queued() -> Given:
    """Legs 1 and 2 with attempts 1 and 2."""
    return _go_on(_go_on(two_legs_requested(), screened), approved_by, "ann")


def two_legs_sent() -> Given:
    return send(send(two_legs_queued(), 1), 2)


def send(history: Given, leg: int = 1) -> Given:
    """The queued attempt is submitted."""
    return _go_on(history, submitted, leg)


def withdrawal_failed_for_now(amount: Money = AMOUNT) -> Given:
    """The first attempt was never sent; the funds stay reserved for another one."""
    history = send(withdrawal_queued(amount))
    history = _go_on(history, hear_of_withdrawal, heard("not_sent", "answer"))
    assert history.state.status is WithdrawalStatus.FAILED
    assert history.state.reserved
    return history


def second_attempt(history: Given) -> Given:
    return _go_on(history, retry_withdrawal, command())


def withdrawal_in(status: WithdrawalStatus | str, amount: Money = AMOUNT) -> Given:
    """A history that ends in `status`, made by the real decisions; two legs for partially_paid."""
    status = WithdrawalStatus(status)
    history = _withdrawal_in(status, amount)
    assert history.state.status is status
    return history


def _withdrawal_in(status: WithdrawalStatus, amount: Money) -> Given:
    match status:
        case WithdrawalStatus.REQUESTED:
            return withdrawal_requested(amount)
        case WithdrawalStatus.SCREENING:
            requested = withdrawal_requested(amount)
            started = WithdrawalScreeningStarted(**command().header(TRANSACTION, 2))
            return Given((*requested.history, started))
        case WithdrawalStatus.UNDER_REVIEW:
            return withdrawal_screened(amount)
        case WithdrawalStatus.INFO_REQUIRED:
            return _go_on(withdrawal_screened(amount), request_information, by("ann"), note="?")
        case WithdrawalStatus.HELD:
            return _go_on(withdrawal_screened(amount), hold_withdrawal, by("ann"), note="wait")
        case WithdrawalStatus.APPROVED:
            queued = withdrawal_queued(amount)  # approved and queued together
            return Given(queued.history[:-1])
        case WithdrawalStatus.QUEUED:
            return withdrawal_queued(amount)
        case WithdrawalStatus.REJECTED:
            return _go_on(withdrawal_screened(amount), reject_withdrawal, by("ann"), note="no")
        case WithdrawalStatus.CANCELLED:
            return _go_on(withdrawal_requested(amount), cancel_withdrawal, by("ann"), reason="x")
        case WithdrawalStatus.PARTIALLY_PAID:
            return _go_on(two_legs_sent(), hear_of_withdrawal, heard("succeeded"))
        case _:
            return _withdrawal_heard(status, send(withdrawal_queued(amount)))


def _withdrawal_heard(status: WithdrawalStatus, submitted: Given) -> Given:
    reports: dict[WithdrawalStatus, list[Evidence]] = {
        WithdrawalStatus.SUBMITTED: [],
        WithdrawalStatus.PROCESSING: [heard("accepted", "answer")],
        WithdrawalStatus.UNKNOWN: [heard("unknown", "answer")],
        WithdrawalStatus.PAID: [heard("succeeded")],
        WithdrawalStatus.RETURNED: [heard("succeeded"), heard("returned")],
        WithdrawalStatus.FAILED: [heard("declined")],
        WithdrawalStatus.REVIEW: [heard("succeeded", amount=OTHER_AMOUNT)],
    }
    history = submitted
    for evidence in reports[status]:
        history = _go_on(history, hear_of_withdrawal, evidence)
    return history


def resolved(history: Given, target: str) -> Given:
    """A transaction in review, ended by two people."""
    history = _go_on(history, resolve_as, "ann", target)
    return _go_on(history, resolve_as, "ben", target)


def failing_until_the_last_attempt() -> Given:
    """Every attempt was never sent; the last has failed for good."""
    history = withdrawal_failed_for_now()
    for attempt in range(2, ATTEMPTS_MAX + 1):
        history = send(second_attempt(history))
        history = _go_on(history, hear_of_withdrawal, heard("not_sent", "answer", attempt=attempt))
    return history
