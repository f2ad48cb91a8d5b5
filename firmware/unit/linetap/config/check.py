# SPDX-License-Identifier: Apache-2.0
"""Checks beyond the schema: consistency between values. All problems are collected."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from linetap.config import endingchecks, namednotices, patternsubset, profilechecks
from linetap.config.profile import BUILT_IN, Profile
from linetap.config.schema import Config, Keys
from linetap_core.codecs.registry import codec_named
from linetap_core.durable import copies
from linetap_core.errors import BadInput, LinetapError
from linetap_core.evidence.keys import publickeys
from linetap_core.evidence.sealing import members
from linetap_core.tomlfile.locate import Path as KeyPath
from linetap_core.tomlfile.source import Source
from linetap_core.wire import smdrcolumns
from linetap_core.wire.hosts import LOOPBACK
from linetap_core.zones import zone_of

PATHS = ("key", "vault", "run_dir", "notices", "learned")
BROKER_PATHS = ("ca", "certificate", "key")


def load_file(path: Path, folder: Path | None = None, raw: bytes | None = None) -> Config:
    """The checked configuration of a file, with absolute paths; unsignededit.py decides whether it counts.

    BadInput lists every error with its line. `folder`: base of relative paths, by default the file's folder. `raw`: the
    file's bytes, already read. If the medium has changed the file since it was written, its copy counts
    (durable/copies.py). The unit's key is not opened: of the services only the recorder may read it, and reports its
    errors.
    """
    source = Source(path, copies.damaged(path) if raw is None else raw)
    config = checked(source, folder)
    source.check()
    return config


def profile_of(config: Config, name: str) -> Profile:
    return {**BUILT_IN, **{profile.name: profile for profile in config.profile}}[name]


def config_sha256(config: Config) -> str:
    """The hash of the effective configuration with its defaults, independent of the file's form."""
    return hashlib.sha256(msgspec.json.encode(config, order="sorted")).hexdigest()


def notices_folder(path: Path) -> Path:
    """The folder of notices in a configuration, the only key checked: it is filled before the rest is complete."""
    named = Source(path).data.get("notices", _DEFAULT_NOTICES)
    if not isinstance(named, str) or "\0" in named:
        raise BadInput(f"{path}: notices = {named!r}: the name of a folder expected")
    return path.absolute().parent / named


_DEFAULT_NOTICES = next(field.default for field in msgspec.structs.fields(Config) if field.name == "notices")


def checked(source: Source, folder: Path | None = None) -> Config:
    """The configuration, with its problems collected in `source`; complete only without problems (see
    Source.partial).
    """
    config = _absolute(source.partial(Config), folder or source.path.absolute().parent, source)
    for check in (
        _cards,
        _lines,
        _keys,
        _names,
        _pattern,
        profilechecks.check_profiles,
        _broker,
        _codec,
        *endingchecks.ALL,
        _notices,
        _smdr,
        _update,
    ):
        check(config, source)
    return config


def _absolute(config: Config, folder: Path, source: Source) -> Config:
    def at(place: tuple[str, ...], value: str) -> str:
        if "\0" in value:
            source.reject(place, f"{'.'.join(place)}: a path has no NUL in it")
            value = "."
        return str(folder / value)

    broker = {
        name: at(("broker", name), value)
        for name in BROKER_PATHS
        if (value := getattr(config.broker, name)) is not None
    }
    keys: Keys | UnsetType = config.keys
    if keys is not UNSET:
        names = {
            name: value
            for name in ("key_list", "tpm", "boots", "release")
            if isinstance(value := getattr(keys, name), str)
        }
        keys = msgspec.structs.replace(keys, **{name: at(("keys", name), value) for name, value in names.items()})
    return msgspec.structs.replace(
        config,
        **{name: at((name,), getattr(config, name)) for name in PATHS},
        keys=keys,
        board=msgspec.structs.replace(config.board, pins=at(("board", "pins"), config.board.pins)),
        broker=msgspec.structs.replace(config.broker, **broker),
    )


