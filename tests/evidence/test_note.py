# SPDX-License-Identifier: Apache-2.0
"""Signed notes, checkpoints, cosignatures and proofs: the standard's own examples, another implementation, bad ones."""

from __future__ import annotations

import base64

import aics_tlog
import pytest

from linetap_core.errors import BadInput
from linetap_core.evidence.keys import keys
from linetap_core.evidence.merklelog.merkle import EMPTY_ROOT, Tree
from linetap_core.evidence.witness import checkpoint, note, tlogproof
from linetap_core.evidence.witness.checkpoint import Checkpoint
from linetap_core.evidence.witness.note import BadNote, Line, Note

# C2SP signed-note, "Example".
VKEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
EXAMPLE = (
    "This is an example message.\n\n— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXs"
    "YjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
).encode()
KEY, WITNESS = keys.new_unit_key(), keys.new_unit_key()
PUBLIC = WITNESS.public_key().public_bytes_raw()
AT_S = 1_795_857_079


def a_tree(count: int = 5) -> Tree:
    tree = Tree()
    tree.append_all([b"leaf %d" % n for n in range(count)])
    return tree


def a_note() -> Note:
    tree = a_tree()
    return checkpoint.signed(Checkpoint(checkpoint.sigsum_origin(KEY.public_key()), tree.size, tree.root()), KEY)


def cosigned(time_s: int = AT_S, name: str = "w.example/1") -> Note:
    found = a_note()
    return Note(found.text, (*found.lines, checkpoint.cosign(found.text, name, WITNESS, time_s)))


def test_the_standards_example_is_signed_by_its_key() -> None:
    key = note.parse_vkey(VKEY)
    assert key.vkey() == VKEY
    found = note.parse(EXAMPLE)
    assert note.is_signed(found, key)
    with pytest.raises(BadNote, match="does not fit"):
        note.is_signed(Note(b"This is another message.\n", found.lines), key)
    assert not note.is_signed(found, note.Key("example.com/bar", key.kind, key.public))


def test_another_implementation_takes_ours_and_we_take_its() -> None:
    own = aics_tlog.parse_vkey(checkpoint.log_key(KEY.public_key()).vkey())
    witness = aics_tlog.cosignature_vkey("w.example/1", PUBLIC)
    assert note.Key("w.example/1", note.COSIGNATURE, PUBLIC).vkey() == aics_tlog.format_vkey(witness)
    result = aics_tlog.verify_checkpoint(aics_tlog.parse_note(cosigned().encode()), own, [witness], quorum=1)
    assert result.ok, result.error
    assert result.timestamps == {"w.example/1": AT_S}
    found = checkpoint.decode(a_note().text)
    blob, _ = aics_tlog.sign_cosignature(WITNESS, "w.example/1", AT_S, found.origin, found.size, found.root)
    line = Line("w.example/1", witness.key_id, blob)
    assert checkpoint.cosigned_at(Note(a_note().text, (line,)), PUBLIC) == AT_S


