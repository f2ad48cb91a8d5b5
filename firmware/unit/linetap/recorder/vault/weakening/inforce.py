# SPDX-License-Identifier: Apache-2.0
"""The state in force on a unit, as one value to compare: the effective configuration, and the files beside it.

The files are: notices, by the SHA-256 of sound and text, since another sound under the same name is another notice; the
custodians, whom a signed list may replace; and the measurements of each line, by which hook states and staff's digits
are recognised.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from linetap import learned
from linetap.config import Config, config_sha256, namednotices
from linetap.config.weakening import Weakening, weakenings
from linetap.learned import Learned
from linetap_core.evidence.sealing import members
from linetap_core.evidence.sealing.keylist import KeyList, overflow_name
from linetap_core.tomlfile.source import lenient

MOST_BYTES = 4 << 20  # of a notice: 60 s need a quarter
MOST_KNOWN = 256  # notices, including those no longer named
_VOLTS_SHARE = 0.25  # measurements may differ by this much
_DECIBELS = 6.0
_VOLTS, _LEVELS = ("on_hook_v", "off_hook_v"), ("echo_db", "near_digit_dbm0")
_MEASURED = ("reversed", *_VOLTS, *_LEVELS)


class ListEnd(msgspec.Struct, frozen=True):
    """The last epochs of a key list, and the number of people who open them. Existing days never change; new days are
    appended.
    """

    day: str
    day_needed: int
    overflow: int
    overflow_needed: int


class InForce(msgspec.Struct, frozen=True):
    config: dict[str, Any]
    notices: dict[str, str]
    custodians: list[str]
    learned: dict[str, Learned]  # by line
    list_end: ListEnd | None = None
    pins: str = ""  # SHA-256 of the pin table; empty: no table, or not recorded by an earlier version


def current(config: Config, custodians: Sequence[str], key_list: KeyList | None) -> InForce:
    """The present state in force. `custodians`: the present recipients of calls."""
    return InForce(
        msgspec.to_builtins(config),
        {name: _digest(path) for name, path in _notices(config) if path.is_file()},
        list(custodians),
        {str(line): found for line, found in learned.load(Path(config.learned)).items()},
        None if key_list is None else _end_of(key_list),
        _pins(config),
    )


def stamp_of(config: Config, file: Path | None) -> tuple[object, ...]:
    """Returns a value that changes with every file that counts, at the cost of a few stat(2)."""
    paths = [path for _, sound in _notices(config) for path in (sound, sound.with_suffix(".txt"))]
    folders = [Path(config.learned), learned.accepted(Path(config.learned))]
    paths += [learned.path_of(folder, line.number) for folder in folders for line in config.line]
    paths += [Path(config.board.pins)]
    return tuple(_stat(path) for path in [*([file] if file else []), *folders, *paths])


def sha256(found: InForce) -> str:
    known = msgspec.to_builtins(found)
    if not found.pins:
        del known["pins"]  # in the form of an earlier version, which the log's hash covers
    return hashlib.sha256(msgspec.json.encode(known, order="sorted")).hexdigest()


def config_of(found: InForce) -> Config:
    """The configuration in force. ValueError if this version cannot read it."""
    return lenient(found.config, Config)


def with_known(old: InForce, new: InForce) -> InForce:
    """Returns `new` with values of `old` that are missing in it, so that replacing a removed file later is still
    detected.
    """
    known = dict(list({**old.notices, **new.notices}.items())[-MOST_KNOWN:])
    end = new.list_end or old.list_end
    measured = {line: _remembered(old.learned.get(line, found), found) for line, found in new.learned.items()}
    return msgspec.structs.replace(
        new, notices=known, learned={**old.learned, **measured}, list_end=end, pins=new.pins or old.pins
    )


def other_weakenings(old: InForce, new: InForce) -> list[Weakening]:
    """Returns the weakenings outside the configuration and the authority's documents."""
    return [
        *(
            Weakening("notice_changed", f"notice {name}: its sound or its text is another")
            for name, digest in new.notices.items()
            if old.notices.get(name, digest) != digest
        ),
        *(
            Weakening("learned", f"line {line}: {what}")
            for line, was in old.learned.items()
            if (now := new.learned.get(line)) is not None
            for what in _large_changes(was, now)
        ),
        *([Weakening("hardware", "board.pins: it is another table")] if _are_others(old.pins, new.pins) else []),
    ]


