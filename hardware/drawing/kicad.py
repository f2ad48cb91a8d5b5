# SPDX-License-Identifier: Apache-2.0
"""What kicad-cli makes of the drawing. It is not needed to build or test linetap."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from drawing.schematic import PROJECT
from linetap.errors import Refusal
from simulation.netlist import committed

NETLIST = "linetap.cir"
MOST_S = 120


def rules(folder: Path) -> str:
    """KiCad's last word on its electrical rules. Refusal with its report when one is broken, warnings included."""
    with tempfile.TemporaryDirectory(prefix="linetap-erc-") as scratch:
        report = Path(scratch) / "erc.rpt"
        said = _kicad(
            "sch", "erc", "--severity-all", "--exit-code-violations", "-o", str(report), _root(folder), report=report
        )
    return next((line for line in said.splitlines() if line.startswith("Found ")), "Found nothing to say")


def spice_netlist(folder: Path) -> str:
    with tempfile.TemporaryDirectory(prefix="linetap-netlist-") as scratch:
        path = Path(scratch) / "exported.cir"
        _kicad("sch", "export", "netlist", "--format", "spice", "-o", str(path), _root(folder))
        return committed(path.read_text())


def pictures(folder: Path, into: Path) -> None:
    """linetap.pdf with all sheets, and an SVG each."""
    _kicad("sch", "export", "pdf", "-o", str(into / f"{PROJECT}.pdf"), _root(folder))
    _kicad("sch", "export", "svg", "-o", str(into), _root(folder))


def _root(folder: Path) -> str:
    return str(folder / f"{PROJECT}.kicad_sch")


def _kicad(*arguments: str, report: Path | None = None) -> str:
    done = subprocess.run(
        ["kicad-cli", *arguments], capture_output=True, text=True, timeout=MOST_S, check=False, stdin=subprocess.DEVNULL
    )
    if done.returncode:
        more = report.read_text() if report and report.exists() else done.stderr
        raise Refusal(f"kicad-cli {' '.join(arguments[:3])} ended with {done.returncode}:\n{more[:4000]}")
    return done.stdout