def given[T](values: T | UnsetType | None) -> list[Any]:
    """A list; [] if it is missing or wrong, which was already reported."""
    return values if isinstance(values, list) else []


def _codec(config: Config, source: Source) -> None:
    try:
        codec_named(config.recording.codec).require()
    except LinetapError as error:
        source.add(("recording", "codec"), f"recording.codec: {error}")


def _cards(config: Config, source: Source) -> None:
    numbers: set[int] = set()
    for i, card in enumerate(given(config.card)):
        if card.number in numbers:
            source.add(("card", i, "number"), f"card {card.number} is there already")
        numbers.add(card.number)


def _lines(config: Config, source: Source) -> None:
    cards = {card.number: card for card in given(config.card)}
    numbers: set[int] = set()
    users: dict[tuple[int, int], str] = {}
    profiles = BUILT_IN.keys() | {profile.name for profile in config.profile}
    for i, line in enumerate(given(config.line)):
        at = ("line", i)
        name = f"line {line.number}" if line.number is not UNSET else f"line[{i + 1}]"
        if line.number in numbers:
            source.add((*at, "number"), f"{name} is there already")
        if line.number is not UNSET:
            numbers.add(line.number)
        if line.card not in cards:
            source.add((*at, "card"), f"{name}: there is no card {line.card}")
        elif line.channel is not UNSET:
            have = cards[line.card].channels
            if line.channel > have:
                source.add((*at, "channel"), f"{name}: channel {line.channel}, but card {line.card} has {have}")
            user = users.setdefault((line.card, line.channel), name)
            if user is not name:
                source.add((*at, "channel"), f"{name}: channel {line.channel} of card {line.card} is {user}'s already")
        if line.profile not in profiles:
            known = ", ".join(sorted(profiles))
            source.add((*at, "profile"), f"{name}: no profile {line.profile!r}; there are {known}")


def _keys(config: Config, source: Source) -> None:
    keys: Keys | UnsetType = config.keys
    if keys is UNSET:
        return
    custodians = enumerate(given(keys.custodians))
    wanted: list[tuple[KeyPath, Any]] = [(("keys", "custodians", i), text) for i, text in custodians]
    for at, text in wanted:
        try:
            if text is not UNSET:
                publickeys.decode_recipient(text)
        except LinetapError as error:
            source.add(at, f"{at[1]}: {error}")
    _groups(keys, source)
    if (keys.authority is None) != (keys.key_list is None):
        there, missing = ("key_list", "authority") if keys.authority is None else ("authority", "key_list")
        source.add(("keys", there), f"keys.{there} is of no use without keys.{missing}")
    try:
        if keys.authority is not None and not isinstance(keys.authority, UnsetType):
            needed = 1 if isinstance(keys.authority_needed, UnsetType) else keys.authority_needed
            publickeys.require_authority(keys.authority_lines, needed)
    except LinetapError as error:
        source.add(("keys", "authority"), f"keys.authority: {error}")


def _groups(keys: Keys, source: Source) -> None:
    """Checks the custodians as a group, the overflow epoch, and both together."""
    at: KeyPath = ("keys", "overflow_epoch")
    try:
        epoch = members.parse(keys.overflow_epoch) if isinstance(keys.overflow_epoch, str) else None
        if source.problems or isinstance(keys.custodians_needed, UnsetType):
            return
        at = ("keys", "custodians_needed")
        custodians = keys.custodian_group
        if epoch is not None:
            members.require_short(custodians, epoch)
    except LinetapError as error:
        source.add(at, f"{at[1]}: {error}")


