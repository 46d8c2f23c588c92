"""The real API in this process, over a real database, reached over a real socket."""

import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any
from uuid import UUID, uuid4

import httpx2
import psycopg
from standardwebhooks.webhooks import Webhook

from api.http.app import create_app
from api.http.services import Services
from domain.dispute.decisions import dispute_stream
from domain.events import Rate
from domain.player.player import Verification
from domain.provider.attempt import reference
from ledger.access.api_keys import StaffRole, create_key
from ledger.access.keyring import ProviderSecrets, provider_secrets
from ledger.commands.assessments import StoredAssessments
from ledger.commands.conversion import ConversionCommands
from ledger.commands.dispatch import Dispatch
from ledger.commands.handling import Caller
from ledger.commands.past_balances import LedgerWithPast
from ledger.commands.withdrawal import WithdrawalCommands
from ledger.eventstore import database
from ledger.eventstore.codec import decode
from ledger.eventstore.database import Role
from ledger.settings import Settings
from projections.engine.projector import Projector
from projections.registry import READ_MODELS
from tallystick.serve import bootstrap
from tests.integration.fraud.assessing import dispatch_of, publish_rules

PEOPLE: Mapping[str, StaffRole] = {
    "platform": StaffRole.PLATFORM,
    "anna": StaffRole.FINANCE,
    "fina": StaffRole.FINANCE,
    "ben": StaffRole.FRAUD,
    "cleo": StaffRole.COMPLIANCE,
    "sam": StaffRole.SUPPORT,
}
PARALLEL = 50


