"""Exports: what is chosen, the same bytes whenever, every format the same events."""

import csv
import io
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4
from zipfile import ZipFile

import psycopg
import pytest
from cloudevents.core.bindings.http import HTTPMessage
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from ledger.eventstore import database
from ledger.eventstore.database import Role
from ledger.eventstore.merkle import Frontier, leaf_hash
from ledger.settings import Settings
from projections.engine.reading import ReadModelBehind
from projections.history.history import HISTORY
from replay.export import run as export_run
from replay.export import sinks
from replay.export.errors import (
    BeyondLog,
    FolderTaken,
    FolderUnusable,
    LogAltered,
    SelectionInvalid,
    TooManyEvents,
)
from replay.export.manifest import Manifest
from replay.export.run import export
from replay.export.selection import KINDS, Selection
from replay.export.sinks import Format
from tests.conftest import fresh_database
from tests.generators.export_log import chosen, files_of, fill, line, read

FILE_POSITIONS = 200


@pytest.fixture(scope="module")
def full(module_database: Settings) -> Settings:
    fill(module_database, seed=5, steps=900)
    return module_database


@pytest.fixture(scope="module")
def rows(full: Settings) -> list[Any]:
    return read(full)


def exported(
    ledger: Settings, folder: Path, written: Format = Format.JSONL, **wanted: Any
) -> Manifest:
    reader = database.conninfo(ledger, Role.READER)
    return export(reader, Selection(**wanted), folder, written, file_positions=FILE_POSITIONS)


def content(folder: Path, made: Manifest) -> bytes:
    return b"".join((folder / file.name).read_bytes() for file in made.files)


# --- what is chosen -----------------------------------------------------------------------------


@st.composite
def selections(draw: st.DrawFn, rows: list[Any]) -> Selection:
    """Mostly of what there is: a filter of things that never were chooses nothing."""
    head = len(rows)
    some = draw(st.randoms(use_true_random=False))
    begun = json.loads(some.choice([r for r in rows if r.originator_version == 1]).state)
    at = [
        some.choice(rows).recorded_at + timedelta(microseconds=some.choice((-1, 0, 1)))
        for _ in "ab"
    ]
    choices: dict[str, Any] = {
        "after": some.randrange(head + 1),
        "upto": some.randrange(head + 1),
        "recorded_from": min(at),
        "recorded_to": max(at),
        "transaction_id": some.choice(rows).originator_id,
        "player_id": UUID(begun.get("player_id") or str(uuid4())),
        "kinds": tuple(some.sample(KINDS, some.randint(1, 3))),
        "provider": begun.get("provider") or "simulator",
        "topics": tuple({some.choice(rows).topic for _ in range(4)}),
    }
    names = draw(st.lists(st.sampled_from(sorted(choices)), max_size=3, unique=True))
    return Selection(**{name: choices[name] for name in names})


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_an_export_is_what_a_naive_reading_of_the_log_chooses(
    full: Settings, rows: list[Any], tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    selection = data.draw(selections(rows))
    folder = tmp_path_factory.mktemp("export")
    reader = database.conninfo(full, Role.READER)
    made = export(reader, selection, folder, Format.JSONL, file_positions=FILE_POSITIONS)
    expected = [line(row) for row in chosen(rows, selection)]
    assert content(folder, made) == b"".join(expected)
    assert made.events == len(expected)
    assert bool(made.empty) is not bool(expected)
    for file in made.files:
        assert sha256((folder / file.name).read_bytes()).hexdigest() == file.sha256


def test_each_filter_chooses_something_and_not_everything(
    full: Settings, rows: list[Any], tmp_path: Path
) -> None:
    """Or the comparison with the naive reading would be one of nothing with nothing."""
    player = next(
        UUID(json.loads(r.state)["player_id"]) for r in rows if r.topic == "WagerRecorded"
    )
    provider = next(json.loads(r.state)["provider"] for r in rows if r.topic == "DepositCreated")
    wanted: list[dict[str, Any]] = [
        {"player_id": player},
        {"provider": provider},
        {"kinds": ("withdrawal", "dispute")},
        {"topics": ("WagerRecorded", "DepositCompleted")},
        {"transaction_id": rows[300].originator_id},
        {"recorded_from": rows[200].recorded_at, "recorded_to": rows[700].recorded_at},
    ]
    for number, filters in enumerate(wanted):
        made = exported(full, tmp_path / str(number), **filters)
        assert 0 < made.events < len(rows), filters
        assert made.events == len(chosen(rows, Selection(**filters))), filters


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"after": 10, "upto": 10}, "holds no position"),
        ({"transaction_id": UUID(int=1)}, "no transaction"),
        ({"player_id": UUID(int=1)}, "no player"),
        ({"topics": ("ProjectionCutOver",)}, "None of the"),
    ],
)
def test_an_export_of_nothing_says_why(
    full: Settings, tmp_path: Path, wanted: dict[str, Any], said: str
) -> None:
    made = exported(full, tmp_path / "x", **wanted)
    assert (made.events, made.files) == (0, ())
    assert made.empty is not None
    assert said in made.empty
    assert json.loads((tmp_path / "x/manifest.json").read_bytes())["empty"] == made.empty


