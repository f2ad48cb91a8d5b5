# SPDX-License-Identifier: Apache-2.0
"""The part's own ELF in an emulated part: its USB driver at a host, its converter, its pins, its watchdog.

The registers are ST's (hardware/emulator/registers.toml), the host's requests Linux's; the peripherals follow RM0444,
without comparison with a real part.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from emulator.host import Broken, Host
from emulator.meter import RECORDERS, PartMeter, program
from emulator.registers import Misuse
from emulator.usb import STALL, VALID, Answer, Packet
from linetap.board.meter import protocol as wire
from linetap.board.meter.protocol import Deframer, encode
from linetap_core.clock import NS_PER_MS, NS_PER_S
from linux_usb import said_to_linux
from meter_rig import START_NS, joined, steps
from meterbuild import build_part
from part_rig import LINES, PartRig, needs_part, pins, wrong_program

pytestmark = needs_part

SET_ADDRESS = "0005070000000000"
STACK_TOP = 0x20008000
CALL = [(0.35, True), (0.5, False)]
WAVE = steps((0, -48), (0.35, -8), (0.5, -48))
NEAR_S = 0.003
LENGTH_S = 0.7


@pytest.fixture
def meter() -> PartMeter:
    return PartMeter(pins([], 0.1), START_NS)


def until(meter: PartMeter, seconds: float) -> bytes:
    return meter.sent_until(START_NS + round(seconds * NS_PER_S))


def frames(data: bytes) -> list[tuple[int, int, bytes]]:
    deframer = Deframer()
    found = deframer.feed(data)
    assert deframer.noise == 0
    return found


def same(found: list[tuple[float, bool]], expected: list[tuple[float, bool]]) -> bool:
    levels = [level for _, level in found] == [level for _, level in expected]
    return levels and all(abs(at - due) <= NEAR_S for (at, _), (due, _) in zip(found, expected, strict=True))


# --- USB --------------------------------------------------------------------------------------------------------------


def test_a_host_gets_from_the_part_what_linux_got(meter: PartMeter) -> None:
    """The answers to Debian's Linux 6.12, bit by bit, which then made a serial port of it."""
    until(meter, 0.2)
    assert meter.host.opened
    asked = [(packet.hex(), reply) for packet, reply in meter.host.asked if packet.hex() != SET_ADDRESS]
    expected = said_to_linux()[: len(asked)]
    assert expected[-1][0] == "2122030000000000"
    for (packet, reply), (known, answer) in zip(asked, expected, strict=True):
        assert packet == known
        assert reply == (None if answer == "x" else bytes.fromhex(answer[1:]) if answer[0] == "r" else b""), packet


def test_what_it_sends_are_whole_frames_one_after_the_other(meter: PartMeter) -> None:
    found = frames(until(meter, 1.2))
    assert [after[1] - before[1] for before, after in pairwise(found)] == [1] * (len(found) - 1)
    assert sum(code == wire.HELLO.code for code, _, _ in found) == 1
    at = [wire.SAMPLES.head.unpack_from(payload)[0] for code, _, payload in found if code == wire.SAMPLES.code]
    assert {after - before for before, after in pairwise(at)} == {wire.SAMPLES_A_FRAME * wire.SAMPLE_US}


def test_a_packet_whose_handshake_is_lost_comes_again_and_counts_once(meter: PartMeter) -> None:
    until(meter, 0.3)
    lost: list[Packet] = []
    into = meter.chip.usb.into

    def deaf(address: int, endpoint: int, *, acknowledged: bool = True) -> Packet | Answer:
        """Every third ACK of the part does not arrive; the host has the packet all the same."""
        found = into(address, endpoint, acknowledged=acknowledged and len(lost) % 3 != 2)
        if isinstance(found, Packet):
            lost.append(found)
        return found

    meter.chip.usb.into = deaf  # type: ignore[method-assign]
    meter.host.received.clear()
    data = until(meter, 0.6)
    assert len(lost) > 90
    assert any(before == after for before, after in pairwise(lost))
    found = frames(data[data.index(bytes([wire.END, wire.END])) + 1 :])
    assert [after[1] - before[1] for before, after in pairwise(found)] == [1] * (len(found) - 1)


