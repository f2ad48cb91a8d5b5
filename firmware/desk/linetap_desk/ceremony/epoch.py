# SPDX-License-Identifier: Apache-2.0
"""`linetap epoch destroy|overdue`: destroys all copies of an epoch's keys and certifies it; lists overdue days.

The canaries prove the destruction. In a group each officer destroys their own keys, together or separately: when fewer
keys are left than needed, the epoch cannot be opened.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from linetap_core.clock import Clock, from_utc_ns, parse_rfc3339, rfc3339, utc_ns_of
from linetap_core.durable import signedfile
from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.sealing import members
from linetap_core.evidence.sealing.keylist import Epoch, KeyList, Overflow, overflow_name
from linetap_core.timekeeping import KEPT, require_possible
from linetap_core.zones import end_of, local_time, zone_of
from linetap_desk.accesslog import deskfolder
from linetap_desk.ceremony import certificate, destroying, keygen, secondperson
from linetap_desk.ceremony.canary import Canary
from linetap_desk.ceremony.certificate import Certificate, named_gone, path_of, still_open
from linetap_desk.ceremony.destroying import Destruction, Doomed, Journal
from linetap_desk.ceremony.destructionchecks import last_until, missing, reason_unproven
from linetap_desk.ceremony.sheets import COPIES, INDEX
from linetap_desk.inputs import strict
from linetap_desk.proofs import callfolder
from linetap_desk.unsealing import stockage
from linetap_desk.vaultproofs import witnessedcopies
from linetap_desk.witnessing import judge, options, timestamp
from linetap_desk.witnessing.timestamp import TimestampAuthority

EXAMPLE = (
    "example: linetap epoch destroy 2026-12-01 --medium /media/a/2026-12-01*.txt /media/b/2026-12-01*.txt"
    " --vault desk/vaults --holds desk/holds --key officer.key"
)
_MOST_LISTED = 5
_TRIES = 3
_LINE_CHARACTERS = 200


def add_destroy_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("epoch", metavar="DAY", help="the epoch: 2026-12-01, or overflow-2")
    text = "each private file of the epoch, of all copies"
    add("--medium", type=Path, nargs="+", action="extend", default=[], metavar="FILE", help=text)
    add("--sheets", type=int, default=0, metavar="N", help="printed sheets to shred; you confirm each by its day")
    text = "of a group: the officer whose keys are destroyed; default: those of the files given"
    add("--officer", type=int, action="append", default=[], metavar="N", help=text)
    add("--vault", type=Path, required=True, metavar="COPY", help="the desk's copy of one vault, or of all vaults")
    add("--holds", type=Path, required=True, metavar="DIR", help="from `hold wrap` and `overflow rewrap`")
    add("--list", type=Path, default=Path("keylist.json"), metavar="FILE", help="key list, default %(default)s")
    add("--key", type=Path, metavar="KEY", help="the officer's key, for the certificate; else sign with ssh-keygen")
    add("--second", type=Path, metavar="KEY", help="key of a second person present, who signs it too")
    add("--check", action="store_true", help="only check whether it is permitted; destroys nothing")
    text = "folder of the certificates, default %(default)s"
    add("--certificates", type=Path, default=Path("certificates"), metavar="DIR", help=text)
    add("--rule", default="retention", metavar="TEXT", help="the rule in the certificate, default %(default)s")
    add("--tree-head", type=Path, metavar="FILE", help="the unit's last log head, for the certificate")
    add("--today", metavar="DAY", help="today by your own watch, if no witness or later call proves it")
    add(
        "--signers",
        type=Path,
        metavar="ALLOWED_SIGNERS",
        help="the keepers' keys, for --policy; the people of --second",
    )
    options.add_arguments(parser)
    deskfolder.add_argument(parser)
    timestamp.add_authority_arguments(parser, required=False)


Ask = Callable[[str], str]  # a question to the officer -> what was typed


def _ask(question: str) -> str:
    sys.stderr.write(question)
    sys.stderr.flush()
    return sys.stdin.readline(_LINE_CHARACTERS).strip()


def destroy_keys(args: argparse.Namespace, clock: Clock, ask: Ask = _ask) -> int:
    """Destroys the keys, after all checks have passed."""
    require_possible(clock)
    key_list = keygen.load_list(args.list)
    epoch = _epoch_of(key_list, args.epoch)
    args.certificates.mkdir(parents=True, exist_ok=True)
    with destroying.alone(args.certificates):
        return _destroy(args, key_list, epoch, clock, ask)


def _destroy(args: argparse.Namespace, key_list: KeyList, epoch: Epoch | Overflow, clock: Clock, ask: Ask) -> int:
    who = members.parse(epoch.recipient)
    media = destroying.unique(args.medium)
    begun = destroying.find(args.certificates, args.epoch, media, args.officer, args.sheets)
    officers = _officers(args, epoch, len(who.recipients)) if begun is None else begun.draft.officers
    place = path_of(args.certificates, args.epoch, officers if len(officers) < len(who.recipients) else [])
    if begun is None:
        signedfile.require_free(place, signedfile.signature_of(place), certificate.second_of(place))
    signer = None if args.key is None else signedfile.load_key(args.key)
    second = secondperson.key_of(args, signer, clock)
    authority = timestamp.authority_of(args)
    ended = _require_over(epoch, key_list, args.vault, clock)
    draft = _draft(args, key_list, epoch, ended, officers)
    if begun is None or begun.calls_can_open():
        _require_nothing_lost(args, ended, clock)
        draft = replace(draft, witnessed=_require_witnessed(args, ended))
        if draft.witnessed is None and ended is not None:
            _require_date(args, ended, key_list.zone, clock)
    canaries = [canary for officer in officers or [0] for canary in _canaries(args.list, epoch, args.epoch, officer)]
    draft = replace(draft, canaries={canary.path.name: canary.sha256() for canary in canaries})
    if begun is None:
        begun = Journal(place, Destruction(draft=draft, files=_require_opened(canaries, media, args.sheets, ask)))
    else:
        begun.require_same(draft)
        begun.find_left(media, canaries)
    if args.check:
        sys.stdout.write(f"{args.epoch}: may be destroyed, {begun.copies()} copies of its key; nothing was destroyed\n")
        return 0
    begun.destroy(canaries, media, lambda number: _confirm_sheet(args.epoch, number, args.sheets, ask))
    destroying.require_closed(canaries, media)
    begun.certify(signer, second, clock)
    if begun.copies() < COPIES * max(1, len(officers)):
        sys.stderr.write(
            f"note: one copy was destroyed; each key is printed {COPIES} times: make sure that no other copy exists\n"
        )
    what = "destroyed, and the key of its index" if isinstance(epoch, Epoch) else "destroyed"
    if officers:
        count = len(who.recipients)
        still = still_open(named_gone(args.certificates, args.epoch, count), count, who.needed) or "nothing opens it"
        what += f", of officer {', '.join(map(str, officers))}; {still}"
    sys.stdout.write(f"{args.epoch}: {what}; {place}\n")
    return 0 if authority is None else _stamp(place, authority)


def _draft(
    args: argparse.Namespace, key_list: KeyList, epoch: Epoch | Overflow, ended: str | None, officers: list[int]
) -> Certificate:
    who = members.parse(epoch.recipient)
    return Certificate(
        epoch=args.epoch,
        recipient=epoch.recipient,
        index=epoch.index if isinstance(epoch, Epoch) else None,
        ended_at=ended,
        destroyed_at="",
        rule=args.rule,
        key_list_version=key_list.version,
        files=[],
        sheets=args.sheets,
        copies=0,
        canaries={},
        tree_head=_tree_head(args.tree_head),
        officers=officers,
        of=len(who.recipients),
        needed=who.needed,
    )


def _stamp(place: Path, authority: TimestampAuthority) -> int:
    """Requests a time stamp of the certificate. 1 if there is none yet; the keys stay destroyed and certified."""
    try:
        timestamp.stamp(place, authority)
    except timestamp.NoTimestamp as error:
        sys.stderr.write(f"{error}; the certificate is not stamped: `linetap timestamp file {place}` does it\n")
        return 1
    return 0


def _epoch_of(key_list: KeyList, name: str) -> Epoch | Overflow:
    for epoch in key_list.epochs:
        if epoch.day == name:
            return epoch
    for overflow in key_list.overflow:
        if overflow_name(overflow.number) == name:
            return overflow
    raise BadInput(f"{name}: not an epoch of the key list; {key_list.first_day} to {key_list.last_day} expected")


def _require_over(epoch: Epoch | Overflow, key_list: KeyList, copy: Path, clock: Clock) -> str | None:
    """The end of the epoch; refuses before it."""
    if isinstance(epoch, Overflow):
        if epoch == key_list.overflow[-1]:
            raise Refusal(
                f"{overflow_name(epoch.number)} is in use; first publish a list with a later one (keygen --overflow)"
            )
        return None
    ended = end_of(date.fromisoformat(epoch.day), key_list.zone)
    if (later := last_until(copy, epoch.day, ended)) is not None:  # computed with other zone data than this machine's
        ended = max(ended, later)
    if from_utc_ns(clock.utc_ns()) < ended:
        raise Refusal(f"{epoch.day} ends at {rfc3339(utc_ns_of(ended))}: nothing is destroyed before that")
    return rfc3339(utc_ns_of(ended))


def _require_nothing_lost(args: argparse.Namespace, ended: str | None, clock: Clock) -> None:
    for folder in (args.vault, args.holds):
        if not folder.is_dir():
            raise BadInput(f"{folder}: not a folder; where the desk keeps it expected")
    desk = deskfolder.find(args, clock)
    roles = None if desk is None else desk.roles(desk.access.entries())
    ended_ns = None if ended is None else parse_rfc3339(ended)
    lost = list(missing(args.epoch, args.vault, args.holds, clock.utc_ns(), ended_ns, roles))
    if lost:
        more = [f"and {len(lost) - _MOST_LISTED} more"] if len(lost) > _MOST_LISTED else []
        raise Refusal("\n".join([f"{args.epoch}: not destroyed:", *lost[:_MOST_LISTED], *more]))


def _officers(args: argparse.Namespace, epoch: Epoch | Overflow, count: int) -> list[int]:
    """The officers whose keys are destroyed; empty without a group."""
    if count == 1:
        if args.officer:
            raise BadInput(f"--officer: {args.epoch} has one key, and no group")
        return []
    if args.officer:
        if not all(1 <= officer <= count for officer in args.officer):
            raise BadInput(f"--officer: 1 to {count} expected")
        return sorted(set(args.officer))
    if args.sheets or not args.medium:
        raise BadInput("--officer N expected: the officer whose sheets they are; may be repeated")
    found: set[int] = set()
    for path in args.medium:
        stockage.check_identity_file(path)
        everybody = [_canaries(args.list, epoch, args.epoch, officer) for officer in range(1, count + 1)]
        found |= {canary.officer for theirs in everybody for canary in theirs if canary.opens(path)}
    if not found:
        raise Refusal(
            f"{args.medium[0]}: opens no canary of this epoch: the key of another epoch, which is not destroyed"
        )
    return sorted(found)


def _require_witnessed(args: argparse.Namespace, ended: str | None) -> dict[str, str] | None:
    """The witnesses' result, printed before any key is destroyed."""
    rules = options.rules(args)
    moment = None if ended is None else from_utc_ns(parse_rfc3339(ended))
    found = witnessedcopies.require_witnessed_over(
        rules, args.vault, options.signers_for(args, rules), args.epoch, moment
    )
    lines = [judge.NO_POLICY] if found is None else [f"{unit}: {problem}" for unit, problem in found.items()]
    sys.stdout.writelines(f"{args.epoch}: {line}\n" for line in lines)
    return found


