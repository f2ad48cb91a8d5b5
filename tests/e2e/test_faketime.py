# SPDX-License-Identifier: Apache-2.0
"""The real services under libfaketime: a clock of another decade, set in the middle of calls, over a power cut.

keptclock.c answers the services' queries of the kernel's clock state, so that the test decides when the clock counts as
agreed.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from world import World

from linetap.recorder.vault.journal import store
from linetap.recorder.vault.recordings.entries import Tick
from linetap_core.clock import NS_PER_S, SYSTEM, parse_rfc3339
from linetap_core.evidence.calls import amendment, sealed
from linetap_core.evidence.merklelog.leaflog import LEAVES
from linetap_core.records import CallRecord
from linetap_desk.proofs import callfolder
from linetap_desk.vaultproofs.verifyvault import verify_vault

FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
SCRIPT = Path(__file__).parents[1] / "scenarios" / "otherclock.toml"
TO_1970, TO_1986 = -56 * 365 * 86_400, -40 * 365 * 86_400
YEARS = 8 * 365 * 86_400
CLOCKS = {
    "1970, then 8 years on": (TO_1970, YEARS),
    "8 years on, then 1986": (YEARS, TO_1986),
    "1986, then an hour back": (TO_1986, TO_1986 - 3600),
    "right, then a leap second": (0, -1),
}
LATE_S = 100


class Closet(World):
    """`says` sets the clock of all services, from now on; `keeps` makes the kernel report it as synchronised.

    A call whose notice a busy machine has interrupted is recorded all the same: these tests concern clocks.
    """

    def __init__(self, folder: Path, script: Path, changes: dict[str, str] | None = None, patient: bool = True) -> None:
        whatever = {'on_notice_failure = "discard"': 'on_notice_failure = "record_and_flag"'}
        super().__init__(folder, script, whatever | (changes or {}), patient)

    def __enter__(self) -> Closet:
        super().__enter__()
        shim = self.folder / "keptclock.so"
        source = Path(__file__).with_name("keptclock.c")
        subprocess.run(["gcc", "-shared", "-fPIC", "-o", str(shim), str(source)], check=True, timeout=120)
        self._clock, self._kept = self.folder / "clock", self.folder / "kept"
        self.children._env |= {
            "LD_PRELOAD": f"{shim} {FAKETIME}", "FAKETIME_TIMESTAMP_FILE": str(self._clock),
            "FAKETIME_CACHE_DURATION": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_DONT_RESET": "1", "LINETAP_TEST_KEPT": str(self._kept),
        }  # fmt: skip
        return self

    def says(self, offset_s: int) -> None:
        self._clock.write_text(f"{offset_s:+d}\n")

    def keeps(self) -> None:
        """The recorder gets the right time before it is reported as synchronised: libfaketime polls once a second."""
        self.says(0)
        leaves = self.config.vault_path / "log" / LEAVES
        self.until(lambda: _stepped_to_now(leaves), "the clock is set", LATE_S)
        self._kept.touch()

    def amendment(self, record: CallRecord) -> amendment.Amendment | None:
        path = self.config.vault_path / amendment.FOLDER / amendment.name(record.call_id, 1)
        return amendment.decode(path.read_bytes()) if path.exists() else None

    def journal_has_audio(self) -> bool:
        """Whether it has a tick or two of the call on line 2."""
        runs = store.read(self.config.vault_path / "journal")
        return any(
            isinstance(entry, Tick) and "-L02" in entry.call_id
            for run in runs
            for frame in run.frames
            for entry in frame
        )

    def lose_power(self) -> None:
        for child in [child for child in self.children.children if child.name.startswith(("capture", "recorder"))]:
            self.kill(child)
        for path in self.run_dir.iterdir():
            if path.name.startswith(("audio", "recorder", "capture", "calls", "journal")):
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def _stepped_to_now(leaves: Path) -> bool:
    steps = [line for line in leaves.read_bytes().splitlines() if b'"clock_step"' in line]
    at_ns = parse_rfc3339(json.loads(steps[-1])["at"]) if steps else 0
    return abs(at_ns - SYSTEM.utc_ns()) < 60 * NS_PER_S


def has_no_absurd_field(record: CallRecord) -> None:
    moments = [
        record.ring_at,
        record.off_hook_at,
        record.answered_at,
        *(notice.started_at for notice in record.notices),
    ]
    ns = [parse_rfc3339(each) for each in [*moments, record.ended_at] if each]
    assert ns == sorted(ns)
    assert ns[-1] - ns[0] < 60 * NS_PER_S
    assert record.duration_s is None or 0 <= record.duration_s < 60
    assert abs(sealed.call_ns(record.call_id) - ns[0]) < NS_PER_S
    assert all(0 <= gap.at_s < 60 and 0 <= gap.ms < 60_000 for gap in (record.audio.gaps if record.audio else []))


def live(tmp_path: Path, first_s: int, then_s: int, power_cut: bool) -> None:
    """A call that ends by the first clock, one during which the second is set; then an agreed clock."""
    with Closet(tmp_path, SCRIPT, patient=False) as closet:
        closet.says(first_s)
        closet.start("capture")
        closet.start("recorder")
        closet.until(lambda: len(closet.records()) == 1, "the first call is sealed", LATE_S)
        closet.until(lambda: closet.line_is(2, "recording"), "the second is recorded", LATE_S)
        closet.says(then_s)
        if power_cut:
            closet.until(closet.journal_has_audio, "the journal has audio", LATE_S)
            closet.lose_power()
            closet.start("recorder")
        closet.until(lambda: len(closet.records()) == 2, "the second call is sealed", LATE_S)
        before = {record.call_id: record for record in closet.records()}
        for record in before.values():
            has_no_absurd_field(record)
            assert record.retention is not None
            assert (record.retention.until, record.retention.waits_for) == (None, "clock")
        ended_ns = SYSTEM.utc_ns()
        closet.keeps()
        closet.until(lambda: all(map(closet.amendment, before.values())), "both are amended", LATE_S)
        assert {record.call_id: record for record in closet.records()} == before
        for record in before.values():
            found = closet.amendment(record)
            assert found is not None
            assert 0 <= parse_rfc3339(found.ended_at) - ended_ns + 90 * NS_PER_S <= 180 * NS_PER_S
            days = (parse_rfc3339(found.until) - parse_rfc3339(found.ended_at)) / (86_400 * NS_PER_S)
            assert 60 <= days <= 61.1
        told = {event["call_id"] for event in closet.events() if event["event"] == "amended"}
        assert told == set(before)
        signers = callfolder.load_signers(_signers(closet))
        for child in [child for child in closet.children.children if child.name.startswith("recorder")]:
            closet.children.end(child)
        problems = [
            problem for verdict in verify_vault(closet.config.vault_path, signers) for problem in verdict.problems
        ]
        assert problems == []


def _signers(closet: Closet) -> Path:
    path = closet.folder / "allowed_signers"
    kind, key = Path(f"{closet.config.key}.pub").read_text().split()[:2]
    path.write_text(f'{closet.config.unit} namespaces="linetap-*" {kind} {key}\n')
    return path


@pytest.mark.timeout(300)
def test_calls_by_a_clock_of_1970_that_is_set_in_their_middle(tmp_path: Path) -> None:
    live(tmp_path, *CLOCKS["1970, then 8 years on"], power_cut=False)


@pytest.mark.timeout(300)
def test_a_leap_second_in_the_middle_of_a_call(tmp_path: Path) -> None:
    """With a clock synchronised throughout: no call's end is delayed, and no length or order is lost."""
    with Closet(tmp_path, SCRIPT, patient=False) as closet:
        closet.says(0)
        closet._kept.touch()
        closet.start("capture")
        closet.start("recorder")
        closet.until(lambda: len(closet.records()) == 1, "the first call is sealed", LATE_S)
        closet.until(lambda: closet.line_is(2, "recording"), "the second is recorded", LATE_S)
        closet.says(-1)
        closet.until(lambda: len(closet.records()) == 2, "the second call is sealed", LATE_S)
        first, second = sorted(closet.records(), key=lambda record: record.line)
        for record in (first, second):
            has_no_absurd_field(record)
            assert record.retention is not None
            assert (record.retention.waits_for or None) is None
            assert record.retention.until is not None
            assert record.clock is not None
            assert record.clock.synced
            assert closet.amendment(record) is None
        assert second.clock is not None
        assert -1100 <= (second.clock.stepped_ms or 0) <= -900
        assert (first.ended_at or "") < (second.off_hook_at or "")
        events = [(event["seq"], event["call_id"]) for event in closet.events() if event.get("call_id")]
        assert events == sorted(events), "they are counted, whatever second it is"
        for child in [child for child in closet.children.children if child.name.startswith("recorder")]:
            closet.children.end(child)
        verdicts = verify_vault(closet.config.vault_path, callfolder.load_signers(_signers(closet)))
        assert [problem for verdict in verdicts for problem in verdict.problems] == []


@pytest.mark.soak
@pytest.mark.timeout(300)
@pytest.mark.parametrize("power_cut", [False, True])
@pytest.mark.parametrize("clock", CLOCKS)
def test_calls_by_every_clock_over_power_cuts(tmp_path: Path, clock: str, power_cut: bool) -> None:
    live(tmp_path, *CLOCKS[clock], power_cut=power_cut)
