# SPDX-License-Identifier: Apache-2.0
"""Checks of single lines: what all of them share, so that each file holds only what it says.

The recorder tells what each line suffers from as codes (LineState.troubles); a code is the id of its check. A recorder
that is away cures no line: what it said last stands until it says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from linetap.checks.frame import Check, Snapshot, Trouble
from linetap.wire.alerts import ALERTS

Lines = Sequence[int]


def with_trouble(snapshot: Snapshot, code: str) -> Lines | None:
    """The lines that have it, in order; None when nobody knows."""
    recorder = snapshot.services.recorder.word
    if recorder is None:
        return None
    return sorted(line.line for line in recorder.lines if code in line.troubles)


def of_lines(
    check_id: str,
    *,
    clears: str,
    text_ko: str,
    text_en: str,
    action_ko: str,
    action_en: str,
    lines: Callable[[Snapshot, str], Lines | None] = with_trouble,
    of_a_call: bool = False,
) -> Check:
    """A check of the lines that `lines(snapshot, check_id)` gives.

    In the texts {lines} are all of them, in words, and {first} is the first one's number.
    """

    def look(snapshot: Snapshot, standing: Trouble | None) -> Trouble | None:
        found = lines(snapshot, check_id)
        if found is None:
            return standing
        if not found:
            return None
        ko = ", ".join(f"{line}번" for line in found) + " 회선"
        en = ("line " if len(found) == 1 else "lines ") + ", ".join(map(str, found))
        first = found[0]
        return Trouble(
            severity=ALERTS[check_id].severity,
            line=first if len(found) == 1 else None,
            lines=tuple(found),
            text_ko=text_ko.format(lines=ko, first=first),
            text_en=_sentence(text_en.format(lines=en, first=first)),
            action_ko=action_ko.format(lines=ko, first=first),
            action_en=_sentence(action_en.format(lines=en, first=first)),
        )

    return Check(id=check_id, clears=clears, look=look, of_a_call=of_a_call)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
