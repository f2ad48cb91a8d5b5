# SPDX-License-Identifier: Apache-2.0
"""Runs in a file system too small for two calls; prints the result."""

from __future__ import annotations

import contextlib
import errno
import json
import sys
from pathlib import Path

from linetap_core.codecs import mulaw
from sealing_rig import Rig, noise, record


def main(root: Path) -> None:
    rig = Rig.make(root)
    old = rig.sealed_call(100_000, "20261124T215600.123Z-L01")
    before = {path.name: path.read_bytes() for path in old.iterdir()}
    (root / "other").write_bytes(bytes(100_000))
    audio = noise(700_000)
    folder = rig.create()
    seen: dict[str, object] = {}
    refused = 0
    for _ in range(3):  # the caller retries while the disk is still full
        try:
            for at in range(folder.samples, len(audio), 2000):
                folder.write(audio[at : at + 2000])
        except OSError as error:
            seen["refused_with"] = errno.errorcode[error.errno or 0]
            refused += 1
    seen["times_refused"] = refused
    seen["kept_while_full"], seen["durable_while_full"] = folder.samples, folder.durable_samples
    with (root / "ballast").open("wb", buffering=0) as ballast, contextlib.suppress(OSError):
        while ballast.write(bytes(4096)):
            pass
    kept = folder.samples
    try:
        folder.seal(record(kept), rig.sign)
    except OSError as error:
        seen["sealing_refused_with"] = errno.errorcode[error.errno or 0]
    seen["sealed_call_untouched"] = before == {path.name: path.read_bytes() for path in old.iterdir()}
    (root / "ballast").unlink()
    (root / "other").unlink()
    folder = rig.resume(folder)
    said = audio[: kept + 5000]
    folder.write(said[folder.samples :])
    folder.seal(record(len(said)), rig.sign)
    seen["joined_is_what_was_said"] = rig.joined(folder.path) == mulaw.HEADER + said
    seen["parts"] = len(folder.parts)
    sys.stdout.write(json.dumps(seen))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
