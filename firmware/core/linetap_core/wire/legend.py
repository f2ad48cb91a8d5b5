# SPDX-License-Identifier: Apache-2.0
"""The table of the unit's LEDs: LED and pattern show a state, never the colour alone.

RUN lit: calls are recorded. RUN dark: they are not. CALL: the state of the lines. FAULT: the fault, by its blinks.
Recording is not red, because it is the normal state. Red is for states that need a person's action.

A terminal shows the state of a line by its own sign, and by rich's style.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from linetap_core.records import LineStatus

STEP_MS = 100

# One character is a step of 100 ms, # lit, from the pattern's beginning; then repeated. Every pattern that is ever lit
# is lit in its first step, so that a new fault is visible at once.
_PAUSE = "." * 14
PATTERNS = {
    "off": ".",
    "on": "#",
    "slow": "#####.....",
    "fast": "##..",
    "flash": "#" + "." * 29,
    "wink": "#" * 26 + "....",
    "flicker": "#.",
} | {f"blink {n}": "##..." * n + _PAUSE for n in range(1, 7)}

PATTERN_NAMES_KO = {
    "off": "꺼짐",
    "on": "켜짐",
    "slow": "느린 점멸",
    "fast": "빠른 점멸",
    "flash": "가끔 반짝임",
    "wink": "켜져 있다가 가끔 꺼짐",
    "flicker": "매우 빠른 점멸",
} | {f"blink {n}": f"{n}번 깜박임" for n in range(1, 7)}


@dataclass(frozen=True, slots=True)
class Led:
    label: str
    colour_ko: str
    colour_en: str


# In their order on the front, from the left, after POWER, which is wired to the supply.
LEDS = {
    "run": Led("RUN", "녹색", "green"),
    "call": Led("CALL", "청색", "blue"),
    "fault": Led("FAULT", "적색", "red"),
}


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition of the unit, shown by RUN and FAULT. `records`: whether calls are recorded in it."""

    run: str
    fault: str
    ko: str
    en: str

    @property
    def records(self) -> bool:
        return self.run in ("on", "wink")


@dataclass(frozen=True, slots=True)
class Activity:
    """An activity of the lines, shown by CALL: the most important one of all lines."""

    call: str
    ko: str
    en: str


