# SPDX-License-Identifier: Apache-2.0
"""The layers of a board from above, in mm, and the impedance of a track on an outer one.

The thin prepreg is chosen for the pairs of USB: 0.2 mm above 0.1 mm is 46 ohm, above the 0.21 mm of a 7628 prepreg 67.
Thicknesses and permittivities are those under which a board maker's JLC04161H-3313 stands in a public project's board
(LeanderGlanda/Endstufe, Endstufe_v2/Panel/Panel.kicad_pcb); others sell the same.
"""

from __future__ import annotations

from math import exp, log, pi, sqrt
from typing import NamedTuple

from drawing.sexpr import quoted

OUTER = {"F.Cu": "In1.Cu", "B.Cu": "In2.Cu"}  # an outer layer, and the plane beside it
FREE_OHM = 376.73  # of free space
FREE_MM_PS = 0.299792  # light


class Layer(NamedTuple):
    """One without permittivity is copper."""

    name: str
    kind: str
    mm: float
    permittivity: float = 0.0
    material: str = ""


LAYERS = (
    Layer("F.Mask", "Top Solder Mask", 0.01),
    Layer("F.Cu", "copper", 0.035),
    Layer("dielectric 1", "prepreg", 0.0994, 4.1, "FR4 3313"),
    Layer("In1.Cu", "copper", 0.0152),
    Layer("dielectric 2", "core", 1.265, 4.6, "FR4"),
    Layer("In2.Cu", "copper", 0.0152),
    Layer("dielectric 3", "prepreg", 0.0994, 4.1, "FR4 3313"),
    Layer("B.Cu", "copper", 0.035),
    Layer("B.Mask", "Bottom Solder Mask", 0.01),
)
OUTER_COPPER, PREPREG = LAYERS[1], LAYERS[2]
THICK_MM = round(sum(layer.mm for layer in LAYERS), 4)
VIA_MM = sum(layer.mm for layer in LAYERS[2:7])  # from one outer layer to the other


def written() -> str:
    """As KiCad has it in a board's setup."""
    rows = []
    for layer in LAYERS:
        row = f"(layer {quoted(layer.name)} (type {quoted(layer.kind)}) (thickness {layer.mm:g})"
        if layer.permittivity:
            row += f" (material {quoted(layer.material)}) (epsilon_r {layer.permittivity:g}) (loss_tangent 0.02)"
        rows.append(row + ")")
    return f'(stackup {" ".join(rows)} (copper_finish "ENIG") (dielectric_constraints no))'


def effective(width: float) -> float:
    """The permittivity that a wave on a track sees (E. Hammerstad, 1975, as in Pozar, Microwave Engineering, 3.195)."""
    across = width / PREPREG.mm
    er = PREPREG.permittivity
    return (er + 1) / 2 + (er - 1) / 2 / sqrt(1 + 12 / across)


def single_ohm(width: float) -> float:
    """A track alone, from twice as wide as it is high up (Hammerstad, 3.196). Mask over it takes some ohm more."""
    copper, height = OUTER_COPPER.mm, PREPREG.mm
    wide = (width + copper / pi * (1 + log(2 * height / copper))) / height
    return FREE_OHM / sqrt(effective(width)) / (wide + 1.393 + 0.667 * log(wide + 1.444))


def pair_ohm(width: float, gap: float) -> float:
    """Two tracks beside each other, of which each lowers the other's (IPC-2141; National Semiconductor, AN-905)."""
    return 2 * single_ohm(width) * (1 - 0.48 * exp(-0.96 * gap / PREPREG.mm))


def picoseconds(width: float, length: float) -> float:
    return length * sqrt(effective(width)) / FREE_MM_PS
