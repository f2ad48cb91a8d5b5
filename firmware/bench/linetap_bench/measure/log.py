# SPDX-License-Identifier: Apache-2.0
"""The cost of a long log, and the speed of the verification of a vault."""

from __future__ import annotations

import os
import shutil
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from linetap.recorder.vault.callfolder.folder import CallFolder
from linetap.recorder.vault.log.log import UnitLog
from linetap_bench.figures import Row
from linetap_core.clock import NS_PER_S, SYSTEM, ManualClock, compact
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.calls.callkey import OfCall
from linetap_core.evidence.keys import keys
from linetap_core.evidence.merklelog.leaflog import MOST_AT_ONCE, LeafLog
from linetap_core.evidence.merklelog.nodefile import TREE
from linetap_core.evidence.signing import namespaces, signers, sshsig
from linetap_core.records import CallRecord
from linetap_desk.vaultproofs import verifyvault

LEAVES = 1_000_000
APPENDS = 500
CALLS = 60
CALL_S = 180  # a call of usual length
RUNS = 3
UNIT = "bench"
START_NS = 1_795_000_000 * NS_PER_S


def measure(folder: Path, _voices: Path, _notices: Path) -> list[Row]:
    try:
        return [*_long_log(folder / "log"), _verify(folder)]
    finally:
        shutil.rmtree(folder / "log", ignore_errors=True)
        shutil.rmtree(folder / "vault", ignore_errors=True)


def _long_log(folder: Path) -> list[Row]:
    log = LeafLog(folder)
    for first in range(0, LEAVES, MOST_AT_ONCE):
        log.append_all([_leaf(n) for n in range(first, min(first + MOST_AT_ONCE, LEAVES))])
    took = [_cpu_ms(lambda n=LEAVES + n: _append_and_prove(log, n)) for n in range(APPENDS)]  # type: ignore[misc]
    log.close()
    method = f"CPU time of append, root, inclusion and consistency proof; median of {APPENDS} (most {max(took):.2f})"
    name = "log: append with proof at a million leaves"
    rows = [Row(name=name, figure=statistics.median(took), unit="ms", target=1, method=method)]
    starts = {"log: start at a million leaves": 1.0, "log: start without tree.bin, all hashed again": 10.0}
    for at, (name, target) in enumerate(starts.items()):
        if at:
            (folder / TREE).unlink()
        seconds = _cpu_ms(lambda: LeafLog(folder).close()) / 1000
        rows.append(Row(name=name, figure=seconds, unit="s", target=target, method="CPU time, once"))
    return rows


def _append_and_prove(log: LeafLog, n: int) -> None:
    index = log.append(_leaf(n))
    log.tree.root()
    log.tree.inclusion(index)
    log.tree.consistency(index)


def _leaf(n: int) -> dict[str, object]:
    call_id = compact(START_NS + n * NS_PER_S) + "-L03"
    return {"kind": "close", "at": "2026-11-24T22:56:00.123Z", "call_id": call_id, "line": 3,
            "record_sha256": f"{n:064x}", "disposition": "recorded", "sigsum": "A" * 88}  # fmt: skip


def _verify(folder: Path) -> Row:
    vault, key = folder / "vault", keys.new_unit_key()
    vault.mkdir()
    recorded = _fill(vault, key)
    trusted = signers.parse(f"{UNIT} {keys.public_line(key.public_key())}\n")
    rates = []
    for _ in range(RUNS):
        started = SYSTEM.monotonic_ns()
        verdicts = list(verifyvault.verify_vault(vault, trusted))
        rates.append(recorded / 1e6 / ((SYSTEM.monotonic_ns() - started) / NS_PER_S))
        assert sum(verdict.counts for verdict in verdicts) == CALLS + 1
        assert all(verdict.good for verdict in verdicts)
    method = (
        f"{CALLS} calls of {CALL_S} s and their log, {recorded / 1e6:.0f} MB of parts from the page cache; "
        f"wall time, median of {RUNS}"
    )
    figure = statistics.median(rates)
    return Row(name="verify a vault", figure=figure, unit="MB/s", target=200, at_most=False, method=method)


def _fill(vault: Path, key: Ed25519PrivateKey) -> int:
    """Fills the vault with calls; returns the bytes of their parts."""
    public, audio, recorded = keys.new_identity().recipient, os.urandom(CALL_S * 8000), 0
    log = UnitLog(vault, UNIT, key, ManualClock(START_NS))
    for n in range(CALLS):
        call_id = compact(START_NS + n * NS_PER_S) + "-L03"
        call = CallFolder.create(vault, OfCall(UNIT, call_id), public, [public])
        call.write(audio)
        call.seal(
            CallRecord(call_id=call_id, unit=UNIT, line=3, duration_s=float(CALL_S)),
            lambda data: sshsig.sign(data, key, namespaces.RECORD),
        )
        log.append("open", call_id=call_id, line=3)
        log.close_call(call_id)
        recorded += (call.path / sealed.part_name(1)).stat().st_size
    log.publish()
    log.close()
    return recorded


def _cpu_ms(work: Callable[[], object]) -> float:
    started = time.process_time_ns()
    work()
    return (time.process_time_ns() - started) / 1e6
