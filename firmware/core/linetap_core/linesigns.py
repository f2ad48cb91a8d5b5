# SPDX-License-Identifier: Apache-2.0
"""How the state of a line looks on a terminal: a sign of its own for each, never colour alone, and rich's style."""

from __future__ import annotations

from linetap_core.records import LineStatus

SIGNS: dict[LineStatus, tuple[str, str]] = {
    "idle": ("·", "dim"),
    "ringing": ("∿", "yellow"),
    "dialling": ("#", "yellow"),
    "notice": ("♪", "cyan"),
    "recording": ("●", "bold green"),
    "off_hook": ("/", "magenta"),
    "fault": ("!", "bold red"),
}
