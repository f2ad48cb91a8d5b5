# SPDX-License-Identifier: Apache-2.0
"""An update from an operator's command to a kept slot, under a real systemd, with stock RAUC's daemon and real TLS. The
reboot itself is tested in the emulated machine.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from guest import Guest, guest, until
from guest import skip_reason as no_guest
from systemd_rig import CONFIG, make_unit, obeyed, state_of

from boot_rig import IMAGE, SCRIPT, files
from linetap_core.evidence.authorization.roles import Person, Roles
from linetap_core.evidence.keys import keys
from linetap_core.evidence.signing import document, sshsig
from linetap_core.records import RecorderState, UpdateState
from pki_rig import Pki
from slots_rig import SLOT_BYTES, Signer, make_bundle, system_conf
from slots_rig import skip_reason as no_rauc

HOST, PORT = "127.0.0.1", 8443
UPDATE, BOOT, PROC = "/var/lib/linetap/update", "/boot/firmware", "/var/proc"
WHERE = f"[Manager]\nDefaultEnvironment=LINETAP_PROC={PROC} LINETAP_BOOT={BOOT} LINETAP_PARTS=/var/slots\n"
# Records restarts of the machine instead of executing them. Like a missing codec blocks its capture: linetap.target
# waits for it, and nothing here may wait for that.
NEVER = "[Service]\nType=notify\nTimeoutStartSec=infinity\nExecStart=/bin/sleep infinity\n"
LOOPS = "mknod /dev/loop-control c 10 237 && for n in $(seq 0 15); do mknod /dev/loop$n b 7 $n; done"
FAKE = "[Service]\nEnvironment=PATH=/var/fake:/usr/sbin:/usr/bin\n"
SCRIPT_OF_CALLS = "lines = 2\nduration_s = 1.0\n"
UNITS = [
    "linetap_update.path", "linetap_update.service", "linetap_good.service", "linetap_good.timer",
    "linetap_overdue.timer", "linetap_overdue.service", "linetap_stick@sda1.service",
    "linetap_scrub.service", "linetap_scrub.timer", "linetap_eeprom.service", "linetap_eeprom.timer",
]  # fmt: skip

pytestmark = [
    pytest.mark.skipif(no_guest() is not None, reason=str(no_guest())),
    pytest.mark.skipif(no_rauc() is not None, reason=str(no_rauc())),
    pytest.mark.timeout(600),
]
PEOPLE: dict[str, Ed25519PrivateKey] = {}


@pytest.fixture(scope="module")
def unit() -> Iterator[Guest]:
    with guest() as made:
        PEOPLE.update(make_unit(made, SCRIPT_OF_CALLS))
        _lay_slots(made)
        _lay_certificates(made)
        made.write("/etc/systemd/system/never.service", NEVER)
        made.write(
            "/etc/systemd/system/linetap.target.d/90-never.conf", "[Unit]\nWants=never.service\nAfter=never.service\n"
        )
        made.boot()
        made.run("sh", "-c", LOOPS)
        made.run("systemctl", "start", "linetap-recorder.service", "linetap_update.path")
        made.run("systemctl", "start", "--no-block", "linetap.target", "linetap_good.service")
        yield made


def _lay_slots(made: Guest) -> None:
    """Slot a runs, according to the simulated command line."""
    ours, stranger = Signer.new(made.folder, "ours"), Signer.new(made.folder, "stranger")
    for name, version, signer in (
        ("new", "0.2.0", ours), ("old", "0.0.9", ours), ("strange", "0.3.0", stranger), ("hollow", "0.4.0", ours),
    ):  # fmt: skip
        folder = made.folder / name
        folder.mkdir()
        bundle = make_bundle(folder, version, signer, kernel=name != "hollow")
        made.write(f"/var/served/{name}.raucb", bundle.read_bytes())
    conf = system_conf("/etc/rauc/keyring.pem", "/var/slots", f"{UPDATE}/rauc", "/usr/lib/linetap/slots")
    made.write("/etc/rauc/system.conf", conf)
    made.write("/etc/rauc/keyring.pem", ours.certificate.read_bytes())
    made.write("/usr/lib/linetap/release", "ID=linetap\nVERSION=0.1.0\nCOMMIT=0\n")
    made.write("/usr/lib/linetap/slots", SCRIPT.read_bytes(), 0o755)
    for name in ("marks", "autoboot", "bootfiles"):
        made.write(f"/usr/lib/linetap/{name}", SCRIPT.with_name(name).read_bytes())
    made.write("/usr/lib/linetap/scrub", SCRIPT.with_name("scrub").read_bytes(), 0o755)
    made.write("/etc/systemd/system.conf.d/90-where.conf", WHERE)
    made.write("/var/fake/systemctl", '#!/bin/sh\necho "$@" >>/var/rebooted\n', 0o755)
    for name in ("linetap_update.service.d", "linetap_good.service.d"):
        made.write(f"/etc/systemd/system/{name}/90-fake.conf", FAKE)
    for path in ("etc/systemd/system/rauc.service.d/50-linetap.conf", "etc/dbus-1/system.d/rauc-linetap.conf"):
        made.write(path, (IMAGE / "root" / path).read_bytes())
    for slot in ("a", "b"):
        made.write(f"/var/slots/{slot}.img", bytes(SLOT_BYTES))
    made.write(f"{PROC}/cmdline", "linetap.slot=a\n")
    for name, text in files("0.1.0").items():
        made.write(f"{BOOT}/a/{name}", text.replace("@SLOT@", "a"))
    made.write(f"{BOOT}/config.txt", files("0.1.0")["config.txt"].replace("@SLOT@", "a"))


def _lay_certificates(made: Guest) -> None:
    pki = Pki(made.folder / "pki")
    server, own = pki.host(HOST, name="updates"), pki.unit("floor-03")
    for path, data in (
        ("/etc/linetap/ca.pem", pki.ca), ("/etc/linetap/tls.pem", own.certificate), ("/etc/linetap/tls.key", own.key),
        ("/var/served/server.pem", server.certificate), ("/var/served/server.key", server.key),
    ):  # fmt: skip
        made.write(path, data.read_bytes(), 0o600 if path.endswith(".key") else 0o644)
    text = (made.root / CONFIG.lstrip("/")).read_text()
    for key, name in (("ca", "ca.pem"), ("certificate", "tls.pem"), ("key", "tls.key")):
        assert f'# {key} = "{name}"' in text
        text = text.replace(f'# {key} = "{name}"', f'{key} = "/etc/linetap/{name}"')
    made.write(CONFIG, text)


def said(unit: Guest) -> UpdateState | None:
    text = unit.run("cat", f"{UPDATE}/state.json", check=False)
    return msgspec.json.decode(text.splitlines()[-1], type=UpdateState) if text else None


def step(unit: Guest) -> str:
    found = said(unit)
    return found.step if found is not None else ""


def wanted(unit: Guest, name: str, version: str) -> dict[str, str]:
    served = unit.run("sh", "-c", f"stat -c %s /var/served/{name}.raucb; sha256sum /var/served/{name}.raucb").split()
    url = f"https://{HOST}:{PORT}/{name}.raucb"
    return {"version": version, "size": served[0], "sha256": served[1], "url": url}


def by_stick(unit: Guest, name: str, version: str) -> None:
    """Requests the update like `linetap update stick`; RAUC is asked about the bundle again."""
    body = wanted(unit, name, version)
    wish = json.dumps({"version": version, "size": int(body["size"]), "sha256": body["sha256"]})
    unit.run("cp", f"/var/served/{name}.raucb", f"{UPDATE}/stick.raucb")
    unit.run("sh", "-c", f"printf %s '{wish}' >{UPDATE}/.new && mv {UPDATE}/.new {UPDATE}/stick.json")


# In `systemctl show`, as systemd reads the shipped files; the emulated machine replaces the first times of two.
TIMES = {
    "linetap_good.timer": {"OnBootUSec=1min"},
    "linetap_scrub.timer": {"OnBootUSec=15min", "OnUnitActiveUSec=1d"},
}


@pytest.mark.parametrize("name", TIMES)
def test_systemd_starts_them_at_their_times(unit: Guest, name: str) -> None:
    shown = unit.run("systemctl", "show", "-P", "TimersMonotonic", name)
    assert {word for word in shown.split() if "USec=" in word} == TIMES[name]
    assert unit.run("systemctl", "show", "-P", "Unit", name) == name.replace(".timer", ".service")


@pytest.mark.parametrize("name", UNITS)
def test_systemd_has_nothing_to_say_of_them(unit: Guest, name: str) -> None:
    assert unit.run("sh", "-c", f"systemd-analyze verify {name} 2>&1 | grep -v '^$' || true") == ""


def test_the_sandbox_of_a_stick_lets_it_be_mounted_and_looked_at(unit: Guest) -> None:
    """There is no stick here: a tmpfs is mounted instead, and stock RAUC inspects its content."""
    look = "rauc info --keyring=/etc/rauc/keyring.pem /tmp/stick/new.raucb"
    commands = f"mkdir /tmp/stick; mount -t tmpfs stick /tmp/stick; cp /var/served/new.raucb /tmp/stick; {look}"
    drop_in = "/etc/systemd/system/linetap_stick@sda1.service.d/90-fake.conf"
    unit.write(drop_in, f"[Service]\nExecStart=\nExecStart=/bin/sh -ec '{commands} >/run/seen; umount -l /tmp/stick'\n")
    unit.run("systemctl", "daemon-reload")
    unit.run("systemctl", "start", "linetap_stick@sda1.service")
    assert "0.2.0" in unit.run("cat", "/run/seen")
    assert "/tmp/stick" not in unit.run("cat", "/proc/mounts")
    unit.run("rm", drop_in)
    unit.run("systemctl", "daemon-reload")


def test_nobody_but_root_writes_how_far_it_is(unit: Guest) -> None:
    assert unit.run("stat", "-c", "%U %G %a", UPDATE) == "root linetap 2750"
    as_recorder = ("setpriv", "--reuid=linetap-recorder", "--regid=linetap", "--clear-groups")
    unit.run(*as_recorder, "touch", f"{UPDATE}/stick.json", check=False)
    assert unit.run("ls", UPDATE) == "rauc"


def test_an_operators_word_becomes_another_version(unit: Guest) -> None:
    until(lambda: unit.run("ls", "/run/linetap/recorder/recorder.json", check=False) != "", "the recorder runs")
    people = [Person("the operator", "operator", keys.public_line(PEOPLE["operator"].public_key()))]
    text = document.encode(Roles(1, people, []))
    body = {"document": text.decode(), "sig": sshsig.sign(text, PEOPLE["authority"], "linetap-roles")}
    assert obeyed(unit, "roles", "authority", PEOPLE["authority"], body)["done"]

    unit.run(
        "systemd-run", "--quiet", "--unit=served", "--working-directory=/var/served", "openssl", "s_server", "-WWW",
        "-accept", f"{HOST}:{PORT}", "-cert", "server.pem", "-key", "server.key", "-CAfile", "/etc/linetap/ca.pem",
        "-Verify", "1", "-verify_return_error", "-quiet",
    )  # fmt: skip
    assert obeyed(unit, "update", "operator", PEOPLE["operator"], wanted(unit, "new", "0.2.0"))["done"]
    until(lambda: step(unit) in ("trying", "failed"), "it is tried")
    found = said(unit)
    assert found is not None
    assert (found.step, found.code, found.text, found.slot) == ("trying", "", "", "b"), unit.run(
        "journalctl", "--namespace=+linetap", "-u", "rauc", "-u", "linetap_update", "-o", "cat"
    )
    assert "capture_dead" in found.before, "nothing but the recorder runs here"
    until(lambda: unit.property("linetap_update", "ActiveState") == "inactive", "all is done")
    assert unit.run("cat", "/var/rebooted") == "reboot --reboot-argument=0 tryboot"

    root = (unit.folder / "new" / "slot.img").read_bytes()
    written = unit.run("sh", "-c", f"head -c {len(root)} /var/slots/b.img | sha256sum").split()[0]
    assert written == hashlib.sha256(root).hexdigest()
    assert unit.run("cat", f"{BOOT}/b/vmlinuz") == "kernel 0.2.0"
    assert "linetap.slot=b" in unit.run("cat", f"{BOOT}/b/cmdline.txt")
    assert "os_prefix=a/" in unit.run("cat", f"{BOOT}/config.txt"), "a power cut leads back"
    assert "os_prefix=b/" in unit.run("cat", f"{BOOT}/tryboot.txt")
    assert unit.run("ls", UPDATE).split() == ["rauc", "state.json"]
    assert unit.run("ls", "/var/lib/linetap/vault/update.json", check=False) == ""


def test_the_version_that_is_well_is_kept(unit: Guest) -> None:
    """After the simulated reboot: another command line, and a restarted RAUC daemon."""
    unit.run("sh", "-c", f"echo linetap.slot=b >{PROC}/cmdline; systemctl stop rauc.service")
    unit.run("sh", "-c", "echo VERSION=0.2.0 >/usr/lib/linetap/release")
    unit.run("env", f"LINETAP_PROC={PROC}", "/usr/lib/linetap/slots", "trial")
    unit.run("systemctl", "start", "linetap_good.service")
    found = said(unit)
    assert found is not None
    assert (found.step, found.code, found.slot) == ("done", "", "b"), found
    assert "os_prefix=b/" in unit.run("cat", f"{BOOT}/config.txt")

    def told() -> bool:
        update = state_of(unit, "recorder", RecorderState).update
        return update is not None and update.step == "done"

    until(told, "the recorder says so too")

    def logged() -> list[str]:
        leaves = map(json.loads, unit.run("cat", "/var/lib/linetap/vault/log/leaves.jsonl").splitlines())
        return [leaf["code"] for leaf in leaves if leaf["kind"] == "update"]

    until(lambda: logged() == ["done"], "it stands in the log")


def test_a_strangers_bundle_is_refused_in_one_line(unit: Guest) -> None:
    by_stick(unit, "strange", "0.3.0")
    until(lambda: step(unit) == "failed", "it is refused")
    found = said(unit)
    assert found is not None
    assert (found.code, found.by) == ("update_signature", "stick")
    assert "\n" not in found.text
    until(lambda: unit.run("ls", UPDATE).split() == ["rauc", "state.json"], "nothing of it stays")


def test_what_fails_while_it_is_written_leaves_no_slot_and_one_line(unit: Guest) -> None:
    """The hook finds no kernel in the root."""
    by_stick(unit, "hollow", "0.4.0")
    until(lambda: "0.4.0" in str(said(unit)) and step(unit) == "failed", "it is refused")
    found = said(unit)
    assert found is not None
    assert found.code == "update_install"
    assert found.text.endswith("slot rootfs.0: failed to run slot hook: Child process exited with code 1")
    assert unit.run("env", f"LINETAP_PROC={PROC}", "/usr/lib/linetap/slots", "get-state", "a") == "bad"


def test_nobody_but_root_has_rauc_do_anything(unit: Guest) -> None:
    """A compromised reporter could otherwise make it install an older version, or switch slots: Debian's default
    permits that.
    """
    for user in ("linetap-reporter", "linetap-recorder"):
        words = ("setpriv", f"--reuid={user}", "--regid=linetap", "--clear-groups", "sh", "-c")
        for verb in ("status mark-active other", "install --ignore-version-limit /var/served/old.raucb"):
            assert "Rejected send message" in unit.run(*words, f"rauc {verb} 2>&1 || true")


def test_an_older_version_is_refused_by_rauc_itself_too(unit: Guest) -> None:
    before = unit.run("sha256sum", "/var/slots/a.img")
    said_by = unit.run("sh", "-c", "rauc install /var/served/old.raucb 2>&1 || true")
    assert "0.0.9" in said_by
    by_stick(unit, "old", "0.0.9")
    until(lambda: "0.0.9" in str(said(unit)), "it is refused")
    assert unit.run("sha256sum", "/var/slots/a.img") == before
