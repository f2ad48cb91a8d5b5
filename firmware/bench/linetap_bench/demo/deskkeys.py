# SPDX-License-Identifier: Apache-2.0
"""All keys and certificates of the demo, made as a city makes them: the authority, the desk, the broker, every unit.

authority.key  keylist.json  roles.json  desk.key  serve-log.key  epochs/
people/        the signing keys of two approvers and the vault officer
pki/           the files of `linetap pki`, with broker.pem, serve-tls.pem and those of the two desks
units/NAME/    unit.key  tls.pem  tls.key, of the simulated units
"""

from __future__ import annotations

import contextlib
import io
from argparse import Namespace
from pathlib import Path

from linetap_bench.stage.servers import HOST
from linetap_bench.stage.stage import linetap
from linetap_core.clock import NS_PER_DAY, SYSTEM, from_utc_ns
from linetap_core.durable import privatefile, signedfile
from linetap_core.enrolment import certificates, request
from linetap_core.evidence.authorization.command import SUFFIX
from linetap_core.evidence.authorization.roles import Person, Purpose, Roles
from linetap_core.evidence.keys import keys
from linetap_core.evidence.signing import document, namespaces
from linetap_desk.pki import command as pki

INGEST, PAGES = "seoul", "pages"  # names from the broker's shipped acl
LIST_DAYS = 470  # 400 days more than the longest class
SIGNERS = {"legal": "이준호", "manager": "박서연", "vault": "최도윤"}  # name by role, as in roles.json
_DISPUTE = Purpose("dispute", "통화 내용에 대한 분쟁", "A caller disputes what was said", "통화녹음 지침 제12조")


class DemoKeys:
    """The demo's keys, all in its folder; a real city's private keys are in several places, never in one."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.pki = folder, folder / "pki"
        self.authority, self.key_list, self.roles = (
            folder / name for name in ("authority.pub", "keylist.json", "roles.json")
        )
        self.ca, self.signers = self.pki / "ca.pem", self.pki / "allowed_signers"

    def make(self) -> None:
        folder = self.folder
        self.authority.write_text(linetap("keygen", "authority", "-o", folder / "authority.key"))
        desk = linetap("keygen", "unit", "-o", folder / "desk.key").strip()
        linetap("keygen", "unit", "-o", folder / "serve-log.key")
        first = from_utc_ns(SYSTEM.utc_ns() - NS_PER_DAY).date()
        linetap(
            "keygen", "epochs", "--from", first, "--days", LIST_DAYS, "--authority", folder / "authority.key",
            "--all-on-one-medium", folder / "epochs", "-o", self.key_list,
        )  # fmt: skip
        roles = document.encode(Roles(1, [Person("desk", "desk", desk), *self._signers()], [_DISPUTE]))
        signedfile.write(self.roles, roles, signedfile.load_key(folder / "authority.key"), namespaces.ROLES)
        linetap("pki", "init", self.pki, "--network", "127.0.0.0/8")
        for name in ("broker", "serve-tls"):
            linetap("pki", "broker", HOST, "--dir", self.pki, "-o", self.pki / f"{name}.pem")
        for name in (INGEST, PAGES):
            linetap("pki", "desk", name, "--dir", self.pki, "-o", self.pki / f"desk-{name}.pem")

    def _signers(self) -> list[Person]:
        home = self.folder / "people"
        home.mkdir()
        return [
            Person(name, role, linetap("keygen", "unit", "-o", home / f"{role}.key").strip())
            for role, name in SIGNERS.items()
        ]

    def enrol(self, unit: str) -> None:
        """Enrols a simulated unit: makes its keys here and has the authority issue its certificate."""
        folder = self.folder / "units" / unit
        folder.mkdir(parents=True)
        tls, signer = certificates.new_key(), keys.new_unit_key()
        privatefile.write(folder / "unit.key", keys.unit_key_file(signer))
        privatefile.write(folder / "tls.key", certificates.key_pem(tls))
        asked = folder / f"{unit}.request"
        asked.write_bytes(request.make(unit, tls, signer))
        with contextlib.redirect_stdout(io.StringIO()):  # the unit's line in the authority's signers' file
            pki.enrol_unit(Namespace(request=asked, fingerprint=None, output=folder / "tls.pem", dir=self.pki), SYSTEM)

    def enrol_real(self, config: Path) -> None:
        """Enrols the real unit with an engineer's commands and names the certificate in unit.toml."""
        asked, certificate = config.with_name("unit.request"), config.with_name("tls.pem")
        linetap("pki", "request", "--config", config, "-o", asked)
        linetap("pki", "unit", asked, "--dir", self.pki, "-o", certificate)
        text = config.read_text().replace('host = "localhost"', f'host = "{HOST}"')
        for name, path in (("ca", self.ca), ("certificate", certificate), ("key", certificate.with_suffix(".key"))):
            text = text.replace(f'# {name} = "{path.name}"', f'{name} = "{path}"')
        config.write_text(text)

    def command_roles(self, unit: str, config: Path) -> None:
        """Sends a new unit its first command: the roles, i.e. who may command it."""
        command = self.folder / f"roles{SUFFIX}"
        linetap(
            "command", "sign", "--verb", "roles", "--role", "authority", "--unit", unit, "--document", self.roles,
            "--key", self.folder / "authority.key", "-o", command,
        )  # fmt: skip
        linetap("command", "apply", command, "--config", config, "--wait", 30)
