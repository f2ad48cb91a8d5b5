# SPDX-License-Identifier: Apache-2.0
"""The layers of a board from above, in mm, and the impedance of a track on an outer layer.

The thin prepreg is chosen for the USB pairs: 0.2 mm tracks over 0.1 mm have 46 ohm, over the 0.21 mm of a 7628 prepreg
67 ohm. Thicknesses and permittivities are those of a board maker's JLC04161H-3313 as given in a public project's board
(LeanderGlanda/Endstufe, Endstufe_v2/Panel/Panel.kicad_pcb); other makers offer the same.
"""

from __future__ import annotations

from math import exp, log, pi, sqrt
from typing import NamedTuple

from drawing.sexpr import quoted

OUTER = {"F.Cu": "In1.Cu", "B.Cu": "In2.Cu"}  # an outer layer, and the plane beside it
FREE_OHM = 376.73  # impedance of free space
FREE_MM_PS = 0.299792  # speed of light


class Layer(NamedTuple):
    """A layer; without permittivity it is copper."""

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
    """The stackup in the form of a KiCad board's setup."""
    rows = []
    for layer in LAYERS:
        row = f"(layer {quoted(layer.name)} (type {quoted(layer.kind)}) (thickness {layer.mm:g})"
        if layer.permittivity:
            row += f" (material {quoted(layer.material)}) (epsilon_r {layer.permittivity:g}) (loss_tangent 0.02)"
        rows.append(row + ")")
    return f'(stackup {" ".join(rows)} (copper_finish "ENIG") (dielectric_constraints no))'


def effective(width: float) -> float:
    """The effective permittivity of a track (E. Hammerstad, 1975, as in Pozar, Microwave Engineering, 3.195)."""
    across = width / PREPREG.mm
    er = PREPREG.permittivity
    return (er + 1) / 2 + (er - 1) / 2 / sqrt(1 + 12 / across)


def single_ohm(width: float) -> float:
    """The impedance of a single track at least twice as wide as its height (Hammerstad, 3.196). Solder mask lowers it
    by some ohm.
    """
    copper, height = OUTER_COPPER.mm, PREPREG.mm
    wide = (width + copper / pi * (1 + log(2 * height / copper))) / height
    return FREE_OHM / sqrt(effective(width)) / (wide + 1.393 + 0.667 * log(wide + 1.444))


def pair_ohm(width: float, gap: float) -> float:
    """The differential impedance of two coupled tracks (IPC-2141; National Semiconductor, AN-905)."""
    return 2 * single_ohm(width) * (1 - 0.48 * exp(-0.96 * gap / PREPREG.mm))


def picoseconds(width: float, length: float) -> float:
    return length * sqrt(effective(width)) / FREE_MM_PS
