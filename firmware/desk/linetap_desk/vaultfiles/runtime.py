# SPDX-License-Identifier: Apache-2.0
"""What a recorder keeps in its vault for itself. Nothing signs it, and nobody who verifies may believe any of it."""

from __future__ import annotations

import re

from linetap_core.durable import broken

WHAT = {
    "journal": "calls that were open",
    "counters and times": "of commands, of the clock, of the outbox",
    "set aside": "small files that were found broken (NAME.broken-1); an alert names them",
    "work in progress": "destruction, rebuilding, updates, half-written files",
    "the head once more": "held against the leaves where it is there",
    "the PBX's account": "its lines that have no recording; the desk has the figures in signed events",
    "lines at fault": "until somebody has looked",
    "the key list in use": "signed by the authority, and judged by `linetap keylist`",
    "signed files once more": "for the case that one of them is damaged; the files beside it are judged",
    "audio without its key": "that nobody can open; its call's record says key_lost",
    "ballast": "room",
    "calls as a replay wrote them": "with personal data",
}
_PLACES = [
    (r"journal/[ab]\.journal", "journal"),
    (r"(clock|weakened)\.json(\.twin)?|(commands|holdtimes)\.json", "counters and times"),
    (r"outbox/(confirmed|places)\.json", "counters and times"),
    (r"(destroying|rebuild|update)\.json|update\.told", "work in progress"),
    (r"log/head\.copy", "the head once more"),
    (r"smdr/[^/]+\.json", "the PBX's account"),
    (r"faults/\d{2,3}\.json", "lines at fault"),
    (r"keys/taken\.json", "the key list in use"),
    (r"roles\.copy|holds/[^/]+/hold\.copy", "signed files once more"),
    (r"unopenable/[^/]+/audio[^/]*", "audio without its key"),
    (r"ballast", "ballast"),
    (r"calls\.jsonl", "calls as a replay wrote them"),
]
_KNOWN = [(re.compile(pattern, re.ASCII), what) for pattern, what in _PLACES]
_SIGNED = re.compile(
    r"roles\.json(\.sig)?|index/[^/]+/\d{4}-\d\d-\d\d-\d{3,6}\.age|holds/[^/]+/(key\.age|hold\.json(\.sig)?)"
    r"|amended/[^/]{1,64}\.\d{3}\.json(\.sig)?"
    r"|vault\.json(\.sig)?|walks/\d{8}T\d{6}\.\d{3}Z\.json(\.sig)?|certificates/[\w-]+\.json(\.sig)?",
    re.ASCII,
)
_TEMPORARY = re.compile(r"(.*/)?\.([^/]+)\.tmp")


def what_is(name: str) -> str | None:
    """A key of WHAT, for a name relative to the vault; None for what is no such file."""
    if match := _TEMPORARY.fullmatch(name):
        return "work in progress" if _belongs((match[1] or "") + match[2]) else None
    if (whole := broken.original(name)) is not None:
        return "set aside" if _belongs(whole) else None
    return next((what for pattern, what in _KNOWN if pattern.fullmatch(name)), None)


def _belongs(name: str) -> bool:
    """Whether a recorder writes a file of that name, of whichever kind."""
    return what_is(name) is not None or _SIGNED.fullmatch(name) is not None
