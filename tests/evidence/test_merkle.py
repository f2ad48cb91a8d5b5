# SPDX-License-Identifier: Apache-2.0
"""The vectors of RFC 6962's reference implementation, and a recursion written from the RFC's text."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linetap_core.evidence.merklelog import merkle
from linetap_core.evidence.merklelog.merkle import Tree, leaf_hash, verify_consistency, verify_inclusion

LEAVES = [
    bytes.fromhex(text)
    for text in (
        "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
    )
]  # fmt: skip
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
INCLUSION_0_OF_8 = [
    "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
    "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
    "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
]
INCLUSION_5_OF_8 = [
    "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
]
CONSISTENCY_6_TO_8 = [
    "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
    "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
]


def tree_of(leaves: list[bytes]) -> Tree:
    tree = Tree()
    tree.append_all(leaves)
    return tree


def naive_root(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962 section 2.1."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\0" + leaves[0]).digest()
    k = naive_k(len(leaves))
    return hashlib.sha256(b"\1" + naive_root(leaves[:k]) + naive_root(leaves[k:])).digest()


def naive_k(n: int) -> int:
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def naive_path(m: int, leaves: list[bytes]) -> list[bytes]:
    """PATH of section 2.1.1."""
    if len(leaves) == 1:
        return []
    k = naive_k(len(leaves))
    if m < k:
        return [*naive_path(m, leaves[:k]), naive_root(leaves[k:])]
    return [*naive_path(m - k, leaves[k:]), naive_root(leaves[:k])]


def naive_proof(m: int, leaves: list[bytes], whole: bool = True) -> list[bytes]:
    """SUBPROOF of section 2.1.2."""
    if m == len(leaves):
        return [] if whole else [naive_root(leaves)]
    k = naive_k(len(leaves))
    if m <= k:
        return [*naive_proof(m, leaves[:k], whole), naive_root(leaves[k:])]
    return [*naive_proof(m - k, leaves[k:], False), naive_root(leaves[:k])]


def test_vectors_of_rfc_6962() -> None:
    tree = tree_of(LEAVES)
    assert [tree.root(size).hex() for size in range(9)] == ROOTS
    assert [tree_of(LEAVES[:size]).root().hex() for size in range(9)] == ROOTS
    assert [node.hex() for node in tree.inclusion(0, 8)] == INCLUSION_0_OF_8
    assert [node.hex() for node in tree.inclusion(5)] == INCLUSION_5_OF_8
    assert [node.hex() for node in tree.consistency(6)] == CONSISTENCY_6_TO_8


@given(st.integers(1, 70), st.data())
def test_proofs_are_those_of_the_recursion(size: int, data: st.DataObject) -> None:
    leaves = [bytes([number]) for number in range(size)]
    then, first = data.draw(st.integers(1, size)), data.draw(st.integers(1, size))
    first, then = sorted((first, then))
    index = data.draw(st.integers(0, then - 1))
    tree = tree_of(leaves)
    assert tree.root(then) == naive_root(leaves[:then])
    assert tree.inclusion(index, then) == naive_path(index, leaves[:then])
    assert tree.consistency(first, then) == naive_proof(first, leaves[:then])


@given(st.integers(1, 70), st.data())
def test_a_proof_proves_one_thing_only(size: int, data: st.DataObject) -> None:
    leaves = [bytes([number]) for number in range(size)]
    tree, index = tree_of(leaves), data.draw(st.integers(0, size - 1))
    path, leaf = tree.inclusion(index), leaf_hash(leaves[index])
    assert verify_inclusion(leaf, index, size, path, tree.root())
    assert not verify_inclusion(leaf_hash(b"other"), index, size, path, tree.root())
    assert not verify_inclusion(leaf, index, size, [*path, leaf], tree.root())
    assert not any(verify_inclusion(leaf, other, size, path, tree.root()) for other in range(size) if other != index)
    if path:
        at = data.draw(st.integers(0, len(path) - 1))
        assert not verify_inclusion(leaf, index, size, path[:at] + path[at + 1 :], tree.root())


@given(st.integers(1, 70), st.data())
def test_only_a_beginning_is_consistent(size: int, data: st.DataObject) -> None:
    leaves = [bytes([number]) for number in range(size)]
    tree, first = tree_of(leaves), data.draw(st.integers(1, size))
    proof, old, new = tree.consistency(first), tree.root(first), tree.root()
    assert verify_consistency(first, size, old, new, proof)
    forked = tree_of([b"another", *leaves[1:first]]).root()
    assert not verify_consistency(first, size, forked, new, proof)
    assert not verify_consistency(first, size, old, forked, proof)
    assert not verify_consistency(first, size, old, new, [*proof, old])
    assert not verify_consistency(size, first - 1, new, old, proof)
    if proof:
        at = data.draw(st.integers(0, len(proof) - 1))
        assert not verify_consistency(first, size, old, new, proof[:at] + proof[at + 1 :])


def test_from_nothing_all_is_consistent() -> None:
    tree = tree_of(LEAVES)
    assert verify_consistency(0, 8, merkle.EMPTY_ROOT, tree.root(), tree.consistency(0))
    assert not verify_consistency(0, 8, tree.root(), tree.root(), [])
    assert verify_consistency(8, 8, tree.root(), tree.root(), [])


@given(st.integers(0, 3000))
def test_size_follows_from_the_number_of_nodes(size: int) -> None:
    nodes = merkle.node_count(size)
    assert merkle.largest_tree(nodes) == size
    assert merkle.largest_tree(merkle.node_count(size + 1) - 1) == size


def test_a_tree_goes_on_from_its_nodes() -> None:
    nodes = merkle.MemoryNodes()
    Tree(nodes).append_all(LEAVES[:5])
    tree = Tree(nodes, 5)
    for leaf in LEAVES[5:]:
        tree.append(leaf)
    assert tree.root().hex() == ROOTS[8]


@pytest.mark.parametrize(("index", "size"), [(8, 8), (0, 9), (-1, 3)])
def test_what_is_not_in_the_tree_has_no_proof(index: int, size: int) -> None:
    with pytest.raises(ValueError, match="leaf"):
        tree_of(LEAVES).inclusion(index, size)
