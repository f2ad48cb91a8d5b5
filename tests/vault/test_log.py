# SPDX-License-Identifier: Apache-2.0
"""The unit's log: one leaf for each event, after any repetition or interruption."""

from __future__ import annotations

import hashlib
import json
import shutil
import tracemalloc
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from linetap.recorder.selflog import HEARTBEAT_S, SelfLog
from linetap.recorder.vault.callfolder.folder import seal_without_audio
from linetap.recorder.vault.log.log import UnitLog
from linetap_core.clock import NS_PER_MS, NS_PER_S, ManualClock, parse_rfc3339
from linetap_core.errors import Refusal
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.keys import keys
from linetap_core.evidence.merklelog import closing, unitlog
from linetap_core.evidence.merklelog.leaflog import LEAVES
from linetap_core.evidence.merklelog.merkle import Tree
from linetap_core.evidence.merklelog.nodefile import TREE
from linetap_core.evidence.signing import signers
from linetap_core.records import Audio, CallRecord, Gap, KernelClockState, NoticeRecord
from sealing_rig import CALL_ID, NOW, UNIT, Rig, noise, record, run

OTHER = "20261125T010000.000Z-L03"


def unit_log(rig: Rig, at: str = NOW) -> UnitLog:
    return UnitLog(rig.vault, UNIT, rig.unit_key, ManualClock(parse_rfc3339(at)))


def leaves(rig: Rig) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (rig.vault / "log" / LEAVES).read_bytes().splitlines()]


def seal(rig: Rig, call: CallRecord) -> None:
    folder = rig.create(call.call_id)
    folder.write(noise(1000))
    folder.seal(call, rig.sign)


def test_head_is_over_the_leaves_and_stock_ssh_keygen_checks_it(rig: Rig) -> None:
    log = unit_log(rig)
    log.append("open", call_id=CALL_ID, line=3)
    seal(rig, record(1000))
    log.close_call(CALL_ID)
    log.publish()
    folder = rig.vault / "log"
    data = (folder / "head.json").read_bytes()
    origin = keys.fingerprint(rig.unit_key.public_key())
    tree = Tree()
    tree.append_all((folder / LEAVES).read_bytes().splitlines())
    head = {"unit": UNIT, "size": 2, "root": tree.root().hex(), "at": NOW, "origin": origin}
    assert data == json.dumps(head, separators=(",", ":")).encode()
    command = ["ssh-keygen", "-Y", "verify", "-f", str(rig.signers_file), "-I", UNIT, "-n", "linetap-head"]
    assert run([*command, "-s", str(folder / "head.json.sig")], stdin=data).returncode == 0
    sha256 = run(["sha256sum", str(rig.vault / sealed.call_path(CALL_ID) / "record.json")]).stdout.decode().split()[0]
    close = leaves(rig)[1]
    close.pop("sigsum")
    assert close == {
        "kind": "close", "at": NOW, "call_id": CALL_ID, "line": 3, "record_sha256": sha256, "disposition": "recorded",
        "until": "2027-11-24T15:00:00.000Z",
    }  # fmt: skip


def test_nothing_personal_is_in_it(rig: Rig) -> None:
    log = unit_log(rig)
    seal(rig, record(1000))
    log.close_call(CALL_ID)
    text = (rig.vault / "log" / LEAVES).read_text()
    assert not any(secret in text for secret in ("0212345678", "01012345678", "홍길동", "raw line"))


def test_what_is_done_twice_is_there_once_over_a_restart_too(rig: Rig) -> None:
    seal(rig, record(1000))
    for at in (NOW, "2026-11-24T23:00:00.000Z"):
        log = unit_log(rig, at)
        for _ in range(2):
            log.append("open", call_id=CALL_ID, line=3)
            log.close_call(CALL_ID)
            log.append("heartbeat", at=NOW)
        log.publish()
    assert [leaf["kind"] for leaf in leaves(rig)] == ["open", "close", "heartbeat"]
    log.append("hold", call_id=CALL_ID, at="2026-11-25T00:00:00.000Z")
    log.append("hold", call_id=CALL_ID, at="2026-11-26T00:00:00.000Z")
    assert [leaf["kind"] for leaf in leaves(rig)][3:] == ["hold", "hold"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"audio": Audio(gaps=[Gap(0.01, 20.0, "overrun"), Gap(0.05, 5.5, "power")])},
         {"kind": "gap", "gaps": 2, "ms": 25.5, "causes": ["overrun", "power"]}),
        ({"disposition": "discarded", "why": "disk_full"}, {"kind": "refused", "why": "disk_full"}),
        ({"disposition": "discarded", "why": "notice_failed"},
         {"kind": "notice_failure", "why": "notice_failed", "proof": "none"}),
        ({"notices": [NoticeRecord(id="ko", started_at=NOW, proof="absent")]},
         {"kind": "notice_failure", "why": "", "proof": "absent"}),
    ],
)  # fmt: skip
def test_what_a_call_lacks_is_a_leaf_of_its_own(rig: Rig, change: dict[str, Any], expected: dict[str, Any]) -> None:
    call = msgspec.structs.replace(record(1000), **change)
    if call.disposition == "discarded":
        seal_without_audio(rig.vault, call, rig.sign)
    else:
        seal(rig, call)
    unit_log(rig).close_call(CALL_ID)
    assert leaves(rig)[0] == {"at": NOW, "call_id": CALL_ID, "line": 3, **expected}
    assert [leaf["kind"] for leaf in leaves(rig)][1:] == ["close"]


