"""The program at a terminal: help, JSON, refusals, and the first five minutes with `serve`."""

import json
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import click
import httpx2
import pytest
import typer
from typer.testing import CliRunner

from ledger.access.api_keys import StaffRole, create_key
from ledger.eventstore.database import Role, conninfo
from ledger.settings import Settings
from tallystick.cli.main import app
from tallystick.serve import bootstrap
from tests.servers.api_server import caller, services_over
from tests.servers.running import Place, place, until

READY_SECONDS_MAX = 60.0
SETTLED_SECONDS_MAX = 60.0


# --- help and wrong words: nothing is started ---------------------------------------------------


def _commands(command: click.Command, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield words
    for name, inner in getattr(command, "commands", {}).items():
        yield from _commands(inner, (*words, name))


COMMANDS = list(_commands(typer.main.get_command(app)))


def test_all_the_commands_are_there() -> None:
    assert {words[0] for words in COMMANDS if words} == {
        "serve",
        "db",
        "key",
        "export",
        "checkpoint",
        "proof",
        "archive",
        "replay",
        "rates",
        "policy",
        "verify",
        "rebuild",
        "doctor",
        "backtest",
        "demo",
        "population",
        "simulate-provider",
    }


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_explains_itself(words: tuple[str, ...]) -> None:
    answer = CliRunner().invoke(app, [*words, "--help"])
    assert answer.exit_code == 0
    assert "Usage:" in answer.output
    assert len(answer.output.splitlines()) > 4


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nonsense"], "No such command"),
        (["db", "nonsense"], "No such command"),
        (["serve", "nonsense"], "Invalid value"),
        (["verify", "--nonsense"], "No such option"),
        (["key", "create"], "Missing argument"),
        (["key", "create", "ann"], "Missing option '--role'"),
        (["key", "create", "ann", "--role", "boss"], "'boss' is not one of"),
        (["replay", "transaction", "not-a-uuid"], "Invalid value"),
        (["replay", "transaction", str(uuid4()), "--as-of", "yesterday"], "Invalid value"),
        (["rates", "import"], "Missing argument"),
        (["rates", "import", "/nowhere/eurofxref.csv"], "does not exist"),
        (["rates", "import", "/"], "is a directory"),
        (["rates", "import", __file__, "--day", "20 November 2026"], "Invalid value"),
        (["policy", "nonsense"], "No such command"),
        (["demo", "--transactions", "5"], "Invalid value"),
        (["simulate-provider", "--port", "70000"], "Invalid value"),
    ],
)
def test_wrong_words_are_refused_with_a_reason(words: list[str], said: str) -> None:
    with place() as here:
        answer = here.invoke(*words)
        assert answer.exit_code == 2
        assert said in answer.stderr
        assert not answer.stdout
        assert not here.settings.data.exists(), "something was set up all the same"


def test_faults_that_do_not_exist_are_refused_before_anything_is_started() -> None:
    with place() as here:
        answer = here.run("demo", "--faults", "nonsense", timeout_seconds=30.0)
        assert answer.returncode == 2
        assert "nonsense" in answer.stderr
        assert "Traceback" not in answer.stderr
        assert not here.settings.data.exists(), "something was set up all the same"


# --- where there is no ledger, or an empty one --------------------------------------------------


def test_what_has_never_been_started_is_said_in_json() -> None:
    with place() as here:
        status = here.invoke("db", "status", "--json")
        assert status.exit_code == 3
        assert json.loads(status.stdout)["accepting"] is False
        doctor = here.invoke("doctor", "--json")
        assert doctor.exit_code == 1
        failed = [check for check in json.loads(doctor.stdout) if not check["ok"]]
        assert failed
        assert all(check["remedy"] for check in failed)


def test_an_empty_ledger_is_sound(database: Settings) -> None:
    here = Place(database.data.parent)
    name = {"TALLYSTICK_DATABASE_NAME": database.database_name}
    verified = here.invoke("verify", "--json", **name)
    assert verified.exit_code == 0, verified.stderr
    found = json.loads(verified.stdout)
    assert (found["ok"], found["events"]) == (True, 0)
    unknown = here.invoke("replay", "transaction", str(uuid4()), "--json", **name)
    assert unknown.exit_code == 1
    assert "there is no transaction" in json.loads(unknown.stdout)["error"]


