"""Rate files: the ECB's and our own, exactly, and every mistake named where it is."""

import io
import tracemalloc
import zipfile
from datetime import date
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.events import Rate
from tallystick.cli.rate_files import UNPACKED_BYTES_MAX, RateFileInvalid, read_rates

DAILY = b"Date, USD, JPY, BGN, KRW, \n20 November 2026, 1.1529, 180.49, 1.9558, 1698.01, \n"
HISTORY = (
    b"Date,USD,JPY,CYP,EEK,TRY,\n"
    b"2026-11-20,1.1529,180.49,N/A,N/A,48.9012,\n"
    b"2026-11-19,1.1600,180.00,N/A,N/A,48.8000,\n"
    b"1999-01-04,1.1789,133.73,0.58231,15.6466,N/A,\n"
)
OURS = (
    b"base,quote,rate,as_of\nUSD,EUR,0.87,2026-11-19\nUSD,EUR,0.86738,2026-11-20\n"
    b"USD,JPY,156.55,2026-11-20\nUSD,XBT,0.00001,2026-11-20\n"
)


def packed(*files: tuple[str, bytes], how: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", how) as archive:
        for name, content in files:
            archive.writestr(name, content)
    return buffer.getvalue()


def ratios(rates: tuple[Rate, ...]) -> dict[str, Fraction]:
    return {rate.currency: Fraction(rate.numerator, rate.denominator) for rate in rates}


def refused(raw: bytes, *parts: str, day: date | None = None) -> RateFileInvalid:
    """The file is refused, and the message has all of these in it."""
    with pytest.raises(RateFileInvalid) as caught:
        read_rates("rates.csv", raw, day=day)
    message = str(caught.value)
    assert message.startswith("rates.csv")
    assert [part for part in parts if part not in message] == []
    return caught.value


# --- what is read -------------------------------------------------------------------------------


def test_the_ecbs_file_of_the_day() -> None:
    read = read_rates("eurofxref.csv", DAILY)
    assert (read.source, read.base, read.as_of) == ("ecb", "EUR", "2026-11-20")
    assert ratios(read.rates) == {
        "USD": Fraction(11_529, 10_000),
        "JPY": Fraction(18_049, 100),
        "KRW": Fraction(169_801, 100),
    }
    assert read.skipped == ("BGN",)


def test_the_newest_day_of_the_ecbs_history() -> None:
    read = read_rates("eurofxref-hist.csv", HISTORY)
    assert read.as_of == "2026-11-20"
    assert list(ratios(read.rates)) == ["USD", "JPY", "TRY"]
    assert read.skipped == ("CYP", "EEK")


def test_the_newest_day_is_the_newest_in_any_order() -> None:
    header, *rows = HISTORY.splitlines(keepends=True)
    read = read_rates("eurofxref-hist.csv", b"".join([header, *reversed(rows)]))
    assert read.as_of == "2026-11-20"


def test_a_given_day_of_the_history_without_what_was_not_quoted_then() -> None:
    read = read_rates("eurofxref-hist.csv", HISTORY, day=date(1999, 1, 4))
    assert ratios(read.rates) == {"USD": Fraction(11_789, 10_000), "JPY": Fraction(13_373, 100)}
    assert read.skipped == ("CYP", "EEK")


def test_our_own_file() -> None:
    read = read_rates("/tmp/Treasury rates.csv", OURS)  # noqa: S108
    assert (read.source, read.base, read.as_of) == ("treasury-rates", "USD", "2026-11-20")
    assert ratios(read.rates) == {
        "EUR": Fraction(86_738, 100_000),
        "JPY": Fraction(15_655, 100),
    }
    assert read.skipped == ("XBT",)


def test_a_given_day_of_our_own_file() -> None:
    read = read_rates("own.csv", OURS, day=date(2026, 11, 19))
    assert ratios(read.rates) == {"EUR": Fraction(87, 100)}


@pytest.mark.parametrize("content", [DAILY, HISTORY, OURS])
def test_zipped_or_not_it_is_the_same(content: bytes) -> None:
    assert read_rates("x.csv", packed(("eurofxref.csv", content))) == read_rates("x.csv", content)


@pytest.mark.parametrize("content", [DAILY, HISTORY, OURS])
def test_marks_line_ends_and_blank_lines_of_other_systems_make_no_difference(
    content: bytes,
) -> None:
    same = b"\xef\xbb\xbf\r\n" + content.replace(b"\n", b"\r\n") + b"\r\n\r\n"
    assert read_rates("x.csv", same) == read_rates("x.csv", content)


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("1 January 2027", "2027-01-01"),
        ("09 march 2026", "2026-03-09"),
        ("29 February 2028", "2028-02-29"),
        ("31 December 2026", "2026-12-31"),
        ("2026-05-06", "2026-05-06"),
    ],
)
def test_days_as_they_are_written(text: str, day: str) -> None:
    assert read_rates("x.csv", f"Date, USD, \n{text}, 1.1, \n".encode()).as_of == day


