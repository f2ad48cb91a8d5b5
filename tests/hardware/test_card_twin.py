# SPDX-License-Identifier: Apache-2.0
"""The card's digital twin: events on a line, through all built parts, to linetap's hook edge.

ngspice has the drawn net, the emulated part converts against the drawn net on VREF+ and runs the meter's own ELF, a
host reads its USB endpoint, and linetap's reader decides. Eight calls at a time, each with its own front end at its own
corner: a part has eight lines, and one clock.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import batched, groupby
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hardware_rig import copied, front_end
from twin_rig import Found, changes, corners, edges_told, fits, limits, shares

from drawing.project import Circuit
from emulator.chip import OSCILLATOR_HZ
from emulator.meter import played
from emulator.registers import Misuse
from linetap.board.interface import PERIOD_MS
from linetap.config.profile import Profile
from meter_rig import BATCH_MS, PLAIN, joined
from part_rig import LINES, READY_S, STEP_NS, PartRig, needs_part, wrong_program
from simulation.calls import CALLS, Call, vm
from simulation.converters import drawn_reference, reference_net
from simulation.corners import EXCHANGED, Corner
from simulation.linetable import BREAK_MS, FLASH_MS, LINE, RING_HZ, Rows
from simulation.netlist import Netlist
from simulation.spice import Supply, each

pytestmark = [
    *needs_part,
    pytest.mark.skipif(not shutil.which("ngspice"), reason="ngspice is not installed: it has the drawn net"),
]

FLICKER_S = 0.025
MOST_OFF_V = 3.0  # the table's limit of the meter's error


class Lost(Exception):
    """The reader has no meter, or has lost data."""


@dataclass(frozen=True)
class Ran:
    """The results of one line: linetap's reader, and the part's own edges."""

    hook: Found
    ring: Found
    told: Found
    volts: npt.NDArray[np.int16]
    polarity: npt.NDArray[np.bool_]


def of(call: Call, corner: Corner, net: str) -> npt.NDArray[np.float64]:
    return shares(vm(call, corner.netlist, corner.supply), call.seconds, corner, net)


def through(
    calls: Sequence[Call], rows: Sequence[npt.NDArray[np.float64]], elf: Path | None = None, clock: float = 0.0
) -> list[Ran]:
    """Runs at most eight calls, each on its line, through one part and one reader."""
    length = max(len(row) for row in rows)
    whole = [np.pad(row, (0, length - len(row)), mode="edge") for row in rows]
    whole += [np.full(length, 0.5)] * (LINES - len(rows))
    learnt = [*(limits(call.learnt) for call in calls), *[PLAIN] * (LINES - len(calls))]
    rig = PartRig(played(np.array(whole), STEP_NS), elf, OSCILLATOR_HZ * (1 + clock), learnt)
    heard = bytearray()
    sent_until = rig.part.sent_until

    def listening(now_ns: int) -> bytes:
        sent = sent_until(now_ns)
        heard.extend(sent)
        return sent

    rig.part.sent_until = listening  # type: ignore[method-assign]
    seconds = length * STEP_NS / 1e9
    found = rig.run(READY_S)
    rig.reader.set_limits(rig.limits)
    found += rig.run(seconds - READY_S + BATCH_MS / 1000)
    lost = (rig.reader.state.frames_lost, rig.reader.state.restarts, rig.part.chip.resets)
    if lost != (0, 0, 0) or not rig.reader.state.connected or not any(found):
        raise Lost(f"frames, restarts, resets: {lost}")
    levels = joined(found)
    told = edges_told(bytes(heard))
    return [
        Ran(changes(levels.hook[i]), changes(levels.ring[i]), told.get(i, []), levels.volts[i], levels.polarity[i])
        for i in range(len(calls))
    ]


def lasting(found: Found, call: Call) -> Found:
    """The edges that matter: while a line rings over a lifted telephone, breaks under 25 ms are debounced by the
    recorder.
    """
    kept: Found = []
    for at, level in found:
        if call.ring and level and kept and not kept[-1][1] and at - kept[-1][0] < FLICKER_S:
            kept.pop()
        else:
            kept.append((at, level))
    return kept


def corners_of(call: Call) -> list[str]:
    """The corners of a call. Lowest and highest apply to a tip above its ring: an exchanged or reversed pair has its
    own.
    """
    pairs = ("", EXCHANGED) if "polarity" in call.shows else ("",)
    return [f"{pair}{end}, {pace}" for pair in pairs for end in ("lowest", "highest") for pace in ("slow", "fast")]


WANTED = [(call, corner) for call in CALLS for corner in corners_of(call)]


@cache
def all_of_them() -> dict[tuple[str, str], Ran]:
    """Every call at each of its corners, grouped by clock and length."""
    wanted = sorted(WANTED, key=lambda it: (corners()[it[1]].clock, it[0].seconds))
    rows = each(lambda it: of(it[0], corners()[it[1]], drawn_reference()), wanted)
    ran: dict[tuple[str, str], Ran] = {}
    for clock, alike in groupby(zip(wanted, rows, strict=True), lambda it: corners()[it[0][1]].clock):
        for some in batched(alike, LINES, strict=False):
            made = through([call for (call, _), _ in some], [row for _, row in some], clock=clock)
            ran |= {(call.name, corner): one for ((call, corner), _), one in zip(some, made, strict=True)}
    return ran


@pytest.mark.parametrize(("call", "corner"), WANTED, ids=[f"{call.name}: {corner}" for call, corner in WANTED])
def test_what_happens_on_a_line_is_what_linetap_reads(call: Call, corner: str) -> None:
    ran = all_of_them()[call.name, corner]
    assert fits(lasting(ran.hook, call), call.hook), ran.hook
    assert fits(lasting(ran.ring, call), call.ring), ran.ring
    assert fits(lasting(ran.told, call), call.hook), "the part's own edges"
    if not call.ring:  # the peaks of ringing are on both sides
        begins = round(READY_S * 1000) + BATCH_MS
        turned = np.flatnonzero(np.diff(ran.polarity[begins:].astype(np.int8))) + begins
        assert [(int(at) - BATCH_MS) / 1000 for at in turned] == pytest.approx(list(call.turned), abs=0.005)
    if "off_hook_v" in call.shows:
        before, during = (abs(int(ran.volts[(round(at * 1000) + BATCH_MS) // PERIOD_MS])) / 100 for at in (0.3, 0.6))
        assert (before, during) == pytest.approx((call.shows["battery_v"], call.shows["off_hook_v"]), abs=MOST_OFF_V)
        other_way = call.shows.get("polarity") in ("reversed", "turns at the answer")
        assert bool(ran.polarity[-1]) is not other_way, "a tip on ground is positive"


@pytest.mark.parametrize("rows", LINE, ids=lambda rows: rows.name)
def test_each_row_of_the_lines_table_is_a_call(rows: Rows) -> None:
    missing = [state for state in rows.states() if not any(call.shows.items() >= state.items() for call in CALLS)]
    assert not missing


def test_the_lines_table_has_what_the_profile_takes() -> None:
    """Its limits are those of linetap's own numbers, each with its source."""
    profile = Profile()
    assert (profile.flash_min_ms, profile.flash_max_ms) == FLASH_MS
    assert (profile.pulses.break_min_ms, profile.pulses.break_max_ms) == BREAK_MS
    assert min(RING_HZ) >= 1000 / profile.meter.ring_window_ms


