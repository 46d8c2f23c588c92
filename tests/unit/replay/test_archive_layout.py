"""What an archive's names and numbers are: fixed, because files written long ago rest on them."""

from itertools import pairwise
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.eventstore.codec import encode
from replay.archive import layout
from replay.archive.layout import ArchiveError, BucketFile, Manifest, Segment, bucket_of
from replay.archive.owners import owner_of
from replay.archive.write import cuts
from tests.generators.event_samples import VARIANTS

PLAYER = UUID("aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee")


@pytest.mark.parametrize(
    ("owner", "buckets", "bucket"),
    [(PLAYER, 16, 7), (PLAYER, 7, 3), (UUID(int=0), 16, 5), (UUID(int=1), 16, 3)],
)
def test_the_bucket_of_an_owner_never_changes(owner: UUID, buckets: int, bucket: int) -> None:
    assert bucket_of(owner.bytes, buckets) == bucket


@pytest.mark.parametrize("event", VARIANTS, ids=lambda event: type(event).__name__)
def test_an_owner_is_the_player_of_the_first_event_or_the_stream(event: object) -> None:
    stream = event.originator_id  # type: ignore[attr-defined]
    player_id = getattr(event, "player_id", None)
    assert owner_of(stream.bytes, encode(event)) == (player_id or stream).bytes  # type: ignore[arg-type]


@pytest.mark.parametrize("state", [b"", b"{", b'{"player_id":7}', b"[]", b'{"player_id":"\xff"}'])
def test_whatever_names_no_player_belongs_to_its_stream(state: bytes) -> None:
    assert owner_of(PLAYER.bytes, state) == PLAYER.bytes


@given(after=st.integers(0, 5_000), more=st.integers(0, 5_000), every=st.integers(1, 999))
def test_segments_follow_each_other_and_end_at_multiples(after: int, more: int, every: int) -> None:
    made = list(cuts(after, after + more, every))
    assert sum(last - first + 1 for first, last in made) == more
    if made:
        assert (made[0][0], made[-1][1]) == (after + 1, after + more)
    for (_, last), (first, _) in pairwise(made):
        assert first == last + 1
        assert last % every == 0
    assert all((first - 1) // every == (last - 1) // every for first, last in made)


def manifest() -> Manifest:
    file = BucketFile(bucket=1, name="a/b.parquet", events=3, bytes=10, sha256="00")
    segment = Segment(
        first=1, last=3, events=3, root="aa", frontier="bb", checkpoint="note ü\n", files=(file,)
    )
    return Manifest(format=1, buckets=2, segment_events=100, segments=(segment,))


def test_a_manifest_is_read_as_it_was_saved(tmp_path: Path) -> None:
    layout.save(tmp_path, manifest())
    found = layout.load(tmp_path)
    assert found.segments == manifest().segments
    assert (found.position, found.root, found.buckets) == (3, "aa", 2)
    assert [path.name for path in tmp_path.iterdir()] == [layout.MANIFEST]


def test_no_byte_of_a_manifest_can_change(tmp_path: Path) -> None:
    layout.save(tmp_path, manifest())
    path = tmp_path / layout.MANIFEST
    content = path.read_bytes()
    for index in range(len(content)):
        changed = bytearray(content)
        changed[index] ^= 1
        path.write_bytes(changed)
        with pytest.raises(ArchiveError):
            layout.load(tmp_path)


def test_a_manifest_of_a_later_format_is_refused(tmp_path: Path) -> None:
    layout.save(tmp_path, Manifest(format=2, buckets=1, segment_events=1, segments=()))
    with pytest.raises(ArchiveError, match="has format 2"):
        layout.load(tmp_path)


def test_a_folder_without_a_manifest_is_no_archive(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="There is no archive"):
        layout.load(tmp_path / "nowhere")
