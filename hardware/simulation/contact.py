# SPDX-License-Identifier: Apache-2.0
"""The series contact: the line while it is open, its loss when closed, and its load by ringing and surges."""

from __future__ import annotations

from math import log10, sqrt

from simulation.audio import HALF, LOOP, SWEEP, corners_of
from simulation.converters import meter_reads
from simulation.dialling import EXCHANGE, METER_LIMIT_V, telephone
from simulation.finding import Finding, over
from simulation.netlist import Netlist
from simulation.oneshot import forced
from simulation.spice import Deck, Supply, run, run_all
from simulation.surge import CHARGED_V, GENERATOR, RUN

WORN = "ohm=2"  # a pole at the end of its life, so that both have 1 ohm; assumed, no sheet states it
WELDED, STUCK = "welded=1", "stuck=1"
OPEN_S, SHUT_S = 0.5, 1.5
RINGER = ["Rringer /TIP_TEL1 ringer 7k", "Cringer ringer /RING1 1u"]  # one telephone on-hook
BELLS = ((7e3, 1e-6), (7e3, 0.47e-6), (23e3, 0.33e-6))  # ohm, farad: a bell, a smaller one, an electronic ringer
PUT_DOWN_S = 1.0  # while the loop is open
RING_RMS, RING_HZ, BATTERY_V = 150, 20, 56
METER = ".meas tran {} find v(/VM1) at={}"


def line(netlist: Netlist) -> list[Finding]:
    """A lifted handset on 48 V whose loop is opened for a second; the same with a stuck contact."""
    lines = [*EXCHANGE, *telephone([(0.1, 2.2)]), *forced((OPEN_S, SHUT_S)), ".tran 0.5m 2 0 0.5m"]
    at = (OPEN_S + SHUT_S) / 2
    measures = [
        METER.format("open", at),
        f".meas tran left find i(Vtel) at={at}",
        f".meas tran opened when v(/Line1/ck)=2 fall=1 td={OPEN_S - 0.01}",
        f".meas tran on when v(/VM1)={METER_LIMIT_V:.5f} rise=last td={OPEN_S - 0.1}",
        f".meas tran off when v(/VM1)={METER_LIMIT_V:.5f} fall=last td={OPEN_S}",
    ]
    wire = [each.replace("/TIP_TEL1", "tel") for each in lines]
    wire.append("Vtel /TIP_TEL1 tel 0")
    found = run(Deck(netlist, wire, measures))
    welded, stuck = run_all(
        Deck(netlist.given({"K102": how}), wire, [METER.format("v", when)])
        for how, when in ((WELDED, at), (STUCK, OPEN_S - 0.1))
    )
    return [
        over("Contact open, handset lifted: the meter reads of 48 V", [volts_of(found["open"])], "V", least=40),
        over("Contact open, handset lifted: current in the loop", [abs(found["left"]) * 1e6], "uA", most=100),
        over("Meter: on-hook after the contact's coil is on", [_ms(found, "on", "opened")], "ms", most=20),
        over("Meter: off-hook after the contact is asked to close", [(found["off"] - SHUT_S) * 1000], "ms", most=100),
        over("Contact welded, asked for: the meter reads of 48 V", [volts_of(welded["v"])], "V", most=16),
        over("Contact stuck open, handset lifted: the meter reads of 48 V", [volts_of(stuck["v"])], "V", least=40),
    ]


def closing(ohm: float, farad: float) -> list[str]:
    """The handset is put down while the loop is open; then the contact closes onto the telephone's bell."""
    bell = [f"Rringer /TIP_TEL1 ringer {ohm:g}", f"Cringer ringer /RING1 {farad:g}"]
    return [*EXCHANGE, *telephone([(0.1, PUT_DOWN_S)]), *forced((OPEN_S, SHUT_S)), *bell, ".tran 0.2m 2 0 0.2m"]


def closes(netlist: Netlist) -> list[Finding]:
    """The line's voltage when the contact closes, and when it cannot: the bell's capacitor, discharged by the lifted
    telephone, is charged again.
    """
    measures = [METER.format("before", SHUT_S - 0.002), *(
        f".meas tran {end} {end} v(/VM1) from={SHUT_S} to={SHUT_S + 0.13}" for end in ("min", "max")
    )]  # fmt: skip
    sound = [_moved(each) for each in run_all(Deck(netlist, closing(*bell), measures) for bell in BELLS)]
    stuck = _moved(run(Deck(netlist.given({"K102": STUCK}), closing(*BELLS[0]), measures)))
    return [
        over("Contact closes on a handset put down meanwhile: the line sinks by", sound, "V", least=1),
        over("Contact stuck open, the same: the line moves by", [stuck], "V", most=0.1),
    ]


