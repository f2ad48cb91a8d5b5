# SPDX-License-Identifier: Apache-2.0
"""`linetap timestamp`: requests an authority's time stamp (RFC 3161), which proves that a signed head, or any file,
existed by then.

The request over HTTP contains only a hash. Stock `openssl ts` makes requests and checks tokens.
"""

from __future__ import annotations

import argparse
import http.client
import re
import ssl
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from linetap_core import absent
from linetap_core.durable.files import replace_durably
from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.merklelog import unitlog
from linetap_core.evidence.merklelog.unitlog import HEAD, Head
from linetap_core.evidence.signing import namespaces
from linetap_core.httplimits import Limits
from linetap_desk.proofs import callfolder
from linetap_desk.witnessing import signedheads
from linetap_desk.witnessing.signedheads import SignedHead

TOKEN_SUFFIX = ".tsr"
TOKEN_LIMIT_BYTES = 64 << 10
_TIMEOUT_S, _EXCHANGE_S = 30, 120  # of openssl, and for each piece of an answer; for the whole answer
_TIME = re.compile(r"^Time stamp: (.+)$", re.MULTILINE)
_HASH = re.compile(r"^Hash Algorithm: (.+)$", re.MULTILINE)
_HASHES = ("sha256", "sha384", "sha512", "sha3-256", "sha3-384", "sha3-512")


class NoTimestamp(Refusal):
    """The authority did not answer, refused, or returned an invalid token."""

    code = "timestamp"


@dataclass(frozen=True, slots=True)
class TimestampAuthority:
    """The authority's URL, and the CA for checking its tokens."""

    url: str
    ca: Path

    def token(self, data: bytes) -> bytes:
        """A token for these bytes, checked against the nonce of its query and the CA."""
        with tempfile.TemporaryDirectory(prefix="linetap-ts-") as folder:
            file, query, token = (Path(folder) / name for name in ("data", "query.tsq", "token.tsr"))
            file.write_bytes(data)
            _openssl("-query", "-data", file, "-sha256", "-cert", "-out", query)
            token.write_bytes(_post(self.url, query.read_bytes()))
            _openssl("-verify", "-queryfile", query, "-in", token, "-CAfile", self.ca)
            return token.read_bytes()


def stamp(path: Path, tsa: TimestampAuthority) -> Path:
    """Writes the token beside a file; returns its path. An existing token is not requested again."""
    token = path.with_name(path.name + TOKEN_SUFFIX)
    if not token.exists():
        replace_durably(token, tsa.token(path.read_bytes()))
    return token


def time_of(path: Path, ca: Path) -> str:
    """The time in the token beside a file, as openssl prints it, if the token matches the file."""
    token = path.with_name(path.name + TOKEN_SUFFIX)
    data = callfolder.read(token, TOKEN_LIMIT_BYTES)
    with tempfile.TemporaryDirectory(prefix="linetap-ts-") as folder:
        answer = Path(folder) / "answer.tsr"
        answer.write_bytes(data)
        _openssl("-verify", "-data", path, "-in", answer, "-CAfile", ca)
    time, over = _stamp_contents(data)
    if over not in _HASHES:  # `openssl ts -verify` takes any, and two files can have the same MD5 or SHA-1
        raise NoTimestamp(f"the token is over {over}, for which other bytes can be made; over sha256 expected")
    return time


def stated_time(token: bytes) -> str:
    """The time in a token, as openssl prints it, without a check of the token."""
    return _stamp_contents(token)[0]


def _stamp_contents(token: bytes) -> tuple[str, str]:
    """The time, and the name of the hash that was stamped."""
    with tempfile.TemporaryDirectory(prefix="linetap-ts-") as folder:
        answer, signed = Path(folder) / "answer.tsr", Path(folder) / "token.der"
        answer.write_bytes(token)
        # The answer's own status text is not signed, and may have a line like that of the time.
        _openssl("-reply", "-in", answer, "-token_out", "-out", signed)
        text = _openssl("-reply", "-in", signed, "-token_in", "-text")
    match, over = _TIME.search(text), _HASH.search(text)
    if match is None or over is None:
        raise NoTimestamp("openssl finds no time in the token")
    return match[1], over[1]


def add_authority_arguments(parser: argparse.ArgumentParser, required: bool) -> None:
    parser.add_argument("--tsa", required=required, metavar="URL", help="http:// or https:// of the authority")
    add_ca_argument(parser, required)


def add_ca_argument(parser: argparse.ArgumentParser, required: bool) -> None:
    parser.add_argument(
        "--ca", type=Path, required=required, metavar="PEM", help="the time-stamp authority's CA certificate"
    )


def authority_of(args: argparse.Namespace) -> TimestampAuthority | None:
    """The authority; None if none is named."""
    if args.tsa is None and args.ca is None:
        return None
    if args.tsa is None or args.ca is None:
        raise BadInput("--tsa and --ca belong together: the authority, and what its tokens are checked against")
    if not args.tsa.startswith(("http://", "https://")):
        raise BadInput(f"--tsa {args.tsa}: http://... or https://... expected")
    return TimestampAuthority(args.tsa, checked_ca(args.ca))


def checked_ca(path: Path) -> Path:
    if not path.is_file():
        raise BadInput(f"{path}: no such file; the authority's CA certificate (PEM) expected")
    return path


