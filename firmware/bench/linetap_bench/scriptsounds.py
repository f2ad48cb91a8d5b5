# SPDX-License-Identifier: Apache-2.0
"""What does not fit together in calls.toml about sounds, parties, and how a call comes to its answer."""

from __future__ import annotations

from linetap_bench.callkeys import Call
from linetap_bench.callsounds import CallSound
from linetap_bench.timing import times_of
from linetap_core.tomlfile.locate import Path as KeyPath
from linetap_core.tomlfile.source import Source

SPOKEN = ("announcement", "speech")
ONLY_OUT = ("progress_s", "seizure", "pause_after", "second_dial")


def check_sounds(call: Call, at: KeyPath, source: Source) -> None:
    """Adds each error to `source`."""
    for i, sound in enumerate(call.sound):
        _check_sound(call, sound, (*at, "sound", i), source)
    if call.direction == "in":
        for name in ONLY_OUT:
            if getattr(call, name):
                source.add((*at, name), "only an outgoing call has that")
    elif call.pause_after and call.pause_after >= len(call.digits):
        source.add((*at, "pause_after"), f"there are {len(call.digits)} digits: a pause comes before the last")
    elif call.second_dial and not call.pause_after:
        source.add((*at, "second_dial"), "pause_after says behind which digit")
    _check_parties(call, at, source)


def _check_sound(call: Call, sound: CallSound, at: KeyPath, source: Source) -> None:
    if sound.play in SPOKEN and not (sound.text or sound.prompt):
        source.add((*at, "play"), f"{sound.play}: text says what is said")
    if sound.prompt and (sound.play != "announcement" or sound.text):
        source.add((*at, "prompt"), "an announcement has a text or a prompt")
    if sound.play == "tone" and not sound.hz:
        source.add((*at, "play"), "tone: hz says of which frequencies")
    if len(sound.cadence_ms) % 2:
        source.add((*at, "cadence_ms"), "on, off, on, off: an even number of lengths")
    if call.direction == "in" and sound.after == "dialled":
        source.add((*at, "after"), 'nobody dials here: after = "answer" would be right')
    if sound.alone and (sound.after != "answer" or sound.for_s is None):
        source.add((*at, "alone"), 'goes with after = "answer" and for_s')


def _check_parties(call: Call, at: KeyPath, source: Source) -> None:
    times = times_of(call)
    before = 0.0
    for i, party in enumerate(call.party):
        if times.answer is None or times.answer + round(party.at_s * 1000) >= times.talk_to:
            source.add((*at, "party", i, "at_s"), "nobody talks any more when this party comes")
        elif party.at_s <= before:
            source.add((*at, "party", i, "at_s"), "parties come one after another, each later than the one before")
        before = party.at_s
