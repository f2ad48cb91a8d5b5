# SPDX-License-Identifier: Apache-2.0
"""Checks the demo's calls that staff end by a code: their records, and the exchange's view of the lines."""

from __future__ import annotations

from collections.abc import Sequence

from linetap.config import Config
from linetap_bench.exchange.releasing import Released
from linetap_bench.script.scriptkeys import Script
from linetap_bench.script.timing import times_of
from linetap_core.clock import NS_PER_S, parse_rfc3339
from linetap_core.errors import Refusal
from linetap_core.records import CallRecord

TONES = {"dial_tone": "dial tone", "busy_tone": "busy tone"}


def ended_by_code(script: Script, config: Config) -> list[int]:
    """The lines of the calls that staff end, once for each call."""
    codes = {situation.code for situation in config.situation if situation.then == "end"}
    return [
        call.line
        for call in script.call
        if times_of(call).answer is not None and any(keys.by == "staff" and keys.digits in codes for keys in call.keys)
    ]


def check_ended(lines: Sequence[int], calls: Sequence[CallRecord], releases: Sequence[Released]) -> list[str]:
    """A sentence for each of these calls. Refusal if the card did not end one of them, or opened another line."""
    said = []
    for line in lines:
        found = [call for call in calls if call.line == line and call.end]
        opened = [each for each in releases if each.line == line]
        if len(found) != 1 or len(opened) != 1 or found[0].ended_by != "released" or opened[0].outcome != "released":
            seen = [f"{call.call_id} ended by {call.ended_by}" for call in found] or ["no call was ended by its code"]
            outcomes = ", ".join(each.outcome for each in opened) or "none"
            raise Refusal(f"line {line}: {'; '.join(seen)}; openings that the exchange saw: {outcomes}")
        said.append(_said(found[0], opened[0]))
    if others := {each.line for each in releases} - set(lines):
        raise Refusal(f"line {', '.join(map(str, sorted(others)))}: its loop was opened, and nobody had dialled a code")
    return said


def _said(call: CallRecord, opened: Released) -> str:
    end = call.end
    assert end
    assert end.notice is not None
    if end.notice.ended_at is None or end.released_at is None or end.seen_by not in TONES:
        raise Refusal(f"{call.call_id}: ended, and the line was not seen to be free: {end.seen_by}")
    after_s = (parse_rfc3339(end.released_at) - parse_rfc3339(end.notice.ended_at)) / NS_PER_S
    return (
        f"line {call.line}, {end.situation}: the notice {end.notice.id} was heard ({end.notice.proof}); {after_s:.2f} s"
        f" after its end the card opened the loop, for {(opened.closed_ms - opened.opened_ms) / 1000:.2f} s;"
        f" the exchange ended the call, and {TONES[end.seen_by]} came."
    )
