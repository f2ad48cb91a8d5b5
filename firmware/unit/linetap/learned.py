# SPDX-License-Identifier: Apache-2.0
"""The measurements of each line: one small file for each, read by capture and recorder.

`linetap line learn` writes into root's folder, which the configuration names. Values of a signed `learn` are in a
folder of the recorder, /var/lib/linetap/config/learned: every folder has one writer. Of two measurements of a line the
later counts. Each file is replaced as a whole, so that a running service reads the old or the new one. A damaged file
is logged and counts as missing: the line's configured values apply.
"""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from linetap_core.durable.files import replace_durably
from linetap_core.durable.smallfile import SmallFile
from linetap_core.watchdog import Steps, step

MOST_V = 100.0  # of a line's battery
Volts = Annotated[float, Meta(ge=0, le=MOST_V)]
Decibels = Annotated[float, Meta(ge=-100, le=20)]
Milliseconds = Annotated[float, Meta(ge=0, le=2000)]
Opening = Annotated[float, Meta(ge=0, le=3000)]

# Of a valid echo. The proof's tolerance is 20 dB: with a weaker echo a neighbour's leak of -50 dB would be proof.
LEAST_ECHO_DB = -25.0
LEAST_SCORE = 0.8  # share of the notice's blocks; a person may breathe into the handset

_NUMBER = re.compile(r"[0-9]{1,3}", re.ASCII)
_READABLE = 0o644  # capture and recorder run as other users than `line learn`


class Learned(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The measurements of a line; None: never measured. Voltages have no sign; `reversed`: positive on-hook."""

    on_hook_v: Volts | None = None
    off_hook_v: Volts | None = None
    reversed: bool | None = None
    echo_db: Decibels | None = None  # captured level of a notice, relative to the played notice
    echo_delay_ms: Milliseconds | None = None  # from playing to capturing a notice
    near_digit_dbm0: Decibels | None = None  # each tone of a digit dialled on this line
    release_ms: Opening | None = None  # the shortest opening of the loop that released the call; 0: none did
    learned_at: Annotated[str, Meta(pattern=r"^\d{4}-\d\d-\d\dT[0-9:.]{8,12}Z\Z")]  # as rfc3339 writes it: text orders


FILE = SmallFile("learned", Learned, 4096)


def load(folder: Path) -> dict[int, Learned]:
    """The valid measurements by line number; empty without a folder."""
    found: dict[int, Learned] = {}
    for path in [path for each in (folder, accepted(folder)) for path in sorted(each.glob("[0-9]*.json"))]:
        line = FILE.load_in_place(path)  # a broken file is left to its writer
        if line is None or not _NUMBER.fullmatch(path.stem):
            continue
        there = found.get(int(path.stem))
        if there is None or line.learned_at > there.learned_at:
            found[int(path.stem)] = line
    return found


def accepted(folder: Path) -> Path:
    """The recorder's folder that belongs to `folder`: /var/lib/linetap/config/learned to /var/lib/linetap/learned."""
    return folder.parent / "config" / "learned"


def stamp(folder: Path) -> int:
    """A number that differs after each `save` and `accept`, for two stat(2): a running service then loads again."""
    return _changed(folder) + _changed(accepted(folder))


def _changed(folder: Path) -> int:
    try:
        return folder.stat().st_mtime_ns
    except OSError:
        return 0


def path_of(folder: Path, line: int) -> Path:
    return folder / f"{line:02d}.json"


def save(folder: Path, line: int, learned: Learned) -> Path:
    """Saves a measurement; returns the file, which is on the disk. OSError if it cannot be written."""
    folder.mkdir(parents=True, exist_ok=True)
    path = path_of(folder, line)
    replace_durably(path, FILE.encode(learned), mode=_READABLE)
    return path


def accept(folder: Path, line: int, learned: Learned) -> Path:
    """Saves in the recorder's folder, after a signed command."""
    return save(accepted(folder), line, learned)


class LearnedWatch:
    """All measurements, read now and after each change in a separate thread: the files are on the disk, which may block
    a reader. One for each process.
    """

    EVERY_S = 2.0

    def __init__(self, folder: Path, steps: Steps | None = None) -> None:
        """`steps`: those of the thread, for a service that names its threads that hang."""
        self._folder, self._steps = folder, steps
        self._stamp: int | None = None
        self._found: dict[int, Learned] = {}
        self._stopped = threading.Event()
        self.poll()

    def start(self) -> None:
        """Starts the thread, with the priority and the processors of the caller."""
        threading.Thread(target=self._run, name="learned", daemon=True).start()

    def stop(self) -> None:
        self._stopped.set()

    def poll(self) -> None:
        """Reads the files if the folder has changed."""
        now = stamp(self._folder)
        if now != self._stamp:
            self._stamp = now
            self._found = load(self._folder)

    @property
    def found(self) -> dict[int, Learned]:
        """The measurements: after each change another object. Never waits."""
        return self._found

    def _run(self) -> None:
        if self._steps is not None:
            self._steps.begin()
        while not self._stopped.wait(self.EVERY_S):
            self.poll()
            step()
        if self._steps is not None:
            self._steps.end()
