# SPDX-License-Identifier: Apache-2.0
"""What the fleet's pages are made of beside the pictures: words of states, the legend, the order on the page."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

from linetap_core.clock import from_utc_ns, parse_rfc3339
from linetap_core.records import LineStatus
from linetap_core.wire.legend import ACTIVITIES, CONDITIONS, LEDS, PATTERN_NAMES_KO, PATTERNS, SIGNS
from linetap_desk.serve.text import N_, Language
from linetap_desk.watch.places import floor_order
from linetap_desk.watch.units import STANDINGS, Standing

STANDING_WORDS: dict[Standing, str] = {
    "fault": N_("At fault"),
    "unheard": N_("Never heard"),
    "offline": N_("Offline"),
    "late": N_("Late"),
    "warning": N_("Wants a look"),
    "fine": N_("Fine"),
}
STANDING_MEANS: dict[Standing, str] = {
    "fault": N_("it says itself that it does not record as it should"),
    "unheard": N_("it stands in the register, and the broker has nothing of it"),
    "offline": N_("it has gone, or its connection has ended"),
    "late": N_("it is said to be there, and its reports do not come"),
    "warning": N_("it records, and says that something wants a look"),
    "fine": N_("it reports, and nothing is wrong"),
}
LINE_WORDS: dict[LineStatus, str] = {
    "idle": N_("free"),
    "ringing": N_("ringing"),
    "dialling": N_("dialling"),
    "notice": N_("notice is playing"),
    "recording": N_("recording"),
    "off_hook": N_("in use, not recorded"),
    "fault": N_("at fault"),
}
# What the script says by itself.
SCRIPT_WORDS = {
    "live": N_("Live: the desk has all that the broker has, since {since}."),
    "stale": N_("Stale since {since}: the desk has no connection to the broker ({why}). What is below was so then."),
    "reading": N_("Stale since {since}: the desk is connected and reads what the broker has."),
    "lost": N_("This page has had no word from the desk since {since}. What is below was so then."),
    "paused": N_("Updates are paused since {since}. What is below was so then."),
    "over": N_("The session has ended or is locked. Load the page anew."),
    "pause": N_("Pause updates"),
    "resume": N_("Go on with updates"),
    "summary": N_("{units} units: {parts}. {calls} calls in progress."),
    "not_shown": N_("Beyond the desk's bounds and not shown: {n} messages."),
    "bad": N_("Not readable and not shown: {n} messages."),
    "times": N_("Times are in {zone} ({name}); those of lines and alerts are by the unit's clock."),
    "unknown": N_("What its LEDs show is not known."),
    "days": N_("Disk: full in {n} days"),
    "more": N_("and {n} more alerts"),
    "line": N_("Line {n}"),
    "nowhere": N_("Without a building"),
    "floor": N_("floor {n}"),
    "heard": N_("last heard {when}"),
    "call": N_("the call"),
    "gone": N_("This unit is not at the broker any more."),
}


def words(gettext: Callable[[str], str], language: Language) -> dict[str, Any]:
    """For templates and script alike; `leds`: state of the legend -> what it says, and the LEDs' patterns."""
    patterns = {name: PATTERN_NAMES_KO[name] if language == "ko" else name for name in PATTERNS}
    return {
        "standings": {name: gettext(STANDING_WORDS[name]) for name in STANDINGS},
        "states": {name: {"sign": SIGNS[name][0], "word": gettext(word)} for name, word in LINE_WORDS.items()},
        "conditions": {
            name: {"says": getattr(one, language), "run": one.run, "fault": one.fault}
            for name, one in CONDITIONS.items()
        },
        "activities": {name: {"says": getattr(one, language), "call": one.call} for name, one in ACTIVITIES.items()},
        "patterns": patterns,
        "says": {name: gettext(text) for name, text in SCRIPT_WORDS.items()},
    }


LED_LABELS = {name: led.label for name, led in LEDS.items()}


def buildings(units: list[dict[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
    """Each with its units, floor by floor; those without a building last."""
    found: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for unit in units:
        found[unit["building"]].append(unit)
    for inside in found.values():
        inside.sort(key=lambda unit: (floor_order(unit["floor"]), unit["unit"]))
    return sorted(found.items(), key=lambda one: (one[0] == "", one[0]))


def counts(units: list[dict[str, Any]]) -> dict[Standing, int]:
    found = Counter(unit["standing"] for unit in units)
    return {standing: found[standing] for standing in STANDINGS}


def fits(unit: dict[str, Any], text: str, standing: str) -> bool:
    """As the script has it in `fits`."""
    said = (unit["unit"], unit["building"], unit["floor"], *(alert["text"] for alert in unit["alerts"]))
    wanted = unit["calls"] > 0 if standing == "calls" else standing in ("", unit["standing"])
    return wanted and text.casefold() in " ".join(said).casefold()


def moment(text: str, zone: ZoneInfo) -> str:
    """A unit's own time in the desk's zone; as it says it where it is none."""
    try:
        return from_utc_ns(parse_rfc3339(text)).astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return text
