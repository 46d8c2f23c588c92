"""verify.py, the script in every case bundle: its own hash tree, notes, JSON and postings.

It shares no code with the ledger. Here it is held against published vectors, and against ours.
"""

import ast
import json
import sys
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.events import LedgerEvent, NoticeNoted
from domain.money import Money
from domain.postings import postings
from ledger.checkpoints import note as our_note
from ledger.eventstore import merkle, proofs
from ledger.eventstore.codec import TOPICS, decode, encode
from tests.generators.case_bundles import KEY, SCRIPT, SIGNER, load_script, run
from tests.generators.event_samples import SAMPLES, any_event
from tests.unit.ledger.test_proofs import (
    KNOWN_CONSISTENCY,
    KNOWN_INCLUSION,
    KNOWN_LEAVES,
    KNOWN_ROOTS,
    LEAVES,
    TREE,
    naive_root,
)

SCRIPT_MODULE = load_script()
NotProved = SCRIPT_MODULE.NotProved
GOLDEN = Path(__file__).parents[2] / "golden" / "events.jsonl"

# Published with the Go implementation of signed notes, golang.org/x/mod/sumdb/note.
NEUMANN = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
ENOCH = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop"
TEXT = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
)
BY_NEUMANN = (
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpR"
    "Zb6KE6RyyBwJnAM=\n"
)
BY_ENOCH = (
    "— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33"
    "WWd1RvMc+QQ=\n"
)


# --- it stands alone -----------------------------------------------------------------------------


