# SPDX-License-Identifier: Apache-2.0
"""The vault's side of a recorder, controlled step by step, and its state after a power cut."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from linetap.recorder.calls.ports import AudioSource, CallSnapshot
from linetap.recorder.vault.journal.journal import Journal
from linetap.recorder.vault.outbox.outbox import Outbox
from linetap.recorder.vault.signing import UnitKey
from linetap.recorder.vault.vault import Vault
from linetap.recorder.vault.writer import VaultWriter
from linetap.ring import I16, RATE_HZ, Stretch
from linetap_core.clock import Clock, ManualClock
from linetap_core.codecs import g711, mulaw
from linetap_core.errors import DeviceFault
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.keys import keys
from linetap_core.evidence.signing import sshsig
from linetap_core.records import Caller, CallRecord
from linetap_desk.proofs import callfolder, verifycall
from sealing_rig import run
from unit_rig import Unit

CALL_ID = "20261124T225600.123Z-L01"
OTHER_ID = "20261124T225601.456Z-L02"
FIRST = 1000
NUMBER = "01012345678"
CODES = np.random.default_rng(5).integers(0, 127, 2_000_000).astype(np.uint8)
AUDIO: I16 = g711.decode(CODES)


class Source:
    def stretch(self, line: int, first: int, end: int) -> Stretch:
        assert line in (1, 2)
        return Stretch(AUDIO[first:end].copy(), [])


class NoRing:
    """No ring, as after a power cut."""

    def stretch(self, line: int, first: int, end: int) -> Stretch:
        raise DeviceFault("ring_absent", f"line {line}, {first} to {end}")


class Recorder:
    """The vault's side of a recorder, controlled step by step."""

    def __init__(self, unit: Unit, source: AudioSource | None = None, clock: Clock | None = None) -> None:
        self.unit = unit
        key = keys.load_unit_key(Path(unit.config.key).read_bytes())
        self.vault_path = unit.config.vault_path
        self.vault_path.mkdir(exist_ok=True)
        outbox = Outbox(
            self.vault_path / "outbox",
            "floor-03",
            lambda data: sshsig.sign(data, key, "linetap-event"),
            "origin",
            1 << 22,
        )
        clock = clock or ManualClock(sealed.call_ns(CALL_ID))
        self.journal = Journal(self.vault_path, 2, source or Source(), clock)
        self.vault = VaultWriter(Vault(
            unit.config, source or Source(), outbox, lambda data: sshsig.sign(data, key, "linetap-record"), clock,
            UnitKey(Path(unit.config.key)).open_log(unit.config, clock), self.journal,
        ))  # fmt: skip

    def begin(self, call_id: str = CALL_ID, line: int = 1) -> None:
        """Passes the gate, without any sample yet."""
        self.note(call_id, line)
        self.vault.open(call_id, line, FIRST)
        assert self.vault.step()
        self.journal.step()

    def note(self, call_id: str = CALL_ID, line: int = 1, **more: object) -> None:
        record = CallRecord(
            call_id=call_id, unit="floor-03", line=line, direction="in", disposition="recorded",
            answered_at="2026-11-24T22:56:00.123Z", caller=Caller(number=NUMBER),
        )  # fmt: skip
        note = CallSnapshot(msgspec.structs.replace(record, **more), FIRST, sealed.call_ns(CALL_ID))
        self.vault.snapshot(call_id, note)

    def talk(self, seconds: float, call_id: str = CALL_ID, begin: float = 0.0) -> None:
        """Writes talk into the journal every quarter of a second; the vault's thread does not run."""
        for tick in range(round(begin * 4) + 1, round(seconds * 4) + 1):
            self.vault.permit(call_id, FIRST + tick * RATE_HZ // 4)
            self.journal.step()

    def folder(self, call_id: str = CALL_ID) -> Path:
        return self.vault_path / sealed.call_path(call_id)

    def record(self, call_id: str = CALL_ID) -> CallRecord:
        """The sealed record; asserts that it has no fault."""
        verdict = verifycall.verify_call(self.folder(call_id), callfolder.load_signers(self.unit.signers))
        assert verdict.good, list(verdict.lines())
        assert verdict.record is not None
        return verdict.record

    def heard(self, call_id: str = CALL_ID) -> bytes:
        """The audio, by the users' recipe with only stock `age`."""
        recipe = (
            f"age -d -i {self.unit.epoch} key.age | age -d -i {self.unit.custodian} > {self.unit.folder}/call.key;"
            f" for p in audio.*.age; do age -d -i {self.unit.folder}/call.key $p; done"
        )
        stream = run(["sh", "-c", recipe], cwd=self.folder(call_id)).stdout
        assert stream.startswith(mulaw.HEADER)
        return stream[len(mulaw.HEADER) :]

    def events(self) -> list[str]:
        return [event["event"] for event in self.said()]

    def said(self) -> list[dict[str, Any]]:
        lines = b"".join(
            path.read_bytes() for path in sorted((self.vault_path / "outbox").glob("*.events"))
        ).splitlines()
        return [json.loads(json.loads(line[16:])["payload"]) for line in lines]


def after_cut(recorder: Recorder, clock: Clock | None = None) -> Recorder:
    """The recorder's next start, with an empty RAM."""
    for path in recorder.unit.config.run_path.rglob("*"):
        if path.is_file():
            path.unlink()
    return Recorder(recorder.unit, NoRing(), clock)
