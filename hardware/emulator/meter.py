# SPDX-License-Identifier: Apache-2.0
"""A meter: the part with its program, connected to a host with an open port, behind which is linetap's reader."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from emulator.chip import OSCILLATOR_HZ, Chip
from emulator.converter import Inputs
from emulator.host import Host
from emulator.twowire import Slave
from meterbuild import build_part

LOOP_CLOSED = 0.5  # the tamper loop's share of the reference
TAMPER_CHANNEL = 8
RECORDERS = (0x4A, 0x4B)

_folder = tempfile.TemporaryDirectory(prefix="linetap-part-")


@cache
def program() -> Path:
    """The part's own ELF, compiled once a run."""
    made = Path(_folder.name) / "meter.elf"
    build_part(made)
    return made


class PartMeter:
    """The far end of a reader's cable: `sent_until` and `receive`, by the reader's clock."""

    def __init__(
        self, inputs: Inputs, began_ns: int, elf: Path | None = None, oscillator_hz: float | None = OSCILLATOR_HZ
    ) -> None:
        """`inputs`: channels 0 to 7 are lines 1 to 8; `began_ns`: time of power-on, by the reader's clock."""
        self._began_ns = began_ns
        self.chip = Chip(elf or program(), _with_loop(inputs), oscillator_hz)
        self.host = Host(self.chip.usb, self.chip.time)
        self.chip.world = self.host.turn
        self.recorders = [Slave(), Slave()]  # the audio converters of the recording
        self.chip.wire.slaves = dict(zip(RECORDERS, self.recorders, strict=True))

    def sent_until(self, now_ns: int) -> bytes:
        self.chip.run(now_ns - self._began_ns)
        sent = bytes(self.host.received)
        self.host.received.clear()
        return sent

    def receive(self, data: bytes, now_ns: int) -> None:
        self.chip.run(now_ns - self._began_ns)
        if self.host.opened:
            self.host.send(data)


def played(shares: npt.NDArray[np.float64], step_ns: int) -> Inputs:
    """Inputs from an array: rows are channels, a column is the pins' values for `step_ns`; the last column stays."""
    rows, last = shares.tolist(), shares.shape[1] - 1
    return lambda channel, ns: rows[channel][min(ns // step_ns, last)]


def _with_loop(inputs: Inputs) -> Inputs:
    return lambda channel, ns: LOOP_CLOSED if channel == TAMPER_CHANNEL else inputs(channel, ns)
