# SPDX-License-Identifier: Apache-2.0
"""`linetap bringup`: measures a unit while calls are made on it, prints the table's column, and signs the report.

It may be repeated: the next report includes the figures of later steps (a walk test, a power cut).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from linetap import unitkeys
from linetap.bringup import board, calls
from linetap.bringup.board import Measured
from linetap.checks import command as checkcommand
from linetap.checks.machine import MachineWatch
from linetap.config import load_config
from linetap.config.schema import Config
from linetap_core import __version__
from linetap_core.clock import NS_PER_S, S_PER_DAY, SYSTEM, Clock, rfc3339
from linetap_core.durable.files import replace_durably
from linetap_core.errors import BadInput
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_core.records import CaptureState, RecorderState
from linetap_core.rundir import capture_service
from linetap_core.service import alive, read_state
from linetap_core.vaultformat import bringupreport as report_of
from linetap_core.vaultformat.bringupreport import LIMITS, BringupReport, Figure

MOST_MINUTES = 24 * 60
LOOK_EVERY_S = 5
CALLS_OF_S = S_PER_DAY  # calls of the last day count, because a power cut ends this command too


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, required=True, metavar="unit.toml")
    parser.add_argument(
        "--minutes",
        type=int,
        default=60,
        metavar="N",
        help="duration of the measurement, during which calls are made; default 60",
    )
    parser.add_argument(
        "--by-hand", action="append", default=[], metavar="NAME=VALUE",
        help="a figure that a person has measured: " + ", ".join(name for name, it in LIMITS.items() if it.by_hand),
    )  # fmt: skip
    parser.add_argument("-o", "--out", type=Path, default=Path(), metavar="FOLDER", help="the signed report's file")


def run(args: argparse.Namespace) -> int:
    """Runs the command. Exit status 0 if every figure was measured and is within its limits, else 1."""
    if not 0 <= args.minutes <= MOST_MINUTES:
        raise BadInput(f"--minutes {args.minutes}: 0 to {MOST_MINUTES} expected")
    by_hand = _by_hand(args.by_hand)
    config = load_config(args.config)
    # Beside the named file, where systemd reads it for the recorder; and before an hour of measurements.
    beside = args.config.parent / Path(config.key).name
    key = unitkeys.open_key(beside if beside.exists() else Path(config.key), config.keys)
    report = measure(config, by_hand, args.minutes, SYSTEM, Path("/"))
    data = report_of.encode(report)
    path = args.out / report_of.file_name(report)
    replace_durably(namespaces.signature_path(path), sshsig.sign(data, key, namespaces.BRINGUP).encode("ascii"))
    replace_durably(path, data)
    sys.stdout.write(f"{report_of.table([report])}\n{report_of.verdict(report)}\n{path}\n")
    return int(not all(figure.holds for figure in report.figures))


def _by_hand(given: Sequence[str]) -> dict[str, float]:
    found = {}
    for text in given:
        name, _, value = text.partition("=")
        if name not in LIMITS or not LIMITS[name].by_hand:
            raise BadInput(
                f"--by-hand {text}: one of {', '.join(n for n, it in LIMITS.items() if it.by_hand)} expected"
            )
        try:
            number = float(value)
        except ValueError:
            number = float("nan")
        if not -1e6 < number < 1e6:
            raise BadInput(f"--by-hand {text}: {name}=NUMBER expected")
        found[name] = number
    return found


def measure(config: Config, by_hand: dict[str, float], minutes: int, clock: Clock, root: Path) -> BringupReport:
    began_ns, began_mono_ns = clock.utc_ns(), clock.monotonic_ns()
    names = board.services()
    found = {
        "services_ready_s": board.ready(names),
        "failed_services": board.failed(),
        "open_ports": board.open_ports(root),
        "watchdog_s": board.watchdog(root),
    }
    disk = board.disk_of(config.vault_path, root)
    first, overruns = board.load(root, names, disk, began_mono_ns), _overruns(config, clock)
    found |= _over_time(MachineWatch(clock, root), began_mono_ns + minutes * 60 * NS_PER_S, clock)
    last = board.load(root, names, disk, clock.monotonic_ns())
    found["cpu_percent"], found["memory_mb"], found["written_mb_hour"] = board.use(first, last)
    found["overruns"] = _more(overruns, _overruns(config, clock))
    kept = calls.records(config.vault_path, began_ns - CALLS_OF_S * NS_PER_S)
    walked = calls.last_walk(config.vault_path)
    found |= calls.measured(kept) | {"lines_not_green": calls.not_green(walked, len(config.line))}
    recorder = read_state(config.run_path, "recorder", RecorderState)
    return BringupReport(
        unit=config.unit,
        version=__version__,
        config_sha256=recorder.config_sha256 if recorder is not None else "",
        board=board.facts(root),
        began_at=rfc3339(began_ns),
        ended_at=rfc3339(clock.utc_ns()),
        calls=sum(record.disposition == "recorded" for record in kept),
        figures=[_figure(name, found.get(name), by_hand.get(name)) for name in LIMITS],
        standing=sorted({finding.check for finding in checkcommand.diagnose(config, clock)[0]}),
        walked=walked,
    )


def _figure(name: str, measured: Measured | None, by_hand: float | None) -> Figure:
    limit = LIMITS[name]
    if limit.by_hand:
        if by_hand is None:
            return Figure(
                name=name, value=None, by="nobody", note=f"by hand, with {limit.by_hand}: --by-hand {name}=..."
            )
        return Figure(name=name, value=by_hand, by="person", note=f"by hand, with {limit.by_hand}")
    assert measured is not None, name
    if measured.value is None:
        return Figure(name=name, value=None, by="nobody", note=measured.note)
    return Figure(name=name, value=float(measured.value), by="unit", note=measured.note)


def _over_time(machine: MachineWatch, until_ns: int, clock: Clock) -> dict[str, Measured]:
    """Heat and supply until that time, read at least once."""
    hottest: float | None = None
    slowed: bool | None = None
    while True:
        now = machine.read()
        if now.temperature_c is not None:
            hottest = max(hottest if hottest is not None else now.temperature_c, now.temperature_c)
        for bad in (now.is_slowed, now.under_voltage):
            slowed = slowed if bad is None else bool(slowed) or bad
        if clock.monotonic_ns() >= until_ns:
            break
        clock.sleep(LOOK_EVERY_S)
    return {
        "temperature_c": Measured(hottest, "the hottest" if hottest is not None else "no sensor"),
        "slowed": Measured(
            None if slowed is None else int(slowed), "no sensor" if slowed is None else "the firmware's flags"
        ),
    }


def _overruns(config: Config, clock: Clock) -> int | None:
    """The overruns of all cards since their captures' start; None if a capture does not run."""
    states = [read_state(config.run_path, capture_service(card.number), CaptureState) for card in config.card]
    return sum(it.overruns for it in states if it is not None) if all(alive(it, clock) for it in states) else None


def _more(before: int | None, after: int | None) -> Measured:
    if before is None or after is None:
        return Measured(None, "a capture does not run")
    if after < before:
        return Measured(None, "a capture was restarted meanwhile")
    return Measured(after - before, "while it was measured")
