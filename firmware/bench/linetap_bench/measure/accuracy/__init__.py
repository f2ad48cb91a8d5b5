# SPDX-License-Identifier: Apache-2.0
"""The accuracy of the detectors, each figure beside that of an independent implementation on the same samples:
libspandsp, multimon-ng, minimodem.

tests/anchors calls these through ctypes and as programs. It is no part of the product: only this module imports it.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path += [str(Path(__file__).resolve().parents[5] / folder) for folder in ("tests", "tests/rigs")]

from linetap_bench.figures import Row
from linetap_bench.measure.accuracy import callerid, dtmf, sounds, tones


def measure(folder: Path, voices: Path, notices: Path) -> list[Row]:  # noqa: ARG001  # as every measurement is called
    return [
        *dtmf.rows(dtmf.DIGITS, dtmf.TALK_MIN),
        *callerid.rows(folder, callerid.CALLS),
        *tones.rows(tones.TRIALS, tones.SPEECH_MIN),
        *sounds.rows(voices, sounds.LINES),
    ]
