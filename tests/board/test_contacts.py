# SPDX-License-Identifier: Apache-2.0
"""Series contacts: open while commanded, and closed again within each limit, whatever fails."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmeter_rig import LINES, CMeter, payloads, program
from linetap.board.meter import protocol as wire
from linetap.board.meter.contacts import MeterContacts, OneShots
from linetap.board.meter.decide import Decider
from linetap.board.meter.limits import LimitArrays
from linetap.board.meter.port import SerialPort
from linetap.board.meter.protocol import encode
from linetap.board.meter.reader import Reader
from linetap.board.wires import CONTACT_HELD_MS, Wires
from linetap.config.profile import MeterNumbers
from linetap.ring import I16
from linetap_bench.exchange.meter import Meter
from linetap_bench.stage.stage import meter_program
from linetap_core.clock import NS_PER_MS, SYSTEM
from linetap_core.errors import DeviceFault
from meter_rig import PLAIN, START_NS, MeterRig, steps, volts_at

IDLE_ROW = [-4800] * LINES
READY_MS = wire.CONTACT_REST_MS + 100  # after a meter's start
NUMBERS = [11, 12]
LIMIT_S = 60.0


def nothing(_first_ms: int, n: int) -> I16:
    return np.full((LINES, n), -4800, np.int16)


def contacts(mask: int, expiry_ms: int = wire.CONTACT_EXPIRY_MS) -> bytes:
    return encode(wire.CONTACTS, 0, mask, expiry_ms)


@pytest.fixture
def meter() -> Iterator[CMeter]:
    with CMeter(program(), nothing) as each:
        yield each


def idle(meter: CMeter, first: int, end: int, asked: int = 0) -> None:
    """Samples from `first` on; a command every 100 ms."""
    for number in range(first, end):
        if asked and number % 100 == 0:
            meter.told(contacts(asked), number * 1000)
        meter.sample(number, IDLE_ROW)


def test_a_contact_is_open_for_as_long_as_it_is_commanded(meter: CMeter) -> None:
    idle(meter, 1, READY_MS)
    idle(meter, READY_MS, READY_MS + 1700, asked=0b101)
    idle(meter, READY_MS + 1700, READY_MS + 3000)
    last_ms = READY_MS + 1600
    assert meter.answers.contacts == [(0, 0), (READY_MS * 1000, 0b101), ((last_ms + wire.CONTACT_EXPIRY_MS) * 1000, 0)]
    said = [wire.OPENED.head.unpack(each)[0] for each in payloads(meter.answers.frames(), wire.OPENED)]
    assert (said[0], set(said), said[-1]) == (0, {0, 0b101}, 0)


def test_a_command_without_end_opens_for_the_bound_and_not_again(meter: CMeter) -> None:
    idle(meter, 1, READY_MS)
    idle(meter, READY_MS, READY_MS + 8000, asked=1)
    assert meter.answers.contacts[1:] == [(READY_MS * 1000, 1), ((READY_MS + wire.CONTACT_MOST_MS) * 1000, 0)]


def test_a_meter_that_restarts_in_the_middle_does_not_open_again(meter: CMeter) -> None:
    idle(meter, 1, READY_MS)
    idle(meter, READY_MS, READY_MS + 500, asked=1)
    meter.restart(START_NS, 2)
    begun = len(meter.answers.contacts)
    idle(meter, 1, 4000, asked=1)
    assert meter.answers.contacts[begun:] == []
    assert meter.answers.contacts[-1][1] == 0


def test_no_command_is_believed_for_longer(meter: CMeter) -> None:
    idle(meter, 1, READY_MS)
    meter.told(contacts(1, 65_535), READY_MS * 1000)
    idle(meter, READY_MS, READY_MS + 1000)
    assert meter.answers.contacts[1:] == [(READY_MS * 1000, 1), ((READY_MS + wire.CONTACT_EXPIRY_MS) * 1000, 0)]


@pytest.mark.parametrize("seed", [1, 2])
def test_the_program_in_c_follows_the_rules_of_linetap(seed: int) -> None:
    """Commands at random times for random contacts; every sample is compared."""
    random = np.random.default_rng(seed)
    expected, asked, until = [], 0, 0
    shots = OneShots(LINES, 0)
    with CMeter(program(), nothing) as meter:
        before = 0
        for number in range(1, 11_000):
            busy = number // 2500 % 2 == 0
            if random.random() < (0.02 if busy else 0.0002):
                asked, expiry = int(random.integers(256)), int(random.integers(400))
                until = number + min(expiry, wire.CONTACT_EXPIRY_MS)
                meter.told(contacts(asked, expiry), number * 1000)
            meter.sample(number, IDLE_ROW)
            mask = asked if number < until else 0
            opened = shots.look(np.array([bool(mask >> i & 1) for i in range(LINES)]), number * NS_PER_MS)
            now = sum(1 << int(i) for i in np.flatnonzero(opened))
            if now != before:
                expected.append((number * 1000, now))
            before = now
        assert meter.answers.contacts[1:] == expected


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 2000), st.booleans()), min_size=1, max_size=60))
def test_no_sequence_of_commands_opens_for_longer_or_without_a_rest(
    steps_: list[tuple[int, bool]],
) -> None:
    shots, now, was = OneShots(1, 0), 0, False
    opened_at, closed_at, asked_at = 0, 0, 0
    for after_ms, asked in steps_:
        for _ in range(after_ms // 20 + 1):
            now += 20
            is_open = bool(shots.look(np.array([asked]), now * NS_PER_MS)[0])
            if is_open and not was:
                assert now - max(closed_at, asked_at) >= wire.CONTACT_REST_MS - 20
                opened_at = now
            if is_open:
                assert now - opened_at < wire.CONTACT_MOST_MS
            if was and not is_open:
                closed_at = now
            if asked and not is_open:
                asked_at = now
            was = is_open


class ContactRig(MeterRig):
    """Capture's end and a meter, with the contacts between them."""

    def __init__(self) -> None:
        super().__init__(volts_at(steps((0, -8)), steps((0, -48))), 2)
        self.contacts = MeterContacts(self.reader, range(2), NUMBERS, self.clock)
        self.turn(wire.CONTACT_REST_MS / 1000 + 0.5)

    def turn(self, seconds: float) -> int:
        """Returns the milliseconds for which the meter held contact 1 open."""
        held = 0
        for _ in range(round(seconds * 1000 / 40)):
            self.run(0.04)
            self.contacts.follow()
            held += 40 * (self.meter.opened & 1)
        return held


