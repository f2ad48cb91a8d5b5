# SPDX-License-Identifier: Apache-2.0
"""A unit with a signed card: the first partition as a folder, the others as files, the shipped scripts on them, and a
boot loader that follows the documentation (pi_firmware.py). RAUC's steps are done in its order.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pi_firmware
from boot_rig import HOOK, IMAGE, LIMIT_S, SCRIPT, marks
from pi_firmware import Fat, Files, Folder, Start
from signed_rig import Build, public

SLOTS = {2: "a", 3: "b"}
PART_BYTES, ROOT_BYTES = 48 << 20, 2 << 20
# Every step of an update reads a slot's partition several times. Therefore it has 12 MiB here instead of 40; a quarter
# of it is an initramfs without zeros, so that an unwritten part is detected.
INITRAMFS_BYTES, PART_MIN_MIB = 3 << 20, 1
CONFIG = (IMAGE / "boot/config.txt").read_text()


@dataclass(frozen=True)
class Version:
    """A root with its hash tree, and its signed files."""

    name: str
    root: Path
    verity: str
    build: Build

    @classmethod
    def new(cls, folder: Path, name: str, key: Path) -> Version:
        folder.mkdir()
        root = folder / "root.img"
        root.write_bytes(os.urandom(64 * 4096))
        said = subprocess.run(
            ["veritysetup", "format", root, root, "--hash-offset=262144", "--data-blocks=64"],
            capture_output=True, text=True, timeout=LIMIT_S, check=True,
        ).stdout  # fmt: skip
        found = {line.split(":")[0]: line.split(":")[1].strip() for line in said.splitlines() if ":" in line}
        verity = f"64:{found['Root hash']}:{found['Salt']}"
        names, word = {"LINETAP_BOOT_KEY": str(key)}, f"linetap.verity={verity}"
        build = Build(folder / "build", names, word, name, INITRAMFS_BYTES, PART_MIN_MIB)
        build.made()
        return cls(name, root, verity, build)

    def bundle(self, folder: Path) -> Path:
        """The bundle's content as mounted by RAUC; test_rauc_bundle.py tests image/bundle.sh."""
        folder.mkdir()
        for name in ("boot.part", "boot.place", "boot.sig"):
            shutil.copy(self.build.signed / name, folder / name)
        for name in ("autoboot", "bootfiles"):
            (folder / name).symlink_to(SCRIPT.with_name(name))
        (folder / "cmdline.txt").symlink_to(self.build.root / "work/cmdline.txt")
        (folder / "config.txt").write_text(CONFIG)
        (folder / "hook.sh").symlink_to(HOOK)
        return folder


