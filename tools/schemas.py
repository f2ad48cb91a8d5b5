#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes docs/schemas: a JSON Schema of every payload, and of a call's record, from the encoding types.

docs/asyncapi.yaml adds rules that a type cannot express. Run it as `.venv/bin/python tools/schemas.py` when a type
changes; a test compares.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import msgspec

from linetap.reporter.discovery import Discovery
from linetap_core.evidence.authorization.command import Answer, Envelope
from linetap_core.evidence.merklelog.unitlog import Head
from linetap_core.records import Alert, CallEvent, PersonalRecord, PublicRecord
from linetap_core.wire.health import Health
from linetap_core.wire.topics import LineReport, Status

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "schemas"
KINDS: tuple[type[msgspec.Struct], ...] = (
    Status, LineReport, CallEvent, Health, Alert, Head, Answer, Envelope, Discovery,
)  # fmt: skip
RECORDS: tuple[type[msgspec.Struct], ...] = (PublicRecord, PersonalRecord)
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def files() -> dict[str, str]:
    """Name of the file -> its text."""
    made = {}
    for kind in (*KINDS, *RECORDS):
        _, components = msgspec.json.schema_components([kind], ref_template="#/$defs/{name}")
        schema = components.pop(kind.__name__)
        schema = {"$schema": DIALECT, **schema} | ({"$defs": components} if components else {})
        _null_last(schema)
        _end_patterns(schema)
        if kind in RECORDS:
            _close(schema)
        made[f"{kind.__name__}.json"] = json.dumps(schema, indent=1, ensure_ascii=False) + "\n"
    return made


def _null_last(node: Any) -> None:
    """Moves null to the end of choices, independent of msgspec's version."""
    if isinstance(node, dict):
        if "anyOf" in node:
            node["anyOf"].sort(key=lambda choice: choice == {"type": "null"})
        node = list(node.values())
    if isinstance(node, list):
        for each in node:
            _null_last(each)


def _end_patterns(node: Any) -> None:
    """Adapts patterns: JSON Schema's `$` is the end of the text; in Python, where a line break may follow it, that is
    `\\Z`.
    """
    if isinstance(node, dict):
        if isinstance(node.get("pattern"), str):
            node["pattern"] = node["pattern"].replace(r"\Z", "$")
        node = list(node.values())
    if isinstance(node, list):
        for each in node:
            _end_patterns(each)


def _close(node: Any) -> None:
    """Forbids undeclared fields in every object: only fields declared public are published."""
    if isinstance(node, dict):
        if "properties" in node:
            node["additionalProperties"] = False
        for each in node.values():
            _close(each)
    elif isinstance(node, list):
        for each in node:
            _close(each)


def main() -> int:
    FOLDER.mkdir(exist_ok=True)
    made = files()
    for old in FOLDER.glob("*.json"):
        if old.name not in made:
            old.unlink()
    for name, text in made.items():
        (FOLDER / name).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
