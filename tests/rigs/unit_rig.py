# SPDX-License-Identifier: Apache-2.0
"""A whole unit for a test: keys, a notice, a configuration, and the private halves that a real unit lacks."""

from __future__ import annotations

import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from linetap.config.schema import Board, Card, Config, Keys, Line, Recording, Storage
from linetap_core.evidence.keys import keys

NOTICE_S = 1.0
PLAIN = Recording(greeting_max_ms=0)  # a notice begins at one known moment
START = "2026-11-24T22:56:00.123Z"


@dataclass(frozen=True)
class Unit:
    config: Config
    folder: Path
    epoch: Path  # age identity files
    custodian: Path
    signers: Path


def make_unit(
    folder: Path,
    run_dir: Path,
    lines: int = 2,
    recording: Recording | None = None,
    exempt: tuple[int, ...] = (),
    reserve_mb: int = 0,
    card: Card | None = None,
) -> Unit:
    """Everything in `folder`; the line numbers are the channels."""
    key = keys.new_unit_key()
    (folder / "unit.key").write_bytes(keys.unit_key_file(key))
    signer = keys.public_line(key.public_key())
    (folder / "allowed_signers").write_text(f"floor-03 {signer}\n")
    public = {}
    for name in ("epoch", "custodian"):
        identity = keys.new_identity()
        (folder / f"{name}.txt").write_text(keys.identity_file(identity, "2026-11-24T00:00:00Z"))
        public[name] = identity.recipient
    save_notice(folder / "notices" / "ko.wav", spoken(NOTICE_S))
    config = Config(
        unit="floor-03",
        key=str(folder / "unit.key"),
        vault=str(folder / "vault"),
        run_dir=str(run_dir),
        notices=str(folder / "notices"),
        learned=str(folder / "learned"),
        board=Board(kind="simulated"),
        keys=Keys(custodians=[public["custodian"]], overflow_epoch=public["epoch"]),
        card=[card or Card(rate_hz=8000, channels=lines)],
        line=[Line(number=n, channel=n, exempt=n in exempt) for n in range(1, lines + 1)],
        recording=recording or PLAIN,
        storage=Storage(reserve_mb=reserve_mb),
    )
    return Unit(config, folder, folder / "epoch.txt", folder / "custodian.txt", folder / "allowed_signers")


def spoken(seconds: float) -> npt.NDArray[np.int16]:
    """A synthetic notice for the detectors: noise of a telephone's band, in syllables of a quarter of a second."""
    n = round(seconds * 8000)
    spectrum = np.fft.rfft(np.random.default_rng(4).standard_normal(n))
    hz = np.fft.rfftfreq(n, 1 / 8000)
    spectrum[(hz < 300) | (hz > 3400)] = 0
    noise = np.fft.irfft(spectrum, n) * (1.2 + np.sin(2 * np.pi * 4 * np.arange(n) / 8000))
    loud: npt.NDArray[np.int16] = np.round(noise / np.abs(noise).max() * 12000).astype(np.int16)
    return loud


def save_notice(path: Path, samples: npt.NDArray[np.int16]) -> None:
    path.parent.mkdir(exist_ok=True)
    save_wav(path, samples[None, :])


def save_wav(path: Path, lines: npt.NDArray[np.int16]) -> None:
    """int16 (lines, frames), one channel a line."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(len(lines))
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(lines.T.astype("<i2").tobytes())
