# SPDX-License-Identifier: Apache-2.0
"""A forged bundle brought to a court: nothing in it is executed, and the published checker refuses it."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from bundle_rig import CHECKER, BundleRig, members, pack, unpacked
from linetap_core.cli import main
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.keys import keys
from linetap_core.evidence.merklelog import merkle, unitlog
from linetap_core.evidence.merklelog.closing import Inclusion
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_desk.bundle import recipe
from sealing_rig import CALL_ID, NOW, TIMEOUT_S, UNIT, run
from witnessed_rig import site


@pytest.fixture
def case(bundled: BundleRig) -> Path:
    """A valid bundle, unpacked."""
    assert bundled.bundle(f"--holds={bundled.root / 'holds'}", f"--certificates={bundled.root / 'certificates'}") == 0
    return unpacked(bundled.root / "case.zip", bundled.root / "case")


def checked(case: Path, signers: Path, checker: Path = CHECKER) -> subprocess.CompletedProcess[str]:
    command = ["bash", str(checker), str(case), str(signers)]
    return subprocess.run(command, cwd="/", capture_output=True, text=True, timeout=TIMEOUT_S, check=False)


def repair(case: Path) -> None:
    """Recomputes the sums, as anybody who changes a file can."""
    script = "find . -type f ! -path ./SHA256SUMS | LC_ALL=C sort | xargs sha256sum > ../sums; cat ../sums > SHA256SUMS"
    assert run(["sh", "-c", script], cwd=case).returncode == 0


def refused(case: Path, signers: Path, says: str) -> None:
    done = checked(case, signers)
    assert done.returncode != 0
    assert done.stderr.strip().splitlines()[-1].startswith("FAILED: ")
    assert says in done.stderr, done.stderr


def test_a_good_one_and_no_byte_of_it_is_a_program(bundled: BundleRig, case: Path) -> None:
    done = checked(case, bundled.rig.signers_file)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("All checks succeeded.")
    for name, data in members(bundled.root / "case.zip").items():
        assert not data.startswith((b"#!", b"\x7fELF", b"MZ")), name
        assert Path(name).suffix in {".age", ".html", ".json", ".sig", ".path", ""}, name
        assert not os.access(case / name, os.X_OK), name


def test_a_script_that_somebody_adds(bundled: BundleRig, case: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("CHECK.sh", "check-bundle.sh", "holds/run.sh"):
        path = pack(bundled.root / "more.zip", members(bundled.root / "case.zip") | {name: b"#!/bin/sh\nexit 0\n"})
        capsys.readouterr()
        assert bundled.verify(path) == 1
        assert f"{name} does not belong in this bundle [extra_member]" in capsys.readouterr().out
        (case / name).write_bytes(b"#!/bin/sh\nexit 0\n")
        repair(case)
        refused(case, bundled.rig.signers_file, "does not belong in a bundle")
        (case / name).unlink()


def test_a_checker_or_signers_that_come_out_of_the_bundle(bundled: BundleRig, case: Path) -> None:
    refused(case, case / "signers", "signers is in the bundle")
    shutil.copy(CHECKER, case / "policy")
    done = checked(case, bundled.rig.signers_file, case / "policy")
    assert done.returncode != 0
    assert "policy is in the bundle" in done.stderr


def test_a_bundle_by_keys_of_its_own(bundled: BundleRig, case: Path) -> None:
    """Record, head, sums and signers are the forger's, and consistent."""
    stranger = keys.new_unit_key()
    record = case / "calls" / CALL_ID / "record.json"
    data = record.read_bytes()
    record.with_name("record.json.sig").write_text(sshsig.sign(data, stranger, namespaces.RECORD))
    (case / "signers").write_text(f"{UNIT} {keys.public_line(stranger.public_key())}\n")
    repair(case)
    refused(case, bundled.rig.signers_file, f"Signature of calls/{CALL_ID}/record.json")


@pytest.mark.parametrize(
    ("name", "namespace"),
    [
        (f"holds/{CALL_ID}/hold.json", namespaces.HOLD),
        ("certificates/2027-11-24.destroyed.json", namespaces.CERTIFICATE),
    ],
)
def test_a_unit_signs_no_hold_and_no_certificate(bundled: BundleRig, case: Path, name: str, namespace: str) -> None:
    path = case / name
    path.with_name(f"{path.name}.sig").write_text(sshsig.sign(path.read_bytes(), bundled.rig.unit_key, namespace))
    repair(case)
    refused(case, bundled.rig.signers_file, f"signed by the unit {UNIT}: a key that may sign what units sign")


