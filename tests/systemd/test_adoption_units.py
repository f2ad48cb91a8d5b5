# SPDX-License-Identifier: Apache-2.0
"""A new unit's exchange in the shipped sandbox, and root's handling of its results, under a real systemd.

The network has no desk: the exchange's own user writes the desk's files into its folder.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from guest import Guest, guest, skip_reason, until
from systemd_rig import COMMAND

from adoption_rig import NewUnit

pytestmark = pytest.mark.skipif(skip_reason() is not None, reason=str(skip_reason()))
SENT, ADOPTED = "/run/linetap/adoption/sent", "/run/linetap-adopted"
AS_EXCHANGE = ("setpriv", "--reuid=linetap-adopt", "--regid=linetap", "--clear-groups")
EXCHANGE, PATH = "linetap_adopt.service", "linetap_adopted.path"


def test_an_order_and_a_certificate_out_of_the_exchanges_folder(tmp_path: Path) -> None:
    office = _office(tmp_path)
    with guest() as made:
        made.write("/usr/bin/linetap", COMMAND, 0o755)
        made.boot()
        made.run("systemctl", "start", EXCHANGE, PATH)
        until(lambda: "seek" in made.run("cat", "/run/linetap/adoption/shown", check=False), "it looks for its desk")
        assert made.property(EXCHANGE, "ActiveState") == "active"
        assert made.run("stat", "-c", "%U", "/run/linetap/adoption/shown") == "linetap-adopt"
        for name in ("linetap.toml.sig", "linetap.toml"):
            _hand(made, name, (office.card.desk / name).read_text())
        until(lambda: ADOPTED in made.run("sh", "-c", f"ls -d {ADOPTED}/*.txt", check=False), "root has seen it")
        assert made.run("sh", "-c", f"cat {ADOPTED}/linetap-error.txt", check=False) == ""
        until(lambda: made.run("ls", ADOPTED, check=False).count(".request") == 1, "root has taken the order")
        assert "floor-03" in made.run("linetap", "config", "check", "/etc/linetap/unit.toml")
        asked = tmp_path / "floor-03.request"
        asked.write_text(
            made.run("setpriv", "--reuid=linetap-adopt", "--clear-groups", "cat", f"{ADOPTED}/floor-03.request")
        )
        assert office.pki.run("unit", str(asked), "-o", str(tmp_path / "floor-03.pem")) == 0
        _hand(made, "certificate.pem", (tmp_path / "floor-03.pem").read_text())
        until(lambda: "tls.pem" in made.run("ls", "/etc/linetap"), "root has taken the certificate")
        until(lambda: made.property(EXCHANGE, "ActiveState") == "inactive", "nothing is left to be adopted")
        made.run("systemctl", "start", EXCHANGE)
        assert made.property(EXCHANGE, "ConditionResult") == "no", "nor at the next start"


def _hand(made: Guest, name: str, text: str) -> None:
    """Delivers the file like the exchange: by a rename in its own folder."""
    words = f"cat >{SENT}/.new <<'END'\n{text.rstrip()}\nEND\nmv {SENT}/.new {SENT}/{name}"
    made.run(*AS_EXCHANGE, "sh", "-c", words)


def _office(folder: Path) -> NewUnit:
    """A new unit whose order names paths of the guest."""
    office = NewUnit.of(folder)
    unit = office.card.desk / "unit.toml"
    text = unit.read_text().replace(f"{office.card.desk}/", "")
    for here, there in ((folder / "vault", "/var/lib/linetap/vault"), (folder / "learned", "/var/lib/linetap/learned")):
        text = text.replace(f'"{here}"', f'"{there}"')
    unit.write_text(text.replace(f'"{office.run_dir}"', '"/run/linetap"'))
    office.pack()
    return office
