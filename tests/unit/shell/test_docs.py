"""The documentation says what is so: tables, links, commands and requests are compared."""

import json
import re
import shlex
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any, get_args

import jsonschema_rs
import pytest
from typer.main import get_command

from api.http.observing import Metrics
from domain.events import (
    EVENT_TYPES,
    FraudCaseEvent,
    LedgerEvent,
    NoticeEvent,
    PlayerEvent,
    PolicyEvent,
    ProviderEvent,
    RatesEvent,
    ReadModelEvent,
    ReportEvent,
    RuleSetEvent,
    WagerEvent,
)
from domain.fraud.indicators.catalogue import INDICATORS
from domain.fraud.indicators.declaring import Indicator
from domain.postings import postings
from domain.transactions import Transaction, evolve_transaction
from domain.withdrawal.state import Withdrawal
from ledger.eventstore.embedded.initdb import ADMIN
from ledger.eventstore.roles import Role
from ledger.settings import Settings
from projections.fraud.states import INSTRUMENTS_MAX, PLAYERS_MAX
from projections.fraud.windows import CELLS, KEPT_MAX
from tallystick.cli.main import ServedPart, app
from tallystick.reference import api_page, arrows, indicator_pages, pages
from tallystick.reference.indicator_samples import sample_hits
from tests.generators.event_samples import SAMPLES
from tests.generators.event_sequences import world

OURS = "http://127.0.0.1:8000/"
ROOT = Path(__file__).parents[3]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]

every_page = pytest.mark.parametrize("page", PAGES, ids=NAMES)


