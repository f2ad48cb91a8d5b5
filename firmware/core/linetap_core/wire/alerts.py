# SPDX-License-Identifier: Apache-2.0
"""The table of all alerts: the worst severity of each, the responsible contact, and the condition of the legend.

A unit's checks find them (checks/); panel, reporter and desk show them: all read severity, contact and LED here. Every
list has the order of this table. docs/architecture.md explains how to add one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from linetap_core.records import Severity

# Who usually repairs it, by the names of places.toml: the building's power, its network, the telephone lines.
Contact = Literal["power", "network", "lines"]


@dataclass(frozen=True, slots=True)
class AlertKind:
    severity: Severity  # its worst severity
    contact: Contact | None  # None: the administrator of the units
    led: str  # the condition of wire/legend.py at the worst severity
    led_of_warning: str | None = None  # the condition of a mere warning, if different

    def led_for(self, severity: Severity) -> str:
        return self.led if severity == "critical" or self.led_of_warning is None else self.led_of_warning


ALERTS: dict[str, AlertKind] = {
    # recording and services
    "config_wrong": AlertKind("critical", None, "config_wrong"),
    "nothing_runs": AlertKind("critical", None, "nothing_runs"),
    "capture_dead": AlertKind("critical", None, "capture_dead"),
    "recorder_dead": AlertKind("critical", None, "recorder_dead"),
    "codec_absent": AlertKind("critical", None, "codec_stalled"),
    "codec_mismatch": AlertKind("critical", None, "codec_stalled"),
    "codec_stalled": AlertKind("critical", None, "codec_stalled"),
    "not_recording": AlertKind("critical", None, "not_recording"),
    "state_unwritten": AlertKind("critical", None, "state_unwritten", "unit_check"),
    "ring_overtaken": AlertKind("critical", None, "unit_check"),
    "overruns": AlertKind("critical", None, "unit_check"),
    "reporter_dead": AlertKind("warning", None, "reporter_dead"),
    "panel_dead": AlertKind("warning", None, "panel_dead"),
    # disk and files
    "data_lost": AlertKind("critical", None, "data_lost"),
    "vault_read_only": AlertKind("critical", None, "not_recording"),
    "disk_errors": AlertKind("critical", None, "unit_check"),
    "card_changed": AlertKind("warning", None, "ok"),
    "disk_full": AlertKind("critical", None, "disk_full", "unit_check"),
    "disk_forecast": AlertKind("warning", None, "disk_forecast"),
    "disk_worn": AlertKind("critical", None, "unit_check"),
    "slot_failed": AlertKind("critical", None, "unit_check"),
    "file_broken": AlertKind("warning", None, "ok"),
    "log_changed": AlertKind("critical", None, "unit_check"),
    # computer, clocks, housing and key
    "under_voltage": AlertKind("critical", "power", "unit_check"),
    "power_failing": AlertKind("critical", "power", "unit_check"),
    "temperature_high": AlertKind("critical", None, "unit_check"),
    "throttled": AlertKind("warning", None, "unit_check"),
    "memory_low": AlertKind("critical", None, "unit_check"),
    "call_undated": AlertKind("warning", "network", "unit_check"),
    "clock_distrusted": AlertKind("warning", None, "ok"),
    "clock_stepped": AlertKind("warning", None, "ok"),
    "clock_unsynced": AlertKind("warning", "network", "ok"),
    "unit_opened": AlertKind("critical", None, "unit_opened"),
    "unit_key": AlertKind("critical", None, "unit_check"),
    # lines and the card's meter
    "notice_not_heard": AlertKind("critical", "lines", "line_fault"),
    "line_cut": AlertKind("critical", "lines", "line_fault"),
    "line_short": AlertKind("critical", "lines", "line_fault"),
    "battery_high": AlertKind("critical", "lines", "line_fault"),
    "silent_off_hook": AlertKind("critical", "lines", "line_fault"),
    "sound_on_hook": AlertKind("critical", "lines", "line_fault"),
    "contact_open": AlertKind("critical", "lines", "line_fault"),
    "meter_absent": AlertKind("critical", None, "meter_absent"),
    "converter_unset": AlertKind("critical", None, "line_fault"),
    "contact_stuck": AlertKind("warning", "lines", "line_check"),
    "notice_doubtful": AlertKind("warning", "lines", "line_check"),
    "line_reversed": AlertKind("warning", "lines", "line_check"),
    "battery_low": AlertKind("warning", "lines", "line_check"),
    "battery_24v": AlertKind("warning", "lines", "line_check"),
    "short_loop": AlertKind("warning", "lines", "line_check"),
    "hum": AlertKind("warning", "lines", "line_check"),
    "clipped": AlertKind("warning", "lines", "line_check"),
    "too_quiet": AlertKind("warning", "lines", "line_check"),
    "stuck_off_hook": AlertKind("warning", "lines", "line_check"),
    # calls that need the desk's action
    "call_marked": AlertKind("warning", None, "ok"),
    "call_ending": AlertKind("warning", None, "ok"),
    "mark_far": AlertKind("warning", None, "ok"),
    "long_call": AlertKind("warning", None, "ok"),
    "smdr_unmatched": AlertKind("warning", "lines", "ok"),
    # connection to the desk, versions, commands
    "key_list_end": AlertKind("critical", None, "desk_check", "ok"),
    "broker_unreachable": AlertKind("warning", "network", "broker_unreachable"),
    "certificate_end": AlertKind("critical", None, "desk_check", "ok"),
    "outbox_old": AlertKind("critical", None, "desk_check", "ok"),
    "outbox_dropped": AlertKind("critical", None, "desk_check", "ok"),
    "version_mismatch": AlertKind("warning", None, "ok"),
    "update_failed": AlertKind("warning", None, "ok"),
    "firmware_old": AlertKind("warning", None, "ok"),
    "eeprom_failed": AlertKind("warning", None, "ok"),
    "policy_departs": AlertKind("warning", None, "ok"),
    "weakened": AlertKind("warning", None, "ok"),
    "command_refused": AlertKind("warning", None, "ok"),
    "order_refused": AlertKind("warning", None, "ok"),
}

# An alert of a later version that is not in the table.
_UNKNOWN = AlertKind("critical", None, led="unit_check", led_of_warning="ok")


def led_of(check: str, severity: Severity) -> str:
    """The legend's condition for this alert."""
    return ALERTS.get(check, _UNKNOWN).led_for(severity)


def contact_of(check: str) -> Contact | None:
    return ALERTS.get(check, _UNKNOWN).contact
