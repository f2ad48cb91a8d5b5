# SPDX-License-Identifier: Apache-2.0
"""`linetap notice import|list|export`: the commands for notices."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from linetap.config import notices_folder
from linetap.config.require import HOME, NOTICES, require_usual_place
from linetap.notices import Notice, keep_copies, load_notice, load_notices
from linetap.notices.importer import import_notice, wav_bytes
from linetap.notices.level import level_of
from linetap.ring import RATE_HZ
from linetap_core.durable import privatefile
from linetap_core.errors import BadInput

DEFAULT_FOLDER = "notices"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    add, show, export = (
        verbs.add_parser(name, help=text, epilog=f"example: linetap notice {name}{example}")
        for name, text, example in (
            ("import", "convert a WAV file into a notice", ' hall.wav --text "이 통화는 녹음됩니다."'),
            ("list", "the notices of a folder: id, seconds, level, text", ""),
            ("export", "a notice as a WAV file, to listen to", " ko -o ko.wav"),
        )
    )
    add.add_argument(
        "file", type=Path, metavar="FILE", help="a WAV file, at most 60 s, of any rate, width and channels"
    )
    add.add_argument("--text", required=True, help="the spoken words")
    add.add_argument("--id", help="its name in the configuration; default: the file's name")
    add.add_argument("--replace", action="store_true", help="replace a notice of the same id")
    export.add_argument("id", metavar="ID")
    export.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.wav", help="must not exist")
    for verb in (add, show, export):
        where = verb.add_mutually_exclusive_group()
        where.add_argument(
            "--folder", type=Path, metavar="DIR", help=f"the folder of notices (default {DEFAULT_FOLDER})"
        )
        where.add_argument("--config", type=Path, metavar="unit.toml", help="the folder that this configuration names")


def run(args: argparse.Namespace) -> int:
    folder = _folder(args)
    if args.verb == "import":
        if args.config is not None:
            require_usual_place(args.config, "notices", folder, HOME / NOTICES)
        print(_line(import_notice(args.file, args.text, folder, args.id, args.replace)))
        keep_copies(folder)
    elif args.verb == "list":
        for notice in load_notices(folder).values():
            print(_line(notice))
    else:
        _export(folder, args.id, args.output)
    return 0


def _folder(args: argparse.Namespace) -> Path:
    if args.config is not None:
        return notices_folder(args.config)
    return Path(DEFAULT_FOLDER) if args.folder is None else Path(args.folder)


def _line(notice: Notice) -> str:
    level_dbm0 = level_of(notice.samples, RATE_HZ)
    return f"{notice.id}\t{notice.frames / RATE_HZ:.2f} s\t{level_dbm0:.1f} dBm0\t{notice.text}"


def _export(folder: Path, notice_id: str, output: Path) -> None:
    path = folder / f"{notice_id}.wav"
    if not path.is_file() or path.parent != folder:
        have = ", ".join(load_notices(folder))
        raise BadInput(f"{folder}: no notice {notice_id!r}; there are {have}")
    data = wav_bytes(load_notice(path).samples)
    privatefile.write_public(output, data)
    sys.stderr.write(f"{output}: written\n")
