# SPDX-License-Identifier: Apache-2.0
"""`linetap tones learn`: makes a profile from recordings of a PBX's tones, and verifies it on the same recordings."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

import numpy as np

from linetap.commission.tones import recording
from linetap.commission.tones.profile import NAMES, Learnt, learn
from linetap.commission.tones.recording import MeasuredTone
from linetap.config.numbers import ToneShape
from linetap.config.profile import BUILT_IN, KR_PSTN, Profile
from linetap.recorder.signals.events import ToneHeard
from linetap.recorder.signals.tones.detector import ToneDetector
from linetap.ring import RATE_HZ
from linetap_core.durable import privatefile
from linetap_core.errors import BadInput, LinetapError, Refusal

_EXAMPLE = "example: linetap tones learn --name pbx busy=busy.wav ringback=ringback.wav dial=dial.wav -o profile.toml"
_CLEANER = "a recording without speech, clicks and other tones expected"
_FULL_SCALE, _CLIPPED = 32767, 0.001  # share of clipped samples; a click has fewer
_HEAD = """\
# Measured by `linetap tones learn`: {names}.
# This belongs at the end of unit.toml; `profile = "{name}"` at a [[line]] uses it.
"""
_ALONE = "# These are all tones of such a line: Korea's were left out.\n"
_KEPT = "\n# Korea's public network, which calls to the outside reach through the PBX.\n"
_DROPPED = "# Left out of Korea's, because a tone of the PBX is the same to the detector: {names}.\n"
_SLOWER = "\n[profile.cadence]\n# A tone without a pause must last longer than the bursts that have its frequencies.\n"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    raw = argparse.RawDescriptionHelpFormatter
    made = "a profile from recordings, several periods of each tone; a tone may have several"
    verb = verbs.add_parser("learn", help=made, description=made, epilog=_EXAMPLE, formatter_class=raw)
    verb.add_argument("tones", nargs="+", metavar="TONE=FILE.wav", help=f"TONE is {', '.join(NAMES)}; 8 kHz, 16 bit")
    verb.add_argument("--name", required=True, metavar="NAME", help="the profile's name in [[line]]")
    verb.add_argument("--line", type=int, metavar="N", help="the channel, of recordings that have several")
    verb.add_argument("--alone", action="store_true", help="without Korea's tones beside those of the PBX")
    verb.add_argument("-o", "--output", type=Path, metavar="profile.toml", help="must not exist; default: printed")


def run(args: argparse.Namespace) -> int:
    files = _files(args.tones)
    _check_name(args.name)
    measured = _measured(files, args.line)
    learnt = learn(args.name, measured, args.alone)
    _prove(learnt, measured)
    text = _render(learnt)
    if args.output is None:
        sys.stdout.write(text)
        return 0
    privatefile.write_public(args.output, text.encode())
    sys.stderr.write(f"{args.output}: written\n")
    return 0


def _files(words: list[str]) -> list[tuple[str, Path]]:
    """The files in the order of Korea's tones; several of one name stay in the given order."""
    files: list[tuple[str, Path]] = []
    problems: list[str] = []
    for word in words:
        name, _, path = word.partition("=")
        if name not in NAMES or not path:
            problems.append(f"{word}: TONE=FILE.wav expected, TONE one of {', '.join(NAMES)}")
        elif other := next((name for name, given in files if given == Path(path)), ""):
            problems.append(f"{word}: the file is given already, as {other}; each file once expected")
        else:
            files.append((name, Path(path)))
    if problems:
        raise BadInput("\n".join(problems))
    return sorted(files, key=lambda each: NAMES.index(each[0]))


def _check_name(name: str) -> None:
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,39}", name):
        raise BadInput(f"--name {name!r}: 1 to 40 of a-z, 0-9 and -, not beginning with - expected")
    if name in BUILT_IN:
        raise BadInput(f"--name {name}: is built in; another name expected")


