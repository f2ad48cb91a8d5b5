# SPDX-License-Identifier: Apache-2.0
"""`linetap desk setup --database postgresql` and the doctor on a server that does not answer; psql is a real one. The
whole on a server: tests/deb/test_install.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from linetap_core.cli import main
from linetap_core.errors import BadInput
from linetap_desk.config.desk import DeskConfig
from linetap_desk.doctor import serverstate
from linetap_desk.setup import command
from postgres_rig import Postgres


@pytest.fixture(autouse=True)
def no_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """psql as this user, with an empty folder of sockets."""
    monkeypatch.setattr(command, "as_user", lambda _user, *words: words)
    monkeypatch.setattr(serverstate, "as_user", lambda _user, *_: ("false",))
    monkeypatch.setenv("PGHOST", str(tmp_path))
    monkeypatch.delenv("PGPORT", raising=False)
    return tmp_path


def test_a_server_that_does_not_run(no_server: Path) -> None:
    with pytest.raises(BadInput) as refused:
        command.require_database("postgresql")
    first, _, cure = str(refused.value).partition("; ")
    assert first.startswith(f'PostgreSQL: connection to server on socket "{no_server}/.s.PGSQL.')
    assert cure == "systemctl start postgresql.service"
    command.require_database("sqlite")


def test_a_user_who_is_no_role_of_the_server(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As root on an installed desk, by a real server."""
    monkeypatch.delenv("PGHOST")
    with Postgres() as server:
        url = server.url.replace("desk@", "nobody-else@")
        assert main(["desk", "calls", "--db", url]) == 2
    said = capsys.readouterr().err
    assert (
        'role "nobody-else" does not exist; run it as the database\'s user: runuser -u linetap-desk -- linetap' in said
    )


@pytest.mark.parametrize(("db", "cure"), [
    ("postgresql+psycopg:///linetap_desk", "systemctl restart postgresql.service"),
    ("postgresql+psycopg://desk@db.city.example/linetap", "its file or server"),
    ("sqlite:////var/lib/linetap-desk/desk.db", "its file or server"),
])  # fmt: skip
def test_the_cure_of_a_database_that_is_not_read(db: str, cure: str) -> None:
    found = list(serverstate.databases(DeskConfig(db=db), Path("desk.toml")))
    assert [one.cure.split("; ")[0].split(": ")[1] for one in found] == [cure] * 3
