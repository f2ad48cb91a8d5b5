# SPDX-License-Identifier: Apache-2.0
"""The reasons for refusing a step of a release, as the helper's pages show them, by code."""

from __future__ import annotations

from linetap_desk.serve.release import steps as release
from linetap_desk.web.text import N_

REFUSAL = {
    "request_expired": N_("The request has expired. A new one is needed."),
    "request_not_yet": N_("The request's time is in the future: this computer's clock may be wrong."),
    "request_closed": N_("The request is closed."),
    "recipient_differs": N_(
        "The key in the request is not the requester's key that you named. Nothing was handed over."
    ),
    "record_differs": N_("The record is not the one that was approved."),
    "call_not_as_sealed": N_("The call in the package is not as a known unit sealed it. Nothing was opened."),
    "closing_needed": N_(
        "There is no proof that this call is in the unit's log. Start again with --log and the unit's log."
    ),
    "closing_differs": N_("The proof that the unit's log has closed this call is invalid."),
    "signers_needed": N_("There is no published allowed_signers here: --signers."),
    "call_not_named": N_("The request does not name this call."),
    "approval_does_not_fit": N_("The request was changed after it was approved."),
    "approvals_missing": N_("The approvals of two people of different roles are needed."),
    "approver_unknown": N_("A signer is not in the roles file."),
    "key_of_another_call": N_("The sealed key, or the file handed on, belongs to another call. Nothing was opened."),
    "group_members_missing": N_(
        "The custodians are a group, and more of them are needed. Remove your layer and hand the rest on to the next "
        "custodian."
    ),
    "not_a_citizens": N_("This request is not for a citizen's access. No copy was made."),
    "copy_not_approved": N_("Listening was approved, and no copy under a passphrase. No copy was made."),
    "call_of_another": N_("The number of this call is not the one that the citizen gave. The call stays closed."),
    "access_log_busy": N_("Another command is using the access log. Try again."),
}
REFUSAL |= {code: release.REFUSAL[code] for code in (*release.OF_WITNESSES, *release.OF_RULES)}
