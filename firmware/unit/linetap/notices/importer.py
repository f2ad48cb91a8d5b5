# SPDX-License-Identifier: Apache-2.0
"""Imports a spoken notice from any WAV file: 8 kHz, mono, 16 bit, at one level for all voices."""

from __future__ import annotations

import io
import re
import wave
from math import gcd
from pathlib import Path

import numpy as np
import numpy.typing as npt

from linetap.notices import LONGEST_S, Notice, tag_of, wavfile
from linetap.notices.level import active_level_dbm0, require_audible
from linetap.ring import RATE_HZ
from linetap_core.durable.files import replace_durably
from linetap_core.errors import BadInput, file_and_reason

LEVEL_DBM0 = -16.0
LONGEST_TEXT = 1000
_READABLE = 0o644  # by all services
_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")


def import_notice(path: Path, text: str, folder: Path, notice_id: str | None = None, replace: bool = False) -> Notice:
    """Converts `path` into `folder`. BadInput if the sound or its name is unusable, or the name is taken."""
    notice_id = path.stem.lower() if notice_id is None else notice_id
    if not _ID.fullmatch(notice_id):
        raise BadInput(f"id {notice_id!r}: 1 to 32 of a-z, 0-9, - and _ expected; --id gives one")
    text = " ".join(text.split())
    if not text or len(text) > LONGEST_TEXT:
        raise BadInput(f"text of {len(text)} characters: the words that are spoken, 1 to {LONGEST_TEXT} expected")
    samples = convert(path)
    target = folder / f"{notice_id}.wav"
    if target.exists() and not replace:
        raise BadInput(
            f"{target}: there is a notice {notice_id!r} already; --id gives another name, --replace replaces it"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # The text first: a reader must never find a notice without its words.
        replace_durably(target.with_suffix(".txt"), f"{text}\n".encode(), mode=_READABLE)
        replace_durably(target, wav_bytes(samples), mode=_READABLE)
    except OSError as error:
        raise BadInput(file_and_reason(error, folder)) from None
    return Notice(notice_id, text, samples, tag_of(samples))


def convert(path: Path) -> npt.NDArray[np.int16]:
    """int16 at 8 kHz with an active speech level of -16 dBm0. BadInput if it is clipped, silent or too long."""
    sound = wavfile.read(path, LONGEST_S)
    if wavfile.is_clipped(sound):
        raise BadInput(f"{path}: clipped: it rests at full scale; a quieter recording expected")
    mono = _resample(sound.samples.mean(axis=1), sound.rate_hz)
    level_dbm0 = active_level_dbm0(mono, RATE_HZ)
    require_audible(level_dbm0, path)
    scaled = np.rint(mono * 10 ** ((LEVEL_DBM0 - level_dbm0) / 20) * 32768)
    if np.abs(scaled).max() > 32767:
        over_db = 20 * np.log10(np.abs(scaled).max() / 32767)
        raise BadInput(
            f"{path}: its peaks would clip by {over_db:.1f} dB at {LEVEL_DBM0:.0f} dBm0; a recording without clicks, "
            f"or compressed expected"
        )
    return scaled.astype(np.int16)


def wav_bytes(samples: npt.NDArray[np.int16]) -> bytes:
    """A WAV file of int16 at 8 kHz, mono."""
    data = io.BytesIO()
    with wave.open(data, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(samples.astype("<i2").tobytes())
    return data.getvalue()


def _resample(mono: npt.NDArray[np.float64], rate_hz: int) -> npt.NDArray[np.float64]:
    if rate_hz == RATE_HZ:
        return mono
    from scipy.signal import resample_poly

    common = gcd(rate_hz, RATE_HZ)
    resampled: npt.NDArray[np.float64] = resample_poly(mono, RATE_HZ // common, rate_hz // common)
    return resampled[: LONGEST_S * RATE_HZ]
