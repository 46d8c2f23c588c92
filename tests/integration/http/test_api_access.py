"""Who may come in, who may agree with whom, and what never shows."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import psycopg
import pytest
from structlog.testing import capture_logs

from ledger.access.api_keys import (
    Holder,
    InvalidPerson,
    Keys,
    StaffRole,
    UnknownKey,
    create_key,
    list_keys,
    revoke_key,
)
from ledger.eventstore import database
from ledger.eventstore.database import Role
from ledger.settings import Settings
from tests.servers.api_server import Api, notice_body, running_api

NOTICES = "/v1/providers/simulator/notices"


@pytest.fixture(scope="module")
def api(module_database: Settings) -> Iterator[Api]:
    with running_api(module_database) as api:
        yield api


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer tsk_",
        "Bearer tsk_0123456789abcdef_" + "0" * 64,
        "Basic dXNlcjpwYXNz",
        "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbm5hIn0.",
    ],
)
def test_without_a_valid_key_nobody_comes_in(api: Api, authorization: str | None) -> None:
    headers = {} if authorization is None else {"authorization": authorization}
    with capture_logs() as logs:
        answer = api.client.get("/v1/transactions", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert any(entry["event"] == "access.denied" for entry in logs)


def test_the_secret_of_another_key_does_not_fit(api: Api) -> None:
    anna, ben = (api.keys[person].split("_") for person in ("anna", "ben"))
    mixed = f"tsk_{anna[1]}_{ben[2]}"
    answer = api.client.get("/v1/providers", headers={"authorization": f"Bearer {mixed}"})
    assert answer.status_code == 401


def test_every_route_but_webhooks_and_health_needs_a_key(api: Api) -> None:
    document = api.client.get("/openapi.json").json()
    open_paths = {"/livez", "/readyz", "/metrics", "/v1/providers/{name}/notices"}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert bool(operation.get("security")) is (path not in open_paths)
            if path not in open_paths:
                url = path.replace("{name}", "simulator")
                for parameter in ("transaction_id", "deposit_id", "withdrawal_id", "player_id"):
                    url = url.replace(f"{{{parameter}}}", str(uuid4()))
                assert api.client.request(method, url).status_code == 401


def test_a_stranger_cannot_make_the_server_read_a_body(api: Api) -> None:
    answer = api.client.post("/v1/deposits", content=b" " * 2_000_000)
    assert answer.status_code == 401


def test_a_revoked_key_stops_working(api: Api) -> None:
    owner = database.conninfo(api.settings, Role.OWNER)
    now = 0.0
    keys = Keys(database.conninfo(api.settings, Role.WRITER), clock=lambda: now)
    try:
        key = create_key(owner, "carla", StaffRole.FRAUD)
        assert keys.holder_of(key) == Holder("carla", StaffRole.FRAUD)
        revoke_key(owner, key.split("_")[1])
        assert keys.holder_of(key) == Holder("carla", StaffRole.FRAUD)  # for a few seconds
        now = 5.1
        assert keys.holder_of(key) is None
        with pytest.raises(UnknownKey):
            revoke_key(owner, key.split("_")[1])
    finally:
        keys.close()
    listed = {record.person: record for record in list_keys(owner)}
    assert listed["carla"].role is StaffRole.FRAUD
    assert listed["carla"].revoked_at is not None
    assert listed["anna"].revoked_at is None


def test_only_a_hash_of_a_key_is_stored(api: Api) -> None:
    with psycopg.connect(database.conninfo(api.settings, Role.WRITER)) as connection:
        stored = str(connection.execute("SELECT * FROM api_keys").fetchall())
    assert not any(key.split("_")[2] in stored for key in api.keys.values())


def test_the_reader_cannot_see_the_keys(api: Api) -> None:
    reader = database.conninfo(api.settings, Role.READER)
    with (
        psycopg.connect(reader) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute("SELECT 1 FROM api_keys")


@pytest.mark.parametrize("person", ["", "Anna", "a\nb", "operator:anna", "x" * 64])
def test_a_person_has_a_plain_name(person: str) -> None:
    with pytest.raises(InvalidPerson):
        create_key("", person, StaffRole.FINANCE)


def test_nobody_approves_their_own_withdrawal_with_any_of_their_keys(api: Api) -> None:
    waiting = api.review(uuid4())
    owner = database.conninfo(api.settings, Role.OWNER)
    second_key = create_key(owner, "platform", StaffRole.PLATFORM)
    for key in (api.keys["platform"], second_key):
        answer = api.post(
            f"/v1/withdrawals/{waiting['id']}/approve",
            {"note": "fine"},
            headers={"authorization": f"Bearer {key}"},
        )
        assert (answer.status_code, answer.json()["code"]) == (403, "self_approval")


def test_an_id_that_is_nobodys_is_not_found_and_logged(api: Api) -> None:
    with capture_logs() as logs:
        answer = api.get(f"/v1/transactions/{uuid4()}")
        deadline = time.monotonic() + 5
        while not logs and time.monotonic() < deadline:
            time.sleep(0.01)  # the line is written once the answer is on its way
    assert (answer.status_code, answer.json()["code"]) == (404, "transaction_not_found")
    line = next(entry for entry in logs if entry["event"] == "http.request")
    assert (line["status"], line["person"], line["request_id"]) == (
        404,
        "platform",
        answer.json()["request_id"],
    )


def test_the_id_of_a_deposit_is_no_withdrawal(api: Api) -> None:
    deposit = api.deposit(uuid4()).json()
    answer = api.post(f"/v1/withdrawals/{deposit['id']}/approve", {"note": ""})
    assert answer.status_code == 404


def test_secrets_show_nowhere(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    secrets = [key.split("_")[2] for key in api.keys.values()]
    secrets += [api.secrets.webhook_secret.removeprefix("whsec_"), api.secrets.token]
    wrong = "tsk_0123456789abcdef_" + "c0ffee" * 10 + "c0ff"
    with capture_logs() as logs:
        answers = [
            api.deposit(uuid4()),
            api.deposit(uuid4(), instrument="\x00"),
            api.get("/v1/transactions", params={"nothing": "1"}),
            api.client.get("/v1/providers", headers={"authorization": f"Bearer {wrong}"}),
            api.client.get("/metrics"),
            api.client.get("/readyz"),
            api.client.get("/openapi.json"),
            api.client.post(NOTICES, content=b"{}", headers={"webhook-signature": wrong}),
        ]
    shown = str(logs) + caplog.text + repr(api.services)
    shown += "".join(answer.text + str(answer.headers) for answer in answers)
    for secret in (*secrets, wrong.split("_")[2]):
        assert secret not in shown


def test_lines_of_the_log_cannot_be_forged(api: Api) -> None:
    with capture_logs() as logs:
        api.get("/v1/transactions/%0a%1b[31mforged")
        api.client.get("/%0aforged", headers={"x-request-id": "a\x1bforged"})
    assert "forged" not in str(logs)


# --- notices of providers -----------------------------------------------------------------------


def test_a_notice_is_recorded_once(api: Api) -> None:
    deposit = UUID(api.deposit(uuid4()).json()["id"])
    api.dispatch.submit(deposit)
    body, message_id = notice_body(deposit, 5_000), f"msg_{uuid4().hex}"
    first = api.notify(body, message_id=message_id)
    assert (first.status_code, first.content) == (204, b"")
    repeat = api.notify(body, message_id=message_id)
    assert (repeat.status_code, repeat.json()) == (200, {"repeated": True})
    api.act_on_notices()
    api.act_on_notices()
    assert api.get(f"/v1/transactions/{deposit}").json()["status"] == "completed"


@pytest.mark.parametrize(
    "changes",
    [
        {"webhook-signature": ""},
        {"webhook-signature": "v1,AAAA"},
        {"webhook-signature": "v2,"},
        {"webhook-id": ""},
        {"webhook-timestamp": "soon"},
        {"webhook-timestamp": ""},
    ],
)
def test_a_notice_without_a_good_signature_is_refused(api: Api, changes: dict[str, str]) -> None:
    body = notice_body(uuid4(), 1)
    headers = api.notice_headers(body, "msg_1") | changes
    answer = api.client.post(NOTICES, content=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "notice_refused")


def test_a_signature_of_an_unknown_version_is_refused(api: Api) -> None:
    body = notice_body(uuid4(), 1)
    headers = api.notice_headers(body, "msg_1")
    headers["webhook-signature"] = headers["webhook-signature"].replace("v1,", "v9,")
    assert api.client.post(NOTICES, content=body, headers=headers).status_code == 401


def test_one_good_signature_among_several_is_enough(api: Api) -> None:
    body = notice_body(uuid4(), 1)
    headers = api.notice_headers(body, f"msg_{uuid4().hex}")
    headers["webhook-signature"] = f"v9,x v1,AAAA {headers['webhook-signature']}"
    assert api.client.post(NOTICES, content=body, headers=headers).status_code == 204


@pytest.mark.parametrize("seconds", [-301, 302])
def test_a_notice_of_another_time_is_refused(api: Api, seconds: int) -> None:
    at = datetime.now(UTC) + timedelta(seconds=seconds)
    assert api.notify(notice_body(uuid4(), 1), at=at).status_code == 401


def test_a_changed_body_is_refused(api: Api) -> None:
    body = notice_body(uuid4(), 1)
    headers = api.notice_headers(body, "msg_1")
    changed = body.replace(b"succeeded", b"declined!")
    assert api.client.post(NOTICES, content=changed, headers=headers).status_code == 401


def test_a_signed_notice_that_cannot_be_read_is_refused(api: Api) -> None:
    assert api.notify(b'{"status": "4111111111111111"}').status_code == 401


def test_a_notice_is_bounded_before_it_is_verified(api: Api) -> None:
    answer = api.client.post(NOTICES, content=b" " * 1_000_001)
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


def test_a_notice_of_an_unknown_provider_is_not_found(api: Api) -> None:
    answer = api.client.post("/v1/providers/nobody/notices", content=b"{}")
    assert (answer.status_code, answer.json()["code"]) == (404, "provider_not_found")


def test_a_nul_in_a_notice_does_not_keep_the_rest_from_being_heard(api: Api) -> None:
    created = api.deposit(uuid4()).json()["id"]
    api.dispatch.submit(UUID(created))
    api.report(notice_body(UUID(created), 5_000, provider_reference="sim\0_1"))
    found = api.transaction(created)
    assert (found["status"], found["provider_reference"]) == ("completed", "(dropped)")


def test_card_data_in_a_notice_is_dropped_before_it_is_stored(api: Api) -> None:
    card = "4242 4242 4242 4242"
    decline = {"code": "do_not_honour", "raw_code": f";{card}=2512101"}
    body = notice_body(uuid4(), 1, status="declined", decline=decline, provider_reference=card)
    assert api.notify(body).status_code == 204
    events = api.get(
        "/v1/events", params={"topic": "ProviderNoticeReceived", "limit": 1_000}
    ).json()
    assert events["items"][-1]["data"]["raw_code"] == "(dropped)"
    assert card not in str(events)