def test_a_host_that_reads_nothing_costs_frames_and_nothing_else(meter: PartMeter) -> None:
    before = frames(until(meter, 0.4))
    meter.host.opened = False
    until(meter, 0.9)
    meter.host.opened = True
    after = frames(until(meter, 1.1))
    assert after[0][1] == before[-1][1] + 1, "what was in its ring is whole"
    gaps = [later[1] - earlier[1] for earlier, later in pairwise(after) if later[1] - earlier[1] != 1]
    assert sum(gaps) > 80, "and what came later is lost whole"
    assert meter.chip.resets == 0


def test_a_cable_that_is_pulled_and_plugged_in_is_a_meter_again(meter: PartMeter) -> None:
    until(meter, 0.3)
    meter.host.detach()
    assert until(meter, 0.4)
    meter.host.asked.clear()
    found = frames(until(meter, 0.8))
    assert meter.host.opened
    assert len(found) > 60
    assert meter.chip.resets == 0


@pytest.mark.parametrize("first", ["sent", "received"])
def test_what_happens_while_the_program_looks_is_not_forgotten(meter: PartMeter, first: str) -> None:
    """One register has both directions of an endpoint: the other one completes between its reading and its writing."""
    until(meter, 0.3)
    usb, host, happened, other_ns = meter.chip.usb, meter.host, 0, 0
    read, flags = usb.on_read, 1 << 15 | 1 << 7
    only, one, other = (1 << 7, host.read, host.write) if first == "sent" else (1 << 15, host.write, host.read)

    def world() -> None:
        """The other direction usually waits until the program reads."""
        nonlocal other_ns
        host.frames()
        one()
        if meter.chip.time.ns - other_ns > 3 * NS_PER_MS:
            other_ns = meter.chip.time.ns
            other()

    def meanwhile(register: str) -> int:
        nonlocal happened
        found = read(register)
        if register == "CHEP1" and found & flags == only:
            other()
            happened += usb.values["CHEP1"] & flags == flags
        return found

    usb.on_read = meanwhile  # type: ignore[method-assign]
    meter.chip.world = world
    heard = b""
    for ms in range(300, 1300, 7):
        meter.receive(encode(wire.BEAT, ms, ms), at(ms))
        heard += until(meter, (ms + 7) / 1000)
    assert happened > 20
    beaten = [wire.BEATEN.head.unpack(payload)[0] for code, _, payload in frames(heard) if code == wire.BEATEN.code]
    assert beaten[-1] > 1250, "it has fallen silent"
    assert [after - before for before, after in pairwise(beaten)] == [7] * (len(beaten) - 1)
    assert host.waiting == 0


def test_a_setup_in_the_middle_of_another_transfer_is_served(meter: PartMeter) -> None:
    """A host that aborts a transfer starts the next with a SETUP, whatever the endpoint was about to send."""
    until(meter, 0.3)
    usb, address = meter.chip.usb, 7
    whole = bytes.fromhex("8006000200004300")
    assert usb.setup(address, 0, whole) is Answer.ACK
    assert usb.setup(address, 0, whole) is Answer.NOTHING, "not over one that is not served"
    meter.chip.run(meter.chip.time.ns + 1 * NS_PER_MS)
    first = usb.into(address, 0)
    assert isinstance(first, Packet)
    assert (first.toggle, len(first.data)) == (1, 64)
    meter.chip.run(meter.chip.time.ns + 1 * NS_PER_MS)
    assert usb.setup(address, 0, bytes.fromhex("8006000100001200")) is Answer.ACK
    meter.chip.run(meter.chip.time.ns + 1 * NS_PER_MS)
    again = usb.into(address, 0)
    assert isinstance(again, Packet)
    assert (again.toggle, again.data[:2]) == (1, bytes([18, 1]))


def test_a_setup_right_after_a_packet_is_answered_from_its_beginning(meter: PartMeter) -> None:
    """The program sees both at once: the packet belongs to the transfer before, which the SETUP has ended."""
    until(meter, 0.3)
    usb, address = meter.chip.usb, 7
    whole = bytes.fromhex("8006000200004300")
    assert usb.setup(address, 0, whole) is Answer.ACK
    meter.chip.run(meter.chip.time.ns + 1 * NS_PER_MS)
    assert isinstance(usb.into(address, 0), Packet)
    assert usb.setup(address, 0, whole) is Answer.ACK
    meter.chip.run(meter.chip.time.ns + 1 * NS_PER_MS)
    again = usb.into(address, 0)
    assert isinstance(again, Packet)
    assert (again.toggle, len(again.data), again.data[:2]) == (1, 64, bytes([9, 2]))


