# SPDX-License-Identifier: Apache-2.0
"""Writes an outbox as after a long day without a consumer, with the image's own code and the unit's key, while the
recorder is stopped.
"""

from __future__ import annotations

import sys
from pathlib import Path

from linetap.config import load_config
from linetap.recorder.calls.call import new_call_id
from linetap.recorder.vault.signing import UnitKey
from linetap_core.clock import NS_PER_MS, SYSTEM, rfc3339
from linetap_core.records import CallEvent
from linetap_core.service import credential

config = load_config(Path("/etc/linetap/unit.toml"))
outbox = UnitKey(credential(Path(config.key))).open_outbox(config)
began_ns = SYSTEM.utc_ns()
for n in range(int(sys.argv[1])):
    at_ns = began_ns + n * NS_PER_MS
    outbox.append(
        CallEvent(seq=0, event="missed", at=rfc3339(at_ns), unit=config.unit, call_id=new_call_id(at_ns, 1), line=1)
    )
print(outbox.last_seq)
