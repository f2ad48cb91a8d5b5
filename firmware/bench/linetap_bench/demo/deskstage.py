# SPDX-License-Identifier: Apache-2.0
"""Starts the demo's desk, prints its address and accounts, supervises its processes, and ends them."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from linetap.config import load_config
from linetap.notices.defaults import make_default_notices
from linetap_bench.demo import deskfiles, simulated
from linetap_bench.demo.deskkeys import DemoKeys
from linetap_bench.script.script import load_script
from linetap_bench.stage.processes import Child, ChildFailed
from linetap_bench.stage.servers import free_port, start_shipped, wait
from linetap_bench.stage.stage import UNIT, Stage
from linetap_core.clock import SYSTEM, ns_of
from linetap_core.errors import BadInput
from linetap_core.rundir import answers_for

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
    config = deskfiles.write(DemoKeys(stage.folder), stage.port)
    disks = str(stage.run_dir / "simulated")
    words = ["linetap_bench.demo.simulated", str(stage.folder), str(stage.port), disks]
    stage.children.start("ingest", [sys.executable, "-m", "linetap", "desk", "ingest", "--config", str(config)])
    stage.ready("simulated", words, simulated.CONNECTED)
    passwords = deskfiles.make_accounts(config)
    serve = stage.ready("serve", ["linetap", "desk", "serve", "--config", str(config)], "https://")
    found = re.search(r"https://\S+", serve.log.read_text())
    if found is None:
        raise ChildFailed(f"serve has not printed its address; {serve.log}")
    return found[0], passwords


def _print(text: str) -> None:
    print(text, flush=True)


def _print_guide(made: DemoKeys, url: str, passwords: Mapping[str, str], minutes: float) -> None:
    accounts = [f"  {name:<17} {passwords[name]}   {what}" for name, _, what in deskfiles.PEOPLE]
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
