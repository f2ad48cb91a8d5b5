# SPDX-License-Identifier: Apache-2.0
"""The recorder without files, sockets and threads: batches of ring slots in, commands and jobs out.

A replay runs the same code.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

import numpy as np

from linetap.config import profile_of
from linetap.learned import Learned
from linetap.recorder.calls.context import LineMemory, Shared
from linetap.recorder.calls.gate import stop_notice
from linetap.recorder.calls.line import LineCalls
from linetap.recorder.detectors import CardDetectors
from linetap.recorder.signals.events import Event
from linetap.recorder.signals.health.linehealth import LineHealth, Reading
from linetap.recorder.walk.turn import Observation
from linetap.ring import Batch, gap_batch
from linetap_core.records import LineState

BATCH_FAILED = "batch_failed"
IN_USE = ("voice", "digit")  # events that show a person at an off-hook line

log = logging.getLogger("linetap.recorder")


class Recorder:
    """All lines of the unit. `memories`: those of an earlier recorder.

    `examine`: also examine the lines for faults, which only `line_states` reports; no call depends on the result.
    """

    def __init__(self, shared: Shared, memories: Mapping[int, LineMemory], *, examine: bool = True) -> None:
        self._shared = shared
        self._cards = {card.number: _Card(shared, card.number, memories, examine) for card in shared.config.card}
        shared.lines.extend(line for card in self._cards.values() for line in card.lines)

    def restore_detectors(self, card: int, batch: Batch) -> None:
        """Runs only the detectors on a batch that an earlier recorder has followed."""
        self._cards[card].detectors.follow(batch)

    def follow(self, card: int, batch: Batch) -> None:
        """Follows one batch of one card. Batches of a card come in order and without omissions."""
        self._cards[card].follow(batch)

    def replace_by_gap(self, card: int, batch: Batch) -> Batch:
        """Replaces a batch that cannot be processed by a gap; the calls of its card end at its start."""
        log.error("batch_failed: card %d: %d frames from %d on are replaced by a gap", card, batch.frames, batch.frame)
        lines = len(self._cards[card].lines)
        gap = gap_batch(lines, batch.seq, batch.frame, batch.frames, batch.mono_ns, batch.utc_ns, BATCH_FAILED)
        self.cut_off(card, gap, BATCH_FAILED)
        return gap

    def cut_off(self, card: int, at: Batch, why: str) -> None:
        """Ends the card's calls at the beginning of `at`: the card gives no further audio."""
        for line in self._cards[card].lines:
            line.cut_off(at, why)

    def end_calls(self, why: str) -> None:
        """Ends all calls at the last frame followed, in every state of the lines."""
        for card in self._cards.values():
            card.end_calls(why)

    def begin_new_ring(self, card: int) -> None:
        """Begins the frames anew after the card's ring was replaced; calls in progress end with their written audio."""
        self._cards[card].begin_new_ring()

    def update_learned(self, learned: Mapping[int, Learned]) -> None:
        """Applies new measurements of the lines, which clear faults found before them."""
        self._shared.learned.clear()
        self._shared.learned.update(learned)
        for card in self._cards.values():
            if card.health is not None:
                card.health.learn(learned)
            for line in card.lines:
                line.forget_fault(learned.get(line.config.number))

    def memories(self) -> dict[int, LineMemory]:
        """The memory of each line, by number."""
        return {line.config.number: line.memory for line in self._shared.lines}

    def line_states(self) -> list[LineState]:
        """The live state of every line, by number."""
        states = [state for card in self._cards.values() for state in card.line_states()]
        return sorted(states, key=lambda state: state.line)

    def set_walk_line(self, line: int | None) -> None:
        """Sets the line that the walk test examines; None: no line."""
        for each in self._shared.lines:
            each.memory.in_walk_test = each.config.number == line

    def observation(self, line: int, mono_s: float) -> Observation:
        """The walk test's observation of this line now."""
        return next(found for card in self._cards.values() if (found := card.observation(line, mono_s)) is not None)

    def calls_in_progress(self) -> set[str]:
        """The names of all calls in progress."""
        return {memory.call.call_id for memory in self.memories().values() if memory.call}


class _Card:
    """The lines of one card, in the order of its ring, and the detectors that they share."""

    def __init__(self, shared: Shared, number: int, memories: Mapping[int, LineMemory], examine: bool) -> None:
        self._number = number
        configs = shared.config.lines_of(number)
        self._profiles = [profile_of(shared.config, config.profile) for config in configs]
        self.lines = [
            LineCalls(config, profile, shared, memories.get(config.number) or LineMemory())
            for config, profile in zip(configs, self._profiles, strict=True)
        ]
        self.detectors = CardDetectors(self._profiles)
        self._last: Batch | None = None
        self.health = LineHealth(configs, self._profiles, shared.learned) if examine else None

    def follow(self, batch: Batch) -> None:
        events = self.detectors.follow(batch)
        self._last = batch
        for index, line in enumerate(self.lines):
            line.follow(batch, index, events[index])
        if self.health is None:
            return
        off_hook = [line.memory.hook.off_hook_since is not None for line in self.lines]
        self.health.follow(batch, np.array(off_hook), np.array([_shows_use(of_line) for of_line in events]))

    def line_states(self) -> list[LineState]:
        health = self.health
        return [line.line_state(health.troubles(index) if health else []) for index, line in enumerate(self.lines)]

    def end_calls(self, why: str) -> None:
        last = self._last
        if last is None:
            return
        end = last.frame + last.frames
        at = gap_batch(len(self.lines), last.seq, end, 0, last.mono_ns, last.utc_ns_at(end), why)
        for line in self.lines:
            stop_notice(line)
            line.cut_off(at, why)

    def observation(self, number: int, mono_s: float) -> Observation | None:
        for index, line in enumerate(self.lines):
            if line.config.number == number:
                health = self.health
                return observe(
                    line, health.reading(index) if health else None, health.troubles(index) if health else [], mono_s
                )
        return None

    def begin_new_ring(self) -> None:
        self.detectors = CardDetectors(self._profiles)
        for line in self.lines:
            if line.memory.call is not None:
                log.error("ring_replaced: card %d: %s ends here", self._number, line.memory.call.call_id)
            line.memory = line.memory.of_another_ring()


def _shows_use(events: list[Event]) -> bool:
    return any(event.name in IN_USE for event in events)


def observe(line: LineCalls, reading: Reading | None, troubles: list[str], mono_s: float) -> Observation:
    """The walk test's observation of a line. `reading`: the line's last half second, if there is one."""
    memory = line.memory
    call = memory.call
    return Observation(
        mono_s,
        idle=memory.state == "idle",
        call_id=call.call_id if call else None,
        outgoing=call is not None and call.direction == "out",
        dialled=len(call.dialled) + len(call.typed) if call else 0,
        announced=call is not None and bool(call.notices),
        notice_proven=call is not None
        and (memory.state == "tone_end" or any(each.proof != "none" for each in call.notices)),
        passing=memory.state in ("passing", "carrier"),
        on_hook=reading.on_hook if reading else None,
        volts=reading.volts if reading else None,
        level_dbm0=reading.level_dbm0 if reading else None,
        troubles=troubles,
    )
