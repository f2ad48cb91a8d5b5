# SPDX-License-Identifier: Apache-2.0
"""The worst voltages of the nets, in volts, with the reason; voltages.py compares the parts' ratings with them.

A line's nets are measured against its other wire, all others against the card's ground; the 12 V side against its own
return. Figures in quotes are rows of the table in hardware/README.md.
"""

from __future__ import annotations

from typing import NamedTuple


class Range(NamedTuple):
    low: float
    high: float

    def over(self, other: Range) -> Range:
        return Range(min(self.low, other.low), max(self.high, other.high))


PAIR_V = 400.0  # "Surge: at the thyristor", required <= 400 V; ringing of 150 Vrms on 56 V has 268 V
BARRIER_V = 1500.0  # K.21 as simulated, from both wires to ground
ENTRY_V = 29.2  # SMBJ18A at 20.5 A, 10/1000 us; equals its `clamps_v`
GROUNDS = ("GND", "/supply/ret")
LINE = r"/Line\d/"

NETS: tuple[tuple[str, float, float, str], ...] = (
    (r"GND", 0, 0, "the reference of all that may be touched"),
    (r"/supply/ret", 0, 0, "the reference of the 12 V side"),
    (r"/supply/(plug|fused|vin)", 0, ENTRY_V, "18 V, and in a surge what D1 lets through"),
    (r"/supply/gate", 0, ENTRY_V - 11.4, "D2, 12 V less 5 %, below the source; R5 pulls to the return"),
    (r"\+5V|/supply/v5in|COIL", 0, 5.25, "5 V, 5 %"),
    (r"\+3V3|PI3V3|/usb/v33a?|/audio/v33d", 0, 3.37, "3.3 V, 2 %"),
    (r"/ARM_IN", 0, 3.37, "a pin of the Pi, on this card's header or card 1's"),
    (r"VREF", 0, 3.02, "3 V, 0.5 %"),
    (rf"/(TIP|RING|TIP_TEL)\d|{LINE}(t|r|p|n[abcpq]|r[abcdpq])", 0, PAIR_V, "the thyristor"),
    (rf"{LINE}s[12]", 0, BARRIER_V / 2, "half of what is between a line and ground"),
    (rf"{LINE}s[pn]", -1, 4.37, '"Surge: at the measuring amplifier, beyond its rails", asked <= 1 V'),
    (rf"{LINE}s[12]x", -0.65, 0.65, '"Surge: at the receive burden", asked <= 0.65 V'),
    (rf"{LINE}ns", -6.5, 11.9, "the clamp, 6.4 V, from either end of the other amplifier's 5 V"),
    (rf"{LINE}[kc]d|{LINE}ck", 0, 10, '"Relay" and "Contact: at its driver, which stands 20 V", asked <= 10 V'),
    (rf"{LINE}ca", -1, 3.37, "a diode below ground, the meter's pin above"),
    (rf"{LINE}cr", 0, 3.37, "what edges of 3.3 V charge it to"),
    (r"/usb/vbus", 0, 5.25, "the Pi's 5 V"),
    (r"/audio/v5usb", 0, 5.25, "5 V behind a fuse"),
    (r"/usb/cc[12]", 0, 5.25, "the Pi's pull-up to its 5 V"),
    (r"/usb/there", 0, 2.63, "half of it"),
    (r"/usb/xin", 0, 3.37, "the crystal's own oscillator"),
    (r"/usb/(cr|pll)filt|/usb/rbias", 0, 1.3, "the hub's core, by its own regulator (1.2 V)"),
    (r"/supply/cap", 0, 5.25, "charged from 5 V"),
    (r"/supply/mid", 0, 2.63, "half of it: the manager balances the two"),
    (r"/supply/(cln|sw)", 0, 5.25, "5 V, 5 %"),
    (r"/supply/igate", 0, 12, "twice its input, by the manager's pump (LTC4041: 12 V)"),
    (r"/supply/(prog|cpf)", 0, 2, "set by the manager; PROG is 0.8 V"),
    (r"/supply/ilim", 0, 5.25, "set by the switch, from its supply"),
    (r"/supply/r?ce", 0, 3.37, "the one-shot discharges it"),
    (r"/connectors/smdr_in|/connectors/handshake", -25, 25, "RS-232 (TIA-232: 25 V)"),
    (r"/connectors/(smdr_out|vpos|vneg|c[12][pn])", -7, 7, "the charge pump: twice 3.3 V"),
    (r"/audio/(vref|ldo)\d", 0, 3.37, "made in the converter from its 3.3 V"),
    (r"/audio/vcom", 0, 5.25, "made in the converter from its 5 V"),
    (r"/audio/msel", 0, 3.37, "half of its 3.3 V, by the converter"),
    (r"/connectors/backup", 0, 3.37, "the clock charges it from its supply"),
    (r"/TAMPER|/(panel/press|BUTTON)", 0, 3.37, "a switch to 3.3 V or ground"),
)

