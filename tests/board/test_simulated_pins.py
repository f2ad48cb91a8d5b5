# SPDX-License-Identifier: Apache-2.0
"""The simulated card is as late and as blind as the drawing's: HOOK pins beside a meter, a ring detector without."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from linetap.board.frontend import HOOK_OFF_AFTER_MS, RING_OVER_MS, RING_SEEN_MS
from linetap.board.simulated import SimulatedCard, SimulatedPins, Wires, wires_path
from linetap.ring import NO_VOLTS, Bits
from linetap_core.clock import NS_PER_MS

NOW_MS = 1_000_000


def pins(run_dir: Path, hook: npt.ArrayLike, volts: npt.ArrayLike, lines: int = 1) -> Bits:
    """What the pins of lines that are all alike say of each millisecond, from NOW_MS on."""
    bits = np.broadcast_to(np.asarray(hook, np.bool_), (lines, np.size(hook)))
    none = np.zeros_like(bits)
    wires = Wires.create(wires_path(run_dir, 1), lines)
    wires.put(NOW_MS, bits, none, none, np.broadcast_to(np.asarray(volts), bits.shape))
    board = SimulatedPins(run_dir, 1, lines)
    found = [board.levels((NOW_MS + at + 10) * NS_PER_MS) for at in range(0, bits.shape[1], 10)]
    assert all(levels.volts.tolist() == [NO_VOLTS] * lines for levels in found)
    board.close()
    return np.concatenate([levels.hook for levels in found], axis=1)


def changes(bits: Bits) -> list[tuple[int, bool]]:
    at = np.flatnonzero(np.diff(bits.astype(np.int8), prepend=0))
    return [(int(i), bool(bits[i])) for i in at]


def call(*runs: tuple[int, int]) -> tuple[Bits, npt.NDArray[np.int64]]:
    """Runs of (hook, milliseconds), at 48 and 8 V."""
    hook = np.concatenate([np.full(ms, level, np.bool_) for level, ms in runs])
    return hook, np.where(hook, -800, -4800)


def test_off_hook_is_late_by_the_drawings_delay_and_on_hook_is_not(run_dir: Path) -> None:
    found = pins(run_dir, *call((0, 200), (1, 300), (0, 200)), lines=8)
    late = [changes(row) for row in found]
    assert [changed[1] for changed in late] == [(500, False)] * 8
    off = [changed[0][0] - 200 for changed in late]
    assert (off[0], off[-1]) == (round(HOOK_OFF_AFTER_MS.low), round(HOOK_OFF_AFTER_MS.high))
    assert off == sorted(off)


def test_dial_pulses_are_not_counted(run_dir: Path) -> None:
    """README: makes of 40 ms pass by, all but on the fastest of parts."""
    pulses = [(0, 60), (1, 40)] * 10
    found = pins(run_dir, *call((1, 200), *pulses, (1, 200)), lines=8)
    assert not found[-1, 200:1200].any()
    assert found[-1, -10:].all()


@pytest.mark.parametrize(("on", "off", "seen"), [(2400, 600, [True, True]), (4800, 4000, [False, False])])
def test_a_window_that_is_fixed_does_not_see_every_line(on: int, off: int, seen: list[bool], run_dir: Path) -> None:
    """Off-hook, and on-hook again: a PBX of 24 V never hangs up, a short loop never lifts."""
    hook = np.repeat([False, True, False], 200)
    found = pins(run_dir, hook, np.where(hook, -off, -on))[0]
    assert [bool(found[390]), bool(found[590])] == seen


def test_ringing_is_seen_late_and_over_late(run_dir: Path) -> None:
    ring = np.repeat([False, True, False], [100, 1000, 900])[None]
    none = np.zeros_like(ring)
    Wires.create(wires_path(run_dir, 1), 1).put(NOW_MS, none, ring, none, np.full(ring.shape, -4800))
    board = SimulatedCard(run_dir, 1, 1)
    found = [board.levels((NOW_MS + at + 10) * NS_PER_MS).ring for at in range(0, 2000, 10)]
    on, off = changes(np.concatenate(found, axis=1)[0])
    assert on == (100 + round(RING_SEEN_MS.high), True)
    assert off == (1100 + round(RING_OVER_MS.high), False)


def test_a_tinkle_is_no_ringing(run_dir: Path) -> None:
    ring = np.repeat([False, True, False], [400, round(RING_SEEN_MS.high), 400])[None]
    none = np.zeros_like(ring)
    Wires.create(wires_path(run_dir, 1), 1).put(NOW_MS, none, ring, none, np.full(ring.shape, -4800))
    board = SimulatedCard(run_dir, 1, 1)
    assert not any(board.levels((NOW_MS + at + 10) * NS_PER_MS).ring.any() for at in range(0, 880, 10))
