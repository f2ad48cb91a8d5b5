# SPDX-License-Identifier: Apache-2.0
"""A card and its unit: the desk's folder with the packed files, and a unit's /etc, /run, boot partition and vault."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from epoch_rig import Authority
from linetap_core import cli
from linetap_core.durable import privatefile
from linetap_core.evidence.keys import keys

CUSTODIAN = "age1lvyvwawkr0mcnnnncaghunadrqkmuf9e6507x9y920xxpp866cnql7dp2z"
EPOCH = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"
PINS = Path(__file__).parents[2] / "hardware/pins.toml"
AUTHORITY = keys.public_line(keys.new_unit_key().public_key())
PRIVATE = "authority.key"
SSH_KEY = keys.public_line(keys.new_unit_key().public_key(), "engineer")


TRAVELS = ("ca.pem", "unit.toml", "keylist.json", "keylist.json.sig")


@dataclass(frozen=True)
class Card:
    """The desk's folder with the packed files, and a unit's /etc, /run and boot partition."""

    root: Path
    desk: Path
    boot: Path
    etc: Path
    run: Path

    @classmethod
    def new(cls, root: Path) -> Card:
        card = cls(root, *(root / name for name in ("desk", "boot", "etc", "run")))
        for folder in (card.desk, card.boot, card.etc, card.run):
            folder.mkdir()
        card.configure()
        return card

    @classmethod
    def of_authority(cls, root: Path) -> Card:
        """The same for an authority whose private key is in the desk's folder; `key` signs the packed files."""
        card = cls.new(root)
        authority = Authority(card.desk)
        authority.publish(authority.make("2026-11-20", 500))
        privatefile.write(card.desk / PRIVATE, keys.unit_key_file(authority.key))
        card.configure(authority=authority)
        return card

    @property
    def key(self) -> tuple[str, str]:
        return "--key", str(self.desk / PRIVATE)

    def configure(
        self, unit: str = "floor-03", old: str = "", new: str = "", authority: Authority | None = None
    ) -> None:
        words = ["--lines", "8", "--custodian", CUSTODIAN, "--epoch", EPOCH, "--board", "simulated", "--notices", "x"]
        words += ["--vault", str(self.root / "vault"), "--run-dir", str(self.run / "linetap")]
        if authority is not None:
            words += ["--authority", authority.line, "--key-list", str(authority.path)]
        elif (self.desk / PRIVATE).exists():
            line = keys.public_line(keys.load_unit_key((self.desk / PRIVATE).read_bytes()).public_key())
            words += ["--authority", line, "--key-list", str(self.desk / "keylist.json")]
        output = self.desk / "unit.toml"
        assert cli.main(["config", "init", unit, *words, "--force", "-o", str(output)]) == 0
        text = output.read_text().replace('host = "localhost"', 'host = "broker.city.example"')
        for key, name in (("ca", "ca.pem"), ("certificate", "tls.pem"), ("key", "tls.key")):
            text = text.replace(f'# {key} = "{name}"', f'{key} = "{name}"')
        output.write_text(text.replace(old, new) if old else text)

    def pack(self, *more: str) -> int:
        for name in ("linetap.toml", "linetap.toml.sig"):
            (self.boot / name).unlink(missing_ok=True)
        (self.desk / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\n")
        files = [str(path) for path in sorted(self.desk.iterdir()) if path.name in TRAVELS]
        return cli.main(["provision", "pack", *files, *more, "-o", str(self.boot / "linetap.toml")])

    def start(self) -> int:
        """Runs the steps of the unit's boot."""
        return cli.main(["provision", "apply", str(self.boot), "--etc", str(self.etc), "--run", str(self.run)])

    def on_card(self) -> set[str]:
        return {path.name for path in self.boot.iterdir()}

    @property
    def home(self) -> Path:
        return self.etc / "linetap"
