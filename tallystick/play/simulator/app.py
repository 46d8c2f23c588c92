"""The simulated provider's HTTP surface."""

import asyncio
import hmac
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final, TypeVar, assert_never

import msgspec
from fastapi import FastAPI, Request, Response

from domain.money import InvalidMoney
from ledger.providers.simulator.wire import (
    REFERENCE_PATTERN,
    ConversionBody,
    DisputeAnswerBody,
    ErrorBody,
    FaultsBody,
    Kind,
    QuoteRequestBody,
    RefundBody,
    SubmissionBody,
)
from tallystick.play.simulator.disputes import AnswerNotTaken, DisputeNotFound, NotAnswerable
from tallystick.play.simulator.engine import (
    Admission,
    Engine,
    KeyReused,
    NotPayable,
    NotReturnable,
    PaymentNotFound,
    TemporarilyUnavailable,
)
from tallystick.play.simulator.exchange_desk import NoRate
from tallystick.play.simulator.faults import AnswerFault, InvalidFaults, parse_faults

BODY_BYTES_MAX: Final = 64 * 1024

_Body = TypeVar("_Body", bound=msgspec.Struct)
_REFERENCE: Final = re.compile(REFERENCE_PATTERN)


class _Refused(Exception):
    """The request was not carried out, for a reason that the caller can read."""

    def __init__(self, status_code: int, code: str, detail: str, reference: str | None = None):
        super().__init__(detail)
        self.status_code = status_code
        self.body = ErrorBody(code, detail, reference)


class _HangUp(Exception):
    """The connection is to be closed without an answer."""


def build_app(engine: Engine, *, token: str, silence_seconds: float) -> FastAPI:
    """The application; closes the engine when it is shut down.

    `silence_seconds`: how long a silent answer takes, if the client does not give up before.
    Needs a server that puts a function `hang_up` into the lifespan state.
    """

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        await engine.close()

    app = FastAPI(title="Simulated payment service provider", lifespan=lifespan)
    app.add_exception_handler(_Refused, _answer_refusal)
    app.add_exception_handler(_HangUp, _hang_up)
    gate = _Gate(engine, token)
    _add_payments(app, gate, engine, silence_seconds)
    _add_exchange(app, gate, engine, silence_seconds)
    _add_disputes(app, gate, engine, silence_seconds)
    _add_controls(app, gate, engine)
    return app


class _Gate:
    """What every call has to pass."""

    def __init__(self, engine: Engine, token: str) -> None:
        self._engine = engine
        self._authorisation = f"Bearer {token}".encode()

    def authenticate(self, request: Request) -> None:
        given = request.headers.get("authorization", "").encode()
        if not hmac.compare_digest(given, self._authorisation):
            raise _Refused(401, "unauthorised", "the bearer token is missing or wrong")

    def refuse_during_outage(self, name: str) -> None:
        if not self._engine.faults.outage:
            return
        if self._engine.outage_hangs_up(name):
            raise _HangUp
        raise _Refused(503, "outage", "nothing works at the moment")

    def admit(self, request: Request, reference: str, *, question: bool) -> None:
        self.authenticate(request)
        if _REFERENCE.fullmatch(reference) is None:
            raise _Refused(400, "invalid_reference", f"a reference looks like {REFERENCE_PATTERN}")
        self._engine.count_call(reference, question=question)
        self.refuse_during_outage(reference)


