# SPDX-License-Identifier: Apache-2.0
"""`./build.sh bench ends`: calls that staff end by a situation's code, on every kind of line, and the effect of the
card's contacts on them.

The recorder's own call table runs over rendered lines faster than real time. When it opens a contact, the simulated
exchange changes the line's levels from then on. Capture's limits are applied. endskilled.py runs and kills real
processes, and adds rows to the same table.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from linetap.config.profile import KR_PSTN
from linetap.config.schema import Card, Config, Keys, Line, Recording, Situation
from linetap.learned import Learned
from linetap.notices import Notice, load_notices
from linetap.notices.defaults import make_default_notices
from linetap.recorder.calls.context import LineMemory, Shared
from linetap.recorder.core import Recorder
from linetap.recorder.replay.card import ReplayCard
from linetap.recorder.replay.command import slots_at_once
from linetap.recorder.replay.events import Levels
from linetap.ring import I16, SLOT_FRAMES, SLOT_MS
from linetap_bench.day.recorder import START_NS, Kept, echo_of, rendered
from linetap_bench.exchange.linetimeline import fronts
from linetap_bench.exchange.releasing import InPlace, LineRelease, Released
from linetap_bench.figures import Row
from linetap_bench.measure import endskilled
from linetap_bench.script.callkeys import Call, CallSound
from linetap_bench.script.callkeys import Keys as Pressed
from linetap_bench.script.scriptkeys import LineSetup, Script
from linetap_bench.script.timing import KEY_OFF_MS, PER_MS, keys_span, times_of
from linetap_bench.sounds.synth import DTMF_COLUMN_DBM0, DTMF_ROW_DBM0, Noise
from linetap_bench.sounds.voices import Voices
from linetap_core.clock import NS_PER_MS, NS_PER_S, parse_rfc3339
from linetap_core.records import LEAST_OPEN_MS, MOST_OPEN_MS, CallRecord, ClockRecord, EndRecord

ENDS = 1000
LINES = 32  # calls at a time
CODES = {"abuse": "**2", "sexual_harassment": "**3", "threat": "**4", "overlong": "**5", "repeated": "**6"}
KINDS = ("station", "trunk", "staff", "station", "trunk")  # staff: a line whose loop is never opened
CODE_AT_S, TALK_S = 9.0, 32.0  # from the answer
MOST_OPENING_MS = 3000
# The caller of a call that is not released continues after the opening.
VOICE = CallSound(play="speech", after="answer", at_s=26.5, speaker="caller", text=2 * "여보세요, 제 말이 들리십니까? ")

Kind = Literal["station", "trunk", "staff"]
Trap = Literal["none", "far", "emergency", "cancelled"]  # why a call must not be ended


@dataclass(frozen=True, slots=True)
class Case:
    """One call and its required result."""

    line: int
    kind: Kind
    situation: str
    call: Call
    trap: Trap

    @property
    def ends_by(self) -> str:
        """The expected `ended_by` of the record; "" if staff hang up themselves."""
        if self.trap != "none":
            return ""
        held = self.kind == "trunk" and self.call.direction == "in"
        return "staff_after_notice" if self.kind == "staff" or held else "released"

    @property
    def code_at_ms(self) -> int:
        """The end of the code's last digit."""
        answer = times_of(self.call).answer
        assert answer is not None
        return keys_span(self.call.keys[0], answer)[1] - KEY_OFF_MS


@dataclass
class Tally:
    ended: int = 0
    otherwise: list[str] = field(default_factory=list)  # calls with another end than expected
    wrong_line: int = 0
    early: int = 0
    left_open: int = 0
    to_notice_ms: list[float] = field(default_factory=list)
    to_open_ms: list[float] = field(default_factory=list)


