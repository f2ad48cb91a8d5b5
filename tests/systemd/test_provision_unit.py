# SPDX-License-Identifier: Apache-2.0
"""A card in a machine started by systemd: processed by the shipped unit, once, before the services."""

from __future__ import annotations

from pathlib import Path

import pytest
from guest import Guest, guest, skip_reason
from systemd_rig import COMMAND, CONFIG

from linetap_bench.stage.stage import linetap

pytestmark = pytest.mark.skipif(skip_reason() is not None, reason=str(skip_reason()))
CARD, UNIT = "/boot/firmware", "provision-linetap.service"


def test_a_card_is_taken_and_a_wrong_one_fails_nothing_but_itself() -> None:
    with guest() as made:
        made.write("/usr/bin/linetap", COMMAND, 0o755)
        (made.root / "etc/linetap").mkdir()
        (made.root / "etc/linetap/unit.toml").symlink_to(CONFIG)
        made.boot()
        _take(made, _packed(made.folder))
        _remember(made)


def _packed(folder: Path) -> str:
    folder.mkdir(exist_ok=True)
    custodian = linetap("keygen", "custodian", "-o", folder / "custodian.txt").strip()
    epoch = linetap("keygen", "epoch", "-o", folder / "epoch.txt").strip()
    linetap(
        "config", "init", "floor-03", "--lines", 2, "--custodian", custodian, "--epoch", epoch, "--board", "simulated",
        "--notices", "/etc/linetap/notices", "-o", folder / "unit.toml",
    )  # fmt: skip
    linetap("provision", "pack", folder / "unit.toml", "--address", "10.1.2.3/24", "--gateway", "10.1.2.1",
            "-o", folder / "linetap.toml")  # fmt: skip
    return (folder / "linetap.toml").read_text()


def _take(made: Guest, card: str) -> None:
    made.run("systemctl", "start", UNIT)
    assert made.property(UNIT, "ConditionResult") == "no", "there is no card"
    made.run("mkdir", "-p", CARD)
    made.run("mount", "-t", "tmpfs", "card", CARD)
    _write(made, "[files\n")
    made.run("systemctl", "start", UNIT, check=False)
    assert made.property(UNIT, "Result") == "exit-code"
    assert "not TOML" in made.run("cat", f"{CARD}/linetap-error.txt")
    _write(made, card)
    made.run("systemctl", "start", UNIT)
    assert made.property(UNIT, "Result") == "success"
    assert set(made.run("ls", CARD).split()) == {"linetap-done.txt", "floor-03.request"}
    assert made.run("readlink", "/etc/linetap/unit.toml") == CONFIG
    assert "floor-03" in made.run("linetap", "config", "check", "/etc/linetap/unit.toml")
    assert "Address=10.1.2.3/24" in made.run("cat", "/etc/systemd/network/10-linetap.network")
    assert made.run("sh", "-c", f"systemd-analyze verify /etc/systemd/system/{UNIT} 2>&1") == ""


def _remember(made: Guest) -> None:
    """A unit commissioned by an older version: the next start, with an empty card, records its authority."""
    memory = "/etc/linetap/order.json"
    made.run("systemctl", "stop", UNIT)
    made.run("rm", "-f", f"{CARD}/linetap-done.txt", f"{CARD}/floor-03.request")
    made.run("systemctl", "start", UNIT)
    assert "floor-03.request" in made.run("ls", CARD), "without its certificate a unit asks for it on any card"
    made.run("systemctl", "stop", UNIT)
    made.run("touch", "/etc/linetap/tls.pem")
    made.run("systemctl", "start", UNIT)
    assert made.property(UNIT, "ConditionResult") == "no", "there is nothing to do, and python is not started"
    made.run("rm", memory)
    made.run("systemctl", "start", UNIT)
    assert made.property(UNIT, "Result") == "success"
    assert '"unit":"floor-03"' in made.run("cat", memory)
    made.run("rm", "/etc/linetap/unit.toml")
    made.run("systemctl", "stop", UNIT)
    _write(made, _packed(made.folder / "thief"))
    made.run("systemctl", "start", UNIT, check=False)
    assert "[order_no_authority]" in made.run("cat", f"{CARD}/linetap-error.txt")


def _write(made: Guest, text: str) -> None:
    made.run("sh", "-c", f"cat >{CARD}/linetap.toml <<'END'\n{text}END\n")