@dataclass(kw_only=True)
class Api:
    """The running API, and what a test does to it from outside."""

    url: str
    services: Services
    assessments: StoredAssessments
    dispatch: Dispatch
    settings: Settings
    keys: Mapping[str, str]
    client: httpx2.Client
    secrets: ProviderSecrets

    def headers(self, person: str = "platform", key: str | None = None) -> dict[str, str]:
        return {
            "authorization": f"Bearer {self.keys[person]}",
            "idempotency-key": key or str(uuid4()),
        }

    def get(self, path: str, person: str = "platform", **options: Any) -> httpx2.Response:
        headers = {"authorization": f"Bearer {self.keys[person]}", **options.pop("headers", {})}
        return self.client.get(path, headers=headers, **options)

    def post(
        self,
        path: str,
        body: object = None,
        *,
        person: str = "platform",
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx2.Response:
        sent = {**self.headers(person, key), **(headers or {})}
        if body is None:
            return self.client.post(path, headers=sent)
        return self.client.post(path, headers=sent, json=body)

    def deposit(
        self, player: UUID, amount: int = 5_000, currency: str = "EUR", **changes: object
    ) -> httpx2.Response:
        return self.post("/v1/deposits", transaction_body(player, amount, currency, **changes))

    def withdraw(
        self, player: UUID, amount: int = 1_000, currency: str = "EUR", **changes: object
    ) -> httpx2.Response:
        return self.post("/v1/withdrawals", transaction_body(player, amount, currency, **changes))

    def transaction(self, transaction_id: str, person: str = "cleo") -> dict[str, Any]:
        """The transaction as it is now, as somebody of compliance sees it."""
        answer = self.get(f"/v1/transactions/{transaction_id}", person)
        answer.raise_for_status()
        shown: dict[str, Any] = answer.json()
        return shown

    def balance(self, player: UUID, kind: str = "available", currency: str = "EUR") -> int:
        """In minor units; 0 for an account that was never used."""
        shown = self.get(f"/v1/players/{player}/balances").json()["balances"]
        amounts = {entry["account"]: entry["balance"]["amount"] for entry in shown}
        return int(amounts.get(f"player:{player}:{kind}:{currency}", 0))

    def fund(
        self, player: UUID, amount: int = 5_000, currency: str = "EUR", **changes: object
    ) -> dict[str, Any]:
        """A deposit that the provider completed; the transaction."""
        created = self.deposit(player, amount, currency, **changes).json()
        self.complete(UUID(created["id"]), amount, currency)
        found = self.transaction(created["id"])
        assert found["status"] == "completed"
        return found

    def complete(self, deposit_id: UUID, amount: int, currency: str = "EUR") -> None:
        """Send the deposit to the provider, and have the provider's notice say it succeeded."""
        self.dispatch.submit(deposit_id)
        self.report(notice_body(deposit_id, amount, currency=currency))

    def report(self, notice: bytes) -> None:
        """Have the provider say something, and what follows from it happen."""
        answer = self.notify(notice)
        assert answer.status_code == 204, answer.text
        self.act_on_notices()

    def dispute(self, deposit: Mapping[str, Any], news: str = "opened", **changes: object) -> str:
        """Have the provider tell news of a dispute about the deposit; the dispute's id."""
        body = dispute_notice_body(deposit, news, **changes)
        self.report(body)
        return str(dispute_stream("simulator", json.loads(body)["dispute"]))

    def notify(
        self, body: bytes, *, message_id: str | None = None, at: datetime | None = None
    ) -> httpx2.Response:
        headers = self.notice_headers(body, message_id or f"msg_{uuid4().hex}", at)
        return self.client.post("/v1/providers/simulator/notices", content=body, headers=headers)

    def notice_headers(
        self, body: bytes, message_id: str, at: datetime | None = None
    ) -> dict[str, str]:
        """What the provider signs a notice with."""
        sent = at or datetime.now(UTC)
        signer = Webhook(self.secrets.webhook_secret)
        return {
            "webhook-id": message_id,
            "webhook-timestamp": str(int(sent.timestamp())),
            "webhook-signature": signer.sign(message_id, sent, body.decode()),
            "content-type": "application/json",
        }

    def act_on_notices(self) -> None:
        """What a worker does."""
        with psycopg.connect(database.conninfo(self.settings, Role.READER)) as connection:
            notices = connection.execute(
                "SELECT DISTINCT originator_id FROM ledger_events"
                " WHERE topic IN ('ProviderNoticeReceived', 'DisputeNoticeReceived')"
            ).fetchall()
        for (notice,) in notices:
            self.services.inbox.act_on_notice(notice)

    def verified(self, player: UUID, jurisdiction: str | None = None) -> None:
        """Have the player's identity known."""
        self.services.players.register(
            player,
            verification=Verification.FULL,
            jurisdiction=jurisdiction,
            time_zone="UTC",
            caller=caller("system:tests"),
        )

    def review(
        self, player: UUID, amount: int = 60_000, jurisdiction: str | None = None
    ) -> dict[str, Any]:
        """A withdrawal that waits for a person."""
        self.verified(player, jurisdiction)
        self.fund(player, amount)
        created = self.withdraw(player, amount).json()
        self.dispatch.screen(UUID(created["id"]))
        return self.transaction(created["id"])

    def publish_rates(self, base: str, **rates: str) -> None:
        """Have two people put exchange rates in force: whole units for one of the base."""
        _, waiting = self.services.rates.propose(
            source="tests",
            base=base,
            as_of="2026-05-03",
            rates=[rate(currency, text) for currency, text in rates.items()],
            note="for tests",
            caller=caller("operator:fina", "finance"),
        )
        assert waiting is not None
        by = caller("operator:cleo", "compliance")
        self.services.rates.approve(waiting.id, "for tests", by)


@contextmanager
def running_api(settings: Settings, *, indicators: str = "off") -> Iterator[Api]:
    """The API over a migrated database, with read models that follow.

    `indicators`: the mode of all of them; "live" is the default rule set. Most tests have players
    pay and be paid within a second, by the same card, which is what indicators are there for.
    """
    bootstrap.prepare(settings)
    owner = database.conninfo(settings, Role.OWNER)
    keys = {person: create_key(owner, person, role) for person, role in PEOPLE.items()}
    projector = Projector(
        conninfo=database.conninfo(settings, Role.WRITER), models=READ_MODELS, decode=decode
    )
    stop = threading.Event()
    following = threading.Thread(target=projector.run, args=(stop,))
    following.start()
    try:
        with (
            closing(bootstrap.build_assessments(settings)) as assessments,
            services_over(settings) as services,
            serving(services) as url,
            httpx2.Client(
                base_url=url, timeout=20.0, limits=httpx2.Limits(max_connections=64)
            ) as client,
        ):
            if indicators != "live":
                publish_rules(services, indicators)
            yield Api(
                url=url,
                services=services,
                assessments=assessments,
                dispatch=dispatch_of(services.handling, assessments),
                settings=settings,
                keys=keys,
                client=client,
                secrets=provider_secrets(settings.data, bootstrap.SIMULATOR),
            )
    finally:
        stop.set()
        following.join()


@contextmanager
def services_over(settings: Settings) -> Iterator[Services]:
    """Everything the API needs, over a database."""
    ledger = bootstrap.build_ledger(settings)
    services = bootstrap.build_services(settings, ledger)
    try:
        yield services
    finally:
        services.proving.close()
        services.keys.close()
        ledger.close()


def ledger_of(api: Api) -> LedgerWithPast:
    """The ledger behind the API."""
    ledger = api.services.handling.ledger
    assert isinstance(ledger, LedgerWithPast)
    return ledger


@contextmanager
def later(api: Api, by: timedelta) -> Iterator[Api]:
    """The same API over the same database, whose clock is ahead."""
    handling = bootstrap.build_handling(ledger_of(api), lambda: datetime.now(UTC) + by)
    services = replace(
        api.services,
        handling=handling,
        withdrawals=WithdrawalCommands(handling),
        conversions=ConversionCommands(handling, api.services.adapters, 0),
    )
    with serving(services) as url, httpx2.Client(base_url=url, timeout=20.0) as client:
        yield replace(
            api,
            url=url,
            client=client,
            services=services,
            dispatch=dispatch_of(handling, api.assessments),
        )


@contextmanager
def serving(services: Services) -> Iterator[str]:
    """The app behind uvicorn, in a thread; its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = Settings(port=port)
    server = bootstrap.build_server(settings, create_app(services), settings.connections_max)
    server.config.timeout_graceful_shutdown = 1
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the server did not start"
            time.sleep(0.01)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


def caller(actor: str, role: str = "") -> Caller:
    """Whoever asks a command directly, for the first time."""
    return Caller(actor=actor, idempotency_key=str(uuid4()), role=role)


def rate(currency: str, text: str) -> Rate:
    """A rate written in decimal digits."""
    exact = Fraction(text)
    return Rate(currency=currency, numerator=exact.numerator, denominator=exact.denominator)


def said(answer: httpx2.Response) -> str:
    """All that an answer says, but for the request's id, which may hold any digits."""
    return re.sub(r'"request_id": ?"[^"]*"', "", answer.text)


def at_once(
    request: Callable[[int], httpx2.Response], times: int = PARALLEL
) -> list[httpx2.Response]:
    """Answers to requests that are sent at the same moment."""
    barrier = threading.Barrier(times)

    def send(number: int) -> httpx2.Response:
        barrier.wait()
        return request(number)

    with ThreadPoolExecutor(times) as threads:
        return list(threads.map(send, range(times)))


def transaction_body(
    player: UUID, amount: int, currency: str = "EUR", **changes: object
) -> dict[str, object]:
    body: dict[str, object] = {
        "player_id": str(player),
        "amount": {"amount": amount, "currency": currency},
        "method": "card",
        "instrument": "tok_7Hq2",
        "metadata": {"order": "A-17"},
    }
    return body | changes


def notice_body(
    transaction: UUID, amount: int, *, currency: str = "EUR", attempt: int = 1, **changes: object
) -> bytes:
    """What the provider says about an attempt: that it succeeded, unless changed."""
    body = {
        "type": "payment.updated",
        "reference": reference(transaction, attempt),
        "status": "succeeded",
        "amount": {"amount": amount, "currency": currency},
        "provider_reference": "sim_1",
        "decline": None,
        "fee": None,
        "sent_at": datetime.now(UTC).isoformat(),
    }
    return json.dumps(body | changes).encode()


def dispute_notice_body(deposit: Mapping[str, Any], news: str, **changes: object) -> bytes:
    """What the provider says about a dispute of the whole deposit, unless changed."""
    body = {
        "type": "dispute.updated",
        "reference": deposit["reference"],
        "dispute": f"dp_{deposit['id']}",
        "stage": "chargeback",
        "news": news,
        "amount": deposit["amount"],
        "reason_code": "10.4",
        "evidence_due_at": (datetime.now(UTC) + timedelta(days=7)).isoformat(),
        "sent_at": datetime.now(UTC).isoformat(),
    }
    return json.dumps(body | changes).encode()
