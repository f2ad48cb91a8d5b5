# SPDX-License-Identifier: Apache-2.0
"""One line of allowed_signers, parsed as OpenSSH parses it (sshsig.c, sshkey.c, misc.c; checked against 10.0), and
OpenSSH's pattern lists (match.c): comma-separated, `*` and `?`, and `!`, which overrules any other match.

Stricter checks refuse the file and name the line, where ssh-keygen skips or accepts the line: a NUL byte, white space
inside the base64, an impossible date (20260231), a year before 1970; in signers.py a name with a character that nobody
sees, or not composed (names.py). Patterns are compared byte by byte as in OpenSSH:
`?` is one byte, so that a Korean syllable in UTF-8 needs three.
"""

from __future__ import annotations

import base64
import binascii
import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from linetap_core.errors import BadInput

_SPACE = b" \t\r\n"  # separators after the principals; within the rest only blank and tab separate
_END_OF_WORD = re.compile(rb'[ \t\r\n"]')
_BLANKS = re.compile(rb"[ \t]+")
_QUOTED = re.compile(rb'"((?:\\"|[^"])*+)"')
_KEY_TYPES = (b"ssh-", b"ecdsa-", b"sk-", b"webauthn-")
_TIMED = (b"namespaces", b"valid-after", b"valid-before")
_FLAG = b"cert-authority"
_DIGITS = re.compile(r"(\d{4})(\d{2})(\d{2})(?:(\d{2})(\d{2})(\d{2})?)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Line:
    principals: str
    key_type: str
    blob: bytes
    authority: bool  # cert-authority: signs certificates, no documents
    namespaces: str | None
    valid_after: datetime | None
    valid_before: datetime | None


def parse(line: bytes) -> Line | None:
    """Parses a line without its newline, in UTF-8. None for an empty line or a comment; BadInput names the fault."""
    if b"\0" in line:
        raise BadInput("holds a NUL byte, behind which ssh-keygen reads nothing: a line of text expected")
    text = line.lstrip(_SPACE)
    if not text or text.startswith(b"#"):
        return None
    principals, rest = _principals(text)
    options = b""
    if not rest.startswith(_KEY_TYPES):
        options, rest = _cut_options(rest)
    words = _BLANKS.split(rest, maxsplit=2)
    if not words[0].startswith(_KEY_TYPES) or len(words) < 2:
        raise _no_signer()
    values = _options(options)
    after, before = _time(values.get(b"valid-after")), _time(values.get(b"valid-before"))
    if after is not None and before is not None and before <= after:
        raise BadInput("valid-before is not after valid-after: no signature could count")
    return Line(
        principals=principals.decode("utf-8"),
        key_type=words[0].decode("ascii", "backslashreplace"),
        blob=_blob(words[1]),
        authority=_FLAG in values,
        namespaces=None if b"namespaces" not in values else values[b"namespaces"].decode("utf-8"),
        valid_after=after,
        valid_before=before,
    )


def _no_signer() -> BadInput:
    return BadInput("not a signer: `NAME [options] ssh-ed25519 AAAA...` expected")


def _principals(text: bytes) -> tuple[bytes, bytes]:
    """The principals and the rest, like strdelimw(): a word; one with a quote extends to the next quote."""
    end = _END_OF_WORD.search(text)
    if end is None:
        raise _no_signer()
    at = end.start()
    if end[0] != b'"':
        return text[:at], text[at + 1 :].lstrip(_SPACE)
    quoted, closed, rest = text[at + 1 :].partition(b'"')
    if not closed:
        raise BadInput('a quote is not closed: "NAME" expected')
    return text[:at] + quoted, rest.lstrip(_SPACE)


def _cut_options(text: bytes) -> tuple[bytes, bytes]:
    """The options and the rest, like sshkey_advance_past_options(): up to the first blank outside quotes."""
    quoted, at = False, 0
    while at < len(text) and (quoted or text[at] not in b" \t"):
        if text[at : at + 2] == b'\\"':
            at += 1
        elif text[at] == ord('"'):
            quoted = not quoted
        at += 1
    if quoted:
        raise BadInput('a quote is not closed: namespaces="..." expected')
    return text[:at], text[at:].lstrip(b" \t")


def _options(text: bytes) -> dict[bytes, bytes]:
    """The options, like sshsigopt_parse(): names in any case, each value once and in quotes, separated by commas."""
    found: dict[bytes, bytes] = {}
    at = 0
    while at < len(text):
        start, word = at, text[at : at + 20].lower()
        name = next((name for name in _TIMED if word.startswith(name + b"=")), None)
        if word.startswith(_FLAG):
            found[_FLAG] = b""
            at += len(_FLAG)
        elif name is not None:
            if name in found:
                raise BadInput(f"{name.decode()} stands there twice: once expected")
            found[name], at = _dequote(text, at + len(name) + 1)
        if at == len(text):
            break
        if text[at] != ord(","):
            raise BadInput(
                f"unknown option {text[start:].decode('utf-8', 'backslashreplace')!r}: "
                'namespaces="...", valid-after="...", valid-before="..." expected'
            )
        at += 1
        if at == len(text):
            raise BadInput("the options end with a comma: without it expected")
    return found


def _dequote(text: bytes, at: int) -> tuple[bytes, int]:
    """The quoted value that begins at `at`, and the position after it."""
    match = _QUOTED.match(text, at)
    if match is None:
        raise BadInput('an option without its quotes: namespaces="..." expected')
    return match[1].replace(b'\\"', b'"'), match.end()


def _blob(text: bytes) -> bytes:
    """The key's bytes, in the only spelling: OpenSSH too refuses unused bits."""
    text = text.rstrip(b"\r\v\f")  # line end of Windows
    try:
        blob = base64.b64decode(text, validate=True)
    except binascii.Error:
        blob = b""
    if not blob or base64.b64encode(blob) != text:
        raise BadInput("the key is not base64: copy the .pub line as it is")
    return blob


def _time(value: bytes | None) -> datetime | None:
    """A time, like parse_absolute_time(): YYYYMMDD[HHMM[SS]] and Z or UTC; without these in the machine's zone."""
    if value is None:
        return None
    text = value.decode("utf-8")
    zone = next((zone for zone in ("Z", "UTC") if text.upper().endswith(zone) and len(text) > len(zone)), "")
    match = _DIGITS.fullmatch(text[: len(text) - len(zone)])
    try:
        if match is None:
            raise ValueError
        year, month, day, hour, minute, second = (int(digits or 0) for digits in match.groups())
        moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
        if not zone:
            moment = _local(year, month, day, hour, minute, second)
        if moment.timestamp() <= 0:
            raise ValueError
    except (ValueError, OverflowError):
        raise BadInput(f"{text!r} is not a time: YYYYMMDD[HHMM[SS]]Z expected") from None
    return moment


_CYCLE_YEARS, _CYCLE_DAYS = 400, 146_097  # after a cycle the calendar's weekdays are the same, and so are summer times
_LAST_YEAR = 3000  # of mktime() on Windows


def _local(year: int, month: int, day: int, hour: int, minute: int, second: int) -> datetime:
    """A time in the machine's zone; after the last year as a cycle before it."""
    cycles = max(0, (year - 1 - _LAST_YEAR) // _CYCLE_YEARS + 1)
    local = (year - cycles * _CYCLE_YEARS, month, day, hour, minute, second, 0, 0, -1)
    return datetime.fromtimestamp(time.mktime(local), UTC) + timedelta(days=cycles * _CYCLE_DAYS)


PATTERN_LIMIT_BYTES = 1022  # OpenSSH's buffer: a longer pattern ends its list without a match


def in_list(text: str, patterns: str) -> bool:
    """Whether match_pattern_list() would return 1."""
    wanted, found = text.encode("utf-8"), False
    for pattern in _patterns(patterns.encode("utf-8")):
        negated, pattern = pattern.startswith(b"!"), pattern.removeprefix(b"!")
        if len(pattern) > PATTERN_LIMIT_BYTES:
            return False
        if matches(wanted, pattern):
            if negated:
                return False
            found = True
    return found


def matches(text: bytes, pattern: bytes) -> bool:
    """Whether a pattern matches, like match_pattern(). Never slower than the product of both lengths."""
    at = place = 0
    star, resume = -1, 0
    while at < len(text):
        if place < len(pattern) and pattern[place] == ord("*"):
            star, resume = place, at
            place += 1
        elif place < len(pattern) and pattern[place] in (ord("?"), text[at]):
            at, place = at + 1, place + 1
        elif star >= 0:
            resume += 1
            at, place = resume, star + 1
        else:
            return False
    return not pattern[place:].strip(b"*")


def _patterns(text: bytes) -> list[bytes]:
    """The patterns of a list. A comma at the end begins no other pattern."""
    return text.removesuffix(b",").split(b",") if text else []
