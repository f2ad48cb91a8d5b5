# SPDX-License-Identifier: Apache-2.0
"""The files of an adoption: those that the exchange stores, shows and hands over, and the answers of root and panel.

* `adoption` in the services' folder, written by the exchange: `shown`, for the LEDs; `numbers`, the count of numbers
  shown since power on; and in `sent`, for root, linetap.toml with its signature, and `certificate.pem`.
* `panel` beside it, written by the panel: `adoption`, the digits during which the button was pressed.
* `linetap-adopted` in /run, root's: the files from the desk, in the form of a card, with the request for a certificate,
  or `linetap-error.txt`.
* `session.json` on the disk, written by the exchange: the keys of an exchange that two people have confirmed, until the
  unit has its certificate.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from linetap_core import rundir
from linetap_core.durable.files import replace_in_ram
from linetap_core.durable.smallfile import SmallFile
from linetap_core.enrolment.adoption import Channel

ROOM, SHOWN, NUMBERS, PRESSED, ASKED = "adoption", "shown", "numbers", "adoption", "asked"
_LIMIT_BYTES = 4096


class AdoptionDisplay(msgspec.Struct, frozen=True):
    """The display of an adoption. `seek`: not chosen yet; `code`: CALL counts the digits; `confirmed`: the button was
    pressed, and the order has arrived; `over`: no more digits before the next power on.
    """

    state: Literal["seek", "code", "confirmed", "over"]
    digits: str = ""


_SHOWN = SmallFile("adoption_shown", AdoptionDisplay, _LIMIT_BYTES)


def sent(run_dir: Path) -> Path:
    """The folder of the files for root. It is separate, because each change in it starts root's service."""
    return rundir.make_service_folder(run_dir, ROOM) / "sent"


def show(run_dir: Path, shown: AdoptionDisplay) -> None:
    _SHOWN.replace_in_ram(rundir.make_service_folder(run_dir, ROOM) / SHOWN, shown)


def read_shown(run_dir: Path) -> AdoptionDisplay | None:
    """Reads the digits for the panel, which treats the file as hostile. None: no adoption is in progress."""
    try:
        return _SHOWN.decode(rundir.read(rundir.service_folder(run_dir, ROOM), SHOWN, _LIMIT_BYTES))
    except (OSError, ValueError):
        return None


def note_numbers(run_dir: Path, count: int) -> None:
    """Stores the count of numbers. OSError: the number was not counted, and must not be shown."""
    replace_in_ram(rundir.make_service_folder(run_dir, ROOM) / NUMBERS, str(count).encode())


def numbers(run_dir: Path) -> int:
    """The count of numbers shown since power on, including those of earlier processes."""
    try:
        return int(rundir.read(rundir.service_folder(run_dir, ROOM), NUMBERS, _LIMIT_BYTES))
    except FileNotFoundError:
        return 0


def press(run_dir: Path, digits: str) -> None:
    with contextlib.suppress(OSError):  # the LEDs continue
        replace_in_ram(rundir.make_service_folder(run_dir, "panel") / PRESSED, digits.encode())


def pressed(run_dir: Path) -> str:
    """The digits during which the button was pressed, or ""."""
    try:
        return rundir.read(rundir.service_folder(run_dir, "panel"), PRESSED, _LIMIT_BYTES).decode()
    except (OSError, ValueError):
        return ""


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """A stored exchange. `reserved`: all of the unit's boxes so far have lower numbers."""

    desk: str
    port: int
    run: str
    unit_key: str
    desk_key: str
    reserved: int

    @property
    def channel(self) -> Channel:
        return Channel("", self.run, bytes.fromhex(self.unit_key), bytes.fromhex(self.desk_key))


_SESSION = SmallFile("adoption_session", Session, _LIMIT_BYTES)


@dataclass(frozen=True, slots=True)
class KeptSession:
    """The file of the session on the disk."""

    path: Path

    def load(self) -> Session | None:
        """Loads the session. None if it is missing or damaged: the unit then needs a card."""
        try:
            return _SESSION.read(self.path)
        except (OSError, ValueError):
            return None

    def save(self, session: Session) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _SESSION.replace(self.path, session)

    def forget(self) -> None:
        self.path.unlink(missing_ok=True)
