# SPDX-License-Identifier: Apache-2.0
"""The call table: in this state, on this event, do this. An event without an entry is ignored.

    idle -> ringing -> greeting -> notice_wait -> notice -> recording -> idle    incoming, answered by hook
    idle -> off_hook -> notice_wait -> notice -> recording -> idle               outgoing, by calls/evidence
    fax_wait    a tone may be a fax's: the notice is held back
    tone_end    the far end hung up and the handset is off: a flash or a voice takes that back for a while
    new_party   a second party is being called; no audio is written until it has heard the notice
    carrier     a fax or a modem is on the line: no notice and no recording until a voice follows
    passing     the line is in use and this call is not recorded; its record has the reason
    held        the call is over and the handset was not put down

A state has at most one deadline: the event `deadline`. `limit` is the longest length of a recording, `call_time` the
recommended one.
"""

from __future__ import annotations

from collections.abc import Callable

from linetap.recorder.calls import (
    answer,
    begin,
    carrier,
    dialling,
    earlynotice,
    ending,
    gate,
    parties,
    redial,
    timers,
    unrecorded,
)
from linetap.recorder.calls.call import State
from linetap.recorder.calls.context import LineContext
from linetap.recorder.signals.events import Event, EventName
from linetap_core.records import LineStatus

Action = Callable[[LineContext, Event], None]