def loss(netlist: Netlist) -> list[Finding]:
    """A worn contact: the telephone's total loss, and the conversion of common mode to a differential signal."""
    worn = [each.given({"K102": WORN}) for each in corners_of(netlist)]
    heard = [".meas ac least min vdb(/TIP_TEL1) from=300 to=3400"]
    lost = [20 * log10(HALF) - run(Deck(each, [*LOOP, SWEEP], heard))["least"] for each in worn]
    drive = ["Vac y 0 dc 0 ac 1", "Rtip y /TIP1 300", "Rring y /RING1 300", "Rphone /TIP_TEL1 /RING1 600"]
    earthed = [*drive, "Rt /TIP_TEL1 z 300", "Rr /RING1 z 300", "Rz z 0 1u", "Epair pair 0 /TIP_TEL1 /RING1 1", SWEEP]
    turned = [-run(Deck(each, earthed, [".meas ac most max vdb(pair) from=300 to=3400"]))["most"] for each in worn]
    return [
        over("Insertion loss, listening, the contact worn to 1 ohm", lost, "dB", most=0.1),
        over("Longitudinal balance, the contact worn to 1 ohm in one wire (model only)", turned, "dB", least=60),
    ]


def rings(netlist: Netlist) -> list[Finding]:
    """The strongest ringing (150 Vrms on 56 V) on an open contact, with one telephone behind it."""
    lines = [
        f"Vring a 0 sin(-{BATTERY_V} {RING_RMS * sqrt(2):.1f} {RING_HZ})", "Rring a /RING1 400", "Rtip 0 /TIP1 400",
        *RINGER, "Eacross across 0 /TIP1 /TIP_TEL1 1", "Ebell bell 0 ringer /RING1 1", ".tran 0.5m 0.5 0 0.5m",
    ]  # fmt: skip
    measures = [".meas tran high max v(across) from=0.1 to=0.5", ".meas tran low min v(across) from=0.1 to=0.5",
                ".meas tran bell rms v(bell) from=0.2 to=0.4"]  # fmt: skip
    found = run(Deck(netlist.given({"K102": STUCK}), lines, measures))
    across = max(abs(found["high"]), abs(found["low"]))
    return [
        over("Contact open, ringing at 150 Vrms on 56 V: across it", [across], "V", most=1000),
        over("Contact open, ringing at 150 Vrms on 56 V: at the bell behind it", [found["bell"]], "V", most=5),
    ]


def surge_on_it(netlist: Netlist) -> list[Finding]:
    """1.5 kV on either side of an open contact, and on both wires; and through a closed one into a conducting
    telephone.
    """
    opened, across, clamped = netlist.given({"K102": STUCK}), [], []
    exchange, phone = "Rexchange /TIP1 /RING1 600", "Rphone /TIP_TEL1 /RING1 600"
    probes = ["Eacross across 0 /TIP1 /TIP_TEL1 1", "Eclamp clamp 0 /Line1/p /Line1/r 1", RUN]
    for volts in (CHARGED_V, -CHARGED_V):
        struck = [each.format(volts=volts) for each in GENERATOR]
        for wires in (
            ["Rw p /TIP1 25", "Re /RING1 0 1u", phone],
            ["Rw p /TIP_TEL1 25", "Re /RING1 0 1u", exchange],
            ["Rw p w 25", "Rt w /TIP1 0.1", "Rr w /RING1 0.1", "Rearthed /TIP_TEL1 0 600"],
        ):
            found = run(Deck(opened, [*struck, *wires, *probes], _peaks("across", "clamp")))
            across.append(_peak(found, "across"))
            clamped.append(_peak(found, "clamp"))
    struck = [each.format(volts=CHARGED_V) for each in GENERATOR]
    wires = ["Rw p /TIP1 25", "Re /RING1 0 1u", "Vphone /TIP_TEL1 x 0", "Rphone x /RING1 0.1", RUN]
    through = run(Deck(netlist, [*struck, *wires], [".meas tran i max i(Vphone) from=5u to=1m"]))
    return [
        over("Surge, contact open: across it", across, "V", most=1000),
        over("Surge, contact open: at the telephone's thyristor", clamped, "V", most=400),
        over("Surge, contact closed: through it into a telephone that shorts", [through["i"]], "A"),
    ]


def _peaks(*names: str) -> list[str]:
    return [f".meas tran {name}_{end} {how} v({name}) from=5u to=1m" for name in names
            for end, how in (("high", "max"), ("low", "min"))]  # fmt: skip


def _peak(found: dict[str, float], name: str) -> float:
    return max(abs(found[f"{name}_high"]), abs(found[f"{name}_low"]))


def volts_of(vm: float) -> float:
    """The line's voltage, unsigned."""
    return abs(meter_reads(vm, Supply()))


def _moved(found: dict[str, float]) -> float:
    """The largest change of the line's voltage as read by the meter."""
    before = volts_of(found["before"])
    return max(abs(before - volts_of(found[end])) for end in ("min", "max"))


def _ms(found: dict[str, float], late: str, early: str) -> float:
    return (found[late] - found[early]) * 1000
