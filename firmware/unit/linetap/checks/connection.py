# SPDX-License-Identifier: Apache-2.0
"""Checks of the connection to the desk: the broker, and events that wait or were lost."""

from __future__ import annotations

from linetap.checks.frame import Check, Snapshot, Trouble, Words
from linetap.checks.watch import GRACE_MS, Seen
from linetap_core.clock import NS_PER_MS, S_PER_DAY
from linetap_core.records import OutboxState, ReporterState


def _begins(state: ReporterState) -> bool:
    """Whether a reporter has just started, and no connection has failed yet."""
    return not state.tried and state.mono_ns - state.started_ns < GRACE_MS * NS_PER_MS


def _is_unreachable(reporter: Seen[ReporterState]) -> bool:
    state = reporter.state
    return state is None or not state.connected or reporter.fault is not None


def broker_unreachable(snapshot: Snapshot, standing: Trouble | None) -> Words | Trouble | None:
    """A reporter that works is without a connection; a dead one has its own alert. The desk receives this alert only
    from an intermittent connection."""
    reporter = snapshot.services.reporter
    if reporter.status != "alive" or (reporter.fault is None and reporter.state and _begins(reporter.state)):
        return standing
    if not _is_unreachable(reporter):
        return None
    where = reporter.state.broker if reporter.state else ""
    return Words(
        text_ko=f"서버 {where}에 연결되지 않습니다. 녹음은 계속되고 보고는 기기에 쌓입니다.",
        text_en=f"The broker {where} is unreachable. Recording goes on, and reports wait in the unit.",
        action_ko=(
            "네트워크 케이블과 스위치를 확인하십시오. 원인은 로그에 있습니다: "
            "journalctl --namespace=+linetap -u linetap-reporter"
        ),
        action_en=(
            "Check the network cable and the switch. The reason is in the log: "
            "journalctl --namespace=+linetap -u linetap-reporter"
        ),
    )


OLD_S = 3600  # a desk confirms every second; its restart takes less than an hour
TOO_OLD_S = S_PER_DAY
TOO_FULL_SHARE = 0.8  # of the bound; only unconfirmed events fill the outbox so far
_HOURS = (1, 2, 4, 8, 12, 24)  # in steps, so that the alert does not change every minute


def outbox_old(snapshot: Snapshot, standing: Trouble | None) -> Words | Trouble | None:
    """The unit's events have been unconfirmed for long. Critical early enough before events are dropped."""
    reporter = snapshot.services.reporter.live
    if reporter is None or reporter.outbox is None:
        return standing
    outbox = reporter.outbox
    if outbox.oldest_s is None or outbox.oldest_s < OLD_S:
        return None
    hours = max(step for step in _HOURS if step * 3600 <= outbox.oldest_s)
    days = round(outbox.oldest_s) // S_PER_DAY
    long_ko, long_en = (f"{days}일", f"{days} days") if days > 1 else (f"{hours}시간", f"{hours} h")
    desk = outbox.confirmed_by == "desk"
    who_ko, who_en = ("데스크", "desk") if desk else ("서버", "broker")
    return Words(
        mere_warning=not _is_critical(outbox, desk),
        text_ko=f"{who_ko}에서 {long_ko} 넘게 보고를 확인하지 않았습니다. 녹음은 계속됩니다.",
        text_en=f"The {who_en} has not confirmed reports for more than {long_en}. Recording goes on.",
        action_ko="데스크의 linetap desk ingest와 네트워크를 확인하십시오. 기기에서 보고를 지우지 마십시오.",
        action_en="Check linetap desk ingest at the desk, and the network. Remove no reports from the unit.",
    )


def _is_critical(outbox: OutboxState, desk: bool) -> bool:
    """Whether the outbox is critically full or old. Its size counts only with a desk: without a desk it is always full,
    with events that a broker has acknowledged."""
    full = desk and outbox.size_bytes >= TOO_FULL_SHARE * outbox.limit_bytes
    old = outbox.oldest_s is not None and outbox.oldest_s >= TOO_OLD_S
    return full or old


def outbox_dropped(snapshot: Snapshot, standing: Trouble | None) -> Words | Trouble | None:
    """Events were dropped from the unit before they were confirmed. The recordings are not affected."""
    recorder, reporter = snapshot.services.recorder.live, snapshot.services.reporter.live
    if recorder is None:
        return standing
    dropped_to, delivery = recorder.outbox_dropped_to, recorder.delivery
    if dropped_to == 0:
        return None
    if delivery.desk:
        through = delivery.confirmed
    elif reporter is not None:
        through = reporter.delivered_seq
    else:
        return standing
    if through >= dropped_to:
        return None
    return Words(
        text_ko=f"보고가 확인되기 전에 기기에서 밀려났습니다 ({dropped_to}번까지). 녹음은 그대로 있습니다.",
        text_en=f"Reports up to {dropped_to} were dropped unconfirmed. The recordings are complete.",
        action_ko="데스크와의 연결을 되살리고, 빠진 통화는 기기의 봉인된 기록으로 대조하십시오.",
        action_en="Restore the connection to the desk, and compare missing calls with the unit's sealed records.",
    )


CHECKS = (
    Check("broker_unreachable", clears="when the unit is connected to the broker again", find=broker_unreachable),
    Check(
        "outbox_old",
        clears=f"when nothing older than {OLD_S // 60} min is unconfirmed",
        find=outbox_old,
    ),
    Check(
        "outbox_dropped",
        clears="when the desk has confirmed the report of their loss",
        find=outbox_dropped,
    ),
)
