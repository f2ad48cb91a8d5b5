# SPDX-License-Identifier: Apache-2.0
"""Where commands lie for the recorder, and its answers for who brought them.

Each side writes in its own folder and removes what is its own: a giver its commands, once it has the answer, and the
recorder its answers, once the command is gone.
"""

from __future__ import annotations

from pathlib import Path

from linetap_core import rooms

ANSWER = ".answer"
GIVERS = ("reporter", rooms.TERMINAL)


def commands_of(run_dir: Path, giver: str) -> Path:
    return rooms.room(run_dir, giver) / "commands"


def answers_for(run_dir: Path, giver: str) -> Path:
    return rooms.room(run_dir, "recorder") / "answers" / giver
