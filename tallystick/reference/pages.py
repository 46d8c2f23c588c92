"""The README, the pages in `docs/`, and the tables in them; `--check` and `--write`."""

import argparse
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from domain import events
from domain.adjustment.state import Adjustment
from domain.conversion.state import Conversion
from domain.deposit.state import Deposit
from domain.dispute.decisions import Dispute
from domain.refund.decisions import Refund
from domain.withdrawal.state import Withdrawal
from tallystick.reference.api_page import operations_table, problems_table, shared_problems_table
from tallystick.reference.diagrams import diagram, event_map, leg_diagram, status_table
from tallystick.reference.event_pages import (
    account_list,
    counter_list,
    event_list,
    leg_list,
    leg_rule,
    value_types,
)
from tallystick.reference.indicator_pages import FOLDER, indicators_table, stale_pages
from tallystick.reference.settings_page import settings_table

DOCS: Final = Path(__file__).resolve().parents[2] / "docs"

_MARKED = re.compile(
    r"(?P<begin><!-- table (?P<name>[a-z-]+): [^>]*-->\n).*?(?P<end><!-- end of table -->)",
    re.DOTALL,
)


_AT_PROVIDERS: Final = (Deposit, Withdrawal, Refund, Conversion)

TABLES: Final[Mapping[str, Callable[[], str]]] = {
    "all-events": event_map,
    "deposit-events": partial(event_list, events.DepositEvent, leads=[Deposit]),
    "withdrawal-events": partial(event_list, events.WithdrawalEvent, leads=[Withdrawal]),
    "refund-events": partial(event_list, events.RefundEvent, leads=[Refund]),
    "conversion-events": partial(event_list, events.ConversionEvent, leads=[Conversion]),
    "dispute-events": partial(event_list, events.DisputeEvent, leads=[Dispute]),
    "adjustment-events": partial(event_list, events.AdjustmentEvent, leads=[Adjustment]),
    "provider-evidence": partial(event_list, events.ProviderEvidence, leads=_AT_PROVIDERS),
    "notice-events": partial(event_list, events.NoticeEvent),
    "player-events": partial(event_list, events.PlayerEvent),
    "wager-events": partial(event_list, events.WagerEvent),
    "provider-events": partial(event_list, events.ProviderEvent),
    "policy-events": partial(event_list, events.PolicyEvent),
    "rates-events": partial(event_list, events.RatesEvent),
    "read-model-events": partial(event_list, events.ReadModelEvent),
    "rule-set-events": partial(event_list, events.RuleSetEvent),
    "fraud-case-events": partial(event_list, events.FraudCaseEvent),
    "report-events": partial(event_list, events.ReportEvent),
    "deposit-states": partial(diagram, Deposit),
    "withdrawal-states": partial(diagram, Withdrawal),
    "leg-states": leg_diagram,
    "leg-statuses": leg_list,
    "leg-rule": leg_rule,
    "refund-states": partial(diagram, Refund),
    "conversion-states": partial(diagram, Conversion),
    "dispute-states": partial(diagram, Dispute),
    "adjustment-states": partial(diagram, Adjustment),
    "deposit-statuses": partial(status_table, Deposit),
    "withdrawal-statuses": partial(status_table, Withdrawal),
    "refund-statuses": partial(status_table, Refund),
    "conversion-statuses": partial(status_table, Conversion),
    "dispute-statuses": partial(status_table, Dispute),
    "adjustment-statuses": partial(status_table, Adjustment),
    "values": value_types,
    "accounts": account_list,
    "counters": counter_list,
    "indicators": indicators_table,
    "settings": settings_table,
    "operations": operations_table,
    "shared-problems": shared_problems_table,
    "problems": problems_table,
}


def made_anew(text: str) -> str:
    """A Markdown text with its tables as the code has them now.

    Raises:
        KeyError: a marker names no table.
    """
    return _MARKED.sub(
        lambda found: f"{found['begin']}\n{TABLES[found['name']]()}\n\n{found['end']}", text
    )


def out_of_date(docs: Path = DOCS) -> dict[Path, str]:
    """The files whose tables are not as the code has them, and what they should say."""
    pages = [*docs.parent.glob("README.md"), *sorted(docs.glob("*.md"))]
    pages += docs.glob(f"{FOLDER}/README.md")
    texts = {path: path.read_text(encoding="utf-8") for path in pages}
    anew = {path: made_anew(text) for path, text in texts.items()}
    return {path: text for path, text in anew.items() if text != texts[path]}


def main(arguments: Sequence[str] | None = None) -> int:
    """Check or write the tables and the pages of indicators; the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tallystick.reference", description="The tables in docs/."
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--check", action="store_true", help="exit status 1 if one is out of date")
    what.add_argument("--write", action="store_true", help="make them anew")
    chosen = parser.parse_args(arguments)
    if not DOCS.is_dir():
        parser.error(f"{DOCS} is not there: this works in a checkout of the repository")
    stale = out_of_date() | stale_pages(DOCS)
    for path, text in stale.items():
        if chosen.write:
            path.write_text(text, encoding="utf-8")
        print(f"{path}: {'written' if chosen.write else 'out of date'}")
    return 1 if stale and chosen.check else 0
