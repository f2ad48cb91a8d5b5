# SPDX-License-Identifier: Apache-2.0
"""A power cut before every single write of a weakening: it never takes effect unreported, and no cut
accuses anybody.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from attack_house import HOUR, House, a_weaker
from disk_writes import replace_durably_by
from linetap.config import load_config
from linetap.recorder.vault.log.log import UnitLog
from linetap_core.durable.files import replace_durably


class _Cut(BaseException):
    pass


_WRITE, _APPEND, _RENAME, _UNLINK = replace_durably, UnitLog.append, Path.rename, Path.unlink


@pytest.fixture
def cut(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """[n]: power fails before the nth write from now on; [0]: never. Writes to RAM are not counted."""
    left = [0]

    def step() -> None:
        left[0] -= 1
        if left[0] == 0:
            raise _Cut

    def write(path: Path, data: bytes, like: Path | None = None) -> None:
        step()
        _WRITE(path, data, like)

    def append(self: UnitLog, *args: Any, **fields: Any) -> None:
        step()
        _APPEND(self, *args, **fields)

    def rename(self: Path, target: Path) -> Path:
        if self.name == "unit.toml.candidate":
            step()
        return _RENAME(self, target)

    def unlink(self: Path, missing_ok: bool = False) -> None:
        if self.name.startswith("unit.toml"):
            step()
        _UNLINK(self, missing_ok)

    replace_durably_by(monkeypatch, write)
    monkeypatch.setattr(UnitLog, "append", append)
    monkeypatch.setattr(Path, "rename", rename)
    monkeypatch.setattr(Path, "unlink", unlink)
    yield left
    left[0] = 0


def survives(unit: House, cut: list[int], at: int) -> bool:
    """Runs one weakening, from the command to the confirmation. Returns whether the power was cut at all."""
    data = unit.asking(a_weaker(unit), "operator", "vault")
    was_cut = False
    cut[0] = at
    for turn in itertools.count():
        try:
            match turn:
                case 0:
                    unit.give(data, "ask")
                    unit.tick()
                case 1 | 2 | 3:
                    unit.clock.advance(HOUR)
                    unit.quietly()
                case 4:
                    unit.restart()
                    unit.look()
                case 5:
                    (stands,) = unit.standing
                    unit.give(unit.envelope("confirm", "privacy", {"weakening": stands.id}), "confirm")
                    unit.tick()
                case _:
                    unit.look()
                    break
        except _Cut:
            was_cut = True
            cut[0] = 0
            unit.restart(boot=True)
            seen = [each.codes for each in unit.standing]
            if load_config(unit.file).line[0].exempt and "confirmed" not in unit.steps():
                assert seen == [["line_exempt"]], "in effect and unseen"
            unit.tick()
            unit.look()
    assert "memory" not in {code for leaf in unit.leaves("weakening") for code in leaf["codes"]}
    assert {leaf["by"] for leaf in unit.leaves("weakening")} == {"command"}, "nobody has touched a file"
    assert load_config(unit.file).line[0].exempt
    assert not unit.standing
    assert list(dict.fromkeys(unit.steps())) == ["asked", "in_effect", "confirmed"]
    return was_cut


@pytest.mark.parametrize("delay_h", [0, 2])
@pytest.mark.parametrize("at", range(1, 40))
def test_a_cut_anywhere_hides_nothing_and_accuses_nobody(run_dir: Path, cut: list[int], at: int, delay_h: int) -> None:
    unit = House(run_dir, delay_h)
    unit.look()
    was_cut = survives(unit, cut, at)
    assert was_cut or at > 20, "there are so many writes at least"
