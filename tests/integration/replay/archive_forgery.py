"""Change a value in an archive and cover it up as far as that can be done without a database."""

import hashlib
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from replay.archive import layout
from replay.archive.layout import SCHEMA, BucketFile

_POSITION_COLUMN = b"\x19\x25\x06\x00\x19\x18\x08position"
"""As the footer's Thrift goes on after the physical type: encodings, and the path."""


def forge(folder: Path, column: str, random: Random) -> int:
    """Change one value, and every digest of a file accordingly; the position that was changed."""
    manifest = layout.load(folder)
    number = random.randrange(len(manifest.segments))
    segment = manifest.segments[number]
    file = random.choice(segment.files)
    path = folder / file.name
    table = pq.read_table(path, schema=SCHEMA)
    rows: list[dict[str, Any]] = table.to_pylist()
    candidates = [row for row in rows if row["version"] == 1] if column == "owner" else rows
    row = random.choice(candidates)
    row[column] = _other(row[column])
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), path, store_schema=False)
    cover_up(folder, file)
    return int(row["position"])


def cover_up(folder: Path, file: BucketFile) -> None:
    """Have the manifest say of a file whatever the file now is."""
    manifest = layout.load(folder)
    content = (folder / file.name).read_bytes()
    forged = msgspec.structs.replace(
        file, sha256=hashlib.sha256(content).hexdigest(), bytes=len(content)
    )
    segments = tuple(
        msgspec.structs.replace(
            segment, files=tuple(forged if one.name == file.name else one for one in segment.files)
        )
        for segment in manifest.segments
    )
    layout.save(folder, msgspec.structs.replace(manifest, segments=segments))


def poisoned(path: Path) -> None:
    """Change the type of a column in a file's footer: native code then aborts its process."""
    content = path.read_bytes()
    before, after = (bytes([0x1C, 0x15, kind]) + _POSITION_COLUMN for kind in (0x04, 0x06))
    assert content.count(before) >= 1
    path.write_bytes(content.replace(before, after))


def _other(value: Any) -> Any:
    if isinstance(value, bytes):
        return value[:-1] + bytes([value[-1] ^ 1])
    if isinstance(value, int):
        return value + 1
    if isinstance(value, str):
        return "DepositCompleted" if value != "DepositCompleted" else "DepositVoided"
    return value.replace(microsecond=value.microsecond ^ 1)
