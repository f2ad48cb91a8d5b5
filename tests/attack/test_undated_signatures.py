# SPDX-License-Identifier: Apache-2.0
"""Signatures of a unit whose clock is at 1970: an honest one is never called a forger because of them, and an expired
key proves nothing by backdating.
"""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bundle_rig import CHECKER
from ingest_rig import START_NS, Teller, rows
from linetap.recorder.vault.log.log import UnitLog
from linetap_core.cli import main
from linetap_core.clock import ManualClock, parse_rfc3339
from linetap_core.evidence.calls import amendment, sealed
from linetap_core.evidence.calls.amendment import Amendment
from linetap_core.evidence.keys import keys
from linetap_core.evidence.merklelog import unitlog
from linetap_core.evidence.signing import namespaces, signers, sshsig
from linetap_core.evidence.signing.sshsig import unarmored
from linetap_desk.ingest import database, judge, tables
from linetap_desk.ingest.heads import HeadReport
from linetap_desk.ingest.judge import Event, EventVerdict
from linetap_desk.ingest.store import Store
from linetap_desk.proofs.verifycall import undated_note
from linetap_desk.vaultproofs.logclaims import LogClaims
from linetap_desk.vaultproofs.outbox import OutboxCheck
from sealing_rig import TIMEOUT_S, UNIT, Rig
from witnessed_rig import site

CALL = "19700101T000040.000Z-L03"
STOOD = "1970-01-01T00:01:00.000Z"
COUNTS = 'valid-after="20260102Z"'  # valid today
HAS_ENDED = 'valid-after="20260102Z",valid-before="20260601Z"'
NEVER_AFTER = 'valid-before="20260601Z"'  # 1970 was before its end: the trap
IN_TIME, TOO_LATE = "2026-03-01T00:00:00.000Z", "2026-07-01T00:00:00.000Z"


def closet(rig: Rig) -> None:
    """A vault with one call, whose unit has never had another time."""
    rig.sealed_call(200, CALL)
    log = UnitLog(rig.vault, UNIT, rig.unit_key, ManualClock(parse_rfc3339(STOOD)))
    log.close_call(CALL)
    log.publish()
    log.close()


def named(rig: Rig, options: str) -> None:
    rig.signers_file.write_text(f"{UNIT} {options} {keys.public_line(rig.unit_key.public_key())}\n")


