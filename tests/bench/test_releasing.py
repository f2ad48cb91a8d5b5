# SPDX-License-Identifier: Apache-2.0
"""The exchange of a station and of a trunk when the card opens the loop, and its levels on the wires."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scripts import SILENT, call, timeline_of

from linetap.board.wires import Wires
from linetap_bench.exchange.feed import LevelFeed
from linetap_bench.exchange.releasing import (
    BUSY_FOR_MS,
    DIAL_FOR_MS,
    HOWLER_FOR_MS,
    SILENCE,
    InPlace,
    LineRelease,
    Released,
    StuckContacts,
)
from linetap_bench.script.scriptkeys import LineSetup
from linetap_bench.script.timing import DIAL_TONE_AFTER_MS
from linetap_bench.sounds.signalling import exchange_tone
from linetap_core.clock import NS_PER_MS

STATION = LineSetup(number=3, releases_after_ms=1000)
TRUNK = LineSetup(number=3, kind="trunk", releases_after_ms=500, guard_s=90.0)


def opened(setup: LineSetup, open_ms: int, incoming: bool = False) -> tuple[LineRelease, Released]:
    release = LineRelease(setup)
    for now in range(5000, 5000 + open_ms, 10):
        assert release.update(now, True, lifted=True, incoming=incoming) is None
    done = release.update(5000 + open_ms, False, lifted=True, incoming=incoming)
    assert done is not None
    return release, done


def test_a_station_releases_after_its_time_and_takes_less_for_a_flash() -> None:
    assert opened(STATION, 1700)[1] == Released(3, 5000, 6700, "released")
    assert opened(STATION, 990)[1].outcome == "held"
    assert opened(STATION, 60)[1].outcome == "kept"


def test_a_trunk_holds_an_incoming_call_for_the_guard_time() -> None:
    assert opened(TRUNK, 2000)[1].outcome == "released"
    assert opened(TRUNK, 2000, incoming=True)[1].outcome == "kept"
    assert opened(TRUNK, 400)[1].outcome == "kept", "a trunk knows no flash"


def test_a_handset_that_stays_lifted_hears_dial_tone_then_busy_tone_then_the_howler() -> None:
    release, done = opened(STATION, 1700)
    at = [0, DIAL_TONE_AFTER_MS, DIAL_FOR_MS + 100, DIAL_FOR_MS + 200, DIAL_FOR_MS + BUSY_FOR_MS + 200]
    assert [release.sound(done.closed_ms + ms) for ms in at] == [SILENCE, "dial", "dial", "busy", "howler"]
    assert release.sound(done.closed_ms + DIAL_FOR_MS + BUSY_FOR_MS + HOWLER_FOR_MS + 200) == SILENCE
    release.update(done.closed_ms + 5000, False, lifted=False, incoming=False)
    assert release.sound(done.closed_ms + 5000) is None
    assert release.quiet


def test_an_opening_of_a_line_that_is_not_in_use_changes_nothing() -> None:
    release = LineRelease(STATION)
    assert release.update(1000, True, lifted=False, incoming=False) is None
    assert release.update(4000, False, lifted=False, incoming=False) is None
    assert release.quiet


def test_a_stuck_contact_never_opens_or_never_closes_again() -> None:
    contacts = StuckContacts(["sound", "stuck_closed", "stuck_open"])
    all_driven, none = np.ones(3, np.bool_), np.zeros(3, np.bool_)
    seen = [contacts.open_contacts(driven).tolist() for driven in (none, all_driven, none)]
    assert seen == [[False, False, False], [True, False, True], [False, False, True]]


def test_a_tone_has_no_break_between_two_blocks() -> None:
    place = InPlace()
    parts = [place.render("dial", n) for n in (80, 80, 160)]
    whole = exchange_tone("dial", 1 << 20).render(0, 320)
    assert np.allclose(np.concatenate([part for part in parts if part is not None]), whole)
    assert place.render(SILENCE, 80) is None


@pytest.mark.parametrize("open_ms", [1000, 2000])
def test_the_wires_show_an_open_loop_for_as_long_as_the_contact_is(open_ms: int, tmp_path: Path, run_dir: Path) -> None:
    text = SILENT + call(line=1, start_s=0.1, rings=1, answer_in_burst_ms=400, talk_s=20)
    timeline = timeline_of(tmp_path, text, 2)
    wires = Wires.create(run_dir / "w", 2)
    start_ms, opens_ms = 100_000, 102_000
    feed = LevelFeed(wires, timeline, start_ms * NS_PER_MS)
    seen = []
    for now_ms in range(start_ms, start_ms + 6000, 10):
        feed.hold_open(np.array([opens_ms <= now_ms < opens_ms + open_ms, False]), now_ms * NS_PER_MS)
        feed.update(start_ms * NS_PER_MS, now_ms * NS_PER_MS)
        seen.append(wires.samples(now_ms + 1, 1))
    hook = np.array([each[0][0, 0] for each in seen])[200:]
    volts = np.array([each[3][0, 0] for each in seen])[200:]
    loop_open = np.flatnonzero(~hook)
    assert abs(len(loop_open) * 10 - open_ms) <= 20
    assert loop_open[-1] - loop_open[0] + 1 == len(loop_open)
    assert set(volts[loop_open].tolist()) == {-4800}
    assert set(volts[hook].tolist()) == {-800}
    assert not any(each[0][1, 0] for each in seen), "the other line is as it was"
