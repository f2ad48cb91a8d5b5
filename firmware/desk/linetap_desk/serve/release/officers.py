# SPDX-License-Identifier: Apache-2.0
"""How far a group's officers have come with a call's key, for people to read. What counts is judged when it is
brought."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence import group, sealed
from linetap_core.evidence.group import Place
from linetap_desk.proofs import callfolder
from linetap_desk.serve.release import package, partials
from linetap_desk.serve.release.chain import Chain, Partial
from linetap_desk.serve.site import Site
from linetap_desk.unsealing.checkedcall import KEY_LIMIT_BYTES


@dataclass(frozen=True, slots=True)
class Way:
    """A partial of an officer before. `file`: its name in the archive; `wrapped`: it belongs to the re-wrapped key."""

    partial: Partial
    place: Place
    file: str
    wrapped: bool
    mine: bool  # this person may continue it

    @property
    def is_last(self) -> bool:
        return self.place.left == 1


@dataclass(frozen=True, slots=True)
class Officers:
    """The officers of the call's key, or of the re-wrapped one: how many are needed, and which have come."""

    start: Place
    ways: Sequence[Way]
    begins: bool  # this person may take the first layer off

    @property
    def mine(self) -> list[Way]:
        return [way for way in self.ways if way.mine]

    @property
    def ends(self) -> bool:
        """Whether this person may be the last."""
        return any(way.is_last for way in self.mine)


def of(site: Site, row: Mapping[str, Any], chain: Chain, name: str, wrapped: bytes | None = None) -> Officers | None:
    """None if one officer opens it, or if there is no copy to read."""
    try:
        own = callfolder.read(package.copy_of(site, row) / sealed.KEY, KEY_LIMIT_BYTES)
        keys = [own] if wrapped is None else [wrapped, own]
        start = max((group.place(key) for key in keys), key=lambda place: place.left)
    except (OSError, Refusal, BadInput):
        return None
    if start.left < 2:
        return None
    open_to = chain.open_to(name)
    of_wrapped = "" if wrapped is None else hashlib.sha256(wrapped).hexdigest()
    by_hash = {hashlib.sha256(key).hexdigest(): key for key in keys}
    ways = []
    with site.own.connect() as db:
        for one in chain.officers:
            key = by_hash.get(one.key_sha256)
            data = partials.data_of(db, row["id"], one) if one.here and key is not None else b""
            if key is not None and data:
                file = package.partial_name(one, of_wrapped)
                place = group.place(key, data)
                ways.append(Way(one, place, file, one.key_sha256 == of_wrapped, one in open_to))
    ways.sort(key=lambda way: way.place.left)  # who has come furthest is gone on with
    return Officers(start, ways, all(one.by != name for one in chain.officers))
