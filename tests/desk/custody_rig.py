# SPDX-License-Identifier: Apache-2.0
"""A released call as packed by the desk, and the custodian's helper for it: uvicorn on the loopback, in a thread."""

from __future__ import annotations

import contextlib
import io
import tarfile
import threading
from pathlib import Path
from typing import Self
from zoneinfo import ZoneInfo

import httpx

from broker import until
from linetap_core.records import Audio, Gap, Mark, NoticeRecord
from linetap_desk.accesslog.deskfolder import open_desk
from linetap_desk.custody import command, handlers, serving
from linetap_desk.custody.case import Case, CustodianFiles
from linetap_desk.custody.package import private_folder, unpack
from linetap_desk.web import secure
from release_rig import ID, Desk
from sealing_rig import noise, record

CALL = "20261124T225800.000Z-L05"
SECONDS = 12
LIMIT_S = 120


def marked_call(desk: Desk, *, until_open: bool = False) -> Path:
    """A sealed call with a notice, a gap and a mark, in its unit's log. `until_open`: not yet in a class of
    retention.
    """
    samples = SECONDS * 8000
    folder = desk.rig.create(CALL)
    folder.write(noise(samples, seed=7))
    whole = record(samples, CALL)
    whole.line = 5
    if until_open:
        whole.retention = None
    whole.notice = NoticeRecord(
        id="hall", started_at="2026-11-24T22:58:01.000Z", ended_at="2026-11-24T22:58:06.000Z", proof="full", score=1
    )
    whole.notices = [whole.notice]
    whole.answered_at, whole.ended_at, whole.ended_by = (
        "2026-11-24T22:58:00.500Z",
        "2026-11-24T22:58:13.000Z",
        "on_hook",
    )
    whole.marks = [Mark(8.0, "abuse")]
    whole.audio = Audio(samples=samples, gaps=[Gap(6.5, 500.0, "overrun")])
    folder.seal(whole, desk.rig.sign)
    desk.rig.publish()
    return folder.path


def released(desk: Desk, *calls: Path) -> dict[str, bytes]:
    """The content of the package: name -> bytes."""
    request = desk.approved(*calls)
    found = {"request.json": request.read_bytes(), "allowed_signers": desk.rig.signers_file.read_bytes()}
    for path in desk.root.glob(f"{ID}.json.*.sig"):
        found[f"request.json{path.name.removeprefix(f'{ID}.json')}"] = path.read_bytes()
    for name in ("roles.json", "roles.json.sig"):
        found[name] = (desk.root / name).read_bytes()
    for call in calls:
        found |= {f"calls/{call.name}/{path.name}": path.read_bytes() for path in call.iterdir()}
        found[f"inner/{call.name}.age"] = desk.unwrap(call, request, f"{call.name}.inner").read_bytes()
    return found


def pack(members: dict[str, bytes]) -> bytes:
    """The archive, written by the stock library as USTAR."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as file:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


class Helper:
    """`with Helper(desk, members) as helper: helper.client()`"""

    def __init__(
        self, desk: Desk, members: dict[str, bytes], identities: list[Path] | None = None, recipient: str = "",
        logs: bool = True, output: Path | None = None,
    ) -> None:  # fmt: skip
        self.desk, self.output = desk, output or desk.root / "out"
        self.output.mkdir()
        identities = identities or [desk.rig.custodian_files[0], desk.one_time_file()]
        log = [desk.rig.vault / "log"] if logs else []
        self._means = CustodianFiles(desk.rig.signers_file, identities, recipient, self.output, log)
        self._members = members
        self.held = contextlib.ExitStack()

    def __enter__(self) -> Self:
        self.folder = self.held.enter_context(private_folder())
        package = unpack(io.BytesIO(pack(self._members)), self.folder)
        opened = open_desk(self.desk.folder, self.desk.clock)
        self.case = Case(package, opened, self._means, self.desk.clock)
        at = self.held.enter_context(serving.listening(0))
        self.site = command.make_site(self.case, self.desk.clock, serving.url_of(at), ZoneInfo("Asia/Seoul"), 900)
        self.server = serving.server(self.site, handlers.make_app(self.site))
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [at]})
        self.thread.start()
        self.held.callback(self._end)
        until(lambda: self.server.started or not self.thread.is_alive(), LIMIT_S)
        return self

    def __exit__(self, *_: object) -> None:
        self.held.close()

    def _end(self) -> None:
        self.server.should_exit = True
        self.thread.join(LIMIT_S)
        assert not self.thread.is_alive()

    def client(self) -> httpx.Client:
        """A browser that is not admitted yet; it does not follow redirects."""
        client = httpx.Client(base_url=self.site.url, timeout=LIMIT_S)
        self.held.callback(client.close)
        return client

    def inside(self) -> httpx.Client:
        client = self.client()
        entered = client.post("/", data={"code": self.site.admission.code}, headers={"origin": self.site.url})
        assert entered.status_code == 303, entered.text
        return client

    def post(self, client: httpx.Client, path: str, **fields: str) -> httpx.Response:
        token = secure.token_of(str(client.cookies.get("linetap-custody")))
        url = f"{self.site.admission.room}{path}"
        return client.post(url, data={secure.FIELD: token, "sure": "on"} | fields, headers={"origin": self.site.url})

    def get(self, client: httpx.Client, path: str) -> httpx.Response:
        return client.get(f"{self.site.admission.room}{path}")
