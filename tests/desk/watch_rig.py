# SPDX-License-Identifier: Apache-2.0
"""A unit's messages in JSON."""

from __future__ import annotations

AT = "2026-11-24T22:56:00.123Z"
ONLINE = {"state": "online", "session": "a", "version": "0.1.0", "since": AT}
OFFLINE = {**ONLINE, "state": "offline"}
LINE = {"state": "idle", "since": AT, "call_id": None}
ALERT = {
    "severity": "warning",
    "line": 3,
    "since": AT,
    "text_ko": "잡음",
    "text_en": "hum",
    "action_ko": "",
    "action_en": "",
}
HEALTH = {"at": AT, "services_dead": ""}
