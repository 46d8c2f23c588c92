"""Signed notes and checkpoints, against published ones and a second reading of the rules."""

import base64
import binascii
import json
import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.checkpoints.checkpoint import Checkpoint, open_checkpoint, parse_checkpoint
from ledger.checkpoints.keys import SigningKeyElsewhere, replace_key, signing_key, verifying_keys
from ledger.checkpoints.note import InvalidKey, NoteInvalid, Signer, Verifier, open_note, sign
from ledger.eventstore.merkle import EMPTY_ROOT
from ledger.settings import Settings

# Source: golang.org/x/mod/sumdb/note, the example of its documentation.
GO_PUBLIC = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_PRIVATE = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
GO_TEXT = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
)
GO_NOTE = (
    GO_TEXT
    + "\n— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqf"
    "qdngotpRZb6KE6RyyBwJnAM=\n"
)
# Source: C2SP signed-note, the example of the specification.
C2SP_PUBLIC = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
C2SP_NOTE = (
    "This is an example message.\n\n— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONn"
    "cAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
)
# Source: checkpoints that the Go checksum database published, and its key as Go holds it.
SUMDB_PUBLIC = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"
SUMDB_NOTES = {
    3_935_567: "go.sum database tree\n3935567\nSapHtgdNCeF00Cx8kqztePV24kgzNg++Xovae42HAMw=\n\n"
    "— sum.golang.org Az3grsm7Wm4CVNR1RHq9BFnu9jzcRlU2uw7lr0gfUWgO6+rqPNjT+fUTl9gH0NRTgdwW9nItuQSM"
    "bhSaLCsk8YeYSAs=\n",
    6_476_701: "go.sum database tree\n6476701\nmb8QLQIs0Z0yP5Cstq6guj87oXWeC9gEM8oVikmm9Wk=\n\n"
    "— sum.golang.org Az3grsLX85Gz+s1SiTbgkuqxgItqFq7gsMUEyVnrsa9LM7Us9S+1xbFIGu95949rj4nPRYfvimWE"
    "PWL+o3GeoWwOoAw=\n",
    28_891_140: "go.sum database tree\n28891140\n++pUIeKTwGvykMUkmM3AT97PwQipMT6H/p7t86E0Sp0=\n\n"
    "— sum.golang.org Az3grqNvOILDz7xwAKugtVFZwd+I9IyB/mHrUYzcVaS9zKsRVdRLNGLFpnAcLhyoBBkdIYEzK/+7"
    "Eu4wanYttLrPsQo=\n",
}
# Source: a witness's documentation; the second signature is of a type that we do not know.
COSIGNED = (
    "go.sum database tree\n15067302\ngJyioq6dwR9n+NjEWORfYmH+ubeYm3kH42BBQ0bTpYI=\n\n"
    "— sum.golang.org Az3grp1rvWOs5NKlr/xR4GLN/CDyzzakmt1o61uSxYKpK1SerqOP2ClbX/peKUZjYnyomH5Xz7GZ"
    "G3TpB7OeKn4E2ww=\n"
    "— test.example.com qTGhC/xIPQ0AXKHK6Y+9ypRfuvMZWPjRXM8NiOg5M1WREn07VQXyuIXM3NRNav3ieVFLUqDRK7"
    "7PWDmL6w8w84UqeAw=\n"
)

SEEDS = st.binary(min_size=32, max_size=32)
NAMES = st.from_regex(r"[a-z0-9./-]{1,20}", fullmatch=True)
TEXTS = st.text(
    st.characters(exclude_categories=["Cc", "Cs"], include_characters="\n"), max_size=60
).map(lambda text: text + "\n")


def signer(name: str = "ledger.example", seed: int = 1) -> Signer:
    return Signer(name, bytes([seed]) * 32)


