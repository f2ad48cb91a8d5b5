# SPDX-License-Identifier: Apache-2.0
"""The people of a desk with keys of stock ssh-keygen, their signed roles, and calls to request."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import sealing_rig
from linetap_core.clock import NS_PER_S, ManualClock, parse_rfc3339
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.keys import keys
from linetap_desk.accesslog import command as access_command
from linetap_desk.accesslog import roles
from linetap_desk.accesslog.access import Entry, read_log
from linetap_desk.release import command as release
from linetap_desk.release import open as opening
from linetap_desk.release import unwrap
from sealing_rig import CALL_ID, Rig

DAY_NS = 24 * 3600 * NS_PER_S
NOW = "2026-01-05T09:00:00.000Z"
OTHER_CALL = "20261124T225700.000Z-L04"
ID = "2026-0042"
KIM, PARK, CHOI, HAN, YUN, LEE = "김소라", "Park Min", "Choi Ara", "Han Seo", "Yun Ho", "Lee Jun"
PEOPLE = {KIM: "privacy", PARK: "legal", CHOI: "privacy", HAN: "vault", YUN: "custodian", LEE: "legal"}
PURPOSES = [
    {"basis": "Terms 12", "id": "dispute", "text_en": "A caller disputes what was said", "text_ko": "통화 내용 분쟁"},
    {"basis": "Act 39", "id": "abuse", "text_en": "Abuse of staff", "text_ko": "폭언"},
]


@cache
def _key_of(name: str) -> tuple[bytes, bytes]:
    """A person's key by stock ssh-keygen, private and public; the same in all of a process's desks, which are some
    hundred.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        made = sealing_rig.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(path)])
        assert made.returncode == 0, made.stderr
        return path.read_bytes(), path.with_name(f"{name}.pub").read_bytes()


