# SPDX-License-Identifier: Apache-2.0
"""One list of a group, out of those that its officers made alone and at home: nobody ever had the keys of two."""

from __future__ import annotations

import argparse
from pathlib import Path

from linetap_core.errors import BadInput
from linetap_core.evidence import members
from linetap_core.evidence.epochname import overflow_name
from linetap_core.evidence.keylist import Epoch, KeyList, Overflow
from linetap_desk.ceremony import canary, epochlist
from linetap_desk.ceremony.canary import Canary
from linetap_desk.ceremony.sheets import INDEX


def merged(args: argparse.Namespace, old: KeyList | None, created: str) -> KeyList:
    """The list, the first officer's key first. BadInput where their days or overflow epochs are not the same."""
    paths: list[Path] = args.merge
    if args.days is not None or args.first is not None or args.overflow is not None or args.officers != 1:
        raise BadInput("--merge: the days and officers are those of the lists; --needed K alone would be right")
    lists = [epochlist.load(path) for path in paths]
    for path, each in zip(paths[1:], lists[1:], strict=True):
        if _days(each) != _days(lists[0]) or each.zone != lists[0].zone:
            raise BadInput(f"{path}: has other days, overflow epochs or another zone than {paths[0]}")
    if old is None:
        args.zone = lists[0].zone

    def together(recipients: list[str]) -> str:
        return str(members.of(recipients, args.needed))

    days = [
        Epoch(each[0].day, together([one.recipient for one in each]), together([one.index for one in each]))
        for each in zip(*(each.epochs for each in lists), strict=True)
    ]
    more = [
        Overflow(each[0].number, together([one.recipient for one in each]))
        for each in zip(*(each.overflow for each in lists), strict=True)
    ]
    for name in _names(lists[0]):
        canary.require_new(args.output, name)
    return epochlist.next_version(args, old, days, more, created)


def take_canaries(paths: list[Path], output: Path) -> None:
    """Each officer's, from beside their list, under the officer's number."""
    for number, path in enumerate(paths, 1):
        for name in _names(epochlist.load(path)):
            for each in (name, name + INDEX) if name[0] == "2" else (name,):
                Canary(output, each, number).copy(Canary(path, each))


def _days(key_list: KeyList) -> list[str]:
    return [*(epoch.day for epoch in key_list.epochs), *(str(each.number) for each in key_list.overflow)]


def _names(key_list: KeyList) -> list[str]:
    return [*(epoch.day for epoch in key_list.epochs), *(overflow_name(each.number) for each in key_list.overflow)]
