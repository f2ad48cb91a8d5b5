# SPDX-License-Identifier: Apache-2.0
"""A line whose call is ended: the card's contact, the exchange's reaction, and the stories of the tests.

The contact opens the loop after a short time and closes it by itself, whatever the recorder does. The exchange treats a
loop open for ONHOOK_MS as on-hook, like a PBX with a shorter flash time, and sends dial tone, busy tone or nothing to a
handset that is still lifted; one that does not release leaves the caller's voice on the line.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Self

import msgspec
import numpy as np
from call_rig import START_NS, Card, Kept, Story
from sounds import NEAR_DBM0, busy, dial, digits, ringback, talk

from linetap.config.schema import Config, Ending, RetentionClass, Situation
from linetap.learned import Learned
from linetap.recorder.calls.context import LineMemory
from linetap.ring import RATE_HZ, SLOT_FRAMES
from linetap_core.clock import NS_PER_MS, NS_PER_S, parse_rfc3339, rfc3339
from linetap_core.errors import DeviceFault
from linetap_core.records import CallRecord
from unit_rig import PLAIN, make_unit, save_notice, spoken

NAMES = ("abuse", "sexual_harassment", "threat", "overlong", "repeated")
CODES = dict(zip(NAMES, ("**2", "**3", "**4", "**5", "**6"), strict=True))
NOTICE_S, WARNING_S = 2.0, 1.6
ANSWER_S, TALK_S, CODE_S = 1.5, 3.4, 5.0  # of an incoming call: its announcement ends at 3.035
OPENS_AFTER_MS, ONHOOK_MS = 40, 800
Answer = Literal["dial", "busy", "nothing", "voice"]


class ContactCard(Card):
    """`answer`: the sound to a lifted handset after the release. `works`: whether it opens, or the longest opening."""

    answer: Answer = "dial"
    most_ms = 3000
    behind = 0  # frames that capture has written and the recorder has not followed

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.released: list[tuple[int, int, int]] = []  # line, frame of the request, ms
        self.asked: list[tuple[int, str]] = []  # frame, notice

    def frame_now(self, line: int) -> int:  # noqa: ARG002
        return self._position * SLOT_FRAMES + self.behind

    def play(self, line: int, notice: str, at_frame: int) -> None:
        self.asked.append((at_frame, notice))
        super().play(line, notice, at_frame)

    def release(self, line: int, ms: int) -> None:
        if self.absent:
            raise DeviceFault("peer_absent", "no capture")
        self.released.append((line, self._position * SLOT_FRAMES, ms))
        row, hook = self._place[line], self._levels.hook
        first = self._position * SLOT_FRAMES * 1000 // RATE_HZ + OPENS_AFTER_MS
        end = first + min(ms, self.most_ms)
        if self.most_ms and not (~hook[row, first - OPENS_AFTER_MS : first]).any():  # an open one keeps its state
            hook[row, first:end] = False
        if self.answer in ("dial", "busy") and min(ms, self.most_ms) >= ONHOOK_MS:
            sound = dial(20) if self.answer == "dial" else busy(20)
            self._audio[row, first * 8 :] = 0
            at, n = end * 8, min(len(sound), self._audio.shape[1] - end * 8)
            self._audio[row, at : at + n] = sound[:n].astype(np.int16)


class EndedStory(Story):
    @property
    def contact(self) -> ContactCard:
        assert isinstance(self.card, ContactCard)
        return self.card

    @property
    def released(self) -> list[tuple[int, int, int]]:
        return self.contact.released

    @property
    def asked(self) -> list[str]:
        return [notice for _, notice in self.contact.asked]

    def until(self, seconds: float, slots: int = 4) -> Self:
        while self.card._position * SLOT_FRAMES < seconds * RATE_HZ and self.step(slots):
            pass
        return self

    def kill(self, memories: bytes, followed: int) -> None:
        """Simulates kill -9: another recorder starts from an older checkpoint, and processes the later slots again."""
        self.recorder = self.new_recorder(msgspec.msgpack.decode(memories, type=dict[int, LineMemory]))
        self.recorder.update_learned(LEARNT)
        for batch in self.followed[:followed]:
            self.recorder.restore_detectors(1, batch)
        for batch in self.followed[followed:]:
            self.recorder.follow(1, batch)

    def checkpoint(self) -> tuple[bytes, int]:
        return msgspec.msgpack.encode(self.recorder.memories()), len(self.followed)


def at(seconds: float) -> str:
    return rfc3339(START_NS + round(seconds * 1000) * NS_PER_MS)


LEARNT = {1: Learned(near_digit_dbm0=NEAR_DBM0, learned_at=at(-60))}


def frame_of(text: str | None) -> float:
    """The story's second of a time."""
    assert text is not None
    return (parse_rfc3339(text) - START_NS) / NS_PER_S


def ending_config(folder: Path, run_dir: Path, *, contacts: bool = True, ending: Ending | None = None) -> Config:
    """A unit with the five situations; calls ended for abuse have their own class."""
    config = make_unit(folder, run_dir, recording=PLAIN).config
    for n, name in enumerate(NAMES):
        save_notice(folder / "notices" / f"{notice_of(name)}.wav", spoken(NOTICE_S + n / 50))
    save_notice(folder / "notices" / "warn-overlong.wav", spoken(WARNING_S))
    classes = [("standard", 60), ("abuse", 180), ("marked", 365)]
    retention = msgspec.structs.replace(
        config.retention, classes=[RetentionClass(name=name, days=days) for name, days in classes], marked="marked"
    )
    return msgspec.structs.replace(
        config,
        card=[msgspec.structs.replace(card, contacts=contacts) for card in config.card],
        situation=[
            Situation(
                name=name, code=CODES[name], notice=notice_of(name), retention="abuse" if name == "abuse" else None
            )
            for name in NAMES
        ],
        ending=ending or Ending(),
        retention=retention,
    )


def notice_of(name: str) -> str:
    return f"end-{name.replace('_', '-')}"


def recording(config: Config, **changes: Any) -> Config:
    return msgspec.structs.replace(config, recording=msgspec.structs.replace(config.recording, **changes))


def incoming(config: Config, end_s: float = 60.0, seconds: float = 22.0, answer: Answer = "dial") -> EndedStory:
    """An announced incoming call of a citizen, on a line with a learnt telephone."""
    story = EndedStory(config, seconds, noise_peak=30, card_kind=ContactCard).ring(0.5, 1.4).off_hook(ANSWER_S, end_s)
    story.contact.answer = answer
    story.recorder.update_learned(LEARNT)
    story.sound(TALK_S, talk(1.2))
    return story


def outgoing(config: Config, end_s: float = 60.0, seconds: float = 28.0, number: str = "0312345678") -> EndedStory:
    """A call to a citizen, answered by polarity at 8 s; its announcement ends at 9.564."""
    story = EndedStory(config, seconds, noise_peak=30, card_kind=ContactCard).off_hook(1, end_s).reverse(8, seconds)
    story.sound(1.2, dial(0.8)).sound(2.1, digits(number)).sound(5, ringback(1))
    return story


def only(kept: Kept) -> CallRecord:
    (record,) = kept.records
    return record


def kinds(record: CallRecord) -> list[str]:
    return [mark.kind for mark in record.marks]


def of(kept: Kept, event: str) -> Iterator[Any]:
    return (each for each in kept.events if each.event == event)