def found_wrong(calls: Sequence[Call], netlist: Netlist, net: str, elf: Path | None = None) -> bool:
    """Whether any of these calls is misread."""
    rows = each(lambda call: of(call, Corner(netlist, Supply()), net), calls)
    try:
        ran = through(calls, rows, elf)
    except (Lost, Misuse):
        return True
    return not all(fits(lasting(one.hook, call), call.hook) for one, call in zip(ran, calls, strict=True))


SOME = [call for call in CALLS if call.name in ("a handset at 5 V", "a call on 48 V")]


def test_some_calls_are_read_right() -> None:
    assert not found_wrong(SOME, front_end(), drawn_reference())


def test_a_converter_that_measures_against_its_supply_is_found(tmp_path: Path) -> None:
    circuit = Circuit(copied(tmp_path, ("meter.sheet", "vref=VREF", "vref=+3V3")))
    assert found_wrong(SOME, front_end(), reference_net(circuit))


@pytest.mark.parametrize(("part", "value"), [("R105", "22k"), ("R106", "220k")])
def test_a_wrong_part_is_found(part: str, value: str) -> None:
    assert found_wrong(SOME, front_end().replaced(part, value), drawn_reference())


@pytest.mark.parametrize(
    "wrong",
    [
        ("adc.c", "next(&measured->lines[i])", "next(&measured->lines[i ^ 2u])"),
        ("adc.c", "(1u | 3u << 2)", "(1u | 2u << 2)"),
        ("clock.c", "CPU_HZ / 1000000u - 1u", "CPU_HZ / 2000000u - 1u"),
    ],
    ids=["channels exchanged", "half the samples", "half the clock"],
)
def test_a_wrong_register_is_found(wrong: tuple[str, str, str], tmp_path: Path) -> None:
    assert found_wrong(SOME, front_end(), drawn_reference(), wrong_program(tmp_path, *wrong))
