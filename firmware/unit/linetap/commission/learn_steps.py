# SPDX-License-Identifier: Apache-2.0
"""The measurements of a line, step by step, from a running unit's ring.

The ring is only read, so that capture and recorder continue undisturbed. Each step has a time limit; an unmeasurable
value is None. A step without its required action of a person is a Refusal with the reason: nothing is written then.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

from linetap import learned
from linetap.config.profile import Profile
from linetap.notices import Notice
from linetap.recorder.signals.dtmf.detector import DtmfDetector
from linetap.recorder.signals.events import ToneHeard
from linetap.recorder.signals.notice.proof import prove
from linetap.recorder.signals.tones.detector import ToneDetector
from linetap.ring import I16, NO_VOLTS, RATE_HZ, SLOT_FRAMES, UNDERRUN, Bits, RingReader
from linetap_core.clock import NS_PER_S, Clock
from linetap_core.errors import DeviceFault, Refusal

DOWN_S = 2.0  # the line must have been unchanged for this long, on-hook
LIFTED_S = 0.3
SETTLES_S = 0.5
UP_S = 1.0
RELEASED_TONES = ("dial", "busy", "congestion")  # tones of a line without a call
BEGINS_S = 3.0  # limit for capture to play the requested notice


class MeasuredLine:
    """One line during its measurement. `wait_s`: the time for a person's action."""

    def __init__(self, tape: Tape, number: int, profile: Profile, wait_s: float) -> None:
        self._tape, self._number, self._health = tape, number, profile.health
        self._profile, self._wait_s = profile, wait_s
        self._rest_v: float | None = None

    def at_rest(self) -> float | None:
        """Signed volts on-hook: the median of two seconds without a change."""
        kept: list[Piece] = []
        for piece in self._tape.run(self._wait_s):
            kept = [*kept, piece] if piece.whole and not piece.hook.any() and not piece.ring.any() else []
            if len(kept) > 1 and _spread(kept) > self._health.steady_v:
                kept = [piece]
            if _seconds(kept) >= DOWN_S:
                self._rest_v = self._alive(_volts(kept))
                return self._rest_v
        raise self.refusal("is not at rest: put the handset down, and wait until it does not ring")

    def wait_until_lifted(self) -> None:
        kept: list[Piece] = []
        for piece in self._tape.run(self._wait_s):
            self._no_call(piece)
            kept = [*kept, piece] if self._is_up(piece) else []
            if _seconds(kept) >= LIFTED_S:
                return
        raise self.refusal(f"its handset was not lifted within {self._wait_s:g} s")

    def lifted(self) -> float | None:
        """Volts off-hook, without sign."""
        self._pass(SETTLES_S)
        volts = _volts(self._pass(UP_S))
        return None if volts is None else abs(self._alive(volts) or 0.0)

    def now(self) -> int:
        """The frame after everything read so far."""
        return self._pass(0)[-1].end

    def echo(self, notice: Notice) -> tuple[float, float]:
        """The notice's captured level, in dB relative to the played notice, and its delay in ms.

        The caller has requested the notice.
        """
        started, pieces = self._notice_begins(notice)
        last = started + notice.frames + self._profile.proof.delay_max_ms * RATE_HZ // 1000
        while pieces[-1].end < last:
            pieces += self._pass(0)
        if any(_disturbed(piece, started, notice) for piece in pieces):
            raise self.refusal("the notice was disturbed while it played; start again")
        audio: I16 = np.concatenate([piece.audio for piece in pieces])[started - pieces[0].frame :]
        anything = msgspec.structs.replace(self._profile.proof, level_tolerance_db=200.0, echo_delay_ms=None)
        proof = prove(audio[notice.words_from :], notice.words, anything)
        if (
            proof.level_db is None
            or proof.delay_ms is None
            or proof.score < learned.LEAST_SCORE
            or proof.level_db < learned.LEAST_ECHO_DB
        ):
            found = "" if proof.level_db is None else f" ({proof.score:.0%} of it, at {proof.level_db:.0f} dB)"
            raise self.refusal(f"the notice was played and not detected on it{found}: check its relay and its wires")
        return proof.level_db, proof.delay_ms

    def digit(self, seconds: float) -> float | None:
        """dBm0 of one tone of the first digit; None if no key was pressed."""
        ear = DtmfDetector(1, self._profile.dtmf)
        for piece in self._tape.run(seconds):
            if not piece.whole:
                ear.reset_at_gap()
                continue
            if digits := ear.follow(piece.audio[None, :], piece.frame):
                return digits[0].level_dbm0
        return None

    def tone(self, seconds: float) -> str | None:
        """The exchange's tone of an idle or busy line, if any; the handset must stay off-hook."""
        ear = ToneDetector(1, self._profile)
        found = None
        for piece in self._pass(seconds):
            for event in ear.follow(piece.audio[None, :], piece.frame):
                if isinstance(event, ToneHeard) and event.tone in RELEASED_TONES:
                    found = event.tone
        return found

    def loop_opens(self, seconds: float) -> None:
        """Waits for the contact."""
        self._until(seconds, False, "its loop did not open: the contact is stuck, or is not wired")

    def loop_closes(self, seconds: float) -> None:
        """Waits for the contact to close while the handset is off-hook."""
        self._until(seconds, True, "its loop stayed open: the handset was put down, or the contact is stuck")

    def _until(self, seconds: float, up: bool, otherwise: str) -> None:
        for piece in self._tape.run(seconds):
            if piece.whole and self._is_up(piece) == up and (up or not piece.hook.any()):
                return
        raise self.refusal(otherwise)

    def _notice_begins(self, notice: Notice) -> tuple[int, list[Piece]]:
        """The frame of the notice's first sample, and the pieces from there on."""
        for piece in self._tape.run(BEGINS_S):
            slots = np.flatnonzero(piece.notice == notice.tag)
            if len(slots):
                started = piece.frame + int(slots[0]) * SLOT_FRAMES - int(piece.notice_frame[slots[0]])
                if started >= piece.frame:
                    return started, [piece]
        raise self.refusal("the notice was not played; the log of its card's capture has the reason")

    def _pass(self, seconds: float) -> list[Piece]:
        """The next pieces, with the handset off-hook throughout."""
        pieces = []
        for piece in self._tape.run(seconds):
            if not piece.whole:
                raise self.refusal("audio was lost meanwhile; start again")
            if not self._is_up(piece):
                raise self.refusal("the handset was put down too early; start again")
            pieces.append(piece)
        return pieces

    def _is_up(self, piece: Piece) -> bool:
        """Whether the handset is off-hook, by hook and by voltage: the hook of an unlearned short loop is misjudged."""
        if not piece.whole:
            return False
        if self._rest_v is None or not len(piece.volts):
            return bool(piece.hook.all())
        fell = abs(self._rest_v) - self._health.short_loop_drop_v
        return bool(piece.hook.all()) or bool((np.abs(piece.volts) < fell).all())

    def _no_call(self, piece: Piece) -> None:
        if piece.ring.any():
            raise self.refusal("it rings: a call came in; start again when it is over")

    def _alive(self, volts: float | None) -> float | None:
        if volts is not None and abs(volts) < self._health.cut_v:
            raise self.refusal(f"reads {abs(volts):.1f} V: no exchange is connected to it")
        return volts

    def refusal(self, what: str) -> Refusal:
        return Refusal(f"line {self._number}: {what}")