def code_in(text: str) -> list[str]:
    """Fenced blocks and code within lines."""
    fenced = re.findall(r"^```[^\n]*\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    plain = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    return fenced + re.findall(r"`([^`\n]+)`", plain)


# --- tables -------------------------------------------------------------------------------------


def test_no_table_is_out_of_date() -> None:
    stale = [str(path) for path in pages.out_of_date()]
    assert stale == [], "run: python -m tallystick.reference --write"


def test_every_table_stands_somewhere_and_its_markers_are_whole() -> None:
    text = "".join(page.read_text() for page in PAGES)
    named = re.findall(r"^<!-- table ([a-z-]+): .* -->$", text, re.MULTILINE)
    assert sorted(named) == sorted(pages.TABLES)
    assert text.count("<!-- end of table -->") == len(named)


def test_a_stale_table_is_noticed_and_made_anew(tmp_path: Path) -> None:
    page = tmp_path / "settings.md"
    page.write_text("before\n<!-- table settings: x -->\nold\n<!-- end of table -->\nafter\n")
    anew = pages.out_of_date(tmp_path)[page]
    assert anew.startswith("before\n<!-- table settings: x -->\n\n| variable |")
    assert anew.endswith("\n\n<!-- end of table -->\nafter\n")
    page.write_text(anew)
    assert pages.out_of_date(tmp_path) == {}


# --- indicators ---------------------------------------------------------------------------------


def test_the_page_of_an_indicator_is_as_its_declaration_says() -> None:
    stale = [str(path) for path in indicator_pages.stale_pages(pages.DOCS)]
    assert stale == [], "run: python -m tallystick.reference --write"


def test_nothing_lies_among_the_pages_of_indicators_that_is_not_one() -> None:
    made = {indicator_pages.page_name(one) for one in INDICATORS}
    found = {path.name for path in (pages.DOCS / indicator_pages.FOLDER).iterdir()}
    assert found == made | {"README.md"}


def test_a_stale_or_missing_page_of_an_indicator_is_noticed(tmp_path: Path) -> None:
    stale = indicator_pages.stale_pages(tmp_path)
    assert len(stale) == len(INDICATORS)
    for path, text in stale.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert indicator_pages.stale_pages(tmp_path) == {}
    touched = min(stale)
    touched.write_text(touched.read_text().replace("2000.00 EUR", "1000.00 EUR"))
    assert list(indicator_pages.stale_pages(tmp_path)) == [touched]


@pytest.mark.parametrize("indicator", INDICATORS, ids=lambda one: one.code)
def test_a_page_says_everything_that_its_indicator_declares(indicator: Indicator) -> None:
    text = indicator_pages.page(indicator)
    assert indicator.code in text
    for one in indicator.parameters:
        value = indicator_pages.in_its_unit(one, one.default)
        assert f"| `{one.name}` | {value} | {one.meaning} |" in text
        named = "T" if indicator.code == "structuring" and one.currency else f"`{one.name}`"
        assert named in indicator.formula
    for severity in indicator.severities:
        assert severity in text.partition("## What follows")[2].partition("## Example")[0]


@pytest.mark.parametrize("indicator", INDICATORS, ids=lambda one: one.code)
def test_an_example_is_what_a_hit_really_says(indicator: Indicator) -> None:
    hits = sample_hits(indicator.code)
    assert indicator.example == hits[0].sentence
    assert {hit.severity for hit in hits} <= set(indicator.severities)
    # One story for each kind of subject: two are alike only where a hit reads the same.
    kinds = {hit.subject.partition(":")[0] for hit in hits}
    assert kinds <= set(indicator.subjects)
    assert len(kinds) == len(hits)


def test_how_exact_windows_are_is_said_as_it_is() -> None:
    text = " ".join((pages.DOCS / indicator_pages.FOLDER / "README.md").read_text().split())
    assert f"for up to {KEPT_MAX} payments" in text
    assert f"by less than a {CELLS}th of it" in text
    assert f"device or address the {PLAYERS_MAX} players" in text
    assert f"of one player the {INSTRUMENTS_MAX} instruments" in text


# --- histories ----------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_random_histories_find_no_arrow_that_is_not_in_the_diagrams(seed: int) -> None:
    states: dict[Any, Transaction] = {}
    for event in world(seed, 2_000).events:
        before = states.get(event.originator_id)
        after = evolve_transaction(before, event)
        if after is None:
            continue
        states[event.originator_id] = after
        arrow = arrows.Arrow(type(event).__name__, before.status if before else "", after.status)
        assert arrow in arrows.arrows(type(after))


@pytest.mark.parametrize("seed", range(4))
def test_random_histories_move_legs_only_as_in_their_diagram(seed: int) -> None:
    states: dict[Any, Transaction] = {}
    for event in world(seed, 2_000).events:
        before = states.get(event.originator_id)
        after = evolve_transaction(before, event)
        if after is None:
            continue
        states[event.originator_id] = after
        if not isinstance(before, Withdrawal) or not isinstance(after, Withdrawal):
            continue
        for old, new in zip(before.legs, after.legs, strict=False):
            if old.status is not new.status:
                arrow = arrows.Arrow(type(event).__name__, old.status, new.status)
                assert arrow in arrows.leg_arrows()


def test_every_event_is_of_a_transaction_or_of_what_transactions_refer_to() -> None:
    """An event that no decision leads to would stand in the log with nobody to write it."""
    others = {
        cls
        for union in (
            NoticeEvent,
            PlayerEvent,
            ProviderEvent,
            PolicyEvent,
            RatesEvent,
            RuleSetEvent,
            FraudCaseEvent,
            ReportEvent,
        )
        for cls in get_args(union)
    } | {WagerEvent, ReadModelEvent}
    of_transactions = {arrow.event for kind in arrows.MACHINES for arrow in arrows.arrows(kind)}
    assert of_transactions.isdisjoint({cls.__name__ for cls in others})
    assert of_transactions | {cls.__name__ for cls in others} == {
        cls.__name__ for cls in EVENT_TYPES
    }


@pytest.mark.parametrize("kind", arrows.MACHINES)
def test_every_status_can_be_reached(kind: type[Transaction]) -> None:
    reached = {arrow.after for arrow in arrows.arrows(kind)}
    assert reached == set(arrows.MACHINES[kind].statuses)


@pytest.mark.parametrize("event", SAMPLES, ids=lambda event: type(event).__name__)
def test_what_an_event_posts_is_said_where_it_is_described(event: LedgerEvent) -> None:
    text = (pages.DOCS / "events.md").read_text()
    name = type(event).__name__
    (section,) = re.findall(rf"^### {name}\n(.*?)^##", text, re.DOTALL | re.MULTILINE)
    moved = postings(event)
    assert ("Posts" in section) == bool(moved)
    if "`moves`" in section:
        return
    for source, target in zip(moved[::2], moved[1::2], strict=True):
        assert f"from {_shape(source.account)} to {_shape(target.account)}" in section


def _shape(account: str) -> str:
    return f"{account.split(':')[0]} {account.split(':')[-2]}"


# --- links --------------------------------------------------------------------------------------


@every_page
def test_relative_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), f"{target}: nothing is there"
        assert found.is_relative_to(ROOT), f"{target}: outside the repository"
        assert not anchor or anchor in _anchors(found), f"{target}: no such heading"


def _anchors(page: Path) -> set[str]:
    """As GitHub makes them from headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


# --- commands -----------------------------------------------------------------------------------


@every_page
def test_make_targets_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for code in code_in(page.read_text()):
        named = re.findall(r"(?<![\w-])make (?:[A-Z]+=\S+ )?([a-z]+)", code)
        assert set(named) <= targets


@every_page
def test_commands_and_their_options_exist(page: Path) -> None:
    for code in code_in(page.read_text().replace("\\\n", " ")):
        for line in re.findall(r"(?<![\w./-])(?:\.venv/bin/)?tallystick( [^\n|#>]+)", code):
            _check_command(line.split())


def _check_command(words: list[str]) -> None:
    command: Any = get_command(app)
    named = " ".join(["tallystick", *words])
    while words and hasattr(command, "commands") and not words[0].startswith("-"):
        word = words.pop(0)
        assert word in command.commands, f"{named}: no such command"
        command = command.commands[word]
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = {name: p for p in command.params for name in p.opts} | {"--help": None}
    given: list[str] = []
    rest = iter(words)
    for word in rest:
        if not word.startswith("-"):
            given.append(word)
            continue
        assert word in options, f"{named}: no such option"
        _check_value(named, options[word], rest)
    assert len(given) <= len(arguments), f"{named}: takes no such argument"
    if command.name == "serve":
        assert set(given) <= set(ServedPart), f"{named}: no such part"


def _check_value(named: str, option: Any, rest: Iterator[str]) -> None:
    """An option that is not a switch takes the next word, which has to be one of its choices."""
    if option is None or option.is_flag:
        return
    value = next(rest, None)
    assert value is not None, f"{named}: a value is missing"
    kind = option.bare_type
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        assert value in set(kind) or value.isupper(), f"{named}: no such choice"


# --- names --------------------------------------------------------------------------------------


@every_page
def test_environment_variables_exist(page: Path) -> None:
    of_settings = {
        str(field.validation_alias or f"TALLYSTICK_{name.upper()}")
        for name, field in Settings.model_fields.items()
    }
    others = {
        "TALLYSTICK_NAME_SECRET",  # NAME stands for a provider
        "TALLYSTICK_NAME_TOKEN",
        "TALLYSTICK_WRITE_GOLDEN",  # of the tests
        "TALLYSTICK_KEY",  # of who acts at a terminal
    }
    named = re.findall(r"\b(?:TALLYSTICK_[A-Z_]+|DATABASE_URL)\b", page.read_text())
    assert set(named) <= of_settings | others


@every_page
def test_metrics_and_roles_exist(page: Path) -> None:
    metrics = set(Metrics().registry._names_to_collectors)
    named = re.findall(r"\btallystick_[a-z_]+\b", page.read_text())
    assert set(named) <= metrics | set(Role) | {ADMIN}


# --- requests -----------------------------------------------------------------------------------


@every_page
def test_requests_are_ones_that_the_api_takes(page: Path) -> None:
    for method, path, query, body in _requests(page.read_text()):
        operation = _operation(method, path)
        known = {p["name"] for p in operation.get("parameters", []) if p["in"] == "query"}
        assert set(query) <= known, f"{method} {path} takes no such parameter"
        if body is None:
            assert "requestBody" not in operation, f"{method} {path} needs a body"
            continue
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        components = api_page.api_document()["components"]
        jsonschema_rs.validate(schema | {"components": components}, body)


def _requests(text: str) -> Iterator[tuple[str, str, list[str], object]]:
    """Method, path, names in the query and body of every `curl` that asks our own API."""
    lines = iter(text.replace("\\\n", " ").replace("$URL/", OURS).splitlines())
    for line in lines:
        if not line.lstrip().startswith("curl "):
            continue
        while line.count("'") % 2:  # a body over several lines
            line += "\n" + next(lines)
        words = shlex.split(line)
        (url,) = (word for word in words if re.match("https?://", word))
        if not url.startswith(OURS):
            continue
        body = json.loads(words[words.index("-d") + 1]) if "-d" in words else None
        posted = any("Idempotency-Key:" in word for word in words)
        method = words[words.index("-X") + 1] if "-X" in words else "post" if posted else "get"
        path, _, query = url.split("/", 3)[3].partition("?")
        names = [part.partition("=")[0] for part in query.split("&") if part]
        yield method.lower(), f"/{path}", names, body


def _operation(method: str, path: str) -> dict[str, Any]:
    for template, methods in api_page.api_document()["paths"].items():
        pattern = re.sub(r"\\{.*?\\}", "[^/]+", re.escape(template))
        if re.fullmatch(pattern, path) and method in methods:
            found: dict[str, Any] = methods[method]
            return found
    raise AssertionError(f"the API has no {method.upper()} {path}")
