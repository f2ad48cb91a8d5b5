# SPDX-License-Identifier: Apache-2.0
"""Checks of the unit's stored and signed data: damaged files, its log, its keys and its certificate.

An approaching end is reported in steps, so that the alert does not change every day.
"""

from __future__ import annotations

from linetap.checks.frame import Check, Snapshot, Trouble, Words, of_recorder, of_reporter
from linetap_core.clock import NS_PER_DAY, parse_rfc3339
from linetap_core.records import RecorderState, ReporterState


def file_broken(snapshot: Snapshot, _standing: Trouble | None) -> Words | None:
    """A small file of the unit was damaged. It was set aside and rebuilt. The last report of a dead service counts: its
    next start will report the same file.
    """
    services = snapshot.services
    everyone = (*services.capture.values(), services.recorder, services.reporter, services.panel)
    found = sorted({name for seen in everyone if seen.state is not None for name in seen.state.broken_files})
    if not found:
        return None
    names = ", ".join(found)
    return Words(
        text_ko=f"손상된 파일을 따로 보관하고 새로 만들었습니다: {names}.",
        text_en=f"A damaged file was set aside and rebuilt: {names}.",
        action_ko="녹음은 계속됩니다. 다시 발생하면 저장 장치를 교체하십시오. 손상된 파일은 NAME.broken-1에 있습니다.",
        action_en="Recording goes on. If it happens again, replace the disk. The damaged file is NAME.broken-1.",
    )


@of_recorder
def log_changed(_snapshot: Snapshot, recorder: RecorderState) -> Words | None:
    """At a start, the unit's log did not match its own signed head or the desk's head."""
    if not recorder.logs_kept:
        return None
    names = ", ".join(recorder.logs_kept[-3:])
    return Words(
        text_ko=f"기기의 로그가 서명된 내용과 다릅니다. 기존 로그를 보존하고 새 로그를 시작하였습니다 ({names}).",
        text_en=f"The unit's log differs from what it signed. A new log has begun; the old one is kept ({names}).",
        action_ko="카드를 교체하고, 쓰던 카드는 지우지 말고 보관하십시오. 녹음은 계속됩니다.",
        action_en="Replace the card and keep the old one, unwiped. Recording goes on.",
    )


@of_recorder
def unit_key(_snapshot: Snapshot, recorder: RecorderState) -> Words | None:
    """The TPM with the unit's key does not sign. Calls are recorded, and wait for their signature."""
    fault, waiting = recorder.key_fault, recorder.unsigned
    if fault is None:
        return None
    if fault == "tpm_policy":
        why_ko, why_en = "승인되지 않은 부팅입니다", "the release key has not signed this boot"
        action_ko = "정식 이미지로 다시 시작하십시오. 그래도 계속되면 누가 카드를 바꾸었는지 조사하십시오."
        action_en = "Start the unit from its own image. If the alert stays, find out who has changed the card."
    else:
        why_ko, why_en = "TPM이 응답하지 않습니다", "the TPM does not answer, or refuses"
        action_ko = "전원을 껐다 켜십시오. 그래도 계속되면 TPM을 교체하고 기기를 새로 등록하십시오."
        action_en = "Switch the unit off and on. If the alert stays, replace the TPM and enrol the unit again."
    return Words(
        text_ko=f"기기 키로 서명할 수 없습니다({why_ko}, {fault}). 녹음은 계속되며 {waiting}건이 서명을 기다립니다.",
        text_en=f"The unit's key does not sign: {why_en} ({fault}). Recording goes on; {waiting} items wait for it.",
        action_ko=action_ko,
        action_en=action_en,
    )


# --- Key list and certificate -----------------------------------------------------------------------------------------


STEPS_DAYS = (1, 7, 30)  # before the end


def step_of(left_days: float) -> int | None:
    """Returns the step that has begun; None: the end is further away than all steps."""
    return next((days for days in STEPS_DAYS if left_days <= days), None)


def days_en(days: int) -> str:
    return "1 day" if days == 1 else f"{days} days"


@of_recorder
def key_list_end(_snapshot: Snapshot, recorder: RecorderState) -> Words | None:
    """The list of epochs soon has, or already has, no day for a call of the longest class."""
    key_list = recorder.key_list
    if key_list is None:
        return None
    left = key_list.fits_days
    if left is None:
        return _key_list_ends(
            "쓸 수 있는 키 목록이 없어 통화를 예비(overflow) 키로 봉인합니다. 녹음은 계속됩니다.",
            "There is no usable key list: calls are sealed to the overflow epoch. Recording goes on.",
        )
    if left == 0:
        return _key_list_ends(
            f"키 목록이 {key_list.last_day}에 끝나 가장 긴 보존 구분의 통화를 예비(overflow) 키로 봉인합니다.",
            f"The key list ends on {key_list.last_day}: calls of the longest class are sealed to the overflow epoch.",
        )
    step = step_of(left)
    if step is None:
        return None
    within = days_en(step)
    return _key_list_ends(
        f"{step}일 안에 키 목록({key_list.last_day}까지)에 가장 긴 보존 구분의 날이 없어집니다.",
        f"Within {within} the key list (to {key_list.last_day}) runs out of days for the longest class.",
        mere_warning=True,
    )


def _key_list_ends(text_ko: str, text_en: str, mere_warning: bool = False) -> Words:
    return Words(
        mere_warning=mere_warning,
        text_ko=text_ko,
        text_en=text_en,
        action_ko="키 관리자에게 linetap keygen epochs --extend로 목록을 늘려 서명받도록 하십시오.",
        action_en="Have the vault officer extend the list (linetap keygen epochs --extend) and the authority sign it.",
    )


@of_reporter
def certificate_end(snapshot: Snapshot, reporter: ReporterState) -> Words | None:
    """The unit's TLS certificate expires soon; no broker accepts an expired certificate."""
    until = reporter.certificate_until
    if until is None:
        return None
    try:
        left_ns = parse_rfc3339(until) - snapshot.utc_ns
    except ValueError:  # the reporter's state may contain any text
        return None
    day = until[:10]
    if left_ns <= 0:
        return _certificate_ends(
            f"기기의 TLS 인증서가 {day}에 끝났습니다. 서버가 이 기기를 받지 않습니다. 녹음은 계속됩니다.",
            f"The unit's TLS certificate ended on {day}: no broker accepts the unit. Recording goes on.",
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
        action_en="Have the authority make a new one (linetap pki renew) and install it. No restart is needed.",
    )


CHECKS = (
    Check(
        "file_broken",
        clears="when the services restart, a week after the last such file",
        find=file_broken,
    ),
    Check(
        "log_changed",
        clears="when the log that was set aside has been taken out of the vault by a person",
        find=log_changed,
    ),
    Check(
        "unit_key",
        clears="when the key signs again",
        find=unit_key,
    ),
    Check(
        "key_list_end",
        clears="when the unit has accepted a list that is long enough",
        find=key_list_end,
    ),
    Check(
        "certificate_end",
        clears="when a certificate with a later end is installed",
        find=certificate_end,
    ),
)
