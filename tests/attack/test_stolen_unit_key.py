# SPDX-License-Identifier: Apache-2.0
"""An attacker with only a unit's key and its vault: the forgeries must not verify under a policy.

Each attack is undetected without witnesses, which each test shows first.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from linetap_core.cli import main
from linetap_core.evidence.keys import keys
from linetap_core.evidence.keys.p256 import P256Key
from linetap_core.evidence.merklelog.merkle import Tree
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_core.evidence.witness import checkpoint, note
from linetap_core.evidence.witness.note import Note
from linetap_core.records import NoticeRecord
from sealing_rig import UNIT, Rig, noise, record
from witness_rig import name_keeper
from witnessed_rig import Site, site

FIRST, SECOND = "20261124T225600.123Z-L03", "20261125T090000.000Z-L01"
FORGED = "20261125T100000.000Z-L02"  # dated three days before it is made
LATER = "2026-11-28T10:00:00.000Z"


@pytest.fixture
def unit(tmp_path: Path) -> Iterator[Site]:
    """Two honest calls, each sent to the witnesses within the hour."""
    with site(tmp_path, "2026-11-24T23:10:00.000Z") as made:
        made.call(FIRST, "2026-11-24T22:57:00.000Z")
        assert made.carry() == 0
        made.at("2026-11-25T09:30:00.000Z")
        made.call(SECOND, "2026-11-25T09:01:00.000Z")
        assert made.carry() == 0
        yield made


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out


def test_an_honest_vault_is_good_and_says_by_how_many(unit: Site, capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys)
    assert unit.verify() == 0
    line = f"ok   witness of {UNIT}: witnessed by 2 of 2, 2 leaves at 2026-11-25T09:30:00.000Z\n4 checked, 4 good\n"
    assert said(capsys).endswith(line)
    assert unit.verify(policy=False) == 0
    assert said(capsys).endswith(f"?    witness of {UNIT}: not witnessed (no --policy)\n3 checked, 3 good\n")


@pytest.mark.parametrize("logged_at", ["2026-11-25T10:01:00.000Z", LATER])
def test_a_backdated_call(unit: Site, logged_at: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Whether the leaf is forged too or only the record: the first checkpoint that covers it is days younger."""
    unit.at(LATER)
    unit.call(FORGED, logged_at)
    assert unit.verify(policy=False) == 0
    assert unit.verify() == 1
    assert f"BAD  {FORGED}: not witnessed [not_witnessed]" in said(capsys)
    assert unit.carry() == 0, "the desk carries what the unit's key has signed"
    assert unit.verify() == 1
    assert "[witnessed_late]" in said(capsys)


