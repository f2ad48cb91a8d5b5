# SPDX-License-Identifier: Apache-2.0
"""Downloads a bundle over HTTPS with the unit's own certificate, and resumes after an interruption.

No byte is trusted before the whole has the hash that the operator has signed.
"""

from __future__ import annotations

import os
import re
import ssl
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.parse import urlsplit

from linetap.update.state import UpdateFault, UpdateRequest
from linetap_core.broker.link import Backoff, Patience
from linetap_core.clock import NS_PER_S, S_PER_DAY, Clock, ns_of
from linetap_core.durable import files
from linetap_core.httplimits import Limits

PATIENCE_S = S_PER_DAY  # if a broker's host is away for a day, a person must act
AGAIN = Patience(first_ms=5000, longest_ms=600_000)
_ANSWER_S = 60.0  # for the connection, and for each piece
_PIECE_BYTES = 256 << 10
_SMALL_S = 300  # for one attempt at a small file
_RETRIED = (408, 429)  # client errors that may be temporary

Progress = Callable[[int, str], None]  # bytes downloaded, and the fault


class _Later(Exception):
    """A failure that another attempt may avoid."""


def fetch(
    requested: UpdateRequest, into: Path, context: ssl.SSLContext, clock: Clock, progress: Progress,
    patience_s: float = PATIENCE_S, again: Patience = AGAIN,
) -> None:  # fmt: skip
    """Fetches the bundle into `into`, synced. UpdateFault if that fails for good, or within `patience_s`."""
    part = _part(requested, into)
    _remove_others(part, into)
    _retry(
        lambda end_ns: _attempt(requested, part, context, progress, Limits(clock, end_ns, _ANSWER_S, large=True)),
        requested.url or "",
        lambda why: progress(_length(part), why), clock, patience_s, again,
    )  # fmt: skip
    files.move_durably(part, into)


def begun_bytes(requested: UpdateRequest, into: Path) -> int:
    """The bytes that an earlier run has fetched, which take room already. Removes those of other bundles."""
    part = _part(requested, into)
    _remove_others(part, into)
    return min(_length(part), requested.size)


def _part(requested: UpdateRequest, into: Path) -> Path:
    return into.with_name(f"{into.name}.{requested.sha256[:16]}.part")


def _remove_others(part: Path, into: Path) -> None:
    for old in into.parent.glob(f"{into.name}.*.part"):
        if old != part:
            files.remove(old)


def fetch_small(
    url: str, most_bytes: int, absent: str, context: ssl.SSLContext, clock: Clock, progress: Progress
) -> bytes:
    """Fetches a file of at most `most_bytes`. UpdateFault `absent` if the server has none, or a larger one."""

    def attempt(end_ns: int) -> bytes:
        limits = Limits(clock, min(end_ns, clock.monotonic_ns() + _SMALL_S * NS_PER_S), _ANSWER_S)
        return _whole(url, most_bytes, absent, context, limits)

    return _retry(attempt, url, lambda why: progress(0, why), clock, PATIENCE_S, AGAIN)


def _retry[T](
    attempt: Callable[[int], T], url: str, trouble: Callable[[str], None], clock: Clock, patience_s: float,
    again: Patience,
) -> T:  # fmt: skip
    """The result of the first attempt that succeeds. `attempt` gets its end (monotonic), after at least a minute."""
    end_ns, backoff = clock.monotonic_ns() + ns_of(patience_s), Backoff(again)
    while True:
        began_ns = clock.monotonic_ns()
        try:
            return attempt(max(end_ns, began_ns + ns_of(_ANSWER_S)))
        except (_Later, HTTPException, OSError) as error:
            why = str(error) or type(error).__name__
        now_ns = clock.monotonic_ns()
        if now_ns >= end_ns:
            raise UpdateFault("update_fetch", f"{url}: not within {patience_s:g} s: {why}")
        trouble(why)
        backoff.ended(now_ns, now_ns - began_ns)
        clock.sleep(max(0, backoff.due_ns - now_ns) / NS_PER_S)


