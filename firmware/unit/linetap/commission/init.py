# SPDX-License-Identifier: Apache-2.0
"""`linetap config init`: writes unit.toml, the unit's signing key, and the line by which others trust that key."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import msgspec

from linetap import unitkeys
from linetap.commission.configcheck import check_config
from linetap.commission.template import LINES_A_CARD, MOST_CARDS, Plan, render
from linetap.config.schema import RUN_DIR, VAULT, Keys
from linetap_core.durable import privatefile
from linetap_core.durable.files import move_durably, replace_durably
from linetap_core.errors import BadInput, LinetapError
from linetap_core.evidence.keys import keys, publickeys
from linetap_core.evidence.sealing import members
from linetap_core.evidence.signing import authority as authorities
from linetap_core.evidence.signing import namespaces, unitnames
from linetap_core.evidence.signing.authority import Authority
from linetap_core.evidence.signing.unitnames import UnitId
from linetap_core.wire.hosts import BROKER_WANTED, is_own_host, is_tls_host

SIGNERS = "allowed_signers"
_READABLE = 0o644  # files without a secret
_LINE_LIMIT_BYTES = 64 * 1024
_PROJECT = Path(__file__).resolve().parents[4]  # root of a clone
# Of a clone, of Debian's package linetap-unit.
_PINS = (_PROJECT / "hardware/pins.toml", Path("/etc/linetap/pins.toml"))
_PINS_NAME = _PINS[0].name
_NOTICES = (_PROJECT / "build/notices", Path("/usr/share/linetap-unit/notices"))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("unit", metavar="UNIT_ID", help="2 to 40 of a-z, 0-9 and -")
    parser.add_argument("--lines", type=int, required=True, metavar="N", help="1 to 32, on cards of 8")
    parser.add_argument("--custodian", action="append", required=True, metavar="age1...", help="may be repeated")
    parser.add_argument(
        "--custodians-needed",
        type=int,
        default=1,
        metavar="K",
        help="number of custodians who open together (%(default)s)",
    )
    parser.add_argument(
        "--epoch", required=True, metavar="age1...", help="the first overflow epoch's public key, or a group's"
    )
    parser.add_argument(
        "--authority",
        metavar="KEY",
        help="the signer of the key list: ssh-ed25519 line, or a .pub file, of one key or several",
    )
    parser.add_argument("--key-list", type=Path, metavar="FILE", help="keylist.json, with its .sig beside it")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="unit.toml")
    parser.add_argument("--force", action="store_true", help="replace an existing file; an existing key stays")
    parser.add_argument("--board", choices=("hardware", "simulated"), default="hardware", help="default %(default)s")
    parser.add_argument("--pins", type=Path, metavar="FILE", help="the table of pins, default that of the project")
    parser.add_argument("--notices", metavar="DIR", help="default: those of the set-up, else `notices` beside the file")
    parser.add_argument("--image", action="store_true", help="for a card, with the image's pins and notices")
    parser.add_argument("--vault", default=VAULT, metavar="DIR", help="default %(default)s")
    parser.add_argument("--run-dir", default=RUN_DIR, metavar="DIR", help="on tmpfs, default %(default)s")
    parser.add_argument("--broker", metavar="HOST", help="name or address by which the unit reaches the broker")
    parser.add_argument(
        "--broker-ca",
        metavar="FILE",
        help="the issuer of its certificate; default with --image: ca.pem beside the file",
    )
    parser.add_argument(
        "--broker-port", type=int, default=8883, metavar="N", help="port of the broker, default %(default)s"
    )


def run(args: argparse.Namespace) -> int:
    _check(args)
    output: Path = args.output
    key_path = output.with_name("unit.key")
    beside = [key_path, key_path.with_name("unit.key.pub"), output.with_name(SIGNERS)]
    if not args.force and (there := next((path for path in (output, *beside) if path.exists()), None)):
        raise BadInput(f"{there}: exists; another folder, or --force, which keeps an existing key expected")
    fresh = output.with_name(f".{output.name}.new")
    pins = output.with_name(_PINS_NAME)
    new = [path for path in (fresh, *beside, pins) if not path.exists()]
    try:
        if args.image and pins in new:
            _write(pins, _shipped(_PINS).read_text())  # as on the unit, so that the configuration can be checked here
        write_beside(args.unit, beside[0], beside[1], beside[2])
        _write(fresh, render(_plan(args, key_path.name)))
        check_config(fresh)
    except LinetapError as error:
        for path in new:
            path.unlink(missing_ok=True)
        raise BadInput(str(error).replace(str(fresh), str(output))) from None
    move_durably(fresh, output)
    sys.stdout.write(f"{output}: {args.lines} lines; beside it unit.key, unit.key.pub and {SIGNERS}\n")
    return 0


def write_beside(unit: str, key: Path, public: Path, signers: Path, where: Keys | None = None) -> None:
    """Writes the unit's key if there is none (`where`: [keys], which may name the TPM), its public half, and the line
    by which others trust it.
    """
    line = _unit_key(key, where)
    _write(public, f"{line} {unit}\n")
    trusted = f'{unit} namespaces="{",".join(namespaces.BY_UNIT)}" {line}'
    _write(signers, f"# Whose signatures count, for ssh-keygen -Y verify and linetap verify.\n{trusted}\n")


def _check(args: argparse.Namespace) -> None:
    """Checks all arguments before anything is written."""
    problems: list[str] = []
    try:
        msgspec.convert(args.unit, UnitId)
    except msgspec.ValidationError:
        problems.append(f"UNIT_ID {args.unit!r}: 2 to 40 of a-z, 0-9 and -, not beginning with - expected")
    if unitnames.is_reserved(args.unit):
        problems.append(f"UNIT_ID {unitnames.reserved_message(args.unit)}")
    if not 1 <= args.lines <= LINES_A_CARD * MOST_CARDS:
        problems.append(f"--lines {args.lines}: 1 to {LINES_A_CARD * MOST_CARDS} expected")
    problems += _group_problems(args)
    if (args.authority is None) != (args.key_list is None):
        problems.append("--authority and --key-list: one is of no use without the other")
    try:
        _authority(args.authority)
    except LinetapError as error:
        problems.append(f"--authority: {error}")
    if args.image and (args.pins or args.notices or args.board != "hardware"):
        problems.append("--image: brings pins and notices, and is for hardware")
    if args.image and (args.broker is None or is_own_host(args.broker)):
        found = "is missing" if args.broker is None else f"{args.broker!r} is the unit itself"
        problems.append(f"--image: --broker {found}: the name or address by which the unit reaches its broker expected")
    elif args.broker is not None and not is_tls_host(args.broker):
        problems.append(f"--broker {args.broker!r}: {BROKER_WANTED} expected")
    if args.image and args.key_list and args.key_list.absolute().parent != args.output.absolute().parent:
        problems.append(f"--key-list {args.key_list}: goes onto the card with unit.toml, so beside it expected")
    if args.output.name in ("unit.key", "unit.key.pub", SIGNERS):
        problems.append(f"-o {args.output}: another file beside it has that name; unit.toml expected")
    if not args.output.absolute().parent.is_dir():
        problems.append(f"-o {args.output}: there is no folder {args.output.parent}")
    if args.board == "hardware" and args.pins is None and not _shipped(_PINS).exists():
        problems.append("--pins is missing: the table of pins that belongs to this unit's boards")
    if not 1 <= args.broker_port <= 65535:
        problems.append(f"--broker-port {args.broker_port}: 1 to 65535 expected")
    if problems:
        raise BadInput("\n".join(problems))


def _group_problems(args: argparse.Namespace) -> list[str]:
    problems: list[str] = []
    epoch: tuple[str, ...] = ()
    for option, text in [*(("--custodian", text) for text in args.custodian), ("--epoch", args.epoch)]:
        try:
            if option == "--epoch":
                epoch = members.parse(text).recipients
            else:
                publickeys.decode_recipient(text)
        except LinetapError as error:
            problems.append(f"{option}: {error}")
    try:
        if not problems:
            members.group_of(args.custodian, args.custodians_needed)
    except LinetapError as error:
        problems.append(f"--custodians-needed: {error}")
    if set(epoch) & set(args.custodian):
        problems.append("--epoch: is a custodian's key too; opening a call must take two people")
    return problems


def _plan(args: argparse.Namespace, key: str) -> Plan:
    """The plan of the options. Options name paths relative to the shell's folder; the file names them relative to
    itself, and on a card all files are in one folder.
    """
    authority, notices, folder = _authority(args.authority), _notices(args), args.output.absolute().parent
    return Plan(
        unit=args.unit,
        lines=args.lines,
        custodians=tuple(args.custodian),
        epoch=args.epoch,
        key=key,
        notices=notices,
        board=args.board,
        pins=_pins(args),
        vault=str(Path(args.vault).absolute()),
        run_dir=str(Path(args.run_dir).absolute()),
        learned=str(Path(args.vault).absolute().parent / "learned"),
        broker=args.broker,
        broker_ca=_broker_ca(args),
        broker_port=args.broker_port,
        authority=None if authority is None else tuple(authority.lines()),
        authority_needed=1 if authority is None else authority.needed,
        key_list=_key_list(args),
        needed=args.custodians_needed,
        spoken=None if args.image else frozenset(path.stem for path in (folder / notices).glob("*.wav")),
    )


def _notices(args: argparse.Namespace) -> str:
    if args.notices is not None:
        return str(Path(args.notices).absolute())
    shipped = _shipped(_NOTICES)
    return "notices" if args.image or not shipped.is_dir() else str(shipped)


def _shipped(places: tuple[Path, ...]) -> Path:
    """The first place that exists, else the first."""
    return next((place for place in places if place.exists()), places[0])


def _pins(args: argparse.Namespace) -> str:
    if args.image or args.board != "hardware":
        return _PINS_NAME
    return str(_shipped(_PINS) if args.pins is None else args.pins.absolute())


def _broker_ca(args: argparse.Namespace) -> str | None:
    if args.broker_ca is not None and not args.image:
        return str(Path(args.broker_ca).absolute())
    return args.broker_ca if args.broker_ca is not None or not args.image else "ca.pem"


def _key_list(args: argparse.Namespace) -> str | None:
    if args.key_list is None:
        return None
    return str(args.key_list.name if args.image else args.key_list.absolute())


def _authority(text: str | None) -> Authority | None:
    """The authority given as a line, or as a file's name."""
    if text is None:
        return None
    if not text.startswith(("ssh-", "ecdsa-")):
        try:
            with Path(text).open("rb") as file:
                text = file.read(_LINE_LIMIT_BYTES).decode("utf-8", "replace").strip()
        except OSError as error:
            raise BadInput(f"{text}: {error.strerror}; the line ssh-ed25519 AAAA... expected") from None
    return authorities.from_text(text)


def _unit_key(path: Path, where: Keys | None) -> str:
    """The public line of the key at `path`, which is made if missing, and never overwritten."""
    if not path.exists():
        privatefile.write(path, unitkeys.make(where))
    return keys.public_line(unitkeys.open_key(path, where).public_key())


def _write(path: Path, text: str) -> None:
    try:
        replace_durably(path, text.encode("utf-8"), mode=_READABLE)
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from None
