"""While the database is away, every answer is true, and nothing has to be restarted after it."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import httpx2
from psycopg import sql

from ledger.settings import Settings
from tests.conftest import admin_connection
from tests.servers.api_server import Api, running_api, transaction_body


def test_an_outage_is_told_and_heals(database: Settings) -> None:
    with running_api(database) as api:
        player = uuid4()
        api.review(player)
        key, body = str(uuid4()), transaction_body(player, 7)
        _let_in(database, False)
        answers = _all_at_once(api, key, body)
        assert api.client.get("/livez").status_code == 200
        assert answers.pop("ready").json()["ready"] is False
        for name, answer in answers.items():
            assert answer.status_code in (503, 504), (name, answer.text)
            assert answer.headers["retry-after"], name
            assert answer.json()["code"] in (
                "database_unavailable",
                "store_unavailable",
                "outcome_unknown",
            )

        _let_in(database, True)
        # What is told to have failed may be repeated, and is carried out once all the same.
        created = _accepted(lambda: api.post("/v1/deposits", body, key=key))
        repeat = _accepted(lambda: api.post("/v1/deposits", body, key=key))
        assert repeat.content == created.content
        found = {
            "player_id": str(player),
            "amount_max": 7,
            "min_position": created.json()["position"],
        }
        listed = _accepted(lambda: api.get("/v1/transactions", params=found))
        assert [entry["id"] for entry in listed.json()["items"]] == [created.json()["id"]]
        assert _accepted(lambda: api.client.get("/readyz")).json()["ready"] is True


def _all_at_once(api: Api, key: str, body: dict[str, object]) -> dict[str, httpx2.Response]:
    stranger = {"authorization": f"Bearer tsk_0123456789abcdef_{'0' * 64}"}
    requests: dict[str, Callable[[], httpx2.Response]] = {
        "write": lambda: api.post("/v1/deposits", body, key=key),
        "read": lambda: api.get("/v1/transactions"),
        "ready": lambda: api.client.get("/readyz"),
        "figures": lambda: api.client.get("/metrics"),
        "stranger": lambda: api.client.get("/v1/providers", headers=stranger),
    }
    with ThreadPoolExecutor(len(requests)) as threads:
        futures = {name: threads.submit(request) for name, request in requests.items()}
        return {name: future.result() for name, future in futures.items()}


def _let_in(database: Settings, allowed: bool) -> None:
    """Open or shut the database, and throw out whoever is in it."""
    name = sql.Identifier(database.database_name)
    switch = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
    with admin_connection(database) as connection:
        connection.execute(switch.format(name, sql.SQL("true" if allowed else "false")))
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
            [database.database_name],
        )


def _accepted(send: Callable[[], httpx2.Response]) -> httpx2.Response:
    """The first answer that is not an outage."""
    deadline = time.monotonic() + 15
    while (answer := send()).status_code >= 500:
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.1)
    return answer
