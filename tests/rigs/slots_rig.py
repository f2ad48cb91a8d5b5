# SPDX-License-Identifier: Apache-2.0
"""Bundles made by the shipped script and signed, and the shipped RAUC configuration with files as slots.

This kernel may lack dm-verity, which the shipped configuration does not need.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from boot_rig import CMDLINE, CONFIG, IMAGE

LIMIT_S = 120
SLOT_BYTES = 2 << 20
HERE = 'here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)'  # of bundle.sh


def skip_reason() -> str | None:
    """The reason why no bundle can be made here."""
    return None if shutil.which("rauc") and shutil.which("mksquashfs") else "there is no rauc or no mksquashfs here"


@dataclass(frozen=True)
class Signer:
    certificate: Path
    key: Path

    @classmethod
    def new(cls, folder: Path, name: str) -> Signer:
        made = cls(folder / f"{name}.pem", folder / f"{name}.key")
        words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        words += ["-days", "30", "-subj", f"/O=linetap/CN={name}"]
        words += ["-keyout", str(made.key), "-out", str(made.certificate)]
        subprocess.run(words, check=True, capture_output=True, timeout=LIMIT_S)
        return made


def make_root(folder: Path, version: str) -> bytes:
    """A squashfs with its boot files; without a kernel if `version` is empty."""
    tree, image = folder / "tree", folder / "tree.img"
    shutil.rmtree(tree, ignore_errors=True)
    boot = tree / "usr" / "lib" / "linetap" / "boot"
    (boot / "overlays").mkdir(parents=True)
    (boot / "overlays" / "README").write_text("Overlays of this slot.\n")
    firmware = tree / "usr" / "lib" / "linetap" / "firmware"
    firmware.mkdir()
    for name in ("start4.elf", "fixup4.dat"):
        (firmware / name).write_text(f"{name} {version}")
    (tree / "rest").write_bytes(os.urandom(64 << 10))  # RAUC rejects a bundle smaller than a block
    if version:
        (boot / "vmlinuz").write_text(f"kernel {version}")
    words = ["mksquashfs", str(tree), str(image), "-quiet", "-no-progress", "-noappend", "-all-root"]
    subprocess.run(words, check=True, capture_output=True, timeout=LIMIT_S)
    return image.read_bytes()


def make_bundle(
    folder: Path,
    version: str,
    signer: Signer,
    format_: str = "plain",
    compatible: str = "linetap",
    kernel: bool = True,
) -> Path:
    """A bundle by image/bundle.sh; with another `compatible` like one of another product."""
    image, cmdline, config = (folder / name for name in ("slot.img", "slot.cmdline", "config.txt"))
    image.write_bytes(make_root(folder, version if kernel else ""))
    cmdline.write_text(f"{CMDLINE}\n")
    config.write_text(CONFIG)
    script = IMAGE / "bundle.sh"
    if compatible != "linetap":
        script = folder / "bundle.sh"
        text = (IMAGE / "bundle.sh").read_text()
        for old, new in (("compatible=linetap", f"compatible={compatible}"), (HERE, f"here={IMAGE}")):
            assert old in text
            text = text.replace(old, new)
        script.write_text(text)
        script.chmod(0o755)
    out = folder / f"linetap-{version}.raucb"
    out.unlink(missing_ok=True)
    done = subprocess.run(
        [script, version, image, cmdline, config, out, signer.certificate, signer.key], capture_output=True, text=True,
        timeout=LIMIT_S, check=False, env={**os.environ, "LINETAP_BUNDLE_FORMAT": format_},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return out


def system_conf(keyring: Path | str, slots: Path | str, data: Path | str, backend: Path | str) -> str:
    """The shipped configuration, with these paths."""
    text = (IMAGE / "root" / "etc" / "rauc" / "system.conf").read_text()
    for old, new in (
        ("/etc/rauc/keyring.pem", str(keyring)),
        ("/dev/disk/by-partlabel/linetap-a", f"{slots}/a.img"),
        ("/dev/disk/by-partlabel/linetap-b", f"{slots}/b.img"),
        ("/var/lib/linetap/update/rauc", str(data)),
        ("/usr/lib/linetap/slots", str(backend)),
    ):
        assert old in text, old
        text = text.replace(old, new)
    return text