def test_it_is_python_3_9_and_needs_nothing_but_cryptography() -> None:
    tree = ast.parse(SCRIPT.read_text(), feature_version=(3, 9))
    imported = {
        (node.module if isinstance(node, ast.ImportFrom) else alias.name).partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert imported - set(sys.stdlib_module_names) == {"cryptography"}


# --- the tree ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("which", "proof"), KNOWN_INCLUSION.items())
def test_published_inclusion_proofs_lead_to_the_published_roots(
    which: tuple[int, int], proof: tuple[str, ...]
) -> None:
    index, size = which
    hashes = SCRIPT_MODULE.hashes_of(list(proof))
    found = SCRIPT_MODULE.root_from_inclusion(index, size, KNOWN_LEAVES[index], hashes)
    assert found.hex() == KNOWN_ROOTS[size - 1]
    joint = SCRIPT_MODULE.root_from_joint(range(size), b"".join(KNOWN_LEAVES[:size]), size, [])
    assert joint == found


@pytest.mark.parametrize(("which", "proof"), KNOWN_CONSISTENCY.items())
def test_published_consistency_proofs_lead_to_the_published_roots(
    which: tuple[int, int], proof: tuple[str, ...]
) -> None:
    old, new = which
    found = SCRIPT_MODULE.roots_from_consistency(
        old, bytes.fromhex(KNOWN_ROOTS[old - 1]), new, SCRIPT_MODULE.hashes_of(list(proof))
    )
    assert [root.hex() for root in found] == [KNOWN_ROOTS[old - 1], KNOWN_ROOTS[new - 1]]


@given(st.data())
def test_it_agrees_with_every_proof_that_we_make_and_with_no_other(data: st.DataObject) -> None:
    size = data.draw(st.integers(2, len(LEAVES)))
    root = naive_root(LEAVES[:size])
    chosen = sorted(data.draw(st.sets(st.integers(0, size - 1), min_size=1)))
    proof = proofs.joint_proof(chosen, size, TREE)
    leaves = b"".join(LEAVES[index] for index in chosen)
    assert SCRIPT_MODULE.root_from_joint(chosen, leaves, size, proof) == root
    forged = sha256(b"forged").digest() + leaves[32:]
    assert SCRIPT_MODULE.root_from_joint(chosen, forged, size, proof) != root
    with pytest.raises(ValueError, match="too long"):
        SCRIPT_MODULE.root_from_joint(chosen, leaves, size, [*proof, root])
    if proof:
        with pytest.raises(ValueError, match="too short"):
            SCRIPT_MODULE.root_from_joint(chosen, leaves, size, proof[1:])
    old = data.draw(st.integers(1, size))
    between = proofs.consistency_proof(old, size, TREE)
    old_root = naive_root(LEAVES[:old])
    found = SCRIPT_MODULE.roots_from_consistency(old, old_root, size, between)
    assert found == (old_root, root)


def test_there_is_no_root_over_events_beyond_the_end_of_the_tree() -> None:
    for indices in ([], [5], [-1], [3, 7]):
        with pytest.raises(ValueError, match="beyond the end"):
            SCRIPT_MODULE.root_from_joint(indices, b"\0" * 32 * len(indices), 5, [])


@given(
    st.integers(1, 2**63 - 1),
    st.uuids(),
    st.integers(1, 2**63 - 1),
    st.text(st.characters(exclude_categories=["Cs"])),
    st.integers(-(2**63), 2**63 - 1),
    st.binary(),
)
def test_leaves_are_the_ledgers(
    position: int, stream: UUID, version: int, topic: str, us: int, state: bytes
) -> None:
    parts = (position, stream.bytes, version, topic.encode(), us, state)
    assert SCRIPT_MODULE.leaf_hash(*parts) == merkle.leaf_hash(*parts)


# --- notes ---------------------------------------------------------------------------------------


def opened(note: str, key: str) -> str:
    return str(SCRIPT_MODULE.open_note(note.encode(), SCRIPT_MODULE.parse_key(key), "note"))


def test_published_notes_are_opened() -> None:
    both = f"{TEXT}\n{BY_NEUMANN}{BY_ENOCH}"
    assert opened(both, NEUMANN) == opened(both, ENOCH) == TEXT
    assert opened(f"{TEXT}\n{BY_ENOCH}", ENOCH) == TEXT


@pytest.mark.parametrize(
    "note",
    [
        "",
        TEXT,
        TEXT + "\n",
        f"{TEXT}\n{BY_ENOCH}",
        f"{TEXT}\n{BY_NEUMANN[:-1]}",
        f"{TEXT}{BY_NEUMANN}",
        f"{TEXT}\n{BY_NEUMANN}\n",
        f"{TEXT}\n{BY_NEUMANN.replace('— ', '- ')}",
        f"{TEXT}\n{BY_NEUMANN.replace('JnAM=', 'JnAN=')}",
        f"{TEXT}\n{BY_NEUMANN.replace('PeterNeumann', 'Peter Neumann')}",
        f"{TEXT}\r\n\n{BY_NEUMANN}",
        f"{TEXT.replace('cryptography', 'cartography')}\n{BY_NEUMANN}",
    ],
)
def test_what_is_not_the_signed_note_is_not_opened(note: str) -> None:
    with pytest.raises(NotProved):
        opened(note, NEUMANN)


def test_no_character_of_a_note_or_key_can_change() -> None:
    note = f"{TEXT}\n{BY_NEUMANN}".encode()
    key = SCRIPT_MODULE.parse_key(NEUMANN)
    for at in range(len(note)):
        for mask in (1, 0x20):
            forged = note[:at] + bytes([note[at] ^ mask]) + note[at + 1 :]
            with pytest.raises(NotProved):
                SCRIPT_MODULE.open_note(forged, key, "note")
    for at in range(len(NEUMANN)):
        with pytest.raises(NotProved):
            SCRIPT_MODULE.parse_key(NEUMANN[:at] + chr(ord(NEUMANN[at]) ^ 1) + NEUMANN[at + 1 :])


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"])))
def test_it_opens_what_we_sign(line: str) -> None:
    note = our_note.sign(f"{line}\n", SIGNER)
    assert opened(note, KEY) == f"{line}\n"


def test_a_manifest_is_no_checkpoint() -> None:
    key = SCRIPT_MODULE.parse_key(KEY)
    root = SCRIPT_MODULE.base64.b64encode(bytes(32)).decode()
    right = our_note.sign(f"tallystick/tests\n7\n{root}\n", SIGNER)
    assert SCRIPT_MODULE.open_checkpoint(right.encode(), key, "n") == (7, bytes(32))
    for text in (
        f"tallystick/tests/case-bundle\n7\n{root}\n",
        f"tallystick/tests\n07\n{root}\n",
        f"tallystick/tests\n7\n{root[:-2]}\n",
        "tallystick/tests\n7\n",
    ):
        with pytest.raises(NotProved, match="not a checkpoint"):
            SCRIPT_MODULE.open_checkpoint(our_note.sign(text, SIGNER).encode(), key, "n")


# --- JSON ----------------------------------------------------------------------------------------


@given(any_event())
def test_what_we_record_is_canonical(event: LedgerEvent) -> None:
    state = encode(event)
    assert SCRIPT_MODULE.canonical(SCRIPT_MODULE.read_json(state.decode())) == state


@pytest.mark.parametrize(
    "text",
    ['{"a":1,"a":1}', '{"a":1.0}', '{"a":1e3}', '{"a":NaN}', '{"a":Infinity}', "{", '{"a":01}'],
)
def test_what_two_readers_may_read_differently_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  (its words are the parser's)
        SCRIPT_MODULE.read_json(text)


@pytest.mark.parametrize("text", ['{"b":1,"a":1}', '{"a": 1}', '{"a":-0}', '{"a":"\\u0041"}'])
def test_another_spelling_is_not_canonical(text: str) -> None:
    assert SCRIPT_MODULE.canonical(SCRIPT_MODULE.read_json(text)) != text.encode()


# --- postings ------------------------------------------------------------------------------------


def ours(event: LedgerEvent) -> list[tuple[str, int]]:
    return [(posting.account, posting.amount_minor) for posting in postings(event)]


def theirs(event: LedgerEvent) -> list[tuple[str, int]]:
    said = SCRIPT_MODULE.read_json(encode(event).decode())
    return list(SCRIPT_MODULE.movements(TOPICS[type(event)], said))


def test_its_postings_are_the_ledgers_for_every_golden_event() -> None:
    for line in GOLDEN.read_text().splitlines():
        golden = json.loads(line)
        event = decode(
            golden["topic"], golden["state"].encode(), UUID(golden["stream"]), golden["version"]
        )
        said = SCRIPT_MODULE.read_json(golden["state"])
        assert list(SCRIPT_MODULE.movements(golden["topic"], said)) == ours(event)


def coherent(event: Any) -> LedgerEvent:
    """With fees and parts in the currency they are of: others are never recorded."""
    if isinstance(event, NoticeNoted) and event.provider is None:
        event = replace(event, fee=None)
    parts = (("fee", "settled"), ("fee", "amount"), ("spread", "target"))
    of_amount = ("from_available", "from_house", "to_house")
    for part, of in (*parts, *((part, "amount") for part in of_amount)):
        charged, whole = getattr(event, part, None), getattr(event, of, None)
        if isinstance(charged, Money) and isinstance(whole, Money):
            event = replace(event, **{part: Money(charged.amount, whole.currency)})
    return cast("LedgerEvent", event)


@given(any_event().map(coherent))
def test_its_postings_are_the_ledgers_for_any_event(event: LedgerEvent) -> None:
    assert theirs(event) == ours(event)


def test_it_knows_every_kind_of_event_and_no_other() -> None:
    known = set(SCRIPT_MODULE.MOVES) | SCRIPT_MODULE.MOVES_NOTHING
    assert known == set(TOPICS.values())
    assert not set(SCRIPT_MODULE.MOVES) & SCRIPT_MODULE.MOVES_NOTHING
    assert any(theirs(sample) for sample in SAMPLES)
    with pytest.raises(ValueError, match="does not know events of the kind 'DepositDoubled'"):
        list(SCRIPT_MODULE.movements("DepositDoubled", {}))


# --- single proofs -------------------------------------------------------------------------------


class Saved:
    """What an auditor has saved: a receipt, two checkpoints, and the ledger's proofs."""

    def __init__(self, folder: Path, index: int, then: int, now: int) -> None:
        self.folder = folder
        self.then, self.now = naive_root(LEAVES[:then]), naive_root(LEAVES[:now])
        receipt = {"position": index + 1, "leaf": LEAVES[index].hex()}
        receipt |= {"root": self.then.hex(), "size": then}
        inclusion = proofs.inclusion_proof(index, now, TREE)
        consistency = proofs.consistency_proof(then, now, TREE)
        self.save("receipt.json", {"id": str(uuid4()), "receipt": receipt})
        self.save("inclusion.json", {"hashes": [hash_.hex() for hash_ in inclusion]})
        self.save("consistency.json", {"hashes": [hash_.hex() for hash_ in consistency]})
        self.note("older.txt", then, self.then)
        self.note("newer.txt", now, self.now)

    def save(self, name: str, said: object) -> None:
        (self.folder / name).write_text(json.dumps(said))

    def note(self, name: str, size: int, root: bytes) -> None:
        encoded = SCRIPT_MODULE.base64.b64encode(root).decode()
        note = our_note.sign(f"tallystick/tests\n{size}\n{encoded}\n", SIGNER)
        (self.folder / name).write_text(note)

    def receipt(self) -> tuple[int, dict[str, Any]]:
        of = self.folder
        return run(
            SCRIPT_MODULE,
            *("receipt", of / "receipt.json", "--proof", of / "inclusion.json"),
            *("--consistency", of / "consistency.json", "--checkpoint", of / "newer.txt"),
            *("--key", KEY),
        )

    def checkpoints(self) -> tuple[int, dict[str, Any]]:
        of = self.folder
        return run(
            SCRIPT_MODULE,
            *("checkpoints", of / "older.txt", of / "newer.txt"),
            *("--consistency", of / "consistency.json", "--key", KEY),
        )


@pytest.mark.parametrize(
    ("index", "then", "now"), [(0, 1, 1), (0, 1, 70), (12, 32, 70), (30, 31, 64)]
)
def test_a_receipt_and_two_checkpoints_are_proved(
    tmp_path: Path, index: int, then: int, now: int
) -> None:
    saved = Saved(tmp_path, index, then, now)
    assert saved.receipt()[0] == saved.checkpoints()[0] == 0


def test_a_receipt_that_the_log_does_not_keep_is_not_proved(tmp_path: Path) -> None:
    saved = Saved(tmp_path, 12, 33, 70)
    right = json.loads((tmp_path / "receipt.json").read_text())
    other = sha256(b"other").hexdigest()
    for change in ({"leaf": other}, {"root": other}, {"position": 14}, {"size": 34}, {"size": 71}):
        saved.save("receipt.json", {"receipt": right["receipt"] | change})
        status, answer = saved.receipt()
        assert status == 1, change
        assert answer["failure"]["remedy"]


def test_a_log_that_changed_its_past_is_found_by_two_checkpoints(tmp_path: Path) -> None:
    saved = Saved(tmp_path, 0, 33, 70)
    random = Random(1)
    proof = json.loads((tmp_path / "consistency.json").read_text())["hashes"]
    at = random.randrange(len(proof))
    for forged in (proof[1:], [*proof, proof[0]], [*proof[:at], "0" * 64, *proof[at + 1 :]], [1]):
        saved.save("consistency.json", {"hashes": forged})
        assert saved.checkpoints()[0] == 1
    saved.save("consistency.json", {"hashes": proof})
    saved.note("older.txt", 33, naive_root(LEAVES[1:34]))
    status, answer = saved.checkpoints()
    assert status == 1
    assert "does not begin with the 33 events" in answer["failure"]["detail"]


def test_it_says_when_it_is_called_wrongly(tmp_path: Path) -> None:
    Saved(tmp_path, 0, 1, 2)
    for arguments in (
        ["receipt"],
        ["checkpoints", "a"],
        ["--nonsense"],
        [".", "--key", "a", "--key-file", "b"],
    ):
        with pytest.raises(SystemExit) as ended:
            SCRIPT_MODULE.main(arguments)
        assert ended.value.code == 2
    status, answer = run(SCRIPT_MODULE, tmp_path / "nowhere")
    assert status == 1
    assert "no such folder" in answer["failure"]["detail"]
