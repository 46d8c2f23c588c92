"""A signer killed anywhere loses nothing and never signs two roots for one size."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from ledger.checkpoints import store
from ledger.checkpoints.note import Signer
from ledger.checkpoints.state import StateFile
from ledger.eventstore.database import Role, conninfo
from ledger.settings import Settings
from tests.conftest import fresh_database
from tests.oracles.ledger_checks import ledger_on, player_history, registered, rows

KEY = Signer("tests.example/killed", b"x" * 32)
PLACES = ("signer.before_state", "signer.before_insert", "signer.after_insert")
EVENTS = 130

_SIGN = f"""
import sys
from datetime import UTC, datetime
from pathlib import Path
from ledger.checkpoints import recomputing
from ledger.checkpoints.note import Signer
from ledger.checkpoints.signing import CheckpointSigner, Refused
from ledger.checkpoints.state import StateFile
recomputing.STEP_EVENTS = {EVENTS}
key = Signer.parse({KEY.encoded()!r})
signer = CheckpointSigner(
    conninfo=sys.argv[1], key=lambda: key, state=StateFile(Path(sys.argv[2]), "state"),
    clock=lambda: datetime.now(UTC),
)
try:
    signer.sign_now()
except Refused as refused:
    sys.exit(refused.code)
"""


def sign(database: Settings, folder: Path, fault: str = "") -> subprocess.CompletedProcess[str]:
    """A signer in a process of its own, which dies where it is told to."""
    return subprocess.run(
        [sys.executable, "-c", _SIGN, conninfo(database, Role.WRITER), str(folder)],
        env=dict(os.environ) | {"TALLYSTICK_FAULTPOINT": fault},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def append(database: Settings) -> None:
    with ledger_on(database) as ledger:
        ledger.append(player_history(registered().originator_id, EVENTS))


def checkpoints(database: Settings) -> list[store.StoredCheckpoint]:
    with psycopg.connect(conninfo(database, Role.READER)) as connection:
        return list(store.every(connection))


@pytest.mark.parametrize("place", PLACES)
def test_a_signer_killed_anywhere_goes_on_where_it_was(
    database: Settings, tmp_path: Path, place: str
) -> None:
    """Killed in the first step and in a later one, and then left to finish."""
    for _ in range(4):
        append(database)
    for passes in (1, 2):
        assert sign(database, tmp_path, f"{place}:{passes}").returncode == -signal.SIGKILL
        state = StateFile(tmp_path, "state").peek()
        kept = state.checkpoint.size if state else 0
        assert max([0, *(each.size for each in checkpoints(database))]) <= kept
    assert sign(database, tmp_path).returncode == 0
    found = checkpoints(database)
    assert [each.size for each in found] == [EVENTS * step for step in (1, 2, 3, 4)]
    recorded = dict(rows(database, "SELECT size, root FROM ledger_roots"))
    assert {each.size: each.root for each in found} == recorded
    subtrees = rows(database, "SELECT height, number FROM ledger_subtrees ORDER BY 1, 2")
    assert [tuple(each) for each in subtrees] == [(8, 0), (8, 1)]
    append(database)
    assert sign(database, tmp_path).returncode == 0
    assert checkpoints(database)[-1].size == 5 * EVENTS


def test_what_was_signed_and_not_published_is_not_signed_otherwise(
    database: Settings, cluster: Settings, tmp_path: Path
) -> None:
    """Killed between file and database, and then the database goes back to an earlier day."""
    append(database)
    assert sign(database, tmp_path, "signer.before_insert").returncode == -signal.SIGKILL
    assert checkpoints(database) == []
    with fresh_database(cluster) as restored:
        append(restored)
        assert "root_differs" in sign(restored, tmp_path).stderr
        assert checkpoints(restored) == []
