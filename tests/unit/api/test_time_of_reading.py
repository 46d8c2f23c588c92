"""What comes from outside is read in time linear in its size, whatever it is.

Each reader is given, at the size it takes at most, what is worst for it. Linear reading takes some
milliseconds there, quadratic reading minutes: the bound lies far from both.
"""

import ast
import contextlib
import importlib
import inspect
import json
import pkgutil
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

import api
import domain
import ledger
import projections
import replay
import tallystick
from api.http import json_body
from api.http.free_text import Line, Note, holds_card_number
from api.http.paging import decode_cursor
from api.http.validation import refusal
from api.payments.batch_requests import BatchBody
from api.payments.requests import NewTransaction
from ledger.access.api_keys import key_id_of
from ledger.checkpoints import note
from ledger.commands.holder_names import similarity_percent
from ledger.eventstore import positions
from ledger.providers import card_numbers
from ledger.providers.simulator.reading import read_notice
from ledger.providers.standard_webhooks import Verifier

SECONDS_MAX = 2.0
HEAD_CHARS_MAX = 65_536
BODY_BYTES_MAX = json_body.BODY_BYTES_MAX
VALUES = 49_000
"""As many as a body may hold."""

PACKAGES = (domain, projections, ledger, api, replay, tallystick)
UNITS = ("0", "a", "A", "f", "-", " ", '"', "\\", ".", "/", ":", "{", "_", "\r", "\n", "é", "٤")
SOURCES_OF_OUR_OWN = ("tallystick.reference", "ledger.eventstore.embedded.binaries")
"""They read our own pages and the names of installed programs."""


def seconds(read: Callable[[], object]) -> float:
    """Of this thread's time, which a busy machine does not lengthen."""
    began = time.thread_time()
    with contextlib.suppress(Exception):  # what is not taken has to be refused in time, too
        read()
    return time.thread_time() - began


def filled(unit: bytes, before: bytes = b"", after: bytes = b"") -> bytes:
    times = (BODY_BYTES_MAX - len(before) - len(after)) // len(unit)
    return before + unit * times + after


# --- bodies -----------------------------------------------------------------------------------

BODIES: Mapping[str, bytes] = {
    "quotes": filled(b'"'),
    "backslashes": filled(b"\\"),
    "an open string of escaped quotes": filled(b'\\"', b'"'),
    "quotes and backslashes": filled(b'"\\'),
    "escapes": filled(b"\\u00e9", b'"', b'"'),
    "open lists": filled(b"["),
    "closed lists": filled(b"]"),
    "lists in lists": filled(b"[" * 31 + b"]" * 31 + b","),
    "empty lists": filled(b"[],", b"[", b"1]"),
    "empty texts": filled(b'"",', b"[", b"1]"),
    "one long number": filled(b"9", b"[", b"]"),
    "many long numbers": filled(b"9" * 4_300 + b",", b"[", b"1]"),
    "a long fraction": filled(b"9", b"[1.", b"]"),
    "a long exponent": filled(b"9", b"[1e", b"]"),
    "the same key": filled(b'"a":1,', b"{", b'"a":1}'),
    "keys": b"{" + b",".join(b'"%x":1' % n for n in range(80_000)) + b"}",
    "no UTF-8": filled(b"\xff", b'"', b'"'),
    "spaces": filled(b" "),
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_every_body_is_parsed_in_time(body: bytes) -> None:
    assert len(body) <= BODY_BYTES_MAX
    assert seconds(lambda: json_body.parse(body)) < SECONDS_MAX


@given(st.lists(st.sampled_from([b'"', b"\\", b"[", b"]", b"{", b"}", b",", b"a", b":"])))
@settings(max_examples=50, deadline=None)
def test_no_few_characters_repeated_make_a_body_slow(unit: list[bytes]) -> None:
    body = filled(b"".join(unit) or b" ")
    assert seconds(lambda: json_body.parse(body)) < SECONDS_MAX


NESTED = st.recursive(
    st.text(alphabet='"\\[]{},:a') | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text('"\\[', max_size=3), inner),
    max_leaves=40,
)


@given(NESTED, st.integers(min_value=0, max_value=40))
def test_what_is_within_texts_does_not_nest(value: object, around: int) -> None:
    """The depth that is counted is that of the value, however its texts look."""
    for _ in range(around):
        value = [value]
    body = json.dumps(value).encode()
    if _depth_of(value) <= json_body.DEPTH_MAX:
        assert json_body.parse(body) == value
    else:
        with pytest.raises(Exception, match="nested deeper"):
            json_body.parse(body)


def _depth_of(value: object) -> int:
    match value:
        case list():
            return 1 + max((_depth_of(each) for each in value), default=0)
        case dict():
            return 1 + max((_depth_of(each) for each in value.values()), default=0)
        case _:
            return 0


@pytest.mark.parametrize(
    ("model", "value"),
    [
        (NewTransaction, dict.fromkeys(map(str, range(VALUES)), 1)),
        (NewTransaction, {"metadata": dict.fromkeys(map(str, range(VALUES)), 1)}),
        (BatchBody, {"commands": [dict.fromkeys("abcdefgh", 1)] * 1_000}),
        (BatchBody, {"commands": [{}] * VALUES}),
    ],
    ids=["fields", "metadata", "commands", "too many commands"],
)
def test_every_refusal_of_a_body_is_told_in_time(model: type, value: object) -> None:
    adapter = TypeAdapter(model)

    def refuse() -> None:
        try:
            adapter.validate_python(value)
        except ValidationError as error:
            refusal(error.errors(include_url=False))

    assert seconds(refuse) < SECONDS_MAX


# --- texts ------------------------------------------------------------------------------------

