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
        "Find out which closets are silent and why; call somebody; hand over to the next shift.",
        "The wall shows `/fleet`: 150 units, five of them with faults.",
        _night,
        runs_night.watch_officer,
    ),
    "facilities": Told(
        "facilities, on a telephone",
        "Find the silent closet and its remedy; check that the unit is back.",
        "The technician has the link from the call or the message; nobody is logged in on this telephone.",
        _night,
        runs_night.facilities,
    ),
    "clerk": Told(
        "clerk, with the index keys",
        "Find a call by its number, and request its release.",
        "The program has the desk's address and the index keys; the account has the roles officer and custodian.",
        runs_clerk.search,
        runs_clerk.clerk,
    ),
    "custodian-key": Told(
        "custodian, before the approval",
        "Make the one-time key of a release on the computer where it stays.",
        "A clerk has requested a call on a person's own line; the rule requires one supervisor.",
        runs_office.office,
        runs_office.custodian_key,
    ),
    "supervisor": Told(
        "supervisor, with a passkey",
        "Approve a request.",
        "The request has its one-time key.",
        runs_office.office,
        runs_office.supervisor,
        "custodian-key",
    ),
    "vault": Told(
        "vault officer, with the program",
        "Remove the first layer of the key, that of the day.",
        "The request is approved. The program has the person's name and keys.",
        runs_office.office,
        runs_office.vault_officer,
        "supervisor",
    ),
    "custodian": Told(
        "custodian, with the program",
        "Open the call, listen, give it out, destroy the one-time key, close the request.",
        "The vault officer's file is at the request.",
        runs_office.office,
        runs_office.custodian,
        "vault",
    ),
    "citizen": Told(
        "clerk and data-protection officer",
        "Register a citizen's request to hear their own call, decide on it, and print the notice.",
        "Nothing is registered yet.",
        runs_office.office,
        runs_office.protection,
    ),
    "auditor": Told(
        "auditor",
        "Review the access log of a month, with the work out of hours, and sign it.",
        "Two people worked in the month that is over.",
        runs_office.office,
        runs_office.auditor,
    ),
    "operator": Told(
        "operator, with the program",
        "Sign another version for all units where the operator's key is, and have the desk send it.",
        "The file of the version was downloaded. The program has the person's name and the list of published units.",
        runs_office.office,
        runs_office.operator,
    ),
    "administrator": Told(
        "administrator and authority, with the program",
        "Configure and adopt a new unit, and make its certificate.",
        "The unit is mounted in its closet and switched on; somebody there is on the telephone.",
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
