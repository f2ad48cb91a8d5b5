# SPDX-License-Identifier: Apache-2.0
"""A boot partition without a free block: the person who wrote the wrong order has no terminal, only the card."""

from __future__ import annotations

from pathlib import Path

from small_disk import run_on_small_disk

SERVICE = Path(__file__).parents[2] / "systemd" / "provision-linetap.service"
FULL, ERROR = "linetap-error-card-is-full.txt", "linetap-error.txt"


def test_a_card_without_a_free_block_still_says_that_something_is_wrong(tmp_path: Path) -> None:
    boot = tmp_path / "boot"
    boot.mkdir()
    seen = run_on_small_disk(Path(__file__).with_name("full_card.py"), boot, 200)
    assert set(seen["full"]) == {"linetap.toml", FULL}, "the name of an empty file needs no block"
    assert set(seen["room"]) == {"linetap.toml", ERROR}
    assert "not TOML" in seen["room"][ERROR]
    assert set(seen["done earlier"]) == {"linetap.toml", ERROR}, "an old result makes room for the error"
    assert "not TOML" in seen["done earlier"][ERROR]
    assert set(seen["put right"]) == set(), "no error is left on a card that is right"


def test_systemd_starts_the_removal_of_each_of_them() -> None:
    for name in (ERROR, FULL):
        assert f"ConditionPathExists=|/boot/firmware/{name}\n" in SERVICE.read_text()
