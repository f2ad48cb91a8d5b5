# SPDX-License-Identifier: Apache-2.0
"""WAV files of other programs: integer PCM of any rate, width and channel count."""

from __future__ import annotations

import struct
import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from linetap_core.errors import BadInput

RATES_HZ = (4000, 192_000)
MOST_CHANNELS = 8
CLIPPED_RUN = 4  # equal samples at full scale; a sound that only just reaches it has fewer
CLIPPED_RUN_8_BIT = 8  # 8-bit steps are so coarse that a low tone stays on one for longer


@dataclass(frozen=True, eq=False)
class Sound:
    """The sound of a file. `samples`: float64 (frames, channels), -1 to 1. `bytes_a_sample`: of the file, 1 to 4."""

    samples: npt.NDArray[np.float64]
    rate_hz: int
    bytes_a_sample: int


def read(path: Path, longest_s: int) -> Sound:
    """The sound. BadInput for another kind of file, or one that is empty, cut short or longer than `longest_s`."""
    try:
        with wave.open(str(path), "rb") as file:
            rate_hz, width, channels = file.getframerate(), file.getsampwidth(), file.getnchannels()
            if not RATES_HZ[0] <= rate_hz <= RATES_HZ[1]:
                raise BadInput(f"{path}: {rate_hz} Hz; {RATES_HZ[0]} to {RATES_HZ[1]} Hz expected")
            if channels > MOST_CHANNELS:
                raise BadInput(f"{path}: {channels} channels; 1 to {MOST_CHANNELS} expected")
            if not 1 <= width <= 4:
                raise BadInput(f"{path}: {8 * width} bits a sample; 8, 16, 24 or 32 expected")
            data = file.readframes(longest_s * rate_hz + 1)
            promised = file.getnframes()
    except BadInput:
        raise
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from None
    except EOFError:
        raise BadInput(f"{path}: not a WAV file: it ends within its header") from None
    except WAVE_FAULTS as error:
        raise BadInput(f"{path}: not a WAV file of whole-number PCM: {error}; {_remedy(path)}") from None
    frames = len(data) // (width * channels)
    if frames > longest_s * rate_hz:
        raise BadInput(f"{path}: longer than {longest_s} s; a shorter one expected")
    if frames == 0:
        raise BadInput(f"{path}: there is no sound in it")
    if frames < promised:
        raise BadInput(f"{path}: cut short: {promised} samples by its header, {frames} present; {_remedy(path)}")
    samples = _decode(data[: frames * width * channels], width).reshape(frames, channels)
    return Sound(samples, rate_hz, width)


def is_clipped(sound: Sound) -> bool:
    """Whether a channel stays at full scale for several samples."""
    least = CLIPPED_RUN_8_BIT if sound.bytes_a_sample == 1 else CLIPPED_RUN
    step = 2.0 ** (1 - 8 * sound.bytes_a_sample)
    return any(
        _longest_run(flags) >= least
        for channel in sound.samples.T
        for flags in (channel >= 1 - 1.5 * step, channel <= -1 + 1.5 * step)
    )


def _decode(data: bytes, width: int) -> npt.NDArray[np.float64]:
    if width == 1:  # 8-bit RIFF is unsigned
        return (np.frombuffer(data, np.uint8).astype(np.float64) - 128) / 128
    if width == 3:
        raw = np.zeros((len(data) // 3, 4), np.uint8)
        raw[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
        return raw.view("<i4").ravel() / 2.0**31
    return np.frombuffer(data, f"<i{width}") / 2.0 ** (8 * width - 1)


def _longest_run(flags: npt.NDArray[np.bool_]) -> int:
    edges = np.flatnonzero(np.diff(np.concatenate(([0], flags.astype(np.int8), [0]))))
    return int((edges[1::2] - edges[::2]).max(initial=0))


def _remedy(path: Path) -> str:
    return f"`ffmpeg -i {path.name} -c:a pcm_s16le new.wav` writes one"


# Raised by the standard library's `wave`, besides its own error, for a damaged file or another kind: RuntimeError for a
# chunk beyond the file's end, ValueError for a negative length, MemoryError or OverflowError for a length beyond the
# memory. A reader that also raises BadInput, a ValueError too, must catch that first.
WAVE_FAULTS = (EOFError, wave.Error, RuntimeError, ValueError, OverflowError, MemoryError, struct.error)
