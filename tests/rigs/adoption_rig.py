# SPDX-License-Identifier: Apache-2.0
"""A new unit and a desk on one machine: the exchange as a process, root's part as run by systemd, real https between
them.

The unit's folders are those of card_rig.Card; its order is signed by an authority, and its broker's certificates come
from the test's own pki.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path

from broker import until
from card_rig import PRIVATE, Card
from linetap.adoption import adoptionfiles
from linetap.cardresult import ADOPTED
from linetap_core import cli
from linetap_core.evidence.keys import keys
from linetap_core.evidence.signing import namespaces, sshsig
from pki_rig import Pki

LIMIT_S = 120


@dataclass
class NewUnit:
    """A new unit: `with NewUnit.of(tmp_path) as unit`. Root's part runs until the block ends, the exchange after its
    start.
    """

    card: Card
    pki: Pki
    state: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    @classmethod
    def of(cls, root: Path) -> NewUnit:
        card = Card.of_authority(root)
        unit = cls(card, Pki(root / "authority"), root / "state")
        for name in ("linetap.toml", "linetap.toml.sig"):
            (card.desk / name).unlink(missing_ok=True)
        unit.pack()
        return unit

    def pack(self, *more: str) -> None:
        """Packs linetap.toml and its signature, in the desk's folder."""
        (self.card.desk / "ca.pem").write_bytes(self.pki.ca.read_bytes())
        for name in ("linetap.toml", "linetap.toml.sig"):
            (self.card.desk / name).unlink(missing_ok=True)
        files = [str(self.card.desk / name) for name in ("unit.toml", "ca.pem", "keylist.json", "keylist.json.sig")]
        words = ["provision", "pack", *files, *self.card.key, *more, "-o", str(self.card.desk / "linetap.toml")]
        assert cli.main(words) == 0

    def change(self, old: str, new: str) -> None:
        """Replaces a text in the order and signs the result: `pack` would refuse an order that the unit refuses."""
        path = self.card.desk / "linetap.toml"
        path.write_text(path.read_text().replace(old, new))
        key = keys.load_unit_key((self.card.desk / PRIVATE).read_bytes())
        signature = sshsig.sign(path.read_bytes(), key, namespaces.ORDER)
        namespaces.signature_path(path).write_text(signature)

    @property
    def run_dir(self) -> Path:
        return self.card.run / "linetap"

    @property
    def sent(self) -> Path:
        return adoptionfiles.sent(self.run_dir)

    def start(self, url: str) -> subprocess.Popen[bytes]:
        """Starts the exchange."""
        words = ["adopt", "--desk", url, "--etc", self.card.etc, "--run", self.card.run, "--run-dir", self.run_dir]
        words += ["--state", self.state, "--every", "0.2"]
        process = subprocess.Popen([sys.executable, "-m", "linetap", *map(str, words)])
        self.processes.append(process)
        return process

    def root(self) -> None:
        """Applies what linetap_adopt.path does after each change in the folder."""
        seen: set[tuple[str, int]] = set()
        while not self.stop.wait(0.1):
            there = (
                {(path.name, path.stat().st_mtime_ns) for path in self.sent.glob("[!.]*")}
                if self.sent.exists()
                else set()
            )
            if there - seen:
                seen = there
                self.take()

    def take(self) -> int:
        words = ["provision", "adopt", self.sent, "--etc", self.card.etc, "--run", self.card.run]
        return cli.main(list(map(str, words)))

    def cut(self) -> None:
        """Cuts the power: all processes end, and the content of RAM is lost."""
        for process in self.processes:
            process.kill()
            process.wait(LIMIT_S)
        self.processes.clear()
        subprocess.run(["rm", "-rf", str(self.run_dir), str(self.card.run / ADOPTED)], check=True)

    def digits(self) -> str:
        """The digits that currently alternate on the LED CALL."""
        found: list[str] = []

        def there() -> bool:
            said = adoptionfiles.read_shown(self.run_dir)
            found[:] = [said.digits] if said is not None and said.state == "code" else []
            return bool(found)

        until(there, LIMIT_S)
        return found[0]

    def press(self) -> None:
        """Presses the button while these digits are shown, as reported by the panel."""
        adoptionfiles.press(self.run_dir, self.digits())

    def __enter__(self) -> NewUnit:
        self._root = threading.Thread(target=self.root)
        self._root.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self._root.join(LIMIT_S)
        for process in self.processes:
            process.kill()
            process.wait(LIMIT_S)
