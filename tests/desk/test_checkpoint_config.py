# SPDX-License-Identifier: Apache-2.0
"""`linetap checkpoint --config desk.toml`: every unit's log in one round, as the timer on the desk's server runs it."""

from __future__ import annotations

import argparse
import configparser
import os
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from linetap_core.cli import main
from linetap_core.clock import ManualClock
from linetap_core.evidence.keys import keys
from linetap_core.evidence.witness.tlogproof import witnessed_path
from linetap_desk.witnessing import carry as carrying
from linetap_desk.witnessing.follow import AGAIN_S, EVERY_S
from sealing_rig import UNIT
from witness_rig import write_key
from witnessed_rig import Site, site

ROOT = Path(__file__).parents[2]
UNITS = ROOT / "systemd/desk"
FIRST = "20261124T225600.123Z-L03"
LIMIT_S = 120
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
    for name, file in (("a-folder", "tree.bin"), ("a-pipe", "leaves.jsonl")):
        log = made.root / "logs" / name
        shutil.copytree(made.root / "logs" / UNIT, log)
        shutil.copy(made.root / "keepers" / f"{UNIT}.key", made.root / "keepers" / f"{name}.key")
        (log / file).unlink()
        (log / file).mkdir() if name == "a-folder" else os.mkfifo(log / file)
    capsys.readouterr()
    assert carry(made) == 1
    told = capsys.readouterr().out
    assert "keepers/another.key" in told
    assert "does not name it as the keeper" in told
    assert "a-folder/tree.bin" in told
    assert "a-pipe: " in told
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
    """systemd accepts every unit file of the folder; and the service's command exists."""
    names = sorted(path for path in UNITS.iterdir() if path.suffix in (".service", ".timer"))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", *map(str, names)], capture_output=True, text=True,
                          timeout=LIMIT_S, check=False)  # fmt: skip
    own = [line for line in done.stderr.splitlines() if "linetap-" in line and "not executable" not in line]
    assert own == []
    service, timer = (configparser.ConfigParser(interpolation=None) for _ in range(2))
    service.read(UNITS / "linetap-checkpoint.service")
    timer.read(UNITS / "linetap-checkpoint.timer")
    follows = configparser.ConfigParser(interpolation=None)
    follows.read(UNITS / "linetap-checkpoint-follow.service")
    command = shlex.split(service["Service"]["ExecStart"])
    assert shlex.split(follows["Service"]["ExecStart"]) == [*command, "--follow"]
    assert command[:3] == ["/usr/bin/linetap", "checkpoint", "--config"]
    assert timer["Install"]["WantedBy"] == "timers.target"
    every = subprocess.run(["systemd-analyze", "calendar", "--iterations=2", timer["Timer"]["OnCalendar"]],
                           capture_output=True, text=True, timeout=LIMIT_S, check=True).stdout  # fmt: skip
    minutes = [line.split()[-2].split(":")[1] for line in every.splitlines() if "UTC" in line and ":" in line]
    assert {int(minute) % 5 for minute in minutes} == {0}


class Until(ManualClock):
    """The clock of a follower: at each reading an event happens, and after the last it is told to end."""

    def __init__(self, *happens: Callable[[], object]) -> None:
        super().__init__(utc_ns=0, monotonic_ns=10**12)
        self._happens = list(happens)
        self.requested = False

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        if self._happens:
            self._happens.pop(0)()
        else:
            self.requested = True


def followed(made: Site, *happens: Callable[[], object]) -> None:
    args = argparse.Namespace(
        config=made.root / "desk.toml", log=[], key=None, policy=None, signers=None, ca=None, store=None, output=None
    )
    clock = Until(*happens)
    assert carrying.follow(args, clock, clock) == 0


def sizes(made: Site) -> list[str]:
    return sorted(path.stem for path in (made.heads / UNIT).glob("*.checkpoint"))


def test_a_head_is_carried_when_it_arrives(made: Site) -> None:
    """One second after its arrival; a busy log once a minute, and then everything new."""

    def arrives(number: int) -> None:
        made.call(f"20261124T2257{number:02d}.123Z-L03", "2026-11-24T22:58:00.000Z")
        shutil.copytree(made.rig.vault / "log", made.root / "logs" / UNIT, dirs_exist_ok=True)

    seen: list[list[str]] = []
    note = [lambda: seen.append(sizes(made))]
    minute = [lambda: None] * EVERY_S
    followed(made, *minute, lambda: arrives(1), *note, lambda: arrives(2), *note, *minute, *note)
    assert seen == [
        ["000000001", "000000002"],
        ["000000001", "000000002"],
        ["000000001", "000000002", "000000003"],
    ]


def test_half_a_log_and_a_witness_that_was_away(made: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """It is retried automatically, and no unit blocks another's."""
    tree = made.root / "logs" / UNIT / "tree.bin"
    whole = tree.read_bytes()
    tree.write_bytes(b"")
    shutil.copytree(made.root / "logs" / UNIT, made.root / "logs/another")
    capsys.readouterr()
    followed(made, lambda: tree.write_bytes(whole), *[lambda: None] * (AGAIN_S + 1))
    said = capsys.readouterr().out
    assert "is not the tree of the head" in said or "tree.bin" in said
    assert "keepers/another.key" in said
    assert sizes(made) == ["000000001"]


def test_to_follow_it_takes_a_desk(made: Site, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["checkpoint", "--follow", str(made.root)]) == 2
    assert "--follow: with --config" in capsys.readouterr().err
