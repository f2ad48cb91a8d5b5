# SPDX-License-Identifier: Apache-2.0
"""An attacker with the encrypted card and an earlier copy of it restores single blocks of data. They decrypt to data
that was once valid: nothing in a block shows its age. The checks of unit and `verify` over the whole do.
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
IN_RAM = ("calls", "recorder", "capture", "panel", "audio", "door", "terminal")  # of a unit; here all is in one folder
LEAVES = "vault/log/leaves.jsonl"


@dataclass
class Two:
    """The card before a boot and a call, and after it."""

    card: Card
    before: Path
    today: Path
    files: dict[str, bytes]

    def differing(self) -> list[int]:
        """Blocks that are others today, without those of ext4's journal: that was written out."""
        told = subprocess.run(["debugfs", "-R", "blocks <8>", self.today], capture_output=True, text=True, check=True)
        journal = set(map(int, told.stdout.split()))
        old, new = self.before.read_bytes(), self.today.read_bytes()
        return [
            number for number in range(len(new) // BLOCK)
            if number not in journal and _block(old, number) != _block(new, number)
        ]  # fmt: skip

    def put_back(self, number: int) -> None:
        """An image of its own each: what a start has left open goes on writing into the last one."""
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
        if (child := os.fork()) == 0:  # a process of its own leaves nothing open
            os._exit(0 if card.unit.trial().recorded else 1)
        assert os.waitpid(child, 0)[1] == 0
    os.sync()
    with card.mounted(today):
        files, whole = card.files(), card.verified()
    assert "BAD" not in whole, whole
    yield Two(card, card.image, today, files)
    broken.forget()


def stands_as_today(two: Two, name: str) -> bool:
    """A file that no line names counts for nothing, or it is good by a log that has grown from today's: then the unit
    has put it right itself, as it does with the copies of its head."""
    vault = two.card.unit.folder / "vault"
    grown = (two.card.unit.folder / LEAVES).read_bytes().startswith(two.files[LEAVES])
    inside = name.removeprefix("vault/")
    return bool(tree.runtime_kind(inside)) or (grown and vault.exists() and "BAD" not in two.card.verified())


# A start that ends in the middle leaves what it had opened to the end of its process, which is ours here.
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
