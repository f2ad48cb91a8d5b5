# SPDX-License-Identifier: Apache-2.0
"""Makes the board with KiCad: fills its planes, checks it, and writes the factory's files."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from linetap_core.errors import Refusal
from pcb import boardfile, project, windows
from pcb.board import Board
from pcb.footprints import FOLDER, MODELS
from pcb.places import Places

DEBIAN_PYTHON = "/usr/bin/python3"  # has KiCad's module
FILLING = Path(__file__).with_name("filling.py")
COPPER = ("F.Cu", "In1.Cu", "In2.Cu", "B.Cu")
LAYERS = (*COPPER, "F.Paste", "F.SilkS", "F.Mask", "B.Mask", "Edge.Cuts")
EXPORT = ("kicad-cli", "pcb", "export")
RENDER = ("kicad-cli", "pcb", "render")
TURNED = "'-44,0,{}'"  # in its own quotes, so that the minus is not parsed as an option
MOST_S = 1800  # the card's design rules


@dataclass(frozen=True, slots=True)
class Verdict:
    """The number of KiCad's findings of each kind, warnings included, and the first findings."""

    broken: int
    open: int
    parity: int
    first: str


def filled(name: str, text: str, files: dict[str, str]) -> str:
    """The board with its planes filled."""
    with tempfile.TemporaryDirectory(prefix="linetap-board-") as scratch:
        folder = Path(scratch)
        written(folder, files | {f"{name}.kicad_pcb": text})
        run(DEBIAN_PYTHON, str(FILLING), str(folder / f"{name}.kicad_pcb"))
        return (folder / f"{name}.kicad_pcb").read_text()


