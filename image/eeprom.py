# SPDX-License-Identifier: Apache-2.0
"""The boot loaders for the Pi's EEPROM that a version brings, out of a checkout of raspberrypi/rpi-eeprom
(LINETAP_EEPROM), into a root: for each chip the newest of its release `default`, with that release's recovery.bin.

    python3 image/eeprom.py FOLDER ROOT [--older]

--older: the unit writes this one also where it has a newer one (docs/update.md). Prints a line for each image.
"""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "firmware/unit"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "firmware/core"))
from linetap.update.eepromimage import SIZES, BadImage, EepromImage

IMAGES, LICENCE = "usr/lib/linetap/eeprom", "usr/share/doc/rpi-eeprom/copyright"
RELEASE = "default"  # "Updated for new hardware support, critical bug fixes", as a Pi has it from the factory
LEAST_RECOVERY, MOST_RECOVERY = 16 << 10, 1 << 20  # bytes: published ones have some 100,000


def lay(folder: Path, root: Path, *, older: bool = False) -> list[str]:
    """Copies the boot loaders into the root. SystemExit with the missing or invalid file."""
    told = []
    licence = folder / "LICENSE"
    if not licence.is_file():
        raise SystemExit(f"{licence} is missing: the images come with the text of their licence")
    for chip in SIZES:
        release = folder / f"firmware-{chip.removeprefix('bcm')}" / RELEASE
        images = sorted(release.glob("pieeprom-????-??-??.bin"))
        if not images:
            raise SystemExit(f"{release} has no pieeprom-YYYY-MM-DD.bin")
        recovery = release / "recovery.bin"
        if not recovery.is_file() or not LEAST_RECOVERY <= recovery.stat().st_size <= MOST_RECOVERY:
            raise SystemExit(f"{recovery} is missing, or no program")
        try:
            image = EepromImage(images[-1].read_bytes())
        except BadImage as error:
            raise SystemExit(f"{images[-1]}: {error}") from None
        if image.chip != chip:
            raise SystemExit(f"{images[-1]} is for {image.chip}")
        for name, data in (("pieeprom.bin", images[-1].read_bytes()), ("recovery.bin", recovery.read_bytes())):
            _write(root / IMAGES / chip / name, data)
        if older:
            _write(root / IMAGES / chip / "older", b"")
        built = datetime.fromtimestamp(image.built_s, UTC)
        told.append(f"{chip}: boot loader of {built:%Y-%m-%d} ({image.built_s}){', also over a newer one' * older}")
    _write(root / LICENCE, licence.read_bytes())
    return told


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    path.chmod(0o644)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("root", type=Path)
    parser.add_argument("--older", action="store_true", help="written also where the unit has a newer one")
    args = parser.parse_args()
    sys.stdout.write("".join(f"{line}\n" for line in lay(args.folder, args.root, older=args.older)))


if __name__ == "__main__":
    main()
