# SPDX-License-Identifier: Apache-2.0
"""A house whose vault officers and custodians are groups, two of three each, every member at a separate desk."""

from __future__ import annotations

import dataclasses
import html
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import httpx
from release_house import ReleaseHouse

from group_rig import Members
from linetap_desk.accesslog.access import Entry, read_log
from linetap_desk.release import requestfile
from release_rig import Desk
from sealing_rig import CALL_ID, TIMEOUT_S, Rig


class GroupHouse(ReleaseHouse):
    """`with house.served:`; officers are accounts vault-1 to vault-3, custodians keeper-1 to keeper-3."""

    def __init__(self, root: Path, needed: int = 2, **more: object) -> None:
        self.officers = Members.make(root, needed, 3, "officer-")
        self.custodians = Members.make(root, needed, 3, "custodian-")

        def change(rig: Rig) -> Rig:
            return dataclasses.replace(
                rig, custodians=[self.custodians.text], epoch=self.officers.text,
                custodian_files=self.custodians.files, epoch_file=self.officers.files[0],
            )  # fmt: skip

        super().__init__(Desk.make(root, change), **more)  # type: ignore[arg-type]

    def new_key(self, request_id: str) -> str:
        return requestfile.write_key(self.desk.one_time_file(request_id), request_id)

    def place(self, name: str) -> Path:
        """That person's own device, with a desk's folder and an access log."""
        folder = self.desk.root / "places" / name
        if not folder.exists():
            folder.mkdir(parents=True)
            shutil.copytree(self.desk.folder, folder / "desk")
        return folder

    def at(self, name: str, line: str, good: bool = True) -> str:
        """The output (both streams) of a command typed there, through a shell and the real command."""
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        folder = self.place(name)
        done = subprocess.run(
            ["sh", "-ec", line], cwd=folder, env={**os.environ, "PATH": path, "LINETAP_DESK": str(folder / "desk")},
            capture_output=True, text=True, timeout=TIMEOUT_S, check=False,
        )  # fmt: skip
        assert (done.returncode == 0) == good, done.stderr
        return done.stdout + done.stderr

    def logged(self, name: str) -> Entry:
        """The last entry of that person's own access log."""
        return read_log(self.place(name) / "desk/access")[0][-1]

    def take(self, name: str, path: str, role: str = "vault") -> list[str]:
        """Downloads an archive and unpacks it in an empty work folder there; the names in it."""
        answer = self.client(role, name).get(path)
        assert answer.headers["content-type"] == "application/x-tar", answer.text
        work = self.place(name) / "work"
        shutil.rmtree(work, ignore_errors=True)
        with tarfile.open(fileobj=io.BytesIO(answer.content), mode="r:") as archive:
            archive.extractall(work, filter="data")
            return archive.getnames()

    def shown(self, name: str, path: str, role: str = "vault") -> str:
        """The page as shown to that person."""
        return self.client(role, name).get(path).text

    def command(self, name: str, path: str, number: int, wanted: str) -> str:
        """The first line of the page that begins with the command, with the member's own file."""
        line, *_ = re.findall(rf"^(?:<pre>)?({wanted} .*?)(?:</pre>)?$", self.shown(name, path), re.MULTILINE)
        return html.unescape(line).replace("EPOCH.txt", str(self.officers.files[number - 1]))

    def unwrap(self, number: int, request_id: str, name: str = "") -> bytes:
        """The file made by officer `number` from the archive, by the command on their page."""
        name = name or f"vault-{number}"
        self.take(name, f"/release/{request_id}/vault")
        line = self.command(name, f"/release/{request_id}", number, "linetap unwrap")
        self.at(name, f"cd work && {line}")
        (made,) = [path for path in (self.place(name) / "work").iterdir() if path.name in ("PART.age", "INNER.age")]
        return made.read_bytes()

    def partial(self, request_id: str, data: bytes, name: str) -> httpx.Response:
        return self.bring(f"/release/{request_id}/partial", data, "vault", name)

    def bring_half(self, request_id: str, data: bytes, name: str, together: bool = False) -> httpx.Response:
        more = {"together": "on"} if together else {}
        return self.bring(f"/release/{request_id}/unwrap", data, "vault", name, **more)

    def peeled(self, number: int, call_id: str = CALL_ID) -> bytes:
        """A call's key without one officer's layer, removed by stock age without any check."""
        key = self.copies / "closet-3f" / "2026/11/24" / call_id / "key.age"
        line = f"tar xOf {key} {number}.age | age -d -i {self.officers.files[number - 1]}"
        return subprocess.run(["sh", "-ec", line], capture_output=True, check=True, timeout=TIMEOUT_S).stdout

    def inner_layer(self, first: int, second: int, call_id: str = CALL_ID) -> bytes:
        """The layer sealed to the custodians, made with stock tools as by two cooperating officers."""
        key = self.copies / "closet-3f" / "2026/11/24" / call_id / "key.age"
        ages = [f"age -d -i {path}" for path in self.officers.some(first, second)]
        line = f"tar xOf {key} {first}.age | {ages[0]} | {ages[1]}"
        return subprocess.run(["sh", "-ec", line], capture_output=True, check=True, timeout=TIMEOUT_S).stdout

    def half_of(self, first: int, second: int, request_id: str, call_id: str = CALL_ID) -> bytes:
        """The same, sealed to the one-time key."""
        line = f"age -r $(age-keygen -y {self.desk.one_time_file(request_id)})"
        inner = self.inner_layer(first, second, call_id)
        return subprocess.run(["sh", "-ec", line], input=inner, capture_output=True, check=True, timeout=120).stdout

    def close_as(self, request_id: str, name: str, **fields: str) -> httpx.Response:
        return self.served.post(self.client("custodian", name), f"/release/{request_id}/close", **fields)

    def custodians_part(self, number: int, request_id: str) -> bytes:
        """The partial result of custodian `number` for the half at the desk, made by stock tools."""
        half = self.half_of(1, 2, request_id)
        line = (
            f"age -d -i {self.desk.one_time_file(request_id)} | tar xOf - {number}.age"
            f" | age -d -i {self.custodians.files[number - 1]}"
        )
        return subprocess.run(["sh", "-ec", line], input=half, capture_output=True, check=True, timeout=120).stdout
