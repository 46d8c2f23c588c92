"""Documents of reports: XML that says the same, and a PDF in which nothing is markup."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from hashlib import sha256
from uuid import UUID
from xml.etree import ElementTree as ET

import pytest

from api.fraud.documents.goaml import UNKNOWN, ReportingEntity, ReportingOfficer, goaml
from api.fraud.documents.pdf import NOBODY, report_pages, report_pdf
from domain.command import Command
from domain.conversion.rates import RateTable
from domain.errors import RateMissing
from domain.events import ReportedIndicator, ReportedTransaction
from domain.fraud.report import Report, ReportStatus, dismiss_report, evolve_report, file_report
from domain.money import Money
from tests.oracles.pdf_text import pdf_text, without_space
from tests.scenarios.scenario import by

AT = datetime(2026, 3, 2, 9, 30, 15, tzinfo=UTC)
PLAYER = UUID("00000000-0000-4000-8000-000000000002")
ENTITY = ReportingEntity(id=4711, name="Example <Gaming> & Co", currency="EUR")

MARKUP = (
    "#panic(1) *bold* _under_ $x^2$ `code` \\ \\u{41} \"quotes\" 'single' <tag> @ref // comment"
    " /* more */ [a](b) ~ -- --- ... & ]]> {{x}}"
)
NARRATIVE = f"First line.\nSecond line: {MARKUP}\n\n= No heading\n- Игрок Иванов\n+ Παπαδόπουλος\t."


def transaction(
    number: int, kind: str, amount: Money, instrument: str | None = "card_1"
) -> ReportedTransaction:
    return ReportedTransaction(
        transaction_id=UUID(int=number),
        kind=kind,
        amount=amount,
        at="2026-03-01T23:59:59.999999+00:00",
        instrument=instrument,
    )


TRANSACTIONS = (
    transaction(1, "deposit", Money(195_000, "EUR")),
    transaction(2, "withdrawal", Money(1, "EUR")),
    transaction(3, "conversion", Money(10, "EUR"), None),
)

REPORT = Report(
    id=UUID(int=99),
    version=1,
    status=ReportStatus.DRAFT,
    case_id=UUID(int=77),
    subject=f"player:{PLAYER}",
    player_id=PLAYER,
    drafted_by="cleo",
    narrative=NARRATIVE,
    transactions=TRANSACTIONS,
    indicators=(
        ReportedIndicator(indicator="structuring", hit="7/s", sentence="3 of < 2,000.00 EUR."),
        ReportedIndicator(indicator="pass_through", hit="8/p", sentence="95 % & more."),
        ReportedIndicator(indicator="structuring", hit="9/s", sentence="4 of < 2,000.00 EUR."),
    ),
    drafted_at=AT,
    written_at=AT,
    updated_at=AT,
    commands={},
)


def compliance() -> Command:
    return by("cleo", role="compliance", now=AT + timedelta(days=1))


def filed() -> Report:
    event = file_report(
        REPORT,
        compliance(),
        authority=f"FIU {MARKUP}",
        authority_reference="2026/17",
        document_digest=sha256(goaml(REPORT, ENTITY)).hexdigest(),
    )
    assert event is not None
    return evolve_report(REPORT, event)


def dismissed() -> Report:
    event = dismiss_report(REPORT, compliance(), reason=MARKUP)
    assert event is not None
    return evolve_report(REPORT, event)


def rates(**units: Fraction) -> RateTable:
    """Of one euro."""
    return RateTable(
        table="test-2026-03-01", source="test", base="EUR", as_of="2026-03-01", rates=units
    )


def parsed(report: Report, table: RateTable | None = None) -> ET.Element:
    return ET.fromstring(goaml(report, ENTITY, rates=table))  # noqa: S314 - our own


def said(node: ET.Element, path: str) -> str:
    text = node.findtext(path)
    assert text is not None, path
    return text


# --- XML ----------------------------------------------------------------------------------------


def test_the_xml_says_what_the_report_says() -> None:
    root = parsed(REPORT)
    assert root.tag == "report"
    assert said(root, "rentity_id") == "4711"
    assert said(root, "report_code") == "STR"
    assert said(root, "entity_reference") == str(REPORT.id)
    assert said(root, "submission_date") == "2026-03-02T09:30:15"
    assert said(root, "currency_code_local") == "EUR"
    assert said(root, "reason") == NARRATIVE
    assert [node.text for node in root.findall("report_indicators/indicator")] == [
        "structuring",
        "pass_through",
    ]
    for found in REPORT.indicators:
        assert f"{found.indicator}: {found.sentence}" in said(root, "action").splitlines()
    told = [
        (
            UUID(said(node, "transactionnumber")),
            said(node, "transaction_description"),
            said(node, "amount_local"),
            said(node, "date_transaction"),
        )
        for node in root.findall("transaction")
    ]
    assert told == [
        (UUID(int=1), "deposit", "1950.00", "2026-03-01T23:59:59"),
        (UUID(int=2), "withdrawal", "0.01", "2026-03-01T23:59:59"),
        (UUID(int=3), "conversion", "0.10", "2026-03-01T23:59:59"),
    ]


def test_elements_come_in_the_order_of_the_schema() -> None:
    officer = ReportingOfficer(first_name="Cleo", last_name="Ward", email="c@example.org")
    document = goaml(REPORT, replace(ENTITY, officer=officer))
    root = ET.fromstring(document)  # noqa: S314 - our own
    assert [node.tag for node in root] == [
        "rentity_id",
        "submission_code",
        "report_code",
        "entity_reference",
        "submission_date",
        "currency_code_local",
        "reporting_person",
        "reason",
        "action",
        *["transaction"] * 3,
        "report_indicators",
    ]
    assert said(root, "reporting_person/last_name") == "Ward"
    [first, *_] = root.findall("transaction")
    assert [node.tag for node in first] == [
        "transactionnumber",
        "transaction_location",
        "transaction_description",
        "date_transaction",
        "transmode_code",
        "amount_local",
        "t_from",
        "t_to_my_client",
    ]


def test_money_comes_from_where_it_came_from() -> None:
    deposit, withdrawal, conversion = parsed(REPORT).findall("transaction")
    here = f"player:{PLAYER}:available:EUR"
    assert said(deposit, "t_from/from_account/account") == "card_1"
    assert said(deposit, "t_to_my_client/to_account/account") == here
    assert said(withdrawal, "t_from_my_client/from_account/account") == here
    assert said(withdrawal, "t_to/to_account/account") == "card_1"
    assert said(withdrawal, "t_to/to_account/signatory/t_person/id_number") == str(PLAYER)
    assert said(conversion, "t_from_my_client/from_account/account") == here
    assert said(conversion, "t_to_my_client/to_account/account") == here


def test_what_the_ledger_does_not_know_is_said_to_be_unknown() -> None:
    nobody = replace(
        REPORT, player_id=None, transactions=(transaction(1, "deposit", Money(1, "EUR"), None),)
    )
    node = parsed(nobody).find("transaction")
    assert node is not None
    assert said(node, "t_from/from_account/account") == UNKNOWN
    assert said(node, "t_to_my_client/to_account/account") == UNKNOWN
    assert node.find(".//t_person") is None


@pytest.mark.parametrize(
    ("amount", "rate", "foreign", "local"),
    [
        (Money(1_050, "USD"), Fraction(109, 100), "10.50", "9.63"),
        (Money(1_000, "JPY"), Fraction(160), "1000", "6.25"),
        (Money(1_050, "KWD"), Fraction(1, 3), "1.050", "3.15"),
        (
            Money(9_000_000_000_000_000, "JPY"),
            Fraction(1),
            "9000000000000000",
            "9000000000000000.00",
        ),
    ],
)
def test_amounts_are_exact_in_the_currencys_own_decimals(
    amount: Money, rate: Fraction, foreign: str, local: str
) -> None:
    report = replace(REPORT, transactions=(transaction(1, "deposit", amount),))
    root = parsed(report, rates(**{amount.currency: rate}))
    node = root.find("transaction/t_from/from_foreign_currency")
    assert node is not None
    assert said(root, "transaction/amount_local") == local
    assert said(node, "foreign_currency_code") == amount.currency
    assert said(node, "foreign_amount") == foreign
    assert abs(Fraction(said(node, "foreign_exchange_rate")) - 1 / rate) <= Fraction(1, 2 * 10**10)


def test_an_amount_without_a_rate_is_not_guessed_at() -> None:
    report = replace(REPORT, transactions=(transaction(1, "deposit", Money(1_050, "USD")),))
    with pytest.raises(RateMissing):
        goaml(report, ENTITY)
    with pytest.raises(RateMissing):
        goaml(report, ENTITY, rates=rates(JPY=Fraction(160)))


def test_a_report_without_transactions_is_of_an_activity() -> None:
    root = parsed(replace(REPORT, transactions=()))
    assert said(root, "report_code") == "SAR"
    assert said(root, "activity/report_parties/report_party/person/id_number") == str(PLAYER)
    root = parsed(replace(REPORT, transactions=(), player_id=None, subject="device:d"))
    assert said(root, "activity/report_parties/report_party/account/account") == "device:d"


@pytest.mark.parametrize("character", ["\x00", "\x0b", "\x1b", "\ud800", "\ufffe"])
def test_what_xml_cannot_hold_is_replaced_and_seen(character: str) -> None:
    assert said(parsed(replace(REPORT, narrative=f"a{character}b")), "reason") == "a\ufffdb"


@pytest.mark.parametrize("text", ["\ue000", "\U0001f4b6", "\ud7ff", "\x85", "é", "e\u0301"])
def test_what_xml_can_hold_stays(text: str) -> None:
    assert said(parsed(replace(REPORT, narrative=f"a{text}b")), "reason") == f"a{text}b"


def test_ends_of_lines_are_those_of_xml() -> None:
    assert said(parsed(replace(REPORT, narrative="a\r\nb\rc\nd")), "reason") == "a\nb\nc\nd"


def test_filing_and_dismissing_leave_the_xml_as_it_was() -> None:
    """So that the digest recorded with the filing can be checked at any time."""
    assert goaml(filed(), ENTITY) == goaml(dismissed(), ENTITY) == goaml(REPORT, ENTITY)
    assert filed().document_digest == sha256(goaml(filed(), ENTITY)).hexdigest()


# --- PDF ----------------------------------------------------------------------------------------


def pdf(report: Report) -> bytes:
    return report_pdf(report, entity_name=ENTITY.name)


@pytest.mark.parametrize("make", [lambda: REPORT, filed, dismissed], ids=list(ReportStatus))
def test_a_report_in_any_state_is_a_pdf_and_always_the_same(make: Callable[[], Report]) -> None:
    document = pdf(make())
    assert document.startswith(b"%PDF-1.")
    assert pdf(make()) == document


def test_the_pdf_says_what_the_report_says() -> None:
    printed = pdf_text(pdf(REPORT))
    for text in (
        "Suspicious activity report – confidential",
        "Page 1 of 1",
        ENTITY.name,
        "DRAFT",
        REPORT.subject,
        str(REPORT.id),
        str(REPORT.case_id),
        NARRATIVE,
        "Structuring",
        "Pass-through",
        *(found.sentence for found in REPORT.indicators),
        *(str(one.transaction_id) for one in TRANSACTIONS),
        "1,950.00 EUR",
        "0.01 EUR",
    ):
        assert without_space(text) in printed


def test_a_filed_report_says_where_it_is() -> None:
    printed, report = pdf_text(pdf(filed())), filed()
    for text in ("FILED", report.authority, "2026/17", report.document_digest, "2026-03-03"):
        assert text is not None
        assert without_space(text) in printed


def test_a_dismissed_report_says_why() -> None:
    printed = pdf_text(pdf(dismissed()))
    assert "DISMISSED" in printed
    assert without_space(f"Reason {MARKUP}") in printed


def test_a_report_about_nobody_and_nothing_says_so() -> None:
    empty = replace(REPORT, player_id=None, transactions=(), indicators=())
    printed = pdf_text(pdf(empty))
    for text in ("no single one", "None are part of this report.", "Indicators None."):
        assert without_space(text) in printed


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        (Money(123_456_789, "EUR"), "1,234,567.89 EUR"),
        (Money(5, "EUR"), "0.05 EUR"),
        (Money(1_234_567, "JPY"), "1,234,567 JPY"),
        (Money(1_234, "KWD"), "1.234 KWD"),
        (Money(9_000_000_000_000_000, "CLF"), "900,000,000,000.0000 CLF"),
    ],
)
def test_amounts_are_printed_in_the_currencys_own_decimals(amount: Money, shown: str) -> None:
    report = replace(REPORT, transactions=(transaction(1, "deposit", amount, None),))
    printed = pdf_text(pdf(report))
    assert without_space(str(UUID(int=1)) + shown) in printed


def test_a_long_report_goes_on_over_pages() -> None:
    many = tuple(transaction(number, "deposit", Money(number, "EUR")) for number in range(1, 201))
    report = replace(REPORT, transactions=many)
    pages = report_pages(report, entity_name=ENTITY.name, ppi=20)
    assert len(pages) > 3
    assert re.findall(rb"/Count (\d+)", pdf(report)) == [str(len(pages)).encode()]


@pytest.mark.parametrize(
    "text",
    [
        "#panic(1)",
        "*bold*",
        "_under_",
        "$x^2$",
        "`code`",
        "\\u{41}",
        "a \\",
        "= heading",
        "- item",
        "// comment",
        "/* comment */",
        "a ~ b",
        "a --- b",
        "<label>",
        "@ref",
        "https://example.org",
    ],
)
def test_nothing_is_read_as_markup(text: str) -> None:
    unmarked = replace(
        REPORT,
        narrative=f"before {text} after",
        drafted_by=f"person {text} after",
        indicators=(ReportedIndicator(indicator="x", hit="x", sentence=f"found {text} after"),),
        transactions=(transaction(1, "kind", Money(1, "EUR"), f"card {text} after"),),
    )
    printed = pdf_text(pdf(unmarked))
    for where in ("before", "person", "found", "card"):
        assert without_space(f"{where} {text} after") in printed


@pytest.mark.parametrize("text", ["\x00", "\ud800", "a" * 5_000, "中文 עברית \U0001f4b6", "\n\n\n"])
def test_whatever_people_write_can_be_printed(text: str) -> None:
    report = replace(REPORT, narrative=text, drafted_by=text, subject=text)
    assert pdf(report).startswith(b"%PDF-1.")


# --- who reports --------------------------------------------------------------------------------


@pytest.mark.parametrize(("number", "name"), [(0, "Example"), (4711, UNKNOWN), (0, UNKNOWN)])
def test_a_document_of_nobody_in_particular_says_so(number: int, name: str) -> None:
    """As the settings are at first: it is not to be taken for a finished one."""
    entity = ReportingEntity(id=number, name=name, currency="EUR")
    document = goaml(REPORT, entity).decode()
    assert document.splitlines()[2].strip().startswith("<!-- Not to be handed in: ")
    assert ET.fromstring(document).findtext("rentity_id") == str(number)  # noqa: S314
    assert "<!--" not in goaml(REPORT, ENTITY).decode()


def test_a_pdf_says_that_nobody_has_said_who_reports() -> None:
    assert without_space(NOBODY) in pdf_text(report_pdf(REPORT, entity_name=UNKNOWN))
