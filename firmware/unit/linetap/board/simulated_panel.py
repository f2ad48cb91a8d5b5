# SPDX-License-Identifier: Apache-2.0
"""LEDs and the button as a few bytes on tmpfs. A file of its own, so that the panel needs no numpy."""

from __future__ import annotations

import mmap
import os
from collections.abc import Mapping
from pathlib import Path

from linetap.board.interface import UNIT_LEDS
from linetap.config.schema import FULL_PERCENT
from linetap_core import rooms

_BUTTON = len(UNIT_LEDS)
_DARKER = _BUTTON + 1  # percent below full brightness
_BYTES = _DARKER + 1


class SimulatedPanel:
    """Five bytes on tmpfs: run, call, fault, button, brightness."""

    def __init__(self, run_dir: Path) -> None:
        rooms.enter(run_dir, "panel")
        try:
            self._bytes = _panel_bytes(run_dir)
        except OSError:  # as with hardware, LEDs need no room on tmpfs; these are just invisible
            self._bytes = mmap.mmap(-1, _BYTES)

    def show(self, leds: Mapping[str, bool]) -> None:
        for i, name in enumerate(UNIT_LEDS):
            self._bytes[i] = leds[name]

    def dim(self, percent: int) -> None:
        self._bytes[_DARKER] = FULL_PERCENT - percent

    def button(self) -> bool:
        return self._bytes[_BUTTON] != 0

    def close(self) -> None:
        """Dark, as with hardware: an ended panel must not show anything."""
        for i in range(len(UNIT_LEDS)):
            self._bytes[i] = 0
        self._bytes.close()


def leds_shown(run_dir: Path) -> dict[str, bool]:
    """Returns what the simulated LEDs show at this moment, blinking included."""
    try:
        memory = _panel_bytes(run_dir)
    except FileNotFoundError:  # the panel has not made its folder yet
        return dict.fromkeys(UNIT_LEDS, False)
    try:
        return {name: memory[i] != 0 for i, name in enumerate(UNIT_LEDS)}
    finally:
        memory.close()


def brightness_shown(run_dir: Path) -> int:
    """Percent."""
    memory = _panel_bytes(run_dir)
    try:
        return FULL_PERCENT - memory[_DARKER]
    finally:
        memory.close()


def press_button(run_dir: Path, pressed: bool) -> None:
    memory = _panel_bytes(run_dir)
    memory[_BUTTON] = pressed
    memory.close()


def _panel_bytes(run_dir: Path) -> mmap.mmap:
    fd = os.open(rooms.room(run_dir, "panel") / "panel.leds", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660)
    try:
        os.posix_fallocate(fd, 0, _BYTES)
        return mmap.mmap(fd, _BYTES)
    finally:
        os.close(fd)
