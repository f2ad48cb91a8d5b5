# SPDX-License-Identifier: Apache-2.0
"""The notices named in a configuration. Others in the folder of notices are neither loaded nor played."""

from __future__ import annotations

import contextlib
import wave
from collections.abc import Iterator
from pathlib import Path

from linetap.config.schema import Config
from linetap_core.tomlfile.locate import Path as KeyPath

LONGEST_END_S = 12  # of a notice that ends a call; the line is free only after the whole notice
_OF_RECORDING = ("notice", "end_notice", "mark_notice")
_HOW_ALL_SOUND = ("notice_tone_ms", "beep_every_s", "beep_dbm0", "notice_target_dbm0")


def named(config: Config) -> Iterator[tuple[KeyPath, str]]:
    """Yields each place in the configuration that names a notice, and its id. Lines may be missing or wrong."""
    places: list[tuple[KeyPath, str | None]] = [
        (("recording", key), getattr(config.recording, key)) for key in _OF_RECORDING
    ]
    lines = config.line if isinstance(config.line, list) else []
    places += [(("line", i, "notice"), line.notice) for i, line in enumerate(lines)]
    places += [(("situation", i, "notice"), each.notice) for i, each in enumerate(config.situation)]
    if config.ending.warn_s:
        places.append((("ending", "warn_notice"), config.ending.warn_notice))
    yield from ((at, name) for at, name in places if name is not None)


def long_ends(config: Config) -> Iterator[str]:
    """Warnings about too long notices of situations, and about a too long warning before the longest time: a line is
    released only after its notice (LONGEST_END_S).
    """
    folder = Path(config.notices)
    for at, name in named(config):
        path = folder / f"{name}.wav"
        if at[0] in ("situation", "ending") and path.is_file():
            with contextlib.suppress(wave.Error, EOFError, OSError), wave.open(str(path)) as file:
                seconds = file.getnframes() / file.getframerate()
                if seconds > LONGEST_END_S:
                    yield f"notice {name!r} lasts {seconds:.1f} s: {LONGEST_END_S} s at most is meant for an end"


def names(config: Config) -> set[str]:
    return {name for _, name in named(config)}


def sounds_alike(one: Config, other: Config) -> bool:
    """Whether capture plays the same under both configurations: it reads its notices at its start."""
    return names(one) == names(other) and all(
        getattr(one.recording, key) == getattr(other.recording, key) for key in _HOW_ALL_SOUND
    )
