# SPDX-License-Identifier: Apache-2.0
"""What `linetap line learn` has measured of each line: one small file a line, read by capture and recorder.

Written whole and renamed, so that a running service reads the old or the new. A damaged file is told in the log and
is as good as none: what a line was configured with is there in its place.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from linetap_core.durable.files import replace_durably
from linetap_core.durable.smallfile import SmallFile

Volts = Annotated[float, Meta(ge=0, le=100)]
Decibels = Annotated[float, Meta(ge=-100, le=20)]
Milliseconds = Annotated[float, Meta(ge=0, le=2000)]

_NUMBER = re.compile(r"[0-9]{1,3}", re.ASCII)
_READABLE = 0o644  # capture and recorder are others than who learns


class Learned(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """None: never measured. Voltages are without sign; `reversed`: the line reads positive on-hook."""

    on_hook_v: Volts | None = None
    off_hook_v: Volts | None = None
    reversed: bool | None = None
    echo_db: Decibels | None = None  # of a notice in the captured audio, relative to the notice as played
    echo_delay_ms: Milliseconds | None = None  # from when it was played until it was captured
    near_digit_dbm0: Decibels | None = None  # one tone of a digit that was dialled on this line
    learned_at: Annotated[str, Meta(pattern=r"^\d{4}-\d\d-\d\dT[0-9:.]{8,12}Z$")]  # as rfc3339 writes it: text orders


FILE = SmallFile("learned", Learned, 4096)


def load(folder: Path) -> dict[int, Learned]:
    """By line number. A folder that is not there holds nothing."""
    found = {}
    for path in sorted(folder.glob("[0-9]*.json")):
        line = FILE.look(path)  # broken: `linetap line learn` writes it anew
        if line is not None and _NUMBER.fullmatch(path.stem):
            found[int(path.stem)] = line
    return found


def stamp(folder: Path) -> int:
    """Another number after each `save`, for one stat(2): a service that runs looks here and loads when it changed."""
    try:
        return folder.stat().st_mtime_ns
    except OSError:
        return 0


def path_of(folder: Path, line: int) -> Path:
    return folder / f"{line:02d}.json"


def save(folder: Path, line: int, learned: Learned) -> Path:
    """The file, on the disk before this returns. OSError when it cannot be written."""
    folder.mkdir(parents=True, exist_ok=True)
    path = path_of(folder, line)
    replace_durably(path, FILE.encode(learned), mode=_READABLE)
    return path
