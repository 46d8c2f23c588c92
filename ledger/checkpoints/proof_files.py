"""Proofs as JSON, as the API and `tallystick proof` give them, and checking them without a ledger.

Hashes are lower-case hexadecimal, those of a path from the leaf up.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from ledger.checkpoints.checkpoint import Checkpoint, open_checkpoint, parse_checkpoint
from ledger.checkpoints.note import NoteInvalid, Verifier, parts_of
from ledger.checkpoints.proving import Consistency, Inclusion, ProvedEvent
from ledger.eventstore.merkle import HASH_BYTES, leaf_hash
from ledger.eventstore.proofs import InvalidProof, check_consistency, check_inclusion

INCLUSION: Final = "inclusion"
CONSISTENCY: Final = "consistency"


class ProofWrong(ValueError):
    """The file does not prove what it says."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a write was answered with about its place in the log."""

    position: int
    leaf: bytes
    root: bytes
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What a file proves, in sentences."""

    proved: list[str]
    not_proved: list[str]
    """What one might think it proves."""


# --- writing ------------------------------------------------------------------------------------


def inclusion_json(found: Inclusion) -> dict[str, Any]:
    """An inclusion proof; `index` counts leaves from 0, `position` events from 1."""
    return {
        "kind": INCLUSION,
        "position": found.position,
        "index": found.position - 1,
        "leaf": found.leaf.hex(),
        "size": found.size,
        "root": found.root.hex(),
        "hashes": [each.hex() for each in found.hashes],
        "checkpoint": found.checkpoint.note if found.checkpoint else None,
        "event": event_json(found.event),
    }


def event_json(event: ProvedEvent) -> dict[str, Any]:
    """What a leaf is computed from; `state` is the stored text, byte for byte in UTF-8."""
    return {
        "stream": str(UUID(bytes=event.stream)),
        "version": event.version,
        "topic": event.topic,
        "recorded_at_us": event.recorded_at_us,
        "state": event.state.decode(),
    }


def consistency_json(found: Consistency) -> dict[str, Any]:
    """A consistency proof."""
    return {
        "kind": CONSISTENCY,
        "old_size": found.old_size,
        "old_root": found.old_root.hex(),
        "new_size": found.new_size,
        "new_root": found.new_root.hex(),
        "hashes": [each.hex() for each in found.hashes],
        "old_checkpoint": found.old_checkpoint.note if found.old_checkpoint else None,
        "new_checkpoint": found.new_checkpoint.note if found.new_checkpoint else None,
    }


# --- checking -----------------------------------------------------------------------------------


def check(proof: Any, verifiers: Sequence[Verifier] = (), note: str | None = None) -> Checked:
    """Check a proof of either kind; no ledger is asked.

    Args:
        proof: as `inclusion_json` or `consistency_json` made it.
        verifiers: keys of signers that are trusted; without any, no signature is checked.
        note: a checkpoint from elsewhere that the proof has to lead to.

    Raises:
        ProofWrong: it is no proof, or one of something else.
    """
    try:
        if _kind(proof) == CONSISTENCY:
            return _check_consistency(proof, verifiers, note)
        return _check_inclusion(proof, verifiers, note)
    except InvalidProof as error:
        raise ProofWrong(str(error)) from error
    except (KeyError, TypeError, AttributeError) as error:
        raise ProofWrong(f"the file is not a proof: {error!r}") from error
    except NoteInvalid as error:
        raise ProofWrong(f"the checkpoint does not hold: {error}") from error


def parse_receipt(answer: Any) -> Receipt:
    """The receipt of an answer of the API, or by itself.

    Raises:
        ProofWrong: there is none.
    """
    found = answer.get("receipt", answer) if isinstance(answer, dict) else None
    try:
        return Receipt(
            _size(found, "position"),
            _hash(found, "leaf"),
            _hash(found, "root"),
            _size(found, "size"),
        )
    except (KeyError, TypeError) as error:
        raise ProofWrong("the file holds no receipt: position, leaf, root, size") from error


def check_receipt(
    receipt: Receipt,
    checkpoint: Checkpoint,
    inclusion: Mapping[str, Any],
    consistency: Mapping[str, Any],
) -> None:
    """Check that what a receipt promised is in a checkpoint.

    `consistency` is of the receipt's tree with the checkpoint's, whichever is the older.

    Raises:
        ProofWrong: it is not.
    """
    try:
        check_inclusion(
            receipt.position - 1, checkpoint.size, receipt.leaf, _path(inclusion), checkpoint.root
        )
        old, new = (receipt.size, receipt.root), (checkpoint.size, checkpoint.root)
        if receipt.size > checkpoint.size:
            old, new = new, old
        check_consistency(*old, *new, _path(consistency))
    except InvalidProof as error:
        raise ProofWrong(f"the receipt's event is not in the checkpoint: {error}") from error


def _check_inclusion(
    proof: Mapping[str, Any], verifiers: Sequence[Verifier], note: str | None
) -> Checked:
    position, size = _size(proof, "position"), _size(proof, "size")
    leaf, root = _hash(proof, "leaf"), _hash(proof, "root")
    check_inclusion(position - 1, size, leaf, _path(proof), root)
    proved = [f"The leaf {leaf.hex()} is the event at position {position} of {size} events."]
    not_proved = []
    event = proof.get("event")
    if event is None:
        not_proved.append("What the event says: the file does not hold it.")
    else:
        if _leaf_of(position, event) != leaf:
            raise ProofWrong("the event in the file is not the one that the leaf stands for")
        proved.append(f"The event in the file, {event['topic']}, is what this leaf stands for.")
    signed = _check_signed(size, root, [note, proof.get("checkpoint")], verifiers)
    return Checked(proved=proved + signed, not_proved=not_proved + _unsigned(signed))


def _check_consistency(
    proof: Mapping[str, Any], verifiers: Sequence[Verifier], note: str | None
) -> Checked:
    old_size, new_size = _size(proof, "old_size"), _size(proof, "new_size")
    old_root, new_root = _hash(proof, "old_root"), _hash(proof, "new_root")
    check_consistency(old_size, old_root, new_size, new_root, _path(proof))
    proved = [f"The log of {new_size} events begins with the {old_size} events of the old root."]
    old, new = [proof.get("old_checkpoint")], [proof.get("new_checkpoint")]
    if note is not None:
        (old if parse_checkpoint(parts_of(note)[0]).size == old_size else new).append(note)
    signed_old = _check_signed(old_size, old_root, old, verifiers)
    signed_new = _check_signed(new_size, new_root, new, verifiers)
    not_proved = _unsigned(signed_old, "old ") + _unsigned(signed_new, "new ")
    return Checked(proved=proved + signed_old + signed_new, not_proved=not_proved)


def _check_signed(
    size: int, root: bytes, notes: Sequence[str | None], verifiers: Sequence[Verifier]
) -> list[str]:
    """What the signed checkpoints say about this tree; they must not say anything else."""
    proved = []
    for note in notes:
        if note is None:
            continue
        text, _ = parts_of(note)
        found = open_checkpoint(note, verifiers) if verifiers else parse_checkpoint(text)
        if (found.size, found.root) != (size, root):
            raise ProofWrong(
                f"the checkpoint is of {found.size} events, root {found.root.hex()}:"
                f" the proof leads to {size} events, root {root.hex()}"
            )
        if verifiers:
            proved.append(f"{found.origin} has signed the root of {size} events.")
    return list(dict.fromkeys(proved))


def _unsigned(signed: Sequence[str], which: str = "") -> list[str]:
    if signed:
        return []
    return [f"That the {which}root is the ledger's: no signature was checked."]


def _leaf_of(position: int, event: Mapping[str, Any]) -> bytes:
    version, at_us = _size(event, "version"), event["recorded_at_us"]
    try:
        stream = UUID(str(event["stream"])).bytes
        topic, state = str(event["topic"]).encode(), str(event["state"]).encode()
        return leaf_hash(position, stream, version, topic, int(at_us), state)
    except (ValueError, struct.error) as error:
        raise ProofWrong(f"the event in the file is none: {error}") from error


def _kind(proof: Any) -> str:
    if not isinstance(proof, dict):
        raise ProofWrong("the file is not a proof")
    found = proof.get("kind") or (CONSISTENCY if "old_size" in proof else INCLUSION)
    if found not in (INCLUSION, CONSISTENCY):
        raise ProofWrong(f"{found} is no kind of proof")
    return str(found)


def _size(of: Any, name: str) -> int:
    found = of[name]
    if type(found) is not int or not 0 <= found < 2**63:
        raise ProofWrong(f"{name} has to be a whole number")
    return found


def _hash(of: Any, name: str) -> bytes:
    return _digest(of[name], name)


def _path(of: Mapping[str, Any]) -> list[bytes]:
    return [_digest(each, "hashes") for each in of["hashes"]]


def _digest(text: Any, name: str) -> bytes:
    try:
        found = bytes.fromhex(text)
    except (ValueError, TypeError):
        found = b""
    if len(found) != HASH_BYTES or found.hex() != text:
        raise ProofWrong(f"{name} has to be {2 * HASH_BYTES} lower-case hexadecimal digits")
    return found
