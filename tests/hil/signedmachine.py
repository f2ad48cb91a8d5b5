# SPDX-License-Identifier: Apache-2.0
"""A signed card in the emulated machine, started by the boot loader of a Pi with SIGNED_BOOT=1 (pi_firmware.py).

It passes the content of boot.img to the kernel, and the number of its partition on the command line.
"""

from __future__ import annotations

import gzip
import subprocess
from dataclasses import dataclass
from pathlib import Path

from machine import PROJECT, Begun, Machine

import pi_firmware
from pi_firmware import Start
from signed_rig import key, public

MAKE_S = 900


@dataclass(frozen=True)
class Signed:
    """A signed image: its card, its update, and their signing key."""

    folder: Path
    key: Path

    @classmethod
    def new(cls, folder: Path) -> Signed:
        folder.mkdir()
        return cls(folder, key(folder / "boot.pem"))

    @property
    def public(self) -> Path:
        return public(self.key)

    def make(self, version: str, what: str, change: str = ":") -> Path:
        """The folder with linetap.img (`what` is card) and linetap-VERSION.raucb."""
        into = self.folder / version
        command = [PROJECT / "tests/hil/signed_card.sh", self.key, version, into, what, change]
        done = subprocess.run(
            ["nice", *map(str, command)], capture_output=True, text=True, timeout=MAKE_S, check=False
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return into


class SignedMachine(Machine):
    """`public`: the key to which its EEPROM is locked."""

    def __init__(self, folder: Path, image: Path, public: Path) -> None:
        super().__init__(folder, image, counted=True)
        self.public = public
        self.started: Start | None = None

    def _firmware(self) -> Begun:
        tryboot = self.get("tryboot") is not None
        if tryboot:
            self._mtools("mdel", "::tryboot")  # valid once
        start = self.started = pi_firmware.start(pi_firmware.partitions(self.card), self.public, tryboot=tryboot)
        words = f"{start.cmdline} linetap.partition={start.partition}"
        kernel = gzip.decompress(start.files["vmlinuz"])  # decompressed, as by the firmware
        return Begun(f"partition {start.partition}", kernel, start.files["initramfs"], words)
