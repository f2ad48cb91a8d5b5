# SPDX-License-Identifier: Apache-2.0
"""G.711 mu-law, and the level of int16 samples by it: 0 dBm0 is 3.14 dB below a sine of full scale."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SILENCE = 0xFF  # mu-law of 0
# ITU-T G.711 table 5: the load capacity of mu-law, the level of a sine that fills its range.
FULL_SCALE_DBM0 = 3.14
PEAK_0DBM0 = 32767 * 10 ** (-FULL_SCALE_DBM0 / 20)  # of a sine
POWER_0DBM0 = PEAK_0DBM0**2 / 2  # the mean square of samples

_BIAS = 132  # 33 of G.711's 14-bit scale
_CLIP = 32635


def _encode_table() -> NDArray[np.uint8]:
    """The table of codes, indexed by the sample as uint16."""
    sample = np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.int32)
    magnitude = np.minimum(np.abs(sample), _CLIP) + _BIAS
    segment = np.floor(np.log2(magnitude)).astype(np.int32) - 7
    step = (magnitude >> (segment + 3)) & 0x0F
    sign = np.where(sample < 0, 0x80, 0)
    codes: NDArray[np.uint8] = (~(sign | (segment << 4) | step) & 0xFF).astype(np.uint8)
    return codes


def _decode_table() -> NDArray[np.int16]:
    code = ~np.arange(256, dtype=np.uint8)
    magnitude = ((((code & 0x0F).astype(np.int32) << 3) + _BIAS) << ((code >> 4) & 7)) - _BIAS
    samples: NDArray[np.int16] = np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)
    return samples


_ENCODE = _encode_table()
_DECODE = _decode_table()


def peak_of(dbm0: float) -> float:
    """The peak of a sine at this level."""
    return float(PEAK_0DBM0 * 10 ** (dbm0 / 20))


def power_of(dbm0: float) -> float:
    """The mean square of samples at this level."""
    return float(POWER_0DBM0 * 10 ** (dbm0 / 10))


def encode(samples: NDArray[np.int16]) -> NDArray[np.uint8]:
    """Encodes int16 of any shape to mu-law of the same shape."""
    # No index is out of range: "wrap" avoids numpy's check, which takes as long as the rest.
    codes: NDArray[np.uint8] = _ENCODE.take(samples.view(np.uint16), mode="wrap")
    return codes


def decode(codes: NDArray[np.uint8]) -> NDArray[np.int16]:
    """Decodes mu-law of any shape to int16 of the same shape."""
    samples: NDArray[np.int16] = _DECODE[codes]
    return samples
