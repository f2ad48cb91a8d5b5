# SPDX-License-Identifier: Apache-2.0
"""The slot for which a signed boot.img was started: the initramfs's own script, by the firmware's report."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from boot_rig import IMAGE, LIMIT_S

INITRAMFS, LIBRARY = IMAGE / "initramfs", IMAGE / "root/usr/lib/linetap"
# Functions of the other scripts, which need a machine.
REST = """
with_boot() { :; }
without_boot() { :; }
device_of() { case " $PARTS " in *" $1 "*) echo "$1" ;; *) return 1 ;; esac; }
map() { case " $HOLDS " in *" $2 "*) echo /dev/null ;; *) return 1 ;; esac; }
unmap() { :; }
find_slot
echo "$slot"
"""


def found(
    folder: Path, partition: int | None, *, told: str = "", holds: str = "a b", named: int = 2, parts: str = "a b"
) -> str:
    proc = folder / "proc"
    loader = proc / "device-tree/chosen/bootloader"
    loader.mkdir(parents=True)
    (proc / "cmdline").write_text(f"panic=5 linetap.verity=1:2:3 {told}\n")
    if partition is not None:
        (loader / "partition").write_bytes(partition.to_bytes(4, "big"))
    (folder / "autoboot.txt").write_text(f"[all]\ntryboot_a_b=1\nboot_partition={named}\n[tryboot]\n")
    script = f"BOOT={folder} verity=1:2:3; . {LIBRARY}/bootfiles; . {LIBRARY}/autoboot; . {INITRAMFS}/slot.sh\n{REST}"
    done = subprocess.run(
        ["busybox", "sh", "-uc", script],
        env={"PATH": "/usr/bin:/bin", "PROC": str(proc), "HOLDS": holds, "PARTS": parts},
        capture_output=True, text=True, timeout=LIMIT_S, check=False,
    )  # fmt: skip
    assert not done.stderr, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(("partition", "slot"), [(2, "a"), (3, "b")])
def test_the_firmware_says_which_partition_it_was(tmp_path: Path, partition: int, slot: str) -> None:
    """The property has 32 bits, big-endian, like all in a device tree."""
    assert found(tmp_path, partition, named=5 - partition) == slot


def test_a_machine_without_such_firmware_has_a_word_for_it(tmp_path: Path) -> None:
    assert found(tmp_path, None, told="linetap.partition=3") == "b"


def test_the_firmware_counts_and_not_the_word(tmp_path: Path) -> None:
    assert found(tmp_path, 2, told="linetap.partition=3") == "a"


@pytest.mark.parametrize("partition", [0, 1, 77])
def test_a_firmware_that_does_not_say_leaves_the_root_to_tell(tmp_path: Path, partition: int) -> None:
    assert found(tmp_path, partition, holds="b") == "b", "on trial, while autoboot.txt names a"


def test_of_two_that_hold_the_root_it_is_the_one_that_autoboot_txt_names(tmp_path: Path) -> None:
    assert found(tmp_path, 0, named=3) == "b"


def test_where_no_slot_holds_it_the_named_one_starts_and_gives_the_reason(tmp_path: Path) -> None:
    assert found(tmp_path, 0, named=3, holds="", parts="") == "b"
