# SPDX-License-Identifier: Apache-2.0
"""The exchange's end of the cable: two PCMs with large buffers, which are filled only as far as asked for."""

from __future__ import annotations

import ctypes
import select
from dataclasses import dataclass
from typing import Any

import msgspec

from linetap.capture.alsa import complain_of_difference, require_pyalsaaudio
from linetap.config.schema import Card
from linetap.ring import SLOT_MS
from linetap_core.errors import DeviceFault

BUFFER_MS = 640  # room for a stalled machine; only `fill_ms` of it delays the audio
DRY = -32  # -EPIPE: playback ran dry, or capture ran over; pyalsaaudio has prepared the stream again


@dataclass(frozen=True)
class Cable:
    """PCM names of the exchange's end. `fill_ms` of playback delay the echo and bridge a stall of that length.

    Without a period for `stalled_ms` the cable is dead; to JACK a unit's end that hangs looks the same.
    """

    playback_pcm: str
    capture_pcm: str
    fill_ms: int = 80
    stalled_ms: int = 2000
    period_ms: int = SLOT_MS  # longer is cheaper, and hook and ringing change in steps of it


class CableEnd:
    """Counts are frames at the cable's rate; data is interleaved."""

    def __init__(self, card: Card, cable: Cable) -> None:
        """DeviceFault `cable_absent` or `codec_mismatch`, with the requested and the actual value."""
        require_pyalsaaudio()
        import alsaaudio

        own = msgspec.structs.replace(
            card, capture_pcm=cable.capture_pcm, playback_pcm=cable.playback_pcm, buffer_ms=BUFFER_MS
        )
        self.period = card.rate_hz * cable.period_ms // 1000
        self._playback = _open(alsaaudio, alsaaudio.PCM_PLAYBACK, cable.playback_pcm, own, cable.period_ms)
        self._capture = _open(alsaaudio, alsaaudio.PCM_CAPTURE, cable.capture_pcm, own, cable.period_ms)
        self.buffer = int(self._playback.info()["buffer_size"])
        self._poll = select.poll()
        for fd, events in self._capture.polldescriptors():
            self._poll.register(fd, events)

    def start_capture(self) -> None:
        """At the beginning and after DRY: the first read starts the stream."""
        self._capture.read()

    def wait(self, timeout_ms: int) -> None:
        """Waits until there is something to read, or the time is over."""
        ready = self._poll.poll(timeout_ms)
        if ready:
            self._capture.polldescriptors_revents(ready)

    def available(self) -> int:
        """Frames to read, or DRY."""
        return int(self._capture.avail())

    def read(self) -> bytes | None:
        """One period; None if the stream had overrun."""
        frames, data = self._capture.read()
        return None if frames == DRY else data

    def room(self) -> int:
        """Frames that can be written, or DRY."""
        return int(self._playback.avail())

    def write(self, data: bytes) -> int:
        """The accepted frames, or DRY. The first write starts the stream, so that it should hold the whole fill."""
        return int(self._playback.write(data))

    def close(self) -> None:
        self._capture.close()
        self._playback.close()

    def abandon(self) -> None:
        """For a server that no longer answers: closing might block for ever, so the kernel does it when we end."""
        for pcm in (self._capture, self._playback):
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(pcm))  # else the destructor closes it on the way out


def _open(alsaaudio: Any, kind: int, name: str, card: Card, period_ms: int) -> Any:
    try:
        pcm = alsaaudio.PCM(
            kind, alsaaudio.PCM_NONBLOCK, device=name, rate=card.rate_hz, channels=card.channels,
            format=getattr(alsaaudio, f"PCM_FORMAT_{card.format}"), periodsize=card.rate_hz * period_ms // 1000,
            periods=BUFFER_MS // period_ms,
        )  # fmt: skip
    except alsaaudio.ALSAAudioError as error:
        raise DeviceFault("cable_absent", f"{name}: cannot be opened: {error}; is ALSA_CONFIG_PATH set?") from None
    complain_of_difference(name, card, pcm.info(), period_ms)
    return pcm
