"""Exchange rates: what comes in force, who has to agree, and which sources may go ahead alone.

One person proposes a table, another approves it: approvals of payouts are counted by what a table
says their amount is. A source that two people trust puts its tables in force by itself, as long as
they are near the one in force and the one of the day before; else they wait for two people.
"""

from datetime import date, datetime
from fractions import Fraction
from typing import Final
from uuid import UUID

from domain.command import Command, repeated
from domain.conversion.rates import ExchangeRates, RateTable, SourceStatus, checked_rate
from domain.errors import (
    EvidenceMissing,
    InvalidRate,
    NothingToChange,
    RoleNotAllowed,
    SelfApproval,
)
from domain.events import (
    Rate,
    RateProposalDiscarded,
    RateSourceProposed,
    RateSourceRevoked,
    RateSourceTrusted,
    RateTableApproved,
    RateTableProposed,
    RateTablePublished,
)
from domain.money import exponent

PROPOSERS: Final = ("finance",)
"""Whose people may propose rates, or that a source be trusted."""

APPROVERS: Final = ("finance", "compliance")
"""Whose people may approve what another one proposed."""

KEYS_OF_SOURCES: Final = ("platform",)
"""Roles in which a key may bear a source's name: none that agrees to what people ask for."""

BAND_PERCENT: Final = 10
"""How far any rate of a table may move from another table's before people have to say why."""


# --- tables -------------------------------------------------------------------------------------


def propose_rates(
    state: ExchangeRates,
    command: Command,
    *,
    source: str,
    base: str,
    as_of: str,
    rates: tuple[Rate, ...],
    note: str = "",
) -> RateTableProposed | RateTablePublished | None:
    """Offer a table of rates; None if this command did so already.

    What a trusted source sends itself comes in force at once, unless it is further from what is in
    force than `beyond` allows. Anything else waits for another person; what a source sent and
    nobody stands for, for two. The proposal's id is the command's.

    A table is named for its source and day; the next that comes in force of the same source and
    day is another version: `ecb-2026-11-20`, then `ecb-2026-11-20-2`.

    Raises:
        RoleNotAllowed: the person's role proposes no rates, and they are not the source.
        InvalidRate: a rate, the source's name or the day cannot be used; the detail says which.
        InvalidMoney: a currency is not an active one of ISO 4217.
        NothingToChange: this very table is in force, or waits already.
        EvidenceMissing: rates move by more than the band, and no note says why.
    """
    if repeated(state.commands, command):
        return None
    by_itself = _is_the_source(state, command, source)
    if not by_itself:
        _require(state, command, PROPOSERS, "proposed")
    table = _checked_table(source, base, as_of, rates)
    if state.in_force is not None and table.says_the_same(state.in_force):
        raise NothingToChange("These rates are in force already.")
    further = beyond(state, table, command.now)
    if by_itself and state.is_trusted(source) and state.in_force and not further:
        return RateTablePublished(
            **command.header(state.id, state.version + 1),
            request_digest=command.request_digest,
            table=_next_name(state, table),
            source=source,
            base=base,
            as_of=as_of,
            rates=_recorded(table),
        )
    waiting = state.waiting(table)
    if waiting is not None:
        raise NothingToChange(f"These rates wait to be approved already: proposal {waiting.id}.")
    if not by_itself:
        _require_reason(further, note)
    return _proposed(
        state,
        command,
        table,
        proposal_id=command.command_id,
        person=None if by_itself else command.person,
        note=note,
    )


def approve_rates(
    state: ExchangeRates, command: Command, *, proposal_id: UUID, note: str = ""
) -> RateTableApproved | RateTableProposed | None:
    """Agree to a table; None if this command did so already.

    With another person's proposal it is in force from now on. What only a source has sent becomes
    this person's proposal, and waits for another one.

    Raises:
        KeyError: no such proposal waits.
        RoleNotAllowed: the person's role approves no rates, or they are a source.
        SelfApproval: the person proposed it.
        NothingToChange: this very table is in force.
        EvidenceMissing: rates move by more than the band, and no note says why.
    """
    if repeated(state.commands, command):
        return None
    proposal = state.proposals[proposal_id]
    _require(state, command, APPROVERS, "approved")
    if proposal.person == command.person:
        raise SelfApproval("Another person than the one who proposed these rates has to agree.")
    table = proposal.table
    if state.in_force is not None and table.says_the_same(state.in_force):
        raise NothingToChange("These rates are in force already.")
    _require_reason(beyond(state, table, command.now), note)
    if proposal.person is None:
        return _proposed(
            state, command, table, proposal_id=proposal_id, person=command.person, note=note
        )
    return RateTableApproved(
        **command.header(state.id, state.version + 1),
        request_digest=command.request_digest,
        proposal_id=proposal_id,
        person=command.person,
        proposed_by=proposal.person,
        table=_next_name(state, table),
        source=table.source,
        base=table.base,
        as_of=table.as_of,
        rates=_recorded(table),
        note=note,
    )


