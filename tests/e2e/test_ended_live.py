# SPDX-License-Identifier: Apache-2.0
"""A call ended by staff, in real time: exchange, meter, capture and recorder; one of them, or all at once, is killed
with the loop open.

Whatever dies, the rest closes the loop again, it is opened once, and the call has one record. If capture or the meter
dies in those two seconds, the opening becomes a flash: the line is not released, and staff hang up.
"""

from __future__ import annotations

import random
import re
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from world import World

from linetap.board.meter.protocol import CONTACT_MOST_MS
from linetap.board.wires import Wires, wires_path
from linetap.notices.defaults import make_default_notices
from linetap.ring import RATE_HZ
from linetap_bench.demo.opening import likeness_of
from linetap_core.clock import NS_PER_MS, NS_PER_S, SYSTEM
from linetap_core.evidence.merklelog import unitlog
from linetap_core.evidence.merklelog.leaflog import LEAVES
from linetap_core.records import CallRecord, CaptureState
from linetap_core.service import read_state
from unit_rig import save_notice, spoken

SCENARIOS = Path(__file__).parents[1] / "scenarios"
SCRIPT = SCENARIOS / "ended.toml"
NOTICE = "end-abuse.wav"
RESTED_MS = 4000  # this long after its opening a contact that may open again would have done so
BUSY_MS = 1000  # this machine's own delays
LINES = 4  # of ended_power.toml
DURABLE_MS = 1000  # older data are on the disk
LAST_WORDS, HEARD = 3 * RATE_HZ // 2, 0.9

pytestmark = pytest.mark.timeout(500)


class Loop:
    """Line 1's contact, as held by the commands on the card's wires."""

    def __init__(self, wires: Wires) -> None:
        self._wires = wires
        self.opened_ms: list[int] = []
        self.closed_ms: list[int] = []

    def look(self) -> bool:
        """Whether it is open now; called repeatedly as time passes."""
        now_ms = SYSTEM.monotonic_ns() // NS_PER_MS
        is_open = bool(self._wires.commanded_open(now_ms)[0])
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
    save_notice(tmp_path / "notices" / NOTICE, spoken(1.5)[::-1])
    with World(tmp_path, SCRIPT, contacts=True) as world, closing(Wires.attach(wires_path(world.run_dir, 1))) as wires:
        services = {"meter": world.start_meter(), "capture": world.start("capture")}
        world.until(lambda: _has_contacts(world), "the meter is heard, and reports its contacts")
        services["recorder"] = world.start("recorder")
        loop = Loop(wires)
        world.until(loop.look, "the loop is open")
        if victim != "nobody":
            world.kill(services[victim])
        assert (tmp_path / "meter").is_symlink() == (victim != "meter"), "a dead meter's port may become another's"
        if victim in ("recorder", "capture"):  # like systemd
            world.start(victim)
        world.until(lambda: not loop.look(), "the loop is closed again")
        loop.watch(RESTED_MS / 1000)
        world.until(
            lambda: not loop.look() and "sealed" in world.reported(), "the call is sealed, and that is reported"
        )
        (record,) = world.records()
        names = world.reported()
        logged = _logged_ends(world)
    assert len(loop.opened_ms) == len(loop.closed_ms) == 1, "it is opened once"
    assert loop.closed_ms[0] - loop.opened_ms[0] < CONTACT_MOST_MS + BUSY_MS
    assert record.end, "the record says how it was ended"
    assert (record.end.situation, record.end.by) == ("abuse", "code")
    assert record.end.notice is not None
    assert record.end.notice.proof in ("full", "partial")
    is_whole = victim in ("nobody", "recorder")
    assert (record.disposition, record.ended_by) == ("recorded", "released" if is_whole else "staff_after_notice")
    assert names.count("ending") == names.count("sealed") == 1
    assert logged == {record.call_id: unitlog.fields_of(record)}


