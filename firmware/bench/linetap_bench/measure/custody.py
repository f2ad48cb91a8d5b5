# SPDX-License-Identifier: Apache-2.0
"""The custodian's helper: from the key press that opens a call of five minutes to its first sound, in a browser."""

from __future__ import annotations

import io
import os
import random
import re
import sys
import tarfile
from pathlib import Path

from linetap.recorder.vault.callfolder.folder import CallFolder
from linetap.recorder.vault.log.log import UnitLog
from linetap_bench.figures import Row
from linetap_bench.stage.processes import Processes
from linetap_core.clock import NS_PER_DAY, NS_PER_S, SYSTEM, compact, rfc3339
from linetap_core.durable import privatefile
from linetap_core.evidence import sealing
from linetap_core.evidence.authorization import release
from linetap_core.evidence.authorization.release import NamedCall, Request
from linetap_core.evidence.authorization.roles import Person, Purpose, Roles
from linetap_core.evidence.calls.callkey import OfCall
from linetap_core.evidence.keys import keys
from linetap_core.evidence.merklelog import closing
from linetap_core.evidence.sealing import age
from linetap_core.evidence.signing import document, namespaces, sshsig
from linetap_core.records import Audio, CallRecord, Retention
from linetap_desk.accesslog import deskfolder
from linetap_desk.proofs import callfolder
from linetap_desk.release import requestfile
from linetap_desk.unsealing import checkedcall, layers
from linetap_desk.unsealing.callproof import Basis

CHROMIUM = "/usr/bin/chromium"
CALL_S, RUNS = 300, 5
READY_S = 60.0
ID = "bench-1"
_SAID = re.compile(r"(http://\S+)\ncode: (\S+)")
# Times by the page's clock: of the key press, and of the first sound.
_WATCH = """
addEventListener("keydown", () => { window.pressed ??= performance.now(); }, true);
const start = AudioBufferSourceNode.prototype.start;
AudioBufferSourceNode.prototype.start = function (when) {
  window.due ??= performance.now() + (when - this.context.currentTime) * 1000;
  return start.call(this, when);
};
"""


