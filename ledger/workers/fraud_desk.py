"""The fraud desk: follows what indicators found, and sees to it that it has consequences.

A hit of high or critical severity goes into a case. Before that, what it means for money that has
not left yet is recorded: the player is put on hold where the indicator asks for it, so that nothing
more is paid in or out, and payouts that were judged before the hit are scored by it, which voids
what was approved. The case comes last, as a hit that is in one is not looked at again. One that no
longer counts by then goes into a case, and does nothing else. Every step has a command id that
follows from the hit, so that after a crash, or beside another desk, nothing happens twice.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic
from typing import Final
from uuid import UUID

import psycopg
import structlog
from eventsourcing import persistence
from psycopg import Connection
from psycopg_pool import ConnectionPool

from domain.command import repeated
from domain.errors import InvalidTransition, NothingToChange
from domain.events import IndicatorHit, RuleSetTerms
from domain.fraud.assessment import INDICATORS_ACTOR, SCORE_MAX, Known, Severity
from domain.fraud.indicators.catalogue import BY_CODE
from domain.fraud.indicators.declaring import Effect, Subject
from domain.withdrawal.decisions import score_withdrawal
from domain.withdrawal.state import Withdrawal
from ledger.commands.errors import TooContended
from ledger.commands.fraud_case import FraudCaseCommands
from ledger.commands.handling import Caller, Drafted, Handling
from ledger.commands.player import PlayerCommands
from ledger.commands.ruleset import RuleSetCommands
from ledger.eventstore.errors import OutcomeUnknown, QueueFull, StoreUnavailable
from projections.engine import reading
from projections.engine.reading import ReadModelBehind
from projections.fraud import queries
from projections.fraud.judging import Hit
from projections.fraud.model import AssessmentRow
from projections.fraud_cases import fraud_cases
from projections.history import history
from projections.history.history import HISTORY

BATCH: Final = 200
IDLE_SECONDS: Final = 0.1
AWAY_SECONDS: Final = 0.5
"""Before the database, or a read model that is behind, is asked again."""

AGAIN_SECONDS: Final = 10.0
"""Before a hit is looked at again that is still due: it could not be dealt with, or the read model
has yet to hear that it is in a case. The others go on, however many such there are."""

_ANOTHER_TIME: Final = (
    QueueFull,
    StoreUnavailable,
    OutcomeUnknown,
    TooContended,
    psycopg.Error,
    persistence.OperationalError,
    persistence.InterfaceError,
)
"""Nothing is wrong with the hit; it may be dealt with as soon as the database is back."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Concerned:
    """Whose payouts a hit says something about: as when a payout is judged, by its subject."""

    player_id: UUID | None = None
    instrument: str | None = None