def test_a_power_cut_with_loops_open_leaves_the_lines_whole_and_the_calls_known(tmp_path: Path) -> None:
    """All services and the meter at once, at a random moment, including the content of RAM. The lines are judged."""
    save_notice(tmp_path / "notices" / NOTICE, spoken(1.5)[::-1])
    with (
        World(tmp_path, SCENARIOS / "ended_power.toml", patient=False, contacts=True) as world,
        closing(Wires.attach(wires_path(world.run_dir, 1))) as wires,
    ):
        first = [world.start_meter(), world.start("capture"), world.start("recorder")]
        world.until(lambda: bool(wires.commanded_open(_now_ms()).any()), "a loop is open")
        SYSTEM.sleep(random.uniform(0.0, 1.5))
        cut_ms = _now_ms()
        world.kill(*first)
        world.forget_ram()
        world.start_meter()
        for service in ("capture", "recorder"):
            world.start(service)
        world.until(lambda: len(_cut_off(world)) == LINES, "the calls are sealed")
        records = _cut_off(world)
        said = {record.call_id: unitlog.fields_of(record) for record in records}
        world.until(lambda: _logged_ends(world) == said, "each end is a leaf of the log")
        world.until(lambda: world.exchange.process.poll() == 0, "the exchange has ended")
        played, _ = world.played()
    loops = [each for each in played.releases if each.opened_ms <= cut_ms]
    print(f"cut {[cut_ms - each.opened_ms for each in loops]} ms after openings of", [each.line for each in loops])
    assert loops == played.releases, "no loop opens after the start"
    assert len({each.line for each in loops}) == len(loops) > 0, "each is opened once"
    assert played.left_open == []
    assert max(each.closed_ms - each.opened_ms for each in loops) <= CONTACT_MOST_MS
    durable = [each.line for each in loops if cut_ms - each.opened_ms > DURABLE_MS]
    for record in records:
        assert record.end
        assert (record.disposition, record.end.situation, record.end.by) == ("recorded", "abuse", "code")
        assert [mark.kind for mark in record.marks] == ["abuse"]
        if record.line in durable:
            assert record.end.notice
            assert record.end.notice.proof in ("full", "partial"), "what the opening was for is a second old"


def test_on_a_card_without_contacts_staff_hang_up_after_the_last_words(tmp_path: Path) -> None:
    (notice,) = make_default_notices(tmp_path / "notices", [Path(NOTICE).stem])
    assert notice.text.endswith("통화를 종료합니다.")
    script = tmp_path / "calls.toml"
    script.write_text(re.sub(r"^talk = .*", "", SCRIPT.read_text(), flags=re.MULTILINE))
    with World(tmp_path, script) as world:
        world.start("capture")
        world.start("recorder")
        world.until(lambda: len(world.records()) == 1, "the call is sealed")
        world.until(lambda: "sealed" in world.reported(), "that is reported")
        (record,) = world.records()
        heard, names = world.audio(record), world.reported()
        world.until(lambda: world.exchange.process.poll() == 0, "the exchange has ended")
        played, _ = world.played()
    assert record.end
    assert (record.ended_by, record.end.seen_by, record.end.released_at) == ("staff_after_notice", "staff", None)
    assert record.end.notice is not None
    assert (record.end.notice.id, record.end.notice.proof) == (notice.id, "full")
    assert record.ended_at is not None
    assert record.end.notice.ended_at is not None
    assert record.end.notice.ended_at < record.ended_at
    assert likeness_of(notice.samples[-LAST_WORDS:], heard) > HEARD, "the recording has the notice's last words"
    assert played.releases == []
    assert names.count("ending") == names.count("sealed") == 1


def _now_ms() -> int:
    return SYSTEM.monotonic_ns() // NS_PER_MS


def _cut_off(world: World) -> list[CallRecord]:
    return [record for record in world.records() if record.ended_by == "power"]


def _logged_ends(world: World) -> dict[str | None, dict[str, str | None] | None]:
    lines = (world.config.vault_path / unitlog.FOLDER / LEAVES).read_bytes().splitlines()
    leaves = (msgspec.json.decode(line, type=unitlog.Leaf) for line in lines)
    return {leaf.call_id: unitlog.fields_in(leaf) for leaf in leaves if leaf.kind == "end"}


def _has_contacts(world: World) -> bool:
    state = read_state(world.run_dir, "capture@1", CaptureState)
    return state is not None and state.meter is not None and state.meter.connected and state.meter.contacts
