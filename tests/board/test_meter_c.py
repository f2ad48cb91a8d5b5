# SPDX-License-Identifier: Apache-2.0
"""The meter's program in C reports the same frames as the simulated meter for the same voltages."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from cmeter_rig import LINES, edges_of, emulated, payloads, said_by_bench, said_by_c
from linetap.board.meter import protocol as wire
from linetap.board.meter.protocol import encode
from linetap.ring import I16
from meter_rig import Wave, hundredths, ringing, steps
from meterbuild import METER, build_host

Volts = npt.NDArray[np.float64]
MS = np.arange(3000) / 1000
CUT = "wires that are cut"
SHORT = "a PBX of 24 V and a short loop"
MOST_V = 241  # the range of the part's converter: half of VREF, 161 times
LEARNT_24_V = (1320, 1680, 800, 300)  # off-hook below, on-hook above, fall, no line: of 24 V and 6 V
LEARNT_SHORT = (4320, 4480, 400, 300)  # of 48 V and 40 V


def limits(*lines: tuple[int, int, int, int]) -> bytes:
    """A frame of `limits`; channels after the given ones have the profile's."""
    all_ = [*lines, *[(1600, 2500, 800, 300)] * (LINES - len(lines))]
    each = b"".join(struct.pack("<HH", low, high) for low, high, _, _ in all_)
    each += b"".join(struct.pack("<HH", fall, no_line) for _, _, fall, no_line in all_)
    return encode(wire.LIMITS, 1, LINES, each=each)


def dialled(break_s: float, make_s: float, pulses: int = 10) -> Wave:
    levels = [(0.0, -48.0), (0.5, -8.0)]
    for pulse in range(pulses):
        at = 1 + pulse * (break_s + make_s)
        levels += [(at, -48.0), (at + break_s, -8.0)]
    return steps(*levels)


def answered(at_s: float, hz: float = 20.0) -> Wave:
    """An answer in mid burst: for 60 ms the exchange still rings, over a telephone that absorbs most of it."""

    def wave(seconds: Volts) -> Volts:
        rung = ringing(-48, 75, hz, 0.5, 1.5)(seconds)
        tripped = -8 + 3 * np.sin(2 * np.pi * hz * seconds)
        made: Volts = np.where(seconds < at_s, rung, np.where(seconds < at_s + 0.06, tripped, -8))
        return made

    return wave


def discharging(tau_s: float) -> Wave:
    return lambda seconds: -48 * np.exp(-np.maximum(seconds - 1, 0) / tau_s)


def noisy(wave: Wave, rms: float, seed: int) -> Wave:
    return lambda seconds: wave(seconds) + np.random.default_rng(seed).normal(0, rms, len(seconds))


CALL = steps((0, -48), (1, -8), (2, -48))
BOUNCE = steps((0, -48), (1.000, -8), (1.003, -48), (1.005, -8), (1.010, -48), (1.012, -8), (2.0, -48), (2.5, -8))
CARDS: dict[str, tuple[Sequence[Wave], Sequence[tuple[int, int, int, int]]]] = {
    "calls": ([CALL, BOUNCE, steps((0, 48), (1, 8), (1.5, -8), (2, -48)), steps((0, -8)), steps((0, 0))], []),
    "pulse dialling": ([dialled(*each) for each in ((0.06, 0.04), (0.05, 0.05), (0.067, 0.033), (0.03, 0.02))], []),
    "flashes": ([steps((0, -8), (1, -48), (1 + s, -8)) for s in (0.15, 0.2, 0.201, 0.3, 0.6, 1.0)], []),
    "ringing": ([ringing(-48, rms, hz, 0.5, 1.5, phase) for rms, hz, phase in (
        (40, 15.3, 0), (40, 15.3, 3.1), (75, 20, 0), (75, 25, 1.6),
        (150, 68, 0), (150, 15.3, 4.7), (47.4, 50, 1), (100, 33, 2),
    )], []),
    "answers in mid burst": ([answered(1 + k * 0.007) for k in range(8)], []),
    SHORT: (
        [steps((0, -24), (1, -6), (2, -24)), ringing(-24, 75, 20, 0.5, 1.5), steps((0, -48), (1, -40), (2, -48)),
         steps((0, -24), (1, -6), (2, -24))],
        [LEARNT_24_V, LEARNT_24_V, LEARNT_SHORT],
    ),
    CUT: (
        [discharging(tau) for tau in (0.1, 0.25, 0.75, 1.5)]
        + [steps((0, -48), (0.5, -8), (1, 0)), steps((0, -48), (0.5, -8), (1, 0), (2.02, -8)),
           steps((0, -48), (1, -8), (1.2, -0.5), (2, -8)), steps((0, 0), (1, -8))],
        [],
    ),
    "noise": ([noisy(CALL, 3, 1), noisy(CALL, 10, 2), noisy(steps((0, -21)), 3, 3), noisy(steps((0, -3)), 1, 4),
               noisy(ringing(-48, 40, 20, 0.5, 1.5), 5, 5), noisy(steps((0, -16)), 0.5, 6),
               noisy(dialled(0.06, 0.04), 2, 7), noisy(steps((0, -25)), 1, 8)], []),
}  # fmt: skip


def made_of(waves: Sequence[Wave], seconds: Volts = MS) -> I16:
    rows = [np.clip(wave(seconds), -MOST_V, MOST_V) for wave in waves]
    return hundredths([*rows, *[np.full(len(seconds), -48.0)] * (LINES - len(rows))])


