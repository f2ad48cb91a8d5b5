# SPDX-License-Identifier: Apache-2.0
"""Draws the day's calls, and lays them out on the lines. The frequency of each kind of call, in a thousand, is our
estimate for a city hall: no statistics were found.

Calls are laid out in hours of at most 250, one after another on each line. Each call is drawn only from the day's seed
and its own number, so that more calls do not change the earlier ones.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec
import numpy as np

from linetap_bench.day import incoming, outgoing, unanswered
from linetap_bench.day.draw import DayCall, Draw, Sketch, truth_of
from linetap_bench.day.recorder import LINES
from linetap_bench.script.scriptkeys import Script
from linetap_bench.script.timing import times_of
from linetap_bench.sounds.voices import Voices
from linetap_core.errors import BadInput

Kind = Callable[[Draw], Sketch]

MIX: dict[str, tuple[float, Kind]] = {
    "out: ringback": (95, outgoing.plain),
    "out: ringback, a minute": (20, outgoing.long_call),
    "out: polarity at answer": (25, outgoing.polarity),
    "out: polarity at seizure": (15, outgoing.seizure),
    "out: colour ring, music": (60, outgoing.colour_ring),
    "out: colour ring, pop song": (35, outgoing.pop_song),
    "out: jingle before ringback": (20, outgoing.jingle),
    "out: please hold, then ringback": (15, outgoing.please_hold),
    "out: please hold in English": (5, outgoing.please_hold_english),
    "out: 10 to 22 s of silence": (10, outgoing.long_silence),
    "out: silence, then ringback": (8, outgoing.silence_then_ringback),
    "out: 1588, answers at once": (20, outgoing.representative),
    "out: second dial tone": (20, outgoing.second_dial_tone),
    "out: pause of 9.5 s in dialling": (8, outgoing.dialling_pause),
    "out: ringback of an unknown PBX": (20, outgoing.other_pbx),
    "out: office talk while it rings": (20, outgoing.office_talk),
    "out: cough while it rings": (8, outgoing.cough),
    "out: keyboard while it rings": (10, outgoing.keyboard),
    "out: staff talks while it rings": (6, outgoing.staff_talks),
    "out: answered, silent at first": (8, outgoing.silent_at_first),
    "out: dialled by pulses": (4, outgoing.pulses),
    "out: 2100 Hz for 0.6 s, then talk": (3, outgoing.short_answer_tone),
    "out: passed on at the far end": (10, outgoing.passed_on_there),
    "out: hotline": (5, outgoing.hotline),
    "out: pick-up *7": (15, outgoing.pick_up),
    "out: hung up within the notice": (10, outgoing.quick_hang_up),
    "none: ringback": (35, unanswered.no_answer),
    "none: ringback of an unknown PBX": (8, unanswered.no_answer_other_pbx),
    "none: colour ring": (25, unanswered.colour_ring_unanswered),
    "none: busy": (20, unanswered.busy),
    "none: congestion": (4, unanswered.congestion),
    "none: busy of an unknown PBX": (8, unanswered.busy_other_pbx),
    "none: no such number, tones first": (6, unanswered.no_such_number),
    "none: no such number, no tones": (6, unanswered.no_such_number_without_tone),
    "none: no such number, English": (3, unanswered.no_such_number_english),
    "none: switched off": (15, unanswered.switched_off),
    "none: handset off its cradle": (5, unanswered.off_hook),
    "none: given up in dialling": (8, unanswered.given_up),
    "machine: voice mail": (10, unanswered.voice_mail),
    "policy: internal, out": (25, unanswered.internal),
    "policy: emergency": (3, unanswered.emergency),
    "machine: fax answers": (5, unanswered.fax_answers),
    "machine: card terminal": (8, unanswered.card_terminal),
    "in: answered": (130, incoming.answered),
    "in: answered, a minute": (20, incoming.long_call),
    "in: picked up within a burst": (25, incoming.answered_in_burst),
    "in: far end hangs up, busy tone": (25, incoming.far_hangs_up),
    "in: far end hangs up, dial tone": (12, incoming.far_hangs_up_dial_tone),
    "in: hung up within the notice": (15, incoming.quick_hang_up),
    "in: missed": (45, incoming.missed),
    "in: call waiting, one beep": (8, incoming.call_waiting),
    "in: call waiting, taken": (8, incoming.call_waiting_taken),
    "in: transferred by a colleague": (40, incoming.transferred_in),
    "in: passed on by staff": (15, incoming.passed_on),
    "in: staff calls a second party": (6, incoming.second_party),
    "in: 1100 Hz for 0.6 s, then talk": (3, incoming.short_calling_tone),
    "in: a silent caller": (4, incoming.silent_caller),
    "in: staff marks it": (6, incoming.marked),
    "in: the caller dials the mark": (4, incoming.marked_by_caller),
    "policy: internal, in": (20, incoming.internal),
    "machine: fax calls": (6, incoming.fax_calls),
    "in: door phone": (6, incoming.door_phone),
}


def kinds_matching(pattern: str) -> list[str]:
    """The names of matching kinds. BadInput for an invalid pattern, or for one without a match."""
    try:
        found = [name for name in MIX if re.search(pattern, name)]
    except re.error as error:
        raise BadInput(f"--kinds {pattern}: {error}") from None
    if not found:
        raise BadInput(f"--kinds {pattern}: there are {'; '.join(MIX)}")
    return found


def draw_call(draw: Draw, names: list[str]) -> tuple[str, Sketch]:
    """Draws a call of one of these kinds, chosen by weight."""
    weights = np.cumsum([MIX[name][0] for name in names])
    name = names[int(np.searchsorted(weights, float(draw.rng.random()) * weights[-1], side="right"))]
    return name, MIX[name][1](draw)


CALLS_AN_HOUR = 256  # eight on each line; one hour's audio is in memory
BEFORE_S, BETWEEN_S = 1.0, (2.5, 5.0)  # longer than any flash
AFTER_S = 12.0  # a line that stopped ringing is a missed call after 8 s


def calls_of_day(seed: int, count: int, voices: Voices, kinds: list[str] | None = None) -> list[DayCall]:
    """The calls of a day; `kinds` limits them to these kinds."""
    calls: list[DayCall] = []
    free_s = np.zeros(LINES)
    for number in range(1, count + 1):
        hour, place = divmod(number - 1, CALLS_AN_HOUR)
        if place == 0:
            free_s = np.array([BEFORE_S + 0.37 * n for n in range(LINES)])
        draw = Draw(np.random.default_rng([seed, number]))
        kind, sketch = draw_call(draw, kinds or list(MIX))
        line = int(free_s.argmin())
        call = msgspec.structs.replace(sketch.call, line=line + 1, start_s=round(float(free_s[line]), 3))
        ends_ms = times_of(call).end
        missed_s = AFTER_S if call.direction == "in" and call.outcome != "answered" else 0.0
        free_s[line] = ends_ms / 1000 + missed_s + draw.between(*BETWEEN_S)
        calls.append(DayCall(number=number, hour=hour, call=call, truth=truth_of(kind, sketch, call, voices)))
    return calls


def script_of(calls: list[DayCall], seed: int) -> Script:
    """The script of one hour."""
    hour = calls[0].hour
    return Script(
        lines=LINES,
        seed=seed * 1000 + hour,
        call=[each.call for each in calls],
        duration_s=max(each.truth.ended_ms for each in calls) / 1000 + AFTER_S,
    )