def test_a_caller_who_hung_up_is_no_failure(rig: Rig) -> None:
    call = msgspec.structs.replace(record(0), disposition="discarded", why="ended_before_notice")
    seal_without_audio(rig.vault, call, rig.sign)
    unit_log(rig).close_call(CALL_ID)
    assert [leaf["kind"] for leaf in leaves(rig)] == ["close"]


def test_a_call_sealed_just_before_the_power_went_is_closed_at_the_next_start(rig: Rig) -> None:
    log = unit_log(rig)
    log.append("open", call_id=CALL_ID, line=3)
    log.publish()
    seal(rig, record(1000))
    seal(rig, record(1000, OTHER))
    rig.create("20261125T020000.000Z-L03")  # still open
    fresh = unit_log(rig)
    fresh.publish()
    fresh.publish()
    assert [(leaf["kind"], leaf["call_id"]) for leaf in leaves(rig)] == [
        ("open", CALL_ID), ("close", CALL_ID), ("close", OTHER),
    ]  # fmt: skip
    assert unitlog.decode_head((rig.vault / "log" / "head.json").read_bytes()).size == 3


def test_a_vault_from_before_the_log_is_taken_into_it(rig: Rig) -> None:
    ids = [f"202611{day:02d}T010000.000Z-L03" for day in range(1, 6)]
    for call_id in ids:
        seal(rig, record(1000, call_id))
    unit_log(rig).publish()
    assert [leaf["call_id"] for leaf in leaves(rig)] == ids


