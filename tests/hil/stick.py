# SPDX-License-Identifier: Apache-2.0
"""The next version of the image on a USB stick, which is plugged into a machine that runs."""

from __future__ import annotations

import subprocess
from pathlib import Path

from machine import COMMAND_S, PROJECT, Machine

MAKE_S = 400


def next_version(machine: Machine, folder: Path, version: str, change: str = ":") -> Path:
    """The signed update: the running image with this version and change."""
    made = folder / f"linetap-{version}.raucb"
    script = str(PROJECT / "tests" / "hil" / "next_version.sh")
    with machine.still():
        subprocess.run(["nice", script, version, str(made), change], check=True, capture_output=True, timeout=MAKE_S)
    return made


def plug_in(machine: Machine, folder: Path, bundle: Path) -> None:
    image = folder / "stick.img"
    image.unlink(missing_ok=True)
    subprocess.run(["truncate", "-s", "400M", image], check=True, timeout=COMMAND_S)
    subprocess.run(["mkfs.vfat", image], check=True, capture_output=True, timeout=COMMAND_S)
    subprocess.run(["mcopy", "-i", image, bundle, "::"], check=True, timeout=COMMAND_S)
    machine.qmp("blockdev-add", driver="raw", **{"node-name": "stick", "read-only": True},
                file={"driver": "file", "filename": str(image)})  # fmt: skip
    machine.qmp("device_add", driver="usb-storage", drive="stick", id="stick")