def test_a_packet_of_before_a_bus_reset_opens_no_channel(meter: PartMeter) -> None:
    """A bus reset keeps its flag, and sets the channel's address to that of the control endpoint (RM0444, 37.6.2)."""
    until(meter, 0.3)
    usb, host = meter.chip.usb, meter.host
    host.opened = False
    meter.chip.run(meter.chip.time.ns + 5 * NS_PER_MS)
    assert isinstance(usb.into(7, 1), Packet)
    usb.bus_reset()
    meter.chip.run(meter.chip.time.ns + 1 * NS_PER_MS)
    assert (usb.field("CHEP1", "STATTX"), usb.field("CHEP1", "STATRX")) == (0, 0)


# --- Halted endpoints -------------------------------------------------------------------------------------------------


IN, OUT, NOTICES = 0x81, 0x01, 0x82
CLEAR_HALT, HALT = (0x02, 1, 0), (0x02, 3, 0)  # bmRequestType, bRequest, wValue: USB 2.0, 9.4.1 and 9.4.9
CHOOSE_INTERFACE = (0x01, 11, 0)


def request(meter: PartMeter, what: tuple[int, int, int], index: int) -> None:
    """A request while bulk transfers continue, as a driver of another interface makes it."""
    before = len(meter.host.asked)
    meter.host._steps = (None for _ in meter.host.control(*what, index))
    while len(meter.host.asked) == before:
        meter.chip.run(meter.chip.time.ns + NS_PER_MS)
    assert meter.host.asked[-1][1] == b"", "it is done"


def run_for(meter: PartMeter, seconds: float) -> None:
    meter.chip.run(meter.chip.time.ns + round(seconds * NS_PER_S))


def heard_since(meter: PartMeter) -> list[tuple[int, int, bytes]]:
    """The frames that the host has since they were last asked for, each once and none missing."""
    data = bytes(meter.host.received)
    found = frames(data[data.index(bytes([wire.END, wire.END])) + 1 :])
    assert len(found) > 5
    assert [after[1] - before[1] for before, after in pairwise(found)] == [1] * (len(found) - 1)
    meter.host.received.clear()
    return found


def test_clearing_a_halt_begins_the_toggle_of_that_endpoint_alone(meter: PartMeter) -> None:
    """USB 2.0, 9.4.5: always, halted or not. The host goes on with the toggles of the others."""
    until(meter, 0.3)
    meter.host.received.clear()
    for number in range(1, 9):
        request(meter, CLEAR_HALT, NOTICES)
        meter.host.send(encode(wire.BEAT, number, number))
        run_for(meter, 0.011)
        if number % 3 == 0:
            request(meter, CLEAR_HALT, OUT)
            meter.host._toggle_out = 0
    run_for(meter, 0.02)
    beaten = [
        wire.BEATEN.head.unpack(payload)[0] for code, _, payload in heard_since(meter) if code == wire.BEATEN.code
    ]
    assert beaten == list(range(1, 9))


@pytest.mark.parametrize("what", [(CLEAR_HALT, IN), (CHOOSE_INTERFACE, 1)])
def test_the_stream_goes_on_with_the_first_toggle(meter: PartMeter, what: tuple[tuple[int, int, int], int]) -> None:
    """A host that clears a halt, or chooses the setting of an interface (9.1.1.5), has no transfer there meanwhile."""
    until(meter, 0.3)
    meter.host.received.clear()
    for number in range(6):
        meter.host.opened = False
        run_for(meter, 0.001 * number)
        request(meter, *what)
        meter.host._toggle_in = 0
        if what[0] == CHOOSE_INTERFACE:
            meter.host._toggle_out = 0
        meter.host.opened = True
        meter.host.send(encode(wire.BEAT, number, number))
        run_for(meter, 0.021)
    assert sum(code == wire.BEATEN.code for code, _, _ in heard_since(meter)) == 6


