# SPDX-License-Identifier: Apache-2.0
"""What a recorder that was killed leaves to the next: rewritten on tmpfs after every batch of work.

It is a moment of the main thread: cursors, lines, and the jobs the disk thread had not finished. The slots after
the cursors are followed again from the ring and lead to the same calls and events, which the vault takes once.

An exception in the midst of a batch leaves lines that are half way from one state to the next. That is never written:
the next recorder begins before that batch. One that has ended MOST_FAILURES recorders is passed over as a gap, and the
calls of its card end there.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from linetap import restartstate
from linetap.recorder.calls.context import LineMemory, Names
from linetap.recorder.pbx.join import SmdrMemory
from linetap.recorder.vault.jobs import Job
from linetap.recorder.walk.walk import Walk
from linetap_core import rooms
from linetap_core.durable.smallfile import SmallFile

NAME = "recorder.checkpoint"
VERSION = 3
MOST_FAILURES = 2


class CardCursor(msgspec.Struct, frozen=True):
    ring_id: int
    cursor: int
    next_frame: int


class Failed(msgspec.Struct, frozen=True):
    """A batch that has ended a recorder by an exception, and how often by now."""

    card: int
    end: int  # the frame behind it
    times: int


class Checkpoint(msgspec.Struct, kw_only=True):
    version: int = VERSION
    cards: dict[int, CardCursor] = {}
    lines: dict[int, LineMemory] = {}
    jobs: list[Job] = []
    smdr: SmdrMemory | None = None  # calls that wait for their line, and the day's account
    walk: Walk | None = None
    names: Names | None = None  # as they were at the first start of this boot
    failed: Failed | None = None


_FILE = SmallFile("checkpoint", Checkpoint, 64 << 20, msgpack=True)


def save(run_dir: Path, checkpoint: Checkpoint) -> None:
    restartstate.keep(rooms.make(run_dir / rooms.CALLS, private=True) / NAME, _FILE.encode(checkpoint))


def load(run_dir: Path) -> Checkpoint:
    """The last checkpoint of this boot; an empty one where there is none that can be read."""
    found = _FILE.load(run_dir / rooms.CALLS / NAME)
    return found if found is not None and found.version == VERSION else Checkpoint()
