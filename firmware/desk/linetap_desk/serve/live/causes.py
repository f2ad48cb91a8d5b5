# SPDX-License-Identifier: Apache-2.0
"""Guesses the cause of a unit's fault: from its own alerts, from how its connection ended, and from the other units
that are away. The text says that it is a guess: the desk sees neither the power supply nor the switch.

| code | the reason for the guess |
|---|---|
| `reported` | the unit reports it: its worst alert |
| `certificate` | it had reported the end of its certificate before its connection ended |
| `power` | it had reported under-voltage, or that its card's supply failed, before its connection ended |
| `broker` | half of all units, at least three and in more than one building, were lost within two minutes |
| `bridge` | at least three units of a building are connected and silent |
| `switch` | at least two units of one switch are away, and none of it is there |
| `building` | at least three units of a building are away, and none of it is there |
| `floor` | the same for a floor, at least two units, where no switch is configured |
| `stopped` | it signed off: it was shut down, restarted, or updated |
| `cut` | its connection ended without signing off, and its neighbours are there: its supply, or its switch port |
| `gone` | it was already away when the desk started: how its connection ended is not known |
| `hangs` | it is connected and silent, alone |
| `never` | the broker has no message of it |
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from linetap_core.clock import NS_PER_S
from linetap_core.wire.alerts import Contact, contact_of
from linetap_desk.watch.places import Place
from linetap_desk.watch.units import Alert, Standing, Unit
from linetap_desk.web.text import N_

Code = Literal[
    "reported", "certificate", "power", "broker", "bridge", "switch", "building", "floor", "stopped", "cut", "gone",
    "hangs", "never",
]  # fmt: skip
SHARED: frozenset[Code] = frozenset({"broker", "bridge", "switch", "building", "floor"})
TOGETHER_NS = 120 * NS_PER_S
LEAST_FLEET, LEAST_BUILDING, LEAST_FLOOR = 3, 3, 2

# code -> the probable cause, and the remedy.
CAUSES: dict[Code, tuple[str, str]] = {
    "certificate": (
        N_("Probably its certificate has ended: it had reported that before."),
        N_("Give it a new certificate (docs/operations.md, certificates)."),
    ),
    "power": (
        N_("Probably its power supply: it had reported so before."),
        N_("Check its supply and the socket; replace the supply."),
    ),
    "broker": (
        N_("Probably the broker or the central network: {n} units are away together."),
        N_("Check the broker and its network first; the units report again by themselves."),
    ),
    "bridge": (
        N_("Probably the building's broker or bridge: {n} units are connected and silent."),
        N_("Check the first broker on the way at which nothing arrives, and restart it."),
    ),
    "switch": (
        N_("Probably the switch {where} or its supply: all {n} of its units are away."),
        N_("Check the switch, its supply and its uplink."),
    ),
    "building": (
        N_("Probably the supply or the uplink of {where}: all {n} of its units are away."),
        N_("Ask on site for the power, then check the building's uplink."),
    ),
    "floor": (
        N_("Probably the switch or the supply of this floor ({where}): all {n} of its units are away."),
        N_("Check the floor's switch, its supply and its uplink."),
    ),
    "stopped": (
        N_("It ended its connection itself: shut down, restarted or updated."),
        N_("If it is not back after 5 minutes, see whether it was switched off."),
    ),
    "cut": (
        N_("Probably its supply, its network cable or its switch port{where}: it vanished, its neighbours did not."),
        N_("In the closet: is POWER lit? If not, its supply; if it is, cable and switch port."),
    ),
    "gone": (
        N_("It was gone before the desk first checked: its supply, its network cable or its switch port{where}."),
        N_("In the closet: is POWER lit? If not, its supply; if it is, cable and switch port."),
    ),
    "hangs": (
        N_("It is connected and sends no report: it hangs, or its connection only seems to stand."),
        N_("Wait 2 minutes. If it stays so, restart it while no line is in use."),
    ),
    "never": (
        N_("It has never connected: not installed yet, or its certificate or network settings are wrong."),
        N_("Finish its installation; its LEDs tell how far it is."),
    ),
}  # fmt: skip
_CONTACTS: dict[Code, tuple[Contact, ...]] = {
    "power": ("power",), "building": ("power", "network"), "broker": ("network",), "bridge": ("network",),
    "switch": ("network",), "floor": ("network", "power"), "cut": ("power", "network"), "gone": ("power", "network"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Cause:
    """A probable cause. `alert`: of `reported`. `where`: a switch, a floor or a building; empty: none. `n`: units."""

    code: Code
    contact: str
    where: str = ""
    n: int = 0
    alert: Alert | None = None

    def group(self, place: Place) -> str:
        """The key of a fault that units share and that is acknowledged for all of them; empty for a unit's own
        fault."""
        if self.code not in SHARED:
            return ""
        return "\t".join((self.code, place.building if self.code == "floor" else "", self.where))


@dataclass(frozen=True, slots=True)
class PlacedUnit:
    """A unit with its place and its present standing."""

    unit: Unit
    place: Place
    standing: Standing

    @property
    def is_offline(self) -> bool:
        return self.standing == "offline"

    @property
    def is_away(self) -> bool:
        return self.standing in ("offline", "late")


class Neighbours:
    """All units, grouped by shared building, switch and floor."""

    def __init__(self, units: Iterable[PlacedUnit]) -> None:
        self._all = [one for one in units if one.standing != "unheard"]
        self._of: defaultdict[tuple[str, ...], list[PlacedUnit]] = defaultdict(list)
        for one in self._all:
            place = one.place
            if place.switch:
                self._of["switch", place.switch].append(one)
            if place.building:
                self._of["building", place.building].append(one)
                self._of["floor", place.building, place.floor].append(one)
        gone = sorted(one.unit.left_ns for one in self._all if one.is_offline and one.unit.left_ns is not None)
        self._together = _most_within(gone, TOGETHER_NS)
        there = {one.place.building for one in self._all}
        self._in_one_building = len({one.place.building for one in self._all if one.is_offline}) == 1 < len(there)

    def cause(self, one: PlacedUnit) -> Cause | None:
        """The probable cause; None if the unit has no fault."""
        if one.standing == "fine":
            return None
        if one.standing in ("fault", "warning"):
            check, alert = min(one.unit.alerts.items(), key=worst_first)
            return Cause("reported", one.place.contact_for(contact_of(check)), alert=alert)
        code, where, n = self._guess(one)
        return Cause(code, " / ".join(_contacts(one.place, code)), where, n)

    def _guess(self, one: PlacedUnit) -> tuple[Code, str, int]:
        if one.standing == "unheard":
            return "never", "", 0
        if one.standing == "late":
            late = [other for other in self._of["building", one.place.building] if other.standing == "late"]
            return ("bridge", one.place.building, len(late)) if len(late) >= LEAST_BUILDING else ("hangs", "", 0)
        left, most = one.unit.left_ns, max(LEAST_FLEET, len(self._all) / 2)
        if left is not None and self._together >= most and not self._in_one_building:
            return "broker", "", self._together
        if one.unit.signed_off:
            return "stopped", "", 0
        if "certificate_end" in one.unit.alerts:
            return "certificate", "", 0
        if "under_voltage" in one.unit.alerts:
            return "power", "", 0
        if (shared := self._shared(one.place)) is not None:
            return shared
        if "power_failing" in one.unit.alerts:
            return "power", "", 0
        port = " ".join(filter(None, (one.place.switch, one.place.port)))
        return "gone" if left is None else "cut", f" ({port})" if port else "", 0

    def _shared(self, place: Place) -> tuple[Code, str, int] | None:
        """The building, switch or floor with all units away; None without one."""
        ways: list[tuple[Code, str, int, tuple[str, ...]]] = [
            ("building", place.building, LEAST_BUILDING, ("building", place.building)),
            ("switch", place.switch, LEAST_FLOOR, ("switch", place.switch)),
        ]
        if not place.switch:
            ways.append(("floor", place.floor, LEAST_FLOOR, ("floor", place.building, place.floor)))
        for code, where, least, key in ways:
            others = self._of[key]
            if where and len(others) >= least and all(other.is_away for other in others):
                return code, where, len(others)
        return None


def _contacts(place: Place, code: Code) -> dict[str, None]:
    """The contacts to call, each once."""
    return dict.fromkeys(filter(None, (place.contact_for(kind) for kind in _CONTACTS.get(code, (None,)))))


def worst_first(one: tuple[str, Alert]) -> tuple[bool, str]:
    return one[1].severity != "critical", one[0]


def _most_within(moments: list[int], within_ns: int) -> int:
    """The largest number of the sorted moments within `within_ns`."""
    most = first = 0
    for last, moment in enumerate(moments):
        while moment - moments[first] > within_ns:
            first += 1
        most = max(most, last - first + 1)
    return most
