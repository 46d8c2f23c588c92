"""Who and what is tried: one command, two people, a player, a provider, a deposit, reports."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from domain.command import Command
from domain.deposit.decisions import create_deposit, submit_deposit
from domain.deposit.reports import hear_deposit
from domain.deposit.state import Deposit, evolve_deposit
from domain.events.evidence import DeclineCode, Evidence, Outcome, Source
from domain.money import Money
from domain.player import player as players
from domain.player.limits import deposit_counts
from domain.provider import provider as providers
from domain.provider.attempt import reference

STREAM: Final = UUID(int=1)
"""Of the transaction that is explored."""

SAMPLE_ID: Final = UUID(int=2)
"""Of the player."""

NOW: Final = datetime(2026, 1, 1, tzinfo=UTC)
TIME_IS_UP: Final = NOW + timedelta(days=365)
INSTRUMENT: Final = "fingerprint"
AMOUNT: Final = Money(10_000, "EUR")


def command(
    actor: str = "system:reference", *, now: datetime = NOW, number: int = 3, role: str = ""
) -> Command:
    return Command(now=now, actor=actor, command_id=UUID(int=number), request_digest="", role=role)


ANN: Final = command("operator:ann", number=4, role="fraud")
BEN: Final = command("operator:ben", number=5, role="finance")
CLEO: Final = command("operator:cleo", number=6, role="compliance")

PROVIDER: Final = providers.evolve_provider(
    None,
    providers.register_provider(
        "provider", command(), adapter="simulator", poll_delays_seconds=(10, 10)
    ),
)
PAUSED: Final = replace(PROVIDER, paused=True)

PLAYER: Final = players.evolve_player(
    None,
    players.register_player(SAMPLE_ID, command(), verification=players.Verification.FULL),
)
HELD: Final = replace(PLAYER, holds={players.HoldKind.FRAUD: frozenset(players.Stop)})
EXCLUDED: Final = replace(PLAYER, excluded=True)

LIMIT_COUNTS: Final = deposit_counts(SAMPLE_ID, AMOUNT, NOW.date())


def deposit_completed(deposit_id: UUID) -> Deposit:
    """A deposit that has been credited, by the decisions that lead there."""
    (created,) = create_deposit(
        *(deposit_id, command()),
        player=PLAYER,
        provider=PROVIDER,
        method="card",
        amount=AMOUNT,
        instrument=INSTRUMENT,
        metadata={},
        counts=LIMIT_COUNTS,
    )
    state = evolve_deposit(None, created)
    state = evolve_deposit(
        state, submit_deposit(state, command(), player=PLAYER, provider=PROVIDER)
    )
    said = Evidence(
        source=Source.NOTICE, outcome=Outcome.SUCCEEDED, reference=reference(deposit_id, 1)
    )
    completed = hear_deposit(state, command(), said, provider=PROVIDER)
    return evolve_deposit(state, completed) if completed else state


_HAPPENED_AT: Final = {Outcome.RETURNED: NOW, Outcome.SUCCEEDED: NOW + timedelta(minutes=1)}
"""Where the provider says when, it pays again after a return."""


def left_minor(amount: Money, said: Evidence) -> int:
    """What the player has by then: all of it or, where somebody had to ask, nothing."""
    return 0 if said.source is Source.POLL else amount.amount


def reports(amount: Money, attempts: Mapping[int, Iterable[Source]]) -> Iterator[Evidence]:
    """Everything a provider can say about these attempts, in these ways.

    The amount matters only where money is said to have moved: there it is also another one.
    """
    other = replace(amount, amount=amount.amount + 1)
    for attempt, sources in attempts.items():
        for source in sources:
            for outcome in Outcome:
                said = Evidence(
                    source=source, outcome=outcome, reference=reference(STREAM, attempt)
                )
                yield said
                if outcome in (Outcome.SUCCEEDED, Outcome.RETURNED):
                    yield replace(said, amount=other)
                    yield replace(said, happened_at=_HAPPENED_AT[outcome])
                if outcome is Outcome.DECLINED:
                    yield replace(said, decline_code=DeclineCode.PROVIDER_ERROR)
