# SPDX-License-Identifier: Apache-2.0
"""Tones of PBXs, learned in addition to Korea's: each tone of both is detected by its name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from linetap.commission.tones.profile import learn
from linetap.commission.tones.recording import measure
from linetap.config.numbers import KR_TONES
from linetap.config.profile import Profile
from linetap.recorder.signals.events import ToneEvent, ToneGone, ToneHeard
from linetap.recorder.signals.tones.detector import ToneDetector
from linetap.ring import I16, RATE_HZ
from linetap_bench.sounds.synth import F64, Noise, Tones

Shape = tuple[tuple[float, ...], tuple[int, ...]]
DIAL, RING, BUSY = (350.0, 440.0), (440.0, 480.0), (480.0, 620.0)
ASTERISK = "asterisk, configs/samples/indications.conf.sample, zone"
PBXS: dict[str, tuple[str, dict[str, Shape]]] = {
    "samsung-officeserv": (
        "Samsung OfficeServ 7100, 3.4.2 Tones, table 3.10 (frequencies as iDCS 500)",
        {"dial": (DIAL, (1000, 250)), "ringback": (RING, (1000, 2000)), "busy": (BUSY, (500, 500)),
         "unobtainable": (BUSY, (250, 250))},
    ),
    "samsung-idcs": (
        "Samsung iDCS 500, 3.5 System Tones",
        {"dial": (DIAL, ()), "ringback": (RING, (1000, 3000)), "busy": (BUSY, (500, 500)),
         "congestion": (BUSY, (250, 250))},
    ),
    "panasonic-kx-hdv": (
        "Panasonic KX-HDV130, 4.6.5 Tone Settings, defaults (busy); Italy's ringback, as there is none",
        {"ringback": ((425.0,), (1000, 4000)), "busy": ((425.0,), (330, 270))},
    ),
    "asterisk-us": (
        f"{ASTERISK} us",
        {"dial": (DIAL, ()), "ringback": (RING, (2000, 4000)), "busy": (BUSY, (500, 500)),
         "congestion": (BUSY, (250, 250))},
    ),
    "asterisk-tw": (
        f"{ASTERISK} tw",
        {"ringback": (RING, (1000, 2000)), "busy": (BUSY, (500, 500)), "congestion": (BUSY, (250, 250)),
         "call_waiting": (DIAL, (250, 250, 250, 3250))},
    ),
    "asterisk-uk": (
        f"{ASTERISK} uk",
        {"dial": (DIAL, ()), "ringback": ((400.0, 450.0), (400, 200, 400, 2000)), "busy": ((400.0,), (375, 375)),
         "congestion": ((400.0,), (400, 350, 225, 525))},
    ),
    "asterisk-fr": (
        f"{ASTERISK} fr",
        {"dial": ((440.0,), ()), "ringback": ((440.0,), (1500, 3500)), "busy": ((440.0,), (500, 500)),
         "congestion": ((440.0,), (250, 250))},
    ),
    "asterisk-fi": (
        f"{ASTERISK} fi",
        {"dial": ((425.0,), ()), "ringback": ((425.0,), (1000, 4000)), "busy": ((425.0,), (300, 300)),
         "congestion": ((425.0,), (200, 200)), "call_waiting": ((425.0,), (150, 150, 150, 8000))},
    ),
    "asterisk-il": (
        f"{ASTERISK} il",
        {"dial": ((414.0,), ()), "ringback": ((414.0,), (1000, 3000)), "busy": ((414.0,), (500, 500)),
         "congestion": ((414.0,), (250, 250))},
    ),
    "asterisk-nz": (
        f"{ASTERISK} nz",
        {"dial": ((400.0,), ()), "ringback": ((400.0, 450.0), (400, 200, 400, 2000)), "busy": ((400.0,), (500, 500)),
         "congestion": ((400.0,), (250, 250))},
    ),
    "asterisk-ru": (
        f"{ASTERISK} ru",
        {"dial": ((425.0,), ()), "ringback": ((425.0,), (1000, 4000)), "busy": ((425.0,), (350, 350)),
         "congestion": ((425.0,), (175, 175))},
    ),
    "asterisk-se": (
        f"{ASTERISK} se",
        {"dial": ((425.0,), ()), "ringback": ((425.0,), (1000, 5000)), "busy": ((425.0,), (250, 250)),
         "congestion": ((425.0,), (250, 750))},
    ),
}  # fmt: skip
ENDS = {"busy", "congestion", "unobtainable"}  # all mean that nobody will answer
DBM0 = -20.0


def sound(hz: Sequence[float], elements_ms: Sequence[float], periods: int, pace: float = 1.0) -> F64:
    parts = []
    for ms, on in [(ms * pace, n % 2 == 0) for n, ms in enumerate(elements_ms)] * periods or [(3500.0, True)]:
        frames = round(ms * RATE_HZ / 1000)
        parts.append(Tones([(f, DBM0) for f in hz], frames).render(0, frames) if on else np.zeros(frames))
    return np.concatenate(parts)


def line(*sounds: F64) -> I16:
    still = np.zeros(RATE_HZ // 2)
    whole = np.concatenate([still, *sounds, still])
    whole += Noise((9,), -60.0, len(whole)).render(0, len(whole))
    samples: I16 = np.rint(whole).astype(np.int16)
    return samples


@pytest.fixture(scope="module", params=PBXS)
def pbx(request: pytest.FixtureRequest) -> tuple[dict[str, Shape], Profile]:
    _, tones = PBXS[request.param]
    heard = [measure(name, Path(name), line(sound(*shape, 4))) for name, shape in tones.items()]
    return tones, learn("pbx", heard, alone=False).profile


def events(profile: Profile, audio: I16) -> list[ToneEvent]:
    return ToneDetector(1, profile).follow(np.pad(audio, (0, RATE_HZ * 8))[None], 0)


def names(profile: Profile, shape: Shape, pace: float) -> set[str]:
    hz, elements = shape
    told = events(profile, line(sound(hz, elements, 5, pace)))
    return {event.tone for event in told if isinstance(event, ToneHeard)}


def allowed(name: str) -> set[str]:
    """The permitted results: within 20 % a PBX's busy tone also fits another tone of the same meaning."""
    return ENDS if name in ENDS else {name}