def discard_rates(
    state: ExchangeRates, command: Command, *, proposal_id: UUID, note: str
) -> RateProposalDiscarded | None:
    """Let go of a proposal; None if this command did so already.

    Raises:
        KeyError: no such proposal waits.
        RoleNotAllowed: the person's role neither proposes nor approves rates.
        EvidenceMissing: there is no note.
    """
    if repeated(state.commands, command):
        return None
    proposal = state.proposals[proposal_id]
    _require(state, command, APPROVERS, "discarded")
    _require_note(note, "A note has to say why these rates do not come in force.")
    return RateProposalDiscarded(
        **command.header(state.id, state.version + 1),
        request_digest=command.request_digest,
        proposal_id=proposal.id,
        person=command.person,
        note=note,
    )


# --- sources ------------------------------------------------------------------------------------


def trust_source(
    state: ExchangeRates, command: Command, *, source: str, note: str
) -> RateSourceProposed | RateSourceTrusted | None:
    """The first person proposes to trust a source, a second one does; None if repeated.

    Raises:
        RoleNotAllowed: the person's role may not propose it, or not agree.
        InvalidRate: no source can have this name.
        SelfApproval: the person proposed it.
        NothingToChange: it is trusted.
        EvidenceMissing: there is no note.
    """
    if repeated(state.commands, command):
        return None
    known = state.sources.get(source)
    proposed = known is not None and known.status is SourceStatus.PROPOSED
    _require(state, command, APPROVERS if proposed else PROPOSERS, "trusted")
    _check_source(source)
    if state.is_trusted(source):
        raise NothingToChange("This source is trusted already.")
    _require_note(note, "A note has to say why this source can be trusted.")
    if known is None or not proposed:
        return RateSourceProposed(
            **command.header(state.id, state.version + 1),
            request_digest=command.request_digest,
            source=source,
            person=command.person,
            note=note,
        )
    if known.person == command.person:
        raise SelfApproval("Another person than the one who proposed this source has to agree.")
    return RateSourceTrusted(
        **command.header(state.id, state.version + 1),
        request_digest=command.request_digest,
        source=source,
        person=command.person,
        note=note,
    )


def revoke_source(
    state: ExchangeRates, command: Command, *, source: str, note: str
) -> RateSourceRevoked | None:
    """Trust a source no longer, or do not begin to: one person is enough. None if repeated.

    Raises:
        RoleNotAllowed: the person's role may not.
        NothingToChange: it is neither trusted nor proposed.
        EvidenceMissing: there is no note.
    """
    if repeated(state.commands, command):
        return None
    _require(state, command, APPROVERS, "revoked")
    known = state.sources.get(source)
    if known is None or known.status is SourceStatus.REVOKED:
        raise NothingToChange("This source is not trusted.")
    _require_note(note, "A note has to say why this source is not trusted any more.")
    return RateSourceRevoked(
        **command.header(state.id, state.version + 1),
        request_digest=command.request_digest,
        source=source,
        person=command.person,
        note=note,
    )


# --- how far a table is from others -------------------------------------------------------------


def beyond(state: ExchangeRates, table: RateTable, now: datetime) -> str:
    """How the table is further than a source may go alone; empty where it is not.

    It has the currencies of the one in force, and no rate between two of them, whichever way, moves
    by more than the band: neither from the table in force nor from the one of the day before, nor
    from what people agreed to since then.
    """
    for reference in state.references(now):
        if reference is state.in_force and table.currencies != reference.currencies:
            return _other_currencies(table, reference)
        # By how much each has moved against the two bases; against each other, by the quotients.
        moved = {
            currency: table.from_base(currency) / reference.from_base(currency)
            for currency in sorted(table.currencies & reference.currencies)
        }
        if not moved:
            continue
        low, high = min(moved, key=moved.__getitem__), max(moved, key=moved.__getitem__)
        if moved[high] * 100 > moved[low] * (100 + BAND_PERCENT):
            return (
                f"What {low} is worth in {high} moves by more than {BAND_PERCENT} % from"
                f" {reference.table}."
            )
    return ""


