# SPDX-License-Identifier: Apache-2.0
"""The meter configures the two recording converters, checks that they stay configured, and reports faults."""

from __future__ import annotations

import shutil
import struct
import tomllib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from cmeter_rig import LINES, CMeter, payloads, program
from drawing.project import Circuit
from linetap.board.meter import protocol as wire
from meterbuild import METER, build_host

ROUND = 1000  # samples: interval of the rounds over both converters
A_FEW_ROUNDS = 3 * ROUND

# Addresses and bits of Linux' driver (sound/soc/codecs/pcm186x.h at 30c0923370175a01), the names without PCM186X_; the
# gain is its control's scale: 0 is 0 dB, a step half a decibel. The bus address is its binding's (pcm186x.txt).
PGA_VALS = {"PGA_VAL_CH1_L": 1, "PGA_VAL_CH1_R": 2, "PGA_VAL_CH2_L": 3, "PGA_VAL_CH2_R": 4}
INPUTS = {"ADC1_INPUT_SEL_L": 6, "ADC1_INPUT_SEL_R": 7, "ADC2_INPUT_SEL_L": 8, "ADC2_INPUT_SEL_R": 9}
ADC_INPUT_SEL_MASK = 0x3F
VINX1, VINX2 = 0x01, 0x02
PCM_CFG, TDM_TX_SEL, TDM_TX_OFFSET, CLK_CTRL, POWER_CTRL = 11, 12, 13, 32, 112
PCM_CFG_RX_WLEN_MASK, PCM_CFG_TX_WLEN_MASK, PCM_CFG_WLEN_32 = 0xC0, 0x0C, 0
PCM_CFG_TDM_LRCK_MODE, PCM_CFG_FMT_MASK, PCM_CFG_FMT_TDM = 0x10, 0x03, 0x03
TDM_TX_SEL_MASK, TDM_TX_SEL_4CH = 0x03, 0x01
CLK_CTRL_MST_MODE = 0x10
PWR_CTRL_PWRDN, PWR_CTRL_SLEEP, PWR_CTRL_STBY = 0x04, 0x02, 0x01
DSP_A_OFFSET = 1  # the driver's addition for data one clock after the frame's edge (pcm186x_set_fmt)
GAIN_STEP_DB = 0.5
FIRST_ADDRESS = 0x4A
# XMOS' own board has two of these as slaves of its framework's clocks (xmos/lib_board_support at c695a613,
# xk_audio_316_mc_ab_board.xc, 32 bit): format without the bits of its unused receiver, slots, offset of the first.
XMOS_BOARD = {PCM_CFG: 0b00010011, TDM_TX_SEL: 0b00000001, TDM_TX_OFFSET: 1}


class Card(CMeter):
    def __init__(self, command: list[str] | None = None) -> None:
        super().__init__(command or program(), lambda _first, n: np.zeros((LINES, n), np.int16))
        self._at = 1

    def run(self, samples: int) -> list[int]:
        """The flags of `status` reported meanwhile, repeated ones once."""
        self.answers.sent = b""
        self.samples(self._at, np.zeros((LINES, samples), np.int16))
        self._at += samples
        said = [payload[0] for payload in payloads(self.answers.frames(), wire.STATUS)]
        return [flags for i, flags in enumerate(said) if i == 0 or flags != said[i - 1]]

    def registers(self, which: int) -> bytes:
        return self.converter(which)[:128]

    def counts(self, which: int) -> tuple[int, int, int]:
        """Transfers of this converter, those begun too early, and the number of bus recoveries."""
        transfers, early, freed = struct.unpack_from("<HHH", self.converter(which), 128)
        return transfers, early, freed


@pytest.fixture
def card() -> Iterator[Card]:
    with Card() as card:
        yield card
        assert card.counts(0)[1] == 0, "a transfer was begun while another was not done"


