"""The real API in this process, over a real database, reached over a real socket."""

import json
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import httpx2
import psycopg
import uvicorn
from standardwebhooks.webhooks import Webhook

from api.app import create_app
from api.services import Services
from domain.attempts import reference
from domain.player import Verification
from projections.engine import Projector
from projections.registry import READ_MODELS
from tallystick import bootstrap
from tallystick.access import create_key
from tallystick.commands.handling import Caller
from tallystick.config import Settings
from tallystick.eventstore import database
from tallystick.eventstore.codec import decode
from tallystick.eventstore.database import Role
from tallystick.keyring import ProviderSecrets, provider_secrets


@dataclass(kw_only=True)
class Api:
    """The running API, and what a test does to it from outside."""

    url: str
    services: Services
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

    def deposit(self, player: UUID, amount: int = 5_000, **changes: object) -> httpx2.Response:
        return self.post("/v1/deposits", transaction_body(player, amount, **changes))

    def withdraw(self, player: UUID, amount: int = 1_000, **changes: object) -> httpx2.Response:
        return self.post("/v1/withdrawals", transaction_body(player, amount, **changes))

    def fund(self, player: UUID, amount: int = 5_000) -> dict[str, Any]:
        """A deposit that the provider completed; the transaction."""
        created = self.deposit(player, amount).json()
        self.complete(UUID(created["id"]), amount)
        found: dict[str, Any] = self.get(f"/v1/transactions/{created['id']}").json()
        assert found["status"] == "completed"
        return found

    def complete(self, deposit_id: UUID, amount: int) -> None:
        """Send the deposit to the provider, and have the provider's notice say it succeeded."""
        self.services.traffic.submit(deposit_id)
        notice = notice_body(deposit_id, amount)
        answer = self.notify(notice)
        assert answer.status_code == 204, answer.text
        self.act_on_notices()

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
                " WHERE topic = 'ProviderNoticeReceived'"
            ).fetchall()
        for (notice,) in notices:
            self.services.traffic.act_on_notice(notice)

    def review(self, player: UUID, amount: int = 60_000) -> dict[str, Any]:
        """A withdrawal that waits for a person."""
        self.services.players.register(
            player,
            verification=Verification.FULL,
            jurisdiction=None,
            caller=_caller("system:tests"),
        )
        self.fund(player, amount)
        created = self.withdraw(player, amount).json()
        self.services.traffic.screen(UUID(created["id"]))
        found: dict[str, Any] = self.get(f"/v1/transactions/{created['id']}").json()
        return found


@contextmanager
def running_api(
    settings: Settings, people: Sequence[str] = ("platform", "anna", "ben")
) -> Iterator[Api]:
    """The API over a migrated database, with read models that follow."""
    bootstrap.prepare(settings)
    owner = database.conninfo(settings, Role.OWNER)
    keys = {person: create_key(owner, person) for person in people}
    projector = Projector(
        conninfo=database.conninfo(settings, Role.WRITER), models=READ_MODELS, decode=decode
    )
    stop = threading.Event()
    following = threading.Thread(target=projector.run, args=(stop,))
    following.start()
    try:
        with (
            services_over(settings) as services,
            serving(services) as url,
            httpx2.Client(
                base_url=url, timeout=20.0, limits=httpx2.Limits(max_connections=64)
            ) as client,
        ):
            yield Api(
                url=url,
                services=services,
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
        services.keys.close()
        ledger.close()


@contextmanager
def serving(services: Services) -> Iterator[str]:
    """The app behind uvicorn, in a thread; its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = uvicorn.Config(
        create_app(services),
        host="127.0.0.1",
        port=port,
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=1,
        server_header=False,
    )
    server = uvicorn.Server(config)
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


def _caller(actor: str) -> Caller:
    return Caller(actor=actor, idempotency_key=str(uuid4()))


def transaction_body(player: UUID, amount: int, **changes: object) -> dict[str, object]:
    body: dict[str, object] = {
        "player_id": str(player),
        "amount": {"amount": amount, "currency": "EUR"},
        "method": "card",
        "instrument": "tok_7Hq2",
        "metadata": {"order": "A-17"},
    }
    return body | changes


def notice_body(transaction: UUID, amount: int, **changes: object) -> bytes:
    body = {
        "type": "payment.updated",
        "reference": reference(transaction, 1),
        "status": "succeeded",
        "amount": {"amount": amount, "currency": "EUR"},
        "provider_reference": "sim_1",
        "decline": None,
        "fee": None,
        "sent_at": datetime.now(UTC).isoformat(),
    }
    return json.dumps(body | changes).encode()
