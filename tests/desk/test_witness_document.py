# SPDX-License-Identifier: Apache-2.0
"""The commands of docs/log.md that check cosignatures without our software, run as written there."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bundle_rig import unpacked
from linetap_core.cli import main
from linetap_core.evidence.calls import sealed
from sealing_rig import UNIT
from witnessed_rig import Site, site

DOCUMENT = Path(__file__).parents[2] / "docs" / "log.md"
(RECIPE,) = (text for text in re.findall(r"```bash\n(.*?)```", DOCUMENT.read_text(), re.DOTALL) if "$POLICY" in text)
CALLS = ["20261124T225600.123Z-L03", "20261124T225610.000Z-L01", "20261124T225620.000Z-L02", "20261124T225630.000Z-L01"]


@pytest.fixture(params=[1, 2, 3, 4])
def unit(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    with site(tmp_path, "2026-11-24T23:10:00.000Z") as made:
        for call_id in CALLS[: request.param]:
            made.call(call_id, "2026-11-24T22:57:00.000Z")
        assert made.carry() == 0
        yield made


def check(where: Path, call_id: str) -> tuple[bool, list[str]]:
    """Whether the recipe succeeded, and whose cosignatures it reports."""
    logs = where / "logs" / UNIT
    env = {
        **os.environ,
        "PROOF": str(logs / "witnessed" / f"{call_id}.tlog-proof"),
        "LEAF": str(logs / "leaves" / f"{call_id}.json"),
        "POLICY": str(where / "policy"),
    }
    command = ["bash", "-e", "-o", "pipefail", "-c", RECIPE]
    done = subprocess.run(command, cwd=where, env=env, capture_output=True, text=True, timeout=120, check=False)
    return done.returncode == 0, done.stdout.splitlines()


def test_stock_tools_say_who_cosigned_each_call(unit: Site) -> None:
    calls = sorted(path.name for path in unit.rig.vault.glob("20*/*/*/*"))
    for number, call_id in enumerate(calls):
        output = unit.root / f"{number}.zip"
        words = ["--signers", unit.rig.signers_file, "--policy", unit.root / "policy", "--heads", unit.heads]
        path = unit.rig.vault / sealed.call_path(call_id)
        assert main(["bundle", str(path), *map(str, words), "-o", str(output)]) == 0
        where = unpacked(output, unit.root / f"{number}")
        said = [f"{name} 2026-11-24T23:10:00Z" for name in ("first", "second")]
        assert check(where, call_id) == (True, said)
        proof = where / "logs" / UNIT / "witnessed" / f"{call_id}.tlog-proof"
        good = proof.read_text()
        leaf = where / "logs" / UNIT / "leaves" / f"{call_id}.json"
        leaf.write_text(leaf.read_text() + " ")
        assert check(where, call_id)[0] is False
        leaf.write_text(leaf.read_text()[:-1])
        origin, size = good.split("\n\n")[1].split("\n")[:2]
        proof.write_text(good.replace(f"{origin}\n{size}\n", f"{origin}x\n{size}\n"))
        assert check(where, call_id)[0] is False, "openssl says no"


def test_it_names_every_code() -> None:
    text = DOCUMENT.read_text()
    codes = "not_witnessed witnessed_late dated_ahead destroyed_ahead forked rolled_back other_log note_signature"
    for code in f"{codes} bad_note fork rollback no_answer not_cosigned day_not_over".split():
        assert f"`{code}`" in text, code
