# SPDX-License-Identifier: Apache-2.0
"""A folder with a valid unit.toml, which a test changes, and the errors that `config check` reports for it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from linetap.commission.configcheck import check_config
from linetap.commission.template import Plan, render
from linetap_core.errors import BadInput
from linetap_core.evidence.keys import keys

CUSTODIAN, EPOCH = keys.new_identity(), keys.new_identity()


@dataclass
class Site:
    """A folder with a valid configuration."""

    folder: Path

    @property
    def path(self) -> Path:
        return self.folder / "unit.toml"

    def write(self, lines: int = 8, board: str = "simulated", pins: str = "pins.toml") -> None:
        (self.folder / "unit.key").write_bytes(keys.unit_key_file(keys.new_unit_key()))
        plan = Plan(
            unit="tower-3",
            lines=lines,
            custodians=(CUSTODIAN.recipient,),
            epoch=EPOCH.recipient,
            key="unit.key",
            notices="notices",
            board=board,
            pins=pins,
        )
        self.path.write_text(render(plan))

    def edit(self, old: str, new: str, count: int = 1) -> None:
        text = self.path.read_text()
        assert old in text
        self.path.write_text(text.replace(old, new, count))

    def line_of(self, needle: str, number: int = 1) -> int:
        """The line of the `number`th line of the file that equals or begins with `needle`."""
        found = [i for i, line in enumerate(self.path.read_text().splitlines(), 1) if line.startswith(needle)]
        return found[number - 1]

    def errors(self) -> list[tuple[int, str]]:
        with pytest.raises(BadInput) as caught:
            check_config(self.path)
        told = []
        for line in str(caught.value).splitlines():
            match = re.fullmatch(re.escape(str(self.path)) + r":(\d+): (.+)", line)
            assert match, line
            told.append((int(match[1]), match[2]))
        return told

    def only_error(self) -> tuple[int, str]:
        (error,) = self.errors()
        return error


@pytest.fixture
def site(tmp_path: Path) -> Site:
    made = Site(tmp_path)
    made.write()
    return made