def _attempt(requested: UpdateRequest, part: Path, context: ssl.SSLContext, progress: Progress, limits: Limits) -> None:
    """Downloads in one connection. The whole file is hashed, since a power cut may have damaged its beginning."""
    have = _length(part)
    if have > requested.size:
        part.unlink()
        have = 0
    if have < requested.size:
        _ask(requested, part, have, context, progress, limits)
    if files.sha256(part) != requested.sha256:
        part.unlink()
        if have:
            raise _Later("what was here from before did not belong to it")
        raise UpdateFault("update_sha256", f"{requested.url}: SHA-256 is not {requested.sha256}")


def _ask(
    requested: UpdateRequest, part: Path, have: int, context: ssl.SSLContext, progress: Progress, limits: Limits
) -> None:
    assert requested.url is not None
    with _answer(requested.url, {"Range": f"bytes={have}-"} if have else {}, context, limits) as answer:
        begins = _begins(requested, answer, have)
        with part.open("r+b" if begins else "wb") as file:
            file.seek(begins)
            file.truncate()
            try:
                _take(requested, answer, file.write, begins, progress)
            finally:
                file.flush()
                os.fsync(file.fileno())


@contextmanager
def _answer(url: str, more: dict[str, str], context: ssl.SSLContext, limits: Limits) -> Iterator[HTTPResponse]:
    parts = urlsplit(url)
    path = parts.path or "/"
    connection = limits.connection(parts.hostname or "", parts.port, context=context)
    try:
        headers = {"Accept-Encoding": "identity", "User-Agent": "linetap", **more}
        connection.request("GET", f"{path}?{parts.query}" if parts.query else path, headers=headers)
        with connection.getresponse() as answer:
            yield answer
    finally:
        connection.close()


def _whole(url: str, most_bytes: int, absent: str, context: ssl.SSLContext, limits: Limits) -> bytes:
    """Downloads a small file in one connection."""
    data = b""
    with _answer(url, {}, context, limits) as answer:
        if 400 <= answer.status < 500 and answer.status not in _RETRIED:
            raise UpdateFault(absent, f"{url}: answer of the server: {answer.status} {answer.reason}")
        if answer.status != 200:
            raise _Later(f"answer of the server: {answer.status} {answer.reason}")
        while piece := answer.read1(_PIECE_BYTES):
            data += piece
            if len(data) > most_bytes:
                raise UpdateFault(absent, f"{url}: more than {most_bytes} bytes")
        if answer.length:
            raise _Later(f"it ended after {len(data)} bytes, {answer.length} were to come")
    return data


def _begins(requested: UpdateRequest, answer: HTTPResponse, have: int) -> int:
    """The byte at which the answer begins. Its total size is checked before any content is read."""
    if answer.status == 200:
        begins, total = 0, answer.getheader("Content-Length")
    elif answer.status == 206 and have:
        found = re.fullmatch(r"bytes (\d{1,15})-\d{1,15}/(\d{1,15})", answer.getheader("Content-Range") or "")
        if found is None or int(found[1]) != have:
            raise UpdateFault("update_fetch", f"{requested.url}: the server gives another part than was asked for")
        begins, total = have, found[2]
    elif 400 <= answer.status < 500 and answer.status not in _RETRIED:
        raise UpdateFault("update_fetch", f"{requested.url}: answer of the server: {answer.status} {answer.reason}")
    else:
        raise _Later(f"answer of the server: {answer.status} {answer.reason}")
    if total is not None and total != str(requested.size):
        raise UpdateFault("update_size", f"{requested.url}: it has {total} bytes, and {requested.size} were announced")
    return begins


def _take(
    requested: UpdateRequest, answer: HTTPResponse, write: Callable[[bytes], object], have: int, progress: Progress
) -> None:
    while have < requested.size:
        piece = answer.read1(min(_PIECE_BYTES, requested.size - have))
        if not piece:
            raise _Later(f"it ended after {have} of {requested.size} bytes")
        write(piece)
        have += len(piece)
        progress(have, "")


def _length(path: Path) -> int:
    """The bytes that an earlier connection has brought. Another object is removed: a FIFO would wait for a reader."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return 0
    if stat.S_ISREG(found.st_mode):
        return found.st_size
    files.remove(path)
    return 0
