# SPDX-License-Identifier: Apache-2.0
"""The machine's hardware, and the figures of its kernel and systemd: start, ports, watchdog, heat, load, wear.

`root` is the folder with /proc and /sys. A figure that this machine lacks is None with the reason.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from linetap.checks.bootstate import read_loader
from linetap.checks.kernelfiles import bytes_of, first_group, text_of
from linetap_core.clock import NS_PER_S
from linetap_core.vaultformat.bringupreport import BoardFacts

SERVICES = ("linetap-capture@", "linetap-recorder", "linetap-reporter", "linetap-panel")
LEAST_S = 60  # load and wear of a shorter time are random
_COMMAND_S = 20
_MOST_FILES = 64
_NET_BYTES = 1 << 20  # limit of /proc/net/*: 7,000 sockets
_SECTOR_BYTES = 512  # unit of /sys/block/*/stat, for every disk
_WRITTEN_SECTORS = 6  # index of the field
_DHCP_PORTS = frozenset({68, 546})  # ports of answers to the unit's own requests
_LISTENS = "0A"  # a TCP socket's state


@dataclass(frozen=True, slots=True)
class Measured:
    """A measured value; `value` None: not measured, with the reason in `note`."""

    value: float | None
    note: str


def facts(root: Path) -> BoardFacts:
    tree = root / "proc/device-tree"
    loader = read_loader(root)
    cards = sorted(root.glob("proc/asound/card[0-9]*"))[:_MOST_FILES]
    return BoardFacts(
        model=text_of(tree / "model").strip("\0\n "),
        revision=_revision(bytes_of(tree / "system/linux,revision", 5)),
        kernel=text_of(root / "proc/sys/kernel/osrelease").strip(),
        firmware=loader.built_on if loader else "",
        clock_chip=text_of(root / "sys/class/rtc/rtc0/name").strip(),
        codecs=[_codec(card) for card in cards if card.is_dir() and not card.is_symlink()],
        tpm=(root / "sys/class/tpm/tpm0").exists(),
    )


def _revision(found: bytes) -> str:
    """The board's revision, 32 bits, which the firmware writes into the device tree; only Raspberry Pi's own kernel has
    it in /proc/cpuinfo.
    """
    return f"{int.from_bytes(found):x}" if len(found) == 4 else ""


def _codec(card: Path) -> str:
    """A USB codec's own description (stream0); of another card only its name."""
    stream = text_of(card / "stream0")
    kinds = [
        f"{word.lower()} {', '.join(sorted(set(re.findall(pattern, stream))))}"
        for word, pattern in (
            ("Rates", r"Rates: ([^\n]+)"),
            ("Channels", r"Channels: (\d+)"),
            ("Format", r"Format: (\S+)"),
        )
        if re.search(pattern, stream)
    ]
    return "; ".join([text_of(card / "id").strip() or card.name, *kinds])


# --- systemd ----------------------------------------------------------------------------------------------------------