@given(st.integers(1, 10**9), st.integers(0, 9))
def test_every_decimal_is_read_exactly(digits: int, places: int) -> None:
    whole, part = divmod(digits, 10**places)
    text = f"{whole}.{part:0{places}d}" if places else str(whole)
    (rate,) = read_rates("x.csv", f"Date,USD\n2026-11-20,{text}\n".encode()).rates
    assert Fraction(rate.numerator, rate.denominator) == Fraction(digits, 10**places)


# --- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "rate",
    [
        *("1e3", "1E-3", "NaN", "nan", "Infinity", "-1.5", "+1.5", "1,5", "1.", ".5", "1_000"),
        *("0x1", "1 000", "one", "", "n/a", "-", "1.2.3", "١٢", "1.15.29", "½"),
    ],
)
def test_a_rate_that_is_no_plain_decimal(rate: str) -> None:
    raw = f'Date,JPY,USD,KRW\n2026-11-20,180.49,"{rate}",1698\n'.encode()
    error = refused(raw, "line 2", "column USD", "not a decimal number")
    assert (error.line, error.column) == (2, "USD")
    ours = f'base,quote,rate,as_of\nEUR,JPY,180,2026-11-20\nEUR,USD,"{rate}",2026-11-20\n'.encode()
    refused(ours, "line 3", "column rate", "not a decimal number")


@pytest.mark.parametrize("rate", ["0", "0.0", "000.000"])
def test_a_rate_of_nothing(rate: str) -> None:
    refused(f"Date,USD\n2026-11-20,{rate}\n".encode(), "line 2", "column USD", "the rate is 0")


def test_a_rate_with_as_many_digits_as_can_be_recorded_and_one_more() -> None:
    (rate,) = read_rates("x.csv", b"Date,USD\n2026-11-20,0." + b"9" * 17 + b"\n").rates
    assert rate.numerator < rate.denominator < 2**63
    refused(b"Date,USD\n2026-11-20,0." + b"9" * 18 + b"\n", "line 2", "column USD", "18 digits")


@pytest.mark.parametrize(
    "day",
    [
        *("", "20 Novembre 2026", "31 November 2026", "2026-11-31", "20.11.2026", "11/20/2026"),
        *("20 November 26", "20261120", "2026-W47-5", "20 November", "yesterday"),
        "2026-11-20T00:00",
    ],
)
def test_a_day_that_is_none(day: str) -> None:
    refused(f"Date,USD\n{day},1.1\n".encode(), "line 2", "column Date", "is not a day")
    ours = f"base,quote,rate,as_of\nEUR,USD,1.1,{day or '?'}\n".encode()
    refused(ours, "line 2", "column as_of", "is not a day")


