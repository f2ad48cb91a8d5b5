# SPDX-License-Identifier: Apache-2.0
"""The desk's configuration in the demo: desk.toml, the tables beside it, and the accounts."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path

from linetap_bench.demo.deskkeys import INGEST, PAGES, DemoKeys
from linetap_bench.demo.simulated import UNITS
from linetap_bench.stage.servers import HOST
from linetap_bench.stage.stage import UNIT
from linetap_core.clock import SYSTEM
from linetap_desk.serve import commands
from linetap_desk.serve.people import accounts

_BUILDINGS = {"annex": "별관", "council": "의회동"}
_SEATS = ("민원실", "도로과", "여권팀", "세무과", "도시과", "환경과", "총무과", "노동조합")  # of the real unit's lines
_DESK = """\
signers = "pki/allowed_signers"
key = "desk.key"
db = "sqlite:///desk.db"
[broker]
host = "{host}"
port = {port}
ca = "pki/ca.pem"
certificate = "pki/desk-{ingest}.pem"
key = "pki/desk-{ingest}.key"
[copy]
store = "file://{folder}/copies"
holds = "holds"
[watch]
places = "places.toml"
[serve]
listen = "{host}:0"
certificate = "pki/serve-tls.pem"
key = "pki/serve-tls.key"
log_key = "serve-log.key"
lines = "lines.csv"
roles = "roles.json"
authority = "authority.pub"
fleet_certificate = "pki/desk-{pages}.pem"
fleet_key = "pki/desk-{pages}.key"
"""

# One account for each role: account name, displayed name, purpose.
PEOPLE = (
    ("watch", "종합상황실", "all units, live"),
    ("officer", "민원 담당 김민지", "units, search and calls; requests a release or a hold"),
    ("approver-legal", "법무 담당 이준호", "search and calls; approves"),
    ("approver-manager", "부서장 박서연", "search and calls; approves"),
    ("vault", "키 관리자 최도윤", "units, search and calls; opens the outer layer"),
    ("custodian", "열람 담당자 정하은", "units, search and calls; opens and gives out"),
    ("auditor", "감사 담당 한지우", "search and calls, and the review of who saw what"),
)
_CONTACTS = '{ contact = "당직실 2000", power = "시설팀 2119", network = "정보통신과 2345", lines = "교환실 2400" }'
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # without characters that look alike


def write(made: DemoKeys, port: int) -> Path:
    """Writes desk.toml."""
    folder = made.folder
    places = {"본관": {UNIT: 3}}
    for unit in UNITS:
        building, _, floor = unit.partition("-")
        places.setdefault(_BUILDINGS[building], {})[unit] = int(floor)
    buildings = "".join(_table(name, units) for name, units in places.items())
    (folder / "places.toml").write_text(f'["*"]\n"*" = {_CONTACTS}\n{buildings}')
    rows = [f"{UNIT},{line},{2000 + line},{seat},2026-01-01\n" for line, seat in enumerate(_SEATS, 1)]
    (folder / "lines.csv").write_text("unit,line,extension,department,from\n" + "".join(rows))
    for name in ("copies", "holds"):
        (folder / name).mkdir()
    config = folder / "desk.toml"
    config.write_text(_DESK.format(host=HOST, port=port, folder=folder, ingest=INGEST, pages=PAGES))
    return config


def make_accounts(config: Path) -> dict[str, str]:
    """Makes the accounts; returns their passwords by name, random in each run and shown only on the screen."""
    passwords = {name: _password() for name, _, _ in PEOPLE}
    with commands.opened(config, SYSTEM) as (table, _):
        for name, shown, _ in PEOPLE:
            accounts.add_account(table, "terminal:demo", name, shown, [name], passwords[name], None)
    return passwords


def _password() -> str:
    """A password of 60 random bits, in three groups."""
    return "-".join("".join(secrets.choice(_LETTERS) for _ in range(4)) for _ in range(3))


def _table(name: str, units: Mapping[str, int]) -> str:
    return f'["{name}"]\n' + "".join(f"{unit} = {floor}\n" for unit, floor in units.items())
