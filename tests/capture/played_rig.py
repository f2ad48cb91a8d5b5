# SPDX-License-Identifier: Apache-2.0
"""Measures the delay between ALSA's position and a notice's arrival on the line, the number for `playback_offset_ms`.

The measurement uses the ring's contents alone. The line must return played audio, as every hybrid and cable does.
"""

from __future__ import annotations

import numpy as np

from linetap.notices import Notice
from linetap.ring import I16, RATE_HZ, SLOT_FRAMES, Batch

REACH_MS = 500  # longer than the delay of any codec, USB queue or exchange
LEAST_SCORE = 0.5  # a pure notice scores 1; below this it was not heard


def reported_start(batches: list[Batch], row: int, tag: int) -> int | None:
    """The ring frame at which notice `tag` began on a line, according to the slots; None if it never did."""
    for batch in batches:
        slots = np.flatnonzero(batch.notice[:, row] == tag)  # a gap has no notice
        if len(slots):
            return int(batch.frame + slots[0] * SLOT_FRAMES - batch.notice_frame[slots[0], row])
    return None


def heard_start(batches: list[Batch], row: int, samples: I16, near: int) -> tuple[int, float]:
    """The frame within REACH_MS of ring frame `near` where `samples` fit best, and their normalised correlation, -1 to
    1.
    """
    reach = REACH_MS * RATE_HZ // 1000
    first = near - reach
    window = np.zeros(len(samples) + 2 * reach)
    for batch in batches:
        a, b = max(first, batch.frame), min(first + len(window), batch.frame + batch.frames)
        if batch.gap is None and b > a:
            window[a - first : b - first] = batch.audio[row, a - batch.frame : b - batch.frame]
    wanted = samples.astype(np.float64)
    size = 1 << (len(window) + len(wanted)).bit_length()
    product = np.fft.rfft(window, size) * np.conj(np.fft.rfft(wanted, size))
    fits = np.fft.irfft(product, size)[: 2 * reach + 1]
    energy = np.concatenate([[0.0], np.cumsum(window**2)])
    power = np.sqrt((energy[len(wanted) :] - energy[: -len(wanted)])[: 2 * reach + 1] * (wanted**2).sum())
    score = fits / np.maximum(power, 1.0)
    best = int(np.argmax(score))
    return first + best, float(score[best])


def measure_playback_offset(batches: list[Batch], row: int, notice: Notice) -> float | None:
    """Milliseconds to add to the card's `playback_offset_ms`; None if the notice was not played or not heard."""
    reported = reported_start(batches, row, notice.tag)
    if reported is None:
        return None
    heard, score = heard_start(batches, row, notice.samples, reported)
    return (heard - reported) * 1000 / RATE_HZ if score >= LEAST_SCORE else None
