# SPDX-License-Identifier: Apache-2.0
"""Which members of a group have taken their layer off, and who may be next. Pure: works on rows of the database.

Officers come in the order of their numbers. More than one chain may be open: if the third of three cannot come after
the second has begun, the first may begin another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["officer", "custodian"]
OFFICER: Kind = "officer"
CUSTODIAN: Kind = "custodian"


@dataclass(frozen=True, slots=True)
class Partial:
    """`taken`: the numbers of those whose layers are off. `here`: not emptied since."""

    kind: str
    key_sha256: str
    taken: tuple[int, ...]
    left: int
    by: str
    at: str
    here: bool

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Partial:
        taken = tuple(map(int, row["taken"].split("-")))
        return cls(row["kind"], row["key_sha256"], taken, row["left"], row["by"], row["at"], row["data"] is not None)

    @property
    def numbers(self) -> str:
        return "-".join(map(str, self.taken))


@dataclass(frozen=True, slots=True)
class Chain:
    """All partials of a request or a hold."""

    partials: Sequence[Partial] = ()

    def of(self, kind: Kind) -> list[Partial]:
        return [one for one in self.partials if one.kind == kind]

    @property
    def officers(self) -> list[Partial]:
        return self.of(OFFICER)

    @property
    def custodians(self) -> list[Partial]:
        return self.of(CUSTODIAN)

    @property
    def handed(self) -> Partial | None:
        """What the custodian who came last has handed on."""
        return max((one for one in self.custodians if one.here), key=lambda one: one.taken, default=None)

    def people(self, key_sha256: str, taken: tuple[int, ...]) -> set[str]:
        """Who took part up to there."""
        return {
            one.by for one in self.officers if one.key_sha256 == key_sha256 and one.taken == taken[: len(one.taken)]
        }

    def open_to(self, name: str, left: int | None = None) -> list[Partial]:
        """The partials that this person may continue; `left`: only those that lack so many members."""
        return [
            one
            for one in self.officers
            if one.here and left in (None, one.left) and name not in self.people(one.key_sha256, one.taken)
        ]

    def waits_for(self, name: str) -> bool:
        """Whether an officer of this name can do something: begin, or go on with what another one has brought."""
        return all(one.by != name for one in self.officers) or bool(self.open_to(name))
