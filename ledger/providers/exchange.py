"""One request to a provider and its answer: by a deadline over the whole, or not at all.

The time-outs of a socket, and so those of HTTP clients, end the wait for the next byte and start
anew with it: an answer that trickles never trips them. Here every wait gets what is left until the
deadline, whatever it is for.
"""

import socket
import ssl
import threading
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final

import httpcore2
from httpcore2 import SOCKET_OPTION

from domain.events.evidence import Outcome

CONNECTIONS_MAX: Final = 32
BODY_BYTES_MAX: Final = 64 * 1024
# Shorter than servers keep idle connections, so that none is closed under a request.
IDLE_SECONDS_MAX: Final = 4.0

_NO_ANSWER: Final = (
    httpcore2.TimeoutException,
    httpcore2.NetworkError,
    httpcore2.ProtocolError,
    httpcore2.UnsupportedProtocol,
    OSError,  # of TLS
)


@dataclass(frozen=True, slots=True)
class Reply:
    """What the provider answered, unread."""

    status_code: int
    content: bytes


class Exchanges:
    """Connections to one provider. May be shared between threads."""

    def __init__(self, base_url: str, headers: Mapping[str, str]) -> None:
        """`headers` go with every request."""
        self._base_url = base_url.rstrip("/")
        # What comes packed could be small, and endless when it is unpacked.
        self._headers = {**headers, "accept-encoding": "identity", "user-agent": "tallystick"}
        self._call = _Call()
        self._network = _Network(self._call)
        self._pool = httpcore2.ConnectionPool(
            ssl_context=httpcore2.default_ssl_context(),
            max_connections=CONNECTIONS_MAX,
            max_keepalive_connections=CONNECTIONS_MAX,
            keepalive_expiry=IDLE_SECONDS_MAX,
            network_backend=self._network,
        )

    def close(self) -> None:
        """Close the connections, when no request is under way."""
        self._pool.close()
        self._network.close()

    def ask(
        self,
        method: str,
        path: str,
        *,
        timeout_seconds: float,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> Reply | Outcome:
        """Make one request: the reply, or `not_sent` or `unknown` if there is none.

        The time-out is for everything together: finding the address, connecting, sending, and the
        last byte of the answer. `not_sent` is only what no byte was sent of.
        """
        self._call.begin(timeout_seconds)
        try:
            with self._pool.stream(
                method,
                self._base_url + path,
                headers=list({**self._headers, **(headers or {})}.items()),
                content=content,
                extensions={"timeout": {"pool": timeout_seconds}},
            ) as response:
                body = bytearray()
                for chunk in response.iter_stream():
                    body += chunk
                    if len(body) > BODY_BYTES_MAX:
                        return Outcome.UNKNOWN
                return Reply(response.status, bytes(body))
        except _NO_ANSWER:
            return Outcome.UNKNOWN if self._call.sending else Outcome.NOT_SENT


class _Call(threading.local):
    """The call that this thread makes."""

    deadline = 0.0
    sending = False
    """Some of the request may have gone out."""

    def begin(self, timeout_seconds: float) -> None:
        self.deadline = monotonic() + timeout_seconds
        self.sending = False

    def left_seconds(self, too_late: type[httpcore2.TimeoutException]) -> float:
        """Until the deadline.

        Raises:
            TimeoutException: it has passed, as the type that was given.
        """
        left_seconds = self.deadline - monotonic()
        if left_seconds <= 0:
            raise too_late("the deadline of the call")
        return left_seconds


class _Network(httpcore2.NetworkBackend):
    """Connects by the deadline."""

    def __init__(self, call: _Call) -> None:
        self._call = call
        self._sockets = httpcore2.SyncBackend()
        # The system's resolver knows no time-out: it is asked by others, who may be left to wait.
        self._resolvers = ThreadPoolExecutor(CONNECTIONS_MAX, thread_name_prefix="resolver")

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        """Try one address after the other."""
        error: Exception = httpcore2.ConnectError(f"{host} has no address")
        for address in self._addresses(host, port):
            left_seconds = self._call.left_seconds(httpcore2.ConnectTimeout)
            try:
                connected = self._sockets.connect_tcp(
                    address, port, left_seconds, local_address, socket_options
                )
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as failed:
                error = failed
            else:
                return _Stream(connected, self._call)
        raise error

    def _addresses(self, host: str, port: int) -> list[str]:
        left_seconds = self._call.left_seconds(httpcore2.ConnectTimeout)
        asked = self._resolvers.submit(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        try:
            return [str(address[0]) for *_, address in asked.result(left_seconds)]
        except TimeoutError as error:
            raise httpcore2.ConnectTimeout(f"{host} is not found in time") from error
        except OSError as error:
            raise httpcore2.ConnectError(str(error)) from error

    def close(self) -> None:
        self._resolvers.shutdown(wait=False)


class _Stream(httpcore2.NetworkStream):
    """A connection whose every wait ends by the deadline of the call that it is used for."""

    def __init__(self, stream: httpcore2.NetworkStream, call: _Call) -> None:
        self._stream, self._call = stream, call

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._call.left_seconds(httpcore2.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Not by the stream below: it waits anew for each part that goes out."""
        connection = self._stream.get_extra_info("socket")
        unsent = memoryview(buffer)
        while unsent:
            connection.settimeout(self._call.left_seconds(httpcore2.WriteTimeout))
            self._call.sending = True
            try:
                unsent = unsent[connection.send(unsent) :]
            except TimeoutError as error:
                raise httpcore2.WriteTimeout(str(error)) from error
            except OSError as error:
                # An answer may have come all the same: the client goes on to read.
                raise httpcore2.WriteError(str(error)) from error

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore2.NetworkStream:
        left_seconds = self._call.left_seconds(httpcore2.ConnectTimeout)
        return _Stream(
            self._stream.start_tls(ssl_context, server_hostname, left_seconds), self._call
        )

    def close(self) -> None:
        self._stream.close()

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
