"""HTTP at the socket: uvicorn's protocol, with an end to everything a client may send or leave out.

uvicorn keeps whatever comes until a request is whole, for as long as it takes. Here a head has a
size and a time, a body has a time, an answer has to be taken, and requests that are sent ahead are
read when those before them are answered. What does not keep to that is answered with a problem
where an answer can still be told apart, and the connection is closed.
"""

import asyncio
from typing import ClassVar, Final
from uuid import uuid4

from asgi_correlation_id import correlation_id
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from api.http import problems
from api.http.accepting import SAFE, has_hung_up
from api.http.connections import PROBES, Connections, Limits, Place, address_of
from api.http.errors import (
    BodyTooLarge,
    HeadTooLarge,
    NotHttp,
    RequestError,
    RequestTooSlow,
    TooManyConnections,
    UrlTooLong,
)
from api.http.json_body import BODY_BYTES_MAX
from api.http.observing import Metrics, harden

HEAD_BYTES_MAX: Final = 65_536
HEADERS_MAX: Final = 100
URL_BYTES_MAX: Final = 16_384
BODY_WIRE_BYTES_MAX: Final = 2 * BODY_BYTES_MAX
"""Of a body with its chunks: who sends on after 413 is cut off."""

PIECE_BYTES: Final = 8_192
"""What is parsed at once; it may hold some 450 requests, which are then answered first."""

AHEAD_BYTES: Final = 65_536
"""Of what is sent ahead during an answer. Reading goes on until there is so much, for that a client
has left is seen only behind what it had sent."""

LINGER_SECONDS: Final = 2.0
LINGER_BYTES_MAX: Final = 16_000_000
"""What is thrown away after a refusal: a socket closed on unread bytes resets the connection, and
the refusal may be lost."""


def limited(limits: Limits, metrics: Metrics) -> type[HttpToolsProtocol]:
    """The protocol for one server, which keeps to these limits."""

    class Limited(LimitedProtocol):
        table = Connections(limits, metrics)

    return Limited


class _Flow(FlowControl):
    """Reading does not go on while something that was read is held back."""

    holding = False

    def resume_reading(self) -> None:
        if not self.holding:
            super().resume_reading()


