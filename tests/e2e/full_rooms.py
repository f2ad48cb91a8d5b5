# SPDX-License-Identifier: Apache-2.0
"""A unit whose folders in RAM and whose vault are separate file systems, and faults of these.

A separate child (`python full_rooms.py FOLDER`), in its own mount namespace; prints its observations as JSON. See
test_full_rooms.py.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import socket
import struct
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from world import World

from linetap.board.simulated import leds_shown
from linetap.config.schema import Config
from linetap_bench.stage.processes import Child
from linetap_core.clock import NS_PER_S, SYSTEM
from linetap_core.records import PanelState, ReporterState, ServiceState
from linetap_core.service import START_AGAIN, read_state

ROOMS = {
    "audio": "64m",
    "calls": "4m",
    "capture": "1m",
    "door": "64k",
    "panel": "256k",
    "recorder": "1m",
    "reporter": "1m",
}
SERVICES = ("capture", "recorder", "reporter", "panel")
STATE_ROOMS = ("capture", "recorder", "reporter", "panel")  # folders with a state file that others read
UNWELL = ("state_unwritten", "not_recording", "")
NO_DISK = {"not_recording", "disk_full"}  # also raised if a file system does not answer
LIMIT_S = 120
SCRIPT = "lines = 2\nseed = 3\n" + "".join(
    f'[[call]]\nline = {1 + n % 2}\nstart_s = {2.0 + 4 * n}\ndirection = "in"\nrings = 1\ntalk_after_s = 0.0\n'
    "talk_s = 4.0\ndense_dbm0 = -20.0\n"
    for n in range(120)
)
VAULT_MB = 96
_CREDENTIALS = struct.calcsize("3i")


def run(*words: object) -> str:
    return subprocess.run(list(map(str, words)), check=True, capture_output=True, text=True).stdout


class Notified:
    """systemd's end of sd_notify(3): the pids that have sent WATCHDOG=1."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._socket.bind(str(path))
        self.fed: Counter[int] = Counter()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            data, ancillary, _, _ = self._socket.recvmsg(256, socket.CMSG_SPACE(_CREDENTIALS))
            pid = struct.unpack("3i", ancillary[0][2][:_CREDENTIALS])[0]
            self.fed[pid] += data == b"WATCHDOG=1"


class RoomyWorld(World):
    """A world whose folders and vault are small file systems."""

    def prepare(self, *words: Any, **more: Any) -> Config:
        self.rooms = {name: self.run_dir / name for name in ROOMS}
        for name, room in self.rooms.items():
            room.mkdir(exist_ok=True)
            run("mount", "-t", "tmpfs", "-o", f"size={ROOMS[name]},nr_inodes=64", "tmpfs", room)
        image, self.vault = self.folder / "vault.img", self.folder / "vault"
        with image.open("wb") as file:
            file.truncate(VAULT_MB << 20)
        run("mkfs.ext4", "-q", image)
        self.vault.mkdir()
        run("mount", "-o", "loop,errors=remount-ro", image, self.vault)
        self._stack.callback(self._leave)
        self.notified = Notified(self.run_dir / "notify")
        os.environ |= {"NOTIFY_SOCKET": str(self.run_dir / "notify"), "WATCHDOG_USEC": "2000000"}
        self.children._env |= {"NOTIFY_SOCKET": str(self.run_dir / "notify"), "WATCHDOG_USEC": "2000000"}
        return super().prepare(*words, **more)

    def _leave(self) -> None:
        for place in (*self.rooms.values(), self.vault):
            while subprocess.run(["umount", "-l", place], capture_output=True, check=False).returncode == 0:
                pass

    def condition(self) -> str:
        state = read_state(self.run_dir, "panel", PanelState)
        return state.unit_state if state is not None else ""

    def alerts(self) -> set[str]:
        """The alerts as judged by the reporter, which would publish them."""
        state = read_state(self.run_dir, "reporter", ReporterState)
        return set(state.alerts) if state is not None else set()

    @contextmanager
    def broken(self, name: str, how: str) -> Iterator[None]:
        room = self.vault if name == "vault" else self.rooms[name]
        match how:
            case "eio":
                with self._failing(room):
                    yield
            case "missing":
                run("mount", "--move", room, self._aside())
                room.rmdir()
                yield
                room.mkdir(exist_ok=True)
                run("mount", "--move", self._aside(), room)
            case "bytes" | "inodes":
                made = list(_filled(room, how))
                yield
                for path in made:
                    path.unlink()
            case "read_only":
                run("mount", "-t", "tmpfs", "-o", "ro,size=64k", "tmpfs", room)
                yield
                run("umount", "-l", room)
            case "gone":
                run("mount", "--move", room, self._aside())
                room.rmdir()
                room.touch()
                yield
                room.unlink()
                room.mkdir(exist_ok=True)
                run("mount", "--move", self._aside(), room)
            case _:
                raise AssertionError(how)

    @contextmanager
    def _failing(self, room: Path) -> Iterator[None]:
        """Covers the folder with a medium that always fails."""
        program = self.folder / "failing"
        if not program.exists():
            flags = run("pkg-config", "--cflags", "--libs", "fuse3").split()
            run("gcc", "-Wall", "-Wextra", "-Werror", "-o", program, Path(__file__).with_name("failing.c"), *flags)
        daemon = subprocess.Popen([program, room])
        try:
            self.until(lambda: _is_failing(room), f"{room} answers with EIO")
            yield
        finally:
            run("umount", "-l", room)
            daemon.terminate()
            daemon.wait(120)

    def _aside(self) -> Path:
        aside = self.folder / "aside"
        aside.mkdir(exist_ok=True)
        return aside

    def break_vault(self) -> None:
        device = Path(run("findmnt", "-no", "SOURCE", self.vault).strip()).name
        Path(f"/sys/fs/ext4/{device}/trigger_fs_error").write_text("1")


