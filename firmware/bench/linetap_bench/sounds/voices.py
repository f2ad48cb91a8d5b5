# SPDX-License-Identifier: Apache-2.0
"""Speech by espeak-ng as on a telephone line: 8 kHz, 300-3400 Hz, a known level.

Like any clip, an utterance is made once and cached in a folder under the hash of all its parameters.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np

from linetap.ring import I16, RATE_HZ
from linetap_bench.sounds.synth import F64, rms_of
from linetap_core import absent
from linetap_core.errors import DeviceFault

Speaker = Literal["staff", "caller", "second", "colleague", "announcer"]
Language = Literal["ko", "en"]
ESPEAK_TIMEOUT_S = 30
VERSION = 2  # of the processing below: a new number makes every utterance again
MADE_DBM0 = -16.0  # active speech level of cached clips
BAND_HZ = (300, 3400)
_FRAME = RATE_HZ // 50
_ACTIVE_BELOW_PEAK_DB = 35

# espeak-ng has one Korean voice: variant, pitch (-p) and words a minute (-s) make several people of it.
_VOICES: dict[tuple[str, Speaker], tuple[str, int, int]] = {
    ("ko", "staff"): ("ko+f3", 55, 165),
    ("ko", "caller"): ("ko+m3", 35, 150),
    ("ko", "second"): ("ko+f2", 45, 155),
    ("ko", "colleague"): ("ko+m7", 50, 175),
    ("ko", "announcer"): ("ko+f4", 60, 145),
    ("en", "staff"): ("en-us+f3", 55, 165),
    ("en", "caller"): ("en-us+m3", 35, 150),
    ("en", "second"): ("en-us+f2", 45, 155),
    ("en", "colleague"): ("en-us+m7", 50, 175),
    ("en", "announcer"): ("en-us+f4", 60, 145),
}


class Voices:
    """The speech of a script's people, cached: int16 at 8 kHz with active speech at MADE_DBM0."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._loaded: dict[str, I16] = {}

    def say(self, text: str, language: str, speaker: Speaker) -> I16:
        """The samples of an utterance. DeviceFault `no_speech` if espeak-ng is missing, hangs or outputs nothing."""
        voice = _VOICES[language, speaker]
        return self.kept((VERSION, voice, text), lambda scratch: _band_limited(*_speak(text, voice, scratch)))

    def kept(self, shaped_by: tuple[object, ...], make: Callable[[Path], I16]) -> I16:
        """The cached clip for these parameters. `make` is called if there is none, with the name of a scratch file."""
        name = hashlib.sha256(repr(shaped_by).encode()).hexdigest()[:24]
        if name not in self._loaded:
            path = self._folder / f"{name}.npy"
            if not path.exists():
                fresh = path.with_name(f".{name}.{os.getpid()}.npy")
                np.save(fresh, make(fresh.with_suffix(".wav")))
                fresh.replace(path)
            self._loaded[name] = np.load(path)
        return self._loaded[name]


def default_folder() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "linetap" / "voices"


def _speak(text: str, voice: tuple[str, int, int], scratch: Path) -> tuple[I16, int]:
    """Samples and their rate, through a scratch file: on standard output espeak-ng omits the length."""
    name, pitch, speed = voice
    # -D: otherwise the noise of its breathy voices depends on the time of day, and no seed can repeat a trial.
    command = ["espeak-ng", "-D", "-v", name, "-p", str(pitch), "-s", str(speed), "-w", str(scratch), "--", text]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=ESPEAK_TIMEOUT_S)
        with wave.open(str(scratch), "rb") as file:
            return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.int16), file.getframerate()
    except FileNotFoundError:
        raise DeviceFault("no_speech", absent.not_installed("espeak-ng")) from None
    except subprocess.TimeoutExpired:
        raise DeviceFault("no_speech", f"espeak-ng -v {name}: no speech within {ESPEAK_TIMEOUT_S} s") from None
    except (subprocess.CalledProcessError, wave.Error, EOFError) as error:
        raise DeviceFault("no_speech", f"espeak-ng -v {name}: {error}") from None
    finally:
        scratch.unlink(missing_ok=True)


def _band_limited(samples: I16, rate_hz: int) -> I16:
    from scipy.signal import butter, resample_poly, sosfilt  # not needed for cached utterances

    divisor = int(np.gcd(rate_hz, RATE_HZ))
    speech = resample_poly(samples.astype(np.float64), RATE_HZ // divisor, rate_hz // divisor)
    return at_made_level(sosfilt(butter(4, BAND_HZ, "bandpass", fs=RATE_HZ, output="sos"), speech))


def at_made_level(speech: F64) -> I16:
    """The speech with its active level at MADE_DBM0. DeviceFault if it is silent."""
    frames = speech[: len(speech) // _FRAME * _FRAME].reshape(-1, _FRAME)
    power = (frames**2).mean(axis=1)
    if not power.size or power.max() < 1:
        raise DeviceFault("no_speech", "espeak-ng gave silence")
    active = power[power > power.max() * 10 ** (-_ACTIVE_BELOW_PEAK_DB / 10)]
    gain = rms_of(MADE_DBM0) / np.sqrt(active.mean())
    spoken: I16 = np.clip(np.rint(speech * gain), -32768, 32767).astype(np.int16)
    return spoken
