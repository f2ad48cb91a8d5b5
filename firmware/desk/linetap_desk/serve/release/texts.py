# SPDX-License-Identifier: Apache-2.0
"""The texts of a release's steps, holds and commands on the pages: each step, who takes it, and the reason of each
refusal. The order of the steps is in steps.py.

Each text is a msgid; the Korean is in ko.po. REFUSAL has a text for each code that the pages refuse with.
"""

from __future__ import annotations

from linetap_desk.serve.release.steps import GIVEN, NOT_GIVEN
from linetap_desk.web.text import N_

STEP = {
    "ask": N_("Requested"),
    "key": N_("One-time key"),
    "approve": N_("Approval"),
    "unwrap": N_("The vault officer's half"),
    "give": N_("Opened by the custodian"),
    "closed": N_("Closed"),
    "expired": N_("Expired"),
    "command": N_("Command signed by the vault officer"),
    "send": N_("Sent to the unit"),
    "held": N_("Held by the unit"),
    "ended": N_("The hold has ended"),
    "over": N_("Past its deadline"),
}
# Roles of signers as roles.json names them; a city may have others.
SIGNER_ROLE = {
    "privacy": N_("privacy officer"),
    "legal": N_("legal officer"),
    "manager": N_("manager"),
    "supervisor": N_("supervisor"),
}
WHO = {
    "key": N_("a custodian"),
    "approve": N_("an approver"),
    "unwrap": N_("a vault officer"),
    "give": N_("a custodian"),
    "command": N_("a vault officer"),
    "send": N_("a vault officer"),
}
PROOF = {
    "missing": N_(
        "The proof that this call is in its unit's log has not arrived yet. The ingest requests it automatically once "
        "the unit is connected (docs/desk.md). Without it no step can be taken here; if you cannot wait, continue in "
        "a terminal with the unit's log, --log (docs/release.md)."
    ),
    "damaged": N_(
        "The proof that this call is in its unit's log was changed here, or its signer is not known to this desk. No "
        "step can be taken with it: tell the vault officer. In a terminal, use the unit's log instead: --log "
        "(docs/release.md)."
    ),
}
WITNESSED = {
    "no_policy": N_("Not witnessed: this desk requires no witnesses (desk.toml names no policy)."),
    "witnessed": N_("Witnessed by %(count)s of %(of)s, by %(at)s at the latest."),
    "not_witnessed": N_("Not witnessed. This call cannot be opened through these pages."),
}
PARTY = {
    "own_line": N_("Staff, about a call on their own line"),
    "other_office": N_("Another office"),
    "citizen": N_("The citizen who spoke"),
    "court": N_("A court or an investigating authority"),
}
OUTCOME = {GIVEN: N_("Handed over"), NOT_GIVEN: N_("Not handed over")}
OF_WITNESSES = {
    "policy_missing": N_("The witness policy in force is missing or empty. Tell the vault officer."),
    "policy_differs": N_("The witness policy is not the one that the signed roles name. Tell the vault officer."),
    "within_too_long": N_("The signed roles allow less time from a call's end to its first witness."),
    "not_witnessed": N_("Too few witnesses have seen that this call was closed. The next round may bring them."),
    "witnessed_late": N_("Witnesses saw this call later than the policy allows: it may have been backdated."),
    "dated_ahead": N_("This call states a time that is later than when witnesses saw it."),
    "forked": N_("The unit's log is not the one that witnesses have seen. Tell the vault officer."),
    "rolled_back": N_("The unit's log is shorter than the one that witnesses have seen. Tell the vault officer."),
    "fork": N_("There are two checkpoints over the same leaves of this unit's log. Tell the vault officer."),
    "other_log": N_("The proof of witnessing is of a log that this desk does not know."),
    "bad_note": N_("The proof of witnessing is not a checkpoint."),
    "note_signature": N_("A signature of a witness or of a log is invalid."),
}
OF_RULES = {
    "party_needed": N_("Who asks must be stated for this purpose. A new request is needed."),
    "party_differs": N_("The requester is not as stated: line, requester or key do not match."),
    "rule_unknown": N_("The signed rules have none for this purpose and who asks."),
    "call_too_old": N_("This call is too old for the rule that was chosen, or its age is not certain."),
    "expires_too_late": N_("The request would be valid for longer than its rule allows."),
    "policy_older": N_("This request was made by newer roles than those in force here."),
    "approver_rule": N_("The signer is not one of those who may approve this request."),
    "copy_not_allowed": N_("This request is for listening only. Nothing is given out."),
}
REFUSAL = (
    OF_WITNESSES
    | OF_RULES
    | {
        "bad_input": N_("The input is not valid."),
        "private_key": N_("This is a private key. It must stay with its owner; nothing of it was stored here."),
        "step_not_yet": N_("Another step comes before this one."),
        "step_done": N_("This step was already taken."),
        "one_person_two_steps": N_("You have taken another step of this request. Someone else must take this one."),
        "no_remark": N_("Write why: 1 to 300 characters."),
        "call_not_recorded": N_("Nothing of this call was recorded and sealed, so it cannot be requested."),
        "call_destroyed": N_("This call is destroyed."),
        "call_not_as_sealed": N_("The second copy is not the call as a known unit sealed it. Tell the vault officer."),
        "closing_needed": N_(
            "The proof that this call is in its unit's log has not arrived yet. It arrives automatically."
        ),
        "closing_differs": N_("The proof that this call is in its unit's log is invalid. Tell the vault officer."),
        "record_differs": N_("The second copy is not that of the requested record. Tell the vault officer."),
        "signers_needed": N_("This desk has no list of signers: desk.toml names no allowed_signers (signers)."),
        "partial_malformed": N_(
            "This is not a file that linetap unwrap, hold wrap or custody writes for the next member of a group."
        ),
        "partial_not_needed": N_("One officer can open the key of this call; nothing has to be handed on."),
        "partial_not_half": N_("This is a partial. Upload it as a partial: more officers of the group are needed."),
        "partial_first": N_(
            "The officers of a group act one after another: the first officer's partial must be uploaded first."
        ),
        "partial_there": N_("This member's partial was already uploaded. The next officer continues with it."),
        "key_of_another_call": N_("The uploaded file belongs to another call. It was not stored."),
        "group_other_layer": N_(
            "This file was not made from the key of this call: it belongs to another call, or was changed."
        ),
        "inner_malformed": N_("This is not a file written by linetap unwrap (an age file for one recipient)."),
        "copy_no_store": N_("The desk keeps no second copies (copy.store)."),
        "copy_elsewhere": N_("The second copy is in a store that is not read here."),
        "copy_no_copy": N_("There is no second copy here yet."),
        "copy_unreadable": N_("The second copy cannot be read completely."),
        "copy_changed": N_(
            "The record in the second copy is not the one that the unit has signed. Tell the vault officer."
        ),
        "copy_no_call_id": N_("Its name is not that of a call, so no copy was searched for."),
        "request_expired": N_("The request has expired. A new one is needed."),
        "request_not_yet": N_("The request's time is in the future: this computer's clock may be wrong."),
        "request_closed": N_("The request is closed."),
        "approval_does_not_fit": N_(
            "The signature does not match this file: the request was changed after it was signed."
        ),
        "approval_malformed": N_("This is not a signature of a release request."),
        "approval_passkey": N_("The passkey's signature is not valid: another site, or nobody was verified."),
        "signing_page_unknown": N_(
            "This request names no signing page that this version knows. A new request is needed."
        ),
        "approvals_missing": N_("Approvals are missing: two people of different roles, or those that the rule names."),
        "approvers_same_role": N_("There is an approval of this role already. The second one is of another role."),
        "approver_is_requester": N_("A requester cannot approve the request."),
        "approver_unknown": N_("A signer is not in the roles file."),
        "approver_role": N_("The signer's role cannot approve."),
        "purpose_unknown": N_("This purpose is not in the signed list in force."),
        "citizen_register": N_("A citizen's access is registered and requested on Access requests."),
        "rewrap_malformed": N_("This is not an archive of the folder holds, as linetap overflow rewrap writes it."),
        "rewrap_other_call": N_(
            "A call in the archive is not among those that wait here, or its papers are of another."
        ),
        "rewrap_other_day": N_("A call was wrapped for another day than the one that its unit stated."),
        "rewrap_check": N_("The check is not signed by another vault officer than the one who re-wrapped the call."),
        "holds_missing": N_("desk.toml names no folder for re-wrapped keys ([copy] holds)."),
        "wrapped_not_signed": N_("No vault officer has signed for the re-wrapped key."),
        "key_differs": N_("The document names another key than the one beside it."),
        "roles_missing": N_("No signed roles are in force at this server (serve.roles, serve.authority)."),
        "roles_signature": N_("The roles file's signature is invalid."),
        "roles_signer": N_("The roles file is not signed with the authority's key."),
        "roles_rollback": N_("The roles file is older than the one that was in use."),
        "roles_version_taken": N_("Another roles file of the same version was in use."),
        "hold_differs": N_("The hold in the command is not the requested one."),
        "hold_check": N_("The check is not signed by another vault officer than the one who signed the hold."),
        "hold_second": N_("This is not the command of this hold with another person's signature."),
        "hold_shorter": N_("The hold would end before the one in force. A second person has to sign it: below."),
        "hold_ended": N_("The end of the hold is past."),
        "hold_malformed": N_("This is not a hold document with its key."),
        "command_malformed": N_("This is not a command written by linetap command sign."),
        "command_too_large": N_("This is not a command written by linetap command sign."),
        "command_unsigned": N_("The command is not signed, or was changed since."),
        "command_signer": N_("The key that signed the command is not one of the vault officer's role."),
        "command_other_unit": N_("The command is for another unit."),
        "command_verb": N_("The command is not one that holds a call."),
        "command_role": N_("The command is not one that holds a call."),
        "command_expired": N_("The command has expired. Another has to be signed."),
        "document_signature": N_("The hold in the command is not signed by a vault officer."),
        "batch_other": N_("This kind of command is not sent from here."),
        "batch_role": N_("The role that signed may not send this kind of command."),
        "batch_signer": N_("A key that signed is not of the role that the command names, by the roles in force."),
        "batch_unsigned": N_("A certificate in the file is not signed by a vault officer."),
        "batch_mixed": N_("The file has commands of several kinds, or two for one unit."),
        "batch_fewer": N_("The same command with more signatures waits here already."),
        "batch_none": N_("These commands are no longer in the list."),
        "batch_many": N_("Too many commands wait here. Put away those that need not be sent any more."),
        "command_repeated": N_(
            "The unit has received this command before, and its log has the result. To repeat it, sign it again."
        ),
        "command_counter": N_("The clock of the computer that signed is wrong. Set it, and sign again."),
        "command_not_here": N_("This version of the unit does not do this yet."),
        "command_no_authority": N_("The unit's configuration names no authority: nobody can command it."),
        "command_counters_lost": N_("The unit cannot read which commands it has had. Look at its alerts."),
        "command_counting": N_("The unit reads after its start which commands it has had. Sign again in some minutes."),
        "command_failed": N_("A fault in the unit's program: nothing was done. Report it to its maker."),
        "config_invalid": N_("The configuration has errors."),
        "config_fixed": N_("It changes what no command may change: name, keys, paths, cards, broker or time zone."),
        "config_other": N_(
            "Another configuration is now in effect. Copy the line of the unit's page again, and sign again."
        ),
        "config_unwritable": N_("The unit cannot write its configuration. Look at its alerts."),
        "update_older": N_("The unit runs a newer version."),
        "update_on_trial": N_("The unit is trying a version. Sign again in half an hour."),
        "update_not_here": N_("This unit was not made from an image: its packages are updated on it."),
        "learn_no_walk": N_("The unit has no such walk test. Make one, and copy its line."),
        "learn_other_config": N_("The walk test was of another configuration. Make another one."),
        "weakening_unknown": N_("There is no weakening of this number. Look at the alert again."),
        "weakening_waits": N_("It is not in effect yet: it can only be cancelled."),
        "weakening_in_effect": N_("It is in effect: it can only be confirmed."),
        "weakening_signer": N_("Whoever signed it cannot confirm it: another person does."),
        "weakening_many": N_("Too many weakenings wait on the unit. Confirm or cancel those first."),
        "time_challenge": N_("It is not the unit's present challenge. Copy it from the alert again, and sign again."),
        "time_ahead": N_("So large a step takes two vault officers: both sign one new file, before it is uploaded."),
        "time_early": N_("The unit knows that it is later. Look at the clock of the computer that signs."),
        "time_back": N_("The unit's time does not go back."),
        "epoch_not_over": N_("By the unit's clock that day has not ended. Sign again when it has."),
        "certificate_malformed": N_("This is not a certificate of destroyed keys that the unit takes."),
        "config_weakens": N_("It weakens: a vault officer or an approver signs it too, in the program."),
        "key_list_weakens": N_("It weakens: a vault officer or an approver signs it too, in the program."),
        "outgoing_missing": N_("desk.toml names no folder for what the ingest sends (outgoing)."),
    }
)