def is_set(registers: bytes) -> bool:
    cfg = registers[PCM_CFG]
    return (
        all(registers[at] * GAIN_STEP_DB == 13 for at in PGA_VALS.values())
        and [registers[at] & ADC_INPUT_SEL_MASK for at in INPUTS.values()] == [VINX1, VINX1, VINX2, VINX2]
        and cfg & (PCM_CFG_RX_WLEN_MASK | PCM_CFG_TX_WLEN_MASK) == PCM_CFG_WLEN_32
        and cfg & PCM_CFG_TDM_LRCK_MODE != 0
        and cfg & PCM_CFG_FMT_MASK == PCM_CFG_FMT_TDM
        and registers[TDM_TX_SEL] & TDM_TX_SEL_MASK == TDM_TX_SEL_4CH
        and registers[TDM_TX_OFFSET] == DSP_A_OFFSET
        and registers[CLK_CTRL] & CLK_CTRL_MST_MODE == 0
        and registers[POWER_CTRL] & (PWR_CTRL_PWRDN | PWR_CTRL_SLEEP | PWR_CTRL_STBY) == 0
    )


def test_both_are_set_within_a_tenth_of_a_second_of_the_start(card: Card) -> None:
    assert not is_set(card.registers(0))
    assert card.run(100) == [0]
    assert is_set(card.registers(0))
    assert is_set(card.registers(1))


def test_the_slots_are_those_of_xmos_own_board(card: Card) -> None:
    """Here each converter has its own wire, and so the first one's offset; theirs share one."""
    card.run(100)
    for which in (0, 1):
        registers = card.registers(which)
        assert {at: registers[at] & ~PCM_CFG_RX_WLEN_MASK for at in XMOS_BOARD} == XMOS_BOARD


def test_bits_of_which_nothing_is_known_stay_as_they_were(card: Card) -> None:
    for at in INPUTS.values():
        card.converter_is("v", 0, at, 0x44)
    before = card.registers(0)
    card.run(100)
    after = card.registers(0)
    touched = {*PGA_VALS.values(), *INPUTS.values(), PCM_CFG, TDM_TX_SEL, TDM_TX_OFFSET}
    assert {at for at in range(128) if before[at] != after[at]} <= touched
    assert [after[at] & 0x40 for at in INPUTS.values()] == [0x40] * 4
    assert is_set(after)


def test_the_gain_is_the_one_that_the_levels_are_simulated_with(card: Card) -> None:
    card.run(100)
    parts = tomllib.loads((METER.parent / "circuit" / "parts.toml").read_text())
    assert {card.registers(which)[1] * GAIN_STEP_DB for which in (0, 1)} == {parts["adc4"]["gain_db"]}


def test_one_that_does_not_answer_is_told_and_the_other_is_set(card: Card) -> None:
    card.converter_is("n", 0)
    assert card.run(200) == [0, wire.CONVERTER_1]
    assert is_set(card.registers(1))
    card.converter_is("n", 0, value=0)
    assert card.run(A_FEW_ROUNDS) == [wire.CONVERTER_1, 0]
    assert is_set(card.registers(0))


def test_a_bus_that_is_held_low_is_freed_and_nothing_is_told(card: Card) -> None:
    before = card.counts(0)[2]
    card.converter_is("s", 1)
    assert card.run(300) == [0]
    assert is_set(card.registers(0))
    assert is_set(card.registers(1))
    assert card.counts(0)[2] == before + 1


def test_a_bus_that_stays_low_is_both_converters_fault_and_holds_nothing_up(card: Card) -> None:
    card.run(100)
    card.converter_is("S", 1)
    assert card.run(A_FEW_ROUNDS)[-1] == wire.CONVERTER_1 | wire.CONVERTER_2
    frames = payloads(card.answers.frames(), wire.SAMPLES)
    assert sum(payload[8] for payload in frames) == A_FEW_ROUNDS
    card.converter_is("S", 1, value=0)
    assert card.run(A_FEW_ROUNDS)[-1] == 0


