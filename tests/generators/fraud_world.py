"""A small world for the fraud indicators: what has happened in it, and how more may happen.

Times gather at the edges of windows, amounts at thresholds, in whatever currency.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from math import ceil
from typing import Any, Final, NamedTuple, TypeVar
from uuid import UUID

from domain import events as e
from domain.counters import instrument_counter, limit_counters, uncounted
from domain.events import LedgerEvent
from domain.events.evidence import Evidence, Outcome, Source
from domain.fraud.indicators.catalogue import BY_CODE
from domain.fraud.indicators.declaring import Unit
from domain.fraud.ruleset import DEFAULT_TERMS
from domain.money import Money, exponent

T = TypeVar("T")

PLAYERS: Final = tuple(UUID(int=0xA000 + n) for n in range(6))
CARDS: Final = ("card-0", "card-1", "iban:de:1", "card-2", "card-3", "wallet-1")
CURRENCIES: Final = ("EUR", "EUR", "GBP", "JPY", "KWD", "USD")
COUNTRIES: Final = (None, "MT", "DE", "gb-eng", "GB", "DE", "KP")
ORIGIN_COUNTRIES: Final = (None, None, "MT", "DE", "GB", "KP")
PROVIDERS: Final = ("acme", "acme", "acme", "beta")

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
DAY, MICROSECOND = timedelta(days=1), timedelta(microseconds=1)
AT_MOST_OF_ANY: Final = 90
"""Of an event in one world."""

EDGES: Final = (
    (10 * MINUTE, 15 * MINUTE, HOUR),
    (15 * MINUTE, HOUR, DAY, 3 * DAY),
    (DAY, 7 * DAY, 7 * DAY + 15 * MINUTE, 30 * DAY),
    (29 * DAY, 30 * DAY, 90 * DAY, 180 * DAY, 365 * DAY),
)
"""Of windows, in worlds of minutes, days, weeks and months."""
WINDOWS: Final = (10 * MINUTE, 15 * MINUTE, HOUR, DAY, 3 * DAY, 7 * DAY, 30 * DAY)
PAUSES: Final = (timedelta(0), MICROSECOND, SECOND, 7 * SECOND, MINUTE, 4 * MINUTE)

EVIDENCE: Final = Evidence(source=Source.NOTICE, outcome=Outcome.SUCCEEDED, reference="r-1")


class Step(NamedTuple):
    """What happens next; each number picks one of several."""

    kind: int
    who: int
    what: int
    pause: int
    amount: int
    off: int
    """How far beside a threshold or edge, and on which side."""
    more: int


class World:
    """What has happened so far, as far as it says what may happen next."""

    def __init__(self, edges: Sequence[timedelta], at_most: Counter[type[Any]]) -> None:
        self.log: list[LedgerEvent] = []
        self.now = datetime(2026, 1, 28, 22, 30, tzinfo=UTC)
        self.edges = edges
        self.at_most = at_most
        self.terms = DEFAULT_TERMS
        self.versions: Counter[UUID] = Counter()
        self.numbers: Counter[type[Any]] = Counter()
        self.deposits: list[e.DepositCreated] = []
        self.settled: list[e.DepositCompleted] = []
        self.payouts: list[e.WithdrawalRequested | e.WithdrawalAmended] = []
        self.conversions: list[e.ConversionExecuted] = []
        self.subjects: dict[str, None] = {}
        self.played: list[tuple[Step, int, int]] = []
        """Steps; of the events that each made, how many were before, and how many there are."""
        self.rulesets = 0
        for number, player in enumerate(PLAYERS):
            where = COUNTRIES[(number * 3 + len(edges)) % len(COUNTRIES)]
            self.say(
                e.PlayerRegistered, player, jurisdiction=where, verification="none", time_zone="UTC"
            )

    # --- time, amounts, and what else a step picks -----------------------------------------------

    def wait(self, step: Step) -> None:
        """A moment; or until something is exactly so old as a window is long, or nearly."""
        if step.pause % 5 < 3:
            self.now += PAUSES[step.pause // 5 % len(PAUSES)]
            return
        since = self.log[-1 - step.more % min(len(self.log), 12)].occurred_at
        edge = since + self.edges[step.pause // 5 % len(self.edges)]
        self.now = max(self.now, edge + (step.off % 3 - 1) * MICROSECOND)

    def amount_near(self, step: Step, player: UUID, currency: str, settled: Fraction) -> Money:
        """A share of a threshold, or of what was paid in last, and one minor unit more or less.

        `settled`: how often the latter.
        """
        shares = (Fraction(1), Fraction(1, 2), Fraction(1, 3), Fraction(9, 10), Fraction(1, 10))
        latest = [one.settled for one in self.settled if one.player_id == player]
        if latest and step.amount % 3 == 0:
            exact = self.converted(latest[-1].amount, latest[-1].currency, currency) * settled
        else:
            minor = [
                (threshold.value, parameter.currency)
                for terms in self.terms.indicators
                for threshold, parameter in zip(
                    terms.thresholds, BY_CODE[terms.indicator].parameters, strict=True
                )
                if parameter.unit is Unit.MINOR and parameter.currency is not None
            ]
            value, of = minor[step.amount // 3 % len(minor)]
            exact = self.converted(value, of, currency) * shares[step.more % len(shares)]
        beside = (0, 0, -1, 1)[step.off // 3 % 4]
        return Money(max(1, ceil(exact) + beside), currency)

    def converted(self, minor: int, source: str, target: str) -> Fraction:
        rates = {r.currency: Fraction(r.numerator, r.denominator) for r in self.terms.rates}
        rates[self.terms.base] = Fraction(1)
        whole = Fraction(minor, 10 ** exponent(source)) / rates.get(source, Fraction(1))
        return whole * rates.get(target, Fraction(1)) * 10 ** exponent(target)

    def share(self, indicator: str, name: str) -> Fraction:
        """A threshold in percent."""
        return Fraction(self.threshold(indicator, name), 100)

    def threshold(self, indicator: str, name: str) -> int:
        """As it is in force; of an indicator that is not, the usual one."""
        values = {
            (terms.indicator, one.name): one.value
            for terms in (*DEFAULT_TERMS.indicators, *self.terms.indicators)
            for one in terms.thresholds
        }
        return values[indicator, name]

    def origin(self, step: Step) -> e.Origin | None:
        pick = step.off + step.more
        if pick % 7 == 0:
            return None
        return e.Origin(
            device=(None, "d-1", "d-1", "d-2")[pick % 4],
            address=(None, "a-1", "a-1", "a-2")[step.more % 4],
            address_country=picked(ORIGIN_COUNTRIES, step.off),
            instrument_country=picked(ORIGIN_COUNTRIES, pick // 3),
            bin=(None, "411111", "411111", "52010000")[step.off % 4],
        )

    def legs(self, step: Step, amount: Money) -> tuple[e.PlannedLeg, ...]:
        """One to three parts; two may go to the same instrument."""
        number = min(amount.amount, 1 + step.off % 3)
        each, rest = divmod(amount.amount, number)
        return tuple(
            e.PlannedLeg(
                leg=leg,
                provider="acme",
                method="card",
                instrument=picked((*CARDS, None), step.more + leg // 2 * step.what),
                amount=Money(each + (rest if leg == 1 else 0), amount.currency),
            )
            for leg in range(1, number + 1)
        )

    # --- events ---------------------------------------------------------------------------------

    def say(self, kind: type[Any], stream: UUID | None = None, **fields: Any) -> Any:
        """The event of that kind, appended; None where there have been enough of them."""
        if self.numbers[kind] >= (self.at_most[kind] or AT_MOST_OF_ANY):
            return None
        self.numbers[kind] += 1
        stream = stream or UUID(int=len(self.log) + 1)
        self.versions[stream] = fields.pop("version", self.versions[stream] + 1)
        given: dict[str, Any] = {
            "originator_id": stream,
            "originator_version": self.versions[stream],
            "occurred_at": self.now,
            "actor": "system:test",
            "command_id": UUID(int=len(self.log)),
        }
        if issubclass(kind, e.CommandedEvent):
            given["request_digest"] = "d"
        event = kind(**{**given, **fields})
        self.log.append(event)
        return event

    def publish(self, terms: e.RuleSetTerms) -> None:
        self.rulesets += 1
        self.terms = terms
        self.say(
            e.RuleSetPublished,
            ruleset_id=UUID(int=self.rulesets),
            ruleset=f"rules-{self.rulesets}",
            person="ben",
            terms=terms,
            note="",
        )

    def attempt(
        self, step: Step, *, blocked: bool = False, card: int = 0, amount: Money | None = None
    ) -> Any:
        """A deposit that a player wants; None where there have been enough of them."""
        player = picked(PLAYERS, step.who % 5)
        if amount is None:
            times = Fraction(self.threshold("amount_spike", "times") if step.what % 2 else 1)
            amount = self.amount_near(step, player, picked(CURRENCIES, step.what), times)
        counted = limit_counters(player, amount.currency, self.now.date())
        instrument = picked((*CARDS, None), step.what // 5 + card)
        created = self.say(
            e.DepositCreated,
            player_id=player,
            provider=picked(PROVIDERS, step.what // 50),
            method="card",
            amount=amount,
            instrument=instrument,
            metadata={},
            origin=self.origin(step),
            counts=()
            if blocked
            else tuple(e.Count(counter=name, change=amount.amount) for name in counted),
        )
        if created is not None:
            self.note(f"player:{player}", f"instrument:{instrument}", "device:d-1", "address:a-1")
        return created

    def settle(self, created: e.DepositCreated) -> None:
        amount, counts = created.amount, ()
        if created.instrument is not None:
            name = instrument_counter(created.player_id, created.instrument, amount.currency)
            counts = (e.Count(counter=name, change=amount.amount),)
            self.note(f"holding:{created.player_id}:{created.instrument}")
        settled = self.say(
            e.DepositCompleted,
            created.originator_id,
            player_id=created.player_id,
            provider=created.provider,
            instrument=created.instrument,
            settled=amount,
            fee=None,
            late=False,
            concerns=(),
            counts=counts,
            evidence=EVIDENCE,
        )
        self.settled += [settled] if settled else []

    def decline(self, created: e.DepositCreated) -> None:
        origin = created.origin
        self.say(
            e.TransactionFailed,
            created.originator_id,
            player_id=created.player_id,
            reason="declined",
            released=None,
            retry_at=None,
            counts=uncounted(created.counts),
            evidence=EVIDENCE,
            declined=e.Declined(
                provider=created.provider,
                amount=created.amount,
                instrument=created.instrument,
                address=origin and origin.address,
                bin=origin and origin.bin,
            ),
        )

    def note(self, *subjects: str) -> None:
        self.subjects.update(dict.fromkeys(subjects))


def picked(choices: Sequence[T], number: int) -> T:
    return choices[number % len(choices)]
