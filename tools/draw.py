#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Draws hardware/ from circuit/: schematics, parts and nets, and with KiCad installed, its netlist and pictures.

Run it as `.venv/bin/python tools/draw.py` when hardware/circuit/ changes; tests compare all files.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HARDWARE = ROOT / "hardware"
sys.path.insert(0, str(HARDWARE))

from drawing import bom, kicad, picture, sheetpictures, variants, wiring  # noqa: E402
from drawing.project import Circuit, files  # noqa: E402


def main() -> int:
    circuit = Circuit()
    others = {
        **{
            bom.name_of(name): bom.bom(circuit, variants.left_out(circuit, each))
            for name, each in variants.load().items()
        },
        bom.NETS: bom.nets(circuit),
        picture.NAME: picture.svg(circuit.sheets["line"], 1),
        wiring.PICTURE: wiring.svg(circuit.kinds["rj21"]),
        wiring.DOCUMENT: wiring.document((HARDWARE / wiring.DOCUMENT).read_text(), circuit.kinds["rj21"]),
    }
    for name, text in (files(circuit) | others).items():
        (HARDWARE / name).parent.mkdir(exist_ok=True)
        (HARDWARE / name).write_text(text)
    if not shutil.which("kicad-cli"):
        print("kicad-cli is not installed: netlist and pictures are left as they are (Debian's package kicad)")
        return 1
    pictures = ROOT / "build" / "hardware"
    pictures.mkdir(parents=True, exist_ok=True)
    print(kicad.rules(HARDWARE, pictures / "erc.rpt"))
    (HARDWARE / kicad.NETLIST).write_text(kicad.spice_netlist(HARDWARE))
    kicad.pictures(HARDWARE, pictures)
    sheetpictures.make(pictures, HARDWARE)
    print(f"PDF, SVG, PNG and the report on the rules are in {pictures}, the pictures of the page in {picture.FOLDER}/")
    return 0


if __name__ == "__main__":
    sys.exit(main())
