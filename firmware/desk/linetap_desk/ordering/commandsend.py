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

from linetap_core import jsontext
from linetap_core.broker.connection import Acknowledged, Arrived, Connected, Connection, Ended, Happening, Terms, Unread
from linetap_core.broker.tls import tls_context
from linetap_core.clock import NS_PER_S, Clock
from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.authorization import command as envelopes
from linetap_core.evidence.authorization.command import MAY, Answer, Command
from linetap_core.evidence.signing import unitnames
from linetap_core.handover import read_small
from linetap_core.wire.mqtt import Broker, Message
from linetap_core.wire.topics import Topics
from linetap_desk.config.desk import broker_alone
from linetap_desk.inputs import boundedjson

_PATIENCE_S = 30.0
_LARGEST_PACKET = 64 << 10  # larger than any unit's answer
_SEND = "example: linetap command send identify.command --config desk.toml"


def add_verb(verbs: Any) -> None:
    send = verbs.add_parser("send", help="over the broker: have a command done, print the answer", epilog=_SEND)
    send.add_argument("file", type=Path, metavar="FILE")
    send.add_argument("--config", type=Path, metavar="desk.toml", help="its [broker]")
    send.add_argument("--broker", metavar="URL", help="mqtt://HOST:PORT on the loopback, in its place")
    send.add_argument("--wait", type=float, default=_PATIENCE_S, metavar="S", help="in all, default %(default)g")


def run(args: argparse.Namespace, clock: Clock) -> int:
    """Exit status: 0 done, 1 refused. BadInput or Refusal says why there is no answer."""
    data = read_small(args.file, envelopes.LIMIT_BYTES)
    try:
        text = boundedjson.decode(data, envelopes.Envelope).command
        command = boundedjson.decode(text, Command)
    except BadInput as error:
        raise BadInput(f"{args.file}: not a command: {error}; `linetap command sign` makes one") from None
    if command.verb not in MAY or not unitnames.is_name(command.unit):
        raise BadInput(f"{args.file}: there is no verb {command.verb!r}, or no unit {command.unit!r}")
    answer = exchange(broker_alone(args), command, data, args.wait, clock)
    sys.stdout.write(jsontext.line(answer))
    return 0 if answer.done else 1


def exchange(broker: Broker, command: Command, data: bytes, patience_s: float, clock: Clock) -> Answer:
    """One connection for one command. A Refusal if no answer arrives in time: the command may have been executed
    nevertheless."""
    topics, correlation = Topics(command.unit), secrets.token_bytes(16)
    terms = Terms(f"linetap-command-{secrets.token_hex(8)}", (topics.replies(command.verb),), 8, _LARGEST_PACKET)
    happenings: queue.SimpleQueue[tuple[Connection, Happening]] = queue.SimpleQueue()
    connection = Connection(broker, terms, tls_context(broker), happenings)
    where, state = f"{broker.host}:{broker.port}", "no connection"
    until_ns = clock.monotonic_ns() + round(patience_s * NS_PER_S)
    try:
        while (left_ns := until_ns - clock.monotonic_ns()) > 0:
            try:
                _, happening = happenings.get(timeout=left_ns / NS_PER_S)
            except queue.Empty:
                break
            match happening:
                case Connected():
                    connection.publish(Message(topics.command(command.verb), data, correlation=correlation))
                    state = "the broker has not taken the command"
                case Unread(topic, reason):
                    raise Refusal(f"{where}: may not read {topic}: {reason}")
                case Acknowledged(_, refusal):
                    if refusal is not None:
                        raise Refusal(f"{where}: may not say {topics.command(command.verb)}: {refusal}")
                    state = "the broker has the command; the unit is away, or does not answer"
                case Arrived():
                    happening.acknowledge()
                    if happening.correlation == correlation:  # others may send to the same unit at the same time
                        return _answer(happening.payload)
                case Ended(why):
                    raise Refusal(f"{where}: {why}")
        raise Refusal(f"{where}: no answer in {patience_s:g} s: {state}")
    finally:
        connection.disconnect()


def _answer(payload: bytes) -> Answer:
    try:
        return boundedjson.decode(payload, Answer)
    except BadInput as error:
        raise Refusal(f"what came back is not an answer: {error}") from None
