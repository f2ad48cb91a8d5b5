# SPDX-License-Identifier: Apache-2.0
"""`linetap release show`: what a request asks, what of it is there, what is missing. Changes nothing."""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from linetap_core.clock import Clock
from linetap_core.evidence.release import NotReleased, require_approvals, require_purpose, require_time, standing
from linetap_core.evidence.roles import Roles
from linetap_desk.accesslog import deskfolder
from linetap_desk.accesslog.access_entry import Entry
from linetap_desk.release import files, gate

_OK, _VOID, _MISSING = "ok", "void", "MISSING"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("request", type=Path, metavar="request.json")


def run(args: argparse.Namespace, clock: Clock) -> int:
    """0 when `unwrap` would take it for a call that it names, else 1."""
    desk = deskfolder.require(args, clock)
    past = desk.access.entries()
    file = files.load(args.request)
    roles = desk.roles(past)
    sys.stdout.writelines(line + "\n" for line in _asked(file))
    steps = list(_steps(file, roles, past, desk.now_ns(past)))
    sys.stdout.writelines(f"{mark:8} {line}\n" for mark, line in steps)
    return 1 if any(mark == _MISSING for mark, _ in steps) else 0


def _asked(file: files.RequestFile) -> Iterator[str]:
    request = file.request
    yield f"request  {request.id} (sha256 {hashlib.sha256(file.data).hexdigest()})"
    yield f"asks     {request.requester}, case {request.case}, purpose {request.purpose}"
    yield f"for      {request.recipient}"
    yield f"through  {request.one_time}"
    yield f"from     {request.created} until {request.expires}"
    for call in request.calls:
        yield f"call     {call.call_id} (line {call.line}), record {call.record_sha256}"


def _steps(file: files.RequestFile, roles: Roles, past: list[Entry], now_ns: int) -> Iterator[tuple[str, str]]:
    request, sha256 = file.request, hashlib.sha256(file.data).hexdigest()
    purpose = roles.purpose(request.purpose)
    found = standing(file.data, request, file.signatures, roles)
    basis = f"{purpose.text_en} | {purpose.text_ko} | {purpose.basis}" if purpose else ""
    yield _step(partial(require_purpose, request, roles), f"purpose: {basis}")
    yield _step(partial(require_time, request, now_ns), f"time: until {request.expires}")
    for approval in found.approvals:
        yield _OK, f"approval: {approval.file}: {approval.person.name} ({approval.person.role})"
    for name, fault in found.faults.items():
        yield _VOID, f"approval: {name}: {fault}"
    yield _step(partial(require_approvals, request, found), "approvals: two people of different roles")
    yield _step(partial(gate.require_open, request, past), "not closed")
    for call in request.calls:
        unused = partial(gate.require_unused, request, sha256, call.call_id, past)
        yield _step(unused, f"not yet given out: {call.call_id}")


def _step(check: Callable[[], None], text: str) -> tuple[str, str]:
    try:
        check()
    except NotReleased as error:
        return _MISSING, str(error)
    return _OK, text
