# SPDX-License-Identifier: Apache-2.0
"""The output of `image --signed`, by the image's own steps on a small card, with keys of the test."""

from __future__ import annotations

import hashlib
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
MADE_AT = "1764400000"
VERITY = "linetap.verity=45000:" + "5f" * 32 + ":" + "5a" * 32


@dataclass
class Build:
    """The state of a build when its card is filled."""

    root: Path
    names: dict[str, str] = field(default_factory=dict)
    verity: str = VERITY
    version: str = "0.1.0"
    initramfs_bytes: int = 1 << 20
    part_min_mib: int | None = None  # instead of the image's: a FAT32 with fewer clusters than the standard requires

    def __post_init__(self) -> None:
        card = self.root / "work/card"
        (card / "a/overlays").mkdir(parents=True)
        (card / "b").mkdir()
        for name in ("start4.elf", "start4a.elf", "fixup4.dat", "fixup4a.dat"):
            (card / name).write_bytes(b"firmware" * 999)
        (card / "LICENCE.raspi-firmware").write_text("its licence")
        (card / "a/vmlinuz").write_text(f"kernel {self.version}")
        (card / "a/initramfs").write_bytes(os.urandom(self.initramfs_bytes))
        (card / "a/bcm2711-rpi-4-b.dtb").write_bytes(b"tree")
        (card / "a/overlays/linetap.dtbo").write_bytes(b"overlay")
        (self.root / "work/cmdline.txt").write_text(f"panic=5 {self.verity}\n")
        (card / "a/cmdline.txt").write_text(f"panic=5 {self.verity} linetap.slot=a\n")
        text = (PROJECT / "image/boot/config.txt").read_text().replace("@SLOT@", "a")
        for path in (card / "a/config.txt", card / "config.txt"):
            path.write_text(text)

    @property
    def signed(self) -> Path:
        return self.root / "signed"

    def run(self, *steps: str) -> subprocess.CompletedProcess[str]:
        script = f"""
set -euo pipefail
say() {{ :; }}
fail() {{ printf 'image: %s\\n' "$*" >&2; exit 1; }}
OUT={self.root} WORK={self.root}/work CARD={self.root}/work/card
export SOURCE_DATE_EPOCH={MADE_AT}
. image/layout.sh
{self._source()}
""" + "\n".join(steps)
        names = {name: text for name, text in os.environ.items() if not name.startswith("LINETAP_")} | self.names
        return subprocess.run(
            ["bash", "-c", script], cwd=PROJECT, env=names, capture_output=True, text=True, timeout=300, check=False
        )

    def _source(self) -> str:
        if self.part_min_mib is None:
            return ". image/steps/signed.sh"
        smaller = f"s/^readonly BOOTPART_MIN_MIB=40 /readonly BOOTPART_MIN_MIB={self.part_min_mib} /"
        return f". <(sed '{smaller}' image/steps/signed.sh)\n[ $BOOTPART_MIN_MIB = {self.part_min_mib} ]"

    def made(self) -> Path:
        done = self.run("require_boot_key", "pack_signed")
        assert done.returncode == 0, done.stderr
        return self.signed


def key(path: Path, *words: str) -> Path:
    command = [
        "openssl",
        "genpkey",
        "-out",
        str(path),
        *(words or ("-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048")),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    return path


def public(private: Path) -> Path:
    path = private.with_suffix(".public")
    subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", path], check=True, timeout=60)
    return path


def token(folder: Path, private: Path) -> Path:
    """A signing program for a token, in the form of Raspberry Pi's tools; it records its arguments."""
    path = folder / "token"
    path.write_text(
        f'#!/bin/sh\necho "$@" >>{folder}/called\n[ "$1 $2" = "-a rsa2048-sha256" ] || exit 1\n'
        f'openssl dgst -sha256 -sign {private} "$3" | xxd -p -c 4096\n'
    )
    path.chmod(0o755)
    return path


def verified(image: Path, sig: Path, by: Path, folder: Path) -> bool:
    """Whether hash and PKCS#1 v1.5 signature are valid, checked like usbboot with stock openssl."""
    lines = sig.read_text().splitlines()
    (folder / "sig.bin").write_bytes(bytes.fromhex(lines[2].removeprefix("rsa2048: ")))
    command = ["openssl", "dgst", "-sha256", "-verify", str(by), "-signature", str(folder / "sig.bin"), str(image)]
    good = subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0
    return good and lines[0] == hashlib.sha256(image.read_bytes()).hexdigest()
