# SPDX-License-Identifier: Apache-2.0
"""Which calls of the PBX lack a recording that was due."""

from __future__ import annotations

from linetap.recorder.smdr.line import SmdrLine

# Whoever hung up before the notice was over said nothing that might have been recorded.
_TOO_SHORT = ("ended_before_notice", "ended_during_notice")


def is_missing(told: SmdrLine, answered: bool, disposition: str, why: str) -> bool:
    """Of a call that has a record. Policy (skipped, exempt, fax, modem) keeps no recording back that was due, and
    neither does a call that nobody answered: `missed`, `unanswered`, or of no length at the PBX."""
    return disposition == "discarded" and why not in _TOO_SHORT and answered and told.duration_s != 0
