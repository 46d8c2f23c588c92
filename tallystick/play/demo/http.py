"""The demo's people at the API: each with a key, patient while parts of the ledger restart."""

from collections.abc import Mapping
from typing import Any

import httpx2
import stamina

PATIENCE_SECONDS = 180.0
CONNECTIONS_MAX = 64


class Busy(Exception):
    """The API cannot answer right now; the same request may be sent again."""


class Refused(Exception):
    """The API understood the request and will not do it."""

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        super().__init__(f"{status} {problem.get('code')}: {problem.get('detail')}")
        self.status = status
        self.code = str(problem.get("code"))


class Person:
    """Somebody with an API key. Every write carries an idempotency key, so that it may be
    repeated after a cut connection without being done twice."""

    def __init__(self, client: httpx2.Client, key: str) -> None:
        self._client = client
        self._headers = {"Authorization": f"Bearer {key}"}

    def post(self, path: str, body: Mapping[str, Any], *, key: str) -> dict[str, Any]:
        """The answer to a write.

        Raises:
            Refused: the API will not do it.
        """
        return self._send("POST", path, json=body, headers={"Idempotency-Key": key})

    def put(self, path: str, body: Mapping[str, Any], *, key: str) -> dict[str, Any]:
        """As `post`."""
        return self._send("PUT", path, json=body, headers={"Idempotency-Key": key})

    def get(self, path: str, **parameters: Any) -> dict[str, Any]:
        """The answer to a query."""
        return self._send("GET", path, params=parameters)

    @stamina.retry(
        on=(Busy, httpx2.TransportError),
        attempts=None,
        timeout=PATIENCE_SECONDS,
        wait_initial=0.05,
        wait_max=1.0,
    )
    def _send(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        headers = {**self._headers, **request.pop("headers", {})}
        answer = self._client.request(method, path, headers=headers, **request)
        if answer.status_code in (429, 502, 503, 504):
            raise Busy(f"{answer.status_code} from {path}")
        content: dict[str, Any] = answer.json() if answer.content else {}
        if answer.status_code == 409 and content.get("code") in ("too_contended", "in_flight"):
            raise Busy(str(content.get("code")))
        if answer.is_error:
            raise Refused(answer.status_code, content)
        return content