def _post(url: str, query: bytes) -> bytes:
    headers = {"Content-Type": "application/timestamp-query", "Accept": "application/timestamp-reply"}
    limits = Limits.within(_EXCHANGE_S, _TIMEOUT_S)
    try:
        request = urllib.request.Request(url, data=query, headers=headers)
        with limits.opener(ssl.create_default_context()).open(request) as answer:
            token: bytes = answer.read(TOKEN_LIMIT_BYTES + 1)
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason: object = error.reason if isinstance(error, urllib.error.URLError) else error
        reason = f"none within {_EXCHANGE_S:g} s" if limits.is_over else reason
        raise NoTimestamp(f"{url}: no answer: {reason}") from None
    if len(token) > TOKEN_LIMIT_BYTES:
        raise NoTimestamp(f"{url}: an answer of more than {TOKEN_LIMIT_BYTES} bytes is no token")
    return token


def _openssl(*arguments: object) -> str:
    """The output of `openssl ts`; NoTimestamp with its error message if it fails."""
    command = [absent.require_program("openssl"), "ts", *map(str, arguments)]
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=_TIMEOUT_S, check=False, text=True, errors="replace"
        )
    except subprocess.TimeoutExpired:
        raise NoTimestamp(f"openssl ts has not ended within {_TIMEOUT_S} s") from None
    if done.returncode:
        words = [line for line in (done.stdout + done.stderr).splitlines() if ":error:" in line] or ["no reason given"]
        raise NoTimestamp(f"openssl ts {arguments[0]}: {words[0].partition(':error:')[2] or words[0]}")
    return done.stdout


def stamp_head(signed: SignedHead, authority: TimestampAuthority, folder: Path) -> Path:
    """Writes UNIT-SIZE.json into `folder`, with .sig and .tsr beside it; returns its path. An existing one is not
    requested again. UNIT.LOG-SIZE.json if that name belongs to another log of the unit. NoTimestamp if another head of
    this log and size is stamped."""
    head = signed.head
    path = folder / f"{head.unit}-{head.size:09d}.json"
    had = _stamped_head(path)
    if had is not None and had.log != head.log:
        path = folder / f"{head.unit}.{head.log or signedheads.FIRST}-{head.size:09d}.json"
        had = _stamped_head(path)
    if had is not None and had.root != head.root:
        raise NoTimestamp(f"{path}: another head over {head.size} leaves is stamped: the log was rewritten")
    token_path = path.with_name(path.name + TOKEN_SUFFIX)
    if not token_path.exists():
        token = authority.token(signed.data)
        replace_durably(path, signed.data)
        replace_durably(namespaces.signature_path(path), signed.signature)
        replace_durably(token_path, token)  # last: if it exists, the others do
    return path


def _stamped_head(path: Path) -> Head | None:
    """The stored head; None if it is missing, or no evidence."""
    try:
        return unitlog.decode_head(callfolder.read(path, unitlog.HEAD_LIMIT_BYTES))
    except Refusal:
        return None


def stamped_paths(folder: Path, unit: str) -> Iterator[Path]:
    """The stamped heads of a unit's logs, and of units whose names begin with its name; by size."""
    found = folder.glob(f"{unit}[.-]*.json{TOKEN_SUFFIX}")
    for token in sorted(found, key=lambda path: path.name.rpartition("-")[2]):
        yield token.with_name(token.name.removesuffix(TOKEN_SUFFIX))


def is_stamped_that_day(head: Head, folder: Path) -> bool:
    """Whether `folder` has a token for a head of that log of the same day in UTC."""
    for path in reversed(list(stamped_paths(folder, head.unit))):
        had = _stamped_head(path)
        if had is not None and (had.unit, had.log) == (head.unit, head.log):
            return had.at[:10] == head.at[:10]
    return False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    ask = actions.add_parser("ask", help="a token for a unit's head; done already is done")
    ask.add_argument("head", type=Path, metavar="DIR_OR_HEAD", help="a log folder, or a head file")
    add_authority_arguments(ask, required=True)
    ask.add_argument(
        "-o", "--output", type=Path, required=True, metavar="DIR", help="folder for UNIT-SIZE.json, .sig and .tsr"
    )
    check = actions.add_parser("check", help="a head that was stamped")
    check.add_argument("head", type=Path, metavar="HEAD", help="UNIT-SIZE.json with .sig and .tsr beside it")
    add_ca_argument(check, required=True)
    for action in (ask, check):
        action.add_argument("--signers", type=Path, required=True, metavar="ALLOWED_SIGNERS", help="names the units")
    file = actions.add_parser("file", help="a token beside any file: FILE.tsr")
    file.add_argument("file", type=Path, metavar="FILE", help="any file, such as a certificate of destruction")
    add_authority_arguments(file, required=True)


def run(args: argparse.Namespace) -> int:
    authority = authority_of(args) if args.action != "check" else None
    if args.action == "file":
        assert authority is not None
        token = stamp(args.file, authority)
        sys.stdout.write(f"ok   {token}: stamped {time_of(args.file, args.ca)}\n")
        return 0
    signers = callfolder.load_signers(args.signers)
    path, ca = args.head, checked_ca(args.ca)
    if authority is not None:
        if not args.output.is_dir():
            raise BadInput(f"{args.output}: not a folder; one for the stamped heads expected")
        path = stamp_head(
            signedheads.read_head(path / HEAD if path.is_dir() else path, signers), authority, args.output
        )
    signed = signedheads.read_head(path, signers)
    stamped = time_of(path, ca)
    sys.stdout.write(f"ok   {path}: {signed.head.unit}, {signed.head.size} leaves, stamped {stamped}\n")
    return 0
