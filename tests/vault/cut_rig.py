# SPDX-License-Identifier: Apache-2.0
"""Eight lines with continuous talk, and the vault's two threads, run step by step, for power cuts at any moment.

The audio of a line is noise that never repeats, so that audio from a wrong place is detected.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np

from linetap.config.schema import Config
from linetap.recorder.calls.call import new_call_id
from linetap.recorder.calls.ports import CallSnapshot
from linetap.recorder.vault.callfolder.jobs import Job
from linetap.recorder.vault.journal import store
from linetap.recorder.vault.journal.journal import Journal
from linetap.recorder.vault.outbox.outbox import Outbox
from linetap.recorder.vault.recordings.entries import chunk_samples
from linetap.recorder.vault.signing import UnitKey
from linetap.recorder.vault.vault import Vault
from linetap.recorder.vault.writer import VaultWriter
from linetap.ring import I16, RATE_HZ, Stretch
from linetap_core.clock import NS_PER_S, ManualClock, rfc3339
from linetap_core.codecs import g711
from linetap_core.codecs.registry import codec_named
from linetap_core.errors import DeviceFault
from linetap_core.evidence.keys import keys
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_core.records import Caller, CallEvent, CallRecord

LINES = 8
STEP_FRAMES = RATE_HZ // 4  # interval of the threads
NOTICE_FRAMES = 3 * RATE_HZ  # before the gate, and written at once after it
START_NS = 1_795_647_360_000_000_000
HOLES = [(70 * RATE_HZ + 123, 800), (131 * RATE_HZ, 5000), (200 * RATE_HZ + 7, 161)]
SHARE_BYTES = 1 << 17  # for a second of a chunk: a file is full after 14 s of mu-law, so that frequent changes of files
# are tested


def codes(line: int, frames: int) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    """Mu-law of a line's whole life; 0x7f, a second code of 0xff, is left out."""
    noise = np.random.default_rng(line).integers(0, 255, frames).astype(np.uint8)
    noise[noise == 0x7F] = 0x01
    return noise


class Source:
    """All lines' past audio, with holes."""

    def __init__(self, frames: int) -> None:
        self._audio: list[I16] = [g711.decode(codes(line, frames)) for line in range(1, LINES + 1)]

    def stretch(self, line: int, first: int, end: int) -> Stretch:
        samples, gaps = self._audio[line - 1][first:end].copy(), []
        for frame, frames in HOLES:
            a, b = max(frame, first), min(frame + frames, end)
            if a < b:
                samples[a - first : b - first] = 0
                gaps.append((a, b - a, "overrun"))
        return Stretch(samples, gaps)


class NoSource:
    """No ring, as after a power cut."""

    def stretch(self, line: int, first: int, end: int) -> Stretch:
        raise DeviceFault("ring_absent", f"line {line}, {first} to {end}")


class Mark(msgspec.Struct):
    """The state of the lines' life at the time of writing: it must be there after a later cut."""

    frame: int
    known: dict[str, int] = {}  # call: the frame at which the vault first learned of it
    gates: dict[str, int] = {}  # the frame at which it passed its gate
    permitted: dict[str, tuple[int, int]] = {}  # (first frame, permitted up to)
    ended: dict[str, int] = {}  # the frame at which its end was reported
    sealed: list[str] = []


@dataclass
class Unit:
    """The vault's side of a recorder, in a folder that `config` names."""

    config: Config
    clock: ManualClock = field(default_factory=lambda: ManualClock(START_NS))

    def writer(self, source: Source | NoSource) -> tuple[VaultWriter, Journal]:
        chunk = chunk_samples(codec_named(self.config.recording.codec))  # a file must hold a chunk of each line
        store.SHARE_BYTES = SHARE_BYTES * round(chunk / RATE_HZ)
        key = keys.load_unit_key(Path(self.config.key).read_bytes())

        def signer(namespace: str) -> Callable[[bytes], str]:
            return lambda data: sshsig.sign(data, key, namespace)

        self.config.vault_path.mkdir(exist_ok=True)
        self.config.run_path.mkdir(exist_ok=True)
        origin = keys.fingerprint(key.public_key())
        outbox = Outbox(self.config.vault_path / "outbox", self.config.unit, signer("linetap-event"), origin, 1 << 22)
        journal = Journal(self.config.vault_path, LINES, source, self.clock)
        sign = signer(namespaces.RECORD)
        unit_log = UnitKey(Path(self.config.key)).open_log(self.config, self.clock)
        return VaultWriter(Vault(self.config, source, outbox, sign, self.clock, unit_log, journal)), journal


@dataclass
class _Line:
    number: int
    chance: random.Random
    begins: int
    call: CallRecord | None = None
    gate: int = 0
    ends: int = 0
    seen: int = 0


