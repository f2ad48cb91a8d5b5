# SPDX-License-Identifier: Apache-2.0
"""The emulated part's registers, compared with independent descriptions of the part.

ST's own files are in no archive of packages. If tools/st_description.sh has fetched them, the whole table is compared
with them; otherwise it must be the compared version of the table, and agree with three packages of PyPI.
"""

from __future__ import annotations

import tomllib
import xml.etree.ElementTree as ET
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from emulator.converter import PINS
from emulator.registers import TABLE, layouts, table
from part_descriptions import Described, Description, Field, curated, header, sister
from part_registers import (
    FETCHED,
    HEADER,
    NOT_IN_HEADER,
    NOTE,
    SVD,
    SVD_SAYS,
    differences,
    note_of,
    of_header,
    of_svd,
    ours,
)

BESIDE = Path(__file__).resolve().parents[2] / "build" / "descriptions"
CURATED_NOT = {"CRS", "USB", "VREFBUF", "FLASH_ECCR", "PWR_CR2", "RCC_CCIPR2"}  # missing in alloy-devices
# Its registers are those of the smaller STM32G071, some of whose fields are narrower than in ST's header.
NARROWER = {
    "RCC_CFGR.MCOSEL: bit and width (24, 3) there", "RCC_CFGR.MCOPRE: bit and width (28, 3) there",
    "FLASH_CR.PNB: bit and width (3, 7) there", "TIM2_ARR.ARR: bit and width (0, 16) there",
}  # fmt: skip
needs_st = pytest.mark.skipif(
    not (FETCHED / HEADER).exists(), reason="ST's description is not fetched: tools/st_description.sh"
)
SISTER_SAYS = {  # ARR is all ones in the L4's own manual (RM0394); the CRS of an L4 has one trim bit less
    "TIM2_ARR: 0x0 after a reset there",
    "CRS_CR: 0x2000 after a reset there", "CRS_CR.TRIM: bit and width (8, 6) there",
}  # fmt: skip
needs_beside = pytest.mark.skipif(not BESIDE.exists(), reason="pyOCD's SVD is missing: ./build.sh test installs it")


@needs_st
def test_the_table_is_what_st_says() -> None:
    assert [*of_svd(FETCHED / SVD), *of_header(FETCHED / HEADER)] == []


@needs_st
def test_what_the_header_is_said_not_to_have_it_has_not() -> None:
    found = header(FETCHED / HEADER, {key: list(register.fields) for key, register in ours().items()})
    assert not {name for name in NOT_IN_HEADER if name.split(".")[1] in found.registers[_key(name)].fields}


def _key(name: str) -> tuple[str, str]:
    peripheral, register = name.split(".")[0].split("_")
    return peripheral, register


def test_the_table_is_the_one_that_was_compared_with_st() -> None:
    assert table()[NOTE] == note_of(table()), "tools/st_description.sh && .venv/bin/python tools/part_registers.py"


def test_another_table_is_not_the_one_that_was_compared() -> None:
    wrong = TABLE.read_text().replace('"CEN:0 UDIS:1', '"CEN:1 UDIS:0')
    assert note_of(tomllib.loads(wrong)) != table()[NOTE]
    assert note_of(tomllib.loads(TABLE.read_text() + "# more\n")) == table()[NOTE]


def test_no_field_lies_on_another() -> None:
    for layout in layouts().values():
        for register in layout.registers.values():
            widths = sum(width for _, width in register.fields.values())
            assert register.mask.bit_count() == widths or not register.fields


# --- What PyPI has ----------------------------------------------------------------------------------------------------


@cache
def theirs() -> Description:
    return curated(BESIDE)


@needs_beside
def test_a_project_that_tried_its_table_on_a_part_says_the_same() -> None:
    assert {*differences(theirs())} == NARROWER
    both = {key for key in ours() if key in theirs().registers}
    fields = sum(len(ours()[key].fields.keys() & theirs().registers[key].fields.keys()) for key in both)
    assert {key[0] if key[0] not in theirs().bases else "_".join(key) for key in ours().keys() - both} == CURATED_NOT
    assert (len(both), fields) == (68, 172)


