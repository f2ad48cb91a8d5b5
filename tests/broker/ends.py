# SPDX-License-Identifier: Apache-2.0
"""The two clients of a broker, as processes: a unit's reporter and the desk's ingest."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from broker import until
from ingest_rig import Ingesting, Teller
from linetap.recorder.vault.outbox.reader import OutboxReader
from linetap_core.evidence.keys import keys
from linetap_core.evidence.signing.sshsig import unarmored
from linetap_core.wire.mqtt import Broker as BrokerConfig
from reporter_rig import Floor

UNIT = "floor-03"
SERVE = Path(__file__).parents[1] / "desk" / "serve_ingest.py"
ANSWER_MS = 1000
AGAIN_S = 2.0
Publish = Callable[[str, bytes, str], object]  # topic, payload, sig


class End(Protocol):
    """A client of the broker, which runs within a `with` block."""

    @property
    def pid(self) -> int: ...

    def said(self) -> str: ...

    def works(self) -> None:
        """Returns once new events are delivered; fails if one of these or of the earlier events is lost."""


class ReporterEnd:
    def __init__(self, folder: Path, run_dir: Path, broker: BrokerConfig) -> None:
        self._floor = Floor(folder, run_dir, broker.port, broker=broker)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> ReporterEnd:
        self._floor.__enter__()
        self._process = self._floor.reporter(answer_ms=ANSWER_MS)
        return self

    def __exit__(self, *_: object) -> None:
        self._floor.__exit__(None)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def said(self) -> str:
        return self._floor.said()

    def works(self) -> None:
        self._floor.events(3)
        wanted = self._floor.outbox.last_seq
        self._floor.reached(lambda state: state.connected and state.delivered_seq == wanted)


class IngestEnd:
    def __init__(self, folder: Path, broker: BrokerConfig, publish: Publish) -> None:
        folder.mkdir(exist_ok=True)
        self._teller, self._publish = Teller(folder), publish
        signers, config, key = folder / "allowed_signers", folder / "desk.toml", folder / "desk.key"
        signers.write_text(self._teller.signer)
        key.write_bytes(keys.unit_key_file(keys.new_unit_key()))
        named = {"host": broker.host, "ca": broker.ca, "certificate": broker.certificate, "key": broker.key}
        lines = [f'{name} = "{value}"\n' for name, value in named.items() if value is not None]
        config.write_text(f"[broker]\nport = {broker.port}\nkeepalive_s = 5\n" + "".join(lines))
        self._ingest = Ingesting(folder, broker.port, signers, (sys.executable, str(SERVE), "ingest"))
        self._ingest.words = ["--config", str(config), "--db", self._ingest.db, "--signers", str(signers)]
        self._ingest.words += ["--key", str(key)]

    def __enter__(self) -> IngestEnd:
        self._ingest.start()
        until(lambda: "connected to" in self.said(), why=self.said)
        return self

    def __exit__(self, *_: object) -> None:
        self._ingest.__exit__()
        self._teller.outbox.close()

    @property
    def pid(self) -> int:
        return self._ingest.pid

    def said(self) -> str:
        return self._ingest.said()

    def works(self) -> None:
        for _ in range(3):
            self._teller.tell()
        wanted = range(1, self._teller.outbox.last_seq + 1)
        events = OutboxReader(self._teller.folder / "outbox").from_seq(1, len(wanted))

        def there() -> bool:
            return sorted(self._ingest.seqs()) == list(wanted)

        def told() -> bool:
            """Sends missing events again, as a unit does, because the first event may precede the subscription."""
            stored = self._ingest.seqs()
            for seq, payload, sig in events:
                if seq not in stored:
                    self._publish(f"linetap/v1/{UNIT}/call", payload, unarmored(sig))
            with contextlib.suppress(AssertionError):
                return until(there, AGAIN_S)
            return False

        until(told, 120)