def _add_payments(app: FastAPI, gate: _Gate, engine: Engine, silence_seconds: float) -> None:
    async def submit(request: Request, kind: Kind) -> Response:
        reference = _admitted_reference(gate, request)
        body = await _body(request, SubmissionBody)
        admission = _submit(reference, lambda: engine.submit(reference, kind, body))
        return await _answer(request, admission, silence_seconds)

    @app.post("/v1/deposits")
    async def create_deposit(request: Request) -> Response:
        """Take money from a player. The header `Idempotency-Key` is the caller's reference."""
        return await submit(request, Kind.DEPOSIT)

    @app.post("/v1/payouts")
    async def create_payout(request: Request) -> Response:
        """Pay money to a player. The header `Idempotency-Key` is the caller's reference."""
        return await submit(request, Kind.PAYOUT)

    @app.post("/v1/refunds")
    async def create_refund(request: Request) -> Response:
        """Send a deposit back. The header `Idempotency-Key` is the caller's reference."""
        reference = _admitted_reference(gate, request)
        body = await _body(request, RefundBody)
        admission = _submit(reference, lambda: engine.refund(reference, body))
        return await _answer(request, admission, silence_seconds)

    @app.get("/v1/payments/{reference}")
    async def fetch_payment(request: Request, reference: str) -> Response:
        """What became of a payment of any kind; 404 if the reference was never received."""
        gate.admit(request, reference, question=True)
        try:
            return _json(engine.fetch(reference))
        except PaymentNotFound as error:
            raise _Refused(404, "payment_not_found", str(error), reference) from error

    @app.post("/v1/payments/{reference}/return")
    async def return_payment(request: Request, reference: str) -> Response:
        """The player's bank sends a payout or refund back."""
        gate.authenticate(request)
        try:
            engine.return_payout(reference)
        except PaymentNotFound as error:
            raise _Refused(404, "payment_not_found", str(error), reference) from error
        except NotReturnable as error:
            raise _Refused(409, "not_returnable", str(error), reference) from error
        return Response(status_code=202)

    @app.post("/v1/payments/{reference}/pay-again")
    async def pay_again(request: Request, reference: str) -> Response:
        """The player's bank takes a payout or refund after all that it had sent back."""
        gate.authenticate(request)
        try:
            engine.pay_again(reference)
        except PaymentNotFound as error:
            raise _Refused(404, "payment_not_found", str(error), reference) from error
        except NotPayable as error:
            raise _Refused(409, "not_payable", str(error), reference) from error
        return Response(status_code=202)


def _add_exchange(app: FastAPI, gate: _Gate, engine: Engine, silence_seconds: float) -> None:
    @app.post("/v1/quotes")
    async def create_quote(request: Request) -> Response:
        """A rate, and until when a conversion may use it."""
        gate.authenticate(request)
        gate.refuse_during_outage("quote")
        try:
            return _json(engine.desk.quote(await _body(request, QuoteRequestBody)))
        except InvalidMoney as error:
            raise _Refused(400, "invalid_amount", str(error)) from error
        except NoRate as error:
            raise _Refused(400, "no_rate", str(error)) from error

    @app.post("/v1/conversions")
    async def create_conversion(request: Request) -> Response:
        """Carry a quote out. The header `Idempotency-Key` is the caller's reference."""
        reference = _admitted_reference(gate, request)
        body = await _body(request, ConversionBody)
        admission = _submit(reference, lambda: engine.convert(reference, body))
        return await _answer(request, admission, silence_seconds)


def _add_disputes(app: FastAPI, gate: _Gate, engine: Engine, silence_seconds: float) -> None:
    @app.post("/v1/disputes/{dispute}/answer")
    async def answer_dispute(request: Request, dispute: str) -> Response:
        """Accept or contest a dispute; the same answer again changes nothing."""
        gate.authenticate(request)
        gate.refuse_during_outage(dispute)
        body = await _body(request, DisputeAnswerBody)
        try:
            answer, fault = engine.disputes.answer(dispute, body)
        except DisputeNotFound as error:
            raise _Refused(404, "dispute_not_found", str(error), dispute) from error
        except NotAnswerable as error:
            raise _Refused(409, "not_answerable", str(error), dispute) from error
        except AnswerNotTaken as error:
            raise _Refused(503, "unavailable", str(error), dispute) from error
        return await _with_fault(request, _json(answer), fault, silence_seconds)


