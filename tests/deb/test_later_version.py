# SPDX-License-Identifier: Apache-2.0
"""Upgrade, removal, purge and new installation of a desk with people, a unit and a recording, under a real systemd:
`./build.sh deb --try`. docs/install-desk.md, *Upgrade and removal*.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import bare
import nextversion
import pytest
from guest import until
from installed import FIGURES, UNIT, Installed

pytestmark = [pytest.mark.deb, pytest.mark.timeout(1500)]

APT = "DEBIAN_FRONTEND=noninteractive apt-get"
RUNS = "linetap-ingest", "linetap-serve"
ASKED = "import sqlite3, sys; print(*(row[0] for row in sqlite3.connect(sys.argv[1]).execute(sys.argv[2])))"
COPY = "/srv/linetap-copy/floor-03"
KEPT = "/etc/linetap-desk /etc/mosquitto /root/linetap-pki /srv/linetap-copy"
PAGES = "/var/lib/linetap-pages/serve.db"


@pytest.fixture(scope="module")
def later(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("later")
    nextversion.make(bare.PACKAGES, folder / "deb", folder / "work")
    return folder / "deb"


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    """A desk set up by the page, with a unit that has reported, a person who has logged in, and a sealed copy."""
    if why := bare.cannot():
        pytest.fail(why)  # requested by name: no skip
    with bare.bare() as machine:
        made = Installed(machine)
        for line in bare.commands(bare.ROOT / "docs/install-desk.md"):
            made.said[line] = bare.shell(machine, line)
        made.enrol(tmp_path_factory.mktemp("unit"))
        made.log_in(tmp_path_factory.mktemp("person"))
        made.type(f"install -d -o linetap-desk {COPY} && echo sealed > {COPY}/audio")
        yield made


def rows(desk: Installed, query: str, database: str = PAGES) -> list[str]:
    words = [*desk.machine.entered(), "/usr/bin/python3", "-c", ASKED, database, query]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.split()


def starts(desk: Installed) -> dict[str, int]:
    """The number of starts of each service since the machine began."""
    said = desk.type("journalctl --no-pager -o cat _PID=1 | grep '^Started '")
    return {name: said.count(f"Started {name}.service") for name in RUNS}


def test_to_a_later_version(desk: Installed, later: Path) -> None:
    accounts, access = rows(desk, "select name from people"), rows(desk, "select count(*) from access")
    files = (
        "cd / && find etc/linetap-desk etc/mosquitto root/linetap-pki srv/linetap-copy -type f | sort | xargs sha256sum"
    )
    kept, before = desk.type(files), starts(desk)
    assert rows(desk, "select version_num from alembic_version") != ["9000"]
    _bring(desk, later)
    said = desk.type(f"apt-get update -qq && {APT} upgrade -y")
    assert f"Setting up linetap-desk ({nextversion.NUMBER})" in said
    versions = desk.type("dpkg-query -W -f '${Package} ${Version} ${db:Status-Status}\\n' 'linetap-*'").splitlines()
    assert versions == [f"linetap-{name} {nextversion.NUMBER} installed" for name in ("core", "desk", "tools")]
    assert nextversion.NUMBER in desk.type("linetap --version")
    assert starts(desk) == {name: count + 1 for name, count in before.items()}, "each once"
    assert desk.doctor() == []
    assert desk.type(files) == kept
    assert rows(desk, "select version_num from alembic_version") == ["9000"]
    assert rows(desk, f"select count(*) from {nextversion.TABLE}") == ["0"]
    assert rows(desk, "select name from people") == accounts
    assert int(rows(desk, "select count(*) from access")[0]) >= int(access[0])
    assert UNIT in desk.type(FIGURES)
    assert desk.type("dpkg --verify linetap-core linetap-tools linetap-desk") == ""


def test_an_older_program_leaves_a_later_database_alone(desk: Installed, tmp_path: Path) -> None:
    """After a manual installation of older packages the pages do not start, and log the reason; with the later packages
    they work again.
    """
    older = tmp_path / "older"
    shutil.copytree(bare.PACKAGES, older, ignore=shutil.ignore_patterns("work"))
    _bring(desk, older)
    files = " ".join(f"/srv/linetap/{path.name}" for path in older.glob("linetap-[cdt]*.deb"))
    desk.type(f"apt-get update -qq && {APT} install -qq --allow-downgrades {files}")
    until(lambda: "later version" in desk.type("journalctl --no-pager -o cat -u linetap-serve"), "the pages say why")
    assert rows(desk, "select version_num from alembic_version") == ["9000"]


def test_removed_purged_and_installed_again(desk: Installed, later: Path) -> None:
    _bring(desk, later)
    desk.type(f"apt-get update -qq && {APT} upgrade -qq")
    assert desk.doctor() == []
    accounts = rows(desk, "select name from people")
    desk.type("apt-get remove -qq linetap-desk linetap-tools linetap-core")
    said = desk.type("apt-get purge -qq linetap-desk linetap-tools linetap-core")
    assert "are evidence" in said
    assert not Path(f"{desk.machine.root}/usr/lib/python3/dist-packages/linetap_desk").exists()
    desk.type(f"{APT} install -qq linetap-desk")
    assert "kim: has an account" in desk.type("linetap desk setup --admin kim")
    assert desk.doctor() == []
    assert rows(desk, "select name from people") == accounts
    assert desk.type("cat /srv/linetap-copy/floor-03/audio") == "sealed\n"
    assert f'linetap_unit_online{{unit="{UNIT}"}}' in desk.type(FIGURES)


def _bring(desk: Installed, packages: Path) -> None:
    """Puts the folder of another version in the place of the present one."""
    target = Path(f"/proc/{desk.machine.pid}/root/{bare.MEDIUM}")
    for old in target.iterdir():
        old.unlink()
    for path in packages.iterdir():
        shutil.copy(path, target / path.name)
