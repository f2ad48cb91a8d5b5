# SPDX-License-Identifier: Apache-2.0
"""Kills real processes while contacts are open: each service, the meter, and all at once as a power cut does.

Seven lines of a card are ended by a code within the same two seconds; an eighth has a call without one. At a random
moment with loops open the next victim is killed with -9 and restarted, and the next round begins. The outcome of every
loop is read from the exchange's log, never from the recorder.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from linetap.board.meter.protocol import CONTACT_MOST_MS
from linetap.board.wires import Wires, wires_path
from linetap.notices.importer import import_notice, wav_bytes
from linetap_bench.exchange.feed import Played, read_log
from linetap_bench.figures import Row
from linetap_bench.sounds.voices import Voices
from linetap_bench.stage.processes import Child
from linetap_bench.stage.stage import Stage
from linetap_core.clock import NS_PER_MS, SYSTEM, ns_of

VICTIMS: dict[str, tuple[str, ...]] = {
    "recorder": ("recorder",),
    "capture": ("capture",),
    "meter": ("meter",),
    "reporter and panel": ("reporter", "panel"),
    "power": ("meter", "capture", "recorder", "reporter", "panel"),
}
LOOPS = 20  # open at the kills of each victim, at least
MORE = 4  # one more may have just closed
ROUNDS = 60  # at most; if this machine delays the services, a round has few loops or none
LINES = 8
BYSTANDER = 8  # line whose call has no code
ROUND_S = 21.0  # from one lifting of the handsets to the next; all services are up again 5 s before
STAGGER_S = 0.1
KILLED_WITHIN_S = (0.2, 1.5)  # after the first open loop
SETTLED_S = 8.0  # no loop of the same round opens later
AGAIN_MS = 10_000  # openings of a line within this time are of one call
FILL_MS = 120
GREETING = {"greeting_max_ms = 6000": "greeting_max_ms = 0"}
# After a restart of capture, notices return with another delay, and a line with a measured delay rejects two of them.
PROFILE = '\n[[profile]]\nname = "kr-pstn"\nproof = { delays_known_after = 1000 }\n'
WORDS = {"ko": "녹음됩니다.", "end-abuse": "통화를 종료합니다."}


@dataclass
class Kills:
    """The times of the kills by victim, in ms of CLOCK_MONOTONIC, and the contacts held open then."""

    at_ms: dict[str, list[int]] = field(default_factory=lambda: {victim: [] for victim in VICTIMS})
    held: dict[str, int] = field(default_factory=lambda: dict.fromkeys(VICTIMS, 0))

    @property
    def next_victim(self) -> str | None:
        """The victim with the fewest open loops; None if all have enough."""
        victim = min(self.held, key=lambda each: self.held[each])
        return victim if self.held[victim] < LOOPS + MORE else None


@dataclass(frozen=True)
class Judged:
    """The verdict by the lines: for each victim the loops open at its kill, and the loops open for too long."""

    open_then: dict[str, int]
    too_long: dict[str, int]
    again: int  # second openings in one call
    wrong_line: int
    longest_ms: int


def script_of(rounds: int) -> str:
    calls = []
    for turn in range(rounds):
        for line in range(1, LINES + 1):
            start_s = 1.0 + turn * ROUND_S + (line - 1) * STAGGER_S
            keys = "" if line == BYSTANDER else 'keys = [{ at_s = 2.5, digits = "**2" }]\n'
            calls.append(
                f'\n[[call]]\nline = {line}\nstart_s = {start_s:.1f}\ndirection = "out"\ndigits = "021234567{line}"\n'
                f"polarity = true\nrings = 1\ntalk_after_s = 1.0\ntalk_s = 8.5\n{keys}"
            )
    return f"lines = {LINES}\nseed = 22\n" + "".join(calls)


def judge(kills: Kills, played: Played) -> Judged:
    """Counts each opening for the last kill before its end; a loop still open at the exchange's end is too long."""
    moments = sorted((at_ms, victim) for victim, each in kills.at_ms.items() for at_ms in each)
    open_then, too_long = dict.fromkeys(VICTIMS, 0), dict.fromkeys(VICTIMS, 0)
    opened_ms: dict[int, int] = {}
    again = 0
    for each in played.releases:
        before = [moment for moment in moments if moment[0] < each.closed_ms] or moments[:1]
        for at_ms, victim in before[-1:]:
            open_then[victim] += each.opened_ms <= at_ms
            too_long[victim] += each.closed_ms - each.opened_ms > CONTACT_MOST_MS
        again += each.opened_ms - opened_ms.get(each.line, -AGAIN_MS) < AGAIN_MS
        opened_ms[each.line] = each.opened_ms
    for _, victim in moments[-1:]:
        too_long[victim] += len(played.left_open)
    lasted = [each.closed_ms - each.opened_ms for each in played.releases]
    wrong = sum(each.line == BYSTANDER for each in played.releases)
    return Judged(open_then, too_long, again, wrong, max(lasted, default=0))


