# SPDX-License-Identifier: Apache-2.0
"""`linetap command send`: sends a command to its unit over the broker, and prints the answer.

The answer is not signed: a broker can forge it, and can withhold the command. The unit's log records what it did.
"""

from __future__ import annotations

import argparse
import queue
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
from linetap_core.clock import NS_PER_S, S_PER_DAY, Clock, ns_of, parse_rfc3339
from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.authorization import command as envelopes
from linetap_core.evidence.authorization.command import MAY, Answer, Command
from linetap_core.evidence.signing import unitnames
from linetap_core.rundir import read_small
from linetap_core.wire.mqtt import Broker, Message
from linetap_core.wire.topics import Topics
from linetap_desk.config.desk import read_config
from linetap_desk.config.owncertificate import with_own_certificate
from linetap_desk.inputs import strict

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
