# SPDX-License-Identifier: Apache-2.0
"""A desk that confirms a recorder's reports with its own signature, in the place of the reporter's files."""

from __future__ import annotations

from pathlib import Path

import msgspec

from epoch_rig import Authority
from linetap.config import Config
from linetap.recorder.vault.outbox.reader import OutboxReader
from linetap_core import rundir
from linetap_core.clock import NS_PER_S, SYSTEM, from_utc_ns, rfc3339
from linetap_core.evidence.authorization import command as envelopes
from linetap_core.evidence.authorization.command import SUFFIX, Answer, Command
from linetap_core.evidence.authorization.roles import Person, Roles
from linetap_core.evidence.keys import keys
from linetap_core.evidence.signing import document, namespaces, sshsig
from linetap_core.rundir import ANSWER, answers_for, commands_of

EVERY_S = 10.0
DAYS = 100  # of the list: more than any call is kept
VALID_NS = 7 * 86_400 * NS_PER_S


class FastDesk:
    def __init__(self, folder: Path) -> None:
        """`authority` has the line and the key list for the unit's configuration."""
        self.authority, self._key = Authority(folder), keys.new_unit_key()
        now_ns = SYSTEM.utc_ns()
        days = self.authority.make(from_utc_ns(now_ns).date().isoformat(), DAYS)
        made_at = rfc3339(now_ns - 86_400 * NS_PER_S)
        self.authority.publish(msgspec.structs.replace(days, made_at=made_at))
        self._counter, self._next_s, self.confirmed = 0, 0.0, 0
        self._waiting: dict[str, str] = {}  # commands in the folder, and what each would confirm

    def turn(self, config: Config, at_s: float, utc_ns: int) -> None:
        """`at_s`: total elapsed time; `utc_ns`: by the recorder's clock."""
        if at_s < self._next_s:
            return
        self._next_s = at_s + EVERY_S
        self._hear(config)
        if not self._counter:
            self._name_itself(config, utc_ns)
        elif not self._waiting:
            reader = OutboxReader(config.vault_path / "outbox")
            newest = reader.last_seq()
            [(_, payload, _)] = reader.from_seq(newest, 1)
            event = msgspec.json.decode(payload)
            body = {"through": str(newest), "origin": event["origin"], "vault": event["vault"]}
            self._say(config, "ack", "desk", body, utc_ns)

    def _name_itself(self, config: Config, utc_ns: int) -> None:
        person = Person(name="the desk", role="desk", key=keys.public_line(self._key.public_key()))
        data = document.encode(Roles(version=1, people=[person], purposes=[]))
        body = {"document": data.decode(), "sig": sshsig.sign(data, self.authority.key, namespaces.ROLES)}
        self._say(config, "roles", "authority", body, utc_ns)

    def _say(self, config: Config, verb: str, role: str, body: dict[str, str], utc_ns: int) -> None:
        self._counter += 1
        command = Command(
            unit=config.unit, verb=verb, role=role, counter=self._counter, body=body, expires=rfc3339(utc_ns + VALID_NS)
        )
        key = self.authority.key if role == "authority" else self._key
        data = envelopes.seal(command, lambda text: sshsig.sign(text, key, namespaces.COMMAND))
        name = f"one-{self._counter:06d}"
        rundir.make_service_folder(config.run_path, "reporter")
        (rundir.make(commands_of(config.run_path, "reporter")) / f"{name}{SUFFIX}").write_bytes(data)
        self._waiting[name] = body.get("through", "0")

    def _hear(self, config: Config) -> None:
        for name, through in list(self._waiting.items()):
            answer: Path = answers_for(config.run_path, "reporter") / f"{name}{ANSWER}"
            if not answer.exists():
                continue
            found = msgspec.json.decode(answer.read_bytes(), type=Answer)
            assert found.done, found
            self.confirmed = int(through)
            (commands_of(config.run_path, "reporter") / f"{name}{SUFFIX}").unlink()
            del self._waiting[name]