def _add_controls(app: FastAPI, gate: _Gate, engine: Engine) -> None:
    @app.get("/healthz")
    async def health() -> Response:
        """200 unless there is an outage."""
        gate.refuse_during_outage("health")
        return _json({"status": "ok"})

    @app.get("/pay/{provider_reference}")
    async def player_page(provider_reference: str) -> Response:
        """Where a player is sent. The simulated player needs no page, people may look at one."""
        text = "This is a simulated payment page: the player acts, or does not, by itself.\n"
        return Response(text, media_type="text/plain")

    @app.get("/v1/statistics")
    async def statistics(request: Request, detail: bool = True) -> Response:
        """Counts of calls, effects and webhooks, and whether anything is still going on."""
        gate.authenticate(request)
        return _json(engine.statistics(detail=detail))

    @app.get("/v1/faults")
    async def read_faults(request: Request) -> Response:
        """The rates in use."""
        gate.authenticate(request)
        return _json(dict(engine.faults.rates))

    @app.put("/v1/faults")
    async def switch_faults(request: Request) -> Response:
        """Replace all rates, for the payments submitted from now on."""
        gate.authenticate(request)
        try:
            engine.switch_faults(parse_faults((await _body(request, FaultsBody)).faults))
        except InvalidFaults as error:
            raise _Refused(400, "invalid_faults", str(error)) from error
        return _json(dict(engine.faults.rates))


def _admitted_reference(gate: _Gate, request: Request) -> str:
    reference = request.headers.get("idempotency-key", "")
    gate.admit(request, reference, question=False)
    return reference


def _submit(reference: str, admit: Callable[[], Admission]) -> Admission:
    try:
        return admit()
    except InvalidMoney as error:
        raise _Refused(400, "invalid_amount", str(error), reference) from error
    except KeyReused as error:
        raise _Refused(422, "idempotency_key_reused", str(error), reference) from error
    except TemporarilyUnavailable as error:
        raise _Refused(503, "unavailable", str(error), reference) from error


async def _answer(request: Request, admission: Admission, silence_seconds: float) -> Response:
    await asyncio.sleep(admission.latency_seconds)
    sound = _json(admission.answer)
    return await _with_fault(request, sound, admission.fault, silence_seconds)


async def _with_fault(
    request: Request, sound: Response, fault: AnswerFault | None, silence_seconds: float
) -> Response:
    match fault:
        case None | AnswerFault.ERROR_BEFORE_EFFECT:
            return sound
        case AnswerFault.SILENCE:
            await _wait_for_disconnect(request, silence_seconds)
            return sound
        case AnswerFault.HANG_UP:
            raise _HangUp
        case AnswerFault.ERROR_AFTER_EFFECT:
            raise _Refused(503, "unavailable", "an error, before or after anything was done")
        case AnswerFault.GARBAGE:
            return Response(b'{"reference": "\xff\xfe', media_type="application/json")
        case _:
            assert_never(fault)


async def _body(request: Request, shape: type[_Body]) -> _Body:
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > BODY_BYTES_MAX:
            raise _Refused(413, "too_large", f"a body has at most {BODY_BYTES_MAX} bytes")
    try:
        return msgspec.json.decode(raw, type=shape)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise _Refused(400, "invalid_body", str(error)) from error


def _json(content: object) -> Response:
    return Response(msgspec.json.encode(content), media_type="application/json")


async def _answer_refusal(_request: Request, error: Exception) -> Response:
    if not isinstance(error, _Refused):
        raise error
    content = msgspec.json.encode(error.body)
    return Response(content, error.status_code, media_type="application/json")


async def _hang_up(request: Request, _error: Exception) -> Response:
    hang_up: Callable[[], None] = request.state.hang_up
    hang_up()
    await _wait_for_disconnect(request, 1.0)
    # Nobody is left to read this; the framework wants an answer all the same.
    return Response(status_code=503)


async def _wait_for_disconnect(request: Request, seconds: float) -> None:
    async def disconnected() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    try:
        await asyncio.wait_for(disconnected(), seconds)
    except TimeoutError:
        return
