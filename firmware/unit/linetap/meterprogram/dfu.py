# SPDX-License-Identifier: Apache-2.0
"""The host's side of DFU 1.1: downloads an image to a loader in its DFU mode. Every wait is limited."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Protocol

from linetap.meterprogram.image import Image
from linetap_core.clock import Clock
from linetap_core.errors import DeviceFault, Refusal

BLOCK = 64  # bytes: the loader's wTransferSize
OUT, IN = 0x21, 0xA1  # class, to interface 0
DNLOAD, GETSTATUS, CLRSTATUS, ABORT = 1, 3, 4, 6
IDLE, DNLOAD_IDLE, ERROR = 2, 5, 10
MOST_ASKED = 20  # status requests for one block
MOST_WAIT_MS = 10_000
WORDS = {
    1: "it is a program for another part",
    2: "it is not signed by the key that this meter trusts, or was changed",
    4: "the meter could not erase its flash",
    6: "the meter could not write its flash",
    7: "what the meter wrote reads otherwise: its flash is worn",
    8: "it is longer than the meter has room",
    9: "it is shorter than its header says",
    11: "it is older than the program that the meter has",
}
_FOR_THE_FILE = (1, 2, 8, 9, 11)


class Control(Protocol):
    """Endpoint 0. OSError if the device stalls a request, or is gone."""

    def give(self, kind: int, request: int, value: int, data: bytes) -> None: ...
    def ask(self, kind: int, request: int, length: int) -> bytes: ...


def download(
    device: Control, image: Image, clock: Clock, progress: Callable[[int], None] = lambda _bytes: None
) -> None:
    """Downloads an image. Refusal if the loader rejects it, DeviceFault if it fails; then the old program runs."""
    try:
        _make_idle(device)
        for number, at in enumerate(range(0, len(image.data), BLOCK)):
            device.give(OUT, DNLOAD, number & 0xFFFF, image.data[at : at + BLOCK])
            _until(device, DNLOAD_IDLE, clock)
            progress(min(at + BLOCK, len(image.data)))
        device.give(OUT, DNLOAD, 0, b"")
        _until(device, IDLE, clock)
    except OSError as error:
        if isinstance(error, DeviceFault):
            raise
        raise DeviceFault("meter_update", f"the meter's loader does not answer as it should: {error}") from None


def _status(device: Control) -> tuple[int, int, int]:
    """Status, milliseconds to wait, and state."""
    data = device.ask(IN, GETSTATUS, 6)
    if len(data) != 6:
        raise OSError(f"{len(data)} bytes of status")
    status, low, high, state, _ = struct.unpack("<BHBBB", data)
    return status, low | high << 16, state


def _make_idle(device: Control) -> None:
    """Brings the loader to idle from any state that another client, or a failed start, has left."""
    for _ in range(3):
        _, _, state = _status(device)
        if state == IDLE:
            return
        device.give(OUT, CLRSTATUS if state == ERROR else ABORT, 0, b"")
    raise OSError("it does not become idle")


def _until(device: Control, wanted: int, clock: Clock) -> None:
    for _ in range(MOST_ASKED):
        status, wait_ms, state = _status(device)
        if state == ERROR:
            why = WORDS.get(status, f"DFU status {status}")
            if status in _FOR_THE_FILE:
                raise Refusal(f"the meter refuses the program: {why}")
            raise DeviceFault("meter_update", why)
        if state == wanted:
            return
        clock.sleep(min(wait_ms, MOST_WAIT_MS) / 1000)
    raise OSError(f"still busy after {MOST_ASKED} requests")
