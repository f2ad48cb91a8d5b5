# SPDX-License-Identifier: Apache-2.0
"""Power cuts at every step of a change of slot on an unsigned card (cuts_rig.py), by the unit's script and by the
initramfs's. The resulting config.txt is whole, and starts a slot that has its files.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import pi_firmware
from boot_rig import IMAGE, LIMIT_S, SCRIPT, SECTOR, Boot
from cuts_rig import MOST_STEPS, Cuts

PROGRAMS = ("dd", "cp", "mv", "rm", "mkdir", "sync")
LIBRARY, INITRAMFS = SCRIPT.parent, IMAGE / "initramfs"
# The initramfs's choice without its machine; its programs are those that are cut.
CHOOSE = """
say() { :; }
within() { :; }
with_boot() { :; }
without_boot() { :; }
other=b slot=a signed=0
choose_other || exit 1
"""


class Card(Boot):
    """Slot a runs and starts; b is whole. A Pi 4's firmware is beside the folders."""

    def __init__(self, root: Path) -> None:
        super().__init__(root, pi=True)
        self.lay("b", "0.2.0")
        for slot in "ab":
            (self.boot / slot / "initramfs").write_text("initramfs")

    def chooses(self) -> None:
        """Chooses like a start whose slot has failed."""
        script = f"BOOT={self.boot}\n"
        script += "".join(f'{name}() {{ "{self.bin}/{name}" "$@"; }}\n' for name in PROGRAMS)
        sources = [LIBRARY / name for name in ("marks", "blocks", "bootfiles", "autoboot")]
        script += "".join(f". {path}\n" for path in (*sources, INITRAMFS / "tell.sh", INITRAMFS / "heal.sh")) + CHOOSE
        done = subprocess.run(
            ["busybox", "sh", "-uc", script], env=self.environment, capture_output=True, text=True, timeout=LIMIT_S,
            check=False, start_new_session=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr


def change(card: Card, by: str) -> Callable[[], object]:
    match by:
        case "tried":
            return lambda: card.call("set-primary", "b")
        case "kept":
            return lambda: card.call("set-state", "b", "good")
        case _:
            return card.chooses


@pytest.mark.parametrize(("by", "starts"), [("tried", {"a"}), ("kept", {"a", "b"}), ("initramfs", {"a", "b"})])
def test_what_starts_is_a_whole_slot(tmp_path: Path, by: str, starts: set[str]) -> None:
    seen, ended = set(), 0
    for step in range(1, MOST_STEPS):
        root = tmp_path / str(step)
        root.mkdir()
        card = Card(root)
        card.call("set-primary", "b")  # once before: tryboot.txt exists
        card.lay("b", "0.3.0")
        if by == "kept":
            card.reboots()
        cut = Cuts(card, step).run(change(card, by), step)
        for boot in Cuts(card, step).left():
            seen.add(pi_firmware.slot_of_config(boot, "config.txt"))
            assert len((boot / "config.txt").read_bytes()) == SECTOR
            if not cut and by == "tried":
                assert pi_firmware.slot_of_config(boot, "tryboot.txt") == "b"
        if not cut:
            ended = step
            break
    assert ended > 1, "nothing was cut"
    assert seen == starts


@pytest.mark.parametrize("defect", ["empty", "of another slot", "rotten"])
def test_a_damaged_config_txt_of_a_slot_replaces_none(tmp_path: Path, defect: str) -> None:
    """The firmware would read it, and the unit would not start."""
    card = Card(tmp_path)
    path = card.boot / "b/config.txt"
    data = {"empty": b"", "of another slot": (card.boot / "a/config.txt").read_bytes(), "rotten": bytes(SECTOR)}[defect]
    path.write_bytes(data)
    before = (card.boot / "config.txt").read_bytes()
    assert "config.txt is damaged" in card.call("set-primary", "b", code=1)
    with pytest.raises(AssertionError):
        card.chooses()
    assert (card.boot / "config.txt").read_bytes() == before
    assert not (card.boot / "tryboot.txt").exists()


def test_a_config_txt_of_another_length_becomes_one_sector(tmp_path: Path) -> None:
    """A card made earlier, or edited by somebody."""
    card = Card(tmp_path)
    with (card.boot / "config.txt").open("a") as file:
        file.write("# by hand\n")
    card.call("set-primary", "b")
    card.reboots()
    card.call("set-state", "b", "good")
    assert (card.boot / "config.txt").read_bytes() == (card.boot / "b/config.txt").read_bytes()
    assert not list(card.boot.glob("*.new"))


def test_the_initramfs_does_it_with_busybox_alone(tmp_path: Path) -> None:
    """With dd, tr and sync as its applets; also the note, which has a fixed length."""
    card, applets = Card(tmp_path), tmp_path / "applets"
    applets.mkdir()
    subprocess.run(["busybox", "--install", "-s", applets], check=True, timeout=LIMIT_S)
    sources = [LIBRARY / name for name in ("bootfiles", "autoboot")] + [INITRAMFS / "tell.sh", INITRAMFS / "heal.sh"]
    script = f"BOOT={card.boot}\n" + "".join(f". {path}\n" for path in sources) + CHOOSE
    script += "try=1 next='slot b'\nnote ko en\nnote ko again\n"
    done = subprocess.run(
        ["busybox", "sh", "-uc", script], env={"PATH": str(applets)}, capture_output=True, text=True, timeout=LIMIT_S,
        check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert (card.boot / "config.txt").read_bytes() == (card.boot / "b/config.txt").read_bytes()
    told = (card.boot / "linetap-boot.txt").read_bytes()
    assert len(told) == 4096
    assert [line for line in told.decode().splitlines() if line.startswith("- ")] == [
        "- a/1: en -> slot b", "- a/1: again -> slot b",
    ]  # fmt: skip