def _names(config: Config, source: Source) -> None:
    classes: list[Any] = [entry.name for entry in config.retention.classes]
    profiles: list[Any] = [profile.name for profile in config.profile]
    for key, names in ((("retention", "classes"), classes), (("profile",), profiles)):
        for i, name in enumerate(names):
            if name is not UNSET and name in names[:i]:
                source.add((*key, i, "name"), f"{'.'.join(key)}: {name!r} is there twice")
            if (
                isinstance(name, str) and not name.isprintable()
            ):  # otherwise a name could look like another, or span two lines
                fault = f"{'.'.join(key)}: {name!a}: control or direction characters, which it must not have"
                source.add((*key, i, "name"), fault)
    known = ", ".join(sorted(str(entry) for entry in classes if entry is not UNSET))
    for which, value in (("default", config.retention.default), ("marked", config.retention.marked)):
        if value is not None and value not in classes:
            source.add(("retention", which), f"retention.{which} = {value!r}: no such class; there are {known}")
    wanted: list[tuple[KeyPath, str | None]] = [
        (("line", i, "retention"), line.retention) for i, line in enumerate(given(config.line))
    ]
    of_kind = config.retention.dispositions
    wanted += [(("retention", "dispositions", kind), name) for kind, name in of_kind.items()]
    wanted += [(("situation", i, "retention"), each.retention) for i, each in enumerate(config.situation)]
    for at, value in wanted:
        if value is not None and value not in classes:
            source.add(at, f"{at[-1]}: no class {value!r}; there are {known}")
    try:
        zone_of(config.retention.zone)
    except (KeyError, ValueError, OSError):
        source.add(("retention", "zone"), f"retention.zone = {config.retention.zone!r}: no such time zone")


def _pattern(config: Config, source: Source) -> None:
    try:
        patternsubset.compiled(config.recording.internal_pattern)
    except (re.error, OverflowError, RecursionError) as error:
        source.add(("recording", "internal_pattern"), f"recording.internal_pattern: {error}")


def _broker(config: Config, source: Source) -> None:
    broker = config.broker
    if broker.ca is None and broker.host not in LOOPBACK:
        source.add(("broker", "ca"), "broker.ca is missing: a broker on the network is reached by TLS only")
    if broker.key is not None and broker.certificate is None:
        source.add(("broker", "key"), "broker.key is of no use without broker.certificate")


def _smdr(config: Config, source: Source) -> None:
    smdr = config.smdr
    checks: list[tuple[str, Callable[[], object]]] = [
        (name, partial(smdrcolumns.picture, getattr(smdr, name), need, may))
        for name, (need, may) in smdrcolumns.PICTURES.items()
    ]
    checks.append(("kinds", partial(smdrcolumns.kinds, smdr.kinds)))
    if smdr.format == smdrcolumns.COLUMNS:
        checks.append(("columns", partial(smdrcolumns.columns, smdr.columns)))
    for name, check in checks:
        try:
            check()
        except BadInput as error:
            source.add(("smdr", name), f"smdr.{name}: {error}")
    try:
        if smdr.zone is not None:  # otherwise the retention's zone applies, which was checked
            zone_of(smdr.zone)
    except (KeyError, ValueError, OSError):
        source.add(("smdr", "zone"), f"smdr.zone = {smdr.zone!r}: no such time zone")


def _update(config: Config, source: Source) -> None:
    if not isinstance(text := config.update.log_policy, str):
        return
    from linetap_core.versions import entry  # uses keys, which capture and panel do not: 7 MB each

    try:
        entry.demanded(text)
    except BadInput as error:
        source.add(("update", "log_policy"), f"update.log_policy: {error}")


def _notices(config: Config, source: Source) -> None:
    """Checks the notices. A missing folder is not reported here: capture reports it at its start."""
    folder = Path(config.notices)
    if not folder.is_dir():
        return
    have = {path.stem for path in folder.glob("*.wav")}
    for at, name in namednotices.named(config):
        if name not in have:
            known = f"there are {', '.join(sorted(have))}" if have else "there is none"
            source.add(at, f"no notice {name!r} in {folder}; {known}")