def _require_date(args: argparse.Namespace, ended: str, zone: str, clock: Clock) -> None:
    """Requires a second proof of the day's end besides the clock. Without witnesses the proof is the units' counted
    time, or the date typed by the officer. Otherwise a clock set forward, here or at a unit, would destroy every future
    day."""
    why = reason_unproven(args.vault, args.epoch, parse_rfc3339(ended))
    if why is None:
        return
    today = local_time(clock.utc_ns(), zone_of(zone)).date().isoformat()
    if args.today != today:
        raise Refusal(
            f"{args.epoch}: only clocks show that it is over, {why}:"
            " --today with the date of your own watch, or --policy expected"
        )


def _canaries(path: Path, epoch: Epoch | Overflow, name: str, officer: int) -> list[Canary]:
    names = [name, name + INDEX] if isinstance(epoch, Epoch) else [name]
    return [Canary(path, each, officer) for each in names]


def _require_opened(canaries: list[Canary], media: list[Path], sheets: int, ask: Ask) -> list[Doomed]:
    """The entries of the files. Requires that each is a key of this epoch, and that each of its keys is present, as a
    file or typed from a sheet."""
    entries: list[Doomed] = []
    opened: set[Path] = set()
    for path in media:
        entry, found = destroying.doomed(path, canaries)
        entries.append(entry)
        opened |= found
    for canary in canaries:
        if canary.path in opened:
            continue
        if not sheets:
            raise Refusal(f"{canary.path.name}: no medium opens it: a key of this epoch is missing")
        if not canary.opens_with(ask(f"The key of {canary.path.stem}, from a sheet (AGE-SECRET-KEY-1...): ")):
            raise Refusal(f"{canary.path.name}: does not open with what was typed")
    return entries


