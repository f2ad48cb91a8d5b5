# SPDX-License-Identifier: Apache-2.0
"""The retention of a call: its class by the configuration, and the day of expiry in the configured zone.

This is the configured retention; recorder/vault/retention/epochs.py selects the key for that day.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta

from linetap.config.schema import Config, RetentionClass
from linetap_core.records import ABUSE, Disposition, Retention
from linetap_core.zones import end_text, local_time, zone_of


def class_of(
    config: Config, line: int, disposition: Disposition, marked: bool, situations: Collection[str] = ()
) -> RetentionClass:
    """The class by the call's disposition, else by its line, else the default; a mark never shortens it.

    `situations`: names of unit.toml for which staff have dialled the code, or which have ended the call.
    """
    policy = config.retention
    classes = {entry.name: entry for entry in policy.classes}
    own = next((each.retention for each in config.line if each.number == line), None)
    found = [classes[policy.dispositions.get(disposition) or own or policy.default]]
    found += [_of_mark(config, name) for name in [*situations, *([ABUSE] if marked else [])]]
    return max(found, key=lambda entry: entry.days)


def _of_mark(config: Config, name: str) -> RetentionClass:
    situation = config.situation_named(name)
    wanted = (situation and situation.retention) or config.retention.marked
    return _named(config, wanted) if wanted else longest_class(config)


def longest_class(config: Config) -> RetentionClass:
    return max(config.retention.classes, key=lambda entry: entry.days)


def default_class(config: Config) -> RetentionClass:
    return next(entry for entry in config.retention.classes if entry.name == config.retention.default)


def retention_of(
    config: Config,
    ended_ns: int,
    line: int,
    disposition: Disposition,
    marked: bool,
    situations: Collection[str] = (),
) -> Retention:
    """Class, epoch (the day of expiry) and `until`: 24:00 of that day, after which the epoch's key may be destroyed."""
    return _from(config, ended_ns, class_of(config, line, disposition, marked, situations))


def retention_in(config: Config, ended_ns: int, name: str) -> Retention:
    """The retention in a class by name; in the longest class if the configuration no longer has that one."""
    return _from(config, ended_ns, _named(config, name))


def days_of(config: Config, name: str) -> int:
    """The number of days for which a call of that class is kept."""
    return _named(config, name).days


def _named(config: Config, name: str) -> RetentionClass:
    known = {entry.name: entry for entry in config.retention.classes}
    return known.get(name) or longest_class(config)


def _from(config: Config, ended_ns: int, entry: RetentionClass) -> Retention:
    zone = config.retention.zone
    day = local_time(ended_ns, zone_of(zone)).date() + timedelta(days=entry.days)
    return Retention(class_=entry.name, epoch=day.isoformat(), until=end_text(day, zone))
