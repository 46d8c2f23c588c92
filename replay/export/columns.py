"""The columns of tabular exports: names, types and meanings, and their values."""

from typing import Final, NamedTuple

from domain.money import InvalidMoney, exponent
from replay.export.rows import Amount


class Column(NamedTuple):
    """A column as the manifest describes it."""

    name: str
    type: str
    """`integer`, `text`, `instant`, `decimal`, `hexadecimal` or `json`; in Parquet, natively."""
    meaning: str


COLUMNS: Final = (
    Column("position", "integer", "place in the log: 1, 2, 3, … without gaps"),
    Column("recorded_at", "instant", "when it was recorded, UTC, to the microsecond"),
    Column("occurred_at", "instant", "when it happened, UTC"),
    Column("event", "text", "type of the event: the topic of its leaf"),
    Column("stream", "text", "UUID of the transaction, player, provider or other it belongs to"),
    Column("version", "integer", "within the stream, from 1"),
    Column("kind", "text", "of transaction the stream is; empty where it is none"),
    Column("player", "text", "UUID of the player the stream is about"),
    Column("provider", "text", "that the stream began with"),
    Column("actor", "text", "who or what did it: operator:…, player:…, provider:… or system:…"),
    Column("amount_minor", "integer", "the event's amount, what was settled, or what is converted"),
    Column("currency", "text", "of the amount, ISO 4217"),
    Column("exponent", "integer", "digits of the currency's minor unit"),
    Column("amount", "decimal", "amount_minor in whole units"),
    Column("leaf", "hexadecimal", "leaf hash of the event in the log's Merkle tree"),
    Column("state", "json", "the event's canonical bytes, as they are in its leaf"),
)
"""Of CSV and XLSX. Parquet has no `amount`, and `leaf` and `state` are bytes."""

LINE_COLUMNS: Final = (
    Column("position", "integer", "place in the log: 1, 2, 3, … without gaps"),
    Column("stream", "text", "UUID of the transaction, player, provider or other it belongs to"),
    Column("version", "integer", "within the stream, from 1"),
    Column("topic", "text", "type of the event"),
    Column("recorded_at", "instant", "when it was recorded, UTC, to the microsecond"),
    Column("leaf", "hexadecimal", "leaf hash of the event in the log's Merkle tree"),
    Column("event", "json", "the event; this text is its canonical bytes, as they are in its leaf"),
)
"""Of JSONL: members of each line."""

CLOUDEVENT_COLUMNS: Final = (
    Column("id", "text", "the position; unique within the source"),
    Column("type", "text", "`tallystick.` and the type of the event"),
    Column("subject", "text", "UUID of the transaction, player, provider or other it belongs to"),
    Column("time", "instant", "when it happened, UTC"),
    Column("position", "text", "place in the log: 1, 2, 3, … without gaps"),
    Column("streamversion", "text", "within the stream, from 1"),
    Column("recordedat", "instant", "when it was recorded, UTC, to the microsecond"),
    Column("leaf", "hexadecimal", "leaf hash of the event in the log's Merkle tree"),
    Column("data", "json", "the event; this text is its canonical bytes, as they are in its leaf"),
)
"""Of CloudEvents: attributes, extensions, and the data."""

_RUN_BY_SPREADSHEETS: Final = ("=", "+", "-", "@", "\t", "\r", "\n")


def harmless(text: str | None) -> str:
    """A text as a cell that no spreadsheet runs: what would be a formula starts with `'`.

    Source: OWASP, CSV injection.
    """
    if not text:
        return ""
    return "'" + text if text.startswith(_RUN_BY_SPREADSHEETS) else text


def digits_of(currency: str) -> int | None:
    """The exponent; None for what is no currency (any more)."""
    try:
        return exponent(currency)
    except InvalidMoney:
        return None


def decimal_text(money: Amount) -> str | None:
    """Exactly, in whole units: "-10.50"; None where the exponent is not known."""
    digits = digits_of(money.currency)
    if not digits:
        return None if digits is None else str(money.amount)
    whole, fraction = divmod(abs(money.amount), 10**digits)
    return f"{'-' if money.amount < 0 else ''}{whole}.{fraction:0{digits}d}"
