# SPDX-License-Identifier: Apache-2.0
"""Whose sealed key it is, where the key itself does not say: of a record of version 0.1, or one that claims to be.

With a unit's stolen key somebody can sign a record of call A that carries the key.age of call B. Keys name their call
today; of one that does not, the record of B says it: it lies among the copies, and names the same file by its hash.
"""

from __future__ import annotations

from pathlib import Path

from linetap_core.evidence import sealed
from linetap_core.evidence.release import NotReleased
from linetap_desk.proofs import callfolder
from linetap_desk.unsealing.checkedcall import CheckedCall

_RECORDS = f"*/[0-9]*/*/*/*/{sealed.RECORD}"  # UNIT/2026/11/24/CALL_ID


def require_one_record(store: Path, call: CheckedCall) -> None:
    """NotReleased where the copies have another record of the same sealed key: one of the two is false. Of a call that
    names what is under its epoch's layer nothing is looked for; of others each record of the store is read."""
    if call.key.inner_sha256:
        return
    digest = call.key.sha256.encode()
    for path in store.glob(_RECORDS):
        if path.parent == call.folder:
            continue
        try:
            found = digest in callfolder.read(path, sealed.RECORD_LIMIT_BYTES)
        except callfolder.Damaged:
            continue
        if found:
            text = f"{sealed.KEY}: the record of {path.parent.name} names the same, and it cannot be of both calls"
            raise NotReleased("key_of_another_call", text)