# --- rates and the approval policy --------------------------------------------------------------

ECB = """Date, USD, JPY, BGN,
20 November 2026, 1.1529, 180.49, 1.9558,
"""
HISTORY = """Date,USD,JPY,
2026-11-20,1.1529,180.49,
2026-11-19,1.1600,180.00,
"""
WRONG = """base,quote,rate,as_of
EUR,USD,1.1529,2026-11-20
EUR,JPY,180;49,2026-11-20
"""


def keys(settings: Settings) -> dict[str, str]:
    """By person: two of finance, and one of support."""
    owner = conninfo(settings, Role.OWNER)
    roles = {"ann": StaffRole.FINANCE, "bea": StaffRole.FINANCE, "sam": StaffRole.SUPPORT}
    return {person: create_key(owner, person, role) for person, role in roles.items()}


class Treasury:
    """Rates at a terminal: what a job imports, and what persons do."""

    def __init__(self, settings: Settings, file: Path) -> None:
        self.here = Place(settings.data.parent)
        self.name = {"TALLYSTICK_DATABASE_NAME": settings.database_name}
        self.file = file
        bootstrap.prepare(settings)
        self.keys = keys(settings)

    def said(self, *arguments: str, by: str | None = None, fails: bool = False) -> dict[str, Any]:
        """What a command answers in JSON."""
        environment = {**self.name, **({"TALLYSTICK_KEY": self.keys[by]} if by else {})}
        answer = self.here.invoke(*arguments, "--json", **environment)
        assert (answer.exit_code != 0) is fails, answer.stdout
        found: dict[str, Any] = json.loads(answer.stdout)
        return found

    def imports(self, text: str, *more: str, by: str | None = None) -> dict[str, Any]:
        self.file.write_text(text)
        return self.said("rates", "import", str(self.file), *more, by=by)

    def approves(self, proposal: dict[str, Any], by: str) -> dict[str, Any]:
        return self.said("rates", "approve", proposal["id"], "--note", "checked", by=by)

    def dollars(self) -> str:
        rates: dict[str, str] = self.said("rates", "show")["rates"]
        return rates["USD"]


@pytest.fixture
def treasury(database: Settings, tmp_path: Path) -> Treasury:
    return Treasury(database, tmp_path / "eurofxref.csv")


def test_a_file_of_rates_waits_for_two_people_and_is_imported_once(treasury: Treasury) -> None:
    here, name, file = treasury.here, treasury.name, str(treasury.file)
    none_yet = here.invoke("rates", "show", **name)
    assert none_yet.exit_code == 1
    assert "tallystick rates import FILE" in none_yet.stderr

    found = treasury.imports(ECB)
    proposal = found.pop("proposal")
    heading = {"source": "ecb", "base": "EUR", "as_of": "2026-11-20"}
    assert found == {
        **heading,
        "table": None,
        "published": False,
        "rates": 2,
        "skipped": ["BGN"],
    }
    assert (proposal["person"], proposal["rates"]["JPY"]) == (None, "180.49")
    assert treasury.imports(ECB)["proposal"] == proposal
    said = here.invoke("rates", "import", file, **name)
    assert "Waiting for two people" in said.stdout
    assert f"tallystick rates approve {proposal['id']}" in said.stdout
    shown = here.invoke("rates", "show", **name)
    assert "No rates are in force." in shown.stdout
    assert "180.49" in shown.stdout

    first = treasury.approves(proposal, "ann")
    assert (first["table"], first["proposal"]["person"]) == (None, "ann")
    refused = treasury.said("rates", "approve", proposal["id"], by="ann", fails=True)
    assert "Another person" in refused["error"]
    assert treasury.approves(proposal, "bea") == {"table": "ecb-2026-11-20", "proposal": None}

    again = treasury.imports(ECB)
    assert again == {**found, "table": "ecb-2026-11-20", "proposal": None}
    said = here.invoke("rates", "import", file, **name)
    assert (said.exit_code, said.stdout.count("nothing changed")) == (0, 1)
    table = here.invoke("rates", "show", **name)
    assert "ecb-2026-11-20, by ann and bea" in table.stdout
    assert "180.49" in table.stdout
    assert treasury.said("rates", "show")["proposals"] == []


