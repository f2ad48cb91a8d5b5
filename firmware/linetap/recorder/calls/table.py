# SPDX-License-Identifier: Apache-2.0
"""The call table: in this state, on this event, do this. Whatever is not here is ignored.

    idle -> ringing -> greeting -> notice_wait -> notice -> recording -> idle    incoming, answered by hook
    idle -> off_hook -> notice_wait -> notice -> recording -> idle         outgoing: by evidence, in calls/evidence
    fax_wait    a tone that may be a fax's: the notice is held back
    tone_end    the far end hung up, and the handset is off: a flash or a voice takes it back for a while
    new_party   a second party is being called, and nothing is written until it has heard the notice
    carrier     a fax or a modem is on the line: neither notice nor recording, until a voice follows
    passing     the loop is in use, but this call is not recorded; its reason stands in the record
    held        the call is over, and the handset was not put down

A state has at most one deadline, which is the event `deadline`; `limit` is the longest length of a recording,
`call_time` the recommended one.
"""

from __future__ import annotations

from collections.abc import Callable

from linetap.recorder.calls import (
    answer,
    begin,
    carrier,
    dialling,
    early,
    ending,
    gate,
    greeting,
    limits,
    marks,
    parties,
    redial,
)
from linetap.recorder.calls.call import State
from linetap.recorder.calls.context import LineContext
from linetap.recorder.signals.event import Event, EventName
from linetap.records import LineStatus

Action = Callable[[LineContext, Event], None]

TABLE: dict[tuple[State, EventName], Action] = {
    ("idle", "digit"): begin.digit_on_hook,
    ("idle", "ringing"): begin.incoming,
    ("idle", "off_hook"): begin.outgoing,
    ("ringing", "digit"): begin.digit_on_hook,
    ("ringing", "ringing"): begin.rings_on,
    ("ringing", "off_hook"): begin.answered_by_hook,
    ("ringing", "ring_gone"): begin.missed,
    ("off_hook", "digit"): dialling.dialled,
    ("off_hook", "flash"): begin.flash_before_answer,
    ("off_hook", "tone"): dialling.progress,
    ("off_hook", "tone_gone"): dialling.progress_over,
    ("off_hook", "sound"): dialling.sound,
    ("off_hook", "channel"): dialling.channel,
    ("off_hook", "look"): dialling.look_closer,
    ("off_hook", "pbx"): dialling.by_pbx,
    ("off_hook", "talk"): dialling.talk,
    ("off_hook", "fax"): carrier.heard,
    ("off_hook", "polarity"): dialling.by_polarity,
    ("off_hook", "neighbour"): answer.answered_by_neighbour,
    ("off_hook", "deadline"): dialling.by_timeout,
    ("off_hook", "on_hook"): ending.unanswered,
    ("off_hook", "loop_break"): ending.unanswered,
    ("greeting", "digit"): redial.digit,
    ("greeting", "flash"): redial.flash_in_notice,
    ("greeting", "fax_maybe"): gate.hold_notice,
    ("greeting", "fax"): carrier.heard,
    ("greeting", "tone"): redial.tone_before_notice,
    ("greeting", "voice"): redial.voice,
    ("greeting", "deadline"): greeting.listen,
    ("greeting", "on_hook"): gate.ended_before_notice,
    ("greeting", "loop_break"): gate.ended_before_notice,
    ("notice_wait", "digit"): redial.digit,
    ("notice_wait", "flash"): redial.flash_in_notice,
    ("notice_wait", "fax_maybe"): gate.hold_notice,
    ("notice_wait", "fax"): carrier.heard,
    ("notice_wait", "tone"): redial.tone_before_notice,
    ("notice_wait", "polarity"): early.by_polarity,
    ("notice_wait", "notice_started"): redial.notice_started,
    ("notice_wait", "notice_broken"): gate.notice_failed,
    ("notice_wait", "deadline"): gate.notice_failed,
    ("notice_wait", "on_hook"): gate.ended_before_notice,
    ("notice_wait", "loop_break"): gate.ended_before_notice,
    ("notice", "digit"): redial.digit,
    ("notice", "flash"): redial.flash_in_notice,
    ("notice", "fax_maybe"): gate.hold_notice,
    ("notice", "fax"): carrier.heard,
    ("notice", "tone"): early.ringback,
    ("notice", "polarity"): early.by_polarity,
    ("notice", "notice_ended"): gate.pass_gate,
    ("notice", "notice_broken"): gate.notice_failed,
    ("notice", "deadline"): gate.notice_failed,
    ("notice", "on_hook"): gate.ended_during_notice,
    ("notice", "loop_break"): gate.ended_during_notice,
    ("fax_wait", "digit"): redial.digit,
    ("fax_wait", "flash"): redial.flash_in_notice,
    ("fax_wait", "fax"): carrier.heard,
    ("fax_wait", "fax_gone"): gate.no_fax,
    ("fax_wait", "deadline"): gate.no_fax,
    ("fax_wait", "on_hook"): gate.ended_before_notice,
    ("fax_wait", "loop_break"): gate.ended_before_notice,
    ("recording", "digit"): redial.digit,
    ("recording", "flash"): redial.flash,
    ("recording", "tone"): redial.tone,
    ("recording", "polarity"): early.by_polarity,
    ("recording", "voice"): redial.voice,
    ("recording", "call_time"): limits.recommended_time,
    ("recording", "deadline"): gate.prove,
    ("recording", "limit"): ending.seal_and_continue,
    ("recording", "on_hook"): ending.end_recording,
    ("recording", "loop_break"): ending.end_recording,
    ("tone_end", "digit"): marks.key,
    ("tone_end", "flash"): redial.resume,
    ("tone_end", "talk"): parties.resume,
    ("tone_end", "tone"): parties.tone_after_end,
    ("tone_end", "deadline"): ending.end_by_tone_still_held,
    ("tone_end", "on_hook"): ending.end_by_tone,
    ("tone_end", "loop_break"): ending.end_by_tone,
    ("new_party", "digit"): dialling.dialled,
    ("new_party", "flash"): redial.flash_with_new_party,
    ("new_party", "tone"): dialling.progress,
    ("new_party", "tone_gone"): dialling.progress_over,
    ("new_party", "sound"): dialling.sound,
    ("new_party", "channel"): dialling.channel,
    ("new_party", "look"): dialling.look_closer,
    ("new_party", "pbx"): dialling.by_pbx,
    ("new_party", "polarity"): dialling.by_polarity,
    ("new_party", "deadline"): dialling.by_timeout,
    ("new_party", "on_hook"): ending.end_recording,
    ("new_party", "loop_break"): ending.end_recording,
    ("passing", "tone"): redial.tone_while_passing,
    ("carrier", "fax"): carrier.heard,
    ("carrier", "sound"): carrier.voice_follows,
    ("carrier", "tone"): redial.tone_while_passing,
    ("carrier", "flash"): carrier.flash,
    ("carrier", "digit"): carrier.digit,
    ("carrier", "on_hook"): carrier.ended,
    ("carrier", "loop_break"): carrier.ended,
    ("passing", "flash"): begin.other_party_while_passing,
    ("passing", "digit"): redial.digit_while_passing,
    ("passing", "on_hook"): ending.passed,
    ("passing", "loop_break"): ending.passed,
    ("held", "ringing"): begin.incoming,
    ("held", "off_hook"): begin.outgoing,
    ("held", "digit"): begin.dialled_while_held,
    ("held", "flash"): begin.outgoing,
    ("held", "talk"): begin.talk_while_held,
    ("held", "on_hook"): begin.put_down,
}

# What the desk is told of a state (topic line/<n>).
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
