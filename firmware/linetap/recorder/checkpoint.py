# SPDX-License-Identifier: Apache-2.0
"""What a recorder that was killed leaves to the next: rewritten on tmpfs after every batch of work.

It is a moment of the main thread: cursors, lines, and the jobs the disk thread had not finished. The slots after
the cursors are followed again from the ring and lead to the same calls and events, which the vault takes once.

An exception in the midst of a batch leaves lines that are half way from one state to the next. That is never written:
the next recorder begins before that batch. One that has ended MOST_FAILURES recorders is passed over as a gap, and the
calls of its card end there.
"""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec

from linetap import rooms
from linetap.durable.replace import replace_in_ram
from linetap.recorder.calls.memory import LineMemory, Names
from linetap.recorder.smdr.join import SmdrMemory
from linetap.recorder.vault.jobs import Job
from linetap.recorder.walk.walk import Walk

NAME = "recorder.checkpoint"
VERSION = 3
MOST_FAILURES = 2

log = logging.getLogger("linetap.recorder")


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


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Checkpoint)


def save(run_dir: Path, checkpoint: Checkpoint) -> None:
    replace_in_ram(rooms.make(run_dir / rooms.CALLS, private=True) / NAME, _ENCODER.encode(checkpoint), private=True)


def load(run_dir: Path) -> Checkpoint:
    """The last checkpoint of this boot; an empty one where there is none that can be read."""
    path = run_dir / rooms.CALLS / NAME
    try:
        found = _DECODER.decode(path.read_bytes())
    except FileNotFoundError:
        return Checkpoint()
    except (OSError, ValueError) as error:
        log.error("checkpoint_lost: %s: %s; calls in progress are sealed as they are", path, error)
        return Checkpoint()
    return found if found.version == VERSION else Checkpoint()
