# SPDX-License-Identifier: Apache-2.0
"""The series contact, operated through capture: a command over its socket, and a capture that is killed or stopped
while a contact is open.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from capture_rig import LIMIT_S, Unit, cable_in_ram, main_thread_frozen, unit, until

from linetap.board.wires import CONTACT_HELD_MS, Wires, wires_path
from linetap.config.schema import Config
from linetap_bench.stage.jack import JackCable
from linetap_core.clock import NS_PER_MS, SYSTEM
from linetap_core.records import MOST_OPEN_MS, Refused, ReleaseLine


@pytest.fixture(scope="module")
def cable() -> Iterator[JackCable]:
    with cable_in_ram(8000) as laid:
        yield laid


def asked(wires: Wires) -> bool:
    return bool(wires.commanded_open(SYSTEM.monotonic_ns() // NS_PER_MS)[0])


def opened(capture: Unit, ms: int) -> Wires:
    """Waits until capture holds the contact of line 11 open."""
    capture.captured(60)
    wires = Wires.attach(wires_path(capture.run_dir, 1))
    capture.send(ReleaseLine(11, ms))
    until(lambda: asked(wires), "the contact opens")
    return wires


def with_contacts(run_dir: Path, cable: JackCable) -> Config:
    return unit(run_dir, cable, contacts=True)


def test_a_command_opens_one_contact_and_capture_closes_it(cable: JackCable, run_dir: Path) -> None:
    with Unit(with_contacts(run_dir, cable), cable) as capture:
        wires = opened(capture, 2500)
        until(lambda: (state := capture.state()) is not None and state.opened == [11], "the state has it")
        assert (wires.contacts != 0).tolist() == [True] + [False] * 7
        until(lambda: not asked(wires), "the contact closes")
        assert not wires.contacts.any()
        capture.send(ReleaseLine(18, 2000))
        (answer,) = until(lambda: capture.answers() or None, "capture refuses the exempt line")
        assert "exempt" in msgspec.json.decode(answer, type=Refused).why


def test_a_card_without_contacts_answers_why(cable: JackCable, run_dir: Path) -> None:
    with Unit(unit(run_dir, cable), cable) as capture:
        capture.captured(60)
        capture.send(ReleaseLine(11, 2000))
        (answer,) = until(lambda: capture.answers() or None, "capture refuses")
        assert msgspec.json.decode(answer, type=Refused) == Refused(11, "card 1 has no series contacts")


def test_a_capture_that_is_killed_leaves_no_contact_open(cable: JackCable, run_dir: Path) -> None:
    """The command ends with capture: its last written value is valid for CONTACT_HELD_MS."""
    with Unit(with_contacts(run_dir, cable), cable) as capture:
        wires = opened(capture, MOST_OPEN_MS)
        capture.process.send_signal(signal.SIGKILL)
        capture.process.wait(LIMIT_S)
        last_ms = int(wires.contacts[0])
        assert last_ms > 0, "a killed process closes nothing"
        assert last_ms <= SYSTEM.monotonic_ns() // NS_PER_MS
        assert not wires.commanded_open(last_ms + CONTACT_HELD_MS)[0]


def test_a_capture_that_stands_still_leaves_no_contact_open(cable: JackCable, run_dir: Path) -> None:
    with Unit(with_contacts(run_dir, cable), cable) as capture:
        wires = opened(capture, MOST_OPEN_MS)
        with main_thread_frozen(capture.process.pid):
            until(lambda: not asked(wires), "the contact closes", 5.0)


def test_a_recorder_that_dies_after_its_command_leaves_no_contact_open(cable: JackCable, run_dir: Path) -> None:
    with Unit(with_contacts(run_dir, cable), cable) as capture:
        wires = opened(capture, MOST_OPEN_MS)
        capture.leave()
        until(lambda: not asked(wires), "the contact closes", 10.0)
        assert not wires.contacts.any()


def test_a_capture_that_is_asked_to_end_closes_its_contacts(cable: JackCable, run_dir: Path) -> None:
    with Unit(with_contacts(run_dir, cable), cable) as capture:
        wires = opened(capture, MOST_OPEN_MS)
        capture.process.terminate()
        assert capture.process.wait(LIMIT_S) == 0
        assert not wires.contacts.any()
