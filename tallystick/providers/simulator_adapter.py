"""The simulated provider, behind the port that every provider is reached through."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

import httpx2
import msgspec

from domain.outcomes import Outcome
from tallystick.providers.protocol import (
    Answer,
    ConversionSubmission,
    DisputeAnswer,
    DisputeNotice,
    ProviderNotice,
    ProviderQuote,
    QuoteRequest,
    QuoteUnavailable,
    RefundSubmission,
    Submission,
)
from tallystick.providers.simulator.wire import (
    ConversionBody,
    DisputeAnswerBody,
    QuoteRequestBody,
    RefundBody,
    SubmissionBody,
    money_body_of,
)
from tallystick.providers.simulator_reading import (
    read_dispute_answer,
    read_notice,
    read_payment,
    read_quote,
    says,
)
from tallystick.providers.standard_webhooks import Verifier

CONNECTIONS_MAX: Final = 32
BODY_BYTES_MAX: Final = 64 * 1024
# Shorter than servers keep idle connections, so that none is closed under a request.
IDLE_SECONDS_MAX: Final = 4.0

_BEFORE_SENDING: Final = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.UnsupportedProtocol,
    httpx2.LocalProtocolError,
)
# The simulator reads the token and the body before it does anything.
_REFUSED_UNREAD: Final = frozenset({400, 401, 403, 413})


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
        self._verifier = Verifier(secret)
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
        return self._pay("/v1/deposits", submission)

    def submit_payout(self, submission: Submission) -> Answer:
        return self._pay("/v1/payouts", submission)

    def submit_refund(self, submission: RefundSubmission) -> Answer:
        body = RefundBody(submission.deposit_reference, money_body_of(submission.amount))
        return self._submit("/v1/refunds", submission.reference, body, submission.timeout_seconds)

    def quote(self, request: QuoteRequest) -> ProviderQuote:
        """Ask for a rate.

        Raises:
            QuoteUnavailable: not reached, no readable answer, or no rate for these currencies.
        """
        reply = self._exchange(
            "POST",
            "/v1/quotes",
            timeout_seconds=request.timeout_seconds,
            content=msgspec.json.encode(
                QuoteRequestBody(money_body_of(request.source), request.target_currency)
            ),
        )
        if isinstance(reply, Outcome):
            raise QuoteUnavailable(reply)
        return read_quote(reply.status_code, reply.content, request)

    def submit_conversion(self, submission: ConversionSubmission) -> Answer:
        body = ConversionBody(
            submission.quote_reference,
            money_body_of(submission.source),
            money_body_of(submission.target),
        )
        return self._submit(
            "/v1/conversions", submission.reference, body, submission.timeout_seconds
        )

    def answer_dispute(self, answer: DisputeAnswer) -> Answer:
        """Accept or contest a dispute; see the port for what may be answered to that."""
        reference = answer.dispute_reference
        reply = self._exchange(
            "POST",
            f"/v1/disputes/{quote(reference, safe='')}/answer",
            timeout_seconds=answer.timeout_seconds,
            content=msgspec.json.encode(
                DisputeAnswerBody(answer.accept, answer.note, answer.documents, answer.stage)
            ),
        )
        if isinstance(reply, Outcome):
            return Answer(outcome=reply)
        if reply.status_code in _REFUSED_UNREAD:
            return Answer(outcome=Outcome.NOT_SENT, raw_code=str(reply.status_code))
        return read_dispute_answer(
            reply.status_code, reply.content, reference, accept=answer.accept
        )

    def fetch(self, reference: str, *, timeout_seconds: float) -> Answer:
        """Ask what became of an attempt.

        `not_found` only if the simulator itself says that it has no such payment; a question
        that could not be asked or answered says nothing about the payment, and is `unknown`.
        """
        path = f"/v1/payments/{quote(reference, safe='')}"
        reply = self._exchange("GET", path, timeout_seconds=timeout_seconds)
        if isinstance(reply, Outcome):
            return Answer(outcome=Outcome.UNKNOWN)
        if reply.status_code == 404 and says(reply.content, "payment_not_found", reference):
            return Answer(outcome=Outcome.NOT_FOUND)
        return read_payment(reply.status_code, reply.content, reference)

    def parse_notice(
        self, headers: Mapping[str, str], raw_body: bytes
    ) -> ProviderNotice | DisputeNotice:
        """Verify the signature over the raw bytes, then read them.

        The signature is a Standard Webhooks one, at most five minutes old or early; one good
        `v1` among several is enough, so that secrets can be rotated.

        Raises:
            InvalidNotice: bad, missing or outdated signature, or an unreadable body.
        """
        return read_notice(self._verifier.verify(headers, raw_body), raw_body)

    def health_probe(self, *, timeout_seconds: float) -> bool:
        reply = self._exchange("GET", "/healthz", timeout_seconds=timeout_seconds)
        return isinstance(reply, _Reply) and reply.status_code == 200

    def _pay(self, path: str, submission: Submission) -> Answer:
        body = SubmissionBody(
            player_id=submission.player_id,
            method=submission.method,
            amount=money_body_of(submission.amount),
            instrument=submission.instrument,
        )
        return self._submit(path, submission.reference, body, submission.timeout_seconds)

    def _submit(
        self, path: str, reference: str, body: msgspec.Struct, timeout_seconds: float
    ) -> Answer:
        """Submit once.

        400, 401, 403 and 413 are refusals before the request was read or acted upon: not sent.
        422 says that the key belongs to another request, which may have moved money: unknown,
        like everything else that is not a readable answer.
        """
        reply = self._exchange(
            "POST",
            path,
            timeout_seconds=timeout_seconds,
            headers={"idempotency-key": reference},
            content=msgspec.json.encode(body),
        )
        if isinstance(reply, Outcome):
            return Answer(outcome=reply)
        if reply.status_code in _REFUSED_UNREAD:
            return Answer(outcome=Outcome.NOT_SENT, raw_code=str(reply.status_code))
        return read_payment(reply.status_code, reply.content, reference)

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