@needs_beside
def test_st_says_the_same_of_a_sister_with_the_same_usb_and_wires() -> None:
    """The STM32L4x2, by ST's SVD, reset values included."""
    theirs = sister(BESIDE)
    assert {*differences(theirs)} == SISTER_SAYS
    both = {key for key in ours() if key in theirs.registers}
    fields = sum(len(ours()[key].fields.keys() & theirs.registers[key].fields.keys()) for key in both)
    assert {key for key in ours() if key[0] in ("USB", "I2C1", "IWDG", "TIM2", "VREFBUF", "CRS")} == both
    assert (len(both), fields) == (33, 234)


@needs_beside
def test_vectors_converters_pins_and_wires_are_those_of_sts_lists() -> None:
    """By modm-devices, made from the files of STM32CubeMX."""
    path = BESIDE / "modm_devices" / "resources" / "devices" / "stm32" / "stm32g0-b1_c1.xml"
    root = ET.parse(path).getroot()
    vectors = {each.get("name"): int(each.get("position") or -1) for each in root.iter("vector")}
    assert vectors["USB_UCPD1_2"] == table()["usb_interrupt"]
    signals = {
        (f"GPIO{pin.get('port', '').upper()}", int(pin.get("pin") or -1)): {
            (each.get("driver"), each.get("instance"), each.get("name"), each.get("af")) for each in pin.iter("signal")
        }
        for pin in root.iter("gpio")
    }
    for channel, pin in PINS.items():
        assert ("adc", "1", f"in{channel}", None) in signals[pin]
    assert ("i2c", "1", "scl", "6") in signals["GPIOB", 6]
    assert ("i2c", "1", "sda", "6") in signals["GPIOB", 7]
    assert [("usb", None, name, None) in signals["GPIOA", pin] for name, pin in (("dm", 11), ("dp", 12))] == [
        True,
        True,
    ]


# --- The comparison itself --------------------------------------------------------------------------------------------


def written(path: Path, registers: dict[tuple[str, str], Described], interrupt: int) -> Path:
    """A file in the form of ST's SVD, with these registers and ST's known errors."""
    root = ET.Element("device")
    for name, layout in layouts().items():
        peripheral = ET.SubElement(root, "peripheral")
        ET.SubElement(peripheral, "name").text = name
        ET.SubElement(peripheral, "baseAddress").text = hex(layout.base)
        inside = ET.SubElement(peripheral, "registers")
        for (of, key), described in registers.items():
            if of == name:
                register = ET.SubElement(inside, "register")
                ET.SubElement(register, "name").text = f"{name}_{key}"
                ET.SubElement(register, "addressOffset").text = hex(described.offset or 0)
                ET.SubElement(register, "resetValue").text = hex(described.reset or 0)
                for label, (bit, width) in described.fields.items():
                    field = ET.SubElement(register, "field")
                    for tag, text in (("name", label), ("bitOffset", str(bit)), ("bitWidth", str(width))):
                        ET.SubElement(field, tag).text = text
    each = ET.SubElement(root, "interrupt")
    ET.SubElement(each, "name").text = "UCPD1_UCPD2_USB"
    ET.SubElement(each, "value").text = str(interrupt)
    ET.ElementTree(root).write(path)
    return path


def as_st_has_it() -> dict[tuple[str, str], Described]:
    found = {
        key: register if register.fields else replace(register, fields=unnamed(key)) for key, register in ours().items()
    }
    for key, fields in SVD_SAYS.items():
        said = {name: field for name, field in fields.items() if field is not None}
        kept = {name: field for name, field in found[key].fields.items() if name not in fields}
        found[key] = replace(found[key], fields=kept | said)
    return found


