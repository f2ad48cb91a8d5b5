# SPDX-License-Identifier: Apache-2.0
"""The retention of a call: its class by the configuration, and the day of expiry in the configured zone.

This is the configured retention; recorder/vault/retention/epochs.py selects the key for that day.
"""

from __future__ import annotations

from datetime import timedelta

from linetap.config.schema import Config, RetentionClass
from linetap_core.clock import from_utc_ns
from linetap_core.records import Disposition, Retention
from linetap_core.zones import end_of, epoch_text, zone_of


def class_of(config: Config, line: int, disposition: Disposition, marked: bool) -> RetentionClass:
    """The class by the call's disposition, else by its line, else the default; a mark never shortens it."""
    policy = config.retention
    classes = {entry.name: entry for entry in policy.classes}
    own = next((each.retention for each in config.line if each.number == line), None)
    found = classes[policy.dispositions.get(disposition) or own or policy.default]
    if not marked:
        return found
    return max(found, classes[policy.marked] if policy.marked else longest_class(config), key=lambda entry: entry.days)


def longest_class(config: Config) -> RetentionClass:
    return max(config.retention.classes, key=lambda entry: entry.days)


def default_class(config: Config) -> RetentionClass:
    return next(entry for entry in config.retention.classes if entry.name == config.retention.default)


def retention_of(config: Config, ended_ns: int, line: int, disposition: Disposition, marked: bool) -> Retention:
    """Class, epoch (the day of expiry) and `until`: 24:00 of that day, after which the epoch's key may be destroyed."""
    return _from(config, ended_ns, class_of(config, line, disposition, marked))


def retention_in(config: Config, ended_ns: int, name: str) -> Retention:
    """The same for a class by name; for the longest class where the configuration no longer has it."""
    return _from(config, ended_ns, _named(config, name))


def days_of(config: Config, name: str) -> int:
    """The number of days for which a call of that class is kept."""
    return _named(config, name).days


def _named(config: Config, name: str) -> RetentionClass:
    known = {entry.name: entry for entry in config.retention.classes}
    return known.get(name) or longest_class(config)


def _from(config: Config, ended_ns: int, entry: RetentionClass) -> Retention:
    zone = config.retention.zone
    day = from_utc_ns(ended_ns).astimezone(zone_of(zone)).date() + timedelta(days=entry.days)
    return Retention(class_=entry.name, epoch=day.isoformat(), until=epoch_text(end_of(day, zone)))
