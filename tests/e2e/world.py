# SPDX-License-Identifier: Apache-2.0
"""A unit with a script playing on its lines, faults that a test can cause, and the results."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import msgspec
import numpy as np

from linetap.recorder.vault.outbox.reader import OutboxReader
from linetap.ring import I16, RATE_HZ
from linetap_bench.exchange.feed import Played, read_played
from linetap_bench.script.script import load_script
from linetap_bench.sounds.voices import default_folder
from linetap_bench.stage.stage import Stage
from linetap_core.clock import NS_PER_S, SYSTEM
from linetap_core.codecs import g711
from linetap_core.evidence.calls import sealed
from linetap_core.records import CallRecord, RecorderState
from linetap_core.service import read_state
from sealing_rig import run as run_tool
from unit_rig import save_notice, spoken

LIMIT_S = 120
PERIOD = 80
MOST_SLIPS = 30  # of a sound server on a busy machine
FILL_MS = 120  # a busy machine may delay the exchange; a notice that returns after 200 does not count as heard


class World(Stage):
    """`with World(folder, script) as world:` runs the exchange; capture and recorder may be started."""

    def __init__(
        self,
        folder: Path,
        script: Path,
        changes: dict[str, str] | None = None,
        patient: bool = True,
        contacts: bool = False,
    ) -> None:
        super().__init__(folder, lines=load_script(script).lines, patient=patient)
        self._script = script
        self._changes = {"greeting_max_ms = 6000": "greeting_max_ms = 0"} | (changes or {})
        if contacts:
            self._changes |= self.with_contacts

    def __enter__(self) -> Self:
        super().__enter__()
        try:
            save_notice(self.folder / "notices" / "ko.wav", spoken(1.0))
            self.config = self.prepare(self.folder / "notices", self._changes)
            self.exchange = self.start_exchange(self._script, self.folder / "exchange", default_folder(), FILL_MS)
        except BaseException:
            self._stack.close()
            raise
        return self

    def until(self, true: Callable[[], bool], what: str, limit_s: float = LIMIT_S) -> None:
        """Polls until it is true; the processes must live meanwhile."""
        deadline = SYSTEM.monotonic_ns() + round(limit_s * NS_PER_S)
        while not true():
            assert SYSTEM.monotonic_ns() < deadline, f"not within {limit_s:g} s: {what}"
            SYSTEM.sleep(0.02)

    # --- results ---------------------------------------------------------------------------------------------

    def recorder_state(self) -> RecorderState | None:
        return read_state(self.run_dir, "recorder", RecorderState)

    def line_is(self, line: int, status: str) -> bool:
        state = self.recorder_state()
        return state is not None and any(each.line == line and each.state == status for each in state.lines)

    def records(self) -> list[CallRecord]:
        """All sealed calls, by their public records, in the order of their names."""
        found = sorted(self.config.vault_path.glob("[0-9]*/*/*/*/" + sealed.SIGNATURE))
        return [msgspec.json.decode((path.parent / sealed.RECORD).read_bytes(), type=CallRecord) for path in found]

    def audio(self, record: CallRecord) -> I16:
        """The call's audio by stock age alone."""
        keys_in = self.folder
        recipe = (
            f"age -d -i {keys_in}/epoch.txt key.age | age -d -i {keys_in}/custodian.txt > {keys_in}/call.key;"
            f" for p in audio.*.age; do age -d -i {keys_in}/call.key $p; done"
        )
        folder = self.config.vault_path / sealed.call_path(record.call_id)
        stream = run_tool(["sh", "-c", recipe], cwd=folder).stdout
        return g711.decode(np.frombuffer(stream[int.from_bytes(stream[4:8]) :], np.uint8))

    def events(self) -> list[dict[str, Any]]:
        """All events except the first, the vault's own, which contains a name."""
        reader = OutboxReader(self.config.vault_path / "outbox")
        first, *events = [msgspec.json.decode(payload) for _, payload, _ in reader.from_seq(1, 100_000)]
        assert (first["event"], first["seq"]) == ("vault", 1)
        return events

    def reported(self) -> list[str]:
        """The names of these events."""
        return [event["event"] for event in self.events()]

    def played(self) -> tuple[Played, dict[int, I16]]:
        return read_played(self.folder / "exchange")


def as_recorded(line: I16) -> I16:
    """The line after mu-law coding."""
    return g711.decode(g711.encode(line))


def place_in(recording: I16, line: I16) -> int:
    """The position of the recording in the line's audio (as recorded)."""
    wanted = recording[: RATE_HZ // 4]
    for at in np.flatnonzero(line[: len(line) - len(wanted)] == wanted[0]):
        if np.array_equal(line[at : at + 32], wanted[:32]) and np.array_equal(line[at : at + len(wanted)], wanted):
            return int(at)
    raise AssertionError("the recording's beginning is nowhere on the line")


def cable_slips(recording: I16, line: I16) -> int:
    """The number of periods that the cable lost or doubled without a report to either end, as JACK does when it is
    late.

    Between two slips the recording must equal the exchange's audio, to the sample.
    """
    at, position, slips = place_in(recording, line), 0, 0
    while True:
        rest = min(len(recording) - position, len(line) - at - position)
        different = np.flatnonzero(recording[position : position + rest] != line[at + position : at + position + rest])
        if not len(different):
            return slips
        position += int(different[0]) + 2 * PERIOD
        slips += 1
        assert slips <= MOST_SLIPS, "this is no slipping cable: the recording is not what was played"
        shifts = range(-MOST_SLIPS * PERIOD, (MOST_SLIPS + 1) * PERIOD, PERIOD)
        piece = recording[position : position + 5 * PERIOD]
        fitting = [by for by in shifts if np.array_equal(piece, line[at + by + position :][: len(piece)])]
        assert fitting, f"sample {position} of the recording is nowhere near its place"
        at += min(fitting, key=abs)