def _confirm_sheet(name: str, number: int, sheets: int, ask: Ask) -> None:
    for _ in range(_TRIES):
        if ask(f"Shred sheet {number} of {sheets} of {name}, then type its day: ") == name:
            return
    raise Refusal(f"{name}: sheet {number} is not confirmed: shred it, and type its day; nothing else was destroyed")


def _tree_head(path: Path | None) -> dict[str, Any] | None:
    if path is None:
        return None
    try:
        return strict.decode(callfolder.read(path, 1 << 16), dict[str, Any])
    except (callfolder.Damaged, ValueError) as error:
        raise BadInput(f"{path}: {error}; a signed tree head expected") from None


_OVERDUE = "example: linetap epoch overdue --list keylist.json --certificates certificates --signers allowed_signers"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "example: linetap epoch overdue --certificates certificates"
    raw = argparse.RawDescriptionHelpFormatter
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    what = "destroy every copy of an epoch's keys"
    add_destroy_arguments(verbs.add_parser("destroy", help=what, epilog=EXAMPLE, formatter_class=raw))
    what = "list the days that ended more than 24 h ago and have no certificate"
    late = verbs.add_parser("overdue", help=what, epilog=_OVERDUE, formatter_class=raw)
    add = late.add_argument
    add("--list", type=Path, default=Path("keylist.json"), metavar="FILE", help="key list, default %(default)s")
    add("--certificates", type=Path, default=Path("certificates"), metavar="DIR", help="default %(default)s")
    add("--signers", type=Path, metavar="ALLOWED_SIGNERS", help="to check the certificates' signatures")


def run(args: argparse.Namespace, clock: Clock = KEPT) -> int:
    if args.verb == "destroy":
        return destroy_keys(args, clock)
    signers = None if args.signers is None else callfolder.load_signers(args.signers)
    late = list(certificate.overdue(keygen.load_list(args.list), args.certificates, clock.utc_ns(), signers))
    sys.stdout.writelines(f"critical epoch_overdue: {line}\n" for line in late)
    return 1 if late else 0
