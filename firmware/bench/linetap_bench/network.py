# SPDX-License-Identifier: Apache-2.0
"""What the network makes of the far end's sounds: a codec there and back, and lost packets.

Debian's ffmpeg has no encoder of AMR or G.729. GSM full rate stands for a mobile network, G.723.1 (the same family of
coders as G.729) for an IP trunk, Opus at 8 kHz for what newer mobiles do.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np

from linetap.ring import I16, RATE_HZ
from linetap_bench.callsounds import Codec
from linetap_core.errors import DeviceFault
from linetap_core.evidence.calls import g711

PACKET = RATE_HZ // 50
CONCEALED = 0.6  # of the packet before, heard again in the place of a lost one
_LIMIT_S = 60
_FFMPEG: dict[Codec, tuple[list[str], str]] = {
    "gsm": (["-c:a", "libgsm"], "gsm"),
    "g723": (["-c:a", "g723_1", "-b:a", "6300"], "g723_1"),
    "opus": (["-c:a", "libopus", "-b:a", "8000", "-application", "voip"], "ogg"),
}


def coded(samples: I16, codec: Codec, scratch: Path) -> I16:
    """As many samples, as they leave the decoder. DeviceFault `no_codec` where ffmpeg is missing or cannot do it."""
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
        raise DeviceFault("no_codec", "ffmpeg is not installed: apt-get install ffmpeg") from None
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise DeviceFault("no_codec", f"ffmpeg, {codec}: {error}") from None
    finally:
        scratch.unlink(missing_ok=True)
    heard = np.frombuffer(done.stdout, "<i2").astype(np.int16)
    return np.pad(heard, (0, max(0, len(samples) - len(heard))))[: len(samples)]


def lossy(samples: I16, percent: float, seed: int) -> I16:
    """Packets of 20 ms are lost at random; the receiver repeats the one before."""
    out = samples.copy()
    rng = np.random.default_rng([seed, 91])
    packets = len(samples) // PACKET
    for n in np.flatnonzero(rng.random(packets) * 100 < percent):
        if n:
            out[n * PACKET : (n + 1) * PACKET] = out[(n - 1) * PACKET : n * PACKET] * CONCEALED
    return out
