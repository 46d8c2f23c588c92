"""Change a value in an archive and cover it up as far as that can be done without a database."""

import hashlib
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from replay.archive import layout
from replay.archive.layout import SCHEMA


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
    content = path.read_bytes()
    forged = msgspec.structs.replace(
        file, sha256=hashlib.sha256(content).hexdigest(), bytes=len(content)
    )
    files = tuple(forged if one is file else one for one in segment.files)
    segments = list(manifest.segments)
    segments[number] = msgspec.structs.replace(segment, files=files)
    layout.save(folder, msgspec.structs.replace(manifest, segments=tuple(segments)))
    return int(row["position"])


def _other(value: Any) -> Any:
    if isinstance(value, bytes):
        return value[:-1] + bytes([value[-1] ^ 1])
    if isinstance(value, int):
        return value + 1
    if isinstance(value, str):
        return "DepositCompleted" if value != "DepositCompleted" else "DepositVoided"
    return value.replace(microsecond=value.microsecond ^ 1)
