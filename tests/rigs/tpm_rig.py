# SPDX-License-Identifier: Apache-2.0
"""Debian's swtpm in place of the chip: a TPM with its secrets in a folder, reset by a reboot."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from linetap.config.schema import Config
from linetap.tpm import bootpolicy, commands
from linetap.tpm.device import open_device
from sealing_rig import run

READY_S = 120.0
ROOT = hashlib.sha256(b"the root of this version").hexdigest()
NEXT_ROOT = hashlib.sha256(b"the root of the next version").hexdigest()
STRANGE_ROOT = hashlib.sha256(b"a root that nobody has signed").hexdigest()


def short_folder() -> Path:
    """A folder with a short path: that of a socket is limited to 108 bytes."""
    return Path(tempfile.mkdtemp(prefix="tpm"))


class SoftTpm:
    def __init__(self, folder: Path) -> None:
        """`folder`: with a short path, because it contains a socket."""
        folder.mkdir(exist_ok=True)
        self.folder, self.path = folder, folder / "tpm"
        self._process: subprocess.Popen[bytes] | None = None

    def power_on(self) -> None:
        for name in ("tpm", "tpm.ctrl"):
            (self.folder / name).unlink(missing_ok=True)
        self._process = subprocess.Popen(
            [
                "swtpm", "socket", "--tpm2", "--tpmstate", f"dir={self.folder}",
                "--flags", "not-need-init,startup-clear",
                "--server", f"type=unixio,path={self.path}", "--ctrl", f"type=unixio,path={self.path}.ctrl",
            ]
        )  # fmt: skip
        deadline = time.monotonic() + READY_S
        while not self._listens():
            assert time.monotonic() < deadline, "swtpm does not listen"
            assert self._process.poll() is None, "swtpm has ended"
            time.sleep(0.01)

    def power_off(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def boot(self, root: str = ROOT, stages: tuple[str, ...] = ("run",)) -> None:
        """Measures as the initramfs does, after a reset."""
        self.power_off()
        self.power_on()
        for text in (f"linetap-root:{root}", *(f"linetap-stage:{stage}" for stage in stages)):
            self.extend(text)

    def extend(self, text: str) -> None:
        transport = open_device(self.path)
        commands.pcr_extend(transport, bootpolicy.PCR, hashlib.sha256(text.encode()).digest())
        transport.close()

    def tool(self, *command: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """Runs one of Debian's tpm2-tools on it."""
        environment = os.environ | {"TPM2TOOLS_TCTI": f"swtpm:path={self.path}"}
        return subprocess.run(
            command, input=stdin, capture_output=True, env=environment, cwd=self.folder, timeout=120, check=False
        )

    def _listens(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self.path)) == 0


class Release:
    """The signer of updates, and therefore of their boots."""

    def __init__(self, folder: Path) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.private, self.public = folder / "release.key", folder / "release.pem"
        self.private.write_bytes(self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        self.public.write_bytes(self.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))

    def command_line(self, root: str = ROOT) -> str:
        words = [boot.word for boot in bootpolicy.sign(root, self.key)]
        return " ".join(["panic=5", f"linetap.verity=100:{root}:aa", *words]) + "\n"


def in_tpm(config: Config, tpm: SoftTpm, release: Release, folder: Path, **other: Any) -> Config:
    """The configuration of a unit whose key is in the TPM; its command line is that of ROOT."""
    line = folder / "cmdline"
    line.write_text(release.command_line())
    where = msgspec.structs.replace(
        config.keys, unit_key="tpm", tpm=str(tpm.path), boots=str(line), release=str(release.public)
    )
    return msgspec.structs.replace(config, keys=where, key=str(folder / "tpm.key"), **other)


def stock_verifies(data: bytes, armored: bytes, namespace: str, unit: str, public_line: str, folder: Path) -> bool:
    (folder / "signers").write_text(f"{unit} {public_line}\n")
    (folder / "sig").write_bytes(armored)
    command = ["ssh-keygen", "-Y", "verify", "-f", str(folder / "signers"), "-I", unit, "-n", namespace]
    return run([*command, "-s", str(folder / "sig")], stdin=data).returncode == 0
