# SPDX-License-Identifier: Apache-2.0
"""A release from the request to the evidence bundle, a search and the custodian's helper, as people on Windows take
its steps: run by windows_like.py with the folder of a desk that release_rig made."""

from __future__ import annotations

import asyncio
import io
import sys
from pathlib import Path

from custody_rig import pack

from linetap_core import cli
from linetap_core.evidence.calls import index
from linetap_core.evidence.keys import keys
from linetap_core.evidence.sealing import age
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_core.zones import KOREA, zone_of
from linetap_desk.accesslog.deskfolder import open_desk
from linetap_desk.ceremony import hold
from linetap_desk.custody import command, handlers, serving
from linetap_desk.custody.case import Case, CustodianFiles
from linetap_desk.custody.package import private_folder, unpack
from linetap_desk.web.server import serve_until_signal
from release_rig import HAN, ID, Desk


def walk(desk: Desk) -> None:
    calls = (desk.call, desk.other)
    request = desk.ask(*calls)
    desk.approve(request, "김소라", "Park Min")
    status, told = desk.run_show(request)
    assert status == 0, told
    inner = {call: desk.unwrap(call, request, f"{call.name}.inner") for call in calls}
    desk.open(desk.call, inner[desk.call], "call.wav.age", "--request", request, "--for", desk.requester.recipient)
    members = {"request.json": request.read_bytes(), "allowed_signers": desk.rig.signers_file.read_bytes()}
    for path in desk.root.glob(f"{ID}.json.*.sig"):
        members[f"request.json{path.name.removeprefix(f'{ID}.json')}"] = path.read_bytes()
    for call in calls:
        members |= {f"calls/{call.name}/{path.name}": path.read_bytes() for path in call.iterdir()}
        members[f"inner/{call.name}.age"] = inner[call].read_bytes()
    custody(desk, members)
    bundle = str(desk.root / "out" / f"{ID}.zip")
    assert cli.main(["verify", bundle, "--signers", str(desk.rig.signers_file)]) == 0
    assert cli.main(["verify", str(desk.rig.vault), "--signers", str(desk.rig.signers_file)]) == 0
    assert "consistent" in desk.access("verify")[1]


def custody(desk: Desk, members: dict[str, bytes]) -> None:
    output = desk.root / "out"
    output.mkdir()
    identities = [desk.rig.custodian_files[0], desk.one_time_file()]
    means = CustodianFiles(desk.rig.signers_file, identities, "", output, [desk.rig.vault / "log"])
    with private_folder() as folder:
        case = Case(unpack(io.BytesIO(pack(members)), folder), open_desk(desk.folder, desk.clock), means, desk.clock)
        case.listen(desk.call.name)
        opened = case.opened(desk.call.name)
        assert opened is not None
        assert len(opened.pcm) == 20_000
        case.give(desk.other.name)
        case.bundle()
        case.close()
        assert not desk.one_time_file().exists()
        with serving.listening(0) as at:
            site = command.make_site(case, desk.clock, serving.url_of(at), zone_of(KOREA), 900)
            server = serving.server(site, handlers.make_app(site))
            site.end()  # as its button does
            asyncio.run(serve_until_signal(server, at))
    assert not folder.exists()


def held(desk: Desk) -> None:
    """A hold's key, and another officer's signature on it: a signature has one spelling, without carriage returns."""
    identity, folder, key = keys.new_identity(), desk.root / "held", desk.root / HAN
    (desk.root / "hold.txt").write_text(keys.identity_file(identity, "2026-11-24T00:00:00Z"), "utf-8")
    words = ["--case", "2026-118", "--basis", "Act 215", "--until", "2031-06-30", "--key", key, "--desk", desk.folder]
    desk.run(
        hold, "wrap", desk.call, "--identity", desk.rig.epoch_file, "--to", identity.recipient, "-o", folder, *words
    )
    words = ["--identity", desk.root / "hold.txt", "--key", key, "--desk", desk.folder]
    desk.run(hold, "check", folder, desk.call, *words)
    data, armored = (folder / "hold.json").read_bytes(), (folder / "hold.json.check.sig").read_bytes()
    sshsig.check(data, armored, namespaces.HOLD_CHECK)


def find(desk: Desk) -> None:
    identity = keys.new_identity()
    (desk.root / "overflow-2.txt").write_text(keys.identity_file(identity, "2026-11-24T00:00:00Z"), "utf-8")
    entry = index.Entry(
        call_id=desk.call.name, unit="closet-3f", line=3, at="2026-11-24T22:56:00.123Z", direction="in",
        number="01012345678",
    )  # fmt: skip
    path = desk.rig.vault / index.FOLDER / "overflow-2" / "2026-11-25-001.age"
    path.parent.mkdir(parents=True)
    path.write_bytes(age.encrypt(index.encode([entry]), [identity.recipient]))
    words = ["--identity", str(desk.root / "overflow-2.txt"), "--purpose", "dispute", "--case", "2026-117"]
    assert cli.main(["find", "--number", "5678", *words, "--desk", str(desk.folder), str(desk.rig.vault)]) == 0


def main(root: Path) -> None:
    desk = Desk.at(root)
    walk(desk)
    held(desk)
    find(desk)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
