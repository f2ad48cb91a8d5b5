# SPDX-License-Identifier: Apache-2.0
"""A bundle of a call whose times were amended: the amendment is included, and changes in it are detected."""

from __future__ import annotations

import html
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from bundle_rig import CHECKER, BundleRig
from linetap_core.evidence.calls import amendment, sealed
from linetap_core.evidence.calls.amendment import Amendment
from linetap_core.evidence.signing import namespaces
from sealing_rig import CALL_ID, run


@pytest.fixture
def amended(bundled: BundleRig, tmp_path: Path) -> BundleRig:
    """A copy whose call has an amendment beside its record."""
    shutil.copytree(bundled.root, tmp_path / "rig")
    return amend(BundleRig.at(tmp_path / "rig"), "2026-11-20T10:00:00.000Z", "2026-11-20T10:05:00.000Z")


def amend(rig: BundleRig, began_at: str, ended_at: str) -> BundleRig:
    data = (rig.call() / sealed.RECORD).read_bytes()
    document = amendment.encode(Amendment(
        suite=amendment.SUITE, unit="closet-3f", call_id=CALL_ID, number=1, record_sha256=amendment.digest(data),
        began_at=began_at, ended_at=ended_at, uncertainty_s=40,
        until="2027-01-20T15:00:00.000Z", made_at="2026-11-24T23:00:00.000Z",
    ))  # fmt: skip
    place = rig.rig.vault / amendment.FOLDER / amendment.name(CALL_ID, 1)
    place.parent.mkdir(exist_ok=True)
    place.write_bytes(document)
    place.with_name(place.name + namespaces.SUFFIX).write_text(rig.rig.sign(document))
    return rig


def unpacked(rig: BundleRig) -> Path:
    folder = rig.root / "unpacked"
    with zipfile.ZipFile(rig.root / "case.zip") as file:
        file.extractall(folder)
    return folder


def checked(rig: BundleRig, folder: Path) -> subprocess.CompletedProcess[str]:
    command = ["bash", str(CHECKER), str(folder), str(rig.rig.signers_file)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_the_amendment_goes_in_and_both_checkers_take_it(amended: BundleRig) -> None:
    assert amended.bundle() == 0
    assert amended.verify(amended.root / "case.zip") == 0
    folder = unpacked(amended)
    assert (folder / f"amended/{CALL_ID}.json").exists()
    done = checked(amended, folder)
    assert done.returncode == 0, done.stderr
    report = (folder / "report.en.html").read_text()
    assert "at the latest, and at most 40 s earlier" in report
    assert "2027-01-21" in report, "in Korea"


def test_a_call_by_a_clock_before_its_key_was_valid(amended: BundleRig) -> None:
    """As `linetap verify` of the call judges it: by the unit's later statement. Without one it is refused."""
    published = amended.rig.signers_file
    lines = published.read_text()
    published.write_text(lines.replace("closet-3f ssh", 'closet-3f valid-after="20261124225630Z" ssh', 1))
    assert amended.bundle(name="too-early.zip") == 1, "20 November, by the amendment too"
    amended = amend(amended, "2026-11-24T22:56:40.000Z", "2026-11-24T22:56:50.000Z")
    assert amended.bundle() == 0
    assert amended.verify(amended.root / "case.zip") == 0
    folder = unpacked(amended)
    done = checked(amended, folder)
    assert done.returncode == 0, done.stderr
    assert "when the key did not count: judged as of 20261124225640Z" in done.stdout
    report = html.unescape((folder / "report.en.html").read_text())
    command = next(text for text in re.findall(r"<pre>(ssh.*?)</pre>", report, re.DOTALL) if CALL_ID in text)
    assert run(["bash", "-c", f"signers={published}\n{command}"], cwd=folder).returncode == 0
    published.write_text(lines.replace("closet-3f ssh", 'closet-3f valid-after="20261124225645Z" ssh', 1))
    assert checked(amended, folder).returncode != 0
    assert amended.verify(amended.root / "case.zip") == 1


def test_an_amendment_that_was_changed_is_found_by_both(amended: BundleRig) -> None:
    path = amended.rig.vault / amendment.FOLDER / amendment.name(CALL_ID, 1)
    path.write_bytes(path.read_bytes().replace(b"2027-01-20", b"2027-01-29"))
    assert amended.bundle() != 0


def test_the_published_checker_finds_one_of_another_key(amended: BundleRig) -> None:
    assert amended.bundle() == 0
    folder = unpacked(amended)
    (folder / f"amended/{CALL_ID}.json").write_text("{}")
    sums = "".join(
        f"{run(['sha256sum', str(each)]).stdout.decode().split()[0]}  ./{each.relative_to(folder)}\n"
        for each in sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "SHA256SUMS")
    )
    (folder / "SHA256SUMS").write_text(sums)
    assert checked(amended, folder).returncode != 0