def test_a_cosignature_is_of_its_key_its_time_and_its_text() -> None:
    found = cosigned()
    assert checkpoint.cosigned_at(found, PUBLIC) == AT_S
    assert checkpoint.cosigned_at(found, PUBLIC, "w.example/2") is None
    assert checkpoint.cosigned_at(found, KEY.public_key().public_bytes_raw()) is None
    first, line = found.lines
    for at in range(len(line.signature)):
        changed = line.signature[:at] + bytes([line.signature[at] ^ 1]) + line.signature[at + 1 :]
        with pytest.raises(BadNote):
            checkpoint.cosigned_at(Note(found.text, (first, Line(line.name, line.key_id, changed))), PUBLIC)
    with pytest.raises(BadNote):
        checkpoint.cosigned_at(Note(found.text.replace(b"\n5\n", b"\n6\n"), found.lines), PUBLIC)
    with pytest.raises(BadNote, match="no time"):
        checkpoint.cosigned_at(cosigned(0), PUBLIC)
    with pytest.raises(BadNote, match="no time"):
        checkpoint.cosigned_at(cosigned((1 << 63) - 1), PUBLIC)
    earlier = checkpoint.cosign(found.text, "again.example", WITNESS, AT_S - 60)
    assert checkpoint.cosigned_at(Note(found.text, (*found.lines, earlier)), PUBLIC) == AT_S - 60


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\n", b"\n\n", EXAMPLE[:-1], EXAMPLE + b"\n", EXAMPLE + b"x", EXAMPLE[28:], EXAMPLE[:28],
        EXAMPLE.replace("—".encode(), b"-"), EXAMPLE.replace(b"UHg", b"UH"), EXAMPLE.replace(b"aQM=", b"aQN="),
        EXAMPLE.replace(b"example.com/foo ", b"a b "), EXAMPLE.replace(b"example.com/foo ", b"a+b "),
        EXAMPLE.replace(b"This", b"Th\0s"), EXAMPLE.replace(b"This", b"Th\rs"), EXAMPLE.replace(b"This", b"\xff"),
        EXAMPLE.replace(b"example.com/foo ", "a\u2028b ".encode()), EXAMPLE + b"a" * note.LIMIT_BYTES,
        EXAMPLE[:29] + EXAMPLE[29:] * 65,
    ],
)  # fmt: skip
def test_what_is_no_note(data: bytes) -> None:
    if data != EXAMPLE:
        with pytest.raises(BadNote):
            note.parse(data)


@pytest.mark.parametrize(
    "text",
    [
        b"o\n0\n%s\n" % base64.b64encode(b"x" * 32), b"o\n01\n%s\n" % base64.b64encode(b"x" * 32),
        b"o\n1\n%s\n" % base64.b64encode(b"x" * 31), b"o\n1\n%s\nmore\n" % base64.b64encode(b"x" * 32),
        b"\n1\n%s\n" % base64.b64encode(b"x" * 32), b"o\n-1\n%s\n" % base64.b64encode(b"x" * 32),
        b"o\n1\n%s\n" % base64.b64encode(EMPTY_ROOT), b"o\n1\n", b"\xff\n1\n%s\n" % base64.b64encode(b"x" * 32),
    ],
)  # fmt: skip
def test_what_is_no_checkpoint(text: bytes) -> None:
    with pytest.raises(BadNote):
        checkpoint.decode(text)


@pytest.mark.parametrize(
    "text", ["", "a+b", VKEY[:-1], VKEY.replace("530d903a", "530d903b"), VKEY + "=", "x+00000000+AgAA", "e" * 9999]
)
def test_what_is_no_vkey(text: str) -> None:
    with pytest.raises(BadInput):
        note.parse_vkey(text)


def test_a_proof_holds_for_its_leaf_alone() -> None:
    tree = a_tree()
    proof = tlogproof.Proof(3, tuple(tree.inclusion(3)), cosigned())
    assert tlogproof.decode(proof.encode()) == proof
    assert proof.require(b"leaf 3").size == 5
    for index, leaf in ((3, b"leaf 2"), (2, b"leaf 3"), (9, b"leaf 3")):
        with pytest.raises(BadNote, match="does not stand"):
            tlogproof.Proof(index, proof.path, proof.note).require(leaf)
    data = proof.encode()
    for bad in (data[:-1], data[1:], data.replace(b"index 3", b"index 03"), b"", data.replace(b"@v1", b"@v2")):
        with pytest.raises(BadNote):
            tlogproof.decode(bad)


def test_what_a_witness_is_sent() -> None:
    request = checkpoint.AddRequest(2, tuple(a_tree().consistency(2)), a_note())
    assert checkpoint.decode_request(request.encode()) == request
    data = request.encode()
    for bad in (b"", data[4:], data.replace(b"old 2", b"old 02"), data.replace(b"old 2\n", b"old 2\nAAAA\n")):
        with pytest.raises(BadNote):
            checkpoint.decode_request(bad)
    assert [checkpoint.decode_size(data) for data in (b"12\n", b"0", b"-1\n", b"", b"1" * 30)] == [12, 0] + [None] * 3
