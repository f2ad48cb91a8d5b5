# SPDX-License-Identifier: Apache-2.0
"""Keys of all parties in sealing and opening, and stock tools to verify the results."""

from __future__ import annotations

import hashlib
import random
import subprocess
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from linetap.recorder.vault.callfolder.folder import CallFolder
from linetap.recorder.vault.log.log import UnitLog
from linetap_core.clock import ManualClock, parse_rfc3339
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.calls.callkey import OfCall
from linetap_core.evidence.keys import keys
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_core.records import Audio, Caller, CallRecord, Retention

CALL_ID = "20261124T225600.123Z-L03"
UNIT = "closet-3f"
NOW = "2026-11-24T22:57:00.000Z"
TIMEOUT_S = 120


@dataclass(frozen=True)
class Rig:
    """A vault, two custodians, an epoch, a unit, and the desk's list of signers."""

    root: Path
    vault: Path
    custodian_files: list[Path]
    custodians: list[str]
    epoch_file: Path
    epoch: str
    unit_key: Ed25519PrivateKey
    signers_file: Path

    @classmethod
    def make(cls, root: Path) -> Rig:
        (root / "vault").mkdir()
        for name in ("custodian1", "custodian2", "epoch"):
            (root / f"{name}.txt").write_text(keys.identity_file(keys.new_identity(), "2026-11-24T00:00:00.000Z"))
        unit_key = keys.new_unit_key()
        (root / "unit.key").write_bytes(keys.unit_key_file(unit_key))
        (root / "unit.key").chmod(0o600)
        (root / "allowed_signers").write_text(f"{UNIT} {keys.public_line(unit_key.public_key())}\n")
        return cls.at(root)

    @classmethod
    def at(cls, root: Path) -> Rig:
        """A copy of a rig from `make`, in another place."""
        custodian_files = [root / "custodian1.txt", root / "custodian2.txt"]
        return cls(
            root=root,
            vault=root / "vault",
            custodian_files=custodian_files,
            custodians=[_recipient(path) for path in custodian_files],
            epoch_file=root / "epoch.txt",
            epoch=_recipient(root / "epoch.txt"),
            unit_key=keys.load_unit_key((root / "unit.key").read_bytes()),
            signers_file=root / "allowed_signers",
        )

    def sign(self, data: bytes) -> str:
        return sshsig.sign(data, self.unit_key, namespaces.RECORD)

    def create(self, call_id: str = CALL_ID) -> CallFolder:
        return CallFolder.create(self.vault, OfCall(UNIT, call_id), self.epoch, self.custodians)

    def resume(self, folder: CallFolder) -> CallFolder:
        return CallFolder.resume(self.vault, folder.path.name, folder.recipient, folder.inner)

    def sealed_call(self, samples: int, call_id: str = CALL_ID) -> Path:
        """A whole sealed call of speech-like bytes; its folder."""
        folder = self.create(call_id)
        folder.write(noise(samples))
        folder.seal(record(samples, call_id), self.sign)
        return folder.path

    def sealed_record_sha256(self, call_id: str = CALL_ID) -> str:
        return hashlib.sha256((self.vault / sealed.call_path(call_id) / sealed.RECORD).read_bytes()).hexdigest()

    def log(self) -> UnitLog:
        """The unit's log, reopened, at the time of the calls."""
        return UnitLog(self.vault, UNIT, self.unit_key, ManualClock(parse_rfc3339(NOW)))

    def sign_head(self, data: bytes) -> str:
        return sshsig.sign(data, self.unit_key, namespaces.HEAD)

    def publish(self) -> None:
        """Enters every sealed call of the vault into its log, under a signed head."""
        log = self.log()
        log.publish()
        log.close()

    def joined(self, path: Path) -> bytes:
        """The .au stream of a call, by the users' recipe with only stock `age`."""
        recipe = (
            f"age -d -i {self.epoch_file} key.age | age -d -i {self.custodian_files[0]} > {self.root}/call.key"
            f" && for p in audio.*.age; do age -d -i {self.root}/call.key $p; done"
        )
        return run(["sh", "-c", recipe], cwd=path).stdout


def _recipient(path: Path) -> str:
    return keys.parse_identity_file(path.read_text())[0].recipient


def noise(samples: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(samples)


def record(samples: int, call_id: str = CALL_ID) -> CallRecord:
    return CallRecord(
        call_id=call_id,
        unit=UNIT,
        line=3,
        direction="in",
        disposition="recorded",
        duration_s=samples / 8000 + 0.5,
        dialled="0212345678",
        caller=Caller(number="01012345678", name="홍길동", by="caller_id"),
        smdr="raw line",
        audio=Audio(samples=samples),
        retention=Retention(class_="normal", epoch="2027-11-24", until="2027-11-24T15:00:00.000Z"),
    )


def run(command: list[str], cwd: Path | None = None, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(command, cwd=cwd, input=stdin, capture_output=True, timeout=TIMEOUT_S, check=False)
