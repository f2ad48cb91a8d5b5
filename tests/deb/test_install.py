# SPDX-License-Identifier: Apache-2.0
"""The installation of a desk on a bare Debian 13 with a real systemd, by the commands of docs/install-desk.md, up to
the first view of the fleet; then a second setup, faults, upgrade, removal and purge. `./build.sh deb --try`.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import bare
import pytest
from guest import until
from installed import UNIT, Installed

from linetap_core.clock import NS_PER_S, SYSTEM

pytestmark = [pytest.mark.deb, pytest.mark.timeout(1500)]

PAGE = bare.ROOT / "docs/install-desk.md"
WITHIN_S = 600  # "10 minutes and 5 commands"


@pytest.fixture(scope="module")
def desk() -> Iterator[Installed]:
    if why := bare.cannot():
        pytest.fail(why)  # requested by name, `./build.sh deb --try`: no skip
    with bare.bare() as machine:
        made = Installed(machine)
        for line in bare.commands(PAGE):
            begun_ns = SYSTEM.monotonic_ns()
            made.said[line] = bare.shell(machine, line)
            made.seconds[line] = (SYSTEM.monotonic_ns() - begun_ns) / NS_PER_S
        yield made


def test_the_commands_of_the_page_set_up_a_desk(desk: Installed) -> None:
    """The last command is the doctor, whose result another test checks."""
    for line, (status, said) in list(desk.said.items())[:-1]:
        assert status == 0, f"{line}: {said}"
    assert len(desk.said) <= 5
    assert sum(desk.seconds.values()) < WITHIN_S
    for line, seconds in desk.seconds.items():
        sys.stderr.write(f"{seconds:6.1f} s  {line}\n")


def test_a_unit_that_is_enrolled_is_known_to_the_ingest(desk: Installed, tmp_path: Path) -> None:
    desk.enrol(tmp_path)


def test_the_link_that_it_prints_leads_to_the_fleet(desk: Installed, tmp_path: Path) -> None:
    assert desk.log_in(tmp_path).splitlines() == ["303 303 303 200", "기기 현황 - linetap", UNIT]


def test_the_doctor_finds_nothing_wrong(desk: Installed) -> None:
    assert desk.doctor() == []


def test_a_second_setup_changes_nothing(desk: Installed) -> None:
    before = desk.type(
        "cd /etc && sha256sum linetap-desk/* mosquitto/linetap/*; systemctl show -P MainPID linetap-serve"
    )
    assert desk.type("linetap desk setup").count("\n") == 1
    said = desk.type("linetap desk setup --admin kim")
    assert "kim: has an account; another link: runuser -u linetap-pages -- linetap desk people invite kim" in said
    after = desk.type(
        "cd /etc && sha256sum linetap-desk/* mosquitto/linetap/*; systemctl show -P MainPID linetap-serve"
    )
    assert after == before


ACL = "/etc/mosquitto/conf.d/linetap.conf"
# Command that does the harm, command that undoes it, and the doctor's lines in between, each complete.
HARMS = {
    "open key": (
        "chmod 640 /etc/linetap-desk/desk.key",
        "chmod 600 /etc/linetap-desk/desk.key",
        """\
file: /etc/linetap-desk/desk.key is open to others, by 040; chmod 600 /etc/linetap-desk/desk.key
""",
    ),
    "no ingest": (
        "systemctl stop linetap-ingest",
        "systemctl start linetap-ingest",
        """\
service: linetap-ingest.service is inactive; journalctl -eu linetap-ingest.service; \
systemctl restart linetap-ingest.service
ingest: is not connected to the broker; journalctl -eu linetap-ingest.service; its name in /etc/mosquitto/linetap/acl
""",
    ),
    "another's certificate": (
        "cd /etc/linetap-desk && mv pages-tls.pem /root/ && cp ingest-tls.pem pages-tls.pem",
        "mv /root/pages-tls.pem /etc/linetap-desk/",
        """\
