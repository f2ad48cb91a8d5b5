# SPDX-License-Identifier: Apache-2.0
"""The progress or result of an update of the EEPROM: on the disk for root, and in RAM for the checks."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from linetap_core.durable.files import replace_in_ram
from linetap_core.durable.smallfile import SmallFile

STATE, KEPT_CONFIG = "eeprom.json", "eeprom-before.txt"  # in update.state.folder_of
PUBLISHED = Path("/run/linetap-eeprom")

EepromStep = Literal["waiting", "trying", "done", "failed"]


class EepromState(msgspec.Struct, frozen=True, kw_only=True):
    """`before_s`, `wanted_s`: Unix times of the builds. `trying`: recovery.bin has it from the next start on."""

    step: EepromStep
    before_s: int
    wanted_s: int
    at: str
    starts: int = 0  # that it was begun, and nothing of it had reached the card
    code: str = ""
    text: str = ""


_FILE = SmallFile("eeprom_state", EepromState, 16 << 10)


def load(folder: Path) -> EepromState | None:
    return _FILE.load_in_place(folder / STATE)


def save(folder: Path, state: EepromState, file: Path = PUBLISHED) -> None:
    _FILE.replace(folder / STATE, state)
    publish(state, file)


def forget(folder: Path, file: Path = PUBLISHED) -> None:
    """Removes the state of a failed update that no version has any more."""
    (folder / STATE).unlink(missing_ok=True)
    file.unlink(missing_ok=True)


def publish(state: EepromState, file: Path = PUBLISHED) -> None:
    """A line that every service may read: linetap.checks.bootstate."""
    line = f"{state.step} before={state.before_s} wanted={state.wanted_s} {state.code}".rstrip()
    replace_in_ram(file, line.encode() + b"\n")