def case_of(number: int) -> Case:
    """The case with this number: every fifth call has a trap; kinds, directions and situations alternate."""
    line = number % LINES + 1
    kind: Kind = KINDS[(line - 1) % len(KINDS)]  # type: ignore[assignment]
    situation = list(CODES)[number // 7 % len(CODES)]
    trap: Trap = ("far", "emergency", "cancelled")[number // 5 % 3] if number % 5 == 4 else "none"
    outgoing = trap == "emergency" or (number // 2) % 2 == 1
    pressed = [Pressed(at_s=CODE_AT_S, digits=CODES[situation], by="caller" if trap == "far" else "staff")]
    if trap == "cancelled":
        pressed.append(Pressed(at_s=CODE_AT_S + 4, digits="1"))
    call = Call(
        line=line, start_s=0.5 + 0.11 * line, direction="out" if outgoing else "in", rings=1, talk_s=TALK_S,
        talk_after_s=0.0,
        sound=[] if outgoing else [VOICE], keys=pressed, polarity=outgoing,
        digits=("119" if trap == "emergency" else "0212345678") if outgoing else "",
    )  # fmt: skip
    return Case(line, kind, situation, call, trap)


class EndsCard(ReplayCard):
    """A replay's card whose lines react to their contacts."""

    def __init__(
        self,
        cases: Sequence[Case],
        config: Config,
        audio: I16,
        levels: Levels,
        notices: dict[str, Notice],
        start_ns: int,
    ) -> None:
        lines = config.lines_of(1)
        echoes = [echo_of(line.number) for line in lines]
        super().__init__(lines, audio, levels, notices, start_ns, set(), [KR_PSTN] * len(lines), echoes)
        self._cases = {case.line: case for case in cases}
        self.opened: list[Released] = []
        self.early = self.wrong_line = self.left_open = 0

    def release(self, line: int, ms: int) -> None:
        row, at_ms = self._place[line], self._position * SLOT_MS
        case = self._cases.get(line)
        if case is None or case.ends_by == "" or case.kind == "staff" or at_ms < case.code_at_ms:
            self.wrong_line += 1
            return
        if any(playing.end > self._position * SLOT_FRAMES for playing in self._playing.get(row, [])):
            self.early += 1
        self._open(row, case, at_ms, min(max(ms, LEAST_OPEN_MS), MOST_OPEN_MS))

    def _open(self, row: int, case: Case, at_ms: int, open_ms: int) -> None:
        """Writes the line's levels from now until the handset is on-hook."""
        setup = setup_of(case)
        exchange, place, noise = LineRelease(setup), InPlace(), Noise((case.line,), setup.noise_dbm0, 1 << 60)
        idle = round(setup.on_hook_v * 100)
        hook, volts, over = self._levels.hook[row], self._levels.volts[row], False
        for ms in range(at_ms, len(hook), SLOT_MS):
            opened, lifted = ms < at_ms + open_ms, bool(hook[ms])
            done = exchange.update(ms, opened, lifted, incoming=case.call.direction == "in")
            if done is not None:
                self.opened.append(done)
                over = True
            if opened:
                hook[ms : ms + SLOT_MS] = False
                volts[ms // SLOT_MS] = np.sign(volts[ms // SLOT_MS]) * idle
            elif exchange.quiet:
                break
            sound = exchange.sound(ms)
            if sound is not None:
                tone = place.render(sound, SLOT_FRAMES)
                heard = noise.render(ms * PER_MS, SLOT_FRAMES) + (0 if tone is None else tone)
                self._audio[row, ms * PER_MS : (ms + SLOT_MS) * PER_MS] = np.rint(heard)
        self.left_open += not over


def setup_of(case: Case) -> LineSetup:
    trunk = case.kind == "trunk"
    return LineSetup(number=case.line, kind="trunk" if trunk else "station", releases_after_ms=400 if trunk else 1000)


def config_of() -> Config:
    return Config(
        unit="bench-ends",
        keys=Keys(custodians=["none"], overflow_epoch="none"),
        card=[Card(channels=LINES, contacts=True)],
        line=[
            Line(number=n, channel=n, release="staff" if KINDS[(n - 1) % len(KINDS)] == "staff" else "auto")
            for n in range(1, LINES + 1)
        ],
        recording=Recording(greeting_max_ms=0),
        situation=[
            Situation(name=name, code=code, notice=f"end-{name.replace('_', '-')}", then="end")
            for name, code in CODES.items()
        ],
    )


def run(count: int, notices: dict[str, Notice], voices: Voices) -> Tally:
    """Runs that many calls, one on each line at a time."""
    tally, config = Tally(), config_of()
    memories: dict[int, LineMemory] = {}
    learned = {n: _learned(n) for n in range(1, LINES + 1)}
    for first in range(0, count, LINES):
        cases = [case_of(number) for number in range(first, min(count, first + LINES))]
        script = Script(
            lines=LINES, seed=first + 1, line=[setup_of(case) for case in cases], call=[c.call for c in cases]
        )
        audio, levels = rendered(script, [line.number for line in config.line], voices)
        start_ns = START_NS + first * 60 * NS_PER_S
        card = EndsCard(cases, config, audio, levels, notices, start_ns)
        kept = Kept()
        shared = Shared(config, notices, card, card, kept, _clock, learned=learned)
        recorder = Recorder(shared, memories, examine=False)
        while (batch := card.next(slots_at_once(config))) is not None:
            recorder.follow(1, batch)
        recorder.cut_off(1, card.end_batch(), "audio_ended")
        memories = {number: memory.of_another_ring() for number, memory in recorder.memories().items()}
        _judge(cases, kept.records, card, start_ns, tally)
    return tally


def _clock(_line: int) -> ClockRecord:
    return ClockRecord(synced=False)


def _learned(line: int) -> Learned:
    """The measurements that `linetap line learn` would make of this line's telephone."""
    level = (DTMF_ROW_DBM0 + DTMF_COLUMN_DBM0) / 2 + fronts(LINES)[line - 1].captured_db
    return Learned(near_digit_dbm0=round(level, 1), learned_at="2026-01-01T00:00:00.000Z")


def _judge(cases: Sequence[Case], records: Sequence[CallRecord], card: EndsCard, start_ns: int, tally: Tally) -> None:
    tally.early += card.early
    tally.wrong_line += card.wrong_line
    tally.left_open += card.left_open + sum(each.closed_ms - each.opened_ms > MOST_OPENING_MS for each in card.opened)
    for case in cases:
        record = next((each for each in records if each.line == case.line), None)
        end = record.end if record is not None and isinstance(record.end, EndRecord) else None
        by = "" if end is None or record is None else str(record.ended_by)
        if by != case.ends_by and not (case.trap == "cancelled" and by == "on_hook"):
            tally.otherwise.append(f"line {case.line}, {case.kind}, {case.trap}: {by or 'not ended'}")
            continue
        if case.ends_by and end is not None and end.notice is not None and end.notice.ended_at is not None:
            tally.ended += 1
            tally.to_notice_ms.append(_ms(end.notice.started_at, start_ns) - case.code_at_ms)
            for each in card.opened:
                if each.line == case.line:
                    tally.to_open_ms.append(each.opened_ms - _ms(end.notice.ended_at, start_ns))


def _ms(at: str, start_ns: int) -> float:
    return (parse_rfc3339(at) - start_ns) / NS_PER_MS


def measure(folder: Path, voices: Path, _notices: Path) -> list[Row]:
    made = folder / "end-notices"
    make_default_notices(made)
    tally = run(ENDS * 5 // 4, load_notices(made), Voices(voices))
    method = (
        f"{ENDS * 5 // 4} calls on {LINES} lines (stations, trunks, lines never opened; in and out; five situations), a"
        " fifth with a trap: the far end's code, 119, a notice that staff stop; recorder's call table over rendered"
        " lines, exchange answering to the contact"
    )

    early = tally.early + sum(ms < 0 for ms in tally.to_open_ms)

    def row(name: str, figure: float, unit: str, target: float, at_most: bool = True) -> Row:
        return Row(name=name, figure=figure, unit=unit, target=target, at_most=at_most, method=method)

    return [
        row("calls ended by a code of staff", tally.ended, "calls", ENDS, at_most=False),
        row("loops opened on a wrong line or call", tally.wrong_line, "openings", 0),
        row("loops opened before the notice's end", early, "openings", 0),
        row("loops open for longer than 3 s, or left open", tally.left_open, "lines", 0),
        row("calls that ended in another way than they should", len(tally.otherwise), "calls", 0),
        row("last digit of the code to the notice, median", statistics.median(tally.to_notice_ms), "ms", 400),
        row("end of the notice to the open loop, longest", max(tally.to_open_ms), "ms", 2000),
        *endskilled.measure(folder / "killed", voices),
    ]
