"""Rate files: the ECB's reference rates as it publishes them, and a plain CSV of our own.

Three forms are told apart by their header, and any of them may come zipped:

- `eurofxref.csv`, one day: `Date, USD, JPY, …` and a row like `20 November 2026, 1.1529, …`;
- `eurofxref-hist.csv`, every day since 1999: `Date,USD,…` and rows like `2026-11-20,1.1529,…`;
- ours: `base,quote,rate,as_of`, one rate a line.

Source of the first two: the files on the ECB's page of euro foreign exchange reference rates.
"""

import csv
import io
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import PurePath
from typing import Final

from domain.events import Rate
from domain.money import currencies

UNPACKED_BYTES_MAX: Final = 16 * 1024 * 1024
"""Of a file, once unpacked: the ECB's whole history has less than a quarter of it."""

DIGITS_MAX: Final = 18
"""Of a rate: as many as a ratio of signed 64-bit integers always holds."""

_OURS: Final = ["base", "quote", "rate", "as_of"]
_MONTHS: Final = [
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
]
_PACKED: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_UNREADABLE: Final = (
    *(zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError),
    *(ValueError, struct.error, OverflowError),
)
"""What `zipfile` raises for archives that are damaged, encrypted or of another make."""
_DECIMAL: Final = re.compile(r"[0-9]+(\.[0-9]+)?", re.ASCII)
_CODE: Final = re.compile(r"[A-Z]{3}", re.ASCII)
_LONG_DATE: Final = re.compile(r"([0-9]{1,2}) ([A-Za-z]+) ([0-9]{4})", re.ASCII)
_ISO_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


class RateFileInvalid(ValueError):
    """The file is none of the forms we read; says where, as far as a place can be named."""

    def __init__(
        self, name: str, problem: str, *, line: int | None = None, column: str | None = None
    ) -> None:
        places = [name]
        if line is not None:
            places.append(f"line {line}")
        if column is not None:
            places.append(f"column {column}")
        super().__init__(f"{', '.join(places)}: {problem}")
        self.line = line
        self.column = column


@dataclass(frozen=True, slots=True, kw_only=True)
class RateFile:
    """The rates of one day, as a file has them."""

    source: str
    base: str
    as_of: str
    """The day, as ISO 8601."""
    rates: tuple[Rate, ...]
    """In the order of the file."""
    skipped: tuple[str, ...]
    """Currencies of the file that are not active ones of ISO 4217."""


@dataclass(frozen=True, slots=True)
class _Line:
    """A line that is not blank: its number, and its cells without the spaces around them."""

    number: int
    cells: list[str]


def read_rates(name: str, raw: bytes, *, day: date | None = None) -> RateFile:
    """The rates of `day`, or of the newest day in the file.

    `name` is the file's, for messages; a file of our own form is named after it as a source.

    Raises:
        RateFileInvalid: the file, or a cell that matters, cannot be read.
    """
    lines = list(_lines(name, _text(name, _unpacked(name, raw))))
    if not lines:
        raise RateFileInvalid(name, "the file is empty")
    header = lines[0]
    if header.cells[0].lower() == "date":
        return _of_the_ecb(name, header, lines[1:], day)
    if [cell.lower() for cell in header.cells] == _OURS:
        return _of_our_own(name, lines[1:], day)
    raise RateFileInvalid(
        name,
        f"the header is neither the ECB's (Date, USD, …) nor {','.join(_OURS)}",
        line=header.number,
    )


# --- from bytes to cells ------------------------------------------------------------------------


def _unpacked(name: str, raw: bytes) -> bytes:
    """The file itself, or the only one in the archive."""
    if not raw.startswith(b"PK"):
        content = raw
    else:
        try:
            with zipfile.ZipFile(io.BytesIO(raw)) as archive:
                content = _only_csv(name, archive)
        except RateFileInvalid:
            raise
        except _UNREADABLE as error:
            problem = f"the archive cannot be unpacked ({error})"
            raise RateFileInvalid(name, problem) from None
    if len(content) > UNPACKED_BYTES_MAX:
        raise RateFileInvalid(name, f"it is larger than {UNPACKED_BYTES_MAX} bytes")
    return content


def _only_csv(name: str, archive: zipfile.ZipFile) -> bytes:
    members = [member for member in archive.infolist() if not member.is_dir()]
    if len(members) != 1 or not members[0].filename.lower().endswith(".csv"):
        raise RateFileInvalid(name, "the archive has to hold one CSV file and nothing else")
    if members[0].compress_type not in _PACKED:
        raise RateFileInvalid(name, "the archive is packed in a way the ECB does not use")
    with archive.open(members[0]) as member:
        return member.read(UNPACKED_BYTES_MAX + 1)  # what the archive says of its size is not proof


