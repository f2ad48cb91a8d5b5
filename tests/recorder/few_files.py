# SPDX-License-Identifier: Apache-2.0
"""Runs in a file system with much room that takes few more files; prints the result."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from test_writer import CALL_ID, FIRST, Source, public_record, record, writer

from unit_rig import make_unit


def main(root: Path) -> None:
    unit = make_unit(root, root)
    vault = writer(unit.config, Source())
    vault.open(CALL_ID, 1, FIRST)
    assert vault.step()
    seen: dict[str, object] = {"refused_at_first": vault.refused()}
    other = root / "other"
    other.mkdir()
    for number in range(2000):
        (other / str(number)).touch()
    vault.permit(CALL_ID, FIRST + 9000)
    assert vault.step()
    seen["refused"] = vault.refused()
    vault.close(CALL_ID, FIRST + 9000, record())
    assert vault.step()
    seen["samples"] = public_record(unit)["audio"]["samples"]  # type: ignore[index]
    shutil.rmtree(other)
    assert vault.step()
    seen["refused_now"] = vault.refused()
    sys.stdout.write(json.dumps(seen))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
