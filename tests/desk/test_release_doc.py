# SPDX-License-Identifier: Apache-2.0
"""docs/release.md is correct: its own commands lead from a request to a WAV, and it names every code."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
import wave
from pathlib import Path

import sealing_rig
from linetap_core.evidence.authorization import roles
from linetap_core.evidence.keys import keys
from sealing_rig import CALL_ID, TIMEOUT_S, Rig

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs/release.md").read_text()
_BLOCK = re.compile(r"^( *)```sh\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
SIGNERS = ("authority", "kim", "park", "han", "yun", "lee", "desk.key")
_CODE = re.compile(r"(?:NotReleased|RolesFault|AccessFault)\(\s*\"([a-z_]+)\"")


def test_its_commands(run_dir: Path) -> None:
    rig = Rig.make(run_dir)
    call = rig.sealed_call(12_000)
    rig.publish()
    for name in SIGNERS:
        sealing_rig.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(run_dir / name)])
    (run_dir / "custodian1.txt").rename(run_dir / "custodian.txt")
    script = "set -eu\n" + "".join(textwrap.dedent(block) for _, block in _BLOCK.findall(DOCUMENT))
    assert script.count("linetap ") == 12
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "CALL": str(call), "LINETAP_DESK": str(run_dir / "desk")}
    done = subprocess.run(
        ["bash", "-c", script], cwd=run_dir, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S
    )
    assert done.returncode == 0, done.stderr
    assert f"unwrap\tgranted\t{CALL_ID}" in done.stdout
    printed = done.stdout.partition("ok: version 1")[2]
    assert printed.count("\nperson ") == 2 * (len(SIGNERS) - 1), "by roles check and by roles use"
    assert "\nnobody " not in printed
    assert "\nwarning: " not in printed
    with wave.open(str(run_dir / "call.wav"), "rb") as wav:
        assert wav.getnframes() == 12_000
    assert not (run_dir / "one-time.txt").exists()


def test_its_rules_and_lines(tmp_path: Path) -> None:
    """The rules and lines of the document, added to its own people and purposes, by the reader of roles.json."""
    for name in SIGNERS:
        sealing_rig.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / name)])
    made = next(block for _, block in _BLOCK.findall(DOCUMENT) if "jq -cnS" in block).partition("ssh-keygen")[0]
    done = subprocess.run(["bash", "-c", f"set -eu\n{made}"], cwd=tmp_path, capture_output=True, timeout=TIMEOUT_S)
    assert done.returncode == 0, done.stderr
    file = json.loads((tmp_path / "roles.json").read_bytes())
    assert roles.parse((tmp_path / "roles.json").read_bytes()).unheld_offices == []
    (text,) = re.findall(r"```json\n(.*?)```", DOCUMENT, re.DOTALL)
    added = json.loads(f"{{{text.replace('age1...', keys.new_identity().recipient)}}}")
    file["people"][0]["role"] = "supervisor"
    file["purposes"] = [file["purposes"][0] | {"id": name} for name in ("complaint", "court", "citizen")]
    read = roles.parse(json.dumps(file | added, separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode())
    rule = read.rules[1]
    for name, value in (("may", f'`"{rule.may}"` (default)'), ("expires_days", f"(default\n  `{rule.expires_days}`")):
        assert name not in added["rules"][1]
        assert value in DOCUMENT, name
    assert [rule.party for rule in read.rules] == ["own_line", "court", "citizen"]
    assert read.lines[0].name == "Jung Ho"


def test_it_names_every_code() -> None:
    sources = (ROOT / "firmware").rglob("*.py")
    codes = {code for path in sources for code in _CODE.findall(path.read_text())}
    assert len(codes) > 25
    assert not {code for code in codes if f"`{code}`" not in DOCUMENT}
