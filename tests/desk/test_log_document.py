# SPDX-License-Identifier: Apache-2.0
"""docs/log.md is correct: its own commands are run unchanged."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import msgspec
import pytest

from linetap_core.evidence.calls import sealed
from linetap_core.evidence.keys import keys
from linetap_core.evidence.merklelog import closing
from linetap_core.evidence.merklelog.leaflog import LEAVES
from sealing_rig import CALL_ID, TIMEOUT_S, UNIT, Rig

DOCUMENT = Path(__file__).parents[2] / "docs" / "log.md"
BLOCKS = re.findall(r"```bash\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
HEAD, ROOT, CALLS = BLOCKS[:3]
(CLOSING,) = (text for text in BLOCKS if "$CLOSING" in text)


def shell(rig: Rig, script: str, where: Path | None = None, **more: Path) -> int:
    env = {
        **os.environ,
        "SIGNERS": str(rig.signers_file),
        "UNIT": UNIT,
        **{name: str(path) for name, path in more.items()},
    }
    command = ["bash", "-e", "-o", "pipefail", "-c", script]
    return subprocess.run(
        command, cwd=where or rig.vault, env=env, capture_output=True, timeout=TIMEOUT_S, check=False
    ).returncode


@pytest.fixture(params=[1, 2, 3, 6])
def rig(tmp_path: Path, request: pytest.FixtureRequest) -> Rig:
    rig = Rig.make(tmp_path)
    for number in range(request.param):
        rig.sealed_call(200, CALL_ID if number == 0 else f"20261124T23000{number}.000Z-L01")
    rig.publish()
    return rig


def test_a_log_is_checked_with_stock_tools(rig: Rig) -> None:
    assert [shell(rig, script) for script in (HEAD, ROOT, CALLS)] == [0, 0, 0]


def test_stock_tools_say_no(rig: Rig) -> None:
    leaves = rig.vault / "log" / LEAVES
    good = leaves.read_bytes()
    leaves.write_bytes(good.replace(b"recorded", b"reborded", 1))
    assert shell(rig, ROOT) != 0
    leaves.write_bytes(good)
    (rig.vault / sealed.call_path(CALL_ID) / "record.json").write_bytes(b"{}")
    assert shell(rig, CALLS) != 0
    rig.signers_file.write_text(f"{UNIT} {keys.public_line(keys.new_unit_key().public_key())}\n")
    assert shell(rig, HEAD) != 0


def test_a_closing_is_checked_with_stock_tools(rig: Rig, tmp_path: Path) -> None:
    log = rig.log()
    found = log.closing(CALL_ID)
    log.close()
    assert found is not None
    (tmp_path / "empty").mkdir()
    path, call = tmp_path / "closing.json", rig.vault / sealed.call_path(CALL_ID)

    def said() -> int:
        return shell(rig, CLOSING, tmp_path / "empty", CLOSING=path, CALL=call)

    good = closing.encode(found)
    path.write_bytes(good)
    assert said() == 0
    for old, new in ((b"recorded", b"reborded"), (b'closet-3f\\",\\"size', b'closet-4f\\",\\"size')):
        assert old in good
        path.write_bytes(good.replace(old, new, 1))
        assert said() != 0
    first, end, rest = found.path.partition("\n")
    _, index, _, size = first.split()
    others = [f"leaf {at} of {size}" for at in range(int(size) + 1) if at != int(index)]
    for other in (*others, f"leaf {index} of {int(size) + 1}", "leaf"):  # of another leaf, or of another head
        path.write_bytes(closing.encode(msgspec.structs.replace(found, path=other + end + rest)))
        assert said() != 0, other
    path.write_bytes(good)
    (call / "record.json").write_bytes(b"{}")
    assert said() != 0
