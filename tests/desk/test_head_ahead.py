# SPDX-License-Identifier: Apache-2.0
"""A log's head that is dated in the future: `verify` names it, with both times, and no file is judged by it alone."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import msgspec
import pytest

from bundle_rig import BundleRig, members, pack
from linetap_core.cli import main
from linetap_core.clock import NS_PER_S, ManualClock, parse_rfc3339
from linetap_core.evidence.merklelog import unitlog
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_core.timekeeping import PossibleClock
from linetap_desk.bundle import facts, report
from linetap_desk.proofs import callfolder
from linetap_desk.proofs.headtime import SKEW_NS, ahead
from linetap_desk.searching.indexsearch import IndexLog
from linetap_desk.vaultproofs.verifyvault import verify_vault
from sealing_rig import CALL_ID, UNIT, Rig

AHEAD = "2099-01-01T00:00:00.000Z"
NAMED = re.compile(
    rf"^\?    .*{UNIT}.* is dated {re.escape(AHEAD)}, and now it is 20\d\d-\d\d-\d\dT[0-9:.]+Z", re.MULTILINE
)


def redated(rig: BundleRig, data: bytes, at: str) -> tuple[bytes, bytes]:
    head = unitlog.encode_head(msgspec.structs.replace(unitlog.decode_head(data), at=at))
    return head, sshsig.sign(head, rig.rig.unit_key, namespaces.HEAD).encode()


def test_of_a_vault(bundled: BundleRig, capsys: pytest.CaptureFixture[str]) -> None:
    bundled.verify(bundled.rig.vault)
    assert "is dated" not in capsys.readouterr().out
    path = bundled.rig.vault / "log" / "head.json"
    data, signature = redated(bundled, path.read_bytes(), AHEAD)
    path.write_bytes(data)
    namespaces.signature_path(path).write_bytes(signature)
    bundled.verify(bundled.rig.vault)
    assert NAMED.search(capsys.readouterr().out)


def test_of_a_bundle(bundled: BundleRig, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert bundled.bundle() == 0
    assert bundled.verify(bundled.root / "case.zip") == 0
    assert "is dated" not in capsys.readouterr().out
    found, name = members(bundled.root / "case.zip"), f"logs/{UNIT}/head.json"
    found[name], found[f"{name}.sig"] = redated(bundled, found[name], AHEAD)
    found |= report.derived(found, facts.load(found))
    assert bundled.verify(pack(tmp_path / "ahead.zip", found)) == 0  # unsure, and nothing else is wrong
    assert NAMED.search(capsys.readouterr().out)


def judged(now_ns: int) -> str | None:
    return ahead(f"the head of {UNIT}", AHEAD, PossibleClock(ManualClock(now_ns)))


def test_a_clock_may_be_off_by_so_much() -> None:
    at_ns = parse_rfc3339(AHEAD)
    assert judged(at_ns - SKEW_NS) is None
    assert judged(at_ns + NS_PER_S) is None
    said = judged(at_ns - SKEW_NS - NS_PER_S)
    assert said is not None
    assert said.startswith(f"the head of {UNIT} is dated {AHEAD}, and now it is 2098-12-31T23:58:59.000Z")


def test_without_the_time_that_is_said_and_nothing_is_refused() -> None:
    said = judged(40 * NS_PER_S)
    assert said is not None
    assert "and this machine's clock is at 1970-01-01T00:00:40.000Z" in said


SEGMENT = "2098-01-24/2026-11-24-001.age"  # of calls that are kept until then


@pytest.fixture
def logged(tmp_path: Path) -> Rig:
    """A vault whose log has a segment of the index, which is not there; its head is of 2099."""
    rig = Rig.make(tmp_path)
    log = rig.log()
    log.append("open", call_id=CALL_ID, line=3)
    log.append("index", file=SEGMENT, sha256="0" * 64, call_id=CALL_ID)
    rig.sealed_call(200)
    log.close_call(CALL_ID)
    log.publish()
    log.close()
    path = rig.vault / "log" / "head.json"
    head = unitlog.encode_head(msgspec.structs.replace(unitlog.decode_head(path.read_bytes()), at=AHEAD))
    path.write_bytes(head)
    namespaces.signature_path(path).write_text(rig.sign_head(head))
    return rig


def codes(rig: Rig, now: str) -> list[str]:
    clock = PossibleClock(ManualClock(parse_rfc3339(now)))
    verdicts = verify_vault(rig.vault, callfolder.load_signers(rig.signers_file), clock=clock)
    return [problem.code for verdict in verdicts for problem in verdict.problems]


def test_no_head_of_the_future_hides_a_segment_that_is_gone(logged: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(logged.vault), "--signers", str(logged.signers_file)]) == 1
    said = capsys.readouterr().out
    assert f"index/{SEGMENT}: the log has it, and it is missing [missing_segment]" in said
    day = date(2026, 11, 24)
    assert [*IndexLog(logged.vault, callfolder.load_signers(logged.signers_file)).missing(day, day)] == ["2098-01-24"]


def test_a_segment_is_not_missed_once_its_day_is_over(logged: Rig) -> None:
    assert "missing_segment" in codes(logged, "2098-01-22T00:00:00.000Z")
    assert "missing_segment" not in codes(logged, "2098-01-24T12:00:00.000Z")
    assert "missing_segment" not in codes(logged, "1970-01-01T00:00:40.000Z")  # which is said, and judged by the head


def test_no_head_of_the_future_makes_a_call_late(logged: Rig) -> None:
    """The record keeps it until 2027-11-24. Only its unit's clock stood later."""
    assert codes(logged, "2026-12-02T00:00:00.000Z") == ["missing_segment"]
    assert codes(logged, "2027-12-02T00:00:00.000Z") == ["kept_late", "missing_segment"]
