"""Cells: what a spreadsheet would run is text, and what is text stays it."""

import csv
import io

import pytest

from replay.export.columns import decimal_text, harmless
from replay.export.rows import Amount
from replay.export.sinks import Cells


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1", "'=1+1"),
        ('=HYPERLINK("https://evil.example","x")', '\'=HYPERLINK("https://evil.example","x")'),
        ("+49 170 1234567", "'+49 170 1234567"),
        ("-2+3+cmd|' /C calc'!A0", "'-2+3+cmd|' /C calc'!A0"),
        ("@SUM(A1:A9)", "'@SUM(A1:A9)"),
        ("\t=1+1", "'\t=1+1"),
        ("\r=1+1", "'\r=1+1"),
        ("\n=1+1", "'\n=1+1"),
        ("operator:ann", "operator:ann"),
        ("a=b", "a=b"),
        ("'quoted", "'quoted"),
        ("", ""),
        (None, ""),
    ],
)
def test_a_text_that_a_spreadsheet_would_run_is_neutralised(text: str | None, cell: str) -> None:
    assert harmless(text) == cell
    assert next(csv.reader(io.StringIO(Cells().of(text) + ",end\r\n", newline="")))[0] == cell


def test_numbers_stay_numbers() -> None:
    assert Cells().of_money(Amount(-1_050, "EUR")) == "-1050,EUR,2,-10.50"
    assert Cells().of_money(None) == ",,,"


@pytest.mark.parametrize(
    ("amount_minor", "currency", "text"),
    [
        (1_050, "EUR", "10.50"),
        (-5, "EUR", "-0.05"),
        (1_050, "JPY", "1050"),
        (1_050, "KWD", "1.050"),
        (9_000_000_000_000_000, "EUR", "90000000000000.00"),
        (7, "XYZ", None),
    ],
)
def test_amounts_are_exact_in_whole_units(
    amount_minor: int, currency: str, text: str | None
) -> None:
    assert decimal_text(Amount(amount_minor, currency)) == text
