# SPDX-License-Identifier: Apache-2.0
"""Runs kicad-cli on the drawing: rules, nets, parts, pictures. linetap is built and tested without it."""

from __future__ import annotations

import csv
import re
import subprocess
import tempfile
from pathlib import Path
from xml.etree import ElementTree

from drawing.schematic import PROJECT
from linetap_core.errors import Refusal
from simulation.netlist import committed

NETLIST = "linetap.cir"
MOST_S = 120
RASTER = ("ffmpeg", "-v", "error", "-y", "-width", "1600")  # pixels; Debian's ffmpeg reads SVG
ALIKE = re.compile(r"Line[2-8]$")  # these sheets look like Line1


def rules(folder: Path, report: Path) -> str:
    """Runs KiCad's electrical rules check and returns the last line of its output. Refusal, with the report, on any
    violation or warning.
    """
    said = _kicad(
        "sch", "erc", "--severity-all", "--exit-code-violations", "-o", str(report), _root(folder), report=report
    )
    return next((line for line in said.splitlines() if line.startswith("Found ")), "Found nothing to say")


def spice_netlist(folder: Path) -> str:
    with tempfile.TemporaryDirectory(prefix="linetap-netlist-") as scratch:
        path = Path(scratch) / "exported.cir"
        _kicad("sch", "export", "netlist", "--format", "spice", "-o", str(path), _root(folder))
        return committed(path.read_text())


def nets(folder: Path) -> dict[str, list[tuple[str, str]]]:
    """Net -> its (reference, pin number), as exported by KiCad, without the pins that are deliberately open."""
    with tempfile.TemporaryDirectory(prefix="linetap-nets-") as scratch:
        path = Path(scratch) / "exported.xml"
        _kicad("sch", "export", "netlist", "--format", "kicadxml", "-o", str(path), _root(folder))
        found = ElementTree.parse(path).getroot().iter("net")
        joined = {net.attrib["name"]: sorted(_nodes(net)) for net in found}
    return {name: nodes for name, nodes in joined.items() if not name.startswith("unconnected-")}


def _nodes(net: ElementTree.Element) -> list[tuple[str, str]]:
    return [(node.attrib["ref"], node.attrib["pin"]) for node in net.iter("node")]


def parts(folder: Path, *, fitted: bool = False) -> set[tuple[str, str, str]]:
    """(reference, value, maker's number) of all parts to buy; `fitted` excludes the parts marked as not fitted."""
    with tempfile.TemporaryDirectory(prefix="linetap-bom-") as scratch:
        path = Path(scratch) / "exported.csv"
        fields = "Reference,Value,Number"
        some = ["--exclude-dnp"] if fitted else []
        _kicad("sch", "export", "bom", *some, "--fields", fields, "--labels", fields, "-o", str(path), _root(folder))
        with path.open(newline="") as file:
            return {(row["Reference"], row["Value"], row["Number"]) for row in csv.DictReader(file)}


def pictures(folder: Path, into: Path) -> None:
    """Writes linetap.pdf with all sheets, each sheet as SVG and, except for lines 2 to 8, as PNG.

    CalledProcessError if ffmpeg cannot read SVG.
    """
    _kicad("sch", "export", "pdf", "-o", str(into / f"{PROJECT}.pdf"), _root(folder))
    vectors(folder, into)
    for sheet in sorted(into.glob(f"{PROJECT}*.svg")):
        if not ALIKE.search(sheet.stem):
            drawn = [*RASTER, "-i", str(sheet), str(sheet.with_suffix(".png"))]
            subprocess.run(drawn, check=True, timeout=MOST_S, stdin=subprocess.DEVNULL)


def vectors(folder: Path, into: Path) -> None:
    """Writes each sheet as SVG."""
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
