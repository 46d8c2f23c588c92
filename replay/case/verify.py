#!/usr/bin/env python3
r"""Checks a case bundle of the Tallystick payment ledger, far away from the ledger.

    python verify.py [BUNDLE] [--key KEY | --key-file FILE] [--json]
    python verify.py receipt RECEIPT --proof INCLUSION --consistency CONSISTENCY \
        --checkpoint NOTE --key KEY
    python verify.py checkpoints OLDER NEWER --consistency CONSISTENCY --key KEY

It needs Python 3.9 or newer and the package `cryptography`, and asks nobody anything. What it does
is written so that it can be read from top to bottom before it is trusted.

Exit status: 0 everything was proved, 1 something was not, 2 it was called wrongly.
Sources: RFC 6962 and RFC 9162 (the hash tree), RFC 8785 (canonical JSON), https://c2sp.org/signed-note
and https://c2sp.org/tlog-checkpoint (signatures).
"""

from __future__ import annotations

import sys

if __name__ == "__main__" and not sys.flags.isolated and not getattr(sys.flags, "safe_path", False):
    sys.path.pop(0)  # the bundle's folder: a file put there must not be run in a module's place

import argparse
import base64
import binascii
import hashlib
import json
import re
import stat
import struct
import uuid
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

try:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
except ImportError:
    print(
        "The Python package `cryptography` is needed to check signatures, and is not here. Get it "
        f"once with:\n\n  {sys.executable} -m pip install cryptography",
        file=sys.stderr,
    )
    sys.exit(2)

MANIFEST = "manifest.txt"
FILES = (
    *("README.txt", "checkpoint.txt", "events.jsonl", "key.txt", "proof.json", "statement.json"),
    *("story.html", "story.txt", "verify.py"),
)
"""Everything that is in a bundle, beside its manifest."""
MALFORMED = (
    *(ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError),
    struct.error,
)
"""What reading a file that somebody has changed may lead to."""


class NotProved(Exception):
    """Something is not as it has to be: what, where, and what to do about it."""

    def __init__(
        self, detail: str, *, file: str = "", line: int = 0, position: int = 0, remedy: str = ""
    ) -> None:
        super().__init__(detail)
        self.detail, self.file, self.line, self.position = detail, file, line, position
        self.remedy = remedy or (
            "Ask for the bundle again, and keep this one: it shows what was changed."
        )

    def where(self) -> str:
        parts = [harmless(self.file)] if self.file else []
        parts += [f"line {self.line}"] if self.line else []
        parts += [f"position {self.position}"] if self.position else []
        return ", ".join(parts)