def _text(name: str, content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise RateFileInvalid(name, "it is not text in UTF-8") from None


def _lines(name: str, text: str) -> Iterator[_Line]:
    """Lines that say something; the ECB ends each with a comma, which is no cell."""
    reader = csv.reader(io.StringIO(text, newline=""), skipinitialspace=True, strict=True)
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            while cells and not cells[-1]:
                cells.pop()
            if cells:
                yield _Line(reader.line_num, cells)
    except csv.Error as error:
        raise RateFileInvalid(name, f"not CSV ({error})", line=reader.line_num) from None


# --- the ECB's ----------------------------------------------------------------------------------


def _of_the_ecb(name: str, header: _Line, rows: list[_Line], day: date | None) -> RateFile:
    codes = header.cells[1:]
    _check_codes(name, header.number, codes)
    dated = [(_day(name, row.number, row.cells[0], "Date"), row) for row in rows]
    wanted = _wanted_day(name, [of for of, _ in dated], day)
    chosen = [row for of, row in dated if of == wanted]
    if len(chosen) > 1:
        raise RateFileInvalid(name, f"{wanted} is there twice", line=chosen[1].number)
    row = chosen[0]
    if len(row.cells) != len(header.cells):
        problem = f"{len(row.cells)} cells under {len(header.cells)} headings"
        raise RateFileInvalid(name, problem, line=row.number)
    told = {code: text for code, text in zip(codes, row.cells[1:], strict=True) if text != "N/A"}
    active = currencies()
    rates = tuple(
        _rate(name, row.number, code, code, text) for code, text in told.items() if code in active
    )
    return _file(name, "ecb", "EUR", wanted, rates, tuple(c for c in codes if c not in active))


def _check_codes(name: str, line: int, codes: list[str]) -> None:
    for position, code in enumerate(codes):
        if not _CODE.fullmatch(code):
            problem = f"{code!r} is no currency code"
            raise RateFileInvalid(name, problem, line=line, column=str(position + 2))
        if code == "EUR":
            raise RateFileInvalid(name, "the base has no rate of its own", line=line, column=code)
        if code in codes[:position]:
            raise RateFileInvalid(name, "the currency is there twice", line=line, column=code)


# --- ours ---------------------------------------------------------------------------------------


def _of_our_own(name: str, rows: list[_Line], day: date | None) -> RateFile:
    for row in rows:
        if len(row.cells) != len(_OURS):
            problem = f"{len(row.cells)} cells under {len(_OURS)} headings"
            raise RateFileInvalid(name, problem, line=row.number)
    dated = [(_day(name, row.number, row.cells[3], "as_of"), row) for row in rows]
    wanted = _wanted_day(name, [of for of, _ in dated], day)
    chosen = [row for of, row in dated if of == wanted]
    base = chosen[0].cells[0]
    if base not in currencies():
        problem = f"{base!r} is not an active currency of ISO 4217"
        raise RateFileInvalid(name, problem, line=chosen[0].number, column="base")
    rates: dict[str, Rate] = {}
    skipped: list[str] = []
    for row in chosen:
        code = _quote_of(name, row, base)
        if code in rates or code in skipped:
            problem = f"{code} is there twice for {wanted}"
            raise RateFileInvalid(name, problem, line=row.number, column="quote")
        if code in currencies():
            rates[code] = _rate(name, row.number, "rate", code, row.cells[2])
        else:
            skipped.append(code)
    return _file(name, _source(name), base, wanted, tuple(rates.values()), tuple(skipped))


def _quote_of(name: str, row: _Line, base: str) -> str:
    told, code = row.cells[0], row.cells[1]
    if told != base:
        problem = f"another base, {told!r}; the lines before have {base}"
        raise RateFileInvalid(name, problem, line=row.number, column="base")
    if not _CODE.fullmatch(code):
        problem = f"{code!r} is no currency code"
        raise RateFileInvalid(name, problem, line=row.number, column="quote")
    if code == base:
        problem = "the base has no rate of its own"
        raise RateFileInvalid(name, problem, line=row.number, column="quote")
    return code


def _source(name: str) -> str:
    """`Treasury rates.csv` is the source `treasury-rates`."""
    return re.sub(r"[^a-z0-9]+", "-", PurePath(name).stem.lower()).strip("-") or "file"


# --- cells --------------------------------------------------------------------------------------


def _file(
    name: str, source: str, base: str, day: date, rates: tuple[Rate, ...], skipped: tuple[str, ...]
) -> RateFile:
    if not rates:
        raise RateFileInvalid(name, f"it has no rate for {day}")
    return RateFile(source=source, base=base, as_of=day.isoformat(), rates=rates, skipped=skipped)


def _wanted_day(name: str, days: list[date], day: date | None) -> date:
    if not days:
        raise RateFileInvalid(name, "it has a header and no rates")
    if day is None:
        return max(days)
    if day not in days:
        raise RateFileInvalid(name, f"it has no rates for {day}")
    return day


def _day(name: str, line: int, text: str, column: str) -> date:
    """`2026-11-20`, or `20 November 2026` whatever language the machine speaks."""
    try:
        if _ISO_DATE.fullmatch(text):
            return date.fromisoformat(text)
        long = _LONG_DATE.fullmatch(text)
        if long:
            number, month, year = long.groups()
            return date(int(year), _MONTHS.index(month.capitalize()) + 1, int(number))
    except ValueError:
        pass
    raise RateFileInvalid(name, f"{text!r} is not a day", line=line, column=column)


def _rate(name: str, line: int, column: str, currency: str, text: str) -> Rate:
    """The decimal as the ratio it is, exactly."""
    if not _DECIMAL.fullmatch(text):
        problem = f"{text!r} is not a decimal number like 1.1529"
        raise RateFileInvalid(name, problem, line=line, column=column)
    if len(text.replace(".", "")) > DIGITS_MAX:
        problem = f"the rate has more than {DIGITS_MAX} digits"
        raise RateFileInvalid(name, problem, line=line, column=column)
    numerator, denominator = Decimal(text).as_integer_ratio()
    if numerator == 0:
        raise RateFileInvalid(name, "the rate is 0", line=line, column=column)
    return Rate(currency=currency, numerator=numerator, denominator=denominator)