def independent(note: str, public: str) -> str | None:
    """The text, if this key has signed it: written from the specification, with nothing of ours."""
    name, _, rest = public.partition("+")
    key_hash, _, key = rest.partition("+")
    public_key = base64.b64decode(key)
    assert sha256(name.encode() + b"\x0a" + public_key).digest()[:4] == bytes.fromhex(key_hash)
    text, _, signatures = note.rpartition("\n\n")
    text += "\n"
    for line in signatures.splitlines():
        dash, its_name, signature = line.split(" ")
        decoded = base64.b64decode(signature)
        assert dash == "—"
        if its_name == name and decoded[:4].hex() == key_hash:
            try:
                Ed25519PublicKey.from_public_bytes(public_key[1:]).verify(
                    decoded[4:], text.encode()
                )
            except InvalidSignature:
                return None
            return text
    return None


# --- published ones -----------------------------------------------------------------------------


def test_the_example_of_go_is_read_and_made_byte_for_byte() -> None:
    assert open_note(GO_NOTE, [Verifier.parse(GO_PUBLIC)]) == GO_TEXT
    made = Signer.parse(GO_PRIVATE)
    assert sign(GO_TEXT, made) == GO_NOTE
    assert str(made.verifier) == GO_PUBLIC
    assert made.encoded() == GO_PRIVATE


def test_the_example_of_the_specification_is_read() -> None:
    opened = open_note(C2SP_NOTE, [Verifier.parse(C2SP_PUBLIC)])
    assert opened == "This is an example message.\n" == independent(C2SP_NOTE, C2SP_PUBLIC)


@pytest.mark.parametrize("size", SUMDB_NOTES)
def test_checkpoints_of_the_go_checksum_database_are_read(size: int) -> None:
    key = Verifier.parse(SUMDB_PUBLIC)
    text = open_note(SUMDB_NOTES[size], [key])
    found = parse_checkpoint(text)
    assert (found.origin, found.size) == ("go.sum database tree", size)
    assert found.text() == text == independent(SUMDB_NOTES[size], SUMDB_PUBLIC)
    with pytest.raises(NoteInvalid, match="speaks of"):  # their key has another name
        open_checkpoint(SUMDB_NOTES[size], [key])


def test_signatures_of_unknown_keys_are_passed_over() -> None:
    assert parse_checkpoint(open_note(COSIGNED, [Verifier.parse(SUMDB_PUBLIC)])).size == 15_067_302
    with pytest.raises(NoteInvalid, match=r"signed by sum.golang.org\+033de0ae, test.example.com"):
        open_note(COSIGNED, [Verifier.parse(GO_PUBLIC)])


# --- ours ---------------------------------------------------------------------------------------


@given(seed=SEEDS, name=NAMES, text=TEXTS)
def test_what_is_signed_opens_for_us_and_for_an_independent_reader(
    seed: bytes, name: str, text: str
) -> None:
    key = Signer(name, seed)
    note = sign(text, key)
    public = str(key.verifier)
    assert open_note(note, [Verifier.parse(public)]) == text == independent(note, public)
    assert Signer.parse(key.encoded()).encoded() == key.encoded()


@settings(max_examples=200)
@given(data=st.data())
def test_no_character_of_a_note_changes_unseen(data: st.DataObject) -> None:
    first, second = signer(), signer("witness.example", 2)
    signers = data.draw(st.sampled_from([(first,), (first, second)]))
    known = [each.verifier for each in signers]
    checkpoint = Checkpoint("ledger.example", 4711, sha256(b"x").digest())
    note = sign(checkpoint.text(), *signers)
    at = data.draw(st.integers(0, len(note) - 1))
    flipped = data.draw(
        st.one_of(
            st.sampled_from(sorted(set(note))),
            st.characters(codec="utf-8"),
            st.integers(0, 6).map(lambda bit: chr(ord(note[at]) ^ 1 << bit)),
        )
    )
    changed = note[:at] + flipped + note[at + 1 :]
    if changed == note:
        return
    try:
        opened = open_checkpoint(changed, known)
    except NoteInvalid:
        return
    # A line of somebody unknown may be passed over, but never what somebody known has signed.
    assert opened == checkpoint
    assert len(signers) == 2
    assert any(changed.count(f"— {each.name} ") == 0 for each in known) or _other_hash(
        changed, known
    )


