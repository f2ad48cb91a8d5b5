# SPDX-License-Identifier: Apache-2.0
"""Reads calls.toml strictly: all errors at once with their lines, including contradictions between keys."""

from __future__ import annotations

from pathlib import Path

import msgspec

from linetap_bench.script.callkeys import Call, CallerId, CallSound
from linetap_bench.script.scriptkeys import LineSetup, Script
from linetap_bench.script.timing import Times, keys_span, times_of
from linetap_core.clock import S_PER_DAY
from linetap_core.errors import BadInput
from linetap_core.tomlfile.locate import Path as KeyPath
from linetap_core.tomlfile.source import Source

SPOKEN = ("announcement", "speech")
ONLY_OUT = ("progress_s", "seizure", "pause_after", "second_dial")


def check_sounds(call: Call, at: KeyPath, source: Source) -> None:
    """Checks a call's sounds and adds each error to `source`."""
    for i, sound in enumerate(call.sound):
        _check_sound(call, sound, (*at, "sound", i), source)
    if call.direction == "in":
        for name in ONLY_OUT:
            if getattr(call, name):
                source.add((*at, name), "only an outgoing call has that")
    elif call.pause_after and call.pause_after >= len(call.digits):
        source.add((*at, "pause_after"), f"there are {len(call.digits)} digits: a pause comes before the last")
    elif call.second_dial and not call.pause_after:
        source.add((*at, "second_dial"), "pause_after is missing")
    _check_parties(call, at, source)


def _check_sound(call: Call, sound: CallSound, at: KeyPath, source: Source) -> None:
    if sound.play in SPOKEN and not (sound.text or sound.prompt):
        source.add((*at, "play"), f"{sound.play}: text is missing")
    if sound.prompt and (sound.play != "announcement" or sound.text):
        source.add((*at, "prompt"), "an announcement has a text or a prompt")
    if sound.play == "tone" and not sound.hz:
        source.add((*at, "play"), "tone: hz is missing")
    if len(sound.cadence_ms) % 2:
        source.add((*at, "cadence_ms"), "on, off, on, off: an even number of lengths")
    if call.direction == "in" and sound.after == "dialled":
        source.add((*at, "after"), 'there is no dialling: after = "answer" expected')
    if sound.alone and (sound.after != "answer" or sound.for_s is None):
        source.add((*at, "alone"), 'goes with after = "answer" and for_s')


def _check_parties(call: Call, at: KeyPath, source: Source) -> None:
    times = times_of(call)
    before = 0.0
    for i, party in enumerate(call.party):
        if times.answer is None or times.answer + round(party.at_s * 1000) >= times.talk_to:
            source.add((*at, "party", i, "at_s"), "the talk is over when this party comes")
        elif party.at_s <= before:
            source.add((*at, "party", i, "at_s"), "parties come one after another, each later than the one before")
        before = party.at_s


__all__ = ["Call", "LineSetup", "Script", "load_script", "repeated"]

LONGEST_S = S_PER_DAY
PULSE_DIGITS = frozenset("0123456789")


def load_script(path: Path) -> Script:
    """Reads and checks a script. BadInput lists every error as `file:line: what`."""
    source = Source(path)
    script = source.convert(Script)
    if script is not None:
        _check_lines(script, source)
        for i, call in enumerate(script.call):
            check_call(call, ("call", i), source)
        if not source.problems:
            _check_overlap(script, source)
    source.check()
    assert script is not None
    return script


def repeated(script: Script, times: int) -> Script:
    """The script repeated that many times, without the expectations for one round. BadInput if it gets too long."""
    each_s = script.duration_ms / 1000
    if times < 1 or (times > 1 and times * each_s > LONGEST_S):
        raise BadInput(f"--repeat {times}: 1 to {max(1, int(LONGEST_S / each_s))} expected")
    if times == 1:
        return script
    replace, begins_s = msgspec.structs.replace, [n * each_s for n in range(times)]
    return replace(
        script,
        call=[replace(call, start_s=call.start_s + at_s) for at_s in begins_s for call in script.call],
        smdr=[replace(line, at_s=line.at_s + at_s) for at_s in begins_s for line in script.smdr],
        expect=[],
        duration_s=times * each_s,
    )