@pytest.mark.parametrize("at", [PGA_VALS["PGA_VAL_CH2_R"], PCM_CFG])
def test_one_that_does_not_keep_what_was_written_is_told(card: Card, at: int) -> None:
    card.converter_is("b", 1, at, 0x02)
    assert card.run(A_FEW_ROUNDS) == [0, wire.CONVERTER_2]


def test_one_that_lost_its_supply_for_a_moment_is_set_again_and_told_for_a_second(card: Card) -> None:
    assert card.run(A_FEW_ROUNDS // 2) == [0]
    card.converter_is("r", 0)
    assert not is_set(card.registers(0))
    assert card.run(A_FEW_ROUNDS) == [0, wire.CONVERTER_1, 0]
    assert is_set(card.registers(0))


def test_one_that_is_reset_while_it_is_set_is_set(card: Card) -> None:
    """At every millisecond of the first tenth of a second."""
    for at in range(1, 100, 3):
        card.restart(0, at)
        card.converter_is("r", 0)
        card._at = 1
        card.run(at)
        card.converter_is("r", 0)
        card.run(A_FEW_ROUNDS)
        assert is_set(card.registers(0)), at


def test_tries_are_bounded(card: Card) -> None:
    card.converter_is("b", 0, 1, 0x02)
    card.converter_is("n", 1)
    card.run(ROUND)
    after_one = card.counts(0)[0]
    card.run(10 * ROUND)
    assert card.counts(0)[0] <= 11 * after_one + 1
    assert after_one < 3 * 3 * 13


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("#define GAIN (2 * 13)", "#define GAIN 13"),
        ("{12, 0x03, 0x01}", "{12, 0x03, 0x02}"),
        ("port_wire_write(address, PAGE, 0);", "port_wire_write(address, PAGE, 1);"),
        ("ADDRESS + converters->which", "ADDRESS + 1u"),
        ("& ~row->mask) | row->value", "& 0) | row->value"),
    ],
)
def test_a_wrong_program_is_found(old: str, new: str, tmp_path: Path) -> None:
    folder = tmp_path / "meter"
    shutil.copytree(METER, folder)
    text = (folder / "converters.c").read_text()
    assert old in text
    (folder / "converters.c").write_text(text.replace(old, new))
    with Card([str(build_host(tmp_path / "host", folder))]) as card:
        for at in INPUTS.values():
            card.converter_is("v", 0, at, 0x44)
        said = card.run(100)
        well = said == [0] and is_set(card.registers(0)) and is_set(card.registers(1))
        kept = [card.registers(0)[at] & 0x40 for at in INPUTS.values()] == [0x40] * 4
        assert not (well and kept)


def test_addresses_and_wires_are_the_drawings() -> None:
    """AD low and high; line 1 to 4 of each on VINL1, VINR1, VINL2, VINR2 (pins 3, 4, 1, 2); SCL and SDA."""
    text = (METER / "converters.c").read_text()
    assert f"#define ADDRESS {FIRST_ADDRESS:#x}u" in text
    sheet = (METER.parent / "circuit" / "audio.sheet").read_text()
    assert "U1 adc4 ain1=i1 ain2=i2 ain3=i3 ain4=i4" in sheet
    assert "ad=GND" in sheet.partition("U1 adc4")[2].partition("U2 adc4")[0]
    assert "ad=v33d" in sheet.partition("U2 adc4")[2].partition("\nC9")[0]
    pins = {pin.name: pin.number for pin in Circuit().kinds["meter"].pin_rows()}
    assert (pins["scl"], pins["sda"]) == ("PB6", "PB7")
    adc = {pin.name: pin.number for pin in Circuit().kinds["adc4"].pin_rows()}
    assert [adc[f"ain{i}"] for i in range(1, 5)] == ["3", "4", "1", "2"]
