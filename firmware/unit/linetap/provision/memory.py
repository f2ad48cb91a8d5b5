# SPDX-License-Identifier: Apache-2.0
"""Root's memory of the unit that was commissioned here: order.json, beside the key.

The configuration may be on a partition that is lost, and in a folder that the recorder may write: neither may determine
whose order the unit accepts. The order that commissions a unit therefore writes the memory; after a commissioning by an
older version or by a person at a terminal, the next start with a valid configuration does. From then on name and
authority never change.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from linetap.config import Config, load_config
from linetap.config.schema import RUN_DIR, VAULT, Board
from linetap_core.durable import copies
from linetap_core.durable.smallfile import SmallFile
from linetap_core.enrolment.order import UNIT, OrderFault
from linetap_core.errors import LinetapError

KEY = "unit.key"
NAME = "order.json"  # in /etc/linetap
_LIMIT_BYTES = 64 * 1024


class Memory(msgspec.Struct):
    made_at: str | None = None  # of the last accepted order
    unit: str = ""
    authority: list[str] = []  # empty: this unit accepts no order until it is decommissioned
    authority_needed: int = 1
    taking: str = ""  # SHA-256 of the first order until it is in force
    taken: str = ""  # SHA-256 of the last order, from when it is in force until it is wiped from the card
    # Needed for decommissioning if the configuration is lost.
    board: Board = Board()
    run_dir: str = RUN_DIR
    vault: str = VAULT
    owner: int = 0  # the owner of the configuration that names this vault

    def of_config(self, config: Config) -> None:
        self.unit = config.unit
        self.authority, self.authority_needed = config.keys.authority_lines, config.keys.authority_needed

    def place(self, config: Config, owner: int) -> None:
        self.board, self.run_dir, self.vault, self.owner = config.board, config.run_dir, config.vault, owner


_FILE = SmallFile("order_taken", Memory, _LIMIT_BYTES)


def load(home: Path) -> Memory | None:
    """The memory; None if there is none. OrderFault if it is damaged: the unit then accepts no order until it is
    decommissioned.
    """
    try:
        return copies.read_file_or_twin(_FILE, home / NAME, stays=True)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise OrderFault("order_config", f"{home / NAME}: {error}") from None


def save(memory: Memory, home: Path) -> None:
    copies.replace_both(_FILE, home / NAME, memory)


def order_to_wipe(home: Path) -> str:
    """The SHA-256 of an order that is in force and, after a power cut, perhaps not wiped from its card; else ""."""
    memory = load(home)
    return "" if memory is None else memory.taken


def note_wiped(home: Path) -> None:
    """Ends the tail of an order. It is refused from now on, like any other that is not younger than the last."""
    memory = load(home)
    if memory is not None and memory.taken:
        memory.taken = ""
        save(memory, home)


def learn(home: Path, order_lies_there: bool) -> None:
    """Completes the memory at every start, for a unit with a key and a valid configuration."""
    if not (home / KEY).exists() or not (home / UNIT).exists():
        return
    try:
        memory, config, owner = load(home) or Memory(), load_config(home / UNIT), (home / UNIT).stat().st_uid
    except (LinetapError, OSError):
        return  # reported if there is an order on the card
    before = msgspec.json.encode(memory)
    if not memory.unit:
        memory.of_config(config)
    if memory.unit == config.unit:
        memory.place(config, owner)
    if not order_lies_there:
        memory.taking = ""  # the first order was removed from the card before its completion
    if msgspec.json.encode(memory) != before:
        save(memory, home)
