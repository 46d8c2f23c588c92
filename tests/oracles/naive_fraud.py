"""The fraud indicators, said a second time: slowly, from everything that has ever happened.

Written from the table of indicators; of the program only the declarations are used, as data. The
past of each subject is kept whole and looked through anew at every event; windows are plain
comparisons of times, ratios are fractions, nothing is rounded but where an amount in one currency
is compared with a threshold in another.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from math import ceil, floor
from statistics import median
from typing import Any, NamedTuple

from domain import events as e
from domain.fraud.indicators.catalogue import BY_CODE
from domain.fraud.ruleset import DEFAULT_NAME, DEFAULT_TERMS
from domain.money import Money
from tests.oracles.naive_fraud_past import (
    Fact,
    asks_for_payout,
    counted_subjects,
    day_of,
    excluded,
    gross_of_newest_month,
    instant,
    microseconds,
    month_of,
    net_changes,
    newest_month,
    payers_with,
    players_at,
    standing,
    subjects_of,
    total_of,
    uses,
    within,
)

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

DIGITS = {"JPY": 0, "EUR": 2, "GBP": 2, "USD": 2, "KWD": 3}
"""Of the minor unit: only what the worlds here are paid in."""
LISTED = {"IR", "KP", "MM"}
"""By the FATF: those on its list that the worlds here know of."""
WEIGHTLESS = {"vulnerability_check", "limit_breach", "excluded_deposit", "enumeration"}
"""They say nothing against a payout."""
HOLDING = {"due_diligence_threshold", "closed_loop", "card_testing"}
"""They stop a payout by themselves."""
LESS_IS_WORSE = {"name_mismatch", "low_turnover", "new_payout_target"}
"""A name less alike, less played, a newer target: the smaller the number, the worse."""
RANK = {"low": 1, "medium": 2, "high": 3, "critical": 4}


class NaiveHit(NamedTuple):
    """A hit, as far as both say the same: the explanation is the program's own."""

    position: int
    indicator: str
    severity: str
    mode: str
    subject: str
    at_us: int
    ruleset: str
    value: int
    unit: str
    amount: int
    cause: str


class NaiveAssessment(NamedTuple):
    withdrawal: str
    version: int
    score: int
    hold_from: int
    hits: tuple[tuple[str, str, str, int, bool], ...]
    """By indicator: it, severity, subject, position, whether it stops the payout."""
    ruleset: str


class Found(NamedTuple):
    indicator: str
    severity: str
    value: int
    unit: str = "count"
    amount: int = 0
    """The money that it is about, in EUR, where the value does not say."""
    about: str = ""
    """Of staff: the person, whose hit does not hide another's."""
    cause: str = ""
    """What it is true of: a false alarm about one says nothing of another. Where it is true of
    several, the first that is not silent is told of."""


@dataclass
class Active:
    """A hit that has been recorded, and until when it counts."""

    hit: NaiveHit
    about: str
    until: int
    counts: bool = True
    silent: tuple[e.Strength, ...] = ()
    """What cases about it, and about those before it, found to be nothing."""


def no_stronger(found: Found | NaiveHit, known: Iterable[e.Strength]) -> bool:
    """Whether there was a worse one, a larger one and one of more money, of the same."""
    of = (found.indicator, found.unit, found.cause)
    alike = [one for one in known if (one.indicator, one.unit, one.cause) == of]
    values = [one.value for one in alike]
    return bool(
        alike
        and RANK[found.severity] <= max(RANK[one.severity] for one in alike)
        and found.amount <= max(one.amount_minor for one in alike)
        and (
            found.value >= min(values)
            if found.indicator in LESS_IS_WORSE
            else found.value <= max(values)
        )
    )


