# SPDX-License-Identifier: Apache-2.0
"""A bundle of a call that is kept for a case, or was moved to another day: its re-wrapped key is included, since the
key of the call's own day is destroyed.
"""

from __future__ import annotations

import hashlib
import html
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from bundle_rig import CHECKER, BundleRig, members, pack, unpacked
from linetap_core.cli import main
from linetap_core.evidence.calls import hold, sealed
from linetap_core.evidence.calls.hold import Rewrap
from linetap_core.evidence.keys import keys
from linetap_core.evidence.signing import namespaces, sshsig
from sealing_rig import CALL_ID, NOW, TIMEOUT_S, UNIT, run

KEY = f"holds/{CALL_ID}/{sealed.KEY}"


@pytest.fixture
def kept(bundled: BundleRig, tmp_path: Path) -> BundleRig:
    """A copy whose first call is held for a key of its own, hold.txt, in a folder as the pages name it. Beside it
    is an earlier hold, named after the call."""
    shutil.copytree(bundled.root, tmp_path / "rig")
    rig = BundleRig.at(tmp_path / "rig")
    recipient = new_key(rig, "hold")
    words = ["--identity", str(rig.rig.epoch_file), "--to", recipient, "--case", "2026-118", "--basis", "Act 39"]
    words += ["--until", "2099-06-30", "--key", str(rig.root / "officer.key")]
    assert main(["hold", "wrap", str(rig.call()), *words, "-o", str(rig.root / "holds" / "H20261201-1")]) == 0
    return rig


def new_key(rig: BundleRig, name: str) -> str:
    identity = keys.new_identity()
    (rig.root / f"{name}.txt").write_text(keys.identity_file(identity, NOW))
    return identity.recipient


def made(rig: BundleRig) -> Path:
    assert rig.bundle(f"--holds={rig.root / 'holds'}") == 0
    assert rig.verify(rig.root / "case.zip") == 0
    return unpacked(rig.root / "case.zip", rig.root / "case")


def checked(rig: BundleRig, case: Path) -> subprocess.CompletedProcess[str]:
    command = ["bash", str(CHECKER), str(case), str(rig.rig.signers_file)]
    return subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)


def opened_by(rig: BundleRig, case: Path, identity: Path) -> bytes:
    """The recording, by stock `age` from the bundle alone."""
    recipe = (
        f"age -d -i {identity} {KEY} | age -d -i {rig.rig.custodian_files[0]} > ../call.key\n"
        f"for part in calls/{CALL_ID}/audio.*.age; do age -d -i ../call.key $part; done"
    )
    done = run(["bash", "-ec", recipe], cwd=case)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_opens_from_its_bundle_once_the_key_of_its_day_is_destroyed(kept: BundleRig) -> None:
    recording = kept.rig.joined(kept.call())
    case = made(kept)
    kept.rig.epoch_file.unlink()
    assert opened_by(kept, case, kept.root / "hold.txt") == recording
    assert b"2026-118" in (case / f"holds/{CALL_ID}/hold.json").read_bytes(), "the hold that ends last"
    for page in case.glob("report.*.html"):
        assert f"holds/{CALL_ID}/key.age" in page.read_text().rpartition("<h2>")[2]
    done = checked(kept, case)
    assert done.returncode == 0, done.stderr
    assert f"The key is the one that the hold names: {CALL_ID}" in done.stdout


def test_a_call_moved_from_an_overflow_key_to_its_day(kept: BundleRig) -> None:
    shutil.move(kept.root / "holds" / "H20261201-1" / "key.age", kept.root / "key.age")
    shutil.rmtree(kept.root / "holds")
    (kept.root / "holds" / CALL_ID).mkdir(parents=True)
    key = kept.root / "holds" / CALL_ID / sealed.KEY
    shutil.move(kept.root / "key.age", key)
    document = hold.encode(Rewrap(
        call_id=CALL_ID, unit=UNIT, record_sha256=kept.rig.sealed_record_sha256(), from_epoch="overflow-1", to="age1x",
        key_sha256=hashlib.sha256(key.read_bytes()).hexdigest(), made_at=NOW, epoch="2027-11-24",
        until="2027-11-24T15:00:00.000Z",
    ))  # fmt: skip
    key.with_name(hold.REWRAP).write_bytes(document)
    signature = sshsig.sign(document, kept.key("officer"), namespaces.HOLD)
    key.with_name(f"{hold.REWRAP}.sig").write_text(signature)
    case = made(kept)
    assert opened_by(kept, case, kept.root / "hold.txt") == kept.rig.joined(kept.call())
    assert checked(kept, case).returncode == 0


def test_another_key_or_none_is_found_by_both(kept: BundleRig, capsys: pytest.CaptureFixture[str]) -> None:
    made(kept)
    found = members(kept.root / "case.zip")
    own = found[f"calls/{CALL_ID}/{sealed.KEY}"]
    less = {name: data for name, data in found.items() if name != KEY}
    for number, (changed, code) in enumerate((
        (found | {KEY: own}, "key_differs"), (less, "missing_member"),
        (found | {"holds/20261124T225700.000Z-L04/key.age": own}, "extra_member"),
    )):  # fmt: skip
        path = pack(kept.root / f"{number}.zip", changed)
        capsys.readouterr()
        assert kept.verify(path) == 1
        assert f"[{code}]" in capsys.readouterr().out
        assert checked(kept, unpacked(path, kept.root / str(number))).returncode != 0, code


def test_the_commands_of_its_report(kept: BundleRig) -> None:
    case = made(kept)
    page = html.unescape((case / "report.en.html").read_text())
    typed = re.findall(r"The key that the hold names is in the bundle: \S+<pre>(.*?)</pre>", page, re.DOTALL)
    assert len(typed) == 1
    assert run(["bash", "-c", typed[0]], cwd=case).returncode == 0
    (case / KEY).write_bytes(b"another")
    assert run(["bash", "-c", typed[0]], cwd=case).returncode == 1


def test_a_hold_without_its_key_is_not_bundled(kept: BundleRig, capsys: pytest.CaptureFixture[str]) -> None:
    (kept.root / "holds" / "H20261201-1" / sealed.KEY).unlink()
    assert kept.bundle(f"--holds={kept.root / 'holds'}") == 2
    assert "holds/H20261201-1/key.age" in capsys.readouterr().err