certificate: /etc/linetap-desk/pages-tls.pem: does not fit its key /etc/linetap-desk/pages-tls.key; \
linetap desk setup, with the authority's medium as --pki DIR, makes another
""",
    ),
    "a second listener": (
        f"echo listener 1883 >> {ACL} && systemctl restart mosquitto",
        f"sed -i '/^listener 1883/d' {ACL} && systemctl restart mosquitto",
        """\
port: 1883 is open: MQTT without TLS; no listener 1883 in /etc/mosquitto/conf.d
""",
    ),
    "no acl": (
        f"sed -i 's/^acl_file/#acl_file/' {ACL} && systemctl restart mosquitto",
        f"sed -i 's/^#acl_file/acl_file/' {ACL} && systemctl restart mosquitto",
        """\
acl: whoever has a certificate may speak as any unit; acl_file in /etc/mosquitto/conf.d/linetap.conf: docs/broker.md
""",
    ),
    "closed database": (
        "chmod 600 /var/lib/linetap-desk/desk.db",
        "chmod 660 /var/lib/linetap-desk/desk.db",
        """\
database of the ingest, for the pages: --db: unable to open database file; \
by linetap-pages: its file or server; its rights: docs/install-desk.md
""",
    ),
}


@pytest.mark.parametrize("name", HARMS)
def test_the_doctor_names_what_was_harmed(desk: Installed, name: str) -> None:
    harm, mend, said = HARMS[name]
    desk.type(harm)
    found = desk.doctor()
    desk.type(mend)
    assert found == said.splitlines()
    assert desk.doctor() == []


def test_all_of_it_starts_with_the_machine(desk: Installed) -> None:
    """Starting multi-user.target, the end of a boot, starts the services."""
    names = "linetap-serve linetap-ingest mosquitto"
    desk.type(f"systemctl stop {names} && systemctl start multi-user.target")
    until(lambda: bare.shell(desk.machine, f"systemctl is-active {names}")[1].split() == ["active"] * 3, names)
    assert desk.doctor() == []


def test_an_upgrade_restarts_what_runs_and_keeps_everything(desk: Installed) -> None:
    """Installs the same packages again: apt runs the same scripts as for a later version."""
    files = "cd / && sha256sum etc/linetap-desk/* etc/mosquitto/linetap/*"
    running = "systemctl show -P MainPID linetap-serve linetap-ingest"
    kept, before = desk.type(files), desk.type(running).split()
    desk.type("DEBIAN_FRONTEND=noninteractive apt-get reinstall -qq linetap-core linetap-tools linetap-desk")
    after = desk.type(running).split()
    assert "0" not in after
    assert not set(before) & set(after)
    assert desk.type(files) == kept
    assert desk.doctor() == []


SIGNED = "deb [signed-by=/srv/linetap/linetap.pgp] file:/srv/linetap ./"


@pytest.fixture
def signed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The packages, signed by a key of this test. The folder is short because gpg's agent puts its socket there."""
    with tempfile.TemporaryDirectory() as home:
        monkeypatch.setenv("GNUPGHOME", home)
        key = [
            "gpg",
            "--batch",
            "--quiet",
            "--passphrase",
            "",
            "--quick-gen-key",
            "site@city.example",
            "ed25519",
            "sign",
        ]
        subprocess.run(key, check=True, timeout=120)
        shutil.copytree(bare.PACKAGES, tmp_path / "signed", ignore=shutil.ignore_patterns("work"))
        sign = [str(bare.ROOT / "firmware/debian/sign.sh"), str(tmp_path / "signed"), "site@city.example"]
        subprocess.run(sign, check=True, timeout=120)
        yield tmp_path / "signed"
        subprocess.run(["gpgconf", "--kill", "gpg-agent"], check=False, timeout=60)


