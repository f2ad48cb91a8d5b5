# SPDX-License-Identifier: Apache-2.0
"""The certificates of destruction in a bundle: its report says *destroyed* only if two people signed, and too few
officers have their keys."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import msgspec
import pytest

from bundle_rig import CHECKER, BundleRig, members, pack, unpacked
from group_rig import Members
from linetap.recorder.vault.callfolder.folder import CallFolder
from linetap_core.errors import Refusal
from linetap_core.evidence.calls.callkey import OfCall
from linetap_core.evidence.keys import keys
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_desk.ceremony import certificate
from linetap_desk.ceremony.certificate import Certificate
from linetap_desk.proofs import callfolder
from sealing_rig import CALL_ID, NOW, TIMEOUT_S, UNIT, noise, record, run

EPOCH = "2027-11-24"
GROUP_CALL = "20261124T225800.000Z-L05"
DESTROYED, BY_ONE, IN_PART = (
    "The key of this call's day was destroyed at",
    "one person alone signed it",
    "still open it",
)
KEYS = {name: keys.new_unit_key() for name in ("kim", "lee", "stranger")}


@pytest.fixture
def rig(bundled: BundleRig) -> BundleRig:
    shutil.rmtree(bundled.root / "certificates")
    (bundled.root / "certificates").mkdir()
    with bundled.rig.signers_file.open("a") as file:
        for name in ("kim", "lee"):
            public = keys.public_line(KEYS[name].public_key())
            file.write(f'{name} namespaces="linetap-certificate" {public}\n')
    return bundled


def certify(rig: BundleRig, by: str, second: str = "", officers: tuple[int, ...] = (), name: str = "") -> Path:
    """A certificate in the office's folder, as `epoch destroy` writes it."""
    found = Certificate(
        epoch=EPOCH, recipient=rig.rig.epoch, index=None, ended_at=None, destroyed_at=NOW, rule="retention",
        key_list_version=1, files=[], sheets=0, copies=0, canaries={}, officers=list(officers),
        second=keys.fingerprint(KEYS[second].public_key()) if second else None,
    )  # fmt: skip
    data = msgspec.json.encode(found)
    path = rig.root / "certificates" / (name or f"{EPOCH}.destroyed.json")
    path.write_bytes(data)
    namespaces.signature_path(path).write_text(sshsig.sign(data, KEYS[by], namespaces.CERTIFICATE))
    if second:
        certificate.second_of(path).write_text(sshsig.sign(data, KEYS[second], namespaces.CERTIFICATE))
    return path


def bundle(rig: BundleRig, call: str = CALL_ID) -> int:
    return rig.bundle(f"--certificates={rig.root / 'certificates'}", calls=(call,))


def report(rig: BundleRig) -> str:
    return members(rig.root / "case.zip")["report.en.html"].decode().replace("&#x27;", "'")


def checked(rig: BundleRig, name: str = "case") -> subprocess.CompletedProcess[str]:
    case = unpacked(rig.root / f"{name}.zip", rig.root / name)
    command = ["bash", str(CHECKER), str(case), str(rig.rig.signers_file)]
    return subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)


def test_two_people_have_destroyed_it(rig: BundleRig) -> None:
    certify(rig, "kim", "lee")
    assert bundle(rig) == 0
    assert DESTROYED in report(rig)
    done = checked(rig)
    assert done.returncode == 0, done.stderr
    assert f"certified by 2 people: {EPOCH}" in done.stdout


def test_one_person_alone_destroys_nothing(rig: BundleRig) -> None:
    certify(rig, "kim")
    assert bundle(rig) == 0
    assert DESTROYED not in report(rig)
    assert BY_ONE in report(rig)
    assert rig.verify(rig.root / "case.zip") == 0
    done = checked(rig)
    assert done.returncode == 0, done.stderr
    assert f"note: {EPOCH}: one person alone certified it: the destruction is not proven" in done.stdout


@pytest.mark.parametrize("name", ["KIM", '"K im"'])
def test_two_keys_of_one_name_are_one_person(rig: BundleRig, name: str) -> None:
    with rig.rig.signers_file.open("a") as file:
        public = keys.public_line(KEYS["stranger"].public_key())
        file.write(f'{name} namespaces="linetap-certificate" {public}\n')
    certify(rig, "kim", "stranger")
    assert bundle(rig) == 0
    assert BY_ONE in report(rig)
    assert "one person alone certified it" in checked(rig).stdout


def test_a_second_person_whom_nobody_names(rig: BundleRig, capsys: pytest.CaptureFixture[str]) -> None:
    """The officer made a key for it."""
    path = certify(rig, "kim", "stranger")
    with pytest.raises(Refusal, match="no signer is named for it"):
        certificate.read(path, callfolder.load_signers(rig.rig.signers_file))
    assert bundle(rig) == 1
    assert "no signer is named for it" in capsys.readouterr().err


@pytest.mark.parametrize("how", ["removed", "another's", "the officer's own"])
def test_the_second_signature_that_a_certificate_names(rig: BundleRig, how: str) -> None:
    certify(rig, "kim", "lee")
    assert bundle(rig) == 0
    found = members(rig.root / "case.zip")
    name = f"certificates/{EPOCH}.destroyed.json"
    second = found.pop(f"{name}.second.sig")
    if how != "removed":
        by = KEYS["stranger" if how == "another's" else "kim"]
        found[f"{name}.second.sig"] = sshsig.sign(found[name], by, namespaces.CERTIFICATE).encode()
        assert found[f"{name}.second.sig"] != second
    pack(rig.root / "forged.zip", found)
    assert rig.verify(rig.root / "forged.zip") == 1
    assert checked(rig, "forged").returncode != 0


def group_call(rig: BundleRig, folder: Path) -> None:
    officers = Members.make(folder, 2, 3)
    made = CallFolder.create(rig.rig.vault, OfCall(UNIT, GROUP_CALL), officers.text, rig.rig.custodians)
    made.write(noise(100))
    made.seal(record(100, GROUP_CALL), rig.rig.sign)
    rig.rig.publish()


def test_one_officer_of_a_group_closes_no_day(rig: BundleRig, tmp_path: Path) -> None:
    """Whatever the certificate says of their number: the call's own key has it."""
    group_call(rig, tmp_path / "officers")
    certify(rig, "kim", "lee", (2,))
    assert bundle(rig, GROUP_CALL) == 0
    assert DESTROYED not in report(rig)
    assert IN_PART in report(rig)


def test_officers_of_a_group_who_certify_apart(rig: BundleRig, tmp_path: Path) -> None:
    group_call(rig, tmp_path / "officers")
    for by, officer in (("kim", 1), ("lee", 3)):
        certify(rig, by, "", (officer,), f"{EPOCH}.officer-{officer}.destroyed.json")
    assert bundle(rig, GROUP_CALL) == 0
    assert DESTROYED in report(rig)
    done = checked(rig)
    assert done.returncode == 0, done.stderr
    assert f"certified by 2 people: {EPOCH}" in done.stdout
    assert run(["unzip", "-l", str(rig.root / "case.zip")]).stdout.count(b"officer-") == 4