def measure(folder: Path, voices: Path) -> list[Row]:
    folder.mkdir()
    script = folder / "calls.toml"
    script.write_text(script_of(ROUNDS))
    _make_notices(folder / "notices", Voices(voices))
    with Stage(folder, LINES, patient=False) as stage:
        stage.prepare(folder / "notices", GREETING | stage.with_contacts, more=PROFILE)
        exchange = stage.start_exchange(script, folder / "exchange", voices, FILL_MS)
        kills = _kill(stage, exchange)
        stage.children.end(exchange)
        played = read_log(folder / "exchange")
    return rows(kills, judge(kills, played))


def rows(kills: Kills, judged: Judged) -> list[Row]:
    counted = ", ".join(f"{victim} {len(kills.at_ms[victim])} ({judged.open_then[victim]})" for victim in VICTIMS)
    method = (
        f"kill -9 of real processes with loops open, at random moments: {counted} kills (loops open then); power: all"
        f" at once, and what was in RAM; judged by the simulated lines; longest opening {judged.longest_ms} ms"
    )

    def row(name: str, figure: float, target: float, at_most: bool = True) -> Row:
        return Row(name=name, figure=figure, unit="", target=target, at_most=at_most, method=method)

    names = {victim: f"{victim} killed" for victim in VICTIMS} | {"power": "power cut"}
    return [
        *(row(f"{name}: loops open for longer than 3 s", judged.too_long[each], 0) for each, name in names.items()),
        row("loops opened a second time, or in a call without a code", judged.again + judged.wrong_line, 0),
        row("loops open at the kills, of the victim with the fewest", min(judged.open_then.values()), LOOPS, False),
    ]


def _kill(stage: Stage, exchange: Child) -> Kills:
    """Kills until each victim has had enough loops, or the script is over."""
    kills, chance, running = Kills(), random.Random(), dict[str, Child]()
    wires = Wires.attach(wires_path(stage.run_dir, 1))
    _start(stage, running, ("meter", "panel", "capture", "recorder", "reporter"))
    while (victim := kills.next_victim) is not None and _wait_for_a_loop(stage, wires, exchange):
        SYSTEM.sleep(chance.uniform(*KILLED_WITHIN_S))
        kills.at_ms[victim].append(SYSTEM.monotonic_ns() // NS_PER_MS)
        kills.held[victim] += int(wires.commanded_open(kills.at_ms[victim][-1]).sum())
        stage.kill(*(running.pop(name) for name in VICTIMS[victim]))
        if victim == "power":
            stage.forget_ram()
        _start(stage, running, VICTIMS[victim])
        SYSTEM.sleep(SETTLED_S)
    wires.close()
    return kills


def _start(stage: Stage, running: dict[str, Child], names: Sequence[str]) -> None:
    for name in names:
        running[name] = stage.start_meter() if name == "meter" else stage.start(name)


def _wait_for_a_loop(stage: Stage, wires: Wires, exchange: Child) -> bool:
    """Waits for an open loop. False if the exchange has ended or this machine is too busy; the row of loops then shows
    the small number. ChildFailed if a service ends by itself.
    """
    limit_ns = SYSTEM.monotonic_ns() + ns_of(6 * ROUND_S)
    while not wires.commanded_open(SYSTEM.monotonic_ns() // NS_PER_MS).any():
        if exchange.process.poll() == 0:
            return False
        stage.children.check()
        if SYSTEM.monotonic_ns() > limit_ns:
            print(f"no contact has opened for six rounds; {exchange.log.parent} has details", file=sys.stderr)
            return False
        SYSTEM.sleep(0.01)
    return True


def _make_notices(folder: Path, voices: Voices) -> None:
    """Makes two notices of a second each: the shipped ones would lengthen every round by half a minute."""
    folder.mkdir()
    for name, words in WORDS.items():
        spoken = folder.parent / f"{name}.wav"
        spoken.write_bytes(wav_bytes(voices.say(words, "ko", "announcer")))
        import_notice(spoken, words, folder)