def verify(rig: Rig, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    code = main(["verify", str(rig.vault), "--signers", str(rig.signers_file)])
    return code, capsys.readouterr().out


def stock(rig: Rig, *more: str) -> bool:
    words = ["-Y", "verify", "-f", str(rig.signers_file), "-I", UNIT, "-n", namespaces.RECORD]
    path = rig.vault / sealed.call_path(CALL)
    done = subprocess.run(
        ["ssh-keygen", *words, "-s", str(path / sealed.SIGNATURE), *more],
        input=(path / sealed.RECORD).read_bytes(), capture_output=True, timeout=TIMEOUT_S, check=False,
    )  # fmt: skip
    return done.returncode == 0


def test_an_honest_unit_that_has_never_had_a_clock(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """ssh-keygen refuses it at its own time, and accepts it at the caller's: so do we, and report it."""
    rig = Rig.make(tmp_path)
    closet(rig)
    named(rig, COUNTS)
    assert not stock(rig, "-Overify-time=19700101000040Z")
    assert stock(rig)
    code, out = verify(rig, capsys)
    assert (code, "BAD" in out) == (0, False)
    assert f"?    {CALL}: {undated_note(datetime(1970, 1, 1, 0, 0, 40, tzinfo=UTC))}\n" in out
    assert "?    log of closet-3f, 1 leaves: its clock stood at 1970-01-01T00:01:00Z, and its time is unknown" in out
    assert out.endswith("2 checked, 2 good\n")


@pytest.mark.parametrize("options", [HAS_ENDED, NEVER_AFTER])
def test_a_key_that_has_ended_and_says_1970(tmp_path: Path, options: str, capsys: pytest.CaptureFixture[str]) -> None:
    """An honest unit whose key has since changed looks the same: the result is neither good nor bad."""
    rig = Rig.make(tmp_path)
    closet(rig)
    named(rig, options)
    assert not stock(rig)
    code, out = verify(rig, capsys)
    assert (code, "BAD" in out, "ok  " in out) == (1, False, False)
    assert out.count("[signer_undated]") == 2
    assert out.endswith("2 checked, 0 good\n")


@pytest.mark.parametrize("at", [IN_TIME, TOO_LATE])
def test_witnesses_say_when_it_was(tmp_path: Path, at: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Cosigned while the key was valid, it is proved; cosigned after its end, it is not."""
    rig = Rig.make(tmp_path)
    with site(tmp_path, at, rig) as there:
        closet(rig)
        assert there.carry() == 0
        key = keys.public_line(rig.unit_key.public_key())
        rig.signers_file.write_text(rig.signers_file.read_text().replace(f"{UNIT} {key}", f"{UNIT} {HAS_ENDED} {key}"))
        capsys.readouterr()
        code = there.verify()
    out = capsys.readouterr().out
    assert "BAD" not in out
    if at == IN_TIME:
        assert code == 0, out
        assert out.count("witnesses had it at 2026-03-01T00:00:00Z, and its key is judged as of then") == 2
    else:
        assert code == 1
        assert out.count("[signer_undated]") == 2


def amend(rig: Rig, began_at: str) -> None:
    data = (rig.vault / sealed.call_path(CALL) / sealed.RECORD).read_bytes()
    document = amendment.encode(Amendment(
        suite=amendment.SUITE, unit=UNIT, call_id=CALL, number=1, record_sha256=amendment.digest(data),
        began_at=began_at, ended_at=began_at, uncertainty_s=40, until="2027-01-20T15:00:00.000Z", made_at=began_at,
    ))  # fmt: skip
    place = rig.vault / amendment.FOLDER / amendment.name(CALL, 1)
    place.parent.mkdir()
    place.write_bytes(document)
    place.with_name(place.name + namespaces.SUFFIX).write_text(rig.sign(document))


@pytest.mark.parametrize(
    ("options", "amended", "good"),
    [(COUNTS, "", True), (NEVER_AFTER, "", False), (HAS_ENDED, "", False), (COUNTS, IN_TIME, True),
     (HAS_ENDED, TOO_LATE, False)],
)  # fmt: skip
def test_the_published_checker_says_of_a_bundle_what_verify_says(
    tmp_path: Path, options: str, amended: str, good: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    rig = Rig.make(tmp_path)
    closet(rig)
    if amended:
        amend(rig, amended)
    named(rig, COUNTS)
    case = tmp_path / "case.zip"
    call = str(rig.vault / sealed.call_path(CALL))
    assert main(["bundle", call, "--signers", str(rig.signers_file), "--case", "2026-117", "-o", str(case)]) == 0
    named(rig, options)
    assert (main(["verify", str(case), "--signers", str(rig.signers_file)]) == 0) == good
    folder = tmp_path / "case"
    shutil.unpack_archive(case, folder)
    words = ["bash", str(CHECKER), str(folder), str(rig.signers_file)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert (done.returncode == 0) == good, done.stderr
    assert "note: its clock stood at 19700101000" in done.stdout
    assert "verify-time=1970" not in (folder / "report.en.html").read_text(), "what a person is to type"
    capsys.readouterr()


def outbox(teller: Teller, options: str) -> OutboxCheck:
    trust = signers.parse(teller.signer.replace(" ", f" {options} ", 1))
    check = OutboxCheck(teller.folder / "outbox", teller.unit, trust, LogClaims())
    names = [path.name for path in (teller.folder / "outbox").glob("*.events")]
    assert list(check.problems(names)) == []
    return check


def test_events_are_as_old_as_the_next_that_has_a_time(tmp_path: Path) -> None:
    """The next event contains their hashes, so they existed. After the last one only the present time is known."""
    teller = Teller(tmp_path)
    for at in (STOOD, STOOD, IN_TIME, STOOD):
        teller.tell(at=at)
    check = outbox(teller, COUNTS)
    assert list(check.notes()) == [
        "2 events of an unset clock: their key is judged as of the next event's time",
        "1 events of an unset clock: their key is judged as of now",
    ]
    assert check.undated_seqs == []
    check = outbox(teller, HAS_ENDED)
    _, last = check.notes()
    assert last.startswith("1 events of an unset clock, by a key that does not count now")
    assert check.undated_seqs == [4]


@pytest.mark.parametrize("options", [HAS_ENDED, NEVER_AFTER])
def test_events_of_a_key_that_has_ended_prove_nothing(tmp_path: Path, options: str) -> None:
    teller = Teller(tmp_path)
    for _ in range(3):
        teller.tell(at=STOOD)
    check = outbox(teller, options)
    [said] = check.notes()
    assert said.endswith("the first is 1 [signer_undated]")
    assert check.undated_seqs == [1, 2, 3]


@pytest.mark.parametrize("options", [COUNTS, HAS_ENDED])
def test_the_desk_judges_what_it_hears_by_when_it_heard_it(tmp_path: Path, options: str) -> None:
    """A head and an event of 1970, received in November 2026."""
    teller = Teller(tmp_path)
    teller.tell(at=STOOD)
    trust = signers.parse(teller.signer.replace(" ", f" {options} ", 1))
    head = unitlog.encode_head(unitlog.Head(unit=teller.unit, size=5, root="0" * 64, at=STOOD, origin=teller.origin))
    sig = unarmored(sshsig.sign(head, teller.key, namespaces.HEAD))
    [event] = teller.reports()
    engine = database.open_writer(f"sqlite:///{tmp_path / 'desk.db'}")
    Store(engine).write([HeadReport(teller.unit, head, sig, START_NS)], trust)
    heads, aside = rows(engine, tables.heads), [row["code"] for row in rows(engine, tables.set_aside)]
    engine.dispose()
    found = judge.judge_event(dataclasses.replace(event, received_ns=START_NS), trust)
    if options == COUNTS:
        assert (len(heads), aside) == (1, [])
        assert isinstance(found, Event)
    else:
        assert (heads, aside) == ([], ["signer_undated"])
        assert isinstance(found, EventVerdict)
        assert found.code == "signer_undated"