def test_tools_alone_need_no_server_and_a_server_takes_postgresql(signed: Path) -> None:
    """The tools' package is enough for a keyholder's computer, and a command that needs another package names it. apt
    installs from a signed folder, as the page describes.
    """
    if why := bare.cannot():
        pytest.fail(why)  # requested by name, `./build.sh deb --try`: no skip
    assert SIGNED in PAGE.read_text()
    with bare.bare(signed) as machine:
        tools = Installed(machine)
        tools.type(f"echo '{SIGNED}' > /etc/apt/sources.list.d/linetap.list && apt-get update -qq")
        tools.type("apt-get install -qq --no-install-recommends linetap-tools")
        _forged(tools)
        for words in ("keygen custodian -o c.txt", "keygen epoch -o e.txt", "pki init pki --domain city.example"):
            tools.type(f"linetap {words}")
        for name in ("custody", "search", "release", "verify", "bundle", "hold", "unwrap", "open", "witness"):
            tools.type(f"linetap {name} --help")
        tools.type("linetap-custody --help && python3 -c 'import linetap_desk.custody.program.pages'")
        tools.type("linetap pki desk wall --dir pki -o wall.pem && touch desk.toml")
        status, said = bare.shell(machine, "linetap desk serve --config desk.toml")
        assert (status, said) == (2, "this needs argon2: apt install linetap-desk brings it\n")
        _postgresql(tools)
        _unit(tools)


def _unit(desk: Installed) -> None:
    """A unit's package next to the others: its users exist, systemd accepts its services, and none starts by itself."""
    desk.type("DEBIAN_FRONTEND=noninteractive apt-get install -qq linetap-unit")
    desk.type("id linetap-recorder && python3 -c 'import alsaaudio, linetap.recorder'")
    names = "linetap-capture@1.service linetap-recorder.service linetap-reporter.service linetap-panel.service"
    assert desk.type(f"systemd-analyze verify {names} linetap.target 2>&1 | grep -i linetap || true") == ""
    assert bare.shell(desk.machine, f"systemctl is-active {names}")[1].split() == ["inactive"] * 4
    keys = "linetap keygen custodian -o c2.txt && linetap keygen epoch -o e2.txt"
    desk.type(f"{keys} && linetap config init --help && linetap check --help")


def _forged(desk: Installed) -> None:
    """apt refuses a changed list of packages, and a changed signature."""
    for name, said in (("Packages", "Hash Sum mismatch"), ("InRelease", "Message has been manipulated")):
        desk.type(f"cd /srv/linetap && cp {name} /root/whole && sed -i 's/linetap/lynetap/' {name}")
        desk.type("rm -rf /var/lib/apt/lists/_srv_linetap*")
        assert said in bare.shell(desk.machine, "apt-get update -q")[1]
        desk.type(f"cp /root/whole /srv/linetap/{name}")
    desk.type("apt-get update -qq")


def _postgresql(desk: Installed) -> None:
    """A desk whose databases are in PostgreSQL on the same machine."""
    desk.type("DEBIAN_FRONTEND=noninteractive apt-get install -qq linetap-desk postgresql python3-psycopg")
    desk.type("linetap desk setup --name desk.city.example --admin kim --database postgresql")
    assert desk.doctor() == []
    write = "runuser -u linetap-pages -- psql -d linetap_desk -c 'delete from units'"
    status, said = bare.shell(desk.machine, write)
    assert (status, said.splitlines()[-1]) == (1, "ERROR:  permission denied for table units")
    status, said = bare.shell(desk.machine, "runuser -u linetap-desk -- psql -d linetap_pages -c 'select 1'")
    assert status == 2, said
    desk.type("systemctl restart linetap-ingest linetap-serve")
    assert desk.doctor() == []


def test_removal_and_purge_leave_the_evidence(desk: Installed) -> None:
    desk.type("echo sealed > /srv/linetap-copy/floor-03")
    files = "cd / && find etc/linetap-desk var/lib/linetap-desk var/lib/linetap-pages srv/linetap-copy root/linetap-pki"
    before = {line for line in desk.type(files).splitlines() if not re.search(r"-(wal|shm)$", line)}
    desk.type("apt-get remove -qq linetap-desk linetap-tools linetap-core")
    assert bare.shell(desk.machine, "systemctl is-active linetap-serve linetap-ingest")[1].split() == ["inactive"] * 2
    said = desk.type("apt-get purge -qq linetap-desk linetap-tools linetap-core")
    assert "/var/lib/linetap-desk stays" in said
    assert before <= set(desk.type(files).splitlines())
    assert not Path(f"{desk.machine.root}/usr/lib/python3/dist-packages/linetap_desk/setup").exists()