def _other_hash(note: str, known: list[Verifier]) -> bool:
    lines = [line.split(" ") for line in note.rpartition("\n\n")[2].splitlines()]
    hashes = {(name, base64.b64decode(signature)[:4]) for _, name, signature in lines}
    return {(key.name, key.key_hash) for key in known} != hashes


def test_base64_that_another_text_could_stand_for_is_refused() -> None:
    key = signer()
    note = sign("text\n", key)
    line = note.rpartition(" ")[2].strip()
    assert line.endswith("=")
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    sibling = line[:-2] + last[last.index(line[-2]) ^ 1] + "="
    assert base64.b64decode(sibling) == base64.b64decode(line)
    for other in (sibling, line.rstrip("="), line + "=", line[:8] + "\u00e9" + line[9:]):
        with pytest.raises(NoteInvalid):
            open_note(note.replace(line, other), [key.verifier])


def test_a_wrong_signature_of_a_known_key_spoils_the_note() -> None:
    first, second = signer(), signer("other.example", 2)
    forged = sign("another\n", second).rpartition("\n\n")[2]
    note = sign("text\n", first) + forged
    assert open_note(note, [first.verifier]) == "text\n"
    with pytest.raises(NoteInvalid, match=r"other\.example"):
        open_note(note, [first.verifier, second.verifier])


@pytest.mark.parametrize(
    "note",
    [
        "",
        "text\n",
        "text\n\n",
        "text\n\n— a",
        "text\n\n— a b\n",
        "text\n\n- a AAAAAAAA\n",
        "text\n\n— a  AAAAAAAA\n",
        "text\n\n— a AAAAAA==\n",
        "te\txt\n\n— a AAAAAAAA\n",
        "te\rxt\n\n— a AAAAAAAA\n",
    ],
)
def test_what_is_no_note_is_not_opened(note: str) -> None:
    with pytest.raises(NoteInvalid):
        open_note(note, [signer().verifier])


@pytest.mark.parametrize("text", ["", "no newline", "a\x00b\n", "a\ud800b\n"])
def test_what_no_note_can_hold_is_not_signed(text: str) -> None:
    with pytest.raises(NoteInvalid):
        sign(text, signer())


@pytest.mark.parametrize(
    "key",
    [
        "",
        "PeterNeumann",
        GO_PUBLIC.replace("c74f20a3", "c74f20a4"),
        GO_PUBLIC.replace("c74f20a3", "C74F20A3"),
        GO_PUBLIC.replace("Peter", "Paul"),
        GO_PUBLIC.replace("ARpc", "Arpc"),
        GO_PUBLIC.replace("ARpc", "AARp"),
        GO_PUBLIC + "=",
        GO_PUBLIC.replace("PeterNeumann", "Peter Neumann"),
        GO_PRIVATE,
    ],
)
def test_what_is_no_key_is_refused(key: str) -> None:
    with pytest.raises(InvalidKey):
        Verifier.parse(key)


def test_a_private_key_never_shows() -> None:
    secret = GO_PRIVATE.split("+", 4)[4]
    assert secret not in repr(Signer.parse(GO_PRIVATE))
    with pytest.raises(InvalidKey) as raised:
        Signer.parse(GO_PRIVATE.replace("c74f20a3", "c74f20a4"))
    assert secret not in str(raised.value)


# --- checkpoints --------------------------------------------------------------------------------


@given(size=st.integers(0, 2**63 - 1), root=st.binary(min_size=32, max_size=32))
def test_a_checkpoint_is_read_as_it_was_written(size: int, root: bytes) -> None:
    made = Checkpoint("ledger.example", size, root)
    assert open_checkpoint(sign(made.text(), signer()), [signer().verifier]) == made


