# SPDX-License-Identifier: Apache-2.0
"""The one table of all alerts: the worst severity of each, and the condition of the legend that shows it.

A unit's checks find them (checks/); panel, reporter and desk show them: all read severity and LED here. Every list has
the order of this table. docs/architecture.md explains how to add one.
"""

from __future__ import annotations

from dataclasses import dataclass

from linetap_core.records import Severity


@dataclass(frozen=True, slots=True)
class AlertKind:
    severity: Severity  # its worst severity
    led: str  # the condition of wire/legend.py that shows it at its worst
    led_of_warning: str | None = None  # the condition for a mere warning, if another

    def led_for(self, severity: Severity) -> str:
        return self.led if severity == "critical" or self.led_of_warning is None else self.led_of_warning


ALERTS: dict[str, AlertKind] = {
    # whether calls are recorded, and the services
    "config_wrong": AlertKind("critical", "config_wrong"),
    "nothing_runs": AlertKind("critical", "nothing_runs"),
    "capture_dead": AlertKind("critical", "capture_dead"),
    "recorder_dead": AlertKind("critical", "recorder_dead"),
    "codec_absent": AlertKind("critical", "codec_stalled"),
    "codec_mismatch": AlertKind("critical", "codec_stalled"),
    "codec_stalled": AlertKind("critical", "codec_stalled"),
    "not_recording": AlertKind("critical", "not_recording"),
    "state_unwritten": AlertKind("critical", "state_unwritten", "unit_check"),
    "ring_overtaken": AlertKind("critical", "unit_check"),
    "overruns": AlertKind("critical", "unit_check"),
    "reporter_dead": AlertKind("warning", "reporter_dead"),
    "panel_dead": AlertKind("warning", "panel_dead"),
    # disk and files
    "data_lost": AlertKind("critical", "data_lost"),
    "vault_read_only": AlertKind("critical", "not_recording"),
    "disk_errors": AlertKind("critical", "unit_check"),
    "card_changed": AlertKind("warning", "ok"),
    "disk_full": AlertKind("critical", "disk_full", "unit_check"),
    "disk_forecast": AlertKind("warning", "disk_forecast"),
    "disk_worn": AlertKind("critical", "unit_check"),
    "slot_failed": AlertKind("critical", "unit_check"),
    "file_broken": AlertKind("warning", "ok"),
    "log_changed": AlertKind("critical", "unit_check"),
    # the computer, its clocks, its housing and its key
    "under_voltage": AlertKind("critical", "unit_check"),
    "temperature_high": AlertKind("critical", "unit_check"),
    "throttled": AlertKind("warning", "unit_check"),
    "memory_low": AlertKind("critical", "unit_check"),
    "call_undated": AlertKind("warning", "unit_check"),
    "clock_distrusted": AlertKind("warning", "ok"),
    "clock_stepped": AlertKind("warning", "ok"),
    "clock_unsynced": AlertKind("warning", "ok"),
    "unit_opened": AlertKind("critical", "unit_opened"),
    "unit_key": AlertKind("critical", "unit_check"),
    # lines and the card's meter
    "notice_not_heard": AlertKind("critical", "line_fault"),
    "line_cut": AlertKind("critical", "line_fault"),
    "line_short": AlertKind("critical", "line_fault"),
    "silent_off_hook": AlertKind("critical", "line_fault"),
    "sound_on_hook": AlertKind("critical", "line_fault"),
    "contact_open": AlertKind("critical", "line_fault"),
    "meter_absent": AlertKind("critical", "meter_absent"),
    "converter_unset": AlertKind("critical", "line_fault"),
    "contact_stuck": AlertKind("warning", "line_check"),
    "notice_doubtful": AlertKind("warning", "line_check"),
    "line_reversed": AlertKind("warning", "line_check"),
    "battery_low": AlertKind("warning", "line_check"),
    "battery_24v": AlertKind("warning", "line_check"),
    "short_loop": AlertKind("warning", "line_check"),
    "hum": AlertKind("warning", "line_check"),
    "clipped": AlertKind("warning", "line_check"),
    "too_quiet": AlertKind("warning", "line_check"),
    "stuck_off_hook": AlertKind("warning", "line_check"),
    # calls, which the desk acts on
    "call_marked": AlertKind("warning", "ok"),
    "call_ending": AlertKind("warning", "ok"),
    "mark_far": AlertKind("warning", "ok"),
    "long_call": AlertKind("warning", "ok"),
    "smdr_unmatched": AlertKind("warning", "ok"),
    # the way to the desk, versions, and what was ordered
    "key_list_end": AlertKind("critical", "desk_check", "ok"),
    "broker_unreachable": AlertKind("warning", "broker_unreachable"),
    "certificate_end": AlertKind("critical", "desk_check", "ok"),
    "outbox_old": AlertKind("critical", "desk_check", "ok"),
    "outbox_dropped": AlertKind("critical", "desk_check", "ok"),
    "version_mismatch": AlertKind("warning", "ok"),
    "update_failed": AlertKind("warning", "ok"),
    "firmware_old": AlertKind("warning", "ok"),
    "eeprom_failed": AlertKind("warning", "ok"),
    "policy_departs": AlertKind("warning", "ok"),
    "weakened": AlertKind("warning", "ok"),
    "command_refused": AlertKind("warning", "ok"),
    "order_refused": AlertKind("warning", "ok"),
}

# An alert that is not in the table: of a later version, with a condition of its own.
_UNKNOWN = AlertKind("critical", led="unit_check", led_of_warning="ok")


def led_of(check: str, severity: Severity) -> str:
    """The legend's condition for this alert."""
    return ALERTS.get(check, _UNKNOWN).led_for(severity)
