"""The simulated provider, behind the port that every provider is reached through."""

import base64
import binascii
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

import httpx2
import msgspec
from standardwebhooks.webhooks import EmptyWebhookSecretError, Webhook, WebhookVerificationError

from domain.money import InvalidMoney, Money
from domain.outcomes import Outcome
from tallystick.providers.protocol import Answer, InvalidNotice, ProviderNotice, Submission
from tallystick.providers.simulator.wire import (
    DeclineBody,
    ErrorBody,
    MoneyBody,
    NoticeBody,
    PaymentBody,
    Status,
    SubmissionBody,
)

CONNECTIONS_MAX: Final = 32
BODY_BYTES_MAX: Final = 64 * 1024
# Shorter than servers keep idle connections, so that none is closed under a request.
IDLE_SECONDS_MAX: Final = 4.0

_OUTCOMES: Final[Mapping[Status, Outcome]] = {
    Status.ACCEPTED: Outcome.ACCEPTED,
    Status.AWAITING_PLAYER: Outcome.AWAITING_PLAYER,
    Status.PENDING: Outcome.PENDING,
    Status.AUTHORISED: Outcome.AUTHORISED,
    Status.SUCCEEDED: Outcome.SUCCEEDED,
    Status.DECLINED: Outcome.DECLINED,
    Status.VOIDED: Outcome.VOIDED,
    Status.RETURNED: Outcome.RETURNED,
}
_BEFORE_SENDING: Final = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.UnsupportedProtocol,
    httpx2.LocalProtocolError,
)
# The simulator reads the token and the body before it does anything.
_REFUSED_UNREAD: Final = frozenset({400, 401, 403, 413})
_MESSAGE_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,200}")


class _Unreadable(Exception):
    """The body is not what this provider sends; the text never quotes it."""


@dataclass(frozen=True, slots=True)
class _Reply:
    status_code: int
    content: bytes


