"""The simulated provider, behind the port that every provider is reached through."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

import msgspec

from domain.events.evidence import Outcome
from ledger.providers.exchange import Exchanges, Reply
from ledger.providers.protocol import (
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
from ledger.providers.simulator.reading import (
    read_dispute_answer,
    read_notice,
    read_payment,
    read_quote,
    says,
)
from ledger.providers.simulator.wire import (
    ConversionBody,
    DisputeAnswerBody,
    QuoteRequestBody,
    RefundBody,
    SubmissionBody,
    money_body_of,
)
from ledger.providers.standard_webhooks import Verifier

# The simulator reads the token and the body before it does anything.
_REFUSED_UNREAD: Final = frozenset({400, 401, 403, 413})


class SimulatorProvider:
    """Talks to `tallystick simulate-provider`. May be shared between threads."""

    def __init__(self, base_url: str, secret: str, token: str) -> None:
        """`secret` verifies webhooks (`whsec_` and base64), `token` authenticates our calls.

        Raises:
            ValueError: the secret is unusable.
        """
        self._verifier = Verifier(secret)
        self._exchanges = Exchanges(
            base_url,
            {"authorization": f"Bearer {token}", "content-type": "application/json"},
        )

    def close(self) -> None:
        """Close the connections; the provider cannot be used afterwards."""
        self._exchanges.close()

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
        reply = self._exchanges.ask(
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
        reply = self._exchanges.ask(
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
        reply = self._exchanges.ask("GET", path, timeout_seconds=timeout_seconds)
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
        reply = self._exchanges.ask("GET", "/healthz", timeout_seconds=timeout_seconds)
        return isinstance(reply, Reply) and reply.status_code == 200

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
        reply = self._exchanges.ask(
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
