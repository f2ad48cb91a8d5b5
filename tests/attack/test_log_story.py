# SPDX-License-Identifier: Apache-2.0
"""An attacker with a unit's key destroys calls early, or writes an impossible sequence of events into the log.

Every log here is complete and validly signed: only contradictions between its leaves show the forgery.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from linetap.recorder.vault.log.log import UnitLog
from linetap_core.cli import main
from linetap_core.clock import ManualClock, parse_rfc3339
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.merklelog.leaflog import LeafLog
from linetap_desk.proofs import callfolder
from linetap_desk.vaultproofs import verifyvault
from sealing_rig import CALL_ID, UNIT, Rig

Leaf = dict[str, Any]
UNTIL = "2027-11-24T15:00:00.000Z"  # of every call of the rig
BEGUN, CLOSED, DUE = "2026-11-24T22:56:01.000Z", "2026-11-24T22:57:00.000Z", "2027-11-24T15:00:01.000Z"
START: Leaf = {"kind": "start", "at": "2026-11-24T08:00:00.000Z", "version": "0.2"}


def open_(at: str = BEGUN) -> Leaf:
    return {"kind": "open", "at": at, "call_id": CALL_ID, "line": 3}


def close(at: str = CLOSED, **more: Any) -> Leaf:
    return {"kind": "close", "at": at, "call_id": CALL_ID, "record_sha256": "RECORD", "until": UNTIL, **more}


def beat(at: str) -> Leaf:
    return {"kind": "heartbeat", "at": at}


def hold(at: str, until: str | None, **more: Any) -> Leaf:
    return {"kind": "hold", "at": at, "call_id": CALL_ID, **({"until": until} if until else {}), **more}


def gone(at: str = DUE, **more: Any) -> Leaf:
    return {"kind": "destruction", "at": at, "call_id": CALL_ID, "record_sha256": "RECORD", "until": UNTIL, **more}


def step(at: str, ms: int) -> Leaf:
    return {"kind": "clock_step", "at": at, "ms": ms}


OLD_CLOSE = {key: value for key, value in close().items() if key != "until"}
EPOCH: Leaf = {"kind": "destruction", "at": DUE}
YEAR = [START, open_(), close(), beat("2027-11-24T15:00:00.000Z")]
HELD = [START, open_(), close(), hold("2026-12-01T00:00:00.000Z", "2028-01-01T00:00:00.000Z")]

HONEST: dict[str, list[Leaf]] = {
    "destroyed at its end": [*YEAR, gone()],
    "the clock says so with the next leaf": [START, open_(), close(), gone(), beat("2027-11-24T15:10:00.000Z")],
    "a close of an older version": [START, open_(), OLD_CLOSE, beat(DUE), gone()],
    "destroyed at the end of its hold": [
        *HELD,
        beat("2028-01-01T00:10:00.000Z"),
        hold("2028-01-01T00:00:00.000Z", None, ended=True),
        gone("2028-01-01T00:10:01.000Z"),
    ],
    "a clock that was put back": [START, open_(), close(), beat("2027-06-01T00:00:00.000Z"),
                                  step("2027-05-01T00:00:00.000Z", -31 * 86_400_000), beat("2027-05-01T01:00:00.000Z"),
                                  beat(DUE), gone()],
    "a step that the other thread sees first": [START, {"kind": "key_list", "at": "2026-11-24T09:00:00.000Z"},
                                                open_("2026-11-24T08:30:00.000Z"),
                                                step("2026-11-24T08:30:01.000Z", -1_800_000), close(), beat(DUE),
                                                gone()],
    "a start with a dead clock": [*YEAR, {**START, "at": "2000-01-01T00:00:00.000Z"}, beat("2000-01-01T01:00:00.000Z"),
                                  gone(), beat("2000-01-01T02:00:00.000Z")],
    "a report that waited for the disk": [START, open_(), beat("2026-11-24T23:00:00.000Z"),
                                          close("2026-11-25T02:00:00.000Z"), beat("2026-11-25T00:00:00.000Z"),
                                          beat(DUE), gone()],
    "a day's key, after that day": [*YEAR, gone(), {**EPOCH, "epoch": "2027-11-23"}],
    "stopped and started": [*YEAR, {"kind": "stop", "at": "2027-11-24T15:00:00.000Z"},
                            {**START, "at": "2027-11-24T15:00:00.500Z"}, beat("2027-11-24T15:00:00.600Z"), gone()],
}  # fmt: skip

LIES: dict[str, tuple[list[Leaf], str]] = {
    "destroyed a month early": (
        [START, open_(), close(), beat("2027-10-24T15:00:00.000Z"), gone("2027-10-24T15:00:01.000Z")],
        "destroyed_early",
    ),
    "a retention time that ran ahead of the clock": (
        [START, open_(), close(), beat("2026-12-24T15:00:00.000Z"), gone(), beat("2026-12-24T16:00:00.000Z")],
        "destroyed_early",
    ),
    "the same with nothing behind it": ([START, open_(), close(), beat("2026-12-24T15:00:00.000Z"), gone()],
                                        "destroyed_early"),
    "its day moved by the destruction": (
        [START, open_(), close(), beat("2027-10-24T15:00:00.000Z"),
         gone("2027-10-24T15:00:01.000Z", until="2027-10-24T15:00:00.000Z")],
        "other_until",
    ),
    "a call without a day": ([START, open_(), close(until=None), beat(DUE), gone()], "destroyed_early"),
    "of an older version, early": (
        [START, open_(), OLD_CLOSE, beat("2027-10-24T15:00:00.000Z"), gone("2027-10-24T15:00:01.000Z")],
        "destroyed_early",
    ),
    "kept until no time": (
        [START, open_(), close(until="soon"), beat("2026-12-24T15:00:00.000Z"),
         gone("2026-12-24T15:00:01.000Z", until="soon")],
        "bad_until",
    ),
    "of an older version, kept until no time": (
        [START, open_(), OLD_CLOSE, beat("2026-12-24T15:00:00.000Z"), gone("2026-12-24T15:00:01.000Z", until="soon")],
        "bad_until",
    ),
    "while a hold stands": ([*HELD, beat(DUE), gone()], "destroyed_held"),
    "a hold that ended early": (
        [*HELD, beat(DUE), hold("2027-11-01T00:00:00.000Z", None, ended=True), gone()],
        "hold_ended_early",
    ),
    "a hold ended by its date before its time": (
        [*HELD, beat(DUE), hold("2028-01-01T00:00:00.000Z", None, ended=True), gone(),
         beat("2027-11-25T00:00:00.000Z")],
        "hold_ended_early",
    ),
    "another record than was sealed": ([*YEAR, gone(record_sha256="0" * 64)], "destroyed_other"),
    "destroyed before it was sealed": ([START, open_(), beat(DUE), gone(), close(DUE)], "destroyed_unclosed"),
    "sealed again behind its destruction": ([*YEAR, gone(), close(DUE)], "after_destruction"),
    "opened behind its close": ([START, close(), open_(), beat(DUE), gone()], "open_after_close"),
    "times that go back": (
        [START, open_(), close(), beat("2027-06-01T00:00:00.000Z"), beat("2027-05-01T00:00:00.000Z"), beat(DUE),
         gone()],
        "time_back",
    ),
    "further back than the step says": (
        [START, open_(), close(), beat("2027-06-01T00:00:00.000Z"), open_("2027-05-01T00:00:00.000Z"),
         step("2027-05-31T23:00:00.000Z", -3_600_000), beat("2027-05-01T00:00:00.000Z"), beat(DUE), gone()],
        "time_back",
    ),
    "closed in the past, at the end of the log": ([START, open_("2026-11-26T00:00:00.000Z"), close()], "time_back"),
    "alive after its stop": (
        [START, open_(), close(), {"kind": "stop", "at": DUE}, beat("2027-11-24T15:30:00.000Z"), gone()],
        "after_stop",
    ),
    "a day's key before its day is over": (
        [*YEAR, gone(), {**EPOCH, "epoch": "2027-11-25"}],
        "destroyed_early",
    ),
}  # fmt: skip


def tell(rig: Rig, leaves: list[Leaf]) -> None:
    """Writes this log, under a head of its last moment; the call exists unless a leaf states its destruction."""
    digest = rig.sealed_record_sha256(CALL_ID)
    if any(leaf["kind"] == "destruction" and leaf.get("call_id") for leaf in leaves):
        shutil.rmtree(rig.vault / sealed.call_path(CALL_ID))
    log = LeafLog(rig.vault / "log")
    log.append_all([{**leaf, **({"record_sha256": digest} if leaf.get("record_sha256") == "RECORD" else {})}
                    for leaf in leaves])  # fmt: skip
    log.close()
    clock = [leaf["at"] for leaf in leaves if leaf["kind"] in ("start", "open", "close", "heartbeat", "stop")][-1]
    head = UnitLog(rig.vault, UNIT, rig.unit_key, ManualClock(parse_rfc3339(clock)))
    head._made_good = True  # an honest start would close the call here
    head.publish()
    head.close()


def codes(rig: Rig) -> list[str]:
    """Judged when all these stories are over."""
    clock = ManualClock(parse_rfc3339("2029-01-01T00:00:00.000Z"))
    verdicts = verifyvault.verify_vault(rig.vault, callfolder.load_signers(rig.signers_file), clock=clock)
    return [problem.code for verdict in verdicts for problem in verdict.problems]


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    made = Rig.make(tmp_path)
    made.sealed_call(200)
    return made


@pytest.mark.parametrize("leaves", HONEST.values(), ids=HONEST)
def test_an_honest_log_is_good(rig: Rig, leaves: list[Leaf], capsys: pytest.CaptureFixture[str]) -> None:
    tell(rig, leaves)
    assert codes(rig) == []
    assert main(["verify", str(rig.vault), "--signers", str(rig.signers_file)]) == 0, capsys.readouterr()


@pytest.mark.parametrize(("leaves", "code"), LIES.values(), ids=LIES)
def test_a_story_that_cannot_have_happened(rig: Rig, leaves: list[Leaf], code: str) -> None:
    tell(rig, leaves)
    assert code in codes(rig)
    assert main(["verify", str(rig.vault), "--signers", str(rig.signers_file)]) == 1


def test_what_an_older_version_does_not_say_is_named(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    tell(rig, HONEST["a close of an older version"])
    main(["verify", str(rig.vault), "--signers", str(rig.signers_file)])
    assert "?    log: 1 destroyed: their close has no `until`" in capsys.readouterr().out


def test_a_hold_that_a_shorter_one_replaced_is_named(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    """A vault officer may do that; and a thief of the unit's key may claim it, once the call and the
    document are gone.
    """
    ended = hold("2027-01-01T00:00:00.000Z", None, ended=True)
    shorter = hold("2026-12-02T00:00:00.000Z", "2027-01-01T00:00:00.000Z")
    tell(rig, [*HELD, shorter, beat("2027-01-01T00:10:00.000Z"), ended, beat(DUE), gone()])
    assert main(["verify", str(rig.vault), "--signers", str(rig.signers_file)]) == 0
    assert "?    log: 1 destroyed after a hold was replaced by a shorter one" in capsys.readouterr().out


def test_a_clock_that_came_up_wrong_is_named(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    tell(rig, HONEST["a start with a dead clock"])
    main(["verify", str(rig.vault), "--signers", str(rig.signers_file)])
    out = capsys.readouterr().out
    assert "?    log: 1 times the clock stood earlier after a start than before it" in out
    assert "?    log: 1 destroyed while the clock had gone back" in out


def test_a_call_that_nobody_destroys(rig: Rig) -> None:
    tell(rig, [START, open_(), close(), beat("2027-12-24T15:00:00.000Z")])
    assert codes(rig) == ["kept_late"]


def test_a_held_call_is_not_late(rig: Rig) -> None:
    tell(rig, [*HELD, beat("2027-12-24T15:00:00.000Z")])
    assert codes(rig) == ["missing_hold"]  # missing in this vault


def test_a_close_that_says_another_end_than_the_record(rig: Rig) -> None:
    tell(rig, [START, open_(), close(until="2026-12-24T15:00:00.000Z")])
    assert codes(rig) == ["other_until"]
