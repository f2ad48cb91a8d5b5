# SPDX-License-Identifier: Apache-2.0
"""Whether a line was so quiet under a notice that the notice cannot have been on it.

`proof` says absent of a deaf line, and also of one on which somebody whistles, shouts or holds a key down. The two are
told apart by power: where the line carries less than the faintest echo of the notice, nothing can have hidden it.
"""

from __future__ import annotations

import numpy as np

from linetap.config.numbers import ProofNumbers
from linetap.recorder.signals.notice.delays import frames_of
from linetap.recorder.signals.notice.proof import active_blocks
from linetap.ring import I16, RATE_HZ


def too_quiet_for(captured: I16, notice: I16, numbers: ProofNumbers) -> bool:
    """`captured`, `notice` and `numbers` as `prove` has them; the notice must have been played to its end."""
    blocks = active_blocks(notice, numbers)
    size, slack = frames_of(numbers.block_ms), frames_of(numbers.delay_max_ms)
    if len(blocks) == 0 or len(captured) < int(blocks[-1]) + size:
        return False
    faintest = 10 ** ((numbers.echo_db - numbers.level_tolerance_db) / 10)
    quiet = 0
    for block in blocks:
        played = _energy(notice[block : block + size], numbers)
        quiet += _energy(captured[block : block + size + slack], numbers) < played * faintest
    return bool(quiet >= numbers.deaf_share * len(blocks))


def _energy(samples: I16, numbers: ProofNumbers) -> float:
    """In the band in which a notice is looked for: hum below it hides nothing."""
    spectrum = np.fft.rfft(samples.astype(np.float64))
    hz = np.fft.rfftfreq(len(samples), 1 / RATE_HZ)
    band = (hz >= numbers.band_low_hz) & (hz <= numbers.band_high_hz)
    return float(np.square(np.abs(spectrum[band])).sum() / len(samples))