def _is_failing(room: Path) -> bool:
    try:
        os.listdir(room)
    except OSError as error:
        return error.errno == errno.EIO
    return False


def _filled(room: Path, how: str) -> Iterator[Path]:
    for n in range(4096):
        path = room / f"ballast{n}"
        try:
            with path.open("xb") as file:
                yield path
                while how == "bytes":
                    file.write(bytes(4096))
                    file.flush()
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            return


class Seen:
    def __init__(self, world: RoomyWorld, services: dict[str, Child]) -> None:
        self.world, self.services = world, services
        self.log_at = {name: child.log.stat().st_size for name, child in services.items()}
        self.fed_at = dict(world.notified.fed)
        self.sealed_at = len(world.records())
        self.conditions: list[tuple[int, str, str]] = []
        self.alerts: set[str] = set()
        self.told = True  # always before the limit
        self.began_ns = SYSTEM.monotonic_ns()

    def watch(self, seconds: float, until: Callable[[], bool] = lambda: True) -> None:
        """Watches for at least this time, and until the condition holds; a busy machine gets LIMIT_S for that, and then
        the test names the condition.
        """
        began_ns = SYSTEM.monotonic_ns()
        least_ns, most_ns = began_ns + round(seconds * NS_PER_S), began_ns + LIMIT_S * NS_PER_S
        while (now_ns := SYSTEM.monotonic_ns()) < least_ns or (now_ns < most_ns and not until()):
            ms = (SYSTEM.monotonic_ns() - self.began_ns) // 1_000_000
            with contextlib.suppress(OSError):
                lit = "".join(name[0] for name, on in leds_shown(self.world.run_dir).items() if on)
                self.conditions.append((ms, lit, self.world.condition()))
            self.alerts |= self.world.alerts()
            SYSTEM.sleep(0.05)
        self.told &= SYSTEM.monotonic_ns() < most_ns

    @property
    def all_fed(self) -> bool:
        fed = self.world.notified.fed
        return all(
            child.process.poll() is not None or fed[child.process.pid] > self.fed_at.get(child.process.pid, 0)
            for child in self.services.values()
        )

    def is_told(self, room: str) -> bool:
        """Whether the fault is reported, by the LEDs and the alerts."""
        shown = {condition for _, _, condition in self.conditions}
        if not self.all_fed:
            return False
        if room == "vault":
            return bool(NO_DISK & shown) and bool(NO_DISK & self.alerts)
        if room not in STATE_ROOMS:
            return True
        told = "state_unwritten" in self.alerts or room == "reporter"
        return told and (bool({"state_unwritten", "unit_check", "not_recording"} & shown) or room == "panel")

    def as_json(self) -> dict[str, Any]:
        said = {name: child.log.read_bytes()[self.log_at[name] :].decode() for name, child in self.services.items()}
        red_ms = next((ms for ms, lit, _ in self.conditions if "f" in lit), None)
        return {
            "alive": {name: child.process.poll() is None for name, child in self.services.items()},
            "fed": {
                name: self.world.notified.fed[child.process.pid] - self.fed_at.get(child.process.pid, 0)
                for name, child in self.services.items()
            },
            "conditions": sorted({condition for _, _, condition in self.conditions}),
            "fault_lit_ms": red_ms,
            "dark_ms": next((ms for ms, lit, _ in self.conditions if "r" not in lit), None),
            "alerts": sorted(self.alerts),
            "told": self.told,
            "tracebacks": sum(text.count("Traceback") for text in said.values()),
            "errors": {
                name: re.findall(r"<[345]>.*", text) for name, text in said.items() if re.search("<[345]>", text)
            },
            "sealed": len(self.world.records()) - self.sealed_at,
        }


