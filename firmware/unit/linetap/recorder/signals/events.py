# SPDX-License-Identifier: Apache-2.0
"""Events of the detectors: for the call table, of tones and voice, and of sound classes.

`line`: row of the audio; `known`: frame at which the event became certain; `at`: frame of the event itself.
"""

from __future__ import annotations

from typing import Literal

import msgspec

EventName = Literal[
    "ringing", "ring_gone", "off_hook", "on_hook", "flash", "polarity",
    "loop_break", "digit", "tone", "tone_gone", "voice", "talk", "fax_maybe", "fax_gone", "fax", "neighbour",
    "sound", "channel", "window", "pbx",
    "notice_started", "notice_ended", "notice_broken", "deadline", "limit", "call_time", "party", "dial_lasts", "beep",
    "alone", "warn_time", "end_time", "gap",
]  # fmt: skip
# `cadence`: a burst of an unknown tone that repeats regularly; `cadence_over`: the next burst is missing.
# `sit`: the special information tone before a network's announcement; `sit_part`: two of its three tones.
SoundName = Literal[
    "silence", "noise", "tone", "music", "speech", "announcement", "sit", "sit_part", "modem", "cadence", "cadence_over"
]
SPEECH = ("speech", "announcement")  # sounds that are a voice


class Event(msgspec.Struct, frozen=True):
    """An event for the call table. `gap`: the line was not captured for a time in which another call may have begun."""

    known: int
    name: EventName
    at: int
    text: str = ""  # the digit, tone or sound
    level_dbm0: float = 0.0  # of one tone of a digit (pulses: 0), or of a sound
    period_ms: int = 0  # of the sounds "cadence" and "cadence_over": from burst to burst ...
    on_ms: int = 0  # ... and the length of a burst

    @property
    def order(self) -> tuple[int, bool, EventName, int, str, float]:
        """The order of handling, independent of the order of detection.

        Of two events of the same frame, ringing precedes the off-hook that answers it; in the other order an incoming
        call would become an outgoing one.
        """
        return self.known, self.name != "ringing", self.name, self.at, self.text, self.level_dbm0


class ToneHeard(msgspec.Struct, frozen=True):
    """The tone is on. `at`: its first burst; in a repeated report, the current burst or period."""

    line: int
    known: int
    at: int
    tone: str


class ToneGone(msgspec.Struct, frozen=True):
    """The tone has stopped. `at`: the end of its last burst."""

    line: int
    known: int
    at: int
    tone: str


class FaxHeard(msgspec.Struct, frozen=True):
    """A fax or modem tone.

    `which`: "calling" (1100 Hz) or "answer" (2100 Hz, with or without phase reversals) of a fax; "modem_answer" (2225
    Hz, 2250 Hz with or without a guard tone) or "modem_calling" (1300 Hz).
    """

    line: int
    known: int
    at: int
    which: str


class FaxMaybe(msgspec.Struct, frozen=True):
    """A possible fax tone has lasted long enough to delay a notice; FaxHeard or FaxGone follows."""

    line: int
    known: int
    at: int
    which: str


class FaxGone(msgspec.Struct, frozen=True):
    """A possible fax tone ended too early to be a fax's. `at`: its end."""

    line: int
    known: int
    at: int


class VoiceHeard(msgspec.Struct, frozen=True):
    """Energy that is neither a tone nor steady noise; reported once a stretch. `at`: the start of the stretch."""

    line: int
    known: int
    at: int


class TalkHeard(msgspec.Struct, frozen=True):
    """Two seconds of voice in total, with pauses between words; reported once until the talk has decayed.

    `at`: the start of the counted voice.
    """

    line: int
    known: int
    at: int


ToneEvent = ToneHeard | ToneGone | FaxMaybe | FaxGone | FaxHeard | VoiceHeard | TalkHeard


class SoundHeard(msgspec.Struct, frozen=True):
    """The line carries another sound from `at` on.

    `level_dbm0`: level of the sound, 0 for silence; `period_ms` and `on_ms`: those of a cadence.
    """

    line: int
    known: int
    at: int
    sound: SoundName
    level_dbm0: float = 0.0
    period_ms: int = 0
    on_ms: int = 0


class ChannelChanged(msgspec.Struct, frozen=True):
    """The noise between sounds has changed at `at`: another network, telephone or room."""

    line: int
    known: int
    at: int


SoundEvent = SoundHeard | ChannelChanged
