# SPDX-License-Identifier: Apache-2.0
"""The printed legend: a label for the unit's lid (SVG), the manual's page, and plain text for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from itertools import groupby

from linetap.config.schema import Panel, percent_at
from linetap.panel.button import WALK_MS, meaning
from linetap_core.wire.alerts import ALERTS
from linetap_core.wire.legend import (
    ACTIVITIES,
    BETWEEN_MS,
    BUTTON,
    CALM_EN,
    CALM_KO,
    CALM_PATTERN,
    CONDITIONS,
    IDENTIFY,
    IDENTIFY_EN,
    IDENTIFY_KO,
    IDENTIFY_MS,
    IDENTIFY_PATTERN,
    LEDS,
    PATTERN_NAMES_KO,
    PATTERNS,
    RELEASE_PATTERN,
    STEP_MS,
    lit,
)
from linetap_core.zones import local_time, zone_of

WIDTH_MM = 158
_SHOWN_MS = 3000  # the duration of the longest pattern
_BAR_MM = 15.0
_ROW_MM = 4.05
_TOP_MM = 13.0
_CALLS_MM = _TOP_MM + len(CONDITIONS) * _ROW_MM + 1.5
_NOTES = (
    f"FAULT {PATTERN_NAMES_KO[CALM_PATTERN]}: {CALM_KO}",
    f"FAULT {CALM_PATTERN}: {CALM_EN}",
    f"셋 다 함께 {PATTERN_NAMES_KO[IDENTIFY_PATTERN]}: {IDENTIFY_KO}",
    f"all three {IDENTIFY_PATTERN} together: {IDENTIFY_EN}",
    *(f"단추 {ko} / button, {en}" for ko, en in BUTTON),
)
_NOTE_MM = 3.2
_DANGER_KO = "벨이 울릴 때 내부에 최대 약 270 V. 자격을 갖춘 사람만 여십시오. 승인받지 않은 장치입니다."
_DANGER_EN = "Up to about 270 V inside while a line rings: qualified persons only. Not approved."
HEIGHT_MM = _CALLS_MM + len(ACTIVITIES) * _ROW_MM + 2.6 + len(_NOTES) * _NOTE_MM
_COLOURS = {
    "run": "#00843d",
    "call": "#0057b8",
    "fault": "#c8102e",
}  # like the LEDs; colour has no separate meaning


def svg() -> str:
    """Returns the SVG file. A pattern is drawn over three seconds; filled is lit."""
    rows = "".join(_rows())
    first = HEIGHT_MM - 2.8 - (len(_NOTES) - 1) * _NOTE_MM
    notes = "".join(_text(4, first + n * _NOTE_MM, note, 2.1) for n, note in enumerate(_NOTES))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH_MM}mm" height="{HEIGHT_MM:g}mm" '
        f'viewBox="0 0 {WIDTH_MM} {HEIGHT_MM:g}" font-family="Noto Sans KR, Noto Sans CJK KR, sans-serif">\n'
        f'<rect width="{WIDTH_MM}" height="{HEIGHT_MM:g}" fill="white"/>\n'
        f"{_text(4, 6.5, 'linetap', 4.2, bold=True)}"
        f"{_text(22, 6.5, '통화 녹음 장치 / telephone recorder', 2.6)}"
        f"{_text(75, 4.6, _DANGER_KO, 2.0, bold=True)}{_text(75, 8.0, _DANGER_EN, 1.9, bold=True)}"
        f"{_heads()}{rows}"
        f"{notes}</svg>\n"
    )


def page() -> str:
    """Returns the legend in Markdown, for docs/closet.md."""
    lamps = ", ".join(f"{led.label} ({led.colour_ko} / {led.colour_en})" for led in LEDS.values())
    lines = [f"**{_DANGER_KO}**", "", f"**{_DANGER_EN}**", "", lamps, "", "| RUN | FAULT | | |", "|---|---|---|---|"]
    lines += [f"| {_named(it.run)} | {_named(it.fault)} | {it.ko} | {it.en} |" for it in CONDITIONS.values()]
    lines += ["", "| CALL | | |", "|---|---|---|"]
    lines += [f"| {_named(it.call)} | {it.ko} | {it.en} |" for it in ACTIVITIES.values()]
    return "\n".join([*lines, *(line for note in _NOTES for line in ("", note)), ""])


def _heads() -> str:
    return "".join(
        _text(x, _TOP_MM - 2.2, f"{LEDS[name].label} {LEDS[name].colour_ko} / {LEDS[name].colour_en}", 2.0, bold=True)
        for name, x in (("run", 4.0), ("fault", 23.0))
    )


def _rows() -> Iterator[str]:
    y = _TOP_MM
    for state in CONDITIONS.values():
        yield _bar("run", state.run, 4, y) + _bar("fault", state.fault, 23, y) + _meaning(state.ko, state.en, y)
        y += _ROW_MM
    y = _CALLS_MM
    call = LEDS["call"]
    yield _text(23, y + 2.1, f"{call.label} {call.colour_ko} / {call.colour_en}", 2.0, bold=True)
    for activity in ACTIVITIES.values():
        yield _bar("call", activity.call, 4, y) + _meaning(activity.ko, activity.en, y)
        y += _ROW_MM


def _bar(led: str, pattern: str, x: float, y: float) -> str:
    """Returns a frame with the lit stretches of a pattern. A counted pattern is drawn once, with its number."""
    steps = _SHOWN_MS // STEP_MS
    width = _BAR_MM / steps
    _, _, times = pattern.partition("blink ")
    on = [lit(pattern, step * STEP_MS) for step in range(len(PATTERNS[pattern]) if times else steps)]
    drawn = [_rectangle(x, y, _BAR_MM, 'none" stroke="#888" stroke-width="0.1')]
    step = 0
    for is_lit, stretch in groupby(on):
        length = len(list(stretch))
        if is_lit:
            drawn.append(_rectangle(x + step * width, y, length * width, _COLOURS[led]))
        step += length
    if times:
        drawn.append(_text(x + _BAR_MM + 0.4, y + 2.1, f"{times}x", 1.9))
    return "".join(drawn)


def _rectangle(x: float, y: float, width: float, fill: str) -> str:
    return f'<rect x="{x:.2f}" y="{y:.2f}" width="{width:.2f}" height="2.6" fill="{fill}"/>\n'


def _meaning(ko: str, en: str, y: float) -> str:
    return _text(42, y + 2.1, ko, 2.1) + _text(94, y + 2.1, en, 1.9)


def _text(x: float, y: float, text: str, size: float, bold: bool = False) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return f'<text x="{x:g}" y="{y:.2f}" font-size="{size:g}"{weight}>{escape(text)}</text>\n'


def _named(pattern: str) -> str:
    return f"{PATTERN_NAMES_KO[pattern]} / {pattern}"


# --- Plain text -------------------------------------------------------------------------------------------------------


def table() -> str:
    """Returns the legend as text in Korean and English. Each state is followed by its alert codes; those below `ok` are
    for the desk, and no LED shows them.
    """
    rows = [f"{led.label}: {led.colour_ko} / {led.colour_en}" for led in LEDS.values()]
    for name, state in CONDITIONS.items():
        rows.append(f"RUN {_both(state.run)}  FAULT {_both(state.fault)}  {name}: {state.ko} / {state.en}")
        shows = (code for code, kind in ALERTS.items() if name in (kind.led, kind.led_of_warning) and code != name)
        if codes := ", ".join(shows):
            rows.append(f"    {codes}")
    for name, activity in ACTIVITIES.items():
        rows.append(f"CALL {_both(activity.call)}  {name}: {activity.ko} / {activity.en}")
    rows.append(f"RUN CALL FAULT {_both(IDENTIFY_PATTERN)}  {IDENTIFY}: {IDENTIFY_KO} / {IDENTIFY_EN}")
    rows.append(f"FAULT {_both(CALM_PATTERN)}: {CALM_KO} / {CALM_EN}")
    rows += [f"{ko} / {en}" for ko, en in BUTTON]
    return "\n".join(rows)


def _both(pattern: str) -> str:
    return f"[{PATTERN_NAMES_KO[pattern]} / {pattern}]"


# ----------------------------------------------------------------------------------------------------------------------
# Patterns as lit or dark: the lamp test, the flicker of a unit that is being identified, and the brightness.


LAMP_TEST_MS = WALK_MS  # a stuck button must not hide a fault for longer


class Blinker:
    """The blinking, with the start of each LED's pattern, so that a pattern is always shown from its start."""

    def __init__(self) -> None:
        self._began: dict[str, tuple[str, int]] = {}
        self._identify_ms: int | None = None

    def leds(
        self, patterns: Mapping[str, str], now_ms: int, held_ms: int | None = None, identify: bool = False
    ) -> dict[str, bool]:
        """Returns the present state of each LED, lit or dark.

        All are lit while the button is pressed (for `held_ms` so far), at most for LAMP_TEST_MS. All blink slowly while
        a release would prepare the removal. All flicker together for one second in six while `identify`.
        """
        flickers = self._flickers(now_ms, identify)
        for name, pattern in (dict.fromkeys(patterns, IDENTIFY_PATTERN) if flickers else patterns).items():
            if name not in self._began or self._began[name][0] != pattern:
                self._began[name] = (pattern, now_ms)
        if held_ms is not None and held_ms < LAMP_TEST_MS:
            return dict.fromkeys(patterns, True)
        if held_ms is not None and meaning(held_ms) == "removal":
            return dict.fromkeys(patterns, lit(RELEASE_PATTERN, held_ms))
        return {name: lit(pattern, now_ms - began) for name, (pattern, began) in self._began.items()}

    def _flickers(self, now_ms: int, identify: bool) -> bool:
        if not identify:
            self._identify_ms = None
            return False
        if self._identify_ms is None:
            self._identify_ms = now_ms
        return (now_ms - self._identify_ms) % (IDENTIFY_MS + BETWEEN_MS) < IDENTIFY_MS


# --- Brightness -------------------------------------------------------------------------------------------------------


class Night:
    """The dimming of the LEDs by night, for closets with a window."""

    def __init__(self, panel: Panel, zone: str) -> None:
        """`zone`: the time zone of the hours in `panel`."""
        self._panel, self._zone = panel, zone_of(zone)

    def percent(self, utc_ns: int) -> int:
        """The percentage of full brightness."""
        now = local_time(utc_ns, self._zone)
        return percent_at(self._panel, now.hour * 60 + now.minute)
