"""Case bundles of a ledger with all kinds of transactions, for tests."""

import importlib.util
import io
import json
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import UUID

import replay.case
from ledger.checkpoints.checkpoint import Checkpoint
from ledger.checkpoints.note import Signer, sign
from ledger.checkpoints.signing import CheckpointSigner
from ledger.checkpoints.state import StateFile
from ledger.eventstore.database import Role, conninfo
from ledger.eventstore.merkle import Frontier, leaf_hash
from ledger.settings import Settings

SCRIPT = Path(replay.case.__file__).with_name("verify.py")
SIGNER = Signer("tallystick/tests", bytes(range(32)))
KEY = str(SIGNER.verifier)


def load_script(path: Path = SCRIPT) -> ModuleType:
    """The script as a module of its own, as if it had come from elsewhere."""
    spec = importlib.util.spec_from_file_location("case_verify_script", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def run(script: ModuleType, *arguments: object) -> tuple[int, dict[str, Any]]:
    """The exit status, and what it answers with --json."""
    said = io.StringIO()
    with redirect_stdout(said):
        status = script.main([*map(str, arguments), "--json"])
    return status, json.loads(said.getvalue())


def signing(database: Settings, folder: Path, signer: Signer = SIGNER) -> Callable[[], object]:
    """Signs what is in the ledger now."""
    return CheckpointSigner(
        conninfo=conninfo(database, Role.WRITER),
        key=lambda: signer,
        state=StateFile(folder, "tests"),
        clock=lambda: datetime.now(UTC),
    ).sign_now


# --- making them by hand -------------------------------------------------------------------------


def sign_manifest(
    folder: Path, signer: Signer = SIGNER, *, header: str = "tallystick/tests/case-bundle"
) -> None:
    """As the holder of the key would, whatever is in the folder."""
    files = sorted(path for path in folder.iterdir() if path.name != "manifest.txt")
    listed = "".join(f"{sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files)
    (folder / "manifest.txt").write_text(sign(f"{header}\n{listed}", signer))


def as_line(event: dict[str, Any]) -> str:
    """A line of events.jsonl."""
    return json.dumps(event, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def leaf_of(event: dict[str, Any]) -> bytes:
    return leaf_hash(
        event["position"],
        UUID(event["stream"]).bytes,
        event["version"],
        event["topic"].encode(),
        event["recorded_at_us"],
        event["state"].encode(),
    )


def rewrite(folder: Path, events: list[dict[str, Any]], signer: Signer, **claims: object) -> None:
    """Make the bundle one of these events, of a log that has nothing else, all of it consistent.

    Positions are counted anew. What statement.json says besides is what `claims` say.
    """
    events = [{**event, "position": number} for number, event in enumerate(events, 1)]
    frontier = Frontier()
    frontier.extend(map(leaf_of, events))
    size, root, name = len(events), frontier.root(), signer.verifier.name
    stated = json.loads((folder / "statement.json").read_text())
    stated |= {"events": size, "first_position": 1, "last_position": size, "as_of": size}
    stated |= {"checkpoint": {"origin": name, "size": size, "root": root.hex()}} | claims
    (folder / "statement.json").write_text(json.dumps(stated))
    lines = "".join(as_line(event) + "\n" for event in events)
    (folder / "events.jsonl").write_text(lines, newline="\n")
    proof = {"size": size, "root": root.hex(), "hashes": []}
    (folder / "proof.json").write_text(json.dumps(proof))
    (folder / "checkpoint.txt").write_text(sign(Checkpoint(name, size, root).text(), signer))
    (folder / "key.txt").write_text(f"{signer.verifier}\n")
    sign_manifest(folder, signer)


def events_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
