# SPDX-License-Identifier: Apache-2.0
"""The simulated lines between two processes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linetap.board.simulated import SimulatedCard, SimulatedPanel, brightness_shown, leds_shown, press_button
from linetap.board.wires import ARMED_MS, CAPACITY_MS, Wires, _allocate, wires_path
from linetap_core.clock import NS_PER_MS
from linetap_core.errors import DeviceFault

NOW_MS = 1_000_000


def put(wires: Wires, from_ms: int, hook: object, volts: int = -4780) -> None:
    levels = np.broadcast_to(np.asarray(hook, np.bool_), (wires.lines, np.asarray(hook).size))
    wires.put(from_ms, levels, ~levels, levels, np.full(levels.shape, volts))


def test_never_written_is_an_unplugged_line(run_dir: Path) -> None:
    levels = Wires.create(run_dir / "w", 3).take(NOW_MS)
    assert levels.hook.shape == (3, 10)
    assert not levels.hook.any()
    assert not levels.ring.any()
    assert not levels.polarity.any()
    assert levels.volts.tolist() == [0, 0, 0]


def test_what_the_exchange_wrote_before_it_died_runs_out(run_dir: Path) -> None:
    wires = Wires.create(run_dir / "w", 2)
    put(wires, NOW_MS, [True] * 15)
    assert wires.take(NOW_MS + 10).hook.all()
    last = wires.take(NOW_MS + 20)
    assert last.hook[0].tolist() == [True] * 5 + [False] * 5
    assert last.ring.sum() == 0
    assert last.volts.tolist() == [0, 0]


@pytest.mark.parametrize("turns", [1, 2, 1000])
def test_an_earlier_turn_of_the_buffer_is_not_taken_for_now(run_dir: Path, turns: int) -> None:
    wires = Wires.create(run_dir / "w", 1)
    put(wires, NOW_MS, [True] * 10)
    assert not wires.take(NOW_MS + 10 + turns * CAPACITY_MS).hook.any()
    assert not wires.take(NOW_MS + 10 - turns * CAPACITY_MS).hook.any()


@settings(max_examples=60, deadline=None)
@given(
    start=st.integers(0, 3 * CAPACITY_MS),
    seed=st.integers(0, 2**32 - 1),
    pieces=st.lists(st.integers(0, 3000), min_size=1, max_size=6),
    n=st.integers(1, 50),
    where=st.integers(-60, 12_000),
)
def test_every_millisecond_reads_as_it_was_written(
    start: int, seed: int, pieces: list[int], n: int, where: int
) -> None:
    with TemporaryDirectory(dir="/dev/shm") as folder:
        random = np.random.default_rng(seed)
        wires = Wires.create(Path(folder) / "w", 3)
        total = sum(pieces)
        hook, ring, polarity = (random.integers(0, 2, (3, total)).astype(np.bool_) for _ in range(3))
        volts = random.integers(-32768, 32768, (3, total)).astype(np.int16)
        at = 0
        for piece in pieces:
            part = np.s_[:, at : at + piece]
            wires.put(start + at, hook[part], ring[part], polarity[part], volts[part])
            at += piece
        oldest = max(0, total - CAPACITY_MS)
        indices = np.arange(where, where + n)
        there = (indices >= oldest) & (indices < total)
        inside = np.where(there, indices, 0)
        got = wires.take(start + where + n, n)
        if total == 0:
            assert not got.hook.any()
        else:
            np.testing.assert_array_equal(got.hook, hook[:, inside] & there)
            np.testing.assert_array_equal(got.ring, ring[:, inside] & there)
            np.testing.assert_array_equal(got.polarity, polarity[:, inside] & there)
            np.testing.assert_array_equal(got.volts, np.where(there[-1], volts[:, inside[-1]], 0))
        wires.close()


def test_a_new_exchange_begins_with_every_line_unplugged(run_dir: Path) -> None:
    put(Wires.create(run_dir / "w", 2), NOW_MS, [True] * 10)
    assert not Wires.create(run_dir / "w", 2).take(NOW_MS + 10).hook.any()


@pytest.mark.parametrize("shape", [(1, 5), (3, 5), (2, CAPACITY_MS + 1)])
def test_a_shape_that_does_not_fit_is_refused(run_dir: Path, shape: tuple[int, int]) -> None:
    wires = Wires.create(run_dir / "w", 2)
    levels = np.zeros(shape, np.bool_)
    with pytest.raises(ValueError, match="want"):
        wires.put(NOW_MS, levels, levels, levels, np.zeros(shape, np.int16))


WRITER = """
import sys
from pathlib import Path
import numpy as np
from linetap.board.wires import Wires
wires = Wires.attach(Path(sys.argv[1]))
sys.stdout.write("up\\n"); sys.stdout.flush()
turn = 0
while wires.relays[0] == 0 and turn < 200_000:
    turn += 1
    levels = np.full((4, 64), turn % 2 == 1)
    wires.put(1_000_000, levels, levels, levels, np.full((4, 64), 111 if turn % 2 else -222))
