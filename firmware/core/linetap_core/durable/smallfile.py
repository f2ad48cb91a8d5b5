# SPDX-License-Identifier: Apache-2.0
"""Small files in a folder, with a size limit, an envelope that detects damage, and a type.

The envelope is one line with the kind of the file, the length of the rest, and its SHA-256:

    {"linetap_file":"commands","version":1,"bytes":57,"sha256":"9f0c..."}
    {"begun":null,"keys":{}}

`jq . FILE` prints both lines, `tail -n +2 FILE | jq .` the content alone. The first line has exactly one spelling, so
that `unwrap` detects a change of any bit of the file. The hash is no signature: it detects damage, and anyone who may
write the file can make another one.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import logging
import os
import re
from collections.abc import Callable
from pathlib import Path

import msgspec

from linetap_core import jsontext, plainfile, system
from linetap_core.durable import broken
from linetap_core.durable.files import replace_durably, replace_in_ram

VERSION = 1
MARK = b'{"linetap_file":'
MOST_HEADER_BYTES = 256
_KIND = re.compile(r"[a-z][a-z0-9_]{0,39}", re.ASCII)
_VERSION = re.compile(rb'\{"linetap_file":"[^"]{0,80}","version":(\d{1,9}),')


class Broken(ValueError):
    """A small file differs from the written one. The text is the reason, without the file's name."""


def wrap(kind: str, body: bytes) -> bytes:
    """The whole file. `kind` names its content, so that a file in another's place is detected too."""
    if not _KIND.fullmatch(kind):
        raise ValueError(f"{kind!r}: lower-case letters, digits and underscores expected")
    sha256 = hashlib.sha256(body).hexdigest()
    header = f'{{"linetap_file":"{kind}","version":{VERSION},"bytes":{len(body)},"sha256":"{sha256}"}}\n'
    return header.encode("ascii") + body


def is_wrapped(data: bytes) -> bool:
    """Whether the data has an envelope. If not, version 0.1 wrote it, or its first bytes are damaged."""
    return data.startswith(MARK)


def unwrap(kind: str, data: bytes) -> bytes:
    """The body of a file that `is_wrapped`. Broken unless every byte is as `wrap` made it for this kind."""
    header, newline, body = data.partition(b"\n")
    if not newline or len(header) > MOST_HEADER_BYTES:
        raise Broken("the line of its envelope does not end")
    if data == wrap(kind, body):
        return body
    version = _VERSION.match(header)
    if version and int(version[1]) != VERSION:
        raise Broken(f"its envelope is of version {int(version[1])}, {VERSION} expected")
    if not header.startswith(b'{"linetap_file":"' + kind.encode() + b'"'):
        raise Broken(f"its envelope is that of another file, {kind} expected")
    raise Broken(f"its SHA-256 or its length differs from its envelope ({len(body)} bytes)")


MOST_BYTES = 1 << 20
log = logging.getLogger("linetap.durable")


def _json(value: object) -> bytes:
    return msgspec.json.encode(value) + b"\n"


class SmallFile[T]:
    """One kind of small file. `old` reads the form of version 0.1, without an envelope: by default JSON of the same
    type; it raises ValueError for anything else.
    """

    def __init__(
        self,
        kind: str,
        of: type[T],
        most_bytes: int = MOST_BYTES,
        old: Callable[[bytes], T] | None = None,
        check: Callable[[T], object] | None = None,
        padded_to: int = 0,
        msgpack: bool = False,
    ) -> None:
        """`check` raises ValueError for a value of the right type that no writer produces. `padded_to`: bytes of the
        content, for a file that is overwritten in place and must not change its length. `msgpack`: instead of JSON, for
        files that are written several times a second and read only by their writer.
        """
        self.kind = kind
        self._most_bytes = most_bytes
        with jsontext.COMPILING:
            jsontext.decoder(of)
            self._decode: Callable[[bytes], T] = (
                msgspec.msgpack.Decoder(of).decode if msgpack else functools.partial(jsontext.decode, type=of)
            )
        self._encode = msgspec.msgpack.encode if msgpack else _json
        self._old, self._check, self._padded_to = old, check, padded_to

    def encode(self, value: T) -> bytes:
        return wrap(self.kind, self._encode(value).rjust(self._padded_to))

    def decode(self, data: bytes) -> T:
        """The value. Broken unless the bytes are exactly the output of `encode` or of version 0.1."""
        try:
            if is_wrapped(data):
                value = self._decode(unwrap(self.kind, data))
            else:
                value = self._old(data) if self._old is not None else self._decode(data)
            if self._check is not None:
                self._check(value)
        except RecursionError:
            raise Broken("nested too deep") from None
        except Broken:
            raise
        except (msgspec.MsgspecError, ValueError, OverflowError) as error:
            raise Broken(" ".join(str(error).split())) from None
        return value

    def replace(self, path: Path, value: T) -> None:
        """Replaces the file, synced; on an OSError it has the old content."""
        replace_durably(path, self.encode(value))

    def replace_in_ram(self, path: Path, value: T, private: bool = False) -> None:
        replace_in_ram(path, self.encode(value), private)

    def read(self, path: Path) -> T:
        """The value. FileNotFoundError: missing. Broken: damaged, or lost. Other OSErrors do not concern the
        content.
        """
        return self.decode(self._bytes(path))

    def load_in_place(self, path: Path) -> T | None:
        """Loads for a reader that is not the owner: like `load`, but a broken file stays in place."""
        try:
            return self.read(path)
        except FileNotFoundError:
            return None
        except Broken as error:
            broken.report(path, error)
        except OSError as error:
            log.warning("file_unreadable: %s: %s", path, error.strerror)
        return None

    def load(self, path: Path) -> T | None:
        """Loads for the file's owner. None: missing, or broken and now set aside, with an alert; the caller rebuilds
        it. A file without an envelope gets one.
        """
        try:
            data = self._bytes(path)
            value = self.decode(data)
        except FileNotFoundError:
            return None
        except Broken as error:
            broken.set_aside(path, error)
            return None
        except OSError as error:
            broken.report(path, error.strerror)
            return None
        if not is_wrapped(data):
            with contextlib.suppress(OSError):  # the next read finds it unchanged
                replace_durably(path, self.encode(value), like=path)
        return value

    def _bytes(self, path: Path) -> bytes:
        try:
            fd = plainfile.open_plain(path)
            try:
                found = os.fstat(fd)
                if found.st_size > self._most_bytes:
                    raise Broken(f"{found.st_size} bytes, at most {self._most_bytes} expected")
                data = os.read(fd, found.st_size + 1)  # not the limit itself: a checkpoint may have 64 MiB
                if len(data) > found.st_size:  # it is growing
                    data += os.read(fd, self._most_bytes + 1 - len(data))
            finally:
                os.close(fd)
        except FileNotFoundError:
            raise
        except OSError as error:
            if system.is_damage(error):
                raise Broken(error.strerror or "it cannot be read") from None
            raise
        return data
