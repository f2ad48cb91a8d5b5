# SPDX-License-Identifier: Apache-2.0
"""RAUC as a command, and the boot loader's script (image/root/usr/lib/linetap/slots): each call has a time limit, each
failure is one line.

RAUC's daemon does the work, as root; only it writes a slot or the boot partition.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import msgspec

from linetap.update.state import UpdateFault
from linetap_core import jsontext

SLOTS = "/usr/lib/linetap/slots"
_LOOK_S, _INSTALL_S = 120, 3600
_LONGEST_TEXT = 300
PLAIN = "plain"


class Info(msgspec.Struct, frozen=True):
    """The facts of a bundle with a valid signature."""

    compatible: str
    version: str
    format: str = PLAIN  # the signed bytes: versions/payload.py


class _Update(msgspec.Struct, frozen=True):
    compatible: str
    version: str


class _Bundle(msgspec.Struct, frozen=True):
    format: str


class _Info(msgspec.Struct, frozen=True):
    update: _Update
    bundle: _Bundle


class Slots(msgspec.Struct, frozen=True):
    """The slots. `current` runs, `primary` starts after a power cut. If they differ, current is on trial, once."""

    current: str
    primary: str

    @property
    def other(self) -> str:
        return "b" if self.current == "a" else "a"


class Rauc:
    """RAUC and the boot loader. Every method may raise UpdateFault."""

    def __init__(self, slots: str = SLOTS, options: tuple[str, ...] = ()) -> None:
        """`options`: of rauc itself, before its verb."""
        self._slots, self._rauc = slots, ("rauc", *options)

    def info(self, bundle: Path) -> Info:
        """The facts of a bundle. `update_signature`: cut short, changed, or not signed by a trusted key."""
        output = _run("update_signature", _LOOK_S, *self._rauc, "info", "--output-format=json-2", str(bundle))
        try:
            info = jsontext.decode(output, type=_Info)
        except ValueError as error:
            raise UpdateFault("update_signature", f"rauc info: {error}") from None
        return Info(info.update.compatible, info.update.version, info.bundle.format)

    def install(self, bundle: Path) -> None:
        """Writes the slot that does not run, without starting it."""
        _run("update_install", _INSTALL_S, *self._rauc, "install", str(bundle))

    def slots(self) -> Slots:
        current, primary = (self._slots_command(word) for word in ("get-current", "get-primary"))
        if not {current, primary} <= {"a", "b"}:
            raise UpdateFault("update_slots", f"slot {current!r} runs and {primary!r} starts: a and b expected")
        return Slots(current, primary)

    def try_other(self) -> None:
        """Makes the next `reboot` start the other slot, once."""
        _run("update_install", _LOOK_S, *self._rauc, "status", "mark-active", "other")

    def keep(self) -> None:
        """Makes the running slot the default for every start."""
        _run("update_keep", _LOOK_S, *self._rauc, "status", "mark-good", "booted")

    def reboot(self) -> None:
        """Reboots into the slot on trial; from a trial, into the primary slot."""
        self._slots_command("reboot")

    def _slots_command(self, word: str) -> str:
        return _run("update_slots", _LOOK_S, self._slots, word).strip()


def restart() -> None:
    """Restarts the machine in the slot that is due in any case."""
    _run("update_install", _LOOK_S, "/usr/bin/systemctl", "reboot")


def _run(code: str, limit_s: float, *words: str) -> str:
    """Runs a command; returns standard output."""
    what = " ".join(word for word in words if not word.startswith("-"))
    try:
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=limit_s,
            check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise UpdateFault(code, f"{what}: not within {limit_s:g} s") from None
    except OSError as error:
        raise UpdateFault(code, f"{what}: {error.strerror}") from None
    if done.returncode:
        raise UpdateFault(code, f"{what}: {_why(done.stdout, done.stderr) or f'status {done.returncode}'}")
    return done.stdout


def _why(out: str, err: str) -> str:
    """The daemon's own message; without one, the last line with content."""
    lines = [line.strip() for line in (out + "\n" + err).splitlines() if line.strip()]
    errors = [line.partition("LastError: ")[2] for line in lines if "LastError: " in line] or lines
    return "".join(each if each.isprintable() else " " for each in errors[-1])[:_LONGEST_TEXT] if errors else ""
