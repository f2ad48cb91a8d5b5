# SPDX-License-Identifier: Apache-2.0
"""Reads independent descriptions of the STM32G0B1's registers, with the names of hardware/emulator/registers.toml: ST's
SVD, ST's header for C, ST's SVD of a related part, and the table of another project.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

Field = tuple[int, int]  # lowest bit, width
USB_INTERRUPTS = ("UCPD1_UCPD2_USB", "USB_UCPD1_2")  # the SVD's name and alloy-devices'; modm-devices' and the header's
BASES = {"ADC": "ADC1", "FLASH": "FLASH_R"}  # the header's names of two bases
FAMILIES = re.compile(r"(GPIO|TIM|I2C)(\w)")  # GPIOA's registers are GPIO's
CALLED = {
    "FLASH_ACR_EMPTY": "FLASH_ACR_PROGEMPTY", "FLASH_SR_BSY": "FLASH_SR_BSY1", "FLASH_ECCR_ECCIE": "FLASH_ECCR_ECCCIE",
    "USB_CNTR_L2RESUME": "USB_CNTR_L2RES", "USB_CNTR_L1RESUME": "USB_CNTR_L1RES", "USB_ISTR_RST_DCON": "USB_ISTR_DCON",
    "USB_ISTR_LS_DCON": "USB_ISTR_LS_DCONN", "USB_LPMCSR_LPMEN": "USB_LPMCSR_LMPEN",
    "USB_BCDR_DPPU_DPD": "USB_BCDR_DPPU",
    "CHEP_EA": "CHEP_ADDR", "CHEP_STATTX": "CHEP_TX_STTX", "CHEP_DTOGTX": "CHEP_DTOG_TX", "CHEP_EPKIND": "CHEP_KIND",
    "CHEP_STATRX": "CHEP_RX_STRX", "CHEP_DTOGRX": "CHEP_DTOG_RX", "CHEP_LS_EP": "CHEP_LSEP",
    "CHEP_ERR_TX": "CHEP_ERRTX", "CHEP_ERR_RX": "CHEP_ERRRX",
}  # fmt: skip
SISTER = "STM32L4x2.svd"  # from pyOCD; its USB is the device half of the part's, at another address, as is CRS
SAME_PLACE, OTHER_PLACE = ("I2C1", "IWDG", "TIM2", "VREFBUF"), {"CRS": "CRS", "USB_FS": "USB"}
SISTERS = {
    "STAT_TX": "STATTX", "DTOG_TX": "DTOGTX", "CTR_TX": "VTTX", "EP_KIND": "EPKIND", "EP_TYPE": "UTYPE",
    "STAT_RX": "STATRX", "DTOG_RX": "DTOGRX", "CTR_RX": "VTRX", "FRES": "USBRST", "FSUSP": "SUSPEN",
    "RESUME": "L2RESUME", "EP_ID": "IDN", "RESET": "RST_DCON", "DPPU": "DPPU_DPD",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Described:
    """A register; None for missing information. `whole`: every implemented bit has a field here."""

    offset: int | None
    reset: int | None
    fields: dict[str, Field]
    whole: bool = False

    @property
    def mask(self) -> int:
        return sum(((1 << width) - 1) << bit for bit, width in self.fields.values())


@dataclass(frozen=True, slots=True)
class Description:
    bases: dict[str, int] = field(default_factory=dict)
    registers: dict[tuple[str, str], Described] = field(default_factory=dict)
    single: dict[str, int] = field(default_factory=dict)  # the entries of registers.toml before its first table
    clocks: dict[str, tuple[str, int]] = field(default_factory=dict)  # peripheral -> RCC's register, bit


def svd(path: Path) -> Description:
    """Reads ST's STM32G0B1.svd. ET.ParseError, KeyError and OSError for an invalid file."""
    root = ET.parse(path).getroot()
    bases, registers = _of_root(root)
    interrupts = {each.findtext("name"): _number(each, "value") for each in root.iter("interrupt")}
    return Description(bases, registers, {"usb_interrupt": interrupts[USB_INTERRUPTS[0]]})


def sister(folder: Path) -> Description:
    """Reads ST's STM32L4x2.svd, from pyOCD: the peripherals that both parts have."""
    with zipfile.ZipFile(folder / "pyocd" / "debug" / "svd" / "svd_data.zip") as archive:
        bases, registers = _of_root(ET.fromstring(archive.read(SISTER)))
    names = {name: name for name in SAME_PLACE} | OTHER_PLACE
    found: dict[tuple[str, str], Described] = {}
    for (peripheral, register), described in registers.items():
        if peripheral in names:
            key = names[peripheral], re.sub(r"^EP(\d)R$", r"CHEP\1", register)
            fields = {SISTERS.get(name, name): at for name, at in described.fields.items()}
            found[key] = Described(described.offset, described.reset, fields)
    return Description({name: bases[name] for name in SAME_PLACE}, found)


