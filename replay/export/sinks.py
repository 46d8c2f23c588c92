"""Writing events in each format. The same events are the same bytes, with the same release."""

import shutil
from array import array
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from sys import byteorder
from typing import Any, BinaryIO, Final, Protocol, assert_never

import pyarrow as pa
import pyarrow.compute as pc
import xlsxwriter
from psycopg import Connection
from psycopg.rows import TupleRow
from pyarrow import parquet

from ledger.eventstore.merkle import MICROSECONDS_1970_TO_2000
from replay import log
from replay.export import columns, lines
from replay.export.columns import COLUMNS, Column, decimal_text, digits_of, harmless
from replay.export.errors import LogAltered
from replay.export.folder import PART
from replay.export.lines import Instants
from replay.export.rows import Amount, Event, RowMaker, Rows, read_events

ROW_GROUP_EVENTS: Final = 50_000
"""A multiple of a page of the log."""

SHEET_EVENTS_MAX: Final = 200_000
CELL_CHARACTERS_MAX: Final = 32_767
CELLS_REMEMBERED_MAX: Final = 10_000
TOO_LONG: Final = "(too long for a cell: see this position in another format)"

_CREATED: Final = datetime(2000, 1, 1)  # noqa: DTZ001  (a workbook has no time zone)


class Format(StrEnum):
    """What an export is written as."""

    JSONL = "jsonl"
    CSV = "csv"
    PARQUET = "parquet"
    CLOUDEVENTS = "cloudevents"
    XLSX = "xlsx"

    @property
    def suffix(self) -> str:
        """How names of files end."""
        return "cloudevents.jsonl" if self is Format.CLOUDEVENTS else self.value

    @property
    def columns(self) -> tuple[Column, ...]:
        """What the files hold of each event."""
        match self:
            case Format.JSONL:
                return columns.LINE_COLUMNS
            case Format.CLOUDEVENTS:
                return columns.CLOUDEVENT_COLUMNS
            case Format.PARQUET:
                return tuple(column for column in COLUMNS if column.name != "amount")
            case Format.CSV | Format.XLSX:
                return COLUMNS
            case _:
                assert_never(self)


class Sink(Protocol):
    """Takes events, page by page, and writes them to a file that is not its own to close."""

    def write(self, page: Sequence[Any]) -> None:
        """A page of what `reader` gives for the format."""

    def finish(self) -> None: ...

    def abandon(self) -> None:
        """Forget it: the file will not be finished."""


Reader = Callable[..., Iterator[list[Any]]]
"""As `replay.log.pages`: pages of tuples that begin with the position."""


def reader(format_: Format) -> Reader:
    """How the log is read for a format."""
    match format_:
        case Format.JSONL:
            return lines.read_jsonl
        case Format.CLOUDEVENTS:
            return log.pages
        case Format.CSV | Format.PARQUET | Format.XLSX:
            return read_events
        case _:
            assert_never(format_)


def sink(format_: Format, file: BinaryIO, connection: Connection[TupleRow]) -> Sink:
    """A sink that writes to `file`; `connection` is asked about streams that began earlier."""
    match format_:
        case Format.JSONL:
            return _Lines(file, lines.jsonl)
        case Format.CLOUDEVENTS:
            return _Lines(file, lines.cloudevents)
        case Format.CSV:
            return _Csv(file, RowMaker(connection))
        case Format.PARQUET:
            return _Parquet(file, RowMaker(connection))
        case Format.XLSX:
            return _Xlsx(file, RowMaker(connection))
        case _:
            assert_never(format_)


class _Lines:
    def __init__(self, file: BinaryIO, render: Callable[[Sequence[Any]], bytes]) -> None:
        self._file = file
        self._render = render

    def write(self, page: Sequence[Any]) -> None:
        self._file.write(self._render(page))

    def finish(self) -> None:
        """There is no end to write."""

    def abandon(self) -> None:
        """Nothing is held."""


