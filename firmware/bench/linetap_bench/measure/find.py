# SPDX-License-Identifier: Apache-2.0
"""How long a number takes to be found in a year of calls, and what its index costs a call when it is sealed."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import msgspec
import numpy as np

from linetap.config import load_config
from linetap.config.retention import retention_of
from linetap.config.schema import Config
from linetap.recorder.unitkey import UnitKey
from linetap.recorder.vault.writer import VaultWriter
from linetap.ring import RATE_HZ, Stretch
from linetap_bench.madeunit import make_unit
from linetap_bench.measure.row import Row
from linetap_bench.script import load_script
from linetap_core.clock import NS_PER_MS, NS_PER_S, SYSTEM, compact, parse_rfc3339, rfc3339
from linetap_core.evidence.calls import index
from linetap_core.evidence.calls.index import Entry
from linetap_core.evidence.keys import keys
from linetap_core.evidence.sealing import age
from linetap_core.evidence.signing import namespaces
from linetap_core.records import Caller, CallRecord

LINES, CALLS_A_DAY, DAYS, KEPT_DAYS = 8, 60, 365, 60
FIRST = date(2026, 1, 1)
NUMBER = "01098765432"
ASKED_DAY = FIRST + timedelta(days=200)
RUNS = 5
SEALED = 480  # calls: a whole segment, as it grows over a day
CALL_S = 1


def measure(folder: Path, _voices: Path, notices: Path) -> list[Row]:
    vault, medium = folder / "vault", folder / "medium"
    try:
        _fill(vault, medium)
        return [*_find(vault, medium), *_seal(folder, notices)]
    finally:
        for name in ("vault", "medium", "with", "without"):
            shutil.rmtree(folder / name, ignore_errors=True)


def _find(vault: Path, medium: Path) -> list[Row]:
    day = ASKED_DAY.isoformat()
    afternoon = _took_s(vault, medium, "--from", f"{day} 13:00", "--to", f"{day} 18:00")
    everything = _took_s(vault, medium)
    method = (
        f"{LINES} lines, {CALLS_A_DAY} calls a line and day, {DAYS} epochs, each with a key of its own; the whole"
        f" command as a process, wall time, median of {RUNS}"
    )
    return [
        Row(name="find: a number, an afternoon of a year", figure=afternoon, unit="s", target=1, method=method),
        Row(name="find: a number, the whole year", figure=everything, unit="s", target=1, method=method),
    ]


def _took_s(vault: Path, medium: Path, *span: str) -> float:
    command = [sys.executable, "-m", "linetap", "find", "--number", "010-9876-5432", str(vault)]
    took = []
    for _ in range(RUNS):
        before = SYSTEM.monotonic_ns()
        environment = {**os.environ, "HOME": str(vault), "LINETAP_DESK": ""}
        done = subprocess.run(
            [*command, "--identity", str(medium), *span], capture_output=True, timeout=120, check=True, env=environment
        )
        took.append((SYSTEM.monotonic_ns() - before) / NS_PER_S)
        assert done.stdout.count(b"\n") == 1, done
        assert not done.stderr, done
    return statistics.median(took)


def _fill(vault: Path, medium: Path) -> None:
    """A year's index, none of which is over yet, and its keys."""
    medium.mkdir()
    for number in range(DAYS):
        day = FIRST + timedelta(days=number)
        epoch, identity = (day + timedelta(days=KEPT_DAYS)).isoformat(), keys.new_identity()
        entries = [_entry(day, call) for call in range(LINES * CALLS_A_DAY)]
        path = vault / index.FOLDER / epoch / index.segment_name(day.isoformat(), 1)
        path.parent.mkdir(parents=True)
        path.write_bytes(age.encrypt(index.encode(entries), [identity.recipient]))
        (medium / f"{epoch}.index.txt").write_text(keys.identity_file(identity, "2026-01-01T00:00:00.000Z"))


def _entry(day: date, number: int) -> Entry:
    """One every minute from eight in the morning on; one of all is the one that is asked for."""
    at_ns = parse_rfc3339(f"{day}T08:00:00+09:00") + number * 60 * NS_PER_S
    line = number % LINES + 1
    asked = day == ASKED_DAY and number == CALLS_A_DAY * LINES * 3 // 4  # at four in the afternoon
    return Entry(
        call_id=f"{compact(at_ns)}-L{line:02d}", unit="floor-03", line=line, at=rfc3339(at_ns), direction="in",
        number=NUMBER if asked else f"0101234{number:04d}", extension=f"23{line:02d}",
    )  # fmt: skip


def _seal(folder: Path, notices: Path) -> list[Row]:
    """The vault's thread from a call's end to its `sealed` event, with an index and without in turn."""
    units = [_unit(folder / name, notices) for name in ("with", "without")]
    units[1][0]._index.add = lambda *_: None  # type: ignore[method-assign]
    took: list[list[float]] = [[], []]
    for number in range(SEALED):
        for (vault, config), figures in zip(units, took, strict=True):
            figures.append(_close_ms(vault, config, number))
    with_index, without = map(statistics.median, took)
    method = (
        f"{SEALED} calls of {CALL_S} s in turn with an index and without, wall time of the vault's thread from the end"
        f" to the event: {with_index:.1f} and {without:.1f} ms, the difference of the medians"
    )
    name = "find: what the index adds to a call's seal"
    return [Row(name=name, figure=with_index - without, unit="ms", target=10, method=method)]


def _unit(folder: Path, notices: Path) -> tuple[VaultWriter, Config]:
    folder.mkdir()
    script = folder / "lines.toml"
    script.write_text(f"lines = {LINES}\nduration_s = 1\n")
    config = load_config(make_unit(load_script(script), folder, notices))
    config = msgspec.structs.replace(config, run_dir=str(folder / "run"))
    config.vault_path.mkdir(exist_ok=True)
    key = UnitKey(Path(config.key))
    sign, log = key.signer(namespaces.RECORD), key.open_log(config, SYSTEM)
    return VaultWriter(config, _Silence(), key.open_outbox(config), sign, SYSTEM, log), config


def _close_ms(vault: VaultWriter, config: Config, number: int) -> float:
    at_ns = parse_rfc3339("2026-11-24T00:00:00Z") + number * 60 * NS_PER_S
    line = number % LINES + 1
    call_id, ended = f"{compact(at_ns)}-L{line:02d}", at_ns + CALL_S * NS_PER_S
    vault.open(call_id, line, 0)
    assert vault.step()
    record = CallRecord(
        call_id=call_id, unit=config.unit, line=line, direction="in", caller=Caller(number=NUMBER),
        ended_at=rfc3339(ended), retention=retention_of(config, ended, line, "recorded", marked=False),
    )  # fmt: skip
    vault.close(call_id, CALL_S * RATE_HZ, record)
    before = SYSTEM.monotonic_ns()
    assert vault.step()
    return (SYSTEM.monotonic_ns() - before) / NS_PER_MS


class _Silence:
    def stretch(self, line: int, first: int, end: int) -> Stretch:  # noqa: ARG002
        return Stretch(np.zeros(end - first, np.int16), [])
