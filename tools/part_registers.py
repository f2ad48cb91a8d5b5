#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares hardware/part/registers.toml, by which the meter's part is emulated, with ST's own description of the part.

Run it as `.venv/bin/python tools/part_registers.py STM32G0B1.svd`; the file is `stm32g0/STM32G0B1.svd` of
github.com/modm-io/cmsis-svd-stm32 and not ours to keep. It ends with 1 and a line for each difference.
"""

from __future__ import annotations

import argparse
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "hardware"))

from part.registers import Layout, layouts, table

NOT_IN_IT = ("CRS",)


def number(element: ET.Element, name: str) -> int:
    return int(element.findtext(name) or "0", 0)


def differences(path: Path) -> Iterator[str]:
    found = {each.findtext("name") or "": each for each in ET.parse(path).getroot().iter("peripheral")}
    for name, layout in layouts().items():
        if name not in NOT_IN_IT:
            yield from of_peripheral(layout, found[name], found)
    interrupts = {each.findtext("name"): number(each, "value") for each in ET.parse(path).getroot().iter("interrupt")}
    if interrupts["UCPD1_UCPD2_USB"] != table()["usb_interrupt"]:
        yield f"interrupt of USB: {interrupts['UCPD1_UCPD2_USB']} there"


def of_peripheral(layout: Layout, theirs: ET.Element, every: dict[str, ET.Element]) -> Iterator[str]:
    if number(theirs, "baseAddress") != layout.base:
        yield f"{layout.name}: at {theirs.findtext('baseAddress')} there"
    source = theirs if theirs.find("registers") is not None else every[theirs.get("derivedFrom") or ""]
    registers: dict[str, ET.Element] = {}
    for each in source.iter("register"):
        registers.setdefault(short(layout.name, each.findtext("name") or ""), each)
    for name, ours in layout.registers.items():
        there = registers.get(name)
        if there is None:
            yield f"{layout.name}_{name}: not there"
            continue
        fields = {
            each.findtext("name") or "": (number(each, "bitOffset"), number(each, "bitWidth"))
            for each in there.iter("field")
        }
        mask = sum(((1 << width) - 1) << bit for bit, width in fields.values())
        theirs_are = (number(there, "addressOffset"), number(there, "resetValue"), mask)
        if theirs_are != (ours.offset, ours.reset, ours.mask) or (ours.fields and ours.fields != fields):
            yield f"{layout.name}_{name}: offset, reset value, bits {theirs_are} and {fields} there"


def short(peripheral: str, name: str) -> str:
    """USB_CHEP0R is CHEP0, I2C_CR1 of I2C1 is CR1."""
    name = name.removeprefix(f"{peripheral}_").removeprefix(f"{peripheral.rstrip('123')}_")
    return name.removesuffix("R") if name.startswith("CHEP") else name


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare the emulated part's registers with ST's description.")
    parser.add_argument("svd", type=Path)
    path = parser.parse_args().svd
    try:
        lines = list(differences(path))
    except (OSError, ET.ParseError, KeyError) as error:
        print(f"part_registers.py: {path}: not the description of an STM32G0B1: {error}", file=sys.stderr)
        return 2
    for line in lines:
        print(line)
    compared = sum(len(each.registers) for name, each in layouts().items() if name not in NOT_IN_IT)
    print(f"{compared} registers compared, {len(lines)} differ")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
