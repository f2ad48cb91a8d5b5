# SPDX-License-Identifier: Apache-2.0
"""The checkpoint, the recorder's state for its successor: rewritten on tmpfs after every batch.

A checkpoint is one moment of the main thread: cursors, lines, and the jobs that the disk thread had not finished. The
next recorder follows the slots after the cursors again and obtains the same calls and events, which the vault stores
only once.

An exception during a batch leaves lines between two states, which are never written: the next recorder begins before
that batch. A batch that has ended MOST_FAILURES recorders is replaced by a gap, and the calls of its card end there.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from linetap import restartstate
from linetap.recorder.calls.context import CallNames, LineMemory
from linetap.recorder.pbx.join import SmdrMemory
from linetap.recorder.vault.callfolder.jobs import Job
from linetap.recorder.walk.walk import Walk
from linetap_core import rundir
from linetap_core.durable.smallfile import SmallFile

NAME = "recorder.checkpoint"
VERSION = 3
MOST_FAILURES = 2


class CardCursor(msgspec.Struct, frozen=True):
    """The last followed slot of a card's ring."""

    ring_id: int
    cursor: int
    next_frame: int


class Failed(msgspec.Struct, frozen=True):
    """A batch that has ended recorders by an exception, and their number."""

    card: int
    end: int  # the frame after it
    times: int


class Checkpoint(msgspec.Struct, kw_only=True):
    version: int = VERSION
    cards: dict[int, CardCursor] = {}
    lines: dict[int, LineMemory] = {}
    jobs: list[Job] = []
    smdr: SmdrMemory | None = None  # calls that wait for their SMDR line, and the day's account
    walk: Walk | None = None
    names: CallNames | None = None  # as of the first start of this boot
    failed: Failed | None = None


_FILE = SmallFile("checkpoint", Checkpoint, 64 << 20, msgpack=True)


def save(run_dir: Path, checkpoint: Checkpoint) -> None:
    """Writes the checkpoint; restartstate.py logs a failure."""
    restartstate.keep(rundir.make(run_dir / rundir.CALLS, private=True) / NAME, _FILE.encode(checkpoint))


def load(run_dir: Path) -> Checkpoint:
    """The last checkpoint of this boot; an empty one if none can be read."""
    found = _FILE.load(run_dir / rundir.CALLS / NAME)
    return found if found is not None and found.version == VERSION else Checkpoint()
