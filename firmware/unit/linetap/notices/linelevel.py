# SPDX-License-Identifier: Apache-2.0
"""How loud a notice is put on a line, so that it arrives at the other end as loud as it was meant to be.

The drawn output puts a notice spoken at -16 dBm0 on a line of 300 ohm at about -28 dBm. What `linetap line learn` has
measured of a line, the echo of a notice, says how loud it is on that line; the gain makes up the difference to
`recording.notice_target_dbm0`, `most_gain_db` at most. Peaks that would be beyond the codec are held below its full
scale, which is the level that the output was drawn for: whatever the gain, no line gets more.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from linetap.config.numbers import NoticeNumbers
from linetap.config.schema import Recording
from linetap.learned import Learned
from linetap.notices.level import level_of
from linetap.ring import I16, RATE_HZ

PEAK = 32_000  # of 32,767: the codec's filter overshoots a little
STEP_DB = 0.5  # finer differences nobody hears
REACH = 6 * RATE_HZ // 1000  # frames to either side within which a peak turns the notice down

F64 = npt.NDArray[np.float64]


def gain_db(samples: I16, learned: Learned | None, policy: Recording, numbers: NoticeNumbers) -> float:
    """What a notice of `samples` is raised by on a line; 0 on one that was never learnt."""
    if learned is None or learned.echo_db is None:
        return 0.0
    on_line_dbm0 = level_of(samples, RATE_HZ) + learned.echo_db - numbers.captured_db
    wanted = round((policy.notice_target_dbm0 - on_line_dbm0) / STEP_DB) * STEP_DB
    return min(max(wanted, 0.0), numbers.most_gain_db)


def raised(samples: I16, by_db: float) -> I16:
    """The notice, louder by `by_db`, its peaks turned down smoothly to PEAK."""
    if by_db <= 0:
        return samples
    loud = samples.astype(np.float64) * 10 ** (by_db / 20)
    needed = np.minimum(1.0, PEAK / np.maximum(np.abs(loud), 1.0))
    held = _lowest(needed, REACH)  # already down where the peak comes, ...
    window = np.hanning(2 * REACH + 3)[1:-1]
    padded = np.pad(held, REACH, mode="edge")
    smooth: F64 = np.convolve(padded, window / window.sum(), mode="valid")  # ... and nowhere by a step
    out: I16 = np.rint(loud * smooth).clip(-32768, 32767).astype(np.int16)
    return out


def _lowest(values: F64, reach: int) -> F64:
    """The lowest of `reach` values to either side of each."""
    padded = np.pad(values, reach, mode="edge")
    lowest: F64 = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1).min(axis=1)
    return lowest
