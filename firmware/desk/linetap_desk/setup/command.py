# SPDX-License-Identifier: Apache-2.0
"""`linetap desk setup`: runs its steps in order. A second run makes what is missing and renews what ends soon; files
that people have edited stay as they are.

It makes two databases: the ingest's, which the pages read, and the pages' own. They are SQLite's files, or in
PostgreSQL on this machine, which identifies each service by its Unix user (peer), without a password.
"""

from __future__ import annotations

import argparse
import os
from importlib.util import find_spec

from linetap_core import absent, system
from linetap_core.cli import say
from linetap_core.clock import Clock
from linetap_core.durable import privatefile
from linetap_core.errors import BadInput
from linetap_core.evidence.keys import keys
from linetap_desk.config import desk as desksettings
from linetap_desk.config import pages
from linetap_desk.setup import certificates, machine, services
from linetap_desk.setup.answers import Answers, from_options
from linetap_desk.setup.certificates import Report
from linetap_desk.setup.machine import as_user, require_user, run_program, set_owner, write_file

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


def require_database(kind: str) -> None:
    """BadInput unless PostgreSQL is installed and answers, if it is wanted: before anything on the machine changes."""
    if kind == "sqlite":
        return
    missing = [absent.PACKAGES["psql"]] if system.program("psql") is None else []
    missing += ["python3-psycopg"] if find_spec("psycopg") is None else []
    if missing:
        raise BadInput(f"--database postgresql: apt install {' '.join(missing)}")
    _psql("SELECT 1")


def make_databases(kind: str, report: Report) -> None:
    if kind == "sqlite":
        _make_file()
        return
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


_NO_CONNECTION = 2  # psql(1), EXIT STATUS


def _psql(statement: str, database: str = "postgres") -> str:
    words = ("psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", database, "-f", "-")
    done = run_program(as_user("postgres", *words), statement)
    if done.returncode == _NO_CONNECTION:
        why = done.stderr.partition("\n")[0].removeprefix("psql: error: ")
        raise BadInput(f"PostgreSQL: {why}; systemctl start {machine.POSTGRESQL_UNIT}")
    if done.returncode:
        raise BadInput(f"PostgreSQL: {(done.stderr.strip().splitlines() or [f'ended with {done.returncode}'])[0]}")
    return done.stdout.strip()


def run_setup(args: argparse.Namespace, clock: Clock) -> int:
    if os.geteuid() != 0:
        raise BadInput("linetap desk setup: has to be run as root: sudo linetap desk setup")
    for user in (machine.DESK, machine.PAGES):
        require_user(user)
    found = None
    if machine.CONFIG.exists():
        found = desksettings.read_config(argparse.Namespace(config=machine.CONFIG, broker=None))[0]
    answers = from_options(args, found)
    if answers.broker is None:
        services.require_broker()
    if found is None:
        require_database(answers.database)
    set_owner(machine.FOLDER, "root", machine.DESK, 0o750)
    changed = _set_up(answers, clock)
    services.start(answers, changed, clock)
    say(f"the pages: {pages.read_settings(machine.CONFIG).url}   ca.pem for browsers: {machine.FOLDER / 'ca.pem'}")
    if answers.admin is not None:
        say(services.invite(answers.admin, answers.shown or answers.admin))
    return 0


def _set_up(answers: Answers, clock: Clock) -> bool:
    """Runs the steps; returns whether a service must restart."""
    changed = services.configure_broker(say) if answers.broker is None else False
    changed |= certificates.renew_certificates(answers, clock, say)
    changed |= _make_key("desk.key") | _make_key("serve-log.key")
    if not machine.CONFIG.exists():
        make_databases(answers.database, say)
        answers.store.mkdir(parents=True, exist_ok=True)
        set_owner(answers.store, machine.DESK, machine.DESK, 0o2750)
        text = config_text(answers, certificates.broker_host(answers))
        changed |= write_file(machine.CONFIG, text.encode(), group=machine.DESK, mode=0o640)
        say(f"{machine.CONFIG}: configuration")
    return changed


def _make_key(name: str) -> bool:
    """Makes a signing key, its owner and its .pub, whichever is missing; returns whether it made the .pub, which is the
    last: a power cut may have ended an earlier run."""
    path = machine.FOLDER / name
    public = path.with_name(f"{name}.pub")
    if path.exists() and public.exists():
        return False
    if not path.exists():
        privatefile.write(path, keys.unit_key_file(keys.new_unit_key()))
    set_owner(path, machine.KEYS[name], "root", 0o600)
    key = keys.load_unit_key(path.read_bytes())
    write_file(public, f"{keys.public_line(key.public_key())}\n".encode())
    say(f"{path}: key, of {machine.KEYS[name]} alone")
    return True


def config_text(answers: Answers, broker: str) -> str:
    """The text of desk.toml, which only people edit later. `broker`: the name by which this server reaches it."""
    desk, pages = urls(answers.database)
    return f"""\
# Made by `linetap desk setup`, which does not change it again. Every setting: docs/desk.md and docs/desk-serve.md.
signers = "allowed_signers"      # from the authority: which key is which unit's
key = "desk.key"                 # its .pub stands in roles.json, role desk
db = "{desk}"
# Once the authority has signed roles.json: these three, and releases and holds are done on the pages.
# outgoing = "{machine.OUTGOING}"

[copy]
store = "file://{answers.store}"
holds = "{machine.HOLDS}"   # what vault officers have signed and checked: those calls are not deleted

[broker]
host = "{broker}"
port = {machine.PORT}
ca = "ca.pem"
certificate = "ingest-tls.pem"
key = "ingest-tls.key"

[send]
certificate = "send-tls.pem"     # root's: `linetap command send`
key = "send-tls.key"

[serve]
listen = "0.0.0.0:{machine.PAGES_PORT}"
url = "https://{answers.name}:{machine.PAGES_PORT}"
certificate = "serve-tls.pem"
key = "serve-tls.key"
db = "{pages}"
log_key = "serve-log.key"
fleet_certificate = "pages-tls.pem"
fleet_key = "pages-tls.key"
# roles = "roles.json"           # roles.json.sig beside it
# authority = "authority.pub"
"""
