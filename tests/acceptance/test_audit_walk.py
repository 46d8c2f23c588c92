"""The auditor's walk, docs/audit.md, works as it is written.

Its shell blocks are run in order, in one shell, against a real ledger; only the port is another.
"""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest

from ledger.checkpoints import signing
from ledger.settings import Settings
from tests.servers.api_server import running_api
from tests.servers.warm_command import warm_command

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "audit.md"
ADDRESS = "http://127.0.0.1:8000"
_BLOCK = re.compile(r"^```bash\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NEXT = "@@@ next @@@"
_FAILED = "@@@ failed @@@"

SAYS = {
    "checkpoint key >": r"^\S+\+[0-9a-f]{8}\+\S{44}$",
    "field receipt.json receipt\n": r"'position': \d+",
    "checkpoints/latest": r"\n— ",
    "verify.py receipt": r"ok  The event at position \d+ is in the tree that was signed\.",
    "verify.py checkpoints": r"ok  The newer begins with the \d+ events of the older, unchanged\.",
    "tallystick checkpoint verify": r"It holds\.",
    "replay transaction": r"DepositCreated",
    "export case": r"Written and checked\..*README\.txt.*verify\.py",
    "cmp verify.py": r"PROVED, for whoever trusts the key.*PROVED, for whoever trusts the key",
    "forged/events.jsonl": r"NOT PROVED\. events\.jsonl: .* changed.*exit status 1",
}
"""By what is in a block: what is printed."""


@dataclass(frozen=True)
class Walked:
    """A block of the page, and what it printed."""

    block: str
    printed: str


@pytest.fixture(scope="module")
def walk(module_database: Settings, tmp_path_factory: pytest.TempPathFactory) -> list[Walked]:
    folder = tmp_path_factory.mktemp("walk")
    blocks = [found[1] for found in _BLOCK.finditer(PAGE.read_text())]
    script = "".join(f"{block}\necho '{_NEXT}'\n" for block in blocks)
    with running_api(module_database) as api, warm_command(tmp_path_factory.mktemp("warm")) as ours:
        api.fund(uuid4(), 5_000)
        signing.build(module_database, lambda: datetime.now(UTC)).sign_now()  # as `serve` has
        environment = _environment(module_database, ours) | {"KEY": api.keys["fina"]}
        walked = script.replace(ADDRESS, api.url)
        done = subprocess.run(
            ["bash", "-c", f"trap 'echo {_FAILED} $BASH_COMMAND' ERR\n{walked}"],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
    print(done.stdout, done.stderr)
    printed = done.stdout.split(f"{_NEXT}\n")
    assert len(printed) == len(blocks) + 1, "the shell ended early"
    return [Walked(*both) for both in zip(blocks, printed, strict=False)]


def _environment(settings: Settings, commands: Path) -> dict[str, str]:
    python = Path(sys.executable).parent
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TALLYSTICK")}
    kept.pop("DATABASE_URL", None)
    return kept | {
        "PATH": f"{commands}:{python}:{os.environ['PATH']}",
        "TALLYSTICK_DATA": str(settings.data),
        "TALLYSTICK_SYSTEM_DATA": str(settings.system_data),
        "TALLYSTICK_DATABASE_NAME": settings.database_name,
        "TALLYSTICK": str(ROOT),
        "TERM": "dumb",
        "COLUMNS": "200",
    }


def test_every_command_of_the_walk_works(walk: list[Walked]) -> None:
    assert len(walk) > 10
    failed = [line for w in walk for line in w.printed.splitlines() if _FAILED in line]
    assert not failed


@pytest.mark.parametrize("mark", SAYS)
def test_the_walk_says_what_it_promises(walk: list[Walked], mark: str) -> None:
    printed = [walked.printed for walked in walk if mark in walked.block]
    assert len(printed) == 1
    assert re.search(SAYS[mark], printed[0], re.DOTALL | re.MULTILINE), printed[0]
