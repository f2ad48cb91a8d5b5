# SPDX-License-Identifier: Apache-2.0
"""`linetap accusation`: bundles several released calls of one case, as `linetap bundle` does, and drafts a statement.

Only calls opened by a release are accepted: a call without its opened recording is refused, and a call.json that states
one person with both keys.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from linetap_core.clock import Clock
from linetap_core.durable import privatefile
from linetap_core.durable.files import sha256
from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.calls import sealed
from linetap_core.records import CallRecord
from linetap_core.timekeeping import KEPT
from linetap_desk.accesslog import deskfolder
from linetap_desk.accesslog.access import Entry
from linetap_desk.accusation import statement
from linetap_desk.bundle import command as bundle
from linetap_desk.bundle.gather import json_of
from linetap_desk.inputs import strict
from linetap_desk.proofs import callfolder

_JSON_LIMIT_BYTES = 1 << 20
_SUFFIX = ".statement.html"


class OpenedWithoutRelease(Refusal):
    """A call without a release is not given to a third party."""

    code = "call_not_released"

    def __init__(self, call_id: str, why: str) -> None:
        super().__init__(f"{call_id}: {why} [{self.code}]")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "example: linetap accusation CALL_DIR CALL_DIR --wav a.wav --wav b.wav --signers allowed_signers "
        "--case 2026-117 -o case.zip"
    )
    bundle.add_arguments(parser)


def run(args: argparse.Namespace, clock: Clock = KEPT) -> int:
    """Writes the bundle and, beside it, the statement; returns 0."""
    draft = args.output.with_name(args.output.name.removesuffix(".zip") + _SUFFIX)
    if draft.exists():
        raise BadInput(f"{draft}: it exists; another -o expected")
    if not args.case:
        raise BadInput("--case: the number of the matter expected")
    _require_released(args.calls, args.wav)
    sys.stdout.write(bundle.make(args, deskfolder.find(args, clock), Entry(verb="bundle", case=args.case)) + "\n")
    records = [_record(path) for path in args.calls]  # the bundle has verified them
    data = statement.draft(args.case, records, args.output.name, sha256(args.output), clock.utc_ns())
    privatefile.write(draft, data)
    sys.stdout.write(f"{draft}: draft of the statement, {len(records)} calls\n")
    return 0


def _require_released(calls: list[Path], wavs: list[Path]) -> None:
    opened: dict[str, bool] = {}
    for wav in wavs:
        path = json_of(wav)  # the bundled one
        whole = strict.decode(callfolder.read(path, _JSON_LIMIT_BYTES), dict[str, Any], path)
        opened[str(whole.get("call_id"))] = whole.get("unreleased") is not True
    for path in calls:
        if path.name not in opened:
            raise OpenedWithoutRelease(path.name, "its opened recording is missing: --wav")
        if not opened[path.name]:
            raise OpenedWithoutRelease(path.name, "it was opened without a release")


def _record(path: Path) -> CallRecord:
    return sealed.decode_record(callfolder.read(path / sealed.RECORD, sealed.RECORD_LIMIT_BYTES))
