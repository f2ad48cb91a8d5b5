# SPDX-License-Identifier: Apache-2.0
"""Which class of retention a call is of, by the configuration alone."""

from __future__ import annotations

from linetap.config.schema import Config, RetentionClass
from linetap_core.records import Disposition


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
