# SPDX-License-Identifier: Apache-2.0
"""Files in a vault with hostile names and depths: none forges a line of verify's output, and none ends it."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import msgspec
import pytest
from test_every_file import Whole, keeper_of

from keeping_rig import Keeper
from linetap_core.cli import main
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.keys import keys
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_core.vaultformat import outboxfiles
from linetap_desk.copy.incoming import Call, read_record
from linetap_desk.proofs.callfolder import Damaged
from linetap_desk.vaultproofs import outbox
from sealing_rig import CALL_ID, UNIT, Rig

FORGED = "20261124T225700.000Z-L04"
NAMES = [f"x\nok   {FORGED}", f"x\r\x1b[2Kok   {FORGED}", f"\u202e{FORGED}", "\udcff", "\x85ok"]
DEEP = b'{"x":' + b"[" * 60_000  # the deepest possible document
_LINE = re.compile(r"(BAD |ok  |\?   ) .*|\d+ checked, \d+ good")


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.split("\n")[:-1]


@pytest.mark.parametrize("place", ["", "2026/", "2026/11/24/", f"2026/11/24/{CALL_ID}/", "log/", "holds/"])
@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_name_is_shown_in_one_line(tmp_path: Path, place: str, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    rig = Rig.make(tmp_path)
    rig.sealed_call(200)
    rig.publish()
    (rig.vault / "holds").mkdir(exist_ok=True)
    (rig.vault / place / name).write_bytes(b"")
    capsys.readouterr()
    assert main(["verify", str(rig.vault), "--signers", str(rig.signers_file)]) == 1
    found = lines(capsys)
    assert all(_LINE.fullmatch(line) and line.isprintable() for line in found), found
    assert not any(line.startswith("ok") and FORGED in line for line in found)


def test_more_stray_files_than_anybody_reads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The calls among them are still judged."""
    rig = Rig.make(tmp_path)
    rig.sealed_call(200)
    rig.publish()
    for number in range(1003):
        (rig.vault / "2026/11/24" / f"{number:05d}").write_bytes(b"")
    capsys.readouterr()
    assert main(["verify", str(rig.vault), "--signers", str(rig.signers_file)]) == 1
    found = lines(capsys)
    assert len(found) < 1010
    assert f"ok   {CALL_ID}" in found
    assert "BAD  days: 3 more beside the calls do not belong into a vault [more]" in found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Keeper:
    folder, run_dir = tmp_path_factory.mktemp("unit"), tmp_path_factory.mktemp("run")
    (run_dir / "commands").mkdir(exist_ok=True)
    return keeper_of(folder, run_dir)


@pytest.mark.parametrize(
    ("pattern", "namespace"),
    [
        ("20*/*/*/*/record.json", namespaces.RECORD),
        ("log/head.json", namespaces.HEAD),
        ("holds/*/hold.json", namespaces.HOLD),
        ("certificates/*.json", "linetap-certificate"),
        ("walks/*.json", namespaces.WALK),
        ("roles.json", "linetap-roles"),
    ],
)
def test_a_text_that_is_too_deep(
    made: Keeper, pattern: str, namespace: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Signed by a stranger, so that it is read."""
    signers = Whole(made.vault, made.vault.parent / "allowed_signers").signers_file
    path = next(made.vault.glob(pattern))
    sig = path.with_name(f"{path.name}.sig")
    before = path.read_bytes(), sig.read_bytes()
    path.write_bytes(DEEP)
    sig.write_text(sshsig.sign(DEEP, keys.new_unit_key(), namespace))
    try:
        assert main(["verify", str(made.vault), "--signers", str(signers)]) == 1
        assert lines(capsys)[-1].endswith("good")
    finally:
        path.write_bytes(before[0])
        sig.write_bytes(before[1])


def test_an_event_that_is_too_deep(made: Keeper, capsys: pytest.CaptureFixture[str]) -> None:
    path = next((made.vault / outbox.FOLDER).glob("*.events"))
    before = path.read_bytes()
    frame = next(iter(outboxfiles.scan(before)))
    path.write_bytes(outboxfiles.encode(outboxfiles.Entry(frame.entry.seq, DEEP.decode(), frame.entry.sig)))
    try:
        assert main(["verify", str(made.vault), "--signers", str(made.vault.parent / "allowed_signers")]) == 1
        assert "[outbox_damaged]" in "\n".join(lines(capsys))
    finally:
        path.write_bytes(before)


def test_a_record_that_wants_the_whole_store(tmp_path: Path) -> None:
    """A unit's key signs a record with a terabyte of audio: the desk does not fetch it."""
    rig = Rig.make(tmp_path)
    said = msgspec.json.decode((rig.sealed_call(200) / sealed.RECORD).read_bytes())
    for samples in (1 << 40, -1):
        said["audio"]["parts"][0]["samples"] = samples
        data = msgspec.json.encode(said)
        with pytest.raises(Damaged, match="more audio than a day has"):
            read_record(data, Call(UNIT, CALL_ID, hashlib.sha256(data).hexdigest()))
