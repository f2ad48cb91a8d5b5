# SPDX-License-Identifier: Apache-2.0
"""The vault's thread of a commissioned unit, one call at a time, at any chosen time."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np

from linetap.config.retention import retention_of
from linetap.config.schema import Config
from linetap.recorder.vault.outbox.outbox import Outbox
from linetap.recorder.vault.signing import UnitKey
from linetap.recorder.vault.vault import Vault
from linetap.recorder.vault.writer import VaultWriter
from linetap.ring import Stretch
from linetap_core.clock import ManualClock, compact, parse_rfc3339
from linetap_core.codecs import mulaw
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.keys import keys
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_core.records import CallRecord, Retention
from unit_rig import Unit

FRAMES = 100_000
NOW = "2026-11-24T22:56:00.123Z"


class Source:
    """A silent line."""

    def stretch(self, line: int, first: int, end: int) -> Stretch:  # noqa: ARG002
        return Stretch(np.zeros(end - first, np.int16), [])


def clock(at: str = NOW) -> ManualClock:
    return ManualClock(utc_ns=parse_rfc3339(at))


def writer(config: Config, time: ManualClock | None = None) -> VaultWriter:
    key = keys.load_unit_key(Path(config.key).read_bytes())

    def signer(namespace: str) -> Callable[[bytes], str]:
        return lambda data: sshsig.sign(data, key, namespace)

    config.vault_path.mkdir(exist_ok=True)
    outbox = Outbox(
        config.vault_path / "outbox", config.unit, signer("linetap-event"), keys.fingerprint(key.public_key()), 1 << 20
    )
    time = time or clock()
    unit_log = UnitKey(Path(config.key)).open_log(config, time)
    return VaultWriter(Vault(config, Source(), outbox, signer(namespaces.RECORD), time, unit_log))


def begin(vault: VaultWriter, at: str = NOW, line: int = 1) -> str:
    """Begins a call that passes its gate; returns its id."""
    call_id = f"{compact(parse_rfc3339(at))}-L{line:02d}"
    vault.open(call_id, line, 0)
    vault.permit(call_id, FRAMES)
    assert vault.step()
    return call_id


def finish(vault: VaultWriter, config: Config, call_id: str, at: str = NOW, marked: bool = False) -> Retention:
    """Ends the call; returns the retention in its signed record."""
    line = int(call_id[-2:])
    record = CallRecord(call_id=call_id, unit=config.unit, line=line, ended_at=at)
    record.retention = retention_of(config, parse_rfc3339(at), line, "recorded", marked)
    vault.close(call_id, FRAMES, record)
    assert vault.step()
    return signed(config, call_id)


def signed(config: Config, call_id: str) -> Retention:
    found = msgspec.json.decode((folder(config, call_id) / sealed.RECORD).read_bytes(), type=CallRecord)
    assert found.retention is not None
    return found.retention


def folder(config: Config, call_id: str) -> Path:
    return config.vault_path / sealed.call_path(call_id)


def opens(unit: Unit, call_dir: Path, identity: Path) -> bool:
    """Whether the users' recipe with only stock age opens the call; the audio is then whole."""
    recipe = f"age -d -i {identity} key.age | age -d -i {unit.custodian} > {unit.folder}/call.key && "
    recipe += f"for p in audio.*.age; do age -d -i {unit.folder}/call.key $p; done"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", recipe], cwd=call_dir, capture_output=True, check=False)
    assert len(done.stdout) == (0 if done.returncode else FRAMES + len(mulaw.HEADER)), done.stderr
    return done.returncode == 0


def key_opens(call_dir: Path, identity: Path) -> bool:
    """Whether the key opens the outer layer, for a call that has not ended yet."""
    command = ["age", "-d", "-i", str(identity), str(call_dir / "key.age")]
    return subprocess.run(command, capture_output=True, timeout=120, check=False).returncode == 0
