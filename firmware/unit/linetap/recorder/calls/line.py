# SPDX-License-Identifier: Apache-2.0
"""Runs one line: applies the call table to events and deadlines in the order in which they became certain."""

from __future__ import annotations

import numpy as np

from linetap.config.profile import Profile
from linetap.config.schema import Line
from linetap.learned import Learned
from linetap.linerelease import release_of
from linetap.recorder.calls import overlong, parties, redial
from linetap.recorder.calls.carrier import CarrierUnderNotice
from linetap.recorder.calls.codes import DOUBTFUL
from linetap.recorder.calls.context import FRAMES_PER_MS, NO_FRAMES, LineContext, LineMemory, Shared, open_frames
from linetap.recorder.calls.doubtfulanswer import confirm_by_two_voices
from linetap.recorder.calls.ending import end_call
from linetap.recorder.calls.evidence.windows import STEP, first_window
from linetap.recorder.calls.neighbours import neighbour_answer_ns, was_handed_on
from linetap.recorder.calls.noticeproof import clear_deafness
from linetap.recorder.calls.ports import CallSnapshot
from linetap.recorder.calls.table import STATUS, TABLE
from linetap.recorder.calls.timers import beep_frame, limit_frame, recommended_frame
from linetap.recorder.signals.events import Event, EventName
from linetap.ring import BY_SOUND, NS_PER_FRAME, RATE_HZ, SLOT_FRAMES, Batch
from linetap_core.clock import parse_rfc3339, rfc3339
from linetap_core.records import Disposition, LineRelease, LineState, LineStatus

FAULTS = {"line_cut", "line_short"}  # faults with which nothing can be recorded
OF_EVIDENCE = ("window", "sound", "channel")  # events that change no record by themselves
PLAYING = ("notice_started", "notice_ended", "notice_broken")


def troubles_of(line: LineContext) -> list[str]:
    """Codes of the faults of the line's calls; each has a check of its own in checks/."""
    memory, call = line.memory, line.memory.call
    found = []
    if memory.deaf_since_ns is not None:
        found.append("notice_not_heard")
    elif memory.unheard_calls or memory.deaf_calls:
        found.append("notice_doubtful")
    if call is not None:
        if call.is_marked:
            found.append("call_marked")
        if call.end is not None:
            found.append("call_ending")
        if any(mark.kind in DOUBTFUL for mark in call.marks):
            found.append("mark_far")
        if call.call_time_reported:
            found.append("long_call")
    return found