@pytest.mark.parametrize(
    "more", ["", 'helper namespaces="linetap-hold"'], ids=["as a unit alone", "in another line too"]
)
def test_another_unit_of_the_fleet_signs_no_hold(bundled: BundleRig, case: Path, more: str) -> None:
    """It has no call in the bundle; its line in the published file permits its key every namespace."""
    other, signers = keys.new_unit_key(), case.parent / "published"
    line = keys.public_line(other.public_key())
    second = f"{more} {line}\n" if more else ""
    signers.write_text(f"{bundled.rig.signers_file.read_text()}{second}closet-4f {line}\n")
    path = case / "holds" / CALL_ID / "hold.json"
    path.with_name("hold.json.sig").write_text(sshsig.sign(path.read_bytes(), other, namespaces.HOLD))
    repair(case)
    refused(case, signers, "a key that may sign what units sign")


def test_a_person_with_a_line_of_their_own_signs_a_hold(bundled: BundleRig, case: Path) -> None:
    """Beside a unit's line, and after a time option."""
    kim, signers = keys.new_unit_key(), case.parent / "published"
    options = 'valid-after="20200101Z",namespaces="linetap-hold,linetap-certificate"'
    line = f"kim {options} {keys.public_line(kim.public_key())}\n"
    signers.write_text(f"# people and units\n{bundled.rig.signers_file.read_text()}{line}")
    path = case / "holds" / CALL_ID / "hold.json"
    path.with_name("hold.json.sig").write_text(sshsig.sign(path.read_bytes(), kim, namespaces.HOLD))
    repair(case)
    done = checked(case, signers)
    assert done.returncode == 0, done.stderr


def test_a_record_that_names_no_hash_of_its_audio(bundled: BundleRig) -> None:
    """All signed with the unit's own stolen key: the record's hash of the audio is another file's, and a comment for
    sha256sum. The audio could then be chosen after the record was witnessed.
    """
    assert bundled.bundle(calls=(CALL_ID,)) == 0
    case = unpacked(bundled.root / "case.zip", bundled.root / "case")
    path, log = case / "calls" / CALL_ID / "record.json", case / "logs" / UNIT
    said = msgspec.json.decode(path.read_bytes())
    said["files"]["audio.001.age"] = f"{said['files']['meta.age']}  meta.age\n#"
    data = msgspec.json.encode(said)
    leaf = msgspec.json.encode(
        {"kind": "close", "at": NOW, "call_id": CALL_ID, "record_sha256": hashlib.sha256(data).hexdigest()}
    )
    origin = keys.fingerprint(bundled.rig.unit_key.public_key())
    head = unitlog.encode_head(
        unitlog.Head(unit=UNIT, size=1, root=merkle.leaf_hash(leaf).hex(), at=NOW, origin=origin)
    )
    (log / "leaves" / f"{CALL_ID}.json").write_bytes(leaf)
    (log / "head" / f"{CALL_ID}.path").write_text("leaf 0 of 1\n")
    for place, text, space in (
        (path, data, namespaces.RECORD),
        (log / "head.json", head, namespaces.HEAD),
    ):
        place.write_bytes(text)
        place.with_name(f"{place.name}.sig").write_text(sshsig.sign(text, bundled.rig.unit_key, space))
    (path.parent / "audio.001.age").write_bytes(b"another sound")
    repair(case)
    refused(case, bundled.rig.signers_file, "The ciphertext matches the record")


def test_a_head_of_another_log(bundled: BundleRig, case: Path) -> None:
    """The unit's own stolen key signs a head that does not match its leaves."""
    path = case / "logs" / UNIT / "head.json"
    head = unitlog.decode_head(path.read_bytes())
    data = unitlog.encode_head(unitlog.Head(unit=UNIT, size=head.size, root="0" * 64, at=head.at, origin=head.origin))
    path.write_bytes(data)
    path.with_name("head.json.sig").write_text(sshsig.sign(data, bundled.rig.unit_key, namespaces.HEAD))
    repair(case)
    refused(case, bundled.rig.signers_file, "the leaf is not under the head")


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _link(path: Path) -> None:
    path.symlink_to("/etc/passwd")


def _named(name: str) -> Callable[[Path], None]:
    def lay(path: Path) -> None:
        path.with_name(name).write_bytes(b"")

    return lay


@pytest.mark.parametrize(
    "lay",
    [_fifo, _link, _named("a b"), _named("$(touch pwned)"), _named("x\ny"), _named("-rf"), _named("record.json")],
    ids=["fifo", "link", "space", "command", "line", "option", "elsewhere"],
)
def test_what_no_bundle_holds(bundled: BundleRig, case: Path, lay: Callable[[Path], None]) -> None:
    """It ends, and no name is executed."""
    lay(case / "policy")
    refused(case, bundled.rig.signers_file, "Only plain files, with names of a bundle")
    assert not list(case.rglob("pwned"))
    assert not Path("/pwned").exists()


def test_a_record_whose_words_are_commands(bundled: BundleRig, case: Path) -> None:
    path = case / "calls" / CALL_ID / "record.json"
    path.write_bytes(path.read_bytes().replace(b'"unit":"closet-3f"', b'"unit":"$(touch pwned)`touch pwned`"'))
    repair(case)
    refused(case, bundled.rig.signers_file, "not the name of a call or a unit")
    assert not list(case.rglob("pwned"))


