# SPDX-License-Identifier: Apache-2.0
"""The beep of a mailbox: only after it can somebody hear the notice, though the machine answered earlier.

What the network says before the beep is not kept, and a notice that played over it reached nobody: its proof is
`early`, and it plays again after the beep, once a call. A beep is one tone, higher than any call-progress tone, and not
repeated.
"""

from __future__ import annotations

from linetap.recorder.calls import parties, swapped
from linetap.recorder.calls.context import LineContext
from linetap.recorder.calls.mailboxbeep import beeped_under_notice, is_beep, mark_notices_unheard, may_beep
from linetap.recorder.calls.noticeproof import prove_notice
from linetap.recorder.signals.events import Event


def sound_under_notice(line: LineContext, event: Event) -> None:
    """A tone may begin under the notice and end after it."""
    line.call.beep_from = event.at if event.text == "tone" else None


def sound_in_recording(line: LineContext, event: Event) -> None:
    """A tone may be a beep, which is known when it has ended."""
    call = line.call
    swapped.sound_in_recording(line, event)
    began, call.beep_from = call.beep_from, event.at if event.text == "tone" else None
    if began is not None and may_beep(line, began) and is_beep(line, began, event.known):
        _announce_behind_it(line, event)


def prove_after_notice(line: LineContext, event: Event) -> None:
    """The last echo of the notice has returned: proves the notice, and announces again after a beep under it."""
    beneath = beeped_under_notice(line, event.at)
    prove_notice(line, event.at)
    if beneath:
        _announce_behind_it(line, event)


def _announce_behind_it(line: LineContext, event: Event) -> None:
    mark_notices_unheard(line)
    parties.pause_recording(line, event.known)
    parties.announce_again(line, event)
