# SPDX-License-Identifier: Apache-2.0
"""The ended calls of a log: compared with their records by us and by stock tools, and reported after their
destruction.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from linetap_core.cli import main
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.keys import keys
from linetap_core.evidence.merklelog.leaflog import LEAVES, LeafLog
from linetap_core.evidence.merklelog.merkle import Tree
from linetap_core.evidence.merklelog.nodefile import TREE
from linetap_core.records import EndRecord
from linetap_desk.proofs import callfolder
from linetap_desk.vaultproofs import verifyvault
from sealing_rig import CALL_ID, TIMEOUT_S, Rig, noise, record, run

DOCUMENT = Path(__file__).parents[2] / "docs" / "log.md"
(RECIPE,) = (
    text for text in re.findall(r"```bash\n(.*?)```", DOCUMENT.read_text(), re.DOTALL) if '.kind == "end"' in text
)
END = EndRecord(
    situation="abuse", by="code", code_at="2026-11-24T22:56:30.000Z", released_at="2026-11-24T22:56:42.000Z",
    seen_by="dial_tone",
)  # fmt: skip


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    rig = Rig.make(tmp_path)
    rig.publish()
    call = msgspec.structs.replace(
        record(200), end=END, ended_at="2026-11-24T22:56:42.000Z", ended_by="released",
    )  # fmt: skip
    folder = rig.create(CALL_ID)
    folder.write(noise(200))
    folder.seal(call, rig.sign)
    log = rig.log()
    log.close_call(CALL_ID)
    log.publish()
    log.close()
    return rig


def codes(rig: Rig) -> list[str]:
    verdicts = verifyvault.verify_vault(rig.vault, callfolder.load_signers(rig.signers_file), None)
    return [problem.code for verdict in verdicts for problem in verdict.problems]


def leaves(rig: Rig) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (rig.vault / "log" / LEAVES).read_bytes().splitlines()]


def rewrite(rig: Rig, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> None:
    """Writes and signs another log, as the owner of the unit's key can."""
    lines = [json.dumps(leaf, separators=(",", ":")).encode() for leaf in change(leaves(rig))]
    folder = rig.vault / "log"
    head = json.loads((folder / "head.json").read_bytes())
    shutil.rmtree(folder)
    log = LeafLog(folder)
    log.append_lines(lines)
    log.close()
    tree = Tree()
    tree.append_all(lines)
    data = json.dumps({**head, "size": len(lines), "root": tree.root().hex()}, separators=(",", ":")).encode()
    (folder / "head.json").write_bytes(data)
    (folder / "head.json.sig").write_text(rig.sign_head(data))
    assert (folder / TREE).exists()


def stock(rig: Rig) -> int:
    command = ["bash", "-e", "-o", "pipefail", "-c", RECIPE]
    return subprocess.run(
        command, cwd=rig.vault, env=os.environ, capture_output=True, timeout=TIMEOUT_S, check=False
    ).returncode


def test_the_log_tells_of_the_end(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    assert codes(rig) == []
    assert stock(rig) == 0
    assert main(["verify", str(rig.vault), "--signers", str(rig.signers_file)]) == 0
    assert "?    log: 1 calls were ended after a notice: abuse 1; released 1\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    "change", [{"situation": "threat"}, {"released_at": None}, {"ended_by": "staff_after_notice"}, {"seen_by": "none"}]
)
def test_an_end_that_its_record_does_not_tell_is_found(rig: Rig, change: dict[str, Any]) -> None:
    rewrite(rig, lambda said: [{**leaf, **change} if leaf["kind"] == "end" else leaf for leaf in said])
    assert codes(rig) == ["other_end"]
    assert stock(rig) != 0


def test_an_end_of_a_call_that_was_not_ended_is_found(rig: Rig) -> None:
    other = "20261124T225700.000Z-L04"
    rig.sealed_call(200, other)
    log = rig.log()
    log.append("end", call_id=other, line=4, situation="abuse", by="code", ended_by="released")
    log.close_call(other)
    log.publish()
    log.close()
    assert codes(rig) == ["other_end"]
    assert stock(rig) != 0


def test_the_order_of_leaves_is_judged(rig: Rig) -> None:
    rewrite(rig, lambda said: sorted(said, key=lambda leaf: leaf["kind"] == "end"))
    assert codes(rig) == ["end_after_close"]


def test_a_second_end_of_another_kind_is_found(rig: Rig) -> None:
    again = {"situation": "threat"}
    rewrite(rig, lambda said: [each for leaf in said for each in ([{**leaf, **again}, leaf]
                               if leaf["kind"] == "end" else [leaf])])  # fmt: skip
    assert "other_end" in codes(rig)


def test_an_ended_call_without_its_leaf_is_found(rig: Rig) -> None:
    rewrite(rig, lambda said: [leaf for leaf in said if leaf["kind"] != "end"])
    assert codes(rig) == ["other_end"]
    assert stock(rig) != 0


def test_it_outlives_the_record(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    call = rig.vault / sealed.call_path(CALL_ID)
    (close,) = (leaf for leaf in leaves(rig) if leaf["kind"] == "close")
    gone = {"kind": "destruction", "at": "2027-11-24T15:00:01.000Z", "call_id": CALL_ID, "until": close["until"],
            "record_sha256": close["record_sha256"]}  # fmt: skip
    shutil.rmtree(call)
    rewrite(rig, lambda said: [*said, gone])
    main(["verify", str(rig.vault), "--signers", str(rig.signers_file)])
    assert "1 calls were ended after a notice: abuse 1; released 1" in capsys.readouterr().out
    assert stock(rig) == 0
    rewrite(rig, lambda said: [*said, {**said[0], "kind": "end", "call_id": CALL_ID}])
    assert "after_destruction" in codes(rig)


def test_sigsum_verifies_the_call_beside_it(rig: Rig, tmp_path: Path) -> None:
    out = tmp_path / "proofs"
    out.mkdir()
    assert main(["keygen", "unit", "-o", str(tmp_path / "desk.key")]) == 0
    assert main(["sigsum", CALL_ID, "--log", str(rig.vault / "log"), "--key", str(tmp_path / "desk.key"),
                 "--signers", str(rig.signers_file), "-o", str(out)]) == 0  # fmt: skip
    (tmp_path / "unit.pub").write_text(keys.public_line(rig.unit_key.public_key()) + "\n")
    record_json = (rig.vault / sealed.call_path(CALL_ID) / sealed.RECORD).read_bytes()
    command = [
        "sigsum-verify",
        "-k",
        str(tmp_path / "unit.pub"),
        "-p",
        str(out / "policy"),
        str(out / f"{CALL_ID}.proof"),
    ]
    assert run(command, stdin=record_json).returncode == 0
