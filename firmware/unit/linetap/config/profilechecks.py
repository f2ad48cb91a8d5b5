# SPDX-License-Identifier: Apache-2.0
"""Checks of a profile's numbers: with a frequency of 0 Hz or a level of a million decibels no detector starts, so that
the recorder ends at each start, and can no longer execute the command that would correct it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from linetap.config.profile import KR_PSTN
from linetap.config.schema import Config
from linetap_core.tomlfile.locate import Path as KeyPath
from linetap_core.tomlfile.source import Source

# By the name of a number, its least and greatest value; the first that fits counts.
_RANGES: tuple[tuple[re.Pattern[str], float, float], ...] = (
    (re.compile(r".*tolerance(_hz)?"), 0, 1000),
    (re.compile(r"(.*_)?hz"), 1, 4000),  # half the rate of a line's samples
    (re.compile(r".*_(db|dbm0|db_s)"), -300, 300),
    (re.compile(r".*_v"), 0, 300),
    (re.compile(r".*_harmonics"), 0, 50),
    (re.compile(r".*_power"), 0, 1e15),
    (re.compile(r".*_(ms|s|chunks|windows|bins|times|changes|bursts|frames)"), 0, 1_000_000),
    (re.compile(r".*"), -1_000_000, 1_000_000),
)


def check_profiles(config: Config, source: Source) -> None:
    for i, profile in enumerate(config.profile):
        for at, name, value in _numbers(msgspec.to_builtins(profile), ()):
            least, most = next((low, high) for pattern, low, high in _RANGES if pattern.fullmatch(name))
            if not least <= value <= most:
                text = f"{'.'.join(map(str, at))} = {value:g}: {least:g} to {most:g} expected"
                source.add(("profile", i, *at), f"profile: {text}")
        weights, wanted = getattr(profile.sound, "speech_weights", None), len(KR_PSTN.sound.speech_weights)
        if isinstance(weights, tuple) and len(weights) != wanted:
            text = f"profile: sound.speech_weights: {len(weights)} numbers; {wanted} expected"
            source.add(("profile", i, "sound", "speech_weights"), text)


def _numbers(value: Any, at: KeyPath, name: str = "") -> Iterator[tuple[KeyPath, str, float]]:
    """Yields each number with its place and the name of its key. A list's numbers have the name of the list."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _numbers(inner, (*at, key), key)
    elif isinstance(value, list | tuple):
        for i, inner in enumerate(value):
            yield from _numbers(inner, (*at, i), name)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield at, name, value
