# SPDX-License-Identifier: Apache-2.0
"""The load on the desk once more, made by somebody else's tool: an independent figure."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from linetap_bench.processes import ChildFailed

COMMAND = "LINETAP_LOAD_BESIDE"
LIMIT_S = 300


def run(url: str, sessions: Sequence[str], ca: Path) -> None:
    """The command of LINETAP_LOAD_BESIDE, if there is one; what it says goes to standard error. In LINETAP_LOAD_URL,
    _SESSIONS and _CA it finds where the pages are, the tokens of who is logged in, by spaces, and the CA's file.

    ChildFailed where it cannot be started, does not end, or ends with anything but 0.
    """
    try:
        words = shlex.split(os.environ.get(COMMAND, ""))
    except ValueError as error:
        raise ChildFailed(f"{COMMAND}: {error}") from None
    if not words:
        return
    told = {"LINETAP_LOAD_URL": url, "LINETAP_LOAD_SESSIONS": " ".join(sessions), "LINETAP_LOAD_CA": str(ca)}
    try:
        ended = subprocess.run(words, stdout=sys.stderr, env=os.environ | told, timeout=LIMIT_S, check=False)
    except OSError as error:
        raise ChildFailed(f"{COMMAND}: {words[0]}: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        raise ChildFailed(f"{COMMAND}: {words[0]}: not over after {LIMIT_S} s") from None
    if ended.returncode:
        raise ChildFailed(f"{COMMAND}: {words[0]} ended with {ended.returncode}")