def measure(folder: Path, _voices: Path, _notices: Path) -> list[Row]:
    """`opened`: from the key press on Open to a playable page; `heard`: from the key press on Play to the first
    sound.
    """
    runs = [_run(folder / str(number)) for number in range(RUNS)]
    opened, heard = (max(figures) for figures in zip(*runs, strict=True))
    slowest = max(sum(run) for run in runs)
    method = (
        f"a call of {CALL_S} s, Chromium without a window: from the key on Open (verified, approvals judged, logged and"
        f" synced, opened with stock age) to the player, {opened:.2f} s at most, and from the key on Play to the moment"
        f" for which the first AudioBuffer is scheduled, {heard:.2f} s at most; the slowest of {RUNS} fresh starts;"
        f" {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    )
    return [
        Row(name="custody: a key to the first sound of 5 minutes", figure=slowest, unit="s", target=1, method=method),
    ]


def _run(folder: Path) -> tuple[float, float]:
    folder.mkdir(parents=True)
    _release(folder)
    command = [sys.executable, "-m", "linetap", "custody", folder / "package.tar", "--signers", folder / "signers"]
    for name in ("custodian.txt", "one-time.txt"):
        command += ["--identity", folder / name]
    command += ["--desk-folder", folder / "desk", "-o", folder]
    with Processes(folder / "logs", {}) as children:
        helper = children.start("custody", [str(word) for word in command])
        children.wait_for_text(helper, "code: ", READY_S)
        match = _SAID.search(helper.log.read_text())
        assert match is not None
        return _listen(match[1], match[2])


def _listen(url: str, code: str) -> tuple[float, float]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.set_default_timeout(READY_S * 1000)
        page.add_init_script(_WATCH)
        page.goto(url)
        page.locator("#code").fill(code)
        page.keyboard.press("Enter")
        page.locator("main li a").click()
        page.locator("#listen").focus()
        before_ns = SYSTEM.monotonic_ns()
        page.keyboard.press("Enter")
        page.locator("#player:focus").wait_for()
        opened_s = (SYSTEM.monotonic_ns() - before_ns) / NS_PER_S
        page.keyboard.press("Space")
        while not (due := page.evaluate("window.due")):
            page.wait_for_timeout(20)
        heard_s = (due - page.evaluate("window.pressed")) / 1000
        browser.close()
    return opened_s, heard_s


def _release(folder: Path) -> None:
    """Writes a package with a sealed call, requested and approved."""
    unit, authority, approvers = keys.new_unit_key(), keys.new_unit_key(), [keys.new_unit_key(), keys.new_unit_key()]
    custodian, epoch, requester = keys.new_identity(), keys.new_identity(), keys.new_identity()
    privatefile.write(folder / "custodian.txt", keys.identity_file(custodian, "now").encode())
    privatefile.write(folder / "epoch.txt", keys.identity_file(epoch, "now").encode())
    (folder / "signers").write_text(f"floor-03 {keys.public_line(unit.public_key())}\n")
    people = [
        Person(name=name, role=name, key=keys.public_line(key.public_key()))
        for name, key in zip(("legal", "privacy"), approvers, strict=True)
    ]
    text = document.encode(
        Roles(version=1, people=people, purposes=[Purpose(id="dispute", basis="12", text_ko="분쟁", text_en="dispute")])
    )
    desk = deskfolder.make(folder / "desk", authority.public_key(), SYSTEM)
    (desk.folder / deskfolder.ROLES).write_bytes(text)
    (desk.folder / f"{deskfolder.ROLES}{namespaces.SUFFIX}").write_text(sshsig.sign(text, authority, namespaces.ROLES))
    call = _sealed(folder / "vault", epoch.recipient, custodian.recipient, lambda data: sshsig.sign(
        data, unit, namespaces.RECORD))  # fmt: skip
    log = UnitLog(folder / "vault", "floor-03", unit, SYSTEM)
    log.publish()
    closed = log.closing(call.name)
    log.close()
    assert closed is not None
    found = checkedcall.require_verified(call, Basis(callfolder.load_signers(folder / "signers")))
    now_ns = SYSTEM.utc_ns()
    request = document.encode(
        Request(
            id=ID, calls=[NamedCall(call.name, found.record.line, found.record_sha256)], purpose="dispute", case="1",
            requester="Jung", recipient=requester.recipient,
            one_time=requestfile.write_key(folder / "one-time.txt", ID),
            created=rfc3339(now_ns - NS_PER_S), expires=rfc3339(now_ns + 3600 * NS_PER_S),
        )
    )  # fmt: skip
    one_time = release.parse(request).one_time
    inner = age.encrypt(layers.outer_layer(found.key, [folder / "epoch.txt"]), [one_time])
    members = {"request.json": request, f"inner/{call.name}{sealing.SUFFIX}": inner}
    members[f"{closing.FOLDER}/{call.name}{closing.SUFFIX}"] = closing.encode(closed)
    for person, key in zip(people, approvers, strict=True):
        members[f"request.json.{person.role}{namespaces.SUFFIX}"] = sshsig.sign(
            request, key, namespaces.RELEASE
        ).encode()
    members |= {f"calls/{call.name}/{path.name}": path.read_bytes() for path in call.iterdir()}
    with tarfile.open(folder / "package.tar", "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def _sealed(vault: Path, epoch: str, custodian: str, sign: object) -> Path:
    vault.mkdir()
    assert callable(sign)
    at_ns, samples = SYSTEM.utc_ns() - 2 * CALL_S * NS_PER_S, CALL_S * 8000
    call_id, until = f"{compact(at_ns)}-L01", rfc3339(at_ns + 60 * NS_PER_DAY)
    folder = CallFolder.create(vault, OfCall("floor-03", call_id), epoch, [custodian])
    folder.write(random.Random(1).randbytes(samples))
    record = CallRecord(
        call_id=call_id, unit="floor-03", line=1, duration_s=CALL_S + 0.5, audio=Audio(samples=samples),
        ended_at=rfc3339(at_ns + CALL_S * NS_PER_S),
        retention=Retention(class_="standard", epoch=until[:10], until=until),
    )  # fmt: skip
    folder.seal(record, sign)
    return folder.path
