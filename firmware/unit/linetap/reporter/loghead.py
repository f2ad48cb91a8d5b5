# SPDX-License-Identifier: Apache-2.0
"""The signed head of the unit's log for whoever watches over it from afar: the newest one that is whole."""

from __future__ import annotations

from pathlib import Path

from linetap_core import handover
from linetap_core.clock import NS_PER_S
from linetap_core.errors import Refusal
from linetap_core.evidence.merklelog import unitlog
from linetap_core.evidence.merklelog.unitlog import FOLDER, HEAD
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_core.wire.mqtt import Message
from linetap_core.wire.topics import Topics

EVERY_S = 10  # a busy unit signs one a second, and only the last is of any use


class LogHead:
    def __init__(self, vault: Path, topics: Topics) -> None:
        self._path, self._topics = vault / FOLDER / HEAD, topics
        self._told = b""
        self._due_ns = 0

    def forget(self) -> None:
        """The broker may know nothing."""
        self._told, self._due_ns = b"", 0

    def changed(self, now_ns: int) -> list[Message]:
        """`now_ns`: monotonic. Head and signature are two files: where they do not fit, the next turn reads again."""
        if now_ns < self._due_ns:
            return []
        try:
            data = self._read("", unitlog.HEAD_LIMIT_BYTES)
            signature = self._read(namespaces.SUFFIX, sshsig.SIGNATURE_LIMIT_BYTES)
            if data == self._told:
                return []
            unitlog.check_head(data, signature, None)
        except (OSError, Refusal):
            return []
        self._told, self._due_ns = data, now_ns + EVERY_S * NS_PER_S
        return [self._topics.log(data, signature.decode("ascii"))]

    def _read(self, suffix: str, limit_bytes: int) -> bytes:
        return handover.read(self._path.parent, self._path.name + suffix, limit_bytes, copied=True)
