"""Proofs: as RFC 6962 has them, for every pair of sizes, and nothing else passes."""

from dataclasses import dataclass
from hashlib import sha256
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.eventstore import proofs
from ledger.eventstore.merkle import EMPTY_ROOT, Frontier
from ledger.eventstore.proofs import InvalidProof

KNOWN_INPUTS = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
"""The leaves of the test vectors that Certificate Transparency's implementations share."""

KNOWN_ROOTS = (
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)
KNOWN_INCLUSION = {
    # (index, size): proof
    (0, 1): (),
    (0, 8): (
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ),
    (5, 8): (
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ),
    (2, 3): ("fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",),
    (1, 5): (
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ),
}
KNOWN_CONSISTENCY = {
    # (old, new): proof
    (1, 1): (),
    (1, 8): (
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ),
    (6, 8): (
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ),
    (2, 5): (
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ),
}
KNOWN_LEAVES = [sha256(b"\x00" + content).digest() for content in KNOWN_INPUTS]


def naive_root(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962, section 2.1, word for word."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return sha256(b"\x01" + naive_root(leaves[:k]) + naive_root(leaves[k:])).digest()


@dataclass(frozen=True)
class InMemory:
    """The hashes of a list of leaves."""

    leaves: list[bytes]

    def subtree(self, start: int, end: int) -> bytes:
        return naive_root(self.leaves[start:end])


def some_leaves(count: int) -> list[bytes]:
    return [sha256(b"%d" % number).digest() for number in range(count)]


LEAVES = some_leaves(70)
TREE = InMemory(LEAVES)


@pytest.mark.parametrize("size", range(1, 9))
def test_the_roots_are_the_published_ones(size: int) -> None:
    frontier = Frontier()
    frontier.extend(KNOWN_LEAVES[:size])
    assert frontier.root().hex() == KNOWN_ROOTS[size - 1] == naive_root(KNOWN_LEAVES[:size]).hex()


@pytest.mark.parametrize(("which", "proof"), KNOWN_INCLUSION.items())
def test_inclusion_proofs_are_the_published_ones(
    which: tuple[int, int], proof: tuple[str, ...]
) -> None:
    made = proofs.inclusion_proof(*which, InMemory(KNOWN_LEAVES))
    assert tuple(hash_.hex() for hash_ in made) == proof


@pytest.mark.parametrize(("which", "proof"), KNOWN_CONSISTENCY.items())
def test_consistency_proofs_are_the_published_ones(
    which: tuple[int, int], proof: tuple[str, ...]
) -> None:
    made = proofs.consistency_proof(*which, InMemory(KNOWN_LEAVES))
    assert tuple(hash_.hex() for hash_ in made) == proof


def test_every_leaf_of_every_tree_can_be_proved() -> None:
    for size in range(1, len(LEAVES) + 1):
        root = naive_root(LEAVES[:size])
        for index in range(size):
            proof = proofs.inclusion_proof(index, size, TREE)
            proofs.check_inclusion(index, size, LEAVES[index], proof, root)


def test_every_tree_is_consistent_with_every_earlier_one() -> None:
    for new in range(len(LEAVES) + 1):
        for old in range(new + 1):
            proof = proofs.consistency_proof(old, new, TREE)
            proofs.check_consistency(
                old, naive_root(LEAVES[:old]), new, naive_root(LEAVES[:new]), proof
            )


sizes = st.integers(2, len(LEAVES))


@given(st.data())
def test_an_altered_inclusion_proof_proves_nothing(data: st.DataObject) -> None:
    size = data.draw(sizes)
    index = data.draw(st.integers(0, size - 1))
    proof = proofs.inclusion_proof(index, size, TREE)
    root, leaf = naive_root(LEAVES[:size]), LEAVES[index]
    other = data.draw(st.integers(0, size - 1).filter(lambda other: other != index))
    with pytest.raises(InvalidProof):
        proofs.check_inclusion(other, size, leaf, proof, root)
    with pytest.raises(InvalidProof):
        proofs.check_inclusion(index, size, LEAVES[other], proof, root)
    with pytest.raises(InvalidProof):
        proofs.check_inclusion(index, size, leaf, altered(data, proof), root)


@given(st.data())
def test_an_altered_consistency_proof_proves_nothing(data: st.DataObject) -> None:
    new = data.draw(sizes)
    old = data.draw(st.integers(1, new - 1))
    proof = proofs.consistency_proof(old, new, TREE)
    old_root, new_root = naive_root(LEAVES[:old]), naive_root(LEAVES[:new])
    with pytest.raises(InvalidProof):
        proofs.check_consistency(old, old_root, new, new_root, altered(data, proof))
    with pytest.raises(InvalidProof):
        proofs.check_consistency(old, new_root, new, new_root, proof)
    with pytest.raises(InvalidProof):
        proofs.check_consistency(old, old_root, new, old_root, proof)


@given(st.data())
def test_a_tree_that_changed_its_past_is_not_consistent(data: st.DataObject) -> None:
    """Whatever proof is made from the changed tree itself."""
    new = data.draw(sizes)
    old = data.draw(st.integers(1, new))
    changed_at = data.draw(st.integers(0, old - 1))
    forged = [*LEAVES[:changed_at], sha256(b"forged").digest(), *LEAVES[changed_at + 1 :]]
    proof = proofs.consistency_proof(old, new, InMemory(forged))
    with pytest.raises(InvalidProof):
        proofs.check_consistency(
            old, naive_root(LEAVES[:old]), new, naive_root(forged[:new]), proof
        )


@given(st.data())
def test_a_joint_proof_holds_for_all_its_leaves_and_for_no_others(data: st.DataObject) -> None:
    size = data.draw(sizes)
    chosen = sorted(data.draw(st.sets(st.integers(0, size - 1), min_size=1)))
    proof = proofs.joint_proof(chosen, size, TREE)
    leaves = {index: LEAVES[index] for index in chosen}
    assert proofs.root_from_joint(leaves, size, proof) == naive_root(LEAVES[:size])
    one = data.draw(st.sampled_from(chosen))
    forged = leaves | {one: sha256(b"forged").digest()}
    assert proofs.root_from_joint(forged, size, proof) != naive_root(LEAVES[:size])
    with pytest.raises(InvalidProof):
        proofs.root_from_joint(leaves, size, [*proof, LEAVES[0]])
    if proof:
        with pytest.raises(InvalidProof):
            proofs.root_from_joint(leaves, size, proof[1:])


def test_there_is_no_proof_about_what_is_not_there() -> None:
    for index, size in ((5, 5), (-1, 5), (0, 0)):
        with pytest.raises(ValueError, match="none with index"):
            proofs.inclusion_proof(index, size, TREE)
    with pytest.raises(ValueError, match="cannot begin with"):
        proofs.consistency_proof(6, 5, TREE)
    with pytest.raises(ValueError, match="not leaves"):
        proofs.joint_proof([1, 5], 5, TREE)


def test_the_empty_tree_is_consistent_with_everything() -> None:
    proofs.check_consistency(0, EMPTY_ROOT, 5, naive_root(LEAVES[:5]), [])
    with pytest.raises(InvalidProof):
        proofs.check_consistency(0, LEAVES[0], 5, naive_root(LEAVES[:5]), [])


def altered(data: st.DataObject, proof: list[bytes]) -> list[bytes]:
    """One hash changed, removed, doubled, or one more."""
    random = Random(data.draw(st.integers(0, 2**32)))
    at = random.randrange(len(proof))
    changes = [
        [*proof[:at], sha256(proof[at]).digest(), *proof[at + 1 :]],
        [*proof[:at], *proof[at + 1 :]],
        [*proof[: at + 1], *proof[at:]],
        [*proof, proof[at]],
    ]
    return random.choice(changes)
