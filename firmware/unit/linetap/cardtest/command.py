# SPDX-License-Identifier: Apache-2.0
"""`linetap card`: the production test of a line card, on a bench and never on a line.

Exit 0: every row was measured and is within its limits. 1: a row is not. 2: the test could not begin.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from serial.tools import list_ports

from linetap.board.meter.port import SerialPort
from linetap.cardtest.fixture import ByHand, ByProgram, Fixture
from linetap.cardtest.meterlink import MeterLink
from linetap.cardtest.rows import SUFFIX, CardReport, Sheet, encode, rows
from linetap.cardtest.sound import AlsaSound, Sound
from linetap.cardtest.walk import walk
from linetap.config.schema import Card
from linetap_core import __version__
from linetap_core.clock import SYSTEM, Clock, rfc3339
from linetap_core.durable.files import replace_durably
from linetap_core.errors import BadInput, DeviceFault

LINES = 8
SERIAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,31}")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    sub = parser.add_subparsers(dest="action", required=True)
    test = sub.add_parser("test", help="the production test: hardware/production.md")
    test.add_argument("--serial", required=True, metavar="LABEL", help="the number on the card's label")
    test.add_argument("--port", default="/dev/linetap/card1/meter", help="the meter's; default: %(default)s")
    test.add_argument("--pcm", default="hw:linetap1,0", help="the codec's; default: %(default)s")
    test.add_argument(
        "--channels", default="1,2,3,4,5,6,7,8", metavar="1,2,...",
        help="the codec's channel of each line; the module's program decides",
    )  # fmt: skip
    test.add_argument("--volts", type=float, default=48.0, help="the fixture's battery, by a multimeter; %(default)s")
    test.add_argument(
        "--fixture", metavar="PROGRAM", help="program that switches the fixture; default: a person on request"
    )
    test.add_argument("-o", "--out", type=Path, default=Path(), metavar="FOLDER", help="the report's file")


def run(args: argparse.Namespace) -> int:
    channels = channels_of(args.channels)
    asked = rows(args.volts)
    if not SERIAL.fullmatch(args.serial):
        raise BadInput(f"--serial {args.serial}: letters, digits and -, 32 at most")
    if not args.out.is_dir():
        raise BadInput(f"-o {args.out}: no such folder")
    fixture: Fixture = ByProgram(args.fixture) if args.fixture else ByHand(_ask)
    sound = AlsaSound(Card(capture_pcm=args.pcm, playback_pcm=args.pcm, format="S32_LE"), channels)
    port = SerialPort(args.port)
    link = MeterLink(port, SYSTEM)
    try:
        link.wait_for_hello()
        report = measured(link, sound, fixture, Sheet(asked, sys.stdout), args, SYSTEM)
    finally:
        port.close()
        sound.close()
    path = args.out / f"{args.serial}{SUFFIX}"
    replace_durably(path, encode(report))
    failed = sum(not each.holds for each in report.rows)
    verdict = "passed" if report.passed else f"not passed: {failed} of {len(report.rows)} rows"
    sys.stdout.write(f"{args.serial} {verdict}{'; ' + report.stopped if report.stopped else ''}\n{path}\n")
    return 0 if report.passed else 1


def measured(
    link: MeterLink,
    sound: Sound,
    fixture: Fixture,
    sheet: Sheet,
    args: argparse.Namespace,
    clock: Clock,
    lines: Sequence[int] = tuple(range(1, LINES + 1)),
) -> CardReport:
    """The report of the measured rows, also of a test that stopped early."""
    began_ns, stopped = clock.utc_ns(), ""
    try:
        walk(link, sound, fixture, lines, sheet.tell)
    except DeviceFault as fault:
        stopped = str(fault)
    firmware = ".".join(map(str, link.hello[-3:])) if link.hello else ""
    return CardReport(
        serial=args.serial,
        meter_serial=meter_serial(args.port),
        firmware=firmware,
        version=__version__,
        began_at=rfc3339(began_ns),
        ended_at=rfc3339(clock.utc_ns()),
        battery_v=args.volts,
        lines=list(lines),
        stopped=stopped,
        passed=not stopped and sheet.complete(lines),
        rows=sheet.measured,
    )


def channels_of(given: str) -> list[int]:
    """The codec's channels. BadInput unless there are eight different channels from 1 to 32."""
    words = given.split(",")
    found = [int(word) for word in words if word.isdecimal() and 1 <= int(word) <= 32]
    if len(found) != len(words) or len(set(found)) != LINES:
        raise BadInput(f"--channels {given}: eight different numbers from 1 to 32 expected, such as 1,2,3,4,9,10,11,12")
    return found


def meter_serial(port: str) -> str:
    """The meter's USB serial number; empty if the port is no USB device."""
    real = str(Path(port).resolve())
    return next((each.serial_number or "" for each in list_ports.comports() if each.device == real), "")


def _ask(text: str) -> str:
    sys.stdout.write(text)
    sys.stdout.flush()
    try:
        typed = sys.stdin.readline()
    except UnicodeDecodeError:  # from a terminal of another encoding: asked again, or no answer
        return "?"
    if not typed:
        raise DeviceFault("fixture", "nobody answers: standard input has ended")
    return typed
