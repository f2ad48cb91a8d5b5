# SPDX-License-Identifier: Apache-2.0
"""A folder in RAM that is full, read-only or missing ends no service: four real services on separate file systems.

Each folder is a tmpfs, filled to its last byte or last inode, or covered by one that refuses writes, during recorded
calls; and the vault is an ext4 that stops after an error. The processes live, satisfy their watchdogs, report the fault
once, and continue to record; LEDs and alerts show that their state is unreadable.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from full_rooms import NO_DISK, STATE_ROOMS

from small_disk import unshare

CHILD = Path(__file__).with_name("full_rooms.py")
HOWS = ("bytes", "inodes", "read_only", "gone")
# Permitted other messages: of a busy machine, of alerts, i.e. the checks' texts, and of a recorder with another vault
# than at its start: its log has the closes of calls missing in the earlier one's, and the call in progress has a folder
# in each.
PASSED_OVER = re.compile(
    r"reporter\.alert|overrun|capture_restart|no_realtime|ring_unlocked|goes on after|power_cut|log_made_good|broker"
    r"|line \d|there is a call in it already"
)

pytestmark = pytest.mark.timeout(600)


def seen_by(tmp_path: Path, cases: list[Any], starts: list[Any], each_s: float) -> dict[str, Any]:
    command = unshare()
    if command is None:
        pytest.skip("neither root nor a user namespace: no file system can be mounted to be filled")
    probe = [*command, "sh", "-c", "modprobe loop 2>/dev/null; losetup -f"]
    if subprocess.run(probe, capture_output=True, check=False).returncode != 0:
        pytest.skip("no loop device: no ext4 can be mounted that closes itself")
    words = json.dumps({"cases": cases, "starts": starts, "each_s": each_s})
    done = subprocess.run(
        [*command, sys.executable, str(CHILD), str(tmp_path), words],
        capture_output=True, check=False, text=True, timeout=580,
        env={"PYTHONPATH": f"{CHILD.parents[1] / 'rigs'}:{CHILD.parent}", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def holds(name: str, one: dict[str, Any]) -> None:
    assert all(one["alive"].values()), f"{name}: {one['alive']}"
    assert one["tracebacks"] == 0, name
    assert all(fed > 0 for fed in one["fed"].values()), f"{name}: systemd would start {one['fed']} anew"
    for service, lines in one["errors"].items():
        own = [line for line in lines if not PASSED_OVER.search(line)]
        assert len(own) == len(set(own)) <= 3, f"{name}: {service} says {own}"
    room = name.split()[-2]
    if room in STATE_ROOMS:
        assert "state_unwritten" in one["alerts"] or room == "reporter", f"{name}: {one['alerts']}"
        told = {"state_unwritten", "unit_check", "not_recording"} & set(one["conditions"])
        assert told or room == "panel", f"{name}: {one['conditions']}"


def vault_holds(seen: dict[str, Any]) -> None:
    for name in ("vault read_only", "recorder begins, vault read_only"):
        one = seen[name]
        holds(name, one)
        assert {"not_recording", "vault_read_only"} <= set(one["alerts"]), name
        assert "not_recording" in one["conditions"], f"{name}: {one['conditions']}"


# Two folders in each test: an alert that appears a third time is damped for minutes, and hides later faults.
@pytest.mark.parametrize(
    ("cases", "starts"),
    [
        ([["recorder", "bytes"], ["calls", "read_only"]], []),
        ([["recorder", "eio"]], [["recorder", "vault", "missing"]]),
    ],
    ids=["full and read-only", "failing and missing"],
)
def test_a_sample(tmp_path: Path, cases: list[list[str]], starts: list[list[str]]) -> None:
    seen = seen_by(tmp_path, cases, starts, 1.0)
    names = [*(" ".join(case) for case in cases), *(f"{service} begins, {room} {how}" for service, room, how in starts)]
    assert names == list(seen)[:-2]
    for name in names:
        holds(name, seen[name])
        assert seen[name]["told"], f"{name}: not on LEDs and in alerts in time: {seen[name]}"
    if "calls read_only" in seen:
        assert "state_unwritten" in seen["calls read_only"]["alerts"]
    vault_holds(seen)


@pytest.mark.soak
def test_a_medium_that_answers_with_errors_and_a_vault_that_is_not_there(tmp_path: Path) -> None:
    """EIO on data and on the recorder's state; a recorder started then waits, and continues when it can."""
    cases, starts = (
        [["vault", "eio"], ["recorder", "eio"]],
        [["recorder", "vault", "eio"], ["recorder", "vault", "missing"]],
    )
    seen = seen_by(tmp_path, cases, starts, 2.0)
    for name in ("vault eio", "recorder eio", "recorder begins, vault eio", "recorder begins, vault missing"):
        holds(name, seen[name])
    for name in ("vault eio", "recorder begins, vault eio"):
        assert NO_DISK & set(seen[name]["conditions"]), f"{name}: {seen[name]['conditions']}"
        assert NO_DISK & set(seen[name]["alerts"]), f"{name}: {seen[name]['alerts']}"
    vault_holds(seen)


@pytest.mark.soak
@pytest.mark.parametrize("room", [*STATE_ROOMS, "audio", "calls", "door"])
def test_every_room_in_every_way(room: str, tmp_path: Path) -> None:
    service = {"audio": "capture", "calls": "recorder", "door": "recorder"}.get(room, room)
    # Only root can remove the rings' file system under a running capture, and then the audio is lost.
    ways = [how for how in HOWS if (room, how) != ("audio", "gone")]
    seen = seen_by(tmp_path, [[room, how] for how in ways], [[service, room, how] for how in ways], 5.0)
    for name, one in seen.items():
        if "vault" not in name:
            holds(name, one)
    recorded = sum(seen[f"{room} {how}"]["sealed"] for how in ways)
    assert recorded >= len(ways), "calls were recorded and sealed all the while"
    vault_holds(seen)