class FraudDesk:
    """Takes hits up into cases, in the order of the log."""

    def __init__(
        self,
        *,
        conninfo: str,
        handling: Handling,
        players: PlayerCommands,
        cases: FraudCaseCommands,
        rulesets: RuleSetCommands,
        clock: Callable[[], float] = monotonic,
        batch: int = BATCH,
    ) -> None:
        """`conninfo` is of the reader role; `clock` in seconds, for what is tried again."""
        self._handling = handling
        self._players = players
        self._cases = cases
        self._rulesets = rulesets
        self._clock = clock
        self._batch = batch
        self._until: dict[str, float] = {}
        """Which hits are left alone, until when."""
        self._patience_seconds = AWAY_SECONDS
        """For what is known of payouts; once that is behind, hits do not queue up to wait."""
        self._pool: ConnectionPool[Connection[tuple[object, ...]]] = ConnectionPool(
            conninfo,
            min_size=0,
            max_size=2,
            open=False,
            timeout=5.0,
            kwargs={"autocommit": True},
            check=ConnectionPool.check_connection,
            name="fraud-desk",
        )

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set; the hit at hand is finished first."""
        with self._pool:
            while not stop.is_set():
                try:
                    done = self.work(stop)
                except _ANOTHER_TIME as error:
                    _log.warning("fraud_desk.again", error=str(error))
                    stop.wait(AWAY_SECONDS)
                else:
                    if not done:
                        stop.wait(IDLE_SECONDS)

    def work(self, stop: threading.Event | None = None) -> int:
        """Deal with a batch of what is due; how many hits that were.

        Raises:
            One of `_ANOTHER_TIME`: the rest of the batch is still due.
        """
        self._pool.open()  # where it is open, nothing happens
        done = 0
        for hit in self._due():
            if stop is not None and stop.is_set():
                break
            again_seconds = AGAIN_SECONDS
            try:
                self._deal_with(hit)
            except ReadModelBehind as error:
                # Only payouts wait for that model; the next hit may hold a player meanwhile.
                if self._patience_seconds:
                    _log.warning("fraud_desk.waits", hit=hit.id, error=str(error))
                self._patience_seconds, again_seconds = 0.0, AWAY_SECONDS
            except _ANOTHER_TIME:
                raise
            except Exception:  # noqa: BLE001
                # A fault in one hit must not stop the others; it is tried again, and seen.
                _log.exception("fraud_desk.failed", hit=hit.id)
            else:
                done += 1
            self._until[hit.id] = self._clock() + again_seconds
        return done

    def close(self) -> None:
        """Let go of the database."""
        self._pool.close()

    def _due(self) -> list[Hit]:
        """The oldest that are due; behind those left alone, a whole batch of others."""
        with self._pool.connection() as connection:
            due = queries.due(connection, len(self._until) + self._batch)
        ids, now = {hit.id for hit in due}, self._clock()
        self._until = {id_: until for id_, until in self._until.items() if id_ in ids}
        return [hit for hit in due if self._until.get(hit.id, 0.0) <= now]

    # --- one hit --------------------------------------------------------------------------------

    def _deal_with(self, hit: Hit) -> None:
        effect = BY_CODE[hit.indicator].effect
        counts = self._still_counts(hit)
        if counts and effect is Effect.BLOCKS_PLAYER and hit.player_id is not None:
            self._hold(hit, hit.player_id)
        if counts and effect.weighs:
            self._score_payouts(hit)
        with self._pool.connection() as connection:
            number = fraud_cases.latest_number(connection, hit.subject)
        self._cases.take_up(
            indicator_hit(hit), after_number=number, amount_minor=hit.amount_minor, cause=hit.cause
        )

    def _still_counts(self, hit: Hit) -> bool:
        """What hit long ago, in a log that indicators are new to, is for people alone."""
        active = timedelta(seconds=BY_CODE[hit.indicator].active_seconds)
        return self._handling.now() < hit.at + active

    def _hold(self, hit: Hit, player_id: UUID) -> None:
        """The reason names no indicator: more people see holds than may see what hit."""
        caller = Caller(actor=INDICATORS_ACTOR, idempotency_key=hit.id)
        reason = f"Fraud indicators, at position {hit.position}"
        try:
            self._players.hold(player_id, reason=reason, caller=caller)
        except NothingToChange:
            _log.debug("fraud_desk.on_hold_already", player=str(player_id), hit=hit.id)

    def _score_payouts(self, hit: Hit) -> None:
        """Those that were asked for before the hit: the others are judged by it anyway."""
        concerned = _concerned(hit.subject)
        if concerned is None:
            return
        with self._pool.connection() as connection:
            # What was asked for before the hit has to be there; what comes later need not.
            reading.wait_for_sync(connection, HISTORY, hit.position, self._patience_seconds)
            self._patience_seconds = AWAY_SECONDS
            found = history.unsent_withdrawals(
                connection, player_id=concerned.player_id, instrument=concerned.instrument
            )
            assessed = [(id_, queries.assessment(connection, id_)) for id_ in found]
        judged_before = [
            (id_, row) for id_, row in assessed if row is not None and row.position < hit.position
        ]
        for withdrawal_id, row in judged_before:
            self._score(hit, withdrawal_id, row)

    def _score(self, hit: Hit, withdrawal_id: UUID, row: AssessmentRow) -> None:
        key = f"{hit.id}/{withdrawal_id}"
        caller = Caller(actor=INDICATORS_ACTOR, idempotency_key=key)
        request = {"id": withdrawal_id, "hit": hit.id}  # not the score: it depends on others
        command = self._handling.command(caller, "score-by-hit", request)

        def decide(state: Withdrawal) -> Drafted | None:
            if repeated(state.commands, command) or state.asked_version > row.version:
                return None  # what was asked for since is judged by the hit anyway
            rules = self._rulesets.remembered()
            known = score_with(hit, state, row, rules.live_terms)
            if known is None:
                return None
            scored = score_withdrawal(
                state, command, score=known.score, high=known.high, ruleset=hit.ruleset
            )
            return (
                Drafted(events=(scored,), unchanged={rules.id: rules.version}) if scored else None
            )

        try:
            self._handling.change(withdrawal_id, Withdrawal, decide)
        except (InvalidTransition, NothingToChange) as why:
            _log.debug("fraud_desk.not_scored", withdrawal=str(withdrawal_id), why=str(why))


def _concerned(subject: str) -> _Concerned | None:
    """Whose payouts hits on `subject` count for; None: nobody's, as of a provider or of staff."""
    kind, _, name = subject.partition(":")
    match kind:
        case Subject.PLAYER:
            return _Concerned(player_id=UUID(name))
        case Subject.HOLDING:
            player, _, instrument = name.partition(":")
            return _Concerned(player_id=UUID(player), instrument=instrument)
        case Subject.INSTRUMENT:
            return _Concerned(instrument=name)
        case _:
            return None


def score_with(
    hit: Hit, state: Withdrawal, row: AssessmentRow, terms: RuleSetTerms
) -> Known | None:
    """How risky a payout looks once a hit of high or critical severity is known, and by what.

    None: it is known. As when the payout was judged, an indicator counts once, at its highest
    severity, and what others said counts where it is worse.
    """
    judged = Known(score=row.score, high=_high_in(row))
    before = judged.and_also(state.found)
    score = before.score
    if hit.severity == Severity.CRITICAL:
        score = SCORE_MAX
    elif hit.indicator not in before.high:
        weights = {Severity.LOW: terms.score_low, Severity.MEDIUM: terms.score_medium}
        less = sum(
            weights[Severity(one.severity)] for one in row.hits if one.indicator == hit.indicator
        )
        score = min(score - less + terms.score_high, SCORE_MAX)
    found = before.and_also(Known(score=score, high=(hit.indicator,)))
    if found == before:
        return None
    return found.and_also(state.known)


def _high_in(row: AssessmentRow) -> tuple[str, ...]:
    """In order, as `Known.and_also` has them."""
    found = {one.indicator for one in row.hits if Severity(one.severity).opens_case}
    return tuple(sorted(found))


def indicator_hit(hit: Hit) -> IndicatorHit:
    """A hit as cases take it up."""
    return IndicatorHit(
        hit=hit.id,
        position=hit.position,
        hit_at=hit.at,
        indicator=hit.indicator,
        severity=hit.severity,
        subject=hit.subject,
        player_id=hit.player_id,
        value=hit.value,
        threshold=hit.threshold,
        unit=hit.unit,
        sentence=hit.sentence,
        ruleset=hit.ruleset,
        holds=BY_CODE[hit.indicator].effect.holds,
    )
