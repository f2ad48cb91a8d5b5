# SPDX-License-Identifier: Apache-2.0
"""`linetap keygen epochs`: the private keys of many days, and the public list of them.

The keys go to a printer, a sheet a day and copy, and to no disk: what was on a disk can be found there again. The
list is written last, for a list whose keys nobody holds seals calls that nobody opens.
"""

from __future__ import annotations

import argparse
import os
import stat
import sys
from datetime import date, timedelta
from pathlib import Path

import msgspec

from linetap.clock import Clock, rfc3339
from linetap.desk import canary, epochlist, privatefile, signed
from linetap.desk.sheets import COPIES, EpochKeys, pages
from linetap.errors import BadInput
from linetap.evidence import keylist, keys
from linetap.evidence.keylist import Epoch, KeyList, Overflow

EXAMPLE = "example: linetap keygen epochs --from 2026-12-01 --days 460 --authority authority.key | lp"
_FIRST_OVERFLOW = 2  # number 1 stands in the unit's own configuration


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--from", dest="first", type=_day, metavar="DAY", help="first day of expiry, 2026-12-01")
    parser.add_argument("--days", type=int, required=True, metavar="N", help="the longest class and 400, or more")
    parser.add_argument("--longest-class", type=int, default=60, metavar="DAYS", help="default %(default)s")
    parser.add_argument("--zone", default="Asia/Seoul", help="in which a day ends, default %(default)s")
    parser.add_argument("--overflow", type=int, metavar="N", help="make overflow epoch N too (2, in a first list)")
    parser.add_argument(
        "--custodian", action="append", default=[], metavar="age1...",
        help="the custodians from this list on; may be repeated; else those of the units' configurations",
    )  # fmt: skip
    parser.add_argument("--extend", type=Path, metavar="OLD.json", help="the next version of this list: N days more")
    parser.add_argument("--authority", type=Path, metavar="KEY", help="signs the list; or leave it to ssh-keygen")
    parser.add_argument(
        "--all-on-one-medium", type=Path, metavar="DIR", help="private files here, in place of sheets to a printer"
    )
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("keylist.json"), metavar="FILE", help="the list, default %(default)s"
    )


def run(args: argparse.Namespace, clock: Clock) -> int:
    signer = None if args.authority is None else signed.load_key(args.authority)
    signed.require_free(args.output, signed.signature_of(args.output))
    old = None if args.extend is None else epochlist.load(args.extend)
    created = rfc3339(clock.utc_ns())
    fresh = _make(args, old)
    for each in fresh:
        canary.require_new(args.output, each.name)
    data = keylist.encode(_list(args, old, fresh, created))
    try:
        made = keylist.sound(data)
        if old is not None:
            keylist.require_follows(made, old)
    except keylist.KeyListFault as fault:
        raise BadInput(str(fault)) from None
    _hand_over(args, fresh, made.zone, created)
    for keys_of in fresh:
        canary.make(args.output, keys_of)
    signed.write(args.output, data, signer, keylist.NAMESPACE)
    if short := keylist.too_short(made, args.longest_class):
        sys.stderr.write(f"note: {args.output}: {short}\n")
    return 0


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: a day as 2026-12-01 would be right") from None


def _make(args: argparse.Namespace, old: KeyList | None) -> list[EpochKeys]:
    first = args.first or (old.last_day + timedelta(days=1) if old else None)
    if first is None:
        raise BadInput("--from is missing: the first day of expiry")
    if not (0 if old else 1) <= args.days <= keylist.MOST_DAYS:
        raise BadInput(f"--days {args.days}: 1 to {keylist.MOST_DAYS} would be right")
    try:
        days = [(first + timedelta(days=n)).isoformat() for n in range(args.days)]
    except OverflowError:
        raise BadInput(f"--from {first}: days behind the year 9999") from None
    fresh = [EpochKeys(day, keys.new_identity(), keys.new_identity()) for day in days]
    number = args.overflow or (None if old else _FIRST_OVERFLOW)
    return fresh if number is None else [*fresh, EpochKeys(f"overflow-{number}", keys.new_identity())]


def _list(args: argparse.Namespace, old: KeyList | None, fresh: list[EpochKeys], created: str) -> KeyList:
    days = [Epoch(each.name, each.call.recipient, each.index.recipient) for each in fresh if each.index]
    more = [Overflow(int(each.name.partition("-")[2]), each.call.recipient) for each in fresh if each.index is None]
    if old is None:
        return KeyList(
            version=1, made_at=created, zone=args.zone, epochs=days, overflow=more, custodians=args.custodian
        )
    return msgspec.structs.replace(
        old, version=old.version + 1, made_at=created, epochs=[*old.epochs, *days], overflow=[*old.overflow, *more],
        custodians=args.custodian or old.custodians,
    )  # fmt: skip


def _hand_over(args: argparse.Namespace, fresh: list[EpochKeys], zone: str, created: str) -> None:
    folder: Path | None = args.all_on_one_medium
    if folder is not None:
        folder.mkdir(mode=0o700, exist_ok=True)
        for each in fresh:
            for name, text in each.files(created).items():
                privatefile.write(folder / name, text.encode("ascii"))
        return
    if fresh and _is_file(sys.stdout.fileno()):
        raise BadInput("standard output is a file: private keys go to a printer (| lp), or --all-on-one-medium DIR")
    sys.stdout.writelines(pages(fresh, zone, created))
    sys.stdout.flush()
    sys.stderr.write(f"{COPIES * len(fresh)} sheets: see that each is there before the list is signed and given out\n")


def _is_file(fd: int) -> bool:
    return stat.S_ISREG(os.fstat(fd).st_mode)
