# SPDX-License-Identifier: Apache-2.0
"""A synthetic voice that never repeats, and an encoded stream of it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from linetap_core.codecs.codec import Codec, Decoder

I16 = npt.NDArray[np.int16]


def voice(samples: int, seed: int = 1) -> I16:
    """Pulses of varying pitch through three varying resonances, in syllables, over weak noise."""
    chance, at = np.random.default_rng(seed), np.arange(samples) / 8000
    wander = [
        np.interp(
            at,
            np.arange(0, at[-1] + 1, 0.15),
            chance.uniform(low, high, int(at[-1] / 0.15) + 8)[: len(np.arange(0, at[-1] + 1, 0.15))],
        )
        for low, high in ((90, 220), (250, 800), (900, 2200), (2300, 3100))
    ]
    pitch = 2 * np.pi * np.cumsum(wander[0]) / 8000
    sound = np.zeros(samples)
    for harmonic in range(1, 24):
        hz = harmonic * wander[0]
        gain = sum(1 / (1 + ((hz - formant) / 120) ** 2) for formant in wander[1:])
        sound += np.where(hz < 3600, gain, 0) * np.sin(harmonic * pitch)
    syllables = 0.15 + np.clip(np.sin(2 * np.pi * 3.1 * at), 0, 1)
    sound = sound / np.abs(sound).max() * syllables * 9000 + chance.normal(0, 20, samples)
    loud: I16 = np.round(np.clip(sound, -32000, 32000)).astype(np.int16)
    return loud


SPEECH = voice(72_000)


def stream(codec: Codec, pcm: I16, *ends: int) -> bytes:
    """The whole encoded by one encoder, in pieces that end at `ends`."""
    encoder, data = codec.encoder(0), codec.header
    for end in (*ends, len(pcm)):
        data += encoder.encode(pcm[encoder.taken : end])
    return data + encoder.finish()


def decoded(decoder: Decoder, part: bytes, samples: int, block_bytes: int = 1 << 16) -> I16:
    """A part that arrives in blocks of that size."""
    blocks = (part[at : at + block_bytes] for at in range(0, len(part), block_bytes))
    return np.concatenate([np.zeros(0, np.int16), *decoder.decode(blocks, samples)])


def lag(heard: I16, spoken: I16, most: int = 40) -> tuple[int, float]:
    """The delay in samples, and the correlation at that delay."""
    a, b = heard.astype(float), spoken.astype(float)
    inner = slice(most, len(a) - most)
    scale = np.sqrt((a * a).sum() * (b * b).sum()) or 1.0
    found = {shift: float((np.roll(a, -shift)[inner] * b[inner]).sum() / scale) for shift in range(-most, most + 1)}
    best = max(found, key=lambda shift: found[shift])
    return best, found[best]
