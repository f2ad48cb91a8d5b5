# SPDX-License-Identifier: Apache-2.0
"""The words of coverage, as msgids."""

from __future__ import annotations

from linetap_core.records import LineRelease
from linetap_desk.coverage.compare import State
from linetap_desk.web.text import N_

STATE: dict[State, str] = {
    "tapped": N_("On a line, and calls of it were seen in the last 30 days"),
    "silent": N_("On a line, and no call of it was seen in the last 30 days"),
    "trunk": N_("Behind trunk lines: recorded where a call leaves the PBX, internal calls are not"),
    "no_line": N_("The table of lines names a line that this unit does not have"),
    "untapped": N_("Analog, and on no line: a tap can be put on it"),
    "odd": N_("On a line by the table of lines, but a tap cannot reach this kind of telephone"),
    "ip_phone": N_("IP telephone: a tap cannot reach it; the PBX's own recorder is needed"),
    "digital_set": N_("Digital set of the PBX: a tap cannot reach it; the PBX's own recorder is needed"),
    "mobile": N_("Mobile telephone: a tap cannot reach it"),
    "fax": N_("Fax: no speech"),
    "trunk_line": N_("Trunk line of the PBX: no telephone"),
    "unused": N_("Not in use"),
}

# Why staff end a call on a line, of lines whose contact does not.
BY_STAFF: dict[LineRelease, str] = {
    "no_contact": N_("the card has no contact"),
    "staff": N_("set so in the unit's configuration"),
    "exchange": N_("measured: the exchange does not release the line in time"),
}
