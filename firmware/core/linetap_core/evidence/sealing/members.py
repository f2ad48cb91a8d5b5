# SPDX-License-Identifier: Apache-2.0
"""Recipients as text: one (`age1...`), or a group with the number of required members.

A group is written `2:age1...,age1...,age1...`: any 2 of the 3. It may replace a single recipient anywhere (an epoch in
the key list, a hold, a checkpoint); a version without groups refuses it and never seals to one member alone. Without
`cryptography`, like publickeys.py: every service reads the configuration.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from linetap_core.errors import BadInput
from linetap_core.evidence.keys.publickeys import decode_recipient

MOST_MEMBERS = 7  # of a group that requires more than one
MOST_NEEDED = 4
SEALED_LIMIT_BYTES = 64 * 1024  # limit of key.age for every reader
_TEXT = re.compile(r"([1-9]):(\S+)")
_IDENTITY_BYTES = 75  # AGE-SECRET-KEY-1... and the line end
_AGE_BYTES, _STANZA_BYTES = 102, 98  # header, nonce and tag of an age file, and each of its recipients
_CALL_BYTES = 123  # most: the stanza that names the call (callkey.py)
_BLOCK = 512


@dataclass(frozen=True, slots=True)
class Group:
    """A group: `needed` of `recipients` open together, in the order of `recipients`."""

    recipients: tuple[str, ...]
    needed: int = 1

    def __str__(self) -> str:
        if len(self.recipients) == 1:
            return self.recipients[0]
        return f"{self.needed}:{','.join(self.recipients)}"

    def in_words(self) -> str:
        return f"{self.needed} of {len(self.recipients)}"

    def combinations(self) -> Iterator[tuple[int, ...]]:
        """Yields the positions (from 1) of the members who each remove a layer before the last one opens the rest."""
        before_last = range(1, len(self.recipients))
        return itertools.combinations(before_last, self.needed - 1)

    def sealed_bytes(self, size: int, stanza: int = 0) -> int:
        """The sealed length of so many bytes. `stanza`: bytes of one more stanza in each header."""
        count = len(self.recipients)
        if self.needed == 1:
            return _AGE_BYTES + _STANZA_BYTES * count + stanza + size
        chosen = list(self.combinations())
        total = 2 * _BLOCK + _BLOCK + _blocks(len(chosen) * (2 * self.needed + 3 + 65 * (self.needed - 1)))
        for names in chosen:
            member = size + self.needed * stanza + _AGE_BYTES + _STANZA_BYTES * (count - names[-1])
            member += (self.needed - 1) * (_AGE_BYTES + _STANZA_BYTES)
            total += _BLOCK + _blocks(member)
        return total


def parse(text: str) -> Group:
    """Reads a recipient or a group; BadInput names the fault. Each has one spelling."""
    if ":" not in text:
        decode_recipient(text)
        return Group((text,))
    if (match := _TEXT.fullmatch(text)) is None:
        raise BadInput(f"not a group: {text[:60]!r}; 2:age1...,age1...,age1... expected")
    group = Group(tuple(match[2].split(",")), int(match[1]))
    if len(group.recipients) == 1:
        raise BadInput("a group of one: its recipient alone (age1...) expected")
    return require_sound(group)


def group_of(texts: Sequence[str], needed: int = 1) -> Group:
    """The group of a list in the configuration or the key list: recipients, or a single group."""
    if len(texts) == 1 and needed == 1:
        return parse(texts[0])
    return require_sound(Group(tuple(texts), needed))


def require_sound(group: Group) -> Group:
    """Returns the group; BadInput if it is impossible."""
    count, needed = len(group.recipients), group.needed
    if not 1 <= needed <= count:
        raise BadInput(f"{needed} of {count}: 1 to {count} needed expected")
    if needed > 1 and (count > MOST_MEMBERS or needed > MOST_NEEDED):
        raise BadInput(f"{needed} of {count}: at most {MOST_NEEDED} of {MOST_MEMBERS} expected")
    for place, recipient in enumerate(group.recipients, 1):
        if needed > 1 and recipient in group.recipients[: place - 1]:
            raise BadInput(f"member {place} of the group is there twice: each has a key of their own")
        try:
            decode_recipient(recipient)
        except BadInput as error:
            raise BadInput(f"member {place}: {error}") from None
    return group


def key_bytes(custodians: Group, epoch: Group) -> int:
    """The greatest length of key.age."""
    return epoch.sealed_bytes(custodians.sealed_bytes(_IDENTITY_BYTES, _CALL_BYTES))


def require_short(custodians: Group, epoch: Group) -> None:
    """Raises BadInput if key.age would be longer than readers accept: the layers of both groups multiply."""
    if (size := key_bytes(custodians, epoch)) > SEALED_LIMIT_BYTES:
        both = f"custodians {custodians.in_words()} and epoch {epoch.in_words()}"
        raise BadInput(
            f"{both}: key.age would have {size} bytes, {SEALED_LIMIT_BYTES} at most; smaller groups expected"
        )


def fewer_needed(new: Group, old: Group) -> bool:
    """Whether fewer people are needed than before, which is a weakening."""
    return new.needed < old.needed


def _blocks(size: int) -> int:
    return math.ceil(size / _BLOCK) * _BLOCK
