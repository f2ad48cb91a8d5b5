# SPDX-License-Identifier: Apache-2.0
"""Which class of retention a call is of, by the configuration alone.

How long a call is kept: its class, and the day of expiry that follows from it in the configured zone.

What is said here is what is wanted; vault/epochs.py says which key there is for that day.
"""

from __future__ import annotations

from datetime import timedelta

from linetap.config.schema import Config, RetentionClass
from linetap_core.clock import from_utc_ns
from linetap_core.records import Disposition, Retention
from linetap_core.zones import end_of, epoch_text, zone_of


def class_of(config: Config, line: int, disposition: Disposition, marked: bool) -> RetentionClass:
    """Of the disposition, else of the line, else the default; a mark never makes it shorter."""
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


__all__ = ["class_of", "days_of", "default_class", "longest_class", "retention_in", "retention_of"]


def retention_of(config: Config, ended_ns: int, line: int, disposition: Disposition, marked: bool) -> Retention:
    """Class, epoch (the day of expiry) and `until`: 24:00 of that day, which is when the epoch's key may go."""
    return _from(config, ended_ns, class_of(config, line, disposition, marked))


def retention_in(config: Config, ended_ns: int, name: str) -> Retention:
    """The same in a class by its name; in the longest, where the configuration knows that class no more."""
    return _from(config, ended_ns, _named(config, name))


def days_of(config: Config, name: str) -> int:
    """So many days a call of that class is kept."""
    return _named(config, name).days


def _named(config: Config, name: str) -> RetentionClass:
    known = {entry.name: entry for entry in config.retention.classes}
    return known.get(name) or longest_class(config)


def _from(config: Config, ended_ns: int, entry: RetentionClass) -> Retention:
    zone = config.retention.zone
    day = from_utc_ns(ended_ns).astimezone(zone_of(zone)).date() + timedelta(days=entry.days)
    return Retention(class_=entry.name, epoch=day.isoformat(), until=epoch_text(end_of(day, zone)))
