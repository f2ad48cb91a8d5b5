# SPDX-License-Identifier: Apache-2.0
"""Proofs that Debian's sigsum-verify accepts, and those that it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

import witness_rig
from linetap_core.cli import main
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.keys import keys
from linetap_core.evidence.keys.p256 import P256Key
from linetap_core.evidence.merklelog.leaflog import LEAVES
from sealing_rig import CALL_ID, Rig, run


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    rig = Rig.make(tmp_path)
    (tmp_path / "desk.key").write_bytes(keys.unit_key_file(keys.new_unit_key()))
    (tmp_path / "unit.key.pub").write_text(keys.public_line(rig.unit_key.public_key()) + "\n")
    (tmp_path / "proofs").mkdir()
    return rig


def call_ids(count: int) -> list[str]:
    return [CALL_ID, *(f"20261124T23000{n}.000Z-L01" for n in range(count - 1))]


def prove(rig: Rig, *names: str, policy: Path | None = None) -> int:
    paths = ["--log", rig.vault / "log", "--key", rig.root / "desk.key", "--signers", rig.signers_file]
    more = [] if policy is None else ["--policy", str(policy)]
    return main(["sigsum", *names, *map(str, paths), *more, "-o", str(rig.root / "proofs")])


def stock(rig: Rig, call_id: str, record: bytes | None = None) -> int:
    data = (rig.vault / sealed.call_path(call_id) / "record.json").read_bytes() if record is None else record
    proofs = rig.root / "proofs"
    command = ["sigsum-verify", "-k", str(rig.root / "unit.key.pub"), "-p", str(proofs / "policy")]
    return run([*command, str(proofs / f"{call_id}.proof")], stdin=data).returncode


@pytest.mark.parametrize("count", [1, 2, 5])
def test_stock_sigsum_verify_accepts_every_call(rig: Rig, count: int) -> None:
    for call_id in call_ids(count):
        rig.sealed_call(200, call_id)
    rig.publish()
    assert prove(rig, *call_ids(count)) == 0
    for call_id in call_ids(count):
        assert stock(rig, call_id) == 0
        assert stock(rig, call_id, b"{}") == 1
    if count > 1:
        proofs = rig.root / "proofs"
        (proofs / f"{CALL_ID}.proof").write_bytes((proofs / f"{call_ids(2)[1]}.proof").read_bytes())
        assert stock(rig, CALL_ID) == 1


def test_only_what_stands_in_a_log_that_is_in_order_is_proven(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    rig.sealed_call(200)
    rig.publish()
    assert prove(rig, "20261124T235959.000Z-L01") == 1
    assert prove(rig, "hello") == 1
    leaves = rig.vault / "log" / LEAVES
    leaves.write_bytes(leaves.read_bytes().replace(b"recorded", b"reborded"))
    assert prove(rig, CALL_ID) == 1
    err = capsys.readouterr().err.splitlines()
    assert len(err) == 3
    assert "not in order" in err[2]
    assert list((rig.root / "proofs").iterdir()) == []


def test_a_new_key_of_the_unit_leaves_the_old_proofs(rig: Rig) -> None:
    rig.sealed_call(200)
    rig.publish()
    new = keys.new_unit_key()
    with rig.signers_file.open("a") as file:
        file.write(rig.signers_file.read_text().split()[0] + f" {keys.public_line(new.public_key())}\n")
    object.__setattr__(rig, "unit_key", new)
    rig.sealed_call(200, "20261124T235900.000Z-L01")
    rig.publish()
    assert prove(rig, CALL_ID) == 0
    assert stock(rig, CALL_ID) == 0


def test_the_desk_submits_for_a_unit_whose_key_is_in_hardware(rig: Rig) -> None:
    """Sigsum only supports Ed25519. Signatures of the unit's earlier key stay its own."""
    rig.sealed_call(200)
    rig.publish()
    new = P256Key(ec.generate_private_key(ec.SECP256R1()))
    object.__setattr__(rig, "unit_key", new)
    later = "20261124T235900.000Z-L01"
    rig.sealed_call(200, later)
    rig.publish()
    assert prove(rig, later) == 1, "its key is not named"
    with rig.signers_file.open("a") as file:
        file.write(rig.signers_file.read_text().split()[0] + f" {keys.public_line(new.public_key())}\n")
    assert prove(rig, CALL_ID, later) == 0
    assert stock(rig, CALL_ID) == 0
    assert stock(rig, later) == 1, "it is not the unit's"
    desk = keys.load_unit_key((rig.root / "desk.key").read_bytes()).public_key()
    (rig.root / "unit.key.pub").write_text(keys.public_line(desk) + "\n")
    assert stock(rig, later) == 0
    assert stock(rig, later, b"{}") == 1


def test_a_unit_with_a_key_in_a_file_signs_for_itself(rig: Rig) -> None:
    """A close without the unit's signature is invalid; the desk cannot supply it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("linetap.recorder.vault.log.leaves.Ed25519PrivateKey", P256Key)
        rig.sealed_call(200)
        rig.publish()
    assert prove(rig, CALL_ID) == 1


def test_proofs_carry_the_cosignatures_that_their_policy_asks_for(
    rig: Rig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Debian's sigsum-witness, aics-witness of PyPI and ours cosign the tree of closes; sigsum-verify
    checks them all.
    """
    key = keys.load_unit_key((tmp_path / "desk.key").read_bytes()).public_key()
    assert isinstance(key, Ed25519PublicKey)
    with witness_rig.all_three(tmp_path / "witnesses", key) as running:
        policy = witness_rig.policy(tmp_path / "policy", running, 3)
        for count in (1, 3):
            for call_id in call_ids(count):
                if not (rig.vault / sealed.call_path(call_id)).exists():
                    rig.sealed_call(200, call_id)
            rig.publish()
            assert prove(rig, *call_ids(count), policy=policy) == 0
            for call_id in call_ids(count):
                assert stock(rig, call_id) == 0
    proof = tmp_path / "proofs" / f"{CALL_ID}.proof"
    good = proof.read_text()
    lines = [line for line in good.splitlines(keepends=True) if line.startswith("cosignature=")]
    assert len(lines) == 3
    for line in lines:
        proof.write_text(good.replace(line, ""))
        assert stock(rig, CALL_ID) == 1, "sigsum-verify wants all three"
        proof.write_text(good.replace(line, line[:-3] + ("0" if line[-3] != "0" else "1") + line[-2:]))
        assert stock(rig, CALL_ID) == 1
    rig.sealed_call(200, "20261124T235900.000Z-L01")
    rig.publish()
    capsys.readouterr()
    assert prove(rig, CALL_ID, policy=policy) == 1, "the witnesses are gone"
    assert "cosigned by 0 of 3 witnesses, which is no quorum" in capsys.readouterr().err
