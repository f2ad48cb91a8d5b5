# SPDX-License-Identifier: Apache-2.0
"""Checking a Sigsum proof with the stock `sigsum-verify` command."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from linetap_core.errors import BadInput, Refusal

LIMIT_BYTES = 64 * 1024
_TIMEOUT_S = 30


class NotProven(Refusal):
    code = "sigsum"


def require(message: bytes, proof: bytes, policy: bytes, key: bytes, name: str) -> None:
    """NotProven unless the proof is of `message`, submitted by the `.pub` line `key`, in a log that `policy` names."""
    with tempfile.TemporaryDirectory(prefix="linetap-sigsum-") as folder:
        paths = [Path(folder) / each for each in ("key.pub", "policy", "proof")]
        for path, data in zip(paths, (key, policy, proof), strict=True):
            path.write_bytes(data)
        command = ["sigsum-verify", "-k", str(paths[0]), "-p", str(paths[1]), str(paths[2])]
        try:
            done = subprocess.run(command, input=message, capture_output=True, timeout=_TIMEOUT_S, check=False)
        except FileNotFoundError:
            raise BadInput("there is no `sigsum-verify`: install the package sigsum-go") from None
        except subprocess.TimeoutExpired:
            raise NotProven(f"{name}: sigsum-verify has not ended within {_TIMEOUT_S} s") from None
    if done.returncode:
        words = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["no reason given"]
        raise NotProven(f"{name}: sigsum-verify: {words[-1]}")
