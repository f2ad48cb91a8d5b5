# SPDX-License-Identifier: Apache-2.0
"""A time that its zone moves outside the possible years: signing or sending it ends no service and no check."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import msgspec
import pytest

from ingest_rig import UNIT as FLOOR
from ingest_rig import Teller, rows, trusted
from linetap_core.cli import main
from linetap_core.clock import ManualClock, parse_rfc3339, rfc3339
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.merklelog import unitlog
from linetap_core.evidence.merklelog.unitlog import HEAD
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_core.evidence.signing.signers import Signer
from linetap_core.evidence.signing.sshsig import unarmored
from linetap_core.records import NoticeRecord
from linetap_desk.copy.incoming import Call, read_record
from linetap_desk.ingest import database, judge, tables
from linetap_desk.ingest.heads import HeadReport
from linetap_desk.ingest.judge import Event, EventVerdict, Report
from linetap_desk.ingest.store import Store
from linetap_desk.proofs import callfolder
from linetap_desk.proofs.callfolder import Damaged
from linetap_desk.vaultproofs.verifyvault import verify_vault
from sealing_rig import CALL_ID, UNIT, Rig, noise, record

RECEIVED_NS = 1_795_000_000 * 10**9
strange = pytest.mark.parametrize("at", ["9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59"])


@strange
def test_an_event_does_not_end_the_desks_ingest(tmp_path: Path, at: str) -> None:
    """By a stranger's key, and by the unit's own: the event is stored with its time of arrival."""
    teller, stranger = Teller(tmp_path / "unit"), Teller(tmp_path / "stranger")
    for each in (teller, stranger):
        each.call(0)
        payload = json.dumps(json.loads(each.reports(1, 1)[0].payload) | {"at": at}).encode()
        found = judge.judge_event(Report(FLOOR, payload, unarmored(each.sign(payload)), RECEIVED_NS), trusted(teller))
        if each is teller:
            assert isinstance(found, Event)
            assert found.at_ns == RECEIVED_NS
        else:
            assert isinstance(found, EventVerdict)
            assert found.code == "signer_not_trusted"


@pytest.mark.parametrize("size", [1 << 62, 1 << 63, 1 << 80], ids=hex)
def test_a_log_of_more_leaves_than_can_be_counted(tmp_path: Path, size: int) -> None:
    """The unit's own key has signed the head: it is set aside, and the desk continues with the next."""
    teller, engine = Teller(tmp_path / "unit"), database.open_writer(f"sqlite:///{tmp_path / 'desk.db'}")
    said = {"unit": FLOOR, "size": size, "root": "0" * 64, "at": rfc3339(RECEIVED_NS), "origin": teller.origin}
    data = json.dumps(said, separators=(",", ":")).encode()
    report = HeadReport(FLOOR, data, unarmored(sshsig.sign(data, teller.key, namespaces.HEAD)), RECEIVED_NS)
    teller.call(0)
    Store(engine).write([report, *teller.reports(1, 1)], trusted(teller))
    assert [row["code"] for row in rows(engine, tables.set_aside)] == ["bad_head"]
    assert len(rows(engine, tables.events)) == 1
    engine.dispose()