"""


def test_a_sample_is_whole_or_not_there_while_another_process_rewrites_it(run_dir: Path) -> None:
    path = run_dir / "w"
    wires = Wires.create(path, 4)
    with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        seen = set()
        for _ in range(5000):
            levels = wires.take(NOW_MS + 64, 64)
            for line in range(4):
                bits = (bool(levels.hook[line, -1]), bool(levels.ring[line, -1]), bool(levels.polarity[line, -1]))
                seen.add((*bits, int(levels.volts[line])))
        wires.relays[0] = 1
        assert writer.wait(120) == 0
    allowed = {(True, True, True, 111), (False, False, False, -222), (False, False, False, 0)}
    assert seen <= allowed
    assert len(seen & set(allowed)) >= 2, "the writer did not write while it was read"


def test_a_card_is_up_before_its_exchange_and_outlives_it(run_dir: Path) -> None:
    card = SimulatedCard(run_dir, 1, 2)
    assert not card.levels(NOW_MS * NS_PER_MS).hook.any()
    for _ in range(2):  # the exchange starts, dies and starts again
        exchange = Wires.create(wires_path(run_dir, 1), 2)
        put(exchange, NOW_MS - 10, [True] * 10)
        assert card.levels(NOW_MS * NS_PER_MS + 999_999).hook.all()
        card.relay(1, True)
        assert exchange.relays.tolist() == [0, 1]
        exchange.close()
    watcher = Wires.attach(wires_path(run_dir, 1))
    card.close()
    assert watcher.relays.tolist() == [0, 0]


def test_a_card_and_an_exchange_that_come_at_once(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cards: list[SimulatedCard] = []

    def slow(path: Path, lines: int) -> Path:
        monkeypatch.setattr("linetap.board.wires._allocate", _allocate)
        cards.append(SimulatedCard(run_dir, 1, 2))
        return _allocate(path, lines)

    monkeypatch.setattr("linetap.board.wires._allocate", slow)
    exchange = Wires.create(wires_path(run_dir, 1), 2)
    put(exchange, NOW_MS - 10, [True] * 10)
    assert cards[0].levels(NOW_MS * NS_PER_MS).hook.all()


def test_a_card_opens_relays_that_its_predecessor_left_closed(run_dir: Path) -> None:
    exchange = Wires.create(wires_path(run_dir, 1), 2)
    exchange.relays[:] = 1
    SimulatedCard(run_dir, 1, 2)
    assert exchange.relays.tolist() == [0, 0]


def test_lines_of_another_shape_are_refused(run_dir: Path) -> None:
    Wires.create(wires_path(run_dir, 1), 4)
    with pytest.raises(DeviceFault, match="4 simulated lines, the card has 8") as fault:
        SimulatedCard(run_dir, 1, 8)
    assert fault.value.code == "wires_foreign"


def test_a_damaged_file_is_not_attached_to(run_dir: Path) -> None:
    Wires.create(run_dir / "w", 2).close()
    with (run_dir / "w").open("r+b") as file:
        file.truncate(5000)
    with pytest.raises(DeviceFault, match="no simulated lines"):
        Wires.attach(run_dir / "w")


def test_the_simulated_panel(run_dir: Path) -> None:
    panel = SimulatedPanel(run_dir)
    panel.show({"run": True, "call": True, "fault": False})
    assert leds_shown(run_dir) == {"run": True, "call": True, "fault": False}
    assert brightness_shown(run_dir) == 100
    panel.dim(20)
    assert brightness_shown(run_dir) == 20
    assert not panel.button()
    press_button(run_dir, True)
    assert panel.button()
    press_button(run_dir, False)
    assert not panel.button()
    panel.close()
    assert not any(leds_shown(run_dir).values())


def test_a_panel_that_has_not_made_its_folder_yet_is_dark(tmp_path: Path) -> None:
    assert not any(leds_shown(tmp_path / "nothing").values())


def test_a_board_that_stands_still_drops_its_relays(run_dir: Path) -> None:
    """Like the real card's one-shot: a stopped process opens nothing, and need not."""
    card = SimulatedCard(run_dir, 1, 2)
    exchange = Wires.attach(wires_path(run_dir, 1))
    card.levels(NOW_MS * NS_PER_MS)
    card.relay(1, True)
    assert exchange.closed(NOW_MS + ARMED_MS - 1).tolist() == [False, True]
    assert exchange.closed(NOW_MS + ARMED_MS).tolist() == [False, False]
    card.levels((NOW_MS + ARMED_MS) * NS_PER_MS)
    assert exchange.closed(NOW_MS + ARMED_MS).tolist() == [False, True]


def test_leds_are_dark_until_the_panel_has_its_folder(tmp_path: Path) -> None:
    """A reader of the LEDs may start before the services."""
    assert not any(leds_shown(tmp_path / "run").values())