class _Csv:
    """Source: RFC 4180."""

    def __init__(self, file: BinaryIO, rows: RowMaker) -> None:
        self._file = file
        self._rows = rows
        self._cells = Cells()
        self._file.write(",".join(column.name for column in COLUMNS).encode() + b"\r\n")

    def write(self, page: Sequence[Event]) -> None:
        rows, texts, cell = self._rows.of(page), Instants(), self._cells.of
        lines_ = [
            f"{position},{texts.of(recorded)},{cell(occurred_at)},{cell(topic)},{stream},"
            f"{version},{kind or ''},{cell(player)},{cell(provider)},{cell(actor)},"
            f"{self._cells.of_money(money)},{leaf.hex()},"
            for position, recorded, occurred_at, topic, stream, version, kind, player, provider,
            actor, money, leaf, _ in zip(*rows, strict=True)
        ]  # fmt: skip
        parts: list[bytes] = []
        for line, state in zip(lines_, rows.state, strict=True):
            parts += (line.encode(), b'"', state.replace(b'"', b'""'), b'"\r\n')
        self._file.write(b"".join(parts))

    def finish(self) -> None:
        """There is no end to write."""

    def abandon(self) -> None:
        """Nothing is held."""


class Cells(dict[str, str]):
    """Texts as cells of CSV. Most come again and again: a bounded number is remembered."""

    def of(self, text: str | None) -> str:
        """The cell: harmless in a spreadsheet, in quotes where RFC 4180 asks for them."""
        if not text:
            return ""
        cell = self.get(text)
        if cell is None:
            if len(self) > CELLS_REMEMBERED_MAX:
                self.clear()
            cell = harmless(text)
            if any(special in cell for special in ',"\r\n'):
                cell = '"' + cell.replace('"', '""') + '"'
            self[text] = cell
        return cell

    def of_money(self, money: Amount | None) -> str:
        """The cells of amount_minor, currency, exponent and amount."""
        if money is None:
            return ",,,"
        digits, amount = digits_of(money.currency), decimal_text(money)
        shown = "" if digits is None else digits
        return f"{money.amount},{self.of(money.currency)},{shown},{amount or ''}"


class _Xlsx:
    """One sheet; texts stay texts, whatever they look like."""

    def __init__(self, file: BinaryIO, rows: RowMaker) -> None:
        self._rows = rows
        # What the workbook is put together from, beside where it will be.
        self._scratch = Path(file.name).with_name(f"sheet{PART}")
        self._scratch.mkdir()
        self._workbook = xlsxwriter.Workbook(
            file,
            {
                "tmpdir": str(self._scratch),
                "constant_memory": True,
                "strings_to_formulas": False,
                "strings_to_numbers": False,
                "strings_to_urls": False,
            },
        )
        self._workbook.set_properties({"title": "Events", "created": _CREATED})
        self._sheet = self._workbook.add_worksheet("events")
        self._number = 0
        self._put([column.name for column in COLUMNS])

    def write(self, page: Sequence[Event]) -> None:
        rows, texts = self._rows.of(page), Instants()
        for position, recorded, *said, money, leaf, state in zip(*rows, strict=True):
            amount = None if money is None else decimal_text(money)
            self._put(
                (
                    position,
                    texts.of(recorded),
                    *said,
                    money and money.amount,
                    money and money.currency,
                    money and digits_of(money.currency),
                    amount and Decimal(amount),
                    leaf.hex(),
                    state.decode(),
                )
            )

    def finish(self) -> None:
        self._workbook.close()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def abandon(self) -> None:
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _put(self, cells: Sequence[object]) -> None:
        for column, cell in enumerate(cells):
            if isinstance(cell, int | Decimal):
                self._sheet.write_number(self._number, column, cell)
            elif cell:
                text = str(cell)
                fits = len(text) <= CELL_CHARACTERS_MAX
                self._sheet.write_string(self._number, column, text if fits else TOO_LONG)
        self._number += 1


# --- Parquet ------------------------------------------------------------------------------------

