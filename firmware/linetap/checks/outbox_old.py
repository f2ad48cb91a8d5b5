# SPDX-License-Identifier: Apache-2.0
"""outbox_old: nobody has confirmed the unit's events for long. Critical while there is still time before some are
dropped."""

from __future__ import annotations

from linetap.checks.frame import Check, Snapshot, Trouble
from linetap.records import OutboxState, Severity

WARN_S = 3600  # a desk confirms every second; an hour is no restart of it
CRITICAL_S = 86_400
CRITICAL_SHARE = 0.8  # of the bound: what the desk has not confirmed is all that fills it so far
_HOURS = (1, 2, 4, 8, 12, 24)  # said in steps, so that an alert is not published with every minute


def look(snapshot: Snapshot, standing: Trouble | None) -> Trouble | None:
    reporter = snapshot.services.reporter.word
    if reporter is None or reporter.outbox is None:
        return standing
    outbox = reporter.outbox
    if outbox.oldest_s is None or outbox.oldest_s < WARN_S:
        return None
    hours = max(step for step in _HOURS if step * 3600 <= outbox.oldest_s)
    days = round(outbox.oldest_s) // 86_400
    long_ko, long_en = (f"{days}일", f"{days} days") if days > 1 else (f"{hours}시간", f"{hours} h")
    desk = outbox.confirmed_by == "desk"
    who_ko, who_en = ("상황실", "desk") if desk else ("서버", "broker")
    return Trouble(
        severity=_severity(outbox, desk),
        text_ko=f"{who_ko}에서 {long_ko} 넘게 보고를 확인하지 않았습니다. 녹음은 계속됩니다.",
        text_en=f"The {who_en} has not confirmed reports for more than {long_en}. Recording goes on.",
        action_ko="상황실의 linetap desk ingest와 네트워크를 확인하십시오. 기기에서 보고를 지우지 마십시오.",
        action_en="See whether linetap desk ingest runs at the desk, and the network. Remove nothing from the unit.",
    )


def _severity(outbox: OutboxState, desk: bool) -> Severity:
    """Without a desk the outbox is always full, of what a broker has taken long ago."""
    full = desk and outbox.size_bytes >= CRITICAL_SHARE * outbox.limit_bytes
    old = outbox.oldest_s is not None and outbox.oldest_s >= CRITICAL_S
    return "critical" if full or old else "warning"


CHECK = Check(
    id="outbox_old",
    clears=f"when nothing older than {WARN_S // 60} min is without a confirmation",
    look=look,
)
