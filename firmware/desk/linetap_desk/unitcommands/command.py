# SPDX-License-Identifier: Apache-2.0
"""`linetap command sign|cosign`: makes a signed command as a file. Sending it is in sending.py."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from linetap_core.cli import Verbs
from linetap_core.clock import NS_PER_DAY, NS_PER_MS, Clock, parse_rfc3339, rfc3339
from linetap_core.durable import files, privatefile, signedfile
from linetap_core.errors import BadInput
from linetap_core.evidence.authorization import command as envelopes
from linetap_core.evidence.authorization import commandbody
from linetap_core.evidence.authorization.command import IDENTIFY_LONGEST_S, LIGHT, MAY, Command, Envelope
from linetap_core.evidence.authorization.commandbody import Body
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.signing import document, namespaces, sshsig
from linetap_core.rundir import read_small
from linetap_core.timekeeping import KEPT, require_possible
from linetap_core.wire import updates
from linetap_desk.inputs import strict
from linetap_desk.unitcommands import sending

_EXPIRES_DAYS = 7
_SIGN = (
    "examples: linetap command sign --verb hold --role vault --unit floor-03 --document holds/CALL_ID/hold.json"
    " --key officer.key -o hold.command\n"
    "          linetap command sign --verb time --role vault --unit floor-03 --challenge 5f0c... --key officer.key"
    " -o time.command\n"
    "          linetap command sign --verb identify --role desk --unit floor-03 --seconds 120 --key desk.key"
    " -o identify.command\n"
    "          linetap command sign --verb config --role operator --unit floor-03 --document unit.toml"
    " --replaces 5f0c... --key operator.key -o config.command\n"
    "          linetap command sign --verb update --role operator --unit floor-03 --bundle linetap-0.2.0.raucb"
    " --key operator.key -o update.command\n"
    "          linetap command sign --verb confirm --role privacy --unit floor-03 --weakening 5f0c... --key privacy.key"
    " -o confirm.command"
)

_COSIGN = "example: linetap command cosign config.command --key officer.key -o both.command"


def add_arguments(parser: argparse.ArgumentParser) -> Verbs:
    parser.epilog = "example: linetap command sign --help"
    verbs = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    raw = argparse.RawDescriptionHelpFormatter
    sign = verbs.add_parser("sign", help="make a command, signed", epilog=_SIGN, formatter_class=raw)
    sign.add_argument("--verb", required=True, choices=[verb for verb in MAY if verb not in LIGHT])
    sign.add_argument("--role", required=True, help="role of the signing key")
    sign.add_argument("--unit", required=True, help="the unit's name")
    sign.add_argument("--key", type=Path, required=True, metavar="KEY", help="private, Ed25519")
    sign.add_argument(
        "--document", type=Path, metavar="FILE",
        help="hold.json with its key.age beside it, certificate, roles.json or keylist.json; FILE.sig beside it;"
        " of `config` unit.toml, which needs none",
    )  # fmt: skip
    sign.add_argument("--challenge", metavar="HEX", help="of `time`: the challenge shown by `linetap command state`")
    sign.add_argument("--utc", metavar="TIME", help="of `time`: RFC 3339, default now")
    sign.add_argument("--seconds", type=int, metavar="N", help=f"of `identify`, {IDENTIFY_LONGEST_S} at most")
    sign.add_argument(
        "--replaces",
        metavar="SHA256",
        help="of `config`: the effective configuration, from health or `linetap command state`",
    )
    sign.add_argument(
        "--bundle", type=Path, metavar="FILE", help="of `update`: linetap-VERSION.raucb; its size and hash are signed"
    )
    sign.add_argument("--url", metavar="URL", help="of `update`: its address; default: beside the broker")
    sign.add_argument(
        "--weakening", metavar="ID", help="of `confirm` and `cancel`: its id, from the alert or `linetap command state`"
    )
    sign.add_argument(
        "--walk",
        metavar="SHA256",
        help="of `learn`: the walk test with the values to store, as named by the answer without this option",
    )
    sign.add_argument("--expires", metavar="TIME", help=f"RFC 3339, default in {_EXPIRES_DAYS} days")
    sign.add_argument(
        "--counter",
        type=int,
        metavar="N",
        help="higher than all earlier ones of the key; default: the time in milliseconds",
    )
    sign.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="must not exist")
    cosign = verbs.add_parser("cosign", help="add a signature to a command", epilog=_COSIGN)
    cosign.add_argument("file", type=Path, metavar="ENVELOPE", help="the output of `linetap command sign`")
    cosign.add_argument("--key", type=Path, required=True, metavar="KEY", help="private, Ed25519, another person's")
    cosign.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="must not exist")
    sending.add_verb(verbs)
    return verbs


def run(args: argparse.Namespace, clock: Clock = KEPT) -> int:
    """Runs the action. `sign`, `cosign`: 0. `send`: 0 if the unit executed it, 1 if it refused or did not answer."""
    if args.action == "sign":
        require_possible(clock)
        privatefile.write(args.output, make(args, clock.utc_ns()))
        return 0
    if args.action == "cosign":
        privatefile.write(args.output, cosigned(args))
        return 0
    return sending.run_send(args, clock)


def make(args: argparse.Namespace, now_ns: int) -> bytes:
    """The signed envelope. BadInput for anything that the unit would refuse."""
    if not envelopes.may(args.role, args.verb):
        raise BadInput(f"--role {args.role}: {args.verb} is for {' or '.join(MAY[args.verb])}")
    key = signedfile.load_key(args.key)
    command = Command(
        unit=args.unit,
        verb=args.verb,
        role=args.role,
        counter=args.counter if args.counter is not None else now_ns // NS_PER_MS,
        expires=_time(args.expires, "--expires") if args.expires else rfc3339(now_ns + _EXPIRES_DAYS * NS_PER_DAY),
        body=_body(args, now_ns).texts(),
    )
    made = envelopes.seal(command, lambda text: sshsig.sign(text, key, namespaces.COMMAND))
    if len(made) > envelopes.LIMIT_BYTES:
        raise BadInput(f"the command has {len(made)} bytes, {envelopes.LIMIT_BYTES} at most")
    return made


def cosigned(args: argparse.Namespace) -> bytes:
    """The envelope with an additional signature; prints its content for the person who signs."""
    data, key = read_small(args.file, envelopes.LIMIT_BYTES), signedfile.load_key(args.key)
    try:
        made = envelopes.cosign(data, lambda text: sshsig.sign(text, key, namespaces.COMMAND))
        command = document.decode(strict.decode(made, Envelope).command.encode("utf-8"), Command)
    except BadInput as error:
        raise BadInput(f"{args.file}: {error}") from None
    if len(made) > envelopes.LIMIT_BYTES:
        raise BadInput(f"the command has {len(made)} bytes, {envelopes.LIMIT_BYTES} at most")
    summary = f"{command.verb} by {command.role} to {command.unit}, counter {command.counter}, until {command.expires}"
    sys.stderr.write(f"cosigned: {summary}; `jq -j .command {args.output}` shows the whole of it\n")
    return made


# The options of each verb; all other verbs take only a document.
_TAKES: dict[str, tuple[str, ...]] = {
    "time": ("challenge", "utc"), "identify": ("seconds",), "self_test": (), "config": ("document", "replaces"),
    "update": ("bundle", "url"), "confirm": ("weakening",), "cancel": ("weakening",),
    "learn": ("walk",),
}  # fmt: skip
_OPTIONAL = ("utc", "url", "walk")  # optional


def _body(args: argparse.Namespace, now_ns: int) -> Body:
    takes = _TAKES.get(args.verb, ("document",))
    for name in ("document", "challenge", "utc", "seconds", "replaces", "bundle", "url", "weakening", "walk"):
        given = getattr(args, name) is not None
        if (name in takes) != given and not (name in _OPTIONAL and name in takes):
            words = " and ".join(f"--{each}" for each in takes) or "none of these"
            raise BadInput(f"--{name} {'does not belong here' if given else 'is missing'}: {args.verb} takes {words}")
    if args.verb == "time":
        utc = _time(args.utc, "--utc") if args.utc else rfc3339(now_ns)
        return commandbody.Time(challenge=args.challenge, utc=utc)
    if args.verb == "identify":
        try:
            return commandbody.Identify(seconds=args.seconds)
        except ValueError as error:
            raise BadInput(f"--{error}") from None
    if args.verb == "config":
        return commandbody.Config(document=_text(args.document), replaces=args.replaces)
    if args.verb == "update":
        return _update_body(args.bundle, args.url)
    if args.verb == "learn":
        try:
            return commandbody.Learn(walk=args.walk)
        except ValueError as error:
            raise BadInput(f"--{error}") from None
    if args.verb in ("confirm", "cancel"):
        return commandbody.Weakening(weakening=args.weakening)
    return _document_body(args) if takes else commandbody.SelfTest()


def _document_body(args: argparse.Namespace) -> Body:
    document, sig = _text(args.document), _text(signedfile.signature_of(args.document))
    if args.verb == "hold":
        return commandbody.Hold(document=document, sig=sig, key_age=_bytes(args.document.with_name(sealed.KEY)))
    return commandbody.Document(document=document, sig=sig)


def _update_body(bundle: Path, url: str | None) -> Body:
    found = re.fullmatch(r"linetap-(.*)\.raucb", bundle.name)
    if found is None or re.search(updates.PATTERN, found[1]) is None:
        raise BadInput(f"{bundle}: linetap-0.2.0.raucb expected: its version is in its name")
    if url is not None:
        updates.check_url(url)
    size = bundle.stat().st_size
    if not 0 < size <= updates.LARGEST_BYTES:
        raise BadInput(f"{bundle}: {size} bytes; 1 to {updates.LARGEST_BYTES} expected")
    return commandbody.Update(version=found[1], sha256=files.sha256(bundle), size=size, url=url)


def _text(path: Path) -> str:
    try:
        return _bytes(path).decode("utf-8")
    except UnicodeDecodeError:
        raise BadInput(f"{path}: not text") from None


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(envelopes.LIMIT_BYTES)
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from None


def _time(text: str, option: str) -> str:
    try:
        return rfc3339(parse_rfc3339(text))
    except (ValueError, OverflowError) as error:
        raise BadInput(f"{option} {text}: {error}; 2026-11-24T22:56:00Z expected") from None
