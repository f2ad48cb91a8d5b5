#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares hardware/emulator/registers.toml, the definition of the emulated part, with ST's descriptions.

Run it as `tools/st_description.sh && .venv/bin/python tools/part_registers.py` after a change of the table. It ends
with 1 and a line for each difference. Without differences it records in the table which rows were compared; a test
fails if that record belongs to another version of the table.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "hardware"))

from emulator.registers import TABLE, Layout, layouts, table
from part_descriptions import Described, Description, Field, header, svd

FETCHED = Path(__file__).resolve().parent.parent / "build" / "st"
SVD, HEADER = "STM32G0B1.svd", "stm32g0b1xx.h"
NOTE = "compared"
NOT_IN_SVD = ("CRS",)
# Errors of ST's SVD against its header and our table: PLLN has seven bits, each of the two banks its own busy flag.
SVD_SAYS: dict[tuple[str, str], dict[str, Field | None]] = {
    ("RCC", "PLLCFGR"): {"PLLN": (8, 8)},
    ("FLASH", "SR"): {"BSY2": None},
}
NOT_IN_HEADER = {  # without a name of their own there
    "RCC_CCIPR.I2S2SEL", "FLASH_KEYR.KEYR", "PWR_CR2.PVMENDAC", "PWR_CR2.PVMENUSB", "TIM2_CNT.CNT_L", "TIM2_CNT.CNT_H",
}  # fmt: skip


def ours() -> dict[tuple[str, str], Described]:
    return {
        (name, key): Described(register.offset, register.reset, register.fields, whole=True)
        for name, layout in layouts().items()
        for key, register in layout.registers.items()
    }


def differences(theirs: Description) -> Iterator[str]:
    """The registers and fields that differ between two descriptions which both have them."""
    for name, layout in layouts().items():
        if theirs.bases.get(name, layout.base) != layout.base:
            yield f"{name}: at {theirs.bases[name]:#x} there"
        if name in theirs.clocks:
            yield from _of_clock(layout, theirs.clocks[name])
    for name, value in theirs.single.items():
        if table()[name] != value:
            yield f"{name}: {value:#x} there"
    for key, register in ours().items():
        if key in theirs.registers:
            yield from (f"{'_'.join(key)}{each}" for each in _of_register(register, theirs.registers[key], key))


def _of_clock(layout: Layout, there: tuple[str, int]) -> Iterator[str]:
    here = layout.clock and (layout.clock[0], layouts()["RCC"].registers[layout.clock[0]].fields[layout.clock[1]][0])
    if here != there:
        yield f"{layout.name}: its clock is {there[0]}'s bit {there[1]} there"


def _of_register(here: Described, there: Described, key: tuple[str, str]) -> Iterator[str]:
    if there.offset not in (None, here.offset):
        yield f": at {there.offset:#x} there"
    if there.reset not in (None, here.reset):
        yield f": {there.reset:#x} after a reset there"
    for name in here.fields.keys() & there.fields.keys():
        if here.fields[name] != there.fields[name]:
            yield f".{name}: bit and width {there.fields[name]} there"
    mask = layouts()[key[0]].registers[key[1]].mask
    if there.whole and (there.mask != mask or (here.fields and here.fields.keys() != there.fields.keys())):
        yield f": bits {there.mask:#x}, {' '.join(there.fields)} there"


def of_svd(path: Path) -> Iterator[str]:
    """One line for each difference from an SVD file, after correction of its known errors, and for each register
    missing in it.
    """
    found = svd(path)
    for key, fields in SVD_SAYS.items():
        wrong = found.registers[key]
        if any(wrong.fields.get(name) != value for name, value in fields.items()):
            yield f"{'_'.join(key)}: SVD_SAYS is not what ST's SVD says"
        right = {name: ours()[key].fields[name] for name in fields}
        found.registers[key] = Described(wrong.offset, wrong.reset, wrong.fields | right, whole=True)
    yield from differences(found)
    yield from (
        f"{name}_{key}: not there"
        for name, key in ours()
        if name not in NOT_IN_SVD and (name, key) not in found.registers
    )


def of_header(path: Path) -> Iterator[str]:
    found = header(path, {key: list(register.fields) for key, register in ours().items()})
    yield from differences(found)
    here = {f"{'_'.join(key)}.{name}" for key, register in ours().items() for name in register.fields}
    there = {f"{'_'.join(key)}.{name}" for key, register in found.registers.items() for name in register.fields}
    yield from (f"{name}: not there" for name in sorted(here - there - NOT_IN_HEADER))


def note_of(rows: dict[str, Any]) -> str:
    """A hash of the table's content, without its comments."""
    said = {name: row for name, row in rows.items() if name != NOTE}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare the emulated part's registers with ST's description.")
    parser.add_argument("folder", type=Path, nargs="?", default=FETCHED, help="what tools/st_description.sh fetched")
    folder = parser.parse_args().folder
    try:
        lines = [*of_svd(folder / SVD), *of_header(folder / HEADER)]
    except (OSError, ET.ParseError, KeyError) as error:
        print(f"part_registers.py: {folder}: no description of an STM32G0B1: {error}", file=sys.stderr)
        return 2
    for line in lines:
        print(line)
    if not lines:
        text = TABLE.read_text()
        TABLE.write_text(re.sub(rf'(?m)^{NOTE} = ".*"$', f'{NOTE} = "{note_of(table())}"', text))
    print(f"{len(ours())} registers compared, {len(lines)} differences")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
