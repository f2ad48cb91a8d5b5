# SPDX-License-Identifier: Apache-2.0
"""Lightning: 10/700 us, 1.5 kV, after ITU-T K.21. It proves the drawing's values, not a board's distances."""

from __future__ import annotations

from simulation.finding import Finding, over
from simulation.netlist import Netlist
from simulation.spice import Deck, Supply, run

CHARGED_V = 1500
# ITU-T K.44: 20 uF, 50 ohm across, 15 ohm, 0.2 uF, 25 ohm to the wire. Its switch closes 10 us after the start.
GENERATOR = (
    "C20 q 0 20u ic={volts}", "R50 q 0 50", "B15 q p I = V(q,p) / 15 * u(time - 10u)", "Cfront p 0 0.2u ic=0",
)  # fmt: skip
INPUTS = ("sp", "sn")  # of the measuring amplifier
RUN = ".tran 0.1u 1m 0 0.1u uic"  # a thyristor fires within one step, which must not miss its peak


def surge(netlist: Netlist) -> list[Finding]:
    """Surges across the pair in both polarities, with the relay closed; and on both wires against ground."""
    across: list[dict[str, float]] = []
    for volts in (CHARGED_V, -CHARGED_V):
        lines = [
            *(line.format(volts=volts) for line in GENERATOR),
            "Rwire p w 25",
            "Vin w /TIP1 0",
            "Rearth /RING1 0 1u",
            RUN,
        ]
        across.append(_run(netlist, lines, Supply(relay=3.3)))
    both = [line.format(volts=CHARGED_V) for line in GENERATOR]
    lines = [*both, "Rwire p w 25", "Vin w x 0", "Rtip x /TIP1 0.1", "Rring x /RING1 0.1", RUN]
    longitudinal = _run(netlist, lines, Supply(relay=3.3))
    every = [*across, longitudinal]

    def most(*names: str, among: list[dict[str, float]] = every, factor: float = 1) -> list[float]:
        return [max(abs(found[name]) for name in names) * factor for found in among]

    return [
        over("Surge: at the thyristor", most("pair_high", "pair_low"), "V", most=400),
        over("Surge: in the fuse", most("fuse_high", "fuse_low", among=across), "A", most=40),
        over("Surge: in the notice transformer, relay closed", most("t2_high", "t2_low"), "A", most=0.5),
        over(
            "Surge: at the measuring amplifier, beyond its rails",
            [max(f[f"{pin}_high"] - 3.3, -f[f"{pin}_low"]) for f in every for pin in INPUTS],
            "V",
            most=1,
        ),
        over("Surge: at the receive burden", most("burden_high", "burden_low"), "V", most=0.65),  # a diode conducts
        over("Surge: at the notice driver", most("driver_high", "driver_low"), "V", most=10),
        over("Surge on both wires: into the card", most("fuse_high", "fuse_low", among=[longitudinal]), "A", most=0.1),
    ]


def _run(netlist: Netlist, lines: list[str], supply: Supply) -> dict[str, float]:
    seen = {
        "pair": "v(pair)", "fuse": "i(Vin)", "t2": "i(L.XT102.L1)", "burden": "v(burden)",
        "driver": "v(driver)",
    }  # fmt: skip
    measures = [f".meas tran {name}_{end} {how} {what} from=5u to=1m" for name, what in seen.items()
                for end, how in (("high", "max"), ("low", "min"))]  # fmt: skip
    measures += [
        *(f".meas tran {pin}_high max v(/Line1/{pin}) from=5u to=1m" for pin in INPUTS),
        *(f".meas tran {pin}_low min v(/Line1/{pin}) from=5u to=1m" for pin in INPUTS),
    ]
    probes = [
        "Epair pair 0 /Line1/t /Line1/r 1",
        "Edriver driver 0 /Line1/ns /Line1/nt 1",
        "Eburden burden 0 /Line1/s1x /Line1/s2x 1",
    ]
    return run(Deck(netlist, [*lines, *probes], measures, supply))