class Life:
    """The lines' calls, with a mark after every step."""

    def __init__(self, unit: Unit, seconds: int, seed: int) -> None:
        self._unit, self._chance = unit, random.Random(seed)
        self._frames = seconds * RATE_HZ
        self._source = Source(self._frames)
        self._marks = (unit.config.vault_path.parent / "marks").open("ab", buffering=0)
        self._mark = Mark(0)
        self._vault, self._journal = unit.writer(self._source)
        self._given: list[Job] = []
        self._lines = [
            _Line(n, random.Random(seed * 100 + n), self._chance.randrange(8 * RATE_HZ)) for n in range(1, LINES + 1)
        ]

    def run(self) -> None:
        for frame in range(STEP_FRAMES, self._frames - RATE_HZ, STEP_FRAMES):
            self._mark.frame = frame
            for line in self._lines:
                self._follow(line, frame)
            self._given += self._vault.unfinished()
            if self._chance.random() < 0.02:  # kill -9: another recorder continues from RAM
                self._vault, self._journal = self._unit.writer(self._source)
                self._vault.resume_jobs(self._given)
                self._note_all(frame)
            self._unit.clock.advance(STEP_FRAMES * NS_PER_S // RATE_HZ)
            steps: list[Callable[[], bool]] = [self._journal.step, self._vault.step]
            self._chance.shuffle(steps)
            for step in steps:
                step()
            self._given.clear()
            self._mark.sealed += [call for call in self._mark.ended if call not in self._mark.sealed]
            self._marks.write(msgspec.json.encode(self._mark) + b"\n")

    def _follow(self, line: _Line, frame: int) -> None:
        if line.call is None and frame >= line.begins:
            self._begin(line, frame)
        elif line.call is not None and frame >= line.ends:
            self._end(line, frame)
        elif line.call is not None and line.gate and frame >= line.gate:
            self._go_on(line, line.call, frame)

    def _begin(self, line: _Line, frame: int) -> None:
        ns = START_NS + frame * NS_PER_S // RATE_HZ
        call_id = new_call_id(ns, line.number)
        line.call = CallRecord(call_id=call_id, unit=self._unit.config.unit, line=line.number, direction="in",
                               disposition="missed", ring_at=rfc3339(ns))  # fmt: skip
        line.gate = frame + 4 * RATE_HZ + NOTICE_FRAMES if line.chance.random() < 0.8 else 0
        line.ends = (line.gate or frame) + line.chance.randrange(RATE_HZ, 45 * RATE_HZ)
        self._mark.known[call_id] = frame
        self._vault.report(
            CallEvent(seq=0, event="started", at=rfc3339(ns), unit="", call_id=call_id, line=line.number)
        )
        self._note(line.call, frame)

    def _go_on(self, line: _Line, call: CallRecord, frame: int) -> None:
        first = line.gate - NOTICE_FRAMES
        if call.call_id not in self._mark.gates:
            line.call = call = msgspec.structs.replace(
                call, answered_at=rfc3339(START_NS + first * NS_PER_S // RATE_HZ), answered_by="hook",
                disposition="recorded", caller=Caller(number="01012345678", name="홍길동"),
            )  # fmt: skip
            self._mark.gates[call.call_id] = frame
            self._vault.open(call.call_id, line.number, first)
            self._note(call, frame)
        if line.chance.random() < 0.05:
            line.call = call = msgspec.structs.replace(call, dialled=(call.dialled or "") + "5")
            self._note(call, frame)
        self._mark.permitted[call.call_id] = (first, frame)
        self._permit(call.call_id)

    def _permit(self, call_id: str) -> None:
        self._vault.permit(call_id, self._mark.permitted[call_id][1])

    def _end(self, line: _Line, frame: int) -> None:
        assert line.call is not None
        call, call_id = line.call, line.call.call_id
        recorded = call_id in self._mark.gates
        end = frame - line.chance.randrange(STEP_FRAMES) if recorded else None
        record = msgspec.structs.replace(
            call, ended_at=rfc3339(START_NS + frame * NS_PER_S // RATE_HZ), ended_by="on_hook",
            disposition="recorded" if recorded else "missed", why="" if recorded else "not_answered",
        )  # fmt: skip
        if end is not None:
            self._mark.permitted[call_id] = (self._mark.permitted[call_id][0], end)
        self._mark.ended[call_id] = frame
        self._vault.close(call_id, end, record)
        line.call, line.begins = None, frame + line.chance.randrange(4 * RATE_HZ)

    def _note(self, call: CallRecord, frame: int) -> None:
        self._vault.snapshot(call.call_id, CallSnapshot(call, frame, START_NS + frame * NS_PER_S // RATE_HZ))

    def _note_all(self, frame: int) -> None:
        """Reports all lines, as a restarted call table does."""
        for line in self._lines:
            if line.call is not None:
                self._note(line.call, frame)
                if line.call.call_id in self._mark.permitted and self._vault_knows(line.call.call_id):
                    self._permit(line.call.call_id)

    def _vault_knows(self, call_id: str) -> bool:
        return call_id in self._vault.vault.recordings


def main(what: str, config: str, *more: str) -> None:
    """`live CONFIG SECONDS SEED`, or `recover CONFIG FOLDER...`: each folder's vault after a power cut."""
    base = msgspec.json.decode(Path(config).read_bytes(), type=Config)
    if what == "live":
        Life(Unit(base), int(more[0]), int(more[1])).run()
        return
    for folder in more:
        writer, _ = Unit(at(base, Path(folder))).writer(NoSource())
        assert writer.step()


def at(config: Config, folder: Path) -> Config:
    """The same unit with another disk, and nothing in RAM."""
    return msgspec.structs.replace(config, vault=str(folder / "vault"), run_dir=f"{folder}.run")


if __name__ == "__main__":
    main(*sys.argv[1:])