def unnamed(key: tuple[str, str]) -> dict[str, Field]:
    mask = layouts()[key[0]].registers[key[1]].mask
    return {f"bit{bit}": (bit, 1) for bit in range(32) if mask >> bit & 1}


def test_the_same_as_a_file_of_sts_differs_in_nothing(tmp_path: Path) -> None:
    assert [*of_svd(written(tmp_path / SVD, as_st_has_it(), 8))] == []


CR, MODER, PLLCFGR = ("ADC", "CR"), ("GPIOA", "MODER"), ("RCC", "PLLCFGR")
WRONG: dict[str, tuple[tuple[str, str], dict[str, Any], str]] = {
    "another place": (CR, {"offset": 0xC}, "ADC_CR: at 0xc there"),
    "another value after a reset": (MODER, {"reset": 0xFFFFFFFF}, "GPIOA_MODER: 0xffffffff after a reset there"),
    "a field at another bit": (CR, {"fields": ours()[CR].fields | {"ADCAL": (30, 1)}}, "ADC_CR.ADCAL: bit and width"),
    "a field more": (CR, {"fields": ours()[CR].fields | {"NEW": (7, 1)}}, "ADC_CR: bits 0x90000097"),
    "a field less": (CR, {"fields": {"ADEN": (0, 1)}}, "ADC_CR: bits 0x1, ADEN there"),
    "mended by ST": (PLLCFGR, {"fields": ours()[PLLCFGR].fields}, "RCC_PLLCFGR: SVD_SAYS is not what ST's SVD says"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_file_that_says_otherwise_is_told(name: str, tmp_path: Path) -> None:
    key, change, expected = WRONG[name]
    registers = as_st_has_it()
    registers[key] = replace(registers[key], **change)
    assert any(line.startswith(expected) for line in of_svd(written(tmp_path / SVD, registers, 8)))


def test_a_register_less_or_another_interrupt_is_told(tmp_path: Path) -> None:
    fewer = {key: register for key, register in as_st_has_it().items() if key != CR}
    assert [*of_svd(written(tmp_path / SVD, fewer, 9))] == ["usb_interrupt: 0x9 there", "ADC_CR: not there"]


SOME = """
#define PERIPH_BASE (0x40000000UL)
#define CRS_BASE (PERIPH_BASE + 0x00006C00UL)
#define USB_BASE (PERIPH_BASE + 0x00005C00UL)
#define USB_DRD_PMAADDR (PERIPH_BASE + 0x00009800UL) /* packet memory */
#define UID_BASE (0x1FFF7590UL)
  USB_UCPD1_2_IRQn            = 8, /* USB */
#define CRS_CR_TRIM_Pos       (8U)
#define CRS_CR_TRIM_Msk       (0x7FUL << CRS_CR_TRIM_Pos)
#define USB_CHEP_RX_STRX_Pos  (12U)
#define USB_CHEP_RX_STRX_Msk  (0x3UL << USB_CHEP_RX_STRX_Pos)
"""


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("", "", []),
        ("(8U)", "(9U)", ["CRS_CR.TRIM: bit and width (9, 7) there"]),
        ("0x3UL", "0x1UL", ["USB_CHEP1.STATRX: bit and width (12, 1) there"]),
        ("0x00006C00", "0x00006D00", ["CRS: at 0x40006d00 there"]),
        ("0x00009800", "0x00009C00", ["packet_memory: 0x40009c00 there"]),
        ("= 8", "= 9", ["usb_interrupt: 0x9 there"]),
    ],
)
def test_a_header_that_says_otherwise_is_told(tmp_path: Path, old: str, new: str, expected: list[str]) -> None:
    path = tmp_path / HEADER
    path.write_text(SOME.replace(old, new) if old else SOME)
    assert [*differences(header(path, {("CRS", "CR"): ["TRIM"], ("USB", "CHEP1"): ["STATRX"]}))] == expected
