# SPDX-License-Identifier: Apache-2.0
"""What a walk test says to whoever walks, Korean and English."""

from __future__ import annotations

from linetap_core.records import Colour, WalkedLine, WalkStep

STEPS: dict[WalkStep, str] = {
    "free": "통화 중입니다. 끝날 때까지 기다립니다 / in use; the call goes on, wait until it is over",
    "lift": "수화기를 드십시오 / lift the handset",
    "dial": "1을 한 번만 누르십시오 / press 1, once",
    "notice": "기다리십시오. 안내 방송이 나갑니다. 말하지 마십시오 / wait; the notice plays, say nothing",
    "down": "몇 마디 말하고 수화기를 내려놓으십시오 / say a few words, then put the handset down",
    "seal": "통화를 봉인합니다 / the test call is being sealed",
}
COLOURS: dict[Colour, str] = {
    "green": "정상 / good",
    "yellow": "점검 필요 / wants a look",
    "red": "불합격 / failed",
}
# What else stands there is the code of a check: `linetap check` and docs/alerts.md say what to do.
FOUND = {
    "not_reached": "차례가 오기 전에 끝남 / the test ended before its turn",
    "in_use": "계속 사용 중이어서 시험하지 못함 / in use all the time, not tested",
    "not_lifted": "수화기를 드는 것이 보이지 않음 / nobody was seen to lift it: look at its wires, or walk again",
    "not_put_down": "수화기를 내려놓지 않음 / the handset was not put down",
    "not_recorded": "녹음되지 않음 / the test call was not recorded",
    "notice_not_played": "안내 방송이 나가지 않음 / the notice was not played",
    "notice_absent": "안내 방송이 회선에서 들리지 않음 / the notice was not heard: look at relay and terminals",
    "notice_partial": "안내 방송이 일부만 들림 / the notice was heard in part",
    "silent": "소리가 전혀 없음 / no sound at all",
    "too_quiet": "소리가 너무 작음 / too quiet",
    "no_digit": "번호가 들리지 않음 / no digit was heard",
    "line_cut": "전압이 없음 / no battery: the line is cut or not connected",
    "sound_on_hook": "수화기가 내려져 있는데 통화 소리가 들림 / talk while it is on-hook: its hook is not seen",
}


def asked(line: int, step: WalkStep) -> str:
    return f"{line}번 회선 / line {line}: {STEPS[step]}"


def judged(walked: WalkedLine) -> str:
    """Two lines or more: the colour with what was measured, then what was found."""
    measured = [
        text.format(value)
        for value, text in (
            (walked.on_hook_v, "on-hook {:.1f} V"), (walked.off_hook_v, "off-hook {:.1f} V"),
            (walked.level_dbm0, "level {:.0f} dBm0"), (walked.echo_db, "echo {:.1f} dB"),
        )
        if value is not None
    ]  # fmt: skip
    measured += [f"notice {walked.proof}"] if walked.proof else []
    measured += [walked.call_id] if walked.call_id else []
    lines = [f"   {walked.colour.upper()}: {COLOURS[walked.colour]}; {', '.join(measured) or '-'}"]
    return "\n".join([*lines, *(f"   {code}: {FOUND.get(code, 'linetap check')}" for code in walked.found)])
