# SPDX-License-Identifier: Apache-2.0
"""The card as bmaptool writes it: only the blocks of the map, so that a used card keeps its own content in all others.

"It is essential to write zero-filled blocks and not skip them. Indeed, if you do not write the zero-filled block to
corresponding disk sectors which, presumably, contain garbage, you end up with garbage in those blocks" (bmaptool,
README.md, "Usage scenarios").
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from signed_rig import Build, key

BLOCK, MIB = 4096, 1 << 20
SECTOR = 512
OLD = b"\xa5"  # content of a used card
STEPS = (". image/steps/card.sh", "head -c 3000000 /dev/urandom >$WORK/slot.img", "write_card")


class UsedCard:
    """A card that was full of other data, after bmaptool has written an image onto it."""

    def __init__(self, image: Path) -> None:
        self._image = image
        bmap = image.with_suffix(".bmap")
        subprocess.run(["bmaptool", "--quiet", "create", "--output", bmap, image], check=True, timeout=120)
        ranges = re.findall(r"> (\d+)(?:-(\d+))? </Range>", bmap.read_text())
        self.mapped = {block for a, b in ranges for block in range(int(a), int(b or a) + 1)}
        found = re.findall(
            r'start= *(\d+), size= *(\d+),.*name="linetap-([a-z-]+)"', text_of("sfdisk", "--dump", image)
        )
        self.places = {name: (int(start) * SECTOR, int(size) * SECTOR) for start, size, name in found}

    def partition(self, name: str, into: Path, most_bytes: int | None = None) -> Path:
        start, size = self.places[name]
        most_bytes = most_bytes or size
        with self._image.open("rb") as image, into.open("wb") as out:
            image.seek(start)
            for at in range(start, start + min(size, most_bytes), BLOCK):
                data = image.read(BLOCK)
                out.write(data if at // BLOCK in self.mapped else OLD * BLOCK)
        return into


def written(build: Build) -> UsedCard:
    done = build.run(*STEPS)
    assert done.returncode == 0, done.stderr
    return UsedCard(build.root / "linetap.img")


def text_of(*words: object) -> str:
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> UsedCard:
    return written(Build(tmp_path_factory.mktemp("card") / "build"))


@pytest.mark.parametrize("name", ["state", "data"])
def test_a_new_journal_has_no_transaction_of_the_cards_earlier_life(card: UsedCard, name: str, tmp_path: Path) -> None:
    """Otherwise one that fits behind the journal's end is replayed after a power cut, and the calls are gone."""
    part = card.partition(name, tmp_path / "part.img")
    journal = tmp_path / "journal"
    text_of("debugfs", "-R", f"dump <8> {journal}", part)
    data = journal.read_bytes()
    assert len(data) == 8 * MIB
    assert data[:4] == b"\xc0\x3b\x39\x98", "JBD2's magic number"
    assert not data[BLOCK:].strip(b"\0")
    text_of("e2fsck", "-fn", part)


def test_the_tables_of_the_boot_partition_are_the_new_ones(card: UsedCard, tmp_path: Path) -> None:
    part = card.partition("boot", tmp_path / "part.img")
    said = text_of("fsck.fat", "-nv", part)
    assert re.search(r"\d+ files, \d+/\d+ clusters", said), said
    assert "Reclaimed" not in said


@pytest.mark.parametrize("slot", ["a", "b"])
def test_a_slot_has_no_mark_of_the_cards_earlier_life(card: UsedCard, slot: str, tmp_path: Path) -> None:
    """With the same version its root has the same hash: its failures would count, and its repairs be reported."""
    part = card.partition(slot, tmp_path / "part.img")
    with part.open("rb") as file:
        for place in (1, 2):
            file.seek(-place * 128 * SECTOR, os.SEEK_END)  # MARK_STEP, image/root/usr/lib/linetap/marks
            assert not file.read(SECTOR).strip(b"\0")


def test_free_space_is_not_written(card: UsedCard) -> None:
    assert len(card.mapped) * BLOCK < 48 * MIB, "of 1,250 MiB"
    start = card.places["data"][0] // BLOCK
    assert start + 100 * MIB // BLOCK not in card.mapped


def test_a_signed_start_is_whole_with_the_zeros_that_its_signature_covers(tmp_path: Path) -> None:
    build = Build(tmp_path / "build")
    build.names["LINETAP_BOOT_KEY"] = str(key(tmp_path / "boot.pem"))
    build.made()
    card = written(build)
    part = build.signed / "boot.part"
    assert card.partition("boot-a", tmp_path / "part", os.path.getsize(part)).read_bytes() == part.read_bytes()
    assert not card.partition("boot-b", tmp_path / "b", BLOCK).read_bytes().strip(b"\0"), "no slot of an earlier life"
