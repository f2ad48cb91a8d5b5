# SPDX-License-Identifier: Apache-2.0
"""`linetap checkpoint --config desk.toml`: every unit's log in one round, as the timer on the desk's server runs it."""

from __future__ import annotations

import configparser
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from linetap.cli import main
from linetap.desk.copy.store import witnessed_path
from linetap.evidence import keys
from sealing_rig import UNIT
from witness_rig import write_key
from witnessed_rig import Site, site

ROOT = Path(__file__).parents[2]
UNITS = ROOT / "systemd/desk"
FIRST = "20261124T225600.123Z-L03"
LIMIT_S = 60
TOML = """signers = "{signers}"
[copy]
store = "file://{root}/copies"
[witnesses]
policy = "policy"
heads = "heads"
logs = "logs"
keepers = "keepers"
"""


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Site]:
    with site(tmp_path, "2026-11-24T23:10:00.000Z") as made:
        made.call(FIRST, "2026-11-24T22:57:00.000Z")
        shutil.copytree(made.rig.vault / "log", tmp_path / "logs" / UNIT)
        (tmp_path / "keepers").mkdir()
        shutil.copy(tmp_path / "keeper.key", tmp_path / "keepers" / f"{UNIT}.key")
        shutil.copytree(made.rig.vault / "2026", tmp_path / "copies" / UNIT / "2026")
        (tmp_path / "desk.toml").write_text(TOML.format(signers=made.rig.signers_file, root=tmp_path))
        yield made


def carry(made: Site, *more: str) -> int:
    return main(["checkpoint", "--config", str(made.root / "desk.toml"), *more])


def test_a_round_of_all_units(made: Site, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert carry(made) == 0
    assert f"{UNIT}, 1 leaves: witnessed by 2 of 2" in capsys.readouterr().out
    assert [path.name for path in (made.heads / UNIT).iterdir()] == ["000000001.checkpoint"]
    assert (made.root / "copies" / UNIT / witnessed_path(FIRST)).is_file()
    assert carry(made) == 0, "and again"


def test_a_unit_that_cannot_be_carried_stops_no_other(made: Site, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(made.root / "logs" / UNIT, made.root / "logs/another")
    shutil.copytree(made.root / "logs" / UNIT, made.root / "logs/a-stranger")
    write_key(made.root / "keepers/a-stranger.key", keys.new_unit_key())
    capsys.readouterr()
    assert carry(made) == 1
    told = capsys.readouterr().out
    assert "keepers/another.key" in told
    assert "does not name it as the keeper" in told
    assert f"{UNIT}, 1 leaves: witnessed by 2 of 2" in told


@pytest.mark.parametrize("name", ["policy", "heads", "logs", "keepers"])
def test_what_is_missing_is_named(made: Site, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    toml = made.root / "desk.toml"
    toml.write_text("".join(line for line in toml.read_text().splitlines(True) if not line.startswith(f"{name} ")))
    assert carry(made) == 2
    assert f"witnesses.{name} is missing" in capsys.readouterr().err
    assert carry(made, "--key", "x") == 2
    assert main(["checkpoint", str(made.root)]) == 2


def test_an_emptied_policy_carries_nothing(made: Site, capsys: pytest.CaptureFixture[str]) -> None:
    (made.root / "policy").write_bytes(b"")
    assert carry(made) == 2
    assert "names no quorum" in capsys.readouterr().err
    assert not list(made.heads.iterdir())


def test_the_units_on_the_desks_server() -> None:
    """systemd takes every unit of the folder; and what the service starts is a command that there is."""
    names = sorted(path for path in UNITS.iterdir() if path.suffix in (".service", ".timer"))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", *map(str, names)], capture_output=True, text=True,
                          timeout=LIMIT_S, check=False)  # fmt: skip
    own = [line for line in done.stderr.splitlines() if "linetap-" in line and "not executable" not in line]
    assert own == []
    service, timer = (configparser.ConfigParser(interpolation=None) for _ in range(2))
    service.read(UNITS / "linetap-checkpoint.service")
    timer.read(UNITS / "linetap-checkpoint.timer")
    command = shlex.split(service["Service"]["ExecStart"])
    assert command[:3] == ["/usr/bin/linetap", "checkpoint", "--config"]
    assert timer["Install"]["WantedBy"] == "timers.target"
    every = subprocess.run(["systemd-analyze", "calendar", "--iterations=2", timer["Timer"]["OnCalendar"]],
                           capture_output=True, text=True, timeout=LIMIT_S, check=True).stdout  # fmt: skip
    minutes = [line.split()[-2].split(":")[1] for line in every.splitlines() if "UTC" in line and ":" in line]
    assert {int(minute) % 5 for minute in minutes} == {0}
