# SPDX-License-Identifier: Apache-2.0
"""The demo's desk: its configuration and accounts; its start with address and accounts, its supervision and end."""

from __future__ import annotations

import math
import re
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path

from linetap.config import load_config
from linetap.notices.defaults import make_default_notices
from linetap_bench.demo import simulated
from linetap_bench.demo.deskkeys import INGEST, PAGES, DemoKeys
from linetap_bench.demo.simulated import UNITS
from linetap_bench.script.script import load_script
from linetap_bench.stage.processes import Child, ChildFailed
from linetap_bench.stage.servers import HOST, free_port, start_shipped, wait
from linetap_bench.stage.stage import UNIT, Stage
from linetap_core.clock import SYSTEM, ns_of
from linetap_core.errors import BadInput
from linetap_core.rundir import answers_for
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


def write_desk_files(made: DemoKeys, port: int) -> Path:
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


LINES = 8
READY_S = 60.0
LOOK_S = 0.2
OPEN = "The desk is open:"  # the first line of the guide


class DeskStage(Stage):
    """A stage with the shipped broker: TLS only, and only clients with a certificate."""

    def __init__(self, made: DemoKeys) -> None:
        super().__init__(made.folder, LINES)
        self._made = made

    def _start_broker(self) -> tuple[Child, int]:
        port = free_port()
        return start_shipped(self.children, self.folder / "broker", self._made.pki, port), port

    def ready(self, name: str, command: list[str], text: str) -> Child:
        """Starts one of our processes; returns when the process has printed `text`."""
        child = self.children.start(name, [sys.executable, "-m", *command])
        self.children.wait_for_text(child, text, READY_S)
        return child


def demo(folder: Path, script: Path, minutes: float, most_minutes: float) -> None:
    """Runs until the time is over or it is interrupted. ChildFailed names a process that did not start or has ended."""
    if not 0 < minutes <= most_minutes:
        raise BadInput(f"--minutes {minutes:g}: more than 0, and {most_minutes:g} at most expected")
    each_s = load_script(script).duration_ms / 1000
    often = math.ceil(minutes * 60 / each_s) + math.ceil(READY_S / each_s)
    _print("keys and certificates: an authority, a broker, two desks, eleven units")
    made = DemoKeys(folder)
    made.make()
    for unit in simulated.UNITS:
        made.enrol(unit)
    make_default_notices(folder / "notices")
    with DeskStage(made) as stage:
        _start_unit(stage, made, script, often)
        url, passwords = _start_desk(stage)
        end_ns = SYSTEM.monotonic_ns() + ns_of(minutes * 60)
        _print_guide(made, url, passwords, minutes)
        while SYSTEM.monotonic_ns() < end_ns:
            stage.children.check()
            SYSTEM.sleep(LOOK_S)


def _start_unit(stage: DeskStage, made: DemoKeys, script: Path, often: int) -> None:
    _print(f"the unit {UNIT}: capture, recorder, reporter and panel on eight simulated lines")
    options = ("--authority", made.authority, "--key-list", made.key_list)
    # The file's last table is that of line 8, which is exempt in the script.
    stage.prepare(stage.folder / "notices", stage.with_contacts, more="exempt = true\n", init=options)
    made.enrol_real(stage.config_path)
    load_config(stage.config_path)
    stage.start_exchange(script, voices=stage.folder.parent / "voices", repeat=often)
    stage.start_meter()
    for service in ("panel", "capture", "recorder", "reporter"):
        stage.start(service)
    wait(answers_for(stage.run_dir, "reporter").is_dir, stage.children, "the recorder takes no command", READY_S)
    made.command_roles(UNIT, stage.config_path)


def _start_desk(stage: DeskStage) -> tuple[str, Mapping[str, str]]:
    """Starts the desk; returns its address and the passwords."""
    _print("the desk: ten simulated units, the ingest, the accounts and the pages")
    config = write_desk_files(DemoKeys(stage.folder), stage.port)
    disks = str(stage.run_dir / "simulated")
    words = ["linetap_bench.demo.simulated", str(stage.folder), str(stage.port), disks]
    stage.children.start("ingest", [sys.executable, "-m", "linetap", "desk", "ingest", "--config", str(config)])
    stage.ready("simulated", words, simulated.CONNECTED)
    passwords = make_accounts(config)
    serve = stage.ready("serve", ["linetap", "desk", "serve", "--config", str(config)], "https://")
    found = re.search(r"https://\S+", serve.log.read_text())
    if found is None:
        raise ChildFailed(f"serve has not printed its address; {serve.log}")
    return found[0], passwords


def _print(text: str) -> None:
    print(text, flush=True)


def _print_guide(made: DemoKeys, url: str, passwords: Mapping[str, str], minutes: float) -> None:
    accounts = [f"  {name:<17} {passwords[name]}   {what}" for name, _, what in PEOPLE]
    lines = [
        "",
        f"{OPEN} {url}",
        f"Its certificate is signed by {made.ca}: give that to the browser, or go past its warning.",
        "",
        "Accounts, with their passwords and pages:",
        *accounts,
        "",
        "Pages:",
        f"  {url}/fleet",
        f"    eleven units in three buildings; {UNIT} is the real one, with a call every few seconds.",
        f"    {simulated.UNITS[0]} is cut off {simulated.CUT_AT_S} s after the start, for {simulated.CUT_FOR_S} s.",
        f"  {url}/calls",
        "    the search, by unit, line, extension (2001) or department (민원실); a recorded call of",
        f"    {UNIT} has its record, the proof of its notice and its second copy.",
        f"  {url}/release",
        "    releases and holds; an officer asks on a call's page. docs/desk-release.md has the steps, and everybody's",
        f"    keys lie in {made.folder}: people/, custodian.txt, epochs/.",
        f"  {url}/review",
        "    as auditor: who saw what.",
        f"  {made.folder}",
        "    unit.toml, vault, copies, desk.toml, databases and logs.",
        "",
        f"It goes on until Ctrl-C, {minutes:g} minutes at most.",
    ]
    print("\n".join(lines), flush=True)