TABLE: dict[tuple[State, EventName], Action] = {
    ("idle", "digit"): begin.keep_caller_digit,
    ("idle", "ringing"): begin.begin_incoming,
    ("idle", "off_hook"): begin.begin_outgoing,
    ("ringing", "digit"): begin.keep_caller_digit,
    ("ringing", "ringing"): begin.read_caller_id,
    ("ringing", "off_hook"): begin.answered_by_hook,
    ("ringing", "ring_gone"): begin.end_missed,
    ("off_hook", "digit"): dialling.add_dialled_digit,
    ("off_hook", "flash"): begin.flash_before_answer,
    ("off_hook", "tone"): dialling.follow_progress_tone,
    ("off_hook", "tone_gone"): dialling.progress_tone_over,
    ("off_hook", "sound"): dialling.add_sound,
    ("off_hook", "channel"): dialling.add_channel_change,
    ("off_hook", "look"): dialling.judge_evidence,
    ("off_hook", "pbx"): dialling.answer_by_pbx,
    ("off_hook", "talk"): dialling.answer_by_talk,
    ("off_hook", "fax"): carrier.begin_carrier,
    ("off_hook", "polarity"): dialling.answer_by_polarity,
    ("off_hook", "neighbour"): answer.answer_by_neighbour,
    ("off_hook", "deadline"): dialling.answer_by_timeout,
    ("off_hook", "on_hook"): ending.end_unanswered,
    ("off_hook", "loop_break"): ending.end_unanswered,
    ("greeting", "digit"): redial.digit_in_call,
    ("greeting", "flash"): redial.flash_in_notice,
    ("greeting", "fax_maybe"): gate.hold_notice,
    ("greeting", "fax"): carrier.begin_carrier,
    ("greeting", "tone"): redial.tone_before_notice,
    ("greeting", "voice"): redial.note_voice,
    ("greeting", "deadline"): answer.listen_for_greeting,
    ("greeting", "on_hook"): gate.ended_before_notice,
    ("greeting", "loop_break"): gate.ended_before_notice,
    ("notice_wait", "digit"): redial.digit_in_call,
    ("notice_wait", "flash"): redial.flash_in_notice,
    ("notice_wait", "fax_maybe"): gate.hold_notice,
    ("notice_wait", "fax"): carrier.begin_carrier,
    ("notice_wait", "tone"): redial.tone_before_notice,
    ("notice_wait", "polarity"): earlynotice.polarity_after_guess,
    ("notice_wait", "notice_started"): redial.notice_started,
    ("notice_wait", "notice_broken"): gate.notice_failed,
    ("notice_wait", "deadline"): gate.notice_failed,
    ("notice_wait", "on_hook"): gate.ended_before_notice,
    ("notice_wait", "loop_break"): gate.ended_before_notice,
    ("notice", "digit"): redial.digit_in_call,
    ("notice", "flash"): redial.flash_in_notice,
    ("notice", "fax_maybe"): gate.hold_notice,
    ("notice", "fax"): carrier.begin_carrier,
    ("notice", "tone"): earlynotice.tone_under_notice,
    ("notice", "polarity"): earlynotice.polarity_after_guess,
    ("notice", "sound"): earlynotice.sound_under_notice,
    ("notice", "notice_ended"): gate.pass_gate,
    ("notice", "notice_broken"): gate.notice_failed,
    ("notice", "deadline"): gate.notice_failed,
    ("notice", "on_hook"): gate.ended_during_notice,
    ("notice", "loop_break"): gate.ended_during_notice,
    ("fax_wait", "digit"): redial.digit_in_call,
    ("fax_wait", "flash"): redial.flash_in_notice,
    ("fax_wait", "fax"): carrier.begin_carrier,
    ("fax_wait", "fax_gone"): gate.ask_again_without_fax,
    ("fax_wait", "deadline"): gate.ask_again_without_fax,
    ("fax_wait", "on_hook"): gate.ended_before_notice,
    ("fax_wait", "loop_break"): gate.ended_before_notice,
    ("recording", "digit"): redial.digit_in_call,
    ("recording", "flash"): redial.flash_in_recording,
    ("recording", "tone"): redial.tone_in_recording,
    ("recording", "polarity"): earlynotice.polarity_after_guess,
    ("recording", "voice"): redial.note_voice,
    ("recording", "tone_gone"): redial.tone_gone_in_recording,
    ("recording", "alone"): parties.no_digits_after_flash,
    ("recording", "dial_lasts"): parties.dial_tone_lasts,
    ("recording", "channel"): unrecorded.channel_in_recording,
    ("recording", "beep"): timers.play_beep,
    ("recording", "sound"): earlynotice.sound_in_recording,
    ("recording", "call_time"): timers.report_recommended_time,
    ("recording", "deadline"): earlynotice.prove_after_notice,
    ("recording", "limit"): ending.seal_and_continue,
    ("recording", "on_hook"): ending.end_recording,
    ("recording", "loop_break"): ending.end_recording,
    ("tone_end", "digit"): redial.digit_after_end,
    ("tone_end", "flash"): redial.take_back_end,
    ("tone_end", "talk"): parties.take_back_end,
    ("tone_end", "tone"): parties.tone_after_end,
    ("tone_end", "deadline"): ending.end_by_tone_still_held,
    ("tone_end", "on_hook"): ending.end_by_tone,
    ("tone_end", "loop_break"): ending.end_by_tone,
    ("new_party", "digit"): redial.digit_with_new_party,
    ("new_party", "flash"): redial.flash_to_first_party,
    ("new_party", "tone"): dialling.follow_progress_tone,
    ("new_party", "tone_gone"): dialling.progress_tone_over,
    ("new_party", "sound"): dialling.add_sound,
    ("new_party", "channel"): dialling.add_channel_change,
    ("new_party", "look"): dialling.judge_evidence,
    ("new_party", "pbx"): dialling.answer_by_pbx,
    ("new_party", "polarity"): dialling.answer_by_polarity,
    ("new_party", "deadline"): dialling.answer_by_timeout,
    ("new_party", "on_hook"): ending.end_recording,
    ("new_party", "loop_break"): ending.end_recording,
    ("carrier", "fax"): carrier.begin_carrier,
    ("carrier", "sound"): carrier.voice_after_carrier,
    ("carrier", "talk"): carrier.talk_after_carrier,
    ("carrier", "tone"): redial.tone_while_passing,
    ("carrier", "flash"): carrier.flash_under_carrier,
    ("carrier", "digit"): carrier.digit_under_carrier,
    ("carrier", "on_hook"): carrier.end_carrier,
    ("carrier", "loop_break"): carrier.end_carrier,
    ("passing", "tone"): unrecorded.tone_while_passing,
    ("passing", "flash"): unrecorded.flash_while_passing,
    ("passing", "tone_gone"): unrecorded.tone_gone_while_passing,
    ("passing", "deadline"): unrecorded.no_digits_after_flash,
    ("passing", "channel"): unrecorded.channel_while_passing,
    ("passing", "sound"): unrecorded.sound_while_passing,
    ("passing", "party"): unrecorded.party_handed_on,
    ("passing", "digit"): unrecorded.digit_while_passing,
    ("passing", "on_hook"): ending.end_passed,
    ("passing", "loop_break"): ending.end_passed,
    ("held", "ringing"): begin.begin_incoming,
    ("held", "off_hook"): begin.begin_outgoing,
    ("held", "digit"): begin.dial_while_held,
    ("held", "flash"): begin.begin_outgoing,
    ("held", "talk"): begin.talk_while_held,
    ("held", "on_hook"): begin.hang_up_while_held,
}

# The status of each state as reported to the desk (topic line/<n>).
STATUS: dict[State, LineStatus] = {
    "idle": "idle",
    "ringing": "ringing",
    "off_hook": "off_hook",
    "greeting": "off_hook",
    "notice_wait": "off_hook",
    "notice": "notice",
    "fax_wait": "off_hook",
    "recording": "recording",
    "tone_end": "recording",
    "new_party": "off_hook",
    "passing": "off_hook",
    "carrier": "off_hook",
    "held": "off_hook",
}