def _other_currencies(table: RateTable, reference: RateTable) -> str:
    gone = sorted(reference.currencies - table.currencies)
    new = sorted(table.currencies - reference.currencies)
    said = [f"has no {code}" for code in gone] + [f"has {code} as well" for code in new]
    return f"Compared with {reference.table}, it {', '.join(said)}."


# --- shared -------------------------------------------------------------------------------------


def _is_the_source(state: ExchangeRates, command: Command, source: str) -> bool:
    """Whether no person acts: an import job, or a key that two people gave to the source."""
    if command.actor == f"system:{source}":
        return True
    named = command.person == source and command.role in KEYS_OF_SOURCES
    return named and state.is_trusted(source)


def _require(state: ExchangeRates, command: Command, roles: tuple[str, ...], done: str) -> None:
    if command.role not in roles:
        raise RoleNotAllowed(f"Rates, and their sources, are {done} by {' or '.join(roles)}.")
    source = state.sources.get(command.person)
    if source is not None and source.was_trusted:
        raise RoleNotAllowed(
            f"{source.name} is a source of rates: its own come with a key of the role"
            f" {' or '.join(KEYS_OF_SOURCES)}, anything else takes a person."
        )


def _require_note(note: str, remedy: str) -> None:
    if not note.strip():
        raise EvidenceMissing(remedy)


def _require_reason(further: str, note: str) -> None:
    if further:
        _require_note(note, f"{further} A note has to say why.")


def _proposed(
    state: ExchangeRates,
    command: Command,
    table: RateTable,
    *,
    proposal_id: UUID,
    person: str | None,
    note: str,
) -> RateTableProposed:
    return RateTableProposed(
        **command.header(state.id, state.version + 1),
        request_digest=command.request_digest,
        proposal_id=proposal_id,
        person=person,
        source=table.source,
        base=table.base,
        as_of=table.as_of,
        rates=_recorded(table),
        beyond=beyond(state, table, command.now),
        note=note,
    )


def _next_name(state: ExchangeRates, table: RateTable) -> str:
    times = state.times.get(table.table, 0) + 1
    return table.table if times == 1 else f"{table.table}-{times}"


def _recorded(table: RateTable) -> tuple[Rate, ...]:
    """The rates in lowest terms, by currency."""
    return tuple(
        Rate(currency=currency, numerator=rate.numerator, denominator=rate.denominator)
        for currency, rate in sorted(table.rates.items())
    )


# --- what a table has to be ---------------------------------------------------------------------


def _checked_table(source: str, base: str, as_of: str, rates: tuple[Rate, ...]) -> RateTable:
    _check_source(source)
    try:
        day = date.fromisoformat(as_of)
    except ValueError:
        day = None
    if day is None or day.isoformat() != as_of:
        raise InvalidRate(f"{as_of!r} is not a day; write it like 2026-11-20.")
    return RateTable(
        table=f"{source}-{as_of}",
        source=source,
        base=base,
        as_of=as_of,
        rates=_checked_rates(base, rates),
    )


def _check_source(source: str) -> None:
    if not (source.isascii() and source.replace("-", "").replace("_", "").isalnum()):
        raise InvalidRate("The source's name has letters, digits, - and _ only.")


def _checked_rates(base: str, rates: tuple[Rate, ...]) -> dict[str, Fraction]:
    """The rates by currency, in lowest terms."""
    exponent(base)
    if not rates:
        raise InvalidRate("The table has no rates.")
    checked: dict[str, Fraction] = {}
    for rate in rates:
        exponent(rate.currency)
        if rate.currency == base:
            raise InvalidRate(f"{base} is the table's base and has no rate of its own.")
        if rate.currency in checked:
            raise InvalidRate(f"{rate.currency} is listed twice.")
        if rate.numerator < 1 or rate.denominator < 1:
            raise InvalidRate(f"The rate of {rate.currency} is not above 0.")
        checked[rate.currency] = checked_rate(Fraction(rate.numerator, rate.denominator))
    return checked