def _of_root(root: ET.Element) -> tuple[dict[str, int], dict[tuple[str, str], Described]]:
    found = {each.findtext("name") or "": each for each in root.iter("peripheral")}
    bases = {name: _number(each, "baseAddress") for name, each in found.items()}
    registers: dict[tuple[str, str], Described] = {}
    for name, each in found.items():
        source = each if each.find("registers") is not None else found[each.get("derivedFrom") or ""]
        for register in source.iter("register"):
            key = name, _short(name, register.findtext("name") or "")
            registers.setdefault(key, _of_svd(register))
    return bases, registers


def _of_svd(register: ET.Element) -> Described:
    fields = {
        each.findtext("name") or "": (_number(each, "bitOffset"), _number(each, "bitWidth"))
        for each in register.iter("field")
    }
    return Described(_number(register, "addressOffset"), _number(register, "resetValue"), fields, whole=True)


def _number(element: ET.Element, name: str) -> int:
    return int(element.findtext(name) or "0", 0)


def _short(peripheral: str, name: str) -> str:
    """The short name: USB_CHEP0R is CHEP0, I2C_CR1 of I2C1 is CR1."""
    name = name.removeprefix(f"{peripheral}_").removeprefix(f"{peripheral.rstrip('123')}_")
    return name.removesuffix("R") if name.startswith("CHEP") else name


def header(path: Path, wanted: dict[tuple[str, str], list[str]]) -> Description:
    """Reads ST's stm32g0b1xx.h: bits and bases, no reset values. `wanted`: the fields, by peripheral and register."""
    text = path.read_text()
    at = dict(re.findall(r"#define (\w+)_Pos\s+\((\d+)U\)", text))
    masks = {
        name: int(mask, 16) << int(at[name])
        for name, mask in re.findall(r"#define (\w+)_Msk\s+\((0x[0-9A-Fa-f]+)UL? << \1_Pos\)", text)
    }
    names = dict(re.findall(r"#define (\w+)\s+\(([\w +]+)\)", text))
    registers = {}
    for (peripheral, register), fields in wanted.items():
        family = FAMILIES.sub(r"\1", peripheral)
        begins = f"{family}_{register}_" if not register.startswith("CHEP") else "USB_CHEP_"
        known = {name: masks.get(_called(begins + name)) for name in fields}
        bits = {name: _field(mask) for name, mask in known.items() if mask is not None}
        registers[peripheral, register] = Described(None, None, bits)
    bases = {name: _sum(names, f"{BASES.get(name, name)}_BASE") for name, _ in wanted}
    single = {
        "packet_memory": _sum(names, "USB_DRD_PMAADDR"), "unique_id": _sum(names, "UID_BASE"),
        "usb_interrupt": int(re.findall(rf"{USB_INTERRUPTS[1]}_IRQn\s*= (\d+),", text)[0]),
    }  # fmt: skip
    return Description(bases, registers, single)


def _called(name: str) -> str:
    short = name.removeprefix("USB_")
    return CALLED.get(name) or (f"USB_{CALLED[short]}" if short in CALLED else name)


def _field(mask: int) -> Field:
    lowest = (mask & -mask).bit_length() - 1
    return lowest, (mask >> lowest).bit_length()


def _sum(names: dict[str, str], name: str) -> int:
    """The value of a base that the header defines as the sum of another one and a number."""
    words = [word.strip() for word in names[name].split("+")]
    return sum(int(word.rstrip("UL"), 0) if word[0].isdigit() else _sum(names, word) for word in words)


def curated(folder: Path) -> Description:
    """Reads alloy-devices: that project's selection of each register, tried on a Nucleo by its authors."""
    data = folder / "alloy_devices" / "data"
    chip = yaml.safe_load((data / "chips" / "st" / "stm32g0b1.yaml").read_text())
    bases: dict[str, int] = {}
    registers: dict[tuple[str, str], Described] = {}
    clocks: dict[str, tuple[str, int]] = {}
    for name, row in chip["peripherals"].items():
        bases[name.upper()] = int(row["base"], 16)
        if "gate" in row:
            clocks[name.upper()] = (row["gate"]["register"], row["gate"]["bit"])
        for register, described in _of_yaml(data / "registers" / f"{row['ip']}.yaml"):
            registers[name.upper(), register] = described
    numbers = {row["name"]: row["number"] for row in chip["interrupts"]}
    return Description(bases, registers, {"usb_interrupt": numbers[USB_INTERRUPTS[0]]}, clocks)


def _of_yaml(path: Path) -> Iterator[tuple[str, Described]]:
    rows: list[dict[str, Any]] = yaml.safe_load(path.read_text())["registers"]
    for row in rows:
        fields = {each["name"]: (each["bit"], each.get("width", 1)) for each in row.get("fields", ())}
        yield row["name"], Described(int(row["offset"], 16), None, fields)
