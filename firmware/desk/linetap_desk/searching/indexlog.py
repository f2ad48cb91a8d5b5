# SPDX-License-Identifier: Apache-2.0
"""What a vault's log says of the segments of its index: a search believes none that the unit logged otherwise."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

from linetap_core.clock import from_utc_ns, parse_rfc3339
from linetap_core.errors import Refusal
from linetap_core.evidence.calls import index
from linetap_core.evidence.merklelog import leaflog, unitlog
from linetap_core.evidence.merklelog.unitlog import Leaf
from linetap_core.evidence.signing.signers import Signer
from linetap_desk import foreign
from linetap_desk.vaultfiles.leafclaims import Named
from linetap_desk.witnessing import cosigned

ALTERED, FOREIGN = "changed since the unit wrote it", "not in the unit's log"
REMOVED = "in the unit's log, and missing"
_OF_INTEREST = (b'"index"', b'"close"', b'"destruction"')
_DAY = timedelta(days=1)


class IndexLog:
    """Reads the log once. `why`: why it vouches for no segment, which are looked into all the same; None: it does."""

    def __init__(self, vault: Path, signers: list[Signer] | None) -> None:
        self._root = vault / index.FOLDER
        self._named = Named()
        self._today = date.max
        self.why = self._read(vault / unitlog.FOLDER, signers)

    def refuses(self, segment: Path, data: bytes) -> str | None:
        """Why these bytes are not to be believed, or None."""
        if not self._named.knows_index:
            return None
        known = self._named.segments.get(segment.relative_to(self._root).as_posix())
        if known is None:
            return FOREIGN
        return None if known.may_be(hashlib.sha256(data).hexdigest()) else ALTERED

    def missing(self, low: date, high: date) -> Iterator[str]:
        """Epochs of segments of these days that the log has and the vault has not. One goes with its epoch."""
        for name, known in self._named.segments.items():
            folder, _, file = name.partition("/")
            epoch, last_day = index.parse_folder(folder) or ("", None)
            day, _ = index.parse_segment(file) or (date.max, 0)
            over = epoch in self._named.certificates or (last_day is not None and last_day - self._today <= _DAY)
            if low <= day <= high and not over and not known.may_be_missing and not (self._root / name).is_file():
                yield epoch

    def _read(self, folder: Path, signers: list[Signer] | None) -> str | None:
        if not folder.is_dir():
            return "no log"
        try:
            head = cosigned.read_head(folder / unitlog.HEAD, signers).head
            root, size = "", 0
            for tree, _ in leaflog.hashes(map(self._looked_at, leaflog.lines_of(folder / leaflog.LEAVES))):
                root, size = tree.root().hex(), tree.size
        except (Refusal, OSError) as error:
            self._named = Named()
            return f"its log cannot be used: {error}"
        self._today = from_utc_ns(parse_rfc3339(head.at)).date()
        if (root, size) != (head.root, head.size):
            self._named = Named()
            return "its log is not that of its head: `linetap verify` says more"
        if not self._named.knows_index:
            return "written by a version that did not log it"
        return None if signers is not None else "no --signers"

    def _looked_at(self, line: bytes) -> bytes:
        if any(kind in line for kind in _OF_INTEREST):
            with contextlib.suppress(ValueError):  # the root says whether the unit wrote it
                self._named.look_at(foreign.decode(line, Leaf))
        return line
