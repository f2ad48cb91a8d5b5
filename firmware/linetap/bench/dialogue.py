# SPDX-License-Identifier: Apache-2.0
"""Two people in turn: the utterances of a call, laid out until the talk's time is up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import cycle

from linetap.bench.callsounds import Network
from linetap.bench.heard import through
from linetap.bench.scriptkeys import Call
from linetap.bench.synth import Sound, Wave
from linetap.bench.timing import Times, hushed
from linetap.bench.voices import MADE_DBM0, Language, Speaker, Voices
from linetap.ring import RATE_HZ

PAUSE_MS = 350  # between one and the other


def add_talk(call: Call, times: Times, language: Language, voices: Voices, add: Callable[[int, Sound], None]) -> None:
    """Gives `add` each utterance with its millisecond, cut off where the talk ends or something else is heard."""
    for at, said, _ in utterances(call, times, language, voices):
        add(at, said)


def utterances(call: Call, times: Times, language: Language, voices: Voices) -> Iterator[tuple[int, Wave, Speaker]]:
    """Each with its millisecond, and who says it."""
    if not call.talk or times.answer is None:
        return
    quiet = hushed(call, times.answer)
    turns: tuple[Speaker, Speaker] = ("staff", "caller") if call.first_speaker == "staff" else ("caller", "staff")
    at = times.talk_from
    for turn, text in zip(cycle(turns), cycle(call.talk), strict=False):
        while quiet and quiet[0][0] <= at:
            at = max(at, quiet.pop(0)[1] + PAUSE_MS)
        until = min(times.talk_to, quiet[0][0]) if quiet else times.talk_to
        if until <= at:
            return
        speaker, network, level = _who(call, turn, at - times.answer)
        samples = through(voices.say(text, language, speaker), network, 0, voices)
        said = Wave(samples, 10 ** ((level - MADE_DBM0) / 20), (until - at) * RATE_HZ // 1000)
        yield at, said, speaker
        at += said.length * 1000 // RATE_HZ + PAUSE_MS + network.delay_ms


def _who(call: Call, turn: Speaker, ms: int) -> tuple[Speaker, Network, float]:
    """Who speaks so long after the answer, by which network, how loud. Staff's own voice goes by none."""
    party = next((party for party in reversed(call.party) if party.at_s * 1000 <= ms), None)
    if turn == "staff":
        return "staff", Network(delay_ms=(party.network if party else call.network).delay_ms), call.staff_dbm0
    if party is None:
        return "caller", call.network, call.caller_dbm0
    return party.speaker, party.network, party.dbm0
