# SPDX-License-Identifier: Apache-2.0
"""The detectors of a card's lines: digits, tones, voice and sound classes.

The call table decides which events matter.
"""

from __future__ import annotations

from collections.abc import Sequence

from linetap.config.profile import Profile
from linetap.recorder.signals.dtmf.detector import DtmfDetector
from linetap.recorder.signals.events import (
    ChannelChanged,
    Event,
    FaxGone,
    FaxHeard,
    FaxMaybe,
    SoundEvent,
    SoundHeard,
    TalkHeard,
    ToneEvent,
    ToneGone,
    ToneHeard,
    VoiceHeard,
)
from linetap.recorder.signals.sound.detector import SoundDetector
from linetap.recorder.signals.tones.detector import ToneDetector
from linetap.ring import I16, Batch


class _Group:
    """The lines of one profile: each is a row of the detectors' audio."""

    def __init__(self, places: list[int], profile: Profile) -> None:
        self.places = places
        self.dtmf = DtmfDetector(len(places), profile.dtmf)
        self.tones = ToneDetector(len(places), profile)
        self.sounds = SoundDetector(len(places), profile)


class CardDetectors:
    """The detectors of all lines of a card.

    Their state is not kept: after a restart they process the ring's last seconds again.
    """

    def __init__(self, profiles: Sequence[Profile]) -> None:
        """`profiles`: those of the card's lines, in the order of its ring."""
        self._lines = len(profiles)
        places: dict[Profile, list[int]] = {}
        for place, profile in enumerate(profiles):
            places.setdefault(profile, []).append(place)
        self._groups = [_Group(found, profile) for profile, found in places.items()]

    def follow(self, batch: Batch) -> list[list[Event]]:
        """For each line of the card, the events that became certain in this batch."""
        events: list[list[Event]] = [[] for _ in range(self._lines)]
        for group in self._groups:
            if batch.gap is not None:
                group.dtmf.reset_at_gap()
                group.tones.reset_at_gap()
                group.sounds.reset_at_gap()
                continue
            audio: I16 = batch.audio if len(group.places) == self._lines else batch.audio[group.places]
            digits = group.dtmf.follow(audio, batch.frame)
            for digit in digits:
                event = Event(digit.known, "digit", digit.at, digit.digit, digit.level_dbm0)
                events[group.places[digit.line]].append(event)
            for sound in group.tones.follow(audio, batch.frame):
                events[group.places[sound.line]].append(_event(sound))
                if isinstance(sound, FaxHeard) and sound.which.startswith("modem"):
                    events[group.places[sound.line]].append(Event(sound.known, "sound", sound.at, "modem"))
            for other in group.sounds.follow(audio, batch.frame, [(digit.known, digit.line) for digit in digits]):
                events[group.places[other.line]].append(_event(other))
        return events


def _event(sound: ToneEvent | SoundEvent) -> Event:
    match sound:
        case SoundHeard(_, known, at, name, level_dbm0, period_ms, on_ms):
            return Event(known, "sound", at, name, level_dbm0, period_ms, on_ms)
        case ChannelChanged(_, known, at):
            return Event(known, "channel", at)
        case ToneHeard(_, known, at, tone):
            return Event(known, "tone", at, tone)
        case ToneGone(_, known, at, tone):
            return Event(known, "tone_gone", at, tone)
        case FaxHeard(_, known, at, which):
            return Event(known, "fax", at, which)
        case FaxMaybe(_, known, at, which):
            return Event(known, "fax_maybe", at, which)
        case FaxGone(_, known, at):
            return Event(known, "fax_gone", at)
        case TalkHeard(_, known, at):
            return Event(known, "talk", at)
        case VoiceHeard(_, known, at):
            return Event(known, "voice", at)
