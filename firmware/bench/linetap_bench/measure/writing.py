# SPDX-License-Identifier: Apache-2.0
"""Signed events of many units into a database, so many a second, as the ingest's own store takes them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from multiprocessing.synchronize import Event as Signal

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from linetap_bench.measure import callsmade
from linetap_core.clock import NS_PER_S, SYSTEM, compact, rfc3339
from linetap_core.evidence.keys import keys
from linetap_core.evidence.signing import namespaces, signers, sshsig
from linetap_core.evidence.signing.sshsig import unarmored
from linetap_core.records import CallEvent, EventKind
from linetap_core.vaultformat.outboxfiles import GENESIS
from linetap_desk.ingest import database
from linetap_desk.ingest.judge import Report
from linetap_desk.ingest.store import Store

TURN_S = 0.2
_STEPS: tuple[EventKind, ...] = ("started", "notice", "answered", "ended", "sealed")


@dataclass
class _Unit:
    """A new key: its events count from 1, beside whatever the database has of the unit."""

    name: str
    key: Ed25519PrivateKey = field(default_factory=keys.new_unit_key)
    seq: int = 0
    prev: str = GENESIS
    call_id: str = ""

    def report(self) -> Report:
        now_ns = SYSTEM.utc_ns()
        step = _STEPS[self.seq % len(_STEPS)]
        self.seq += 1
        line = self.seq // len(_STEPS) % callsmade.LINES + 1
        if step == "started":
            self.call_id = f"{compact(now_ns)}-L{line:02d}"
        event = CallEvent(
            seq=self.seq, event=step, at=rfc3339(now_ns), unit=self.name, call_id=self.call_id, line=line,
            prev=self.prev, origin=keys.fingerprint(self.key.public_key()), direction="in",
        )  # fmt: skip
        if step in ("ended", "sealed"):
            event = msgspec.structs.replace(event, disposition="recorded", duration_s=60.0)
        payload = msgspec.json.encode(event)
        self.prev = hashlib.sha256(payload).hexdigest()
        return Report(self.name, payload, unarmored(sshsig.sign(payload, self.key, namespaces.EVENT)), now_ns)


def write(url: str, events_s: int, stop: Signal) -> None:
    """Until told to stop. A turn that took too long is made up for by the next: that is what a broker's queue does."""
    units = [_Unit(callsmade.unit_name(number)) for number in range(callsmade.UNITS)]
    trusted = signers.parse("".join(f"{one.name} {keys.public_line(one.key.public_key())}\n" for one in units))
    engine = database.open_writer(url)
    store, began, told = Store(engine), SYSTEM.monotonic_ns(), 0
    while not stop.wait(TURN_S):
        wanted = (SYSTEM.monotonic_ns() - began) * events_s // NS_PER_S
        store.write([units[n % len(units)].report() for n in range(told, wanted)], trusted)
        told = wanted
    engine.dispose()
