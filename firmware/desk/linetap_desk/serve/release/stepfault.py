# SPDX-License-Identifier: Apache-2.0
"""What the pages refuse besides what the gate at the keys does: docs/desk-release.md has the codes."""

from __future__ import annotations

from linetap_core.evidence.release import NotReleased


class StepFault(NotReleased):
    pass
