"""Whatever somebody who may do anything to the database changes in the log, verify finds it there.

Random edits by the superuser, with the triggers off, each in a transaction that is rolled back:
bits flipped in any column, events removed, exchanged, added and cut off, and rewrites in which
leaf, roots and head are made to match. Where an edit must be found is worked out here, from what
was done; a rewrite that agrees with itself is found by the signed checkpoints, and where those are
gone by the note that somebody outside has kept.

TALLYSTICK_SEED chooses another run; the edits of one that failed are shown.
"""

import os
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise
from random import Random
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from domain.money import Money
from ledger.checkpoints.checkpoint import Checkpoint
from ledger.checkpoints.note import Signer, sign
from ledger.eventstore.merkle import Frontier
from ledger.settings import Settings
from replay.verify import Verification, verify_log
from tests.conftest import admin_connection
from tests.oracles.ledger_checks import (
    credit,
    leaf_of,
    ledger_on,
    log,
    player_history,
    requested,
    rows,
)

BATCHES = 40
EDITS = 2_500
EDITS_OF_A_SOAK = 20_000
SEED = int(os.environ.get("TALLYSTICK_SEED", "20261122"))
ORIGIN = "tallystick/tests"
STRANGER = Signer.generate(ORIGIN)

_COLUMNS = ("originator_id", "originator_version", "topic", "state", "recorded_at", "leaf")
_INSERT = "INSERT INTO ledger_events VALUES (%s, %s, %s, %s, %s, %s, %s)"


@dataclass(frozen=True)
class World:
    """The log as it is, and as much as an attacker needs to change it."""

    admin: psycopg.Connection[Any]
    events: list[Any]
    ends: list[int]
    """Positions at which batches end."""
    notes: dict[int, str]
    """Checkpoints, by size; the last covers everything."""
    signer: Signer

    @property
    def size(self) -> int:
        return len(self.events)

    def starts(self, position: int) -> int:
        """The first position of the batch that this one belongs to."""
        index = bisect_left(self.ends, position)
        return 1 if index == 0 else self.ends[index - 1] + 1

    def signed_before(self, position: int, sizes: Sequence[int] | None = None) -> int:
        """The largest checkpoint that does not cover it; 0 if each does."""
        signed = self.notes if sizes is None else sizes
        return max((size for size in signed if size < position), default=0)

    def execute(self, statement: str, *values: object) -> None:
        assert self.admin.execute(statement.encode(), values).rowcount != 0, statement


@dataclass
class Edit:
    """What was done, and where it must be found."""

    world: World
    random: Random
    done: str = ""
    expected: int = 0
    notes: list[str] = field(default_factory=list)
    """What somebody outside has kept."""
    says: str = ""
    """Part of what has to be said."""

    def position(self) -> int:
        return self.random.randint(1, self.world.size)

    def update(self, position: int, column: str, value: object) -> None:
        self.done = f"{column} of {position} = {value!r}"
        self.world.execute(
            f"UPDATE ledger_events SET {column} = %s WHERE notification_id = %s", value, position
        )


def flipped(random: Random, content: bytes) -> bytes:
    bit = random.randrange(len(content) * 8)
    changed = bytearray(content)
    changed[bit >> 3] ^= 1 << (bit & 7)
    return bytes(changed)


def flipped_text(random: Random, text: str) -> str:
    """Another letter at one place; a NUL or half a character cannot be stored."""
    places = [index for index, letter in enumerate(text) if 1 < ord(letter) < 127]
    place = random.choice(places)
    other = chr(ord(text[place]) ^ random.choice((1, 2, 4) if ord(text[place]) > 7 else (8,)))
    return text[:place] + other + text[place + 1 :]


