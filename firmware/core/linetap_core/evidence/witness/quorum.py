# SPDX-License-Identifier: Apache-2.0
"""The policy of a verifier: its witnesses, and the number of cosignatures that it requires.

    witness A 1c25f8a44c635457e2e391d1efbca7d4c2951a0aef06225a881e46b98962ac6c http://a.example/
    witness B b.example/w+8a7d2c11+BAx...
    witness C 28c92a5a3a054d317c86fc2eeb6a7ab2054d6217100d0be67ded5b74323c5806
    group ours 2 A B C
    quorum ours

The file is Sigsum's (`sigsum-verify -p` reads it) and C2SP's tlog-policy: a key is 64 hexadecimal digits, as Sigsum
writes it, or a vkey, as C2SP does. Where the two formats differ, the strictest common reading applies: a comment has
its own line, all other lines are ASCII, no witness is in two groups. `log` lines are for logs that no signers' file
names.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from linetap_core.errors import BadInput
from linetap_core.evidence.keys.publickeys import KEY_BYTES
from linetap_core.evidence.witness import checkpoint, note
from linetap_core.evidence.witness.note import Note

LIMIT_BYTES = 64 << 10
NONE = "none"
_HEX = re.compile(rf"[0-9a-f]{{{2 * KEY_BYTES}}}")
_WRONG = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]")
_MOST_LINES = 1000


@dataclass(frozen=True, slots=True)
class Witness:
    """A witness. `key_name`: the name with which it signs, if the policy has one. `url`: its address for
    checkpoints.
    """

    name: str
    public: bytes
    key_name: str | None = None
    url: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    at_least: int
    members: tuple[str, ...]


@dataclass(slots=True)
class Policy:
    witnesses: dict[str, Witness] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    logs: set[bytes] = field(default_factory=set)  # public keys; if there are any, other logs do not count
    quorum: str = ""

    def cosigners(self, found: Note) -> dict[str, int]:
        """The witnesses that have cosigned the note, each with its time (POSIX). BadNote for a forged line."""
        times = {w.name: checkpoint.cosigned_at(found, w.public, w.key_name) for w in self.witnesses.values()}
        return {name: time_s for name, time_s in times.items() if time_s is not None}

    def holds(self, names: Collection[str]) -> bool:
        """Whether these witnesses are a quorum."""
        return self.quorum == NONE or self._is_satisfied(self.quorum, names)

    def _is_satisfied(self, name: str, names: Collection[str]) -> bool:
        group = self.groups.get(name)
        if group is None:
            return name in names
        return sum(self._is_satisfied(member, names) for member in group.members) >= group.at_least

    def since(self, times: Mapping[str, int]) -> int | None:
        """The first time by which a quorum had cosigned; None without one. A single witness with a wrong early time
        does not change it.
        """
        for time_s in sorted(set(times.values())):
            if self.holds([name for name, at in times.items() if at <= time_s]):
                return time_s
        return None

    def lines(self) -> Iterator[str]:
        """The witnesses and the quorum in the form that `sigsum-verify` reads."""
        for witness in self.witnesses.values():
            yield f"witness {witness.name} {witness.public.hex()}"
        for name, group in self.groups.items():
            yield f"group {name} {group.at_least} {' '.join(group.members)}"
        yield f"quorum {self.quorum}"


def parse(data: bytes) -> Policy:
    """The policy in `data`; BadInput names an invalid line."""
    if len(data) > LIMIT_BYTES:
        raise BadInput(f"larger than {LIMIT_BYTES} bytes")
    if _WRONG.search(data):
        raise BadInput("a policy has no control characters but tab and newline")
    policy, members = Policy(), set[str]()
    lines = data.split(b"\n")
    if len(lines) > _MOST_LINES:  # another reader would read on
        raise BadInput(f"more than {_MOST_LINES} lines")
    for number, line in enumerate(lines, 1):
        words = line.strip(b" \t")
        if not words or words.startswith(b"#"):
            continue
        try:
            _add(policy, members, _words(words))
        except BadInput as error:
            raise BadInput(f"line {number}: {error}") from None
    if not policy.quorum:
        raise BadInput("it names no quorum: `quorum NAME` of a witness or group, or `quorum none` expected")
    return policy


def _words(line: bytes) -> list[str]:
    if not line.isascii() or b"#" in line:
        raise BadInput("ASCII without a comment expected: a comment is a line of its own")
    return [word.decode("ascii") for word in re.split(rb"[ \t]+", line)]


def _add(policy: Policy, members: set[str], words: list[str]) -> None:
    match words:
        case ["log", key] | ["log", key, _]:
            policy.logs.add(_key(key, note.ED25519)[0])
        case ["witness", name, key] | ["witness", name, key, _]:
            _require_new(policy, name)
            public, key_name = _key(key, note.COSIGNATURE)
            if any(witness.public == public for witness in policy.witnesses.values()):
                raise BadInput(f"{name} has the key of another witness")
            policy.witnesses[name] = Witness(name, public, key_name, words[3] if len(words) > 3 else "")
        case ["group", name, at_least, first, *more]:
            _require_new(policy, name)
            policy.groups[name] = _group(policy, members, at_least, [first, *more])
        case ["quorum", name] if not policy.quorum:
            if name != NONE:
                _require_known(policy, name)
            policy.quorum = name
        case ["quorum", *_]:
            raise BadInput("`quorum NAME`, once expected")
        case _:
            raise BadInput(f"{' '.join(words)[:60]!r}: `witness NAME KEY [URL]`, `group NAME K NAME...`, "
                           "`quorum NAME` or `log KEY` expected")  # fmt: skip


def _group(policy: Policy, members: set[str], at_least: str, names: list[str]) -> Group:
    for name in names:
        _require_known(policy, name)
        if name in members:
            raise BadInput(f"{name} is in two groups, or twice in one")
        members.add(name)
    words = {"any": 1, "all": len(names)}
    wanted = words.get(at_least) or (int(at_least) if re.fullmatch(r"[1-9][0-9]{0,3}", at_least) else 0)
    if not 1 <= wanted <= len(names):
        raise BadInput(f"{at_least}: any, all or 1 to {len(names)} expected")
    return Group(wanted, tuple(names))


def _key(text: str, kind: int) -> tuple[bytes, str | None]:
    if _HEX.fullmatch(text):
        return bytes.fromhex(text), None
    try:
        key = note.parse_vkey(text)
    except BadInput as error:
        if "+" in text:
            raise
        raise BadInput(f"{error}, or its 64 hexadecimal digits (`sigsum-key to-hex`)") from None
    if key.kind != kind:
        wanted = "a log's" if kind == note.ED25519 else "a witness's (cosignature/v1)"
        raise BadInput(f"{key.name}: not {wanted} key")
    return key.public, key.name


def _require_new(policy: Policy, name: str) -> None:
    if name == NONE or name in policy.witnesses or name in policy.groups:
        raise BadInput(f"{name}: the name is taken")


def _require_known(policy: Policy, name: str) -> None:
    if name not in policy.witnesses and name not in policy.groups:
        raise BadInput(f"{name}: no witness or group of that name in a line before")
