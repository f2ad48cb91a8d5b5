# SPDX-License-Identifier: Apache-2.0
"""A boot partition in a folder with the shipped script; `starts` imitates the firmware, or the starter of the emulated
machine.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

IMAGE = Path(__file__).resolve().parents[2] / "image"
SCRIPT, HOOK = IMAGE / "root" / "usr" / "lib" / "linetap" / "slots", IMAGE / "hook.sh"
MARKS = SCRIPT.with_name("marks")
LIMIT_S, SECTOR = 120, 512
CONFIG = "os_prefix=@SLOT@/\narm_64bit=1\nkernel=vmlinuz\n"
VERITY = "256:aaaa:5a17"  # blocks, hash and salt of a root
CMDLINE = f"console=tty1 linetap.verity={VERITY}"
PART_BYTES = 2 << 20


def files(version: str) -> dict[str, str]:
    """The files of a slot's folder; @SLOT@ stands for its letter. config.txt is one sector, as made by
    image/config.sh.
    """
    config, cmdline = f"# {version}\n{CONFIG}#", f"{CMDLINE} linetap.slot=@SLOT@\n"
    config += "#" * (SECTOR - 1 - len(config.replace("@SLOT@", "a"))) + "\n"
    return {"config.txt": config, "cmdline.txt": cmdline, "vmlinuz": f"kernel {version}"}


class Boot:
    def __init__(self, root: Path, pi: bool) -> None:
        """`pi`: the firmware stores the requested try itself and reports it in the device tree; otherwise a file on the
        card does.
        """
        self.root, self.boot, self.proc, self.pi = root, root / "boot", root / "proc", pi
        self.bin, self.parts = root / "bin", root / "parts"
        for folder in (self.boot, self.proc, self.bin, self.parts):
            folder.mkdir()
        for slot in "ab":
            (self.parts / f"linetap-{slot}").write_bytes(bytes(PART_BYTES))
        (self.bin / "systemctl").write_text(f'#!/bin/sh\necho "$@" >>{root}/systemctl\n')
        (self.bin / "systemctl").chmod(0o755)
        self.lay("a", "0.1.0")
        (self.boot / "config.txt").write_bytes((self.boot / "a" / "config.txt").read_bytes())
        self.flag = False
        self.starts()

    @property
    def environment(self) -> dict[str, str]:
        paths = {"LINETAP_BOOT": str(self.boot), "LINETAP_PROC": str(self.proc)}
        paths |= {"LINETAP_PARTS": str(self.parts), "LINETAP_TOLD": str(self.root / "told")}
        return {**os.environ, "PATH": f"{self.bin}:{os.environ['PATH']}", **paths}

    def lay(self, slot: str, version: str) -> None:
        """Writes the slot as the image or the hook does."""
        (self.boot / slot).mkdir(exist_ok=True)
        for name, text in files(version).items():
            (self.boot / slot / name).write_text(text.replace("@SLOT@", slot))

    def call(self, *words: str, code: int = 0) -> str:
        done = subprocess.run(
            [SCRIPT, *words], env=self.environment, capture_output=True, text=True, timeout=LIMIT_S, check=False,
            start_new_session=True,
        )  # fmt: skip
        assert done.returncode == code, (words, done.stdout, done.stderr)
        return (done.stdout or done.stderr).strip()

    def reboots(self) -> None:
        """Reboots by the script's own `reboot`."""
        self.call("reboot")
        said = (self.root / "systemctl").read_text().splitlines()[-1]
        self.flag = said.endswith("--reboot-argument=0 tryboot")
        assert self.flag or said == "reboot"
        self.starts()

    def power_cut(self) -> None:
        self.flag = False
        self.starts()

    def starts(self) -> None:
        """One start: the applicable file names a folder, whose cmdline.txt is the kernel's."""
        once = self.flag if self.pi else (self.boot / "tryboot").exists()
        self.flag = False
        if not self.pi:
            (self.boot / "tryboot").unlink(missing_ok=True)
        text = (self.boot / ("tryboot.txt" if once else "config.txt")).read_text()
        prefix = [line for line in text.splitlines() if line.startswith("os_prefix=")]
        assert len(prefix) == 1, text
        folder = self.boot / prefix[0].removeprefix("os_prefix=")
        assert (folder / "vmlinuz").exists(), "a start without a kernel"
        self.kernel = (folder / "vmlinuz").read_text()
        (self.proc / "cmdline").write_text((folder / "cmdline.txt").read_text())
        if self.pi:
            loader = self.proc / "device-tree" / "chosen" / "bootloader"
            loader.mkdir(parents=True, exist_ok=True)
            (loader / "tryboot").write_bytes(int(once).to_bytes(4, "big"))


def marks(part: Path, what: str, root: str = "aaaa", shell: tuple[str, ...] = ("sh",)) -> dict[str, int]:
    """The marks of a slot's starts after `what`, a line of shell (usr/lib/linetap/marks)."""
    script = f'. {MARKS}; mark_read "$1" {root}; {what}; mark_read "$1" {root}; for f in seq $MARK_FIELDS; do '
    script += r'eval "echo $f=\$mark_$f"; done'
    done = subprocess.run(
        [*shell, "-euc", script, "-", str(part)], capture_output=True, text=True, timeout=LIMIT_S, check=True
    )
    return {name: int(value) for name, value in (line.split("=") for line in done.stdout.splitlines())}
