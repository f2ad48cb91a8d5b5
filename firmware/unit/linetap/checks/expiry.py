# SPDX-License-Identifier: Apache-2.0
"""Checks of what ends on a day: certificate and key list. Told in steps, so that no alert is published every day."""

from __future__ import annotations

from linetap.checks.frame import Check, Snapshot, Words, of_recorder, of_reporter
from linetap_core.clock import NS_PER_DAY, parse_rfc3339
from linetap_core.records import RecorderState, ReporterState

STEPS_DAYS = (1, 7, 30)  # before the end


def step_of(left_days: float) -> int | None:
    """The step that has begun; None: the end is further away than all of them."""
    return next((days for days in STEPS_DAYS if left_days <= days), None)


def days_en(days: int) -> str:
    return "1 day" if days == 1 else f"{days} days"


@of_recorder
def key_list_end(_snapshot: Snapshot, recorder: RecorderState) -> Words | None:
    """The list of epochs will soon hold no day for a call of the longest class, or holds none any more."""
    key_list = recorder.key_list
    if key_list is None:
        return None
    left = key_list.fits_days
    if left is None:
        return _key_list_ends(
            "쓸 수 있는 키 목록이 없어 통화를 예비(overflow) 키로 봉인합니다. 녹음은 계속됩니다.",
            "There is no key list that can be used: calls are sealed to the overflow epoch. Recording goes on.",
        )
    if left == 0:
        return _key_list_ends(
            f"키 목록이 {key_list.last_day}에 끝나 가장 긴 보존 등급의 통화를 예비(overflow) 키로 봉인합니다.",
            f"The key list ends on {key_list.last_day}: calls of the longest class are sealed to the overflow epoch.",
        )
    step = step_of(left)
    if step is None:
        return None
    within = days_en(step)
    return _key_list_ends(
        f"{step}일 안에 키 목록({key_list.last_day}까지)에 가장 긴 보존 등급의 날이 없어집니다.",
        f"Within {within} the key list, which ends on {key_list.last_day}, has no day for the longest class any more.",
        mere_warning=True,
    )


def _key_list_ends(text_ko: str, text_en: str, mere_warning: bool = False) -> Words:
    return Words(
        mere_warning=mere_warning,
        text_ko=text_ko,
        text_en=text_en,
        action_ko="기록 보관 책임자에게 linetap keygen epochs --extend로 목록을 늘려 서명받도록 하십시오.",
        action_en="Have the vault officer extend the list (linetap keygen epochs --extend) and the authority sign it.",
    )


@of_reporter
def certificate_end(snapshot: Snapshot, reporter: ReporterState) -> Words | None:
    """The unit's TLS certificate ends soon, and then no broker takes it in."""
    until = reporter.certificate_until
    if until is None:
        return None
    try:
        left_ns = parse_rfc3339(until) - snapshot.utc_ns
    except ValueError:  # the reporter's word, and it may say anything: whoever looks goes on
        return None
    day = until[:10]
    if left_ns <= 0:
        return _certificate_ends(
            f"기기의 TLS 인증서가 {day}에 끝났습니다. 서버가 이 기기를 받지 않습니다. 녹음은 계속됩니다.",
            f"The unit's TLS certificate ended on {day}: no broker takes it in. Recording goes on.",
        )
    step = step_of(left_ns / NS_PER_DAY)
    if step is None:
        return None
    return _certificate_ends(
        f"기기의 TLS 인증서가 {step}일 안에 끝납니다 ({day}).",
        f"The unit's TLS certificate ends within {days_en(step)}, on {day}.",
        mere_warning=step != STEPS_DAYS[0],
    )


def _certificate_ends(text_ko: str, text_en: str, mere_warning: bool = False) -> Words:
    return Words(
        mere_warning=mere_warning,
        text_ko=text_ko,
        text_en=text_en,
        action_ko="인증 기관에서 linetap pki renew로 새 인증서를 만들어 기기에 넣으십시오. 재시작은 필요 없습니다.",
        action_en="Have the authority make a new one (linetap pki renew) and put it in its place. No restart.",
    )


CHECKS = (
    Check(
        "key_list_end",
        clears="when the unit has taken a list that is long enough",
        look=key_list_end,
    ),
    Check(
        "certificate_end",
        clears="when a certificate that lasts longer is in its place",
        look=certificate_end,
    ),
)