def _disturbed(piece: Piece, started: int, notice: Notice) -> bool:
    """Whether the stream ran dry, the notice was stopped, or another one replaced it."""
    at = piece.frame - started + np.arange(len(piece.notice)) * SLOT_FRAMES
    own = (at >= 0) & (at + SLOT_FRAMES <= notice.frames)
    as_begun = (piece.notice == notice.tag) & (piece.notice_frame == at)
    return piece.disturbed or not bool(as_begun[own].all())


def _seconds(pieces: list[Piece]) -> float:
    return sum(len(piece.audio) for piece in pieces) / RATE_HZ


def _volts(pieces: list[Piece]) -> float | None:
    """The median voltage; None if the meter does not cover all of it."""
    if not all(len(piece.volts) for piece in pieces):
        return None
    return round(float(np.median(np.concatenate([piece.volts for piece in pieces]))), 2)


def _spread(pieces: list[Piece]) -> float:
    volts = np.concatenate([piece.volts for piece in pieces])
    return float(np.ptp(volts)) if len(volts) else 0.0


# --- The ring of one line ---------------------------------------------------------------------------------------------


_STALLED_S = 2
_LOOK_S = 0.05  # polled: only the recorder may read the doorbell, and a read here would consume it
_MOST_SLOTS = 25


@dataclass(frozen=True, slots=True)
class Piece:
    """Some slots of the line, or a hole (`whole` is False and all is empty)."""

    frame: int
    whole: bool
    hook: Bits  # (milliseconds,)
    ring: Bits
    volts: npt.NDArray[np.float64]  # (slots,), signed; empty if the card has no meter
    notice: npt.NDArray[np.uint32]  # (slots,)
    notice_frame: npt.NDArray[np.int32]
    disturbed: bool  # the playback stream ran dry
    audio: I16

    @property
    def end(self) -> int:
        return self.frame + len(self.audio)


class Tape:
    def __init__(self, reader: RingReader, line: int, clock: Clock) -> None:
        """`line`: its number. The first piece is the next one to arrive."""
        self._reader, self._clock = reader, clock
        self._index = reader.line_numbers.index(line)

    def run(self, seconds: float) -> Iterator[Piece]:
        """Yields the next `seconds` of the line's own time. DeviceFault `ring_stalled` if nothing arrives."""
        piece = self.next()
        end = piece.frame + round(seconds * RATE_HZ)
        yield piece
        while piece.frame < end:
            piece = self.next()
            yield piece

    def next(self) -> Piece:
        late_ns = self._clock.monotonic_ns() + _STALLED_S * NS_PER_S
        while (batch := self._reader.read(_MOST_SLOTS)) is None:
            if self._clock.monotonic_ns() >= late_ns:
                raise DeviceFault("ring_stalled", f"no audio for {_STALLED_S} s: is the card's capture running?")
            self._clock.sleep(_LOOK_S)
        i = self._index
        volts = batch.volts[i]
        metered = batch.gap is None and not bool((volts == NO_VOLTS).any())
        return Piece(
            batch.frame, batch.gap is None, batch.hook[i], batch.ring[i],
            volts / 100 if metered else np.zeros(0), batch.notice[:, i], batch.notice_frame[:, i],
            bool((batch.flags & UNDERRUN).any()), batch.audio[i],
        )  # fmt: skip