class SimulatorProvider:
    """Talks to `tallystick simulate-provider`. May be shared between threads."""

    def __init__(self, base_url: str, secret: str, token: str) -> None:
        """`secret` verifies webhooks (`whsec_` and base64), `token` authenticates our calls.

        Raises:
            ValueError: the secret is unusable.
        """
        self._verifier = _verifier(secret)
        self._client = httpx2.Client(
            base_url=base_url,
            headers={"authorization": f"Bearer {token}", "content-type": "application/json"},
            limits=httpx2.Limits(
                max_connections=CONNECTIONS_MAX,
                max_keepalive_connections=CONNECTIONS_MAX,
                keepalive_expiry=IDLE_SECONDS_MAX,
            ),
            trust_env=False,
        )

    def close(self) -> None:
        """Close the connections; the provider cannot be used afterwards."""
        self._client.close()

    def submit_deposit(self, submission: Submission) -> Answer:
        return self._submit("/v1/deposits", submission)

    def submit_payout(self, submission: Submission) -> Answer:
        return self._submit("/v1/payouts", submission)

    def fetch(self, reference: str, *, timeout_seconds: float) -> Answer:
        """Ask what became of an attempt.

        `not_found` only if the simulator itself says that it has no such payment; a question
        that could not be asked or answered says nothing about the payment, and is `unknown`.
        """
        path = f"/v1/payments/{quote(reference, safe='')}"
        reply = self._exchange("GET", path, timeout_seconds=timeout_seconds)
        if isinstance(reply, Outcome):
            return Answer(outcome=Outcome.UNKNOWN)
        if reply.status_code == 404 and _says_not_found(reply.content, reference):
            return Answer(outcome=Outcome.NOT_FOUND)
        return _answer(reply, reference)

    def parse_notice(self, headers: Mapping[str, str], raw_body: bytes) -> ProviderNotice:
        """Verify the signature over the raw bytes, then read them.

        The signature is a Standard Webhooks one, at most five minutes old or early; one good
        `v1` among several is enough, so that secrets can be rotated.

        Raises:
            InvalidNotice: bad, missing or outdated signature, or an unreadable body.
        """
        named = {name.lower(): value for name, value in headers.items()}
        message_id = named.get("webhook-id", "")
        self._verify(named, message_id, raw_body)
        try:
            body = msgspec.json.decode(raw_body, type=NoticeBody)
            answer = _answer_of(body, redirect_url=None)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise InvalidNotice(f"unreadable body: {error}") from error
        except (_Unreadable, InvalidMoney) as error:
            raise InvalidNotice(str(error)) from error
        return ProviderNotice(
            message_id=message_id, reference=body.reference, answer=answer, sent_at=body.sent_at
        )

    def health_probe(self, *, timeout_seconds: float) -> bool:
        reply = self._exchange("GET", "/healthz", timeout_seconds=timeout_seconds)
        return isinstance(reply, _Reply) and reply.status_code == 200

    def _submit(self, path: str, submission: Submission) -> Answer:
        """Submit once.

        400, 401, 403 and 413 are refusals before the request was read or acted upon: not sent.
        422 says that the key belongs to another request, which may have moved money: unknown,
        like everything else that is not a readable answer.
        """
        body = SubmissionBody(
            player_id=submission.player_id,
            method=submission.method,
            amount=MoneyBody(submission.amount.amount, submission.amount.currency),
            instrument=submission.instrument,
        )
        reply = self._exchange(
            "POST",
            path,
            timeout_seconds=submission.timeout_seconds,
            headers={"idempotency-key": submission.reference},
            content=msgspec.json.encode(body),
        )
        if isinstance(reply, Outcome):
            return Answer(outcome=reply)
        if reply.status_code in _REFUSED_UNREAD:
            return Answer(outcome=Outcome.NOT_SENT, raw_code=str(reply.status_code))
        return _answer(reply, submission.reference)

    def _exchange(
        self,
        method: str,
        path: str,
        *,
        timeout_seconds: float,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> _Reply | Outcome:
        """One request: the reply, or `not_sent` or `unknown` if there is none.

        The time-out holds for each of connecting, sending and waiting, and for the whole of
        the body, so that an answer that trickles in ends too.
        """
        deadline_seconds = time.monotonic() + timeout_seconds
        try:
            with self._client.stream(
                method, path, headers=headers, content=content, timeout=timeout_seconds
            ) as response:
                body = bytearray()
                for chunk in response.iter_bytes():
                    body += chunk
                    if len(body) > BODY_BYTES_MAX or time.monotonic() > deadline_seconds:
                        return Outcome.UNKNOWN
                return _Reply(response.status_code, bytes(body))
        except _BEFORE_SENDING:
            return Outcome.NOT_SENT
        except httpx2.HTTPError:
            return Outcome.UNKNOWN

    def _verify(self, named: Mapping[str, str], message_id: str, raw_body: bytes) -> None:
        # The id is part of the signed text and is joined by dots, so it must not contain any.
        if _MESSAGE_ID.fullmatch(message_id) is None:
            raise InvalidNotice("the header webhook-id is missing or malformed")
        signatures = [each for each in named.get("webhook-signature", "").split() if _is_v1(each)]
        if not signatures:
            raise InvalidNotice("the header webhook-signature holds no v1 signature")
        signed = {
            "webhook-id": message_id,
            "webhook-timestamp": named.get("webhook-timestamp", ""),
            "webhook-signature": " ".join(signatures),
        }
        try:
            self._verifier.verify(raw_body, signed, json_parse=False)
        except WebhookVerificationError as error:
            raise InvalidNotice(str(error)) from error
        except ValueError as error:
            raise InvalidNotice("the body is not UTF-8 text") from error


def _verifier(secret: str) -> Webhook:
    try:
        return Webhook(secret)
    except (EmptyWebhookSecretError, ValueError):
        # Without a cause: the library's own message may quote the secret.
        raise ValueError("the webhook secret is unusable; use whsec_<base64>") from None


def _is_v1(signature: str) -> bool:
    # The library stops at the first malformed one; a good one behind it has to count.
    version, _, encoded = signature.partition(",")
    try:
        return version == "v1" and len(base64.b64decode(encoded, validate=True)) == 32
    except (binascii.Error, ValueError):
        return False


def _says_not_found(content: bytes, reference: str) -> bool:
    # A 404 of a proxy or a wrong path must not pass for news about the payment.
    try:
        body = msgspec.json.decode(content, type=ErrorBody)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return False
    return body.error == "payment_not_found" and body.reference == reference


def _answer(reply: _Reply, reference: str) -> Answer:
    if reply.status_code != 200:
        return Answer(outcome=Outcome.UNKNOWN, raw_code=str(reply.status_code))
    try:
        body = msgspec.json.decode(reply.content, type=PaymentBody)
        answer = _answer_of(body, redirect_url=body.redirect_url)
    except (msgspec.MsgspecError, UnicodeDecodeError, _Unreadable, InvalidMoney):
        return Answer(outcome=Outcome.UNKNOWN, raw_code="unreadable")
    if body.reference != reference:
        return Answer(outcome=Outcome.UNKNOWN, raw_code="another_reference")
    return answer


def _answer_of(body: PaymentBody | NoticeBody, *, redirect_url: str | None) -> Answer:
    """Check what the types cannot say, and map.

    Raises:
        _Unreadable: a status without the field it calls for.
        InvalidMoney: an impossible amount or currency.
    """
    amount = _money(body.amount)
    if body.status is Status.SUCCEEDED and amount is None:
        raise _Unreadable("a success that states no amount")
    if (body.status is Status.DECLINED) != (body.decline is not None):
        raise _Unreadable("a decline comes with a code, and nothing else does")
    if isinstance(body, PaymentBody) and body.status is Status.AWAITING_PLAYER and not redirect_url:
        raise _Unreadable("a player to wait for, and no page to send the player to")
    decline: DeclineBody | None = body.decline
    return Answer(
        outcome=_OUTCOMES[body.status],
        amount=amount,
        provider_reference=body.provider_reference,
        decline_code=decline.code if decline else None,
        raw_code=decline.raw_code if decline else None,
        fee=_money(body.fee),
        redirect_url=redirect_url,
    )


def _money(body: MoneyBody | None) -> Money | None:
    return None if body is None else body.money()
