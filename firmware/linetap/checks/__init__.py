# SPDX-License-Identifier: Apache-2.0
"""Self-diagnosis, one check a file: when it stands, what it says, how it clears. Severity and LED: wire/alerts.py.

A new check is a new file, its row in wire/alerts.py and its line in CHECKS.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from linetap.checks import (
    battery_24v,
    battery_low,
    broker_unreachable,
    call_marked,
    call_undated,
    capture_dead,
    certificate_end,
    clipped,
    clock_distrusted,
    clock_stepped,
    clock_unsynced,
    codec_absent,
    codec_mismatch,
    codec_stalled,
    command_refused,
    config_wrong,
    data_lost,
    disk_errors,
    disk_forecast,
    disk_full,
    disk_worn,
    file_broken,
    frame,
    hook_disagree,
    hum,
    key_list_end,
    line_cut,
    line_reversed,
    line_short,
    log_changed,
    long_call,
    mark_far,
    memory_low,
    meter_absent,
    not_recording,
    nothing_runs,
    notice_doubtful,
    notice_not_heard,
    order_refused,
    outbox_dropped,
    outbox_old,
    overruns,
    panel_dead,
    policy_departs,
    recorder_dead,
    reporter_dead,
    ring_overtaken,
    short_loop,
    silent_off_hook,
    smdr_unmatched,
    sound_on_hook,
    state_unwritten,
    stuck_off_hook,
    temperature_high,
    throttled,
    too_quiet,
    under_voltage,
    unit_key,
    unit_opened,
    update_failed,
    vault_read_only,
    version_mismatch,
    weakened,
)
from linetap.checks.damping import Damper
from linetap.checks.frame import Check, Finding, Snapshot, Trouble, take_snapshot
from linetap.checks.judgement import Judge, Judgement
from linetap.checks.watch import Services, Watch
from linetap.records import Alert

__all__ = [
    "CHECKS", "Alert", "Check", "Damper", "Finding", "Judge", "Judgement", "Services", "Snapshot", "Trouble",
    "Watch", "judge", "run", "take_snapshot",
]  # fmt: skip

CHECKS: tuple[Check, ...] = (
    config_wrong.CHECK,
    nothing_runs.CHECK,
    capture_dead.CHECK,
    recorder_dead.CHECK,
    codec_absent.CHECK,
    codec_mismatch.CHECK,
    codec_stalled.CHECK,
    not_recording.CHECK,
    state_unwritten.CHECK,
    ring_overtaken.CHECK,
    overruns.CHECK,
    reporter_dead.CHECK,
    panel_dead.CHECK,
    data_lost.CHECK,
    vault_read_only.CHECK,
    disk_errors.CHECK,
    disk_full.CHECK,
    disk_forecast.CHECK,
    disk_worn.CHECK,
    file_broken.CHECK,
    log_changed.CHECK,
    under_voltage.CHECK,
    temperature_high.CHECK,
    throttled.CHECK,
    memory_low.CHECK,
    call_undated.CHECK,
    clock_distrusted.CHECK,
    clock_stepped.CHECK,
    clock_unsynced.CHECK,
    unit_opened.CHECK,
    unit_key.CHECK,
    notice_not_heard.CHECK,
    line_cut.CHECK,
    line_short.CHECK,
    silent_off_hook.CHECK,
    sound_on_hook.CHECK,
    meter_absent.CHECK,
    hook_disagree.CHECK,
    notice_doubtful.CHECK,
    line_reversed.CHECK,
    battery_low.CHECK,
    battery_24v.CHECK,
    short_loop.CHECK,
    hum.CHECK,
    clipped.CHECK,
    too_quiet.CHECK,
    stuck_off_hook.CHECK,
    call_marked.CHECK,
    mark_far.CHECK,
    long_call.CHECK,
    smdr_unmatched.CHECK,
    key_list_end.CHECK,
    broker_unreachable.CHECK,
    certificate_end.CHECK,
    outbox_old.CHECK,
    outbox_dropped.CHECK,
    version_mismatch.CHECK,
    update_failed.CHECK,
    policy_departs.CHECK,
    weakened.CHECK,
    command_refused.CHECK,
    order_refused.CHECK,
)


def run(snapshot: Snapshot, standing: Iterable[Finding] = ()) -> list[Finding]:
    """What stands now, of all checks. `standing` is what this returned last time."""
    return frame.run(CHECKS, snapshot, standing)


def judge(before: Mapping[str, Alert] | None = None, now_ns: int = 0) -> Judge:
    """Of all checks; see Judge."""
    return Judge(CHECKS, before, now_ns)
