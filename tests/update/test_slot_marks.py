# SPDX-License-Identifier: Apache-2.0
"""A slot's record of its own starts: kept through a cut at any moment of a write, and never another root's."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import pytest

from boot_rig import PART_BYTES, Boot, marks

SHELLS = [[name] for name in ("dash", "bash") if shutil.which(name)] + [["busybox", "sh"]] * bool(
    shutil.which("busybox")
)
SECTOR, PLACES = 512, (PART_BYTES - (64 << 10), PART_BYTES - (128 << 10))


@pytest.fixture
def part(tmp_path: Path) -> Path:
    path = tmp_path / "linetap-a"
    path.write_bytes(bytes(PART_BYTES))
    return path


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
def test_what_was_written_is_read(part: Path, shell: list[str]) -> None:
    assert not any(marks(part, ":", shell=tuple(shell)).values())
    for n in range(1, 4):
        found = marks(part, f'mark_good=1 mark_tries={n}; mark_write "$1" aaaa', shell=tuple(shell))
        assert (found["seq"], found["good"], found["tries"], found["falls"]) == (n, 1, n, 0)


def test_of_another_root_nothing_is_known(part: Path) -> None:
    marks(part, 'mark_good=1 mark_bad=3; mark_write "$1" aaaa')
    found = marks(part, ":", root="bbbb")
    assert (found["seq"], found["good"], found["bad"]) == (1, 0, 0)
    marks(part, 'mark_tries=1; mark_write "$1" bbbb', root="bbbb")
    assert marks(part, ":")["good"] == 0, "what was known of the root before it is not, even where it still lies there"


@pytest.mark.parametrize("cut", [0, 1, 20, 60, 511])
def test_a_write_that_is_cut_leaves_the_mark_before(part: Path, cut: int) -> None:
    """The written part of the sector is new, the rest old, or random."""
    marks(part, 'mark_good=1; mark_tries=1; mark_write "$1" aaaa; mark_tries=2; mark_write "$1" aaaa')
    before = part.read_bytes()
    marks(part, 'mark_tries=3; mark_write "$1" aaaa')
    after = part.read_bytes()
    (at,) = [place for place in PLACES if before[place : place + SECTOR] != after[place : place + SECTOR]]
    assert before[:at] == after[:at]
    assert before[at + SECTOR :] == after[at + SECTOR :], "nothing but one sector is written"
    for rest in (before[at + cut : at + SECTOR], os.urandom(SECTOR - cut)):
        part.write_bytes(after[: at + cut] + rest + after[at + SECTOR :])
        found = marks(part, ":")
        assert (found["good"], found["tries"]) in ((1, 2), (1, 3))
        assert cut == SECTOR - 1 or found["tries"] == 2


def test_what_is_no_mark_is_none(part: Path) -> None:
    """A mark is on a card that anybody may have written: its words are numbers, never shell code."""
    line = "linetap-mark-1 7 aaaa good=1 tries=$(touch$IFS/tmp/no) falls=1;touch bad=123456789012 other=1 mended=2"
    text = f"{line} {hashlib.sha256(line.encode()).hexdigest()[:16]}\n".encode()
    part.write_bytes(bytes(PLACES[1]) + text + bytes(PART_BYTES - PLACES[1] - len(text)))
    found = marks(part, ":")
    assert (found["seq"], found["good"], found["mended"]) == (7, 1, 2)
    assert (found["tries"], found["falls"], found["bad"]) == (0, 0, 0)


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
@pytest.mark.parametrize(
    "line",
    ["linetap-mark-1", "linetap-mark-1 7", "linetap-mark-1 08 aaaa tries=1", "linetap-mark-1 7 aaaa tries=08 good=1"],
)
def test_a_mark_of_other_words_ends_no_start(part: Path, line: str, shell: list[str]) -> None:
    """The shell that reads it is process 1: an invalid octal number, or a missing word, would be a panic."""
    text = f"{line} {hashlib.sha256(line.encode()).hexdigest()[:16]}\n".encode()
    part.write_bytes(bytes(PLACES[1]) + text + bytes(PART_BYTES - PLACES[1] - len(text)))
    found = marks(part, 'mark_tries=$((mark_tries + 1)); mark_write "$1" aaaa', shell=tuple(shell))
    assert found["tries"] == 1


def test_good_clears_the_count_and_names_the_note_as_past(tmp_path: Path) -> None:
    boot = Boot(tmp_path, pi=False)
    part = boot.parts / "linetap-a"
    marks(part, 'mark_tries=2; mark_falls=2; mark_rounds=1; mark_write "$1" aaaa')
    (boot.boot / "linetap-boot.txt").write_text("it did not start")
    boot.call("set-state", "b", "good", code=1)
    assert marks(part, ":")["tries"] == 2
    boot.call("set-state", "a", "good")
    found = marks(part, ":")
    assert (found["good"], found["tries"], found["falls"], found["rounds"]) == (1, 0, 0, 0)
    assert not (boot.boot / "linetap-boot.txt").exists()
    assert (boot.boot / "linetap-boot-past.txt").read_text() == "it did not start"
    boot.call("ended")
    assert marks(part, ":")["clean"] == 1


def test_the_slots_are_told_to_the_checks(tmp_path: Path) -> None:
    boot = Boot(tmp_path, pi=False)
    boot.call("set-state", "a", "good")
    boot.lay("b", "0.2.0")
    marks(boot.parts / "linetap-b", 'mark_falls=3; mark_bad=2; mark_write "$1" aaaa')
    boot.call("report")
    assert (boot.root / "told").read_text().splitlines() == [
        "a runs=1 good=1 falls=0 bad=0 mended=0",
        "b runs=0 good=0 falls=3 bad=2 mended=0",
    ]


def test_a_card_that_takes_no_mark_starts_all_the_same(tmp_path: Path) -> None:
    boot = Boot(tmp_path, pi=True)
    (boot.parts / "linetap-a").unlink()
    boot.call("set-state", "a", "good")
    boot.call("ended")