def test_a_halted_endpoint_stays_halted_whatever_the_meter_sends_and_hears(meter: PartMeter) -> None:
    until(meter, 0.3)
    usb = meter.chip.usb
    meter.host.received.clear()
    meter.host.send(encode(wire.BEAT, 1, 1))
    request(meter, HALT, OUT)
    run_for(meter, 0.05)
    assert usb.field("CHEP1", "STATRX") == STALL
    assert heard_since(meter), "the other direction goes on"
    meter.host.opened = False
    request(meter, HALT, IN)
    for _ in range(5):
        run_for(meter, 0.005)
        assert usb.field("CHEP1", "STATTX") == STALL
    request(meter, CLEAR_HALT, IN)
    request(meter, CLEAR_HALT, OUT)
    meter.host._toggle_in = meter.host._toggle_out = 0
    meter.host.opened = True
    run_for(meter, 0.05)
    assert heard_since(meter), "its ring held what it had to send"
    assert usb.field("CHEP1", "STATRX") == VALID
    assert meter.chip.resets == 0


# --- What it is commanded ---------------------------------------------------------------------------------------------


def driven(meter: PartMeter, port: str, mask: int, since_ns: int) -> list[tuple[float, int]]:
    """(milliseconds since, pins) of each change of these pins."""
    found: list[tuple[float, int]] = []
    for ns, pins_ in meter.chip.ports[port].changes:
        if ns >= since_ns and (not found or found[-1][1] != pins_ & mask):
            found.append(((ns - since_ns) / NS_PER_MS, pins_ & mask))
    return found


def test_a_relay_closes_at_once_and_opens_when_nobody_repeats_it(meter: PartMeter) -> None:
    until(meter, 0.3)
    begun = meter.chip.time.ns
    meter.receive(encode(wire.RELAYS, 1, 0b101, wire.RELAY_EXPIRY_MS), START_NS + begun)
    until(meter, 1.0)
    (closed, at), (opened, none) = [each for each in driven(meter, "GPIOB", 0xFF00, begun) if each[0] > 0][:2]
    assert (at, none) == (0b101 << 8, 0)
    assert closed < 3
    assert opened - closed == pytest.approx(wire.RELAY_EXPIRY_MS, abs=3)


def test_a_contact_is_an_edge_a_sample_and_rests_first(meter: PartMeter) -> None:
    """After a start each contact counts as just opened."""
    until(meter, 0.3)
    for ms in range(300, 3500, 100):
        meter.receive(encode(wire.CONTACTS, ms, 0b10 if ms > 3100 else 0, wire.CONTACT_EXPIRY_MS), at(ms))
    moved = driven(meter, "GPIOC", 0xFF, 0)
    assert {pins_ for _, pins_ in moved} <= {0, 0b10}
    steps_ms = [after - before for (before, _), (after, _) in pairwise(moved) if before > 3210]
    assert len(steps_ms) > 150
    assert all(0.5 < each < 1.5 for each in steps_ms)


def at(ms: int) -> int:
    return START_NS + ms * NS_PER_MS


def test_a_beat_comes_back_with_the_meters_time(meter: PartMeter) -> None:
    until(meter, 0.3)
    meter.receive(encode(wire.BEAT, 1, 123456789), at(310))
    (payload,) = [payload for code, _, payload in frames(until(meter, 0.4)) if code == wire.BEATEN.code]
    stamp, at_us = wire.BEATEN.head.unpack(payload)
    assert stamp == 123456789
    assert at_us == pytest.approx(310_000, abs=1_000)


def test_it_sets_the_converters_that_record(meter: PartMeter) -> None:
    until(meter, 0.4)
    for each in meter.recorders:
        assert list(each.registers[1:5]) == [2 * 13] * 4, "a gain of 13 dB, in halves"
    told = [payload[0] for code, _, payload in frames(until(meter, 0.7)) if code == wire.STATUS.code]
    assert set(told) == {0}


def test_a_converter_that_is_not_there_is_told(meter: PartMeter) -> None:
    del meter.chip.wire.slaves[RECORDERS[1]]
    told = [payload[0] for code, _, payload in frames(until(meter, 0.7)) if code == wire.STATUS.code]
    assert told[-1] == wire.CONVERTER_2
    assert list(meter.recorders[0].registers[1:5]) == [2 * 13] * 4


