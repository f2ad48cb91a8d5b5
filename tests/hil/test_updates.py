# SPDX-License-Identifier: Apache-2.0
"""Complete updates: kept if the new version works, left if it does not, without loss of calls.

One machine, used from test to test; the next versions are made from the running image.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from keptunit import Site, working_unit
from machine import Machine
from rig import HOST, Office, call_ids, one_call, record_of, state_of, vault
from stick import next_version, plug_in

from https_server import Server
from linetap_bench.stage.stage import linetap
from linetap_core.clock import NS_PER_MS, NS_PER_S, SYSTEM, rfc3339
from linetap_core.evidence.authorization import command as envelopes
from linetap_core.evidence.authorization.command import Command
from linetap_core.evidence.authorization.roles import Person, Roles
from linetap_core.evidence.keys import keys
from linetap_core.evidence.signing import document, namespaces, sshsig
from linetap_core.records import RecorderState, UpdateState

pytestmark = pytest.mark.hil
UNIT, CONFIG = "floor-03", "/etc/linetap/unit.toml"
STATE, VAULT = "/var/lib/linetap/update/state.json", "/var/lib/linetap/vault"
LIMIT_S = 1200  # to fetch, write and read 180 MB in an emulated machine, at the lowest priority
LOOK_S = 20
# Its kernel panics, so it needs little else.
NO_SYSTEMD = "find . -type f ! -path './usr/lib/linetap/*' -delete && install -m 755 /dev/null usr/lib/systemd/systemd"
NO_RECORDER = "sed -i 's|^ExecStart=.*|ExecStart=/bin/false|' etc/systemd/system/linetap-recorder.service"


@dataclass
class Updated:
    machine: Machine
    office: Office
    folder: Path
    people: dict[str, Ed25519PrivateKey]
    calls: list[str] = field(default_factory=list)

    def bundle(self, version: str, change: str = ":") -> Path:
        return next_version(self.machine, self.folder, version, change)

    def stick(self, bundle: Path) -> None:
        plug_in(self.machine, self.folder, bundle)

    def obeyed(self, verb: str, role: str, body: dict[str, str]) -> dict[str, object]:
        now_ns = SYSTEM.utc_ns()
        command = Command(
            unit=UNIT, verb=verb, role=role, counter=now_ns // NS_PER_MS, body=body,
            expires=rfc3339(now_ns + 3600 * NS_PER_S),
        )  # fmt: skip
        made = envelopes.seal(command, lambda text: sshsig.sign(text, self.people[role], namespaces.COMMAND))
        self.machine.write("/run/one.command", made)
        said = self.machine.run("linetap", "command", "apply", "/run/one.command", "--config", CONFIG, "--wait", "60")
        found: dict[str, object] = json.loads(said)
        return found

    def state(self) -> UpdateState:
        return msgspec.json.decode(self.machine.read(STATE).splitlines()[-1], type=UpdateState)

    def reaches(self, *steps: str) -> UpdateState:
        self.machine.until(lambda: self.state().step in steps, f"the update is {steps}", LIMIT_S)
        return self.state()

    def tries(self, version: str) -> None:
        """Waits until it is installed, and the machine ends in order to start it; stops waiting if that becomes
        impossible.
        """
        end_ns = SYSTEM.monotonic_ns() + LIMIT_S * NS_PER_S
        while not self.machine.ended(LOOK_S):
            assert SYSTEM.monotonic_ns() < end_ns, self.machine.log_tail()
            found = self._state_unless_it_ends()
            assert found is None or (found.version, found.step) != (version, "failed"), found

    def _state_unless_it_ends(self) -> UpdateState | None:
        """The state; None while the machine shuts down, or after the data partition is unmounted."""
        with contextlib.suppress(OSError, AssertionError, msgspec.MsgspecError):
            return self.state()
        return None

    def starts_again(self) -> None:
        """Waits until the machine has restarted by itself and answers."""
        assert self.machine.ended(LIMIT_S), self.machine.log_tail()
        self.machine.boot()

    def runs(self) -> tuple[str, str]:
        """The running slot and version."""
        version = self.machine.run("sed", "-n", "s/^VERSION=//p", "/usr/lib/linetap/release")
        return self.machine.run("/usr/lib/linetap/slots", "get-current"), version

    def has_every_call(self) -> None:
        self.machine.until(lambda: state_of(self.machine, "recorder", RecorderState).lines, "the recorder works")
        assert set(self.calls) <= call_ids(self.machine)
        for call_id in self.calls:
            assert record_of(self.machine, call_id).disposition == "recorded"

    def call(self) -> None:
        self.calls.append(one_call(self.machine))


@pytest.fixture(scope="module")
def unit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Updated]:
    folder = tmp_path_factory.mktemp("updates")
    site = Site.new(folder)  # a separate one: it has a key list
    people = _people(site.office)
    authority = keys.public_line(people["authority"].public_key()), site.office.folder / "keylist.json"
    with working_unit(site, folder, is_timed=False, authority=authority, lines=1) as machine:
        made = Updated(machine, site.office, folder, people)
        named = [Person("the operator", "operator", keys.public_line(people["operator"].public_key()))]
        text = document.encode(Roles(1, named, []))
        body = {"document": text.decode(), "sig": sshsig.sign(text, people["authority"], "linetap-roles")}
        assert made.obeyed("roles", "authority", body)["done"]
        made.call()
        yield made


def _people(office: Office) -> dict[str, Ed25519PrivateKey]:
    """An authority that has signed a key list, and an operator."""
    authority = office.folder / "authority.key"
    linetap("keygen", "authority", "-o", authority)
    keeper = linetap("keygen", "custodian", "-o", office.folder / "keeper.txt").strip()
    linetap(
        "keygen", "epochs", "--from", rfc3339(SYSTEM.utc_ns())[:10], "--days", 100, "--authority", authority,
        "--all-on-one-medium", office.folder / "epochs", "-o", office.folder / "keylist.json", "--custodian", keeper,
    )  # fmt: skip
    return {"authority": keys.load_unit_key(authority.read_bytes()), "operator": keys.new_unit_key()}


def test_a_good_one_is_kept(unit: Updated) -> None:
    """update good: fetched over TLS, power cut while a slot is written, installed, tried, kept; every call is there"""
    before = unit.runs()
    bundle = unit.bundle("0.2.0")
    data = bundle.read_bytes()
    pair = unit.office.pki.host(HOST, name="updates")
    with Server(unit.office.pki, pair, data) as server:
        told = unit.obeyed("update", "operator", {
            "version": "0.2.0", "size": str(len(data)), "sha256": hashlib.sha256(data).hexdigest(),
            "url": f"https://{HOST}:{server.port}/linetap-0.2.0.raucb",
        })  # fmt: skip
        assert told["done"], told
        unit.reaches("installing")
        unit.machine.cut()
        unit.machine.boot()
        assert unit.runs() == before, "the old version starts, and the update continues by itself"
        unit.tries("0.2.0")
    unit.machine.boot()
    assert unit.runs() == ("b", "0.2.0")
    found = unit.reaches("done", "failed")
    assert (found.step, found.code, found.text) == ("done", "", "")
    unit.has_every_call()
    unit.call()
    unit.machine.cut()
    unit.machine.boot()
    assert unit.runs() == ("b", "0.2.0"), "it is what starts"
    unit.has_every_call()


def test_one_that_panics_is_left(unit: Updated) -> None:
    """update that does not start: the machine is back in the old version by itself, and says so"""
    unit.stick(unit.bundle("0.3.0", NO_SYSTEMD))
    unit.tries("0.3.0")
    unit.machine.start()
    assert unit.machine.ended(LIMIT_S), "the panic ends it"
    unit.machine.boot()
    assert unit.runs() == ("b", "0.2.0")
    found = unit.reaches("done", "failed")
    assert (found.version, found.code, found.by) == ("0.3.0", "update_fell_back", "stick")
    unit.machine.until(lambda: "update_failed" in unit.machine.run("linetap", "check", "--config", CONFIG, check=False),
                       "the check says so")  # fmt: skip
    unit.has_every_call()


def test_one_that_is_not_well_is_left(unit: Updated, tmp_path: Path) -> None:
    """update whose self-test fails: tried, and left by itself; the calls of before are there, and verify"""
    unit.stick(unit.bundle("0.4.0", NO_RECORDER))
    unit.tries("0.4.0")
    unit.machine.boot()
    assert unit.runs() == ("a", "0.4.0")
    unit.starts_again()
    assert unit.runs() == ("b", "0.2.0")
    found = unit.reaches("done", "failed")
    assert (found.version, found.code) == ("0.4.0", "update_self_test")
    assert "recorder_dead" in found.text
    unit.has_every_call()
    unit.call()
    unit.machine.run("systemctl", "stop", "linetap-recorder")
    signers = tmp_path / "allowed_signers"
    signers.write_bytes(unit.machine.read("/etc/linetap/allowed_signers"))
    linetap("verify", vault(unit.machine, tmp_path / "vault"), "--signers", signers)