def _check_lines(script: Script, source: Source) -> None:
    seen: set[int] = set()
    for i, line in enumerate(script.line):
        if line.number in seen:
            source.add(("line", i, "number"), f"line {line.number} is set up twice")
        seen.add(line.number)
    named: list[tuple[KeyPath, int]] = [(("line", i, "number"), line.number) for i, line in enumerate(script.line)]
    named += [(("call", i, "line"), call.line) for i, call in enumerate(script.call)]
    named += [(("expect", i, "line"), each.line) for i, each in enumerate(script.expect) if each.line is not None]
    for at, number in named:
        if number > script.lines:
            source.add(at, f"line {number}: the script has lines = {script.lines}")


def check_call(call: Call, at: KeyPath, source: Source) -> None:
    if call.direction == "in":
        _check_incoming(call, at, source)
    else:
        if call.shake:
            source.add((*at, "shake"), 'only ringing shakes the comparator: direction must be "in"')
        if call.caller_id.kind != "none":
            source.add((*at, "caller_id"), "only an incoming call has caller ID")
        if call.fax == "calling":
            source.add((*at, "fax"), 'whom one calls answers: "answer" or "answer_reversed" expected')
        if call.dialling == "pulse" and not set(call.digits) <= PULSE_DIGITS:
            source.add((*at, "digits"), f"{call.digits!r}: pulses dial 0-9 only")
            return  # its length is unknown
    if call.loop_break_ms and call.ends != "far":
        source.add((*at, "loop_break_ms"), 'the exchange opens the loop where ends = "far"')
    check_sounds(call, at, source)
    _check_talk(call, at, source)


def _check_incoming(call: Call, at: KeyPath, source: Source) -> None:
    if call.outcome not in ("answered", "unanswered"):
        source.add((*at, "outcome"), f"only an outgoing call can be {call.outcome}")
    if call.digits:
        source.add((*at, "digits"), "only an outgoing call dials")
    if call.answer_in_burst_ms is not None and call.outcome == "unanswered":
        source.add((*at, "answer_in_burst_ms"), "this call is not answered")
    if call.fax in ("answer", "answer_reversed"):
        source.add((*at, "fax"), 'who calls does not answer: "calling" expected')
    _check_caller_id(call.caller_id, (*at, "caller_id"), source)


def _check_caller_id(caller: CallerId, at: KeyPath, source: Source) -> None:
    if caller.withheld and (caller.number or caller.name):
        source.add((*at, "withheld"), "a caller is withheld, or has a number or a name")
    if caller.kind in ("bell202", "v23") and caller.message == "mdmf":
        try:
            caller.name.encode("euc-kr")
        except UnicodeEncodeError:
            source.add((*at, "name"), f"{caller.name!r}: not in EUC-KR")
    elif caller.name:
        source.add((*at, "name"), "only FSK in MDMF has a name")


def _check_talk(call: Call, at: KeyPath, source: Source) -> None:
    """Checks that events timed from the answer are over before the end of the talk."""
    times = times_of(call)
    answer = times.answer
    happens: list[tuple[KeyPath, str, float]] = [
        ((*at, "flash_at_s"), f"a flash at {flash} s", flash * 1000 + call.flash_ms) for flash in call.flash_at_s
    ]
    for i, keys in enumerate(call.keys):
        happens.append(((*at, "keys", i, "at_s"), f"{keys.digits} at {keys.at_s} s", keys_span(keys, 0)[1]))
    for i, tone in enumerate(call.tone):
        what = f"{tone.tone} at {tone.at_s} s"
        happens.append(((*at, "tone", i, "at_s"), what, (tone.at_s + tone.for_s) * 1000))
    for where, what, over_ms in happens:
        if answer is None or answer + round(over_ms) >= times.talk_to:
            source.add(where, f"{what} is not over before the talk ends")
    if call.fax != "none" and answer is None:
        source.add((*at, "fax"), "this call is not answered")


def _check_overlap(script: Script, source: Source) -> None:
    free: dict[int, Times] = {}
    for i, call in sorted(enumerate(script.call), key=lambda item: item[1].start_s):
        times = times_of(call)
        before = free.get(call.line)
        if before is not None and times.start <= before.end:
            busy = f"line {call.line} is busy with another call until {before.end / 1000:g} s"
            source.add(("call", i, "start_s"), busy)
        free[call.line] = times
        if times.end > script.duration_ms:
            ends = f"duration_s = {script.duration_s:g}, but a call on line {call.line} ends at {times.end / 1000:g} s"
            source.add(("call", i, "start_s"), ends)
    for i, line in enumerate(script.smdr):
        if line.at_s * 1000 >= script.duration_ms:
            source.add(("smdr", i, "at_s"), f"the script is over at {script.duration_ms / 1000:g} s")