def test_a_person_at_a_terminal_is_who_has_the_key(treasury: Treasury) -> None:
    proposal = treasury.imports(ECB, by="ann")["proposal"]
    assert proposal["person"] == "ann"
    for person, problem in (("ann", "Another person"), ("sam", "finance or compliance")):
        refused = treasury.said("rates", "approve", proposal["id"], by=person, fails=True)
        assert problem in refused["error"]
    nobody = treasury.here.invoke("rates", "approve", proposal["id"], **treasury.name)
    assert (nobody.exit_code, "--key" in nobody.stderr) == (2, True)
    forged = {**treasury.name, "TALLYSTICK_KEY": f"tsk_{'0' * 16}_{'0' * 64}"}
    stranger = treasury.here.invoke("rates", "approve", proposal["id"], **forged)
    assert (stranger.exit_code, "no such key" in stranger.stderr) == (1, True)
    treasury.file.write_text(ECB.replace("1.1529", "1.16"))
    refused = treasury.said("rates", "import", str(treasury.file), by="sam", fails=True)
    assert "proposed by finance" in refused["error"]
    assert treasury.approves(proposal, "bea")["table"] == "ecb-2026-11-20"


def test_the_job_of_a_trusted_source_repairs_near_rates_and_people_far_ones(
    database: Settings, treasury: Treasury
) -> None:
    treasury.approves(treasury.imports(ECB, by="ann")["proposal"], "bea")
    with services_over(database) as services:
        for person in ("ann", "bea"):
            by = caller(f"operator:{person}", "finance")
            services.rates.trust("ecb", "our own job fetches it", by)

    tables = [treasury.imports(text) for text in (ECB.replace("1.1529", "1.2"), ECB)]
    assert [(one["table"], one["published"]) for one in tables] == [
        ("ecb-2026-11-20-2", True),
        ("ecb-2026-11-20-3", True),
    ]
    assert treasury.dollars() == "1.1529"

    wrong = ECB.replace("1.1529", "11.529")
    waiting = treasury.imports(wrong)
    assert (waiting["published"], treasury.dollars()) == (False, "1.1529")
    assert "EUR is worth in USD moves by more than 10 %" in waiting["proposal"]["beyond"]
    for person in ("ann", "bea"):
        treasury.approves(waiting["proposal"], person)
    assert treasury.dollars() == "11.529"

    right = treasury.imports(ECB)
    assert (right["published"], treasury.dollars()) == (False, "11.529")
    for person in ("ann", "bea"):
        treasury.approves(right["proposal"], person)
    assert treasury.dollars() == "1.1529"
    assert treasury.imports(ECB)["published"] is False


def test_a_job_puts_its_table_back_in_force_after_one_of_another_source(
    treasury: Treasury,
) -> None:
    own = treasury.file.with_name("own.csv")
    own.write_text("base,quote,rate,as_of\nEUR,USD,1.2,2026-11-20\nEUR,JPY,190,2026-11-20\n")
    for file in (treasury.file, own, treasury.file):
        treasury.file.write_text(ECB)
        waiting = treasury.said("rates", "import", str(file)).get("proposal")
        for person in ("ann", "bea") if waiting else ():
            treasury.approves(waiting, person)
    assert treasury.dollars() == "1.1529"


def test_of_a_history_any_day_is_imported(treasury: Treasury) -> None:
    found = treasury.imports(HISTORY, "--day", "2026-11-19")
    assert (found["as_of"], found["proposal"]["rates"]["USD"]) == ("2026-11-19", "1.16")