class NaiveFraud:
    """The whole past, by subject."""

    def __init__(self) -> None:
        self.past: dict[str, list[Fact]] = {}
        self.active: dict[str, list[Active]] = {}
        self.ruleset, self.terms = DEFAULT_NAME, DEFAULT_TERMS
        self.true: list[tuple[str, Found]] = []
        """What was true at the latest event, of whom, recorded anew or not."""
        self.after_false_alarms: Counter[str] = Counter()
        """What was true again of what a case had found to be nothing: silent, or louder."""

    def take(self, position: int, event: Any) -> tuple[list[NaiveHit], NaiveAssessment | None]:
        """The next event of the log: what hit, and what a payout request is judged by."""
        self.true = []
        if isinstance(event, e.RuleSetPublished):
            self.ruleset, self.terms = event.ruleset, event.terms
            return [], None
        at = microseconds(event.occurred_at)
        subjects = subjects_of(event)
        for subject in {*subjects, *counted_subjects(event)}:
            facts = self.past.setdefault(subject, [])
            facts.append(Fact(max(at, facts[-1].at) if facts else at, event))
        hits = [hit for subject in subjects for hit in self._judge(subject, position, event)]
        return hits, self._assessment(event, subjects)

    # --- recording ------------------------------------------------------------------------------

    def _judge(self, subject: str, position: int, event: Any) -> Iterator[NaiveHit]:
        now = self.past[subject][-1].at
        known = self.active.setdefault(subject, [])
        known[:] = [one for one in known if now < one.until]
        self._end(known, event)
        told: set[str] = set()
        for found in self._found(subject, now, event):
            if found.indicator in told:
                continue
            mode = self._mode(found.indicator)
            if mode == "off":
                continue
            self.true.append((subject, found))
            earlier = [
                one
                for one in known
                if (one.hit.indicator, one.hit.mode, one.about)
                == (found.indicator, mode, found.about)
            ]
            silent = tuple(strength for one in earlier for strength in one.silent)
            if any(
                one.counts and RANK[one.hit.severity] >= RANK[found.severity] for one in earlier
            ):
                told.add(found.indicator)
                continue
            if silent:
                covered = no_stronger(found, silent)
                self.after_false_alarms["silent" if covered else "louder"] += 1
                if covered:
                    continue
            hit = NaiveHit(
                position,
                found.indicator,
                found.severity,
                mode,
                subject,
                now,
                self.ruleset,
                found.value,
                found.unit,
                found.amount,
                found.cause,
            )
            told.add(found.indicator)
            until = now + BY_CODE[found.indicator].active_seconds * SECOND
            known[:] = [one for one in known if one not in earlier]
            known.append(Active(hit, found.about, until, silent=silent))
            yield hit

    def _end(self, known: list[Active], event: Any) -> None:
        """What ends hits, or their weight, before their time."""
        if isinstance(event, e.FraudCaseClosed):
            for one in known:
                self._clear(one, event)
        ended = ""
        if isinstance(event, e.PlayerRegistered | e.VerificationChanged):
            ended = "due_diligence_threshold" if event.verification == "full" else ""
        if isinstance(event, e.InstrumentHolderChecked) and self._mode("name_mismatch") != "off":
            alike = event.similarity_percent >= self._at("name_mismatch", "similarity_percent")
            ended = "name_mismatch" if alike else ""
        known[:] = [one for one in known if one.hit.indicator != ended]

    def _clear(self, one: Active, event: e.FraudCaseClosed) -> None:
        """By what the case knew; of closings that say nothing of it, by the hit itself."""
        if one.hit.mode != "live" or one.hit.indicator not in event.indicators:
            return
        told = tuple(known for known in event.covered if known.indicator == one.hit.indicator)
        if told and not no_stronger(one.hit, told):
            return
        own = e.Strength(
            indicator=one.hit.indicator,
            severity=one.hit.severity,
            unit=one.hit.unit,
            value=one.hit.value,
            amount_minor=one.hit.amount,
            cause=one.hit.cause,
        )
        one.counts = False
        one.silent += told or (own,)

    def _assessment(self, event: Any, subjects: Sequence[str]) -> NaiveAssessment | None:
        if not asks_for_payout(event):
            return None
        counted = [
            one.hit
            for subject in subjects
            for one in self.active[subject]
            if one.counts and one.hit.mode == "live" and one.hit.indicator not in WEIGHTLESS
        ]
        worst_first = sorted(counted, key=lambda h: (-RANK[h.severity], h.position, h.subject))
        worst: dict[str, NaiveHit] = {}
        for hit in worst_first:
            worst.setdefault(hit.indicator, hit)
        weights = {
            "low": self.terms.score_low,
            "medium": self.terms.score_medium,
            "high": self.terms.score_high,
            "critical": 100,
        }
        return NaiveAssessment(
            str(event.originator_id),
            event.originator_version,
            min(100, sum(weights[hit.severity] for hit in worst.values())),
            self.terms.hold_from,
            tuple(
                (code, hit.severity, hit.subject, hit.position, code in HOLDING)
                for code, hit in sorted(worst.items())
            ),
            self.ruleset,
        )

    # --- the rule set in force ------------------------------------------------------------------

    def _mode(self, indicator: str) -> str:
        """Off, where the rule set knows nothing of it."""
        modes = {one.indicator: one.mode for one in self.terms.indicators}
        return modes.get(indicator, "off")

    def _at(self, indicator: str, name: str) -> int:
        """A threshold in force; the usual one of what is off."""
        named = [*self.terms.indicators, *DEFAULT_TERMS.indicators]
        terms = next(one for one in named if one.indicator == indicator)
        return next(t.value for t in terms.thresholds if t.name == name)

    def _convert(self, amount: int, source: str, target: str) -> int:
        """Minor units of another currency, rounded down."""
        rates = {
            rate.currency: Fraction(rate.numerator, rate.denominator) for rate in self.terms.rates
        }
        rates[self.terms.base] = Fraction(1)
        whole = Fraction(amount, 10 ** DIGITS[source])
        exchanged = whole / rates.get(source, Fraction(1)) * rates.get(target, Fraction(1))
        return floor(exchanged * 10 ** DIGITS[target])

    def _total(self, amounts: Iterable[Money], target: str) -> int:
        """Together: added up by currency, and each sum converted and rounded down by itself."""
        sums: dict[str, int] = {}
        for money in amounts:
            sums[money.currency] = sums.get(money.currency, 0) + money.amount
        return sum(self._convert(minor, currency, target) for currency, minor in sums.items())

    # --- what is true ---------------------------------------------------------------------------

    def _found(self, subject: str, now: int, event: Any) -> Iterator[Found]:
        past = self.past[subject]
        match subject.partition(":")[0], event:
            case "player", e.DepositCreated():
                yield from self._player_pays_in(past, now, event)
            case "player", e.DepositBlocked():
                yield from self._player_is_refused(past, now, event)
            case "player", e.DepositCompleted():
                yield from self._player_has_paid_in(past, now)
            case "player", e.TransactionFailed():
                yield from self._card_testing(past, now)
            case "player", e.WithdrawalRequested() | e.WithdrawalAmended():
                yield from self._player_asks_for_payout(past, now, event)
            case "player", e.DisputeOpened():
                number = len(within(past, e.DisputeOpened, now - 180 * DAY))
                if number >= self._at("dispute_load", "player_disputes"):
                    amount = self._total([event.amount], "EUR")
                    yield Found("dispute_load", "high", number, amount=amount)
            case "player", e.RefundRequested():
                yield from self._refund_abuse(past, now)
            case "player", e.ConversionExecuted():
                yield from self._fx_round_trip(past, now)
            case "holding", e.InstrumentHolderChecked():
                if event.similarity_percent < self._at("name_mismatch", "similarity_percent"):
                    yield Found("name_mismatch", "high", event.similarity_percent, "percent")
            case "holding", e.WithdrawalRequested() | e.WithdrawalAmended():
                yield from self._closed_loop(subject, past[:-1], event)
            case "instrument", e.InstrumentRegistered() | e.DepositCreated():
                yield from self._shared_instrument(past, now)
            case "instrument", e.TransactionFailed():
                day = len(within(past, e.TransactionFailed, now - DAY))
                month = len(within(past, e.TransactionFailed, now - 30 * DAY))
                if month >= self._at("repeated_declines", "month_declines"):
                    yield Found("repeated_declines", "high", month)
                elif day >= self._at("repeated_declines", "day_declines"):
                    yield Found("repeated_declines", "high", day)
            case "device", e.DepositCreated() | e.WithdrawalRequested() | e.WithdrawalAmended():
                players = len(players_at(past, now - 7 * DAY))
                if players >= self._at("shared_device_or_address", "device_players"):
                    yield Found("shared_device_or_address", "medium", players)
            case "address", e.DepositCreated() | e.WithdrawalRequested() | e.WithdrawalAmended():
                players = len(players_at(past, now - DAY))
                if players >= self._at("shared_device_or_address", "address_players"):
                    yield Found("shared_device_or_address", "low", players)
            case (("address" | "bin"), e.TransactionFailed()):
                yield from self._enumeration(past, now)
            case "provider", e.DisputeOpened():
                yield from self._disputes_of_provider(past, now)
            case "operators", e.RefundRequested():
                yield from self._refunds_of_staff(past, now, event)

    def _player_pays_in(
        self, past: list[Fact], now: int, event: e.DepositCreated
    ) -> Iterator[Found]:
        amount_eur = self._total([event.amount], "EUR")
        if standing(past).country == "DE":
            gross = self._total(gross_of_newest_month(past, now), "EUR")
            if gross > self._at("limit_breach", "month_de_minor"):
                month = newest_month(past, now)
                yield Found("limit_breach", "critical", gross, "minor", cause=month)
        if excluded(past, now):
            yield Found("excluded_deposit", "critical", 1, amount=amount_eur)

        week = {name for at, name in uses(past) if at >= now - 7 * DAY}
        day = {name for at, name in uses(past) if at >= now - DAY}
        if len(week) >= self._at("many_instruments", "week_instruments"):
            yield Found("many_instruments", "high", len(week))
        elif len(day) >= self._at("many_instruments", "day_instruments"):
            yield Found("many_instruments", "medium", len(day))

        in_hour = len(within(past, e.DepositCreated, now - HOUR))
        in_day = len(within(past, e.DepositCreated, now - DAY))
        if in_hour > self._at("velocity", "hour_deposits"):
            yield Found("velocity", "medium", in_hour)
        elif in_day > self._at("velocity", "day_deposits"):
            yield Found("velocity", "medium", in_day)

        earlier = [d.settled for d in within(past, e.DepositCompleted, now - 90 * DAY)][-31:]
        if len(earlier) >= self._at("amount_spike", "deposits"):
            usual = median([Fraction(self._total([money], "EUR")) for money in earlier])
            if amount_eur >= self._at(
                "amount_spike", "amount_minor"
            ) and amount_eur > usual * self._at("amount_spike", "times"):
                yield Found("amount_spike", "medium", amount_eur, "minor")

        yield from self._dormant_wake(past[:-1], now, amount_eur)
        yield from self._geo_conflict(past, event)

    def _dormant_wake(self, before: list[Fact], now: int, amount_eur: int) -> Iterator[Found]:
        payments = [
            at
            for at, event in before
            if isinstance(event, e.DepositCompleted | e.WithdrawalRequested)
        ]
        if (
            payments
            and now - payments[-1] >= self._at("dormant_wake", "gap_seconds") * SECOND
            and amount_eur >= self._at("dormant_wake", "amount_minor")
        ):
            yield Found("dormant_wake", "medium", (now - payments[-1]) // SECOND, "seconds")

    def _geo_conflict(self, past: list[Fact], event: e.DepositCreated) -> Iterator[Found]:
        countries = {standing(past).country}
        if event.origin is not None:
            countries |= {event.origin.address_country or "", event.origin.instrument_country or ""}
        countries.discard("")
        amount = self._total([event.amount], "EUR")
        listed, cause = countries & LISTED, ", ".join(sorted(countries & LISTED or countries))
        if listed:
            yield Found("geo_conflict", "high", len(listed), amount=amount, cause=cause)
        elif len(countries) >= self._at("geo_conflict", "countries"):
            yield Found("geo_conflict", "medium", len(countries), amount=amount, cause=cause)

    def _player_is_refused(
        self, past: list[Fact], now: int, event: e.DepositBlocked
    ) -> Iterator[Found]:
        gross = self._total([*gross_of_newest_month(past, now), event.amount], "EUR")
        amount = self._total([event.amount], "EUR")
        if event.reason == "limit_exceeded":
            yield Found("limit_breach", "critical", 1, amount=amount)
        elif standing(past).country == "DE" and gross > self._at("limit_breach", "month_de_minor"):
            month = newest_month(past, now)
            yield Found("limit_breach", "critical", gross, "minor", cause=month)
        if event.reason == "player_excluded":
            yield Found("excluded_deposit", "critical", 1, amount=amount)

    def _player_has_paid_in(self, past: list[Fact], now: int) -> Iterator[Found]:
        paid_in = total_of("settled", within(past, e.DepositCompleted, now - 180 * DAY))
        total_eur = self._total(paid_in, "EUR")
        if (
            total_eur >= self._at("due_diligence_threshold", "sum_minor")
            and standing(past).verification != "full"
        ):
            yield Found("due_diligence_threshold", "high", total_eur, "minor")

        came = total_of("settled", within(past, e.DepositCompleted, now - 30 * DAY))
        went = total_of("amount", within(past, e.WithdrawalPaid, now - 30 * DAY))
        net_gbp = self._total(came, "GBP") - self._total(went, "GBP")
        if standing(past).country == "GB" and net_gbp > self._at(
            "vulnerability_check", "net_minor"
        ):
            yield Found("vulnerability_check", "medium", net_gbp, "minor")

        parts = [
            self._parts(within(past, e.DepositCompleted, now - span), name)
            for name in ("first_minor", "second_minor", "third_minor")
            for span in (DAY, 7 * DAY)
        ]
        most = max(parts, key=sum)
        if most:
            yield Found("structuring", "high", len(most), amount=sum(most))

    def _parts(self, deposits: list[Any], name: str) -> list[int]:
        """Deposits that are each just below a threshold, and together are not; else none."""
        threshold = self._at("structuring", name)
        lowest = threshold * Fraction(self._at("structuring", "lower_percent"), 100)
        amounts = [self._total([deposit.settled], "EUR") for deposit in deposits]
        just_below = [amount for amount in amounts if lowest <= amount < threshold]
        enough = len(just_below) >= self._at("structuring", "deposits")
        return just_below if enough and sum(just_below) >= threshold else []

    def _card_testing(self, past: list[Fact], now: int) -> Iterator[Found]:
        start = now - 10 * MINUTE
        declines = len(within(past, e.TransactionFailed, start))
        attempts = within(past, e.DepositCreated, start)
        instruments = {attempt.instrument for attempt in attempts} - {None}
        least = Fraction(self._at("card_testing", "decline_percent"), 100) * len(attempts)
        if declines >= self._at("card_testing", "declines"):
            yield Found("card_testing", "critical", declines)
        elif len(instruments) >= self._at("card_testing", "instruments") and declines >= least:
            share = floor(Fraction(declines * 100, len(attempts)))
            yield Found("card_testing", "critical", share, "percent")

    def _player_asks_for_payout(self, past: list[Fact], now: int, event: Any) -> Iterator[Found]:
        yield from self._pass_through(past, now)
        yield from self._low_turnover(past, event)

        names = {leg.instrument for leg in event.legs} - {None}
        paid_in = {d.instrument for d in within(past, e.DepositCompleted)}
        young = now - self._at("new_payout_target", "age_seconds") * SECOND
        since = [
            (min(at for at, used in uses(past) if used == name), name) for name in names - paid_in
        ]
        since = sorted((one for one in since if one[0] >= young), key=lambda one: (-one[0], one[1]))
        changes = [fact for fact in past if isinstance(fact.event, e.CredentialsChanged)]
        recent = now - self._at("new_payout_target", "credential_seconds") * SECOND
        amount = self._total([event.amount], "EUR")
        since += [
            (at, f"{change.credential} at {instant(at).isoformat()}")
            for at, change in changes[-1:]
            if at >= recent
        ]
        for age, cause in sorted(
            [((now - at) // SECOND, cause) for at, cause in since], key=lambda one: one[0]
        ):
            yield Found("new_payout_target", "high", age, "seconds", amount, cause=cause)

        yield from self._dormant_wake(past[:-1], now, amount)

    def _pass_through(self, past: list[Fact], now: int) -> Iterator[Found]:
        start = now - 3 * DAY
        came = self._total(total_of("settled", within(past, e.DepositCompleted, start)), "EUR")
        went = self._total(total_of("amount", within(past, e.WithdrawalRequested, start)), "EUR")
        played = self._total(total_of("amount", within(past, e.WagerRecorded, start)), "EUR")
        if (
            came >= self._at("pass_through", "deposits_minor")
            and went >= came * Fraction(self._at("pass_through", "payout_percent"), 100)
            and played < came * Fraction(self._at("pass_through", "wagered_percent"), 100)
        ):
            share = floor(Fraction(went, came) * 100)
            yield Found("pass_through", "high", share, "percent", went)

    def _low_turnover(self, past: list[Fact], event: Any) -> Iterator[Found]:
        latest = [n for n, fact in enumerate(past) if isinstance(fact.event, e.DepositCompleted)]
        if not latest:
            return
        deposit: Money = past[latest[-1]].event.settled
        since = total_of("amount", within(past[latest[-1] :], e.WagerRecorded))
        wagered = self._total(since, deposit.currency)
        if wagered < deposit.amount * Fraction(self._at("low_turnover", "wagered_percent"), 100):
            share = floor(Fraction(wagered, deposit.amount) * 100)
            amount = self._total([event.amount], "EUR")
            yield Found("low_turnover", "medium", share, "percent", amount)

    def _refund_abuse(self, past: list[Fact], now: int) -> Iterator[Found]:
        refunds = len(within(past, e.RefundRequested, now - 30 * DAY))
        deposits = len(within(past, e.DepositCompleted, now - 30 * DAY))
        least = deposits * Fraction(self._at("refund_abuse", "refund_percent"), 100)
        if refunds >= self._at("refund_abuse", "refunds") and refunds >= least:
            yield Found("refund_abuse", "medium", refunds)

    def _fx_round_trip(self, past: list[Fact], now: int) -> Iterator[Found]:
        waiting: list[e.ConversionExecuted] = []
        trips: list[tuple[e.ConversionExecuted, e.ConversionExecuted]] = []
        for one in within(past, e.ConversionExecuted, now - DAY):
            there = [
                other
                for other in waiting
                if other.source.currency == one.target.currency
                and other.target.currency == one.source.currency
            ]
            if there:
                waiting.remove(there[-1])
                trips.append((there[-1], one))
            else:
                waiting.append(one)
        most = 1 + Fraction(self._at("fx_round_trip", "gain_basis_points"), 10_000)
        gained = [
            Fraction(back.target.amount, back.source.amount)
            * Fraction(there.target.amount, there.source.amount)
            for there, back in trips
            if back is past[-1].event
        ]
        if len(trips) >= self._at("fx_round_trip", "trips"):
            yield Found("fx_round_trip", "medium", len(trips))
        elif any(g > most for g in gained):
            gain = ceil((max(gained) - 1) * 10_000)
            yield Found("fx_round_trip", "medium", gain, "basis_points")

    def _closed_loop(self, subject: str, before: list[Fact], event: Any) -> Iterator[Found]:
        """By what the instrument had paid in before this very request changed it."""
        _, player, instrument = subject.split(":", 2)
        net: dict[str, int] = {}
        paid_in = False
        for fact in before:
            for currency, change in net_changes(fact.event, player, instrument):
                net[currency] = net.get(currency, 0) + change
                paid_in = paid_in or net[currency] > 0
        currency = event.amount.currency
        asked = sum(leg.amount.amount for leg in event.legs if leg.instrument == instrument)
        if isinstance(event, e.WithdrawalAmended):  # what it was to take before is not gone there
            change = sum(c for of, c in net_changes(event, player, instrument) if of == currency)
            net[currency] = net.get(currency, 0) + asked + change
        excess_eur = self._convert(asked - net.get(currency, 0), currency, "EUR")
        if (
            not event.closed_loop
            and not paid_in
            and excess_eur > self._at("closed_loop", "excess_minor")
        ):
            yield Found("closed_loop", "high", excess_eur, "minor")

    def _shared_instrument(self, past: list[Fact], now: int) -> Iterator[Found]:
        players = len(payers_with(past, now - 30 * DAY))
        if players >= self._at("shared_instrument", "high_players"):
            yield Found("shared_instrument", "high", players)
        elif players >= self._at("shared_instrument", "medium_players"):
            yield Found("shared_instrument", "medium", players)

    def _enumeration(self, past: list[Fact], now: int) -> Iterator[Found]:
        quarter = now - 15 * MINUTE
        declines = [at for at, event in past if isinstance(event, e.TransactionFailed)]
        number = len([at for at in declines if at >= quarter])
        before = len([at for at in declines if quarter - 7 * DAY <= at < quarter])
        usual = Fraction(before, 7 * 24 * 4)
        if number >= self._at("enumeration", "declines") and number > usual * self._at(
            "enumeration", "times"
        ):
            yield Found("enumeration", "critical", number)

    def _disputes_of_provider(self, past: list[Fact], now: int) -> Iterator[Found]:
        this_month = [event for at, event in past if month_of(at) == month_of(now)]
        disputes = len([one for one in this_month if isinstance(one, e.DisputeOpened)])
        settled = len([one for one in this_month if isinstance(one, e.DepositCompleted)])
        if disputes < self._at("dispute_load", "disputes"):
            return
        for severity in ("critical", "warn"):
            share = Fraction(self._at("dispute_load", f"{severity}_basis_points"), 10_000)
            if disputes >= share * settled:
                yield Found(
                    "dispute_load",
                    "critical" if severity == "critical" else "medium",
                    floor(Fraction(disputes * 10_000, settled or 1)),
                    "basis_points",
                    cause=f"{instant(now):%Y-%m}",
                )
                return

    def _refunds_of_staff(
        self, past: list[Fact], now: int, event: e.RefundRequested
    ) -> Iterator[Found]:
        today = day_of(now)
        counted: dict[tuple[str, date], int] = {}
        for at, refund in past:
            asked = isinstance(refund, e.RefundRequested)
            if asked and day_of(at) > today - timedelta(days=30):
                key = (refund.actor.removeprefix("operator:"), day_of(at))
                counted[key] = counted.get(key, 0) + 1
        person = event.actor.removeprefix("operator:")
        mine = counted.pop((person, today))
        others = sorted(counted.values())
        if mine < self._at("refund_abuse", "operator_refunds") or len(others) < 30:
            return
        share = Fraction(self._at("refund_abuse", "operator_percent"), 100)
        # Nearest rank: the least of them that at least this share is not above.
        nearest = next(n for k, n in enumerate(others, 1) if k >= share * len(others))
        if mine > nearest:
            yield Found("refund_abuse", "high", mine, about=person, cause=person)
