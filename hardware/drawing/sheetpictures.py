# SPDX-License-Identifier: Apache-2.0
"""Makes KiCad's picture of each sheet for a page: few colours, about 60 kB, with the hash of its source sheet.

The line has an SVG instead (picture.py).
"""

from __future__ import annotations

import hashlib
import struct
import subprocess
import zlib
from pathlib import Path

from drawing.picture import FOLDER
from drawing.project import LINE_SHEET, OTHERS
from drawing.schematic import PROJECT

WIDTH, COLOURS = 2400, 16
PALETTE = f"palettegen=max_colors={COLOURS}:reserve_transparent=0"
FEW = f"split[all][one];[all]{PALETTE}[few];[one][few]paletteuse=dither=none"
DRAWN_AS = {PROJECT: PROJECT} | {name: f"{PROJECT}-{name}" for name in OTHERS}  # sheet -> file name of KiCad's SVG
KEY = b"drawn from\0"
SIGNATURE, HEADER = 8, 25  # bytes: PNG's signature, and its first chunk
MOST_S = 120


def make(vectors: Path, hardware: Path) -> None:
    """Converts KiCad's SVGs into the folder of pictures. CalledProcessError if ffmpeg cannot read SVG."""
    (hardware / FOLDER).mkdir(exist_ok=True)
    for sheet, name in DRAWN_AS.items():
        command = ["ffmpeg", "-v", "error", "-width", str(WIDTH), "-i", str(vectors / f"{name}.svg"), "-vf", FEW]
        command += ["-f", "image2pipe", "-c:v", "png", "-"]
        drawn = subprocess.run(command, check=True, timeout=MOST_S, stdin=subprocess.DEVNULL, capture_output=True)
        start = SIGNATURE + HEADER
        text = KEY + drawing(hardware, sheet).encode()
        chunk = struct.pack(">I", len(text)) + b"tEXt" + text + struct.pack(">I", zlib.crc32(b"tEXt" + text))
        path(hardware, sheet).write_bytes(drawn.stdout[:start] + chunk + drawn.stdout[start:])


def path(hardware: Path, sheet: str) -> Path:
    """The path of a sheet's picture; the project's name stands for the root."""
    return hardware / FOLDER / f"{sheet}.{'svg' if sheet == LINE_SHEET else 'png'}"


def drawing(hardware: Path, sheet: str) -> str:
    """SHA-256 of the sheet's file."""
    return hashlib.sha256((hardware / f"{sheet}.kicad_sch").read_bytes()).hexdigest()


def drawn_from(picture: bytes) -> str:
    """The hash (`drawing`) stored in the picture; empty if it has none."""
    _, found, rest = picture.partition(b"tEXt" + KEY)
    return rest[:64].decode("ascii", "replace") if found else ""
