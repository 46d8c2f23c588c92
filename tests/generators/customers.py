"""Players as indicators see them: each with cards of their own, which nobody else has."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from domain.events.evidence import DeclineCode, Evidence, Outcome, Source
from domain.player.player import Verification
from domain.provider.attempt import reference
from ledger.commands.handling import Caller
from tests.servers.api_server import Api


def token() -> str:
    """Of a card that nobody has used."""
    return f"tok_{uuid4().hex[:12]}"


@dataclass
class Customer:
    """Somebody who pays in, plays and wants to be paid."""

    api: Api
    verification: Verification = Verification.FULL
    id: UUID = field(default_factory=uuid4)
    card: str = field(default_factory=token)

    def __post_init__(self) -> None:
        self.verify(self.verification)

    def verify(self, verification: Verification) -> None:
        self.api.services.players.register(
            self.id,
            verification=verification,
            jurisdiction=None,
            time_zone="UTC",
            caller=Caller(actor="system:tests", idempotency_key=str(uuid4())),
        )

    def pays_in(self, amount: int, card: str | None = None, **changes: Any) -> UUID:
        """A deposit that succeeds; its id."""
        deposit = self.attempts(card or self.card, amount, **changes)
        self.hears(deposit, Outcome.SUCCEEDED)
        return deposit

    def plays(self, amount: int) -> None:
        body = {"amount": {"amount": amount, "currency": "EUR"}}
        self.api.post(f"/v1/players/{self.id}/wagers", body).raise_for_status()

    def attempts(self, card: str, amount: int = 1_000, **changes: Any) -> UUID:
        """A deposit that nothing is heard of yet; its id."""
        answer = self.api.deposit(self.id, amount, instrument=card, **changes)
        answer.raise_for_status()
        return UUID(answer.json()["id"])

    def is_declined(self, card: str) -> None:
        self.hears(self.attempts(card), Outcome.DECLINED)

    def hears(self, deposit: UUID, outcome: Outcome) -> None:
        """What the provider answers, at once."""
        self.api.dispatch.submit(deposit)
        evidence = Evidence(
            source=Source.ANSWER,
            outcome=outcome,
            reference=reference(deposit, 1),
            decline_code=DeclineCode.DO_NOT_HONOUR if outcome is Outcome.DECLINED else None,
        )
        self.api.services.inbox.hear(deposit, evidence)

    def asks(self, amount: int, **changes: Any) -> dict[str, Any]:
        """For a payout, which is screened; the payout then."""
        answer = self.api.withdraw(self.id, amount, **({"instrument": self.card} | changes))
        answer.raise_for_status()
        self.api.dispatch.screen(UUID(answer.json()["id"]))
        return self.api.transaction(answer.json()["id"])
