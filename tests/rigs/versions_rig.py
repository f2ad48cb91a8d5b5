# SPDX-License-Identifier: Apache-2.0
"""A log of versions cosigned by three witnesses, two of them not ours, and bundles signed by stock RAUC."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import witness_rig
from boot_rig import CONFIG, IMAGE, SCRIPT
from linetap.update.rauc import Rauc
from linetap_core.cli import main
from linetap_core.evidence.keys import keys
from linetap_core.versions import entry
from linetap_desk.versions import log
from slots_rig import LIMIT_S, Signer, make_root, system_conf
from witness_rig import Running

COMMIT = "0f3a4bb3" * 5
ROOT = "84" * 32


def bundle(folder: Path, version: str, signer: Signer, format_: str = "plain", *, for_signed: bool = False) -> Path:
    """A bundle by image/bundle.sh, with a new root each time. `for_signed`: for a signed card, whose boot.part is
    large, with an empty boot.img.
    """
    folder.mkdir(parents=True, exist_ok=True)
    image, cmdline, config = (folder / name for name in ("slot.img", "slot.cmdline", "config.txt"))
    image.write_bytes(make_root(folder, version))
    cmdline.write_text(f"console=tty1 linetap.verity=256:{ROOT}:5a17\n")
    config.write_text(CONFIG)
    out = folder / f"linetap-{version}.raucb"
    out.unlink(missing_ok=True)
    words = [IMAGE / "bundle.sh", version, image, cmdline, config, out, signer.certificate, signer.key]
    if for_signed:
        for name in ("boot.part", "boot.place", "boot.sig"):
            (folder / name).write_bytes(b"x" * (3 << 20 if name == "boot.part" else 5000))
        words.append(folder)
    done = subprocess.run(
        [*map(str, words)], capture_output=True, text=True, timeout=LIMIT_S, check=False,
        env={**os.environ, "LINETAP_BUNDLE_FORMAT": format_},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return out


def rauc(folder: Path, signer: Signer) -> Rauc:
    """Stock RAUC, configured as on a unit, which trusts the signer."""
    (folder / "system.conf").write_text(system_conf(signer.certificate, folder, folder, SCRIPT))
    return Rauc(str(SCRIPT), ("--conf", str(folder / "system.conf")))


@dataclass
class VersionLog:
    root: Path
    key: Ed25519PrivateKey
    witnesses: list[Running]
    at_least: int = 2
    folder: Path = field(init=False)

    def __post_init__(self) -> None:
        self.folder = self.root / "versions"
        witness_rig.write_key(self.root / "versions.key", self.key)
        witness_rig.policy(self.root / "policy", self.witnesses, self.at_least, f"log {self.public}\n")

    @property
    def public(self) -> str:
        return self.key.public_key().public_bytes_raw().hex()

    @property
    def policy(self) -> str:
        return (self.root / "policy").read_text()

    def run(self, verb: str, *words: object) -> int:
        return main(["versions", verb, *map(str, words), "--policy", str(self.root / "policy")])

    def add(self, made: Path, commit: str = COMMIT) -> int:
        return self.run("add", made, "--log", self.folder, "--key", self.root / "versions.key", "--commit", commit)

    def proof(self, made: Path) -> bytes:
        """Adds a bundle to the log; returns its proof."""
        assert self.add(made) == 0
        return entry.proof_path(made).read_bytes()


@contextlib.contextmanager
def version_log(root: Path, key: Ed25519PrivateKey | None = None) -> Iterator[VersionLog]:
    key = key or keys.new_unit_key()
    root.mkdir(parents=True, exist_ok=True)
    with witness_rig.all_three(root / "witnesses", key.public_key(), log.NAME) as running:
        yield VersionLog(root, key, running)
