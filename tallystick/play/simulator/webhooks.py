"""Outgoing webhooks: signed by Standard Webhooks, and retried until they are acknowledged.

Source: https://www.standardwebhooks.com (signature `v1`, HMAC-SHA256 over id, time and body).
"""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import httpx2
from standardwebhooks.webhooks import EmptyWebhookSecretError, Webhook

from tallystick.play.simulator.faults import Damage

RETRY_SECONDS_MIN: Final = 0.1
RETRY_SECONDS_MAX: Final = 2.0
ATTEMPT_TIMEOUT_SECONDS: Final = 10.0


class InvalidSecret(ValueError):
    """The webhook secret is not base64 after `whsec_`, or is empty."""


@dataclass(frozen=True, slots=True)
class Message:
    """One webhook. Every delivery carries the same id and body, and a fresh signature."""

    id: str
    body: bytes


@dataclass(slots=True)
class Deliveries:
    """What became of the webhooks so far. `sent` and `refused` count attempts, the others
    count messages."""

    sent: int = 0
    refused: int = 0
    """Attempts that were answered with something else than 2xx, or not at all."""
    acknowledged: int = 0
    dropped: int = 0
    damaged: int = 0
    damaged_acknowledged: int = 0
    """Damaged deliveries that a receiver took for good: anything above 0 is a defect of it."""
    undelivered: int = 0
    """Messages on their way or waiting for their next attempt."""


class Messenger:
    """Delivers messages to one receiver, a bounded number at a time."""

    def __init__(self, *, url: str | None, secret: str, concurrency: int) -> None:
        """`url` None: nobody listens, and every message counts as dropped.

        Raises:
            InvalidSecret: not base64 after `whsec_`, or empty.
        """
        self.deliveries = Deliveries()
        self._url = url
        self._signer = _signer(secret)
        self._slots = asyncio.Semaphore(concurrency)
        self._client = httpx2.AsyncClient(
            timeout=ATTEMPT_TIMEOUT_SECONDS,
            limits=httpx2.Limits(max_connections=concurrency, keepalive_expiry=2.0),
            trust_env=False,
        )
        self._running = asyncio.Event()
        self._running.set()
        self._unreachable_until_seconds = 0.0
        self._unreachable_count = 0

    def pause(self, *, paused: bool) -> None:
        """Hold back every delivery that has not started, or let them go."""
        if paused:
            self._running.clear()
        else:
            self._running.set()

    async def close(self) -> None:
        await self._client.aclose()

    async def announce(
        self, message: Message, *, again: Message | None, damage: Damage | None
    ) -> None:
        """Deliver one message; with `again`, twice at once and then under another id."""
        if again is None:
            await self.deliver(message, damage)
            return
        # Twice at once, so that the receiver's guard against repeats is put to the test.
        await asyncio.gather(self.deliver(message, damage), self.deliver(message))
        await self.deliver(again)

    async def deliver(self, message: Message, damage: Damage | None = None) -> None:
        """Deliver one message and return once it is acknowledged with 2xx.

        A damaged delivery is a single attempt that goes before the sound ones.
        """
        if self._url is None:
            self.deliveries.dropped += 1
            return
        self.deliveries.undelivered += 1
        try:
            if damage is not None:
                self.deliveries.damaged += 1
                taken = await self._attempt(self._url, message, _damaged(message.body, damage))
                self.deliveries.damaged_acknowledged += int(taken)
            attempts = 0
            while not await self._attempt(self._url, message, message.body):
                await asyncio.sleep(_backoff_seconds(attempts))
                attempts += 1
            self.deliveries.acknowledged += 1
        finally:
            self.deliveries.undelivered -= 1

    async def _attempt(self, url: str, message: Message, body: bytes) -> bool:
        """Post once, with the signature of the sound body; True for 2xx."""
        async with self._slots:
            await self._wait_until_worthwhile()
            headers = self._headers(message)
            self.deliveries.sent += 1
            try:
                response = await self._client.post(url, content=body, headers=headers)
            except httpx2.HTTPError as error:
                self._note_reachable(not isinstance(error, httpx2.ConnectError))
                self.deliveries.refused += 1
                return False
        self._note_reachable(True)
        self.deliveries.refused += int(not response.is_success)
        return response.is_success

    async def _wait_until_worthwhile(self) -> None:
        # Thousands of messages knocking at a closed door would keep the receiver's machine too
        # busy to open it, so a refused connection holds all of them back for a moment.
        now = asyncio.get_running_loop().time()
        await asyncio.sleep(max(0.0, self._unreachable_until_seconds - now))
        await self._running.wait()

    def _note_reachable(self, reachable: bool) -> None:
        if reachable:
            self._unreachable_count = 0
            return
        now = asyncio.get_running_loop().time()
        if now >= self._unreachable_until_seconds:
            self._unreachable_until_seconds = now + _backoff_seconds(self._unreachable_count)
            self._unreachable_count += 1

    def _headers(self, message: Message) -> dict[str, str]:
        now = datetime.now(UTC)
        return {
            "content-type": "application/json",
            "webhook-id": message.id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._signer.sign(message.id, now, message.body.decode()),
        }


def _signer(secret: str) -> Webhook:
    try:
        return Webhook(secret)
    except (EmptyWebhookSecretError, ValueError):
        # Without a cause: the library's own message may quote the secret.
        raise InvalidSecret("the webhook secret is unusable; use whsec_<base64>") from None


def _backoff_seconds(attempts: int) -> float:
    doublings = min(attempts, 10)
    return min(RETRY_SECONDS_MAX, RETRY_SECONDS_MIN * (1 << doublings))


def _damaged(body: bytes, damage: Damage) -> bytes:
    if damage is Damage.TRUNCATED:
        return body[: len(body) // 2]
    # Still JSON, and still a plausible notice: only the signature tells.
    return body.replace(b'"reference":"', b'"reference":"x', 1)