class LimitedProtocol(HttpToolsProtocol):
    """One connection."""

    table: ClassVar[Connections]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.flow: _Flow = _Flow(transport)
        self.address = address_of(self.client[0] if self.client else None)
        self._in_body = False
        self._received = 0
        """Bytes of this head, or of this body with its chunks."""
        self._delivered = 0
        """Bytes of this body without them."""
        self._unanswered = 0
        """Requests whose head has come; the last one may still be coming in."""
        self._running: RequestResponseCycle | None = None
        self._held = bytearray()
        self._fault: RequestError = NotHttp()
        self._ended = False
        self._discarded = 0
        self._whole_by: float | None = self.loop.time() + self.table.limits.head_seconds
        self._taken_by: float | None = None
        self._to_take = 0
        """Bytes of answers that the client had not taken at the last look."""
        self._closed_by: float | None = None
        self._place = self.table.admit(self, self.loop)
        if self._place is Place.NOTHING:
            self._refuse(TooManyConnections())

    def connection_lost(self, exc: Exception | None) -> None:
        self.table.gone(self)
        self._drop_answer()
        super().connection_lost(exc)

    # --- what comes in --------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        if self._ended:
            self._discarded += len(data)
            if self._discarded > LINGER_BYTES_MAX:
                self.transport.close()
        elif self.pipeline or self._held:
            self._hold(data)
        else:
            self._feed(data)

    def _feed(self, data: bytes) -> None:
        """Parse piece by piece, and hold back what is sent ahead."""
        start = 0
        while start < len(data) and not self._ended and not self.transport.is_closing():
            if self.pipeline:
                self._hold(data[start:])
                return
            if self._whole_by is None:
                self._whole_by = self.loop.time() + self.table.limits.head_seconds
            room = PIECE_BYTES if self._in_body else HEAD_BYTES_MAX - self._received
            piece = data[start : start + min(PIECE_BYTES, room)]
            start += len(piece)
            self._received += len(piece)
            super().data_received(piece)
            if fault := self._excess():
                self._refuse(fault)

    def _excess(self) -> RequestError | None:
        if not self._in_body:
            return HeadTooLarge() if self._received >= HEAD_BYTES_MAX else None
        chunks = self._received - self._delivered
        if self._received > BODY_WIRE_BYTES_MAX or chunks > HEAD_BYTES_MAX + self._delivered:
            return BodyTooLarge()
        return None

    def _hold(self, data: bytes) -> None:
        self._held += data
        if len(self._held) >= AHEAD_BYTES:
            self.flow.holding = True
            self.flow.pause_reading()

    def on_url(self, url: bytes) -> None:
        if len(self.url) + len(url) > URL_BYTES_MAX:
            self._fault = UrlTooLong()
            raise self._fault
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_body:
            return  # a trailer, which nobody reads
        if len(self.headers) >= HEADERS_MAX:
            self._fault = HeadTooLarge()
            raise self._fault
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if self._place is Place.PROBES and self.url.partition(b"?")[0] not in PROBES:
            self.app = _turn_away
            self.table.refused(TooManyConnections())
        super().on_headers_complete()
        if self.pipeline:
            self.flow.resume_reading()  # of what is held, to see when the client leaves
        self._in_body = True
        self._unanswered += 1
        self._received = self._delivered = 0
        self._whole_by = self.loop.time() + self.table.limits.body_seconds
        if self._place is Place.PROBES or self.parser.should_upgrade():
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        self._delivered += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_body = False
        self._received = 0
        if self._unanswered:
            self._whole_by = None
            self.table.works(self)
        else:  # answered before it was whole: what comes next is waited for
            self._whole_by = self.loop.time() + self.table.limits.head_seconds
        super().on_message_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._running = cycle
        if cycle.scope["method"] in SAFE and has_hung_up(self.transport.get_extra_info("socket")):
            # The end of what it sent is read only after this: by then much would have been done.
            cycle.disconnected = cycle.response_complete = True
            self.transport.abort()
            return
        super()._start_asgi_task(cycle, app)

    # --- what goes out --------------------------------------------------------------------------

    def on_response_complete(self) -> None:
        self._unanswered -= 1
        super().on_response_complete()
        if self.pipeline or self.transport.is_closing():
            return
        if not self._answers_another():
            self.table.waits(self)
        if self._held:
            held, self._held = bytes(self._held), bytearray()
            self.flow.holding = False
            self._feed(held)
            if not self._held:
                self.flow.resume_reading()

    def pause_writing(self) -> None:
        self._taken_by = self.loop.time() + self.table.limits.write_seconds
        super().pause_writing()

    def resume_writing(self) -> None:
        self._taken_by = None
        super().resume_writing()

    # --- how it ends ----------------------------------------------------------------------------

    def look(self, now: float) -> None:
        """End what has taken too long."""
        takes = self._takes()
        taken_by = now + self.table.limits.write_seconds
        if self.transport.is_closing():  # but for what is still to be taken
            if self._closed_by is None or takes:
                self._closed_by = taken_by
            elif now >= self._closed_by:
                self.transport.abort()
        elif self._taken_by is not None and takes:
            self._taken_by = taken_by
        elif self._taken_by is not None and now >= self._taken_by:
            self._drop_answer()
            self.transport.abort()
        elif self._closed_by is not None:
            if now >= self._closed_by:
                self.transport.close()
        elif self._whole_by is not None and now >= self._whole_by:
            self._too_slow(now)

    def _takes(self) -> bool:
        """Whether the client has taken some of what waits for it since the last look."""
        before, self._to_take = self._to_take, self.transport.get_write_buffer_size()
        return self._to_take < before

    def _too_slow(self, now: float) -> None:
        limits = self.table.limits
        if self.flow.read_paused or self._answers_another():  # we are, not the client
            self._whole_by = now + (limits.body_seconds if self._in_body else limits.head_seconds)
        elif self._is_idle():
            self.transport.close()
        else:
            self._refuse(RequestTooSlow())

    def make_room(self) -> None:
        """Go, because another one needs the place."""
        has_been_answered = self._running is not None and self._is_idle()
        if self._ended or has_been_answered or self.transport.is_closing():
            self.transport.abort()
        else:
            self._refuse(TooManyConnections())
            self.transport.close()
        self.table.leaves(self)

    def give_up(self) -> None:
        """Go, whatever state it is in."""
        self.transport.abort()
        self.table.leaves(self)

    def send_400_response(self, msg: str) -> None:
        """What uvicorn says where its parser stops."""
        self._refuse(self._fault)

    def _is_idle(self) -> bool:
        return not self._in_body and self._received == 0

    def _answers_another(self) -> bool:
        """Whether an answer is under way, to a request before the one that is coming in."""
        return self._unanswered > (1 if self._in_body else 0)

    def _refuse(self, error: RequestError) -> None:
        """Answer what is coming in with a problem, where there is room for one, and close."""
        if self._ended:
            return
        self._ended = True
        self._whole_by = None
        self.table.refused(error)
        if self._answers_another() and not self._in_body:
            self.cycle.keep_alive = False  # what was asked before is answered, and that is all
        elif self._in_body and self._unanswered and (self.pipeline or self.cycle.response_started):
            self._drop_answer()  # in the middle of it
            self.transport.close()
        else:
            self._drop_answer()
            if self._unanswered or not self._in_body:  # not answered yet
                self.transport.write(self._as_bytes(_answer(error)))
            self._linger()

    def _drop_answer(self) -> None:
        """Have the request that is being answered see that nobody waits for it any more.

        It need not be the one that came last, which is all that uvicorn tells.
        """
        if self._running is not None:
            self._running.disconnected = True
            self._running.message_event.set()

    def _linger(self) -> None:
        """Let the client read what was written before the connection is closed."""
        try:
            if self.transport.can_write_eof():
                self.transport.write_eof()
        except OSError:  # it has gone, which we had not been told yet
            self.transport.abort()
        self.flow.holding = False
        self.flow.resume_reading()
        self._closed_by = self.loop.time() + LINGER_SECONDS

    def _as_bytes(self, answer: Response) -> bytes:
        headers = [*self.server_state.default_headers, *answer.raw_headers]
        lines = [name + b": " + value + b"\r\n" for name, value in headers]
        return b"".join([STATUS_LINE[answer.status_code], *lines, b"\r\n", bytes(answer.body)])


async def _turn_away(scope: Scope, receive: Receive, send: Send) -> None:
    await _answer(TooManyConnections())(scope, receive, send)


def _answer(error: RequestError) -> Response:
    """The problem, as the application would answer it, and the last word on its connection."""
    token = correlation_id.set(uuid4().hex)
    try:
        answer = problems.response(error)
        answer.headers["x-request-id"] = correlation_id.get() or ""
    finally:
        correlation_id.reset(token)
    answer.headers["connection"] = "close"
    harden(answer.headers)
    return answer