@pytest.mark.parametrize("error", [OverflowError("x"), ValueError("x"), KeyError("x"), RecursionError(), TypeError()])
def test_what_nobody_has_thought_of_is_set_aside(
    tmp_path: Path, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An event of one unit; the next unit's event is stored by the same service."""
    teller, other = Teller(tmp_path / "unit"), Teller(tmp_path / "other", unit="floor-04")
    engine = database.open_writer(f"sqlite:///{tmp_path / 'desk.db'}")
    honest = judge.judge_event

    def read(report: Report, signers: list[Signer]) -> Event | EventVerdict:
        if report.unit == FLOOR:
            raise error
        return honest(report, signers)

    monkeypatch.setattr(judge, "judge_event", read)
    for each in (teller, other):
        each.call(0)
    Store(engine).write([*teller.reports(1, 1), *other.reports(1, 1)], trusted(teller, other))
    assert [(row["unit"], row["code"]) for row in rows(engine, tables.set_aside)] == [(FLOOR, "not_storable")]
    assert [row["unit"] for row in rows(engine, tables.events)] == ["floor-04"]
    engine.dispose()


@pytest.mark.parametrize("until", ["soon", "2027-01-01", "9999-12-31T23:59:59-23:59", ""])
def test_a_copy_that_is_to_be_kept_until_no_time(tmp_path: Path, until: str) -> None:
    """The unit's own key has signed the record: no copy of it is fetched, and those of other units are."""
    rig = Rig.make(tmp_path)
    said = msgspec.json.decode((rig.sealed_call(200) / sealed.RECORD).read_bytes())
    said["retention"]["until"] = until
    data = msgspec.json.encode(said)
    with pytest.raises(Damaged, match="until"):
        read_record(data, Call(UNIT, CALL_ID, hashlib.sha256(data).hexdigest()))


@strange
def test_a_head_is_none(tmp_path: Path, at: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Signed with the unit's stolen key: the vault is checked completely, and a line states the error."""
    rig = Rig.make(tmp_path)
    rig.sealed_call(200)
    rig.publish()
    path = rig.vault / "log" / HEAD
    data = path.read_bytes()
    head = unitlog.decode_head(data)
    data = data.replace(head.at.encode(), at.encode())
    path.write_bytes(data)
    path.with_name(HEAD + namespaces.SUFFIX).write_text(sshsig.sign(data, rig.unit_key, namespaces.HEAD))
    assert main(["verify", str(rig.vault), "--signers", str(rig.signers_file)]) == 1
    out = capsys.readouterr().out
    assert f"ok   {CALL_ID}\n" in out
    assert f"BAD  log: not a tree head: '{at}' is before 1970 or after 9999 in UTC [bad_head]\n" in out


@pytest.mark.parametrize("at", ["9999-12-31T23:59:59Z", "", "soon"])
def test_a_report_of_such_times(tmp_path: Path, at: str, capsys: pytest.CaptureFixture[str]) -> None:
    """In a record signed by the unit's own key: a bundle of it is made, and checked completely."""
    rig = Rig.make(tmp_path)
    folder = rig.create()
    folder.write(noise(200))
    notice = NoticeRecord(id="hall", started_at=at, ended_at=at)
    folder.seal(msgspec.structs.replace(record(200), ended_at=at, notice=notice), rig.sign)
    rig.publish()
    words = ["--signers", str(rig.signers_file)]
    assert main(["bundle", str(folder.path), *words, "--case", "2026-117", "-o", str(tmp_path / "case.zip")]) == 0
    capsys.readouterr()
    assert main(["verify", str(tmp_path / "case.zip"), *words]) == 0
    assert f"ok   {CALL_ID}\n" in capsys.readouterr().out


def test_a_vault_at_the_end_of_all_years(tmp_path: Path) -> None:
    """Its head is in the last year, and its log has a segment of the index that ends with a day: there is
    no next day.
    """
    rig = Rig.make(tmp_path)
    rig.sealed_call(200)
    log = rig.log()
    log.append("index", file="2027-01-24/2026-11-24-001.age", sha256="0" * 64, call_id=CALL_ID)
    log.publish()
    log.close()
    path = rig.vault / "log" / HEAD
    data = path.read_bytes()
    data = data.replace(unitlog.decode_head(data).at.encode(), b"9999-12-31T23:59:59.999Z")
    path.write_bytes(data)
    path.with_name(HEAD + namespaces.SUFFIX).write_text(sshsig.sign(data, rig.unit_key, namespaces.HEAD))
    assert main(["verify", str(rig.vault), "--signers", str(rig.signers_file)]) in (0, 1)  # by the year of this test
    clock = ManualClock(parse_rfc3339("9999-12-31T23:59:59.000Z"))
    verdicts = verify_vault(rig.vault, callfolder.load_signers(rig.signers_file), clock=clock)
    assert [problem.code for verdict in verdicts for problem in verdict.problems] == ["kept_late"]
