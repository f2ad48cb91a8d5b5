# SPDX-License-Identifier: Apache-2.0
"""A call folder on a full file system."""

from __future__ import annotations

from pathlib import Path

from small_disk import run_on_small_disk

CHILD = Path(__file__).with_name("full_disk.py")


def test_full_disk_stops_the_call_and_room_lets_it_go_on(tmp_path: Path) -> None:
    seen = run_on_small_disk(CHILD, tmp_path, 700)
    assert seen["refused_with"] == "ENOSPC"
    assert seen["times_refused"] == 3
    assert seen["kept_while_full"] == seen["durable_while_full"] > 300_000
    assert seen["sealed_call_untouched"]
    assert seen["sealing_refused_with"] == "ENOSPC"
    assert seen["joined_is_what_was_said"]
    assert seen["parts"] == 2


def test_destruction_makes_room_on_a_disk_without_a_free_byte(tmp_path: Path) -> None:
    seen = run_on_small_disk(Path(__file__).with_name("full_expiry.py"), tmp_path, 900)
    assert seen == {"ballast": True, "destroyed": True, "gone": True}
