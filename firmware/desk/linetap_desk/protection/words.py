# SPDX-License-Identifier: Apache-2.0
"""The words of the report, as msgids: of its columns, its situations, and the ministry's indicators.

The indicators are those of the ministry's Comprehensive Evaluation of Civil Services for 2025 (protection of staff,
full recording, recommended time) as newspapers reported them on 4 February 2026; the evaluation's own handbook was not
available. docs/desk-protection.md names the sources.
"""

from __future__ import annotations

from linetap_desk.web.text import N_

TITLE = N_("Report on the protection of staff")
COLUMNS = {
    "calls": N_("Calls"),
    "due": N_("To be recorded"),
    "recorded": N_("Recorded"),
    "heard": N_("Notice heard"),
    "over_15": N_("Over 15 minutes"),
    "over_20": N_("Over 20 minutes"),
    "warned": N_("Warned of the time"),
    "extended": N_("Extended by staff"),
    "ended": N_("Ended"),
    "cancelled": N_("End stopped by staff"),
    "refused": N_("End refused by the unit"),
    "marked": N_("Marked by staff"),
    "released": N_("Opened by request"),
    "destroyed": N_("Destroyed"),
    "late": N_("Destroyed late"),
}
SITUATION = {
    "abuse": N_("Abusive language"),
    "sexual_harassment": N_("Sexual harassment"),
    "threat": N_("Threat"),
    "overlong": N_("Overlong call"),
    "repeated": N_("Repeated calls"),
}
# The reason given to the caller: the staff member's judgement, without any spoken word.
REASON = {
    "abuse": N_("The member of staff judged that there was abusive language in the call."),
    "sexual_harassment": N_("The member of staff judged that there was sexual harassment in the call."),
    "threat": N_("The member of staff judged that there was a threat in the call."),
    "overlong": N_("The recommended time of a call was over, and that the call would end was announced before."),
    "repeated": N_("The member of staff judged that calls on the same matter, which had been answered, were repeated."),
}
OTHERS, NO_DEPARTMENT, WHOLE = N_("Other departments"), N_("No department"), N_("Whole office")
TRUNKS = N_("Trunk lines (no department named)")
NOT_SHOWN = N_("not shown")
RULES = (
    N_("Numbers from 1 to 4 of one department are not shown; where one would follow from a sum, another is not shown "
       "either, by the same word."),
    N_("Departments with fewer than three lines are one row. Persons are neither named nor ranked."),
    N_("Calls without a department came over lines that the table of lines gives to nobody. A trunk line has the "
       "department that the table or the register names for it; without one it is in a row of its own."),
)  # fmt: skip
UNMEASURED = N_("%(num)s destroyed calls were cleared before this desk counted; they are in no column but this line.")
PBX_CLEARED = N_(
    "The PBXs' figures of days before %(day)s are no longer kept: the line about the PBX counts only later days."
)
WHO_HANGS_UP = N_(
    "Lines on which the unit itself ends a call, now: %(contact)s. Lines on which staff hang up after the "
    "announcement: %(no_contact)s without a contact, %(staff)s by configuration, %(exchange)s whose exchange does not "
    "release in time."
)
RELEASES_UNKNOWN = N_("On which lines staff hang up after the announcement is not known here: there is no connection "
                      "to the broker.")  # fmt: skip
NO_RELEASES = N_("How many calls were opened by request is not known here: the database of the pages cannot be read.")

# The ministry's indicators in its words, and the lines that answer each.
RECORDING = N_("Full recording of telephone calls")
TIME = N_("Recommended time of a call")
RESPONSE = N_("Response to unlawful acts of callers")
KEEPING = N_("Evidence and its destruction")
ELSEWHERE = N_("Not answered here: budget for legal support, training, body cameras, guards, bans and removals. A call "
               "recorder does not know them.")  # fmt: skip
ANSWERS = {
    "recorded_automatically": N_("Recorded without anybody starting it, of the calls to be recorded"),
    "announced": N_("Announced, and the announcement heard on the line, of the recorded calls"),
    "pbx_missing": N_("Listed by the PBX and not recorded, of the calls that the PBX listed"),
    "covered": N_("Telephones of staff whose calls were seen in the last 30 days, of those in the register"),
    "pbx_none": N_("No PBX has listed its calls in this period: whether any is missing was not compared"),
    "pbx_cleared": N_("The PBXs' figures of this period are no longer kept: how many calls were missing is not known"),
    "over_15": COLUMNS["over_15"],
    "over_20": COLUMNS["over_20"],
    "warned": COLUMNS["warned"],
    "extended": COLUMNS["extended"],
    "ended": N_("Ended after the announcement of the reason"),
    "freed": N_("of these, the line was measured to be free"),
    "cancelled": COLUMNS["cancelled"],
    "refused": COLUMNS["refused"],
    "marked": COLUMNS["marked"],
    "released": N_("Calls opened by request"),
    "in_time": N_("Destroyed within a day of their end, of the calls destroyed whose end is known"),
    "undated": N_("Destroyed, and their end is not known at this desk"),
    "early": N_("Destroyed before their end"),
    "overdue": N_("Copies that should be gone by now"),
}
