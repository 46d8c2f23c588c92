"""What a day of mixed transactions is made of: one clock, one log, one chance."""

import heapq
import random
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg

from domain.errors import DomainError
from ledger.commands.errors import TooContended
from ledger.commands.handling import Caller
from ledger.eventstore.ledger import Ledger
from tests.property.backroom import ROLES, Clock, Handlers, Log, Taken
from tests.servers.played_provider import PlayedProvider

PROVIDER = "sim"
POLL_DELAYS_SECONDS = (1, 2, 5, 10, 30, 60)
STARTS_PER_SECOND = 4
IN_WORK = frozenset(
    {"submitted", "awaiting_player", "authorised", "unknown", "processing", "pending"}
)
WAITS_FOR_PEOPLE = frozenset(
    {"review", "under_review", "info_required", "held", "pending_approval", "requested"}
)
SUCCESS = {"deposit": "completed", "withdrawal": "paid", "refund": "succeeded"}
BACK_TO_SCREENING = (
    *("WithdrawalRequested", "WithdrawalAmended", "WithdrawalScored"),
    *("WithdrawalRecalled", "WithdrawalInformationProvided", "WithdrawalReleased"),
)


class Core:
    """The clock, the log, and who does things one after the other."""

    def __init__(self, ledger: Ledger, reader: psycopg.Connection[Any], seed: int) -> None:
        self.chance = random.Random(seed)
        self.clock, self.log = Clock(), Log(reader)
        self.provider = PlayedProvider(seed, self.clock, self.at, self.deliver)
        self.handlers = Handlers(ledger, self.clock, {PROVIDER: self.provider})
        self.happenings: list[tuple[datetime, int, Callable[[], object]]] = []
        self.happened = 0
        self.keys = 0
        self.commands = 0
        self.players: list[UUID] = []
        self.deposits: list[UUID] = []
        self.poll_of: dict[tuple[UUID, int], int] = {}
        """By transaction and leg: the position of the event that says when to ask next."""
        self.refused: Counter[str] = Counter()
        self.notices: dict[UUID, bool] = {}
        self.misjudged: set[UUID] = set()
        """Transactions whose review people have once ended otherwise than it is."""
        self.closing_time = False
        """People decide whatever still waits for them."""

    # --- the clock ------------------------------------------------------------------------------

    def at(self, moment: datetime, action: Callable[[], object]) -> None:
        """Let something happen then."""
        self.happened += 1
        heapq.heappush(self.happenings, (moment, self.happened, action))

    def soon(self, action: Callable[[], object], seconds: float = 0.01) -> None:
        self.at(self.clock() + timedelta(seconds=seconds), action)

    def play(self, commands: int) -> None:
        """A day with that many of them, until nothing is going to happen by itself any more."""
        self.open(commands)
        self.run()

    def run(self) -> None:
        """Until nothing is going to happen by itself any more."""
        while self.happenings:
            moment, _, action = heapq.heappop(self.happenings)
            self.clock.time = max(moment, self.clock.time)
            self.do(action)

    def do(self, action: Callable[[], object]) -> object:
        """One thing; then everything that follows from what it left in the log."""
        done = None
        try:
            done = action()
        except TooContended:
            raise  # nobody else is there: it can only be that the books do not add up
        except DomainError as error:
            self.refused[type(error).__name__] += 1
        for event in self.log.follow():
            self.follow_up(event)
        return done

    def by(self, person: str) -> Caller:
        """With keys that depend on the seed alone."""
        self.keys += 1
        return Caller(
            actor=f"operator:{person}", idempotency_key=str(self.keys), role=ROLES[person]
        )

    def follow_up(self, event: Taken) -> None:
        """What has to happen because of it."""
        raise NotImplementedError

    # --- what the provider has done ---

    def moved(self, payment: Any) -> bool:
        """Whether the provider has the money where it was to go, by now."""
        return bool(payment.moved(self.clock().timestamp()) and not payment.returned)

    def moved_by(self, attempt: str) -> bool:
        payment = self.provider.payments.get(attempt)
        return payment is not None and self.moved(payment)
