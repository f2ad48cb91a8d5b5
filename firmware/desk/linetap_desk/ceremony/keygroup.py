# SPDX-License-Identifier: Apache-2.0
"""`linetap keygen custodian|epoch|authority --group 2/3`: makes all members' keys in one ceremony, tested before they
are handed out.

Each member gets only the file, or the sheets, with their own number. If the members made their keys separately,
`--public` reads their public keys, and no machine ever has two private ones.
"""

from __future__ import annotations

import argparse
import itertools
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from linetap_core.durable import privatefile
from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.keys import keys
from linetap_core.evidence.keys.keys import AgeIdentity
from linetap_core.evidence.sealing import group, members
from linetap_core.evidence.sealing.members import Group
from linetap_core.evidence.signing import authority, namespaces, sshsig
from linetap_desk.ceremony.sheets import COPIES, page, require_printer
from linetap_desk.unsealing import stockage

_GROUP = re.compile(r"(\d)/(\d)")
_LETTER = "test-letter"
_TRIAL = namespaces.ROLES  # namespace of a test signature


def add_arguments(parser: argparse.ArgumentParser, kind: str) -> None:
    parser.add_argument("--group", metavar="K/N", help="a group: any K of N; -o is then a folder")
    parser.add_argument(
        "--public", nargs="+", default=[], metavar="KEY", help="the members' own public lines, in place of new keys"
    )
    if kind != "authority":
        parser.add_argument(
            "--sheets", action="store_true", help="the private keys to a printer (| lp), and to no disk"
        )


def run(args: argparse.Namespace, created: str) -> int:
    """Creates the folder: private files, the part of unit.toml, and a test letter. Prints only the group's public
    text."""
    needed, count = _size(args)
    folder: Path = args.output
    try:
        folder.mkdir(mode=0o700)
    except OSError as error:
        raise BadInput(f"{folder}: {error.strerror}; a new folder expected") from None
    try:
        make = _authority if args.kind == "authority" else _identities
        text = make(args, folder, needed, count, created)
    except BaseException:  # such as a printer's OSError: the public part must not outlive the keys
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
        raise
    (sys.stderr if getattr(args, "sheets", False) else sys.stdout).write(text + "\n")
    return 0


def _size(args: argparse.Namespace) -> tuple[int, int]:
    match = _GROUP.fullmatch(args.group or "")
    if match is None:
        raise BadInput(f"--group {args.group or ''}: 2/3 expected")
    needed, count = int(match[1]), int(match[2])
    if not 1 <= needed <= count or count < 2:
        raise BadInput(f"--group {args.group}: 1 to {count} of 2 or more expected")
    if args.public and len(args.public) != count:
        raise BadInput(f"--public: {len(args.public)} keys, {count} by --group")
    if args.public and getattr(args, "sheets", False):
        raise BadInput("--sheets: there are no new keys with --public")
    return needed, count


def _identities(args: argparse.Namespace, folder: Path, needed: int, count: int, created: str) -> str:
    made = [] if args.public else [keys.new_identity() for _ in range(count)]
    who = members.group_of(args.public or [each.recipient for each in made], needed)
    if args.sheets:
        require_printer("leave --sheets out")
    words = f"linetap test letter for {args.kind}s {who.in_words()}, {created}\n".encode("ascii")
    letter = group.seal(words, who)
    _require_opens(letter, words, who, made)
    suffix = "age" if needed == 1 else "tar"
    privatefile.write(folder / f"{_LETTER}.{suffix}", letter)
    privatefile.write_public(folder / "unit.toml.part", _snippet(args.kind, who).encode("ascii"))
    if args.sheets:
        sys.stdout.writelines(_pages(args.kind, who, made, created))
        sys.stdout.flush()
        sys.stderr.write(f"{COPIES * count} sheets: check that all are printed before the group is used\n")
    else:
        for number, identity in enumerate(made, 1):
            text = keys.identity_file(identity, created)
            privatefile.write(folder / f"{args.kind}-{number}.txt", text.encode("ascii"))
    return str(who)


def _require_opens(letter: bytes, words: bytes, who: Group, made: Sequence[AgeIdentity]) -> None:
    """Requires that stock age opens the letter for every k members, and for no fewer. Keys made elsewhere cannot be
    tested here."""
    numbered = [f"{identity.secret}\n".encode() for identity in made]
    for chosen in itertools.combinations(numbered, who.needed) if made else ():
        if _open_letter(letter, chosen) != words:
            raise Refusal("the test letter does not open for every combination: these keys are not written")
    for chosen in itertools.combinations(numbered, who.needed - 1) if made and who.needed > 1 else ():
        if _open_letter(letter, chosen) is not None:
            raise Refusal("the test letter opens for too few members: these keys are not written")


def _open_letter(letter: bytes, secrets: tuple[bytes, ...]) -> bytes | None:
    def decrypt(layer: bytes) -> bytes:
        opened = stockage.decrypt_with_key(layer, b"".join(secrets))
        if not opened.whole:
            raise stockage.DoesNotOpen(opened.complaint)
        return opened.plaintext

    try:
        return group.open_whole(letter, decrypt)
    except Refusal:
        return None


def _snippet(kind: str, who: Group) -> str:
    if kind == "epoch":
        return f'overflow_epoch = "{who}"\n'
    lines = "".join(f'  "{recipient}",\n' for recipient in who.recipients)
    return f"custodians = [\n{lines}]\ncustodians_needed = {who.needed}\n"


def _pages(kind: str, who: Group, made: Sequence[AgeIdentity], created: str) -> Iterator[str]:
    """Both copies of a member's key, then the next member's."""
    for number, identity in enumerate(made, 1):
        for copy in range(1, COPIES + 1):
            name = f"{kind}-{number}"
            head = [
                f"linetap  {name.upper()}    COPY {copy} OF {COPIES}    ANY {who.in_words().upper()} OPEN",
                f"비밀 키 {name}, 사본 {copy}/{COPIES}: 본인 외에는 보관하거나 열람할 수 없음",
                "",
                "Keep the two copies in two places; only this member may have them.",
                f"Try it with the test letter ({_LETTER}) before the group is used, and once a year.",
            ]
            yield page(head, {f"{name}.txt": keys.identity_file(identity, created)}, f"{name}  {copy}/{COPIES}")


def _authority(args: argparse.Namespace, folder: Path, needed: int, count: int, created: str) -> str:
    made = [] if args.public else [keys.new_unit_key() for _ in range(count)]
    whole = authority.from_lines(args.public or [keys.public_line(key.public_key()) for key in made], needed)
    trial = created.encode("ascii")
    for size in (needed - 1, needed):
        for chosen in itertools.combinations(made, size) if made and size else ():
            armored = "".join(sshsig.sign(trial, key, _TRIAL) for key in chosen).encode("ascii")
            if (whole.reason_against(sshsig.check_all(trial, armored, _TRIAL)) is None) != (size == needed):
                raise Refusal("the test signatures give another count than they should: these keys are not written")
    for number, key in enumerate(made, 1):
        privatefile.write(folder / f"authority-{number}.key", keys.unit_key_file(key))
    privatefile.write_public(folder / "authority.pub", whole.text().encode("ascii"))
    lines = "".join(f'  "{line}",\n' for line in whole.lines())
    part = f"authority = [\n{lines}]\nauthority_needed = {needed}\n"
    privatefile.write_public(folder / "unit.toml.part", part.encode("ascii"))
    return whole.text().rstrip("\n")