def test_within_the_policys_day_the_verdict_says_how_far_back(
    unit: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is valid, like an honest one that waited for a connection; the verdict states the possible range."""
    monkeypatch.setenv("HOME", str(unit.root / "home"))
    unit.at("2026-11-26T03:00:00.000Z")
    call = unit.call(FORGED, "2026-11-25T10:01:00.000Z")
    assert unit.carry() == 0
    said(capsys)
    note = "first witnessed 17.0 h after its stated end; with the unit's key a call could be backdated so far\n"
    assert unit.verify() == 0
    told = said(capsys)
    assert told.count("first witnessed") == 1, "the honest ones were seen within the hour"
    assert f"?    {FORGED}: {note}" in told
    rules = ["--signers", str(unit.rig.signers_file), f"--policy={unit.root / 'policy'}"]
    heads = f"--heads={unit.heads}"
    assert main(["verify", str(call), *rules, heads]) == 0
    assert note in said(capsys)
    output = unit.root / "inner.age"
    assert main(["unwrap", str(call), "--identity", str(unit.rig.epoch_file), *rules, heads, "-o", str(output)]) == 0
    assert "first witnessed 17.0 h after" in capsys.readouterr().err
    both = ["--identity", str(unit.rig.epoch_file), "--identity", str(unit.rig.custodian_files[0])]
    assert main(["open", str(call), *both, *rules, heads, "-o", str(unit.root / "call.wav")]) == 0
    assert note in capsys.readouterr().err, "who listens to it is told, too"
    assert main(["bundle", str(call), *rules, heads, "-o", str(unit.root / "case.zip")]) == 0
    said(capsys)
    assert main(["verify", str(unit.root / "case.zip"), *rules]) == 0
    assert f"{FORGED}: {note}" in said(capsys)


@pytest.mark.parametrize(
    ("times", "code"),
    [
        ({"answered_at": "2026-11-25T10:00:05.000Z", "ended_at": "2026-11-25T10:01:00.000Z"}, "witnessed_late"),
        ({"ring_at": "2026-11-25T10:00:00.000Z"}, "witnessed_late"),
        ({"notice": NoticeRecord(id="hall", started_at="2026-11-25T10:00:06.000Z")}, "witnessed_late"),
        ({"ended_at": "2026-12-25T10:00:00.000Z"}, "dated_ahead"),
        ({"answered_at": "in March"}, "not_witnessed"),
    ],
    ids=["answered and ended", "rang", "announced", "ended to come", "no time"],
)
def test_a_call_of_today_whose_record_says_another_day(
    unit: Site, times: dict[str, Any], code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its name and its close are of the hour of the forgery; a report would show another date."""
    unit.at(LATER)
    call_id = "20261128T095500.000Z-L02"
    folder = unit.rig.create(call_id)
    folder.write(noise(200))
    folder.seal(msgspec.structs.replace(record(200, call_id), **times), unit.rig.sign)
    log = unit.log("2026-11-28T09:56:00.000Z")
    log.close_call(call_id)
    log.publish()
    log.close()
    assert unit.carry() == 0
    assert unit.verify() == 1
    assert f"[{code}]" in said(capsys)
    words = [f"--policy={unit.root / 'policy'}", f"--heads={unit.heads}"]
    assert main(["verify", str(folder.path), "--signers", str(unit.rig.signers_file), *words]) == 1
    assert f"[{code}]" in said(capsys)


def test_a_call_put_between_two_others(unit: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """The log is rewritten, so that the forged call is in the place of its date."""
    shutil.rmtree(unit.rig.vault / "log")
    for path in sorted(unit.rig.vault.glob("20*/*/*/*")):
        shutil.rmtree(path)
    for call_id, at in ((FIRST, "2026-11-24T22:57:00.000Z"), ("20261125T080000.000Z-L02", "2026-11-25T08:01:00.000Z")):
        unit.call(call_id, at)
    unit.call(SECOND, "2026-11-25T09:01:00.000Z")
    assert unit.verify(policy=False) == 0
    assert unit.carry() == 1
    assert "[fork]" in said(capsys)
    assert unit.verify() == 1
    assert "[forked]" in said(capsys)


def test_a_call_of_tomorrow(unit: Site, capsys: pytest.CaptureFixture[str]) -> None:
    unit.call("20261201T100000.000Z-L02", "2026-12-01T10:01:00.000Z")
    assert unit.carry() == 0
    assert unit.verify(policy=False) == 0
    assert unit.verify() == 1
    assert "[dated_ahead]" in said(capsys)


def destroy(unit: Site, call_id: str, at: str) -> None:
    log = unit.log(at)
    log.append("destruction", call_id=call_id, line=3, at=at)
    log.publish()
    log.close()
    shutil.rmtree(next(unit.rig.vault.glob(f"20*/*/*/{call_id}")))


def test_an_early_destruction(unit: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """It claims to have been done at the call's time, a year from now."""
    destroy(unit, FIRST, "2027-11-24T15:00:01.000Z")
    assert unit.verify() == 1
    assert f"{FIRST}: its destruction is not witnessed [not_witnessed]" in said(capsys)
    assert unit.carry() == 0
    assert unit.verify() == 1
    assert f"witness of {UNIT}" in (out := said(capsys))
    assert "[destroyed_ahead]" in out


def test_a_destruction_in_its_time_is_good(unit: Site) -> None:
    unit.at("2027-11-24T15:10:00.000Z")
    destroy(unit, FIRST, "2027-11-24T15:00:01.000Z")
    assert unit.carry() == 0
    assert unit.verify() == 0


def test_a_log_that_was_cut_back(unit: Site, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(unit.rig.vault / "log")
    shutil.rmtree(next(unit.rig.vault.glob(f"20*/*/*/{SECOND}")))
    log = unit.log("2026-11-24T22:57:00.000Z")
    log.publish()
    log.close()
    assert unit.verify(policy=False) == 0
    assert unit.verify() == 1
    assert "[rolled_back]" in said(capsys)


def test_heads_that_were_thinned_out_make_calls_younger(unit: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """Hiding a checkpoint gains nothing: the first remaining one has a later time."""
    unit.at(LATER)
    unit.call("20261128T095500.000Z-L02", LATER)
    assert unit.carry() == 0
    assert unit.verify() == 0
    for size in (1, 2):
        (unit.heads / UNIT / f"{size:09d}.checkpoint").unlink()
    assert unit.verify() == 1
    assert said(capsys).count("[witnessed_late]") == 2
    shutil.rmtree(unit.heads / UNIT)
    assert unit.verify() == 1
    assert said(capsys).count("not witnessed [not_witnessed]") == 4


def test_a_checkpoint_that_the_units_own_key_has_signed(unit: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """Even one cosigned by real witnesses, under the name of a log that is not the unit's."""
    tree = Tree()
    tree.append_all((unit.rig.vault / "log" / "leaves.jsonl").read_bytes().splitlines())
    key = unit.rig.unit_key
    assert isinstance(key, Ed25519PrivateKey)
    own = checkpoint.signed(checkpoint.Checkpoint(checkpoint.sigsum_origin(key.public_key()), 2, tree.root()), key)
    (unit.heads / UNIT / "000000002.checkpoint").write_bytes(own.encode())
    assert unit.verify() == 1
    assert "[other_log]" in said(capsys)


def test_cosignatures_that_the_thief_makes(unit: Site, capsys: pytest.CaptureFixture[str]) -> None:
    path = unit.heads / UNIT / "000000002.checkpoint"
    good = note.parse(path.read_bytes())
    thief = keys.new_unit_key()
    fake = [checkpoint.cosign(good.text, line.name, thief, 1_795_599_000) for line in good.lines[1:]]
    path.write_bytes(Note(good.text, (good.lines[0], *fake)).encode())
    assert unit.verify() == 1, "a witness's name over the thief's key counts for nobody"
    assert f"{SECOND}: not witnessed" in said(capsys)
    stolen = [
        note.Line(line.name, line.key_id, made.signature) for line, made in zip(good.lines[1:], fake, strict=True)
    ]
    path.write_bytes(Note(good.text, (good.lines[0], *stolen)).encode())
    assert unit.verify() == 1
    assert "[note_signature]" in said(capsys)


def test_a_key_in_hardware_has_witnesses_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A unit's key of P-256 can sign no checkpoint; the keeper of its log does, and the backdated call is found."""
    key = P256Key(ec.generate_private_key(ec.SECP256R1()))
    monkeypatch.setattr(Rig, "sign", lambda _, data: sshsig.sign(data, key, namespaces.RECORD))
    with site(tmp_path, "2026-11-24T23:10:00.000Z") as made:
        keeper = made.rig.signers_file.read_text().splitlines()[1]
        made.rig.signers_file.write_text(f"{UNIT} {keys.public_line(key.public_key())}\n{keeper}\n")
        object.__setattr__(made.rig, "unit_key", key)
        made.call(FIRST, "2026-11-24T22:57:00.000Z")
        assert made.carry() == 0
        assert made.verify() == 0
        made.at(LATER)
        made.call(FORGED, LATER)
        assert made.carry() == 0
        capsys.readouterr()
        assert made.verify() == 1
        assert "[witnessed_late]" in said(capsys)


def test_a_key_that_signs_records_keeps_no_log(unit: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """For any added line of the signers' file."""
    key = unit.rig.unit_key
    assert isinstance(key, Ed25519PrivateKey)
    name_keeper(unit.rig.signers_file, UNIT, key.public_key())
    tree = Tree()
    tree.append_all((unit.rig.vault / "log" / "leaves.jsonl").read_bytes().splitlines())
    own = checkpoint.signed(checkpoint.Checkpoint(checkpoint.sigsum_origin(key.public_key()), 2, tree.root()), key)
    (unit.heads / UNIT / "000000002.checkpoint").write_bytes(own.encode())
    assert unit.verify() == 1
    assert "[other_log]" in said(capsys)


def test_one_witness_of_two_is_no_quorum(unit: Site, capsys: pytest.CaptureFixture[str]) -> None:
    path = unit.heads / UNIT / "000000002.checkpoint"
    good = note.parse(path.read_bytes())
    path.write_bytes(Note(good.text, good.lines[:2]).encode())
    assert unit.verify() == 1
    assert f"BAD  {SECOND}: not witnessed [not_witnessed]" in said(capsys)
