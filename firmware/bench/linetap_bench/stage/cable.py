# SPDX-License-Identifier: Apache-2.0
"""The exchange's end of the cable: two PCMs with large buffers, filled only as far as requested."""

from __future__ import annotations

import ctypes
import os
import select
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from linetap.capture.alsa import close_at_once, require_pyalsaaudio, require_same_parameters
from linetap.config.schema import Card
from linetap.ring import SLOT_MS
from linetap_core.clock import SYSTEM
from linetap_core.errors import DeviceFault

BUFFER_MS = 640  # room for a stalled machine; only `fill_ms` of it delays the audio
DRY = -32  # -EPIPE: playback ran dry, or capture ran over; pyalsaaudio has prepared the stream again


@dataclass(frozen=True)
class Cable:
    """PCM names of the exchange's end. `fill_ms` of playback delay the echo and bridge a stall of that length.

    Without a period for `stalled_ms` the cable counts as dead; a unit's end that hangs looks the same to JACK.
    """

    playback_pcm: str
    capture_pcm: str
    fill_ms: int = 80
    stalled_ms: int = 2000
    period_ms: int = SLOT_MS  # longer is cheaper, but hook and ringing change in steps of it


class CableEnd:
    """The open end of a cable. Counts are frames at the cable's rate; data is interleaved."""

    def __init__(self, card: Card, cable: Cable) -> None:
        """Opens both PCMs. DeviceFault `cable_absent` or `codec_mismatch`, with the requested and the actual value."""
        require_pyalsaaudio()
        import alsaaudio

        own = msgspec.structs.replace(
            card, capture_pcm=cable.capture_pcm, playback_pcm=cable.playback_pcm, buffer_ms=BUFFER_MS
        )
        self._error: type[Exception] = alsaaudio.ALSAAudioError
        self.period = card.rate_hz * cable.period_ms // 1000
        self._playback = _open(alsaaudio, alsaaudio.PCM_PLAYBACK, cable.playback_pcm, own, cable.period_ms)
        self._capture = _open(alsaaudio, alsaaudio.PCM_CAPTURE, cable.capture_pcm, own, cable.period_ms)
        self.buffer = int(self._playback.info()["buffer_size"])
        self._poll = select.poll()
        for fd, events in self._capture.polldescriptors():
            self._poll.register(fd, events)

    def start_capture(self) -> None:
        """Starts the capture stream by a first read, at the beginning and after DRY."""
        self._capture.read()

    def wait(self, timeout_ms: int) -> None:
        """Waits until there is data to read, or until the timeout."""
        ready = self._poll.poll(timeout_ms)
        if ready:
            self._capture.polldescriptors_revents(ready)

    def available(self) -> int:
        """Number of frames to read, or DRY."""
        return int(self._capture.avail())

    def read(self) -> bytes | None:
        """Reads one period; None if the stream had overrun."""
        frames, data = self._capture.read()
        return None if frames == DRY else data

    def room(self) -> int:
        """Number of frames that can be written, or DRY."""
        return int(self._playback.avail())

    def write(self, data: bytes) -> int:
        """Number of frames accepted, or DRY. The first write starts the stream, and should contain the whole fill."""
        return int(self._playback.write(data))

    def close(self) -> None:
        close_at_once(self._capture, self._playback, error=self._error)

    def abandon(self) -> None:
        """Drops a server that no longer answers: closing might block for ever, so the kernel closes it when we end."""
        for pcm in (self._capture, self._playback):
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(pcm))  # else the destructor closes it at exit


def _open(alsaaudio: Any, kind: int, name: str, card: Card, period_ms: int) -> Any:
    try:
        pcm = alsaaudio.PCM(
            kind, alsaaudio.PCM_NONBLOCK, device=name, rate=card.rate_hz, channels=card.channels,
            format=getattr(alsaaudio, f"PCM_FORMAT_{card.format}"), periodsize=card.rate_hz * period_ms // 1000,
            periods=BUFFER_MS // period_ms,
        )  # fmt: skip
    except alsaaudio.ALSAAudioError as error:
        raise DeviceFault("cable_absent", f"{name}: cannot be opened: {error}; is ALSA_CONFIG_PATH set?") from None
    require_same_parameters(name, card, pcm.info(), period_ms)
    return pcm


# ----------------------------------------------------------------------------------------------------------------------
# Reports of stand-ins (exchange, cable, far end, simple unit) delayed by a busy machine for longer than their buffers
# allow. A stand-in measures its own lateness and appends it to the file that LINETAP_LATENESS names, one JSON object a
# line. Tests read the file to distinguish a failure of the stand-in from one of the product: see tests/rigs/held_up.py.
# Without the variable nothing is written.


VARIABLE = "LINETAP_LATENESS"
# Reports for stand-ins that cannot report themselves (jackd, a guest's) and are still running: called after a test
# fails.
WATCHED: list[Callable[[], None]] = []


class Late(msgspec.Struct, frozen=True):
    who: str  # "the exchange"
    late_ms: float  # beyond the tolerance of its buffer
    mono_ns: int  # CLOCK_MONOTONIC of the report, which all processes of a machine share

    def __str__(self) -> str:
        return f"{self.who} was {self.late_ms:.0f} ms late"


def report_late(who: str, late_ms: float) -> None:
    """Reports a buffer that ran dry or over. No report for a `late_ms` of 0 or less: the cause was elsewhere."""
    path = os.environ.get(VARIABLE)
    if path is None or late_ms <= 0:
        return
    line = msgspec.json.encode(Late(who, round(late_ms, 1), SYSTEM.monotonic_ns())) + b"\n"
    file = os.open(path, os.O_WRONLY | os.O_APPEND)  # one write: several processes report at once
    try:
        os.write(file, line)
    finally:
        os.close(file)


def reports(path: Path) -> list[Late]:
    """All reports so far, in order of arrival."""
    return [msgspec.json.decode(line, type=Late) for line in path.read_bytes().splitlines()]