def compare(volts: I16, told: Sequence[bytes] = ()) -> list[tuple[int, int, str, bool]]:
    """Asserts that both have the same edges; returns them."""
    bench, boot = said_by_bench(volts, told)
    ours = said_by_c(volts, told, boot)
    until = volts.shape[1]
    assert edges_of(ours, until) == edges_of(bench, until)
    for frame in (wire.SAMPLES, wire.HELLO, wire.STATUS):
        assert payloads(ours, frame) == payloads(bench, frame), frame.name
    assert [sequence for _, sequence, _ in ours] == [i & 0xFFFF for i in range(len(ours))]
    return edges_of(ours, until)


@pytest.mark.parametrize("card", CARDS)
def test_the_same_lines_are_the_same_frames(card: str) -> None:
    waves, learnt = CARDS[card]
    compare(made_of(waves), [limits(*learnt)] if learnt else [])


@pytest.mark.parametrize("card", CARDS)
def test_compiled_for_the_parts_core_it_says_the_same(card: str) -> None:
    waves, learnt = CARDS[card]
    told = [limits(*learnt), *[encode(wire.BEAT, i, 0xC0DB_0000 + i) for i in range(100)]]
    assert said_by_c(made_of(waves), told, command=emulated()) == said_by_c(made_of(waves), told)


def test_what_is_dialled_is_in_the_edges() -> None:
    """Ten breaks with their lengths: the common result is also correct."""
    found = compare(made_of([dialled(0.06, 0.04)]))
    hook = [(at, level) for at, channel, which, level in found if (channel, which) == (0, "hook")]
    opened = [at for at, level in hook if not level]
    closed = [at for at, level in hook if level][1:]
    assert [after - before for before, after in zip(opened, closed, strict=True)] == [60] * 10
    assert [(at, level) for at, channel, which, level in found if (channel, which) == (0, "pulse")] == hook


def test_ringing_is_reported_and_is_no_pulse() -> None:
    found = compare(made_of([ringing(-48, 75, 20, 0.5, 1.5)]))
    (on, _, _, _), (off, _, _, _) = [each for each in found if each[2] == "ring"]
    assert 500 < on < 570
    assert 1500 < off < 1570
    assert not [each for each in found if each[2] == "hook"]
    assert all(500 <= at < on or off <= at < 1570 for at, _, which, _ in found if which == "pulse")


@pytest.mark.parametrize("seed", range(12))
def test_any_voltages_at_all(seed: int) -> None:
    """Levels of every length, each line with its own limits; half of the cards have arbitrary ADC codes."""
    random = np.random.default_rng(seed)
    choice = (
        [-48, -8, -20, 0, 8, -100, 60, -14, -24, -6, -40, -2.9, -3, -16, -25]
        if seed % 2
        else np.arange(-MOST_V, MOST_V + 1)
    )
    rows = []
    for _ in range(LINES):
        lengths = np.concatenate(
            [random.integers(1, 120, 30), random.integers(900, 1100, 2), random.integers(1, 6, 30)]
        )
        random.shuffle(lengths)
        row = np.repeat(random.choice(choice, len(lengths)), lengths).astype(np.float64)
        rows.append(row[:3000] + random.normal(0, random.choice([0, 0.05, 1]), len(row[:3000])))
    least = min(len(row) for row in rows)
    told = [limits(*((int(random.integers(200, 4000)), int(random.integers(200, 5000)), int(random.integers(1, 2000)),
                      int(random.integers(0, 600))) for _ in range(LINES)))]  # fmt: skip
    compare(hundredths(np.clip([row[:least] for row in rows], -MOST_V, MOST_V)), told if seed % 3 == 0 else [])


MUTATIONS = {
    "no hysteresis": ("line.c", "size > line->limits.on_above", "size >= line->limits.off_below", "noise"),
    "the limits of another line": ("meter.c", "&meter.lines[i].limits", "&meter.lines[0].limits", SHORT),
    "a bounce is a lifted handset": ("line.c", "METER_MAKE_MIN_MS : METER_LIFT_MIN_MS", "1u : 1u", "calls"),
    "an edge is dated when it is known": ("line.c", "*ago = (uint8_t)(line->contrary - 1u)", "*ago = 0", "calls"),
    "a cut wire is off-hook": ("line.c", "&& fell_or_stays(line, size)", "&& (fell_or_stays(line, size) || true)", CUT),
    "a step rings": ("window.c", "&& below", "|| below", "ringing"),
    "a mean of another window": ("window.c", "sum += volts - window_back(window, METER_RING_WINDOW_MS)",
                                 "sum += volts - window_back(window, WINDOW_PAST)", "ringing"),
    "ringing is pulses": ("line.c", "!rings && line->loop", "line->loop", "ringing"),
    "a dead line keeps its call": ("line.c", " || line->dead > METER_NO_LINE_MS", "", CUT),
}  # fmt: skip


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_wrong_program_is_found(name: str, tmp_path: Path) -> None:
    file, old, new, card = MUTATIONS[name]
    folder = tmp_path / "meter"
    shutil.copytree(METER, folder)
    text = (folder / file).read_text()
    assert old in text
    (folder / file).write_text(text.replace(old, new))
    waves, learnt = CARDS[card]
    volts, told = made_of(waves), [limits(*learnt)] if learnt else []
    bench, _ = said_by_bench(volts, told)
    ours = said_by_c(volts, told, command=[str(build_host(tmp_path / "host", folder))])
    assert edges_of(ours, len(MS)) != edges_of(bench, len(MS))
