# SPDX-License-Identifier: Apache-2.0
"""docs/broker.md matches the shipped files: its commands run as printed, and its names exist."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

from linetap_core import cli
from linetap_core.evidence.keys import keys
from linetap_core.wire.mqtt import Broker
from shipped_broker import SHIPPED

DOCUMENT = Path(__file__).parents[2] / "docs" / "broker.md"
TEXT = DOCUMENT.read_text()
SCRIPTS = re.findall(r"```bash\n(.*?)```", TEXT, re.DOTALL)
TIMEOUT_S = 120


def test_the_commands_run(tmp_path: Path) -> None:
    custodian, epoch = keys.new_identity().recipient, keys.new_identity().recipient
    made = ["config", "init", "floor-03", "--lines", "8", "--custodian", custodian, "--epoch", epoch]
    assert cli.main([*made, "--board", "simulated", "-o", str(tmp_path / "unit.toml")]) == 0
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    said = ""
    for script in SCRIPTS:
        ended = subprocess.run(
            ["bash", "-e", "-c", script], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=TIMEOUT_S
        )
        assert ended.returncode == 0, script + ended.stderr
        said += ended.stdout
    for name in ("broker:mqtt.city.police.example", "desk:seoul", "tls.pem: OK"):
        assert name in said.splitlines()
    assert 'valid-before="20261124220000Z"' in (tmp_path / "pki" / "allowed_signers").read_text()
    assert (tmp_path / "tls.key").stat().st_mode & 0o777 == 0o600


def test_the_configuration_is_one() -> None:
    (block,) = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)
    assert set(tomllib.loads(block)["broker"]) <= set(Broker.__struct_fields__)


def test_every_shipped_file_is_named() -> None:
    for file in SHIPPED.iterdir():
        assert f"`{file.name}`" in TEXT