def harmless(text: str) -> str:
    """A text as a terminal may be shown it: what somebody put into a bundle must not steer one."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )


# --- keys and signed notes ----------------------------------------------------------------------


class Key(NamedTuple):
    """A public key as it is published: `<name>+<8 hex digits>+<base64>`."""

    name: str
    key_hash: bytes
    public: bytes
    text: str

    def fingerprint(self) -> str:
        """SHA-256 of the line, in groups that can be read out over a telephone."""
        digest = hashlib.sha256(self.text.encode()).hexdigest()
        return " ".join(digest[start : start + 8] for start in range(0, 64, 8))


def parse_key(text: str, file: str = "") -> Key:
    """The key behind its line.

    Raises:
        NotProved: it is not a key, or was mistyped.
    """
    text = text.strip()
    name, _, rest = text.partition("+")
    hash_hex, _, encoded = rest.partition("+")
    try:
        data = unbase64(encoded)
        key_hash = bytes.fromhex(hash_hex)
    except ValueError:
        data = key_hash = b""
    right = (
        name_is_right(name)
        and len(data) == 33
        and data[0] == 1
        and key_hash == hashlib.sha256(name.encode() + b"\n" + data).digest()[:4]
        and hash_hex == key_hash.hex()
    )
    if not right:
        raise NotProved(
            f"{text[:100]!r} is not a key: it has to be <name>+<8 hex digits>+<base64>",
            file=file,
            remedy="Copy the whole line that `tallystick checkpoint key` prints.",
        )
    return Key(name, key_hash, data[1:], text)


def name_is_right(name: str) -> bool:
    return bool(name) and not any(c == "+" or c.isspace() or c < " " or c == "\x7f" for c in name)


def unbase64(text: str) -> bytes:
    """Base64 that has no second spelling."""
    data = base64.b64decode(text.encode("ascii"), validate=True)
    if base64.b64encode(data).decode() != text:
        raise binascii.Error("not the canonical spelling")
    return data


def open_note(note: bytes, key: Key, file: str) -> str:
    """The text of a signed note, once its signature by `key` is right.

    Raises:
        NotProved: it is no note, or not signed by this key.
    """
    text, lines = split_note(note, file)
    found = False
    for line in lines:
        name, _, encoded = line[2:].partition(" ")
        try:
            data = unbase64(encoded)
        except ValueError:
            data = b""
        if not line.startswith("— ") or not name_is_right(name) or len(data) < 5:
            raise NotProved(f"{line[:100]!r} is not a line with a signature", file=file)
        if name != key.name or data[:4] != key.key_hash:
            continue  # somebody else has signed, too
        try:
            Ed25519PublicKey.from_public_bytes(key.public).verify(data[4:], text.encode())
        except InvalidSignature:
            detail = "the signature is wrong: the text is not what was signed"
            raise NotProved(detail, file=file) from None
        found = True
    if not found:
        raise NotProved(
            f"not signed with the key {key.name}+{key.key_hash.hex()}",
            file=file,
            remedy="Make sure that the key is the ledger's; if it is, this was signed by another.",
        )
    return text


def split_note(note: bytes, file: str) -> tuple[str, list[str]]:
    """The text, which ends in a newline, and the lines with signatures."""
    try:
        whole = note.decode("utf-8")
    except UnicodeDecodeError:
        raise NotProved("it is not UTF-8 text", file=file) from None
    body, found, signatures = whole.rpartition("\n\n")
    odd = any(ord(character) < 0x20 and character != "\n" for character in whole)
    if not found or odd or not signatures.endswith("\n"):
        raise NotProved("it is not a signed note: a text, an empty line, signatures", file=file)
    return body + "\n", signatures[:-1].split("\n")


class Checkpoint(NamedTuple):
    """What is signed: how many events there are, and the root of the tree over all of them."""

    size: int
    root: bytes


def open_checkpoint(note: bytes, key: Key, file: str) -> Checkpoint:
    """The checkpoint in a signed note.

    Raises:
        NotProved: it is not one, or not signed by this key.
    """
    lines = open_note(note, key, file).split("\n")
    if len(lines) < 4 or lines[-1] or lines[0] != key.name:
        raise NotProved(f"it is not a checkpoint of {key.name}", file=file)
    try:
        root = unbase64(lines[2])
    except ValueError:
        root = b""
    if not re.fullmatch(r"0|[1-9][0-9]{0,18}", lines[1], re.ASCII) or len(root) != 32:
        raise NotProved("it is not a checkpoint: origin, size and root", file=file)
    return Checkpoint(int(lines[1]), root)


# --- the hash tree ------------------------------------------------------------------------------

LEAF_VERSION = b"tallystick/v1"


def leaf_hash(
    position: int, stream: bytes, version: int, topic: bytes, recorded_at_us: int, state: bytes
) -> bytes:
    """The leaf of one event; every part of variable length has its length in front."""
    return hashlib.sha256(
        b"\x00"
        + struct.pack(">I", len(LEAF_VERSION))
        + LEAF_VERSION
        + struct.pack(">Q16sQ", position, stream, version)
        + struct.pack(">I", len(topic))
        + topic
        + struct.pack(">qI", recorded_at_us, len(state))
        + state
    ).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def left_half(size: int) -> int:
    """The largest power of two below `size`."""
    return 1 << ((size - 1).bit_length() - 1)


def root_from_joint(
    indices: Sequence[int], leaves: bytes, size: int, proof: Sequence[bytes]
) -> bytes:
    """The root of the tree of `size` leaves in which these leaves have these indices.

    `indices` are ascending, `leaves` the hashes in the same order, one after the other; `proof`
    has the roots of all parts of the tree that hold none of them, from left to right.
    """
    if not indices or not 0 <= indices[0] <= indices[-1] < size:
        raise ValueError("there is no event, or one beyond the end of the tree")
    given = iter(proof)

    def root(first: int, last: int, start: int, end: int) -> bytes:
        """Over the leaves from `start` to `end`, where those from `first` to `last` are known."""
        if first == last:
            hash_ = next(given, None)
            if hash_ is None:
                raise ValueError("the proof is too short")
            return hash_
        if end - start == 1:
            return leaves[first * 32 : first * 32 + 32]
        middle = start + left_half(end - start)
        between, above = first, last
        while between < above:
            probe = (between + above) // 2
            if indices[probe] < middle:
                between = probe + 1
            else:
                above = probe
        left = root(first, between, start, middle)
        return node_hash(left, root(between, last, middle, end))

    found = root(0, len(indices), 0, size)
    if next(given, None) is not None:
        raise ValueError("the proof is too long")
    return found


def root_from_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes]) -> bytes:
    """The root of the tree in which a leaf has this index. RFC 9162, section 2.1.3.2."""
    if not 0 <= index < size:
        raise ValueError(f"a tree of {size} leaves has none with index {index}")
    node, last, root = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise ValueError("the proof is too long")
        if node & 1 or node == last:
            root = node_hash(sibling, root)
            while node and not node & 1:
                node, last = node >> 1, last >> 1
        else:
            root = node_hash(root, sibling)
        node, last = node >> 1, last >> 1
    if last:
        raise ValueError("the proof is too short")
    return root


def roots_from_consistency(
    old_size: int, old_root: bytes, new_size: int, proof: Sequence[bytes]
) -> tuple[bytes, bytes]:
    """The roots of two trees of which the newer begins with the older. RFC 9162, 2.1.4.2."""
    if not 0 < old_size <= new_size:
        raise ValueError(f"a tree of {new_size} leaves does not begin with one of {old_size}")
    path = list(proof)
    if old_size == new_size:
        if path:
            raise ValueError("the proof is too long")
        return old_root, old_root
    if old_size & (old_size - 1) == 0:  # the older tree is a node of the newer one
        path.insert(0, old_root)
    if not path:
        raise ValueError("the proof is too short")
    node, last = old_size - 1, new_size - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    old = new = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise ValueError("the proof is too long")
        if node & 1 or node == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while node and not node & 1:
                node, last = node >> 1, last >> 1
        else:
            new = node_hash(new, sibling)
        node, last = node >> 1, last >> 1
    if last:
        raise ValueError("the proof is too short")
    return old, new


# --- canonical JSON -----------------------------------------------------------------------------


def read_json(text: str) -> Any:
    """JSON with whole numbers only, and no name twice in an object."""
    return json.loads(
        text, object_pairs_hook=_members, parse_float=_no_number, parse_constant=_no_number
    )


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name stands twice in an object")
    return members


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text[:40]} is not a whole number")


def canonical(value: Any) -> bytes:
    """The bytes that a value has: RFC 8785, of whole numbers."""
    return json.dumps(_sorted(value), ensure_ascii=False, separators=(",", ":")).encode()


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        names = sorted(value, key=lambda name: name.encode("utf-16-be", "surrogatepass"))
        return {name: _sorted(value[name]) for name in names}
    return [_sorted(member) for member in value] if isinstance(value, list) else value


# --- what events mean ---------------------------------------------------------------------------

# From which account to which, the field with the amount, and the field that has to be true.
AVAILABLE, RESERVED = "player:{player_id}:available", "player:{player_id}:reserved"
CLEARING = "provider:{provider}:clearing"
FEES, FX, CHARGEBACKS = "house:fees", "house:fx", "house:chargebacks"
SUSPENSE = "house:suspense"
GIVEN_BACK = ((RESERVED, AVAILABLE, "released", None),)
PAID_OUT = (
    (AVAILABLE, RESERVED, "from_available", None),
    (SUSPENSE, RESERVED, "from_house", None),
    (RESERVED, CLEARING, "amount", None),
    (FEES, CLEARING, "fee", None),
)
CAME_BACK = ((CLEARING, AVAILABLE, "amount", None), (AVAILABLE, SUSPENSE, "to_house", None))

MOVES: dict[str, tuple[tuple[str, str, str, str | None], ...]] = {
    "DepositCompleted": ((CLEARING, AVAILABLE, "settled", None), (FEES, CLEARING, "fee", None)),
    "WithdrawalRequested": ((AVAILABLE, RESERVED, "amount", "reserved"),),
    "WithdrawalAmended": GIVEN_BACK,
    "WithdrawalRejected": GIVEN_BACK,
    "WithdrawalCancelled": GIVEN_BACK,
    "WithdrawalPaid": PAID_OUT,
    "WithdrawalReturned": CAME_BACK,
    "RefundRequested": ((AVAILABLE, RESERVED, "amount", "reserved"),),
    "RefundRejected": GIVEN_BACK,
    "RefundCancelled": GIVEN_BACK,
    "RefundSucceeded": PAID_OUT,
    "RefundReversed": CAME_BACK,
    "ConversionAccepted": ((AVAILABLE, RESERVED, "source", "reserved"),),
    "ConversionRejected": GIVEN_BACK,
    "ConversionExecuted": (
        (RESERVED, FX, "source", None),
        (FX, AVAILABLE, "target", None),
        (FX, FEES, "spread", None),
    ),
    "DisputeFundsWithdrawn": ((CHARGEBACKS, CLEARING, "amount", None),),
    "DisputeFundsReinstated": ((CLEARING, CHARGEBACKS, "amount", None),),
    "TransactionFailed": GIVEN_BACK,
    "NoticeNoted": ((FEES, CLEARING, "fee", None),),
    "ReviewOpened": ((AVAILABLE, RESERVED, "reserved", None),),
    "TransactionResolved": (),
    "AdjustmentApproved": (),
}
"""Kinds of events that move money. The last two name their moves themselves."""
MAY_BE_ABSENT = frozenset(
    {
        ("NoticeNoted", "fee"),
        *(
            (topic, name)
            for topic in ("WithdrawalPaid", "RefundSucceeded")
            for name in ("from_available", "from_house")
        ),
        *((topic, "to_house") for topic in ("WithdrawalReturned", "RefundReversed")),
    }
)
"""Fields that older events of the kind do not have; without them nothing moves."""
MOVES_THEMSELVES = ("TransactionResolved", "AdjustmentApproved")
MOVES_NOTHING = frozenset(
    """
    DepositCreated DepositBlocked DepositAwaitingPlayer DepositAuthorised DepositVoided
    DepositExpired DepositCancelled DepositRefundTracked DepositDisputeTracked
    DepositConcernsReviewed DepositDisputeFundsTracked DepositExcessTracked
    WithdrawalScored WithdrawalScreeningStarted WithdrawalScreened
    WithdrawalApprovalGiven WithdrawalApproved WithdrawalInformationRequested
    WithdrawalInformationProvided WithdrawalHeld WithdrawalReleased WithdrawalQueued
    WithdrawalRecalled WithdrawalProcessing RefundApprovalAwaited RefundApproved ConversionQuoted
    ConversionExpired DisputeOpened DisputeEvidenceDue DisputeEvidenceSubmitted DisputeAccepted
    DisputeAcknowledged DisputeAnswerDelayed DisputeExpired DisputeWon DisputeLost
    DisputeWithdrawn DisputeNewsNoted AdjustmentRequested AdjustmentRejected TransactionSubmitted
    TransactionPending TransactionUnknown ResolutionProposed ProviderNoticeReceived
    DisputeNoticeReceived NoticeUnmatched PlayerRegistered VerificationChanged LimitSet
    InstrumentRegistered PlayerExcluded ExclusionEnded HoldPlaced HoldLifted WagerRecorded
    ProviderRegistered ProviderPaused ProviderResumed ApprovalPolicyProposed
    ApprovalPolicyPublished RateTablePublished RateTableProposed RateTableApproved
    RateProposalDiscarded RateSourceProposed RateSourceTrusted RateSourceRevoked
    ProjectionCutOver InstrumentHolderChecked
    CredentialsChanged RuleSetDrafted RuleSetPublished RuleSetDiscarded FraudCaseOpened
    FraudCaseHitAdded FraudCaseAssigned FraudCaseNoted FraudCaseInformationRequested
    FraudCaseInformationReceived FraudCaseHoldPlaced FraudCaseHoldLifted
    FraudCaseClosureProposed FraudCaseClosed ReportDrafted ReportRevised ReportFiled
    ReportDismissed
    """.split()  # noqa: SIM905
)


def movements(topic: str, said: dict[str, Any]) -> Iterator[tuple[str, int]]:
    """What an event adds to which account, in minor units."""
    if topic not in MOVES and topic not in MOVES_NOTHING:
        raise ValueError(f"this verify.py does not know events of the kind {topic[:60]!r}")
    for source, target, field, condition in MOVES.get(topic, ()):
        money = said.get(field) if (topic, field) in MAY_BE_ABSENT else said[field]
        if money is None or (condition is not None and said[condition] is not True):
            continue
        amount, currency = whole(money["amount"]), word(money["currency"])
        if amount:
            yield f"{source.format_map(said)}:{currency}", -amount
            yield f"{target.format_map(said)}:{currency}", amount
    for move in said["moves"] if topic in MOVES_THEMSELVES else ():
        amount = whole(move["money"]["amount"])
        if amount:
            yield word(move["source"]), -amount
            yield word(move["target"]), amount


def whole(value: Any) -> int:
    """A whole number, and no truth value."""
    if type(value) is not int:
        raise ValueError(f"{str(value)[:40]} is not a whole number")
    return value


def word(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{str(value)[:40]} is not a text")
    return value


BEGINS = {
    "DepositCreated": ("deposit", "created"),
    "WithdrawalRequested": ("withdrawal", "requested"),
    "RefundRequested": ("refund", "requested"),
    "ConversionQuoted": ("conversion", "quoted"),
    "DisputeOpened": ("dispute", "opened"),
    "AdjustmentRequested": ("adjustment", "requested"),
}
LEADS_TO = {
    "DepositBlocked": "blocked",
    "DepositAwaitingPlayer": "awaiting_player",
    "DepositAuthorised": "authorised",
    "DepositVoided": "voided",
    "DepositExpired": "expired",
    "DepositCancelled": "cancelled",
    "RefundApprovalAwaited": "pending_approval",
    "RefundApproved": "approved",
    "RefundRejected": "rejected",
    "RefundCancelled": "cancelled",
    "RefundSucceeded": "succeeded",
    "RefundReversed": "reversed",
    "ConversionExpired": "expired",
    "ConversionAccepted": "accepted",
    "ConversionRejected": "rejected",
    "ConversionExecuted": "executed",
    "DisputeOpened": "opened",
    "DisputeEvidenceDue": "evidence_due",
    "DisputeEvidenceSubmitted": "submitted",
    "DisputeAccepted": "accepted",
    "DisputeExpired": "expired",
    "DisputeWon": "won",
    "DisputeLost": "lost",
    "DisputeWithdrawn": "withdrawn",
    "AdjustmentApproved": "approved",
    "AdjustmentRejected": "rejected",
    "TransactionSubmitted": "submitted",
    "TransactionUnknown": "unknown",
    "TransactionFailed": "failed",
    "ReviewOpened": "review",
}


IN_WORK = ("accepted", "pending")
CREDITED = ("completed", "partially_refunded", "refunded")


class Standing:
    """Where one transaction stands: everything but payouts."""

    def __init__(self, kind: str, status: str) -> None:
        self.kind, self.status = kind, status
        self.credited = 0
        self.refunds: dict[str, int] = {}

    def take(self, topic: str, said: dict[str, Any]) -> None:
        """The next event of its stream."""
        if topic in LEADS_TO:
            self.status = LEADS_TO[topic]
        elif topic == "DepositCompleted":
            self.credited = whole(said["settled"]["amount"])
            self.status = self._credited()
        elif topic == "DepositRefundTracked":
            self._refunded(said)
        elif topic == "TransactionPending" and said["evidence"]["outcome"] in IN_WORK:
            if (self.kind, self.status) == ("deposit", "awaiting_player"):
                self.status = "submitted"
            elif (self.kind, self.status) == ("refund", "submitted"):
                self.status = "pending"
        elif topic == "DisputeAcknowledged" and self.status != "accepted":
            self.status = "under_review"
        elif topic == "TransactionResolved":
            self._resolved(said)

    def _credited(self) -> str:
        taken = sum(self.refunds.values())
        if not taken:
            return "completed"
        return "refunded" if taken >= self.credited else "partially_refunded"

    def _refunded(self, said: dict[str, Any]) -> None:
        self.refunds.pop(word(said["refund_id"]), None)
        if said["standing"] == "taken":
            self.refunds[said["refund_id"]] = whole(said["amount"]["amount"])
        if self.status in CREDITED:
            self.status = self._credited()

    def _resolved(self, said: dict[str, Any]) -> None:
        self.status = word(said["target"])
        if self.kind != "deposit":
            return
        if self.status != "completed":
            self.credited = 0
            return
        if not self.credited:  # what moves now is what is credited, less what goes back
            for move in said["moves"]:
                sign = -1 if move["target"].startswith("provider:") else 1
                self.credited += sign * whole(move["money"]["amount"])
        self.status = self._credited()


class Leg:
    """A part of a payout, to one card or account."""

    def __init__(self, reserved: bool) -> None:
        self.status, self.reserved = "planned", reserved
        self.attempts: list[int] = []
        self.reviewed: str | None = None


LEG_BECOMES = {
    "WithdrawalQueued": "queued",
    "TransactionSubmitted": "submitted",
    "WithdrawalProcessing": "processing",
    "TransactionUnknown": "unknown",
    "TransactionFailed": "failed",
    "WithdrawalPaid": "paid",
    "WithdrawalReturned": "returned",
    "ReviewOpened": "review",
}
DECISION_BECOMES = {
    "WithdrawalScreeningStarted": "screening",
    "WithdrawalApproved": "approved",
    "WithdrawalInformationRequested": "info_required",
    "WithdrawalHeld": "held",
    "WithdrawalRejected": "rejected",
    "WithdrawalCancelled": "cancelled",
}


TAKES_BACK = ("WithdrawalRejected", "WithdrawalCancelled")


class Payout(Standing):
    """Where a withdrawal stands: what people decided, and how far its legs are."""

    def __init__(self, said: dict[str, Any]) -> None:
        super().__init__("withdrawal", "requested")
        self.decision, self.screened = "requested", False
        self.legs = [Leg(said["reserved"] is True) for _ in said["legs"]]

    def take(self, topic: str, said: dict[str, Any]) -> None:
        """The next event of its stream."""
        self.decision = DECISION_BECOMES.get(topic, self.decision)
        if topic == "WithdrawalAmended":
            self.legs, self.screened = [Leg(reserved=True) for _ in said["legs"]], False
            if self.decision not in ("held", "info_required"):
                self.decision = "requested"
        elif topic == "WithdrawalScored":
            self.screened = False
            if self.decision == "under_review":
                self.decision = "requested"
        elif topic == "WithdrawalScreened":
            self.decision = "under_review" if said["required"] else "screening"
            self.screened = True
        elif topic in ("WithdrawalInformationProvided", "WithdrawalReleased", "WithdrawalRecalled"):
            self.decision = "under_review" if self.screened else "requested"
        self._take_back(topic)
        if topic in LEG_BECOMES or topic == "TransactionResolved":
            self._move(self._about(topic, said), topic, said)
        self.status = self._stands()

    def _take_back(self, topic: str) -> None:
        """What is not at the provider is not sent after all, or never."""
        for leg in self.legs:
            waits_for_retry = leg.status == "failed" and leg.reserved
            if topic == "WithdrawalRecalled":
                if waits_for_retry or (leg.status == "queued" and leg.reserved):
                    leg.status = "planned"
            elif topic in TAKES_BACK and (waits_for_retry or leg.status == "planned"):
                leg.status, leg.reserved = "released", False

    def _about(self, topic: str, said: dict[str, Any]) -> Leg:
        """The leg that an event is about."""
        if said.get("leg") is not None:
            return self.legs[whole(said["leg"]) - 1]
        if topic == "TransactionResolved":
            return next(leg for leg in self.legs if leg.status == "review")
        reference = (
            said["reference"] if topic == "TransactionSubmitted" else said["evidence"]["reference"]
        )
        number = re.fullmatch(r"[0-9a-fA-F]{32}-([0-9]+)", reference, re.ASCII)
        attempt = int(number.group(1)) if number else -1
        for leg in self.legs:
            if attempt in leg.attempts:
                return leg
        for leg in self.legs:
            if leg.reviewed == reference:
                return leg
        unsent = [leg for leg in self.legs if leg.status in ("planned", "queued")]
        if number and unsent:
            return unsent[0]
        return max(self.legs, key=lambda leg: leg.attempts[-1] if leg.attempts else 0)

    def _move(self, leg: Leg, topic: str, said: dict[str, Any]) -> None:
        leg.status = LEG_BECOMES.get(topic) or word(said["target"])
        if topic == "WithdrawalQueued" and said["attempt"] not in leg.attempts:
            leg.attempts.append(whole(said["attempt"]))
        elif topic == "TransactionFailed":
            leg.reserved = leg.reserved and said["released"] is None
            if leg.reserved and said["retry_at"] is None:
                leg.status = "planned"
        elif topic in ("WithdrawalPaid", "TransactionResolved"):
            leg.reserved = False
        elif topic == "ReviewOpened":
            leg.reviewed = said["evidence"]["reference"]

    def _stands(self) -> str:
        """The first line that fits."""
        legs = {leg.status for leg in self.legs}
        if "review" in legs:
            return "review"
        if "planned" in legs or legs == {"released"}:
            return self.decision
        if "unknown" in legs:
            return "unknown"
        if "paid" in legs:
            return "paid" if legs == {"paid"} else "partially_paid"
        for status in ("processing", "submitted", "queued"):
            if status in legs:
                return status
        if "released" in legs:
            return self.decision
        return "returned" if legs == {"returned"} else "failed"


def begun(topic: str, said: dict[str, Any]) -> Standing:
    """A transaction at its first event."""
    return Payout(said) if topic == "WithdrawalRequested" else Standing(*BEGINS[topic])


# --- the bundle ---------------------------------------------------------------------------------


class Event(NamedTuple):
    """One line of events.jsonl."""

    position: int
    stream: uuid.UUID
    version: int
    topic: str
    recorded_at_us: int
    state: str

    def leaf(self) -> bytes:
        return leaf_hash(
            self.position,
            self.stream.bytes,
            self.version,
            self.topic.encode(),
            self.recorded_at_us,
            self.state.encode(),
        )


EVENT_FIELDS = {"position", "stream", "version", "topic", "recorded_at_us", "state"}


def event_from(line: bytes) -> Event:
    """The event on a line, which must be spelt as it is written, byte for byte."""
    members = read_json(line.decode("utf-8"))
    if not isinstance(members, dict) or set(members) != EVENT_FIELDS:
        raise ValueError(f"it has to have exactly the fields {', '.join(sorted(EVENT_FIELDS))}")
    if canonical(members) != line:
        raise ValueError("it is not spelt as the ledger writes it")
    event = Event(
        position=whole(members["position"]),
        stream=uuid.UUID(members["stream"]),
        version=whole(members["version"]),
        topic=word(members["topic"]),
        recorded_at_us=whole(members["recorded_at_us"]),
        state=word(members["state"]),
    )
    if str(event.stream) != members["stream"]:
        raise ValueError("the stream is not spelt as the ledger writes it")
    return event


class Bundle:
    """A folder with a case in it, and the steps of checking it."""

    def __init__(self, folder: Path, key: Key | None) -> None:
        self.folder = folder
        self.key_given = key is not None
        self.key = key or self.own_key()
        self.checkpoint = Checkpoint(0, b"")
        self.events = self.as_of = 0
        self.case = {"kind": "", "id": ""}

    def read(self, name: str) -> bytes:
        return bytes_of(self.folder / name, name)

    def own_key(self) -> Key:
        return parse_key(self.read("key.txt").decode("utf-8", "replace"), "key.txt")

    def lines(self) -> Iterator[tuple[int, bytes]]:
        """Line by line: a case may be larger than the memory."""
        with (self.folder / "events.jsonl").open("rb") as file:
            for number, line in enumerate(file, 1):
                if not line.endswith(b"\n"):
                    raise NotProved(
                        "the last line is not complete", file="events.jsonl", line=number
                    )
                yield number, line[:-1]

    # --- the steps ---

    def check_files(self) -> str:
        """The manifest, and every file in it."""
        self._check_names()
        note = self.read(MANIFEST)
        text = open_note(note, self.key, MANIFEST)
        if len(split_note(note, MANIFEST)[1]) != 1:
            raise NotProved("more stands below it than the ledger's signature", file=MANIFEST)
        header, *lines = text.split("\n")
        if header != f"{self.key.name}/case-bundle" or lines[-1:] != [""]:
            raise NotProved("it is signed, but it is not the manifest of a case", file=MANIFEST)
        stated = {}
        for number, line in enumerate(lines[:-1], 2):
            if not re.fullmatch(r"[0-9a-f]{64}  [A-Za-z0-9._-]+", line, re.ASCII):
                raise NotProved("not a digest and a name", file=MANIFEST, line=number)
            stated[line[66:]] = line[:64]
        if sorted(stated) != sorted(FILES) or len(stated) != len(lines) - 1:
            raise NotProved("it does not list the files of a case", file=MANIFEST)
        for name in FILES:
            if file_digest(self.folder / name) != stated[name]:
                raise NotProved("it is not the file that was signed: it was changed", file=name)
        if self.key.text + "\n" != self.read("key.txt").decode("utf-8", "replace"):
            raise NotProved("it is another key than the one to check with", file="key.txt")
        return (
            f"The manifest is signed; the {len(FILES)} files are what it says, and there is no "
            "other here."
        )

    def _check_names(self) -> None:
        expected, found = {*FILES, MANIFEST}, {entry.name for entry in self.folder.iterdir()}
        for name in sorted(found - expected):
            raise NotProved(
                "it does not belong to the case",
                file=name,
                remedy="If you put it there yourself, take it away and check again.",
            )
        for name in sorted(expected - found):
            raise NotProved("it is missing", file=name)
        for name in sorted(expected):
            if not stat.S_ISREG((self.folder / name).lstat().st_mode):
                raise NotProved("it is not a plain file", file=name)

    def check_checkpoint(self) -> str:
        self.checkpoint = open_checkpoint(self.read("checkpoint.txt"), self.key, "checkpoint.txt")
        return (
            f"The ledger has signed that it had {self.checkpoint.size} events, and a fingerprint "
            f"of all of them: {base64.b64encode(self.checkpoint.root).decode()}."
        )

    def check_tree(self) -> str:
        """Every event, from its bytes to the signed root."""
        indices, leaves = array("q"), bytearray()
        for number, line in self.lines():
            try:
                event = event_from(line)
                leaf = event.leaf()
            except MALFORMED as error:
                raise NotProved(
                    f"not an event: {error}", file="events.jsonl", line=number
                ) from error
            if event.position <= (indices[-1] + 1 if indices else 0):
                raise not_in_order(number, event.position)
            if event.position > self.checkpoint.size:
                raise NotProved(
                    "recorded after the checkpoint, which cannot speak for it",
                    **at(number, event.position),
                )
            indices.append(event.position - 1)
            leaves += leaf
        self.events = len(indices)
        self._check_root(indices, bytes(leaves))
        return f"{counted(indices, 'event')} in the tree that was signed, each byte for byte."

    def _check_root(self, indices: Sequence[int], leaves: bytes) -> None:
        try:
            proof = read_json(self.read("proof.json").decode("utf-8"))
            hashes = hashes_of(proof["hashes"])
            if set(proof) != {"size", "root", "hashes"}:
                raise ValueError("it has to have the fields size, root and hashes")
            stated = Checkpoint(whole(proof["size"]), one_hash(proof["root"]))
            if stated != self.checkpoint:
                raise ValueError("it is about another checkpoint")
            root = root_from_joint(indices, leaves, self.checkpoint.size, hashes)
        except MALFORMED as error:
            raise NotProved(f"no proof: {error}", file="proof.json") from error
        if root != self.checkpoint.root:
            raise NotProved(
                "the events do not lead to the signed root: at least one of them was changed, or "
                "the proof was",
                file="events.jsonl",
            )

    def check_order(self) -> str:
        """Streams without gaps, and time that never runs back."""
        versions: dict[bytes, int] = {}
        before, position_before = -(2**63), 0
        for number, line in self.lines():
            event = event_from(line)
            place = at(number, event.position)
            if event.position <= position_before:
                raise not_in_order(number, event.position)
            expected = versions.get(event.stream.bytes, 0) + 1
            if event.version != expected:
                raise NotProved(
                    f"stream {event.stream} has version {event.version} where {expected} belongs",
                    **place,
                )
            if event.recorded_at_us < before:
                raise NotProved("recorded before the event in front of it", **place)
            versions[event.stream.bytes] = event.version
            before, position_before = event.recorded_at_us, event.position
            try:
                spelt = canonical(read_json(event.state))
            except MALFORMED as error:
                raise NotProved(f"what was recorded cannot be read: {error}", **place) from error
            if spelt != event.state.encode():
                raise NotProved("what was recorded is not canonical JSON", **place)
        return (
            f"{counted(versions, 'stream')} without gaps from the first event on; the times never "
            "run back, and the bytes of every event are its only spelling."
        )

    def check_statement(self) -> str:
        """Replay the events, and compare with what is claimed."""
        try:
            stated = read_json(self.read("statement.json").decode("utf-8"))
            claims = {name: stated[name] for name in STATED}
            if set(claims) != set(stated):
                raise ValueError(f"it has to have exactly the fields {', '.join(STATED)}")
            case = stated["case"]
            if set(case) != {"kind", "id"} or case["kind"] not in ("player", "transaction"):
                raise ValueError("it does not say whose case it is")
            if str(uuid.UUID(case["id"])) != case["id"]:
                raise ValueError("the id is not spelt as the ledger writes it")
            own = f"player:{case['id']}:" if case["kind"] == "player" else ""
            found = self._replayed(own)
            self._check_claims(claims, found)
        except MALFORMED as error:
            raise NotProved(f"not a statement: {error}", file="statement.json") from error
        self.case, self.as_of = case, stated["as_of"]
        return (
            "The events, replayed, lead to what is stated of "
            f"{counted(stated['balances'], 'balance')} and "
            f"{counted(stated['transactions'], 'transaction')}."
        )

    def _replayed(self, own: str) -> dict[str, Any]:
        """The statement as it follows from the events; `own` is how the player's accounts begin."""
        balances: dict[str, int] = {}
        streams: dict[str, dict[str, Any]] = {}
        standings: dict[str, Standing] = {}
        first = last = 0
        for number, line in self.lines():
            event = event_from(line)
            stream, place = str(event.stream), at(number, event.position)
            try:
                said = read_json(event.state)
                moved = [m for m in movements(event.topic, said) if m[0].startswith(own)]
                if event.version == 1 and event.topic in BEGINS:
                    standings[stream] = begun(event.topic, said)
                elif stream in standings:
                    standings[stream].take(event.topic, said)
            except MALFORMED as error:
                raise NotProved(f"it cannot be replayed: {error}", **place) from error
            for account, amount in moved:
                balances[account] = balances.get(account, 0) + amount
            for account, _ in moved:
                if own and balances[account] < 0:
                    raise NotProved(f"{account} would be below zero", **place)
            first_of = streams.setdefault(stream, {"stream": stream, "begins_with": event.topic})
            first_of["last_version"] = event.version
            first, last = first or event.position, event.position
        return {
            "events": self.events,
            "first_position": first,
            "last_position": last,
            "streams": list(streams.values()),
            "balances": [
                {"account": account, "opening_minor": 0, "closing_minor": balances[account]}
                for account in sorted(balances)
            ],
            "transactions": [
                {"id": stream, "kind": standing.kind, "status": standing.status}
                for stream, standing in standings.items()
            ],
        }

    def _check_claims(self, stated: dict[str, Any], found: dict[str, Any]) -> None:
        for name, value in found.items():
            if canonical(value) != canonical(stated[name]):
                raise NotProved(
                    f"the events do not lead to what it says under {name!r}: "
                    f"{difference(stated[name], value)}",
                    file="statement.json",
                )
        case, last = stated["case"], found["last_position"]
        if case["kind"] == "transaction" and case["id"] not in [
            told["id"] for told in stated["transactions"]
        ]:
            raise NotProved("the transaction it is about is not in it", file="statement.json")
        if not last <= whole(stated["as_of"]) <= self.checkpoint.size:
            raise NotProved("it is as of a position that is not covered", file="statement.json")
        signed = {
            "origin": self.key.name,
            "size": self.checkpoint.size,
            "root": self.checkpoint.root.hex(),
        }
        if canonical(stated["checkpoint"]) != canonical(signed):
            raise NotProved("it is about another checkpoint", file="statement.json")