def test_what_is_wrong_with_a_file_of_rates_is_named_by_line_and_column(
    database: Settings, tmp_path: Path
) -> None:
    here = Place(database.data.parent)
    name = {"TALLYSTICK_DATABASE_NAME": database.database_name}
    file = tmp_path / "own.csv"
    file.write_text(WRONG)
    answer = here.invoke("rates", "import", str(file), **name)
    assert answer.exit_code == 1
    assert "own.csv, line 3, column rate" in answer.stderr
    assert not answer.stdout
    told = here.invoke("rates", "import", str(file), "--json", **name)
    assert (told.exit_code, "line 3" in json.loads(told.stdout)["error"]) == (1, True)
    assert here.invoke("rates", "show", **name).exit_code == 1, "nothing was published"


def test_the_approval_policy_is_shown(database: Settings) -> None:
    here = Place(database.data.parent)
    name = {"TALLYSTICK_DATABASE_NAME": database.database_name}
    shown = json.loads(here.invoke("policy", "show", "--json", **name).stdout)
    assert (shown["name"], shown["proposal"]) == ("default-1", None)
    assert shown["terms"]["tiers"][-1]["limit_major"] is None
    said = here.invoke("policy", "show", **name)
    assert said.exit_code == 0
    assert "up to 2000 EUR: fraud or finance" in said.stdout
    assert "above: fraud and finance and compliance" in said.stdout


# --- `serve` ------------------------------------------------------------------------------------


@dataclass
class Served:
    """A ledger that was started the way a person starts one."""

    here: Place
    url: str
    environment: dict[str, str]
    process: "subprocess.Popen[bytes]"
    first_said: str = ""
    """What it printed when it was started for the first time."""

    def json(self, *words: str) -> Any:
        answer = self.here.invoke(*words, "--json", **self.environment)
        assert answer.exit_code == 0, answer.stderr or answer.stdout
        return json.loads(answer.stdout)


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with place() as here:
        port, simulator_port = _free_ports(2)
        environment = {
            "TALLYSTICK_PORT": str(port),
            "TALLYSTICK_SIMULATOR_PORT": str(simulator_port),
            "TALLYSTICK_LOG_LEVEL": "warning",
        }
        process = here.start("serve", name="serve", **environment)
        made = Served(here, f"http://127.0.0.1:{port}", environment, process)
        _until_ready(made)
        made.first_said = here.said("serve")
        yield made
        _stop(made)


def _until_ready(served: Served) -> None:
    def answers() -> bool:
        try:
            return httpx2.get(f"{served.url}/readyz").is_success
        except httpx2.TransportError:
            return False

    until(answers, "the API", READY_SECONDS_MAX, gone=lambda: served.process.poll() is not None)


def _stop(served: Served) -> None:
    served.process.send_signal(signal.SIGTERM)
    assert served.process.wait(timeout=30) == 0


def _free_ports(count: int) -> list[int]:
    with ExitStack() as open_until_drawn:
        listeners = [open_until_drawn.enter_context(socket.socket()) for _ in range(count)]
        for listener in listeners:
            listener.bind(("127.0.0.1", 0))
        return [listener.getsockname()[1] for listener in listeners]


def _printed_requests(said: str) -> list[str]:
    """The commands to paste, each on one line."""
    found = re.findall(r"^  (curl .*?)\n\n", said, re.DOTALL | re.MULTILINE)
    return [re.sub(r"\s*\\\n\s*", " ", command) for command in found]


def _paste(command: str) -> Any:
    """Run it in a shell; where there is no curl, send the request that it would."""
    if shutil.which("curl"):
        answer = subprocess.run(
            ["sh", "-c", command], capture_output=True, text=True, timeout=30, check=True
        )
        return json.loads(answer.stdout)
    (url,) = re.findall(r"(http://[^\s']+)", command)
    headers = dict(pair.split(": ", 1) for pair in re.findall(r"-H '([^']*)'", command))
    bodies = re.findall(r"-d '([^']*)'", command)
    if bodies:
        return httpx2.post(url, headers=headers, content=bodies[0]).json()
    return httpx2.get(url, headers=headers).json()