def test_what_lies_in_it_and_belongs_to_nothing(bundled: BundleRig, case: Path) -> None:
    """Its name is possible in a bundle, but belongs to no call of this one."""
    (case / "logs" / "closet-9f").mkdir()
    (case / "logs" / "closet-9f" / "head.json").write_bytes(b"{}")
    repair(case)
    refused(case, bundled.rig.signers_file, "Each file was covered by one of these checks")


def test_what_no_stock_tool_can_check_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cosignatures of witnesses: the check passes otherwise, and does not claim to have checked these."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    with site(tmp_path, "2026-11-24T23:10:00.000Z") as unit:
        unit.call(CALL_ID, "2026-11-24T22:57:00.000Z")
        assert unit.carry() == 0
        call, signers = unit.rig.vault / sealed.call_path(CALL_ID), unit.rig.signers_file
        words = ["--signers", str(signers), f"--policy={unit.root / 'policy'}", f"--heads={unit.heads}"]
        assert main(["bundle", str(call), *words, "-o", str(tmp_path / "case.zip")]) == 0
    done = checked(unpacked(tmp_path / "case.zip", tmp_path / "case"), signers)
    assert done.returncode == 0, done.stderr
    assert f"{CALL_ID}.tlog-proof is not checked here: linetap verify --policy does" in done.stdout


@pytest.mark.parametrize(
    "name", [".DS_Store", "calls/._record.json", "Thumbs.db", "opened/desktop.ini", "__MACOSX/._x"]
)
def test_what_a_desktop_puts_into_the_folder_is_called_that(bundled: BundleRig, case: Path, name: str) -> None:
    """An officer looked into the folder with the Finder or the Explorer: the sender has sent no such file."""
    (case / name).parent.mkdir(exist_ok=True)
    (case / name).write_bytes(b"\0\0\0\1Bud1")
    refused(case, bundled.rig.signers_file, "was put there by macOS or Windows, and is not the sender's: unpack")


def test_a_name_that_belongs_to_no_bundle_is_shown_in_one_line(bundled: BundleRig, case: Path) -> None:
    (case / "a\nFAILED: nothing\x1b[2K").write_bytes(b"x")
    refused(case, bundled.rig.signers_file, r"$'./a\nFAILED: nothing\E[2K' is a file name with characters of no bundle")


@pytest.mark.parametrize(("name", "says"), [("2027-11-24", "is of another day"), ("2027-11-23", "is of no call in it")])
def test_a_certificate_that_is_not_of_these_calls(bundled: BundleRig, case: Path, name: str, says: str) -> None:
    """Genuine, of another day: it would show that nobody can open the call any longer."""
    before, path = (case / "certificates" / f"{day}.destroyed.json" for day in ("2027-11-24", name))
    data = msgspec.json.encode(msgspec.json.decode(before.read_bytes()) | {"epoch": "2027-11-23"})
    for each in (before, namespaces.signature_path(before)):
        each.unlink()
    path.write_bytes(data)
    namespaces.signature_path(path).write_text(sshsig.sign(data, bundled.key("officer"), namespaces.CERTIFICATE))
    repair(case)
    refused(case, bundled.rig.signers_file, says)


def checkers_function() -> str:
    text = CHECKER.read_text()
    return text[text.index("inclusion() {") : text.index("\n}\n", text.index("inclusion() {")) + 3]


@pytest.mark.parametrize("size", [1, 2, 3, 6, 7, 8])
@pytest.mark.parametrize("function", [checkers_function(), recipe.INCLUSION + "\n"], ids=["checker", "typed"])
def test_a_path_leads_from_the_leaf_that_it_names_alone(tmp_path: Path, size: int, function: str) -> None:
    """The number of a leaf says what came before what: the checker's own function and the one that the report lets a
    person type, on every leaf of small trees."""
    script = 'fail() { echo "$1" >&2; exit 1; }\nused() { :; }\nset -euo pipefail\n' + function + 'inclusion "$@"\n'
    tree = merkle.Tree()
    for index in range(size):
        tree.append(b"leaf %d" % index)
    (tmp_path / "head").write_text(f'{{"size":{size},"root":"{tree.root().hex()}"}}')
    for index in range(size):
        (tmp_path / "leaf").write_bytes(b"leaf %d" % index)
        place = Inclusion(index, size, tuple(tree.inclusion(index))).encode()
        for claimed in range(size + 1):
            (tmp_path / "path").write_bytes(place.replace(b"leaf %d of" % index, b"leaf %d of" % claimed, 1))
            done = run(["bash", "-c", script, "bash", *(str(tmp_path / name) for name in ("leaf", "path", "head"))])
            assert (done.returncode == 0) is (claimed == index), (index, claimed, done.stderr)
        (tmp_path / "path").write_bytes(place.replace(b" of %d" % size, b" of %d" % (size + 8), 1))
        done = run(["bash", "-c", script, "bash", *(str(tmp_path / name) for name in ("leaf", "path", "head"))])
        assert done.returncode != 0, (index, "another head's size")
