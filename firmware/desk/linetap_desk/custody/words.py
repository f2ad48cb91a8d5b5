# SPDX-License-Identifier: Apache-2.0
"""What the refusals and the moments of a recording are called: msgids by code. One without a word stays a code."""

from __future__ import annotations

from linetap_desk.serve.release import words as release
from linetap_desk.serve.text import N_

MOMENT = {"notice": N_("Notice"), "gap": N_("Gap"), "mark": N_("Mark")}
REFUSAL = {
    "request_expired": N_("The request has expired. A new one is needed."),
    "request_not_yet": N_("The request lies in the future: this machine's clock may be wrong."),
    "request_closed": N_("The request is closed."),
    "recipient_differs": N_(
        "The request is for another key than the requester's that you named. Nothing is given out."
    ),
    "record_differs": N_("The record is not the one that was approved."),
    "call_not_as_sealed": N_("The call in the package is not as a known unit has sealed it. Nothing of it is opened."),
    "closing_needed": N_(
        "Nothing shows that the unit's log has closed this call. Start with --log and the unit's log."
    ),
    "closing_differs": N_("What should show that the unit's log has closed this call does not fit."),
    "signers_needed": N_("There is no published allowed_signers here: --signers."),
    "call_not_named": N_("The request does not name this call."),
    "approval_does_not_fit": N_("The request was changed after it was approved."),
    "approvals_missing": N_("The approvals of two people of different roles are needed."),
    "approver_unknown": N_("Somebody signed whom the roles file does not know."),
    "key_of_another_call": N_("What was sealed, or handed on, is the key of another call. Nothing of it is opened."),
    "group_members_missing": N_(
        "The custodians are a group, and more of them are needed. Hand on what is left of it: the next one goes on."
    ),
    "access_log_busy": N_("Another command holds the access log. Try again."),
}
REFUSAL |= {code: release.REFUSAL[code] for code in release.OF_WITNESSES}
