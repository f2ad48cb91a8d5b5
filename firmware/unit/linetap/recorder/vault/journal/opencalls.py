# SPDX-License-Identifier: Apache-2.0
"""Finds the calls that a power cut has left open, from four sources: journal, folders, outbox, log.

Any source may be lost or damaged. A call in one source is sealed with the information of the others.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from msgspec.structs import replace

from linetap.recorder.vault.journal import store
from linetap.recorder.vault.journal.store import Run
from linetap.recorder.vault.recordings.entries import Beat, Over, Snapshot, State, Tick
from linetap.recorder.vault.retention import lifetime
from linetap_core import plainfile
from linetap_core.durable import folders
from linetap_core.durable.unreadable import is_missing
from linetap_core.errors import BadInput
from linetap_core.evidence.calls import sealed
from linetap_core.records import CallEvent, CallRecord

DAYS_AT_START = 3  # newest day folders; older folders are searched by the scan for expiry
ENDS = ("ended", "missed")
_OF_AN_END = ("warned", "extended", "ending", "end_cancelled", "end_refused")
_OF_AN_OPEN_CALL = ("started", "answered", "notice", "call_time", "marked", *_OF_AN_END, *ENDS)
_OF_A_SEALED_ONE = ("sealed", "destroyed")
_MOST_BYTES = 1 << 20  # of a state in a folder

log = logging.getLogger("linetap.recorder.journal")


@dataclass(slots=True)
class FoundCall:
    """An open call; `ticks` in the order of writing.

    `beat`: the last beat in the journal; `is_bare`: without a journal, known by the folder's own state only. `ended`:
    its end, reported or still to be reported.
    """

    state: State
    ticks: list[Tick] = field(default_factory=list)
    beat: Beat | None = None
    ended: CallEvent | None = None
    is_bare: bool = False


class LeftOpenCalls:
    """The calls left open. Call the methods `add_...` in any order, then `calls`; the journal comes first."""

    def __init__(self, vault: Path, unit: str, runs: list[Run]) -> None:
        """`runs`: the oldest first. The newest snapshot and the entries after it determine the open calls."""
        self._vault, self._unit = vault, unit
        self._ticks: dict[str, list[Tick]] = {}
        self._beat: Beat | None = None
        self._calls = {call.state.call_id: call for call in self._of_journal(runs)}

    def calls(self, going_on: Collection[str] = ()) -> list[FoundCall]:
        """Returns all calls found except those that continue."""
        return [call for call_id, call in self._calls.items() if call_id not in going_on]

    def add_folders(self, folders: Iterable[Path]) -> None:
        """Adds the calls of folders without a record."""
        for folder in folders:
            found = self._calls.get(folder.name)
            if found is None or found.state.recipient is None:
                self._calls[folder.name] = self._of_folder(folder)

    def add_named(self, call_ids: Iterable[str]) -> None:
        """Adds calls known by name only."""
        for call_id in call_ids:
            if call_id not in self._calls and (state := unknown(call_id, self._unit)) is not None:
                self._calls[call_id] = FoundCall(state)

    def add_events(self, events: Iterable[CallEvent]) -> None:
        """Adds the calls of the outbox's newest events, which come in order."""
        by_call: dict[str, list[CallEvent]] = {}
        for event in events:
            if event.call_id is None or event.rebuilt:
                continue
            if event.event in _OF_AN_OPEN_CALL:
                by_call.setdefault(event.call_id, []).append(event)
            elif event.event in _OF_A_SEALED_ONE:
                by_call.pop(event.call_id, None)
        self.add_named(by_call)
        for call_id, of_call in by_call.items():
            if (found := self._calls.get(call_id)) is not None:
                found.ended = next((event for event in reversed(of_call) if event.event in ENDS), None)
                if found.state.frame == 0 and found.beat is None:
                    found.state = _with_events(found.state, of_call)

    def _of_journal(self, runs: list[Run]) -> Iterator[FoundCall]:
        states = dict[str, State]()
        for entry in (entry for run in runs for frame in run.frames for entry in frame):
            match entry:
                case Snapshot():
                    states.clear()
                case State():
                    states[entry.call_id] = entry
                case Over():
                    states.pop(entry.call_id, None)
                case Tick():
                    self._ticks.setdefault(entry.call_id, []).append(entry)
                case Beat():
                    self._beat = entry
        for call_id, state in states.items():
            yield FoundCall(state, self._ticks.get(call_id, []), self._beat)

    def _of_folder(self, folder: Path) -> FoundCall:
        """Returns the call of a folder, from the state in it, else from its name alone."""
        call_id = folder.name
        state, beat, kept = _kept_state(folder)
        if state is None:
            log.error("vault_damaged: %s: its call is not known; it is sealed as it is", folder)
        known = state or unknown(call_id, self._unit)
        assert known is not None, "a call's folder has a call's name"
        ticks = [*kept, *self._ticks.get(call_id, [])]
        if not kept:
            beat = self._beat or beat
        return FoundCall(known, ticks, beat, is_bare=self._beat is None and not kept)


def open_folders(vault: Path) -> Iterator[Path]:
    """Yields the folders without a record of calls of the newest days."""
    for day in list(lifetime.days(vault))[-DAYS_AT_START:]:
        yield from (day / name for name in folders.names_found(day) if is_open(day / name))


def is_open(folder: Path) -> bool:
    """Whether the folder has files of a call, and no record."""
    return (
        unknown(folder.name, "") is not None
        and is_missing(folder / sealed.RECORD)
        and bool(set(folders.names_found(folder)) - {sealed.SIGNATURE})
    )


def unknown(call_id: str, unit: str) -> State | None:
    """The state of a call known by name only; None for an invalid name."""
    with contextlib.suppress(BadInput):
        line = int(call_id.partition("-L")[2].partition("-")[0] or 0)
        record = CallRecord(call_id=call_id, unit=unit, line=line, disposition="discarded")
        return State(call_id, record, 0, sealed.call_ns(call_id), codec="")
    return None


def _kept_state(folder: Path) -> tuple[State | None, Beat | None, list[Tick]]:
    """Returns the state that the recorder wrote beside the key when the call passed its gate; with the journal's ticks
    if a start could not seal it."""
    try:
        with plainfile.opened(folder / sealed.OPEN) as file:
            run = store.read_frames(file.read(_MOST_BYTES))
    except OSError:
        return None, None, []
    entries = [entry for frame in run.frames for entry in frame] if run else []
    state = next((entry for entry in entries if isinstance(entry, State) and entry.call_id == folder.name), None)
    ticks = [entry for entry in entries if isinstance(entry, Tick)]
    return state, next((entry for entry in entries if isinstance(entry, Beat)), None), ticks


def _with_events(state: State, events: list[CallEvent]) -> State:
    """Returns the state, completed by the events."""
    record, answered = state.record, next((event for event in events if event.event == "answered"), None)
    record = replace(record, direction=next((e.direction for e in events if e.direction), record.direction))
    if answered is not None:
        record = replace(record, answered_at=answered.at)
    return replace(state, record=record)


def ended_of(event: CallEvent, record: CallRecord) -> CallRecord:
    """The record with the reported end, which no second end may contradict."""
    return replace(
        record,
        ended_at=event.at,
        disposition=event.disposition or record.disposition,
        duration_s=event.duration_s,
        why=event.why or "",
        direction=event.direction or record.direction,
    )
