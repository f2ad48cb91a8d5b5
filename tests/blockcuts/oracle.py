# SPDX-License-Identifier: Apache-2.0
"""The invariants of a vault after a power cut, judged by the signals on the lines, not by the unit's reports.

The kinds of faults:

    lost       a call that was being recorded has no record, or no audio without a reason
    orphan     a call's folder has no record, or its record does not verify
    doubled    an end, a seal or a leaf exists twice, or an event contradicts the record
    never      an end, a seal or a leaf is missing
    understated  more audio is missing than the record states
    wrong      the recording differs from the line, or a stated gap has audio
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from life import Cut, Lived
from tap import Truth

from agereader import opened
from linetap.recorder.vault.outbox.reader import OutboxReader
from linetap.ring import RATE_HZ
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.keys import keys
from linetap_desk.proofs import callfolder, verifycall

SILENCE = 0xFF
EDGE_MS = 60  # a hook change bounces, and is accepted after 35 ms
AU_LENGTH_AT = 4
END = ("ended", "missed")


@dataclass
class Judged:
    """The result of a trial. `last`: (missing, stated) ms at the end of each call that the cut ended; `unbounded_ends`:
    the same for calls whose record states no upper bound.
    """

    faults: list[tuple[str, str]] = field(default_factory=list)
    calls: int = 0
    recovered: int = 0
    last: list[tuple[float, float]] = field(default_factory=list)
    unbounded_ends: list[tuple[float, float]] = field(default_factory=list)

    def fault(self, kind: str, text: str) -> None:
        self.faults.append((kind, text))


class Oracle:
    """The judge of one life. The audio of an unchanged sealed call is checked once only."""

    def __init__(self, lived: Lived) -> None:
        self._truth: Truth = lived.truth
        folder = lived.folder
        self._signers = callfolder.load_signers(folder / "allowed_signers")
        self._secrets = [
            keys.parse_identity_file((folder / f"{name}.txt").read_text())[0].secret for name in ("epoch", "custodian")
        ]
        self._seen: dict[str, tuple[float, float, bool] | None] = {}

    def judge(self, vault: Path, cut: Cut, *, whole_journal: bool) -> Judged:
        """Judges a vault. Without `whole_journal` a call may lack its audio, if its record states a power cut."""
        judged = Judged()
        records = self._records(vault, judged)
        for call_id in cut.begun:
            record = records.get(call_id)
            if record is None:
                judged.fault("lost", f"{call_id}: no record")
            elif record.get("audio") is None and (whole_journal or record["why"] != "power"):
                judged.fault("lost", f"{call_id}: no audio, {record['disposition']} {record['why']}")
        for call_id, record in records.items():
            judged.calls += 1
            judged.recovered += bool(record.get("recovered"))
            if record.get("audio") is not None and record["audio"]["samples"]:
                self._audio(vault / sealed.call_path(call_id), record, cut, judged)
        self._events(vault, records, judged)
        return judged

    def _records(self, vault: Path, judged: Judged) -> dict[str, dict[str, Any]]:
        records = {}
        for path in sorted(vault.glob("[0-9]*/*/*/*")):
            try:
                records[path.name] = json.loads((path / sealed.RECORD).read_bytes())
            except FileNotFoundError:
                judged.fault("orphan", f"{path.name}: {sorted(p.name for p in path.iterdir())}")
                continue
            verdict = verifycall.verify_call(path, self._signers)
            if not verdict.good:
                judged.fault("orphan", f"{path.name}: {list(verdict.lines())}")
        return records

    # --- audio ------------------------------------------------------------------------------------------------------

    def _audio(self, path: Path, record: dict[str, Any], cut: Cut, judged: Judged) -> None:
        digest = hashlib.sha256((path / sealed.RECORD).read_bytes()).hexdigest()
        if not record.get("recovered") and digest in self._seen:
            return
        self._seen[digest] = None
        secret = opened(opened((path / sealed.KEY).read_bytes(), self._secrets[0])[0], self._secrets[1])[0]
        stream = b"".join(
            opened((path / part["file"]).read_bytes(), secret.decode().strip())[0] for part in record["audio"]["parts"]
        )
        kept = stream[int.from_bytes(stream[AU_LENGTH_AT : AU_LENGTH_AT + 4]) :] if stream else b""
        if len(kept) != record["audio"]["samples"]:
            judged.fault("wrong", f"{path.name}: {len(kept)} samples, the record says {record['audio']['samples']}")
        whole = _first_whole(record["audio"]["gaps"], len(kept))
        begin = self._truth.place_of(record["line"], kept[whole:], self._earliest(path.name, cut) + whole) - whole
        if begin < 0:
            told = f"{record['ended_by']}, {record['audio']['gaps']}"
            judged.fault("wrong", f"{path.name}: what it begins with was never on line {record['line']}: {told}")
            return
        self._compare(path.name, record, kept, begin, judged)
        self._end(path.name, record, begin, len(kept), cut, judged)

    def _earliest(self, call_id: str, cut: Cut) -> int:
        return self._truth.frames_at(cut.mono_ns - (cut.utc_ns - sealed.call_ns(call_id)))

    def _compare(self, call_id: str, record: dict[str, Any], kept: bytes, begin: int, judged: Judged) -> None:
        heard = np.frombuffer(kept, np.uint8)
        on_line = self._truth.codes[record["line"] - 1][begin : begin + len(heard)]
        same = heard[: len(on_line)] == on_line
        for gap in record["audio"]["gaps"]:
            a = round(gap["at_s"] * RATE_HZ)
            b = a + round(gap["ms"] * 8)
            if (heard[a:b] != SILENCE).any():
                judged.fault("wrong", f"{call_id}: a gap at {gap['at_s']} s that is none")
            same[a:b] = True
        if not same.all() or len(on_line) < len(heard):
            at = int(np.argmin(same)) / RATE_HZ
            judged.fault("wrong", f"{call_id}: from {at:.3f} s on not what was on the line: {record['audio']['gaps']}")

    def _end(self, call_id: str, record: dict[str, Any], begin: int, samples: int, cut: Cut, judged: Judged) -> None:
        hung_up = self._truth.off_hook_until(record["line"], begin)
        at_cut = self._truth.frames_at(cut.mono_ns)
        end = at_cut if hung_up is None else min(hung_up, at_cut)
        missing = (end - begin - samples) / 8
        last = [gap for gap in record["audio"]["gaps"] if round(gap["at_s"] * RATE_HZ) >= samples]
        stated = sum(gap["ms"] for gap in last)
        if record["ended_by"] == "power":
            unbounded = any(gap.get("unbounded") for gap in last)
            (judged.unbounded_ends if unbounded else judged.last).append((max(0.0, missing), stated))
            if missing > stated and not unbounded:
                dead = "" if cut.dead_ms is None else f", the recorder dead for {cut.dead_ms:.0f} ms"
                judged.fault("understated", f"{call_id}: {missing:.0f} ms are missing, {stated:.0f} are stated{dead}")
        elif missing > stated + EDGE_MS:
            judged.fault("understated", f"{call_id}: ended, {missing:.0f} ms are missing, {stated:.0f} are stated")

    # --- events -----------------------------------------------------------------------------------------------------

    def _events(self, vault: Path, records: dict[str, dict[str, Any]], judged: Judged) -> None:
        found = OutboxReader(vault / "outbox").from_seq(1, 1_000_000)
        events = [json.loads(payload) for _, payload, _ in found]
        if [event["seq"] for event in events] != list(range(1, len(events) + 1)):
            judged.fault("wrong", "the outbox has a hole")
        told: Counter[tuple[str, str]] = Counter()
        for event in events:
            if call_id := event.get("call_id"):
                told[call_id, "end" if event["event"] in END else event["event"]] += 1
                if event["event"] in END and call_id in records:
                    self._contradicts(event, records[call_id], judged)
                if call_id not in records:
                    judged.fault("lost", f"{call_id}: {event['event']} was told, and there is no record")
        for call_id in records:
            for what in ("end", "sealed"):
                if told[call_id, what] != 1:
                    kind = "doubled" if told[call_id, what] else "never"
                    judged.fault(kind, f"{call_id}: {what} is told {told[call_id, what]} times")
        leaves = [json.loads(line) for line in (vault / "log/leaves.jsonl").read_bytes().splitlines()]
        closed = Counter(leaf["call_id"] for leaf in leaves if leaf["kind"] == "close")
        for call_id in {leaf["call_id"] for leaf in leaves if leaf["kind"] == "open"} | records.keys():
            if closed[call_id] != 1:
                judged.fault("doubled" if closed[call_id] else "never", f"{call_id}: {closed[call_id]} close leaves")

    def _contradicts(self, event: dict[str, Any], record: dict[str, Any], judged: Judged) -> None:
        for name in ("at", "disposition", "duration_s"):
            of_record = record.get("ended_at" if name == "at" else name)
            if event.get(name) != of_record:
                said = f"{event['event']} says {name} {event.get(name)}"
                judged.fault("doubled", f"{record['call_id']}: {said}, the record {of_record}")


def _first_whole(gaps: list[dict[str, Any]], samples: int) -> int:
    """The start of the first second without a gap, else the end of the last gap: audio to search for on the line."""
    at = 0
    for gap in sorted(gaps, key=lambda gap: gap["at_s"]):
        begins = round(gap["at_s"] * RATE_HZ)
        if begins - at >= RATE_HZ or begins >= samples:
            break
        at = begins + round(gap["ms"] * RATE_HZ / 1000)
    return at