MESSAGE = {"webhook-id": "a", "webhook-timestamp": str(int(time.time()))}
VERIFIER = Verifier("whsec_" + "YWJj" * 8)
PATTERNS_OF_TEXT = (*UNITS, "1 ", "1-", "1.", "11 ", "0" * 12 + " ", "a-", "\\u0000", "==", "é ")


def texts(chars: int, units: Sequence[str]) -> Iterator[str]:
    """Some that are as long as that."""
    for unit in units:
        yield (unit * (chars // len(unit) + 1))[:chars]


READERS: Mapping[str, Callable[[str], object]] = {
    "a line": TypeAdapter(Line).validate_python,
    "a note": TypeAdapter(Note).validate_python,
    "a cursor": lambda text: decode_cursor(text, int, str),
    "a key": key_id_of,
    "a point in the log": lambda text: positions._question(text, datetime.now(UTC)),
    "a signature": lambda text: VERIFIER.verify({**MESSAGE, "webhook-signature": text}, b"{}"),
    "signatures": lambda text: VERIFIER.verify(
        {**MESSAGE, "webhook-signature": "v1,a " * (len(text) // 5)}, b"{}"
    ),
    "an instant of a webhook": lambda text: VERIFIER.verify(
        {**MESSAGE, "webhook-timestamp": text, "webhook-signature": "v1," + "A" * 43 + "="}, b"{}"
    ),
    "the id of a webhook": lambda text: VERIFIER.verify({**MESSAGE, "webhook-id": text}, b"{}"),
}
"""Of what is in a head, which may be as long as that."""


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
def test_every_text_is_read_in_time(reader: Callable[[str], object]) -> None:
    assert slowest(reader, HEAD_CHARS_MAX) < SECONDS_MAX


def slowest(
    read: Callable[[str], object], chars: int, units: Sequence[str] = PATTERNS_OF_TEXT
) -> float:
    return max(seconds(partial(read, text)) for text in texts(chars, units))


LONG_READERS: Mapping[str, Callable[[str], object]] = {
    "a signed note": lambda text: note.open_note(text, []),
    "signatures of a note": lambda text: note.open_note(f"a\n\n\u2014 {text}\n", []),
    "a text for card numbers": holds_card_number,
    "a provider's text for card numbers": card_numbers.holds_card_number,
    "a notice": lambda text: read_notice("a", text.encode()),
    "a notice about": lambda text: read_notice("a", _notice(text)),
}
"""Of what may be as long as a body."""


def _notice(reference: str) -> bytes:
    body = {
        "type": "payment.updated",
        "reference": reference,
        "status": "succeeded",
        "amount": {"amount": 1, "currency": "EUR"},
        "provider_reference": "sim_1",
        "decline": None,
        "fee": None,
        "sent_at": "2026-05-03T14:00:00Z",
    }
    return json.dumps(body, ensure_ascii=False).encode()


@pytest.mark.parametrize("reader", LONG_READERS.values(), ids=LONG_READERS)
def test_every_long_text_is_read_in_time(reader: Callable[[str], object]) -> None:
    """Of a tenth of that: linear reading takes a third of a second, quadratic reading several."""
    assert slowest(reader, BODY_BYTES_MAX // 10, ("0", "a", "1 ", "1-", "é ")) < 0.75 * SECONDS_MAX


def test_names_are_compared_in_time() -> None:
    for unit in ("a", "a ", "ﷺ", "é", "a\u0301"):
        name = (unit * 255)[:255]
        assert seconds(lambda name=name: similarity_percent(name, name[:-1] + "b")) < SECONDS_MAX


# --- regular expressions ----------------------------------------------------------------------


def modules() -> Iterator[ModuleType]:
    for package in PACKAGES:
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if "__main__" in found.name:
                continue
            module = importlib.import_module(found.name)
            if not found.name.startswith(SOURCES_OF_OUR_OWN) and _has_source(module):
                yield module


def _has_source(module: ModuleType) -> bool:
    return bool(Path(module.__file__ or "").read_text())


def uses_of_patterns() -> Iterator[tuple[str, str, re.Pattern[str] | re.Pattern[bytes]]]:
    """Where, which method, and of which pattern."""
    for module in modules():
        compiled = {n: v for n, v in vars(module).items() if isinstance(v, re.Pattern)}
        for node in ast.walk(ast.parse(inspect.getsource(module))):
            match node:
                case ast.Attribute(value=ast.Name(id=name), attr=method) if name in compiled:
                    if method in METHODS:
                        yield f"{module.__name__}.{name}.{method}", method, compiled[name]
                case ast.Call(
                    func=ast.Attribute(value=ast.Name(id="re"), attr=method),
                    args=[ast.Constant(value=str(text)), *_],
                ) if method in METHODS:
                    yield f"{module.__name__}: {text}", method, re.compile(text)


METHODS = ("match", "fullmatch", "search", "sub", "split", "findall", "finditer")
USES = {where: (method, pattern) for where, method, pattern in uses_of_patterns()}


@pytest.mark.parametrize("where", USES)
def test_a_regular_expression_takes_linear_time(where: str) -> None:
    method, pattern = USES[where]
    runs = {"sub": lambda text: pattern.sub("", text), "finditer": lambda t: [*pattern.finditer(t)]}

    def run(text: str) -> object:
        sent = text.encode() if isinstance(pattern.pattern, bytes) else text
        return runs.get(method, getattr(pattern, method))(sent)

    for unit in {*PATTERNS_OF_TEXT, *(a + b for a in UNITS[:9] for b in UNITS[:9])}:
        text = unit * (30_000 // len(unit)) + "!"
        assert seconds(partial(run, text)) < SECONDS_MAX, unit


def test_the_regular_expressions_are_found() -> None:
    assert len(USES) > 30
