# SPDX-License-Identifier: Apache-2.0
"""The proof of a call's close, separate from its log: with any change it proves nothing."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec
import pytest

from linetap_core.errors import Refusal
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.keys import keys
from linetap_core.evidence.merklelog import closing, unitlog
from linetap_core.evidence.merklelog.closing import Closing
from linetap_core.evidence.signing import namespaces, signers, sshsig
from sealing_rig import CALL_ID, NOW, UNIT, Rig

SECOND = "20261124T225700.000Z-L04"


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    rig = Rig.make(tmp_path)
    for call_id in (CALL_ID, SECOND):
        rig.sealed_call(100, call_id)
    rig.publish()
    return rig


def of(rig: Rig, call_id: str = CALL_ID) -> Closing:
    log = rig.log()
    found = log.closing(call_id)
    log.close()
    assert found is not None
    return found


def judged(rig: Rig, found: Closing, unit: str = UNIT, call_id: str = CALL_ID, sha256: str = "") -> unitlog.Head:
    record = rig.vault / sealed.call_path(CALL_ID) / sealed.RECORD
    known = signers.parse(rig.signers_file.read_text())
    return closing.check(found, unit, call_id, sha256 or hashlib.sha256(record.read_bytes()).hexdigest(), known)


def test_a_closing_proves_its_call_alone(rig: Rig) -> None:
    found = closing.decode(closing.encode(of(rig)))
    head = judged(rig, found)
    assert (head.unit, head.size) == (UNIT, 2)
    assert found.head.encode() == (rig.vault / "log" / "head.json").read_bytes()
    for more in ({"unit": "closet-4f"}, {"call_id": SECOND}, {"sha256": "ab" * 32}):
        with pytest.raises(Refusal) as caught:
            judged(rig, found, **more)
        assert caught.value.code in ("wrong_unit", "other_record")


def _by_a_stranger(found: Closing) -> Closing:
    key = keys.new_unit_key()
    head = unitlog.decode_head(found.head.encode())
    head = msgspec.structs.replace(head, origin=keys.fingerprint(key.public_key()))
    data = unitlog.encode_head(head)
    return Closing(leaf=found.leaf, path=found.path, head=data.decode(), sig=sshsig.sign(data, key, namespaces.HEAD))


@pytest.mark.parametrize(
    ("field", "old", "new", "code"),
    [
        ("leaf", '"recorded"', '"missed"', "not_in_log"),
        ("leaf", '"close"', '"open"', "other_record"),
        ("leaf", "{", "", "closing_malformed"),
        ("leaf", "{", "{" + 5000 * " ", "closing_malformed"),
        ("path", "leaf 0", "leaf 1", "bad_inclusion"),
        ("path", "right", "left", "bad_inclusion"),
        ("path", "of 2", "of 3", "bad_inclusion"),
        ("head", '"size":2', '"size":3', "signature_does_not_fit"),
        ("head", NOW, "2026-11-25T00:00:00.000Z", "signature_does_not_fit"),
        ("sig", "BEGIN", "END", "signature_malformed"),
        ("head", "{", " " * 5000, "closing_malformed"),
    ],
)
def test_whatever_is_changed(rig: Rig, field: str, old: str, new: str, code: str) -> None:
    found = of(rig)
    changed = msgspec.structs.replace(found, **{field: getattr(found, field).replace(old, new, 1)})
    assert changed != found
    with pytest.raises(Refusal) as caught:
        judged(rig, changed)
    assert caught.value.code == code


def test_the_path_of_another_leaf(rig: Rig) -> None:
    with pytest.raises(Refusal) as caught:
        judged(rig, msgspec.structs.replace(of(rig), path=of(rig, SECOND).path))
    assert caught.value.code == "not_in_log"


def test_a_head_that_a_stranger_has_signed(rig: Rig) -> None:
    with pytest.raises(Refusal) as caught:
        judged(rig, _by_a_stranger(of(rig)))
    assert caught.value.code == "signer_not_trusted"


@pytest.mark.parametrize(
    "data",
    [
        b"", b"{", b"[]", b'{"leaf":"","path":"","head":""}', b'{"leaf":"","path":"","head":"","sig":"","more":1}',
        b'{"leaf":"\\ud800","path":"","head":"","sig":""}', b"[" * 5000, b" " * (closing.LIMIT_BYTES + 1), b"\xff",
    ],
)  # fmt: skip
def test_what_is_none(data: bytes) -> None:
    with pytest.raises(closing.NotClosed, match="proof of a call") as caught:
        closing.decode(data)
    assert caught.value.code == "closing_malformed"


def test_the_largest_log_fits_its_bound(rig: Rig) -> None:
    """A tree of 2^40 leaves has a path of 40 hashes."""
    found = of(rig)
    path = closing.Inclusion((1 << 40) - 1, 1 << 40, (bytes(32),) * 40).encode().decode()
    assert len(closing.encode(msgspec.structs.replace(found, path=path))) < closing.LIMIT_BYTES // 2
