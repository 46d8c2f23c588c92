"""A report of suspicious activity as XML in the shape of goAML.

The same report gives the same bytes, and filing or dismissing it changes none of them, so that
the digest recorded with the filing can be checked against the document at any time.

The ledger knows players by opaque ids only: where goAML asks for a person's names there is
`UNKNOWN`, and the id is the person's `id_number`. Which codes a country's financial intelligence
unit takes for ways of paying and for indicators is its own business; here are ours.

Source: UNODC, goAML Schema 5.0.1, Standard XML Reporting Instructions and Specifications
(elements and their order; the 4.x versions have the same).
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from typing import Final
from uuid import UUID
from xml.etree.ElementTree import Comment, Element, SubElement, indent, tostring

from domain.accounts import available
from domain.conversion.rates import RateTable, Rounding, decimal_text, exchange
from domain.errors import RateMissing
from domain.events import ReportedTransaction
from domain.fraud.report import Report
from domain.money import Money, format_minor

UNKNOWN: Final = "UNKNOWN"
"""Where the schema asks for what the ledger does not know."""

_NOT_IN_XML: Final = re.compile("[^\t\n\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Source: XML 1.0, fifth edition, section 2.2, without the carriage return, which no parser
keeps."""

_LINE_ENDS: Final = re.compile("\r\n?")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportingOfficer:
    """Whom the unit asks about the report."""

    first_name: str
    last_name: str
    email: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportingEntity:
    """Who reports: as registered with the financial intelligence unit."""

    id: int
    name: str
    currency: str
    """ISO 4217, of the country reported in: what amounts are converted to."""
    officer: ReportingOfficer | None = None
    """None: the registration says who."""
    transmode: str = "ELECTRONIC"
    """How the transactions were made, by the unit's list of codes."""
    funds: str = "ELECTRONIC"
    """In what form money was, by the unit's list of codes."""

    @property
    def is_known(self) -> bool:
        """Somebody has said who reports: else no unit can do anything with the document."""
        return self.id != 0 and self.name != UNKNOWN


_NOBODY_REPORTS: Final = (
    " Not to be handed in: who reports is not set. See TALLYSTICK_REPORTING_ID and _NAME. "
)
_ENDS_HERE: Final = {
    "deposit": (False, True),
    "withdrawal": (True, False),
    "refund": (True, False),
    "dispute": (True, False),
}
"""By kind of transaction: whether money came from here, and whether it went to here; what is not
listed stays in this ledger."""

_RATE_DECIMALS: Final = 10


def goaml(report: Report, entity: ReportingEntity, *, rates: RateTable | None = None) -> bytes:
    """The report as an XML document in UTF-8.

    `rates` convert amounts of other currencies to the entity's, half to even. They have to be those
    in force when the report was written, for the bytes to stay the same, and may be left out where
    all amounts are in the entity's currency.

    Raises:
        RateMissing: a transaction's currency has no rate.
    """
    root = Element("report")
    if not entity.is_known:
        root.append(Comment(_NOBODY_REPORTS))
    _text(root, "rentity_id", str(entity.id))
    _text(root, "submission_code", "E")
    _text(root, "report_code", "STR" if report.transactions else "SAR")
    _text(root, "entity_reference", str(report.id))
    _text(root, "submission_date", _moment(report.written_at))
    _text(root, "currency_code_local", entity.currency)
    if entity.officer is not None:
        _officer(root, entity.officer)
    _text(root, "reason", report.narrative)
    _text(root, "action", _looked_into(report))
    for transaction in report.transactions:
        _transaction(root, report, transaction, entity, rates)
    if not report.transactions:
        _activity(root, report)
    indicators = SubElement(root, "report_indicators")
    for code in dict.fromkeys(found.indicator for found in report.indicators):
        _text(indicators, "indicator", code)
    indent(root)
    document: bytes = tostring(root, encoding="utf-8")
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + document + b"\n"


def _looked_into(report: Report) -> str:
    """Which case it comes from, and what monitoring had found, a line for each hit."""
    lines = [f"{found.indicator}: {found.sentence}" for found in report.indicators]
    return "\n".join([f"Looked into as case {report.case_id}, after monitoring found:", *lines])