# The worst first: the first of several is shown, and after its repair the next.
CONDITIONS = {
    "panel_dead": Condition(
        "off",
        "off",
        "셋 다 꺼짐: panel 서비스가 멈췄습니다. 설정과 로그를 확인하십시오.",
        "All dark: the panel does not run; see configuration and log.",
    ),
    "pull": Condition(
        "flash", "flash", "디스크를 뽑아도 됩니다. 녹음되지 않습니다.", "The disk may be removed; nothing is recorded."
    ),
    "removing": Condition(
        "slow", "slow", "디스크를 뽑을 준비 중입니다. 기다리십시오.", "The disk is being prepared for removal; wait."
    ),
    "adopt_seek": Condition("fast", "off", "새 기기: 데스크를 찾고 있습니다.", "New: looking for the desk."),
    "adopt_code": Condition(
        "flash",
        "off",
        "새 기기: CALL이 번호 7자리를 셉니다. 데스크에 알리십시오.",
        "New: CALL counts seven digits; read them to the desk.",
    ),
    "adopt_confirmed": Condition(
        "fast",
        "wink",
        "새 기기: 데스크에서 설정을 받고 있습니다. 기다리십시오.",
        "New: the desk's configuration is coming; wait.",
    ),
    "config_wrong": Condition(
        "off", "fast", "설정이 잘못되었습니다. 로그를 확인하십시오.", "The configuration is wrong; see the log."
    ),
    "nothing_runs": Condition(
        "off", "on", "세 서비스가 모두 멈췄습니다. 녹음되지 않습니다.", "No service runs; nothing is recorded."
    ),
    "capture_dead": Condition(
        "off", "blink 1", "capture 서비스가 멈췄습니다. 녹음되지 않습니다.", "capture is dead; nothing is recorded."
    ),
    "recorder_dead": Condition(
        "off", "blink 2", "recorder 서비스가 멈췄습니다. 녹음되지 않습니다.", "recorder is dead; nothing is recorded."
    ),
    "codec_stalled": Condition(
        "off", "blink 4", "코덱에서 소리가 들어오지 않습니다.", "The codec delivers no audio; calls are not recorded."
    ),
    "disk_full": Condition(
        "off", "blink 5", "저장 공간이 없어 녹음하지 않습니다.", "The disk is full; calls are not recorded."
    ),
    "not_recording": Condition(
        "off", "blink 6", "장애로 녹음하지 않습니다. 로그를 확인하십시오.", "Calls are not recorded; see the log."
    ),
    "state_unwritten": Condition(
        "off",
        "blink 3",
        "서비스가 상태를 알리지 못합니다. 녹음 여부를 알 수 없습니다.",
        "A service cannot report whether it records.",
    ),
    "starting": Condition("slow", "off", "시작하는 중입니다.", "Starting."),
    "data_lost": Condition(
        "on",
        "fast",
        "데이터 디스크를 쓸 수 없습니다. 전원을 끄지 마십시오.",
        "No data disk: calls are kept in RAM; leave the power on.",
    ),
    "reporter_dead": Condition(
        "on", "blink 3", "reporter 서비스가 멈췄습니다. 녹음은 계속됩니다.", "reporter is dead; recording goes on."
    ),
    "removal_failed": Condition(
        "on",
        "blink 1",
        "디스크를 뽑을 수 없습니다. 녹음은 계속됩니다.",
        "The disk cannot be removed; recording goes on.",
    ),
    "line_fault": Condition(
        "on", "slow", "회선에 장애가 있습니다. 다른 회선은 녹음됩니다.", "A line is at fault; the others are recorded."
    ),
    "unit_opened": Condition(
        "on", "blink 5", "기기의 뚜껑이 열려 있습니다. 녹음은 계속됩니다.", "The housing is open; recording goes on."
    ),
    "meter_absent": Condition(
        "on",
        "blink 4",
        "회선 계측기가 응답하지 않습니다. 진행 중인 통화만 녹음됩니다.",
        "No line meter: only calls in progress are recorded.",
    ),
    "unit_check": Condition(
        "on",
        "blink 2",
        "기기 점검이 필요합니다(전원, 온도, 디스크, 키, 시계). 녹음은 계속됩니다.",
        "Check supply, heat, disk, key, clock; recording goes on.",
    ),
    "disk_forecast": Condition(
        "on",
        "blink 6",
        "보존 기간 안에 저장 공간이 찹니다. 녹음은 계속됩니다.",
        "The disk fills up before old calls expire; recording goes on.",
    ),
    "line_check": Condition(
        "on", "flash", "점검할 회선이 있습니다. 녹음은 계속됩니다.", "A line needs attention; recording goes on."
    ),
    "desk_check": Condition(  # not steady: during a call the end of the lamp test would be invisible
        "on",
        "wink",
        "데스크가 조치할 장애가 있습니다. 녹음은 계속됩니다.",
        "A fault that the desk must act on; recording goes on.",
    ),
    "broker_unreachable": Condition(
        "wink", "off", "서버에 연결되지 않습니다. 녹음은 계속됩니다.", "The broker is unreachable; recording goes on."
    ),
    "ok": Condition(
        "on", "off", "정상입니다. 이 기기에서 할 일이 없습니다.", "All is well: nothing to be done at this unit."
    ),
}

# In a walk test CALL shows only the test, RUN and FAULT the unit as usual: first the required action, then briefly the
# result of a line, at the end the worst result of all.
WALK = {
    "walk_lift": Activity("blink 1", "회선 시험: 다음 회선의 수화기를 드십시오", "walk test: lift the next line"),
    "walk_dial": Activity("blink 2", "회선 시험: 1을 한 번 누르십시오", "walk test: press 1, once"),
    "walk_down": Activity("blink 3", "회선 시험: 말하고 내려놓으십시오", "walk test: say a few words, hang up"),
    "walk_green": Activity("blink 4", "회선 시험: 정상", "walk test: the line is good"),
    "walk_yellow": Activity("blink 5", "회선 시험: 점검 필요", "walk test: the line needs attention"),
    "walk_red": Activity("blink 6", "회선 시험: 불합격", "walk test: the line has failed"),
    "walk_wait": Activity("wink", "회선 시험: 기다리십시오", "walk test: wait"),
}

