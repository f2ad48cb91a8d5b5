# SPDX-License-Identifier: Apache-2.0
"""The meter's constants in C are linetap's, as a C compiler reads them."""

from __future__ import annotations

import importlib.util
import re
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

from linetap.board.meter import protocol
from simulation.netlist import HARDWARE

HEADER = HARDWARE / "meter" / "protocol.h"
DOCUMENT = HARDWARE / "meter-protocol.md"


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("meter_header", HARDWARE.parent / "tools" / "meter_header.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_header_is_that_of_the_table(tool: ModuleType) -> None:
    assert HEADER.read_text() == tool.header(), "tools/meter_header.py"


def test_a_frame_that_c_writes_by_the_header_is_read_by_linetap(tmp_path: Path) -> None:
    """Each field of `hello` is written at its offset; Python parses the payload by its own layout."""
    program = tmp_path / "hello.c"
    program.write_text(f"""
#include <stdint.h>
#include <stdio.h>
#include "{HEADER}"
int main(void) {{
  uint8_t hello[METER_HELLO_BYTES] = {{0}};
  hello[METER_HELLO_OFFSET_VERSION] = METER_VERSION;
  hello[METER_HELLO_OFFSET_CHANNELS] = METER_MOST_CHANNELS;
  hello[METER_HELLO_OFFSET_SAMPLE_US] = METER_SAMPLE_US & 0xff;
  hello[METER_HELLO_OFFSET_SAMPLE_US + 1] = METER_SAMPLE_US >> 8;
  for (unsigned i = 0; i < 4; i++) hello[METER_HELLO_OFFSET_BOOT + i] = (uint8_t)(0x11 * (i + 1));
  hello[METER_HELLO_OFFSET_FIRMWARE] = 1;
  hello[METER_HELLO_OFFSET_MINOR] = 2;
  hello[METER_HELLO_OFFSET_PATCH] = 3;
  for (unsigned i = 0; i < METER_HELLO_BYTES; i++) printf("%02x", hello[i]);
  printf(" %u %u %u", METER_HELLO, METER_BAUD, METER_MOST_BODY);
  return 0;
}}
""")
    built = tmp_path / "hello"
    compiler = ["gcc", "-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-o", str(built), str(program)]
    subprocess.run(compiler, check=True, timeout=120)
    said = subprocess.run([str(built)], check=True, capture_output=True, text=True, timeout=120).stdout.split()
    assert protocol.HELLO.head.unpack(bytes.fromhex(said[0])) == (1, 8, 1000, 0x44332211, 1, 2, 3)
    assert [int(word) for word in said[1:]] == [protocol.HELLO.code, protocol.BAUD, protocol.MOST_BODY]


def test_the_document_has_the_same_numbers(tool: ModuleType) -> None:
    """Volts are in hundredths there and in volts here."""
    rows = re.findall(
        r"^\| ([A-Z_, ]+) \| ([\d V,ms]+) \|", DOCUMENT.read_text().partition("## What an edge is")[2], re.M
    )
    found = {
        name: int(value.split()[0]) * (100 if value.endswith("V") else 1)
        for names, values in rows
        for name, value in zip(names.split(", "), values.split(", "), strict=True)
    }
    assert {**found, "NO_LINE_MS": 1000} == tool.line_numbers()
    assert f"NO_LINE_MS, {tool.line_numbers()['NO_LINE_MS']} ms" in DOCUMENT.read_text()


def test_every_field_has_an_offset(tool: ModuleType) -> None:
    for frame in protocol.FRAMES:
        offsets = dict(tool.offsets(frame))
        assert len(offsets) == len(frame.layout) - 1
        assert max(offsets.values()) < frame.size
