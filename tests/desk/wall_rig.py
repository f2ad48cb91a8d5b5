# SPDX-License-Identifier: Apache-2.0
"""A hundred and fifty units at a real broker, five of them with faults: the content of a control room's wall."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from fleet_rig import Speaking
from watch_rig import ALERT, LINE, OFFLINE, ONLINE

from broker import Broker
from linetap_core.clock import NS_PER_S, SYSTEM, rfc3339

BUILDINGS = {"main": ("본관", 38), "annex": ("별관", 38), "health": ("보건소", 37), "dong": ("주민센터", 37)}
NAMES = [f"{short}-{floor:02d}" for short, (_, floors) in BUILDINGS.items() for floor in range(1, floors + 1)]
WORST = "main-05"
WRONG = {WORST: "fault", "dong-02": "offline", "main-11": "offline", "main-12": "offline", "health-07": "warning"}
CAUSE, CURE, CONTACT = "8번 회선에 전압이 없습니다.", "단자반의 8번 쌍을 확인하십시오.", "통신실 당직 2345"


@contextlib.contextmanager
def speaking_floor(folder: Path) -> Iterator[tuple[Broker, Speaking]]:
    with Broker(folder, saves=False) as broker:
        speaking = Speaking(broker.port)
        yield broker, speaking
        speaking.close()


def places() -> str:
    """The file of places, with four units at one switch."""
    text = f'["*"]\n"*" = {{ contact = "당직실 2000", lines = "{CONTACT}", power = "시설팀 2119" }}\n'
    for short, (building, floors) in BUILDINGS.items():
        text += f'["{building}"]\n' + "".join(
            f'{short}-{n:02d} = {{ floor = {n}, switch = "SW-{short}-{(n + 3) // 4}", port = {n} }}\n'
            for n in range(1, floors + 1)
        )
    return text


def all_is_well(floor: Speaking, names: Sequence[str] = tuple(NAMES)) -> None:
    for unit in names:
        for n in range(1, 9):
            floor.tell(unit, f"line/{n}", LINE)
        floor.tell(unit, "health", {"at": LINE["since"], "services_dead": "", "storage_days_left": 300})
        floor.tell(unit, "status", ONLINE)
    floor.is_well(names[-1])


def goes_wrong(floor: Speaking) -> None:
    """Sends the faults after the desk has seen the units without: it knows how each ended."""
    now = rfc3339(SYSTEM.utc_ns() - 600 * NS_PER_S)
    texts = {"text_ko": CAUSE, "text_en": "Line 8: no voltage.", "action_ko": CURE, "action_en": "Look at pair 8."}
    floor.say("main-03", "line/2", {**LINE, "state": "recording", "call_id": "c"})
    for n in range(1, 9):
        floor.tell("main-04", f"line/{n}", {**LINE, "state": "recording", "call_id": "c"})
    floor.say("main-11", "line/3", {**LINE, "state": "ringing"})
    floor.say(WORST, "alert/line_cut", {**ALERT, **texts, "severity": "critical", "line": 8, "since": now})
    floor.say("health-07", "alert/hum", {**ALERT, "text_ko": "5번 회선에 험이 큽니다."})
    for unit in ("main-11", "main-12"):
        floor.say(unit, "status", OFFLINE)
    floor.say("dong-02", "status", {**OFFLINE, "since": now})  # sent by the unit itself
