# SPDX-License-Identifier: Apache-2.0
"""A leap second on unit and desk: the kernel repeats 23:59:59, and 23:59:60 from others is invalid.

POSIX has no number for that second, so linetap never writes it. Signed documents that contain it are refused like any
other invalid time, by one function for unit and desk.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from epoch_rig import Authority
from ingest_rig import START_NS, UNIT, Teller, rows, trusted
from linetap.recorder.vault.outbox.reader import OutboxReader
from linetap_core.clock import kernel_reading, parse_rfc3339, rfc3339
from linetap_core.errors import LinetapError
from linetap_core.evidence.calls import amendment, hold, sealed
from linetap_core.evidence.keys import keys
from linetap_core.evidence.merklelog import unitlog
from linetap_core.evidence.sealing import keylist
from linetap_core.evidence.signing import signers, sshsig
from linetap_core.evidence.signing.sshsig import unarmored
from linetap_desk.ingest import database, tables
from linetap_desk.ingest.judge import Report
from linetap_desk.ingest.store import Store
from linetap_desk.inputs import strict
from linetap_desk.proofs.verifycall import verify_call
from sealing_rig import CALL_ID, Rig, noise, record

LEAP = "2016-12-31T23:59:60Z"  # the most recent one
SAME = [LEAP, "2016-12-31T23:59:60.999Z", "2017-01-01T08:59:60+09:00", "2026-11-28T12:30:60Z", "20161231T235960Z"]
LIMIT_S = 120


@pytest.mark.parametrize("text", SAME)
def test_a_leap_second_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match="second must be in"):
        parse_rfc3339(text)


def _amendment(at: str) -> bytes:
    return amendment.encode(amendment.Amendment(
        suite=amendment.SUITE, unit=UNIT, call_id=CALL_ID, number=1, record_sha256="0" * 64, began_at=at, ended_at=at,
        uncertainty_s=None, until=at, made_at=at,
    ))  # fmt: skip


def _head(at: str) -> bytes:
    return unitlog.encode_head(unitlog.Head(unit=UNIT, size=1, root="0" * 64, at=at, origin="SHA256:x"))


def _hold(at: str) -> bytes:
    return msgspec.json.encode({
        "call_id": CALL_ID, "unit": UNIT, "record_sha256": "0" * 64, "from_epoch": "2027-01-23", "to": "age1x",
        "key_sha256": "0" * 64, "made_at": rfc3339(START_NS), "case": "1", "basis": "b", "until": at,
    })  # fmt: skip


READERS: dict[str, Callable[[str], object]] = {
    "head": lambda at: unitlog.decode_head(_head(at)),
    "amendment": lambda at: amendment.decode(_amendment(at)),
    "call id": lambda _: sealed.call_time("20161231T235960.000Z-L03"),
    "typed at the desk": lambda at: strict.moment_ns(at, strict.zone_of("Asia/Seoul")),
    "hold": lambda at: hold.decode(_hold(at)),
}


@pytest.mark.parametrize("name", READERS)
def test_a_leap_second_is_refused_in_one_line(name: str) -> None:
    with pytest.raises(LinetapError) as caught:
        READERS[name](LEAP)
    assert "\n" not in str(caught.value)


def test_a_key_list_that_was_made_in_it(tmp_path: Path) -> None:
    made = Authority(tmp_path).make("2026-11-25", 3)
    keylist.sound(keylist.encode(made))
    with pytest.raises(keylist.Malformed, match="second must be in"):
        keylist.sound(keylist.encode(msgspec.structs.replace(made, made_at=LEAP)))


def test_signers_of_which_ssh_keygen_takes_it(tmp_path: Path) -> None:
    """It reads 23:59:60 as the following midnight; a file with it is refused here, and the message names the line."""
    key = keys.new_unit_key()
    path, data = tmp_path / "signers", b"said"
    public = keys.public_line(key.public_key())
    path.write_text(f'floor-03 valid-after="20161231235960Z" {public}\n')
    (tmp_path / "sig").write_text(sshsig.sign(data, key, "linetap-event"))
    words = ["-Y", "verify", "-f", str(path), "-I", "floor-03", "-n", "linetap-event", "-s", str(tmp_path / "sig")]
    for moment, good in (("20161231235959Z", False), ("20170101000000Z", True)):
        done = subprocess.run(["ssh-keygen", *words, f"-Overify-time={moment}"], input=data, capture_output=True,
                              timeout=LIMIT_S, check=False)  # fmt: skip
        assert (done.returncode == 0) == good
    with pytest.raises(LinetapError, match=r"^line 1: '20161231235960Z' is not a time"):
        signers.parse(path.read_text())


def test_a_record_that_names_it(tmp_path: Path) -> None:
    """Its unit has signed it: the call is judged completely."""
    rig = Rig.make(tmp_path)
    folder = rig.create()
    folder.write(noise(200))
    folder.seal(msgspec.structs.replace(record(200), ended_at=LEAP, ring_at=LEAP), rig.sign)
    verdict = verify_call(folder.path, signers.parse(rig.signers_file.read_text()))
    assert (verdict.problems, verdict.trusted) == ([], True)


@pytest.mark.parametrize("name", ["at", "began_at", "ended_at", "answered_at"])
def test_an_event_that_names_it(tmp_path: Path, name: str) -> None:
    """Signed by the unit's own key: it is stored with its time of arrival, and so are the following ones."""
    teller, engine = Teller(tmp_path / "unit"), database.open_writer(f"sqlite:///{tmp_path / 'desk.db'}")
    more = {"began_at": rfc3339(START_NS), "ended_at": rfc3339(START_NS), "answered_at": rfc3339(START_NS)} | {
        name: LEAP
    }
    teller.tell("sealed", 0, **more, disposition="recorded", record_sha256="ab" * 32)
    teller.call(1)
    found = OutboxReader(tmp_path / "unit" / "outbox").from_seq(1, 100)
    reports = [Report(UNIT, payload, unarmored(sig), START_NS) for _, payload, sig in found]
    Store(engine).write(reports, trusted(teller))
    assert [row["code"] for row in rows(engine, tables.set_aside)] == []
    assert [row["seq"] for row in rows(engine, tables.events)] == list(range(1, 7))
    for row in rows(engine, tables.calls):
        assert ":60" not in json.dumps({key: str(value) for key, value in row.items()})
    engine.dispose()


def test_the_kernel_is_synchronised_all_through_it() -> None:
    """adjtimex(2): TIME_INS a day before, TIME_OOP during it, TIME_WAIT after it. Only TIME_ERROR means
    unsynchronised.
    """
    assert [kernel_reading(answer, 0, 0x10)[0] for answer in (0, 1, 2, 3, 4, 5)] == [True] * 5 + [False]