@pytest.mark.parametrize(
    "wanted",
    [
        {"upto": 10**9},
        {"after": 10**9},
        {"recorded_to": datetime.now(UTC) + timedelta(days=3_000)},
        {"recorded_from": datetime.now(UTC) + timedelta(days=3_000)},
    ],
)
def test_the_future_cannot_be_exported(
    full: Settings, tmp_path: Path, wanted: dict[str, Any]
) -> None:
    with pytest.raises(BeyondLog):
        exported(full, tmp_path / "x", **wanted)
    assert not list((tmp_path / "x").iterdir())


@pytest.mark.parametrize(
    "wanted",
    [{"kinds": ("loan",)}, {"topics": ("Deposit",)}, {"recorded_to": datetime(2026, 1, 1)}],  # noqa: DTZ001
)
def test_what_cannot_be_meant_is_refused(wanted: dict[str, Any]) -> None:
    with pytest.raises(SelectionInvalid):
        Selection(**wanted)


def test_an_export_waits_for_the_read_model_it_asks(
    cluster: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_run, "HISTORY_SECONDS_MAX", 0.1)
    with fresh_database(cluster) as ledger:
        fill(ledger, seed=3, steps=30)
        with psycopg.connect(database.conninfo(ledger, Role.OWNER)) as connection:
            connection.execute(
                "UPDATE read_models SET position = 1 WHERE name = %s", [HISTORY.name]
            )
        with pytest.raises(ReadModelBehind):
            exported(ledger, tmp_path / "kinds", kinds=("deposit",))
        assert exported(ledger, tmp_path / "all").events > 1


# --- the same bytes -----------------------------------------------------------------------------


@pytest.mark.parametrize("written", Format)
def test_the_same_export_is_the_same_bytes(full: Settings, tmp_path: Path, written: Format) -> None:
    exported(full, tmp_path / "one", written)
    exported(full, tmp_path / "two", written)
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")


ELSEWHERE = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from replay.export.run import export
from replay.export.selection import KINDS, Selection
from replay.export.sinks import Format
for written in Format:
    wanted = Selection(kinds=KINDS, recorded_from=datetime(2020, 1, 1, tzinfo=UTC))
    export(sys.argv[1], wanted, Path(sys.argv[2]) / written, written)
