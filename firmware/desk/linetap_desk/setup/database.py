# SPDX-License-Identifier: Apache-2.0
"""Makes two databases: the ingest's, which the pages read, and the pages' own. They are SQLite's files, or in
PostgreSQL on this machine, which identifies each service by its Unix user (peer), without a password."""

from __future__ import annotations

from importlib.util import find_spec

from linetap_core.errors import BadInput
from linetap_desk.setup import machine
from linetap_desk.setup.certificates import Report
from linetap_desk.setup.machine import as_user, run_checked, set_owner

_DESK_FILE, _PAGES_FILE = machine.STATE / "desk.db", machine.PAGES_STATE / "serve.db"
_DESK_NAME, _PAGES_NAME = "linetap_desk", "linetap_pages"
_URLS = {
    "sqlite": (f"sqlite:///{_DESK_FILE}", f"sqlite:///{_PAGES_FILE}"),
    "postgresql": (f"postgresql+psycopg:///{_DESK_NAME}", f"postgresql+psycopg:///{_PAGES_NAME}"),
}
# Later tables of the ingest are readable for the pages only.
_READ = f'''
GRANT CONNECT ON DATABASE {_DESK_NAME} TO "{machine.PAGES}";
GRANT USAGE ON SCHEMA public TO "{machine.PAGES}";
GRANT SELECT ON ALL TABLES IN SCHEMA public TO "{machine.PAGES}";
ALTER DEFAULT PRIVILEGES FOR ROLE "{machine.DESK}" IN SCHEMA public GRANT SELECT ON TABLES TO "{machine.PAGES}";
'''


def urls(kind: str) -> tuple[str, str]:
    """The URLs of the ingest's database and of the pages' own."""
    return _URLS[kind]


def make_databases(kind: str, report: Report) -> None:
    if kind == "sqlite":
        _make_file()
        return
    if find_spec("psycopg") is None:
        raise BadInput("--database postgresql: apt install postgresql python3-psycopg")
    for user, name in ((machine.DESK, _DESK_NAME), (machine.PAGES, _PAGES_NAME)):
        if not _psql(f"SELECT 1 FROM pg_roles WHERE rolname = '{user}'"):
            _psql(f'CREATE ROLE "{user}" LOGIN')
        if not _psql(f"SELECT 1 FROM pg_database WHERE datname = '{name}'"):
            _psql(f"CREATE DATABASE {name} OWNER \"{user}\" ENCODING 'UTF8' TEMPLATE template0")
            _psql(f"REVOKE ALL ON DATABASE {name} FROM PUBLIC")
            report(f"PostgreSQL: database {name} of {user}")
    _psql(_READ, _DESK_NAME)


def _make_file() -> None:
    """Makes an empty file that is writable by the group: a reader of SQLite's log must register beside it."""
    _DESK_FILE.touch(mode=0o660)
    set_owner(_DESK_FILE, machine.DESK, machine.DESK, 0o660)


def _psql(statement: str, database: str = "postgres") -> str:
    words = ("psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", database, "-f", "-")
    return run_checked(*as_user("postgres", *words), given=statement)
