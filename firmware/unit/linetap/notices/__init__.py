# SPDX-License-Identifier: Apache-2.0
"""The spoken notices: `<id>.wav` (8 kHz, 16 bit, mono) with its text in `<id>.txt` beside it, in one folder."""

from __future__ import annotations

import hashlib
import io
import wave
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from linetap.config import namednotices
from linetap.config.numbers import NoticeNumbers
from linetap.config.schema import Config
from linetap.notices.level import level_of, require_audible
from linetap.notices.wavfile import WAVE_FAULTS
from linetap.ring import I16, RATE_HZ
from linetap_core.codecs.g711 import peak_of
from linetap_core.durable import copies
from linetap_core.errors import BadInput

LONGEST_S = 60
BEEP = ".beep"  # no imported notice may have this name
BEEP_HZ, BEEP_MS, _BEEP_EDGE_MS = 1400, 200, 5
_TONE_EDGE = RATE_HZ // 100  # frames in which a tone rises and falls


@dataclass(frozen=True, eq=False)
class Notice:
    """`samples`: int16 at 8 kHz. `tag` identifies the audio in the ring: the first 32 bits of its SHA-256, never 0.
    `words_from`: the frame at which the words begin, after a tone.
    """

    id: str
    text: str
    samples: npt.NDArray[np.int16]
    tag: int
    words_from: int = 0

    @property
    def words(self) -> npt.NDArray[np.int16]:
        """The words alone, which prove that the notice was heard: a tone could come from elsewhere."""
        return self.samples[self.words_from :]

    @property
    def frames(self) -> int:
        return len(self.samples)

    def between(self, first: int, end: int) -> npt.NDArray[np.int16]:
        """The samples from one frame to another, 0 before the beginning and after the end."""
        played = np.zeros(end - first, np.int16)
        begin, until = max(first, 0), min(end, self.frames)
        if begin < until:
            played[begin - first : until - first] = self.samples[begin:until]
        return played


def load_notices(folder: Path, names: Collection[str] | None = None) -> dict[str, Notice]:
    """The notices of a folder by id, all or those of `names`. BadInput names an invalid file."""
    if not folder.is_dir():
        raise BadInput(f"{folder}: no folder of notices; make one with `linetap notice import`")
    paths = [path for path in sorted(folder.glob("*.wav")) if names is None or path.stem in names]
    found = {path.stem: load_notice(path) for path in paths}
    if not found:
        what = "no notice" if names is None else f"no notice of {', '.join(sorted(names))}"
        raise BadInput(f"{folder}: {what} in it; add one with `linetap notice import`")
    return found


def notices_of(config: Config) -> dict[str, Notice]:
    """The notices of the unit by id, as they are played: after a tone, if configured; and the beep."""
    found, tone_ms = load_notices(Path(config.notices), namednotices.names(config)), config.recording.notice_tone_ms
    numbers = NoticeNumbers()
    if tone_ms:
        found = {name: behind_tone(notice, tone_ms, numbers) for name, notice in found.items()}
    if config.recording.beep_every_s:
        samples = beep_samples(config.recording.beep_dbm0)
        found[BEEP] = Notice(BEEP, "", samples, tag_of(samples))
    return found


def behind_tone(notice: Notice, tone_ms: int, numbers: NoticeNumbers) -> Notice:
    n = RATE_HZ * tone_ms // 1000
    amplitude = peak_of(numbers.tone_dbm0)
    edge = np.minimum(1.0, np.minimum(np.arange(n), np.arange(n)[::-1]) / _TONE_EDGE)  # a soft edge, without a click
    tone = amplitude * edge * np.sin(2 * np.pi * numbers.tone_hz * np.arange(n) / RATE_HZ)
    before = np.concatenate([tone, np.zeros(RATE_HZ * numbers.tone_pause_ms // 1000)]).astype(np.int16)
    samples = np.concatenate([before, notice.samples])
    return Notice(notice.id, notice.text, samples, tag_of(samples), len(before))


def beep_samples(dbm0: float) -> I16:
    """The recording beep: 1400 Hz for 200 ms, as in 47 CFR 64.501 (1260 to 1540 Hz, 170 to 250 ms)."""
    n, edge = (ms * RATE_HZ // 1000 for ms in (BEEP_MS, _BEEP_EDGE_MS))
    wave = np.sin(2 * np.pi * BEEP_HZ / RATE_HZ * np.arange(n)) * peak_of(dbm0)
    rise = np.minimum(1.0, np.minimum(np.arange(n) + 1, np.arange(n)[::-1] + 1) / edge)  # a soft edge, without a click
    return np.rint(wave * rise).astype(np.int16)


def load_notice(path: Path) -> Notice:
    """Loads a notice. BadInput names the file. If the medium has changed it since it was written, its copy is read."""
    copy = copies.damaged(path)
    try:
        with wave.open(str(path) if copy is None else io.BytesIO(copy), "rb") as file:
            shape = (file.getframerate(), file.getsampwidth(), file.getnchannels())
            if shape != (RATE_HZ, 2, 1):
                raise BadInput(f"{path}: {shape[0]} Hz, {shape[1] * 8} bit, {shape[2]} channels; use `notice import`")
            promised = file.getnframes()
            if promised > LONGEST_S * RATE_HZ:
                raise BadInput(f"{path}: longer than {LONGEST_S} s")
            samples = np.frombuffer(file.readframes(promised), "<i2").astype(np.int16)
    except BadInput:
        raise
    except (OSError, *WAVE_FAULTS) as error:
        raise BadInput(f"{path}: not a WAV file that can be read: {error}") from None
    if len(samples) < promised:
        raise BadInput(f"{path}: cut short: {promised} samples by its header, {len(samples)} present")
    require_audible(level_of(samples, RATE_HZ), path)
    return Notice(path.stem, _text(path.with_suffix(".txt")), samples, tag_of(samples))


def keep_copies(folder: Path) -> None:
    """Renews the copy of each notice and its text; for the folder's owner. OSError: the folder cannot be written."""
    for path in [*folder.glob("*.wav"), *folder.glob("*.txt")]:
        copies.keep(path)


def _text(path: Path) -> str:
    copy = copies.damaged(path)
    try:
        data = copy if copy is not None else path.read_bytes()
        return data.decode("utf-8").strip()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: not a text in UTF-8: {error}") from None


def tag_of(samples: npt.NDArray[np.int16]) -> int:
    digest = hashlib.sha256(samples.astype("<i2").tobytes()).digest()
    return int.from_bytes(digest[:4]) or 1
