# SPDX-License-Identifier: Apache-2.0
"""The words for the record's values: value -> (Korean, English). Unlisted values are shown as the record spells
them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from linetap_core.clock import from_utc_ns, parse_rfc3339
from linetap_core.wire.situations import SITUATIONS

_KOREA = timezone(timedelta(hours=9))

_WORDS = {
    "direction": {
        "in": ("수신", "incoming"),
        "out": ("발신", "outgoing"),
        "unknown": ("알 수 없음", "unknown"),
    },
    "disposition": {
        "recorded": ("녹음됨", "recorded"),
        "missed": ("부재중", "not answered here"),
        "unanswered": ("상대방 무응답", "not answered by the other side"),
        "discarded": ("녹음하지 않음", "not recorded"),
        "skipped": ("녹음 대상이 아님", "excluded from recording"),
        "exempt": ("녹음 제외 회선", "on a line excluded from recording"),
        "fax": ("팩스", "a fax"),
        "modem": ("모뎀(카드 단말기 등)", "a modem, such as a card terminal's"),
    },
    "answered_by": {
        "hook": ("수화기를 든 것으로 판단", "by the handset"),
        "polarity": ("회선의 극성 반전으로 판단", "by the line's polarity"),
        "tone": ("호출음이 그친 것으로 판단", "by the end of the ringing tone"),
        "pbx": ("교환기의 통보로 판단", "reported by the PBX"),
        "sound": ("회선에서 들린 소리로 판단", "by the sound on the line"),
        "code": ("당겨받기 번호로 판단", "by the code for picking up another telephone's call"),
        "unknown": ("응답 여부를 확인하지 못함", "unknown whether it was answered"),
        "timeout": ("호출음이 없어 시간으로 판단", "taken for answered after a time"),
    },
    "ended_by": {
        "on_hook": ("수화기를 내려놓음", "the handset was hung up"),
        "tone": ("통화 중 신호음", "busy tone"),
        "loop_break": ("교환기의 회선 차단", "the exchange cut the loop"),
        "time_limit": ("시간 제한", "the time limit"),
        "power": ("정전", "a power cut"),
        "released": ("종료 안내 후 기기가 회선을 끊음", "the unit released the line after the end notice"),
        "staff_after_notice": ("종료 안내 후 담당자가 수화기를 내려놓음", "staff hung up after the end notice"),
    },
    "proof": {
        "full": ("고지가 회선에서 온전히 들린 것이 측정되었습니다.", "It was measured on the line in full."),
        "partial": ("고지의 일부만 측정되었습니다.", "Only a part of it was measured on the line."),
        "early": (
            "고지가 회선에서 측정되었으나, 상대방이 응답하기 전이거나 응답 여부를 알 수 없는 때였습니다.",
            "It was measured on the line, but before the other side answered, or while that was unknown.",
        ),
        "absent": ("고지가 회선에서 측정되지 않았습니다.", "It was not found on the line."),
        "none": ("들렸는지 측정되지 않았습니다.", "Whether it was heard was not measured."),
    },
    "cause": {
        "overrun": ("음성 장치가 제때 읽히지 않음", "the sound card was not read in time"),
        "capture_restart": ("녹음 서비스 재시작", "the recording service restarted"),
        "ring_damaged": ("메모리 손상", "memory was damaged"),
        "ring_overtaken": ("처리가 늦어 덮어쓰임", "processing fell behind"),
        "disk_full": ("저장 공간 부족", "the disk was full"),
        "power": ("정전", "a power cut"),
    },
    "mark": {
        "abuse": ("상담원이 누른 폭언 표시", "marked as abuse from this telephone"),
        "mark_far": ("상대방이 누른 표시 번호", "the mark code, dialled by the other side"),
        "mark_uncertain": (
            "표시 번호가 눌렸으나 어느 쪽 전화기인지 확인되지 않음",
            "the mark code, dialled at an unknown end",
        ),
        "notice_code": ("상담원이 안내 방송을 요청함", "the notice was requested on this telephone"),
        "notice_code_far": ("상대방이 누른 안내 번호", "the notice code, dialled by the other side"),
        "notice_code_uncertain": (
            "안내 번호가 눌렸으나 어느 쪽 전화기인지 확인되지 않음",
            "the notice code, dialled at an unknown end",
        ),
        "warned": ("통화 시간이 곧 끝난다는 안내", "the notice that the time is almost over"),
        "extended": ("담당자가 통화 시간을 연장함", "staff extended the call"),
        "end_cancelled": ("담당자가 종료를 취소함", "staff cancelled the end of the call"),
        "end_refused": ("종료 번호가 받아들여지지 않음", "the end code was refused"),
        "end_far": ("상대방이 누른 종료 번호", "the end code, dialled by the other side"),
        "end_uncertain": (
            "종료 번호가 눌렸으나 어느 쪽 전화기인지 확인되지 않음",
            "the end code, dialled at an unknown end",
        ),
    },
}

_WORDS |= {
    "situation": {each.name: (each.ko, each.en) for each in SITUATIONS},
    "ended_for": {
        "code": ("담당자가 누른 번호", "by a code that staff dialled"),
        "time": ("정해진 통화 시간", "by the time limit of a call"),
    },
    "seen_by": {
        "dial_tone": (
            "회선에서 발신음이 들려, 해제된 것이 측정되었습니다.",
            "Dial tone was then heard: the line was free.",
        ),
        "busy_tone": (
            "회선에서 통화 중 신호음이 들려, 해제된 것이 측정되었습니다.",
            "Busy tone was then heard: the line was free.",
        ),
        "idle_voltage": (
            "회선이 열린 것이 측정되었습니다. 그 뒤에 신호음이나 음성은 없었습니다.",
            "The open line was measured; no tone or voice followed.",
        ),
        "staff": ("안내 후 담당자가 수화기를 내려놓았습니다.", "Staff hung up after the notice."),
        "none": ("회선이 해제된 것은 측정되지 않았습니다.", "It was not measured that the line became free."),
    },
}
_WORDS["mark"] |= {
    each.name: (f"상담원이 누른 종료 번호: {each.ko}", f"the code for {each.en}, dialled on this telephone")
    for each in SITUATIONS
    if each.name not in _WORDS["mark"]
}


def word(language: str, kind: str, value: str) -> str:
    korean, english = _WORDS[kind].get(value, (value, value))
    return korean if language == "ko" else english


def time_with_utc(language: str, text: str) -> str:
    """Korean time, with UTC in parentheses, to the millisecond."""
    try:
        moment = from_utc_ns(parse_rfc3339(text))
        korean = clock_time(moment, _KOREA)
    except (ValueError, OverflowError):  # invalid, or beyond the range of Korean time
        return text
    return f"{korean} {'한국 표준시' if language == 'ko' else 'Korean time'} ({utc(moment)})"


def utc(moment: datetime) -> str:
    return f"{clock_time(moment.astimezone(UTC), UTC)} UTC"


def clock_time(moment: datetime, zone: timezone) -> str:
    there = moment.astimezone(zone)
    return f"{there:%Y-%m-%d %H:%M:%S}.{there.microsecond // 1000:03d}"