"""
OTHER_SETTINGS = {
    "PYTHONHASHSEED": "77",
    "TZ": "Asia/Kolkata",
    "PGOPTIONS": "-c TimeZone=Asia/Kolkata -c DateStyle=German -c bytea_output=escape"
    " -c extra_float_digits=-15 -c client_encoding=LATIN1 -c standard_conforming_strings=off",
}


def test_the_bytes_depend_on_no_setting_of_process_or_database(
    full: Settings, tmp_path: Path
) -> None:
    reader = database.conninfo(full, Role.READER)
    wanted = Selection(kinds=KINDS, recorded_from=datetime(2020, 1, 1, tzinfo=UTC))
    for written in Format:
        export(reader, wanted, tmp_path / "here" / written, written)
    arguments = [sys.executable, "-c", ELSEWHERE, reader, str(tmp_path / "elsewhere")]
    subprocess.run(arguments, env=os.environ | OTHER_SETTINGS, check=True)
    assert files_of(tmp_path / "here") == files_of(tmp_path / "elsewhere")


@pytest.mark.parametrize("written", [Format.JSONL, Format.PARQUET])
def test_a_longer_export_begins_with_the_same_files(
    full: Settings, tmp_path: Path, written: Format
) -> None:
    short = exported(full, tmp_path / "short", written, upto=FILE_POSITIONS * 2 + 50)
    longer = exported(full, tmp_path / "long", written)
    assert len(short.files) == 3
    assert short.files[:2] == longer.files[:2]
    assert short.files[0].name.startswith("events-000000000001-000000000200.")
    middle = exported(full, tmp_path / "middle", written, after=FILE_POSITIONS + 7)
    assert middle.files[1:] == longer.files[2:]


def test_again_finds_everything_finished_and_keeps_the_first_end(
    cluster: Settings, tmp_path: Path
) -> None:
    with fresh_database(cluster) as ledger:
        head = fill(ledger, seed=4, steps=60)
        first = exported(ledger, tmp_path / "x")
        before = files_of(tmp_path / "x")
        fill_more(ledger)
        assert exported(ledger, tmp_path / "x") == first
        assert files_of(tmp_path / "x") == before
        assert first.upto == head < exported(ledger, tmp_path / "y").upto


def fill_more(ledger: Settings) -> None:
    from tests.generators.export_log import follow, write
    from tests.oracles.ledger_checks import registered

    write(database.conninfo(ledger, Role.OWNER), [registered() for _ in range(5)])
    follow(ledger)


def test_a_finished_file_that_was_changed_is_made_anew(full: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "x"
    made = exported(full, folder)
    before = files_of(folder)
    (folder / made.files[1].name).write_bytes(b"changed")
    (folder / made.files[2].name).unlink()
    exported(full, folder)
    assert files_of(folder) == before


def test_a_log_that_was_altered_in_between_is_noticed(cluster: Settings, tmp_path: Path) -> None:
    with fresh_database(cluster) as ledger:
        fill(ledger, seed=4, steps=60)
        made = exported(ledger, tmp_path / "x")
        (tmp_path / "x" / made.files[0].name).unlink()
        tamper(ledger, "state = convert_to(replace(convert_from(state, 'UTF8'), 'a', 'e'), 'UTF8')")
        with pytest.raises(LogAltered, match="tallystick verify"):
            exported(ledger, tmp_path / "x")


@pytest.mark.parametrize("written", Format)
def test_an_event_that_is_no_event_ends_the_export(
    cluster: Settings, tmp_path: Path, written: Format
) -> None:
    with fresh_database(cluster) as ledger:
        fill(ledger, seed=4, steps=60)
        tamper(ledger, """state = convert_to(E'{"a":\\n1}', 'UTF8')""")
        with pytest.raises(LogAltered, match="position 3 "):
            exported(ledger, tmp_path / "x", written)
        assert set(files_of(tmp_path / "x")) == {"progress.json"}


def tamper(ledger: Settings, change: str) -> None:
    with psycopg.connect(database.conninfo(ledger, Role.OWNER)) as connection:
        connection.execute("ALTER TABLE ledger_events DISABLE TRIGGER append_only")
        connection.execute(f"UPDATE ledger_events SET {change} WHERE notification_id = 3".encode())


# --- the folder ---------------------------------------------------------------------------------


def test_a_folder_is_of_one_export(full: Settings, tmp_path: Path) -> None:
    exported(full, tmp_path / "x", upto=50)
    before = files_of(tmp_path / "x")
    for again in ({"upto": 51}, {"upto": 50, "topics": ("DepositCreated",)}):
        with pytest.raises(FolderTaken, match="another export"):
            exported(full, tmp_path / "x", **again)
    with pytest.raises(FolderTaken, match="another export"):
        exported(full, tmp_path / "x", Format.CSV, upto=50)
    assert files_of(tmp_path / "x") == before


def test_a_folder_with_something_else_is_left_alone(full: Settings, tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"x")
    with pytest.raises(FolderTaken, match=r"photo\.jpg"):
        exported(full, tmp_path)
    assert list(files_of(tmp_path)) == ["photo.jpg"]


def test_two_at_once_do_not_share_a_folder(full: Settings, tmp_path: Path) -> None:
    reader = database.conninfo(full, Role.READER)

    def meanwhile(_done: int, _total: int | None) -> None:
        with pytest.raises(FolderTaken, match="Another export is being written"):
            exported(full, tmp_path / "x")

    made = export(reader, Selection(), tmp_path / "x", Format.JSONL, meanwhile)
    assert made.events > 0


def test_a_full_disk_leaves_nothing_half_written(
    full: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel says so itself: /dev/full takes nothing."""
    folder = tmp_path / "x"
    with monkeypatch.context() as patched:
        patched.setattr(sinks, "sink", sinks.sink)
        folder.mkdir()
        made: list[str] = []

        def full_from_the_second_on(name: str) -> bool:
            made.append(name)
            return len(made) > 3

        _break_disk(patched, full_from_the_second_on)
        with pytest.raises(FolderUnusable, match="No space left on device"):
            exported(full, folder)
    assert not list(folder.glob("*.part"))
    assert [name for name in files_of(folder) if name.startswith("events")] == [made[1]]
    whole = exported(full, folder)
    other = exported(full, tmp_path / "y")
    assert whole == other
    assert files_of(folder) == files_of(tmp_path / "y")


