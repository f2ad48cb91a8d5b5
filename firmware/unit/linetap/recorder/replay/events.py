# SPDX-License-Identifier: Apache-2.0
"""Reads events.jsonl: changes of hook, ringing detector and meter, in order of time."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np

from linetap.ring import I16, NO_VOLTS, SLOT_FRAMES, SLOT_MS, Bits
from linetap_core import jsontext
from linetap_core.errors import BadInput

MOST_BYTES = 256 << 20


class LineEvent(msgspec.Struct, forbid_unknown_fields=True):
    """A line of the file: exactly one of hook, ring, volts; or smdr without a line number."""

    t: float
    line: int | None = None
    hook: int | None = None
    ring: int | None = None
    volts: float | None = None
    smdr: str | None = None


@dataclass(frozen=True)
class Levels:
    """The lines' levels: bool (lines, ms); `volts` int16 0.01 V (lines, slots)."""

    hook: Bits
    ring: Bits
    polarity: Bits
    volts: I16
    smdr: list[tuple[float, str]] = field(default_factory=list)  # seconds, raw line


def read_events(path: Path, line_numbers: list[int], frames: int) -> Levels:
    """The levels of all lines.

    BadInput names the first bad line and the expected form; events after the audio are ignored.
    """
    slots = -(-frames // SLOT_FRAMES)
    bits = np.zeros((3, len(line_numbers), slots * SLOT_MS), np.bool_)
    levels = Levels(bits[0], bits[1], bits[2], np.full((len(line_numbers), slots), NO_VOLTS, np.int16))
    place = {number: index for index, number in enumerate(line_numbers)}
    last = 0.0
    for number, raw in enumerate(_lines(path), 1):
        if raw.strip():
            event = _parse(raw, f"{path}:{number}", place)
            if event.t < last:
                raise BadInput(f"{path}:{number}: t = {event.t} after {last}; events are ordered by t")
            last = event.t
            _apply(event, levels, place)
    return levels


def _lines(path: Path) -> list[bytes]:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise BadInput(f"{path}: more than {MOST_BYTES >> 20} MiB")
        return path.read_bytes().splitlines()
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from None


def _parse(raw: bytes, where: str, place: dict[int, int]) -> LineEvent:
    try:
        event = jsontext.decode(raw, type=LineEvent)
    except msgspec.DecodeError as error:
        raise BadInput(f"{where}: {error}") from None
    if not math.isfinite(event.t) or event.t < 0:
        raise BadInput(f"{where}: t = {event.t}; seconds from the start of the audio")
    if event.smdr is not None:
        return event
    if event.line not in place:
        raise BadInput(f"{where}: line {event.line}; the configuration has {', '.join(map(str, place))}")
    given = [value for value in (event.hook, event.ring, event.volts) if value is not None]
    if len(given) != 1:
        raise BadInput(f"{where}: needs exactly one of hook, ring and volts")
    if event.volts is None and given[0] not in (0, 1):
        raise BadInput(f"{where}: {given[0]} is neither 0 nor 1")
    if event.volts is not None and not abs(event.volts) <= 300:
        raise BadInput(f"{where}: volts = {event.volts}; a line has -300 to 300")
    return event


def _apply(event: LineEvent, levels: Levels, place: dict[int, int]) -> None:
    """Sets the level from the event's millisecond to the end; a later event overwrites it."""
    if event.smdr is not None:
        levels.smdr.append((event.t, event.smdr))
    if event.line is None or event.smdr is not None:
        return
    index = place[event.line]
    ms = min(math.floor(event.t * 1000 + 0.5), levels.hook.shape[1])
    if event.hook is not None:
        levels.hook[index, ms:] = bool(event.hook)
    elif event.ring is not None:
        levels.ring[index, ms:] = bool(event.ring)
    elif event.volts is not None:
        levels.volts[index, ms // SLOT_MS :] = round(event.volts * 100)
        levels.polarity[index, ms:] = event.volts > 0
