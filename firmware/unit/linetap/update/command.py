# SPDX-License-Identifier: Apache-2.0
"""`linetap update install|trial|stick|eeprom|show`, on a unit made from an image; systemd runs the first four."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from linetap.checks.command import diagnose
from linetap.config import Config, load_config
from linetap.config.require import require_usual_places
from linetap.update import eepromfiles, stick, versionlog
from linetap.update.eeprom import Eeprom
from linetap.update.fetch import Progress, fetch
from linetap.update.install import Fetch, Install, failed
from linetap.update.judge import critical_findings
from linetap.update.rauc import Rauc, restart
from linetap.update.state import UpdateFault, UpdateRequest, folder_of, load, save
from linetap.update.trial import PATIENCE_S, Trial
from linetap_core.broker.client import tls_context
from linetap_core.clock import SYSTEM
from linetap_core.errors import BadInput
from linetap_core.records import UpdateState
from linetap_core.rundir import make_private_folder
from linetap_core.service import InstanceLock, start_logging

EXAMPLE = "example: linetap update show --config /etc/linetap/unit.toml"
_PLACE = Path("/run/linetap-stick")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXAMPLE
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for name, help_ in (
        ("install", "carry out what is requested, up to the reboot"),
        ("trial", "after a boot: keep the version that is tried, or go back"),
        ("stick", "take an update from a USB stick"),
        ("eeprom", "the boot loader in the EEPROM: judge the last one, and write a newer one between two calls"),
        ("show", "how far it is, or what became of the last one"),
    ):
        verb = verbs.add_parser(name, help=help_, epilog=EXAMPLE)
        verb.add_argument("--config", type=Path, required=True, metavar="unit.toml")
        if name == "trial":
            verb.add_argument(
                "--within",
                type=int,
                default=PATIENCE_S,
                metavar="S",
                help="seconds until the version must work; %(default)s",
            )
        if name == "stick":
            verb.add_argument("device", metavar="sda1", help="its partition, by the kernel's name")


def run(args: argparse.Namespace) -> int:
    """Runs the command. Exit status 0 also if an update has failed: its state and the log report it, and a repetition
    would not help.
    """
    config = load_config(args.config)
    if args.verb == "show":
        return _show(config)
    require_usual_places(config, args.config)
    start_logging("update")
    match args.verb:
        case "install":
            with InstanceLock(make_private_folder(config.run_path, "update"), "update"):
                Install(config, Rauc(), fetcher(config), _red_checks_of(config), SYSTEM).run()
        case "trial":
            stick.forget_remains(config)
            Trial(folder_of(config), Rauc(), _red_checks_of(config), SYSTEM, args.within).run()
        case "stick":
            _take_stick(config, args.device)
        case "eeprom":
            with InstanceLock(make_private_folder(config.run_path, "eeprom"), "eeprom"):
                Eeprom(config, Rauc(), restart, SYSTEM).run()
    return 0


def _take_stick(config: Config, name: str) -> None:
    """Accepts an update from a stick. Errors are stored for the checks, unless an update is in progress."""
    folder = folder_of(config)
    try:
        with stick.mounted(stick.device(name), _PLACE / name) as top:
            stick.accept(top, config, Rauc())
    except UpdateFault as fault:
        now = load(folder)
        if now is None or now.step in ("done", "failed"):
            nothing = UpdateState(step="failed", version="?", sha256="", by="stick", at="")
            save(folder, failed(nothing, fault, SYSTEM))
        raise


def _show(config: Config) -> int:
    found, eeprom = load(folder_of(config)), eepromfiles.load(folder_of(config))
    text = b"{}" if found is None else msgspec.json.encode(found)
    if eeprom is not None:
        text = msgspec.json.encode({**msgspec.json.decode(text), "eeprom": eeprom})
    sys.stdout.write(msgspec.json.format(text).decode() + "\n")
    return 0


def _red_checks_of(config: Config) -> Callable[[], list[str]]:
    return lambda: critical_findings(diagnose(config, SYSTEM)[0])


def fetcher(config: Config) -> Fetch:
    def bring(requested: UpdateRequest, into: Path, progress: Progress) -> None:
        try:
            context = tls_context(config.broker)
        except BadInput as error:
            raise UpdateFault("update_fetch", str(error)) from None
        if context is None:
            raise UpdateFault("update_fetch", "broker.ca is not set: there is nothing to know the server by")
        if versionlog.is_demanded(config):  # first, because the update is useless without it
            versionlog.fetch_proof(config, requested, into, context, SYSTEM, progress)
        fetch(requested, into, context, SYSTEM, progress)

    return bring