def test_a_supply_that_goes_is_told(meter: PartMeter) -> None:
    until(meter, 0.3)
    meter.chip.ports["GPIOB"].levels = 0xFFFF & ~(1 << 1)
    told = [payload[0] for code, _, payload in frames(until(meter, 0.4)) if code == wire.STATUS.code]
    assert told
    assert told[0] & wire.POWER_FAIL


# --- linetap's reader at its cable ------------------------------------------------------------------------------------


@pytest.mark.parametrize("oscillator_hz", [8e6, None], ids=["oscillator", "its own clock"])
def test_linetap_reads_a_call_from_it(oscillator_hz: float | None) -> None:
    rig = PartRig(pins([WAVE], LENGTH_S), oscillator_hz=oscillator_hz)
    found = rig.edges(LENGTH_S)
    assert same(found, CALL)
    assert rig.reader.state.connected
    assert (rig.reader.state.frames_lost, rig.reader.state.restarts, rig.reader.noise) == (0, 0, 0)
    assert rig.part.chip.resets == 0
    assert rig.part.chip.watchdog.longest_ns < 20 * NS_PER_MS


def test_a_part_that_stands_still_is_begun_anew_and_found_again() -> None:
    """In mid-call, with a relay closed: the watchdog resets it, pins open, the boot number changes, and the reader
    continues.
    """
    rig = PartRig(pins([steps((0, -48), (0.35, -8), (2.2, -48))], 2.6))
    rig.run(1.2)  # its first hello was before the enumeration, the next is a second later
    rig.cable.write(encode(wire.RELAYS, 1, 0b1, wire.RELAY_EXPIRY_MS))
    rig.run(0.04)
    assert rig.part.chip.ports["GPIOB"].driven() & 0xFF00 == 1 << 8
    rig.part.chip.time.ns += 200 * NS_PER_MS  # a stall of the program
    found = rig.run(0.24)
    assert rig.part.chip.resets == 1
    assert rig.part.chip.ports["GPIOB"].driven() & 0xFF00 == 0
    found += rig.run(1.12)
    assert rig.reader.state.restarts == 1
    assert rig.reader.state.connected
    hook = joined(found).hook[0]
    assert list(hook[np.flatnonzero(np.diff(hook.astype(np.int8)))[-1:] + 1]) == [False], "put down at last"


def test_a_converter_that_stops_is_not_a_line_that_stands_still() -> None:
    """Its last results would be read forever, and every call missed: therefore the watchdog resets it."""
    rig = PartRig(pins([steps((0, -48), (0.9, -8), (1.1, -48))], 1.5))
    rig.run(0.4)
    rig.part.chip.converter.put("CR", "ADEN", 0)
    silent = rig.run(0.12)
    found = rig.run(0.92)
    assert rig.part.chip.resets == 1
    assert silent[-1] is None, "and until then linetap knows that it knows nothing"
    hook = joined(found).hook[0]
    assert hook.any()


def test_each_line_is_its_own() -> None:
    rig = PartRig(pins([steps((0, -48 + 2 * line)) for line in range(LINES)], 0.5))
    found = [levels for levels in rig.run(0.6) if levels is not None]
    assert [round(volts / 100) for volts in found[-1].volts] == [-48 + 2 * line for line in range(LINES)]


def test_its_stack_is_no_deeper_than_was_counted(tmp_path: Path) -> None:
    size = build_part(tmp_path / "meter.elf")
    rig = PartRig(pins([WAVE], LENGTH_S), tmp_path / "meter.elf")
    rig.run(LENGTH_S)
    assert 100 < rig.part.chip.core.stack_used(STACK_TOP) <= size.stack


