# SPDX-License-Identifier: Apache-2.0
"""What a store of copies can do: a tree of folders (tree.py) or a bucket (s3.py), chosen by its URL (open.py).

A call's folder holds what was sealed and nothing else; its closing lies in `<store>/<unit>/closing/2026/11/24/`, and
in `witnessed/` what `linetap checkpoint --store` has written of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Stored:
    """What lies in a store where a call should, as it is; nothing of it is proved. `at_ns`: when it was put there."""

    unit: str
    call_id: str
    names: frozenset[str]
    record: bytes
    signature: bytes
    at_ns: int


class Store(Protocol):
    """Every method may raise OSError, and may be done twice."""

    incoming: Path  # calls that are not whole yet, <unit>/<call_id>/

    def put(self, unit: str, call_id: str, folder: Path) -> None:
        """`folder` has gone into the store, and is safe there when this returns."""

    def put_closing(self, unit: str, call_id: str, data: bytes) -> None:
        """The call's closing lies beside its copy, instead of one that may have been there; nothing without a copy."""

    def put_amendment(self, unit: str, call_id: str, number: int, data: bytes, signature: str) -> None:
        """An amendment of the call's lies with the unit's copies; nothing without a copy."""

    def remove(self, unit: str, call_id: str) -> None:
        """Nothing of the call is in the store any more."""

    def calls(self) -> Iterator[Stored | str]:
        """All that is there, in the order of its names; of what cannot be read its name alone."""
