# SPDX-License-Identifier: Apache-2.0
"""The sounds of a script's `sound` keys on the line, each made once and passed through its network.

A network is a codec in both directions, and lost packets. Debian's ffmpeg has no encoder of AMR or G.729: GSM full rate
stands for a mobile network, G.723.1 (the same family of coders as G.729) for an IP trunk, Opus at 8 kHz for newer
mobiles. A room's sounds are a cough and typing on a keyboard.
"""

from __future__ import annotations

import hashlib
import subprocess
import wave
from pathlib import Path

import numpy as np

from linetap.ring import I16, RATE_HZ
from linetap_bench.exchange.linetimeline import LineTimeline
from linetap_bench.script.callkeys import Call, CallSound, Codec, Network
from linetap_bench.script.timing import PER_MS, Times
from linetap_bench.sounds import music, signalling
from linetap_bench.sounds.signalling import fax_answer, fax_calling
from linetap_bench.sounds.synth import F64, Noise, Sound, Tones, Wave, pair
from linetap_bench.sounds.voices import MADE_DBM0, Voices, at_made_level
from linetap_core import absent
from linetap_core.codecs import g711
from linetap_core.errors import BadInput, DeviceFault

KEYBOARD_S = 6.0


def cough(which: int) -> F64:
    """A cough of one to three bursts: a plosive, then a breath whose band narrows."""
    from scipy.signal import butter, sosfilt

    rng = np.random.default_rng([which, 81])
    parts = []
    for _ in range(int(rng.integers(1, 4))):
        n = round(rng.uniform(0.18, 0.38) * RATE_HZ)
        t = np.arange(n) / RATE_HZ
        burst = rng.standard_normal(n) * (np.exp(-t / 0.03) + 0.35 * np.exp(-t / 0.12))
        low = float(rng.uniform(250, 500))
        parts += [sosfilt(butter(2, (low, 2600), "bandpass", fs=RATE_HZ, output="sos"), burst)]
        parts += [np.zeros(round(rng.uniform(0.08, 0.3) * RATE_HZ))]
    return np.concatenate(parts)


def keyboard(which: int) -> F64:
    """Typing for KEYBOARD_S: each key is a click down and a fainter one up."""
    rng = np.random.default_rng([which, 82])
    out = np.zeros(round(KEYBOARD_S * RATE_HZ))
    at = 0.1
    while at < KEYBOARD_S - 0.3:
        _click(out, at, 1.0, rng)
        _click(out, at + float(rng.uniform(0.06, 0.12)), 0.4, rng)
        at += float(rng.exponential(0.09)) + 0.07
    return out


def _click(out: F64, at_s: float, loud: float, rng: np.random.Generator) -> None:
    first, n = round(at_s * RATE_HZ), 100
    t = np.arange(n) / RATE_HZ
    ring = np.sin(2 * np.pi * rng.uniform(900, 3000) * t)
    out[first : first + n] += loud * (0.6 * rng.standard_normal(n) + ring) * np.exp(-t / 0.003)


PACKET = RATE_HZ // 50
CONCEALED = 0.6  # gain of the previous packet, repeated in place of a lost one
_LIMIT_S = 60
_FFMPEG: dict[Codec, tuple[list[str], str]] = {
    "gsm": (["-c:a", "libgsm"], "gsm"),
    "g723": (["-c:a", "g723_1", "-b:a", "6300"], "g723_1"),
    "opus": (["-c:a", "libopus", "-b:a", "8000", "-application", "voip"], "ogg"),
}


def coded(samples: I16, codec: Codec, scratch: Path) -> I16:
    """The samples through the codec, as many as before. DeviceFault `no_codec` if ffmpeg or the codec is missing."""
    if codec == "g711":
        return g711.decode(g711.encode(samples))
    options, form = _FFMPEG[codec]
    base = ["ffmpeg", "-v", "error", "-nostdin", "-y"]
    raw = ["-f", "s16le", "-ar", str(RATE_HZ), "-ac", "1"]
    there = [*base, *raw, "-i", "pipe:0", *options, "-f", form, str(scratch)]
    back = [*base, "-f", form, "-i", str(scratch), *raw, "pipe:1"]
    try:
        subprocess.run(there, input=samples.tobytes(), check=True, capture_output=True, timeout=_LIMIT_S)
        done = subprocess.run(back, check=True, capture_output=True, timeout=_LIMIT_S)
    except FileNotFoundError:
        raise DeviceFault("no_codec", absent.not_installed("ffmpeg")) from None
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise DeviceFault("no_codec", f"ffmpeg, {codec}: {error}") from None
    finally:
        scratch.unlink(missing_ok=True)
    decoded = np.frombuffer(done.stdout, "<i2").astype(np.int16)
    return np.pad(decoded, (0, max(0, len(samples) - len(decoded))))[: len(samples)]


def lossy(samples: I16, percent: float, seed: int) -> I16:
    """The samples with random losses of packets of 20 ms; the receiver repeats the previous packet."""
    out = samples.copy()
    rng = np.random.default_rng([seed, 91])
    packets = len(samples) // PACKET
    for n in np.flatnonzero(rng.random(packets) * 100 < percent):
        if n:
            out[n * PACKET : (n + 1) * PACKET] = out[(n - 1) * PACKET : n * PACKET] * CONCEALED
    return out


