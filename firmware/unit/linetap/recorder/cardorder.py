# SPDX-License-Identifier: Apache-2.0
"""What became of an order on the card before this start: a leaf of the log, and the state behind the alert."""

from __future__ import annotations

from pathlib import Path

from linetap import cardresult
from linetap.recorder.vault.writer import VaultWriter
from linetap_core.clock import parse_rfc3339
from linetap_core.records import OrderState


def note(run_path: Path, vault: VaultWriter) -> OrderState | None:
    """Once a boot: a recorder that starts again says the same leaf, which is known. None: there was no order."""
    found = cardresult.load(run_path)
    if found is not None:
        vault.log_leaf("order", parse_rfc3339(found.at), code=found.code, sha256=found.sha256 or None)
    return found
