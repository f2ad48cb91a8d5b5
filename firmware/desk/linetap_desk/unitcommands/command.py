# SPDX-License-Identifier: Apache-2.0
"""`linetap command sign|cosign|send`: makes a signed command as a file, and sends it to its unit."""

from __future__ import annotations

import argparse
import queue
import re
import secrets
import sys
from pathlib import Path
from typing import Any

import msgspec

from linetap_core import jsontext
from linetap_core.broker.client import tls_context
from linetap_core.broker.connection import (
    Acknowledged,
    Arrived,
    Connected,
    Connection,
    Ended,
    Happening,
    SubscriptionRefused,
    Terms,
)
from linetap_core.cli import Verbs
from linetap_core.clock import NS_PER_DAY, NS_PER_MS, NS_PER_S, S_PER_DAY, Clock, ns_of, parse_rfc3339, rfc3339
from linetap_core.durable import files, privatefile, signedfile
from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.authorization import command as envelopes
from linetap_core.evidence.authorization import commandbody
from linetap_core.evidence.authorization.command import IDENTIFY_LONGEST_S, LIGHT, MAY, Answer, Command, Envelope
from linetap_core.evidence.authorization.commandbody import Body
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.signing import document, namespaces, sshsig, unitnames
from linetap_core.rundir import read_small
from linetap_core.timekeeping import KEPT, require_possible
from linetap_core.wire import updates
from linetap_core.wire.mqtt import Broker, Message
from linetap_core.wire.topics import Topics
from linetap_desk.config.desk import read_config
from linetap_desk.config.owncertificate import with_own_certificate
from linetap_desk.inputs import strict

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
    add_verb(verbs)
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
    return run_send(args, clock)


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


# --- `linetap command send`: sends a command to its unit over the broker, and prints the answer -----------------------
# The answer is not signed: a broker can forge it, and can withhold the command. The unit's log records what it did.


_PATIENCE_S = 30.0
_LONGEST_EXPIRY_S = 400 * S_PER_DAY
_LARGEST_FILE = 8 << 20
_LARGEST_PACKET = 64 << 10  # larger than any unit's answer
_SEND = "example: linetap command send identify.command --config desk.toml"


def add_verb(verbs: Any) -> None:
    send = verbs.add_parser("send", help="send a command over the broker, and print the answer", epilog=_SEND)
    send.add_argument("file", type=Path, nargs="+", metavar="FILE", help="one after the other, each to its unit")
    send.add_argument("--config", type=Path, metavar="desk.toml", help="desk.toml with its [broker]")
    send.add_argument("--broker", metavar="URL", help="mqtt://HOST:PORT on the loopback, instead of --config")
    send.add_argument(
        "--wait", type=float, default=_PATIENCE_S, metavar="S", help="seconds in total, default %(default)g"
    )


def run_send(args: argparse.Namespace, clock: Clock) -> int:
    """Sends the commands. Exit status: 0 all done, 1 one refused. BadInput or Refusal has the reason for a missing
    answer; the other commands are sent nevertheless."""
    found = [(path, *one) for path in args.file for one in _commands_of(path)]
    config, broker = read_config(args)
    own, names = config.send, {"ingest": broker.certificate, "pages": config.serve.fleet_certificate}
    others = {who: msgspec.structs.replace(broker, certificate=path) for who, path in names.items()}
    broker = with_own_certificate(broker, others, own.certificate, own.key, f"{args.config}: [send] certificate")
    status = 0
    for path, command, data in found:
        try:
            answer = exchange(broker, command, data, args.wait, clock)
        except Refusal as error:
            if len(found) == 1:
                raise
            sys.stderr.write(f"{path}: {command.unit}: {error}\n")
            status = 1
            continue
        sys.stdout.write(jsontext.line(answer))
        status = status if answer.done else 1
    return status


def _commands_of(path: Path) -> list[tuple[Command, bytes]]:
    """The commands of a file; `*.commands` has several, one per line."""
    if path.suffix != envelopes.OF_MANY:
        return [_command_of(path, read_small(path, envelopes.LIMIT_BYTES))]
    return [_command_of(path, data) for data in read_small(path, _LARGEST_FILE).splitlines() if data.strip()]


def _command_of(path: Path, data: bytes) -> tuple[Command, bytes]:
    try:
        command = strict.decode(strict.decode(data, envelopes.Envelope).command, Command)
    except BadInput as error:
        raise BadInput(f"{path}: not a command: {error}; `linetap command sign` makes one") from None
    if command.verb not in MAY or not unitnames.is_name(command.unit):
        raise BadInput(f"{path}: there is no verb {command.verb!r}, or no unit {command.unit!r}")
    return command, data


def exchange(broker: Broker, command: Command, data: bytes, patience_s: float, clock: Clock) -> Answer:
    """Sends one command on its own connection; returns the answer. A Refusal if no answer arrives in time: the command
    may have been executed nevertheless."""
    topics, correlation = Topics(command.unit), secrets.token_bytes(16)
    terms = Terms(f"linetap-command-{secrets.token_hex(8)}", (topics.replies(command.verb),), 8, _LARGEST_PACKET)
    happenings: queue.SimpleQueue[tuple[Connection, Happening]] = queue.SimpleQueue()
    connection = Connection(broker, terms, tls_context(broker), happenings)
    where, state = f"{broker.host}:{broker.port}", "no connection"
    until_ns = clock.monotonic_ns() + ns_of(patience_s)
    try:
        while (left_ns := until_ns - clock.monotonic_ns()) > 0:
            try:
                _, happening = happenings.get(timeout=left_ns / NS_PER_S)
            except queue.Empty:
                break
            match happening:
                case Connected():
                    connection.publish(
                        Message(
                            topics.command(command.verb),
                            data,
                            expiry_s=_left_s(command, clock),
                            correlation=correlation,
                        )
                    )
                    state = "the broker has not taken the command"
                case SubscriptionRefused(topic, reason):
                    raise Refusal(f"{where}: may not read {topic}: {reason}")
                case Acknowledged(_, refusal):
                    if refusal is not None:
                        raise Refusal(f"{where}: may not publish {topics.command(command.verb)}: {refusal}")
                    state = "the broker has the command; the unit is away, or does not answer"
                case Arrived():
                    happening.acknowledge()
                    if happening.correlation == correlation:  # others may send commands to the same unit
                        return _answer(happening.payload)
                case Ended(why):
                    raise Refusal(f"{where}: {why}")
        raise Refusal(f"{where}: no answer in {patience_s:g} s: {state}")
    finally:
        connection.disconnect()


def _left_s(command: Command, clock: Clock) -> int | None:
    """The seconds for which a broker may keep the command; None if its expiry cannot be read. An expired command is
    sent for one second, so that the unit's refusal is the answer."""
    try:
        left_s = (parse_rfc3339(command.expires) - clock.utc_ns()) // NS_PER_S
    except ValueError:  # the unit refuses it
        return None
    return min(max(1, left_s), _LONGEST_EXPIRY_S)


def _answer(payload: bytes) -> Answer:
    try:
        return strict.decode(payload, Answer)
    except BadInput as error:
        raise Refusal(f"what came back is not an answer: {error}") from None
