# SPDX-License-Identifier: Apache-2.0
"""`linetap fleet`: runs any number of units against a broker, to measure broker and desk under load."""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from linetap_bench.fleet.fleet import TELL_EVERY_S, Fleet
from linetap_bench.fleet.schedule import City, Happening, parse
from linetap_core.clock import NS_PER_S, SYSTEM, Clock, ns_of
from linetap_core.errors import BadInput
from linetap_core.service import Stop
from linetap_core.wire.hosts import LOOPBACK
from linetap_desk.config.desk import broker_of_url

MOST_UNITS = 3000
BEGUN = "the calls begin"
_FILES_EACH = 2  # the connection and the outbox
_FILES_BESIDE = 200


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--units", type=int, default=1000, metavar="N", help="default %(default)s")
    parser.add_argument("--lines", type=int, default=8, metavar="N", help="lines of a unit; default %(default)s")
    parser.add_argument("--broker", required=True, metavar="URL", help="mqtt://127.0.0.1:1883, or mqtts: for TLS")
    parser.add_argument("--every", type=float, default=240, metavar="S", help="a call on a line; default %(default)s")
    parser.add_argument("--for", dest="for_s", type=float, default=60, metavar="S", help="default %(default)s")
    parser.add_argument(
        "--settle",
        type=float,
        default=60,
        metavar="S",
        help="seconds for the desk to process the rest; default %(default)s",
    )
    parser.add_argument(
        "--happens", action="append", default=[], metavar="WHAT", help="storm@30, outage@60+10, partition@90+600:200"
    )
    parser.add_argument(
        "--repeat", action="store_true", help="like units of a broker that does not repeat retained messages (RabbitMQ)"
    )
    parser.add_argument("--quiet-when", type=Path, metavar="FILE", help="no further calls once it exists")
    parser.add_argument("--dir", type=Path, metavar="DIR", help="keys and outboxes, made there; default: RAM")
    parser.add_argument(
        "--wait", action="store_true", help="wait for a line on standard input after making keys and certificates"
    )


def run(args: argparse.Namespace, clock: Clock = SYSTEM) -> int:
    """Exit status 0 if the desk has confirmed every event in time, 1 otherwise."""
    if not 1 <= args.units <= MOST_UNITS or not 1 <= args.lines <= 32:
        raise BadInput(f"--units 1 to {MOST_UNITS} and --lines 1 to 32 expected")
    if args.every <= 0 or args.for_s < 0 or args.settle < 0:
        raise BadInput("--every, --for and --settle: seconds, more than 0")
    happenings = [parse(text) for text in args.happens]
    secure = args.broker.startswith("mqtts://")
    broker = broker_of_url(args.broker.replace("mqtts://", "mqtt://", 1))
    if broker.host not in LOOPBACK:
        raise BadInput(f"--broker {args.broker}: a simulation stays on the loopback, mqtt://127.0.0.1:1883")
    _raise_limit(args.units * _FILES_EACH + _FILES_BESIDE)
    stop = Stop()
    with _folder(args.dir) as folder:
        city = City(folder, clock)
        city.make(args.units)
        sys.stderr.write(f"{folder}: allowed_signers, desk.key and tls/ are those of {args.units} units\n")
        if args.wait:
            sys.stdin.readline()
        identities = city.identities(broker.port, secure, not args.repeat)
        fleet = Fleet(identities, args.lines, folder / "units", args.every, clock)
        try:
            return _go(fleet, args, happenings, stop, clock)
        finally:
            fleet.end()


def _go(fleet: Fleet, args: argparse.Namespace, happenings: list[Happening], stop: Stop, clock: Clock) -> int:
    _turn(fleet, clock, stop, args.settle, lambda: fleet.connected == len(fleet.units))
    sys.stderr.write(f"{fleet.connected} units are connected: {BEGUN}\n")
    fleet.busy_hour()
    fleet.schedule(happenings)
    _turn(fleet, clock, stop, args.for_s, lambda: args.quiet_when is not None and args.quiet_when.exists())
    fleet.stop_calls()
    _turn(fleet, clock, stop, args.settle, lambda: fleet.settled)
    return 0 if fleet.settled else 1


def _turn(fleet: Fleet, clock: Clock, stop: Stop, for_s: float, over: Callable[[], bool]) -> None:
    """Runs the fleet; prints its state each second and at the end."""
    tell_ns = clock.monotonic_ns()
    end_ns = tell_ns + ns_of(for_s)
    while not stop.requested and clock.monotonic_ns() < end_ns:
        fleet.turn()
        if clock.monotonic_ns() >= tell_ns:
            tell_ns += TELL_EVERY_S * NS_PER_S
            _print_standing(fleet)
            if over():
                return
    _print_standing(fleet)


def _print_standing(fleet: Fleet) -> None:
    sys.stdout.write(msgspec.json.encode(fleet.standing()).decode() + "\n")
    sys.stdout.flush()


def _raise_limit(files: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= files:
        return
    if hard not in (resource.RLIM_INFINITY,) and hard < files:
        raise BadInput(f"{files} open files are needed, and the limit of this process is {hard} (`ulimit -Hn`)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))


@contextmanager
def _folder(chosen: Path | None) -> Iterator[Path]:
    """The chosen folder, or one in RAM: a thousand units have a thousand disks, this machine only one."""
    if chosen is not None:
        yield chosen
        return
    with tempfile.TemporaryDirectory(prefix="linetap-fleet-", dir="/dev/shm") as made:
        yield Path(made)
