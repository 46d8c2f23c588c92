"""What there was to be seen and heard: each field, what it means and where it is from."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """What stood on an account."""

    account: str
    balance_minor: int
    """Minor units of the account's currency, the last part of its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The player, from their own stream."""

    verification: str
    jurisdiction: str | None
    holds: tuple[str, ...]
    stops: tuple[str, ...]
    """What the holds stopped: payouts, deposits or both."""
    excluded: bool
    """At the time of the decision: an exclusion is over at its `until`."""
    excluded_until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """An indicator that the score is made of."""

    indicator: str
    severity: str
    subject: str
    """Whom or what it hit: `player:<id>`, `instrument:<fingerprint>`, …"""
    position: int
    """Of the event that completed it."""
    holds: bool
    """The payout stops for it, whatever the score."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How risky a payout looked: as it had last been screened, or scored since."""

    score: int
    """0 to 100."""
    high: tuple[str, ...]
    """Indicators of high or critical severity."""
    hits: tuple[Counted, ...]
    """What the last screening counted; what only scored it since is in `high`."""
    ruleset: str
    position: int
    """Where it was recorded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreed:
    """One person's approval, and whether it still counted."""

    person: str
    role: str
    at: datetime
    counted: bool
    problems: tuple[str, ...]
    """Why it did not: what had changed since, or that it had expired."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Approvals:
    """Of a withdrawal: who had to agree, and who had."""

    screened: bool
    """Who has to agree was known, of the withdrawal as it was then."""
    required: tuple[tuple[str, ...], ...]
    """One person for each group of roles, as the last screening asked; before it, none."""
    given: tuple[Agreed, ...]
    """The latest of each person."""
    missing: tuple[tuple[str, ...], ...]
    """The groups of which somebody still had to agree."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """A provider: whether it was to be used, from its stream, and how its payments went."""

    provider: str
    registered: bool
    paused: bool
    since: datetime | None
    """When it was registered, or last paused or resumed; None where it was never registered."""
    reason: str | None
    """Why it was paused or resumed."""
    recent: int
    """How many of its transactions were looked at: the last 50 that had begun, of all kinds."""
    recent_by_status: Mapping[str, int]
    """Which status how many of those had come to, from their own streams."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyInForce:
    """By which terms withdrawals were screened."""

    policy: str
    """The version's name, as screenings record it."""
    since: datetime | None
    """When it was published; None for the default."""
    position: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RatesInForce:
    """The table of rates in force: quotes are made by it, and policies compare amounts at it."""

    table: str
    as_of: str
    """The day its source names."""
    position: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Saw:
    """What the ledger said right before a decision.

    A person may have looked a moment earlier. What a decision rests on is guarded by the append:
    had a version or balance that it looked at changed in between, it would have been taken again.
    """

    position: int
    """One before the decision: of the last event that could be seen."""
    balances: tuple[Balance, ...]
    """The player's, available and reserved, in every currency the transaction is in; of an
    adjustment, of every account it would move. From the journal, or folded from the log."""
    player: Standing | None
    """None where the transaction is about no player, or they were not registered."""
    score: Score | None
    """Of a withdrawal; None before it was screened, unless somebody had scored it."""
    approvals: Approvals | None
    """Of a withdrawal, once requested; None for everything else."""
    providers: tuple[Health, ...]
    """Whom the transaction, or any leg of a payout, would go to."""
    policy: PolicyInForce
    rates: RatesInForce | None
    """Of a conversion or withdrawal; None where no table had been published."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What the provider said that an event follows from."""

    source: str
    """`answer` to our own request, `poll` or `notice`."""
    means: str
    """In our vocabulary: an outcome, or the news of a dispute."""
    decline_code: str | None
    """Ours, whatever the provider's own code is."""
    raw_code: str | None
    """The provider's own code or reason, as it was sent."""
    notice_position: int | None
    """Of the recorded notice; None for answers and polls, whose bodies are not kept."""
    message_id: str | None
    """The provider's, of the notice."""
    raw_digest: str | None
    """SHA-256 of the notice's body as it came, in hexadecimal."""
