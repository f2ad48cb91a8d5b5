# SPDX-License-Identifier: Apache-2.0
"""Power fails at any file call of the vault, and of the subsequent recovery: all required data are there, once."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cut_rig
import msgspec
import numpy as np
import pytest
from cut_rig import HOLES, STEP_FRAMES, Mark, NoSource, Unit, at
from powercut import Deed, Disk, build_shim, deeds, watched

from agereader import opened
from codec_rig import decoded
from linetap.recorder.vault.outbox.reader import OutboxReader
from linetap.ring import I16, RATE_HZ
from linetap_core.clock import NS_PER_S, ManualClock
from linetap_core.codecs import g711
from linetap_core.codecs.codec import Codec
from linetap_core.codecs.registry import CODECS, codec_named
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.keys import keys
from linetap_core.records import CallRecord
from linetap_desk.proofs import callfolder, verifycall
from linetap_desk.release import opening
from linetap_desk.unsealing import checkedcall
from linetap_desk.unsealing.callproof import Basis
from unit_rig import PLAIN, make_unit

CUTS, CUTS_AGAIN = 40, 8
SOAK_CUTS, SOAK_CUTS_AGAIN, SOAK_LIVES = 1000, 200, 4
SECONDS, SOAK_SECONDS = 60, 230
TIMEOUT_S = 300
STATED_OVER_MS = 300  # a step of the life without a look at the clock, and two slots


@dataclass
class Tally:
    """The figures of the table at the end."""

    counts: Counter[str] = field(default_factory=Counter)
    lost_ms: list[float] = field(default_factory=list)  # captured at the cut and not stored, of calls cut off
    parts: int = 0

    def __str__(self) -> str:
        lost = sorted(self.lost_ms) or [0.0]
        rows = {
            **self.counts,
            "parts from the journal": self.parts,
            "lost at the end, median ms": round(lost[len(lost) // 2]),
            "lost at the end, most ms": round(lost[-1]),
        }
        return "\n".join(f"{name:48} {number:>10}" for name, number in rows.items())


@dataclass
class World:
    """A unit, the log of its life, and the folder of its disks."""

    folder: Path
    unit: Unit
    shim: Path
    secrets: dict[str, str]  # epoch, custodian
    signers: Path
    tally: Tally = field(default_factory=Tally)
    keys: dict[bytes, str] = field(default_factory=dict)
    decoded: dict[tuple[str, bytes], I16] = field(default_factory=dict)  # a call sealed before several cuts

    @classmethod
    def make(cls, folder: Path, codec: str) -> World:
        recording = msgspec.structs.replace(PLAIN, codec=codec)
        made = make_unit(folder, folder / "life.run", lines=cut_rig.LINES, recording=recording)
        config = at(made.config, folder / "life")
        (folder / "config.json").write_bytes(msgspec.json.encode(config))
        secrets = {
            name: keys.parse_identity_file((folder / f"{name}.txt").read_text())[0].secret
            for name in ("epoch", "custodian")
        }
        return cls(folder, Unit(config), build_shim(folder), secrets, made.signers)

    def live(self, seconds: int, seed: int) -> list[Deed]:
        """Runs a life of the lines under the shim; returns all changes of the disk."""
        root = self.folder / "life"
        shutil.rmtree(root, ignore_errors=True)
        shutil.rmtree(f"{root}.run", ignore_errors=True)
        root.mkdir()
        return self._watched(root, "live", str(seconds), str(seed))

    def recover_watched(self, folders: list[Path]) -> list[Deed]:
        return self._watched(self.folder / "cut", "recover", *map(str, folders))

    def _watched(self, root: Path, what: str, *more: str) -> list[Deed]:
        log = self.folder / "log"
        log.unlink(missing_ok=True)
        command = [sys.executable, cut_rig.__file__, what, str(self.folder / "config.json"), *more]
        env = watched(self.shim, root, log) | {"PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run(command, env=env, capture_output=True, timeout=TIMEOUT_S, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return list(deeds(log))

    def recover(self, folder: Path, mark: Mark) -> None:
        """Runs a step of the life after the last mark."""
        ns = (mark.frame + STEP_FRAMES) * NS_PER_S // RATE_HZ
        clock = ManualClock(cut_rig.START_NS + ns, ns)
        writer, _ = Unit(at(self.unit.config, folder), clock).writer(NoSource())
        assert writer.step()


@pytest.fixture(scope="module", params=CODECS)
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    folder = Path("/dev/shm") / f"linetap-powercut-{os.getpid()}"
    folder.mkdir()
    yield World.make(folder, request.param)
    shutil.rmtree(folder)


def test_a_power_cut_costs_the_last_second_and_nothing_else(world: World) -> None:
    _cut_and_check(world, SECONDS, 1, CUTS, CUTS_AGAIN)
    assert world.tally.counts["calls cut off, recorded"] > CUTS


@pytest.mark.soak
def test_a_thousand_power_cuts(world: World) -> None:
    world.tally = Tally()
    for seed in range(SOAK_LIVES):
        _cut_and_check(world, SOAK_SECONDS, 100 + seed, SOAK_CUTS // SOAK_LIVES, SOAK_CUTS_AGAIN // SOAK_LIVES)
    print(f"\n{world.tally}")


def _cut_and_check(world: World, seconds: int, seed: int, cuts: int, again: int) -> None:
    chance = random.Random(seed)
    done = world.live(seconds, seed)
    cut_root = world.folder / "cut"
    cut_root.mkdir()
    points = sorted(chance.sample(range(len(done) // 20, len(done)), cuts))
    twice = set(chance.sample(points, again))
    disk, marks = Disk(world.folder / "life"), _Marks()
    begun = 0
    second: list[tuple[Path, Mark]] = []
    for point in points:
        for deed in done[begun:point]:
            disk.do(deed)
            marks.do(deed)
        begun = point
        folder = cut_root / str(point)
        disk.after_cut(chance, folder)
        if point in twice:
            second.append((folder, marks.last))
            continue
        world.recover(folder, marks.last)
        _check(world, folder, marks.last)
        shutil.rmtree(folder)
    for folder, mark in _cut_during_recovery(world, second, chance):
        world.recover(folder, mark)
        _check(world, folder, mark)
        world.tally.counts["cuts during the recovery"] += 1
    shutil.rmtree(cut_root)


def _cut_during_recovery(
    world: World, found: list[tuple[Path, Mark]], chance: random.Random
) -> Iterator[tuple[Path, Mark]]:
    """The same folders after another cut in the middle of their recovery."""
    disks = {folder: Disk(folder, as_it_is=True) for folder, _ in found}
    done = world.recover_watched([folder for folder, _ in found])
    for folder, mark in found:
        prefix = f"{folder}/".encode()
        inodes = set[int]()
        own = []
        for deed in done:
            if deed.one.startswith(prefix) or deed.one == str(folder).encode():
                inodes.add(deed.inode)
            elif deed.kind not in "WT" or deed.inode not in inodes | disks[folder].inodes:
                continue
            own.append(deed)
        for deed in own[: chance.randrange(len(own))]:
            disks[folder].do(deed)
        shutil.rmtree(folder)
        shutil.rmtree(f"{folder}.run")
        again = folder.with_name(f"{folder.name}-again")
        disks[folder].after_cut(chance, again)
        yield again, mark


class _Marks:
    """The newest mark written by the life."""

    def __init__(self) -> None:
        self.last = Mark(0)
        self._inode = -1

    def do(self, deed: Deed) -> None:
        if deed.kind == "C" and deed.one.endswith(b"/life/marks"):
            self._inode = deed.inode
        elif deed.kind == "W" and deed.inode == self._inode:
            self.last = msgspec.json.decode(deed.one, type=Mark)


# --- requirements after a cut -------------------------------------------------------------------------------------


def _check(world: World, folder: Path, mark: Mark) -> None:
    vault = folder / "vault"
    world.tally.counts["cuts"] += 1
    records = {}
    for path in callfolder.calls(vault) if vault.exists() else []:
        verdict = verifycall.verify_call(path, callfolder.load_signers(world.signers))
        assert verdict.good, list(verdict.lines())
        assert verdict.record is not None
        records[path.name] = verdict.record
        assert path == vault / sealed.call_path(path.name)
    for call_id in mark.known:
        assert call_id in records, f"{call_id} is gone"
    for call_id, record in records.items():
        _check_call(world, vault, record, mark)
        assert (call_id in mark.sealed) <= (record.ended_by == "on_hook" and not record.recovered)
    _check_events(vault, records)


def _check_call(world: World, vault: Path, record: CallRecord, mark: Mark) -> None:
    call_id = record.call_id
    if record.audio is None:
        assert mark.gates.get(call_id, mark.frame) >= mark.frame, f"{call_id} had passed its gate"
        assert record.disposition != "recorded"
        assert "power" in (record.why, record.ended_by) or record.ended_by == "on_hook"
        world.tally.counts["calls without audio"] += 1
        return
    path = vault / sealed.call_path(call_id)
    secret = _secret_of(world, path)
    codec = codec_named(world.unit.config.recording.codec)
    assert record.audio.codec == codec.name
    short = sum(part.samples < 60_000 for part in record.audio.parts)
    parts = [(path / part.file).read_bytes() for part in record.audio.parts]
    same = (secret, hashlib.sha256(b"".join(parts)).digest())
    if same not in world.decoded:
        decoder, lengths = codec.decoder(), [part.samples for part in record.audio.parts]
        plain = [decoded(decoder, opened(part, secret)[0], n) for part, n in zip(parts, lengths, strict=True)]
        world.decoded[same] = np.concatenate(plain)
    kept = world.decoded[same]
    gaps = [gap for gap in record.audio.gaps if gap.cause != "power"]
    power = [gap for gap in record.audio.gaps if gap.cause == "power"]
    first = mark.permitted[call_id][0] if call_id in mark.permitted else _first_frame(kept, record)
    end = first + len(kept)
    _check_sound(codec, kept, g711.decode(_CODES[record.line][first:end]))
    assert [(round(g.at_s * RATE_HZ), round(g.ms * 8)) for g in gaps] == _holes(first, end)
    if call_id in mark.permitted and mark.gates[call_id] < mark.frame:
        lost = mark.permitted[call_id][1] - end  # a unit that is not whole yet is in no journal
        assert lost < codec.unit + codec.delay, f"{lost} samples were lost"
    meta, whole = opened((path / sealed.META).read_bytes(), secret)
    assert whole
    assert json.loads(meta)["caller"]["number"] == "01012345678"
    if record.ended_by == "power":
        assert [round(gap.at_s * RATE_HZ) for gap in power] == [len(kept)]
        missing_ms = (mark.frame + STEP_FRAMES - end) / 8
        assert missing_ms <= power[0].ms
        if power[0].unbounded is not True:  # unbounded if the interrupted recovery has no clock of this life
            assert power[0].ms <= missing_ms + STATED_OVER_MS
        world.tally.counts["calls cut off, recorded"] += 1
        world.tally.lost_ms.append((mark.frame + STEP_FRAMES - end) / 8)
        world.tally.parts += short
    else:
        assert all(gap.ms <= 1000 for gap in power)
        world.tally.counts["calls that had ended" + (", sealed afterwards" if record.recovered else "")] += 1
    if world.tally.counts["calls cut off, recorded"] % 100 == 1 and record.recovered:
        _check_with_stock_age(world, path, kept)


def _check_sound(codec: Codec, kept: I16, spoken: I16) -> None:
    """Asserts that every sample is there once, in its place; of a lossy codec the noise is compared every quarter of a
    second.
    """
    if codec.unit == 1:
        assert np.array_equal(kept, spoken)
        return
    for begin in range(0, len(kept) - 2000, 2000):
        here = slice(begin, begin + 2000)
        if np.count_nonzero(spoken[here]) > 1800:
            assert np.corrcoef(kept[here], spoken[here])[0, 1] > 0.5, f"something else lies at {begin}"


def _check_with_stock_age(world: World, path: Path, kept: I16) -> None:
    output = world.folder / "opened.wav"
    for name in ("opened.wav", "opened.json"):
        (world.folder / name).unlink(missing_ok=True)
    identities = [world.folder / "epoch.txt", world.folder / "custodian.txt"]
    checked = checkedcall.require_verified(path, Basis(callfolder.load_signers(world.signers)))
    call = opening.open_call(checked, identities, None, output)
    assert call.samples == len(kept)
    assert np.array_equal(np.frombuffer(output.read_bytes()[44:], "<i2"), kept)
    assert call.record["caller"]["number"] == "01012345678"
    world.tally.counts["opened with stock age"] += 1


def _secret_of(world: World, path: Path) -> str:
    data = (path / sealed.KEY).read_bytes()
    if data not in world.keys:
        inner, _ = opened(data, world.secrets["epoch"])
        world.keys[data] = opened(inner, world.secrets["custodian"])[0].decode().strip()
    return world.keys[data]


def _with_holes(line: int) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    codes = cut_rig.codes(line, SOAK_SECONDS * RATE_HZ)
    for at_frame, frames in HOLES:
        codes[at_frame : at_frame + frames] = g711.SILENCE
    return codes


_CODES = {line: _with_holes(line) for line in range(1, cut_rig.LINES + 1)}


def _holes(first: int, end: int) -> list[tuple[int, int]]:
    """(sample, samples) relative to the recording's first."""
    cut = [(max(frame, first), min(frame + frames, end)) for frame, frames in HOLES]
    return [(a - first, b - a) for a, b in cut if a < b]


def _first_frame(kept: I16, record: CallRecord) -> int:
    """The position on the line at which the recording begins, by its content: longer than a hole."""
    start = kept[: max(frames for _, frames in HOLES) + 2000].astype(float)
    line = g711.decode(_CODES[record.line]).astype(float)
    size = 1 << (len(line) + len(start)).bit_length()
    found = np.fft.irfft(np.fft.rfft(line, size) * np.conj(np.fft.rfft(start, size)), size)
    return int(np.argmax(found[: len(line) - len(start)]))


def _check_events(vault: Path, records: dict[str, CallRecord]) -> None:
    """Asserts that each call has one end and one seal, which names the present record."""
    found = OutboxReader(vault / "outbox").from_seq(1, 100_000)
    events = [json.loads(payload) for _, payload, _ in found]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    told = Counter((event["call_id"], event["event"]) for event in events)
    assert max(told.values(), default=0) <= 1
    for call_id in records:
        assert told[call_id, "sealed"] == 1
    for event in events:
        if event["event"] == "sealed":
            digest = callfolder.digest(vault / sealed.call_path(event["call_id"]) / sealed.RECORD)
            assert event["record_sha256"] == digest.sha256
