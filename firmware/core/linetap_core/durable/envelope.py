# SPDX-License-Identifier: Apache-2.0
"""The envelope around every small file: one line that says what the rest is, how long it is, and its SHA-256.

    {"linetap_file":"commands","version":1,"bytes":57,"sha256":"9f0c..."}
    {"counters":{},"begun":null,"keys":{}}

`jq . FILE` prints both lines, `tail -n +2 FILE | jq .` the content alone. The first line has exactly one spelling, so
that no bit of the whole file can change without `unwrap` finding it. The sum is no signature: it finds damage, and
whoever may write the file can make another one.
"""

from __future__ import annotations

import hashlib
import re

VERSION = 1
MARK = b'{"linetap_file":'
MOST_HEADER_BYTES = 256
_KIND = re.compile(r"[a-z][a-z0-9_]{0,39}", re.ASCII)
_VERSION = re.compile(rb'\{"linetap_file":"[^"]{0,80}","version":(\d{1,9}),')


class Broken(ValueError):
    """A small file does not hold what was written into it; the text gives the reason, and the caller knows the file."""


def wrap(kind: str, body: bytes) -> bytes:
    """The whole file. `kind` names what it is, so that one file in the place of another is found too."""
    if not _KIND.fullmatch(kind):
        raise ValueError(f"{kind!r}: lower-case letters, digits and underscores would be right")
    sha256 = hashlib.sha256(body).hexdigest()
    header = f'{{"linetap_file":"{kind}","version":{VERSION},"bytes":{len(body)},"sha256":"{sha256}"}}\n'
    return header.encode("ascii") + body


def is_wrapped(data: bytes) -> bool:
    """False: it was written without an envelope, by version 0.1, or its first bytes are damaged."""
    return data.startswith(MARK)


def unwrap(kind: str, data: bytes) -> bytes:
    """The body of a file that `is_wrapped`. Broken unless every byte is as `wrap` made it for this kind."""
    header, newline, body = data.partition(b"\n")
    if not newline or len(header) > MOST_HEADER_BYTES:
        raise Broken("the line of its envelope does not end")
    if data == wrap(kind, body):
        return body
    said = _VERSION.match(header)
    if said and int(said[1]) != VERSION:
        raise Broken(f"its envelope is of version {int(said[1])}, {VERSION} would be right")
    if not header.startswith(b'{"linetap_file":"' + kind.encode() + b'"'):
        raise Broken(f"its envelope is that of another file, {kind} would be right")
    raise Broken(f"its SHA-256 or its length is not what its envelope says ({len(body)} bytes)")
