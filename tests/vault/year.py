# SPDX-License-Identifier: Apache-2.0
"""A year of a unit's vault in seconds: calls, marks, holds, a wrong clock, a month switched off, power cuts.

The expected destructions are computed independently of the unit, from the true time alone; the actual ones are read
from the folders, the log and the outbox.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cut_disk import CutDisk, PowerCut

from keeping_rig import DAY, Keeper
from linetap_core.clock import NS_PER_S, parse_rfc3339
from linetap_core.records import CallRecord

STEPS_A_DAY = 4
STEP_NS = DAY // STEPS_A_DAY
DAYS = 400  # a year of calls, and the rest of the shortest class
JUMP_FORWARD, JUMP_BACK = (100, 110), (150, 156)  # days on which the clock is wrong
FORWARD_NS, BACK_NS = 400 * DAY, 90 * DAY
OFF, OFF_DAYS, CONFIRMED = 200, 31, 205  # a month off, and the vault role's confirmation four days later
NO_SYNC = (300, 310)
POWER_CUT_NS = 5 * NS_PER_S


@dataclass
class Expected:
    """The expectations of the scenario, independent of the unit."""

    until: dict[str, int] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    hold_until: dict[str, int] = field(default_factory=dict)
    held_at: dict[str, tuple[int, int]] = field(default_factory=dict)  # time and boot
    made: dict[str, tuple[int, int]] = field(default_factory=dict)
    off: list[tuple[int, int]] = field(default_factory=list)  # begin and length
    made_good: list[tuple[int, int]] = field(default_factory=list)  # credited part of `off`, for earlier boots
    gone: dict[str, int] = field(default_factory=dict)  # time

    def note(self, now_ns: int, true_ns: int) -> None:
        """`now_ns`: the date that the unit should have. Uncounted time does not count."""
        for call_id, until in self.until.items():
            held = self.hold_until.get(call_id, 0)
            if call_id in self.gone or max(until, held) > now_ns:
                continue
            if not self.elapsed(*self.made[call_id], until, true_ns):
                continue
            if held and not self.elapsed(*self.held_at[call_id], held, true_ns):
                continue
            self.gone[call_id] = now_ns

    def elapsed(self, from_ns: int, boot: int, until_ns: int, true_ns: int) -> bool:
        known = max([count for count, of_boot in self.made_good if boot <= of_boot], default=0)
        return true_ns - sum(ns for at_ns, ns in self.off[known:] if at_ns >= from_ns) >= until_ns


class Year:
    def __init__(
        self,
        folder: Path,
        monkeypatch: pytest.MonkeyPatch,
        seed: int,
        calls_a_day: int,
        cut_share: float,
    ) -> None:
        self.random = random.Random(seed)
        self.unit = Keeper(folder, folder)
        self.unit.take_roles()
        self.expected = Expected()
        self.records: dict[str, CallRecord] = {}
        self.calls_a_day, self.cut_share = calls_a_day, cut_share
        self.true_ns = self.start_ns = self.unit.clock.utc_ns()
        self.kept_ns = 0  # retention time should lag the truth by this
        self.not_agreed_since: int | None = None
        self.cuts_in_destruction = 0
        self.confirmed_boot = 0
        self.disk = CutDisk(self.unit.vault, monkeypatch, self.random)

    def run(self) -> None:
        day = 0
        while day < DAYS:
            self.unit.log.publish()  # like the vault's thread: a log without a head is set aside
            self.events(day)
            for _ in range(STEPS_A_DAY):
                self.step(day)
            day += 1

    def step(self, day: int) -> None:
        self.true_ns += STEP_NS
        self.unit.clock.advance(STEP_NS)
        self.unit.upkeep.time.tick()
        if day < 365:
            for n in range(self.random.randint(0, 2 * self.calls_a_day) // STEPS_A_DAY + (self.random.random() < 0.5)):
                self.call(n)
        if self.random.random() < 0.05:
            self.hold()
        self.work()
        believed = self.true_ns if self.not_agreed_since is None else self.not_agreed_since
        self.expected.note(believed - self.kept_ns, self.true_ns)
        self.check(believed - self.kept_ns)

    def events(self, day: int) -> None:
        unit = self.unit
        if day == 0:
            assert unit.confirm_time().done  # as on the day of installation
            self.confirmed_boot = unit.boot
        if day == JUMP_FORWARD[0]:
            unit.clock.step_utc(FORWARD_NS)
        elif day == JUMP_FORWARD[1]:
            unit.clock.step_utc(-FORWARD_NS)
        elif day == JUMP_BACK[0]:
            unit.clock.step_utc(-BACK_NS)
        elif day == JUMP_BACK[1]:
            unit.clock.step_utc(BACK_NS)
        elif day == OFF:
            unit.restart(boot=True, off_ns=OFF_DAYS * DAY)
            self.expected.off.append((self.true_ns, OFF_DAYS * DAY))
            self.true_ns += OFF_DAYS * DAY
            self.kept_ns = OFF_DAYS * DAY
        elif day == CONFIRMED:
            assert unit.tell_time("desk").code == "time_ahead"
            assert unit.tell_time("vault").code == "time_ahead"
            assert unit.confirm_time().done
            self.kept_ns = 0
            self.expected.made_good.append((len(self.expected.off), self.confirmed_boot))
        elif day == NO_SYNC[0]:
            unit.synced, self.not_agreed_since = False, self.true_ns
        elif day == NO_SYNC[1]:
            unit.synced, self.not_agreed_since = True, None
        if day in (60, 250, 330):
            unit.restart(boot=True, off_ns=DAY)  # a day off explains itself, but does not count for a call
            self.expected.off.append((self.true_ns, DAY))
            self.true_ns += DAY

    def call(self, n: int) -> None:
        distrusted = self.unit.upkeep.time.is_distrusted
        marked = self.random.random() < 0.1
        record = self.unit.call(marked, overflow=distrusted, suffix=f"-{len(self.records)}x{n}")
        self.records[record.call_id] = record
        assert record.retention
        if record.retention.until is not None:
            self.expected.until[record.call_id] = parse_rfc3339(record.retention.until)
        self.expected.made[record.call_id] = (self.true_ns, self.unit.boot)
        self.expected.kinds[record.call_id] = "overflow" if distrusted else "marked" if marked else "standard"

    def hold(self) -> None:
        """Holds an existing call for up to 120 days; sometimes one that is already held."""
        if self.kept_ns or self.unit.upkeep.time.is_distrusted or self.not_agreed_since is not None:
            return
        here = [c for c in self.records if c not in self.expected.gone and self.expected.until.get(c, 0) > self.true_ns]
        if here:
            call_id = self.random.choice(here)
            until = self.true_ns + self.random.randint(1, 120) * DAY
            until = max(until, self.expected.hold_until.get(call_id, 0))  # ending one earlier requires two people
            assert self.unit.command(self.unit.hold(self.records[call_id], until)).done
            self.expected.hold_until[call_id] = until
            self.expected.held_at[call_id] = (self.true_ns, self.unit.boot)
            self.expected.kinds[call_id] = "held"

    def work(self) -> None:
        """Does all due work, with the power cut at some moment."""
        while True:
            try:
                if self.random.random() < self.cut_share:
                    self.disk.cut_after(self.random.randint(0, 60))
                self.unit.ticks()
                self.disk.spare()
                return
            except PowerCut:
                self.cuts_in_destruction += self.unit.upkeep.expiry._destruction.unfinished
                self.disk.power_back()
                self.unit.restart(boot=True, off_ns=POWER_CUT_NS)
                self.true_ns += POWER_CUT_NS

    def check(self, now_ns: int) -> None:
        """Checks retention time, and the content of the disk."""
        assert self.unit.now_ns is not None
        assert abs(self.unit.now_ns - now_ns) < 2 * 10**9 * 60, (self.unit.now_ns - now_ns) / DAY
        here = {path.name for path in self.unit.vault.glob("2*/*/*/*")}
        should = self.records.keys() - self.expected.gone.keys()
        assert here == should, (sorted(here - should)[:3], sorted(should - here)[:3])

    def finish(self) -> list[str]:
        """Runs the last check; returns the table."""
        unit, gone = self.unit, self.expected.gone
        assert Counter(unit.destroyed()) == Counter(list(gone)), "each once in the log"
        assert Counter(unit.events("destroyed")) == Counter(list(gone)), "each once to the desk"
        assert all(unit.is_whole(record) for call_id, record in self.records.items() if call_id not in gone)
        held = [c for c in unit.upkeep.holds._until if c in gone]
        assert not held
        rows = [f"{'calls':<10}{'made':>7}{'gone':>7}{'here':>7}   first and last day of age when gone"]
        for kind in ("standard", "marked", "held", "overflow"):
            of_kind = [call_id for call_id, k in self.expected.kinds.items() if k == kind]
            ages = sorted((gone[c] - parse_rfc3339(str(self.records[c].ended_at))) / DAY for c in of_kind if c in gone)
            span = f"{ages[0]:.1f} to {ages[-1]:.1f}" if ages else "-"
            rows.append(f"{kind:<10}{len(of_kind):>7}{len(ages):>7}{len(of_kind) - len(ages):>7}   {span}")
        cuts = f"power cuts {self.disk.cuts}, {self.cuts_in_destruction} of them in a destruction"
        rows.append(f"{cuts}; boots {unit.boot}, holds {len(unit.leaves('hold'))} leaves")
        return rows
