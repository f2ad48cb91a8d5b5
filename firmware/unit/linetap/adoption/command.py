# SPDX-License-Identifier: Apache-2.0
"""`linetap adopt`: runs on a new unit until it has its configuration and its certificate; ends at once on others."""

from __future__ import annotations

import argparse
import contextlib
from pathlib import Path

from linetap.adoption import deskrequests
from linetap.adoption.adoptionfiles import KeptSession
from linetap.adoption.exchange import Exchange
from linetap.cardresult import ADOPTED, DESK
from linetap.config.schema import RUN_DIR
from linetap.provision import cardfiles
from linetap_core import __version__
from linetap_core.clock import SYSTEM, Clock, ns_of
from linetap_core.service import Stop, lock_of, start_logging

EVERY_S = 3
_TURN_S = 0.1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--desk", metavar="HOST[:PORT]", help="default: the card's address, or the name linetap-desk")
    parser.add_argument("--etc", type=Path, default=Path("/etc"), metavar="DIR", help="default %(default)s")
    parser.add_argument("--run", type=Path, default=Path("/run"), metavar="DIR", help="default %(default)s")
    parser.add_argument("--run-dir", type=Path, default=Path(RUN_DIR), metavar="DIR", help="default %(default)s")
    parser.add_argument(
        "--state", type=Path, default=Path("/var/lib/linetap/adoption"), metavar="DIR", help="default %(default)s"
    )
    parser.add_argument("--every", type=float, default=EVERY_S, metavar="S", help="a question, default %(default)s")


def run(args: argparse.Namespace, clock: Clock = SYSTEM) -> int:
    stop = Stop()
    log = start_logging("adoption")
    with lock_of(args.run_dir, "adoption"):
        desks = desks_of(args.desk, args.run / DESK)
        exchange = Exchange(
            args.run_dir, args.etc / "linetap", args.run / ADOPTED, KeptSession(args.state / "session.json"), desks,
            about(), clock,
        )  # fmt: skip
        while not stop.requested:
            if exchange.turn():
                log.info("adoption_over: nothing is left to be adopted here")
                return 0
            until_ns = clock.monotonic_ns() + ns_of(args.every)
            while not stop.requested and clock.monotonic_ns() < until_ns:
                clock.sleep(min(_TURN_S, args.every))
    return 0


def desks_of(option: str | None, named: Path) -> list[tuple[str, int]]:
    """The desks to try: the option's, else the card's, else the usual name at both usual ports."""
    if option is None:
        with contextlib.suppress(FileNotFoundError):
            return [cardfiles.desk_address(named.read_text("utf-8", "replace").strip())]
        return [(name, port) for name in deskrequests.NAMES for port in (cardfiles.DESK_PORT, 443)]
    return [cardfiles.desk_address(option)]


def about(root: Path = Path("/")) -> dict[str, str]:
    """The unit's identification for a person: both values are printed on the Pi and on its carton."""
    serial = _first_line(root / "sys/firmware/devicetree/base/serial-number")
    mac = next(
        (line for name in ("end0", "eth0") if (line := _first_line(root / "sys/class/net" / name / "address"))), ""
    )
    return {"serial": serial, "mac": mac, "firmware": __version__[:64]}


def _first_line(path: Path) -> str:
    try:
        with path.open("rb") as file:
            text = file.read(64).decode("ascii", "replace").strip("\0\n ")
    except OSError:
        return ""
    return "".join(each for each in text if " " <= each <= "~")
