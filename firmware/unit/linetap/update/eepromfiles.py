# SPDX-License-Identifier: Apache-2.0
"""The files on the boot partition by which a Pi's ROM writes its EEPROM, and their order; and the state of that update:
on the disk for root, and in RAM for the checks.

"At power on, the ROM looks for a file called recovery.bin in the root directory of the boot partition on the SD card"
and runs it in place of the EEPROM (Raspberry Pi, "recovery.bin"). It writes pieeprom.upd if that has the SHA-256 in
pieeprom.sig, renames itself recovery.000 and restarts. recovery.bin is therefore the switch: without it nothing
happens, and until it has finished each start writes the whole EEPROM again, which repairs an interrupted write. The
loader's own update from the same files has no such recovery; `bootloader_update=0` in config.txt disables it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from linetap.update.state import UpdateFault
from linetap_core.durable import files
from linetap_core.durable.files import replace_in_ram
from linetap_core.durable.smallfile import SmallFile

IMAGE, SUM, RECOVERY = "pieeprom.upd", "pieeprom.sig", "recovery.bin"
_OURS = (RECOVERY, IMAGE, SUM, "pieeprom.bin")  # removed in this order; names of rpi-eeprom-update
_RAN = re.compile(r"recovery\.\d{3}", re.IGNORECASE)


def checksum(image: bytes, chip: str, at_s: int) -> bytes:
    """The content of pieeprom.sig, like that of rpi-eeprom-digest."""
    return f"{hashlib.sha256(image).hexdigest()}\nts: {at_s}\ntarget-soc: {chip.removeprefix('bcm')}\n".encode()


def prepare(boot: Path, image: bytes, recovery: bytes, chip: str, at_s: int) -> None:
    """Writes all files, recovery.bin under another name: no start uses them yet. UpdateFault if the card does not
    store them.
    """
    with _cleared_if_refused(boot):
        clear(boot)
        for name, data in ((IMAGE, image), (SUM, checksum(image, chip, at_s)), (RECOVERY, recovery)):
            # Read again before it gets its name: at a damaged image recovery.bin stops, and the unit with it.
            fresh = _fresh(boot, name)
            files.remove(fresh)
            _write(fresh, data)
            if _read_again(fresh) != data:
                raise UpdateFault("eeprom_card", f"{name}: the card has not kept it")
            if name != RECOVERY:
                files.move_durably(fresh, boot / name)


def arm(boot: Path) -> None:
    """Makes the next start write the EEPROM: gives recovery.bin its name. UpdateFault as in `prepare`."""
    with _cleared_if_refused(boot):
        files.move_durably(_fresh(boot, RECOVERY), boot / RECOVERY)


def disarm(boot: Path) -> None:
    """Undoes `arm`: the files stay prepared."""
    with _cleared_if_refused(boot):
        files.move_durably(boot / RECOVERY, _fresh(boot, RECOVERY))


def clear(boot: Path) -> None:
    """Removes the files, also those left by a power cut; the switch first."""
    found = {path.name for path in boot.iterdir()}
    names = [name for name in _OURS if name in found]
    names += sorted(name for name in found if _RAN.fullmatch(name) or name in {f"{each}.new" for each in _OURS})
    for name in names:
        files.remove(boot / name)
        files.sync_directory(boot)


def is_pending(boot: Path) -> bool:
    """Whether the ROM has not yet run recovery.bin."""
    return (boot / RECOVERY).exists()


def has_run(boot: Path) -> bool:
    return any(_RAN.fullmatch(path.name) for path in boot.iterdir())


def clear_quietly(boot: Path) -> None:
    with contextlib.suppress(OSError):
        clear(boot)


@contextlib.contextmanager
def _cleared_if_refused(boot: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        clear_quietly(boot)
        raise UpdateFault("eeprom_card", f"{boot}: {error.strerror}") from None
    except UpdateFault:
        clear_quietly(boot)
        raise


def _fresh(boot: Path, name: str) -> Path:
    return boot / f"{name}.new"


def _write(path: Path, data: bytes) -> None:
    fd = files.create(path)
    try:
        files.write_all(fd, data)
        os.fsync(fd)
    finally:
        os.close(fd)


def _read_again(path: Path) -> bytes:
    """Reads from the card, not from the page cache."""
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        return file.read()


STATE, KEPT_CONFIG = "eeprom.json", "eeprom-before.txt"  # in update.state.folder_of
PUBLISHED = Path("/run/linetap-eeprom")

EepromStep = Literal["waiting", "trying", "done", "failed"]


class EepromState(msgspec.Struct, frozen=True, kw_only=True):
    """The update's state. `before_s`, `wanted_s`: build times (Unix). `trying`: recovery.bin writes it at the next
    start.
    """

    step: EepromStep
    before_s: int
    wanted_s: int
    at: str
    starts: int = 0  # number of starts before any of it had reached the card
    code: str = ""
    text: str = ""


_FILE = SmallFile("eeprom_state", EepromState, 16 << 10)


def load(folder: Path) -> EepromState | None:
    return _FILE.load_in_place(folder / STATE)


def save(folder: Path, state: EepromState, file: Path = PUBLISHED) -> None:
    _FILE.replace(folder / STATE, state)
    publish(state, file)


def forget(folder: Path, file: Path = PUBLISHED) -> None:
    """Removes the state of a failed update to a version that no longer exists."""
    (folder / STATE).unlink(missing_ok=True)
    file.unlink(missing_ok=True)


def publish(state: EepromState, file: Path = PUBLISHED) -> None:
    """Writes a line that every service may read: linetap.checks.bootstate."""
    line = f"{state.step} before={state.before_s} wanted={state.wanted_s} {state.code}".rstrip()
    replace_in_ram(file, line.encode() + b"\n")
