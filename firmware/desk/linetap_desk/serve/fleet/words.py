# SPDX-License-Identifier: Apache-2.0
"""The words of the fleet's pages, for templates and script, and the format of times and durations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

from linetap_core.clock import NS_PER_S, S_PER_DAY, parse_rfc3339
from linetap_core.records import LineRelease, LineStatus
from linetap_core.wire.legend import ACTIVITIES, CONDITIONS, LEDS, PATTERN_NAMES_KO, PATTERNS, SIGNS
from linetap_core.zones import local_time
from linetap_desk.watch.units import STANDINGS, Standing
from linetap_desk.web.text import N_, Language

STANDING_WORDS: dict[Standing, str] = {
    "fault": N_("Faulty"),
    "unheard": N_("Never connected"),
    "offline": N_("Offline"),
    "late": N_("Late"),
    "warning": N_("Needs attention"),
    "fine": N_("Normal"),
}
STANDING_MEANS: dict[Standing, str] = {
    "fault": N_("it reports that it does not record as it should"),
    "unheard": N_("it is in the register, and the broker has nothing from it"),
    "offline": N_("it is off, or its connection has ended"),
    "late": N_("the broker calls it connected, but its reports do not arrive"),
    "warning": N_("it records, and reports something that needs attention"),
    "fine": N_("it reports, and nothing is wrong"),
}
LINE_WORDS: dict[LineStatus, str] = {
    "idle": N_("free"),
    "ringing": N_("ringing"),
    "dialling": N_("dialling"),
    "notice": N_("notice is playing"),
    "recording": N_("recording"),
    "off_hook": N_("in use, not recorded"),
    "fault": N_("faulty"),
}
# For lines whose calls the unit does not end by itself.
RELEASE_WORDS: dict[LineRelease, str] = {
    "no_contact": N_("staff end calls: no contact on the card"),
    "staff": N_("staff end calls: set so in the configuration"),
    "exchange": N_("staff end calls: the exchange does not release the line in time"),
}
UNKNOWN_LINE = N_("not known: the unit is away")
# Texts used by the script.
SCRIPT_WORDS = {
    "live": N_("Live since {since}: the desk has everything that the broker has."),
    "stale": N_(
        "Out of date since {since}: the desk has no connection to the broker ({why}). The state below is from that "
        "time."
    ),
    "reading": N_("Out of date since {since}: the desk is connected and is reading the broker's messages."),
    "lost": N_("This page has received nothing from the desk since {since}. The state below is from that time."),
    "paused": N_("Updates paused at {since}. The state below is from that time."),
    "over": N_("The session has ended or is locked. Reload the page."),
    "pause": N_("Pause updates"),
    "resume": N_("Resume updates"),
    "sound_on": N_("Sound is on"),
    "sound_off": N_("Sound is off"),
    "sound_waits": N_("Sound: click to allow it"),
    "summary": N_("{units} units: {parts}. {calls} calls in progress."),
    "nothing_wrong": N_("Nothing is wrong."),
    "not_shown": N_("Not shown because a limit of the desk was reached: {n} messages."),
    "bad": N_("Not readable and not shown: {n} messages."),
    "times": N_("Times are in {zone} ({name}); those of lines and alerts are by the unit's clock."),
    "unknown": N_("The state of its LEDs is not known."),
    "days": N_("Disk: full in {n} days"),
    "more": N_("and {n} more alerts"),
    "line": N_("Line {n}"),
    "nowhere": N_("Without a building"),
    "floor": N_("floor {n}"),
    "began": N_("since {when} ({long})"),
    "began_unknown": N_("since before the desk's first check"),
    "heard": N_("last report {when}"),
    "unheard": N_("last report not known"),
    "acknowledge": N_("Acknowledge"),
    "acknowledge_all": N_("Acknowledge all of them"),
    "seen": N_("Acknowledged by {by}, {when}"),
    "note": N_("Note, {when}, {by}: {text}"),
    "nobody": N_("nobody is named (places.toml)"),
    "call": N_("the call"),
    "gone": N_("The broker has nothing from this unit any more."),
    "seconds": N_("less than a minute"),
    "minutes": N_("{m} min"),
    "hours": N_("{h} h {m} min"),
    "long_days": N_("{d} d {h} h"),
}
LED_LABELS = {name: led.label for name, led in LEDS.items()}


def fleet_words(gettext: Callable[[str], str], language: Language) -> dict[str, Any]:
    """The words. `conditions`, `activities`: state of the legend -> its text, and the LEDs' patterns."""
    patterns = {name: PATTERN_NAMES_KO[name] if language == "ko" else name for name in PATTERNS}
    states = {name: {"sign": SIGNS[name][0], "word": gettext(word)} for name, word in LINE_WORDS.items()}
    return {
        "standings": {name: gettext(STANDING_WORDS[name]) for name in STANDINGS},
        "states": {**states, "unknown": {"sign": "?", "word": gettext(UNKNOWN_LINE)}},
        "conditions": {
            name: {"says": getattr(one, language), "run": one.run, "fault": one.fault}
            for name, one in CONDITIONS.items()
        },
        "activities": {name: {"says": getattr(one, language), "call": one.call} for name, one in ACTIVITIES.items()},
        "patterns": patterns,
        "releases": {name: gettext(text) for name, text in RELEASE_WORDS.items()},
        "says": {name: gettext(text) for name, text in SCRIPT_WORDS.items()},
    }


def local_moment(text: str, zone: ZoneInfo) -> str:
    """A unit's time in the desk's zone; any other text unchanged."""
    try:
        return local_time(parse_rfc3339(text), zone).strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return text


def short_moment(text: str, zone: ZoneInfo, now_ns: int) -> str:
    """A time without seconds and without today's date, for a wall display. Same as `shortly` in the script."""
    whole, today = local_moment(text, zone), local_time(now_ns, zone).strftime("%Y-%m-%d")
    if whole == text:
        return text
    return whole[11:16] if whole[:10] == today else whole[5:16]


def length(says: dict[str, str], s: int) -> str:
    """A duration: `3 h 12 min`. Same as `lasted` in the script."""
    m, h, d = s // 60, s // 3600, s // S_PER_DAY
    if m < 1:
        return says["seconds"]
    if h < 1:
        return says["minutes"].format(m=m)
    if d < 1:
        return says["hours"].format(h=h, m=m % 60)
    return says["long_days"].format(d=d, h=h % 24)


def since(says: dict[str, str], text: str, zone: ZoneInfo, now_ns: int) -> str:
    """The time and the duration since then; no duration for an invalid or future time."""
    if not text:
        return says["began_unknown"]
    try:
        s = (now_ns - parse_rfc3339(text)) // NS_PER_S
    except ValueError:
        s = -1
    return says["began"].format(when=short_moment(text, zone, now_ns), long=length(says, s) if s >= 0 else "?")