def _systemctl(*words: str) -> list[str] | str:
    """Runs systemctl; returns the output's lines, or the reason for having none."""
    try:
        done = subprocess.run(
            ["systemctl", "--no-pager", *words], capture_output=True, text=True, errors="replace", timeout=_COMMAND_S,
            check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"systemctl: {error}"
    return done.stdout.splitlines() if done.returncode == 0 else f"systemctl: {' '.join(done.stderr.split())[:200]}"


def services() -> list[str] | str:
    """The names of linetap's loaded units, or the reason why they are unknown."""
    lines = _systemctl("list-units", "--plain", "--no-legend", "--all", "linetap-*.service")
    if isinstance(lines, str):
        return lines
    names = [line.split()[0] for line in lines if line.split()]
    found = [name for name in names if name.startswith(SERVICES)]
    return found or "systemctl: none of linetap's services is loaded"


def ready(names: list[str] | str) -> Measured:
    """Seconds from the kernel's start until the last of them was first ready in this boot."""
    if isinstance(names, str):
        return Measured(None, names)
    lines = _systemctl("show", "-P", "ActiveEnterTimestampMonotonic", *names)
    if isinstance(lines, str):
        return Measured(None, lines)
    times = [int(line) for line in lines if line.isdecimal()]
    if len(times) < len(names) or not all(times):
        return Measured(None, "a service is not ready")
    return Measured(
        round(max(times) / 1e6, 1), "systemd: ActiveEnterTimestampMonotonic; a restart since counts as its start"
    )


def failed() -> Measured:
    lines = _systemctl("list-units", "--failed", "--plain", "--no-legend")
    if isinstance(lines, str):
        return Measured(None, lines)
    names = [line.split()[0] for line in lines if line.split()]
    return Measured(len(names), ", ".join(names)[:200] or "systemctl --failed")


# --- The kernel's files -----------------------------------------------------------------------------------------------


def open_ports(root: Path) -> Measured:
    """Sockets that others can reach: listening TCP, UDP without a peer; not those on the loopback."""
    found = []
    for name in ("tcp", "tcp6", "udp", "udp6"):
        for line in text_of(root / "proc/net" / name, _NET_BYTES).splitlines()[1:]:
            words = line.split()
            if len(words) < 4:
                continue
            address, _, port = words[1].partition(":")
            reachable = words[3] == _LISTENS if name.startswith("tcp") else set(words[2]) <= set("0:")
            if reachable and not _is_loopback(address) and int(port, 16) not in _DHCP_PORTS:
                found.append(f"{name} {int(port, 16)}")
    if not (root / "proc/net/tcp").exists():
        return Measured(None, "/proc/net/tcp is missing")
    return Measured(len(found), ", ".join(sorted(found))[:200] or "/proc/net")


def _is_loopback(address: str) -> bool:
    """Whether the address is on the loopback. `address`: from /proc/net, 32-bit words in this machine's byte order."""
    return address.endswith("7F") if len(address) == 8 else address == "00000000000000000000000001000000"


def watchdog(root: Path) -> Measured:
    place = root / "sys/class/watchdog/watchdog0"
    timeout, state = text_of(place / "timeout").strip(), text_of(place / "state").strip()
    if not timeout.isdecimal():
        return Measured(None, "there is no /sys/class/watchdog/watchdog0")
    if state and state != "active":
        return Measured(0, f"{text_of(place / 'identity').strip()}: {state}")
    return Measured(int(timeout), text_of(place / "identity").strip() or "watchdog0")


@dataclass(frozen=True, slots=True)
class Load:
    """The services' processor use until a moment, and the amount written to the data's disk."""

    mono_ns: int
    cpu_us: int | None
    memory_kb: int | None
    written_bytes: int | None


def load(root: Path, names: list[str] | str, disk: str, mono_ns: int) -> Load:
    groups = [] if isinstance(names, str) else _control_groups(root, names)
    used = [first_group(r"^usage_usec (\d+)$", text_of(group / "cpu.stat")) for group in groups]
    pids = [pid for group in groups for pid in text_of(group / "cgroup.procs").split()][:_MOST_FILES]
    memory = [first_group(r"^Pss: +(\d+) kB$", text_of(root / "proc" / pid / "smaps_rollup")) for pid in pids]
    stat = text_of(root / "sys/block" / disk / "stat").split() if disk else []
    return Load(
        mono_ns=mono_ns,
        cpu_us=sum(map(int, used)) if used and all(used) else None,
        memory_kb=sum(map(int, memory)) if memory and all(memory) else None,
        written_bytes=int(stat[_WRITTEN_SECTORS]) * _SECTOR_BYTES if len(stat) > _WRITTEN_SECTORS else None,
    )


def _control_groups(root: Path, names: Iterable[str]) -> list[Path]:
    lines = _systemctl("show", "-P", "ControlGroup", *names)
    return [] if isinstance(lines, str) else [root / "sys/fs/cgroup" / it.strip("/") for it in lines if it.strip("/ ")]


def disk_of(path: Path, root: Path) -> str:
    """The name of the disk under a folder, such as mmcblk0; empty if there is none (RAM)."""
    for _ in range(len(path.parts)):
        if path.exists():
            break
        path = path.parent
    number = path.stat().st_dev
    place = (root / f"sys/dev/block/{number >> 8 & 0xFFF}:{number & 0xFF}").resolve()
    holders = sorted((place / "slaves").glob("*")) if (place / "slaves").is_dir() else []  # dm-crypt: the device below
    if holders:
        place = holders[0].resolve()
    return place.parent.name if (place / "partition").exists() else place.name if (place / "stat").exists() else ""


def use(first: Load, last: Load) -> tuple[Measured, Measured, Measured]:
    """Percent of a core, MB of memory, and MB written an hour, between two moments."""
    seconds = (last.mono_ns - first.mono_ns) / NS_PER_S
    over = f"over {seconds / 60:.0f} min"
    no_services = "the services' control groups cannot be read; root on a unit expected"
    too_short = Measured(None, f"measured for {seconds:.0f} s; a minute at least expected")
    cpu = memory = Measured(None, no_services)
    if first.cpu_us is not None and last.cpu_us is not None:
        cpu = (
            too_short
            if seconds < LEAST_S
            else Measured(round((last.cpu_us - first.cpu_us) / 1e4 / seconds, 1), f"cpu.stat, {over}")
        )
    if last.memory_kb is not None:
        memory = Measured(round(last.memory_kb / 1024, 1), "smaps_rollup, at the end")
    written = Measured(None, "the vault lies on no disk")
    if first.written_bytes is not None and last.written_bytes is not None:
        hour = (last.written_bytes - first.written_bytes) / max(seconds, 1) * 3600
        written = too_short if seconds < LEAST_S else Measured(round(hour / 1e6, 1), f"/sys/block/*/stat, {over}")
    return cpu, memory, written
