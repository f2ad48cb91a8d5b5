# SPDX-License-Identifier: Apache-2.0
"""Certificates of destroyed keys of an epoch whose officers are a group: they may arrive one after the other.

The number of officers, and the number needed to open, come from the unit's own list of keys, or from the certificate if
the epoch is not in the list.
"""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from linetap_core.evidence.sealing.members import MOST_MEMBERS, Group

_CERTIFICATE_NAME = re.compile(r"\.officer-([1-9](?:-[1-9])*)\.json")


class Certificate(msgspec.Struct):
    """The fields of a certificate of destruction that the unit uses."""

    epoch: str
    officers: list[int] = []  # officers of a group with destroyed keys
    of: int = 1
    needed: int = 1


def sound_certificate(found: Certificate, known: Group | None) -> Certificate:
    """Returns the certificate in normal form. ValueError if its numbers are impossible. `known`: the epoch's recipient
    in the unit's list.
    """
    of, needed = (found.of, found.needed) if known is None else (len(known.recipients), known.needed)
    if not 1 <= needed <= of <= MOST_MEMBERS or not all(1 <= officer <= of for officer in found.officers):
        raise ValueError(f"officers {found.officers} of {of}: 1 to {of} expected")
    if of > 1 and not found.officers:
        raise ValueError(f"the epoch has {of} officers: those whose keys are gone have to be named")
    return Certificate(found.epoch, sorted(set(found.officers)) if of > 1 else [], of, needed)


def certificate_name(found: Certificate) -> str:
    """Returns the file name; that of a certificate of all officers is the epoch's name alone."""
    if len(found.officers) in (0, found.of):
        return f"{found.epoch}.json"
    return f"{found.epoch}.officer-{'-'.join(map(str, found.officers))}.json"


def still_open(folder: Path, found: Certificate) -> str | None:
    """Returns a text if the remaining officers can still open the epoch, or None if nobody can."""
    if not found.officers:
        return None
    gone = set(found.officers)
    for path in folder.glob(f"{found.epoch}.officer-*.json"):
        if match := _CERTIFICATE_NAME.fullmatch(path.name.removeprefix(found.epoch)):
            gone.update(map(int, match[1].split("-")))
    left = found.of - len(gone)
    if left < found.needed:
        return None
    return f"{left} of {found.of} officers have their keys of epoch {found.epoch}, and {found.needed} open it"
