# SPDX-License-Identifier: Apache-2.0
"""`linetap config init|check`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from linetap import keylistfile
from linetap.config import Config, check_config, config_sha256
from linetap.evidence import authority as authorities
from linetap.evidence import keylist

_INIT = "example: linetap config init tower-3 --lines 8 --custodian age1... --epoch age1... -o unit.toml"
_CHECK = "example: linetap config check unit.toml"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    from linetap.commission import init

    raw = argparse.RawDescriptionHelpFormatter
    made = "a configuration that works, and the unit's key"
    init.add_arguments(verbs.add_parser("init", help=made, epilog=_INIT, formatter_class=raw))
    check = verbs.add_parser("check", help="every error of a configuration, with its line", epilog=_CHECK)
    check.add_argument("file", type=Path, metavar="unit.toml")


def run(args: argparse.Namespace) -> int:
    if args.verb == "init":
        from linetap.commission import init

        return init.run(args)
    config = check_config(args.file)
    lines = "1 line" if len(config.line) == 1 else f"{len(config.line)} lines"
    _say_if_short(config)
    sys.stdout.write(f"ok: unit {config.unit}, {lines}, sha256 {config_sha256(config)}\n")
    return 0


def _say_if_short(config: Config) -> None:
    if config.keys.key_list is None or config.keys.authority is None:
        return
    found = keylistfile.read(Path(config.keys.key_list), authorities.from_keys(config.keys))
    short = keylist.too_short(found, max(entry.days for entry in config.retention.classes))
    if short:
        sys.stderr.write(f"note: {config.keys.key_list}: {short}\n")