STATED = (
    *("case", "as_of", "checkpoint", "events", "first_position", "last_position"),
    *("streams", "balances", "transactions"),
)


def at(line: int, position: int) -> dict[str, Any]:
    """A place in events.jsonl."""
    return {"file": "events.jsonl", "line": line, "position": position}


def not_in_order(line: int, position: int) -> NotProved:
    return NotProved("it stands after an event that was recorded later", **at(line, position))


def counted(things: Any, what: str) -> str:
    return f"{len(things)} {what}{'' if len(things) == 1 else 's'}"


def difference(stated: Any, found: Any) -> str:
    """The first thing that differs."""
    if isinstance(stated, list) and isinstance(found, list):
        for theirs, mine in zip(stated, found):  # noqa: B905  (Python 3.9)
            if theirs != mine:
                return f"{json.dumps(theirs)[:300]} is stated, {json.dumps(mine)[:300]} follows"
        return f"{len(stated)} are stated, {len(found)} follow"
    return f"{json.dumps(stated)[:300]} is stated, {json.dumps(found)[:300]} follows"


def file_digest(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            for block in iter(lambda: file.read(1 << 20), b""):
                digest.update(block)
    except OSError as error:
        raise NotProved(f"it cannot be read: {error.strerror}", file=path.name) from error
    return digest.hexdigest()


def one_hash(text: Any) -> bytes:
    if not isinstance(text, str) or not re.fullmatch(r"[0-9a-f]{64}", text, re.ASCII):
        raise ValueError(f"{str(text)[:80]!r} is not a hash of 64 hexadecimal digits")
    return bytes.fromhex(text)


def hashes_of(texts: Any) -> list[bytes]:
    if not isinstance(texts, list):
        raise TypeError("hashes is not a list")
    return [one_hash(text) for text in texts]


# --- single proofs ------------------------------------------------------------------------------


def json_file(path: Path) -> dict[str, Any]:
    """An answer of the ledger's API, as it was saved."""
    try:
        members = json.loads(bytes_of(path).decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise NotProved(f"no JSON can be read from it: {error}", file=str(path)) from error
    if not isinstance(members, dict):
        raise NotProved("it is not a JSON object", file=str(path))
    return members


def bytes_of(path: Path, name: str = "") -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        detail = f"it cannot be read: {error.strerror}"
        raise NotProved(detail, file=name or str(path)) from error


def check_receipt(args: argparse.Namespace, key: Key) -> Iterator[tuple[str, str]]:
    """A receipt is kept by a checkpoint that was signed later."""
    checkpoint = open_checkpoint(bytes_of(args.checkpoint), key, str(args.checkpoint))
    yield "checkpoint", f"The ledger has signed a checkpoint of {checkpoint.size} events."
    answer = json_file(args.receipt)
    receipt = answer.get("receipt", answer)
    try:
        position, size = whole(receipt["position"]), whole(receipt["size"])
        leaf, root = one_hash(receipt["leaf"]), one_hash(receipt["root"])
        if not 1 <= position <= size:
            raise ValueError(f"position {position} is not among {size} events")
    except MALFORMED as error:
        raise NotProved(f"there is no receipt in it: {error}", file=str(args.receipt)) from error
    if size > checkpoint.size:
        raise NotProved(
            f"the receipt is of a log of {size} events, and the checkpoint of {checkpoint.size} "
            "is older",
            file=str(args.checkpoint),
            remedy="Take a newer checkpoint.",
        )
    try:
        hashes = hashes_of(json_file(args.proof)["hashes"])
        found = root_from_inclusion(position - 1, checkpoint.size, leaf, hashes)
    except MALFORMED as error:
        raise NotProved(f"no proof: {error}", file=str(args.proof)) from error
    if found != checkpoint.root:
        raise NotProved(
            "the event of the receipt is not in the signed tree, or this proof is about another",
            file=str(args.proof),
            position=position,
            remedy=TRY_THE_PROOF_AGAIN,
        )
    yield "inclusion", f"The event at position {position} is in the tree that was signed."
    older = Checkpoint(size, root)
    check_consistency(older, checkpoint, args.consistency)
    yield "consistency", f"The signed tree begins with the {size} events that the receipt is of."


def check_checkpoints(args: argparse.Namespace, key: Key) -> Iterator[tuple[str, str]]:
    """The newer of two checkpoints only added to the older."""
    older = open_checkpoint(bytes_of(args.older), key, str(args.older))
    newer = open_checkpoint(bytes_of(args.newer), key, str(args.newer))
    yield "signatures", f"Both are signed: one of {older.size} events, one of {newer.size}."
    if newer.size < older.size:
        raise NotProved("it is the older one", file=str(args.newer), remedy="Swap the two files.")
    check_consistency(older, newer, args.consistency)
    yield "consistency", f"The newer begins with the {older.size} events of the older, unchanged."


def check_consistency(older: Checkpoint, newer: Checkpoint, path: Path) -> None:
    file = str(path)
    try:
        hashes = hashes_of(json_file(path)["hashes"])
        if older.size == 0:
            roots = (hashlib.sha256(b"").digest(), newer.root)
            if hashes:
                raise ValueError("the proof is too long")
        else:
            roots = roots_from_consistency(older.size, older.root, newer.size, hashes)
    except MALFORMED as error:
        raise NotProved(f"no proof: {error}", file=file) from error
    if roots != (older.root, newer.root):
        raise NotProved(
            f"the newer log does not begin with the {older.size} events of the older one, or this "
            "proof is about others",
            file=file,
            remedy=TRY_THE_PROOF_AGAIN,
        )


TRY_THE_PROOF_AGAIN = (
    "Ask the ledger for the proof between exactly these sizes. If that fails as well, the log was "
    "changed: keep the receipt and the notes, they show it."
)


# --- saying it ----------------------------------------------------------------------------------

PROVED = (
    "These events are, byte for byte, events of the log that the holder of the key has signed.",
    "No event is missing inside a stream before its last one here, and none was moved.",
    "Replayed, they lead to the balances and to the status of each transaction that are stated.",
)
NOT_PROVED = (
    "That nothing was left out: other streams, or later events of these, may exist.",
    "That a balance is all that is in the account: it is what these events alone add up to, "
    "from zero on.",
    "That what was recorded is what happened in the world, at the hour that was recorded.",
    "What story.txt, story.html and README.txt say: they are signed, but only the events count.",
    "That this verify.py is the real one, if it came with the bundle: compare it with a copy that "
    "you have from elsewhere, or use that one.",
)
WHOSE_KEY = (
    "That the key belongs to whom it says: compare its fingerprint with one that you were told by "
    "another channel."
)
NO_KEY = (
    "NO KEY WAS GIVEN: THE KEY CAME WITH THE BUNDLE. Whoever made a false bundle would have put "
    "their own key in it. Get the ledger's key by another channel, and use --key."
)
STEPS = (
    ("files", Bundle.check_files),
    ("checkpoint", Bundle.check_checkpoint),
    ("tree", Bundle.check_tree),
    ("order", Bundle.check_order),
    ("statement", Bundle.check_statement),
)


def check(folder: Path, key: Key | None) -> tuple[Bundle, Iterator[tuple[str, str]]]:
    """The bundle, and its steps: each is done when the next is asked for.

    Raises:
        NotProved: from here or from a step.
    """
    bundle = Bundle(folder, key)
    return bundle, ((name, step(bundle)) for name, step in STEPS)


class Said:
    """What is printed: words as they come, or one JSON object at the end."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        self.answer: dict[str, Any] = {"ok": False, "steps": []}

    def line(self, text: str = "") -> None:
        if not self.as_json:
            print("\n".join(harmless(line) for line in text.split("\n")))

    def step(self, name: str, text: str) -> None:
        self.answer["steps"].append({"step": name, "detail": text})
        self.line(f"  ok  {text}")

    def key(self, key: Key, given: bool) -> None:
        self.answer.update(key=key.text, key_fingerprint=key.fingerprint(), key_given=given)
        self.line(f"Key: {key.text}\n     fingerprint {key.fingerprint()}")

    def failed(self, error: NotProved) -> int:
        where = error.where()
        self.answer["failure"] = {
            "file": error.file or None,
            "line": error.line or None,
            "position": error.position or None,
            "detail": error.detail,
            "remedy": error.remedy,
        }
        self.line(f"\nNOT PROVED. {where + ': ' if where else ''}{harmless(error.detail)}.")
        self.line(error.remedy)
        return self.end(1)

    def end(self, status: int) -> int:
        self.answer["ok"] = status == 0
        if self.as_json:
            print(json.dumps(self.answer))
        return status


def run(args: argparse.Namespace, said: Said) -> int:
    key = given_key(args)
    if args.what == "bundle":
        return run_bundle(args.bundle, key, said)
    if key is None:
        raise NotProved("a key is needed", remedy="Give it with --key or --key-file.")
    said.key(key, given=True)
    checks = check_receipt if args.what == "receipt" else check_checkpoints
    for name, text in checks(args, key):
        said.step(name, text)
    said.line(f"\nPROVED, for whoever trusts the key.\nNot proved:\n  - {WHOSE_KEY}")
    said.answer.update(not_proved=[WHOSE_KEY])
    return said.end(0)


def run_bundle(folder: Path, key: Key | None, said: Said) -> int:
    said.line(f"Checking the case in {folder}")
    if not folder.is_dir():
        raise NotProved(
            "there is no such folder", file=str(folder), remedy="Unpack the bundle first."
        )
    bundle, steps = check(folder, key)
    said.key(bundle.key, bundle.key_given)
    if not bundle.key_given:
        said.line(f"\n{NO_KEY}\n")
    for name, text in steps:
        said.step(name, text)
    not_proved = [*NOT_PROVED, WHOSE_KEY]
    said.answer.update(case=bundle.case, as_of=bundle.as_of, events=bundle.events)
    said.answer.update(proved=list(PROVED), not_proved=not_proved)
    said.line(
        f"\nThis is the case of {bundle.case['kind']} {bundle.case['id']}, up to position "
        f"{bundle.as_of} of the log of {bundle.key.name}. Is it the one you asked for?"
    )
    said.line("\nPROVED, for whoever trusts the key:")
    for text in PROVED:
        said.line(f"  - {text}")
    said.line("What this cannot prove:")
    for text in not_proved:
        said.line(f"  - {text}")
    if not bundle.key_given:
        said.answer["warning"] = NO_KEY
        said.line(f"\n{NO_KEY}")
    return said.end(0)


def given_key(args: argparse.Namespace) -> Key | None:
    if args.key_file is not None:
        return parse_key(bytes_of(args.key_file).decode("utf-8", "replace"), str(args.key_file))
    return None if args.key is None else parse_key(args.key)


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    what = arguments[0] if arguments and arguments[0] in ("receipt", "checkpoints") else "bundle"
    parser = argparse.ArgumentParser(
        prog="verify.py" if what == "bundle" else f"verify.py {what}",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    keys = parser.add_mutually_exclusive_group(required=what != "bundle")
    keys.add_argument("--key", help="the ledger's public key, from another channel")
    keys.add_argument("--key-file", type=Path, help="a file with that key")
    parser.add_argument("--json", action="store_true", help="answer with JSON")
    if what == "bundle":
        here = Path(__file__).resolve().parent
        parser.add_argument(
            "bundle", nargs="?", type=Path, default=here, help="its folder; else this one"
        )
    elif what == "receipt":
        parser.add_argument("receipt", type=Path, help="a saved answer with a receipt in it")
        parser.add_argument(
            "--proof", type=Path, required=True, help="answer with the inclusion proof"
        )
        parser.add_argument("--checkpoint", type=Path, required=True, help="a signed checkpoint")
    else:
        parser.add_argument("older", type=Path, help="a signed checkpoint")
        parser.add_argument("newer", type=Path, help="another, signed later")
    if what != "bundle":
        parser.add_argument(
            "--consistency", type=Path, required=True, help="answer with that proof"
        )
    args = parser.parse_args(arguments if what == "bundle" else arguments[1:])
    args.what = what
    return args


def main(arguments: Sequence[str] | None = None) -> int:
    """Check what the arguments say; the exit status."""
    args = parsed(sys.argv[1:] if arguments is None else arguments)
    said = Said(args.json)
    try:
        return run(args, said)
    except NotProved as error:
        return said.failed(error)
    except OSError as error:
        detail = f"it cannot be read: {error.strerror or error}"
        remedy = "See that you may read the files, and check again."
        return said.failed(NotProved(detail, file=str(error.filename or ""), remedy=remedy))


if __name__ == "__main__":
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    sys.exit(main())
