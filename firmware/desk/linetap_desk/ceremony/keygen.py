# SPDX-License-Identifier: Apache-2.0
"""`linetap keygen`: makes private files of custodians, epochs, authorities and signers; the keys of many days, and
their public list.

The keys of days are printed, on one sheet for each day and copy, and written to no disk, where deleted data could be
recovered. The list is written last: a list without existing keys would seal calls that no one can open. Each officer of
a group has a set of sheets; or each officer makes a list alone, and `--merge` combines them.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from datetime import date, timedelta
from pathlib import Path
from typing import TextIO

import msgspec

from linetap_core import keygenunit
from linetap_core.cli import Verbs
from linetap_core.clock import Clock, rfc3339
from linetap_core.durable import privatefile, signedfile
from linetap_core.errors import BadInput
from linetap_core.evidence.keys import keys
from linetap_core.evidence.sealing import keylist, members
from linetap_core.evidence.sealing.keylist import Epoch, KeyList, Overflow, overflow_name
from linetap_core.evidence.signing import namespaces
from linetap_core.timekeeping import KEPT, require_possible
from linetap_core.zones import KOREA
from linetap_desk.ceremony import canary, keygroup
from linetap_desk.ceremony.canary import Canary
from linetap_desk.ceremony.sheets import COPIES, INDEX, OFFICER, EpochKeys, pages, require_printer


def load_list(path: Path) -> KeyList:
    try:
        with path.open("rb") as file:
            return keylist.sound(file.read(keylist.LIST_LIMIT_BYTES))
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}; a key list expected") from None
    except keylist.KeyListFault as fault:
        raise BadInput(f"{path}: {fault}") from None


def next_version(
    args: argparse.Namespace, old: KeyList | None, days: list[Epoch], more: list[Overflow], created: str
) -> KeyList:
    """A first list of these epochs, or the next version of `old` with these epochs appended."""
    custodians: list[str] = args.custodian
    if args.custodians_needed > 1:
        custodians = [str(members.group_of(custodians, args.custodians_needed))]
    if old is None:
        return KeyList(version=1, made_at=created, zone=args.zone, epochs=days, overflow=more, custodians=custodians)
    return msgspec.structs.replace(
        old, version=old.version + 1, made_at=created, epochs=[*old.epochs, *days], overflow=[*old.overflow, *more],
        custodians=custodians or old.custodians,
    )  # fmt: skip


def merged_list(args: argparse.Namespace, old: KeyList | None, created: str) -> KeyList:
    """A group's list, merged from the lists that its officers made separately, so that no person ever has two officers'
    keys. The first officer's key comes first. BadInput if days or overflow epochs differ."""
    paths: list[Path] = args.merge
    if args.days is not None or args.first is not None or args.overflow is not None or args.officers != 1:
        raise BadInput("--merge: days and officers come from the lists; only --needed K is expected with it")
    lists = [load_list(path) for path in paths]
    for path, each in zip(paths[1:], lists[1:], strict=True):
        if _days(each) != _days(lists[0]) or each.zone != lists[0].zone:
            raise BadInput(f"{path}: has other days, overflow epochs or another zone than {paths[0]}")
    if old is None:
        args.zone = lists[0].zone

    def together(recipients: list[str]) -> str:
        return str(members.group_of(recipients, args.needed))

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
    return next_version(args, old, days, more, created)


def take_canaries(paths: list[Path], output: Path) -> None:
    """Copies each officer's canaries from the folder of their list, with the officer's number."""
    for number, path in enumerate(paths, 1):
        for name in _names(load_list(path)):
            for each in (name, name + INDEX) if name[0] == "2" else (name,):
                Canary(output, each, number).copy(Canary(path, each))


def _days(key_list: KeyList) -> list[str]:
    return [*(epoch.day for epoch in key_list.epochs), *(str(each.number) for each in key_list.overflow)]


def _names(key_list: KeyList) -> list[str]:
    return [*(epoch.day for epoch in key_list.epochs), *(overflow_name(each.number) for each in key_list.overflow)]


EXAMPLE = "example: linetap keygen epochs --from 2026-12-01 --days 460 --authority authority.key | lp"
_FIRST_OVERFLOW = 2  # number 1 is in the unit's own configuration


