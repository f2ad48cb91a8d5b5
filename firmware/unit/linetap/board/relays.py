# SPDX-License-Identifier: Apache-2.0
"""`linetap relays open`: opens a card's notice relays, and closes its series contacts, after its capture has ended in
any way.

A killed capture opens nothing, and Raspberry Pi's kernel leaves a released output as it was driven. So capture writes a
note for opening its relays before it can close one, and this command needs only that note: neither an invalid
configuration nor a card that cannot be opened keeps a relay closed.
"""

from __future__ import annotations

import argparse
import contextlib
import os
from functools import partial
from pathlib import Path

import msgspec

from linetap.board.gpio import Gpio, begin, claim, import_gpio
from linetap_core import rooms
from linetap_core.durable.smallfile import Broken, SmallFile
from linetap_core.errors import DeviceFault, Refusal

EXAMPLE = "example: linetap relays open --card 1"
MOST_BYTES = 4096


class Note(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The means to open one card's relays: pins of the header, or bytes of the simulated wires."""

    pins: list[int] = []
    open_level: int = 0
    wires: str | None = None
    at: int = 0  # in that file; one byte a relay, 0 = open
    relays: int = 0
    contacts: int = 0  # where its series contacts' commands are, int64 each, 0 = closed; 0: it has none


_FILE = SmallFile("relays", Note, MOST_BYTES)


def note_path(run_dir: Path, card: int) -> Path:
    """In capture's own folder, beside its ring: no other service may name pins to drive."""
    return run_dir / "audio" / f"relays-{card}"


def leave_note(run_dir: Path, card: int, note: Note) -> None:
    """Called before the first relay can be closed."""
    path = note_path(run_dir, card)
    rooms.make(path.parent)
    _FILE.replace_in_ram(path, note)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    opening = verbs.add_parser("open", help="open every notice relay of a card", epilog=EXAMPLE)
    opening.add_argument("--card", type=int, default=1, metavar="N", help="default %(default)s")
    opening.add_argument("--run-dir", type=Path, default=Path("/run/linetap"), metavar="DIR", help="%(default)s")


def run(args: argparse.Namespace) -> int:
    """Returns 0 if they are open. Refusal names the relays that could not be driven."""
    open_relays(args.run_dir, args.card)
    return 0


def open_relays(run_dir: Path, card: int) -> None:
    """Does nothing without a note: in this boot no capture could close a relay, or its card's meter opens them itself.

    DeviceFault `gpio_absent`; Refusal for what cannot be read or driven.
    """
    path = note_path(run_dir, card)
    try:
        note = _FILE.read(path)
    except FileNotFoundError:
        return
    except Broken as error:
        raise Refusal(f"{path}: {error}; restart linetap-capture@{card}, which opens its relays first") from None
    if note.wires is not None:
        _open_simulated(note)
    if note.pins:
        open_pins(import_gpio(), note)


def open_pins(gpio: Gpio, note: Note) -> None:
    """Opens each, whatever happens to the others; Refusal names those that may still be closed."""
    begin(gpio)
    driven, failed = [], []
    for pin in note.pins:
        try:
            claim(pin, partial(gpio.setup, pin, gpio.OUT, initial=note.open_level))
            driven.append(pin)
        except DeviceFault as error:
            failed.append(str(error))
    with contextlib.suppress(Exception):  # they are open, whether the kernel releases them or not
        gpio.cleanup(driven)
    if failed:
        raise Refusal(f"not opened: {'; '.join(failed)}")


def _open_simulated(note: Note) -> None:
    assert note.wires is not None
    fd = os.open(note.wires, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.pwrite(fd, bytes(note.relays), note.at)
        if note.contacts:
            os.pwrite(fd, bytes(8 * note.relays), note.contacts)
    finally:
        os.close(fd)