WRONG = {
    "two channels exchanged": ("adc.c", "next(&measured->lines[i])", "next(&measured->lines[i ^ 1u])"),
    "the last channel first": ("adc.c", "ADC_CFGR1 = CFGR1_WAIT", "ADC_CFGR1 = CFGR1_WAIT | 1u << 2"),
    "a line less": ("adc.c", "#define INPUTS 9u", "#define INPUTS 8u"),
    "eight samples added up, not sixteen": ("adc.c", "(1u | 3u << 2)", "(1u | 2u << 2)"),
    "the converter at 64 MHz": ("adc.c", "CFGR2_HALF_THE_BUS (1u << 30)", "CFGR2_HALF_THE_BUS (3u << 30)"),
    "the converter's regulator not waited for": ("adc.c", "while (clock_us() - begun < 20u)", "while (begun == 0u)"),
    "no calibration": ("adc.c", "ADC_CR |= CR_CALIBRATE;", ""),
    "enabled once, too early": ("adc.c", "i < WAIT && !(ADC_ISR & ISR_READY)", "i < 1u"),
    "the converter's clock is off": ("adc.c", "RCC_APBENR2 |= APBENR2_CONVERTER;", ""),
    "a pin that is measured is an input": ("pins.c", "= IOPENR_A_B_C;", "= IOPENR_A_B_C; mode(GPIOA, 0, 0u);"),
    "the core at half its speed": ("clock.c", "PLL_R_BY_2 (1u << 29)", "PLL_R_BY_2 (3u << 29)"),
    "the PLL beyond what it can": ("clock.c", "PLL_TIMES_16 (16u << 8)", "PLL_TIMES_16 (64u << 8)"),
    "no wait states": ("clock.c", "ACR_TWO_WAITS 2u", "ACR_TWO_WAITS 1u"),
    "another divider of the clock": ("clock.c", "CPU_HZ / 1000000u - 1u", "CPU_HZ / 2000000u - 1u"),
    "a divider that counts from the next update": ("clock.c", "TIM2_EGR = EGR_UPDATE;", ""),
    "the timer's clock is off": ("clock.c", "RCC_APBENR1 |= APBENR1_TIMER;", ""),
    "a watchdog that nobody can feed in time": ("clock.c", "RLR_125_MS 500u", "RLR_125_MS 1u"),
    "no supply of USB": ("usb.c", "PWR_CR2 |= CR2_USB_SUPPLY;", ""),
    "no 48 MHz": ("usb.c", "RCC_CR |= CR_HSI48_ON;", ""),
    "USB in its reset": ("usb.c", "USB_CNTR = 0;\n    USB_ISTR = 0;\n    USB_CNTR = CNTR", "USB_CNTR = 1u | CNTR"),
    "no pull-up": ("usb.c", "USB_BCDR |= BCDR_PULL_UP;", ""),
    "another interrupt": ("registers.h", "#define USB_IRQ 8u", "#define USB_IRQ 9u"),
    "the packet memory somewhere else": ("registers.h", "0x40009800u", "0x40009c00u"),
    "the address before its status stage": ("usb.c", "address_to_be = packet[1] == 5",
                                            "USB_DADDR = address_to_be = packet[1] == 5"),
    "a state that is written, not turned": ("usb.c", "((is & CHEP_TX_STATE) ^ tx << 4);\n    return",
                                            "(tx << 4);\n    return"),
    "the endpoint's kind lost": ("usb.c", "#define CHEP_KEPT (3u << 9 | 1u << 8 | 15u)", "#define CHEP_KEPT 15u"),
    "a length in the wrong half": ("usb.c", "= at | length << 16;", "= at | length << 10;"),
    "room for 32 bytes": ("usb.c", "(1u << 31 | 1u << 26)", "(1u << 31)"),
    "what was received is never taken": ("usb.c", "become(USB_BULK, unless_halted(BULK_HEARS, VALID), 0);", ""),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_register_is_found(name: str, tmp_path: Path) -> None:
    """None of these gives a frame with a call at its time, or the part refuses."""
    elf = wrong_program(tmp_path, *WRONG[name])
    try:
        rig = PartRig(pins([WAVE], LENGTH_S), elf)
        found = rig.edges(LENGTH_S)
        well = rig.reader.state.connected and not rig.part.chip.resets and not rig.part.host.waiting
    except (Misuse, Broken):
        return
    assert not (well and same(found, CALL))


def test_the_right_one_is_not() -> None:
    rig = PartRig(pins([WAVE], LENGTH_S), program())
    assert same(rig.edges(LENGTH_S), CALL)
    assert isinstance(rig.part.host, Host)
