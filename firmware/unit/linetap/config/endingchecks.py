# SPDX-License-Identifier: Apache-2.0
"""Checks of the settings that end a call: the codes of staff, the situations, the longest time. Each adds its problems
to the source. Lines on which staff hang up are no error: linerelease.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from linetap.config.schema import Config
from linetap_core.records import END_STEPS
from linetap_core.tomlfile.locate import Path as KeyPath
from linetap_core.tomlfile.source import Source

# Marks of a record that may not be the name of a situation.
TAKEN = {*END_STEPS, "mark_far", "mark_uncertain", "notice_code", "notice_code_far", "notice_code_uncertain"}


def _codes(config: Config, source: Source) -> None:
    """Checks that no code contains another: the shorter would always be dialled first."""
    seen: list[tuple[str, str]] = []
    for at, name, code in _all_codes(config):
        within = next(((other, its) for other, its in seen if code in its or its in code), None)
        if within is not None:
            source.add(
                at,
                f"{name} = {code!r} and {within[0]} = {within[1]!r}: one is within the other; "
                f"two codes of which neither contains the other expected",
            )
        seen.append((name, code))
        if number := next((each for each in config.recording.emergency_numbers if code in each or each in code), None):
            source.add(at, f"{name} = {code!r}: behind a flash {number} could not be dialled; another code expected")


def _all_codes(config: Config) -> Iterator[tuple[KeyPath, str, str]]:
    """Yields place, name and keys of each code that can be dialled."""
    found: list[tuple[KeyPath, str, Any]] = [
        (("recording", "mark_code"), "mark_code", config.recording.mark_code),
        (("recording", "notice_code"), "recording.notice_code", config.recording.notice_code),
    ]
    if config.ending.end_s:
        found.append((("ending", "extend_code"), "ending.extend_code", config.ending.extend_code))
    for i, each in enumerate(config.situation):
        found.append((("situation", i, "code"), f"situation {each.name!r}: code", each.code))
    return ((at, name, code) for at, name, code in found if isinstance(code, str) and code)


def _situations(config: Config, source: Source) -> None:
    names = [each.name for each in config.situation]
    for i, each in enumerate(config.situation):
        if each.name in names[:i]:
            source.add(("situation", i, "name"), f"situation {each.name!r} is there twice")
        if each.name in TAKEN:
            source.add(("situation", i, "name"), f"situation {each.name!r}: a mark of records has that name already")
        if each.then != "nothing" and not each.notice:
            text = f"situation {each.name!r}: a notice is missing, and then = {each.then!r} needs one"
            source.add(("situation", i, "then"), text)


def _ending(config: Config, source: Source) -> None:
    ending, longest_s = config.ending, config.recording.longest_call_s
    if ending.warn_s >= longest_s:
        source.add(("ending", "warn_s"), f"ending.warn_s = {ending.warn_s}: less than longest_call_s expected")
    if not ending.end_s:
        return
    if not 0 < ending.warn_s < ending.end_s < longest_s:
        text = f"ending: warn_s = {ending.warn_s}, end_s = {ending.end_s}, longest_call_s = {longest_s}: "
        source.add(("ending", "end_s"), f"{text}0 < warn_s < end_s < longest_call_s expected")
    named = config.situation_named(ending.end_situation)
    if named is None or named.then != "end":
        known = ", ".join(each.name for each in config.situation if each.then == "end") or "none"
        text = f"ending.end_situation = {ending.end_situation!r}: no situation that ends a call; there are {known}"
        source.add(("ending", "end_situation"), text)


ALL = (_codes, _situations, _ending)
