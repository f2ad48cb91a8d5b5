# SPDX-License-Identifier: Apache-2.0
"""`linetap config init|check|compare`: the commands for a configuration."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from linetap import learned, linerelease
from linetap.commission.configcheck import check_config
from linetap.config import Config, config_sha256, load_config, namednotices, unsignededit
from linetap.config.change import differing, words
from linetap.config.weakening import WORDS, weakenings
from linetap_core.durable import signedfile
from linetap_core.evidence.sealing import keylist
from linetap_core.evidence.signing import authority as authorities

_INIT = "example: linetap config init tower-3 --lines 8 --custodian age1... --epoch age1... -o unit.toml"
_CHECK = "example: linetap config check unit.toml"
_COMPARE = "example: linetap config compare unit.toml wanted.toml"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    from linetap.commission import init

    raw = argparse.RawDescriptionHelpFormatter
    made = "a configuration that works, and the unit's key"
    init.add_arguments(verbs.add_parser("init", help=made, epilog=_INIT, formatter_class=raw))
    check = verbs.add_parser("check", help="every error of a configuration, with its line", epilog=_CHECK)
    check.add_argument("file", type=Path, metavar="unit.toml")
    compare = verbs.add_parser(
        "compare", help="the changes of another one, and the weakenings among them", epilog=_COMPARE
    )
    compare.add_argument("old", type=Path, metavar="OLD")
    compare.add_argument("new", type=Path, metavar="NEW")


def run(args: argparse.Namespace) -> int:
    if args.verb == "init":
        from linetap.commission import init

        return init.run(args)
    if args.verb == "compare":
        return _compare(args.old, args.new)
    config = check_config(args.file)
    lines = "1 line" if len(config.line) == 1 else f"{len(config.line)} lines"
    _warn_if_short(config)
    notes = [*linerelease.staff_lines(config, learned.load(Path(config.learned))), *namednotices.long_ends(config)]
    sys.stderr.writelines(f"note: {args.file}: {text}\n" for text in notes)
    if (edited := unsignededit.weakening_edit(args.file)) is not None:
        what = "; ".join(what for _, what in edited.found)
        sys.stderr.write(f"note: {args.file}: not in force, since it weakens without two signatures: {what}\n")
    sys.stdout.write(f"ok: unit {config.unit}, {lines}, sha256 {config_sha256(config)}\n")
    return 0


def _compare(old_file: Path, new_file: Path) -> int:
    """Compares two files. Returns 1 if a change weakens. Paths in the new file are relative to the old one's folder, as
    on the unit.
    """
    old, new = load_config(old_file), load_config(new_file, old_file.absolute().parent)
    if config_sha256(old) == config_sha256(new):
        sys.stdout.write("the same\n")
        return 0
    found = weakenings(old, new)
    sys.stdout.writelines(f"changes {words(*each)}\n" for each in differing(old, new))
    sys.stdout.writelines(f"weakens [{each.code}] {each.what}: {WORDS[each.code][1]}\n" for each in found)
    return 1 if found else 0


def _warn_if_short(config: Config) -> None:
    if config.keys.key_list is None or config.keys.authority is None:
        return
    found = signedfile.read_key_list(Path(config.keys.key_list), authorities.from_keys(config.keys))
    short = keylist.too_short(found, max(entry.days for entry in config.retention.classes))
    if short:
        sys.stderr.write(f"note: {config.keys.key_list}: {short}\n")