def _break_disk(patched: pytest.MonkeyPatch, is_full: Any) -> None:
    """Have the operating system answer a file's writes as a full disk would."""
    opens = Path.open

    def open_(self: Path, *arguments: Any, **options: Any) -> Any:
        if self.suffix == ".part" and is_full(self.name.removesuffix(".part")):
            return opens(Path("/dev/full"), "wb", buffering=0)
        return opens(self, *arguments, **options)

    patched.setattr(Path, "open", open_)


def test_a_folder_that_cannot_be_made_is_said_so(full: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FolderUnusable, match="cannot be written to"):
        exported(full, tmp_path / "file/x")


# --- the manifest -------------------------------------------------------------------------------


def test_the_manifest_tells_what_it_is_and_what_vouches_for_it(
    full: Settings, rows: list[Any], tmp_path: Path
) -> None:
    made = exported(full, tmp_path / "x", upto=len(rows) - 3, kinds=("deposit",))
    told = json.loads((tmp_path / "x/manifest.json").read_bytes())
    assert told["asked"]["kinds"] == ["deposit"]
    assert (told["first_position"], told["last_position"]) == (
        made.files[0].first_position,
        made.files[-1].last_position,
    )
    frontier = Frontier()
    frontier.extend(row.leaf for row in rows[: len(rows) - 3])
    assert told["root"] == {"size": len(rows) - 3, "sha256": frontier.root().hex()}
    assert told["checkpoint"] is None
    assert "checkpoint" in told["checkpoint_missing"]
    for one, next_ in pairwise(made.files):
        assert one.last_position is not None
        assert next_.first_position is not None
        assert one.last_position < next_.first_position


def test_the_manifest_names_the_first_checkpoint_that_covers_it(
    cluster: Settings, tmp_path: Path
) -> None:
    with fresh_database(cluster) as ledger:
        head = fill(ledger, seed=4, steps=60)
        with psycopg.connect(database.conninfo(ledger, Role.OWNER)) as connection:
            for size in (head - 20, head - 5, head):
                connection.execute(
                    "INSERT INTO ledger_checkpoints (size, key, root, note, signed_at)"
                    " VALUES (%s, 'k', %s, %s, now())",
                    [size, b"r" * 32, f"note {size}"],
                )
        made = exported(ledger, tmp_path / "x", upto=head - 10)
    assert made.checkpoint is not None
    assert (made.checkpoint.size, made.checkpoint.note) == (head - 5, f"note {head - 5}")


# --- every format the same events ---------------------------------------------------------------


