# SPDX-License-Identifier: Apache-2.0
"""The production test's tones through real libasound: a tone returns on its own channel only, at its level."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from capture_rig import cable_in_ram

LIMIT_S = 60
PROGRAM = """
import json, sys
from linetap.cardtest.sound import AlsaSound, level_db
from linetap.config.schema import Card
from linetap_core.clock import SYSTEM
capture, playback = sys.argv[1:]
sound = AlsaSound(Card(capture_pcm=capture, playback_pcm=playback, format="S32_LE"), [8, 1, 2, 3, 4, 5, 6, 7])
found = []
SYSTEM.sleep(1)  # until it has begun
for hz in (1000, 15000):
    sound.play([2], hz)  # line 3, on channel 2
    for _ in range(100):
        SYSTEM.sleep(0.1)
        levels = [level_db(wave, hz, sound.rate_hz) for wave in sound.captured()]
        if abs(levels[2]) < 0.02 and max(levels[:2] + levels[3:]) < -90:
            break  # the cable may have been late until now
    found.append(levels)
sound.close()
print(json.dumps(found))
"""


def test_a_tone_comes_back_on_its_own_channel_at_its_level() -> None:
    with cable_in_ram(48_000) as cable:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, cable.unit_loop, cable.unit_playback],
            capture_output=True, text=True, timeout=LIMIT_S, check=False, env=os.environ | cable.env,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for levels in json.loads(done.stdout):
        assert levels[2] == pytest.approx(0, abs=0.05)
        assert max(level for line, level in enumerate(levels) if line != 2) < -90
