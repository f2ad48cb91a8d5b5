# SPDX-License-Identifier: Apache-2.0
"""The command `linetap check`: exit status and output, with a real configuration and the real clock."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from linetap.checks import command, machine
from linetap_core.clock import SYSTEM
from linetap_core.errors import BadInput
from linetap_core.evidence.keys import keys
from machine_rig import PI, lay
from state_files import Unit

RECIPIENT = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj"  # the age project's example


def called(path: Path, *options: str) -> int:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args(["--config", str(path), *options]))


@pytest.fixture
def config(run_dir: Path) -> Path:
    (run_dir / "unit.key").write_bytes(keys.unit_key_file(keys.new_unit_key()))
    path = run_dir / "unit.toml"
    path.write_text(f"""
unit = "test-unit"
run_dir = "{run_dir}"
vault = "vault"
[board]
kind = "simulated"
[keys]
custodians = ["{RECIPIENT}"]
overflow_epoch = "{RECIPIENT}"
[[card]]
[[line]]
number = 1
channel = 1
[storage]
reserve_mb = 0
""")
    return path


def test_nothing_runs(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert called(config) == 1
    *lines, unseen = capsys.readouterr().out.splitlines()
    assert [line.partition(": ")[0] for line in lines] == [
        "critical nothing_runs", "critical capture_dead", "critical recorder_dead",
        "warning reporter_dead", "warning panel_dead",
    ]  # fmt: skip
    assert "Card 1: capture has stopped" in lines[1]
    assert "카드 1" in lines[1]
    assert unseen.endswith(
        "not on this machine: data_lost, vault_read_only, disk_errors, card_changed, disk_worn, slot_failed, "
        "under_voltage, temperature_high, throttled, memory_low, firmware_old, eeprom_failed"
    )


def test_what_is_there_is_looked_at(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lay(tmp_path, PI | {"proc/self/mountinfo": "22 1 0:2 / / rw - ext4 /dev/y rw,emergency_ro\n"})
    monkeypatch.setattr(machine, "ROOT", tmp_path)
    assert called(config) == 1
    said = capsys.readouterr().out
    assert "not on this machine" not in said
    for line in ("critical vault_read_only: ", "critical disk_errors: ", "mmcblk0p3: 7", "critical disk_worn: "):
        assert line in said


def test_as_json(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert called(config, "--json") == 1
    _, row, *_ = json.loads(capsys.readouterr().out)
    assert (row["check"], row["severity"], row["cards"]) == ("capture_dead", "critical", [1])


def test_all_well(
    config: Path, run_dir: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    unit = Unit(run_dir, SYSTEM)
    unit.write()

    class Clock:
        """The machine's clock; each time the command waits, the services progress."""

        monotonic_ns = staticmethod(SYSTEM.monotonic_ns)
        utc_ns = staticmethod(SYSTEM.utc_ns)

        @staticmethod
        def sleep(seconds: float) -> None:
            SYSTEM.sleep(seconds)
            unit.write()

    monkeypatch.setattr(command, "SYSTEM", Clock())
    assert called(config) == 0
    assert "all is well" in capsys.readouterr().out


def test_a_configuration_that_cannot_be_used(config: Path) -> None:
    config.write_text(config.read_text().replace("channel = 1", "channel = 99"))
    with pytest.raises(BadInput, match=r"unit.toml:\d+: line\[1\].channel = 99"):
        called(config)
