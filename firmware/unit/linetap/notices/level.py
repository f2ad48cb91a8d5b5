# SPDX-License-Identifier: Apache-2.0
"""The level of speech, and of a notice played on a line.

Pauses do not lower the active speech level. The output of the circuit drawing puts a notice spoken at -16 dBm0 on a
line of 300 ohm at about -22 dBu. `linetap line learn` measures the echo of a notice, which is the notice's level on
that line. The gain is the difference to `recording.notice_target_dbm0`, at most `most_gain_db`. Peaks are held below
the codec's full scale. Whatever the file and the gain, `limited` keeps the mean below the limit of a line.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from linetap.config.numbers import NoticeNumbers
from linetap.config.schema import Recording
from linetap.learned import Learned
from linetap.ring import I16, RATE_HZ
from linetap_core.codecs.g711 import FULL_SCALE_DBM0
from linetap_core.errors import BadInput

F64 = npt.NDArray[np.float64]

BLOCK_MS = 20
MARGIN_DB = 15.9  # ITU-T P.56: levels further below the active level are pauses
SILENCE_DBM0 = -100.0  # for a signal without power
LOWEST_DBM0 = -50.0  # a quieter recording is only noise, which a gain would raise
_FULL_SCALE_SINE_POWER = 0.5  # samples from -1 to 1
_ROUNDS = 50


def active_level_dbm0(samples: F64, rate_hz: int) -> float:
    """The active speech level of `samples` (from -1 to 1) in dBm0; a full-scale sine is +3.14 dBm0.

    The mean power of the 20 ms blocks that are at most 15.9 dB below that mean: the margin of ITU-T P.56, with blocks
    instead of its envelope. Starts with all blocks and drops pauses until none is left.
    """
    size = rate_hz * BLOCK_MS // 1000
    whole = len(samples) // size * size
    blocks = samples[:whole].reshape(-1, size) if whole else samples.reshape(1, -1)
    powers = np.square(blocks).mean(axis=1) if samples.size else np.zeros(1)
    mean = float(powers.mean())
    for _ in range(_ROUNDS):
        active = powers[powers >= mean * 10 ** (-MARGIN_DB / 10)]
        if active.mean() == mean:
            break
        mean = float(active.mean())
    return _dbm0(mean)


def _dbm0(power: float) -> float:
    """The level of a mean power of samples from -1 to 1."""
    if power <= 0:
        return SILENCE_DBM0
    return max(SILENCE_DBM0, float(10 * np.log10(power / _FULL_SCALE_SINE_POWER)) + FULL_SCALE_DBM0)


def level_of(samples: npt.NDArray[np.int16], rate_hz: int) -> float:
    """The active speech level of 16-bit samples."""
    return active_level_dbm0(samples.astype(np.float64) / 32768, rate_hz)


def require_audible(level_dbm0: float, path: Path) -> None:
    """Raises BadInput for a notice that nobody would hear."""
    if level_dbm0 < LOWEST_DBM0:
        raise BadInput(f"{path}: silent: {level_dbm0:.0f} dBm0; speech above {LOWEST_DBM0:.0f} dBm0 expected")


# --- The gain of a notice on a line -----------------------------------------------------------------------------------


PEAK = 32_000  # of 32,767: the codec's filter overshoots a little
STEP_DB = 0.5  # finer differences are inaudible
MEAN_S = 3  # 47 CFR 68.308: over any three seconds
REACH = 6 * RATE_HZ // 1000  # frames on either side within which a peak lowers the notice


def gain_db(samples: I16, learned: Learned | None, policy: Recording, numbers: NoticeNumbers) -> float:
    """The gain of a notice of `samples` on a line; 0 on a line without learned values."""
    if learned is None or learned.echo_db is None:
        return 0.0
    on_line_dbm0 = level_of(samples, RATE_HZ) + learned.echo_db - numbers.captured_db
    wanted = round((policy.notice_target_dbm0 - on_line_dbm0) / STEP_DB) * STEP_DB
    return min(max(wanted, 0.0), numbers.most_gain_db)


def raised(samples: I16, by_db: float) -> I16:
    """The notice, louder by `by_db`, with its peaks lowered smoothly to PEAK."""
    if by_db <= 0:
        return samples
    loud = samples.astype(np.float64) * 10 ** (by_db / 20)
    needed = np.minimum(1.0, PEAK / np.maximum(np.abs(loud), 1.0))
    held = _lowest(needed, REACH)  # lowered in full at the peak, ...
    window = np.hanning(2 * REACH + 3)[1:-1]
    padded = np.pad(held, REACH, mode="edge")
    smooth: F64 = np.convolve(padded, window / window.sum(), mode="valid")  # ... and without a step
    out: I16 = np.rint(loud * smooth).clip(-32768, 32767).astype(np.int16)
    return out


def loudest_dbm0(samples: I16) -> float:
    """The mean level of the loudest MEAN_S seconds; of a shorter notice with the silence around it."""
    size = MEAN_S * RATE_HZ
    sums = np.concatenate([[0.0], np.square(samples.astype(np.float64) / 32768).cumsum()])
    most = float((sums[size:] - sums[:-size]).max()) if len(samples) > size else float(sums[-1])
    return _dbm0(most / size)


def limited(samples: I16, most_dbm0: float) -> I16:
    """The notice, lowered as a whole if its loudest seconds exceed `most_dbm0`."""
    above_db = loudest_dbm0(samples) - most_dbm0
    if above_db <= 0:
        return samples
    return np.trunc(samples * 10 ** (-above_db / 20)).astype(np.int16)  # rounds towards silence: never above the limit


def _lowest(values: F64, reach: int) -> F64:
    """The lowest of `reach` values on either side of each value."""
    padded = np.pad(values, reach, mode="edge")
    lowest: F64 = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1).min(axis=1)
    return lowest