def _officer(root: Element, officer: ReportingOfficer) -> None:
    person = SubElement(root, "reporting_person")
    _text(person, "first_name", officer.first_name)
    _text(person, "last_name", officer.last_name)
    if officer.email:
        _text(person, "email", officer.email)


# --- transactions -------------------------------------------------------------------------------


def _transaction(
    root: Element,
    report: Report,
    transaction: ReportedTransaction,
    entity: ReportingEntity,
    rates: RateTable | None,
) -> None:
    amount = transaction.amount
    rate = _rate(amount.currency, entity.currency, rates)
    local = exchange(amount, entity.currency, rate, Rounding.HALF_EVEN)
    node = SubElement(root, "transaction")
    _text(node, "transactionnumber", str(transaction.transaction_id))
    _text(node, "transaction_location", entity.name)
    _text(node, "transaction_description", transaction.kind)
    _text(node, "date_transaction", _moment(datetime.fromisoformat(transaction.at)))
    _text(node, "transmode_code", entity.transmode)
    _text(node, "amount_local", _major(local))
    from_here, to_here = _ENDS_HERE.get(transaction.kind, (True, True))
    for side, here in (("from", from_here), ("to", to_here)):
        end = SubElement(node, f"t_{side}_my_client" if here else f"t_{side}")
        _text(end, f"{side}_funds_code", entity.funds)
        if amount.currency != entity.currency:
            _foreign(SubElement(end, f"{side}_foreign_currency"), amount, rate)
        account = SubElement(end, f"{side}_account")
        _text(account, "institution_name", entity.name if here else UNKNOWN)
        _text(account, "account", _account(report, transaction, here=here))
        _text(account, "currency_code", amount.currency)
        if report.player_id is not None:
            signatory = SubElement(account, "signatory")
            _person(SubElement(signatory, "t_person"), report.player_id)
        _text(end, f"{side}_country", UNKNOWN)


def _rate(source: str, target: str, rates: RateTable | None) -> Fraction:
    if source == target:
        return Fraction(1)
    if rates is None:
        raise RateMissing(source, "of the report (none was published)")
    return rates.rate(source, target)


def _foreign(node: Element, amount: Money, rate: Fraction) -> None:
    _text(node, "foreign_currency_code", amount.currency)
    _text(node, "foreign_amount", _major(amount))
    _text(node, "foreign_exchange_rate", _rounded(rate))


def _account(report: Report, transaction: ReportedTransaction, *, here: bool) -> str:
    """The player's account in this ledger, or the instrument the money came from or went to."""
    if not here:
        return transaction.instrument or UNKNOWN
    if report.player_id is None:
        return UNKNOWN
    return available(report.player_id, transaction.amount.currency)


def _person(node: Element, player_id: UUID) -> None:
    _text(node, "first_name", UNKNOWN)
    _text(node, "last_name", UNKNOWN)
    _text(node, "id_number", str(player_id))


def _activity(root: Element, report: Report) -> None:
    """Whom or what it is about, where no transactions are reported."""
    parties = SubElement(SubElement(root, "activity"), "report_parties")
    party = SubElement(parties, "report_party")
    if report.player_id is not None:
        _person(SubElement(party, "person"), report.player_id)
    else:
        account = SubElement(party, "account")
        _text(account, "institution_name", UNKNOWN)
        _text(account, "account", report.subject)
    _text(party, "reason", report.subject)


# --- text ---------------------------------------------------------------------------------------


def _text(parent: Element, name: str, text: str) -> None:
    """An element with that text; what XML cannot hold is replaced, visibly."""
    SubElement(parent, name).text = _NOT_IN_XML.sub("\ufffd", _LINE_ENDS.sub("\n", text))


def _moment(at: datetime) -> str:
    """To the second, UTC; the schema knows no time zones."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _major(amount: Money) -> str:
    """In whole units, with all decimals of the currency: `1050.00`, `1050`, `1.050`."""
    return format_minor(amount.amount, amount.currency).partition(" ")[0]


def _rounded(rate: Fraction) -> str:
    """With as many decimals as there are, ten at most."""
    exact = decimal_text(rate)
    if exact is not None:
        return exact
    digits = str(round(rate * 10**_RATE_DECIMALS)).rjust(_RATE_DECIMALS + 1, "0")
    return f"{digits[:-_RATE_DECIMALS]}.{digits[-_RATE_DECIMALS:]}"
