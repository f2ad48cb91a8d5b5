# SPDX-License-Identifier: Apache-2.0
"""The meter's program for its part: its size, its bounded stack, and its agreement with the drawing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from drawing.project import Circuit
from linetap_core.errors import BadInput
from meterbuild import METER, PART_GCC, Stack, build_part, part_compiler, sources
from simulation.netlist import HARDWARE

FLASH, MEMORY, STACK = 128 * 1024, 32 * 1024, 2048
NODE = 'node: { title: "%s" label: "%s\\nfile.c:1:1\\n%d bytes (%s)\\n0 dynamic objects" }'
EDGE = 'edge: { sourcename: "%s" targetname: "%s" label: "file.c:1:1" }'


def graph(bytes_: dict[str, int], calls: list[tuple[str, str]], kind: str = "static") -> str:
    nodes = [NODE % (name, name, size, kind) for name, size in bytes_.items()]
    return "\n".join([*nodes, *(EDGE % call for call in calls)])


def test_the_program_fits_its_part(tmp_path: Path) -> None:
    if part_compiler() is None:
        pytest.skip(f"{PART_GCC} is not installed: the meter's program is not compiled for its part")
    size = build_part(tmp_path / "meter.elf")
    assert size.flash < FLASH // 4
    assert size.memory + STACK < MEMORY
    assert 0 < size.stack < STACK // 2


def test_the_deepest_way_is_the_stack() -> None:
    stack = Stack(
        graph({"a": 8, "b.c:b": 16, "c": 24}, [("a", "b.c:b"), ("a", "c"), ("b.c:b", "c"), ("c", "__divide")])
    )
    assert stack.below("a") == 8 + 16 + 24 + 64
    assert stack.below("b.c:b") == 16 + 24 + 64


@pytest.mark.parametrize(
    ("calls", "kind", "why"),
    [
        ([("a", "b"), ("b", "a")], "static", "calls itself"),
        ([("a", "__indirect_call")], "static", "through a pointer"),
        ([], "dynamic", "nobody can say"),
    ],
)
def test_a_stack_without_an_end_is_refused(calls: list[tuple[str, str]], kind: str, why: str) -> None:
    with pytest.raises(BadInput, match=why):
        Stack(graph({"a": 8, "b": 8}, calls, kind)).below("a")


def test_the_core_asks_for_nothing_but_the_compiler() -> None:
    """No heap, no library, no header except the compiler's own: no operating system is needed."""
    for source in [*METER.glob("*.[ch]"), *(METER / "stm32g0").glob("*.[ch]")]:
        headers = set(re.findall(r"#include <(\w+\.h)>", source.read_text()))
        assert headers <= {"stdbool.h", "stddef.h", "stdint.h"}, source
    assert len(sources("host")) > 8


def test_its_pins_are_the_drawings() -> None:
    """The pins in pins.c, and those implied by adc.c, usb.c and clock.c."""
    pins = {pin.name: pin.number for pin in Circuit().kinds["meter"].pin_rows()}
    assert [pins[f"vm{i}"] for i in range(1, 9)] == [f"PA{i}" for i in range(8)]
    text = (METER / "stm32g0" / "pins.c").read_text()
    defined = {name: int(number) for name, number in re.findall(r"#define (\w+) (\d+)u", text)}
    assert pins["pfo"] == f"PB{defined['POWER_FAIL']}"
    assert pins["sck"] == f"PB{defined['LAMP_CLOCK']}"
    assert pins["data"] == f"PB{defined['LAMP_DATA']}"
    assert pins["latch"] == f"PB{defined['LAMP_LATCH']}"
    assert pins["tamper"] == "PB0"
    assert pins["osc"] == "PF0"
    assert (pins["dm"], pins["dp"]) == ("PA11", "PA12")
    assert [pins[f"contact{i}"] for i in range(1, 9)] == [f"PC{i}" for i in range(8)]
    assert "mode(GPIOC, pin, 1u)" in text
    assert [pins[f"relay{i}"] for i in range(1, 9)] == [f"PB{defined['RELAY_1'] + i}" for i in range(8)]


def test_the_scale_is_the_drawings() -> None:
    """README's VM = VMID + (tip - ring) / 161; VREF's 3.0 V are 65536 codes."""
    text = (METER / "scale.h").read_text()
    span = re.search(r"#define SCALE_SPAN (\d+)", text)
    assert span
    assert int(span[1]) == round(3.0 * 161 * 100)
    assert "(tip - ring) / 161" in (HARDWARE / "circuit" / "line.sheet").read_text()