def test_a_contact_opens_by_the_meter_which_reports_it() -> None:
    rig = ContactRig()
    rig.contacts.contact(0, True)
    rig.turn(0.4)
    assert (rig.meter.opened, rig.reader.state.opened, rig.reader.state.contacts) == (1, [11], True)
    rig.contacts.contact(0, False)
    rig.turn(0.1)
    assert (rig.meter.opened, rig.reader.state.opened) == (0, [])


def test_a_capture_that_no_longer_commands_leaves_it_open_for_the_expiry_only() -> None:
    rig = ContactRig()
    rig.contacts.contact(0, True)
    rig.turn(0.4)
    rig.clock.advance((wire.CONTACT_EXPIRY_MS + 40) * NS_PER_MS)
    rig.reader.poll()
    assert rig.meter.opened == 0


def test_a_meter_that_falls_silent_is_not_commanded_to_open_when_it_is_back() -> None:
    rig = ContactRig()
    rig.contacts.contact(0, True)
    rig.turn(0.4)
    rig.cable.deaf = True
    assert rig.turn(1.0) <= wire.CONTACT_EXPIRY_MS + 40
    assert rig.contacts.wanted == 0
    rig.cable.deaf = False
    assert rig.turn(8.0) == 0


def test_a_silent_meter_and_one_without_contacts_refuse_with_a_reason() -> None:
    rig = ContactRig()
    rig.cable.deaf = True
    rig.turn(0.4)
    with pytest.raises(DeviceFault, match="does not answer"):
        rig.contacts.contact(0, True)
    rig.cable.deaf = False
    rig.turn(0.4)
    rig.reader.opened = None
    rig.contacts._report()
    with pytest.raises(DeviceFault, match="knows no series contacts"):
        rig.contacts.contact(0, True)


