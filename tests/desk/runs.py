# SPDX-License-Identifier: Apache-2.0
"""The recorded runs: the role of the task, the house, and its function."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import runs_adoption
import runs_clerk
import runs_night
import runs_office
from playwright.sync_api import Browser
from role_hand import Recording, Run

type House = Callable[[Path, Browser], AbstractContextManager[Any]]


@dataclass(frozen=True, slots=True)
class Told:
    role: str
    task: str
    begins: str
    house: House
    do: Callable[[Any, Browser, Recording], None]
    after: str = ""  # the run of this house that must precede it


def _night(folder: Path, _browser: Browser) -> AbstractContextManager[Any]:
    return runs_night.night(folder)


RUNS: dict[str, Told] = {
    "watch": Told(
        "watch officer, at the wall by night",
        "Which closets are silent, and why; somebody is called; it is handed over.",
        "The wall shows `/fleet`: 150 units, five of them not well.",
        _night,
        runs_night.watch_officer,
    ),
    "facilities": Told(
        "facilities, on a telephone",
        "Where the silent closet is and what it needs; whether it is back.",
        "The link of the call or the message; nobody is logged in on this telephone.",
        _night,
        runs_night.facilities,
    ),
    "clerk": Told(
        "clerk, with the index keys",
        "A call is found by its number, and its release is asked for.",
        "The program knows the desk and the index keys; the account has the roles officer and custodian.",
        runs_clerk.search,
        runs_clerk.clerk,
    ),
    "custodian-key": Told(
        "custodian, before the approval",
        "The key that a release is for alone, made where it stays.",
        "A clerk has asked for a call on somebody's own line; the rule wants one supervisor.",
        runs_office.office,
        runs_office.custodian_key,
    ),
    "supervisor": Told(
        "supervisor, with a passkey",
        "The approval.",
        "The request has its one-time key.",
        runs_office.office,
        runs_office.supervisor,
        "custodian-key",
    ),
    "vault": Told(
        "vault officer, with the program",
        "The first half of the opening: the layer of the day.",
        "The request is approved. The program knows its person and keys.",
        runs_office.office,
        runs_office.vault_officer,
        "supervisor",
    ),
    "custodian": Told(
        "custodian, with the program",
        "The second half: heard, handed out, the key destroyed, closed.",
        "The vault officer's half is there.",
        runs_office.office,
        runs_office.custodian,
        "vault",
    ),
    "citizen": Told(
        "clerk and data-protection officer",
        "A citizen asks to hear their own call: registered, decided, the notice.",
        "There is nothing yet.",
        runs_office.office,
        runs_office.protection,
    ),
    "auditor": Told(
        "auditor",
        "The access log of a month: who saw what, what was out of hours; signed.",
        "A month is over in which two people worked.",
        runs_office.office,
        runs_office.auditor,
    ),
    "operator": Told(
        "operator, with the program",
        "Another version for all units: signed where the operator's key is, sent by the desk.",
        "The file of the version was downloaded. The program knows its person and the published units.",
        runs_office.office,
        runs_office.operator,
    ),
    "administrator": Told(
        "administrator and authority, with the program",
        "A new unit: its configuration, its adoption, its certificate.",
        "The unit hangs in its closet and is switched on; somebody there is on the telephone.",
        runs_adoption.new_house,
        runs_adoption.administrator,
    ),
}


def made(browser: Browser, names: list[str], *, takes: bool = False) -> Iterator[Recording]:
    """Makes the runs in the order of the table. A run's predecessors are done first, and recorded only if named."""
    left = [name for name in RUNS if name in names]
    while left:
        house, done = RUNS[left[0]].house, set[str]()
        with tempfile.TemporaryDirectory(prefix="linetap-runs-") as folder, house(Path(folder), browser) as here:
            while left and RUNS[left[0]].house is house:
                name = left.pop(0)
                for one in [*_before(name, done), name]:
                    told = RUNS[one]
                    record = Recording(Run(one, told.role, told.task, told.begins), takes and one == name)
                    told.do(here, browser, record)
                    record.settle()
                    done.add(one)
                yield record


def _before(name: str, done: set[str]) -> list[str]:
    """The runs that must be done first, in their order."""
    before = RUNS[name].after
    return [] if not before or before in done else [*_before(before, done), before]
