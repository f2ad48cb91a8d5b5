# SPDX-License-Identifier: Apache-2.0
"""Sealing to k of n people with age files only (decision 0086). For each k-1 of the members there are nested age files,
one for each of them; the innermost is encrypted to all later members. Stock `tar` and `age` open it:

    tar xOf key.age 1.age | age -d -i member1.txt | age -d -i member3.txt

There is no group key that could be complete in one place. After a member removes a layer, only later members can open
the rest; `layers` has its hash, so that no member can pass on a part of another file. If one member is enough, it is a
single age file to all.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass

from linetap_core.errors import Refusal
from linetap_core.evidence import sealing
from linetap_core.evidence.sealing import age, grouptar, members
from linetap_core.evidence.sealing.grouptar import LAYERS, BadGroup
from linetap_core.evidence.sealing.members import Group

Decrypt = Callable[[bytes], bytes]  # opens one age file; a Refusal if no available identity does
Positions = tuple[int, ...]
_LAYER_FILE = re.compile(r"[1-6](?:-[1-6]){0,2}\.age", re.ASCII)


class OtherLayer(Refusal):
    """The passed-on file is not a layer of this file."""

    code = "group_other_layer"

    def __init__(self, text: str) -> None:
        super().__init__(f"{text} [{self.code}]")


class MembersMissing(Refusal):
    """Some layers were removed, and too few identities are available for the rest."""

    code = "group_members_missing"

    def __init__(self, text: str) -> None:
        super().__init__(f"{text} [{self.code}]")


@dataclass(frozen=True, slots=True)
class MemberProgress:
    """The progress of a file from member to member. `taken`: members whose layers are removed; `left`: number of people
    still needed; `following`: the members, of `of`, who may be next.
    """

    taken: Positions
    left: int
    following: Positions
    of: int


@dataclass(frozen=True, slots=True)
class Peeled:
    """The rest after some layers. `left`: number of people still needed; with 0, `data` is the sealed content."""

    data: bytes
    left: int


def seal(data: bytes | bytearray, group: Group | str, stanza: bytes = b"") -> bytes:
    """Seals `data` to a group or a recipient. A bytearray of at most a chunk is sealed in place, without a copy.
    `stanza`: for the header of every age file, so that each layer names its call."""
    if isinstance(group, str):
        group = members.parse(group)
    if group.needed == 1:
        return _age_file(data, group.recipients, stanza)
    files: dict[str, bytes] = {}
    layers = []
    for chosen in group.combinations():
        sealed = _age_file(data, group.recipients[chosen[-1] :], stanza)
        hashes: list[str] = []
        for position in reversed(chosen):
            hashes.insert(0, hashlib.sha256(sealed).hexdigest())
            sealed = age.encrypt(sealed, [group.recipients[position - 1]], stanza)
        files[_name(chosen)] = sealed
        layers.append(f"{_name(chosen)} {' '.join(hashes)}\n")
    return grouptar.write({**files, LAYERS: "".join(layers).encode("ascii")})


def is_sealed(data: bytes) -> bool:
    """Whether the data looks like an output of `seal`."""
    return data.startswith(age.VERSION_LINE) or grouptar.is_archive(data)


def needed(data: bytes) -> int:
    """The number of people needed to open it. BadGroup for an archive of another kind."""
    return len(next(iter(_files(data)))) + 1


def peel(data: bytes, decrypt: Decrypt, most: int) -> Peeled:
    """Removes up to `most` layers. Refusal if none can be removed, or fewer than `most` although none is left."""
    left = wanted = needed(data)
    while left and wanted - left < most:
        files = _files(data)
        try:
            data = decrypt(data) if files.keys() == {()} else _without_first(files, decrypt)
        except BadGroup:
            raise
        except Refusal as error:
            if left == wanted:
                raise
            text = f"{wanted - left} of {wanted} layers came off; the next member is missing: {error}"
            raise MembersMissing(text) from None
        left -= 1
    return Peeled(data, left)


def open_whole(data: bytes, decrypt: Decrypt) -> bytes:
    """Opens a file if all identities are available in one place."""
    return peel(data, decrypt, members.MOST_NEEDED).data


def progress_of(whole: bytes, part: bytes | None = None) -> MemberProgress:
    """The place of `part` in the chain of `whole`; the start without a part. OtherLayer unless `whole` names every
    piece of the part, all by the same members.
    """
    known = _files(whole)
    count = max((positions[-1] for positions in known if positions), default=0) + 1
    if part is None:
        firsts = tuple(sorted({positions[0] for positions in known if positions}))
        return MemberProgress((), needed(whole), firsts, count)
    expected = _layers(whole)
    pieces, takers = _files(part), set[Positions]()
    for rest, piece in pieces.items():
        found = expected.get(hashlib.sha256(piece).hexdigest())
        if found is None or found[1] != rest:
            raise OtherLayer("the partial file did not come out of this key: it is of another one, or was changed")
        takers.add(found[0])
    if len(takers) != 1:
        raise OtherLayer("the partial file has pieces that different members took off")
    taken, left = takers.pop(), needed(part)
    behind = range(taken[-1] + 1, count + 1) if left == 1 else sorted({positions[0] for positions in pieces})
    return MemberProgress(taken, left, tuple(behind), count)


def require_part(part: bytes, whole: bytes) -> None:
    """Raises OtherLayer unless `part` is a layer of `whole`."""
    progress_of(whole, part)


def _layers(whole: bytes) -> dict[str, tuple[Positions, Positions]]:
    """For each content, by its hash: the members who have removed layers, and the members that the rest names."""
    if not grouptar.is_archive(whole):
        raise OtherLayer("there is no layer to hand on: one person opens it")
    listed = grouptar.read(whole).get(LAYERS)
    if listed is None:
        text = "it has no list of its layers, so nothing shows what a partial one is of: all identities at once"
        raise OtherLayer(f"{text} expected")
    found: dict[str, tuple[Positions, Positions]] = {}
    for line in filter(None, listed.decode("ascii", "replace").split("\n")):
        name, *hashes = line.split(" ")
        if _LAYER_FILE.fullmatch(name) is None:
            raise OtherLayer("its list of layers cannot be read")
        positions = _positions(name)
        for index, digest in enumerate(hashes[: len(positions)], 1):
            found[digest] = (positions[:index], positions[index:])
    return found


def _without_first(files: dict[Positions, bytes], decrypt: Decrypt) -> bytes:
    """The rest after the first available member has opened every file that begins with that member."""
    firsts = sorted({positions[0] for positions in files})
    for first in firsts:
        theirs = {positions[1:]: data for positions, data in files.items() if positions[0] == first}
        opened: dict[Positions, bytes] = {}
        for rest, data in theirs.items():
            try:
                opened[rest] = decrypt(data)
            except Refusal:
                if opened:
                    raise
                break
        if not opened:
            continue
        for piece in opened.values():
            if not piece.startswith(age.VERSION_LINE):
                raise BadGroup(f"there is no layer inside that of member {first}")
        return opened[()] if () in opened else grouptar.write({_name(rest): opened[rest] for rest in sorted(opened)})
    who = ", ".join(map(str, firsts))
    raise Refusal(f"no identity is of a member who may come next (member {who}): the lowest in number comes first")


def _files(data: bytes) -> dict[Positions, bytes]:
    """The files by the members before the last one; none in a plain age file."""
    if data.startswith(age.VERSION_LINE) or not grouptar.is_archive(data):  # age reports the fault
        return {(): data}
    files = {_positions(name): content for name, content in grouptar.read(data).items() if name != LAYERS}
    if len({len(positions) for positions in files}) != 1:
        raise BadGroup("there is no file in it, or its files are of different numbers of members")
    for content in files.values():
        if not content.startswith(age.VERSION_LINE):
            raise BadGroup("a file in it is no age file")
    return files


def _positions(name: str) -> Positions:
    positions = tuple(int(text) for text in name.removesuffix(sealing.SUFFIX).split("-"))
    if list(positions) != sorted(set(positions)):
        raise BadGroup(f"{name}: its members are not in order")
    return positions


def _name(positions: Positions) -> str:
    return f"{'-'.join(map(str, positions))}{sealing.SUFFIX}"


def _age_file(data: bytes | bytearray, recipients: tuple[str, ...], stanza: bytes = b"") -> bytes:
    if isinstance(data, bytearray):
        writer = age.AgeWriter(recipients, stanza)
        return writer.header + writer.seal_alone(data)
    return age.encrypt(data, recipients, stanza)