@pytest.mark.parametrize("pace", [0.8, 1.0, 1.2])
def test_each_tone_of_the_pbx_is_heard(pbx: tuple[dict[str, Shape], Profile], pace: float) -> None:
    tones, profile = pbx
    for name, shape in tones.items():
        told = names(profile, shape, pace)
        assert name in told, (name, told)
        assert told <= allowed(name), (name, told)


@pytest.mark.parametrize("pace", [0.8, 1.0, 1.2])
def test_koreas_tones_are_still_detected(pbx: tuple[dict[str, Shape], Profile], pace: float) -> None:
    _, profile = pbx
    for n, shape in enumerate(KR_TONES):
        hz = tuple(f * (1.01 if n % 2 else 0.99) for f in shape.hz)
        told = names(profile, (hz, shape.cadence_ms), pace)
        assert told & allowed(shape.name), (shape, told)
        assert told <= allowed(shape.name), (shape, told)


def test_a_ringback_is_one_tone_from_its_first_burst_to_its_last(pbx: tuple[dict[str, Shape], Profile]) -> None:
    """Two ringbacks with the same first burst are not detected alternately."""
    tones, profile = pbx
    for hz, elements in ((RING, (1000, 2000)), tones.get("ringback", (RING, (1000, 2000)))):
        told = events(profile, line(sound(hz, elements, 4)))
        assert [type(event) for event in told if isinstance(event, ToneHeard | ToneGone)][-1] is ToneGone
        gone = [event for event in told if isinstance(event, ToneGone)]
        heard = [event for event in told if isinstance(event, ToneHeard)]
        assert (len(gone), len(heard)) == (1, 4), told
        assert {event.tone for event in heard} == {"ringback"}


def test_two_ringbacks_of_one_pbx_are_learnt_side_by_side(tmp_path: Path) -> None:
    """One ringback is for internal calls, one for calls from outside."""
    inside, outside = ((425.0,), (1000, 4000)), ((425.0,), (400, 200, 400, 3000))
    heard = [measure("ringback", tmp_path / f"{n}.wav", line(sound(*s, 4))) for n, s in enumerate((inside, outside))]
    profile = learn("pbx", heard, alone=False).profile
    assert [shape.name for shape in profile.tone].count("ringback") == 3
    for shape in (inside, outside, (RING, (1000, 2000))):
        assert names(profile, shape, 1.0) == {"ringback"}
