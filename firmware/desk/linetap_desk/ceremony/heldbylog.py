# SPDX-License-Identifier: Apache-2.0
"""The holds that stand by the units' logs in the copies (decision 0253).

A folder of holds that was restored from a backup, or lacks a hold, would let the key of a held call be destroyed. The
log of the call's unit has each hold that it took. It only keeps keys, so its signature is not asked for.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from linetap_core.clock import parse_rfc3339
from linetap_core.errors import BadInput, LinetapError, Refusal
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.merklelog import leaflog, unitlog
from linetap_core.evidence.merklelog.unitlog import Leaf
from linetap_core.records import CallRecord
from linetap_core.vaultformat import keptlogs
from linetap_desk.inputs import strict
from linetap_desk.proofs import callfolder


class HeldCall(NamedTuple):
    """A held call in the copies. `until`: the end of its hold, as its log has it."""

    call_dir: Path
    record_sha256: str
    epoch: str
    until: str


def held_calls(vaults: list[Path], over_by_ns: int | None) -> Iterator[HeldCall]:
    """The calls with a recording that a log holds. `over_by_ns`: a hold that ended by then keeps nothing; None: each
    does. Refusal for a log that cannot be read."""
    for vault in vaults:
        for call_id, until in _standing(vault).items():
            if over_by_ns is not None and _ends_by(until, over_by_ns):
                continue
            with contextlib.suppress(LinetapError, ValueError, OSError):  # without a record nobody knows its epoch
                call_dir = vault / sealed.call_path(call_id)
                data = callfolder.read(call_dir / sealed.RECORD, sealed.RECORD_LIMIT_BYTES)
                record = strict.decode(data, CallRecord)
                if record.files and record.retention is not None:
                    sha256 = hashlib.sha256(data).hexdigest()
                    yield HeldCall(call_dir, sha256, record.retention.epoch, until)


def _standing(vault: Path) -> dict[str, str]:
    """Call -> the end of its newest hold, of all logs of a vault."""
    found: dict[str, str] = {}
    places = [keptlogs.place(number) for number in keptlogs.numbers(vault)]
    for place in [*places, unitlog.FOLDER]:
        path = vault / place / leaflog.LEAVES
        try:
            for line in leaflog.lines_of(path):
                if b'"hold"' in line or b'"destruction"' in line:
                    _take(found, line)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise Refusal(f"{path}: {error.strerror}: it may have holds") from None
    return found


def _take(found: dict[str, str], line: bytes) -> None:
    try:
        leaf = strict.decode(line, Leaf)
    except BadInput:
        return  # a torn end; `linetap verify` names others
    if leaf.call_id is None or leaf.kind not in ("hold", "destruction"):
        return
    found.pop(leaf.call_id, None)
    if leaf.kind == "hold" and not leaf.ended:
        found[leaf.call_id] = leaf.until if isinstance(leaf.until, str) else ""


def _ends_by(until: str, ns: int) -> bool:
    try:
        return parse_rfc3339(until) <= ns
    except ValueError:
        return False