SOURCES = (  # kind, pin: the external source of a net
    ("pi_header", r"GPIO\d+|ID_S[DC]", Range(0, 3.37), "the Pi's pins are of 3.3 V"),
    ("usb_audio", r"mclk|sclk|lrck|dout1", Range(0, 3.37), "3.3 V logic (its manual)"),
    ("header4", r"[cd]", Range(0, 3.37), "a debugger of 3.3 V"),
)

ACROSS: tuple[tuple[str, float, str], ...] = (  # part: the voltage across it, where its nets' worst do not coincide
    (r"R[1-8]0[1-4]", BARRIER_V / 2, "two in a row share what is between a line and ground"),
    (r"C100[23]", 2.63, "two in a row, balanced, on 5.25 V"),
    (r"R1006", 0.03, "6 A through it"),
    (r"C[1-8](06|07|10)", PAIR_V, "all of the pair's surge"),
    (r"D[1-8]0[19]", 268.0, "it limits: what must not fire it is ringing of 150 Vrms on 56 V"),
    (r"D[1-8]07", 5.0, "it limits: what must not fire it is a notice: 4 V with 5 V at the drivers, 4.2 V with 5.25 V"),
    (r"J130[23]", 268.0, "ringing of 150 Vrms on 56 V; surges pass it before the fuses"),
    (r"D1001", 18.0, "it limits: what must not fire it is the highest input"),
    (r"D1002", 12.0, "it limits: the gate stands 20 V"),
    (r"D14\d\d", 5.0, "never turned: its resistor and its driver only pull it forward (`lit`)"),
    (r"C[1-8]11", 11.9, "the clamp, 6.4 V, and 5.25 V; its other end is an output behind 51 ohm"),
    (r"C130[12]", 3.37, "a capacitor of the pump carries its supply once"),
)

TOLERANT = {  # kind, pin: why it may exceed its supply
    ("holdup", "igate"): "its own pump",
    ("comparator", "inp"): "36 V whatever its supply (SBOS589D)",
    ("comparator", "inn"): "36 V whatever its supply (SBOS589D)",
    ("comparator", "out"): "36 V whatever its supply (SBOS589D)",
    ("opamp_precise", "inp"): "clamped, behind 10 Mohm",
    ("opamp_precise", "inn"): "clamped, behind 10 Mohm",
    ("opamp", "inp"): "behind 1 kohm: 1 mA at the most into its own diodes, which stand 10",
    ("opamp", "inn"): "behind 1 kohm or 10 kohm: 1 mA at the most into its own diodes, which stand 10",
    ("rs232", "dout"): "15 V (RS-232)",
    ("rs232", "rin"): "25 V (RS-232)",
    ("rs232", "vpos"): "its own pump",
    ("rs232", "vneg"): "its own pump",
    ("rs232", "c1p"): "its own pump",
    ("rs232", "c1n"): "its own pump",
    ("rs232", "c2p"): "its own pump",
    ("rs232", "c2n"): "its own pump",
}
