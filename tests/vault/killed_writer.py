# SPDX-License-Identifier: Apache-2.0
"""A recorder's disk thread to be killed: resumes a call, writes this many more samples, and waits for its end."""

from __future__ import annotations

import random
import signal
import sys
from pathlib import Path

from linetap.recorder.vault.callfolder.folder import CallFolder


def main(vault: str, call_id: str, recipient: str, inner: str, total: str, budget: str) -> None:
    audio = random.Random(1).randbytes(int(total))
    folder = CallFolder.resume(Path(vault), call_id, recipient, bytes.fromhex(inner))
    end = folder.samples + int(budget)
    for at in range(folder.samples, end, 2000):
        folder.write(audio[at : min(at + 2000, end)])
    signal.pause()


if __name__ == "__main__":
    main(*sys.argv[1:])
