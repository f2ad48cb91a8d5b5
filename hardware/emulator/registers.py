# SPDX-License-Identifier: Apache-2.0
"""The part's registers, defined by registers.toml, and the behaviour common to all peripherals."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from linetap_core.errors import BadInput

TABLE = Path(__file__).with_name("registers.toml")
BITS = re.compile(r"(\w*):(\d+)(?:\+(\d+))?")


class Misuse(BadInput):
    """The program uses the part in a forbidden way, or a feature that is not modelled."""


@dataclass(frozen=True, slots=True)
class Register:
    name: str
    offset: int
    reset: int
    fields: dict[str, tuple[int, int]]  # bit, width
    mask: int  # the implemented bits


@dataclass(frozen=True, slots=True)
class Layout:
    """Registers of one peripheral. `clock`: RCC register and bit that enable it; empty if it is always enabled."""

    name: str
    base: int
    clock: tuple[str, str] | None
    registers: dict[str, Register]


@cache
def table() -> dict[str, Any]:
    return tomllib.loads(TABLE.read_text())


@cache
def layouts() -> dict[str, Layout]:
    return {name: _layout(name, rows) for name, rows in table().items() if isinstance(rows, dict)}


def _layout(name: str, rows: dict[str, Any]) -> Layout:
    found: dict[str, Register] = {}
    for register, row in rows["registers"].items():
        for number in range(row.get("count", 1)):
            at = row["at"] + 4 * number
            key = f"{register}{number}" if "count" in row else register
            found[key] = _register(key, at, row)
    clock = rows.get("clock")
    return Layout(name, rows["base"], tuple(clock.split(".")) if clock else None, found)


def _register(name: str, at: int, row: dict[str, Any]) -> Register:
    every = [(label, int(bit), int(width or 1)) for label, bit, width in BITS.findall(row["bits"])]
    mask = sum(((1 << width) - 1) << bit for _, bit, width in every)
    return Register(name, at, row["reset"], {label: (bit, width) for label, bit, width in every if label}, mask)


class Peripheral:
    """A peripheral that stores written values. Special ones define `on_read` and `on_write`.

    A program must write reserved bits with their reset value, except in `ones_kept`: there a 1 leaves a bit unchanged.
    """

    ones_kept: tuple[str, ...] = ()

    def __init__(self, name: str) -> None:
        self.layout = layouts()[name]
        self.values: dict[str, int] = {}
        self._fields = {  # (register, field) -> (bit, mask); a program asks a million times
            (register.name, field): (bit, (1 << width) - 1)
            for register in self.layout.registers.values()
            for field, (bit, width) in register.fields.items()
        }
        self.reset()

    def reset(self) -> None:
        self.values.update({name: register.reset for name, register in self.layout.registers.items()})

    def field(self, register: str, name: str) -> int:
        bit, mask = self._fields[register, name]
        return self.values[register] >> bit & mask

    def mask(self, register: str, name: str) -> int:
        """The bits of a field, in place."""
        bit, mask = self._fields[register, name]
        return mask << bit

    def put(self, register: str, name: str, value: int) -> None:
        bit, mask = self._fields[register, name]
        self.values[register] = self.values[register] & ~(mask << bit) | (value & mask) << bit

    def on_read(self, register: str) -> int:
        return self.values[register]

    def on_write(self, register: str, value: int) -> None:
        self.values[register] = value

    def write(self, register: str, value: int) -> None:
        known = self.layout.registers[register]
        reserved = (value ^ known.reset) & ~known.mask
        if reserved and register not in self.ones_kept:
            raise Misuse(f"{self.layout.name}_{register}: {value:#x} changes reserved bits ({reserved:#x})")
        self.on_write(register, value)

    def addresses(self) -> Iterator[tuple[int, str]]:
        for name, register in self.layout.registers.items():
            yield self.layout.base + register.offset, name