def test_closes_further_back_than_what_is_remembered_are_not_said_again(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("linetap.recorder.vault.log.log.REMEMBERED", 2)
    log = unit_log(rig)
    seal(rig, record(1000))
    log.close_call(CALL_ID)
    for second in range(5):
        log.append("heartbeat", at=f"2026-11-24T23:00:0{second}.000Z")
    unit_log(rig).publish()
    assert len(leaves(rig)) == 6


def test_a_cut_anywhere_in_the_files_heals_at_the_next_start(rig: Rig) -> None:
    log = unit_log(rig)
    log.append("open", call_id=CALL_ID, line=3)
    log.append("heartbeat")
    log.publish()
    folder = rig.vault / "log"
    shutil.copytree(folder, rig.root / "whole")
    for name in (LEAVES, TREE, "head.json", "head.json.sig"):
        whole = (rig.root / "whole" / name).read_bytes()
        for cut in (0, 1, len(whole) // 2, len(whole) - 1):
            shutil.rmtree(folder)
            shutil.copytree(rig.root / "whole", folder)
            (folder / name).write_bytes(whole[:cut])
            (folder / ".head.json.tmp").write_bytes(b"{")
            unit_log(rig).publish()
            signature = (folder / "head.json.sig").read_bytes()
            head = unitlog.check_head((folder / "head.json").read_bytes(), signature, None)
            assert head.size == len(leaves(rig))
            assert {path.name for path in folder.iterdir()} == {LEAVES, TREE, "head.json", "head.json.sig", "head.copy"}
            kept = sorted(rig.vault.glob("log.before-*")) if name == LEAVES else []
            assert [(path / name).read_bytes() for path in kept[-1:]] == ([whole[:cut]] if name == LEAVES else [])


def test_a_record_that_was_damaged_is_reported(rig: Rig) -> None:
    seal(rig, record(1000))
    (rig.vault / sealed.call_path(CALL_ID) / "record.json").write_bytes(b"{")
    log = unit_log(rig)
    log.publish()
    with pytest.raises(Refusal, match=r"record\.json"):
        log.close_call(CALL_ID)
    assert leaves(rig) == []


class _Noted(list[tuple[str, dict[str, object]]]):
    def log_leaf(self, kind: unitlog.Kind, at_ns: int, **fields: object) -> None:  # noqa: ARG002
        self.append((kind, fields))


def test_the_pulse_of_a_recorder() -> None:
    clock, noted = ManualClock(parse_rfc3339(NOW)), _Noted()
    kernel = iter([(False, 1.5), (True, 0.25), (False, 0.0)])
    pulse = SelfLog(clock, noted, "1.2", "ab" * 32, lambda: next(kernel))
    assert pulse.clock_state() == KernelClockState(synced=False, offset_ms=1.5)
    synced_ns = clock.monotonic_ns()
    assert pulse.clock_state().synced_ns == synced_ns
    for _ in range(2 * HEARTBEAT_S // 10 + 5):
        clock.advance(10 * NS_PER_S)
        pulse.turn()
    clock.step_utc(-3 * NS_PER_S)
    pulse.turn()
    clock.step_utc(400 * NS_PER_MS)
    pulse.turn()
    now = pulse.clock_state()
    assert (now.synced, now.synced_ns, now.step_ms, now.stepped_ns) == (False, synced_ns, -3000, clock.monotonic_ns())
    pulse.stop("asked")
    assert noted == [
        ("start", {"version": "1.2"}), ("config", {"sha256": "ab" * 32}), ("heartbeat", {}), ("heartbeat", {}),
        ("clock_step", {"ms": -3000}), ("stop", {"why": "asked"}),
    ]  # fmt: skip


def test_a_close_far_back_is_found_and_proved(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the cached part, over many marks; also if the clock was set back in between."""
    monkeypatch.setattr("linetap.recorder.vault.log.log.REMEMBERED", 2)
    monkeypatch.setattr("linetap_core.evidence.merklelog.leaflog._BLOCK_BYTES", 512)
    ids = [f"20261124T{hour:02d}0000.000Z-L03" for hour in (9, 14, 10, 11, 12)]  # 14: its clock was hours ahead
    for call_id in ids:
        seal(rig, record(1000, call_id))
        log = unit_log(rig, sealed_at(call_id))
        log.close_call(call_id)
        for minute in range(20):
            log.append("heartbeat", at=f"{sealed_at(call_id)[:14]}{minute:02d}:00.000Z")
        log.close()
    log = unit_log(rig)
    known = signers.parse(rig.signers_file.read_text())
    for call_id in ids:
        found = log.closing(call_id)
        assert found is not None, call_id
        data = (rig.vault / sealed.call_path(call_id) / sealed.RECORD).read_bytes()
        head = closing.check(found, UNIT, call_id, hashlib.sha256(data).hexdigest(), known)
        assert head.size == 5 * 21
    assert log.closing(CALL_ID) is None
    read = [0]
    own = log._log.leaves

    def counted(first: int) -> Iterator[bytes]:
        for line in own(first):
            read[0] += 1
            yield line

    monkeypatch.setattr(log._log, "leaves", counted)
    assert log.closing(ids[-1]) is not None
    assert read[0] < 30, "the search begins near it"


def test_a_leaf_more_takes_no_more_memory_in_a_long_log(rig: Rig) -> None:
    """Neither to write it nor to look one up: one cached block of the file for each once made a recorder grow."""
    log = unit_log(rig)
    for _ in range(4):
        log._log.append_all([{"kind": "heartbeat", "at": NOW, "why": "x" * 300}] * 1000)
    assert (rig.vault / "log" / LEAVES).stat().st_size > 1_400_000
    tracemalloc.start()
    try:
        log.append("start")
        written = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        assert next(log.leaves(3990))
        found = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (written < 100_000, found < 500_000) == (True, True), f"{written} and {found} bytes"


def test_what_was_logged_a_moment_ago_is_under_a_head_at_once(rig: Rig) -> None:
    log = unit_log(rig)
    log.append("open", call_id=CALL_ID, line=3)
    log.publish()
    seal(rig, record(1000))
    log.close_call(CALL_ID)
    found = log.closing(CALL_ID)
    assert found is not None
    assert unitlog.decode_head(found.head.encode()).size == 2
    assert (rig.vault / "log" / "head.json").read_text() == found.head


def sealed_at(call_id: str) -> str:
    return f"2026-11-24T{call_id[9:11]}:30:00.000Z"
