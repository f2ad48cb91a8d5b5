# SPDX-License-Identifier: Apache-2.0
"""Other programs that receive or send the same signals: multimon-ng, minimodem, sox."""

from __future__ import annotations

import re
import subprocess
import wave
from functools import cache
from pathlib import Path

import numpy as np
from scipy.signal import resample_poly

from anchors import not_here
from linetap.recorder.signals.caller.fsk import TONES_HZ, Modem
from linetap.ring import I16, RATE_HZ
from linetap_bench.sounds.synth import F64

TIMEOUT_S = 120
BAUD = "1200"
MULTIMON_RATE = (441, 160)  # from 8 kHz to multimon-ng's 22.05 kHz
SINE_S = 4


def _run(command: list[str], sent: bytes = b"") -> bytes:
    try:
        return subprocess.run(command, input=sent, capture_output=True, timeout=TIMEOUT_S, check=False).stdout
    except FileNotFoundError:
        raise not_here(command[0], command[0]) from None


def multimon_dtmf(audio: I16) -> str:
    """The digits detected by multimon-ng."""
    there = np.clip(np.rint(resample_poly(audio.astype(np.float32), *MULTIMON_RATE)), -32768, 32767)
    said = _run(["multimon-ng", "-q", "-c", "-a", "DTMF", "-t", "raw", "-"], there.astype(np.int16).tobytes())
    return "".join(re.findall(r"^DTMF: (\S)", said.decode(errors="replace"), re.MULTILINE))


def minimodem_heard(modem: Modem, audio: I16, scratch: Path) -> bytes:
    """All octets received by minimodem, including noise before and after the message."""
    path = scratch / "heard.wav"
    write_wav(path, audio)
    return _run(_minimodem("--rx", modem, path))


def minimodem_sent(modem: Modem, octets: bytes, scratch: Path) -> I16:
    path = scratch / "sent.wav"
    _run(_minimodem("--tx", modem, path), octets)
    with wave.open(str(path)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), np.int16)


def _minimodem(way: str, modem: Modem, path: Path) -> list[str]:
    mark, space = (str(hz) for hz in TONES_HZ[modem])
    return ["minimodem", way, "-q", "-8", "-R", str(RATE_HZ), "-M", mark, "-S", space, "-f", str(path), BAUD]


def write_wav(path: Path, audio: I16) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(audio.astype("<i2").tobytes())


def sox_sine(hz: float, n: int, phase: float) -> F64:
    """A piece of n samples of sox's sine of peak 1; its start gives the phase."""
    start = round(phase / (2 * np.pi) * RATE_HZ / hz)
    return _sox_sine(hz)[start : start + n]


@cache
def _sox_sine(hz: float) -> F64:
    command = ["sox", "-r", str(RATE_HZ), "-c", "1", "-n", "-b", "32", "-e", "floating-point", "-t", "raw", "-"]
    made = _run([*command, "synth", str(SINE_S), "sine", f"{hz:.6f}"])
    sine = np.frombuffer(made, np.float32).astype(np.float64)
    unit: F64 = sine / np.abs(sine).max()
    return unit
