# SPDX-License-Identifier: Apache-2.0
"""The options of `linetap desk coverage`, apart from its command, which imports the database."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    steps = parser.add_subparsers(dest="coverage", required=True, metavar="STEP")
    taken = steps.add_parser(
        "import", help="the register of extensions, from the PBX's list",
        epilog="example: linetap desk coverage import pbx.csv --kind 9608=ip_phone -o extensions.csv",
    )  # fmt: skip
    taken.add_argument("list", type=Path, metavar="LIST.csv", help="a CSV as Excel saves it: UTF-8, CP949 or UTF-16")
    taken.add_argument(
        "--column", action="append", default=[], metavar="HEADING=COLUMN", help="extension, kind or department"
    )
    taken.add_argument(
        "--kind", action="append", default=[], metavar="WORD=KIND",
        help="what the PBX calls analog, ip_phone, digital_set, mobile, fax or unused",
    )  # fmt: skip
    taken.add_argument("-o", "--out", type=Path, required=True, metavar="extensions.csv")
    shown = steps.add_parser(
        "show", help="each telephone against lines and calls",
        epilog="example: linetap desk coverage show --config desk.toml -o coverage.csv",
    )  # fmt: skip
    shown.add_argument("--config", type=Path, required=True, metavar="desk.toml", help="with extensions in [serve]")
    shown.add_argument("-o", "--out", type=Path, metavar="FILE.csv", help="every extension of the register")
