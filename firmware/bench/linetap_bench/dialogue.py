# SPDX-License-Identifier: Apache-2.0
"""Two people in turn: the utterances of a call, laid out until the talk's time is up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import cycle
from typing import NamedTuple

from linetap_bench.callkeys import Call
from linetap_bench.callsounds import Network
from linetap_bench.linesounds import through
from linetap_bench.synth import Sound, Wave
from linetap_bench.timing import PER_MS, Times, hushed
from linetap_bench.voices import MADE_DBM0, Language, Speaker, Voices

PAUSE_MS = 350  # behind what was heard in the place of talk
SOONEST_MS = 400  # nobody falls in sooner than so


def add_talk(call: Call, times: Times, language: Language, voices: Voices, add: Callable[[int, Sound], None]) -> None:
    """Gives `add` each utterance with its millisecond, cut off where the talk ends or something else is heard; and what
    the far end returns of the staff member's."""
    for said in utterances(call, times, language, voices):
        add(said.at, said.wave)
        echo_db = said.network.echo_db
        if said.speaker == "staff" and echo_db is not None:
            late = 2 * said.network.delay_ms
            add(said.at + late, said.wave.fainter(10 ** (echo_db / 20), (times.talk_to - said.at - late) * PER_MS))


class Utterance(NamedTuple):
    at: int
    wave: Wave
    speaker: Speaker
    network: Network  # of the far end at that time, whoever speaks

    @property
    def end(self) -> int:
        return self.at + self.wave.length // PER_MS


def utterances(call: Call, times: Times, language: Language, voices: Voices) -> Iterator[Utterance]:
    """In the order of their beginnings."""
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
        samples = voices.say(text, language, speaker)
        if speaker != "staff":
            samples = through(samples, network, 0, voices)
        said = Utterance(at, Wave(samples, 10 ** ((level - MADE_DBM0) / 20), (until - at) * PER_MS), speaker, network)
        yield said
        at = max(at + SOONEST_MS, said.end + call.pause_ms + network.delay_ms)


def _who(call: Call, turn: Speaker, ms: int) -> tuple[Speaker, Network, float]:
    """Who speaks so long after the answer, how loud, and the far end's network."""
    party = next((party for party in reversed(call.party) if party.at_s * 1000 <= ms), None)
    network = party.network if party else call.network
    if turn == "staff":
        return "staff", network, call.staff_dbm0
    return (party.speaker, network, party.dbm0) if party else ("caller", network, call.caller_dbm0)