_INSTANT: Final = pa.timestamp("us", tz="UTC")
_SCHEMA: Final = pa.schema(
    [
        pa.field("position", pa.int64(), nullable=False),
        pa.field("recorded_at", _INSTANT, nullable=False),
        pa.field("occurred_at", _INSTANT, nullable=False),
        pa.field("event", pa.string(), nullable=False),
        pa.field("stream", pa.string(), nullable=False),
        pa.field("version", pa.int64(), nullable=False),
        pa.field("kind", pa.string()),
        pa.field("player", pa.string()),
        pa.field("provider", pa.string()),
        pa.field("actor", pa.string(), nullable=False),
        pa.field("amount_minor", pa.int64()),
        pa.field("currency", pa.string()),
        pa.field("exponent", pa.int8()),
        pa.field("leaf", pa.binary(), nullable=False),
        pa.field("state", pa.binary(), nullable=False),
    ]
)
_REPEATED: Final = [
    *("event", "kind", "provider", "actor", "currency", "exponent", "stream", "player")
]
_COMPRESSED: Final = [name for name in _SCHEMA.names if name != "leaf"]
"""A hash does not become shorter."""


class _Parquet:
    """Row groups of ROW_GROUP_EVENTS; texts that come again and again are dictionaries."""

    def __init__(self, file: BinaryIO, rows: RowMaker) -> None:
        self._rows = rows
        self._writer = parquet.ParquetWriter(
            pa.PythonFile(file, mode="w"),
            _SCHEMA,
            compression={"leaf": "none"} | dict.fromkeys(_COMPRESSED, "zstd"),
            compression_level=dict.fromkeys(_COMPRESSED, 1),
            use_dictionary=_REPEATED,
            write_statistics=["position", "recorded_at", "occurred_at"],
            version="2.6",
            data_page_version="1.0",
        )
        self._batches: list[Any] = []
        self._events = 0

    def write(self, page: Sequence[Event]) -> None:
        self._batches.append(_batch(self._rows.of(page)))
        self._events += len(page)
        if self._events >= ROW_GROUP_EVENTS:
            self._flush()

    def finish(self) -> None:
        self._flush()
        self._writer.close()

    def abandon(self) -> None:
        self._writer.is_open = False  # or it would close itself, and write, when it is forgotten

    def _flush(self) -> None:
        if self._batches:
            table = pa.Table.from_batches(self._batches, _SCHEMA)
            self._writer.write_table(table, row_group_size=ROW_GROUP_EVENTS)
        self._batches, self._events = [], 0


def _batch(rows: Rows) -> Any:
    currency = [money and money.currency for money in rows.money]
    exponents = {text: text and digits_of(text) for text in set(currency)}
    arrays = [
        pa.array(rows.position, pa.int64()),
        _recorded(rows.recorded),
        _occurred(rows.occurred_at, rows.position),
        pa.array(rows.topic, pa.string()),
        pa.array(rows.stream, pa.string()),
        pa.array(rows.version, pa.int64()),
        pa.array(rows.kind, pa.string()),
        pa.array(rows.player, pa.string()),
        pa.array(rows.provider, pa.string()),
        pa.array(rows.actor, pa.string()),
        pa.array([money and money.amount for money in rows.money], pa.int64()),
        pa.array(currency, pa.string()),
        pa.array([exponents[text] for text in currency], pa.int8()),
        pa.array(rows.leaf, pa.binary()),
        pa.array(rows.state, pa.binary()),
    ]
    return pa.record_batch(arrays, schema=_SCHEMA)


def _recorded(recorded: Sequence[bytes]) -> Any:
    """Instants as they travel: big-endian microseconds since 2000."""
    since_2000 = array("q", b"".join(recorded))
    if byteorder == "little":
        since_2000.byteswap()
    buffer = pa.py_buffer(since_2000)
    us = pa.Array.from_buffers(pa.int64(), len(recorded), [None, buffer])
    return pc.add(us, MICROSECONDS_1970_TO_2000).cast(_INSTANT)


def _occurred(texts: Sequence[str], positions: Sequence[int]) -> Any:
    try:
        return pa.array(texts, pa.string()).cast(_INSTANT)
    except pa.ArrowInvalid:
        raise LogAltered(
            f"Of the events from position {positions[0]} to {positions[-1]} one says no readable"
            " instant at which it occurred. Run `tallystick verify`."
        ) from None
