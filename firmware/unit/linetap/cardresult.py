# SPDX-License-Identifier: Apache-2.0
"""What became of an order on the card, for the recorder: it puts it into the log, and an alert stands where it was no.

Below /run, written by root before the services start; gone with the next boot.
"""

from __future__ import annotations

from pathlib import Path

from linetap_core.clock import SYSTEM, parse_rfc3339, rfc3339
from linetap_core.durable.smallfile import SmallFile
from linetap_core.records import OrderState

CARD_WRONG = "linetap-card-wrong"  # below /run, beside the services' own folder: what the panel shows it by
NAME = "linetap-order.json"
_LIMIT_BYTES = 4096
_READABLE = 0o644

_FILE = SmallFile("order", OrderState, _LIMIT_BYTES, check=lambda state: parse_rfc3339(state.at))


def note(run_dir: Path, code: str, sha256: str | None) -> None:
    """`sha256` of the order, or of the statement by which a key ended."""
    path = run_dir / NAME
    _FILE.replace(path, OrderState(rfc3339(SYSTEM.utc_ns()), code, sha256 or ""))
    path.chmod(_READABLE)


def load(run_path: Path) -> OrderState | None:
    """None: nothing was on the card in this boot. `run_path` is that of the services, beside which it lies."""
    return _FILE.look(run_path.with_name(NAME))
