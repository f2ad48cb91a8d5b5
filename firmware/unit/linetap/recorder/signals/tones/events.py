# SPDX-License-Identifier: Apache-2.0
"""What is heard of tones and voice. `line`: row of the audio; `known`: the frame at which it became certain."""

from __future__ import annotations

import msgspec


class ToneHeard(msgspec.Struct, frozen=True):
    """The tone is there; `at`: its first burst, when it is heard again the burst or period that is heard."""

    line: int
    known: int
    at: int
    tone: str


class ToneGone(msgspec.Struct, frozen=True):
    """The tone has stopped; `at`: the end of its last burst."""

    line: int
    known: int
    at: int
    tone: str


class FaxHeard(msgspec.Struct, frozen=True):
    """`which`: "calling" (1100 Hz) or "answer" (2100 Hz, with or without reversals of its phase) of a fax;
    "modem_answer" (2225 Hz, 2250 Hz with or without a guard tone) or "modem_calling" (1300 Hz)."""

    line: int
    known: int
    at: int
    which: str


class FaxMaybe(msgspec.Struct, frozen=True):
    """A fax tone has lasted so long that a notice had better wait; FaxHeard or FaxGone follows."""

    line: int
    known: int
    at: int
    which: str


class FaxGone(msgspec.Struct, frozen=True):
    """What may have been a fax tone ended too early to be one; `at`: where it ended."""

    line: int
    known: int
    at: int


class VoiceHeard(msgspec.Struct, frozen=True):
    """Energy that is no tone and no steady noise; once a stretch. `at`: where the stretch began."""

    line: int
    known: int
    at: int


class TalkHeard(msgspec.Struct, frozen=True):
    """Two seconds of voice in all, pauses between words allowed; once until that has worn off again.

    `at`: where the voice began that counts.
    """

    line: int
    known: int
    at: int


ToneEvent = ToneHeard | ToneGone | FaxMaybe | FaxGone | FaxHeard | VoiceHeard | TalkHeard