@pytest.fixture(scope="module")
def world(module_database: Settings) -> Iterator[World]:
    """Some 150 events in batches of one to several, with six checkpoints."""
    random = Random(SEED)
    with ledger_on(module_database) as ledger:
        for number in range(BATCHES):
            player = uuid4()
            match number % 4:
                case 0:
                    ledger.append([credit(player, Money(10_000, "EUR"))])
                case 1:
                    ledger.append(player_history(player, random.randint(1, 8)))
                case 2:
                    ledger.append([credit(player, Money(9_000, "EUR"))])
                    ledger.append(requested(player, Money(5_000, "EUR")))
                case _:
                    ledger.append(player_history(player, random.randint(2, 12)))
    events = log(module_database)
    roots = {row.size: row.root for row in rows(module_database, "SELECT * FROM ledger_roots")}
    times = [event.recorded_at for event in events]
    ends = sorted(roots)
    assert 100 <= len(events) <= 250
    assert len(set(times)) == len(ends), "two batches at one time: their border cannot be known"
    signer = Signer.generate(ORIGIN)
    signed = [*sorted(random.sample(ends[:-2], 5)), ends[-1]]
    notes = {n: sign(Checkpoint(ORIGIN, n, roots[n]).text(), signer) for n in signed}
    with admin_connection(module_database, module_database.database_name) as admin:
        admin.autocommit = False
        admin.execute("SET session_replication_role = replica")
        for size, note in notes.items():
            values = [size, signer.verifier.id, roots[size], note]
            admin.execute("INSERT INTO ledger_checkpoints VALUES (%s, %s, %s, %s, now())", values)
        admin.commit()
        made = World(admin, events, ends, notes, signer)
        found = verified(made, Edit(made, random, notes=list(notes.values())))
        assert found.ok, found.problems
        assert (found.checkpoints.stored, found.checkpoints.newest) == (6, len(events))
        yield made
        admin.rollback()


def verified(world: World, edit: Edit) -> Verification:
    return verify_log(world.admin, verifiers=[world.signer.verifier], notes=edit.notes)


# --- one event ----------------------------------------------------------------------------------


def flip_a_bit(edit: Edit) -> None:
    position, random = edit.position(), edit.random
    event = edit.world.events[position - 1]
    column = random.choice(_COLUMNS)
    value: object
    match column:
        case "originator_id":
            value = UUID(bytes=flipped(random, event.originator_id.bytes))
        case "originator_version":
            value = event.originator_version ^ 1 << random.randrange(8, 63)
        case "topic":
            value = flipped_text(random, event.topic)
        case "recorded_at":
            value = event.recorded_at + timedelta(
                microseconds=random.choice((1, -1)) * (1 << random.randrange(50))
            )
        case "state":
            value = flipped(random, event.state)
        case _:
            value = flipped(random, event.leaf)
    edit.update(position, column, value)
    edit.expected = position


def flip_a_bit_of_a_position(edit: Edit) -> None:
    position = edit.position()
    other = position ^ 1 << edit.random.randrange(8, 62)
    other = -other if edit.random.random() < 0.3 else other
    edit.update(position, "notification_id", other)
    edit.expected = min(position, other)


def delete(edit: Edit) -> None:
    edit.expected = edit.position()
    edit.done = f"{edit.expected} deleted"
    edit.world.execute("DELETE FROM ledger_events WHERE notification_id = %s", edit.expected)


def exchange(edit: Edit) -> None:
    """Two events; their leaves with them, or only what they say."""
    world = edit.world
    first, second = sorted(edit.random.sample(range(1, world.size + 1), 2))
    leaves_too = edit.random.random() < 0.5
    edit.done = f"{first} and {second} exchanged, {leaves_too=}"
    world.execute("DELETE FROM ledger_events WHERE notification_id = ANY(%s)", [first, second])
    one, other = world.events[first - 1], world.events[second - 1]
    for at, content, leaf in ((first, other, one.leaf), (second, one, other.leaf)):
        world.execute(_INSERT, at, *content[1:6], content.leaf if leaves_too else leaf)
    edit.expected = world.starts(first) if leaves_too else first


def invented(like: Any, position: int) -> Any:
    """An event of a new stream, as well made as one can by itself."""
    made = like._replace(notification_id=position, originator_id=uuid4(), originator_version=1)
    return made._replace(leaf=leaf_of(made)) if position > 0 else made


def insert(edit: Edit) -> None:
    world = edit.world
    position = edit.random.choice((edit.position(), world.size + 1, -edit.random.randrange(5)))
    like = edit.random.choice(world.events)
    anew = edit.random.random() < 0.5
    edit.done = f"another {like.topic} inserted at {position}, {anew=}"
    edit.expected = position
    if 1 <= position <= world.size:
        edit.expected = world.starts(position)
        world.execute("DELETE FROM ledger_events WHERE notification_id >= %s", position)
        moved = [e._replace(notification_id=e[0] + 1) for e in world.events[position - 1 :]]
        _store(world, [e._replace(leaf=leaf_of(e)) for e in moved] if anew else moved)
    _store(world, [invented(like, position)])


