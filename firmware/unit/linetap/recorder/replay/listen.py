# SPDX-License-Identifier: Apache-2.0
"""`linetap signals`: runs the detectors on a WAV; prints one JSON line an event, in order of time."""

from __future__ import annotations

import argparse
import sys
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec

from linetap.config import load_config, profile_of
from linetap.config.profile import BUILT_IN, KR_PSTN, Profile
from linetap.notices.wavfile import WAVE_FAULTS
from linetap.recorder.replay.card import read_wav
from linetap.recorder.replay.events import read_events
from linetap.recorder.signals.caller.callerid import caller_id
from linetap.recorder.signals.caller.fsk import Modem, demodulate
from linetap.recorder.signals.dtmf.detector import DtmfDetector
from linetap.recorder.signals.events import FaxHeard, SoundEvent, SoundHeard, ToneGone, ToneHeard, VoiceHeard
from linetap.recorder.signals.hook.hookline import HookLine
from linetap.recorder.signals.sound.detector import SoundDetector
from linetap.recorder.signals.tones.detector import ToneDetector
from linetap.ring import I16, MAX_LINES, RATE_HZ
from linetap_core import jsontext
from linetap_core.errors import BadInput
from linetap_core.tomlfile.source import Source

BLOCK = RATE_HZ  # audio at once
FSK_BLOCK, FSK_STEP = 10 * RATE_HZ, 5 * RATE_HZ  # a message lasts at most 3 s: one block contains it whole
FSK_MARGIN = RATE_HZ // 10
MODEMS: tuple[Modem, ...] = ("bell202", "v23")

Event = dict[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--audio", type=Path, required=True, help="lines.wav: 8 kHz, 16 bit, one channel a line")
    parser.add_argument("--events", type=Path, help="events.jsonl: reports hook, ringing and polarity, too")
    parser.add_argument(
        "--profile",
        default=KR_PSTN.name,
        metavar="NAME",
        help="profile of all lines (default %(default)s), or FILE.toml from `linetap tones learn`",
    )
    parser.add_argument("--config", type=Path, metavar="unit.toml", help="the configuration with the profile")


def run(args: argparse.Namespace) -> int:
    profile = _profile(args.profile, args.config)
    lines = _channels(args.audio)
    audio = read_wav(args.audio, lines)
    events = [*_digits(audio, profile), *_tones(audio, profile), *_sounds(audio, profile), *_callers(audio, profile)]
    if args.events is not None:
        events += _levels(args.events, audio, profile)
    for event in sorted(events, key=lambda event: (event["t"], event["line"])):
        sys.stdout.write(jsontext.line(event))
    return 0


class _Profiles(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    profile: Annotated[list[Profile], msgspec.Meta(min_length=1, max_length=1)]


def _profile(name: str, config: Path | None) -> Profile:
    if config is not None:
        unit = load_config(config)
        known = BUILT_IN.keys() | {profile.name for profile in unit.profile}
        if name not in known:
            raise BadInput(f"{config}: no profile {name!r}; there are {', '.join(sorted(known))}")
        return profile_of(unit, name)
    if name.endswith(".toml"):
        source = Source(Path(name))
        found = source.partial(_Profiles)
        source.check()
        return found.profile[0]
    if name not in BUILT_IN:
        raise BadInput(f"--profile {name}: there is {', '.join(BUILT_IN)}; --config names the file with others")
    return BUILT_IN[name]


def _channels(path: Path) -> int:
    try:
        with wave.open(str(path), "rb") as file:
            channels = file.getnchannels()
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from None
    except WAVE_FAULTS as error:
        raise BadInput(f"{path}: not a WAV file: {str(error) or 'it is empty'}") from None
    if channels > MAX_LINES:
        raise BadInput(f"{path}: {channels} channels; a card has at most {MAX_LINES} lines")
    return channels


def _event(row: int, frame: int, kind: str, **more: object) -> Event:
    return {"t": round(frame / RATE_HZ, 3), "line": row + 1, "kind": kind, **more}


def _blocks(audio: I16) -> Iterator[tuple[int, I16]]:
    for first in range(0, audio.shape[1], BLOCK):
        yield first, audio[:, first : first + BLOCK]


def _digits(audio: I16, profile: Profile) -> list[Event]:
    detector = DtmfDetector(len(audio), profile.dtmf)
    digits = [digit for first, block in _blocks(audio) for digit in detector.follow(block, first)]
    return [_event(d.line, d.at, "dtmf", digit=d.digit, level_dbm0=round(d.level_dbm0, 1)) for d in digits]


def _tones(audio: I16, profile: Profile) -> list[Event]:
    detector = ToneDetector(len(audio), profile)
    events: list[Event] = []
    for first, block in _blocks(audio):
        for sound in detector.follow(block, first):
            match sound:
                case ToneHeard(line, _, at, tone):
                    events.append(_event(line, at, "tone", tone=tone))
                case ToneGone(line, _, at, tone):
                    events.append(_event(line, at, "tone_gone", tone=tone))
                case FaxHeard(line, _, at, which):
                    events.append(_event(line, at, "fax", which=which))
                case VoiceHeard(line, _, at):
                    events.append(_event(line, at, "voice"))
    return events


def _sounds(audio: I16, profile: Profile) -> list[Event]:
    detector = SoundDetector(len(audio), profile)
    return [_sound(sound) for first, block in _blocks(audio) for sound in detector.follow(block, first)]


def _sound(sound: SoundEvent) -> Event:
    if not isinstance(sound, SoundHeard):
        return _event(sound.line, sound.at, "channel")
    more = {"level_dbm0": sound.level_dbm0, "period_ms": sound.period_ms, "on_ms": sound.on_ms}
    return _event(sound.line, sound.at, "sound", sound=sound.sound, **{name: of for name, of in more.items() if of})


def _callers(audio: I16, profile: Profile) -> list[Event]:
    """The caller IDs. Both modems look for a carrier; the modem of the sent mark reads it. Each message is reported
    once.
    """
    events: list[Event] = []
    for row, line in enumerate(audio):
        last = -FSK_STEP
        for first in range(0, len(line), FSK_STEP):
            block = line[first : first + FSK_BLOCK]
            starts = sorted((c.start, c.end) for found in demodulate(block, MODEMS, profile.fsk) for c in found)
            for start, end in starts:
                if first + start < last + FSK_MARGIN:
                    continue
                message = block[max(0, start - FSK_MARGIN) : end + FSK_MARGIN]
                found = caller_id(message, "auto", None, profile.caller_id, profile.fsk)
                if found is not None:
                    last = first + end
                    events.append(_event(row, first + start, "caller_id", **msgspec.structs.asdict(found)))
    return events


def _levels(path: Path, audio: I16, profile: Profile) -> list[Event]:
    levels = read_events(path, list(range(1, len(audio) + 1)), audio.shape[1])
    events: list[Event] = []
    for row in range(len(audio)):
        bits = levels.hook[row], levels.ring[row], levels.polarity[row]
        for event in HookLine().follow(*bits, levels.volts[row], 0, profile):
            if event.name == "digit":
                events.append(_event(row, event.at, "pulses", digit=event.text))
            else:
                events.append(_event(row, event.at, event.name))
    return events