def main(
    folder: Path, cases: list[tuple[str, str]], starts: list[tuple[str, str, str]], each_s: float
) -> dict[str, Any]:
    """`cases`: folder and fault, during calls; `starts`: also the service that starts with it. Finally the vault."""
    script = folder / "script.toml"
    script.write_text(SCRIPT)
    seen: dict[str, Any] = {}
    with RoomyWorld(folder, script, {"reserve_mb = 256": "reserve_mb = 8"}) as world:
        services = {name: world.start(name) for name in SERVICES}
        world.until(lambda: any(world.line_is(n, "recording") for n in (1, 2)), "a call is recorded")
        for name, how in cases:
            one = Seen(world, services)
            with world.broken(name, how):
                one.watch(each_s, partial(one.is_told, name))
            one.watch(each_s / 2, lambda: world.condition() not in UNWELL)
            seen[f"{name} {how}"] = one.as_json()
        for service, name, how in starts:
            world.children.end(services[service])
            if name == "audio" and how in ("bytes", "inodes"):  # an existing ring is reused
                for path in world.rooms[name].iterdir():
                    path.unlink()
            with world.broken(name, how):
                services[service] = world.start(service)
                one = Seen(world, services)
                # A missing vault is created anew; there is no fault to report.
                one.watch(each_s, partial(one.is_told, "" if how == "missing" else name))
            seen[f"{service} begins, {name} {how}"] = one.as_json()
            _begin_anew(world, services, service)
        one = Seen(world, services)
        world.break_vault()
        one.watch(each_s, lambda: one.is_told("vault") and "vault_read_only" in one.alerts)
        seen["vault read_only"] = one.as_json()
        world.children.end(services["recorder"])
        services["recorder"] = world.start("recorder")
        one = Seen(world, services)
        one.watch(each_s, lambda: one.is_told("vault") and "vault_read_only" in one.alerts)
        seen["recorder begins, vault read_only"] = one.as_json()
    return seen


def _begin_anew(world: RoomyWorld, services: dict[str, Child], service: str) -> None:
    """Restarts the service like systemd if it ended with status 75, and with no other."""
    child = services[service]

    def works() -> bool:
        """Whether the service works, or has ended to be restarted."""
        state = read_state(world.run_dir, "capture@1" if service == "capture" else service, ServiceState)
        lives = state is not None and state.pid == child.process.pid and state.fault is None
        return child.process.poll() is not None or lives

    world.until(works, f"{service} goes on or begins anew")
    if (status := child.process.poll()) is not None:
        assert status == START_AGAIN, f"{service} ended with {status}"
        world.children.children.remove(services[service])
        services[service] = world.start(service)
    world.until(lambda: world.condition() != "", "the panel is there")


if __name__ == "__main__":
    words = json.loads(sys.argv[2])
    print(json.dumps(main(Path(sys.argv[1]), words["cases"], words["starts"], words["each_s"])))