def _store(world: World, events: Sequence[Any]) -> None:
    _copied(world, "ledger_events", events)


def _copied(world: World, table: str, rows: Sequence[Sequence[Any]]) -> None:
    with world.admin.cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN".encode()) as copy:
        for row in rows:
            copy.write_row(row)


# --- rewrites that agree with themselves --------------------------------------------------------


def rewrite(world: World, events: Sequence[Any], ends: Sequence[int]) -> None:
    """Everything but the checkpoints is made to be as if this were what was recorded."""
    kept = 0
    while kept < len(events) and events[kept] == world.events[kept]:
        kept += 1
    world.admin.execute("DELETE FROM ledger_events WHERE notification_id > %s", [kept])
    _store(world, events[kept:])
    frontier, roots, wanted = Frontier(), [], set(ends)
    for event in events:
        frontier.append(event.leaf)
        if frontier.size in wanted:
            roots.append((frontier.size, frontier.root()))
    world.admin.execute("DELETE FROM ledger_roots")
    _copied(world, "ledger_roots", roots)
    world.execute(
        "UPDATE ledger_head SET position = %s, root = %s, frontier = %s, recorded_at = %s",
        len(events),
        frontier.root(),
        frontier.pack(),
        events[-1].recorded_at if events else "epoch",
    )


def rewrite_an_event(edit: Edit) -> None:
    world, position, random = edit.world, edit.position(), edit.random
    event = world.events[position - 1]
    changed = event._replace(state=flipped(random, event.state))
    events = list(world.events)
    events[position - 1] = changed._replace(leaf=leaf_of(changed))
    rewrite(world, events, world.ends)
    edit.done = f"{position} rewritten with all that depends on it"
    _hide_checkpoints(edit, position)
    outside = [size for size in world.notes if size >= position]
    if edit.notes:
        outside = [max(outside)]
    edit.says = f"positions {edit.expected} to {min(outside)}"


def _hide_checkpoints(edit: Edit, position: int) -> None:
    """They stay, or those that cover it go, or all; then somebody else has the last one."""
    world = edit.world
    edit.expected = world.signed_before(position) + 1
    match edit.random.randrange(3):
        case 1:
            world.execute("DELETE FROM ledger_checkpoints WHERE size >= %s", position)
            edit.notes = [world.notes[world.size]]
            edit.done += ", checkpoints from there deleted"
        case 2:
            world.execute("DELETE FROM ledger_checkpoints")
            edit.notes = [world.notes[world.size]]
            edit.expected = 1
            edit.done += ", all checkpoints deleted"
        case _:
            pass


def remove_and_close_the_gap(edit: Edit) -> None:
    world, position = edit.world, edit.position()
    moved = [e._replace(notification_id=e[0] - 1) for e in world.events[position:]]
    events = world.events[: position - 1] + [e._replace(leaf=leaf_of(e)) for e in moved]
    rewrite(world, events, [e if e < position else e - 1 for e in world.ends])
    edit.done = f"{position} removed, with no trace but the checkpoints"
    tells = [size for size in world.notes if position <= size < world.size]
    edit.expected = world.signed_before(position) + 1 if tells else world.size


def truncate(edit: Edit) -> None:
    world, keep = edit.world, edit.position() - 1
    how = edit.random.randrange(4)
    edit.done, edit.expected = f"cut off after {keep}, {how=}", keep + 1
    if how < 2:
        world.execute("DELETE FROM ledger_events WHERE notification_id > %s", keep)
        if how == 1:
            world.execute("DELETE FROM ledger_roots WHERE size > %s", keep)
        return
    rewrite(world, world.events[:keep], [e for e in world.ends if e < keep] + [keep])
    if how == 3:
        world.execute("DELETE FROM ledger_checkpoints WHERE size > %s", keep)
        edit.notes = [world.notes[world.size]]


# --- beside the events --------------------------------------------------------------------------


def change_a_root(edit: Edit) -> None:
    world, random = edit.world, edit.random
    end = random.choice(world.ends)
    edit.expected = world.starts(end)
    match random.randrange(3):
        case 0:
            edit.done = f"root of {end} rewritten"
            world.execute("UPDATE ledger_roots SET root = %s WHERE size = %s", randbytes(edit), end)
        case 1:
            edit.done = f"root of {end} deleted"
            world.execute("DELETE FROM ledger_roots WHERE size = %s", end)
        case _:
            free = sorted({*range(-3, world.size + 5)} - set(world.ends))
            size = random.choice(free)
            edit.done = f"root of {size} invented"
            edit.expected = min(world.size + 1, world.starts(max(size, 1)))
            world.execute("INSERT INTO ledger_roots VALUES (%s, %s)", size, randbytes(edit))


