# SPDX-License-Identifier: Apache-2.0
"""A desk installed from the packages on a bare Debian: commands of root, a unit, and a person's login."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import bare
from guest import Guest, until

from linetap_core.clock import SYSTEM, rfc3339
from linetap_core.enrolment import certificates
from linetap_core.wire.topics import Status, Topics
from pki_rig import Asking

UNIT = "floor-03"
# The doctor's findings on every such guest: its name is on no name server, and its clock cannot be set.
OF_THE_GUEST = {"name", "clock"}
FIGURES = "runuser -u linetap-desk -- linetap desk metrics --config /etc/linetap-desk/desk.toml"


@dataclass
class Installed:
    """A desk on a guest. `said`: for each line, its exit status and output."""

    machine: Guest
    said: dict[str, tuple[int, str]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    def type(self, line: str) -> str:
        """The command's output; the command must succeed."""
        status, said = bare.shell(self.machine, line)
        assert status == 0, f"{line}: {said}"
        return said

    def put(self, path: str, data: bytes) -> None:
        words = [*self.machine.entered(), "tee", path]
        subprocess.run(words, input=data, stdout=subprocess.DEVNULL, timeout=60, check=True)

    def doctor(self) -> list[str]:
        """The doctor's findings, except those of every guest."""
        _, said = bare.shell(self.machine, "linetap desk doctor --quiet")
        lines = [line.removeprefix("WRONG ") for line in said.splitlines()]
        return [line for line in lines if line.partition(":")[0] not in OF_THE_GUEST]

    def beside(self, program: str, *words: str) -> str:
        """The output of a program of these tests, run in the machine's network."""
        path = Path(__file__).with_name(program)
        command = ["nsenter", "-t", str(self.machine.pid), "-n", sys.executable, str(path), *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def enrol(self, folder: Path) -> None:
        """Enrols a unit by the authority's commands of docs/broker.md; a second setup installs the signers."""
        asking = Asking.new(UNIT)
        self.put("/root/unit.request", asking.request())
        self.type("linetap pki unit unit.request --dir linetap-pki -o tls.pem && linetap desk setup")
        for name in ("tls.pem", "linetap-pki/ca.pem"):
            (folder / Path(name).name).write_text(self.machine.run("cat", f"/root/{name}"))
        (folder / "tls.key").write_bytes(certificates.key_pem(asking.tls))
        told = Topics(UNIT).status(Status("online", "s", "1.0", rfc3339(SYSTEM.utc_ns())))
        self.beside("unitsays.py", told.topic, told.payload.decode(), str(folder))
        until(lambda: f'linetap_unit_online{{unit="{UNIT}"}} 1' in self.type(FIGURES), "the ingest has it")

    def log_in(self, folder: Path) -> str:
        """Logs in by the one-time link that setup has printed; returns the output of firstlogin.py."""
        said = "".join(text for _, text in self.said.values())
        found = re.search(r"https://\S+/first#\S+", said)
        assert found, said
        (folder / "ca.pem").write_text(self.machine.run("cat", "/etc/linetap-desk/ca.pem"))
        return self.beside("firstlogin.py", found[0], str(folder / "ca.pem"))
