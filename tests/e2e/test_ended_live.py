# SPDX-License-Identifier: Apache-2.0
"""A call that staff end, in real time: exchange, meter, capture and recorder; one of them is killed with the loop open.

Whatever dies, the loop is closed again by what is left, it is opened once, and the call has one record. A capture or a
meter that dies in those two seconds makes a flash of the opening: the line is not released, and staff hang up.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from world import World

from linetap.board.meter.protocol import CONTACT_MOST_MS
from linetap.board.wires import Wires, wires_path
from linetap_core.clock import NS_PER_MS, NS_PER_S, SYSTEM
from linetap_core.records import CaptureState
from linetap_core.service import read_state
from unit_rig import save_notice, spoken

SCRIPT = Path(__file__).parents[1] / "scenarios" / "ended.toml"
RESTED_MS = 4000  # so long after its opening a contact that may open again would have
BUSY_MS = 1000  # this machine's own delays

pytestmark = pytest.mark.timeout(500)


class Loop:
    """Line 1's contact, as the commands on the card's wires hold it."""

    def __init__(self, wires: Wires) -> None:
        self._wires = wires
        self.opened_ms: list[int] = []
        self.closed_ms: list[int] = []

    def look(self) -> bool:
        """Whether it is open now; called as often as time passes."""
        now_ms = SYSTEM.monotonic_ns() // NS_PER_MS
        is_open = bool(self._wires.asked_open(now_ms)[0])
        if is_open and len(self.opened_ms) == len(self.closed_ms):
            self.opened_ms.append(now_ms)
        elif not is_open and len(self.opened_ms) > len(self.closed_ms):
            self.closed_ms.append(now_ms)
        return is_open

    def watch(self, seconds: float) -> None:
        end_ns = SYSTEM.monotonic_ns() + round(seconds * NS_PER_S)
        while SYSTEM.monotonic_ns() < end_ns:
            self.look()
            SYSTEM.sleep(0.02)


@pytest.mark.parametrize("victim", ["nobody", "recorder", "capture", "meter"])
def test_its_loop_is_opened_once_and_closed_whatever_dies(victim: str, tmp_path: Path) -> None:
    save_notice(tmp_path / "notices" / "end-abuse.wav", spoken(1.5)[::-1])
    changes = {
        '# meter_port = "/dev/linetap/card1/meter"': f'meter_port = "{tmp_path}/meter"',
        "# contacts = false": "contacts = true",
    }
    with World(tmp_path, SCRIPT, changes) as world, closing(Wires.attach(wires_path(world.run_dir, 1))) as wires:
        services = {"meter": world.start_meter(), "capture": world.start("capture")}
        world.until(lambda: _has_contacts(world), "the meter is heard, and reports its contacts")
        services["recorder"] = world.start("recorder")
        loop = Loop(wires)
        world.until(loop.look, "the loop is open")
        if victim != "nobody":
            world.kill(services[victim])
        if victim in ("recorder", "capture"):  # as systemd does
            world.start(victim)
        world.until(lambda: not loop.look(), "the loop is closed again")
        loop.watch(RESTED_MS / 1000)
        world.until(
            lambda: not loop.look() and "sealed" in world.reported(), "the call is sealed, and that is reported"
        )
        (record,) = world.records()
        names = world.reported()
    assert len(loop.opened_ms) == len(loop.closed_ms) == 1, "it is opened once"
    assert loop.closed_ms[0] - loop.opened_ms[0] < CONTACT_MOST_MS + BUSY_MS
    assert record.end, "the record says how it was ended"
    assert (record.end.situation, record.end.by) == ("abuse", "code")
    assert record.end.notice is not None
    assert record.end.notice.proof in ("full", "partial")
    is_whole = victim in ("nobody", "recorder")
    assert (record.disposition, record.ended_by) == ("recorded", "released" if is_whole else "staff_after_notice")
    assert names.count("ending") == names.count("sealed") == 1


def _has_contacts(world: World) -> bool:
    state = read_state(world.run_dir, "capture@1", CaptureState)
    return state is not None and state.meter is not None and state.meter.connected and state.meter.contacts
