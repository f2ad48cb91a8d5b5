# SPDX-License-Identifier: Apache-2.0
"""The tones of Korea's exchanges, and of fax machines."""

from __future__ import annotations

from linetap_bench.synth import (
    BUSY_DBM0,
    BUSY_HZ,
    BUSY_MS,
    DIAL_DBM0,
    DIAL_HZ,
    RINGBACK_DBM0,
    RINGBACK_HZ,
    Cadence,
    Tones,
    pair,
)

# ITU-T E.180 data: Hz, dBm0 of all together, on and off.
EXCHANGE_TONES: dict[str, tuple[tuple[float, ...], float, Cadence | None]] = {
    "dial": (DIAL_HZ, DIAL_DBM0, None),
    "ringback": (RINGBACK_HZ, RINGBACK_DBM0, (1000, 2000)),
    "busy": (BUSY_HZ, BUSY_DBM0, BUSY_MS),
    "congestion": (BUSY_HZ, BUSY_DBM0, (300, 200)),
    "unobtainable": ((450.0,), BUSY_DBM0, (200, 100, 200, 1500)),
    "call_waiting": (DIAL_HZ, RINGBACK_DBM0, (250, 250, 250, 3250)),
}
FAX_CALLING_HZ, FAX_CALLING_MS = 1100.0, (500, 3000)  # ITU-T T.30
FAX_ANSWER_HZ, FAX_REVERSAL_MS = 2100.0, 450  # ITU-T T.30, V.25
FAX_DBM0 = -18.0  # ours: a machine sends -13 or so, and the line takes the rest


def exchange_tone(name: str, length: int) -> Tones:
    tones_hz, dbm0, cadence_ms = EXCHANGE_TONES[name]
    return pair(tones_hz, dbm0, length, cadence_ms)


def fax_calling(length: int) -> Tones:
    return Tones([(FAX_CALLING_HZ, FAX_DBM0)], length, FAX_CALLING_MS)


def fax_answer(length: int, reversed_: bool) -> Tones:
    return Tones([(FAX_ANSWER_HZ, FAX_DBM0)], length, None, FAX_REVERSAL_MS if reversed_ else None)
