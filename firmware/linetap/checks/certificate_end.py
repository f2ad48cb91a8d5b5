# SPDX-License-Identifier: Apache-2.0
"""certificate_end: the unit's TLS certificate ends soon, and then no broker takes it in."""

from __future__ import annotations

from linetap.checks.days import STEPS_DAYS, days_en, step_of
from linetap.checks.frame import Check, Snapshot, Trouble
from linetap.checks.heard import of_reporter
from linetap.clock import NS_PER_S, parse_rfc3339
from linetap.records import ReporterState, Severity

_DAY_NS = 86_400 * NS_PER_S


@of_reporter
def look(snapshot: Snapshot, reporter: ReporterState) -> Trouble | None:
    until = reporter.certificate_until
    if until is None:
        return None
    try:
        left_ns = parse_rfc3339(until) - snapshot.utc_ns
    except ValueError:  # the reporter's word, and it may say anything: whoever looks goes on
        return None
    day = until[:10]
    if left_ns <= 0:
        return _trouble(
            "critical",
            f"기기의 TLS 인증서가 {day}에 끝났습니다. 서버가 이 기기를 받지 않습니다. 녹음은 계속됩니다.",
            f"The unit's TLS certificate ended on {day}: no broker takes it in. Recording goes on.",
        )
    step = step_of(left_ns / _DAY_NS)
    if step is None:
        return None
    return _trouble(
        "critical" if step == STEPS_DAYS[0] else "warning",
        f"기기의 TLS 인증서가 {step}일 안에 끝납니다 ({day}).",
        f"The unit's TLS certificate ends within {days_en(step)}, on {day}.",
    )


def _trouble(severity: Severity, text_ko: str, text_en: str) -> Trouble:
    return Trouble(
        severity=severity,
        text_ko=text_ko,
        text_en=text_en,
        action_ko="인증 기관에서 linetap pki renew로 새 인증서를 만들어 기기에 넣으십시오. 재시작은 필요 없습니다.",
        action_en="Have the authority make a new one (linetap pki renew) and put it in its place. No restart.",
    )


CHECK = Check(
    id="certificate_end",
    clears="when a certificate that lasts longer is in its place",
    look=look,
)
