# SPDX-License-Identifier: Apache-2.0
"""Power cuts at every step of a signed card's update, in the middle of every write (cuts_rig.py).

The boot loader then always starts a pair that openssl verifies, before a root that veritysetup reads completely; never
a half.
"""

from __future__ import annotations

import copy
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import pi_firmware
from boot_rig import LIMIT_S
from cuts_rig import MORE, MOST_STEPS, Cuts
from signed_rig import key
from signed_unit import SLOTS, SignedUnit, Version, require_whole

pytestmark = pytest.mark.timeout(900)  # a minute on an idle machine


def copied(unit: SignedUnit, into: Path) -> SignedUnit:
    """A copy of the unit: its card, and its started version. Its paths are only in its own folder."""
    subprocess.run(["cp", "-a", "--sparse=always", unit.root, into], check=True, timeout=LIMIT_S)
    made = copy.copy(unit)
    made.root, made.boot, made.proc = into, into / "boot", into / "proc"
    made.parts, made.bin = into / "parts", into / "bin"
    made.loader = made.proc / "device-tree/chosen/bootloader"
    made.say_restarts()
    return made


@pytest.fixture
def ram() -> Iterator[Path]:
    """A folder in which a flush costs nothing: flushes are counted here."""
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="linetap-cuts-") as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Version, Version]:
    folder = tmp_path_factory.mktemp("versions")
    ours = key(folder / "ours.pem")
    return ours, Version.new(folder / "old", "0.1.0", ours), Version.new(folder / "new", "0.2.0", ours)


def judged(unit: SignedUnit, boot: Path, *, normal: set[int], tryboot: set[int] | None) -> int:
    """The slot that starts from this first partition. `tryboot`: those that a try may start; None: no try
    is requested.
    """
    card = {**unit.card, 1: pi_firmware.Folder(boot)}
    start = pi_firmware.start(card, unit.key)
    assert start.partition in normal
    require_whole(unit.parts / f"linetap-{SLOTS[start.partition]}", start)
    if tryboot is not None:
        tried = pi_firmware.start(card, unit.key, tryboot=True)
        assert tried.partition in tryboot
        require_whole(unit.parts / f"linetap-{SLOTS[tried.partition]}", tried)
    walked = pi_firmware.start(card, unit.key, walks=True)
    assert walked.partition == start.partition
    return start.partition


def is_none_or_whole(unit: SignedUnit, partition: int) -> bool:
    """Whether a boot loader finds no boot.img there, or a valid one: one that walks may reach it."""
    image = unit.card[partition].read("boot.img")
    if image is not None:
        pi_firmware.verify(image, unit.card[partition].read("boot.sig"), unit.key)
    return image is not None


def slot_is_whole_where_it_is_one(unit: SignedUnit, boot: Path, slot: str) -> bool:
    """Whether the slot's partition starts, if its config.txt makes the slot valid."""
    is_one = (boot / slot / "config.txt").exists()
    assert not is_one or is_none_or_whole(unit, {"a": 2, "b": 3}[slot])
    return is_one


def test_while_it_is_installed(versions: tuple[Path, Version, Version], ram: Path) -> None:
    """From invalidating the slot to its config.txt: the running one starts, each time, and the next attempt
    is whole.
    """
    ours, old, new = versions
    bundle = new.bundle(ram / "bundle")
    before = SignedUnit(ram / "before", old, ours)
    before.install(old, old.bundle(ram / "old"))  # the other slot has a version that starts
    step, seed, ended = 1, 0, False
    while not ended:
        assert step < MOST_STEPS, "it never ends"
        unit = copied(before, ram / "unit")
        cuts = Cuts(unit, seed)
        cut = cuts.run(lambda: unit.install(new, bundle), step)  # noqa: B023
        whole = set()
        for boot in cuts.left():
            assert judged(unit, boot, normal={2}, tryboot=None) == 2
            whole.add(slot_is_whole_where_it_is_one(unit, boot, "b"))
        is_none_or_whole(unit, 3)
        if not cut:
            assert whole == {True}
            ended = True
        elif step % 5 == 0:
            unit.install(new, bundle)
            unit.call("set-primary", "b")
            assert unit.reboots().partition == 3, "it begins again, and is whole"
        shutil.rmtree(unit.root)
        seed += 1
        is_large = cut.startswith("dd") and int(cut.split()[1]) > 1 << 20
        step += 0 if is_large and seed % MORE else 1  # a long write is cut in several ways
    assert step > 10, "nothing was cut"


def test_while_it_is_tried_and_kept(versions: tuple[Path, Version, Version], ram: Path) -> None:
    """autoboot.txt is the old or the new one, and its slot is whole."""
    ours, old, new = versions
    before = SignedUnit(ram / "before", old, ours)
    before.install(new, new.bundle(ram / "bundle"))
    for word in (("set-primary", "b"), ("set-state", "b", "good")):
        ended, seen = 0, set()
        if word[0] == "set-state":
            before.call("set-primary", "b")
            before.reboots()
        for step in range(1, MOST_STEPS):
            unit = copied(before, ram / "unit")
            cuts = Cuts(unit, step)
            cut = cuts.run(lambda: unit.call(*word), step)  # noqa: B023
            for boot in cuts.left():
                seen.add(judged(unit, boot, normal={2, 3}, tryboot={2, 3}))
            shutil.rmtree(unit.root)
            if not cut:
                ended = step
                break
        assert ended > 1
        assert seen == ({2} if word[0] == "set-primary" else {2, 3})
