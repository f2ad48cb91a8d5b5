# SPDX-License-Identifier: Apache-2.0
"""How far a group's officers have come with a call's key, for people to read. What counts is judged when it is
brought."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from linetap.desk import callfolder
from linetap.desk.checkedcall import KEY_LIMIT_BYTES
from linetap.desk.serve.release import package, partials
from linetap.desk.serve.release.chain import Chain, Partial
from linetap.desk.serve.site import Site
from linetap.errors import BadInput, Refusal
from linetap.evidence import group, sealed
from linetap.evidence.group import Place


@dataclass(frozen=True, slots=True)
class Way:
    """Something that an officer before has left. `file`: its name in the archive; `wrapped`: of the key that was
    wrapped anew."""

    partial: Partial
    place: Place
    file: str
    wrapped: bool
    mine: bool  # whoever looks may go on with it

    @property
    def is_last(self) -> bool:
        return self.place.left == 1


@dataclass(frozen=True, slots=True)
class Officers:
    """Of the key of the call, or of that which was wrapped anew: how many officers it takes, and where they are."""

    start: Place
    ways: Sequence[Way]
    begins: bool  # whoever looks may take the first layer off

    @property
    def mine(self) -> list[Way]:
        return [way for way in self.ways if way.mine]

    @property
    def ends(self) -> bool:
        """Whether whoever looks may be the last."""
        return any(way.is_last for way in self.mine)


def of(site: Site, row: Mapping[str, Any], chain: Chain, name: str, wrapped: bytes | None = None) -> Officers | None:
    """None where one officer opens it, or where no copy says anything."""
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
