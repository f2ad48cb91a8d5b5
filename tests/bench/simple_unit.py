# SPDX-License-Identifier: Apache-2.0
"""A minimal unit on a cable: records audio and levels for a while, plays a notice, closes a relay.

`python simple_unit.py OUT.npz RUN_DIR RATE FORMAT CHANNELS SECONDS NOTICE_CHANNEL RELAY_FROM_S RELAY_TO_S [ALIVE_S]`

The notice (noise of a fixed seed) plays permanently on NOTICE_CHANNEL and those after it; only its relay and the next
one's are closed for a while. OUT contains `audio` int16 (channels, samples), `mono_ns` of each period's first sample,
`hook`, `ring`, `polarity` bool (lines, ms), `volts` (lines, periods). After ALIVE_S its board is not polled any more,
as if the unit had stalled; the notice and its relay continue. Once it captures it writes the state files for which an
exchange waits.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import alsaaudio
import numpy as np

from linetap.board.interface import Levels
from linetap.board.simulated import SimulatedCard
from linetap.capture.service import PRIORITY
from linetap_bench.stage.cable import report_late
from linetap_bench.stage.jack import JackCable
from linetap_core.clock import NS_PER_MS, SYSTEM
from linetap_core.records import CaptureState, RecorderState, ServiceState
from linetap_core.service import StateFile, try_realtime

NOTICE_PEAK = 8000
HELD_UP = 3  # exit status if this machine was too busy for its card
AHEAD = 12  # periods; a busy machine may delay this process by some of them
PERIOD_MS, PERIODS = 10, 50  # of both streams


def main() -> None:
    out, run_dir, rate, sample_format, channels = Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:6]
    seconds, notice_channel, relay_from, relay_to = (float(value) for value in sys.argv[6:10])
    alive_s = float(sys.argv[10]) if len(sys.argv) > 10 else seconds
    period = int(rate) * PERIOD_MS // 1000
    shape = {
        "rate": int(rate), "channels": int(channels), "periodsize": period, "periods": PERIODS,
        "format": getattr(alsaaudio, f"PCM_FORMAT_{sample_format}"),
    }  # fmt: skip
    dtype, shift = ("<i4", 16) if sample_format == "S32_LE" else ("<i2", 0)
    board = SimulatedCard(run_dir, 1, int(channels))
    capture = alsaaudio.PCM(alsaaudio.PCM_CAPTURE, device=JackCable.unit_capture, **shape)
    playback = alsaaudio.PCM(alsaaudio.PCM_PLAYBACK, device=JackCable.unit_playback, **shape)
    try_realtime(PRIORITY)  # like a unit's own
    rng = np.random.default_rng(7)
    audio, stamps = [], []
    levels: list[Levels] = []
    read_ns = 0
    for i in range(AHEAD + round(seconds * 100)):
        notice = np.zeros((period, int(channels)), dtype)
        notice[:, int(notice_channel) :] = (rng.integers(-NOTICE_PEAK, NOTICE_PEAK, period) << shift)[:, None]
        written = playback.write(notice.tobytes())
        if written != period and i > AHEAD:
            end_late(f"the card ran dry: {written}", read_ns, AHEAD)
        assert written == period
        if i < AHEAD:
            continue
        frames, data = capture.read()
        now_ns = SYSTEM.monotonic_ns()
        if frames != period:
            end_late(f"the card has overrun: {frames}", read_ns or now_ns, PERIODS)
        read_ns = now_ns
        if i == AHEAD + 6:
            say_up(run_dir, int(rate), sample_format, int(channels))
        audio.append(np.frombuffer(data, dtype).reshape(period, int(channels)).T >> shift)
        stamps.append(now_ns - 10_000_000)
        levels.append(board.levels(now_ns) if (i - AHEAD) / 100 <= alive_s else levels[-1])
        for channel in range(int(notice_channel), min(int(notice_channel) + 2, int(channels))):
            board.relay(channel, relay_from <= (i - AHEAD) / 100 < relay_to)
    np.savez(
        out,
        audio=np.concatenate(audio, axis=1).astype(np.int16),
        mono_ns=np.array(stamps),
        hook=np.concatenate([x.hook for x in levels], axis=1),
        ring=np.concatenate([x.ring for x in levels], axis=1),
        polarity=np.concatenate([x.polarity for x in levels], axis=1),
        volts=np.stack([x.volts for x in levels], axis=1),
    )


def end_late(why: str, since_ns: int, periods: int) -> None:
    """`since_ns`: time of its last read, with a buffer of this many periods."""
    report_late("the simple unit", (SYSTEM.monotonic_ns() - since_ns) / NS_PER_MS - periods * PERIOD_MS)
    print(why, file=sys.stderr)
    sys.exit(HELD_UP)


def say_up(run_dir: Path, rate_hz: int, sample_format: str, channels: int) -> None:
    common: dict[str, Any] = {"version": "0", "pid": os.getpid(), "started_ns": 0, "mono_ns": 0, "progress": 1}
    states: dict[str, ServiceState] = {
        "capture@1": CaptureState(
            service="capture@1", card=1, device_rate_hz=rate_hz, device_format=sample_format, channels=channels,
            lines=[], ring_locked=False, realtime=False, **common,
        ),
        "recorder": RecorderState(service="recorder", unit="bench", lines=[], config_sha256="", **common),
    }  # fmt: skip
    for name, state in states.items():
        StateFile(run_dir, name, SYSTEM).write(state)


main()
