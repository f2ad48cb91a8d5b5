# SPDX-License-Identifier: Apache-2.0
"""The files that every bundle's hook writes to the boot partition, from a really written root."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from boot_rig import CMDLINE, CONFIG, HOOK, LIMIT_S, SCRIPT, Boot
from slots_rig import make_root
from slots_rig import skip_reason as no_rauc


def skip_reason() -> str | None:
    return "only root can mount a root" if os.geteuid() != 0 else no_rauc()


pytestmark = pytest.mark.skipif(skip_reason() is not None, reason=str(skip_reason()))


class Bundle:
    """A bundle mounted by RAUC, and the slot that it has just written."""

    def __init__(self, root: Path) -> None:
        self.boot = Boot(root, pi=False)
        self.folder, self.slot = root / "bundle", root / "slot.img"
        self.folder.mkdir()
        (self.folder / "hook.sh").symlink_to(HOOK)
        (self.folder / "bootfiles").symlink_to(SCRIPT.with_name("bootfiles"))
        (self.folder / "cmdline.txt").write_text(f"{CMDLINE}\n")
        (self.folder / "config.txt").write_text(CONFIG)
        self.slot.write_bytes(make_root(root, "0.2.0"))

    def hook(self, slot: str = "b", code: int = 0) -> str:
        names = {"RAUC_SLOT_BOOTNAME": slot, "RAUC_SLOT_DEVICE": str(self.slot)}
        done = subprocess.run(
            [self.folder / "hook.sh", "slot-post-install"], env={**self.boot.environment, **names},
            capture_output=True, text=True, timeout=LIMIT_S, check=False,
        )  # fmt: skip
        assert (done.returncode != 0) == (code != 0), done.stdout + done.stderr
        return done.stderr.strip()

    def text(self, name: str) -> str:
        return (self.boot.boot / "b" / name).read_text()


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return Bundle(tmp_path)


def test_a_slot_is_its_roots_kernel_and_its_own_letter(bundle: Bundle) -> None:
    bundle.hook()
    assert bundle.text("vmlinuz") == "kernel 0.2.0"
    assert bundle.text("overlays/README") != ""
    assert bundle.text("cmdline.txt") == f"{CMDLINE} linetap.slot=b\n"
    assert bundle.text("config.txt").startswith("os_prefix=b/\n")
    bundle.boot.call("set-primary", "b")
    bundle.boot.reboots()
    assert (bundle.boot.kernel, bundle.boot.call("get-current")) == ("kernel 0.2.0", "b")


def test_the_firmware_of_a_pi_4_is_the_slots_own(bundle: Bundle) -> None:
    """It is read before os_prefix applies: the slot's config.txt names it, and that of the running slot stays."""
    top = bundle.boot.boot
    for name in ("start4.elf", "fixup4.dat", "start4a.elf", "fixup4a.dat", "start4b.elf"):
        (top / name).write_text(f"{name} of before")
    bundle.hook()
    assert (top / "start4b.elf").read_text() == "start4.elf 0.2.0"
    assert (top / "fixup4b.dat").read_text() == "fixup4.dat 0.2.0"
    for name in ("start4.elf", "fixup4.dat", "start4a.elf", "fixup4a.dat"):
        assert (top / name).read_text() == f"{name} of before"
    assert not (top / "firmware.new").exists()


def test_firmware_that_the_card_does_not_keep_is_named_by_nothing(bundle: Bundle) -> None:
    """dd reads back the card's content; here it differs."""
    dd = bundle.boot.bin / "dd"
    dd.write_text("#!/bin/sh\necho rotten\n")
    dd.chmod(0o755)
    assert bundle.hook(code=1) == "hook: fixup4.dat: the card has not kept it"
    assert not (bundle.boot.boot / "b" / "config.txt").exists()
    assert not (bundle.boot.boot / "fixup4b.dat").exists()


def test_what_was_there_before_is_gone(bundle: Bundle) -> None:
    bundle.boot.lay("b", "0.0.1")
    (bundle.boot.boot / "b" / "old.dtb").write_text("")
    bundle.boot.call("set-state", "b", "bad")
    bundle.hook()
    assert not (bundle.boot.boot / "b" / "old.dtb").exists()


def test_a_slot_that_counts_is_not_touched(bundle: Bundle) -> None:
    assert "in use" in bundle.hook("a", code=1)
    assert "no slot" in bundle.hook("c", code=1)
    assert (bundle.boot.boot / "a" / "vmlinuz").read_text() == "kernel 0.1.0"


@pytest.mark.parametrize("defect", ["no root", "no kernel", "no config"])
def test_cut_short_it_leaves_no_slot(bundle: Bundle, defect: str) -> None:
    match defect:
        case "no root":
            bundle.slot.write_bytes(bytes(100_000))
        case "no kernel":
            bundle.slot.write_bytes(make_root(bundle.boot.root, ""))
        case _:
            (bundle.folder / "config.txt").unlink()
    bundle.hook(code=1)
    assert bundle.boot.call("get-state", "b") == "bad"
    assert "empty" in bundle.boot.call("set-primary", "b", code=1)
    assert str(bundle.boot.root) not in Path("/proc/mounts").read_text()
