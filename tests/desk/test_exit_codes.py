# SPDX-License-Identifier: Apache-2.0
"""The exit code of each command that judges evidence: 0 only for a good verdict. Scripts depend on nothing else."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from bundle_rig import CHECKER, BundleRig, members, pack, unpacked
from epoch_desk import DAY
from epoch_desk import Desk as EpochDesk
from linetap_core.cli import main
from linetap_core.evidence.authorization.roles import Person, Roles
from linetap_core.evidence.keys import keys
from linetap_core.evidence.signing import document, namespaces, sshsig
from sealing_rig import CALL_ID, run

Spoil = Callable[[BundleRig], object]
Words = Callable[[BundleRig], list[object]]


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def _cut_log(rig: BundleRig) -> None:
    """The log of before the second call, with a head of its own."""
    shutil.rmtree(rig.rig.vault / "log")
    shutil.rmtree(rig.call().parent / "20261124T225700.000Z-L04")
    rig.rig.publish()


def _repack(rig: BundleRig) -> None:
    found = members(rig.root / "case.zip")
    found[f"calls/{CALL_ID}/audio.001.age"] += b"x"
    (rig.root / "case.zip").unlink()
    pack(rig.root / "case.zip", found)


def _nobody(rig: BundleRig) -> None:
    rig.rig.signers_file.write_text("# nobody\n")


def _signed_roles(rig: BundleRig) -> list[object]:
    path, key = rig.root / "roles.json", keys.new_unit_key()
    people = [Person("박민", "privacy", keys.public_line(keys.new_unit_key().public_key()))]
    data = document.encode(Roles(version=1, people=people, purposes=[]))
    path.write_bytes(data)
    namespaces.signature_path(path).write_text(sshsig.sign(data, key, namespaces.ROLES))
    return ["roles", "check", path, "--authority", keys.public_line(key.public_key())]


def _log_words(rig: BundleRig) -> list[object]:
    return ["--log", rig.rig.vault / "log", "--signers", rig.rig.signers_file]


def _verify(rig: BundleRig, path: Path) -> list[object]:
    return ["verify", path, "--signers", rig.rig.signers_file]


def _witness(rig: BundleRig) -> list[object]:
    words = ["--state", rig.root / "seen.json", "--key", rig.root / "witness.key", "-o", rig.root / "heads"]
    return ["witness", *_log_words(rig), *words]


def _sigsum(rig: BundleRig) -> list[object]:
    return ["sigsum", CALL_ID, *_log_words(rig), "--key", rig.root / "desk.key", "-o", rig.root / "sigsum"]


def _open(rig: BundleRig) -> list[object]:
    identities = ["--identity", rig.rig.epoch_file, "--identity", rig.rig.custodian_files[0]]
    return ["open", rig.call(), *identities, "--signers", rig.rig.signers_file, "-o", rig.root / "call.wav"]


def _bundle(rig: BundleRig) -> list[object]:
    words = ["--signers", rig.rig.signers_file, "--case", "2026-117", "-o", rig.root / "other.zip"]
    return ["bundle", rig.call(), *words, *rig.everything]


def _stamp(rig: BundleRig) -> list[object]:
    head = rig.root / "stamps" / "closet-3f-000000002.json"
    return ["timestamp", "check", head, "--ca", rig.ca, "--signers", rig.rig.signers_file]


def _with_bundle(rig: BundleRig) -> list[object]:
    assert rig.bundle() == 0
    return _verify(rig, rig.root / "case.zip")


def _cosigned(rig: BundleRig) -> list[object]:
    return [*_verify(rig, rig.rig.vault), "--witness", rig.root / "heads" / "closet-3f.json"]


def _audio(rig: BundleRig) -> None:
    _flip(rig.call() / "audio.001.age")


JUDGES: dict[str, tuple[Words, Spoil]] = {
    "verify, a call that was changed": (lambda rig: _verify(rig, rig.call()), _audio),
    "verify, a call of nobody": (lambda rig: _verify(rig, rig.call()), _nobody),
    "verify, a vault without a call": (lambda rig: _verify(rig, rig.rig.vault), lambda rig: shutil.rmtree(rig.call())),
    "verify, a vault with a strange file": (
        lambda rig: _verify(rig, rig.rig.vault), lambda rig: (rig.rig.vault / "more").write_bytes(b"")
    ),
    "verify, a log that was cut back": (_cosigned, _cut_log),
    "verify, a bundle that was changed": (_with_bundle, _repack),
    "witness, a log that was cut back": (_witness, _cut_log),
    "sigsum, a log that was changed": (_sigsum, lambda rig: _flip(rig.rig.vault / "log" / "leaves.jsonl")),
    "timestamp check, another head": (_stamp, lambda rig: _flip(rig.root / "stamps" / "closet-3f-000000002.json")),
    "open, a call that was changed": (_open, _audio),
    "bundle, a call that was changed": (_bundle, _audio),
    "roles check, changed roles": (_signed_roles, lambda rig: _flip(rig.root / "roles.json")),
}  # fmt: skip


@pytest.mark.parametrize(("words", "spoil"), JUDGES.values(), ids=JUDGES)
def test_good_is_0_and_bad_is_not(bundled: BundleRig, words: Words, spoil: Spoil) -> None:
    command = [str(word) for word in words(bundled)]
    assert main(command) == 0
    for made in ("call.wav", "other.zip"):
        (bundled.root / made).unlink(missing_ok=True)
    spoil(bundled)
    assert main(command) in (1, 2)


def test_the_checker_of_stock_tools(bundled: BundleRig, tmp_path: Path) -> None:
    assert bundled.bundle() == 0
    folder = unpacked(bundled.root / "case.zip", tmp_path / "case")
    command = ["bash", str(CHECKER), str(folder), str(bundled.rig.signers_file)]
    assert run(command).returncode == 0
    _flip(folder / "calls" / CALL_ID / "audio.001.age")
    assert run(command).returncode != 0


def test_overdue_days(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    desk = EpochDesk.make(tmp_path)
    assert desk.overdue(at="2026-12-02T09:00:00Z") == 0
    assert desk.overdue(at="2026-12-03T09:00:00Z") == 1
    assert desk.destroy(DAY) == 0
    assert desk.overdue(at="2026-12-03T09:00:00Z") == 0
    capsys.readouterr()


def test_an_older_list_hides_no_day_that_is_overdue(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A list that has ended is not the newest: later days are in another one."""
    desk = EpochDesk.make(tmp_path, days=1)
    assert desk.destroy(DAY) == 0
    assert desk.overdue(at="2026-12-02T09:00:00Z") == 0
    capsys.readouterr()
    assert desk.overdue(at="2026-12-04T09:00:00Z") == 1
    assert capsys.readouterr().out == (
        f"critical epoch_overdue: the key list (version 1) ended with {DAY}: the newest one expected\n"
    )