def test_what_serve_prints_works_when_pasted(served: Served) -> None:
    said = served.first_said
    assert said.count("Your API key, shown this once: ") == 1
    assert served.url in said
    pay_in, see_it = _printed_requests(said)
    created = _paste(pay_in)
    assert (created["kind"], created["amount"]) == (
        "deposit",
        {"amount": 1050, "currency": "EUR"},
    )

    def settled() -> Any:
        (seen,) = _paste(see_it)["items"]
        assert seen["id"] == created["id"]
        return seen["status"] in ("completed", "failed", "voided", "expired", "review") and seen

    until(lambda: _has_items(see_it), "the deposit to be listed", SETTLED_SECONDS_MAX)
    seen = until(settled, "the deposit to settle", SETTLED_SECONDS_MAX)

    assert _paste(pay_in) == created, "pasted twice, it is one deposit"
    told = served.json("replay", "transaction", created["id"])
    assert told["kind"] == "deposit"
    assert told["steps"][0]["event"] == "DepositCreated"
    assert told["steps"][-1]["after"] == seen["status"]
    read = served.here.run("replay", "transaction", created["id"], **served.environment).stdout
    assert read.startswith(
        f"deposit {created['id']} of 10.50 EUR for player {created['player_id']}"
    )
    assert "answer about attempt 1" in read
    early = served.json("replay", "transaction", created["id"], "--as-of", str(created["position"]))
    assert [step["position"] for step in early["steps"]] == [created["position"]]


def _has_items(command: str) -> bool:
    return len(_paste(command)["items"]) == 1


def test_a_second_one_is_refused_with_a_remedy(served: Served) -> None:
    for words in (["serve"], ["demo", "--transactions", "20"]):
        answer = served.here.run(*words, **served.environment)
        assert answer.returncode == 1
        assert "is running on the database 'tallystick' already" in answer.stderr
        assert "TALLYSTICK_DATABASE_NAME" in answer.stderr
        assert "Traceback" not in answer.stderr


def test_json_is_json(served: Served) -> None:
    assert all(check["ok"] for check in served.json("doctor"))
    assert served.json("db", "status")["accepting"] is True
    assert served.json("db", "migrate")["applied"]
    assert served.json("verify")["ok"] is True


def test_a_key_is_made_listed_and_revoked(served: Served) -> None:
    made = served.json("key", "create", "carla", "--role", "fraud")
    assert (made["person"], made["role"]) == ("carla", "fraud")
    headers = {"authorization": f"Bearer {made['key']}"}
    path = f"{served.url}/v1/transactions"
    assert httpx2.get(path, headers=headers).status_code == 200

    (listed,) = [key for key in served.json("key", "list") if key["person"] == "carla"]
    assert listed["revoked_at"] is None
    assert "key" not in listed
    assert served.json("key", "revoke", listed["id"]) == {"revoked": listed["id"]}
    (listed,) = [key for key in served.json("key", "list") if key["person"] == "carla"]
    assert listed["revoked_at"] is not None
    until(
        lambda: httpx2.get(path, headers=headers).status_code == 401,
        "the key to be forgotten",
        READY_SECONDS_MAX,
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["key", "revoke", "0123456789"], "There is no such key"),
        (["key", "create", "", "--role", "finance"], "person"),
        (["key", "create", "owner", "--role", "finance"], "one role"),
        (["replay", "transaction", str(uuid4())], "there is no transaction"),
    ],
)
def test_what_cannot_be_done_is_said(served: Served, words: list[str], said: str) -> None:
    answer = served.here.invoke(*words, **served.environment)
    assert answer.exit_code == 1
    assert said in answer.stderr


def test_stopped_and_started_again_it_prints_no_other_key(served: Served) -> None:
    _stop(served)
    assert served.here.processes() == []
    served.process = served.here.start("serve", name="again", **served.environment)
    _until_ready(served)
    said = served.here.said("again")
    assert "Your API key" not in said
    assert "tallystick key create" in said
