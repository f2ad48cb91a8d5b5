# SPDX-License-Identifier: Apache-2.0
"""A vault whose log is sent to two witnesses, with a clock controlled by the test."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from linetap.recorder.vault.log.log import UnitLog
from linetap_core.cli import main
from linetap_core.clock import ManualClock, parse_rfc3339
from linetap_core.evidence.keys import keys
from linetap_core.evidence.keys.keys import SigningKey
from linetap_core.evidence.witness import checkpoint
from linetap_desk.witnessing.witness import CheckpointWitness, Server
from sealing_rig import UNIT, Rig
from witness_rig import Running, name_keeper, policy, write_key


@dataclass
class Site:
    """`clock` is that of the witnesses; the unit's is independent."""

    rig: Rig
    clock: ManualClock
    witnesses: list[Running]
    root: Path

    @property
    def heads(self) -> Path:
        return self.root / "heads"

    def at(self, time: str) -> None:
        self.clock.step_utc(parse_rfc3339(time) - self.clock.utc_ns())

    def log(self, time: str, key: SigningKey | None = None) -> UnitLog:
        """The unit's log, written with its key at any time."""
        return UnitLog(self.rig.vault, UNIT, key or self.rig.unit_key, ManualClock(parse_rfc3339(time)))

    def call(self, call_id: str, logged_at: str) -> Path:
        """A call whose own time and time of closing in the log are chosen separately."""
        path = self.rig.sealed_call(200, call_id)
        log = self.log(logged_at)
        log.close_call(call_id)
        log.publish()
        log.close()
        return path

    def carry(self, *more: str) -> int:
        words = [self.rig.vault / "log", "--key", self.root / "keeper.key", "--policy", self.root / "policy"]
        return main(
            ["checkpoint", *map(str, words), "--signers", str(self.rig.signers_file), *more, "-o", str(self.heads)]
        )

    def verify(self, *more: str, policy: bool = True) -> int:
        words = [f"--policy={self.root / 'policy'}", f"--heads={self.heads}"] if policy else []
        return main(["verify", str(self.rig.vault), "--signers", str(self.rig.signers_file), *words, *more])


@contextlib.contextmanager
def site(root: Path, at: str, rig: Rig | None = None) -> Iterator[Site]:
    rig, keeper = rig or Rig.make(root), keys.new_unit_key()
    write_key(root / "keeper.key", keeper)
    name_keeper(rig.signers_file, UNIT, keeper.public_key())
    (root / "heads").mkdir()
    made = Site(rig, ManualClock(parse_rfc3339(at)), [], root)
    with contextlib.ExitStack() as stack:
        for name in ("first", "second"):
            made.witnesses.append(stack.enter_context(_served(root, name, keeper, made.clock)))
        policy(root / "policy", made.witnesses, 2)
        yield made


@contextlib.contextmanager
def _served(root: Path, name: str, keeper: Ed25519PrivateKey, clock: ManualClock) -> Iterator[Running]:
    key, log = keys.new_unit_key(), checkpoint.log_key(keeper.public_key())
    witness = CheckpointWitness(f"{name}.example", key, {log.name: log}, root / f"{name}.seen", clock)
    with Server(("127.0.0.1", 0), witness) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.server_address[1]}/"
            yield Running(name, key.public_key().public_bytes_raw(), url)
        finally:
            server.shutdown()
            thread.join()
