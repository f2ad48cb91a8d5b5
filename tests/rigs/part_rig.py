# SPDX-License-Identifier: Apache-2.0
"""The emulated part with the meter's own ELF, and linetap's reader at its cable, with a clock moved by the test."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
import pytest

from emulator import engine
from emulator.chip import OSCILLATOR_HZ
from emulator.converter import Inputs
from emulator.meter import PartMeter, played
from linetap.board.meter import protocol as wire
from linetap.board.meter.decide import Decider
from linetap.board.meter.limits import LimitArrays, LineLimits
from linetap.board.meter.reader import Reader
from linetap_core.clock import ManualClock
from meter_rig import BATCH_MS, NUMBERS, PLAIN, START_NS, Cable, MeterRig, Wave, joined
from meterbuild import METER, PART_GCC, PART_SCRIPT, PART_SOURCES, compile_for_part, link_for_part

LINES = wire.MOST_CHANNELS
VOLTS_OF_ALL = 3.0 * 161  # the line's range for all of VREF
READY_S = 0.2  # powered, enumerated, and sending its clock
STEP_NS = 100_000
_folder = TemporaryDirectory(prefix="linetap-part-objects-")

needs_part = [
    pytest.mark.skipif(not engine.WHERE.exists(), reason="Unicorn is not fetched: ./build.sh test fetches it"),
    pytest.mark.skipif(not shutil.which(PART_GCC), reason=f"{PART_GCC} is not installed: it compiles for the part"),
]


def shares(waves: Sequence[Wave], seconds: float) -> npt.NDArray[np.float64]:
    """The pins' voltages as shares of VREF for 8 lines with these waves, and -48 V for a line without a wave."""
    at = np.arange(0, seconds, STEP_NS / 1e9)
    rows = [wave(at) for wave in waves] + [np.full(len(at), -48.0)] * (LINES - len(waves))
    return 0.5 + np.array(rows) / VOLTS_OF_ALL


def pins(waves: Sequence[Wave], seconds: float) -> Inputs:
    return played(shares(waves, seconds), STEP_NS)


class PartRig(MeterRig):
    """A MeterRig with the part in place of the simulated meter. Its seconds count from power-on."""

    def __init__(
        self,
        inputs: Inputs,
        elf: Path | None = None,
        oscillator_hz: float | None = OSCILLATOR_HZ,
        limits: Sequence[LineLimits] | None = None,
    ) -> None:
        self.clock = ManualClock(monotonic_ns=START_NS)
        self.part = PartMeter(inputs, START_NS, elf, oscillator_hz)
        self.cable = Cable(self.part, self.clock)
        self.limits = LimitArrays(limits or [PLAIN] * LINES)
        self.reader = Reader(self.cable, range(LINES), Decider(self.limits, [NUMBERS] * LINES), self.clock)

    def edges(self, seconds: float, channel: int = 0) -> list[tuple[float, bool]]:
        """The reader's edges of a line: (second, off-hook). At READY_S it sends the limits, more than a packet."""
        found = self.run(READY_S)
        self.reader.set_limits(self.limits)
        found += self.run(seconds - READY_S)
        return hook_edges(joined(found).hook[channel]) if any(found) else []


def hook_edges(hook: npt.NDArray[np.bool_]) -> list[tuple[float, bool]]:
    begins = round(READY_S * 1000) + BATCH_MS
    at = np.flatnonzero(np.diff(hook[begins:].astype(np.int8), prepend=0)) + begins
    return [((int(i) - BATCH_MS) / 1000, bool(hook[i])) for i in at]


def wrong_program(folder: Path, file: str, old: str, new: str) -> Path:
    """The part's ELF with a change in one of its sources or headers: the part's own, otherwise the meter's."""
    copied = folder / "meter"
    shutil.copytree(METER, copied)
    path = next(path for path in (copied / "stm32g0" / file, copied / file) if path.exists())
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    objects = dict(_compiled())
    for source in path.parent.glob("*.c" if file.endswith(".h") else file):
        objects[source.name] = compile_for_part(source, folder)
    link_for_part(folder / "meter.elf", list(objects.values()), PART_SCRIPT)
    return folder / "meter.elf"


@cache
def _compiled() -> dict[str, Path]:
    return {source.name: compile_for_part(source, Path(_folder.name)) for source in PART_SOURCES}
