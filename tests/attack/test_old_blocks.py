# SPDX-License-Identifier: Apache-2.0
"""An attacker with the encrypted card and an earlier copy of it restores single blocks of data.

They decrypt to once valid data: a block does not show its age. The checks by unit and `verify` over the whole detect
it.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

sys.path += [str(Path(__file__).resolve().parents[1] / folder) for folder in ("blockcuts", "durable")]

from test_changed_blocks import BLOCK, Card, NotUsed, card, seen_as_changed

from linetap_core.durable import broken
from linetap_desk.vaultproofs import tree

SEED = 16
BLOCKS = int(os.environ.get("LINETAP_CHANGES", "16"))
IN_RAM = ("calls", "recorder", "capture", "panel", "audio", "door", "terminal")  # in RAM on a unit
LEAVES = "vault/log/leaves.jsonl"


@dataclass
class Two:
    """The card before a boot and a call, and after it."""

    card: Card
    before: Path
    today: Path
    files: dict[str, bytes]

    def differing(self) -> list[int]:
        """Blocks that differ today, without those of ext4's journal, which was written back."""
        told = subprocess.run(["debugfs", "-R", "blocks <8>", self.today], capture_output=True, text=True, check=True)
        journal = set(map(int, told.stdout.split()))
        old, new = self.before.read_bytes(), self.today.read_bytes()
        return [
            number for number in range(len(new) // BLOCK)
            if number not in journal and _block(old, number) != _block(new, number)
        ]  # fmt: skip

    def put_back(self, number: int) -> None:
        """The card with an old block; each in a separate image, because files left open by a start still write into the
        last one.
        """
        self.card.work = self.before.with_name(f"work-{number}.img")
        shutil.copyfile(self.today, self.card.work)
        with self.card.work.open("r+b") as file:
            file.seek(number * BLOCK)
            file.write(_block(self.before.read_bytes(), number))


def _block(image: bytes, number: int) -> bytes:
    return image[number * BLOCK : (number + 1) * BLOCK]


@pytest.fixture(scope="module")
def two(card: Card) -> Iterator[Two]:
    today = card.image.with_name("today.img")
    shutil.copyfile(card.image, today)
    with card.mounted(today):
        if (child := os.fork()) == 0:  # a separate process leaves nothing open
            os._exit(0 if card.unit.trial().recorded else 1)
        assert os.waitpid(child, 0)[1] == 0
    os.sync()
    with card.mounted(today):
        files, whole = card.files(), card.verified()
    assert "BAD" not in whole, whole
    yield Two(card, card.image, today, files)
    broken.forget()


def stands_as_today(two: Two, name: str) -> bool:
    """Whether the file is unused, or valid by a log that has grown from today's: then the unit has repaired it itself,
    as with the copies of its head.
    """
    vault = two.card.unit.folder / "vault"
    grown = (two.card.unit.folder / LEAVES).read_bytes().startswith(two.files[LEAVES])
    inside = name.removeprefix("vault/")
    return bool(tree.runtime_kind(inside)) or (grown and vault.exists() and "BAD" not in two.card.verified())


# A start that fails leaves its files open until the end of its process, here the test's.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_no_block_of_an_earlier_boot_brings_back_what_was(two: Two) -> None:
    chosen = two.differing()
    assert len(chosen) > BLOCKS
    said = []
    for number in random.Random(SEED).sample(chosen, BLOCKS):
        two.put_back(number)
        broken.forget()
        try:
            with two.card.mounted(two.card.work):
                unseen, what = seen_as_changed(two.card, two.files)
                unseen = [name for name in unseen if name.split("/")[0] not in IN_RAM]
                taken = [name for name in unseen if not stands_as_today(two, name)]
        except NotUsed as error:
            taken, what = [], f"the partition is not used: {error}"
        two.card.work.unlink()
        said.append(f"block {number}: {what}")
        assert not taken, f"block {number}: {taken} of {what}"
    assert any("Outcome" in line for line in said), said


__all__ = ["card"]