@pytest.mark.parametrize(
    "text",
    [
        "o\n1\n",
        "o\n01\n{root}\n",
        "o\n-1\n{root}\n",
        "o\n+1\n{root}\n",
        "o\n١\n{root}\n",
        "o\n1 \n{root}\n",
        "o\n99999999999999999999\n{root}\n",
        "\n1\n{root}\n",
        "o\n1\nAAAA\n",
        "o\n1\n{root}",
        "o\n1\n{root}\n\n",
    ],
)
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    root = binascii.b2a_base64(EMPTY_ROOT, newline=False).decode()
    with pytest.raises(NoteInvalid):
        parse_checkpoint(text.replace("{root}", root))


def test_extension_lines_are_allowed_and_mean_nothing() -> None:
    made = Checkpoint("o", 0, EMPTY_ROOT)
    assert parse_checkpoint(made.text() + "an extension\n") == made


# --- keys ---------------------------------------------------------------------------------------


def test_of_many_who_make_the_key_at_once_one_wins(tmp_path: Path) -> None:
    ours = Settings(data=tmp_path)
    with ThreadPoolExecutor(8) as threads:
        made = set(threads.map(lambda _: signing_key(ours).encoded(), range(24)))
    assert len(made) == 1
    (private,) = (tmp_path / "keys").glob("*.key")
    (public,) = (tmp_path / "keys").glob("*.pub")
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert stat.S_IMODE(private.parent.stat().st_mode) == 0o700
    assert public.read_text().strip() == str(signing_key(ours).verifier)
    assert len(list((tmp_path / "keys").iterdir())) == 2


def test_every_ledger_of_a_data_folder_has_its_own_key(tmp_path: Path) -> None:
    keys = {
        signing_key(Settings(data=tmp_path, database_name=name)).verifier.id
        for name in ("tallystick", "demo", "../demo", "a/b")
    }
    assert len(keys) == 4


def test_a_machine_without_a_key_has_none_to_verify_with(tmp_path: Path) -> None:
    assert verifying_keys(Settings(data=tmp_path)) == []
    assert list(tmp_path.iterdir()) == []


def test_where_only_the_public_half_is_no_other_key_is_made(tmp_path: Path) -> None:
    """It would sign beside the one that everybody has."""
    ours = Settings(data=tmp_path)
    verifier = signing_key(ours).verifier
    (private,) = (tmp_path / "keys").glob("*.key")
    private.unlink()
    with pytest.raises(SigningKeyElsewhere, match="new-key"):
        signing_key(ours)
    assert verifying_keys(ours) == [verifier]
    old, new = replace_key(ours, "the disk is gone", datetime(2026, 1, 2, tzinfo=UTC))
    assert old == verifier
    assert signing_key(ours).verifier == new != old
    assert verifying_keys(ours) == [new, old]


@pytest.mark.parametrize("origin", [None, "ledger.example"])
def test_a_retired_key_verifies_and_signs_no_more(tmp_path: Path, origin: str | None) -> None:
    ours = Settings(data=tmp_path, origin=origin)
    first = signing_key(ours)
    old, new = replace_key(ours, "events were lost", datetime(2026, 1, 2, tzinfo=UTC))
    assert (old, new) == (first.verifier, signing_key(ours).verifier)
    assert old.name != new.name
    assert verifying_keys(ours) == [new, old]
    secret = first.encoded().split("+", 4)[4]
    kept = [file.read_text() for file in (tmp_path / "keys").iterdir()]
    assert not any(secret in content for content in kept)
    (retired,) = (tmp_path / "keys").glob("*.retired")
    assert json.loads(retired.read_text())["reason"] == "events were lost"


@pytest.mark.parametrize("origin", ["a b", "a+b", "a\nb"])
def test_an_origin_is_a_name_that_a_note_can_hold(origin: str) -> None:
    with pytest.raises(ValueError, match="without spaces"):
        Settings(origin=origin)
