# SPDX-License-Identifier: Apache-2.0
"""Caller ID: read once a call from the audio before the first ring and between the first two rings."""

from __future__ import annotations

from linetap.recorder.calls.call import Key
from linetap.recorder.calls.context import LineContext
from linetap.recorder.signals.caller.callerid import CallerHeard, caller_id, read_digits
from linetap.ring import NS_PER_FRAME, RATE_HZ
from linetap_core.records import Caller

LONGEST_PAUSE = 6 * RATE_HZ  # between two bursts; later audio is no caller ID
DIGITS_BEFORE = 10 * RATE_HZ  # before the first burst; earlier digits belong to no call


def caller_id_from(line: LineContext, ring: int) -> int:
    """The frame from which caller ID may have been sent before the first burst at `ring`: after any earlier call."""
    since_ns = max(0, line.utc_ns(ring) - line.memory.since_ns) if line.memory.state == "idle" else 0
    longest = line.profile.caller_id.before_ring_ms * RATE_HZ // 1000
    return max(0, line.memory.seen_from, ring - min(longest, since_ns // NS_PER_FRAME))


def find_caller(line: LineContext, until: int) -> None:
    """Sets the call's caller from the audio up to the second burst or the answer, and before the first. Once a call."""
    call = line.call
    if call.ring_frame is None:
        return
    first, call.ring_frame = call.ring_frame, None
    kind = line.config.caller_id
    if kind == "off" or line.config.exempt:
        return
    before = first if call.said_from is None else call.said_from
    until = min(until, first + LONGEST_PAUSE)
    numbers, fsk = line.profile.caller_id, line.profile.fsk
    found: CallerHeard | None = None
    for begin, end in ((first, until), (before, first)):
        if kind != "dtmf" and end > begin and (found is None or not found.readable):
            audio = line.around.audio.stretch(line.config.number, begin, end).samples
            found = caller_id(audio, kind, None, numbers, fsk) or found
    if kind in ("dtmf", "auto") and (found is None or not found.readable):
        found = _by_digits(line, first, until) or found
    if found is not None:
        call.caller = Caller(
            number=found.number, name=found.name, by=found.by, withheld=found.withheld, unreadable=not found.readable
        )


def _by_digits(line: LineContext, first: int, until: int) -> CallerHeard | None:
    """Caller ID in DTMF before and between the bursts: all digits together, else those of one train."""
    numbers = line.profile.caller_id
    keys = [key for key in line.memory.heard if first - DIGITS_BEFORE <= key.at < until and key.level_dbm0]
    together = "".join(key.digit for key in keys)
    if any(letter in together for letter in "AD"):
        return read_digits(together, numbers)
    gap = numbers.bare_gap_ms * RATE_HZ // 1000
    trains: list[list[Key]] = []
    for key in keys:
        if trains and key.at - trains[-1][-1].at <= gap:
            trains[-1].append(key)
        else:
            trains.append([key])
    for train in reversed(trains):
        whole = train[0].at - line.memory.seen_from > gap  # else its first digits may lie in a gap
        found = read_digits("".join(key.digit for key in train), numbers) if whole else None
        if found is not None:
            return found
    return None
