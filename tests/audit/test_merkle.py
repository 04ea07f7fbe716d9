"""RFC 9162 2.1: the tree against the recursive definition, the proofs against the roots."""

from hashlib import sha256

import pytest

from audit.merkle import (
    EMPTY_ROOT,
    Frontier,
    consistency_proof,
    inclusion_proof,
    is_consistent,
    leaf_hash,
    node_hash,
    root_from_inclusion,
    root_of,
)

# The entries and roots that implementations of Certificate Transparency share.
ENTRIES = [
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
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]  # fmt: skip
LEAVES = [leaf_hash(bytes([number])) for number in range(70)]


def mth(leaves: list[bytes]) -> bytes:
    """The definition, word for word."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return node_hash(mth(leaves[:split]), mth(leaves[split:]))


def hash_of(start: int, end: int) -> bytes:
    return mth(LEAVES[start:end])


@pytest.mark.parametrize("size", range(1, 9))
def test_roots_that_everybody_has(size: int) -> None:
    assert root_of(map(leaf_hash, ENTRIES[:size])).hex() == ROOTS[size - 1]


def test_no_leaves() -> None:
    assert Frontier().root() == EMPTY_ROOT == mth([])


def test_the_frontier_is_the_definition() -> None:
    frontier = Frontier()
    for size, leaf in enumerate(LEAVES, 1):
        frontier.append(leaf)
        assert frontier.root() == mth(LEAVES[:size])
        assert frontier.size == frontier.copy().size == size


def test_each_eighth_level_is_kept() -> None:
    frontier, leaves = Frontier(), [leaf_hash(number.to_bytes(4)) for number in range(1000)]
    for leaf in leaves:
        frontier.append(leaf)
    assert frontier.kept == [(8, index, root_of(leaves[index * 256 : index * 256 + 256])) for index in range(3)]


def test_inclusion_proofs() -> None:
    for size in (1, 2, 3, 7, 8, 33, 70):
        root = mth(LEAVES[:size])
        for index in range(size):
            path = inclusion_proof(index, size, hash_of)
            assert root_from_inclusion(index, size, LEAVES[index], path) == root
            assert root_from_inclusion(index, size, LEAVES[index], [*path, root]) != root
            assert not path or root_from_inclusion(index, size, LEAVES[index], path[:-1]) != root
            if size > 1:
                assert root_from_inclusion((index + 1) % size, size, LEAVES[index], path) != root
    assert root_from_inclusion(5, 5, LEAVES[0], []) is None
    with pytest.raises(ValueError, match="not in the tree"):
        inclusion_proof(5, 5, hash_of)


def test_consistency_proofs() -> None:
    for second in (1, 2, 7, 8, 33, 70):
        new = mth(LEAVES[:second])
        for first in range(1, second + 1):
            old, proof = mth(LEAVES[:first]), consistency_proof(first, second, hash_of)
            assert is_consistent(first, old, second, new, proof), (first, second)
            assert not is_consistent(first, LEAVES[69], second, new, proof)
            assert not is_consistent(first, old, second, LEAVES[69], proof)
            assert not is_consistent(first, old, second, new, [*proof, new])
            if proof:
                assert not is_consistent(first, old, second, new, proof[:-1])
    assert not is_consistent(0, EMPTY_ROOT, 1, LEAVES[0], [])
    with pytest.raises(ValueError, match="part"):
        consistency_proof(3, 2, hash_of)
