# SPDX-License-Identifier: Apache-2.0
"""The repair of a root in one start, and its limit: the shipped script, over a card on which each bad block costs
seconds.
"""

from __future__ import annotations

import subprocess

import pytest

from boot_rig import IMAGE, LIMIT_S

TREE_BLOCKS = "18"  # of 2048 blocks: 16, 1, and the superblock
BLOCKS, INITRAMFS = IMAGE / "root/usr/lib/linetap/blocks", IMAGE / "initramfs"
# Single blocks from BAD_FROM on cannot be read; written ones are good from then on, and listed.
CARD = """
map() { echo "$1"; }
unmap() { :; }
sleep() { :; }
dd() { :; }
reads() { :; }
one_reads() { echo "$2 $3" >>"$TOLD/read"; [ $(($2 + $3)) -le "$BAD_FROM" ]; }
write_block() { echo "$4 $5" >>"$TOLD/written"; }
mended() { grep -c " 1$" "$TOLD/written"; }
whole() { [ "$TREE" = 1 ] && grep -qv " 1$" "$TOLD/written" || [ $((BAD_FROM + $(mended))) -ge 2048 ]; }
: >"$TOLD/read"; : >"$TOLD/written"
"""


def mend(tmp_path: object, bad: int, most: int | None = None, tree: bool = False) -> tuple[int, list[str], int]:
    """Whether it is whole afterwards, the written blocks, and the number of reads of single blocks."""
    script = f". {BLOCKS}; {CARD} {'' if most is None else f'MOST_BAD={most};'} mend part from 2048:aa:bb"
    done = subprocess.run(
        ["busybox", "sh", "-uc", script],
        env={"TOLD": str(tmp_path), "BAD_FROM": str(2048 - bad), "TREE": str(int(tree)), "PATH": "/usr/bin:/bin"},
        capture_output=True, text=True, timeout=LIMIT_S, check=False,
    )  # fmt: skip
    assert not done.stderr, done.stderr
    with open(f"{tmp_path}/written") as written, open(f"{tmp_path}/read") as read:
        return done.returncode, written.read().splitlines(), read.read().count(" 1\n")


def of_initramfs() -> int:
    text = (INITRAMFS / "heal.sh").read_text()
    return int(next(line for line in text.splitlines() if line.startswith("MOST_BAD=")).split("=")[1].split()[0])


def test_a_few_bad_blocks_are_mended_in_a_start(tmp_path: object) -> None:
    code, written, _ = mend(tmp_path, 60, of_initramfs())
    assert (code, len(written)) == (0, 60)


def test_a_start_ends_its_search(tmp_path: object) -> None:
    """A card that has lost a region: at some seconds a block it took hours, without recording."""
    code, written, asked = mend(tmp_path, 1500, of_initramfs())
    assert code == 1, "the other slot's turn"
    assert [line.split()[1] for line in written] == ["1"] * 64 + [TREE_BLOCKS]
    assert of_initramfs() == 64
    assert asked <= 2 * 256


def test_in_service_all_is_mended(tmp_path: object) -> None:
    code, written, _ = mend(tmp_path, 1500)
    assert (code, len(written)) == (0, 1500)


@pytest.mark.parametrize(("bad", "code"), [(64, 0), (65, 1)])
def test_the_bound_itself(tmp_path: object, bad: int, code: int) -> None:
    assert mend(tmp_path, bad, 64)[0] == code


def test_one_block_of_the_tree_is_not_the_bound(tmp_path: object) -> None:
    """Because of it 128 blocks cannot be read, none of which is bad."""
    code, written, _ = mend(tmp_path, 128, of_initramfs(), tree=True)
    assert (code, written[-1]) == (0, f"2048 {TREE_BLOCKS}")