def test_the_contact_of_a_meter_that_was_killed_closes(run_dir: Path) -> None:
    """At 5 s it is killed; then its program hangs, and one pin toggles forever."""
    wires = Wires.create(run_dir / "w", 2)
    meter, card = Meter(lambda _, n: np.full((2, n), -4800, np.int16), 2, START_NS), OneShots(2, START_NS)
    held = []
    for at in range(0, 20_000, 5):
        now_ns = START_NS + at * NS_PER_MS
        if at < 5000:
            if at >= READY_MS and at % 100 == 0:
                meter.receive(contacts(0b10), now_ns)
            meter.sent_until(now_ns)
            wires.contacts[[meter.opened >> channel & 1 == 1 for channel in range(2)]] = now_ns // NS_PER_MS
        elif at >= 10_000:
            wires.contacts[1] = now_ns // NS_PER_MS
        if card.look(wires.commanded_open(now_ns // NS_PER_MS), now_ns)[1]:
            held.append(at)
    killed, hung = [at for at in held if at < 10_000], [at for at in held if at >= 10_000]
    assert READY_MS <= killed[0] < killed[-1] < 5000 + CONTACT_HELD_MS
    assert (hung[0], hung[-1]) == (10_000, 10_000 + wire.CONTACT_MOST_MS - 5)


@contextmanager
def meter_process(run_dir: Path) -> Iterator[subprocess.Popen[bytes]]:
    words = ["--wires", str(run_dir / "w"), "--port", str(run_dir / "meter")]
    with subprocess.Popen([str(meter_program()), *words]) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_meter_killed_by_the_kernel_leaves_no_contact_open(run_dir: Path) -> None:
    """A real process on a real terminal; its last command is valid for CONTACT_HELD_MS."""
    wires = Wires.create(run_dir / "w", 2)
    with meter_process(run_dir) as process, contextlib.closing(SerialPort(str(run_dir / "meter"))) as port:
        reader = Reader(port, range(2), Decider(LimitArrays([PLAIN] * 2), [MeterNumbers()] * 2), SYSTEM)
        commands = MeterContacts(reader, range(2), NUMBERS, SYSTEM)
        deadline, rested_ns = SYSTEM.monotonic_ns() + round(LIMIT_S * 1e9), None
        while wires.contacts[0] == 0:
            assert SYSTEM.monotonic_ns() < deadline
            reader.levels(SYSTEM.monotonic_ns() - 60 * NS_PER_MS)
            commands.follow()
            ready = reader.state.contacts and reader.state.connected and not commands.wanted
            if ready and rested_ns is None:  # a newly started meter opens nothing
                rested_ns = SYSTEM.monotonic_ns() + (wire.CONTACT_REST_MS + 500) * NS_PER_MS
            elif ready and rested_ns is not None and SYSTEM.monotonic_ns() > rested_ns:
                commands.contact(0, True)
            SYSTEM.sleep(0.01)
        process.kill()
        process.wait(LIMIT_S)
        last_ms = int(wires.contacts[0])
        assert (wires.contacts[1], wires.commanded_open(last_ms)[0]) == (0, True)
        assert not wires.commanded_open(last_ms + CONTACT_HELD_MS).any()


def test_edges_that_stop_close_the_contact_of_the_card(run_dir: Path) -> None:
    wires = Wires.create(run_dir / "w", 1)
    wires.contacts[0] = 1000
    assert wires.commanded_open(1000 + CONTACT_HELD_MS - 1).tolist() == [True]
    assert wires.commanded_open(1000 + CONTACT_HELD_MS).tolist() == [False]


def test_a_damaged_command_opens_nothing() -> None:
    rig = ContactRig()
    spoilt = bytearray(contacts(1))
    spoilt[4] ^= 2
    rig.cable.write(bytes(spoilt))
    assert rig.turn(0.5) == 0
