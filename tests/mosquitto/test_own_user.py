# SPDX-License-Identifier: Apache-2.0
"""A broker that runs as Mosquitto's own user, as on Debian, with files installed by the commands of docs/broker.md."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from pki_rig import Pki
from shipped_broker import SHIPPED, ShippedBroker, context, is_let_in

ROOT = Path(__file__).parents[2]
(COMMANDS,) = re.findall(r"```sh\n(install .*?)```", (ROOT / "docs" / "broker.md").read_text(), re.DOTALL)
USER = "mosquitto"  # created by Debian's package


class OwnUserBroker(ShippedBroker):
    commands = COMMANDS

    def _configuration(self) -> str:
        root = self.pki.root
        shutil.copytree(SHIPPED, root / "systemd" / "mosquitto", dirs_exist_ok=True)
        shutil.copy(self.pair.certificate, root / "city.pem")
        shutil.copy(self.pair.key, root / "city.key")
        (self.folder / "conf.d").mkdir()
        script = self.commands.replace("/etc/mosquitto/", f"{self.folder}/")
        subprocess.run(["sh", "-e", "-c", script], cwd=root, check=True, timeout=60)
        conf = self.folder / "conf.d" / "linetap.conf"
        self._place(conf.name, conf)  # ports and paths of this test
        for folder in (self.folder, self.folder.parent):  # /etc and /etc/mosquitto are readable for every user
            folder.chmod(0o755)
        (self.folder / "kept").mkdir()
        shutil.chown(self.folder / "kept", USER)
        kept = f"persistence true\npersistence_location {self.folder}/kept/\n"
        return f"user {USER}\nlog_dest stderr\n{kept}include_dir {self.folder}/conf.d\n"


@pytest.mark.skipif(os.getuid() != 0, reason="only root starts a broker that becomes another user")
@pytest.mark.parametrize("copy", ["install -m 644 ", "cp -p "])
def test_the_brokers_own_user_reads_what_the_authority_made(
    run_dir: Path, copy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files are installed by the document's commands, or by `cp`, which keeps the authority's modes."""
    monkeypatch.setattr(OwnUserBroker, "commands", COMMANDS.replace("install -m 644 ", copy))
    pki = Pki(run_dir / "authority")
    with OwnUserBroker(run_dir / "broker", pki=pki, pair=pki.host("127.0.0.1")) as broker:
        assert is_let_in(broker.port, context(pki, pki.desk("seoul")))
        process = broker.process
        assert process is not None
        assert Path(f"/proc/{process.pid}").stat().st_uid == (broker.folder / "kept").stat().st_uid != 0
    assert "world readable" not in broker.said()
