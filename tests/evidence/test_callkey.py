# SPDX-License-Identifier: Apache-2.0
"""A call's private key, opened with stock age, is nowhere in the memory of the process that made it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from linetap_core.evidence.keys import bech32, keys
from memory import found_in
from sealing_rig import run

MAKES = """
import sys
from linetap_core.evidence.calls.callkey import new_sealed_key
from linetap_core.evidence.calls.callkey import OfCall
call = OfCall('floor-03', '20261124T225600.123Z-L03')
made = [new_sealed_key([sys.argv[1]], call) for _ in range(20)]
for _, inner in made:
    sys.stdout.write(inner.hex() + chr(10))
sys.stdout.flush()
sys.stdin.read()
"""


def test_private_halves_open_and_are_gone_from_memory(tmp_path: Path) -> None:
    custodian = keys.new_identity()
    identity = tmp_path / "custodian.txt"
    identity.write_text(f"{custodian.secret}\n")
    words = [sys.executable, "-c", MAKES, custodian.recipient]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        for _ in range(20):
            inner = bytes.fromhex(child.stdout.readline())
            secret = run(["age", "-d", "-i", str(identity)], stdin=inner).stdout.decode().strip()
            made = keys.decode_secret(secret)
            assert found_in(child.pid, made.recipient.encode()), "what must be there is not found: this test is blind"
            raw = bech32.decode(secret)[1]
            for shape in (secret.encode(), secret.lower().encode(), raw):  # the ends may already be overwritten
                assert not found_in(child.pid, shape[8:-8]), "the private half is still in memory"
        child.stdin.close()