@dataclass
class Desk:
    rig: Rig
    root: Path
    folder: Path
    requester: keys.AgeIdentity
    clock: ManualClock = field(default_factory=lambda: ManualClock(parse_rfc3339(NOW)))

    @classmethod
    def make(cls, root: Path, change: Callable[[Rig], Rig] = lambda rig: rig) -> Desk:
        """`change`: the rig with other custodians or another epoch."""
        (root / "rig").mkdir()
        desk = cls(change(Rig.make(root / "rig")), root, root / "desk", keys.new_identity())
        (root / "requester.txt").write_text(keys.identity_file(desk.requester, NOW))
        for name in ("authority", "stranger", *PEOPLE):
            desk.ssh_key(name)
        desk.rig.sealed_call(20_000, CALL_ID)
        desk.rig.sealed_call(3_000, OTHER_CALL)
        desk.rig.publish()
        desk.sign_roles(1)
        desk.run(roles, "use", root / "roles.json", "--authority", root / "authority.pub", "--desk", desk.folder)
        shutil.copy(desk.rig.signers_file, desk.folder / "allowed_signers")
        return desk

    @classmethod
    def at(cls, root: Path) -> Desk:
        """A copy of a desk from `make`, in another place."""
        requester = keys.parse_identity_file((root / "requester.txt").read_text())[0]
        desk = cls(Rig.at(root / "rig"), root, root / "desk", requester)
        desk.clock.advance(NS_PER_S)
        return desk

    def ssh_key(self, name: str) -> None:
        for ending, data in zip(("", ".pub"), _key_of(name), strict=True):
            (self.root / f"{name}{ending}").write_bytes(data)
            (self.root / f"{name}{ending}").chmod(0o644 if ending else 0o600)

    def sign_roles(self, version: int, people: dict[str, str] | None = None, purposes: Any = None, **more: Any) -> Path:
        """roles.json as made by a person: jq for the form, ssh-keygen for the signature. `more`: rules, lines."""
        listed = [
            {"key": (self.root / f"{name}.pub").read_text().strip(), "name": name, "role": role}
            for name, role in (PEOPLE if people is None else people).items()
        ]
        text = json.dumps(
            {"version": version, "purposes": PURPOSES if purposes is None else purposes, "people": listed} | more
        )
        path = self.root / "roles.json"
        path.write_bytes(sealing_rig.run(["jq", "-cS", "."], stdin=text.encode()).stdout)
        self.stock_sign(path, "authority", path.with_name("roles.json.sig"), "linetap-roles")
        return path

    def stock_sign(self, path: Path, who: str, output: Path, namespace: str = "linetap-release") -> None:
        command = ["ssh-keygen", "-Y", "sign", "-q", "-n", namespace, "-f", str(self.root / who)]
        done = sealing_rig.run(command, stdin=path.read_bytes())
        assert done.returncode == 0, done.stderr
        output.write_bytes(done.stdout)

    def run(self, tool: ModuleType, *words: object) -> tuple[int, str]:
        """Runs the tool; returns exit status and standard output. Errors are raised."""
        parser = argparse.ArgumentParser()
        tool.add_arguments(parser)
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            status = tool.run(parser.parse_args([str(word) for word in words]), clock=self.clock)
        return status, output.getvalue()

    def release(self, *words: object) -> str:
        return self.run(release, *words, "--desk", self.folder)[1]

    def run_show(self, request: Path) -> tuple[int, str]:
        return self.run(release, "show", request, "--desk", self.folder)

    # --- the steps, in their order -------------------------------------------------------------------------------

    def one_time_key(self, request_id: str = ID) -> str:
        return self.release("key", request_id, "-o", self.one_time_file(request_id)).strip()

    def one_time_file(self, request_id: str = ID) -> Path:
        return self.root / f"one-time-{request_id}.txt"

    def ask(self, *calls: Path, request_id: str = ID, requester: str = "Jung", **more: object) -> Path:
        one_time = more.pop("one_time", None) or self.one_time_key(request_id)
        path = self.root / f"{request_id}.json"
        words: dict[str, object] = {"--purpose": "dispute", "--case": "2026-117", "--for": self.requester.recipient}
        words |= {"--id": request_id, "--one-time": one_time, "--requester": requester}
        words |= {f"--{name}": value for name, value in more.items()}
        self.release("request", *calls, *(word for pair in words.items() for word in pair), "-o", path)
        return path

    def approve(self, request: Path, *names: str) -> None:
        """Approves after viewing the calls in the vault."""
        asked = json.loads(request.read_bytes())["calls"]
        calls = [word for each in asked for word in ("--call", self.rig.vault / sealed.call_path(each["call_id"]))]
        for name in names:
            self.release("approve", request, "--key", self.root / name, "--name", name, *calls)

    def approved(self, *calls: Path, request_id: str = ID) -> Path:
        request = self.ask(*calls, request_id=request_id)
        self.approve(request, KIM, PARK)
        return request

    def unwrap(
        self, call: Path, request: Path | None, name: str = "inner.age", identity: Path | None = None, *more: object
    ) -> Path:
        words = [*more] if request is None else ["--request", request, *more]
        output, identity = self.root / name, identity or self.rig.epoch_file
        assert self.run(unwrap, call, "--identity", identity, *words, "-o", output, "--desk", self.folder) == (0, "")
        return output

    def open(self, call: Path, inner: Path, output: str, *more: object, custodian: int = 0) -> Path:
        words: list[object] = ["--identity", self.rig.custodian_files[custodian], "--identity", self.one_time_file()]
        words += ["--inner", inner, "--signers", self.rig.signers_file, "-o", self.root / output, *more]
        assert self.run(opening, call, *words, "--desk", self.folder)[0] == 0
        return self.root / output

    def access(self, *words: object) -> tuple[int, str]:
        return self.run(access_command, *words, "--desk", self.folder)

    # --- results ------------------------------------------------------------------------------------------------

    def log(self) -> list[Entry]:
        return read_log(self.folder / "access")[0]

    def steps(self) -> list[tuple[str, str, str]]:
        return [(entry.verb, entry.outcome, entry.code) for entry in self.log()]

    @property
    def call(self) -> Path:
        return self.rig.vault / "2026/11/24" / CALL_ID

    @property
    def other(self) -> Path:
        return self.rig.vault / "2026/11/24" / OTHER_CALL
