# SPDX-License-Identifier: Apache-2.0
"""The outbox as the reporter sees it: `recorder/vault/outbox/outbox.py` reads it so."""

from __future__ import annotations

from typing import Protocol

Entry = tuple[int, bytes, str]  # seq, payload, armored SSHSIG


class Source(Protocol):
    def from_seq(self, seq: int, most: int) -> list[Entry]: ...
    def last_seq(self) -> int: ...