class LineCalls(LineContext):
    def __init__(self, config: Line, profile: Profile, shared: Shared, memory: LineMemory) -> None:
        super().__init__(config, profile, shared, memory)
        self._carrier = CarrierUnderNotice()
        self._changed = True  # since the call was last written to the journal; the call may come from the checkpoint

    def follow(self, batch: Batch, index: int, audio_events: list[Event]) -> None:
        """Follows one batch of the card's ring. `index`: this line's place in it; `audio_events`: events of the audio
        detectors."""
        memory = self.memory
        self.batch = batch
        if batch.gap is not None and batch.frames >= self.profile.gap_end_s * RATE_HZ and self._is_recording():
            self.cut_off(batch, batch.gap)
        end_frame = batch.frame + batch.frames
        self.opened_before = memory.open_last
        self.open_bits = open_frames(batch, index) if memory.next_window is not None else NO_FRAMES
        events = [*audio_events, *self._loop_events(batch, index), *self._neighbour_events(), *self._pbx_events()]
        if memory.playing is not None:
            events += memory.playing.follow(batch, index)
        events += self._carrier.follow(self, batch, index)
        events.sort(key=lambda event: event.order)
        while events:
            event, playing = events.pop(0), memory.playing
            self._deadlines_before(event.known)
            self._handle(event)
            if memory.playing is not playing:  # events of the previous notice are void
                events = [other for other in events if other.name not in PLAYING]
        self._deadlines_before(end_frame)
        if memory.call is not None and batch.flags.any():
            memory.call.by_sound += SLOT_FRAMES * int(np.count_nonzero(batch.flags & BY_SOUND))
        memory.open_last = self.open_last(end_frame)
        if self._changed:
            self._journal(end_frame)
        self._permit(end_frame)

    def _loop_events(self, batch: Batch, index: int) -> list[Event]:
        """Events of the hook, ring and polarity bits."""
        hook = self.memory.hook
        if batch.gap is not None:
            hook.reset_at_gap()
            self.memory.seen_from = batch.frame + batch.frames
            if self.memory.call is not None and self.memory.state == "off_hook":
                self.memory.call.digits_incomplete = True
            long = batch.frames >= self.profile.gap_party_ms * FRAMES_PER_MS
            return [Event(self.memory.seen_from, "gap", batch.frame)] if long else []
        bits = batch.hook[index], batch.ring[index], batch.polarity[index], batch.volts[index]
        seen = hook.follow(*bits, batch.frame, self.profile)
        return [event for event in seen if event.text or event.name != "digit"]  # without pulses that are no digit

    def _neighbour_events(self) -> list[Event]:
        """The events of another line of this unit that is the other end of this call."""
        if self.memory.state == "passing" and was_handed_on(self):
            return [Event(self.batch.frame, "party", self.batch.frame)]
        if self.memory.state != "off_hook" or (mono_ns := neighbour_answer_ns(self)) is None:
            return []
        at = self.batch.frame + (mono_ns - self.batch.mono_ns) // NS_PER_FRAME
        return [Event(self.batch.frame, "neighbour", at)]

    def _pbx_events(self) -> list[Event]:
        """The PBX's report of an answer; the report is outdated unless the call waits for an answer."""
        answer_ns = self.shared.connected.pop(self.config.number, None)
        if answer_ns is None or self.memory.state not in ("off_hook", "new_party"):
            return []
        at = self.batch.frame - max(0, self.batch.utc_ns - answer_ns) // NS_PER_FRAME
        return [Event(self.batch.frame, "pbx", at)]

    def _journal(self, frame: int) -> None:
        """Writes the call's state to the journal, for a power cut."""
        self._changed = False
        if (call := self.memory.call) is not None:
            record = call.record(self.shared.config.unit, self.shared.clock_record(call.line))
            self.shared.vault.snapshot(call.call_id, CallSnapshot(record, frame, self.utc_ns(frame)))

    def _permit(self, end_frame: int) -> None:
        """Permits writing as far as the loop is certainly the call's and the party has heard the notice."""
        call = self.memory.call
        if call is None:
            return
        if call.held_until is not None and end_frame >= call.held_until:
            confirm_by_two_voices(self, end_frame)
            self.open_held_recording()
        if call.first_frame is not None and call.held_until is None:
            until = min(self._certain_until(end_frame), redial.certain_until(self, end_frame))
            self.shared.vault.permit(call.call_id, until, call.withheld)

    def _certain_until(self, end_frame: int) -> int:
        """The frame up to which the audio is certainly this call's, by hook and tones."""
        call, frames = self.call, [self.memory.hook.certain_until(end_frame)]
        if self.memory.state == "tone_end":
            frames.append(call.tone_known)
        if call.paused_at is not None:
            frames.append(call.paused_at)
        if call.opened_at is not None:
            frames.append(call.opened_at)
        return min(frames)

    def cut_off(self, at: Batch, why: str) -> None:
        """Ends and seals the call at `at` without an event of the line: there is no audio for now, or no more."""
        self.batch = at
        if self.memory.call is not None:
            call = self.memory.call
            recorded = call.first_frame is not None and self._certain_until(at.frame) > call.first_frame
            last = self._certain_until(at.frame) if recorded else None
            disposition: Disposition = "recorded" if recorded else call.disposition
            end_call(self, Event(at.frame, "on_hook", at.frame), disposition, call.why or why, end_frame=last)
            if call.first_frame is not None and self.memory.hook.off_hook_since is not None:
                # A voice begins a record that continues it.
                self.memory.continues = call.call_id
                self.enter("held", at.frame)

    def _is_recording(self) -> bool:
        """Whether the call has a recording, which a gap would fill with silence."""
        return self.memory.call is not None and self.memory.call.first_frame is not None

    def forget_fault(self, learned: Learned | None) -> None:
        """Clears the fault `notice_not_heard` if the line was learnt after the fault was found."""
        since = self.memory.deaf_since_ns
        if since is not None and learned is not None and parse_rfc3339(learned.learned_at) > since:
            clear_deafness(self)

    def line_state(self, health: list[str]) -> LineState:
        """The line's live state for the state file. `health`: codes of the line's faults."""
        memory = self.memory
        call_id = memory.call.call_id if memory.call else None
        dialling = memory.state == "off_hook" and memory.call is not None and memory.call.dialled
        status: LineStatus = "dialling" if dialling else STATUS[memory.state]
        troubles = [*health, *troubles_of(self)]
        if status == "idle" and not FAULTS.isdisjoint(troubles):
            status = "fault"
        since = rfc3339(memory.since_ns)
        return LineState(
            line=self.config.number, state=status, since=since, call_id=call_id, troubles=troubles,
            release=self._release(),
        )  # fmt: skip

    def _release(self) -> LineRelease | None:
        if not self.shared.config.ends_calls or self.config.exempt:
            return None
        return release_of(self.shared.config, self.config, self.shared.learned.get(self.config.number))

    def _handle(self, event: Event) -> None:
        """Applies the table's action for the event, if there is one."""
        action = TABLE.get((self.memory.state, event.name))
        if action is not None:
            state = self.memory.state
            action(self, event)
            if event.name == "flash" and self.memory.call is not None and self.memory.call.answered_ns is not None:
                self.memory.call.flashed = True
            self._changed |= event.name not in OF_EVIDENCE or self.memory.state != state

    def _deadlines_before(self, frame: int) -> None:
        """Handles the deadlines up to `frame`. The loop is bounded: each deadline changes its state or its time.

        A gap may last for days, and nothing is learnt in it: a deadline that would be repeated in it waits for its end.
        """
        memory, gapped = self.memory, self.batch.gap is not None
        while (due := self._next_deadline()) is not None and due[0] <= frame:
            at, name = due
            state = memory.state
            if name == "deadline":
                memory.deadline = None
            elif name == "window":
                memory.next_window = first_window("off_hook", frame) if gapped else at + STEP
            elif name == "beep" and gapped and at < frame:
                self.call.beeped_at = frame
                continue
            self._handle(Event(at, name, at))
            if gapped and name == "deadline" and memory.state == state and memory.deadline is not None and at < frame:
                memory.deadline = max(memory.deadline, frame)

    def _next_deadline(self) -> tuple[int, EventName] | None:
        found: list[tuple[int, EventName]] = []
        if self.memory.deadline is not None:
            found.append((self.memory.deadline, "deadline"))
        if self.memory.next_window is not None:
            found.append((self.memory.next_window, "window"))
        if self.memory.state == "recording":
            found.append((limit_frame(self), "limit"))
            if (recommended := recommended_frame(self)) is not None:
                found.append((recommended, "call_time"))
            times: tuple[tuple[int | None, EventName], ...] = (
                (overlong.warn_frame(self), "warn_time"),
                (overlong.end_frame(self), "end_time"),
            )
            found += [(max(due, self.batch.frame), name) for due, name in times if due is not None]
            if (alone := parties.swap_due_frame(self)) is not None:
                found.append((max(alone, self.batch.frame), "alone"))
            if (beep := beep_frame(self)) is not None:
                found.append((beep, "beep"))
            if (dialled := self.call.dial_at) is not None:
                found.append((dialled + self.profile.dial_end_ms * FRAMES_PER_MS, "dial_lasts"))
        return min(found, default=None)
