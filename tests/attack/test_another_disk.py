# SPDX-License-Identifier: Apache-2.0
"""A thief of a unit's key, or of its disk of yesterday, starts a vault or a log: it is detected and hides nothing."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from ingest_rig import START_NS, UNIT, Teller, rows, trusted
from linetap.recorder.vault.log.log import UnitLog
from linetap_core.cli import main
from linetap_core.clock import NS_PER_S, ManualClock, parse_rfc3339, rfc3339
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.keys import keys
from linetap_core.evidence.merklelog import unitlog
from linetap_core.evidence.merklelog.leaflog import LEAVES
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_core.evidence.signing.sshsig import unarmored
from linetap_core.vaultformat import vaultname
from linetap_desk.ingest import database, tables
from linetap_desk.ingest.heads import HeadReport
from linetap_desk.ingest.store import Store
from linetap_desk.proofs import callfolder
from linetap_desk.vaultproofs import verifyvault
from linetap_desk.witnessing import signedheads
from sealing_rig import CALL_ID, NOW, Rig, noise, record
from sealing_rig import UNIT as SEALED

OLD, NEW, THIEFS = "0000100000000001", "0000200000000002", "0000300000000003"


def test_a_thief_of_the_key_makes_a_vault_and_takes_nothing_from_the_units(tmp_path: Path) -> None:
    """Both are accepted, each new vault raises an alert, and the unit's own events stay unchanged."""
    engine = database.open_writer(f"sqlite:///{tmp_path / 'desk.db'}")
    store, key = Store(engine), keys.new_unit_key()
    own, thief = Teller(tmp_path / "own", key=key, vault=OLD), Teller(tmp_path / "thief", key=key, vault=THIEFS)
    own.call(1)
    store.write(own.reports(), trusted(own))
    before = rows(engine, tables.events)
    thief.call(2)
    store.write(thief.reports(late_s=60), trusted(own))
    own.tell("started", 3, at=rfc3339(START_NS + 3600 * NS_PER_S))
    store.write(own.reports(), trusted(own))
    thief.tell("started", 4, at=rfc3339(START_NS + 7200 * NS_PER_S))
    store.write(thief.reports(), trusted(own))
    assert [row for row in rows(engine, tables.events) if row in before] == before
    assert {row["code"] for row in rows(engine, tables.alerts)} == {"vault_new", "vault_back", "vault_clone"}
    assert all(row["ended_at"] is None for row in rows(engine, tables.alerts))
    engine.dispose()


def test_an_event_that_is_reported_again_is_no_old_disk(tmp_path: Path) -> None:
    """A broker or an eavesdropper replays an old vault's messages."""
    engine = database.open_writer(f"sqlite:///{tmp_path / 'desk.db'}")
    store, key = Store(engine), keys.new_unit_key()
    old, new = Teller(tmp_path / "old", key=key, vault=OLD), Teller(tmp_path / "new", key=key, vault=NEW)
    old.call(1)
    new.call(2)
    for reports in (old.reports(), new.reports(late_s=60), old.reports(late_s=9000)):
        store.write(reports, trusted(old))
    assert [row["code"] for row in rows(engine, tables.alerts)] == ["vault_new"]
    assert store.reached() == [((UNIT, f"{new.origin} {NEW}"), new.outbox.last_seq)]
    engine.dispose()


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    rig = Rig.make(tmp_path)
    folder = rig.create(CALL_ID)
    folder.write(noise(1000))
    folder.seal(record(1000), rig.sign)
    log = unit_log(rig)
    log.append("open", call_id=CALL_ID, line=3)
    log.close_call(CALL_ID)
    log.append("heartbeat")
    log.publish()
    log.close()
    return rig


def unit_log(rig: Rig) -> UnitLog:
    return UnitLog(rig.vault, SEALED, rig.unit_key, ManualClock(parse_rfc3339(NOW)))


def changed(rig: Rig) -> None:
    """Changes the vault like somebody with the disk and without the key."""
    path = rig.vault / "log" / LEAVES
    path.write_bytes(path.read_bytes().replace(b'"line":3', b'"line":2'))


def test_a_changed_leaf_is_in_every_verdict_for_as_long_as_it_is_there(rig: Rig) -> None:
    changed(rig)
    log = unit_log(rig)
    log.publish()
    log.close()
    problems = [
        (verdict.name.split(" ")[0], problem.code)
        for verdict in verifyvault.verify_vault(rig.vault, callfolder.load_signers(rig.signers_file))
        for problem in verdict.problems
    ]
    assert ("log.before-1", "log_set_aside") in problems
    assert ("log.before-1", "log_root") in problems
    assert main(["verify", str(rig.vault), "--signers", str(rig.signers_file)]) == 1
    shutil.move(rig.vault / "log.before-1", rig.root / "kept")
    assert main(["verify", str(rig.vault), "--signers", str(rig.signers_file)]) == 0


def test_a_call_that_went_with_the_old_log_is_missed(rig: Rig) -> None:
    """Damaging the log that contains a call does not hide the call."""
    changed(rig)
    shutil.rmtree(rig.vault / sealed.call_path(CALL_ID))
    log = unit_log(rig)
    log.publish()
    log.close()
    verdicts = [*verifyvault.verify_vault(rig.vault, callfolder.load_signers(rig.signers_file))]
    assert ("missing_call", True) in [(p.code, CALL_ID in p.text) for v in verdicts for p in v.problems]