def _measured(files: list[tuple[str, Path]], line: int | None) -> list[MeasuredTone]:
    """Measures all recordings and reports the problems of all, not only of the first."""
    measured: list[MeasuredTone] = []
    problems: list[str] = []
    for name, path in files:
        try:
            measured.append(recording.measure(name, path, recording.read(path, line)))
            sys.stderr.write(measured[-1].line() + "\n")
        except LinetapError as error:
            problems.append(str(error))
    if problems:
        raise BadInput("\n".join(problems))
    return measured


def _prove(learnt: Learnt, measured: list[MeasuredTone]) -> None:
    """Raises Refusal unless the detector recognises every recording by its name, and by no other."""
    shapes = {shape.name: shape for shape in reversed(learnt.profile.tone)}  # the PBX's first
    problems: list[str] = []
    for each in measured:
        names = _recognised(each, learnt.profile)
        if each.name not in names:
            problems.append(f"{each.path}: {each.name} is not recognised with this profile: {_why(each, shapes)}")
        elif wrong := names - {each.name}:
            problems.append(f"{each.path}: {each.name} is also recognised as {', '.join(sorted(wrong))}; {_CLEANER}")
    if problems:
        raise Refusal("\n".join(problems))


def _recognised(tone: MeasuredTone, profile: Profile) -> set[str]:
    """The recognised tones: other tones count only in the part from which this one was learned."""
    audio = np.concatenate([tone.audio, np.zeros(RATE_HZ, np.int16)])
    events = [event for event in ToneDetector(1, profile).follow(audio[None], 0) if isinstance(event, ToneHeard)]
    return {event.tone for event in events if event.tone == tone.name or tone.start <= event.at < tone.end}


def _why(tone: MeasuredTone, shapes: dict[str, ToneShape]) -> str:
    needed = shapes[tone.name].known_after
    floor, shortest = KR_PSTN.tones.tone_min_dbm0, KR_PSTN.cadence.burst_min_ms
    if tone.elements_ms and tone.periods * len(tone.elements_ms) < needed:
        periods = needed / len(tone.elements_ms)
        return f"it has {tone.periods:.1f} periods; {periods:.0f} and one burst more expected"
    if np.mean(np.abs(tone.audio.astype(np.int32)) >= _FULL_SCALE) > _CLIPPED:
        return "it is clipped; recorded at a lower level expected"
    if 10 * np.log10(sum(10 ** (level / 10) for level in tone.dbm0)) < floor + 1:
        return f"it is too faint; above {floor:.0f} dBm0 expected"
    if tone.elements_ms and min(tone.elements_ms[::2]) < shortest:
        return f"it has bursts of {min(tone.elements_ms[::2])} ms; {shortest} ms or more expected"
    return _CLEANER


def _render(learnt: Learnt) -> str:
    profile = learnt.profile
    own = profile.tone[: len(profile.tone) - len(learnt.kept)]
    text = _HEAD.format(names=", ".join(shape.name for shape in own), name=profile.name)
    text += "" if learnt.kept or learnt.dropped else _ALONE
    text += f'[[profile]]\nname = "{profile.name}"\n' + "".join(map(_shape, own))
    if learnt.kept:
        text += _KEPT
        text += _DROPPED.format(names=", ".join(learnt.dropped)) if learnt.dropped else ""
        text += "".join(map(_shape, learnt.kept)).removeprefix("\n")
    if profile.cadence != KR_PSTN.cadence:
        text += f"{_SLOWER}dial_min_ms = {profile.cadence.dial_min_ms}\n"
    return text


def _shape(shape: ToneShape) -> str:
    hz = ", ".join(str(f) for f in shape.hz)
    cadence = ", ".join(str(ms) for ms in shape.cadence_ms)
    return (
        f'\n[[profile.tone]]\nname = "{shape.name}"\nhz = [{hz}]\ncadence_ms = [{cadence}]\n'
        f"known_after = {shape.known_after}\n"
    )
