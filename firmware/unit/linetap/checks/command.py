# SPDX-License-Identifier: Apache-2.0
"""`linetap check`: one self-diagnosis, for a person or a script."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

import msgspec

from linetap import checks
from linetap.checks import Finding, Services, take_snapshot
from linetap.checks.watch import DEAD_NS, Watch
from linetap.config import Config, load_config
from linetap_core import jsontext
from linetap_core.clock import NS_PER_MS, NS_PER_S, SYSTEM, Clock
from linetap_core.errors import plain
from linetap_core.records import Alert

EXAMPLE = "example: linetap check --config /etc/linetap/unit.toml"
_LOOK_EVERY_NS = 200 * NS_PER_MS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXAMPLE
    parser.add_argument("--config", type=Path, required=True, help="the unit's configuration")
    parser.add_argument("--json", action="store_true", help="a JSON list of the findings, as in the MQTT alerts")


def run(args: argparse.Namespace) -> int:
    """Returns exit status 0 without findings, else 1. BadInput for a configuration that cannot be used."""
    findings, unseen = diagnose(load_config(args.config), SYSTEM)
    if args.json:
        print_json(findings, sys.stdout)
    else:
        print_lines(findings, sys.stdout, unseen)
    return 1 if findings else 0


def diagnose(config: Config, clock: Clock) -> tuple[list[Finding], list[str]]:
    """Returns the findings, and the checks for which this machine has nothing to check.

    It observes for about two seconds, the time to distinguish a working service from one that is merely alive.
    """
    watch = Watch(config, clock, grace_ms=0)
    end_ns = clock.monotonic_ns() + DEAD_NS + _LOOK_EVERY_NS
    while clock.monotonic_ns() < end_ns:
        watch.services()
        clock.sleep(_LOOK_EVERY_NS / NS_PER_S)
    snapshot = take_snapshot(config, watch, clock)
    unseen = [check.id for check in checks.CHECKS if not check.is_here(snapshot)]
    judge = checks.judge(alerts_of_services(snapshot.services), clock.monotonic_ns())
    return list(judge.judge(snapshot, clock.monotonic_ns()).findings), unseen


def alerts_of_services(services: Services) -> dict[str, Alert]:
    """Returns the findings in the state files of panel and reporter, which count as standing before this check.

    A single check finds neither intermittent faults nor those still held by hysteresis; panel and reporter check
    continuously.
    """
    alerts: dict[str, Alert] = {}
    for seen in (services.reporter, services.panel):
        if seen.live is not None:
            alerts |= seen.live.alerts
    return alerts


def print_lines(findings: list[Finding], out: TextIO, unseen: Sequence[str] = ()) -> None:
    """Prints one line for each finding, and one with the checks that this machine cannot run."""
    for finding in findings:
        it = finding.trouble
        text = f"{it.text_ko} {it.action_ko} / {it.text_en} {it.action_en}".replace("\n", " ")
        out.write(plain(f"{it.severity} {finding.check}: {text}") + "\n")  # the text may contain a service's own text
    if not findings:
        out.write("이상 없음 / all is well\n")
    if unseen:
        out.write(f"이 기기에 없어 점검하지 않음 / not checked, not on this machine: {', '.join(unseen)}\n")


def print_json(findings: list[Finding], out: TextIO) -> None:
    rows = [{"check": finding.check} | msgspec.to_builtins(finding.alert()) for finding in findings]
    out.write(msgspec.json.format(jsontext.line(rows)) + "\n")
