# SPDX-License-Identifier: Apache-2.0
"""Relays of a capture that is dead, opened by the note it left."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from fake_gpio import FakeGpio

from linetap.board.relays import Note, note_path, open_pins, open_relays
from linetap.board.wires import Wires, wires_path
from linetap_core.clock import ManualClock
from linetap_core.errors import Refusal

LIMIT_S = 120
# Closes two relays of card 1 and is killed: nothing of its own runs after that.
KILLED = """
import os, signal, sys
from pathlib import Path
from linetap.boardchoice import open_card
sys.path.insert(0, sys.argv[2])
from state_files import unit
card = open_card(unit(Path(sys.argv[1]), lines=3), 1)
card.relay(0, True)
card.relay(2, True)
card.contact(1, True)
card.levels(5_000_000_000)
os.kill(os.getpid(), signal.SIGKILL)
"""


def killed_with_closed_relays(run_dir: Path) -> Wires:
    tests = str(Path(__file__).parents[1])
    subprocess.run([sys.executable, "-c", KILLED, str(run_dir), tests], timeout=LIMIT_S, check=False)
    wires = Wires.attach(wires_path(run_dir, 1))
    assert wires.relays.tolist() == [1, 0, 1], "a killed process opens nothing"
    assert wires.contacts.tolist() == [0, 5000, 0]
    return wires


def test_what_a_killed_capture_left_closed_is_opened_without_a_configuration(run_dir: Path) -> None:
    wires = killed_with_closed_relays(run_dir)
    command = [sys.executable, "-m", "linetap", "relays", "open", "--card", "1", "--run-dir", str(run_dir)]
    done = subprocess.run(command, cwd="/", timeout=LIMIT_S, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert wires.relays.tolist() == [0, 0, 0]
    assert wires.contacts.tolist() == [0, 0, 0]
    assert wires.lines == 3, "nothing beside them was touched"


def test_a_card_without_a_note_has_nothing_to_open(run_dir: Path) -> None:
    wires = killed_with_closed_relays(run_dir)
    open_relays(run_dir, 2)
    assert wires.relays.tolist() == [1, 0, 1]


@pytest.mark.parametrize("text", ["", "{", '{"pins": "all"}', '{"pin": [16]}'])
def test_a_damaged_note_is_reported_with_what_to_do(run_dir: Path, text: str) -> None:
    note_path(run_dir, 1).parent.mkdir()
    note_path(run_dir, 1).write_text(text)
    with pytest.raises(Refusal, match="restart linetap-capture@1"):
        open_relays(run_dir, 1)


@pytest.mark.parametrize("level", [0, 1])
def test_pins_are_driven_open_and_given_back(level: int) -> None:
    gpio = FakeGpio(ManualClock())
    open_pins(gpio, Note(pins=[16, 17, 18], open_level=level))
    assert gpio.outputs == {16: level, 17: level, 18: level}
    assert gpio.cleaned == [16, 17, 18]


def test_a_pin_that_cannot_be_had_keeps_no_other_closed() -> None:
    gpio = FakeGpio(ManualClock())
    gpio.busy = {16}
    with pytest.raises(Refusal, match=r"GPIO16: GPIO busy"):
        open_pins(gpio, Note(pins=[16, 17], open_level=0))
    assert gpio.outputs == {17: 0}
