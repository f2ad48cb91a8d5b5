# SPDX-License-Identifier: Apache-2.0
"""The journal's thread: while a call is open, one write and one sync every 400 ms for all lines together.

The thread fetches audio from the ring and encodes it, and waits neither for the vault's thread nor for the main thread.
A failing disk is logged once and retried: audio that could not be written is fetched again while it is in the ring.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable
from pathlib import Path

from linetap.recorder.calls.ports import AudioSource, CallSnapshot
from linetap.recorder.vault.journal import store
from linetap.recorder.vault.journal.call import JournalCall, SealEntry, Unwritten
from linetap.recorder.vault.journal.store import Store, file_bytes
from linetap.recorder.vault.recordings.entries import Beat, Entry, Over, Snapshot, State, Tick
from linetap.recorder.vault.recordings.recording import Recording
from linetap.recorder.vault.retention.time import this_boot
from linetap_core.clock import NS_PER_MS, NS_PER_S, Clock
from linetap_core.timekeeping import kernel_synced
from linetap_core.watchdog import Steps

EVERY_NS = 400 * NS_PER_MS
FOLDER = "journal"
IDLE_S = 1.0  # without a call: the interval of the thread's steps
MOST_SAMPLES = 1 << 18  # of all lines in one write, 400 ms of 80; the next write follows at once

RecentlyWritten = Callable[[int], tuple[int, int] | None]

log = logging.getLogger("linetap.recorder.journal")


class Journal:
    """The journal. `step()` writes new entries; `start()` runs it in a thread. Nothing is written before `begin()`."""

    def __init__(
        self, vault: Path, lines: int, source: AudioSource, clock: Clock, newest: RecentlyWritten = lambda _: None
    ) -> None:
        """`newest`: the first frame of a line's newest slot and its monotonic time, if the ring exists."""
        self.folder = vault / FOLDER
        self._newest = newest
        self._size = file_bytes(lines)
        self._source = source
        self._clock = clock
        self._store: Store | None = None
        self._allowed = False  # `begin` was called: the old files are no longer needed
        self._begun = False  # there is a generation of this recorder
        self._boot = this_boot()
        self._calls: dict[str, JournalCall] = {}
        self._writing = threading.Lock()
        self._changed = threading.Condition()
        self._stopping = False
        self._thread: threading.Thread | None = None
        self.steps = Steps("journal", clock)
        self.trouble: str | None = None  # the reason why nothing can be written now
        self.failure: BaseException | None = None

    # --- from other threads -------------------------------------------------------------------------------------------

    def begin(self, known: dict[str, State]) -> None:
        """Allows writing: the old files are no longer needed. `known`: their states of calls that continue."""
        with self._changed:
            for call_id, state in known.items():
                call = self._calls.setdefault(call_id, JournalCall(call_id))
                call.state = call.state or state
            self._allowed = True
            self._changed.notify()
        self.step()

    def snapshot(self, call_id: str, snapshot: CallSnapshot) -> None:
        self._call(call_id).snapshot = snapshot

    def opened(self, recording: Recording, seal_entry: SealEntry) -> bytes:
        """Adds a call that has passed its gate. Returns a frame with its whole state, for the call's own folder."""
        with self._writing:
            call = self._call(recording.state.call_id)
            call.opened(recording, seal_entry)
            state = call.present_state()
        return bytes(store.encode(0, 0, [self._beat([call]), state]))

    def over(self, call_id: str) -> None:
        """Records that the call is sealed."""
        if (call := self._calls.get(call_id)) is not None:
            call.over = True

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    def stop(self, patience_s: float) -> None:
        """Writes new entries once more, and ends the thread."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(patience_s)

    def _call(self, call_id: str) -> JournalCall:
        with self._changed:
            if (call := self._calls.get(call_id)) is None:
                call = self._calls[call_id] = JournalCall(call_id)
                self._changed.notify()
            return call

    # --- the journal's thread -----------------------------------------------------------------------------------------

    def _run(self) -> None:
        self.steps.begin()
        try:
            due_ns = self._clock.monotonic_ns()
            while self._wait(due_ns):
                due_ns = max(due_ns + EVERY_NS, self._clock.monotonic_ns())
                while self.step():
                    self.steps.step()
            self.step()
        except Exception as error:
            log.exception("the journal's thread has ended")
            self.failure = error
        finally:
            self.steps.end()

    def _wait(self, due_ns: int) -> bool:
        """Waits until a write is due and a call is open. False if the thread must end."""
        with self._changed:
            while not self._stopping:
                left_ns = due_ns - self._clock.monotonic_ns()
                if self._calls and self._allowed and left_ns <= 0:
                    return True
                working = self._calls and self._allowed
                self._changed.wait(max(left_ns, NS_PER_MS) / NS_PER_S if working else IDLE_S)
                self.steps.step()
            return False

    def step(self) -> bool:
        """Writes new entries. True if there are more than fit into one write."""
        with self._writing:
            if not self._allowed:
                return False
            try:
                more = self._write()
            except OSError as error:
                if self.trouble is None:
                    log.error(
                        "journal_failed: %s: %s; a power cut would now cost more than a second", self.folder, error
                    )
                self.trouble = str(error)
                return False
            if self.trouble is not None:
                log.warning("the journal is written again")
                self.trouble = None
            return more

    def _write(self) -> bool:
        if self._store is None:
            self._store = Store(self.folder, self._size)
        with self._changed:
            calls = list(self._calls.values())
        now_ns = self._clock.monotonic_ns()
        over, states, audio, room = list[JournalCall](), dict[str, State](), list[Unwritten](), MOST_SAMPLES
        for call in calls:
            if call.over:
                over.append(call)
                continue
            if (state := call.new_state(now_ns)) is not None:
                states[call.call_id] = state
            known = state or call.state
            if known is not None and known.recipient is not None:  # no audio before the state that names its recipient
                found = self._unwritten(call, room)
                audio += found
                room -= found[-1].end - found[0].first if found else 0
        self._put(calls, over, states, [each.call.seal(each) for each in audio])
        for call in calls:
            if call.call_id in states:
                call.state_written(states[call.call_id])
        for each in audio:
            each.call.audio_written(each)
        with self._changed:
            for call in over:
                del self._calls[call.call_id]
        return room <= 0

    def _unwritten(self, call: JournalCall, room: int) -> list[Unwritten]:
        try:
            return call.unwritten(self._source, room)
        except OSError:
            return []  # the ring is missing, which capture reports

    def _put(
        self, calls: list[JournalCall], over: list[JournalCall], states: dict[str, State], ticks: list[Tick]
    ) -> None:
        assert self._store is not None
        entries: list[Entry] = [*states.values(), *(Over(call.call_id) for call in over), *ticks]
        beat = self._beat(calls)
        if self._begun and ((not entries and not beat.heads) or self._store.append([beat, *entries])):
            return
        known = (states.get(call.call_id) or call.state for call in calls if not call.over)
        self._store.begin([beat, Snapshot(), *(state for state in known if state is not None), *ticks])
        self._begun = True

    def _beat(self, calls: list[JournalCall]) -> Beat:
        """Returns the beat that begins a frame. A beat is written while a recording is open, with or without audio."""
        heads = {}
        for line in {call.line for call in calls if call.line is not None}:
            with contextlib.suppress(OSError):  # the ring is missing
                if (newest := self._newest(line)) is not None:
                    heads[line] = newest
        clock = self._clock
        return Beat(self._boot, clock.monotonic_ns(), clock.utc_ns(), kernel_synced(clock), heads)
