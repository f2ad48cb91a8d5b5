# SPDX-License-Identifier: Apache-2.0
"""A call in: whoever answers says "네, 민원실입니다" first, and the notice waits for its end.

It waits for so long at most (`recording.greeting_max_ms`), and less where nobody says anything. Nothing is recorded
before the notice, so nothing of the greeting is.
"""

from __future__ import annotations

from linetap.recorder.calls.context import FRAMES_PER_MS, LineContext
from linetap.recorder.calls.gate import ask_for_notice
from linetap.recorder.signals.event import Event
from linetap.recorder.signals.notice.greeting import has_ended
from linetap.ring import RATE_HZ

LOOKS_EVERY = 50 * FRAMES_PER_MS


def announce(line: LineContext, event: Event) -> None:
    """The notice of a call that was just answered."""
    call, policy = line.call, line.policy
    delay, lead = policy.notice_delay_ms * FRAMES_PER_MS, line.profile.greeting.lead_ms * FRAMES_PER_MS
    waited = event.known - event.at
    if waited > lead:  # the answer is known so late that some of the delay is over
        delay = min(delay, max(lead, delay - waited))
    earliest = event.known + delay
    call.greeting_from = event.known
    if call.direction != "in" or _latest(line) - lead <= event.known:
        ask_for_notice(line, earliest, event)
    else:
        line.go("greeting", event.at, max(event.known + LOOKS_EVERY, earliest - lead))


def listen(line: LineContext, event: Event) -> None:
    """A look at what was said since the answer; the next one follows, unless it has ended."""
    numbers, since, now = line.profile.greeting, line.call.greeting_from, event.known
    lead, latest = numbers.lead_ms * FRAMES_PER_MS, _latest(line)
    heard = line.around.audio.stretch(line.config.number, since, now).samples
    if has_ended(heard, numbers) or now + lead >= latest:
        ask_for_notice(line, now + lead, event)
    else:
        line.memory.deadline = now + LOOKS_EVERY


def _latest(line: LineContext) -> int:
    """The frame at which the notice begins, whatever is being said."""
    return line.call.greeting_from + line.policy.greeting_max_ms * RATE_HZ // 1000