def written(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def copied(folder: Path, scratch: Path) -> Path:
    """Copies only the KiCad project, with footprints and bodies beside it: KiCad writes files beside its input."""
    copy = scratch / "hardware" / "board"
    copy.mkdir(parents=True)
    for path in (*folder.glob("*.kicad_*"), *folder.glob("*-lib-table")):
        shutil.copy(path, copy)
    beside = folder if (folder / FOLDER).exists() else folder.parent
    for into in (copy, copy.parent):
        for name in (FOLDER, MODELS):
            shutil.copytree(beside / name, into / name)
    return copy


def design_rules(folder: Path, name: str) -> Verdict:
    """Checks clearance, creepage, courtyards, unconnected items, and whether board and schematic agree."""
    with tempfile.TemporaryDirectory(prefix="linetap-drc-") as scratch:
        found = _checked(copied(folder, Path(scratch)) / f"{name}.kicad_pcb", "--schematic-parity")
    broken, apart, parity = found["violations"], found["unconnected_items"], found["schematic_parity"]
    every = [*broken, *apart, *parity]
    return Verdict(len(broken), len(apart), len(parity), _words(every[0]) if every else "")


# The design rules that do not compare a board with its sheets: five sixths of the time on the card. KiCad checks those
# whose name it does not know in addition.
_OF_COPPER = (
    "annular_width", "clearance", "connection_width", "copper_edge_clearance", "copper_sliver", "courtyards_overlap",
    "creepage", "diff_pair_gap_out_of_range", "diff_pair_uncoupled_length_too_long", "drill_out_of_range",
    "hole_clearance", "hole_to_hole", "holes_co_located", "invalid_outline", "isolated_copper",
    "item_on_disabled_layer", "items_not_allowed", "length_out_of_range", "lib_footprint_issues",
    "lib_footprint_mismatch", "malformed_courtyard", "missing_courtyard", "npth_inside_courtyard", "padstack",
    "pth_inside_courtyard", "shorting_items", "silk_edge_clearance", "silk_over_copper", "silk_overlap",
    "skew_out_of_range", "solder_mask_bridge", "starved_thermal", "text_height", "text_thickness",
    "through_hole_pad_without_hole", "track_dangling", "track_width", "tracks_crossing", "unconnected_items",
    "unresolved_variable", "via_dangling", "zones_intersect",
)  # fmt: skip


def parity(folder: Path, name: str) -> list[str]:
    """Differences between the board's parts and those of its sheets, including the marks of parts not fitted."""
    with tempfile.TemporaryDirectory(prefix="linetap-parity-") as scratch:
        copy = copied(folder, Path(scratch))
        file = copy / f"{name}.kicad_pro"
        settings = json.loads(file.read_text())
        settings["board"]["design_settings"]["rule_severities"] = dict.fromkeys(_OF_COPPER, "ignore")
        file.write_text(json.dumps(settings))
        found = _checked(copy / f"{name}.kicad_pcb", "--schematic-parity")
    return [_words(each) for each in found["schematic_parity"]]


def creepage(folder: Path, board: Board, places: Places, kept: Path | None = None) -> list[str]:
    """KiCad's creepage violations at the pairs, checked on the part of a large board that lies near them.

    The checked project stays in `kept`, with its report.
    """
    with tempfile.TemporaryDirectory(prefix="linetap-creepage-") as scratch:
        # Other findings on a cut board are effects of the cut edges.
        found = _checked(near_pairs(folder, board, places, kept or Path(scratch)))["violations"]
        return [_words(each) for each in found if each["type"] == "creepage"]


def near_pairs(folder: Path, board: Board, places: Places, into: Path) -> Path:
    """Writes the cut board with its rule and net classes: a KiCad project."""
    text = (folder / f"{board.name}.kicad_pcb").read_text()
    items = list(boardfile.items(text))
    every = (each for _, copper in items for each in windows.boxes(copper))
    pairs = [box for net, box in every if places.class_of(board.plain(net)) == "LINE"]
    files = {
        f"{board.name}.kicad_pcb": windows.cut(text, items, windows.around(pairs)),
        f"{board.name}.kicad_dru": project.rules(places, "creepage"),
        f"{board.name}.kicad_pro": (folder / f"{board.name}.kicad_pro").read_text(),
    }
    written(into, files)
    return into / f"{board.name}.kicad_pcb"


def _checked(board: Path, *options: str) -> dict[str, list[dict[str, Any]]]:
    report = board.with_suffix(".json")
    run("kicad-cli", "pcb", "drc", "--severity-all", *options, "--format", "json", "-o", str(report), str(board))
    found: dict[str, list[dict[str, Any]]] = json.loads(report.read_text())
    return found


def _words(violation: dict[str, Any]) -> str:
    return f"{violation['description']}: {'; '.join(item['description'] for item in violation['items'])}"


def electrical_rules(folder: Path, name: str) -> int:
    with tempfile.TemporaryDirectory(prefix="linetap-erc-") as scratch:
        copy = copied(folder, Path(scratch))
        report = Path(scratch) / "erc.json"
        options = ("--severity-all", "--format", "json", "-o", str(report))
        run("kicad-cli", "sch", "erc", *options, str(copy / f"{name}.kicad_sch"))
        return sum(len(sheet["violations"]) for sheet in json.loads(report.read_text())["sheets"])


def copper_files(folder: Path, name: str, into: Path) -> None:
    """Writes Gerber and drill files."""
    into.mkdir(parents=True, exist_ok=True)
    board, out = str(folder / f"{name}.kicad_pcb"), str(into) + "/"
    run(*EXPORT, "gerbers", "--no-protel-ext", "--layers", ",".join(LAYERS), "-o", out, board)
    run(*EXPORT, "drill", "--excellon-separate-th", "-o", out, board)


def other_files(folder: Path, name: str, into: Path) -> None:
    """Writes the test net list, a flat picture, and the board with its parts' bodies."""
    board = str(folder / f"{name}.kicad_pcb")
    run(*EXPORT, "ipcd356", "-o", str(into / f"{name}.d356"), board)
    drawing = ("--layers", "F.Cu,F.Fab,F.SilkS,Edge.Cuts", "--page-size-mode", "2", "--exclude-drawing-sheet")
    run(*EXPORT, "svg", *drawing, "-o", str(into / f"{name}.svg"), board)
    run(*EXPORT, "step", "--force", "-o", str(into / f"{name}.step"), board)


def assembly_files(folder: Path, name: str, into: Path, called: str) -> None:
    """Writes the positions of the fitted parts, and the assembly drawing, in which the others are crossed out."""
    board = str(folder / f"{name}.kicad_pcb")
    positions = str(into / f"{called}-pos.csv")
    run(*EXPORT, "pos", "--format", "csv", "--units", "mm", "--exclude-dnp", "-o", positions, board)
    crossed = ("--layers", "F.Fab,Edge.Cuts", "--crossout-DNP-footprints-on-fab-layers")
    run(*EXPORT, "pdf", *crossed, "-o", str(into / f"{called}-assembly.pdf"), board)


def solid_picture(folder: Path, name: str, picture: Path, places: Places) -> None:
    """Renders the board with its parts' bodies, its longer edge along the picture."""
    lying = places.width > places.height
    how = ("--perspective", "--rotate", TURNED.format(24 if lying else 112), "--zoom", "0.85" if lying else "1.05")
    size = ("--width", "1500", "--height", "960", "--quality", "high")
    run(*RENDER, *how, *size, "-o", str(picture), str(folder / f"{name}.kicad_pcb"))


def run(*command: str) -> str:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=MOST_S, check=False, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Refusal(f"{command[0]}: {error}") from None
    if done.returncode:
        raise Refusal(f"{' '.join(command[:4])} ended with {done.returncode}: {(done.stderr or done.stdout)[:1000]}")
    return done.stdout