def add_epochs_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--from", dest="first", type=_day, metavar="DAY", help="first day of expiry, 2026-12-01")
    parser.add_argument("--days", type=int, metavar="N", help="the longest class and 400, or more")
    parser.add_argument("--longest-class", type=int, default=60, metavar="DAYS", help="default %(default)s")
    parser.add_argument("--zone", default=KOREA, help="time zone of the days, default %(default)s")
    parser.add_argument("--overflow", type=int, metavar="N", help="make overflow epoch N too (2, in a first list)")
    parser.add_argument(
        "--custodian", action="append", default=[], metavar="age1...",
        help="the custodians from this list on; may be repeated; else those of the units' configurations",
    )  # fmt: skip
    parser.add_argument(
        "--custodians-needed",
        type=int,
        default=1,
        metavar="K",
        help="the number of custodians needed to open (%(default)s)",
    )
    parser.add_argument(
        "--officers", type=int, default=1, metavar="N", help="number of officers, each with separate keys (%(default)s)"
    )
    parser.add_argument(
        "--needed", type=int, default=1, metavar="K", help="the number of officers needed to open (%(default)s)"
    )
    parser.add_argument(
        "--merge",
        type=Path,
        nargs="+",
        metavar="LIST",
        help="merge the lists that each officer made alone, without new keys",
    )
    parser.add_argument("--extend", type=Path, metavar="OLD.json", help="the next version of this list: N days more")
    parser.add_argument(
        "--authority", type=Path, action="append", default=[], metavar="KEY",
        help="signs the list, and may be repeated; else sign with ssh-keygen",
    )  # fmt: skip
    parser.add_argument(
        "--all-on-one-medium", type=Path, metavar="DIR", help="private files here, in place of sheets to a printer"
    )
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("keylist.json"), metavar="FILE", help="the list, default %(default)s"
    )


def make_epochs(args: argparse.Namespace, clock: Clock, paper: TextIO | None = None) -> int:
    """Makes the keys. `paper`: receives the sheets in place of standard output."""
    signers = [signedfile.load_key(path) for path in args.authority]
    signedfile.require_free(args.output, signedfile.signature_of(args.output))
    old = None if args.extend is None else load_list(args.extend)
    require_possible(clock)
    created = rfc3339(clock.utc_ns())
    fresh: list[list[EpochKeys]] = []
    if args.merge is not None:
        data = keylist.encode(merged_list(args, old, created))
    else:
        fresh = _make(args, old)
        for each in fresh[0]:
            canary.require_new(args.output, each.name)
        data = keylist.encode(_list(args, old, fresh, created))
    try:
        made = keylist.sound(data)
        if old is not None:
            keylist.require_follows(made, old)
    except keylist.KeyListFault as fault:
        raise BadInput(str(fault)) from None
    _hand_over(args, fresh, made.zone, created, paper)
    try:
        for keys_of in itertools.chain.from_iterable(fresh):
            canary.make(args.output, keys_of)
        if args.merge is not None:
            take_canaries(args.merge, args.output)
        signedfile.write(args.output, data, signers, namespaces.KEY_LIST)
    except BaseException:  # such as a full disk, or Ctrl-C
        if not args.output.exists():  # its days can be made again
            names = _names(load_list(args.merge[0])) if args.merge is not None else [each.name for each in fresh[0]]
            for name in names:
                canary.remove(args.output, name)
            if fresh and args.all_on_one_medium is None:
                sys.stderr.write("note: no list was made: these sheets are of no use, shred them\n")
        raise
    if short := keylist.too_short(made, args.longest_class):
        sys.stderr.write(f"note: {args.output}: {short}\n")
    return 0


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: a day as 2026-12-01 expected") from None


