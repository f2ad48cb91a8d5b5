# SPDX-License-Identifier: Apache-2.0
"""A panel process shows an unusable configuration on the LEDs, until the file changes."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from broker import until as eventually
from config_file import text
from linetap.board.simulated import leds_shown
from linetap.config.schema import Board
from linetap.panel import unconfigured
from linetap_core.clock import NS_PER_S, SYSTEM
from linetap_core.errors import BadInput
from linetap_core.records import PanelState
from linetap_core.service import START_AGAIN, read_state
from linetap_core.wire.legend import CONDITIONS
from state_files import unit

LIMIT_S = 120


@contextmanager
def panel(file: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "linetap", "panel", "--config", str(file)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=LIMIT_S)


def until(true: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = SYSTEM.monotonic_ns() + LIMIT_S * NS_PER_S
    while not true():
        assert process.poll() is None, process.communicate()[1]
        assert SYSTEM.monotonic_ns() < deadline
        SYSTEM.sleep(0.01)


def shows_it(run_dir: Path) -> bool:
    state = read_state(run_dir, "panel", PanelState)
    return state is not None and state.meaning_en.startswith(CONDITIONS["config_wrong"].en)


def test_systemd_is_told_that_the_panel_works(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without notification systemd would restart the panel every few seconds, with dark LEDs in between."""
    (run_dir / "unit.toml").write_text("speed = 3\n" + text(unit(run_dir)))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(f"{run_dir}/notify")
        systemd.settimeout(LIMIT_S)
        monkeypatch.setenv("NOTIFY_SOCKET", f"{run_dir}/notify")
        with panel(run_dir / "unit.toml"):
            assert [systemd.recv(64) for _ in range(3)] == [b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1"]


def test_an_error_in_it_is_shown_until_the_file_is_another(run_dir: Path) -> None:
    file = run_dir / "unit.toml"
    good = text(msgspec.structs.replace(unit(run_dir), vault=str(run_dir / "vault")))
    file.write_text("speed = 3\n" + good)
    with panel(file) as process:
        until(lambda: shows_it(run_dir), process)
        seen: set[tuple[bool, bool, bool]] = set()

        def blinks() -> bool:
            leds = leds_shown(run_dir)
            seen.add((leds["run"], leds["call"], leds["fault"]))
            return len(seen) > 1

        until(blinks, process)
        assert seen == {(False, False, True), (False, False, False)}
        state = read_state(run_dir, "panel", PanelState)
        assert state is not None
        assert state.fault is not None
        assert "unknown key speed" in state.fault.text
        file.with_suffix(".new").write_text(good)
        file.with_suffix(".new").rename(file)
        assert process.wait(LIMIT_S) == START_AGAIN
    assert not any(leds_shown(run_dir).values())


@pytest.mark.parametrize("content", [None, "\x00", "[board\n", 'board = "x"\nrun_dir = 3\n', "[board]\npins = 7\n"])
def test_where_nothing_of_it_can_be_read_the_pins_beside_it_count(
    tmp_path: Path, content: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This machine has no pins: the panel ends with the original error."""
    file = tmp_path / "unit.toml"
    if content is not None:
        file.write_text(content)
    board, run_dir = unconfigured._readable_settings(file)
    assert (board.kind, board.pins, str(run_dir)) == ("hardware", str(tmp_path / "pins.toml"), "/run/linetap")
    monkeypatch.setattr("linetap.panel.unconfigured.RUN_DIR", str(tmp_path))
    with panel(file) as process:
        assert process.wait(LIMIT_S) == 2
        assert process.stderr is not None
        assert str(file) in process.stderr.read()


@pytest.mark.parametrize(("content", "condition"), [(None, "starting"), ("speed = 3\n", "config_wrong")])
def test_without_a_configuration_it_starts_and_with_a_wrong_one_it_is_wrong(
    tmp_path: Path, content: str | None, condition: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The panel ends when the file appears or changes. The board is simulated in place of a new unit's own pins."""
    file, run_dir, seen = tmp_path / "unit.toml", tmp_path / "run", list[str]()
    run_dir.mkdir()
    if content is not None:
        file.write_text(content)
    monkeypatch.setattr("linetap.panel.unconfigured.RUN_DIR", str(run_dir))
    monkeypatch.setattr("linetap.panel.unconfigured._readable_settings", lambda _: (Board(kind="simulated"), run_dir))

    def watch() -> None:
        eventually(lambda: (state := read_state(run_dir, "panel", PanelState)) is not None and bool(state.unit_state))
        state = read_state(run_dir, "panel", PanelState)
        assert state is not None
        seen.append(state.unit_state)
        file.write_text("# another\n")

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        assert unconfigured.run(file, BadInput("unit.toml")) == START_AGAIN
    finally:
        watcher.join(LIMIT_S)
    assert seen == [condition]
