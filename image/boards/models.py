# SPDX-License-Identifier: Apache-2.0
"""The boards: the kernel's tree of each, the names under which the firmware requests it, and trees that the kernel
lacks.

Sources: raspberrypi/documentation, configuration/device-tree.adoc part 3.1 (the firmware chooses the tree by the
board's revision); the names in start4.elf itself (`bcm%d-rpi-%s.dtb`, `cm4-io`); raspberrypi/firmware#1660 (CM4) and
#2018: on a Pi 5 the firmware loads bcm2712-rpi-5-b.dtb, and on stepping D0 applies overlays/bcm2712d0.dtbo to it;
raspberrypi/rpi-eeprom#682 and #685: on a Compute Module 5 bcm2712-rpi-cm5-cm5io.dtb, without storage
bcm2712-rpi-cm5l-cm5io.dtb. The trees for a CM4's carrier board are next to them in raspberrypi/linux.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Board:
    """A board. `asked`: the file names under which the firmware may request its tree, and `tree` mainline's name;
    `filters`: the sections of config.txt that apply to it (config_txt/conditional.adoc); `patches`: for each stepping
    the overlay that the firmware itself applies, or none; `is_vendors`: only Raspberry Pi's own kernel has a tree for
    it, and it does not start with another.
    """

    name: str
    tree: str
    asked: tuple[str, ...]
    filters: tuple[str, ...]
    chip: str
    patches: tuple[str | None, ...] = (None,)
    is_vendors: bool = False


_PI4, _PI5 = ("all", "pi4"), ("all", "pi5")
_D0 = "bcm2712d0"
BOARDS = (
    Board("Pi 4B", "bcm2711-rpi-4-b.dtb", ("bcm2711-rpi-4-b.dtb",), _PI4, "bcm2711"),
    Board("Pi 400", "bcm2711-rpi-400.dtb", ("bcm2711-rpi-400.dtb",), (*_PI4, "pi400"), "bcm2711"),
    Board("CM4", "bcm2711-rpi-cm4-io.dtb", ("bcm2711-rpi-cm4.dtb", "bcm2711-rpi-cm4-io.dtb"),
          (*_PI4, "cm4"), "bcm2711"),
    Board("Pi 5 C1", "bcm2712-rpi-5-b.dtb", ("bcm2712-rpi-5-b.dtb",), _PI5, "bcm2712"),
    Board("Pi 5 D0", "bcm2712-rpi-5-b.dtb", ("bcm2712-rpi-5-b.dtb",), _PI5, "bcm2712", (_D0,)),
    *(
        Board(name, f"bcm2712-rpi-{tree}.dtb", (f"bcm2712-rpi-{tree}.dtb",), (*_PI5, own), "bcm2712", (None, _D0), True)
        for name, tree, own in (
            ("CM5", "cm5-cm5io", "cm5"), ("CM5 Lite", "cm5l-cm5io", "cm5"),
            ("CM5 on a CM4's carrier", "cm5-cm4io", "cm5"), ("CM5 Lite on a CM4's carrier", "cm5l-cm4io", "cm5"),
            ("Pi 500", "500", "pi500"),
        )
    ),
)  # fmt: skip
# A firmware that requests the other stepping's tree by its own name, as with upstream_kernel=1.
ALSO = {"bcm2712-d-rpi-5-b.dtb": ("bcm2712-d-rpi-5-b.dtb", "bcm2712d0-rpi-5-b.dtb")}


def with_tree(boot: Path) -> list[Board]:
    """The boards supported by a folder of the boot partition: the required ones, and those with a tree there."""
    return [board for board in BOARDS if not board.is_vendors or (boot / board.asked[0]).is_file()]