@pytest.mark.parametrize("cut_after", [0, 1, 2, 3])
def test_no_witness_takes_a_log_that_began_anew_by_itself(
    rig: Rig, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, cut_after: int
) -> None:
    """A compromised unit would start a clean log, and have it cosigned within the hour. A crash while the witness sets
    the head of the earlier log aside takes no signature from it.
    """
    desk = rig.root / "desk"
    (desk / "heads").mkdir(parents=True)
    key = keys.new_unit_key()
    (desk / "witness.key").write_bytes(keys.unit_key_file(key))
    with rig.signers_file.open("a") as file:
        file.write(f"witness {keys.public_line(key.public_key())}\n")
    command = ["witness", "--state", desk / "seen.json", "--key", desk / "witness.key", "--signers", rig.signers_file,
               "-o", desk / "heads", "--log", rig.vault / "log"]  # fmt: skip
    assert main([*map(str, command)]) == 0
    old = (desk / "heads" / f"{SEALED}.json").read_bytes()
    shutil.rmtree(rig.vault / "log")
    (rig.vault / "log.before-1").mkdir()
    (rig.vault / "log.before-1" / LEAVES).touch()
    log = unit_log(rig)
    log.publish()
    log.close()
    assert main([*map(str, command)]) == 1
    assert f"--new-log {log.name} accepts it [new_log]" in capsys.readouterr().out
    with monkeypatch.context() as crash:
        crash.setattr(Path, "rename", ends_after(cut_after))
        assert (main([*map(str, command), "--new-log", log.name]) == 0) == (cut_after == 3)
    assert main([*map(str, command), "--new-log", log.name]) == 0
    witness = desk / "heads" / f"{SEALED}.first.json"
    assert witness.read_bytes() == old
    assert signedheads.read_cosigned(witness, callfolder.load_signers(rig.signers_file)).log == ""
    codes = [problem.code for verdict in verifyvault.verify_vault(
        rig.vault, callfolder.load_signers(rig.signers_file), witness) for problem in verdict.problems]  # fmt: skip
    assert "witness_log" in codes


def test_no_head_is_written_outside_the_witnesss_folder(
    rig: Rig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A signers' file that names one key for all units lets it sign for any name."""
    line = keys.public_line(rig.unit_key.public_key())
    rig.signers_file.write_text(f"* {line}\n")
    (rig.root / "witness.key").write_bytes(keys.unit_key_file(keys.new_unit_key()))
    (rig.root / "heads").mkdir()
    log = unit_log(rig)
    log.publish()
    log.close()
    head = unitlog.decode_head((rig.vault / "log/head.json").read_bytes())
    data = unitlog.encode_head(msgspec.structs.replace(head, unit="../outside"))
    (tmp_path / "head.json").write_bytes(data)
    (tmp_path / "head.json.sig").write_text(rig.sign_head(data))
    command = ["witness", "--state", rig.root / "seen.json", "--key", rig.root / "witness.key",
               "--signers", rig.signers_file, "-o", rig.root / "heads", "--log", tmp_path / "head.json"]  # fmt: skip
    assert main([*map(str, command)]) == 1
    assert "is the name of no unit [bad_head]" in capsys.readouterr().out
    assert not (rig.root / "outside.json").exists()


def ends_after(count: int) -> Callable[[Path, Path], Path]:
    """A rename that fails after so many of the earlier log's files."""
    rename, done = Path.rename, list[Path]()

    def renamed(path: Path, to: Path) -> Path:
        if ".first." in to.name:
            if len(done) == count:
                raise OSError(errno.EIO, "the power is cut here")
            done.append(to)
        return rename(path, to)

    return renamed


def test_the_desk_sees_that_another_log_began(tmp_path: Path) -> None:
    engine = database.open_writer(f"sqlite:///{tmp_path / 'desk.db'}")
    store, own = Store(engine), Teller(tmp_path / "own", vault=OLD)

    def head(log: str, size: int) -> HeadReport:
        data = unitlog.encode_head(
            unitlog.Head(unit=UNIT, size=size, root="ab" * 32, at=rfc3339(START_NS), origin=own.origin, log=log)
        )
        return HeadReport(UNIT, data, unarmored(sshsig.sign(data, own.key, namespaces.HEAD)), START_NS)

    store.write([head(OLD, 100), head(OLD, 120), head(NEW, 3)], trusted(own))
    assert [row["code"] for row in rows(engine, tables.alerts)] == ["log_begun"], "and no rollback"
    assert [(row["log"], row["size"]) for row in rows(engine, tables.heads)] == [(OLD, 120), (NEW, 3)]
    engine.dispose()


def test_the_document_of_another_key_names_no_vault(rig: Rig) -> None:
    thief = keys.new_unit_key()
    document = vaultname.VaultDocument(unit=SEALED, origin=keys.fingerprint(thief.public_key()), vault=NEW, made_at=NOW)
    data = vaultname.encode(document)
    (rig.vault / "vault.json").write_bytes(data)
    (rig.vault / "vault.json.sig").write_text(sshsig.sign(data, thief, namespaces.HEAD))
    found = [problem for verdict in verifyvault.verify_vault(rig.vault, callfolder.load_signers(rig.signers_file))
             for problem in verdict.problems]  # fmt: skip
    assert any("vault.json" in problem.text for problem in found), json.dumps([p.text for p in found])
