# SPDX-License-Identifier: Apache-2.0
"""A desk that copies the index of one real unit, without a network. A test may drop or change messages."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
from copy_rig import arrived
from sqlalchemy import insert

from indexed_unit import Indexed
from keeping_rig import UNIT, Keeper
from linetap_core.broker.connection import Arrived
from linetap_core.evidence.calls import index
from linetap_core.evidence.keys import keys
from linetap_core.wire.mqtt import Message
from linetap_desk.config.desk import CopyConfig
from linetap_desk.copy.indexfolder import IndexFolder
from linetap_desk.copy.service import Copying, start_copies
from linetap_desk.ingest import database, tables
from linetap_desk.ingest.register import SignersFile

Sent = tuple[bytes, dict[str, str], bytes | None]  # payload, properties, correlation
SECOND = 1_000_000_000


class IndexDesk:
    """`unit` and desk share a clock. `between`: maps each message to the delivered one; None: it is lost."""

    def __init__(self, folder: Path, run_dir: Path, **config: object) -> None:
        keeper = Keeper(folder, run_dir)
        keeper.upkeep.time.tick()
        keeper.take_roles()
        self.unit, self.clock = Indexed(keeper), keeper.clock
        self.store = folder / "store"
        self.store.mkdir()
        key = keys.load_unit_key(Path(keeper.config.key).read_bytes())
        (folder / "allowed_signers").write_text(f"{UNIT} {keys.public_line(key.public_key())}\n")
        self.signers = SignersFile(folder / "allowed_signers")
        self.engine = database.open_writer(f"sqlite:///{folder / 'desk.db'}")
        self.config = msgspec.convert({"store": f"file://{self.store}", "day_kbit_s": None} | config, CopyConfig)
        self.between: Callable[[Sent], Sent | None] = lambda sent: sent
        self.asked: list[dict[str, str]] = []
        with self.engine.begin() as db:
            db.execute(insert(tables.units).values(unit=UNIT, named=True, state="online", set_aside=0))
        self.copying = self.start()

    def start(self) -> Copying:
        self.copying = start_copies(self.config, self.engine, self.signers, self._command, self.clock)
        return self.copying

    def restart(self) -> None:
        self.copying.end()
        self.start()

    def turns(self, seconds: float = 30, most_messages: int = 100_000) -> int:
        """Runs the desk for this time, one turn a second, or every five if it is long; returns the number
        of messages.
        """
        came, step_s = 0, 1 if seconds <= 60 else 5
        for _ in range(round(seconds / step_s)):
            for message in list(self.copying.turn()):
                body = msgspec.json.decode(message.payload, type=dict[str, str])
                self.asked.append(body)
                for sent in self.unit.messages(body, message.correlation or b""):
                    passed = self.between((sent.payload, dict(sent.more), sent.correlation))
                    if passed is None:
                        continue
                    if came == most_messages:
                        return came
                    came += 1
                    self.copying.arrived(UNIT, _arrived(*passed))
            self.clock.advance(step_s * SECOND)
        return came

    def _command(self, unit: str, verb: str, body: dict[str, str]) -> Message:
        return Message(f"{unit}/{verb}", msgspec.json.encode(body))

    # --- results ---------------------------------------------------------------------------------------------------

    @property
    def folder(self) -> IndexFolder:
        return IndexFolder(self.store, UNIT)

    def differences(self) -> set[str]:
        """Names of segments that differ between desk and unit."""
        theirs = contents(self.unit.root)
        own = contents(self.store / UNIT / index.FOLDER)
        return {name for name in theirs.keys() | own.keys() if theirs.get(name) != own.get(name)}

    def close(self) -> None:
        self.copying.end()
        self.engine.dispose()


def contents(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.glob("*/*.age")}


def _arrived(payload: bytes, user: dict[str, str], correlation: bytes | None) -> Arrived:
    return arrived(payload, user, correlation)
