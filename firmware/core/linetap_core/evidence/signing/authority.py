# SPDX-License-Identifier: Apache-2.0
"""The authority, which signs the list of keys, the roles, and the commands that carry them. One key, or k of n.

Several people sign one text separately, with one armored block after the other in the same .sig (sshsig.check_all);
after splitting, stock ssh-keygen verifies each. The authority's file has its .pub lines, and before them, for several
keys, a line with the number of signatures: `# 2 of 3`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from linetap_core.errors import BadInput
from linetap_core.evidence.keys import keys, publickeys
from linetap_core.evidence.keys.keys import PublicKey

_COUNT = re.compile(r"#\s*(\d{1,3}) of (\d{1,3})\s*")


class Keys(Protocol):
    @property
    def authority_lines(self) -> list[str]: ...
    @property
    def authority_needed(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Authority:
    """An authority: `needed` of the `blobs` (keys in SSH's form) sign together."""

    blobs: frozenset[bytes]
    needed: int = 1

    def holds(self, key: PublicKey) -> bool:
        return keys.public_blob(key) in self.blobs

    def reason_against(self, signers: Sequence[PublicKey]) -> str | None:
        """The reason why these signers, each counted once, are not the authority; None if they are."""
        for signer in signers:
            if not self.holds(signer):
                whose = f"the authority is {self}"
                return f"signed by {keys.fingerprint(signer)}, {whose}"
        if len(signers) < self.needed:
            return f"signed by {len(signers)} of the authority's keys, {self.needed} of {len(self.blobs)} are needed"
        return None

    def lines(self) -> list[str]:
        return [keys.public_line(keys.from_blob(blob)) for blob in sorted(self.blobs)]

    def text(self) -> str:
        """The content of the authority's file."""
        lines = [f"{line} authority" for line in self.lines()]
        head = [f"# {self.needed} of {len(lines)}"] if len(lines) > 1 else []
        return "\n".join([*head, *lines]) + "\n"

    def __str__(self) -> str:
        prints = ", ".join(sorted(map(keys.fingerprint_of, self.blobs)))
        return prints if len(self.blobs) == 1 else f"{self.needed} of {prints}"


def of(given: PublicKey | Authority) -> Authority:
    return given if isinstance(given, Authority) else Authority(frozenset({keys.public_blob(given)}))


def from_lines(lines: str | Sequence[str], needed: int = 1) -> Authority:
    """The authority of `ssh-ed25519 AAAA...` lines; BadInput if they cannot form one."""
    listed = [lines] if isinstance(lines, str) else list(lines)
    publickeys.require_authority(listed, needed)
    return Authority(frozenset(keys.public_blob(keys.from_blob(publickeys.authority(line))) for line in listed), needed)


def from_keys(named: Keys) -> Authority:
    """The authority of a configuration's [keys]."""
    return from_lines(named.authority_lines, named.authority_needed)


def from_text(text: str) -> Authority:
    """The authority of a file's text."""
    lines = [line for line in text.splitlines() if line.strip()]
    match = _COUNT.fullmatch(lines[0]) if lines else None
    named = [line for line in lines if not line.startswith("#")]
    if match is None:
        if len(named) > 1:
            raise BadInput(f"{len(named)} keys: a first line `# 2 of {len(named)}` would say how many sign")
        return from_lines(named or [""])
    if int(match[2]) != len(named):
        raise BadInput(f"`{lines[0].strip()}`, and there are {len(named)} keys")
    return from_lines(named, int(match[1]))