ACTIVITIES = {
    "recording": Activity("on", "녹음 중", "recording"),
    "notice": Activity("slow", "안내 방송 중", "a notice is playing"),
    "ringing": Activity("fast", "호출 중", "ringing or dialling"),
    "off_hook": Activity("flash", "통화 중, 녹음 안 함", "in use, not recorded"),
    "idle": Activity("off", "대기 중", "idle"),
} | WALK

# State of a line -> activity.
LINE_ACTIVITIES: dict[LineStatus, str] = {
    "recording": "recording", "notice": "notice", "ringing": "ringing", "dialling": "ringing", "off_hook": "off_hook",
}  # fmt: skip

# For a person who looks for this unit: all LEDs flicker together for a second, then show their usual patterns for five,
# so that no fault is hidden for longer. Five, because the longest blink code takes 4.4.
IDENTIFY = "identify"
IDENTIFY_PATTERN = "flicker"
IDENTIFY_MS, BETWEEN_MS = 1000, 5000
IDENTIFY_KO = "데스크가 이 기기를 찾고 있습니다. 저절로 끝납니다."
IDENTIFY_EN = "The desk is looking for this unit; it ends by itself."

# FAULT after a press of the button: still lit, without blinking. A new fault blinks again.
CALM_PATTERN = "wink"
CALM_KO = "단추로 확인한 장애가 남아 있습니다. 새 장애는 다시 깜박입니다."
CALM_EN = "the faults were acknowledged; a new one blinks again."

# A number on CALL, digit by digit: the site's, or the six of a new unit with their check digit, repeated after a longer
# dark.
NUMBER_DARK = "." * 10  # around the number, and between two digits
NUMBER_PAUSE = "." * 30
_DIGIT_BLINK, _DIGIT_ZERO = "###..", "#" * 20

# The button, by the length of the press. All LEDs are lit for the first three seconds; from the tenth all blink slowly.
BUTTON = (
    ("짧게: 장애 확인, CALL이 현장 번호를 셉니다.", "short: acknowledges, and CALL counts the site number."),
    (
        "3초: 회선 시험 시작·종료. 새 기기: 데스크가 번호가 맞다고 할 때.",
        "3 s: walk test; on a new unit: when the desk says right.",
    ),
    ("10초: 디스크를 뽑을 준비를 합니다.", "10 s: prepares the disk for removal."),
)
RELEASE_PATTERN = "slow"


def shown_conditions(leds: Iterable[str], starting: bool = False) -> tuple[str, ...]:
    """The conditions of the standing findings, for panel and desk; the worst, which is shown, first. `starting`: a
    service has not reported yet.
    """
    stand = {*leds, *(["starting"] if starting else [])}
    return tuple(name for name in CONDITIONS if name in stand and name != "ok") or ("ok",)


def activity_of(condition: str, doing: Iterable[LineStatus]) -> str:
    """The most important activity of the lines. A dead panel has none."""
    if condition == "panel_dead":
        return "idle"
    shown = {LINE_ACTIVITIES[state] for state in doing if state in LINE_ACTIVITIES}
    return next((name for name in ACTIVITIES if name in shown), "idle")


def lit(pattern: str, since_ms: int) -> bool:
    """Whether an LED is lit `since_ms` after its pattern began."""
    steps = PATTERNS[pattern]
    return steps[since_ms // STEP_MS % len(steps)] == "#"


def number_pattern(number: int | str) -> str:
    """One character a step, # for lit: as many blinks as the digit's value, a long light for zero."""
    digits = [_DIGIT_ZERO if digit == "0" else _DIGIT_BLINK * int(digit) for digit in str(number)]
    return NUMBER_DARK + NUMBER_DARK.join(digits) + NUMBER_DARK


def draw(leds: dict[str, bool]) -> str:
    """The LEDs' present state as plain text: `● RUN  ○ CALL  ○ FAULT`."""
    return "  ".join(f"{'●' if leds.get(name, False) else '○'} {led.label}" for name, led in LEDS.items())


SIGNS: dict[LineStatus, tuple[str, str]] = {
    "idle": ("·", "dim"),
    "ringing": ("∿", "yellow"),
    "dialling": ("#", "yellow"),
    "notice": ("♪", "cyan"),
    "recording": ("●", "bold green"),
    "off_hook": ("/", "magenta"),
    "fault": ("!", "bold red"),
}