class SignedUnit:
    """Slot a starts `version`; b is empty. `key`: its EEPROM is locked to it, and its root has the public half."""

    def __init__(self, root: Path, version: Version, key: Path) -> None:
        self.root, self.boot, self.proc = root, root / "boot", root / "proc"
        self.parts, self.bin, self.key = root / "parts", root / "bin", public(key)
        for folder in (self.proc, self.parts, self.bin):
            folder.mkdir(parents=True)
        shutil.copytree(version.build.root / "work/first", self.boot)
        for slot in "ab":
            for name, size in ((f"linetap-{slot}", ROOT_BYTES), (f"linetap-boot-{slot}", PART_BYTES)):
                (self.parts / name).touch()
                os.truncate(self.parts / name, size)
        _write(version.build.signed / "boot.part", self.parts / "linetap-boot-a")
        _write(version.root, self.parts / "linetap-a")
        self.say_restarts()
        self.loader = self.proc / "device-tree/chosen/bootloader"
        self.loader.mkdir(parents=True)
        self.power_on()

    @property
    def environment(self) -> dict[str, str]:
        paths = {
            "LINETAP_BOOT": self.boot, "LINETAP_PROC": self.proc, "LINETAP_PARTS": self.parts,
            "LINETAP_TOLD": self.root / "told", "LINETAP_STARTED": self.root / "started",
            "LINETAP_BOOT_PUBLIC": self.key,
        }  # fmt: skip
        return os.environ | {"PATH": f"{self.bin}:{os.environ['PATH']}"} | {name: str(at) for name, at in paths.items()}

    @property
    def card(self) -> Mapping[int, Files]:
        return {1: Folder(self.boot), 2: Fat(self.parts / "linetap-boot-a"), 3: Fat(self.parts / "linetap-boot-b")}

    # --- What the unit does

    def say_restarts(self) -> None:
        """A systemctl that records its requests."""
        (self.bin / "systemctl").write_text(f'#!/bin/sh\necho "$@" >>{self.root}/systemctl\n')
        (self.bin / "systemctl").chmod(0o755)

    def call(self, *words: str, code: int = 0) -> str:
        done = self.run(SCRIPT, *words)
        assert done.returncode == code, (words, done.stdout, done.stderr)
        return (done.stdout or done.stderr).strip()

    def run(self, *words: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*map(str, words)], env=self.environment, capture_output=True, text=True, timeout=LIMIT_S, check=False,
            start_new_session=True,
        )  # fmt: skip

    def hook(self, bundle: Path, word: str) -> subprocess.CompletedProcess[str]:
        slot = "b" if self.call("get-current") == "a" else "a"
        return self.run(
            "env", f"RAUC_SLOT_BOOTNAME={slot}", f"RAUC_SLOT_DEVICE={self.parts}/linetap-{slot}",
            bundle / "hook.sh", word,
        )  # fmt: skip

    def install(self, version: Version, bundle: Path) -> str:
        """Installs like RAUC: checks, invalidates the slot, writes its root, then its boot files. Returns the slot."""
        done = self.hook(bundle, "install-check")
        assert done.returncode == 0, done.stderr
        slot = "b" if self.call("get-current") == "a" else "a"
        self.call("set-state", slot, "bad")
        _write(version.root, self.parts / f"linetap-{slot}")
        done = self.hook(bundle, "slot-post-install")
        assert done.returncode == 0, done.stderr
        return slot

    # --- What the boot loader does

    def power_on(self, *, tryboot: bool = False, walks: bool = False) -> Start:
        """Switches on, and runs the initramfs: finds the slot by the root whose hash is signed."""
        found = pi_firmware.start(self.card, self.key, tryboot=tryboot, walks=walks)
        (self.proc / "cmdline").write_text(found.cmdline + "\n")
        (self.loader / "tryboot").write_bytes(int(tryboot).to_bytes(4, "big"))
        (self.loader / "partition").write_bytes(found.partition.to_bytes(4, "big"))
        slot = SLOTS[found.partition]
        (self.root / "started").write_text(slot + "\n")
        require_whole(self.parts / f"linetap-{slot}", found)
        return found

    def reboots(self) -> Start:
        """Reboots by the script's own `reboot`."""
        self.call("reboot")
        said = (self.root / "systemctl").read_text().splitlines()[-1]
        assert said in ("reboot", "reboot --reboot-argument=0 tryboot")
        return self.power_on(tryboot=said != "reboot")

    def marked(self, slot: str, root: str) -> dict[str, int]:
        return marks(self.parts / f"linetap-{slot}", ":", root)


def require_whole(part: Path, start: Start) -> None:
    """Asserts that the partition holds the root whose hash is on the started command line: veritysetup reads every
    block.
    """
    (word,) = [word for word in start.cmdline.split() if word.startswith("linetap.verity=")]
    blocks, root, _ = word.removeprefix("linetap.verity=").split(":")
    command = ["veritysetup", "verify", str(part), str(part), root, f"--hash-offset={int(blocks) * 4096}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert done.returncode == 0, f"{part} is not the root that is started: {done.stderr}"


def _write(source: Path, into: Path) -> None:
    with into.open("r+b") as file:
        file.write(source.read_bytes())
