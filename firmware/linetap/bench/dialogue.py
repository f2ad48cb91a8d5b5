# SPDX-License-Identifier: Apache-2.0
"""Two people in turn: the utterances of a call, laid out until the talk's time is up."""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle

from linetap.bench.scriptkeys import Call
from linetap.bench.synth import Sound, Wave
from linetap.bench.timing import Times, hushed
from linetap.bench.voices import MADE_DBM0, Speaker, Voices
from linetap.ring import RATE_HZ

PAUSE_MS = 350  # between one and the other


def add_talk(call: Call, times: Times, language: str, voices: Voices, add: Callable[[int, Sound], None]) -> None:
    """Gives `add` each utterance with its millisecond, cut off where the talk ends or something else is heard."""
    if not call.talk or times.answer is None:
        return
    quiet = hushed(call, times.answer)
    turns: tuple[Speaker, Speaker] = ("staff", "caller") if call.first_speaker == "staff" else ("caller", "staff")
    at = times.talk_from
    for speaker, text in zip(cycle(turns), cycle(call.talk), strict=False):
        while quiet and quiet[0][0] <= at:
            at = max(at, quiet.pop(0)[1] + PAUSE_MS)
        until = min(times.talk_to, quiet[0][0]) if quiet else times.talk_to
        if until <= at:
            return
        level = call.staff_dbm0 if speaker == "staff" else call.caller_dbm0
        samples = voices.say(text, language, speaker)
        said = Wave(samples, 10 ** ((level - MADE_DBM0) / 20), (until - at) * RATE_HZ // 1000)
        add(at, said)
        at += said.length * 1000 // RATE_HZ + PAUSE_MS
