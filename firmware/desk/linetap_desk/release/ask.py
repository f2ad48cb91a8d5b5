# SPDX-License-Identifier: Apache-2.0
"""`linetap release key`, `request` and `close`: the custodian's one-time key, and the request that names it.

The key comes first: what the approvers sign then says already what it will be given out to.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path

from linetap_core.clock import NS_PER_DAY, Clock, rfc3339
from linetap_core.durable import privatefile
from linetap_core.durable.privatefile import require_wipeable, wipe
from linetap_core.errors import BadInput
from linetap_core.evidence.authorization.release import (
    DEFAULT_DAYS,
    MOST_DAYS,
    NamedCall,
    Request,
    parse,
    require_id,
    require_purpose,
)
from linetap_core.evidence.signing import document
from linetap_core.timekeeping import require_possible
from linetap_desk.accesslog import deskfolder
from linetap_desk.accesslog.access_entry import Entry
from linetap_desk.release import files
from linetap_desk.unsealing import callproof


def add_key_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("request_id", metavar="REQUEST_ID", help="what the request will be called, as 2026-0042")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FILE", help="private (0600); must not exist"
    )


def key(args: argparse.Namespace, clock: Clock) -> int:
    desk = deskfolder.require(args, clock)
    with desk.access.deed(Entry(verb="key", request=require_id(args.request_id))) as step:
        if any(e.verb == "key" and e.outcome == "granted" and e.request == args.request_id for e in step.past):
            raise BadInput(f"{args.request_id}: has a key already; another id would be right")
        privatefile.require_new(args.output)
        step.granted()
        recipient = files.write_key(args.output, args.request_id, clock)
    sys.stdout.write(recipient + "\n")
    return 0


def add_request_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("calls", type=Path, nargs="+", metavar="CALL", help="call folders")
    parser.add_argument("--id", required=True, metavar="REQUEST_ID", help="the id the custodian made the key for")
    parser.add_argument("--one-time", required=True, metavar="age1...", help="what `linetap release key` printed")
    parser.add_argument("--purpose", required=True, metavar="ID", help="from the signed list: `linetap roles check`")
    parser.add_argument("--case", required=True, metavar="TEXT", help="a file number, without any caller's name")
    parser.add_argument("--requester", required=True, metavar="NAME")
    parser.add_argument("--for", required=True, dest="recipient", metavar="age1...", help="the requester's own key")
    parser.add_argument(
        "--days", type=int, default=DEFAULT_DAYS, help=f"until it expires: 1 to {MOST_DAYS} (%(default)s)"
    )
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="request.json", help="must not exist")
    callproof.add_arguments(parser)


def request(args: argparse.Namespace, clock: Clock) -> int:
    desk = deskfolder.require(args, clock)
    with desk.access.deed(Entry(verb="request", name=args.requester)) as step:
        found = files.checked(args, args.calls, desk, step)
        require_possible(clock)
        now_ns = clock.utc_ns()
        made = Request(
            id=args.id,
            calls=[NamedCall(call.record.call_id, call.record.line, call.record_sha256) for call in found],
            purpose=args.purpose,
            case=args.case,
            requester=args.requester,
            recipient=args.recipient,
            one_time=args.one_time,
            created=rfc3339(now_ns),
            expires=rfc3339(now_ns + args.days * NS_PER_DAY),
        )
        files.describe(step.entry, made)
        data = document.encode(made)
        parse(data)
        require_purpose(made, desk.roles(step.past))
        privatefile.require_new(args.output)
        step.entry.request_sha256 = hashlib.sha256(data).hexdigest()
        step.granted()
        privatefile.write(args.output, data)
    return 0


def add_close_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("request_id", metavar="REQUEST_ID")
    parser.add_argument("--key", type=Path, required=True, metavar="FILE", help="the one-time key, which is destroyed")


def close(args: argparse.Namespace, clock: Clock) -> int:
    desk = deskfolder.require(args, clock)
    with desk.access.deed(Entry(verb="close", request=require_id(args.request_id))) as step:
        made_for = files.key_request(args.key)
        if made_for != args.request_id:
            whose = f"the key of request {made_for}" if made_for else "no one-time key"
            raise BadInput(f"{args.key}: this is {whose}; it is left alone")
        require_wipeable(args.key)
        step.granted()
        wipe(args.key)
    return 0
