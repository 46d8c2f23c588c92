"""Signed notes: a text, and who signed it, in a form that a person can read and keep.

Source: C2SP signed-note (https://c2sp.org/signed-note), Ed25519 signatures of type 0x01. Reading is
strict: a text has one form only, so that no character of a note can change unseen.
"""

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

ED25519: Final = b"\x01"
KEY_BYTES: Final = 32
KEY_HASH_BYTES: Final = 4
NOTE_BYTES_MAX: Final = 1_000_000
SIGNATURES_MAX: Final = 100

_DASH: Final = "\u2014 "
_PRIVATE: Final = "PRIVATE+KEY+"
_HEX: Final = re.compile(r"[0-9a-f]{8}")
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f\ud800-\udfff]")


class InvalidKey(ValueError):
    """This is not a key for signed notes."""


class NoteInvalid(ValueError):
    """The note is not in order, or nobody known has signed it."""


@dataclass(frozen=True, slots=True)
class Verifier:
    """The public half of a key: `<name>+<8 hex digits>+<base64>`."""

    name: str
    key_hash: bytes
    """4 bytes that tell keys of one name apart."""
    public_key: bytes
    """32 bytes, Ed25519."""

    @classmethod
    def of(cls, name: str, public_key: bytes) -> "Verifier":
        """The verifier of a public key under a name.

        Raises:
            InvalidKey: the name is not one that a note can hold.
        """
        return cls(_checked_name(name), _key_hash(name, public_key), public_key)

    @classmethod
    def parse(cls, text: str) -> "Verifier":
        """Read what `str` of one gave.

        Raises:
            InvalidKey: it is not that.
        """
        name, key_hash, public_key = _parsed_key(text)
        made = cls.of(name, public_key)
        if made.key_hash != key_hash:
            raise InvalidKey("the key's hash is not that of its name and bytes")
        return made

    @property
    def id(self) -> str:
        """`<name>+<8 hex digits>`."""
        return f"{self.name}+{self.key_hash.hex()}"

    def __str__(self) -> str:
        return f"{self.id}+{_encoded(ED25519 + self.public_key)}"

    def is_right(self, text: str, signature: bytes) -> bool:
        """Whether this key made the signature over the text."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public_key).verify(signature, text.encode())
        except InvalidSignature:
            return False
        return True


class Signer:
    """The private half of a key. Never printed but by `encoded`."""

    __slots__ = ("_key", "_seed", "verifier")

    def __init__(self, name: str, seed: bytes) -> None:
        """`seed` is the 32 bytes that an Ed25519 key is made from.

        Raises:
            InvalidKey: the name is not one that a note can hold.
        """
        self._seed = seed
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.verifier = Verifier.of(name, self._key.public_key().public_bytes_raw())

    @classmethod
    def generate(cls, name: str) -> "Signer":
        """A new key under a name.

        Raises:
            InvalidKey: the name is not one that a note can hold.
        """
        return cls(name, Ed25519PrivateKey.generate().private_bytes_raw())

    @classmethod
    def parse(cls, text: str) -> "Signer":
        """Read what `encoded` gave.

        Raises:
            InvalidKey: it is not that. The message holds nothing of it.
        """
        if not text.startswith(_PRIVATE):
            raise InvalidKey("a private key begins with PRIVATE+KEY+")
        name, key_hash, seed = _parsed_key(text.removeprefix(_PRIVATE))
        made = cls(name, seed)
        if made.verifier.key_hash != key_hash:
            raise InvalidKey("the key's hash is not that of its name and bytes")
        return made

    def encoded(self) -> str:
        """The secret itself: `PRIVATE+KEY+<name>+<8 hex digits>+<base64>`."""
        return f"{_PRIVATE}{self.verifier.id}+{_encoded(ED25519 + self._seed)}"

    def signature_line(self, text: str) -> str:
        """The line that signs the text."""
        signed = self.verifier.key_hash + self._key.sign(text.encode())
        return f"{_DASH}{self.verifier.name} {_encoded(signed)}\n"

    def __repr__(self) -> str:
        return f"Signer({self.verifier.id})"


def sign(text: str, *signers: Signer) -> str:
    """The whole note: the text, an empty line, one line per signature.

    Raises:
        NoteInvalid: the text does not end a line, or holds what a note cannot.
    """
    _check_text(text)
    if not signers:
        raise NoteInvalid("a note needs a signature")
    return text + "\n" + "".join(signer.signature_line(text) for signer in signers)


def open_note(note: str, verifiers: Sequence[Verifier]) -> str:
    """The text of a note that at least one of these has signed.

    Signatures of others are passed over, as the specification has it; one under a known key that
    is wrong makes the note invalid, however many others are right.

    Raises:
        NoteInvalid: it is not in order, or nobody known has signed it.
    """
    return opened_by(note, verifiers)[0]


def opened_by(note: str, verifiers: Sequence[Verifier]) -> tuple[str, list[Verifier]]:
    """The text, and which of these have signed it: at least one.

    Raises:
        NoteInvalid: as `open_note`.
    """
    text, signatures = parts_of(note)
    known = {(verifier.name, verifier.key_hash): verifier for verifier in verifiers}
    signed_by: list[Verifier] = []
    for name, key_hash, signature in signatures:
        verifier = known.get((name, key_hash))
        if verifier is None:
            continue
        if not verifier.is_right(text, signature):
            raise NoteInvalid(f"the signature of {verifier.id} is not of this text")
        signed_by.append(verifier)
    if not signed_by:
        names = ", ".join(sorted({f"{name}+{key_hash.hex()}" for name, key_hash, _ in signatures}))
        raise NoteInvalid(f"no known key has signed it; it is signed by {names}")
    return text, signed_by


def parts_of(note: str) -> tuple[str, list[tuple[str, bytes, bytes]]]:
    """The text and its signatures (name, key hash, signature), none of them checked.

    Raises:
        NoteInvalid: it is not in order.
    """
    if len(note) > NOTE_BYTES_MAX:
        raise NoteInvalid(f"a note has at most {NOTE_BYTES_MAX} bytes")
    above, empty_line, below = note.rpartition("\n\n")
    if not empty_line or not below.endswith("\n"):
        raise NoteInvalid("a note is a text, an empty line, and signatures that each end a line")
    text = above + "\n"
    _check_text(text)
    lines = below[:-1].split("\n")
    if len(lines) > SIGNATURES_MAX:
        raise NoteInvalid(f"a note has at most {SIGNATURES_MAX} signatures")
    return text, [_signature(line) for line in lines]


def decoded(text: str) -> bytes:
    """The bytes of a base64 text in its only form: padded, without stray bits.

    Raises:
        ValueError: it is not that.
    """
    try:
        found = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise ValueError("not base64") from None
    if _encoded(found) != text:
        raise ValueError("base64 that another text could stand for")
    return found


def _encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _signature(line: str) -> tuple[str, bytes, bytes]:
    """Name, key hash and signature of a line."""
    name, _, signature = line.removeprefix(_DASH).partition(" ")
    try:
        content = decoded(signature)
        _checked_name(name)
    except ValueError as error:
        raise NoteInvalid(f"a signature line cannot be read: {error}") from None
    if not line.startswith(_DASH) or len(content) <= KEY_HASH_BYTES:
        raise NoteInvalid("a signature line is a dash, a name and a signature")
    return name, content[:KEY_HASH_BYTES], content[KEY_HASH_BYTES:]


def _check_text(text: str) -> None:
    if not text.endswith("\n"):
        raise NoteInvalid("the text of a note ends in a newline")
    if _CONTROL.search(text):
        raise NoteInvalid("the text of a note is UTF-8 without control characters")


def _checked_name(name: str) -> str:
    if not name or "+" in name or any(c.isspace() for c in name) or _CONTROL.search(name):
        raise InvalidKey("the name of a key has no spaces and no plus sign, and is not empty")
    return name


def _parsed_key(text: str) -> tuple[str, bytes, bytes]:
    """Name, key hash and 32 bytes."""
    parts = text.split("+", 2)
    if len(parts) != 3 or not _HEX.fullmatch(parts[1]):
        raise InvalidKey("a key is a name, 8 hexadecimal digits and base64, joined by plus signs")
    try:
        content = decoded(parts[2])
    except ValueError:
        raise InvalidKey("the bytes of the key are not base64 in its only form") from None
    if content[:1] != ED25519 or len(content) != 1 + KEY_BYTES:
        raise InvalidKey("only Ed25519 keys (type 1) of 32 bytes are known")
    return _checked_name(parts[0]), bytes.fromhex(parts[1]), content[1:]


def _key_hash(name: str, public_key: bytes) -> bytes:
    return sha256(name.encode() + b"\n" + ED25519 + public_key).digest()[:KEY_HASH_BYTES]
