# SPDX-License-Identifier: Apache-2.0
"""The proof at the end of a demo: opens a recording by the published recipe, without our code, and compares it with the
line; checks its evidence bundle with the published checker and stock tools alone.
"""

from __future__ import annotations

import shlex
import subprocess
import wave
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from linetap.config import Config
from linetap.ring import I16, RATE_HZ
from linetap_bench.exchange.feed import read_played
from linetap_bench.sounds.synth import F64
from linetap_bench.stage.stage import linetap
from linetap_core.errors import Refusal
from linetap_core.records import CallRecord

RECIPE_S = 60
LIKE = 0.99  # mu-law alone costs 0.0002
LIKE_WITH_SLIPS = 0.95
_BLOCK = RATE_HZ // 4
_REACH = RATE_HZ // 2  # the cable's greatest total slip
_LOUD = 100  # a quieter block cannot be aligned


@dataclass(frozen=True)
class Opened:
    call_dir: Path
    recipe: list[str]
    wav: Path
    seconds: float
    line: int
    likeness: float
    slips: int


def open_and_check(folder: Path, config: Config, calls: list[CallRecord], exchange_log: Path) -> Opened:
    """Opens and compares a recording. Refusal if there is none, it does not open, or it differs from the line."""
    recorded = [call for call in calls if call.disposition == "recorded" and call.audio is not None]
    if not recorded:
        raise Refusal(f"{config.vault}: no call was recorded")
    call = max(recorded, key=lambda call: call.audio.samples if call.audio else 0)
    call_dir = next(config.vault_path.glob(f"[0-9]*/*/*/{call.call_id}"))
    wav = folder / "opened.wav"
    recipe = recipe_of(call_dir, folder / "epoch.txt", folder / "custodian.txt", wav)
    script = "set -e\n" + "\n".join(recipe)
    try:
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=RECIPE_S, check=False)
    finally:
        wav.with_name(f"{wav.name}.key").unlink(missing_ok=True)  # left over if the recipe failed before its last line
    if done.returncode:
        raise Refusal(f"{call_dir}: the recipe failed: {done.stderr.strip()}")
    samples = _read(wav)
    assert call.audio is not None
    if len(samples) != call.audio.samples:
        raise Refusal(f"{wav}: {len(samples)} samples, {call.audio.samples} in its record")
    played, lines = read_played(exchange_log)
    likeness, slips, enough = likeness_of(samples, lines[call.line]), 0, LIKE
    if likeness < LIKE and not played.realtime:
        likeness, slips = likeness_with_slips(samples, lines[call.line])
        enough = LIKE_WITH_SLIPS
    if likeness < enough:
        raise Refusal(
            f"{wav}: only {likeness * 100:.1f} % like what was on line {call.line}{_held_up(samples, lines[call.line])}"
        )
    return Opened(call_dir, recipe, wav, len(samples) / RATE_HZ, call.line, likeness, slips)


def _held_up(samples: I16, line: I16) -> str:
    """The cause of a difference, if all of the line is there and in parts at another time."""
    likeness, slips = likeness_with_slips(samples, line)
    if not slips or likeness < LIKE_WITH_SLIPS:
        return ""
    return (
        f", in {slips + 1} pieces {likeness * 100:.1f} %: the simulated cable or the recorder was held up; "
        "try again when this machine has nothing else to do"
    )


def recipe_of(call_dir: Path, epoch: Path, custodian: Path, wav: Path) -> list[str]:
    """Shell lines: decrypt with the two keys in turn, join the parts, decode with a stock player, delete the key."""
    quoted = {name: shlex.quote(str(path)) for name, path in [("dir", call_dir), ("e", epoch), ("c", custodian)]}
    out = shlex.quote(str(wav))
    return [
        f"cd {quoted['dir']}",
        f"age -d -i {quoted['e']} key.age | age -d -i {quoted['c']} > {out}.key",
        f"for p in audio.*.age; do age -d -i {out}.key $p; done | ffmpeg -v error -y -f au -i - {out}",
        f"rm {out}.key",
    ]


def _products(whole: F64, wanted: F64) -> F64:
    """The product of `wanted` with each stretch of `whole` of its length; numpy alone, as scipy.signal is imported in a
    second.
    """
    size = 1 << (len(whole) - 1).bit_length()
    spectrum = np.fft.rfft(whole, size) * np.conj(np.fft.rfft(wanted, size))
    products: F64 = np.fft.irfft(spectrum, size)[: len(whole) - len(wanted) + 1]
    return products


def likeness_of(samples: I16, line: I16) -> float:
    """The correlation coefficient of a recording with the best matching stretch of the line, 1 = identical."""
    if len(samples) > len(line) or not samples.any():
        return 0.0
    wanted, whole = samples.astype(np.float64), line.astype(np.float64)
    products = _products(whole, wanted)
    at = int(products.argmax())
    there = whole[at : at + len(wanted)]
    norm = float(np.linalg.norm(wanted) * np.linalg.norm(there))
    return float(wanted @ there) / norm if norm else 0.0


def likeness_with_slips(samples: I16, line: I16) -> tuple[float, int]:
    """The likeness block by block, each at its best match near the previous; and how often that place changed."""
    wanted, whole = samples.astype(np.float64), np.pad(line.astype(np.float64), _REACH)
    offset = int(_products(whole, wanted).argmax())
    alike = energy = 0.0
    offsets = []
    for start in range(0, len(wanted) - _BLOCK, _BLOCK):
        block = wanted[start : start + _BLOCK]
        window = whole[max(0, start + offset - _REACH) : start + offset + _BLOCK + _REACH]
        products = _products(window, block)
        norms = np.sqrt(np.maximum(_products(window**2, np.ones(_BLOCK)), 1.0) * float(block @ block))
        ratios = products / np.maximum(norms, 1.0)
        weight = float(block @ block)
        alike += weight * float(ratios.max())
        energy += weight
        if weight > _BLOCK * _LOUD**2:
            offsets.append(int(ratios.argmax()))
    slips = int(np.count_nonzero(np.abs(np.diff(offsets)) > 1))
    return (alike / energy if energy else 0.0), slips


def _read(path: Path) -> I16:
    with wave.open(str(path), "rb") as file:
        if (file.getframerate(), file.getsampwidth(), file.getnchannels()) != (RATE_HZ, 2, 1):
            raise Refusal(f"{path}: not 8 kHz, 16 bit, mono")
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.int16)


CHECK_S = 60
CHECKER = Path(__file__).parents[4] / "docs/check-bundle.sh"


@dataclass(frozen=True)
class CaseFile:
    path: Path
    script: Path
    lines: list[str]  # one for each check of the script


def make_and_check(folder: Path, call_dir: Path, signers: Path) -> CaseFile:
    """Makes a bundle and checks it. Refusal if the checker finds a fault."""
    path, unpacked = folder / "case.zip", folder / "case"
    linetap("bundle", call_dir, "--signers", signers, "--case", "demo", "-o", path)
    with zipfile.ZipFile(path) as bundle:
        bundle.extractall(unpacked)
    command = ["bash", str(CHECKER), str(unpacked), str(signers)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=CHECK_S, check=False)
    if done.returncode:
        raise Refusal(f"{path}: output of {CHECKER.name}: {(done.stdout + done.stderr).strip()}")
    return CaseFile(path, CHECKER, done.stdout.strip().splitlines())