@pytest.mark.parametrize(
    ("raw", "parts"),
    [
        (b"", ["the file is empty"]),
        (b"\n \n,,\n", ["the file is empty"]),
        (b"Datum,USD\n2026-11-20,1.1\n", ["line 1", "the header"]),
        (b"\n\nquote,base,rate,as_of\n", ["line 3", "the header"]),
        (b"<html>\n<body>Not found</body>\n", ["line 1", "the header"]),
        (b"Date,USD\n", ["no rates"]),
        (b"base,quote,rate,as_of\n", ["no rates"]),
        (b"Date,USD\n2026-11-20,N/A\n", ["no rate for 2026-11-20"]),
        (b"Date,CYP\n2026-11-20,0.58\n", ["no rate for 2026-11-20"]),
        (b"Date,USD,usd\n2026-11-20,1.1,1\n", ["line 1", "column 3", "'usd'"]),
        (b"Date,USD,JPY,USD\n2026-11-20,1,1,1\n", ["line 1", "column USD", "twice"]),
        (b"Date,USD,EUR\n2026-11-20,1.1,1\n", ["line 1", "column EUR", "base"]),
        (b"Date,USD,JPY\n2026-11-20,1.1\n", ["line 2", "2 cells under 3 headings"]),
        (b"Date,USD\n2026-11-20,1.1,7\n", ["line 2", "3 cells under 2 headings"]),
        (b"Date,USD\n2026-11-20,1.1\n2026-11-20,1.2\n", ["line 3", "2026-11-20 is there twice"]),
        (b'Date,USD\n2026-11-20,"1.1', ["line 2", "not CSV"]),
        (b"Date,USD\n2026-11-20,\xff\n", ["UTF-8"]),
        (b"base,quote,rate,as_of\nEUR,USD,1.1\n", ["line 2", "3 cells under 4 headings"]),
        (b"base,quote,rate,as_of\nDEM,USD,1.1,2026-11-20\n", ["line 2", "column base", "'DEM'"]),
        (b"base,quote,rate,as_of\nEUR,EUR,1,2026-11-20\n", ["line 2", "column quote", "base"]),
        (b"base,quote,rate,as_of\nEUR,usd,1,2026-11-20\n", ["line 2", "column quote", "'usd'"]),
        (
            b"base,quote,rate,as_of\nEUR,USD,1.1,2026-11-20\nGBP,JPY,1.1,2026-11-20\n",
            ["line 3", "column base", "'GBP'"],
        ),
        (
            b"base,quote,rate,as_of\nEUR,USD,1.1,2026-11-20\nEUR,USD,1.2,2026-11-20\n",
            ["line 3", "column quote", "twice"],
        ),
    ],
)
def test_everything_else_that_is_wrong_is_named(raw: bytes, parts: list[str]) -> None:
    refused(raw, *parts)


@pytest.mark.parametrize("content", [HISTORY, OURS])
def test_a_day_that_the_file_does_not_have(content: bytes) -> None:
    refused(content, "no rates for 2026-11-21", day=date(2026, 11, 21))


def test_a_mistake_on_a_day_nobody_asked_for_does_not_matter() -> None:
    raw = HISTORY.replace(b"2026-11-19,1.1600", b"2026-11-19,oops")
    assert read_rates("x.csv", raw) == read_rates("x.csv", HISTORY)
    refused(raw, "line 3", "column USD", day=date(2026, 11, 19))


# --- archives -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "files",
    [
        (),
        (("a.csv", DAILY), ("b.csv", DAILY)),
        (("readme.txt", DAILY),),
        (("eurofxref.csv.zip", DAILY),),
    ],
)
def test_an_archive_holds_one_csv_file(files: tuple[tuple[str, bytes], ...]) -> None:
    refused(packed(*files), "one CSV file")


def test_an_archive_that_unpacks_to_too_much_is_not_read_to_its_end() -> None:
    bomb = packed(("eurofxref.csv", b"0" * (6 * UNPACKED_BYTES_MAX)))
    assert len(bomb) < 200_000
    tracemalloc.start()
    try:
        refused(bomb, "larger than")
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 4 * UNPACKED_BYTES_MAX


def test_what_an_archive_says_of_its_size_is_not_believed() -> None:
    bomb = bytearray(packed(("eurofxref.csv", b"0" * (UNPACKED_BYTES_MAX + 1))))
    size = (UNPACKED_BYTES_MAX + 1).to_bytes(4, "little")
    at = bomb.index(size)
    while at >= 0:
        bomb[at : at + 4] = (100).to_bytes(4, "little")
        at = bomb.find(size)
    refused(bytes(bomb))


def test_a_file_that_is_too_large() -> None:
    refused(DAILY + b"\n" * UNPACKED_BYTES_MAX, "larger than")


def test_an_archive_packed_in_an_unusual_way() -> None:
    refused(packed(("eurofxref.csv", DAILY), how=zipfile.ZIP_BZIP2), "packed in a way")


@settings(max_examples=500)
@given(st.data())
def test_a_damaged_archive_is_refused_or_read_right(data: st.DataObject) -> None:
    whole = packed(("eurofxref.csv", DAILY))
    at = data.draw(st.integers(0, len(whole) - 1))
    broken = bytearray(whole)
    broken[at] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(at, len(whole)))
    try:
        read = read_rates("x.csv", bytes(broken[:cut]))
    except RateFileInvalid:
        return
    assert read == read_rates("x.csv", DAILY)


@given(st.binary(max_size=200))
def test_noise_is_refused(noise: bytes) -> None:
    with pytest.raises(RateFileInvalid):
        read_rates("x.csv", noise)
