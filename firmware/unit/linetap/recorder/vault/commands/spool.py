# SPDX-License-Identifier: Apache-2.0
"""Folders of commands for the recorder, and of its answers.

Each side writes and removes files in its own folder only: a giver removes its command once it has the answer, and the
recorder removes the answer once the command is gone.
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