def by_authority(old: InForce, new: InForce, key_list: KeyList | None) -> list[Weakening]:
    """Returns the weakenings by the key list. Its signers may change the people who open calls, and their number."""
    found = []
    if old.custodians != new.custodians:
        found.append(Weakening("keys", f"custodians: {_words(old.custodians)} -> {_words(new.custodians)}, other keys"))
    if old.list_end is None or key_list is None:
        return found
    end = old.list_end
    days = [each for each in key_list.epochs if each.day > end.day and _needed(each.recipient) < end.day_needed]
    more = [each for each in key_list.overflow if each.number > end.overflow]
    for name, needed, recipient in [
        *((f"days from {each.day} on", end.day_needed, each.recipient) for each in days[:1]),
        *((overflow_name(each.number), end.overflow_needed, each.recipient) for each in more),
    ]:
        if _needed(recipient) < needed:
            found.append(Weakening("keys", f"{name}: {needed} -> {_needed(recipient)} people open together"))
    return found


def of_config(old: InForce, new: Config) -> list[Weakening]:
    """Returns the weakenings by `new`. ValueError if the configuration in force before can no longer be read."""
    before = config_of(old)
    return [] if config_sha256(before) == config_sha256(new) else weakenings(before, new)


def _large_changes(was: Learned, now: Learned) -> Iterator[str]:
    if None not in (was.reversed, now.reversed) and was.reversed != now.reversed:
        yield "reversed"
    for name in _VOLTS:
        before, after = getattr(was, name), getattr(now, name)
        if before is not None and after is not None and abs(after - before) > _VOLTS_SHARE * before:
            yield f"{name} {before:g} -> {after:g}"
    for name in _LEVELS:
        before, after = getattr(was, name), getattr(now, name)
        if before is not None and after is not None and abs(after - before) > _DECIBELS:
            yield f"{name} {before:g} -> {after:g}"


def _remembered(was: Learned, now: Learned) -> Learned:
    """Returns the old measurement while the difference is small, so that many small steps add up to a large one."""
    if any(_large_changes(was, now)):
        return now
    kept = {name: value for name in _MEASURED if (value := getattr(was, name)) is not None}
    return msgspec.structs.replace(now, **kept)


def _notices(config: Config) -> list[tuple[str, Path]]:
    return [(name, Path(config.notices) / f"{name}.wav") for name in sorted(namednotices.names(config))]


def _end_of(key_list: KeyList) -> ListEnd:
    day, overflow = key_list.epochs[-1], key_list.overflow[-1]
    return ListEnd(day.day, _needed(day.recipient), overflow.number, _needed(overflow.recipient))


def _needed(recipient: str) -> int:
    return members.parse(recipient).needed


def _words(custodians: list[str]) -> str:
    return members.group_of(custodians).in_words()


def _stat(path: Path) -> tuple[int, int, int] | None:
    """A file's size and times, including the change time, which no user can set."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_ctime_ns, found.st_size


def _are_others(old: str, new: str) -> bool:
    return "" not in (old, new) and old != new


def _pins(config: Config) -> str:
    """The hash of the table that maps wires to hooks: with another table a line might never be off-hook."""
    with contextlib.suppress(OSError):
        path = Path(config.board.pins)
        if config.board.kind == "hardware" and path.is_file():
            with path.open("rb") as file:
                return hashlib.sha256(file.read(MOST_BYTES)).hexdigest()
    return ""


def _digest(path: Path) -> str:
    """The digest of sound and text together. An unreadable notice differs from a readable one."""
    digest = hashlib.sha256()
    for part in (path, path.with_suffix(".txt")):
        data = b""
        with contextlib.suppress(OSError):
            if part.is_file():
                with part.open("rb") as file:
                    data = file.read(MOST_BYTES)
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()