VERSION = 1  # of all clips made here: a new number makes them again
PROMPTS = Path("/usr/share/asterisk/sounds/en_US_f_Allison")  # Debian's asterisk-core-sounds-en-wav
SIT_HZ, SIT_MS = (950.0, 1400.0, 1800.0), 330  # ITU-T E.180
HOWLER_HZ, HOWLER_MS = (1400.0, 2060.0, 2450.0, 2600.0), (100, 100)  # North America, from memory; Korea's was not found
_NOISE_EARLY, _NOISE_LATE = 6, 7  # numbers of a line's random streams


def add_sounds(call: Call, times: Times, line: LineTimeline, voices: Voices) -> None:
    """Adds all sounds of a call, each cut off at the end of its part of the call."""
    for sound in call.sound:
        began = {"off_hook": times.off_hook, "dialled": times.dialled, "answer": times.answer}[sound.after]
        if began is None:
            continue
        at = began + round(sound.at_s * 1000)
        until = times.end if sound.by == "near" or sound.after == "answer" else times.answer or times.end
        if at < until:
            length = until - at if sound.for_s is None else min(until - at, round(sound.for_s * 1000))
            line.add(at, made(sound, _network_at(call, sound), length * PER_MS, voices))
    _add_noise(call, times, line)


def made(sound: CallSound, network: Network, length: int, voices: Voices) -> Sound:
    """The sound, cut to at most `length` samples."""
    match sound.play:
        case "tone":
            return pair(tuple(sound.hz) or (440.0,), sound.dbm0, length, tuple(sound.cadence_ms) or None)
        case "howler":
            return pair(HOWLER_HZ, sound.dbm0, length, HOWLER_MS)
        case "fax_calling":
            return fax_calling(length)
        case "fax_answer":
            return fax_answer(length, reversed_=False)
        case "modem_2225":
            return Tones([(signalling.ANSWER_2225_HZ, sound.dbm0)], length)
    samples = through(_clip(sound, voices), network if sound.by == "far" else Network(), sound.which, voices)
    if sound.play in ("music", "song", "keyboard", "v22") and length > len(samples):
        samples = np.tile(samples, -(-length // len(samples)))
    return Wave(samples, 10 ** ((sound.dbm0 - MADE_DBM0) / 20), length)


def through(samples: I16, network: Network, seed: int, voices: Voices) -> I16:
    """The sound after the network; cached like its input."""
    if network.codec == "g711" and not network.loss_percent:
        return samples
    key = (VERSION, network.codec, network.loss_percent, seed, hashlib.sha256(samples).hexdigest())
    return voices.kept(key, lambda scratch: lossy(coded(samples, network.codec, scratch), network.loss_percent, seed))


def _clip(sound: CallSound, voices: Voices) -> I16:
    which = sound.which
    if sound.play == "announcement" and sound.prompt:
        return _prompt(sound.prompt)
    if sound.play in ("announcement", "speech"):
        return voices.say(sound.text, sound.language, sound.speaker)
    shapes = {
        "music": lambda: music.melody(which, sung=False),
        "song": lambda: music.melody(which, sung=True),
        "jingle": lambda: music.jingle(which),
        "cough": lambda: cough(which),
        "keyboard": lambda: keyboard(which),
        "v22": lambda: signalling.v22_answer(which),
        "sit": _sit,
    }
    shape = shapes[sound.play]
    return voices.kept((VERSION, sound.play, which), lambda _: at_made_level(1000 * shape()))


def _prompt(name: str) -> I16:
    """The samples of a prompt. BadInput if the package is not installed or has no prompt of that name."""
    path = PROMPTS / f"{name}.wav"
    try:
        with wave.open(str(path), "rb") as file:
            samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float64)
    except (OSError, wave.Error) as error:
        raise BadInput(f"{path}: {error}; asterisk-core-sounds-en-wav has the prompts") from None
    return at_made_level(samples)


def _sit() -> F64:
    n = SIT_MS * RATE_HZ // 1000
    return np.concatenate([np.sin(2 * np.pi * hz / RATE_HZ * np.arange(n)) for hz in SIT_HZ])


def _network_at(call: Call, sound: CallSound) -> Network:
    """The network of the party on the line at that time."""
    if sound.after != "answer":
        return call.early
    return next((p.network for p in reversed(call.party) if p.at_s <= sound.at_s), call.network)


def _add_noise(call: Call, times: Times, line: LineTimeline) -> None:
    """Adds the far channel's noise, before the answer and for each party after it."""
    early, until = call.early.noise_dbm0, times.answer or times.end
    if early is not None and times.dialled is not None and until > times.dialled:
        line.add(times.dialled, Noise((*line.key, _NOISE_EARLY, until), early, (until - times.dialled) * PER_MS))
    if times.answer is None:
        return
    end = times.far_gone or times.end
    turns = [(times.answer, call.network)]
    turns += [(times.answer + round(party.at_s * 1000), party.network) for party in call.party]
    for (at, network), until in zip(turns, [*(at for at, _ in turns[1:]), end], strict=True):
        if network.noise_dbm0 is not None and until > at:
            line.add(at, Noise((*line.key, _NOISE_LATE, at), network.noise_dbm0, (until - at) * PER_MS))