def _make(args: argparse.Namespace, old: KeyList | None) -> list[list[EpochKeys]]:
    """The epochs of each officer, in order."""
    first = args.first or (old.last_day + timedelta(days=1) if old else None)
    if first is None:
        raise BadInput("--from is missing: the first day of expiry")
    if args.days is None or not (0 if old else 1) <= args.days <= keylist.MOST_DAYS:
        raise BadInput(f"--days {args.days}: 1 to {keylist.MOST_DAYS} expected")
    if not 1 <= args.officers <= members.MOST_MEMBERS:
        raise BadInput(f"--officers {args.officers}: 1 to {members.MOST_MEMBERS} expected")
    try:
        days = [(first + timedelta(days=n)).isoformat() for n in range(args.days)]
    except OverflowError:
        raise BadInput(f"--from {first}: these days end after the year 9999") from None
    number = args.overflow or (None if old else _FIRST_OVERFLOW)
    overflow = [] if number is None else [overflow_name(number)]
    found = []
    for officer in range(1, args.officers + 1) if args.officers > 1 else [0]:
        theirs = [EpochKeys(day, keys.new_identity(), keys.new_identity(), officer) for day in days]
        found.append([*theirs, *(EpochKeys(name, keys.new_identity(), None, officer) for name in overflow)])
    return found


def _list(args: argparse.Namespace, old: KeyList | None, fresh: list[list[EpochKeys]], created: str) -> KeyList:
    def together(recipients: list[str]) -> str:
        return str(members.group_of(recipients, args.needed))

    days, more = [], []
    for each in zip(*fresh, strict=True):
        calls, indexes = together([keys.call.recipient for keys in each]), [keys.index for keys in each]
        if indexes[0] is None:
            more.append(Overflow(int(each[0].name.partition("-")[2]), calls))
        else:
            days.append(Epoch(each[0].name, calls, together([index.recipient for index in indexes if index])))
    return next_version(args, old, days, more, created)


def _hand_over(
    args: argparse.Namespace, fresh: list[list[EpochKeys]], zone: str, created: str, paper: TextIO | None
) -> None:
    if args.all_on_one_medium is not None:
        for each in itertools.chain.from_iterable(fresh):
            folder: Path = args.all_on_one_medium
            folder.mkdir(mode=0o700, exist_ok=True)
            if each.officer:
                folder /= f"{OFFICER}{each.officer}"
                folder.mkdir(mode=0o700, exist_ok=True)
            for name, text in each.files(created).items():
                privatefile.write(folder / name, text.encode("ascii"))
        return
    if not any(fresh):
        return
    if paper is None:
        require_printer("--all-on-one-medium DIR")
    out = paper or sys.stdout
    for theirs in fresh:
        out.writelines(pages(theirs, zone, created, f"{args.needed} OF {args.officers}"))
    out.flush()
    count = COPIES * sum(map(len, fresh))
    sys.stderr.write(f"{count} sheets: check that all are printed before the list is signed and published\n")


_KINDS = {
    "custodian": "an age identity",
    "epoch": "an age identity",
    "unit": keygenunit.WHAT,
    "authority": "an Ed25519 key: it signs key lists",
}


def make(kind: str, created: str) -> tuple[bytes, str]:
    """The private file of this kind, and its public line. `created` is RFC 3339."""
    if kind in ("unit", "authority"):
        key = keys.new_unit_key()
        return keys.unit_key_file(key), keys.public_line(key.public_key())
    identity = keys.new_identity()
    return keys.identity_file(identity, created).encode("ascii"), identity.recipient


def add_arguments(parser: argparse.ArgumentParser) -> Verbs:
    parser.epilog = "example: linetap keygen custodian -o custodian.txt"
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="KIND")
    for kind, what in _KINDS.items():
        one = kinds.add_parser(kind, help=what, epilog=f"example: linetap keygen {kind} -o {kind}.txt")
        keygenunit.add_arguments(one)
        if kind != "unit":
            keygroup.add_arguments(one, kind)
    add_epochs_arguments(
        kinds.add_parser("epochs", help="the keys of many days and the public list of them", epilog=EXAMPLE)
    )
    return kinds


def run(args: argparse.Namespace, clock: Clock = KEPT) -> int:
    if args.kind == "epochs":
        return make_epochs(args, clock)
    if args.kind == "unit":
        return keygenunit.run(args)
    if getattr(args, "group", None) is not None:
        return keygroup.run(args, rfc3339(clock.utc_ns()))
    if getattr(args, "public", None) or getattr(args, "sheets", False):
        raise BadInput("--public, --sheets: are of a group; --group 2/3 expected")
    private, public = make(args.kind, rfc3339(clock.utc_ns()))
    privatefile.write(args.output, private)
    sys.stdout.write(public + "\n")
    return 0
