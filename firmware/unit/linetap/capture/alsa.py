# SPDX-License-Identifier: Apache-2.0
"""The codec of one card: capture and playback of one device through ALSA, with a limit on every wait.

pyalsaaudio's constructor ignores parameters that it cannot set, so the device's parameters are compared with the
requested ones. Capture is opened non-blocking: a blocking read of a dead device hangs for ever.
"""

from __future__ import annotations

import ctypes
import importlib.util
import re
import select
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from linetap.config.schema import Card
from linetap.ring import SLOT_MS
from linetap_core.errors import DeviceFault

OLDEST = (0, 11)  # 0.10 silently prepares a stream again after an overrun: audio is lost unnoticed
FILL_PERIODS = 4  # beside two busy processes 2 underran within 10 s, 4 did not
OVERRUN = -32  # -EPIPE


class AlsaCodec:
    """The codec: both directions opened and checked, playback running. Counts are device frames."""

    def __init__(self, card: Card) -> None:
        """DeviceFault `pyalsaaudio_old`, `codec_absent` or `codec_mismatch`, naming the requested and the actual
        value.
        """
        require_pyalsaaudio()
        import alsaaudio

        self._error: type[Exception] = alsaaudio.ALSAAudioError
        self.period = card.rate_hz * SLOT_MS // 1000
        self.frame_bytes = card.channels * (4 if card.format == "S32_LE" else 2)
        self._silence = bytes(self.period * self.frame_bytes)
        self._faulty = False
        self._where = f"{card.capture_pcm} (card {card.number})"
        self._playback = self._open(alsaaudio, alsaaudio.PCM_PLAYBACK, card.playback_pcm, card)
        self.buffer = int(self._playback.info()["buffer_size"])
        # Playback runs before capture is opened, as JACK requires; nearly full, to last until the loop begins.
        self.filled_at_start = self.refill(self.buffer // self.period - 1)
        self._capture = self._open(alsaaudio, alsaaudio.PCM_CAPTURE, card.capture_pcm, card)
        self._poll = select.poll()
        self._ready: list[tuple[int, int]] = []
        self._watched = -1
        for fd, events in self._capture.polldescriptors():
            self._poll.register(fd, events)
        # The bound methods themselves, called every period. They return frames, or OVERRUN.
        self.available: Callable[[], int] = self._capture.avail
        self.room: Callable[[], int] = self._playback.avail

    def _open(self, alsaaudio: Any, kind: int, name: str, card: Card) -> Any:
        wanted_format = getattr(alsaaudio, f"PCM_FORMAT_{card.format}")
        periods = -(-card.buffer_ms // SLOT_MS)
        try:
            pcm = alsaaudio.PCM(
                kind, alsaaudio.PCM_NONBLOCK, device=name, rate=card.rate_hz, channels=card.channels,
                format=wanted_format, periodsize=self.period, periods=periods,
            )  # fmt: skip
        except alsaaudio.ALSAAudioError as error:
            raise DeviceFault("codec_absent", f"{name} (card {card.number}): cannot be opened: {error}") from None
        require_same_parameters(name, card, pcm.info())
        return pcm

    def restart_capture(self) -> None:
        """Starts the stream by a first read: at the beginning, after playback, and after a reported overrun."""
        self.read()

    def refill(self, periods: int = FILL_PERIODS) -> int:
        """Writes `periods` periods of silence to an empty playback; returns the frames written."""
        return sum(max(0, self._playback.write(self._silence)) for _ in range(periods))

    def watch(self, fd: int) -> None:
        """Adds a descriptor for `wait`; registered last, so the last in poll(2)'s result."""
        self._watched = fd
        self._poll.register(fd, select.POLLIN)

    def wait(self, timeout_ms: int) -> bool:
        """Waits for captured audio or the time-out; True if the watched descriptor is readable."""
        if self._ready:  # only after the reported audio was read, else it would be reported twice
            self._capture.polldescriptors_revents(self._ready)
        self._ready = self._poll.poll(timeout_ms)
        if not self._ready or self._ready[-1][0] != self._watched:
            return False
        self._ready.pop()
        return True

    def read(self) -> bytes | None:
        """Reads one period, or less if less is available; None after an overrun, after which the stream is prepared."""
        frames, data = self._capture.read()
        return None if frames == OVERRUN else data

    def write(self, data: bytes | None) -> int:
        """Writes one period, None for silence; returns the frames, or OVERRUN after an underrun (prepared again)."""
        return int(self._playback.write(self._silence if data is None else data))

    @contextmanager
    def faults(self) -> Iterator[None]:
        """Turns ALSA's errors into DeviceFault `codec_lost`; after any fault the device is not closed."""
        try:
            yield
        except self._error as error:
            self._abandon()
            raise DeviceFault("codec_lost", f"{self._where}: {error}") from None
        except DeviceFault:
            self._abandon()
            raise

    def close(self) -> None:
        """Closes the device; the loop, its only reader, has stopped."""
        if not self._faulty:
            close_at_once(self._capture, self._playback, error=self._error)

    def _abandon(self) -> None:
        """Leaves a device that no longer answers: closing it may wait for ever, so the kernel closes it at the
        process's end."""
        self._faulty = True
        for pcm in (self._capture, self._playback):
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(pcm))  # else the destructor closes it at exit


def close_at_once(*pcms: Any, error: type[Exception]) -> None:
    """Closes devices without playing queued audio: close alone would play it to its end, and would poll a dead device
    without a pause.
    """
    for pcm in pcms:
        with suppress(error):
            pcm.drop()
        pcm.close()


def require_same_parameters(name: str, card: Card, info: dict[str, Any], period_ms: int = SLOT_MS) -> None:
    """DeviceFault `codec_mismatch` if the device differs from the configuration."""
    period = card.rate_hz * period_ms // 1000
    wanted = {"rate": card.rate_hz, "format_name": card.format, "channels": card.channels, "period_size": period}
    differences = [
        f"{key.removesuffix('_name')} {asked} asked, {info.get(key)} given"
        for key, asked in wanted.items()
        if info.get(key) != asked
    ]
    least = card.buffer_ms * card.rate_hz // 1000
    if int(info.get("buffer_size") or 0) < least:
        differences.append(f"buffer of {least} frames requested, {info.get('buffer_size')} given")
    if differences:
        text = "; ".join(differences)
        raise DeviceFault(
            "codec_mismatch", f"{name} (card {card.number}): {text}; set [[card]] to the device's parameters"
        )


def require_pyalsaaudio(version: str | None = None) -> None:
    """DeviceFault `pyalsaaudio_old` below 0.11 or without pyalsaaudio."""
    found = version or _installed()
    numbers = tuple(int(part) for part in found.split(".")[:2] if part.isdigit())
    if numbers < OLDEST:
        raise DeviceFault(
            "pyalsaaudio_old", f"pyalsaaudio {found}: at least 0.11 is needed, older ones hide lost audio"
        )


def _installed() -> str:
    """The version by the folder of the installation beside the module: importlib.metadata would cost each card
    2 MB.
    """
    module = importlib.util.find_spec("alsaaudio")
    if module is None or module.origin is None:
        return "0"
    names = (path.name for path in Path(module.origin).parent.glob("pyalsaaudio-*-info"))
    return next((match[1] for name in names if (match := re.match(r"pyalsaaudio-([0-9.]*[0-9])", name))), "0")
