# SPDX-License-Identifier: Apache-2.0
"""The cost of journal, sealing and hashing with 32 busy lines, the delay until audio is durable, and the time of a
recovery.

The ring, the vault's two threads and the disk are real. A loop replaces capture and the call table: it fills the ring
every 10 ms and extends the permission to record every 40 ms.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import numpy as np

from linetap.config import Config, load_config
from linetap.recorder.calls.call import new_call_id
from linetap.recorder.calls.ports import CallSnapshot
from linetap.recorder.vault.journal.call import JournalCall
from linetap.recorder.vault.journal.journal import Journal
from linetap.recorder.vault.recordings.entries import State, Tick
from linetap.recorder.vault.signing import UnitKey
from linetap.recorder.vault.vault import Vault
from linetap.recorder.vault.writer import VaultWriter
from linetap.ring import RATE_HZ, SLOT_FRAMES, SLOT_MS, RingReader, RingWriter, Stretch
from linetap_bench.figures import Row, quantile
from linetap_bench.script.script import load_script
from linetap_bench.stage.madeunit import make_unit
from linetap_core.clock import NS_PER_MS, NS_PER_S, SYSTEM, rfc3339
from linetap_core.evidence.signing import namespaces
from linetap_core.records import Caller, CallRecord

LINES = 32
WINDOW_S = 15
SECONDS = 4 * WINDOW_S
STALL_SECONDS = 2 * WINDOW_S
BATCH_SLOTS = 4
CALL_S = 120  # calls begin at different times, so that half of the lines seal a call in the measured time
NEWS_ROUNDS = 8  # of 1.28 s: a call's state changes every ten seconds
STALL_EVERY_NS, STALL_NS = 5 * NS_PER_S, 300 * NS_PER_MS
RECOVERED_S = 30


def measure(folder: Path, _voices: Path, notices: Path) -> list[Row]:
    config = _unit(folder, notices)
    share, parts, plain = _live(config, SECONDS)
    with _stalling_disk():
        _, _, stalled = _live(config, STALL_SECONDS)
    seconds, files = _recovery(config)
    late = f"of every 10 ms of audio, from its slot in the ring to the end of the sync; worst {plain[-1]:.0f} ms"
    cost = (
        f"of one core, run time of both threads over {WINDOW_S} s, the least of {SECONDS // WINDOW_S - 1}; calls of "
        f"{CALL_S} s that change every 10 s: {parts}"
    )
    return [
        Row(name="journal, sealing and hashing, 32 busy lines", figure=share, unit="%", target=1, method=cost),
        Row(name="captured to durable, 99 of 100", figure=quantile(plain, 0.99), unit="ms", target=500, method=late),
        Row(name="the same at worst, every sync stalled 300 ms every 5 s", figure=stalled[-1], unit="ms", target=1000,
            method=f"99 of 100 within {quantile(stalled, 0.99):.0f} ms"),
        Row(name="recovery of 32 open calls", figure=seconds, unit="s", target=2,
            method=f"wall time to the last seal in the outbox, {files} files, on this machine's disk"),
    ]  # fmt: skip


class _Timed(Journal):
    """A journal that records the delay until each 10 ms of audio was durable."""

    def __init__(self, config: Config, source: _Ring) -> None:
        super().__init__(config.vault_path, LINES, source, SYSTEM)
        self._ring = source
        self._durable: list[tuple[int, int, int]] = []  # (monotonic ns, first frame, end frame) of each durable write

    def _put(
        self, calls: list[JournalCall], over: list[JournalCall], states: dict[str, State], ticks: list[Tick]
    ) -> None:
        super()._put(calls, over, states, ticks)
        now_ns, first_frames = SYSTEM.monotonic_ns(), self._ring.first_frames
        for tick in ticks:
            begin = first_frames[tick.call_id] + tick.first
            self._durable.append((now_ns, begin, begin + tick.samples))

    def late_ms(self) -> list[float]:
        """Delays until the audio was durable, sorted."""
        return sorted(
            (at_ns - self._ring.captured_ns(frame)) / NS_PER_MS
            for at_ns, begin, end in self._durable
            for frame in range(begin, end, SLOT_FRAMES)
        )


class _Ring:
    """A ring with 32 lines that talk, and the vault's reader of it."""

    def __init__(self, run_dir: Path) -> None:
        self._writer = RingWriter(run_dir, 1, list(range(1, LINES + 1)), 180, RATE_HZ)
        self._reader = RingReader(run_dir, 1)
        self._lock = threading.Lock()
        self._noise = np.random.default_rng(1).integers(-9000, 9000, (100, LINES, SLOT_FRAMES)).astype(np.int16)
        self._bits = np.ones((LINES, SLOT_MS), np.bool_)
        self._volts = np.zeros((LINES, 10), np.int16)[:, 0]
        self.start_ns = SYSTEM.monotonic_ns()
        self.slots = 0
        self.first_frames: dict[str, int] = {}

    def captured_ns(self, frame: int) -> int:
        """The due time of the frame's slot: a late loop must not count as the journal's delay."""
        return self.start_ns + (frame // SLOT_FRAMES + 1) * SLOT_MS * NS_PER_MS

    def put(self) -> None:
        now = self.start_ns + self.slots * SLOT_MS * NS_PER_MS
        noise = self._noise[self.slots % len(self._noise)]
        self._writer.write(noise, self._bits, self._bits, self._bits, self._volts, None, None, now, now)
        self.slots += 1
        SYSTEM.sleep(max(0, self.start_ns + self.slots * SLOT_MS * NS_PER_MS - SYSTEM.monotonic_ns()) / NS_PER_S)

    def stretch(self, line: int, first: int, end: int) -> Stretch:
        with self._lock:
            return self._reader.stretch(line - 1, first, end)

    def close(self) -> None:
        self._reader.close()
        self._writer.close()


def _live(config: Config, seconds: int) -> tuple[float, str, list[float]]:
    """Percent of a core in the cheapest window, the share of each thread, and ms until durable in increasing order.

    The first window does not count, because all calls begin in it at once.
    """
    with _run_dir(config) as live:
        ring = _Ring(live.run_path)
        journal = _Timed(live, ring)
        vault = _vault(live, ring, journal)
        vault.start()
        lines, shares, before = _Lines(vault, ring), list[dict[str, float]](), dict[str, float]()
        for slot in range(seconds * 1000 // SLOT_MS + 1):
            ring.put()
            if slot % (WINDOW_S * 1000 // SLOT_MS) == 0:
                now = _threads_s()
                shares.append({name: (now[name] - before.get(name, 0)) / WINDOW_S * 100 for name in now})
                before = now
            if slot % BATCH_SLOTS == 0:
                lines.follow(slot // BATCH_SLOTS)
        lines.close()
        vault.stop(60)
        ring.close()
    least = min(shares[2:], key=lambda share: sum(share.values()))
    return sum(least.values()), ", ".join(f"{n} {s:.2f} %" for n, s in least.items()), journal.late_ms()


class _Lines:
    """Lines that replace the call table. At first each line is in the middle of a call."""

    def __init__(self, vault: VaultWriter, ring: _Ring) -> None:
        self._vault, self._ring = vault, ring
        self._calls: dict[int, str] = {}
        self._ends = {line: (line - 1) * CALL_S * RATE_HZ // LINES for line in range(1, LINES + 1)}

    def follow(self, batch: int) -> None:
        end = self._ring.slots * SLOT_FRAMES
        line = batch % LINES + 1  # one line's state changes at a time
        call_id = self._calls.get(line)
        if call_id is None or end > self._ends[line]:
            if call_id is not None:
                self._vault.close(call_id, end, _record(call_id, line, ended_at=_now()))
                self._ends[line] = end + CALL_S * RATE_HZ
            self._open(line, end)
        elif batch // LINES % NEWS_ROUNDS == line % NEWS_ROUNDS:
            self._note(call_id, line, end, dialled=str(batch))
        for each in self._calls.values():
            self._vault.permit(each, end)

    def close(self) -> None:
        for line, call_id in self._calls.items():
            self._vault.close(call_id, self._ring.slots * SLOT_FRAMES, _record(call_id, line))

    def _open(self, line: int, frame: int) -> None:
        call_id = self._calls[line] = new_call_id(SYSTEM.utc_ns(), line)
        self._ring.first_frames[call_id] = frame
        self._note(call_id, line, frame)
        self._vault.open(call_id, line, frame)

    def _note(self, call_id: str, line: int, frame: int, **more: object) -> None:
        self._vault.snapshot(call_id, CallSnapshot(_record(call_id, line, **more), frame, SYSTEM.utc_ns()))


def _recovery(config: Config) -> tuple[float, int]:
    """Measures a recovery after every line has talked for half a minute and its last chunk is nearly full."""
    with _run_dir(config) as live:
        ring = _Still()
        journal = Journal(live.vault_path, LINES, ring, SYSTEM)
        vault = _vault(live, ring, journal)
        ids = {line: new_call_id(SYSTEM.utc_ns(), line) for line in range(1, LINES + 1)}
        for line, call_id in ids.items():
            vault.snapshot(call_id, CallSnapshot(_record(call_id, line), 0, SYSTEM.utc_ns()))
            vault.open(call_id, line, 0)
        for quarter in range(RECOVERED_S * 4):
            for call_id in ids.values():
                vault.permit(call_id, quarter * RATE_HZ // 4)
            vault.step()
            journal.step()
    with _run_dir(config, keep=True) as next_boot:
        again = _vault(next_boot, ring, Journal(next_boot.vault_path, LINES, ring, SYSTEM))
        os.sync()
        before = SYSTEM.monotonic_ns()
        again.step()
        took = (SYSTEM.monotonic_ns() - before) / NS_PER_S
    records = list(next_boot.vault_path.glob("20*/*/*/*/record.json"))
    assert len(records) == LINES
    return took, sum(len(list(record.parent.iterdir())) for record in records)


class _Still:
    """Lines with one constant sound."""

    def stretch(self, line: int, first: int, end: int) -> Stretch:
        return Stretch(np.full(end - first, line, np.int16), [])


def _vault(config: Config, source: _Ring | _Still, journal: Journal) -> VaultWriter:
    key = UnitKey(Path(config.key))
    config.vault_path.mkdir(exist_ok=True)
    outbox = key.open_outbox(config)
    return VaultWriter(
        Vault(config, source, outbox, key.signer(namespaces.RECORD), SYSTEM, key.open_log(config, SYSTEM), journal)
    )


@contextmanager
def _run_dir(config: Config, keep: bool = False) -> Iterator[Config]:
    """The configuration with an empty RAM, and with an empty vault unless it is kept."""
    if not keep:
        shutil.rmtree(config.vault, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="linetap-", dir="/dev/shm") as run_dir:
        yield msgspec.structs.replace(config, run_dir=run_dir)


@contextmanager
def _stalling_disk() -> Iterator[None]:
    """Makes each sync block until 300 ms after the start of every five seconds."""
    syncs = {name: getattr(os, name) for name in ("fsync", "fdatasync")}

    def stalling(name: str, fd: int) -> None:
        syncs[name](fd)
        into_ns = SYSTEM.monotonic_ns() % STALL_EVERY_NS
        if into_ns < STALL_NS:
            SYSTEM.sleep((STALL_NS - into_ns) / NS_PER_S)

    try:
        for name in syncs:
            setattr(os, name, lambda fd, name=name: stalling(name, fd))
        yield
    finally:
        for name, real in syncs.items():
            setattr(os, name, real)


def _unit(folder: Path, notices: Path) -> Config:
    script = folder / "lines.toml"
    script.write_text(f"lines = {LINES}\nduration_s = 1\n")
    return load_config(make_unit(load_script(script), folder, notices))


def _record(call_id: str, line: int, **more: object) -> CallRecord:
    record = CallRecord(
        call_id=call_id, unit="floor-03", line=line, direction="in", disposition="recorded", answered_at=_now(),
        caller=Caller(number="01012345678"),
    )  # fmt: skip
    return msgspec.structs.replace(record, **more)


def _now() -> str:
    return rfc3339(SYSTEM.utc_ns())


def _threads_s() -> dict[str, float]:
    """CPU time of the vault's two threads so far."""
    ids = {t.name: t.native_id for t in threading.enumerate() if t.name in ("journal", "vault")}
    return {
        name: int(Path(f"/proc/self/task/{native}/schedstat").read_text().split()[0]) / NS_PER_S
        for name, native in ids.items()
    }
