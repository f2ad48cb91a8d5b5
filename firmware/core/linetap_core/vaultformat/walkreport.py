# SPDX-License-Identifier: Apache-2.0
"""The report of a walk test: the findings for each line, and its test calls.

Signed by the unit in namespace linetap-walk, and stored with its signature in the vault's folder `walks`; the log has a
leaf with its SHA-256.
"""

from __future__ import annotations

import msgspec

from linetap_core.evidence.signing import document
from linetap_core.records import WalkBy, WalkedLine, WalkEnd

WALKS_FOLDER = "walks"


class WalkReport(msgspec.Struct, frozen=True, kw_only=True):
    """The report. `passed`: all lines named by the configuration or the person were tested, and none is red."""

    unit: str
    version: str  # of linetap
    config_sha256: str
    by: WalkBy
    began_at: str
    ended_at: str
    ended_by: WalkEnd
    passed: bool
    lines: list[WalkedLine]


def encode(report: WalkReport) -> bytes:
    """The bytes to sign."""
    return document.encode(report)


def decode(data: bytes) -> WalkReport:
    """The report in `data`, without a check of its signature. BadInput for other data."""
    return document.decode(data, WalkReport)
