# SPDX-License-Identifier: Apache-2.0
"""Commands of the desk without the external program that they start: one line with Debian's package."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from linetap_core.errors import BadInput
from linetap_desk.release import requesting
from linetap_desk.setup import command, machine, services
from linetap_desk.unsealing import stockage
from linetap_desk.vaultproofs import sigsum
from linetap_desk.versions import bundle
from linetap_desk.witnessing import timestamp


@pytest.fixture(autouse=True)
def no_program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without any program, and an identity of a plugin, which only `age` can use."""
    (tmp_path / "nothing").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    monkeypatch.setattr(command, "find_spec", lambda _: None)
    monkeypatch.setattr(machine, "MOSQUITTO", tmp_path / "etc/mosquitto")
    (tmp_path / "token.txt").write_text("AGE-PLUGIN-YUBIKEY-1QQQQ\n")
    (tmp_path / "v.raucb").write_bytes(b"hsqs")
    return tmp_path


CASES: dict[str, Callable[[Path], object]] = {
    "age is not installed: apt install age; this kind of key needs it": lambda at: stockage.decrypt(
        b"age-encryption.org/v1\n", [at / "token.txt"]
    ),
    "openssl is not installed: apt install openssl": lambda at: timestamp._openssl("-reply", "-in", at / "v.raucb"),
    "sigsum-verify is not installed: apt install sigsum-go": lambda _: sigsum.require_stock_proof(
        b"", b"", b"", b"", "call"
    ),
    "unsquashfs is not installed: apt install squashfs-tools; it reads the bundle's facts": lambda at: (
        bundle._extracted(at / "v.raucb", at / "out")
    ),
    "--database postgresql: apt install postgresql python3-psycopg": lambda _: command.require_database("postgresql"),
    "mosquitto is not installed: apt install mosquitto; or name a broker elsewhere by --broker": lambda _: (
        services.require_broker()
    ),
    "systemctl daemon-reload: systemctl is not installed: apt install systemd": lambda _: machine.run_checked(
        "systemctl", "daemon-reload"
    ),
}


@pytest.mark.parametrize("said", CASES)
def test_the_line_names_the_package(said: str, no_program: Path) -> None:
    with pytest.raises(BadInput) as refused:
        CASES[said](no_program)
    assert str(refused.value) == said


def test_an_approver_whose_key_has_a_passphrase(no_program: Path) -> None:
    """Without ssh-keygen only a key without a passphrase signs."""
    key = no_program / "park"
    words = ["/usr/bin/ssh-keygen", "-q", "-t", "ed25519", "-N", "correct horse", "-f", str(key)]
    subprocess.run(words, check=True, capture_output=True)
    with pytest.raises(BadInput, match=r"has a passphrase.*ssh-keygen is not installed: apt install openssh-client$"):
        requesting._sign(b"{}", key)
