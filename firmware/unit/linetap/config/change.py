# SPDX-License-Identifier: Apache-2.0
"""The differences between two configurations, in words, and those that no command may make. Pure: no files.

Hardware, keys, the connection to the desk, and the clock by which calls expire are changed only by a person at the
unit. Keys not named here count as fixed until decided otherwise.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import Any

import msgspec

from linetap.config import namednotices
from linetap.config.schema import Config, Recording
from linetap_core.rundir import capture_service
from linetap_core.zones import KOREA

CHANGEABLE = (
    "line",
    "recording",
    "situation",
    "ending",
    "retention",
    "storage",
    "smdr",
    "profile",
    "panel",
    "policy",
    "update",
)
# A zone moves every midnight at which calls expire; a clock trusted after a longer pause makes them expire early.
FIXED = ("retention.zone", "retention.largest_gap_days", "smdr.port")
FIXED_OF_A_LINE = re.compile(r"line \d+\.(number|card|channel)")
_UNSAID = re.compile(r"line \d+\.(extension|trunk)")  # a person's number: only the fact of a change is shown
_LONGEST = 80
MOST_LISTED = 60
MOST_BYTES = 3000  # in total: a leaf of the log has 4096 with its other fields
MISSING = object()


def changes(old: Config, new: Config) -> list[str]:
    """One short text for each key that differs, in order; the last has the number of omitted ones."""
    return bounded([words(key, before, after) for key, before, after in differing(old, new)])


def bounded(texts: list[str], most_bytes: int = MOST_BYTES) -> list[str]:
    """The texts that fit into a leaf; the last has the number of omitted ones."""
    sizes = itertools.accumulate(len(msgspec.json.encode(text)) + 1 for text in texts)
    fit = sum(size <= most_bytes for size in sizes)
    fit = min(fit, MOST_LISTED)
    return texts if fit == len(texts) else [*texts[:fit], f"and {len(texts) - fit} more"]


def fixed(old: Config, new: Config) -> list[str]:
    """The differing keys that a command may not change."""
    return [key for key, _, _ in differing(old, new) if _is_fixed(key)]


def services(old: Config, new: Config) -> list[str]:
    """The services to restart: the recorder, each capture with changed lines or notices, others for common settings."""
    cards = sorted({line.card for line in new.line})
    every = old.profile != new.profile or not namednotices.sounds_alike(old, new)
    captures = [card for card in cards if every or old.lines_of(card) != new.lines_of(card)]
    of_calls = {"line", "recording", "situation", "ending", "retention", "smdr", "profile", "policy", "update"}
    common = any(
        getattr(old, name) != getattr(new, name) for name in Config.__struct_fields__ if name not in of_calls
    )  # fmt: skip
    return ["recorder", *(capture_service(card) for card in captures), *(("reporter", "panel") if common else ())]


def all_services(config: Config) -> list[str]:
    """All services, by the names of their state files."""
    return ["recorder", *(capture_service(card.number) for card in config.card), "reporter", "panel"]


def departures(config: Config) -> list[str]:
    """The settings by which the unit records more than by default. A list without one of the country's emergency
    numbers records calls to it as `record_emergency` does.
    """
    recording = config.recording
    found = ["record_and_flag"] if recording.on_notice_failure == "record_and_flag" else []
    wanted = Recording().emergency_numbers if config.retention.zone == KOREA else []
    lacks = not recording.emergency_numbers or not set(wanted) <= set(recording.emergency_numbers)
    return [*found, "record_emergency"] if recording.record_emergency or lacks else found


def _is_fixed(key: str) -> bool:
    top = re.split(r"[. ]", key, maxsplit=1)[0]
    return top not in CHANGEABLE or key in FIXED or FIXED_OF_A_LINE.fullmatch(key) is not None


def differing(old: Config, new: Config) -> Iterator[tuple[str, Any, Any]]:
    """Yields each key with its old and new value; MISSING if a table of an array was added or removed."""
    before, after = (dict(_flat("", msgspec.to_builtins(config))) for config in (old, new))
    for key in sorted(before.keys() | after.keys()):
        was, will = before.get(key, MISSING), after.get(key, MISSING)
        if was != will:
            yield key, was, will


def _flat(at: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yields `recording.notice`, `line 3.exempt`, `retention.classes standard.days`: a table of an array is identified
    by its name.
    """
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _flat(f"{at}.{name}" if at else name, inner)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for number, inner in enumerate(value, 1):
            yield from _flat(f"{at} {inner.get('number', inner.get('name', number))}", inner)
    else:
        yield at, value


def words(key: str, before: Any, after: Any) -> str:
    """One short text for a key that differs."""
    if _UNSAID.fullmatch(key):
        return f"{key} changed"
    return f"{key}: {_value(before)} -> {_value(after)}"


def _value(value: Any) -> str:
    text = "nothing" if value is MISSING or value is None else msgspec.json.encode(value).decode("utf-8")
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