def randbytes(edit: Edit) -> bytes:
    return edit.random.randbytes(32)


def change_the_head(edit: Edit) -> None:
    world, random = edit.world, edit.random
    edit.expected = world.size
    frontier = Frontier()
    frontier.extend(event.leaf for event in world.events)
    column = random.choice(("root", "frontier", "recorded_at", "position"))
    value: object
    match column:
        case "root":
            value = flipped(random, frontier.root())
        case "frontier":
            value = flipped(random, frontier.pack())
        case "recorded_at":
            us = timedelta(microseconds=random.choice((1, -1)) * (1 << random.randrange(50)))
            value = world.events[-1].recorded_at + us
        case _:
            value = random.choice([n for n in range(world.size + 9) if n != world.size])
            edit.expected = min(value, world.size) + 1
    edit.done = f"head's {column} = {value!r}"
    world.execute(f"UPDATE ledger_head SET {column} = %s", value)


def change_a_checkpoint(edit: Edit) -> None:
    world, random = edit.world, edit.random
    size = edit.expected = random.choice(list(world.notes))
    column = random.choice(("root", "note", "key", "size"))
    value: object
    match column:
        case "root":
            value = randbytes(edit)
        case "note":
            value = flipped_text(random, world.notes[size])
        case "key":
            value = flipped_text(random, world.signer.verifier.id)
        case _:
            value = random.choice([n for n in range(world.size + 9) if n not in world.notes])
            edit.expected = value
    edit.done = f"{column} of checkpoint {size} = {value!r}"
    world.execute(f"UPDATE ledger_checkpoints SET {column} = %s WHERE size = %s", value, size)


def forge_a_checkpoint(edit: Edit) -> None:
    """With a key that nobody knows."""
    world, random = edit.world, edit.random
    size = edit.expected = random.randint(0, world.size + 5)
    root = randbytes(edit)
    note = sign(Checkpoint(ORIGIN, size, root).text(), STRANGER)
    key = random.choice((STRANGER.verifier.id, f"{ORIGIN}+00000000"))
    edit.done = f"checkpoint of {size} forged"
    world.execute(
        "INSERT INTO ledger_checkpoints VALUES (%s, %s, %s, %s, now())", size, key, root, note
    )


KINDS: tuple[Callable[[Edit], None], ...] = (
    *(flip_a_bit,) * 6,
    flip_a_bit_of_a_position,
    delete,
    *(exchange,) * 2,
    *(insert,) * 2,
    *(rewrite_an_event,) * 2,
    remove_and_close_the_gap,
    *(truncate,) * 2,
    change_a_root,
    change_the_head,
    change_a_checkpoint,
    forge_a_checkpoint,
)


def tamper(world: World, seed: int, count: int) -> None:
    """Each edit is found where it is; and put back, nothing is found."""
    print(f"TALLYSTICK_SEED={seed}")
    random = Random(seed)
    missed: list[str] = []
    for number in range(count):
        kind = KINDS[number % len(KINDS)]
        edit = Edit(world, random)
        try:
            kind(edit)
            found = verified(world, edit)
        finally:
            world.admin.rollback()
        if found.ok or found.first_bad_position != edit.expected:
            missed.append(
                f"{edit.done}: {edit.expected=}, {found.first_bad_position=}, {found.problems[:3]}"
            )
        elif edit.says and not any(edit.says in problem.detail for problem in found.problems):
            missed.append(f"{edit.done}: nobody says {edit.says!r}: {found.problems[:3]}")
    assert not missed, f"{len(missed)} of {count}: " + "\n".join(missed[:20])
    assert verified(world, Edit(world, random)).ok


def test_every_edit_of_the_log_is_found_where_it_is(world: World) -> None:
    tamper(world, SEED, EDITS)


@pytest.mark.soak
def test_ten_thousand_edits_of_the_log_are_found(world: World) -> None:
    tamper(world, SEED + 1, EDITS_OF_A_SOAK)


def test_batches_are_known_by_their_times(world: World) -> None:
    """What the expectations above rest on."""
    for event, next_event in pairwise(world.events):
        ends = event.notification_id in world.ends
        assert ends == (event.recorded_at != next_event.recorded_at)