def test_leaves_can_be_recomputed_from_lines(
    full: Settings, rows: list[Any], tmp_path: Path
) -> None:
    made = exported(full, tmp_path / "x")
    for text, row in zip(content(tmp_path / "x", made).splitlines(), rows, strict=True):
        said = json.loads(text)
        state = text[text.index(b',"event":') + len(b',"event":') : -1]
        recorded = datetime.fromisoformat(said["recorded_at"])
        recorded_us = (recorded - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
        leaf = leaf_hash(
            said["position"],
            UUID(said["stream"]).bytes,
            said["version"],
            said["topic"].encode(),
            recorded_us,
            state,
        )
        assert leaf.hex() == said["leaf"] == row.leaf.hex()


def test_parquet_read_back_is_the_log(full: Settings, rows: list[Any], tmp_path: Path) -> None:
    made = exported(full, tmp_path / "x", Format.PARQUET)
    found = [
        record
        for file in made.files
        for record in parquet.read_table(tmp_path / "x" / file.name).to_pylist()
    ]
    kinds, players, providers = _of_streams(rows)
    assert found == [
        {
            "position": row.notification_id,
            "recorded_at": row.recorded_at,
            "occurred_at": datetime.fromisoformat(said["occurred_at"]),
            "event": row.topic,
            "stream": str(row.originator_id),
            "version": row.originator_version,
            "kind": kinds[row.originator_id],
            "player": players[row.originator_id],
            "provider": providers[row.originator_id],
            "actor": said["actor"],
            **_money(said),
            "leaf": row.leaf,
            "state": row.state,
        }
        for row, said in ((row, json.loads(row.state)) for row in rows)
    ]


def _of_streams(rows: list[Any]) -> tuple[dict[UUID, Any], dict[UUID, Any], dict[UUID, Any]]:
    from tests.generators.export_log import KIND_BY_FIRST_EVENT

    kinds, players, providers = {}, {}, {}
    for row in rows:
        if row.originator_version == 1:
            said = json.loads(row.state)
            own = str(row.originator_id) if row.topic == "PlayerRegistered" else None
            kinds[row.originator_id] = KIND_BY_FIRST_EVENT.get(row.topic)
            players[row.originator_id] = own or said.get("player_id")
            providers[row.originator_id] = said.get("provider")
    return kinds, players, providers


def _money(said: dict[str, Any]) -> dict[str, Any]:
    source = said.get("source")
    money = (
        said.get("amount") or said.get("settled") or (source if isinstance(source, dict) else {})
    )
    digits = {"JPY": 0, "KWD": 3}.get(money.get("currency", ""), 2) if money else None
    return {
        "amount_minor": money.get("amount"),
        "currency": money.get("currency"),
        "exponent": digits,
    }


def test_csv_and_workbook_say_the_same(full: Settings, rows: list[Any], tmp_path: Path) -> None:
    made = exported(full, tmp_path / "csv", Format.CSV)
    records: list[dict[str, str]] = []
    for file in made.files:
        text = (tmp_path / "csv" / file.name).read_bytes().decode()
        assert text.endswith("\r\n")
        records += csv.DictReader(io.StringIO(text, newline=""))
    assert [r["state"].encode() for r in records] == [row.state for row in rows]
    assert [int(r["position"]) for r in records] == list(range(1, len(rows) + 1))
    assert {r["amount"] for r in records if r["currency"] == "EUR"} >= {"25.00", "499.00"}
    book = exported(full, tmp_path / "xlsx", Format.XLSX)
    assert book.events == len(rows)
    with ZipFile(tmp_path / "xlsx" / book.files[-1].name) as archive:
        sheet = archive.read("xl/worksheets/sheet1.xml").decode()
    assert "<f>" not in sheet
    assert "hyperlink" not in sheet
    assert rows[-1].leaf.hex() in sheet


def test_a_workbook_refuses_what_no_spreadsheet_is_good_for(
    full: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_run, "SHEET_EVENTS_MAX", 100)
    with pytest.raises(TooManyEvents, match="parquet"):
        exported(full, tmp_path / "x", Format.XLSX)
    assert not list((tmp_path / "x").glob("events*"))
    assert exported(full, tmp_path / "y", Format.XLSX, upto=100).events == 100


def test_cloudevents_are_read_by_their_own_library(
    full: Settings, rows: list[Any], tmp_path: Path
) -> None:
    made = exported(full, tmp_path / "x", Format.CLOUDEVENTS, upto=300)
    for text, row in zip(content(tmp_path / "x", made).splitlines(), rows, strict=False):
        read_ = _from_structured(text)
        assert read_.get_id() == str(row.notification_id)
        assert read_.get_type() == f"tallystick.{row.topic}"
        assert read_.get_subject() == str(row.originator_id)
        assert read_.get_extension("leaf") == row.leaf.hex()
        assert read_.get_data() == json.loads(row.state)
        assert text.endswith(b',"data":' + row.state + b"}")


def _from_structured(text: bytes) -> Any:
    from cloudevents.core.bindings.http import from_structured_event

    message = HTTPMessage(headers={"content-type": "application/cloudevents+json"}, body=text)
    return from_structured_event(message)
