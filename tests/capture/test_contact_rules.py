# SPDX-License-Identifier: Apache-2.0
"""The rules by which capture opens and closes a line's series contact, and detects a stuck one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from linetap.board.interface import PERIOD_MS, Levels
from linetap.board.simulated import SimulatedCard, Wires, wires_path
from linetap.capture.contacts import REPORTED_MS, RING_OVER_MS, Contacts
from linetap.capture.player import Player
from linetap.config.schema import Card, Line
from linetap.notices import Notice
from linetap_core.clock import NS_PER_MS, ManualClock
from linetap_core.records import LEAST_OPEN_MS, MOST_OPEN_MS, CaptureState, MeterState

CARD = Card(rate_hz=8000, channels=4, contacts=True)
LINES = [
    Line(number=1, channel=1),
    Line(number=2, channel=2, release="staff"),
    Line(number=3, channel=3, exempt=True),
    Line(number=4, channel=4),
]
NOTICES = {"ko": Notice("ko", "", np.arange(1, 501, dtype=np.int16), 77)}


class Bench:
    """A card whose lines the test controls; its clock advances by periods."""

    def __init__(self, run_dir: Path, card: Card = CARD) -> None:
        self.clock = ManualClock(monotonic_ns=10**12)
        self.board = SimulatedCard(run_dir, 1, len(LINES))
        self.wires = Wires.attach(wires_path(run_dir, 1))
        self.player = Player(card, LINES, NOTICES, self.board)
        self.player.set_shift(1000, playback_restarted=False)
        self.state = CaptureState(
            service="capture@1", version="0", pid=1, started_ns=0, mono_ns=0, progress=0, card=1, device_rate_hz=8000,
            device_format="S16_LE", channels=4, lines=[1, 2, 3, 4], ring_locked=True, realtime=True,
        )  # fmt: skip
        self.contacts = Contacts(card, LINES, self.board, self.player, self.clock, self.state)
        self.up, self.ring = [True] * len(LINES), [False] * len(LINES)
        self.stuck_closed = False
        self.run(40)

    def is_open(self, line: int = 1) -> bool:
        return bool(self.wires.commanded_open(self.clock.monotonic_ns() // NS_PER_MS)[line - 1])

    def run(self, ms: int) -> int:
        """The number of milliseconds for which the contact of line 1 was open."""
        held = 0
        for _ in range(ms // PERIOD_MS):
            self.clock.advance(PERIOD_MS * NS_PER_MS)
            self.board.levels(self.clock.monotonic_ns())
            opened = np.array([self.is_open(line.number) for line in LINES]) & (not self.stuck_closed)
            hook = np.repeat((np.array(self.up) & ~opened)[:, None], PERIOD_MS, axis=1)
            ring = np.repeat(np.array(self.ring)[:, None], PERIOD_MS, axis=1)
            self.contacts.follow(Levels(hook, ring, ring & False, np.zeros(len(LINES), np.int16)))
            self.contacts.turn()
            held += PERIOD_MS * self.is_open()
        self.contacts.report()
        return held


@pytest.fixture
def bench(run_dir: Path) -> Iterator[Bench]:
    made = Bench(run_dir)
    yield made
    made.board.close()
    made.wires.close()


@pytest.mark.parametrize(
    ("asked_ms", "open_ms"),
    [(1900, 1900), (200, LEAST_OPEN_MS), (-1, LEAST_OPEN_MS), (60_000, MOST_OPEN_MS), (10**18, MOST_OPEN_MS)],
)
def test_it_is_open_for_as_long_as_asked_within_both_bounds(asked_ms: int, open_ms: int, bench: Bench) -> None:
    assert bench.contacts.open(1, asked_ms) is None
    assert bench.run(100) > 0
    assert bench.state.opened == [1]
    assert bench.run(20_000) + 100 == pytest.approx(open_ms, abs=2 * PERIOD_MS)
    assert (bench.state.opened, bench.state.contact_stuck, bench.state.contact_open) == ([], [], [])


def test_a_second_command_neither_lengthens_nor_repeats_it(bench: Bench) -> None:
    held = 0
    for _ in range(60):
        bench.contacts.open(1, 2000)
        held += bench.run(50)
    assert held == pytest.approx(2000, abs=2 * PERIOD_MS)
    assert bench.contacts.open(1, 2000) == "the contact of line 1 was open a moment ago"
    bench.run(4000)
    assert bench.contacts.open(1, 2000) is None


@pytest.mark.parametrize(
    ("line", "why"),
    [(2, 'release = "staff"'), (3, "exempt"), (9, "no line of this card"), (0, "no line of this card")],
)
def test_a_line_that_is_never_opened_is_refused_with_the_reason(line: int, why: str, bench: Bench) -> None:
    assert why in str(bench.contacts.open(line, 2000))
    bench.run(100)
    assert not bench.wires.contacts.any()


def test_a_card_without_contacts_is_refused(run_dir: Path) -> None:
    bench = Bench(run_dir, msgspec.structs.replace(CARD, contacts=False))
    assert bench.contacts.open(1, 2000) == "card 1 has no series contacts"


def test_no_contact_opens_under_a_notice(bench: Bench) -> None:
    """Requested, playing, and played but not captured to its end are all too early; a notice on another line does not
    matter.
    """
    assert bench.player.play(1, "ko", 1400) is None
    assert "notice" in str(bench.contacts.open(1, 2000))
    for first in range(0, 1600, 80):
        bench.player.fill(first, 320)
    bench.player.finish(1899)
    assert "notice" in str(bench.contacts.open(1, 2000))
    assert bench.contacts.open(4, 2000) is None
    bench.player.finish(1900)
    assert bench.contacts.open(1, 2000) is None


def test_a_loop_that_stays_closed_is_a_stuck_contact(bench: Bench) -> None:
    bench.stuck_closed = True
    bench.contacts.open(1, 2000)
    bench.run(1900)
    assert bench.state.contact_stuck == []
    bench.run(200)
    assert bench.state.contact_stuck == [1]
    bench.stuck_closed = False
    bench.run(4000)
    bench.contacts.open(1, 2000)
    bench.run(2100)
    assert bench.state.contact_stuck == []


def test_a_handset_put_down_meanwhile_is_no_fault(bench: Bench) -> None:
    bench.contacts.open(1, 2000)
    bench.run(1000)
    bench.up[0] = False
    bench.run(60_000)
    assert (bench.state.contact_stuck, bench.state.contact_open) == ([], [])


def test_a_line_that_rings_unanswered_after_an_opening_may_be_open(bench: Bench) -> None:
    bench.contacts.open(1, 2000)
    bench.up[0] = False
    bench.run(3000)
    for _ in range(3):
        bench.ring[0] = True
        bench.run(1000)
        bench.ring[0] = False
        bench.run(2000)
        assert bench.state.contact_open == []
    bench.run(RING_OVER_MS)
    assert bench.state.contact_open == [1]
    bench.up[0] = True
    bench.run(100)
    assert bench.state.contact_open == []


def test_a_capture_that_begins_again_knows_what_the_one_before_had_noticed(bench: Bench) -> None:
    """Line 2 is not opened again since its contact was found stuck; line 1's was open when the previous
    capture ended.
    """
    before = msgspec.structs.replace(bench.state, opened=[1], contact_open=[4], contact_stuck=[1, 2, 9])
    bench.up[3] = False
    bench.contacts.restore(before)
    bench.run(100)
    assert (bench.state.contact_stuck, bench.state.contact_open) == ([1], [4])
    bench.up[3] = True
    bench.run(100)
    assert bench.state.contact_open == []
    bench.up[0] = False
    bench.ring[0] = True
    bench.run(1000)
    bench.ring[0] = False
    bench.run(RING_OVER_MS)
    assert bench.state.contact_open == [], "it had closed, which the lifted handset has shown"


def test_a_contact_that_was_open_at_the_end_of_the_one_before_may_be_open(bench: Bench) -> None:
    bench.up[0] = False
    bench.contacts.restore(msgspec.structs.replace(bench.state, opened=[1]))
    bench.ring[0] = True
    bench.run(1000)
    bench.ring[0] = False
    bench.run(RING_OVER_MS)
    assert bench.state.contact_open == [1]


def test_a_contact_that_has_charged_a_bell_has_closed(bench: Bench) -> None:
    board: Any = bench.board
    board.meter = MeterState(connected=True, contacts=True)
    bench.contacts.open(1, 2000)
    bench.up[0] = False
    bench.run(3000)
    board.meter.charged = [1]
    bench.run(100)
    bench.ring[0] = True
    bench.run(1000)
    bench.ring[0] = False
    bench.run(RING_OVER_MS)
    assert bench.state.contact_open == [], "the line rings in vain, and its telephone is there"


def test_a_contact_that_the_meter_reports_open_for_too_long_is_stuck_open(bench: Bench) -> None:
    meter = MeterState(connected=True, contacts=True)
    board: Any = bench.board
    board.meter = meter
    bench.contacts.open(1, 2000)
    meter.opened = [1]
    bench.run(2000 + REPORTED_MS - 100)
    assert bench.state.contact_open == []
    bench.run(200)
    assert bench.state.contact_open == [1]
    meter.opened = []
    bench.run(100)
    assert bench.state.contact_open == []
