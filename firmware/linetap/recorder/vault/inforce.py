# SPDX-License-Identifier: Apache-2.0
"""What is in force on a unit, as one value to compare: the effective configuration, and what counts beside it.

Notices by the SHA-256 of sound and text, since another sound under the same name is another notice; the custodians,
whom a signed list may replace; what was measured of each line, by which hook and staff's digits are told.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from linetap import learned
from linetap.config import Config, config_sha256
from linetap.config.load import lenient
from linetap.config.weakening import Weakening, weakenings
from linetap.learned import Learned

MOST_BYTES = 4 << 20  # of a notice: 60 s have a quarter of it
MOST_KNOWN = 256  # notices, those no longer named too
_VOLTS_SHARE = 0.25  # what is measured again may differ by so much
_DECIBELS = 6.0


class InForce(msgspec.Struct, frozen=True):
    config: dict[str, Any]
    notices: dict[str, str]
    custodians: list[str]
    learned: dict[str, Learned]  # by line


def take(config: Config, custodians: Sequence[object]) -> InForce:
    return InForce(
        msgspec.to_builtins(config),
        {name: _digest(path) for name, path in _notices(config) if path.is_file()},
        [str(each) for each in custodians],
        {str(line): found for line, found in learned.load(Path(config.learned)).items()},
    )


def stamp_of(config: Config, file: Path | None) -> tuple[object, ...]:
    """Another one after every change of a file that counts, for a few stat(2)."""
    paths = [path for _, sound in _notices(config) for path in (sound, sound.with_suffix(".txt"))]
    return tuple(_stat(path) for path in [*([file] if file else []), Path(config.learned), *paths])


def sha256(found: InForce) -> str:
    return hashlib.sha256(msgspec.json.encode(found, order="sorted")).hexdigest()


def config_of(found: InForce) -> Config:
    """ValueError where this version can make nothing of it."""
    return lenient(found.config, Config)


def with_known(old: InForce, new: InForce) -> InForce:
    """What is not there for now is remembered: whoever takes it away and brings another is found all the same."""
    known = dict(list({**old.notices, **new.notices}.items())[-MOST_KNOWN:])
    return msgspec.structs.replace(new, notices=known, learned={**old.learned, **new.learned})


def beside(old: InForce, new: InForce) -> list[Weakening]:
    """What weakens besides the configuration, but for the custodians."""
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
            for what in _far(was, now)
        ),
    ]


def of_config(old: InForce, new: Config) -> list[Weakening]:
    """ValueError where what was in force cannot be read any more."""
    before = config_of(old)
    return [] if config_sha256(before) == config_sha256(new) else weakenings(before, new)


def _far(was: Learned, now: Learned) -> Iterator[str]:
    if None not in (was.reversed, now.reversed) and was.reversed != now.reversed:
        yield "reversed"
    for name in ("on_hook_v", "off_hook_v"):
        before, after = getattr(was, name), getattr(now, name)
        if before is not None and after is not None and abs(after - before) > _VOLTS_SHARE * before:
            yield f"{name} {before:g} -> {after:g}"
    for name in ("echo_db", "near_digit_dbm0"):
        before, after = getattr(was, name), getattr(now, name)
        if before is not None and after is not None and abs(after - before) > _DECIBELS:
            yield f"{name} {before:g} -> {after:g}"


def _notices(config: Config) -> list[tuple[str, Path]]:
    recording, folder = config.recording, Path(config.notices)
    named = {recording.notice, recording.end_notice, recording.mark_notice, *(line.notice for line in config.line)}
    return [(name, folder / f"{name}.wav") for name in sorted(each for each in named if each is not None)]


def _stat(path: Path) -> tuple[int, int, int] | None:
    """By the time of change, which nobody sets as he likes."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_ctime_ns, found.st_size


def _digest(path: Path) -> str:
    """Of sound and text together. What cannot be read is another notice than one that can."""
    digest = hashlib.sha256()
    for part in (path, path.with_suffix(".txt")):
        data = b""
        with contextlib.suppress(OSError):
            if part.is_file():
                with part.open("rb") as file:
                    data = file.read(MOST_BYTES)
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()
