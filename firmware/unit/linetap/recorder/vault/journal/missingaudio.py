# SPDX-License-Identifier: Apache-2.0
"""Computes the length of audio that may be missing at the end of a call after a power cut. Pure.

The line was captured until the power cut, at an unrecorded moment between the journal's last beat and the next start.
The recorder may have been dead for any time before, so the journal's interval is no bound. The start is one if both
moments are of one clock: the monotonic clock in the same boot, or a time of day that was synchronised then and now.
Otherwise the gap has the length of a recorder's restart, and is `unbounded`.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from linetap.recorder.vault.recordings.entries import Beat, chunk_samples
from linetap.ring import NS_PER_FRAME, RATE_HZ, SLOT_MS
from linetap_core.clock import NS_PER_MS
from linetap_core.codecs.codec import Codec
from linetap_core.records import Gap

POWER = "power"  # `ended_by`, `why`, and the cause of a gap
BACK_MS = 5000.0  # time after which a dead recorder writes again: systemd waits 100 ms, a Pi 4 starts it in 3 s
_SLACK_MS = 2.0 * SLOT_MS  # a slot is captured as a whole
_DRIFT = 1.001  # a codec may be faster than the clock


class Start(NamedTuple):
    """The first moment that is certainly after the power cut.

    In the boot of the cut: `mono_ns`, the recorder's start. After another boot: `booted_ns`, the kernel's start in UTC;
    None if the time of day is not synchronised.
    """

    boot: str
    mono_ns: int
    booted_ns: int | None


class Missing(NamedTuple):
    """Missing audio: `ms` after the kept audio; `unbounded`: any length beyond is possible."""

    ms: float
    unbounded: bool


def missing_behind(line: int, end_frame: int, beat: Beat, start: Start) -> Missing:
    """The missing audio after frame `end_frame` of the line. `beat`: the last beat in which the call was open."""
    frame, mono_ns = beat.heads.get(line, (end_frame, beat.mono_ns))
    captured_ms = (frame - end_frame) * NS_PER_FRAME / NS_PER_MS
    since_ms = (beat.mono_ns - mono_ns) / NS_PER_MS
    if start.boot == beat.boot and start.mono_ns >= beat.mono_ns:
        return _at_most(captured_ms + (start.mono_ns - mono_ns) / NS_PER_MS)
    if beat.synced and start.booted_ns is not None and start.booted_ns >= beat.utc_ns:
        return _at_most(captured_ms + since_ms + (start.booted_ns - beat.utc_ns) / NS_PER_MS)
    return Missing(round(max(0.0, captured_ms + since_ms) + BACK_MS, 3), True)


def chunk_ms(codec: Codec) -> float:
    """The length of a chunk, up to which audio outside the journal may not be on disk."""
    return chunk_samples(codec) * 1000 / RATE_HZ


def missing_since(utc_ns: int, kept_ms: float, start: Start, codec: Codec) -> Missing:
    """The missing audio of a call, by its first UTC time and kept length alone."""
    now_ns = None if start.booted_ns is None else start.booted_ns + start.mono_ns
    if now_ns is not None and now_ns >= utc_ns:
        return _at_most((now_ns - utc_ns) / NS_PER_MS - kept_ms)
    return Missing(chunk_ms(codec) + BACK_MS, True)


def gap_behind(samples: int, missing: Missing) -> Gap:
    at_s = round(samples / RATE_HZ, 6)
    return Gap(at_s, missing.ms, POWER, unbounded=True if missing.unbounded else msgspec.UNSET)


def _at_most(ms: float) -> Missing:
    return Missing(round(max(0.0, ms) * _DRIFT + _SLACK_MS, 3), False)
